package livepush

import (
	"fmt"
	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/records/recordstest"
	"meetbot/bot/texts"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config/secret"
	"meetbot/meeting"
)

const canaryKey = "canary-key-7f3a"

func testDestinations(t *testing.T) (Destinations, *recordstest.Clock) {
	store, clock := recordstest.Open(t, showNow)
	return NewDestinations(store, clock.Now), clock
}

var (
	ann   = chat.User{ID: "U1", Name: "Ann"}
	bob   = chat.User{ID: "U2", Name: "Bob"}
	team  = chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}
	scope = Scope(team, ann.ID)
)

func bili(key string) Destination {
	return Destination{
		Name: "Bili", Preset: "bilibili", Platform: meeting.PushThirdParty,
		URL: "rtmp://live-push.bilivideo.com/live-bvc/", Key: secret.New(key), Page: "https://live.bilibili.com/1",
	}
}

func TestADestinationIsFoundByItsNameInAnyCaseAndWidth(t *testing.T) {
	s, clock := testDestinations(t)
	saved, err := s.Save(t.Context(), scope, bili(canaryKey), ann, false)
	require.NoError(t, err)
	for _, name := range []string{"Bili", "bili", " BILI ", "ｂｉｌｉ"} {
		got, err := s.ByName(t.Context(), scope, name)
		require.NoError(t, err, name)
		assert.Equal(t, "Bili", got.Name)
		assert.Equal(t, canaryKey, got.Key.Reveal())
		assert.Equal(t, saved.ID, got.ID)
		assert.True(t, got.KeySet.Equal(clock.Now()))
		assert.Equal(t, ann.ID, got.Owner)
	}
	_, err = s.ByName(t.Context(), scope, "bil")
	require.ErrorIs(t, err, ErrNoDestination)
	_, err = s.ByName(t.Context(), Scope(chat.Place{Platform: chattest.Slack, Team: "T2"}, ann.ID), "Bili")
	require.ErrorIs(t, err, ErrNoDestination, "another team's")
	for _, id := range []string{"", "-", "a", "a-", "-a", "nothing-there"} {
		_, err = s.ByID(t.Context(), id)
		require.ErrorIs(t, err, ErrNoDestination, id)
	}
}

func TestScopesKeepTeamsAndConversationsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range []chat.Place{
		{Platform: chattest.Slack, Team: "1"}, {Platform: chattest.Discord, Team: "1"}, {Platform: chattest.Console}, {Platform: chattest.Discord, Kind: chat.InDirect},
	} {
		s := Scope(p, "42")
		assert.False(t, seen[s], s)
		seen[s] = true
	}
	assert.NotEqual(t, Scope(chat.Place{Platform: chattest.Discord, Kind: chat.InDirect}, "1"), Scope(chat.Place{Platform: chattest.Discord, Kind: chat.InDirect}, "2"))
	assert.Equal(t, scope, Scope(chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "D9", Kind: chat.InDirect}, bob.ID))
}

func TestSavingAgainKeepsOwnerAndKey(t *testing.T) {
	s, clock := testDestinations(t)
	_, err := s.Save(t.Context(), scope, bili(canaryKey), ann, false)
	require.NoError(t, err)
	clock.Advance(72 * time.Hour)

	d := bili("")
	d.Channels, d.Protected = []string{"C1"}, true
	got, err := s.Save(t.Context(), scope, d, bob, true)
	require.NoError(t, err, "an admin may")
	assert.Equal(t, ann.ID, got.Owner)
	assert.Equal(t, canaryKey, got.Key.Reveal(), "the same address keeps its key")
	assert.True(t, got.KeySet.Equal(showNow))
	assert.Equal(t, "key set 3 days ago", got.KeyAge(texts.For("en"), clock.Now()))
	assert.Equal(t, "密钥设置于 3 天前", got.KeyAge(texts.For("zh-CN"), clock.Now()))

	got, err = s.Save(t.Context(), scope, bili("another"), ann, false)
	require.NoError(t, err)
	assert.True(t, got.KeySet.Equal(clock.Now()))

	moved := bili("")
	moved.URL = "rtmp://txy.live-push.bilivideo.com/live-bvc/"
	got, err = s.Save(t.Context(), scope, moved, ann, false)
	require.NoError(t, err)
	assert.True(t, got.Key.IsZero(), "a key belongs to its address")
	assert.True(t, got.KeySet.IsZero())
}

func TestSomebodyElsesNameIsNotOverwritten(t *testing.T) {
	s, _ := testDestinations(t)
	_, err := s.Save(t.Context(), scope, bili(canaryKey), ann, false)
	require.NoError(t, err)
	taken := bili("mine")
	taken.Name = "ＢＩＬＩ"
	got, err := s.Save(t.Context(), scope, taken, bob, false)
	require.ErrorIs(t, err, ErrNotOwner)
	assert.Equal(t, "Ann", got.OwnerName, "so that the person can be told whose it is")
	kept, err := s.ByName(t.Context(), scope, "bili")
	require.NoError(t, err)
	assert.Equal(t, canaryKey, kept.Key.Reveal())
}

func TestWhoMayUseADestination(t *testing.T) {
	d := bili(canaryKey)
	d.Owner, d.People, d.Channels = ann.ID, []string{"U7"}, []string{"C7"}
	shared := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C7"}
	for _, tt := range []struct {
		name        string
		user        string
		place       chat.Place
		admin       bool
		use, change bool
	}{
		{"Owner", ann.ID, team, false, true, true},
		{"Stranger", bob.ID, team, false, false, false},
		{"PersonItWasSharedWith", "U7", team, false, true, false},
		{"AnybodyInTheChannelItWasSharedWith", bob.ID, shared, false, true, false},
		{"AThreadOfThatChannel", bob.ID, chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C7", Thread: "1.2"}, false, true, false},
		{"Admin", bob.ID, team, true, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.use, d.MayUse(tt.user, tt.place, tt.admin))
			assert.Equal(t, tt.change, d.MayChange(tt.user, tt.admin))
		})
	}
}

func TestAPersonSeesOnlyWhatTheyMayUse(t *testing.T) {
	s, _ := testDestinations(t)
	for _, name := range []string{"周五", "b", "A"} {
		d := bili(canaryKey)
		d.Name = name
		if name == "b" {
			d.Channels = []string{"C1"}
		}
		_, err := s.Save(t.Context(), scope, d, ann, false)
		require.NoError(t, err)
	}
	names := func(u chat.User, admin bool) (got []string) {
		all, err := s.Usable(t.Context(), team, u.ID, admin)
		require.NoError(t, err)
		for _, d := range all {
			got = append(got, d.Name)
		}
		return got
	}
	assert.Equal(t, []string{"A", "b", "周五"}, names(ann, false))
	assert.Equal(t, []string{"b"}, names(bob, false))
	assert.Equal(t, []string{"A", "b", "周五"}, names(bob, true))
}

func TestASetStandsForItsMembers(t *testing.T) {
	s, _ := testDestinations(t)
	for _, name := range []string{"bili", "yt", "wx"} {
		d := bili(canaryKey)
		d.Name = name
		_, err := s.Save(t.Context(), scope, d, ann, false)
		require.NoError(t, err)
	}
	for name, members := range map[string][]string{"周五秀": {"YT", "bili"}, "nested": {"周五秀", "wx"}, "broken": {"wx", "gone"}} {
		_, err := s.Save(t.Context(), scope, Destination{Name: name, Members: members}, ann, false)
		require.NoError(t, err)
	}
	for _, tt := range []struct {
		names, found, missing []string
	}{
		{[]string{"周五秀"}, []string{"yt", "bili"}, nil},
		{[]string{"bili", "周五秀", "BILI", "wx"}, []string{"bili", "yt", "wx"}, nil},
		{[]string{"broken", "nope"}, []string{"wx"}, []string{"gone", "nope"}},
		{[]string{"nested"}, []string{"wx"}, []string{"周五秀"}},
		{nil, nil, nil},
	} {
		found, missing, err := s.Resolve(t.Context(), scope, tt.names)
		require.NoError(t, err)
		var names []string
		for _, d := range found {
			names = append(names, d.Name)
		}
		assert.Equal(t, tt.found, names, "%v", tt.names)
		assert.Equal(t, tt.missing, missing, "%v", tt.names)
	}
}

func TestRevokeTakesTheKeyItWasOfferedForAndNoLaterOne(t *testing.T) {
	s, clock := testDestinations(t)
	first, err := s.Save(t.Context(), scope, bili(canaryKey), ann, false)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(chat.Action{Name: "revokeyes", Arg: first.RevokeArg()}.String()), chat.MaxAction)
	assert.LessOrEqual(t, len(chat.Action{Name: "forgetyes", Arg: first.ForgetArg()}.String()), chat.MaxAction-13, "whatever the revision")

	_, err = s.Revoke(t.Context(), first.RevokeArg(), bob.ID, false)
	require.ErrorIs(t, err, ErrNotOwner)

	clock.Advance(time.Minute)
	second, err := s.SetKey(t.Context(), first.ID, "", secret.New("newer"))
	require.NoError(t, err)
	_, err = s.Revoke(t.Context(), first.RevokeArg(), ann.ID, false)
	require.ErrorIs(t, err, ErrKeyReplaced)

	for range 2 { // a click may come twice
		got, err := s.Revoke(t.Context(), second.RevokeArg(), ann.ID, false)
		require.NoError(t, err)
		assert.True(t, got.Key.IsZero())
		assert.Equal(t, "no key", got.KeyAge(texts.For("en"), clock.Now()))
	}
	for _, arg := range []string{"", ".", "x.y", destinationID(scope, "other") + ".1"} {
		_, err = s.Revoke(t.Context(), arg, ann.ID, false)
		require.ErrorIs(t, err, ErrNoDestination, arg)
	}
	_, err = s.SetKey(t.Context(), destinationID(scope, "other"), "", secret.New("k"))
	require.ErrorIs(t, err, ErrNoDestination)
}

func TestAForgottenNameIsFree(t *testing.T) {
	s, _ := testDestinations(t)
	d, err := s.Save(t.Context(), scope, bili(canaryKey), ann, false)
	require.NoError(t, err)
	changed, err := s.SetKey(t.Context(), d.ID, "", secret.New("newer"))
	require.NoError(t, err)
	require.ErrorIs(t, s.Forget(t.Context(), d), errDestinationBusy, "it changed since it was read")
	require.NoError(t, s.Forget(t.Context(), changed))
	require.NoError(t, s.Forget(t.Context(), changed), "twice")
	_, err = s.Save(t.Context(), scope, bili("bobs"), bob, false)
	require.NoError(t, err)
}

func TestConcurrentSavesLoseNothing(t *testing.T) {
	s, _ := testDestinations(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := s.Save(t.Context(), scope, bili(fmt.Sprint("key", i)), ann, false)
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	d, err := s.ByName(t.Context(), scope, "bili")
	require.NoError(t, err)
	assert.Regexp(t, `^key\d$`, d.Key.Reveal())
}

func TestAFingerprintIsTheSameForTheSameKey(t *testing.T) {
	s, _ := testDestinations(t)
	a := s.Fingerprint(secret.New(canaryKey))
	assert.Equal(t, a, s.Fingerprint(secret.New(canaryKey)))
	assert.NotEqual(t, a, s.Fingerprint(secret.New(canaryKey+"x")))
	assert.Empty(t, s.Fingerprint(secret.String{}))
	assert.NotContains(t, a, canaryKey)
}

func TestADestinationDoesNotPrintItsKey(t *testing.T) {
	d := bili(canaryKey)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %v", d, d, d, d.Target()), canaryKey)
}
