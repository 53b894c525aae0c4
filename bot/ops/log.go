package ops

import (
	"context"
	"log/slog"
	"slices"

	"meetbot/bot/jobs"
)

// Key is the attribute under which a log line says which job it is about: the ID of the
// job, which is also the ID in the audit log, and what `bot jobs ID` takes.
const Key = "job"

// traceKey is the attribute with the ID of the job's trace.
const traceKey = "trace_id"

// LogHandler returns h with the context's job on every line that does not name one. Where
// jobs are traced, every line that names a job has the trace's ID as well.
func LogHandler(h slog.Handler, traced bool) slog.Handler {
	return logHandler{Handler: h, traced: traced}
}

type logHandler struct {
	slog.Handler
	traced bool
	named  bool // by With
}

func (l logHandler) Handle(ctx context.Context, r slog.Record) error {
	if l.named {
		return l.Handler.Handle(ctx, r)
	}
	var more []slog.Attr
	id := jobIn(r.Attrs)
	if id == "" {
		if id = jobs.JobIn(ctx); id == "" {
			return l.Handler.Handle(ctx, r)
		}
		more = append(more, slog.String(Key, id))
	}
	if l.traced {
		more = append(more, slog.String(traceKey, jobs.TraceID(id)))
	}
	r = r.Clone()
	r.AddAttrs(more...)
	return l.Handler.Handle(ctx, r)
}

// jobIn returns the job that one of the attributes names.
func jobIn(attrs func(func(slog.Attr) bool)) (id string) {
	attrs(func(a slog.Attr) bool {
		if a.Key == Key {
			id = a.Value.String()
		}
		return id == ""
	})
	return id
}

func (l logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if id := jobIn(slices.Values(attrs)); id != "" {
		l.named = true
		if l.traced {
			attrs = append(slices.Clone(attrs), slog.String(traceKey, jobs.TraceID(id)))
		}
	}
	l.Handler = l.Handler.WithAttrs(attrs)
	return l
}

func (l logHandler) WithGroup(name string) slog.Handler {
	l.Handler = l.Handler.WithGroup(name)
	return l
}
