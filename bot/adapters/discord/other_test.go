package discord

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// Two bots with a store each on one token: both accept a command, and the one whose answer
// Discord does not take leaves it to the other.
func TestTwoBotsThatDoNotShareAStore(t *testing.T) {
	first := start(t, overGateway)
	second := &world{t: t, clock: first.clock, server: first.server, bot: newBot(), log: &adaptertest.Log{}}
	second.a = second.adapter(overGateway)
	second.run(overGateway)
	worlds := []*world{first, second}
	for _, w := range worlds {
		w.a.cfg.Alone = func() bool { return true }
	}
	const commands = 5
	for range commands {
		first.server.Acked(first.server.Send(meetIn(first, discordtest.InGuild(channel))))
	}
	claimed := 0
	for _, w := range worlds {
		first.server.Until("both have accepted", func() bool { return len(w.bot.jobs()) == commands })
		for _, d := range w.bot.jobs() {
			err := w.a.Claim(t.Context(), d.Request.Origin)
			if err == nil {
				claimed++
				continue
			}
			require.ErrorIs(t, err, chat.ErrTaken)
			assert.Equal(t, kit.ErrOtherBot.Error(), w.a.Health().LastError)
			assert.Contains(t, w.log.String(), "another bot uses this Discord token")
		}
	}
	assert.Equal(t, commands, claimed, "each by one")
}

// Replicas of one bot share the store: who came first there is not told that it is another's.
func TestReplicasTakeNothingFromEachOther(t *testing.T) {
	w := start(t, overGateway)
	w.a.cfg.Alone = func() bool { return false }
	in := meetIn(w, discordtest.InGuild(channel))
	w.server.Fail(func(c discordtest.Call) *discordtest.Fault {
		if c.Route == "/interactions/{interaction_id}/{interaction_token}/callback" {
			return &discordtest.Fault{Status: 400, Code: codeAcknowledged}
		}
		return nil
	})
	w.server.Send(in)
	w.server.Until("accepted", func() bool { return len(w.bot.jobs()) == 1 })
	require.NoError(t, w.a.Claim(t.Context(), w.bot.jobs()[0].Request.Origin))
	assert.Empty(t, w.a.Health().LastError)
}
