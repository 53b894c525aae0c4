package commands

import (
	"context"
	"errors"
	"fmt"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/records/recordstest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs"
	"meetbot/config/secret"
	"meetbot/meeting"
)

const canaryKey = "canary-key-7f3a"

var showNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newKeyLinks(t *testing.T) (keyLinks, *recordstest.Clock) {
	store, clock := recordstest.Open(t, showNow)
	return keyLinks{store, clock.Now}, clock
}

func saveLink() keyLink {
	return keyLink{
		Request: chat.Request{ID: "slack:trigger", At: showNow, User: ada, Place: channel, Origin: []byte("response_url")},
		Locale:  "zh-CN",
		Ask:     grammar.Ask{Verb: grammar.VerbPushSave, Preset: "bilibili", Push: meeting.PushTarget{Name: "B站"}, Channels: []string{"C1"}},
	}
}

var goodEntry = KeyEntry{Key: secret.New("?streamname=live_1_2&key=" + canaryKey)}

func accepted(context.Context, keyLink) error { return nil }

func TestALinkWorksOnceAndIsNotUsedUpByLooking(t *testing.T) {
	k, _ := newKeyLinks(t)
	token, err := k.create(t.Context(), saveLink())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(token.Reveal())*5, 128, "bits")

	for range 3 {
		l, err := k.look(t.Context(), token.Reveal())
		require.NoError(t, err)
		assert.Equal(t, KeyForm{
			Locale: "zh-CN", Place: l.Request.Place, Person: "Ada", Verb: grammar.VerbPushSave, Until: l.Until,
			Preset: "bilibili", Name: "B站", NameFixed: true,
		}, l.form())
	}
	require.NoError(t, k.use(t.Context(), token.Reveal(), accepted))
	for range 2 {
		_, err = k.look(t.Context(), token.Reveal())
		require.ErrorIs(t, err, ErrLinkUsed)
		require.ErrorIs(t, k.use(t.Context(), token.Reveal(), accepted), ErrLinkUsed)
	}
}

func TestALinkIsGoneAfterTenMinutes(t *testing.T) {
	k, clock := newKeyLinks(t)
	token, err := k.create(t.Context(), saveLink())
	require.NoError(t, err)
	clock.Advance(10*time.Minute - time.Second)
	_, err = k.look(t.Context(), token.Reveal())
	require.NoError(t, err)
	clock.Advance(time.Second)
	require.ErrorIs(t, k.use(t.Context(), token.Reveal(), accepted), ErrLinkGone)
	for _, unknown := range []string{"", "x", strings.Repeat("A", 26), strings.ToLower(token.Reveal())} {
		_, err = k.look(t.Context(), unknown)
		require.ErrorIs(t, err, ErrLinkGone)
	}
}

func TestOfManySubmissionsAtOnceOneIsCarriedOut(t *testing.T) {
	k, _ := newKeyLinks(t)
	token, err := k.create(t.Context(), saveLink())
	require.NoError(t, err)
	var carriedOut, won, used atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch err := k.use(t.Context(), token.Reveal(), func(context.Context, keyLink) error { carriedOut.Add(1); return nil }); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, ErrLinkUsed):
				used.Add(1)
			default:
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, carriedOut.Load())
	assert.EqualValues(t, 1, won.Load())
	assert.EqualValues(t, 15, used.Load())
}

func TestALinkWorksAgainAfterTheWishWasNotAccepted(t *testing.T) {
	k, _ := newKeyLinks(t)
	token, err := k.create(t.Context(), saveLink())
	require.NoError(t, err)
	full := func(context.Context, keyLink) error { return jobs.ErrFull }
	require.ErrorIs(t, k.use(t.Context(), token.Reveal(), full), jobs.ErrFull)
	require.NoError(t, k.use(t.Context(), token.Reveal(), accepted))
}

func TestASubmissionThatDiedIsTakenOverAndDoneOnce(t *testing.T) {
	k, clock := newKeyLinks(t)
	token, err := k.create(t.Context(), saveLink())
	require.NoError(t, err)
	var first string
	// The process stops between its claim and the end of the submission.
	func() {
		defer func() { _ = recover() }()
		_ = k.use(t.Context(), token.Reveal(), func(_ context.Context, l keyLink) error { first = l.requestID(); panic("killed") })
	}()
	require.ErrorIs(t, k.use(t.Context(), token.Reveal(), accepted), ErrLinkUsed, "it may still be at it")
	clock.Advance(keyLinkClaim)
	var second string
	duplicate := func(_ context.Context, l keyLink) error { second = l.requestID(); return jobs.ErrDuplicate }
	require.ErrorIs(t, k.use(t.Context(), token.Reveal(), duplicate), ErrLinkUsed)
	assert.Equal(t, first, second, "the same wish")
	_, err = k.look(t.Context(), token.Reveal())
	require.ErrorIs(t, err, ErrLinkUsed)
}

func TestTheStoreHoldsNeitherTheTokenNorAUsedLinksWish(t *testing.T) {
	k, _ := newKeyLinks(t)
	l := saveLink()
	l.Ask.Push.Key = secret.New(canaryKey)
	token, err := k.create(t.Context(), l)
	require.NoError(t, err)
	stored := func() string {
		docs, err := k.store.Docs(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, docs, 1)
		return fmt.Sprintf("%s %s", docs[0].Key, docs[0].Value)
	}
	assert.NotContains(t, stored(), token.Reveal())
	assert.NotContains(t, stored(), canaryKey)
	assert.Contains(t, stored(), "response_url")
	require.NoError(t, k.use(t.Context(), token.Reveal(), accepted))
	assert.NotContains(t, stored(), "response_url")
}

func TestTheWishIsContinuedWithWhatWasTyped(t *testing.T) {
	l := saveLink()
	l.hash = keyLinkHash("token")
	later := showNow.Add(5 * time.Minute)
	form := l.form()
	e, split, err := form.judge(goodEntry, later)
	require.NoError(t, err)
	r, ask := l.wish(e, split, later)
	assert.Equal(t, grammar.VerbPushSave, ask.Verb)
	assert.Equal(t, "bilibili", ask.Preset)
	assert.Equal(t, []string{"C1"}, ask.Channels)
	assert.False(t, ask.KeyTyped)
	assert.Equal(t, "B站", ask.Push.Name)
	assert.Equal(t, meeting.PushThirdParty, ask.Push.Platform)
	assert.Equal(t, "rtmp://live-push.bilivideo.com/live-bvc/", ask.Push.URL)
	assert.Equal(t, goodEntry.Key.Reveal(), ask.Push.Key.Reveal())
	assert.Equal(t, later, r.At)
	assert.Equal(t, "slack:keylink:"+l.hash, r.ID)
	assert.Equal(t, []byte("response_url"), r.Origin)
	assert.Empty(t, l.Ask.Push.URL, "the link itself is unchanged")
}

func TestThePageKeepsThatAnAddressIsOneOfWeChatChannels(t *testing.T) {
	typed := grammar.AskOf(grammar.New(grammar.Config{Kinds: kinds, KeyPage: true}).Parse(chat.Request{Command: "livepush", Text: "--wechat --name 视频号 --url rtmp://proxy.example.com/live", Place: channel, User: ada}))
	l := keyLink{Ask: *typed}
	form := l.form()
	entry := KeyEntry{Preset: form.Preset, Name: form.Name, URL: form.URL, Key: secret.New("k"), Override: true}
	e, split, err := form.judge(entry, showNow)
	require.NoError(t, err)
	_, ask := l.wish(e, split, showNow)
	assert.Equal(t, meeting.PushWeChat, ask.Push.Platform)
}

func TestWhatIsTypedIntoThePageIsCompletedAndJudged(t *testing.T) {
	fixed := KeyForm{Preset: "douyin", Name: "抖音", Fixed: true, NameFixed: true, URL: "rtmp://push-rtmp-a.douyincdn.com/third"}
	free := KeyForm{}
	for _, tt := range []struct {
		name   string
		form   KeyForm
		entry  KeyEntry
		key    string
		want   KeyEntry // without its key
		split  bool
		faults []string
		shown  string // address, where there are faults
		named  string // the name that is shown again; empty: not looked at
	}{
		{
			name: "PresetAddress", form: free, entry: KeyEntry{Preset: "twitch", Name: " tw "}, key: " live_1_a\n",
			want: KeyEntry{Preset: "twitch", Name: "tw", URL: "rtmp://live.twitch.tv/app"},
		},
		{
			name: "CombinedAddress", form: free, entry: KeyEntry{Name: "yt", URL: "rtmp://a.rtmp.youtube.com/live2/abcd-efgh-ijkl-mnop-qrst"},
			want: KeyEntry{Preset: "youtube", Name: "yt", URL: "rtmp://a.rtmp.youtube.com/live2/"}, split: true,
		},
		{
			name: "TheAddressTellsMoreThanTheChoiceThatWasLeft", form: KeyForm{Preset: "generic"},
			entry: KeyEntry{Preset: "generic", Name: "wx", URL: "rtmp://1.livepush.myqcloud.com/trtc_1/"}, key: "live_1",
			want: KeyEntry{Preset: "wechat", Name: "wx", URL: "rtmp://1.livepush.myqcloud.com/trtc_1/"},
		},
		{
			name: "CombinedAddressInTheKeysField", form: free, entry: KeyEntry{Preset: "twitch", Name: "yt", URL: "rtmp://live.twitch.tv/app"},
			key:  "rtmp://live.twitch.tv/app/live_1_a",
			want: KeyEntry{Preset: "twitch", Name: "yt", URL: "rtmp://live.twitch.tv/app/"}, split: true,
		},
		{
			name: "ASavedDestinationKeepsNameAndPreset", form: fixed,
			entry: KeyEntry{Preset: "twitch", Name: "other", URL: "rtmp：／／push-rtmp-b.douyincdn.com/third"}, key: "stream-1",
			want: KeyEntry{Preset: "douyin", Name: "抖音", URL: "rtmp://push-rtmp-b.douyincdn.com/third"},
		},
		{
			name: "WhatNobodySees", form: free, entry: KeyEntry{Preset: "twitch", Name: "\u202ebr\u00adand\u200b\u2060\u3164"}, key: "live_1_a",
			want: KeyEntry{Preset: "twitch", Name: "brand", URL: "rtmp://live.twitch.tv/app"},
		},
		{
			name: "AScriptThatNeedsItsJoiner", form: free, entry: KeyEntry{Preset: "twitch", Name: "می\u200cخواهم"}, key: "live_1_a",
			want: KeyEntry{Preset: "twitch", Name: "می\u200cخواهم", URL: "rtmp://live.twitch.tv/app"},
		},
		{name: "ANameThatNobodySees", form: free, entry: KeyEntry{Preset: "twitch", Name: "\u3164\u200b\U000e0041"}, key: "live_1_a", faults: []string{"finding.name.blank"}, shown: "rtmp://live.twitch.tv/app"},
		{name: "ACommand", form: KeyForm{Verb: grammar.VerbPushSave}, entry: KeyEntry{Preset: "twitch", Name: "ＯＦＦ"}, key: "live_1_a", faults: []string{"finding.name.verb"}, shown: "rtmp://live.twitch.tv/app"},
		{name: "AList", form: free, entry: KeyEntry{Preset: "twitch", Name: "a、b"}, key: "live_1_a", faults: []string{"finding.name.list"}, shown: "rtmp://live.twitch.tv/app"},
		{
			name: "AKeyInFullWidth", form: free, entry: KeyEntry{Preset: "twitch", Name: "tw"}, key: "live_1_a？bandwidthtest=true",
			faults: []string{"finding.push.bandwidth_test"}, shown: "rtmp://live.twitch.tv/app",
		},
		{
			name: "AnAddressInsteadOfAKey", form: free, entry: KeyEntry{Name: "tw", URL: "rtmp://live.twitch.tv/app"}, key: "rtmp://live.twitch.tv/app",
			faults: []string{"finding.key.address"}, shown: "rtmp://live.twitch.tv/app",
		},
		{name: "NothingTyped", form: free, faults: []string{"finding.name.blank", "finding.push.missing", "finding.push.key_missing"}},
		{
			name: "LimitsAreNotOverridden", form: free, entry: KeyEntry{Preset: "facebook", Name: "fb", URL: "rtmp://live-api-s.facebook.com/rtmp/", Override: true},
			key: "FB-1", faults: []string{"finding.push.facebook_rtmp"}, shown: "rtmp://live-api-s.facebook.com/",
		},
		{
			name: "WarningsStop", form: free, entry: KeyEntry{Preset: "twitch", Name: "tw"}, key: "live_1_a?bandwidthtest=true",
			faults: []string{"finding.push.bandwidth_test"}, shown: "rtmp://live.twitch.tv/app",
		},
		{
			name: "WarningsAreOverridden", form: free, entry: KeyEntry{Preset: "twitch", Name: "tw", Override: true}, key: "live_1_a?bandwidthtest=true",
			want: KeyEntry{Preset: "twitch", Name: "tw", URL: "rtmp://live.twitch.tv/app", Override: true},
		},
		{
			name: "AKeyInABrokenAddressIsNotShownAgain", form: free, entry: KeyEntry{Name: "x", URL: "http://push.example.com/app/" + canaryKey + "?a=b"}, key: "k",
			faults: []string{"finding.push.scheme"}, shown: "http://push.example.com/",
		},
		{
			name: "APasswordInAnAddressIsNotShownAgain", form: free, entry: KeyEntry{Name: "x", URL: "rtmp://u:" + canaryKey + "@push.example.com/app/"}, key: "k",
			faults: []string{"finding.push.userinfo"}, shown: "",
		},
		{
			name: "AKeyInTheNameIsNotShownAgain", form: free, entry: KeyEntry{Preset: "twitch", Name: "live_1_" + canaryKey}, key: "tw",
			faults: []string{"finding.name.long", "finding.preset.key"}, shown: "rtmp://live.twitch.tv/app",
		},
		{
			name: "TheKeyInTheNameAsWell", form: free, entry: KeyEntry{Name: "my " + canaryKey, URL: "rtmp://push.example.com/app"}, key: canaryKey,
			faults: []string{"finding.name.long"}, shown: "rtmp://push.example.com/app",
		},
		{
			name: "ALongNameIsShownAgain", form: free, entry: KeyEntry{Name: "the main channel", URL: "rtmp://push.example.com/app"}, key: canaryKey,
			faults: []string{"finding.name.long"}, shown: "rtmp://push.example.com/app", named: "the main channel",
		},
		{
			name: "AKeyForAnAddressIsNotShownAgain", form: free, entry: KeyEntry{Name: "x", URL: "live_1_" + canaryKey}, key: "rtmp://live.twitch.tv/app",
			faults: []string{"finding.push.scheme", "finding.push.no_app", "finding.key.address"}, shown: "",
		},
		{
			name: "AMistypedAddressIsNotShownAgain", form: free, entry: KeyEntry{Name: "x", URL: "rtmp:/live.twitch.tv/app/live_1_" + canaryKey}, key: "k",
			faults: []string{"finding.push.scheme", "finding.push.port"}, shown: "",
		},
		{
			name: "AnAddressWithAnotherKeyInIt", form: free, entry: KeyEntry{Name: "x", URL: "rtmp://live.twitch.tv/app/live_1_" + canaryKey}, key: "live_1_other",
			faults: []string{"finding.push.key_in_address"}, shown: "rtmp://live.twitch.tv/",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entry := tt.entry
			entry.Key = secret.New(tt.key)
			got, split, err := tt.form.judge(entry, showNow)
			if tt.faults != nil {
				var faults *KeyFaults
				require.ErrorAs(t, err, &faults)
				var ids []string
				for _, f := range faults.Findings {
					ids = append(ids, f.Message.ID)
				}
				assert.Equal(t, tt.faults, ids)
				assert.True(t, faults.Entry.Key.IsZero())
				assert.Equal(t, tt.shown, faults.Entry.URL)
				if tt.named != "" {
					assert.Equal(t, tt.named, faults.Entry.Name)
				}
				assert.NotContains(t, fmt.Sprintf("%+v %v", *faults, err), canaryKey) // of the pointer it prints Error
				return
			}
			require.NoError(t, err)
			assert.False(t, got.Key.IsZero())
			got.Key = secret.String{}
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.split, split)
		})
	}
}

// Whatever is typed where, the key does not come back in what is shown again.
func FuzzAKeyIsNotShownAgain(f *testing.F) {
	f.Add("bili", "rtmp://live-push.bilivideo.com/live-bvc/", "?streamname=live_1&key=abcdefgh")
	f.Add("", "rtmp://live.twitch.tv/app/live_1_abcdefgh", "")
	f.Add("", "rtmp://live.twitch.tv/app/live_1_abcdefgh", "live_1_abcdefgh")
	f.Add("", "http://push.example.com/app/abcdefgh", "rtmp://push.example.com/app/abcdefgh")
	f.Add("", "rtmp://u:abcdefgh@push.example.com/app", "abcdefgh")
	f.Fuzz(func(t *testing.T, name, address, key string) {
		_, _, err := KeyForm{}.judge(KeyEntry{Name: name, URL: address, Key: secret.New(key)}, showNow)
		var faults *KeyFaults
		if !errors.As(err, &faults) {
			return
		}
		require.True(t, faults.Entry.Key.IsZero())
		a, _ := meeting.SplitPush(address, secret.New(key))
		stem, _, _ := strings.Cut(a.Key.Reveal(), "?")
		_, rest, _ := strings.Cut(faults.Entry.URL, "://")
		_, path, _ := strings.Cut(rest, "/")
		if len(stem) >= 8 { // shorter ones are in every address
			require.NotContains(t, path, stem)
		}
	})
}
