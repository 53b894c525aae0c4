// Package spans is what the parts that make spans have in common. Whoever has a span in its
// context makes its own below it; where traces are off there is none, and nothing is made.
//
// The names of spans and attributes, and the values of the latter, are words of the program's
// own, numbers, and a job's ID: never what a person or a platform wrote.
package spans

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name of the tracer that makes all spans.
const Scope = "meetbot"

// Deliver is the span of one try to deliver one message.
const Deliver = "deliver"

// Attributes that several parts set. error.type is OpenTelemetry's.
const (
	Platform  = attribute.Key("meetbot.platform")
	errorType = attribute.Key("error.type")
)

// Fail marks a span as failed, with the kind of its error in one word.
func Fail(span trace.Span, kind string) {
	if span.IsRecording() {
		span.SetStatus(codes.Error, kind)
		span.SetAttributes(errorType.String(kind))
	}
}

// Client begins the span of a request to somebody else, which the attribute names, below the
// span in ctx. Without one it begins none, and allocates nothing.
func Client(ctx context.Context, attr attribute.Key, whom, what string) trace.Span {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsValid() {
		return above
	}
	_, span := above.TracerProvider().Tracer(Scope).Start(ctx, whom+" "+what,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attr.String(whom)))
	return span
}
