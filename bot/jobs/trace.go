package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/spans"
)

// A job is one trace: from the moment it was asked for to its last delivery, over all
// processes that worked on it. The IDs of the trace and of its root span follow from the
// job's, so whoever takes a job up goes on with its trace, and nothing is stored for that.

type contextKey struct{}

// jobContext is one allocation where [context.WithValue] is two: there is one for each step.
type jobContext struct {
	context.Context
	id string
}

func (c *jobContext) Value(key any) any {
	if _, ok := key.(contextKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// WithJob returns a context of work on the job with that ID.
func WithJob(ctx context.Context, id string) context.Context { return &jobContext{ctx, id} }

// JobIn returns the ID of the job that is worked on in ctx; empty if there is none. In every
// context that a [Handler] is given for a job it is that job's.
func JobIn(ctx context.Context) string {
	if c, ok := ctx.Value(contextKey{}).(*jobContext); ok {
		return c.id
	}
	return ""
}

// TraceID is the ID of a job's trace: the beginning of the SHA-256 of "meetbot:" and the
// job's ID.
func TraceID(job string) string {
	id, _ := idsOf(job)
	return id.String()
}

// RootIDs returns the IDs of a root span that is begun in ctx, if that is a job's. The
// generator of [Config.Tracer] has to use them.
func RootIDs(ctx context.Context) (trace.TraceID, trace.SpanID, bool) {
	job := JobIn(ctx)
	if job == "" {
		return trace.TraceID{}, trace.SpanID{}, false
	}
	t, s := idsOf(job)
	return t, s, true
}

func idsOf(job string) (trace.TraceID, trace.SpanID) {
	sum := sha256.Sum256([]byte("meetbot:" + job))
	return trace.TraceID(sum[:16]), trace.SpanID(sum[16:24])
}

// The names of attributes.
const (
	jobAttr      = attribute.Key("meetbot.job")
	commandAttr  = attribute.Key("meetbot.command")
	outcomeAttr  = attribute.Key("meetbot.outcome")
	stateAttr    = attribute.Key("meetbot.state")
	attemptAttr  = attribute.Key("meetbot.attempt")
	callAttr     = attribute.Key("meetbot.call")
	deliveryAttr = attribute.Key("meetbot.delivery")
	resultAttr   = attribute.Key("meetbot.result")
)

// activity is a step of a job as its trace shows it.
type activity struct {
	name  string
	about func(*Job) []attribute.KeyValue // nil: nothing more
	// How it ended: the word for no error, those for the errors that are told apart, and the
	// one for all others.
	success string
	known   []result
	other   string
}

type result struct {
	err    error
	word   string
	failed bool
}

// errPanic is a step that panicked.
var errPanic = errors.New("panic")

var (
	notSent = result{ErrNotSent, "not_sent", true}
	unknown = result{ErrUnknown, "unknown", true}

	deciding = activity{
		name: "decide", success: "ok", other: "failed",
		about: func(j *Job) []attribute.KeyValue {
			return []attribute.KeyValue{stateAttr.String(string(j.State)), attemptAttr.Int(j.Attempt)}
		},
	}
	making    = activity{name: "call", about: ofCall, success: "ok", known: []result{notSent, unknown}, other: "refused"}
	lookingUp = activity{
		name: "look up", about: ofCall, success: "found", known: []result{{ErrAbsent, "absent", false}, unknown}, other: "failed",
	}
	correcting = activity{name: "late success", success: "ok", other: "failed"}
	delivering = activity{
		name: spans.Deliver, success: "sent", known: []result{{ErrSkip, "skipped", false}, {ErrLost, "lost", true}}, other: "failed",
		about: func(j *Job) []attribute.KeyValue {
			return []attribute.KeyValue{deliveryAttr.Int(j.Delivery), attemptAttr.Int(j.Outbox[j.Delivery].Attempt)}
		},
	}
	noticing = activity{name: "notice", success: "ok", other: "failed"}

	receiving = activity{name: "receive", success: "ok", known: []result{
		{ErrDuplicate, "duplicate", false}, {ErrFull, "full", true}, {ErrBusy, "busy", true},
		{ErrStopping, "stopping", true}, {ErrNotConfirmed, "not_confirmed", true},
	}, other: "error"}
)

func ofCall(j *Job) []attribute.KeyValue {
	return []attribute.KeyValue{callAttr.Int(j.Call), attemptAttr.Int(j.Attempt)}
}

func (a activity) result(err error) result {
	if err == nil {
		return result{word: a.success}
	}
	if errors.Is(err, errPanic) {
		return result{err, "panic", true}
	}
	for _, r := range a.known {
		if errors.Is(err, r.err) {
			return r
		}
	}
	return result{err, a.other, true}
}

// EnqueueResult names what [Store.Enqueue] returned in one word.
func EnqueueResult(err error) string { return receiving.result(err).word }

// end ends the activity's span.
func (a activity) end(span trace.Span, err error) result {
	r := a.result(err)
	span.SetAttributes(resultAttr.String(r.word))
	if r.failed {
		spans.Fail(span, r.word)
	}
	span.End()
	return r
}

// root begins a job's root span. Everybody who works on the job begins it, to have a parent
// and to hear whether the trace is sampled, which depends on its ID alone; it is sent by
// whoever ends it.
func (s *Store) root(j *Job) trace.Span {
	name := cmp.Or(j.Label, "none")
	_, root := s.cfg.Tracer.Start(WithJob(context.Background(), j.ID), name,
		trace.WithNewRoot(), trace.WithTimestamp(j.Created), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(jobAttr.String(j.ID), commandAttr.String(name)))
	return root
}

// span begins a span below the job's root.
func (s *Store) span(ctx context.Context, j *Job, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := s.cfg.Tracer.Start(trace.ContextWithSpan(ctx, s.root(j)), name, options...)
	span.SetAttributes(jobAttr.String(j.ID), commandAttr.String(cmp.Or(j.Label, "none")))
	return ctx, span
}

// handle lets the handler carry out a step of j, which f is, and makes a panic an error. The
// step is a span of the job's trace.
func (s *Store) handle(ctx context.Context, j *Job, a *activity, f func(context.Context) error) error {
	ctx = WithJob(ctx, j.ID)
	if s.cfg.Tracer == nil {
		return guarded(ctx, f)
	}
	ctx, span := s.span(ctx, j, a.name)
	if a.about != nil {
		span.SetAttributes(a.about(j)...)
	}
	err := guarded(ctx, f)
	a.end(span, err)
	return err
}

// queued is the span from the moment a job was on disk to its first step.
func (s *Store) queued(j *Job) {
	if s.cfg.Tracer != nil && j.State == Accepted && j.Attempt == 0 && j.Wait.IsZero() {
		_, wait := s.span(context.Background(), j, "queue", trace.WithTimestamp(j.Updated))
		wait.End()
	}
}

// receive is enqueue as a span: from the moment a job was asked for to its being durable,
// which is when it is acknowledged.
func (s *Store) receive(ctx context.Context, j Job, take func(context.Context, Job) (Job, error)) (Job, error) {
	if s.cfg.Tracer == nil {
		return take(ctx, j)
	}
	if j.Created.IsZero() {
		j.Created = s.cfg.Now()
	}
	name, options := receiving.name, []trace.SpanStartOption{trace.WithTimestamp(j.Created)}
	within := trace.SpanContextFromContext(ctx).IsValid()
	if within { // a step of another job asks for this one
		options = append(options, trace.WithLinks(trace.LinkFromContext(ctx)))
	}
	if within || j.Source == "" { // it is the program's own wish
		name = "enqueue"
	} else {
		options = append(options, trace.WithAttributes(spans.Platform.String(j.Source)))
	}
	ctx, span := s.span(ctx, &j, name, options...)
	stored, err := take(ctx, j)
	r := receiving.end(span, err)
	if r.failed && !errors.Is(err, ErrNotConfirmed) { // nobody will go on with it
		root := s.root(&j)
		spans.Fail(root, r.word)
		root.End()
	}
	return stored, err
}

// over tells the handler that j is over, and ends its trace. A job whose last state could not
// be saved ends again, with the same IDs and a later end.
func (r *runner) over(j *Job) error {
	ctx := WithJob(r.ctx, j.ID)
	tell := func(ctx context.Context) error { r.h.Ended(ctx, j); return nil }
	if r.cfg.Tracer == nil {
		return guarded(ctx, tell)
	}
	root := r.root(j)
	defer root.End()
	if j.State == Undeliverable {
		spans.Fail(root, string(Undeliverable))
	}
	err := guarded(trace.ContextWithSpan(ctx, root), tell)
	root.SetAttributes(outcomeAttr.String(cmp.Or(j.Outcome, "none")), stateAttr.String(string(j.State)))
	if j.Source != "" {
		root.SetAttributes(spans.Platform.String(j.Source))
	}
	return err
}
