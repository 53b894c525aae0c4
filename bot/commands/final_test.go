package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
)

func TestWhatCannotBeUndoneIsOnlyReachedByAQuestion(t *testing.T) {
	final := 0
	for _, v := range grammar.Verbs() {
		if v.Final {
			final++
			assert.Empty(t, v.Command+v.Typed+v.Form, "%s is asked for by a button alone", v.Verb)
		}
	}
	assert.Positive(t, final)
}

func TestADestinationIsForgottenAfterAQuestion(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		saved := func() bool {
			for _, f := range w.say(ada, channel, "/livepush destinations")[0].Reply.Fields {
				if f.Name == "bili" {
					return true
				}
			}
			return false
		}
		w.say(ada, channel, "/livepush save bili --url rtmp://ingest.example.com/live --key k12345678")
		assert.Contains(t, w.say(ben, channel, "/livepush forget bili")[0].Reply.Text, "Only Ada or an admin", "whoever may not is not asked")

		asked := w.say(ada, channel, "/livepush forget bili")
		assert.Equal(t, "Delete bili?", asked[0].Reply.Title)
		assert.True(t, saved())
		assert.Equal(t, "Nothing changed.", w.press(ada, channel, asked, grammar.VerbKeep)[0].Reply.Title)
		assert.Equal(t, chat.Bad, w.press(ben, channel, asked, grammar.VerbForgetYes)[0].Reply.Tone)
		assert.True(t, saved())

		w.say(ada, channel, "/livepush save bili --url rtmp://ingest.example.com/live --key another1234")
		assert.Contains(t, w.press(ada, channel, asked, grammar.VerbForgetYes)[0].Reply.Text, "changed after I asked", "that one was not asked about")
		assert.True(t, saved())

		asked = w.say(ada, channel, "/livepush forget bili")
		assert.Equal(t, "bili is deleted", w.press(ada, channel, asked, grammar.VerbForgetYes)[0].Reply.Title)
		assert.False(t, saved())
		assert.Contains(t, w.press(ada, channel, asked, grammar.VerbForgetYes)[0].Reply.Text, "has expired")
	})
}

func TestAKeyIsRevokedAfterAQuestion(t *testing.T) {
	for _, place := range []chat.Place{channel, {Platform: chattest.Discord, Team: "1", Channel: "2"}} {
		t.Run(string(place.Platform), func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.bot.Attach(place.Platform, w.room)
				d := w.bot.Parse(w.request(ada, place, chat.Request{Command: "livepush", Text: "save bili --url rtmp://ingest.example.com/live --key k12345678"}))
				saved := w.do(d, ada, place)
				require.Len(t, saved[0].Reply.Buttons, 1)
				b := saved[0].Reply.Buttons[0]
				assert.Equal(t, "Delete the key of bili", b.Label)
				if b.Confirm == nil { // the answer is the question
					asked := w.do(w.bot.Parse(w.request(ada, place, chat.Request{Action: &b.Action})), ada, place)
					assert.Equal(t, "Delete the key of bili?", asked[0].Reply.Title)
					b = asked[0].Reply.Buttons[0]
				}
				done := w.do(w.bot.Parse(w.request(ada, place, chat.Request{Action: &b.Action})), ada, place)
				assert.Equal(t, "The key of bili is deleted", done[0].Reply.Title)
			})
		})
	}
}

// Where people sit elsewhere, every message of the sandbox says that its links do not open.
func TestTheSandboxSaysWhereItsLinksOpen(t *testing.T) {
	inWorld(t, func(c *Config) { c.Parser.Sandbox, c.SandboxHere = true, true }, func(w *world) {
		w.bot.Attach(chattest.Console, w.room)
		here := chat.Place{Platform: chattest.Console, Channel: "console"}
		for _, place := range []chat.Place{channel, here} {
			posts := w.do(w.bot.Parse(w.request(ada, place, chat.Request{Command: "meet", Text: "Show --provider tencent"})), ada, place)
			posts = append(posts, w.do(w.bot.Parse(w.request(ada, place, chat.Request{Command: "livepush", Text: "--name bili --url rtmp://ingest.example.com/live --key k12345678"})), ada, place)...)
			require.NotEmpty(t, posts)
			find(t, posts, chat.SlotEdit) // of the bot's own, asked for nowhere
			for _, p := range posts {
				if place == here {
					assert.Equal(t, "SANDBOX: nothing here is real", p.Reply.Note, p.Slot)
				} else {
					assert.Contains(t, p.Reply.Note, "only on the machine that I run on", p.Slot)
				}
			}
		}
	})
}
