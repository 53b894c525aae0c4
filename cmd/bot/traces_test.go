package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
)

// collected is what a collector of traces has received.
type collected struct {
	mu    sync.Mutex
	raw   []byte
	spans []*tracepb.Span
}

func collect(t *testing.T) (*collected, string) {
	t.Helper()
	c := &collected{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var data tracepb.TracesData
		assert.NoError(t, proto.Unmarshal(raw, &data))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, raw...)
		for _, rs := range data.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(s.Close)
	return c, s.URL
}

// traces returns the names of each trace's spans by the name of its root, and the IDs of
// the traces. In a trace that is over every span has to have its parent.
func (c *collected) traces(t *testing.T) (spans map[string][]string, ids []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	roots, known := map[string]string{}, map[string]bool{}
	for _, s := range c.spans {
		known[string(s.SpanId)] = true
		if s.ParentSpanId == nil {
			assert.NotContains(t, roots, string(s.TraceId), "a trace has one root")
			roots[string(s.TraceId)] = s.Name
			ids = append(ids, hex.EncodeToString(s.TraceId))
		}
	}
	spans = map[string][]string{}
	for _, s := range c.spans {
		root, ok := roots[string(s.TraceId)]
		if !ok {
			continue // not over when the process ended: its whole span comes last
		}
		assert.True(t, s.ParentSpanId == nil || known[string(s.ParentSpanId)], "%s has no parent", s.Name)
		spans[root] = append(spans[root], s.Name)
	}
	return spans, ids
}

func TestEveryCommandIsATraceWithoutSecrets(t *testing.T) {
	t.Parallel()
	c, url := collect(t)
	out, errs, exit := pipe(t, "/meet --provider tencent --live 直播canary\n"+livepushLine,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_EXPORTER_OTLP_HEADERS=api-key=canary", "USER=canary")
	require.Zero(t, exit, out+errs)
	assert.Empty(t, errs)
	spans, _ := c.traces(t)
	for root, want := range map[string][]string{
		"meet":     {"meet", "receive", "queue", "decide", "call", "tencent create", "deliver"},
		"livepush": {"livepush", "receive", "queue", "decide", "call", "tencent set_push", "tencent pushes", "deliver"},
	} {
		assert.Subset(t, spans[root], want)
	}
	assert.NotContains(t, string(c.raw), "canary")
	assert.NotContains(t, string(c.raw), "直播")
	assert.NotContains(t, string(c.raw), "bilivideo")
	assert.NotContains(t, string(c.raw), "127.0.0.1")
}

func TestTracesAndLogsMeet(t *testing.T) {
	t.Parallel()
	c, url := collect(t)
	w := newWorld(t)
	w.without("DISCORD_")
	w.set("OTEL_EXPORTER_OTLP_ENDPOINT", url, "LOG_FORMAT", "json")
	w.slack.Fail("chat.postMessage", slacktest.Fault{Status: 503})
	var logs adaptertest.Log
	stop := start(t, w.env, &logs)
	_, err := w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/meet", "canary"), 0)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(logs.String(), "command finished") }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, stop())
	spans, ids := c.traces(t)
	assert.Subset(t, spans["meet"], []string{"receive", "queue", "call", "systec create", "deliver", "slack request"})
	lines := 0
	for line := range strings.Lines(logs.String()) {
		var l struct {
			Job     string
			TraceID string `json:"trace_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		assert.Equal(t, l.Job == "", l.TraceID == "", line)
		if l.Job != "" {
			lines++
			assert.Contains(t, ids, l.TraceID)
			assert.True(t, bytes.Contains(c.raw, []byte(l.Job)), "the span names the job")
		}
	}
	assert.GreaterOrEqual(t, lines, 3)
	assert.NotContains(t, string(c.raw), "canary")
	assert.NotContains(t, string(c.raw), w.slack.APIURL())
}

func TestACollectorThatIsDownKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	began := time.Now()
	out, errs, exit := pipe(t, "/meet 周会\n", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "LOG_LEVEL=warn")
	assert.Zero(t, exit)
	assert.Contains(t, out, "周会")
	assert.Contains(t, errs, "not delivered")
	assert.NotContains(t, errs, "127.0.0.1:1/")
	assert.Less(t, time.Since(began), 20*time.Second)
}
