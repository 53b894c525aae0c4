package kit

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// answering is a platform that answers with a status; 0: it does not.
type answering int

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if a == 0 {
		return nil, errors.New("canary")
	}
	return &http.Response{StatusCode: int(a), Body: http.NoBody, Request: r}, nil
}

func TestACallToAPlatformIsASpanOfTheJob(t *testing.T) {
	ask := func(ctx context.Context, a answering) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://acme.example/canary", strings.NewReader("canary"))
		require.NoError(t, err)
		resp, err := PlatformClient("acme", &http.Client{Transport: a}).Do(r)
		assert.Equal(t, a == 0, err != nil)
		if err == nil {
			assert.Equal(t, int(a), resp.StatusCode)
			require.NoError(t, resp.Body.Close())
		}
	}
	kept := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)).Tracer("test")
	ask(t.Context(), 200)
	assert.Empty(t, kept.GetSpans(), "it is made for no job")

	for _, above := range []string{"deliver", "decide"} {
		kept.Reset()
		ctx, span := tracer.Start(t.Context(), above, trace.WithTimestamp(time.Now().Add(-time.Minute)))
		for _, a := range []answering{204, 503, 0} {
			ask(ctx, a)
		}
		span.End()
		all := kept.GetSpans()
		require.Len(t, all, 4)
		for i, want := range []map[string]string{
			{"meetbot.platform": "acme", "http.response.status_code": "204"},
			{"meetbot.platform": "acme", "http.response.status_code": "503", "error.type": "http_503"},
			{"meetbot.platform": "acme", "error.type": "transport"},
		} {
			assert.Equal(t, "acme request", all[i].Name)
			assert.Equal(t, trace.SpanKindClient, all[i].SpanKind)
			assert.Equal(t, span.SpanContext().SpanID(), all[i].Parent.SpanID())
			assert.Equal(t, want["error.type"], all[i].Status.Description)
			got := map[string]string{}
			for _, attr := range all[i].Attributes {
				got[string(attr.Key)] = attr.Value.String()
			}
			assert.Equal(t, want, got)
		}
		if above == "decide" {
			assert.Empty(t, all[3].Attributes, "limits hold deliveries back")
			continue
		}
		require.Len(t, all[3].Attributes, 1)
		held := all[3].Attributes[0]
		assert.Equal(t, "meetbot.delivery.held_ms", string(held.Key))
		assert.GreaterOrEqual(t, held.Value.AsInt64(), int64(60_000), "until the first request")
	}
}

func TestWithoutTracesACallAllocatesNoMore(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	allocs := func(t http.RoundTripper) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = t.RoundTrip(r) })
	}
	assert.Equal(t, allocs(answering(200)), allocs(requests{answering(200), "acme", 0}))
}

func TestAPlatformsConnectionsCanBeClosed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	for _, given := range []*http.Client{nil, {Transport: &http.Transport{}}} {
		c := PlatformClient("acme", given)
		resp, err := c.Get(s.URL)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		c.CloseIdleConnections() // else the package's leak test fails
	}
	assert.Equal(t, requests{http.DefaultTransport, "acme", 0}, PlatformClient("acme", &http.Client{}).Transport)
}
