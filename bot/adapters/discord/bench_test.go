package discord

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/commands"
	"meetbot/bot/commands/commandstest"
	"meetbot/bot/jobs"
	"meetbot/config/secret"
)

// storeBot parses as the bot does and writes each command to a store.
type storeBot struct {
	*commands.Parser
	store  *jobs.Store // nil: nothing is written
	failed *atomic.Int64
}

func (b storeBot) Accept(ctx context.Context, d commands.Decision) commands.Acceptance {
	if b.store != nil {
		_, err := b.store.Enqueue(ctx, jobs.Job{ID: d.Request.ID, Label: "meet", Data: d.Request.Origin, Created: d.Request.At})
		if err != nil {
			b.failed.Add(1)
		}
	}
	return commands.Acceptance{}
}

func (b storeBot) Complete(context.Context, commands.Request, string, string) []commands.Choice {
	return nil
}

// BenchmarkSignedCommand measures from a signed interaction on the wire to its
// acknowledgement, with the command durable on disk in between.
func BenchmarkSignedCommand(b *testing.B) {
	for _, engine := range []string{"none", "embedded"} {
		for _, connections := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("engine=%s/connections=%d", engine, connections), func(b *testing.B) {
				bot := storeBot{Parser: commands.NewParser(commandstest.Config()), failed: new(atomic.Int64)}
				if engine == "embedded" {
					store, err := jobs.Open(b.Context(), jobs.Config{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
					require.NoError(b, err)
					defer func() { require.NoError(b, store.Close()) }()
					bot.store = store
				}
				benchmarkCommands(b, bot, connections)
				require.Zero(b, bot.failed.Load(), "every command is durable")
			})
		}
	}
}

func benchmarkCommands(b *testing.B, bot Bot, connections int) {
	discord := discordtest.New(b, nil)
	a, err := New(Config{BotToken: secret.New(discordtest.Token), ApplicationID: discordtest.ApplicationID, PublicKey: discord.PublicKey},
		bot, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()

	requests := make([]*http.Request, b.N)
	for i := range requests {
		in := discord.Command(alice, discordtest.InGuild(channel), "en-US", "meet",
			discordtest.Option{Name: "topic", Value: "weekly review"}, discordtest.Option{Name: "live", Value: true})
		requests[i] = discord.Sign(server.URL+Path, in.Payload, time.Now())
	}
	took := make([]time.Duration, b.N)
	var next, refused atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				began := time.Now()
				res, err := client.Do(requests[i])
				took[i] = time.Since(began)
				if err != nil || res.StatusCode != http.StatusOK {
					refused.Add(1)
				}
				if err == nil {
					_ = res.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	b.StopTimer()
	require.Zero(b, refused.Load())
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(int(q*float64(b.N)), b.N-1)].Microseconds()) / 1000
	}
	b.ReportMetric(float64(b.N)/elapsed.Seconds(), "commands/s")
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// BenchmarkRender measures a meeting card.
func BenchmarkRender(b *testing.B) {
	r := replies()["CardEnglish"]
	for b.Loop() {
		render(r, look{Key: "job-1-0"})
	}
}
