package commands

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// onAir makes a meeting with n destinations set, and returns its posts.
func (w *world) onAir(n int) []chat.Post {
	made := w.say(ada, channel, "/meet Friday show --provider tencent --live")
	for i := range n {
		w.say(ada, channel, fmt.Sprintf("/livepush --name p%d --url rtmp://ingest%d.example.com/live --key k%d", i, i, i))
	}
	require.Len(w.t, w.tencent.pushes["806146601"], n)
	return made
}

// on counts what is pushed.
func (w *world) on() (n int) {
	for _, p := range w.tencent.pushes["806146601"] {
		if p.Enabled {
			n++
		}
	}
	return n
}

func TestEverythingIsSwitchedOffAtOnce(t *testing.T) {
	for _, line := range []string{"off all", "stop all", "关闭全部", "停止 全部", "取消 all"} {
		t.Run(line, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.onAir(10)
				began := time.Now()
				w.tencent.after = func(op string) error {
					if op == "set_push" && w.on() == 0 {
						assert.Less(t, time.Since(began), 3*time.Second)
					}
					return nil
				}
				posts := w.say(ada, channel, "/livepush "+line)
				assert.Equal(t, "10 of 10 off", find(t, posts, chat.SlotPrivate).Reply.Title)
				assert.Zero(t, w.on())
				assert.Contains(t, find(t, posts, chat.SlotThread).Reply.Text, "turned off: p0, p1")
				assert.Contains(t, w.say(ada, channel, "/livepush off all")[0].Reply.Text, "isn't pushed anywhere")
			})
		})
	}
}

func TestABareOffListsWhatIsSetWithAButtonEach(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.onAir(3)
		which := w.say(ada, channel, "/livepush stop")
		assert.Equal(t, 3, w.on())
		require.Len(t, which, 1)
		require.Len(t, which[0].Reply.Buttons, 4)
		one := which[0].Reply.Buttons[1]
		assert.Equal(t, "Turn off p1", one.Label)
		posts := w.do(w.bot.Parse(w.request(ada, channel, chat.Request{Action: &one.Action})), ada, channel)
		assert.Equal(t, "1 of 1 off", find(t, posts, chat.SlotPrivate).Reply.Title)
		assert.Equal(t, 2, w.on())
		status := w.say(ada, channel, "/livepush status")[0].Reply
		require.Len(t, status.Buttons, 3, "two that are on, and all")
		assert.NotNil(t, status.Buttons[2].Confirm)
		w.do(w.bot.Parse(w.request(ada, channel, chat.Request{Action: &status.Buttons[2].Action})), ada, channel)
		assert.Zero(t, w.on())
	})
}

func TestTheCardStopsEverything(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		made := w.onAir(2)
		assert.NotContains(t, fmt.Sprint(find(t, made, chat.SlotRoot).Reply.Buttons), "Turn off pushes", "nothing is set yet")
		reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "tencent", ID: "806146601"})
		require.NoError(t, err)
		card := w.bot.cards.card(w.bot.parser.Text(channel.Platform, "en"), reg, channel.Platform)
		i := slices.IndexFunc(card.Buttons, func(b chat.Button) bool { return b.Label == "Turn off pushes" })
		require.GreaterOrEqual(t, i, 0)
		stop := chat.Request{Action: &card.Buttons[i].Action}
		posts := w.do(w.bot.Parse(w.request(ben, channel, stop)), ben, channel)
		assert.Contains(t, describe(posts), "Only Ada", "who may not change the meeting does not")
		w.do(w.bot.Parse(w.request(ada, channel, stop)), ada, channel)
		assert.Zero(t, w.on())
	})
}

// What is killed, or not answered, while it switches off goes on with it.
func TestSwitchingOffGoesOnAfterALostAnswer(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.onAir(4)
		lost := 0
		w.tencent.failing(func(op string) error { // before it is done: it is still on when it is looked for
			if op == "set_push" {
				if lost++; lost == 2 {
					return &meeting.APIError{Provider: "tencent", Op: op, Err: meeting.ErrOutcomeUnknown}
				}
			}
			return nil
		})
		w.say(ada, channel, "/livepush off all")
		time.Sleep(5 * time.Minute)
		assert.Zero(t, w.on())
	})
}

func TestWhatIsSetIsProposedToBeSwitchedOff(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.onAir(2)
		w.say(ada, channel, "/livepush save other --url rtmp://other.example.com/live --key k")
		var values []string
		for _, c := range w.bot.Complete(t.Context(), w.request(ada, channel, chat.Request{Command: "livepush"}), "off", "") {
			values = append(values, c.Value)
		}
		assert.Equal(t, []string{"all", "p0", "p1"}, values)
	})
}

// A thumb on a card stops no show where the platform asks nothing.
func TestACardStopsNothingBeforeItIsConfirmed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.onAir(2)
		w.bot.Attach(chattest.Discord, w.room)
		reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "tencent", ID: "806146601"})
		require.NoError(t, err)
		card := w.bot.cards.card(w.bot.parser.Text(chattest.Discord, "en"), reg, chattest.Discord)
		for _, b := range card.Buttons {
			assert.Nil(t, b.Confirm)
			if b.Danger {
				d := w.bot.Parse(w.request(ada, channel, chat.Request{Action: &b.Action}))
				posts := w.do(d, ada, channel)
				assert.Equal(t, chat.Warning, find(t, posts, chat.SlotPrivate).Reply.Tone, b.Label)
				assert.Equal(t, 2, w.on(), b.Label)
			}
		}
		assert.False(t, w.tencent.meetings["806146601"].State.Over())
	})
}

// A host may call a push anything in the provider's client, and everybody reads it here.
func TestANameThatAHostTypedTurnsNothingAround(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Show --provider tencent --live")
		w.tencent.pushes["806146601"] = []meeting.PushTarget{
			{Name: "\u202egnp.\u200bexe\x1b[31m", URL: "rtmp://a.example.com/live", Key: secret.New("k12345678"), Enabled: true},
		}
		for _, line := range []string{"/livepush status", "/livepush off", "/meetings list", "/meetings board", "/livepush off gnp.exe[31m", "/livepush on all"} {
			for _, p := range w.say(ada, channel, line) {
				raw, err := json.Marshal(p.Reply)
				require.NoError(t, err)
				for _, hidden := range []string{`\u202e`, "\u202e", "\u200b", `\u001b`} {
					assert.NotContains(t, string(raw), hidden, line)
				}
			}
		}
		assert.True(t, w.tencent.pushes["806146601"][0].Enabled, "it can be named as it is read")
	})
}

func TestWhatANewMeetingWouldNotTakeOffersNone(t *testing.T) {
	for _, line := range []string{"off all", "off bili", "stop", "on all", "on"} {
		t.Run(line, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				none := w.say(ada, channel, "/livepush "+line)[0].Reply
				assert.NotContains(t, none.Text, "Create one")
				w.say(ada, channel, "/meet x")
				there := w.say(ada, channel, "/livepush "+line)[0].Reply
				assert.Equal(t, "The meeting here is on SYSTEC, which doesn't support live push.", there.Text)
				assert.Empty(t, there.Buttons)
			})
		})
	}
}

func TestAStartNamesAServiceThatStartsLives(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Parser.Kinds = meeting.Kinds{kinds[0], tencent.Kind, zoom.Kind}
		c.Parser.Providers = []meeting.Provider{"systec", "tencent", "zoom"}
		c.Providers["zoom"] = fakeTencent{newFake("zoom")}
	}, func(w *world) {
		assert.Contains(t, w.say(ada, channel, "/livepush start")[0].Reply.Text, "/meet --provider zoom,")
		w.say(ada, channel, "/meet x --provider systec")
		assert.Equal(t, "The meeting here is on SYSTEC, which doesn't support live push. Zoom does.", w.say(ada, channel, "/livepush start")[0].Reply.Text)
		assert.Equal(t, "The meeting here is on SYSTEC, which doesn't support live push.", w.say(ada, channel, "/livepush stop-live")[0].Reply.Text)
	})
}

func TestWhatIsNotSetIsNotTurnedOnButPushedTo(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent --live")
		w.say(ada, channel, "/livepush save bili --url rtmp://ingest.example.com/live --key k")
		assert.Equal(t, "bili: not set at this meeting. To push to a saved destination, send /livepush to bili.", w.say(ada, channel, "/livepush on bili")[0].Reply.Text)
		w.say(ada, channel, "/livepush to bili")
		assert.Equal(t, "vip: not set at this meeting. Set here: bili. To push to a saved destination, send /livepush to vip.", w.say(ada, channel, "/livepush on vip")[0].Reply.Text)
		assert.Equal(t, "vip: not set at this meeting. Set here: bili.", w.say(ada, channel, "/livepush off vip")[0].Reply.Text)
		assert.Equal(t, "This meeting has no push to turn on.", w.say(ada, channel, "/livepush on all")[0].Reply.Text)
	})
}
