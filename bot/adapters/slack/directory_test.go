package slack

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/commands"
)

func TestRightsWithoutAnAllowList(t *testing.T) {
	w := newWorld(t)
	self := *w.a.self.Load()
	self.enterprise = "E1"
	w.a.self.Store(&self)
	all := commands.RightsKnown | commands.RightMeet | commands.RightPush
	for _, tt := range []struct {
		name string
		user slacktest.User
		want commands.Rights
	}{
		{"FullMember", slacktest.User{}, all},
		{"SameOrganisation", slacktest.User{Team: "T2", Enterprise: "E1"}, all},
		{"Guest", slacktest.User{Guest: true}, commands.RightsKnown},
		{"OtherOrganisation", slacktest.User{Team: "T9", Enterprise: "E9"}, commands.RightsKnown},
		{"Stranger", slacktest.User{Stranger: true}, commands.RightsKnown},
		{"Bot", slacktest.User{Bot: true}, commands.RightsKnown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.user.ID, tt.user.Name, tt.user.Locale = "U"+tt.name, "bo", "zh-CN"
			w.slack.SetUser(tt.user)
			p, err := w.a.Profile(t.Context(), commands.Place{Team: slacktest.Team}, tt.user.ID)
			require.NoError(t, err)
			assert.Equal(t, commands.Profile{Name: "bo", Locale: "zh-CN", Rights: tt.want}, p)
		})
	}
}

func TestPeopleAreLookedUpOnceForAll(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := w.a.Profile(w.ctx(), commands.Place{}, "U1")
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, len(w.slack.Calls("users.info")), 2)
}

func TestLookUpThatFailsIsAnError(t *testing.T) {
	w := newWorld(t)
	w.slack.Fail("users.info", slacktest.Fault{Error: "user_not_found"})
	_, err := w.a.Profile(t.Context(), commands.Place{}, "U1")
	require.Error(t, err)
	_, err = w.a.Profile(t.Context(), commands.Place{}, "U1")
	require.NoError(t, err, "a failure is not remembered")
}

func TestUserGroups(t *testing.T) {
	w := newWorld(t, "usergroups:read")
	w.slack.SetGroup("S1", "U1", "U2")
	in := func(user, group string) (bool, error) {
		return w.a.InGroup(t.Context(), commands.Place{}, user, group)
	}
	for user, want := range map[string]bool{"U1": true, "U3": false} {
		got, err := in(user, "S1")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := in("U1", "S9")
	require.Error(t, err)

	without := newWorld(t)
	_, err = without.a.InGroup(t.Context(), commands.Place{}, "U1", "S1")
	require.Error(t, err, "without the scope nobody is let in")
}
