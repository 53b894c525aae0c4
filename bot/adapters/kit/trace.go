package kit

import (
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/chat"
	"meetbot/bot/spans"
)

const (
	heldAttr   = attribute.Key("meetbot.delivery.held_ms")
	statusAttr = attribute.Key("http.response.status_code") // OpenTelemetry's
)

// PlatformClient is [HTTPClient] for calls to a platform. Each that is made for a job is a span
// of its trace.
func PlatformClient(p chat.Platform, c *http.Client) *http.Client {
	c = HTTPClient(c)
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	c.Transport = requests{c.Transport, p}
	return c
}

type requests struct {
	http.RoundTripper
	platform chat.Platform
}

// RoundTrip implements [http.RoundTripper].
func (r requests) RoundTrip(req *http.Request) (*http.Response, error) {
	noteHeld(trace.SpanFromContext(req.Context()))
	span := spans.Client(req.Context(), spans.Platform, string(r.platform), "request")
	defer span.End()
	resp, err := r.RoundTripper.RoundTrip(req)
	if err != nil {
		spans.Fail(span, "transport")
		return resp, err
	}
	if span.IsRecording() {
		span.SetAttributes(statusAttr.Int(resp.StatusCode))
		if resp.StatusCode >= http.StatusBadRequest {
			spans.Fail(span, fmt.Sprintf("http_%d", resp.StatusCode))
		}
	}
	return resp, err
}

// noteHeld notes on the span of a delivery, at its first request, how long the platform's
// limits held that back.
func noteHeld(span trace.Span) {
	delivery, ok := span.(interface { // as sdk/trace.ReadOnlySpan has them
		Name() string
		StartTime() time.Time
		ChildSpanCount() int
	})
	if ok && delivery.Name() == spans.Deliver && delivery.ChildSpanCount() == 0 {
		span.SetAttributes(heldAttr.Int64(time.Since(delivery.StartTime()).Milliseconds()))
	}
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (r requests) CloseIdleConnections() {
	if c, ok := r.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
