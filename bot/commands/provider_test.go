package commands

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/meeting"
)

// refusedWith makes an operation of a fake fail with a provider's own refusal.
func refusedWith(op string, err *meeting.APIError) func(string) error {
	return func(called string) error {
		if called == op {
			return err
		}
		return nil
	}
}

// The provider's own words are for the person who asked, alone.
func TestARefusalIsToldInTheProvidersWords(t *testing.T) {
	for name, tt := range map[string]struct {
		err  meeting.APIError
		want string
	}{
		"without a code of ours": {
			meeting.APIError{Provider: "systec", Code: 50012, Message: "预约方数超过购买方数上限(25)", Err: meeting.ErrInvalid},
			"SYSTEC refused (error 50012): “预约方数超过购买方数上限(25)” Nothing changed.",
		},
		"unlisted": {
			meeting.APIError{Provider: "tencent", Code: 500125, TraceID: "trace-1", Message: "no", Err: meeting.ErrInvalid, Reason: meeting.ReasonUnlisted},
			"Tencent Meeting refused (error 500125, trace trace-1): “no” Nothing changed.",
		},
		"unlisted and silent": {
			meeting.APIError{Provider: "tencent", Code: 500125, TraceID: "trace-1", Err: meeting.ErrInvalid, Reason: meeting.ReasonUnlisted},
			"Tencent Meeting refused with the undocumented error 500125 (trace trace-1). Nothing changed.",
		},
		"with a sentence of ours": {
			meeting.APIError{Provider: "tencent", Code: 9098, Message: "no", Err: meeting.ErrLimit, Reason: meeting.ReasonConcurrent},
			"The Tencent Meeting account already runs as many meetings as it can at once. End one, or ask the account owner for a higher limit.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.systec.failing(refusedWith("create", &tt.err))
				posts := w.say(ada, channel, "/meet x")
				assert.Equal(t, tt.want, find(t, posts, chat.SlotPrivate).Reply.Text)
				assert.NotContains(t, revealed(find(t, posts, chat.SlotSettle)), tt.err.Message+"”")
				assert.Equal(t, 0, w.systec.created)
			})
		})
	}
}

// Setting an address is an operation of its own: it is sent where what is set may not be read.
func TestAPushIsSentThoughItCannotBeReadBack(t *testing.T) {
	for name, err := range map[string]*meeting.APIError{
		"unknown operation":    {Provider: "tencent", Code: 200004, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAPI},
		"no right":             {Provider: "tencent", Code: 9042, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAccountRight},
		"an unpublished code":  {Provider: "tencent", Code: 123456, Err: meeting.ErrInvalid, Reason: meeting.ReasonUnlisted},
		"another's, it claims": {Provider: "tencent", Code: 202801, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonApplication},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet 发布会 --provider tencent --live")
				w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key-1234")
				w.tencent.failing(refusedWith("pushes", err))
				posts := w.say(ada, channel, "/livepush to 主站")
				requireNoSecretsInPublic(t, posts)
				private := find(t, posts, chat.SlotPrivate).Reply
				assert.Equal(t, "1 of 1 accepted, not verified", private.Title)
				assert.Contains(t, private.Fields[0].Value, "accepted, but my account can't verify it: check it in the Tencent Meeting client")
				assert.Contains(t, private.Text, "Not on air yet")
				require.Len(t, w.tencent.pushes["806146601"], 1)
				assert.Contains(t, find(t, posts, chat.SlotThread).Reply.Text, "主站")
				reg, err := w.bot.registry.Get(w.t.Context(), meeting.Ref{Provider: "tencent", ID: "806146601"})
				require.NoError(t, err)
				require.Len(t, reg.Pushes, 1)
				assert.True(t, reg.Pushes[0].Enabled)

				posts = w.say(ada, channel, "/livepush off 主站")
				assert.Equal(t, "1 of 1 accepted, not verified", find(t, posts, chat.SlotPrivate).Reply.Title)
				assert.False(t, w.tencent.pushes["806146601"][0].Enabled)
				assert.Equal(t, 2, w.tencent.sets)
				posts = w.say(ada, channel, "/livepush off 副站")
				assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "in the live stream settings")
			})
		})
	}
	for name, err := range map[string]*meeting.APIError{
		"only the host may": {Provider: "tencent", Code: 400007, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonNotHost},
		"no such meeting":   {Provider: "tencent", Code: 400005, Err: meeting.ErrNotFound, Reason: meeting.ReasonMeeting},
		"no such account":   {Provider: "tencent", Code: 190001, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAccount},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet 发布会 --provider tencent --live")
				w.tencent.failing(refusedWith("pushes", err))
				assert.Equal(t, chat.Bad, w.say(ada, channel, pushLine)[0].Reply.Tone)
				assert.Zero(t, w.tencent.sets)
			})
		})
	}
}

// An address that the provider does not let go of is switched off elsewhere, and the person
// hears where.
func TestOffThatIsRefusedSaysWhatToDoNow(t *testing.T) {
	for name, refuse := range map[string]bool{"refused": true, "ignored": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet 发布会 --provider tencent --live")
				w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key-1234")
				w.say(ada, channel, "/livepush to 主站")
				if refuse {
					w.tencent.failing(refusedWith("set_push", &meeting.APIError{Provider: "tencent", Code: 400004, Err: meeting.ErrInvalid, Reason: meeting.ReasonPushAddress}))
				} else {
					w.tencent.ignoresOff = true
				}
				posts := w.say(ada, channel, "/livepush off 主站")
				private := find(t, posts, chat.SlotPrivate).Reply
				assert.Equal(t, "0 of 1 off", private.Title)
				assert.Contains(t, private.Fields[0].Value, "still on")
				assert.Contains(t, private.Text, "Turn it off in the live stream settings of the Tencent Meeting client")
				assert.NotContains(t, describe(posts), "Copy it from the platform again")
				w.press(ada, channel, posts, grammar.VerbRevoke)
			})
		})
	}
}

// Two channels of one platform share its address and differ in their keys.
func TestTwoChannelsOfOnePlatform(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet 发布会 --provider tencent --live")
		w.tencent.keysTell = true
		for i, name := range []string{"一台", "二台"} {
			w.say(ada, channel, "/livepush save "+name+" --url rtmp://ingest.example.com/live --key canary-key-000"+string(rune('1'+i)))
		}
		w.say(ada, channel, "/livepush to 一台")
		posts := w.say(ada, channel, "/livepush to 二台")
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Fields[0].Value, "Add --override to send it anyway")
		assert.Equal(t, 1, w.tencent.sets)
		posts = w.say(ada, channel, "/livepush to 二台 --override")
		assert.Equal(t, "1 of 1 set", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Len(t, w.tencent.pushes["806146601"], 2)
		posts = w.say(ada, channel, "/livepush off 一台")
		assert.Equal(t, "1 of 1 off", find(t, posts, chat.SlotPrivate).Reply.Title)

		w.say(ada, channel, "/meet 另一场 --provider tencent --live")
		posts = w.say(ada, channel, "/livepush to 一台、二台 --override in 806146602")
		assert.Equal(t, "2 of 2 set", find(t, posts, chat.SlotPrivate).Reply.Title, describe(posts))
	})
}

// fullSystec has no room left, and says so before.
type fullSystec struct{ fakeSystec }

func (fullSystec) CanCreate(context.Context, meeting.Instant, time.Time) error {
	return &meeting.APIError{Provider: "systec", Err: meeting.ErrLimit, Reason: meeting.ReasonRooms}
}

func TestNoFreeRoomIsToldBeforeAMeetingIsMade(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Providers["systec"] = fullSystec{c.Providers["systec"].(fakeSystec)}
	}, func(w *world) {
		posts := w.say(ada, channel, "/meet x")
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "SYSTEC has no free room of that size")
		assert.Zero(t, w.systec.created)
	})
}

// Whoever is named as a host and has an account is one in the meeting, too.
func TestNamedHostsAreHostsAtTheProvider(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Accounts = map[meeting.Provider]Accounts{"tencent": {Persons: map[string]string{"slack:U1": "ada", "slack:U2": "ben"}}}
	}, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --host U2,U9")
		assert.Equal(t, []string{"ada", "ben"}, w.tencent.wish.Hosts)
		w.another(dora, channel, "/meet y --provider tencent --host U2")
		assert.Equal(t, []string{"ben"}, w.tencent.wish.Hosts)
		w.another(ada, channel, "/meet z --provider tencent --host U9")
		assert.Empty(t, w.tencent.wish.Hosts)
		w.another(ada, channel, "/meet s --provider systec --host U2")
		assert.Empty(t, w.systec.wish.Hosts, "it has no parameter for them")
	})
}

var dora = chat.User{ID: "U4", Name: "Dora", Rights: chat.RightsKnown | chat.RightMeet}
