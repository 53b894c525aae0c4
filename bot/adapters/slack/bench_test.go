package slack

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/commands"
	"meetbot/bot/jobs"
	"meetbot/config/secret"
)

// storeBot writes each command to a real store.
type storeBot struct {
	acceptAll
	store  *jobs.Store
	failed *atomic.Int64
}

func (b storeBot) Accept(ctx context.Context, d commands.Decision) commands.Acceptance {
	_, err := b.store.Enqueue(ctx, jobs.Job{ID: d.Request.ID, Label: "meet", Data: []byte(d.Request.Text), Created: d.Request.At})
	if err != nil {
		b.failed.Add(1)
	}
	return commands.Acceptance{}
}

// BenchmarkSignedCommand measures from a signed slash command on the wire to its
// acknowledgement, with the command durable on disk in between.
func BenchmarkSignedCommand(b *testing.B) {
	for _, engine := range []string{"none", "embedded"} {
		for _, connections := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("engine=%s/connections=%d", engine, connections), func(b *testing.B) {
				bot, failed := Bot(acceptAll{}), new(atomic.Int64)
				if engine == "embedded" {
					store, err := jobs.Open(b.Context(), jobs.Config{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
					require.NoError(b, err)
					defer func() { require.NoError(b, store.Close()) }()
					bot = storeBot{store: store, failed: failed}
				}
				benchmarkCommands(b, bot, connections)
				require.Zero(b, failed.Load(), "every command is durable")
			})
		}
	}
}

// acceptAll keeps nothing.
type acceptAll struct{}

func (acceptAll) Parse(r commands.Request) commands.Decision {
	return commands.Decision{Ask: &commands.Ask{Verb: commands.VerbMeet}, Request: r}
}

func (acceptAll) Accept(context.Context, commands.Decision) commands.Acceptance {
	return commands.Acceptance{}
}

func benchmarkCommands(b *testing.B, bot Bot, connections int) {
	a, err := New(Config{BotToken: secret.New(slacktest.BotToken), SigningSecret: secret.New(slacktest.SigningSecret), APIURL: "http://127.0.0.1:1/"},
		bot, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	var refused atomic.Int64
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()

	var next atomic.Int64
	took := make([]time.Duration, b.N)
	one := func(i int64) {
		body := []byte(url.Values{
			"team_id": {"T1"}, "channel_id": {"C1"}, "user_id": {"U1"}, "command": {"/meet"}, "text": {"weekly review --live"},
			"response_url": {"https://hooks.slack.com/commands/T1/1/x"}, "trigger_id": {strconv.FormatInt(i, 10)},
		}.Encode())
		req, err := http.NewRequest(http.MethodPost, server.URL+PathCommands, bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		slacktest.Sign(req.Header, slacktest.SigningSecret, time.Now(), body)
		start := time.Now()
		res, err := client.Do(req)
		took[i] = time.Since(start)
		if err != nil || res.StatusCode != http.StatusOK {
			refused.Add(1)
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				one(i)
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
	r := commands.Reply{
		Title: "周会 weekly", Fields: []commands.Field{{Name: "State", Value: "running"}, {Name: "By", User: &commands.User{ID: "U1"}}},
		Links:   []commands.Link{{Label: "Join", URL: "https://meet.example/j/1?pwd=a&b=c"}},
		Buttons: []commands.Button{{Label: "End", Action: commands.Action{Name: "endyes", Arg: "systec:1"}}},
	}
	for b.Loop() {
		render(r, look{card: true})
	}
}
