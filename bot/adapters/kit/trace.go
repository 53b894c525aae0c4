package kit

import (
	"context"
	"fmt"
	"io"
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
	c.Transport, c.Timeout = requests{c.Transport, p, c.Timeout}, 0
	return c
}

// requests are made within a time limit, to the last byte of the answer; zero: none. A client whose
// transport is not net/http's own takes two goroutines more for its Timeout.
type requests struct {
	http.RoundTripper
	platform chat.Platform
	limit    time.Duration
}

// limited is the body of an answer, with which its time limit ends.
type limited struct {
	io.ReadCloser
	end context.CancelFunc
}

func (b limited) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// RoundTrip implements [http.RoundTripper].
func (r requests) RoundTrip(req *http.Request) (*http.Response, error) {
	noteHeld(trace.SpanFromContext(req.Context()))
	span := spans.Client(req.Context(), spans.Platform, string(r.platform), "request")
	defer span.End()
	resp, err := r.within(req)
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

func (r requests) within(req *http.Request) (*http.Response, error) {
	if r.limit == 0 {
		return r.RoundTripper.RoundTrip(req)
	}
	ctx, end := context.WithTimeout(req.Context(), r.limit)
	resp, err := r.RoundTripper.RoundTrip(req.WithContext(ctx))
	if err != nil {
		end()
		return resp, err
	}
	resp.Body = limited{resp.Body, end}
	return resp, nil
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
