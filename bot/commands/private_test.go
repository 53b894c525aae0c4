package commands

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
)

// A private thread is a place of its own: who is not in it hears nothing of its meetings.
func TestAPrivateThreadIsAPlaceOfItsOwn(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.bot.Attach(chattest.Discord, w.room)
		parent := chat.Place{Platform: chattest.Discord, Team: "1", Channel: "20"}
		secret, public := parent, parent
		secret.Thread, secret.Private = "2012", true
		public.Thread = "2013"
		w.say(ada, secret, "/meet Layoffs: who goes --provider tencent --live")
		number := chat.Request{Command: "meet"}
		for _, at := range []chat.Place{parent, public} {
			assert.NotContains(t, describe(w.say(ben, at, "/meet list")), "Layoffs")
			assert.Empty(t, w.bot.Complete(t.Context(), w.request(ben, at, number), "meeting", ""))
			assert.Contains(t, describe(w.say(ben, at, "/meet end")), "no meeting in this channel")
			for _, v := range []grammar.Verb{grammar.VerbCopy, grammar.VerbQR} {
				posts := w.button(ben, at, v, "tencent:806146601")
				assert.NotContains(t, describe(posts), "806-146-601", v)
				assert.NotContains(t, describe(posts), "join.example", v)
			}
		}
		assert.Contains(t, describe(w.say(ben, secret, "/meet list")), "Layoffs", "in it they hear of it")
		assert.Len(t, w.bot.Complete(t.Context(), w.request(ben, secret, number), "meeting", ""), 1)
		w.say(ada, parent, "/meet Open --provider tencent --live")
		assert.Contains(t, describe(w.say(ben, public, "/meet list")), "Open", "a public thread is a part of its channel")
	})
}

// What a stranger is refused does not tell whether there is such a meeting, nor whose it is.
func TestARefusalTellsAStrangerNothing(t *testing.T) {
	elsewhere := chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C9"}
	lines := []string{
		"/meet end %s", "/meet share %s", "/livepush status %s", "/livepush off all in %s", "/livepush log %s",
		"/livepush to 主站 in %s", "/livepush %s --name x --url rtmp://ingest.example.com/live --key k",
	}
	buttons := []grammar.Verb{
		grammar.VerbStartLink, grammar.VerbQR, grammar.VerbCopy, grammar.VerbEndYes, grammar.VerbPushStatus, grammar.VerbSameDest,
	}
	replacing := func(s, number string) string { return string([]byte(s[:len(s)-2])) + number }
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet Secret plan --provider tencent --live")
		w.say(ada, channel, "/meet Secret talk")
		for _, pair := range [][2]string{{"806146601", "806146699"}, {"tencent:806146601", "tencent:806146699"}, {"1591620801", "1591620899"}, {"https://join.example/j/806146601", "https://join.example/j/806146699"}} {
			for _, line := range lines {
				if line[len(line)-2:] != "%s" {
					continue
				}
				known, unknown := w.say(ben, elsewhere, replacing(line, pair[0])), w.say(ben, elsewhere, replacing(line, pair[1]))
				for _, posts := range [][]chat.Post{known, unknown} {
					for i := range posts[0].Reply.Buttons {
						posts[0].Reply.Buttons[i].Action.Arg = "" // the job's own
					}
				}
				assert.Equal(t, unknown[0].Reply, known[0].Reply, "%s %s", line, pair[0])
				assert.NotContains(t, describe(known), "Ada")
				assert.NotContains(t, describe(known), "Secret")
			}
		}
		for _, v := range buttons {
			known, unknown := w.button(ben, elsewhere, v, "tencent:806146601"), w.button(ben, elsewhere, v, "tencent:806146699")
			require.NotEmpty(t, known, v)
			assert.Equal(t, unknown[len(unknown)-1].Reply, known[len(known)-1].Reply, v)
			assert.NotContains(t, describe(known), "Ada", v)
		}
		assert.Contains(t, describe(w.say(ben, channel, "/meet end 806146601")), "Only Ada", "who sees the card reads the name there")
	})
}

func TestTheSameIDInAnotherWorkspaceIsSomebodyElse(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x")
		other := chat.Place{Platform: chattest.Slack, Team: "T666", Channel: "C1"}
		for _, v := range []grammar.Verb{grammar.VerbStartLink, grammar.VerbEndYes} {
			posts := w.button(ada, other, v, "systec:1591620801")
			for _, p := range posts {
				assert.NotContains(t, revealed(p), "canary")
			}
			assert.Equal(t, chat.Bad, find(t, posts, chat.SlotPrivate).Reply.Tone)
		}
	})
}
