package settings

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records/recordstest"
)

var (
	someDay = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	place   = chat.Place{Platform: "slack", Team: "T1", Channel: "C1", Thread: "t1"}
	team    = chat.Place{Platform: "slack", Team: "T1"}
)

func put(t *testing.T, s Settings, at chat.Place, job string, values map[string]string) {
	t.Helper()
	r, err := s.Of(t.Context(), at)
	require.NoError(t, err)
	c := Change{Job: job}
	for name, v := range values {
		c.Of = append(c.Of, Value{Name: name, From: r.Values[name], To: v})
	}
	require.NoError(t, s.Change(t.Context(), r, "slack:U1", someDay, c))
}

func TestAChannelComesBeforeItsTeam(t *testing.T) {
	store, _ := recordstest.Open(t, someDay)
	s := New(store)
	put(t, s, place, "a", map[string]string{"live": "on", "deny": "user:U2"})
	put(t, s, team, "b", map[string]string{"live": "off", "record": "none", "allow": "group:S1", "deny": "user:U3,user:U4"})

	here, err := s.Here(t.Context(), place)
	require.NoError(t, err)
	for name, want := range map[string]struct {
		value string
		from  Source
	}{"live": {"on", Channel}, "record": {"none", Team}, "capacity": {"", Unset}} {
		value, from := here.Get(name)
		assert.Equal(t, want.value, value, name)
		assert.Equal(t, want.from, from, name)
	}
	who := func(kind chat.EntryKind, id string) policy.Entry {
		return policy.Entry{Platform: "slack", Kind: kind, ID: id}
	}
	assert.Equal(t, []policy.List{
		{Allow: []policy.Entry{who(chat.GroupEntry, "S1")}, Deny: []policy.Entry{who(chat.UserEntry, "U3"), who(chat.UserEntry, "U4")}},
		{Deny: []policy.Entry{who(chat.UserEntry, "U2")}},
	}, here.Lists())

	for _, other := range []chat.Place{
		{Platform: "discord", Team: "T1", Channel: "C1"}, {Platform: "slack", Team: "T2", Channel: "C1"}, {Platform: "slack", Channel: "C1"},
	} {
		here, err := s.Here(t.Context(), other)
		require.NoError(t, err)
		assert.Empty(t, here.Channel.Values, other.Key())
		assert.Empty(t, here.Team.Values, other.Key())
	}
	all, err := s.All(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, []string{"slack:T1:", "slack:T1:C1"}, []string{all[0].Place().Key(), all[1].Place().Key()})
}

func TestAnOldRevisionIsNotOverwritten(t *testing.T) {
	store, _ := recordstest.Open(t, someDay)
	s := New(store)
	old, err := s.Of(t.Context(), place)
	require.NoError(t, err)
	put(t, s, place, "first", map[string]string{"live": "on"})
	require.ErrorIs(t, s.Change(t.Context(), old, "slack:U2", someDay, Change{Job: "second"}), jobs.ErrConflict)
	now, err := s.Of(t.Context(), place)
	require.NoError(t, err)
	of, ok := now.ChangedBy("first")
	assert.True(t, ok)
	assert.Equal(t, []Value{{Name: "live", To: "on"}}, of)
	_, ok = now.ChangedBy("second")
	assert.False(t, ok)
	for range maxLast + 5 {
		put(t, s, place, "later", map[string]string{"live": "off"})
	}
	now, err = s.Of(t.Context(), place)
	require.NoError(t, err)
	assert.Len(t, now.Last, maxLast)
}

func TestSettingsSurviveAnExport(t *testing.T) {
	key := bytes.Repeat([]byte("k1"), jobs.KeySize/2)
	open := func() *jobs.Store {
		store, err := jobs.OpenMemory(jobs.Config{Keys: [][]byte{key}})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, store.Close()) })
		return store
	}
	from, to := open(), open()
	put(t, New(from), place, "a", map[string]string{"destinations": "canary-name", "deny": "user:UCANARY"})
	put(t, New(from), team, "b", map[string]string{"provider": "tencent"})
	var export bytes.Buffer
	require.NoError(t, from.Export(t.Context(), &export))
	for _, inside := range []string{"canary-name", "UCANARY", "slack"} {
		assert.NotContains(t, export.String(), inside, "sealed as every record")
	}
	_, err := to.Import(t.Context(), &export)
	require.NoError(t, err)
	want, err := New(from).All(t.Context())
	require.NoError(t, err)
	got, err := New(to).All(t.Context())
	require.NoError(t, err)
	for i := range want {
		want[i].Revision, got[i].Revision = 0, 0
	}
	assert.Equal(t, want, got)
	put(t, New(to), place, "c", nil)
}
