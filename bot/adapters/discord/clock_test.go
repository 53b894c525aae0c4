package discord

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/chat"
)

// However wrong this machine's clock is: nothing is refused, nothing seems old, the
// interaction's token is used while it lives, and an earlier message is found.
func TestAMachineWhoseClockIsWrong(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, 2 * time.Minute, time.Hour} {
		for _, how := range []transport{overGateway, overHTTP} {
			t.Run(string(how)+" "+ahead.String(), func(t *testing.T) {
				w := &world{t: t, clock: &testClock{}, ahead: ahead, bot: newBot(), log: &adaptertest.Log{}}
				w.server = discordtest.New(t, w.clock.now)
				w.a = w.adapter(how)
				w.run(how)
				w.server.Until("Discord's clock is known", func() bool { _, known := w.a.Clock().Ahead(); return known })
				d := w.job(meetIn(w, discordtest.InGuild(channel)))
				assert.InDelta(t, 0, w.a.cfg.Now().Sub(d.Request.At).Seconds(), 30)
				_, err := w.post(d, chat.SlotRoot)
				require.NoError(t, err)
				_, err = w.post(d, chat.SlotPrivate, text("for you"))
				require.NoError(t, err)
				told := w.server.For(alice)
				assert.True(t, told[len(told)-1].Ephemeral(), "where it was typed, not by direct message")

				w.clock.forward(16 * time.Minute)
				r, err := w.post(d, chat.SlotRoot, text("late"))
				require.NoError(t, err)
				w.server.ForgetNonces()
				again, err := w.post(d, chat.SlotRoot, text("late"), tried)
				require.NoError(t, err)
				assert.Equal(t, r.Message, again.Message)
			})
		}
	}
}
