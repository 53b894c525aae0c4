package discord

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/config/secret"
)

func BenchmarkSignedCommand(b *testing.B) {
	adaptertest.BenchmarkCommands(b, func(b *testing.B, bot adaptertest.Accepting) (http.Handler, func(string) *http.Request) {
		discord := discordtest.New(b, nil)
		a, err := New(Config{BotToken: secret.New(discordtest.Token), ApplicationID: discordtest.ApplicationID, PublicKey: discord.PublicKey}, bot, nil)
		require.NoError(b, err)
		return a.Handler(), func(base string) *http.Request {
			in := discord.Command(alice, discordtest.InGuild(channel), "en-US", "meet",
				discordtest.Option{Name: "topic", Value: "weekly review"}, discordtest.Option{Name: "live", Value: true})
			return discord.Sign(base+Path, in.Payload, time.Now())
		}
	})
}

// BenchmarkRender measures a meeting card.
func BenchmarkRender(b *testing.B) {
	r := replies()["CardEnglish"]
	for b.Loop() {
		render(r, look{Key: "job-1-0"})
	}
}
