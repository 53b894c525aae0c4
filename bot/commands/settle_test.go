package commands

import (
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatAnOperatorSettlesIsLoggedAndKeepsNoKey(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.say(ada, channel, "/meet x --provider tencent")
		r := w.request(ada, channel, chat.Request{Command: "livepush", Text: "--name 主站 --url rtmp://ingest.example.com/live --key canary-key"})
		r.At = r.At.Add(-3 * time.Minute)
		posts := w.do(w.bot.Parse(r), ada, channel)
		j, err := w.store.Update(w.t.Context(), jobID(r), func(j *jobs.Job) error {
			j.Outcome = "settled_done"
			Settled(j)
			return nil
		})
		require.NoError(t, err)
		assert.NotContains(t, string(j.Data), "canary-key")
		assert.Contains(t, w.press(ada, channel, posts, grammar.VerbRunExpired)[0].Reply.Text, "I no longer have that command's stream key")

		push := w.request(ada, channel, chat.Request{Command: "livepush", Text: "--name 主站 --url rtmp://ingest.example.com/live --key canary-key"})
		w.do(w.bot.Parse(push), ada, channel)
		j, err = w.store.Get(w.t.Context(), jobID(push))
		require.NoError(t, err)
		for range 2 { // a repeat writes one line
			require.NoError(t, AuditSettled(w.t.Context(), w.store, j, "retry", time.Now()))
		}
		log := find(t, w.say(ada, channel, "/livepush log"), chat.SlotPrivate).Reply.Fields
		require.Len(t, log, 2)
		assert.Equal(t, "Operator: close the command 主站 · tried again", log[1].Value)
	})
}
