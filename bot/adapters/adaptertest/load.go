package adaptertest

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

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/bot/jobs"
)

// Accepting parses as the bot does, and writes each command to a store.
type Accepting struct {
	*grammar.Parser
	store  *jobs.Store // nil: nothing is written
	failed *atomic.Int64
}

// Accept returns once the command is on disk.
func (a Accepting) Accept(ctx context.Context, d chat.Decision) chat.Acceptance {
	if a.store != nil {
		_, err := a.store.Enqueue(ctx, jobs.Job{ID: d.Request.ID, Label: "meet", Data: d.Request.Origin, Created: d.Request.At})
		if err != nil {
			a.failed.Add(1)
		}
	}
	return chat.Acceptance{}
}

// Ready changes nothing.
func (Accepting) Ready(_ context.Context, d chat.Decision) chat.Decision { return d }

// Complete proposes nothing.
func (Accepting) Complete(context.Context, chat.Request, string, string) []chat.Choice {
	return nil
}

// BenchmarkCommands measures from a signed command on the wire to its acknowledgement,
// with the command durable on disk in between. The adapter is made by open, together with
// a function that makes a new signed request to it each time.
func BenchmarkCommands(b *testing.B, open func(b *testing.B, bot Accepting) (handler http.Handler, request func(base string) *http.Request)) {
	for _, engine := range []string{"none", "embedded"} {
		for _, connections := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("engine=%s/connections=%d", engine, connections), func(b *testing.B) {
				bot := Accepting{Parser: grammar.New(grammartest.Config()), failed: new(atomic.Int64)}
				if engine == "embedded" {
					store, err := jobs.Open(b.Context(), jobs.Config{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
					require.NoError(b, err)
					defer func() { require.NoError(b, store.Close()) }()
					bot.store = store
				}
				handler, request := open(b, bot)
				server := httptest.NewServer(handler)
				defer server.Close()
				load(b, connections, func() *http.Request { return request(server.URL) })
				require.Zero(b, bot.failed.Load(), "every command is durable")
			})
		}
	}
}

// load sends requests over so many connections side by side and reports how long they took.
func load(b *testing.B, connections int, request func() *http.Request) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	requests := make([]*http.Request, b.N)
	for i := range requests {
		requests[i] = request()
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
