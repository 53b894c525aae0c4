package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/config/secret"
	"meetbot/meeting"
)

func (w *world) set() []meeting.PushTarget {
	w.tencent.mu.Lock()
	defer w.tencent.mu.Unlock()
	return w.tencent.pushes[show.ID]
}

// switchOn presses the first button that switches on, or that asks what.
func (w *world) switchOn(posts []chat.Post) []chat.Post {
	w.t.Helper()
	for _, p := range posts {
		for _, b := range p.Reply.Buttons {
			if b.Action.Name == grammar.PressOn(show, "").Name {
				return w.do(w.bot.Parse(w.request(ada, channel, chat.Request{Action: &b.Action})), ada, channel)
			}
		}
	}
	require.Failf(w.t, "no such button", "%s", describe(posts))
	return nil
}

// shownOn is what the last of the cards says of what is set.
func shownOn(posts []chat.Post) (pushed, standby string) {
	fields := card(posts)
	return fields["Pushed to"], fields["On standby"]
}

func TestADestinationIsSetOnStandbyAndSwitchedOn(t *testing.T) {
	for name, lines := range map[string][2]string{
		"by hand":     {"", pushLine + " --standby"},
		"saved":       {"/livepush save B站 --url rtmp://live-push.bilivideo.com/live-bvc/ --key ?streamname=live_1_2&key=canary-key&schedule=rtmp --override", "/livepush to B站 --standby"},
		"in Chinese":  {"", pushLine + " --待开启"},
		"said of off": {"", pushLine + " --disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.say(ada, channel, "/meet x --provider tencent --live")
				if lines[0] != "" {
					w.say(ada, channel, lines[0])
				}
				posts := w.say(ada, channel, lines[1])
				requireNoSecretsInPublic(t, posts)
				private := find(t, posts, chat.SlotPrivate).Reply
				assert.Equal(t, "1 of 1 set on standby", private.Title)
				assert.Contains(t, private.Text, "until someone turns it on")
				assert.NotContains(t, private.Text, "not on air")
				assert.Contains(t, find(t, posts, chat.SlotThread).Reply.Text, "set on standby: B站")
				require.Len(t, w.set(), 1)
				assert.False(t, w.set()[0].Enabled)
				pushed, standby := shownOn(posts)
				assert.Empty(t, pushed)
				assert.Equal(t, "B站", standby)

				status := w.say(ada, channel, "/livepush status")
				assert.Contains(t, find(t, status, chat.SlotPrivate).Reply.Fields[1].Value, "on standby · ")
				assert.Contains(t, find(t, w.say(ada, channel, lines[1]), chat.SlotPrivate).Reply.Fields[0].Value, "already set")

				which := w.switchOn(posts) // the card's
				require.Len(t, find(t, which, chat.SlotPrivate).Reply.Buttons, 1)
				assert.Equal(t, "Turn on B站", find(t, which, chat.SlotPrivate).Reply.Buttons[0].Label)
				posts = w.switchOn(which)
				assert.Equal(t, "1 of 1 on", find(t, posts, chat.SlotPrivate).Reply.Title)
				assert.Contains(t, find(t, posts, chat.SlotThread).Reply.Text, "turned on: B站")
				assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, "Not on air yet: the host starts")
				assert.True(t, w.set()[0].Enabled)
				pushed, standby = shownOn(posts)
				assert.Equal(t, "B站", pushed)
				assert.Empty(t, standby)

				again := find(t, w.say(ada, channel, lines[1]), chat.SlotPrivate).Reply
				assert.Contains(t, again.Fields[0].Value, "already on, and stays on", "to get ready takes nothing off the air")
				assert.True(t, w.set()[0].Enabled)
				assert.Contains(t, find(t, w.say(ada, channel, "/livepush on B站"), chat.SlotPrivate).Reply.Fields[0].Value, "already on")
				w.say(ada, channel, "/livepush off B站")
				w.hear(meeting.Event{Live: meeting.LiveOn})
				w.settle()
				pushed, standby = shownOn(w.say(ada, channel, "/meet share"))
				assert.Empty(t, pushed+standby, "what was switched off is not waiting")
				assert.Equal(t, "1 of 1 on", find(t, w.say(ada, channel, "/livepush 开启 all"), chat.SlotPrivate).Reply.Title)

				w.say(ada, channel, "/livepush off B站")
				assert.NotContains(t, find(t, w.say(ada, channel, "/livepush on B站"), chat.SlotPrivate).Reply.Text, "not on air")
				log := find(t, w.say(ada, channel, "/livepush log"), chat.SlotPrivate).Reply
				assert.Contains(t, log.Fields[0].Value, "set on standby")
			})
		})
	}
}

func TestWhatToSwitchOnIsFound(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		assert.Contains(t, find(t, w.say(ada, channel, "/livepush on all"), chat.SlotPrivate).Reply.Text, "This meeting has no push to turn on.")
		for _, n := range []string{"a", "b", "c"} {
			w.say(ada, channel, "/livepush --name "+n+" --url rtmp://"+n+".example.com/live --key k"+n+" --standby")
		}
		require.Len(t, w.bot.Complete(w.t.Context(), w.request(ada, channel, chat.Request{Command: "livepush"}), "on", ""), 4)
		some := w.say(ada, channel, "/livepush on a, b, nowhere")
		private := find(t, some, chat.SlotPrivate).Reply
		assert.Equal(t, "2 of 3 on", private.Title)
		assert.Contains(t, private.Fields[2].Value, "not set at this meeting")
		assert.Equal(t, "1 of 1 on", find(t, w.say(ada, channel, "/livepush on all"), chat.SlotPrivate).Reply.Title)
		assert.Contains(t, find(t, w.say(ada, channel, "/livepush on"), chat.SlotPrivate).Reply.Text, "This meeting has no push to turn on.")
	})
}

func TestToSwitchOnNeedsWhatToPushNeeds(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key --protected --channels <#C1>")
		asked := w.say(ada, channel, "/livepush to 主站 --standby")
		assert.Empty(t, w.set(), "a second person agrees to every push")
		assert.Contains(t, describe(asked), "On standby", "and sees that nothing goes there yet")
		w.press(ben, channel, asked, grammar.VerbApprove)
		require.Len(t, w.set(), 1)
		require.False(t, w.set()[0].Enabled)
		for _, line := range []string{"/livepush on 主站", "/livepush on all", "/livepush to 主站"} {
			asked = w.say(ada, channel, line)
			assert.False(t, w.set()[0].Enabled, line)
		}
		posts := w.press(ben, channel, asked, grammar.VerbApprove)
		assert.True(t, w.set()[0].Enabled, describe(posts))
	})
	inWorld(t, nil, func(w *world) { // what is saved for others
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key")
		w.say(ada, channel, "/meet x --provider tencent --live --host <@U2>")
		w.say(ada, channel, "/livepush to 主站 --standby")
		posts := w.say(ben, channel, "/livepush on 主站")
		assert.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Fields[0].Value, "Ada")
		assert.False(t, w.set()[0].Enabled)
	})
}

func TestOnThatIsRefusedSaysWhatToDoNow(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, pushLine+" --standby")
		w.tencent.failing(refusedWith("set_push", &meeting.APIError{Provider: "tencent", Code: 400004, Err: meeting.ErrInvalid, Reason: meeting.ReasonPushAddress}))
		private := find(t, w.say(ada, channel, "/livepush on B站"), chat.SlotPrivate).Reply
		assert.Equal(t, "0 of 1 on", private.Title)
		assert.Equal(t, chat.Bad, private.Tone)
		assert.Contains(t, private.Fields[0].Value, "still off")
		assert.Contains(t, private.Text, "Turn it on in the live stream settings")
		assert.Empty(t, private.Buttons, "no key is revoked for it")
	})
	inWorld(t, nil, func(w *world) { // nothing can be read back
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key")
		w.tencent.failing(refusedWith("pushes", &meeting.APIError{Provider: "tencent", Code: 200004, Err: meeting.ErrNotPermitted, Reason: meeting.ReasonAPI}))
		posts := w.say(ada, channel, "/livepush to 主站 --standby")
		_, standby := shownOn(posts)
		assert.Equal(t, "主站", standby)
		posts = w.switchOn(w.switchOn(posts)) // the card's, and what it asks
		assert.Equal(t, "1 of 1 accepted, not verified", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.True(t, w.set()[0].Enabled)
		assert.Contains(t, find(t, w.say(ada, channel, "/livepush off"), chat.SlotPrivate).Reply.Buttons[0].Label, "主站")
		w.say(ada, channel, "/livepush off 主站")
		assert.Equal(t, "1 of 1 accepted, not verified", find(t, w.say(ada, channel, "/livepush on 主站"), chat.SlotPrivate).Reply.Title)
		assert.True(t, w.set()[0].Enabled)
		assert.Contains(t, find(t, w.say(ada, channel, "/livepush on 副站"), chat.SlotPrivate).Reply.Text, "I can only turn on saved destinations")
	})
}

func TestAKeyGivenOnThePageIsSetOnStandby(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.KeyPage, c.KeyPageURL = true, "https://bot.example/k/" }, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		private := find(t, w.say(ada, channel, "/livepush --name 主站 --url rtmp://ingest.example.com/live --standby"), chat.SlotPrivate)
		require.Len(t, private.Reply.Secrets, 1)
		token := private.Reply.Secrets[0].Value.Reveal()[len("https://bot.example/k/"):]
		_, err := w.bot.SubmitKey(w.t.Context(), token, KeyEntry{Name: "主站", URL: "rtmp://ingest.example.com/live", Key: secret.New("canary-key")})
		require.NoError(t, err)
		assert.Equal(t, "1 of 1 set on standby", find(t, w.settle(), chat.SlotPrivate).Reply.Title)
		assert.False(t, w.set()[0].Enabled)
	})
}

// TestWhatWasSetIsShownAfterTheShow where the provider still tells.
func TestWhatWasSetIsShownAfterTheShow(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, pushLine)
		w.hear(meeting.Event{State: meeting.StateEnded})
		w.settle()
		shown := find(t, w.say(ada, channel, "/livepush status 806 146 601"), chat.SlotPrivate).Reply
		require.Len(t, shown.Fields, 2)
		assert.Contains(t, shown.Fields[0].Value, "Ended")
		assert.Contains(t, shown.Fields[1].Value, "live-push.bilivideo.com")
		assert.Empty(t, shown.Buttons)
		w.tencent.failing(refusedWith("pushes", &meeting.APIError{Provider: "tencent", Code: 400005, Err: meeting.ErrNotFound, Reason: meeting.ReasonMeeting}))
		assert.Contains(t, find(t, w.say(ada, channel, "/livepush status 806 146 601"), chat.SlotPrivate).Reply.Text, "is over")
	})
}

// TestWhatIsAlwaysOnHasNoStandby is said before anything is set.
func TestWhatIsAlwaysOnHasNoStandby(t *testing.T) {
	inWorld(t, func(c *Config) {
		one := kinds[1]
		one.Push.Replaces = true
		c.Parser.Kinds = meeting.Kinds{kinds[0], one}
	}, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		assert.Contains(t, find(t, w.say(ada, channel, pushLine+" --standby"), chat.SlotPrivate).Reply.Text, "it can't be on standby")
		assert.Empty(t, w.set())
	})
}
