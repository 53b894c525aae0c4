package installs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/records/recordstest"
	"meetbot/config/secret"
)

var began = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func TestAnInstallationIsKeptEncryptedUntilItIsRemoved(t *testing.T) {
	store, _ := recordstest.Open(t, began)
	s := New(store, "acme")
	in := Installation{
		ID: "T1", Name: "Team", Enterprise: "E1", BotUser: "U1", BotName: "bot", Scopes: []string{"a"}, By: "U2", At: began,
		Token: secret.New("canary-token"), Refresh: secret.New("canary-refresh"), Expires: began.Add(time.Hour),
	}
	_, err := s.Get(t.Context(), "T1")
	require.ErrorIs(t, err, ErrNone)
	saved, err := s.Save(t.Context(), in)
	require.NoError(t, err)
	got, err := s.Get(t.Context(), "T1")
	require.NoError(t, err)
	assert.Equal(t, saved.Token.Reveal(), got.Token.Reveal())
	assert.Equal(t, "canary-refresh", got.Refresh.Reveal())
	assert.True(t, in.Expires.Equal(got.Expires))
	assert.NotContains(t, fmt.Sprintf("%+v", got), "canary")

	other := New(store, "other")
	all, err := other.All(t.Context())
	require.NoError(t, err)
	assert.Empty(t, all, "another platform's")
	all, err = s.All(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, "T1", all[0].ID)

	var out bytes.Buffer
	require.NoError(t, store.Export(t.Context(), &out))
	assert.Contains(t, out.String(), "T1")
	assert.NotContains(t, out.String(), "canary")

	require.NoError(t, s.Remove(t.Context(), got))
	_, err = s.Get(t.Context(), "T1")
	require.ErrorIs(t, err, ErrNone)
	require.ErrorIs(t, s.Remove(t.Context(), got), ErrChanged)
}

func TestOfTwoWhoChangeAnInstallationOneFindsOut(t *testing.T) {
	store, _ := recordstest.Open(t, began)
	s := New(store, "acme")
	first, err := s.Save(t.Context(), Installation{ID: "T1"})
	require.NoError(t, err)
	_, err = s.Save(t.Context(), first)
	require.NoError(t, err)
	_, err = s.Save(t.Context(), first)
	require.ErrorIs(t, err, ErrChanged)
	require.ErrorIs(t, s.Remove(t.Context(), first), ErrChanged)
	again, err := s.Replace(t.Context(), Installation{ID: "T1", Name: "again"}, "state")
	require.NoError(t, err)
	got, err := s.Begun(t.Context(), "state")
	require.NoError(t, err)
	assert.Equal(t, again, got)
	_, err = s.Begun(t.Context(), "another state")
	require.ErrorIs(t, err, ErrNone)
	require.NoError(t, s.Remove(t.Context(), again))
}

func TestAStateIsUsedOnce(t *testing.T) {
	store, clock := recordstest.Open(t, began)
	s := New(store, "acme")
	use := func() bool {
		first, err := s.Use(t.Context(), strings.Repeat("x", 500), clock.Now().Add(time.Minute))
		require.NoError(t, err)
		return first
	}
	assert.True(t, use())
	assert.False(t, use())
}

func TestAnOrganisationServesTheWorkspacesThatItIsHeardOf(t *testing.T) {
	org := Installation{ID: "E1", Org: true, Teams: []string{"T1"}}
	assert.True(t, org.Serves("T1"))
	assert.True(t, org.Serves("E1"))
	assert.False(t, org.Serves("T2"))
	assert.False(t, Installation{ID: "T2", Teams: []string{"T1"}}.Serves("T1"))
}
