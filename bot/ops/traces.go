package ops

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/config"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// Traces makes one trace of each job: from the moment it was asked for to its last
// delivery, over all processes that worked on it. The trace's ID and that of its root
// span follow from the job's, so whoever takes a job up goes on with its trace, and
// nothing has to be stored for that.
//
// It wraps what the bot is made of. Attributes come from the same closed lists as the
// labels of [Metrics], and the job's ID is with every span. A nil *Traces wraps nothing:
// every method returns what it is given.
type Traces struct {
	provider  *sdktrace.TracerProvider
	tracer    trace.Tracer
	collector *collector
	platforms []string

	ending   sync.Mutex
	platform chat.Platform // of the command that is ending
}

// NewTraces returns nil if no collector is configured. Version says what runs; every other
// platform than those given is [Other]. It sends nothing yet; [Traces.Close] sends what was
// not sent.
//
// OpenTelemetry reads the rest of its variables itself: OTEL_RESOURCE_ATTRIBUTES,
// OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_* and the limits of spans.
func NewTraces(ctx context.Context, cfg config.OTEL, version string, log *slog.Logger, platforms ...chat.Platform) (*Traces, error) {
	if cfg.TracesURL() == "" {
		return nil, nil
	}
	c, err := newCollector(cfg)
	if err != nil {
		return nil, err
	}
	// What OpenTelemetry has to say belongs into the log as well.
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "err", Scrub(err.Error())) }))

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
	return &Traces{provider: provider, tracer: provider.Tracer("meetbot"), collector: c, platforms: words(platforms, platformName)}, nil
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
		return fmt.Errorf("the last traces were not delivered: %w", err)
	}
	return nil
}

// TraceID is the ID of a job's trace: the beginning of the SHA-256 of "meetbot:" and the
// job's ID.
func TraceID(job string) string {
	id, _ := idsOf(job)
	return id.String()
}

func idsOf(job string) (trace.TraceID, trace.SpanID) {
	sum := sha256.Sum256([]byte("meetbot:" + job))
	return trace.TraceID(sum[:16]), trace.SpanID(sum[16:24])
}

// ids is an [sdktrace.IDGenerator]: root spans have their job's IDs, all others random ones.
type ids struct{}

type rootKey struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if job, ok := ctx.Value(rootKey{}).(string); ok {
		return idsOf(job)
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

// The names of attributes. error.type and http.response.status_code are OpenTelemetry's.
const (
	jobAttr      = attribute.Key("meetbot.job")
	commandAttr  = attribute.Key("meetbot.command")
	platformAttr = attribute.Key("meetbot.platform")
	outcomeAttr  = attribute.Key("meetbot.outcome")
	stateAttr    = attribute.Key("meetbot.state")
	attemptAttr  = attribute.Key("meetbot.attempt")
	callAttr     = attribute.Key("meetbot.call")
	resultAttr   = attribute.Key("meetbot.result")
	providerAttr = attribute.Key("meetbot.provider")
	deliveryAttr = attribute.Key("meetbot.delivery")
	slotAttr     = attribute.Key("meetbot.delivery.slot")
	heldAttr     = attribute.Key("meetbot.delivery.held_ms")
	errorAttr    = attribute.Key("error.type")
	statusAttr   = attribute.Key("http.response.status_code")
)

// root begins a job's root span. Everybody who works on the job begins it, to have a
// parent and to hear whether the trace is sampled, which depends on its ID alone; it is
// sent by whoever ends it.
func (t *Traces) root(j *jobs.Job) trace.Span {
	_, root := t.tracer.Start(context.WithValue(context.Background(), rootKey{}, j.ID), command(j.Label),
		trace.WithNewRoot(), trace.WithTimestamp(j.Created), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(jobAttr.String(j.ID), commandAttr.String(command(j.Label))))
	return root
}

// start begins a span below the job's root.
func (t *Traces) start(ctx context.Context, j *jobs.Job, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := t.tracer.Start(trace.ContextWithSpan(ctx, t.root(j)), name, options...)
	span.SetAttributes(jobAttr.String(j.ID), commandAttr.String(command(j.Label)))
	return ctx, span
}

// result is how a step ended, in one word. The zero one is a panic's.
type result struct {
	word string
	fine bool
}

func finish(span trace.Span, r *result) {
	if r.word == "" {
		r.word = "panic"
	}
	span.SetAttributes(resultAttr.String(r.word))
	failed(span, r.word, !r.fine)
	span.End()
}

func failed(span trace.Span, kind string, is bool) {
	if is {
		span.SetStatus(codes.Error, kind)
		span.SetAttributes(errorAttr.String(kind))
	}
}

// sorted returns the word for success, that of the first of the known errors that err
// matches, or the one for all others.
func sorted(err error, success, otherwise string, known ...sentinel) result {
	if err == nil {
		return result{success, true}
	}
	for _, s := range known {
		if errors.Is(err, s.err) {
			return s.result
		}
	}
	return result{otherwise, false}
}

type sentinel struct {
	err error
	result
}

var (
	notSent = sentinel{jobs.ErrNotSent, result{"not_sent", false}}
	unknown = sentinel{jobs.ErrUnknown, result{"unknown", false}}
	absent  = sentinel{jobs.ErrAbsent, result{"absent", true}}
	skipped = sentinel{jobs.ErrSkip, result{"skipped", true}}
	lost    = sentinel{jobs.ErrLost, result{"lost", false}}
)

// Handler returns h with a span for each step of a job.
func (t *Traces) Handler(h jobs.Handler) jobs.Handler {
	if t == nil {
		return h
	}
	return stepping{h, t}
}

type stepping struct {
	jobs.Handler
	t *Traces
}

func (s stepping) Next(ctx context.Context, j *jobs.Job) (jobs.Next, error) {
	if j.State == jobs.Accepted && j.Attempt == 0 && j.Wait.IsZero() {
		_, wait := s.t.start(ctx, j, "queue", trace.WithTimestamp(j.Updated))
		wait.End()
	}
	ctx, span := s.t.start(ctx, j, "decide")
	span.SetAttributes(stateAttr.String(state(j.State)), attemptAttr.Int(j.Attempt))
	var r result
	defer finish(span, &r)
	next, err := s.Handler.Next(ctx, j)
	r = sorted(err, "ok", "failed")
	return next, err
}

func (s stepping) Call(ctx context.Context, j *jobs.Job) error {
	ctx, span := s.t.start(ctx, j, "call")
	span.SetAttributes(callAttr.Int(j.Call), attemptAttr.Int(j.Attempt))
	var r result
	defer finish(span, &r)
	err := s.Handler.Call(ctx, j)
	r = sorted(err, "ok", "refused", notSent, unknown)
	return err
}

func (s stepping) Reconcile(ctx context.Context, j *jobs.Job) error {
	ctx, span := s.t.start(ctx, j, "look up")
	span.SetAttributes(callAttr.Int(j.Call), attemptAttr.Int(j.Attempt))
	var r result
	defer finish(span, &r)
	err := s.Handler.Reconcile(ctx, j)
	r = sorted(err, "found", "failed", absent, unknown)
	return err
}

func (s stepping) Late(ctx context.Context, j, late *jobs.Job) bool {
	ctx, span := s.t.start(ctx, j, "late success")
	span.SetAttributes(callAttr.Int(late.Call))
	var r result
	defer finish(span, &r)
	corrected := s.Handler.Late(ctx, j, late)
	r = result{"ok", true}
	return corrected
}

func (s stepping) Deliver(ctx context.Context, j *jobs.Job) error {
	began := time.Now()
	ctx, span := s.t.start(ctx, j, "deliver", trace.WithTimestamp(began))
	span.SetAttributes(deliveryAttr.Int(j.Delivery), attemptAttr.Int(j.Outbox[j.Delivery].Attempt))
	var r result
	defer finish(span, &r)
	err := s.Handler.Deliver(context.WithValue(ctx, heldKey{}, &held{began: began, span: span}), j)
	r = sorted(err, "sent", "failed", skipped, lost)
	return err
}

func (s stepping) Notice(ctx context.Context, j *jobs.Job) {
	ctx, span := s.t.start(ctx, j, "notice")
	var r result
	defer finish(span, &r)
	s.Handler.Notice(ctx, j)
	r = result{"ok", true}
}

// Ended also ends the root span. A job whose last state could not be saved ends again,
// with the same IDs and a later end.
func (s stepping) Ended(j *jobs.Job) {
	platform := s.ended(j)
	root := s.t.root(j)
	root.SetAttributes(outcomeAttr.String(one(outcomes, j.Outcome)), stateAttr.String(state(j.State)))
	if platform != "" {
		root.SetAttributes(platformAttr.String(one(s.t.platforms, string(platform))))
	}
	failed(root, string(jobs.Undeliverable), j.State == jobs.Undeliverable)
	failed(root, one(outcomes, j.Outcome), slices.Contains(failures, j.Outcome))
	root.End()
}

// failures are the outcomes that are the bot's or a provider's fault rather than an answer.
var failures = words(
	slices.DeleteFunc(commands.Outcomes(), func(o commands.Outcome) bool { return !o.Failed() }), commands.Outcome.String)

// ended returns the platform of the command, which only [commands.Observer] is told. One
// job ends at a time, so that it is told of this one.
func (s stepping) ended(j *jobs.Job) chat.Platform {
	s.t.ending.Lock()
	defer s.t.ending.Unlock()
	s.t.platform = ""
	s.Handler.Ended(j)
	return s.t.platform
}

// Commands returns o, and hears from it which platform a command came from.
func (t *Traces) Commands(o commands.Observer) commands.Observer {
	if t == nil {
		return o
	}
	finished := o.Finished
	o.Finished = func(p chat.Platform, v grammar.Verb, outcome string, since time.Time) {
		t.platform = p // within ended, which holds the lock
		if finished != nil {
			finished(p, v, outcome, since)
		}
	}
	return o
}

// Bot returns b, remembering the platform for the span of [Traces.Store].
func (t *Traces) Bot(b chat.Bot) chat.Bot {
	if t == nil {
		return b
	}
	return accepting{b}
}

type accepting struct{ chat.Bot }

type acceptKey struct{}

func (a accepting) Accept(ctx context.Context, d chat.Decision) chat.Acceptance {
	return a.Bot.Accept(context.WithValue(ctx, acceptKey{}, d.Request.Place.Platform), d)
}

// Store returns s with a span for each job that is written down: from its event to its
// being durable, which is when it is acknowledged.
func (t *Traces) Store(s commands.Store) commands.Store {
	if t == nil {
		return s
	}
	return receiving{s, t}
}

type receiving struct {
	commands.Store
	t *Traces
}

func (s receiving) Enqueue(ctx context.Context, j jobs.Job) (jobs.Job, error) {
	if j.Created.IsZero() {
		j.Created = time.Now()
	}
	name := "enqueue" // the bot's own wish
	platform, asked := ctx.Value(acceptKey{}).(chat.Platform)
	if asked {
		name = "receive"
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(j.Created)}
	if trace.SpanContextFromContext(ctx).IsValid() { // a step of another job asks for this one
		options = append(options, trace.WithLinks(trace.LinkFromContext(ctx)))
	}
	ctx, span := s.t.start(ctx, &j, name, options...)
	if asked {
		span.SetAttributes(platformAttr.String(one(s.t.platforms, string(platform))))
	}
	stored, err := s.Store.Enqueue(ctx, j)
	r := result{enqueueResult(err), err == nil || errors.Is(err, jobs.ErrDuplicate)}
	finish(span, &r)
	if !r.fine && !errors.Is(err, jobs.ErrNotConfirmed) { // nobody will go on with it
		root := s.t.root(&j)
		failed(root, r.word, true)
		root.End()
	}
	return stored, err
}

// Poster returns p, naming platform and kind of each message on its delivery's span.
func (t *Traces) Poster(p chat.Poster) chat.Poster {
	if t == nil {
		return p
	}
	if d, ok := p.(chat.Directory); ok {
		return struct {
			posting
			chat.Directory
		}{posting{p, t.platforms}, d}
	}
	return posting{p, t.platforms}
}

type posting struct {
	chat.Poster
	platforms []string
}

func (p posting) Post(ctx context.Context, post chat.Post) (chat.Receipt, error) {
	trace.SpanFromContext(ctx).SetAttributes(
		platformAttr.String(one(p.platforms, string(post.Place.Platform))), slotAttr.String(one(slots, string(post.Slot))))
	return p.Poster.Post(ctx, post)
}

var slots = []string{
	string(chat.SlotRoot), string(chat.SlotThread), string(chat.SlotThreadPrivate), string(chat.SlotPrivate),
	string(chat.SlotDirect), string(chat.SlotEdit), string(chat.SlotSettle), string(chat.SlotProgress),
}

// HTTPClient returns the client for calls to a platform, with a span for each that is made
// for a job; nil, which stands for the adapter's own, without traces.
func (t *Traces) HTTPClient(p chat.Platform) *http.Client {
	if t == nil {
		return nil
	}
	c := kit.HTTPClient(nil)
	c.Transport = requesting{c.Transport, t, p}
	return c
}

type requesting struct {
	http.RoundTripper
	t        *Traces
	platform chat.Platform
}

func (r requesting) RoundTrip(req *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(req.Context()).IsValid() {
		return r.RoundTripper.RoundTrip(req)
	}
	if h, ok := req.Context().Value(heldKey{}).(*held); ok {
		h.once.Do(func() { h.span.SetAttributes(heldAttr.Int64(time.Since(h.began).Milliseconds())) })
	}
	_, span := r.t.tracer.Start(req.Context(), string(r.platform)+" request", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(platformAttr.String(string(r.platform))))
	defer span.End()
	resp, err := r.RoundTripper.RoundTrip(req)
	if err != nil {
		failed(span, "transport", true)
		return resp, err
	}
	span.SetAttributes(statusAttr.Int(resp.StatusCode))
	failed(span, fmt.Sprintf("http_%d", resp.StatusCode), resp.StatusCode >= http.StatusBadRequest)
	return resp, err
}

// held is a delivery until its first request: so long the platform's limits held it back.
type held struct {
	began time.Time
	span  trace.Span
	once  sync.Once
}

type heldKey struct{}

// Providers returns the providers with a span for each call that is made for a job.
func (t *Traces) Providers(all map[meeting.Provider]commands.Provider) map[meeting.Provider]commands.Provider {
	if t == nil {
		return all
	}
	wrapped := make(map[meeting.Provider]commands.Provider, len(all))
	for name, p := range all {
		base := calling{p, caller{t, name}}
		pushes, hasPushes := p.(pusher)
		starts, hasStarts := p.(starter)
		switch {
		case hasPushes && hasStarts:
			wrapped[name] = struct {
				calling
				pushing
				starting
			}{base, pushing{pushes, base.caller}, starting{starts, base.caller}}
		case hasPushes:
			wrapped[name] = struct {
				calling
				pushing
			}{base, pushing{pushes, base.caller}}
		case hasStarts:
			wrapped[name] = struct {
				calling
				starting
			}{base, starting{starts, base.caller}}
		default:
			wrapped[name] = base
		}
	}
	return wrapped
}

// What only some providers can do. Package commands finds it by the methods.
type (
	pusher interface {
		ByCode(ctx context.Context, account, code string) (meeting.Meeting, error)
		SetPush(ctx context.Context, account, id string, target meeting.PushTarget) error
		Pushes(ctx context.Context, account, id string) ([]meeting.PushTarget, error)
	}
	starter interface {
		StartURL(ctx context.Context, id string) (secret.String, error)
	}
)

type caller struct {
	t    *Traces
	name meeting.Provider
}

// call makes a call within a span.
func (c caller) call(ctx context.Context, op string, f func(context.Context) error) {
	if !trace.SpanContextFromContext(ctx).IsValid() { // of no job
		_ = f(ctx)
		return
	}
	name := string(c.name)
	ctx, span := c.t.tracer.Start(ctx, name+" "+op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(providerAttr.String(name)))
	defer span.End()
	err := f(ctx)
	failed(span, commands.ErrorKind(err), err != nil)
}

type calling struct {
	p commands.Provider
	caller
}

func (c calling) Create(ctx context.Context, want meeting.Instant) (m meeting.Meeting, err error) {
	c.call(ctx, "create", func(ctx context.Context) error { m, err = c.p.Create(ctx, want); return err })
	return m, err
}

func (c calling) Get(ctx context.Context, account, id string) (m meeting.Meeting, err error) {
	c.call(ctx, "get", func(ctx context.Context) error { m, err = c.p.Get(ctx, account, id); return err })
	return m, err
}

func (c calling) List(ctx context.Context, account, userKey string) (all []meeting.Meeting, err error) {
	c.call(ctx, "list", func(ctx context.Context) error { all, err = c.p.List(ctx, account, userKey); return err })
	return all, err
}

func (c calling) End(ctx context.Context, account, id string) (err error) {
	c.call(ctx, "end", func(ctx context.Context) error { err = c.p.End(ctx, account, id); return err })
	return err
}

type pushing struct {
	p pusher
	c caller
}

func (p pushing) ByCode(ctx context.Context, account, code string) (m meeting.Meeting, err error) {
	p.c.call(ctx, "by_code", func(ctx context.Context) error { m, err = p.p.ByCode(ctx, account, code); return err })
	return m, err
}

func (p pushing) SetPush(ctx context.Context, account, id string, target meeting.PushTarget) (err error) {
	p.c.call(ctx, "set_push", func(ctx context.Context) error { err = p.p.SetPush(ctx, account, id, target); return err })
	return err
}

func (p pushing) Pushes(ctx context.Context, account, id string) (all []meeting.PushTarget, err error) {
	p.c.call(ctx, "pushes", func(ctx context.Context) error { all, err = p.p.Pushes(ctx, account, id); return err })
	return all, err
}

type starting struct {
	p starter
	c caller
}

func (s starting) StartURL(ctx context.Context, id string) (link secret.String, err error) {
	s.c.call(ctx, "start_url", func(ctx context.Context) error { link, err = s.p.StartURL(ctx, id); return err })
	return link, err
}
