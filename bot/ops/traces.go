package ops

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/jobs"
	"meetbot/bot/spans"
	"meetbot/config"
)

// Traces sends the spans of the jobs to a collector. They are made where things happen: see
// package spans, and [jobs.Config]. A nil *Traces has no tracer.
type Traces struct {
	provider  *sdktrace.TracerProvider
	collector *collector
}

// NewTraces returns nil if no collector is configured. Version says what runs. It sends
// nothing yet; [Traces.Close] sends what was not sent.
//
// OpenTelemetry reads the rest of its variables itself: OTEL_RESOURCE_ATTRIBUTES,
// OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_* and the limits of spans.
func NewTraces(ctx context.Context, cfg config.OTEL, version string, log *slog.Logger) (*Traces, error) {
	if cfg.TracesURL() == "" {
		return nil, nil
	}
	c, err := newCollector(cfg)
	if err != nil {
		return nil, err
	}
	// What OpenTelemetry has to say belongs into the log as well.
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("fault of the trace exporter", "err", Scrub(err.Error())) }))

	instance, _ := os.Hostname() // empty where there is none
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "meetbot"), attribute.String("service.version", version),
			attribute.String("service.instance.id", instance),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, errors.New("OTEL_RESOURCE_ATTRIBUTES: use NAME=VALUE, several comma-separated, with values percent-encoded")
	}
	exporter := &complaining{SpanExporter: otlptrace.NewUnstarted(c), log: log}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithResource(about), sdktrace.WithBatcher(exporter),
	)
	return &Traces{provider, c}, nil
}

// Tracer returns the tracer for [jobs.Config]; nil, which makes no spans, without a collector.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(spans.Scope)
}

// Close sends what was not sent, within the time.
func (t *Traces) Close(within time.Duration) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	t.collector.end()
	t.collector.http.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("the last traces are not delivered: %w", err)
	}
	return nil
}

// ids is an [sdktrace.IDGenerator]: root spans have their job's IDs, all others random ones.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if t, s, ok := jobs.RootIDs(ctx); ok {
		return t, s
	}
	var id trace.TraceID
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	return id, newSpanID()
}

func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return newSpanID() }

func newSpanID() (id trace.SpanID) {
	binary.LittleEndian.PutUint64(id[:], rand.Uint64()|1) // zero is no ID
	return id
}
