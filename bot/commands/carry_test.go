package commands

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/meeting"
)

// keys are what is on at a meeting, by name.
func (w *world) keys(id string) map[string]string {
	on := map[string]string{}
	for _, p := range w.tencent.pushes[id] {
		if p.Enabled {
			on[p.Name] = p.Key.Reveal()
		}
	}
	return on
}

// A new meeting in the place of another takes over all that is set there, with the key that
// was just given, and says what it could not.
func TestANewMeetingTakesOverWhatIsSet(t *testing.T) {
	const typed = "/livepush --name hand --url rtmp://hand.example.com/live --key "
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live")
		w.say(ada, channel, typed+"wrong")
		for _, name := range []string{"one", "two", "zed"} {
			w.say(ada, channel, "/livepush save "+name+" --url rtmp://"+name+".example.com/live --key key-"+name)
		}
		w.say(ada, channel, "/livepush to one, two, zed")
		w.say(ada, channel, "/livepush off zed")
		w.say(ada, channel, "/livepush forget two")
		refused := w.say(ada, channel, typed+"right")
		posts := w.press(ada, channel, refused, grammar.VerbSameDest)
		assert.Equal(t, map[string]string{"hand": "right", "one": "key-one", "two": "key-two"}, w.keys("806146602"))
		assert.Contains(t, describe(posts), "3 of 3 set")
		reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "tencent", ID: "806146601"})
		require.NoError(t, err)
		old := w.bot.cards.card(w.bot.parser.Text(channel.Platform, "en"), reg, channel.Platform)
		assert.Contains(t, old.Fields, chat.Field{Name: "Moved to", Value: "show · 806-146-602 · https://join.example/j/806146602"})

		docs, err := w.store.Docs(t.Context(), 0, docCarry)
		require.NoError(t, err)
		assert.Len(t, docs, 1)
		time.Sleep(carryFor + time.Hour)
		docs, err = w.store.Docs(t.Context(), 0, docCarry)
		require.NoError(t, err)
		assert.Empty(t, docs, "the key is not kept")
	})
}

func TestWhatCannotBeTakenOverIsNamed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live")
		w.say(ada, channel, "/livepush --name hand --url rtmp://hand.example.com/live --key k")
		w.say(ada, channel, "/livepush save one --url rtmp://one.example.com/live --key key-one")
		w.say(ada, channel, "/livepush to one")
		w.tencent.failing(func(op string) error {
			if op == "pushes" {
				return &meeting.APIError{Provider: "tencent", Op: op, Code: 1, Err: meeting.ErrNotPermitted}
			}
			return nil
		})
		posts := w.button(ada, channel, grammar.VerbSameDest, "tencent:806146601")
		assert.Equal(t, map[string]string{"one": "key-one"}, w.keys("806146602"))
		assert.Contains(t, describe(posts), "{hand not set up: I don't have its key")
	})
}

func TestWhatWaitsOnStandbyIsTakenOverAsSuch(t *testing.T) {
	for _, readable := range []bool{true, false} {
		inWorld(t, nil, func(w *world) {
			w.say(ada, channel, "/meet show --provider tencent --live")
			for _, name := range []string{"one", "two", "zed"} {
				w.say(ada, channel, "/livepush save "+name+" --url rtmp://"+name+".example.com/live --key key-"+name)
			}
			w.say(ada, channel, "/livepush to one")
			w.say(ada, channel, "/livepush to two zed --standby")
			w.say(ada, channel, "/livepush off zed")
			if !readable {
				w.tencent.failing(func(op string) error {
					if op == "pushes" && w.tencent.pushes["806146602"] == nil {
						return &meeting.APIError{Provider: "tencent", Op: op, Code: 1, Err: meeting.ErrNotPermitted}
					}
					return nil
				})
			}
			posts := w.button(ada, channel, grammar.VerbSameDest, "tencent:806146601")
			assert.Equal(t, map[string]string{"one": "key-one"}, w.keys("806146602"), readable)
			set := map[string]bool{}
			for _, p := range w.tencent.pushes["806146602"] {
				set[p.Name] = p.Enabled
			}
			assert.Equal(t, map[string]bool{"one": true, "two": false}, set, "%v: %s", readable, describe(posts))
		})
	}
}

func TestAProtectedDestinationIsNotTakenOverByOne(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live")
		w.say(ada, channel, saveProtected)
		w.press(ben, channel, w.say(ada, channel, "/livepush to 主站"), grammar.VerbApprove)
		posts := w.button(ada, channel, grammar.VerbSameDest, "tencent:806146601")
		assert.Empty(t, w.keys("806146602"))
		w.press(ben, channel, posts, grammar.VerbApprove)
		assert.Equal(t, map[string]string{"主站": "canary-key"}, w.keys("806146602"))
	})
}

// Two people who press the same button, or one who presses two copies of it, get one meeting.
func TestAShowMovesOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live --host <@U2|ben>")
		w.say(ada, channel, "/livepush --name hand --url rtmp://hand.example.com/live --key k")
		w.button(ada, channel, grammar.VerbSameDest, "tencent:806146601")
		for _, u := range []chat.User{ben, ada} {
			time.Sleep(time.Minute)
			posts := w.button(u, channel, grammar.VerbSameDest, "tencent:806146601")
			assert.Equal(t, 2, w.tencent.created, "%s: %s", u.Name, describe(posts))
			answer := find(t, posts, chat.SlotPrivate).Reply
			assert.Equal(t, "This meeting has moved already", answer.Title)
			assert.Equal(t, "https://join.example/j/806146602", answer.Links[0].URL)
			if u.ID == ada.ID {
				w.press(ada, channel, posts, grammar.VerbCreateAnyway)
				assert.Equal(t, 3, w.tencent.created, "another one is made on purpose")
				w.press(ada, channel, posts, grammar.VerbCreateAnyway)
				assert.Equal(t, 3, w.tencent.created, "and once")
			}
		}
	})
}

// What was refused may be tried again, and once.
func TestAShowThatCouldNotMoveMovesWithTheNextTry(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live")
		w.tencent.failing(func(op string) error {
			if op == "create" {
				return refusal(meeting.ErrNotPermitted, "")
			}
			return nil
		})
		refused := w.button(ada, channel, grammar.VerbSameDest, "tencent:806146601")
		w.tencent.failing(nil)
		w.press(ada, channel, refused, grammar.VerbRetry)
		assert.Equal(t, 2, w.tencent.created)
		w.press(ada, channel, refused, grammar.VerbRetry)
		assert.Equal(t, 2, w.tencent.created, "a second copy of the button makes no second meeting")
	})
}

// A meeting that a button makes has what is set for the channel, as one of /meet has. In the place
// of another it keeps that one's hosts.
func TestAMeetingThatAButtonMakesHasWhatIsSet(t *testing.T) {
	inWorld(t, changeable, func(w *world) {
		w.say(ada, channel, "/meet settings --record cloud --capacity 40 --host <@U5|eve>")
		w.say(ada, channel, "/meet show --provider tencent --live --host <@U2|ben>")
		w.say(ada, channel, "/meet plain --provider systec")
		hosts := func(id string) []string {
			reg, err := w.bot.registry.Get(t.Context(), meeting.Ref{Provider: "tencent", ID: id})
			require.NoError(t, err)
			return reg.Hosts
		}
		w.button(ada, channel, grammar.VerbSameDest, "tencent:806146601")
		assert.Equal(t, meeting.RecordingCloud, w.tencent.wish.Recording)
		assert.Zero(t, w.tencent.wish.Capacity, "Tencent has none")
		assert.Equal(t, []string{"U2"}, hosts("806146602"))

		w.press(ada, channel, w.say(ada, channel, "/livepush systec:1591620801 --name x --url rtmp://x.example.com/live --key k"), grammar.VerbElsewhere)
		assert.Equal(t, meeting.RecordingCloud, w.tencent.wish.Recording)
		assert.Equal(t, []string{"U5"}, hosts("806146603"))
	})
}

// Where the earlier meeting cannot be read any more, the key that was given last takes the place of
// what is remembered without one, and not a place beside it.
func TestTheKeyGivenLastIsTakenOverFromAMeetingThatIsGone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet show --provider tencent --live")
		w.say(ada, channel, "/livepush save one --url rtmp://one.example.com/live --key key-one")
		w.say(ada, channel, "/livepush to one")
		w.say(ada, channel, "/livepush save one --url rtmp://one.example.com/live --key key-new")
		w.say(ada, channel, "/livepush to one")
		w.say(ada, channel, "/livepush --name hand --url rtmp://hand.example.com/live --key wrong")
		w.say(ada, channel, "/livepush --name hand --url rtmp://hand.example.com/live --key right")
		w.say(ada, channel, "/livepush --name two --url rtmp://two.example.com/live --key wrong")
		refused := w.say(ada, channel, "/livepush --name second --url rtmp://two.example.com/live --key right-two")
		gone := true
		w.tencent.failing(func(op string) error {
			if op == "pushes" && gone {
				gone = false
				return refusal(meeting.ErrNotFound, meeting.ReasonMeeting)
			}
			return nil
		})
		posts := w.press(ada, channel, refused, grammar.VerbSameDest)
		assert.Equal(t, map[string]string{"one": "key-new", "hand": "right", "second": "right-two"}, w.keys("806146602"))
		assert.Contains(t, describe(posts), "3 of 3 set")
		assert.NotContains(t, describe(posts), "called “two” there", "what the earlier meeting called it is not said of this one")
	})
}
