package slack

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
)

func TestRightsWithoutAnAllowList(t *testing.T) {
	w := newWorld(t)
	self := *w.a.web.self.Load()
	self.enterprise = "E1"
	w.a.web.self.Store(&self)
	all := chat.RightsKnown | chat.RightMeet | chat.RightPush
	for _, tt := range []struct {
		name string
		user slacktest.User
		want chat.Rights
	}{
		{"FullMember", slacktest.User{}, all},
		{"SameOrganisation", slacktest.User{Team: "T2", Enterprise: "E1"}, all},
		{"Guest", slacktest.User{Guest: true}, chat.RightsKnown},
		{"OtherOrganisation", slacktest.User{Team: "T9", Enterprise: "E9"}, chat.RightsKnown},
		{"Stranger", slacktest.User{Stranger: true}, chat.RightsKnown},
		{"Bot", slacktest.User{Bot: true}, chat.RightsKnown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.user.ID, tt.user.Name, tt.user.Locale = "U"+tt.name, "bo", "zh-CN"
			w.slack.SetUser(tt.user)
			p, err := w.a.Profile(t.Context(), chat.Place{Team: slacktest.Team}, tt.user.ID)
			require.NoError(t, err)
			assert.Equal(t, chat.Profile{Name: "bo", Locale: "zh-CN", Rights: tt.want}, p)
		})
	}
}

func TestPeopleAreLookedUpOnceForAll(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := w.a.Profile(w.ctx(), chat.Place{}, "U1")
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, len(w.slack.Calls("users.info")), 2)
}

func TestLookUpThatFailsIsAnError(t *testing.T) {
	w := newWorld(t)
	w.slack.Fail("users.info", slacktest.Fault{Error: "user_not_found"})
	_, err := w.a.Profile(t.Context(), chat.Place{}, "U1")
	require.Error(t, err)
	_, err = w.a.Profile(t.Context(), chat.Place{}, "U1")
	require.NoError(t, err, "a failure is not remembered")
}

func TestUserGroups(t *testing.T) {
	w := newWorld(t, "usergroups:read")
	w.slack.SetGroup("S1", "U1", "U2")
	in := func(user, group string) (bool, error) {
		return w.a.InGroup(t.Context(), chat.Place{}, user, group)
	}
	for user, want := range map[string]bool{"U1": true, "U3": false} {
		got, err := in(user, "S1")
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := in("U1", "S9")
	require.Error(t, err)

	without := newWorld(t)
	_, err = without.a.InGroup(t.Context(), chat.Place{}, "U1", "S1")
	require.Error(t, err, "without the scope nobody is let in")
}
