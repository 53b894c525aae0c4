package slack

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
)

func TestCheckLearnsTheScopes(t *testing.T) {
	s := slacktest.New("commands", "users:read", "chat:write")
	defer s.Close()
	a := newAdapter(t, s, &fakeBot{}, &adaptertest.Log{})
	assert.Nil(t, a.Scopes())
	require.NoError(t, a.Check(t.Context()))
	assert.Equal(t, []string{"chat:write", "commands", "users:read"}, a.Scopes())
	require.NoError(t, a.CheckSocket(t.Context()))
	assert.Zero(t, s.Connections())
}

func TestCheckTellsTheTokensApart(t *testing.T) {
	s := slacktest.New(slacktest.DefaultScopes...)
	defer s.Close()
	a := newAdapter(t, s, &fakeBot{}, &adaptertest.Log{})
	s.Fail("auth.test", slacktest.Fault{Error: "account_inactive"})
	require.ErrorIs(t, a.Check(t.Context()), ErrTokenRefused)
	require.NoError(t, a.CheckSocket(t.Context()))
	s.Fail("apps.connections.open", slacktest.Fault{Error: "not_allowed_token_type"})
	require.NoError(t, a.Check(t.Context()))
	require.ErrorIs(t, a.CheckSocket(t.Context()), ErrTokenRefused)
}
