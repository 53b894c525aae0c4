package slack

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
)

// said returns what an examination says of one level.
func said(all []kit.Finding, l kit.Level) (texts []string) {
	for _, f := range all {
		if f.Level == l {
			texts = append(texts, f.Says)
		}
	}
	return texts
}

func TestAnExaminationLearnsTheScopesAndOpensNothing(t *testing.T) {
	s := slacktest.New("commands", "users:read", "chat:write")
	defer s.Close()
	a := newAdapter(t, s, &fakeBot{}, &adaptertest.Log{})
	found := a.Examine(t.Context(), kit.Circumstances{Named: []chat.EntryKind{chat.GroupEntry}})
	assert.Equal(t, []string{"SLACK_BOT_TOKEN is accepted", "SLACK_APP_TOKEN is accepted: Socket Mode"}, said(found, kit.Fine))
	faults := said(found, kit.Fault)
	require.Len(t, faults, 2)
	assert.Contains(t, faults[0], "the scope im:write is missing: ")
	assert.Contains(t, faults[1], "an allow-list names a user group")
	assert.Zero(t, s.Connections())

	faults = said(a.Examine(t.Context(), kit.Circumstances{}), kit.Fault)
	assert.Len(t, faults, 1, "nobody is let in by a group")
}

func TestAnExaminationTellsTheTokensApart(t *testing.T) {
	s := slacktest.New(slacktest.DefaultScopes...)
	defer s.Close()
	a := newAdapter(t, s, &fakeBot{}, &adaptertest.Log{})
	s.Fail("auth.test", slacktest.Fault{Error: "account_inactive"})
	assert.Equal(t, []string{"SLACK_BOT_TOKEN is refused"}, said(a.Examine(t.Context(), kit.Circumstances{}), kit.Fault))
	s.Fail("apps.connections.open", slacktest.Fault{Error: "not_allowed_token_type"})
	found := a.Examine(t.Context(), kit.Circumstances{})
	assert.Equal(t, []string{"SLACK_APP_TOKEN is refused"}, said(found, kit.Fault))
	for _, f := range found {
		if f.Level == kit.Fault {
			require.ErrorIs(t, f.Err, ErrTokenRefused)
			require.ErrorIs(t, f.Err, kit.ErrTokenRefused)
		}
	}
}
