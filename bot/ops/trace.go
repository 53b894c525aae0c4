package ops

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"meetbot/bot/jobs"
)

// Key is the attribute under which a log line says which job it is about: the ID of the
// job, which is also the ID in the audit log, and what `bot jobs ID` takes.
const Key = "job"

// traceKey is the attribute with the ID of the job's trace.
const traceKey = "trace_id"

type jobKey struct{}

// WithJob returns a context whose log lines name the job.
func WithJob(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, jobKey{}, id)
}

// Handler returns h with the job's ID in every context that it is given, so that whatever
// is logged on the way (an adapter's post, a call to a provider) can be found by it. It
// also counts how long people waited for a provider's answer.
func (m *Metrics) Handler(h jobs.Handler) jobs.Handler { return traced{h, m} }

type traced struct {
	h jobs.Handler
	m *Metrics
}

func (t traced) Next(ctx context.Context, j *jobs.Job) (jobs.Next, error) {
	return t.h.Next(WithJob(ctx, j.ID), j)
}

func (t traced) Call(ctx context.Context, j *jobs.Job) error {
	err := t.h.Call(WithJob(ctx, j.ID), j)
	if !errors.Is(err, jobs.ErrNotSent) && !errors.Is(err, jobs.ErrUnknown) && ctx.Err() == nil {
		t.m.answered(j)
	}
	return err
}

func (t traced) Reconcile(ctx context.Context, j *jobs.Job) error {
	err := t.h.Reconcile(WithJob(ctx, j.ID), j)
	if err == nil {
		t.m.answered(j)
	}
	return err
}

func (t traced) Late(ctx context.Context, j, late *jobs.Job) bool {
	return t.h.Late(WithJob(ctx, j.ID), j, late)
}

func (t traced) Deliver(ctx context.Context, j *jobs.Job) error {
	return t.h.Deliver(WithJob(ctx, j.ID), j)
}

func (t traced) Ended(j *jobs.Job) { t.h.Ended(j) }

func (t traced) Notice(ctx context.Context, j *jobs.Job) { t.h.Notice(WithJob(ctx, j.ID), j) }

func (t traced) Timer(ctx context.Context, timer jobs.Timer) error { return t.h.Timer(ctx, timer) }

// answered counts a provider's first answer to a command.
func (m *Metrics) answered(j *jobs.Job) {
	if j.Call == 0 {
		m.answers.WithLabelValues(command(j.Label)).Observe(time.Since(j.Created).Seconds())
	}
}

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
		if id, _ = ctx.Value(jobKey{}).(string); id == "" {
			return l.Handler.Handle(ctx, r)
		}
		more = append(more, slog.String(Key, id))
	}
	if l.traced {
		more = append(more, slog.String(traceKey, TraceID(id)))
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
			attrs = append(slices.Clone(attrs), slog.String(traceKey, TraceID(id)))
		}
	}
	l.Handler = l.Handler.WithAttrs(attrs)
	return l
}

func (l logHandler) WithGroup(name string) slog.Handler {
	l.Handler = l.Handler.WithGroup(name)
	return l
}
