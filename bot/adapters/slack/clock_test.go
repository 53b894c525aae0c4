package slack

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
)

// However wrong this machine's clock is: nothing is refused, nothing seems old, the
// response_url is used while it lives, and an earlier message is found.
func TestAMachineWhoseClockIsWrong(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, 2 * time.Minute, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			now := func() time.Time { return time.Now().Add(ahead) }
			w := &world{T: t, slack: slacktest.New(append(append([]string(nil), slacktest.DefaultScopes...), "channels:history")...), bot: &fakeBot{}, log: &adaptertest.Log{}, done: make(chan error, 1)}
			t.Cleanup(w.slack.Close)
			w.a = adapterBy(t, now, w.slack, w.bot, w.log)
			w.connect()
			for name, tr := range w.transports() {
				ack := w.deliver(tr, w.slack.Slash("C1", "U1", "/meet", name))
				assert.Equal(t, http.StatusOK, ack.Status)
				act, _ := w.slack.Mention("C1", "", "U1", "<@U0BOT> meet "+name)
				w.deliver(tr, act)
			}
			asked := w.bot.jobs()
			require.Len(t, asked, 4)
			for _, d := range asked {
				assert.InDelta(t, 0, now().Sub(d.At).Seconds(), 30, d.Text)
			}
			r := w.slash("C1")
			w.post(of(r, chat.SlotPrivate, startIt))
			all := w.slack.Messages()
			assert.True(t, all[len(all)-1].Hook, "where it was typed")
			root := of(r, chat.SlotRoot, card)
			root.Key = "the card"
			w.post(root)
			posted := len(w.slack.Messages())
			root.Tried = true
			w.post(root)
			assert.Len(t, w.slack.Messages(), posted, "it is found again")
		})
	}
}
