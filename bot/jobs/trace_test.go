package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// traces keeps the spans that its tracer makes.
type traces struct {
	*tracetest.InMemoryExporter
	trace.Tracer
}

func newTraces(t testing.TB, options ...sdktrace.TracerProviderOption) traces {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(spans), sdktrace.WithIDGenerator(ids{t}))...)
	return traces{spans, provider.Tracer("test")}
}

// ids uses the job's IDs for root spans, and requires that there are no others.
type ids struct{ t testing.TB }

func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	traceID, span, ok := RootIDs(ctx)
	assert.True(i.t, ok, "a root span of no job")
	return traceID, span
}

func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	n := newNonce()
	for i := range id {
		id[i] = byte(n >> (8 * i))
	}
	return id
}

// lines are the spans in the order of their ends, one line each.
func (s traces) lines() []string {
	all := s.GetSpans()
	names := map[trace.SpanID]string{}
	for _, span := range all {
		names[span.SpanContext.SpanID()] = span.Name + " > "
	}
	lines := make([]string, len(all))
	for i, span := range all {
		var b strings.Builder
		b.WriteString(names[span.Parent.SpanID()] + span.Name)
		for _, a := range span.Attributes {
			key := strings.TrimPrefix(string(a.Key), "meetbot.")
			if key != "job" && key != "command" {
				fmt.Fprintf(&b, " %s=%s", key, a.Value.String())
			}
		}
		if span.Status.Code == codes.Error {
			fmt.Fprintf(&b, " status=%s", span.Status.Description)
		}
		if len(span.Links) > 0 {
			b.WriteString(" linked to " + strings.TrimSuffix(names[span.Links[0].SpanContext.SpanID()], " > "))
		}
		lines[i] = b.String()
	}
	return lines
}

// together opens a store in a bubble and lets f use it while it runs.
func together(t *testing.T, cfg Config, h *script, f func(t *testing.T, s *Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		defer run(t, s, h)()
		f(t, s)
	})
}

func TestAJobIsOneTrace(t *testing.T) {
	spans := newTraces(t)
	var s *Store
	first := true
	h := &script{
		next: func(ctx context.Context, j *Job) (Next, error) {
			assert.Equal(t, j.ID, JobIn(ctx))
			if j.Label == "own" {
				return Deliver(), nil
			}
			if j.State == Accepted {
				_, err := s.Enqueue(ctx, Job{ID: "own", Label: "own"})
				require.NoError(t, err)
				return MakeCall(), nil
			}
			j.Outcome, j.Outbox = "made", make([]Delivery, 3)
			return Deliver(), nil
		},
		call: func(ctx context.Context, j *Job) error {
			assert.Equal(t, "wish", JobIn(ctx))
			if j.Attempt == 0 {
				return ErrNotSent
			}
			return ErrUnknown
		},
		reconcile: func(ctx context.Context, _ *Job) error { assert.Equal(t, "wish", JobIn(ctx)); return nil },
		notice:    func(ctx context.Context, _ *Job) { assert.Equal(t, "wish", JobIn(ctx)) },
		deliver: func(ctx context.Context, j *Job) error {
			assert.Equal(t, "wish", JobIn(ctx))
			switch {
			case first:
				first = false
				return errors.New("not now")
			case j.Delivery == 1:
				return ErrSkip
			case j.Delivery == 2:
				return ErrLost
			}
			return nil
		},
		ended: func(ctx context.Context, j *Job) {
			assert.Equal(t, j.ID, JobIn(ctx))
			if j.ID == "wish" {
				assert.Equal(t, TraceID("wish"), trace.SpanContextFromContext(ctx).TraceID().String())
			}
		},
	}
	together(t, Config{Tracer: spans}, h, func(t *testing.T, store *Store) {
		s = store
		_, err := s.Enqueue(t.Context(), Job{ID: "wish", Label: "meet", Source: "somewhere"})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		_, err = s.Enqueue(t.Context(), Job{ID: "wish", Label: "meet", Source: "somewhere"})
		require.ErrorIs(t, err, ErrDuplicate)
	})
	var lines []string
	for i, line := range spans.lines() {
		want := "wish"
		if strings.HasPrefix(line, "own") {
			want = "own"
		}
		span := spans.GetSpans()[i]
		assert.Equal(t, TraceID(want), span.SpanContext.TraceID().String(), line)
		assert.False(t, span.EndTime.Before(span.StartTime), line)
		attrs := map[string]string{}
		for _, a := range span.Attributes {
			attrs[string(a.Key)] = a.Value.String()
		}
		assert.Equal(t, want, attrs["meetbot.job"], line)
		assert.Contains(t, []string{"meet", "own"}, attrs["meetbot.command"], line)
		lines = append(lines, line)
	}
	assert.ElementsMatch(t, []string{
		"meet > receive platform=somewhere result=ok",
		"meet > queue",
		"own > enqueue result=ok linked to decide",
		"meet > decide state=accepted attempt=0 result=ok",
		"meet > call call=0 attempt=0 result=not_sent error.type=not_sent status=not_sent",
		"meet > call call=0 attempt=1 result=unknown error.type=unknown status=unknown",
		"meet > notice result=ok",
		"meet > look up call=0 attempt=0 result=found",
		"meet > decide state=called attempt=0 result=ok",
		"meet > deliver delivery=0 attempt=0 result=failed error.type=failed status=failed",
		"meet > deliver delivery=0 attempt=1 result=sent",
		"meet > deliver delivery=1 attempt=0 result=skipped",
		"meet > deliver delivery=2 attempt=0 result=lost error.type=lost status=lost",
		"meet error.type=undeliverable outcome=made state=undeliverable platform=somewhere status=undeliverable",
		"meet > receive platform=somewhere result=duplicate",
		"own > queue",
		"own > decide state=accepted attempt=0 result=ok",
		"own outcome=none state=done",
	}, lines)
}

func TestALateSuccessIsInTheTrace(t *testing.T) {
	spans := newTraces(t)
	inBubble(t, Config{Tracer: spans, ReconcileWindow: time.Second}, &script{
		call: func(context.Context, *Job) error { time.Sleep(10 * time.Minute); return nil },
		late: func(context.Context, *Job, *Job) bool { return true },
	})
	lines := spans.lines()
	assert.Contains(t, lines, "test > look up call=0 attempt=0 result=unknown error.type=unknown status=unknown")
	assert.Contains(t, lines, "test > late success call=0 result=ok")
	roots := map[string]bool{}
	for _, s := range spans.GetSpans() {
		if !s.Parent.IsValid() {
			roots[s.SpanContext.SpanID().String()] = true
		}
	}
	assert.Len(t, roots, 1, "a job that ends twice has one root, with a later end")
}

func TestHowAStepEndedIsOneWord(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("canary: %w", err) }
	other := errors.New("canary")
	for _, tt := range []struct {
		step activity
		err  error
		want string
		fine bool
	}{
		{deciding, nil, "ok", true},
		{deciding, other, "failed", false},
		{making, nil, "ok", true},
		{making, wrapped(ErrNotSent), "not_sent", false},
		{making, wrapped(ErrUnknown), "unknown", false},
		{making, other, "refused", false},
		{lookingUp, nil, "found", true},
		{lookingUp, wrapped(ErrAbsent), "absent", true},
		{lookingUp, wrapped(ErrUnknown), "unknown", false},
		{lookingUp, other, "failed", false},
		{correcting, nil, "ok", true},
		{noticing, nil, "ok", true},
		{delivering, nil, "sent", true},
		{delivering, wrapped(ErrSkip), "skipped", true},
		{delivering, wrapped(ErrLost), "lost", false},
		{delivering, other, "failed", false},
		{receiving, nil, "ok", true},
		{receiving, ErrDuplicate, "duplicate", true},
		{receiving, wrapped(ErrFull), "full", false},
		{receiving, wrapped(ErrBusy), "busy", false},
		{receiving, wrapped(ErrStopping), "stopping", false},
		{receiving, wrapped(ErrNotConfirmed), "not_confirmed", false},
		{receiving, other, "error", false},
	} {
		r := tt.step.result(tt.err)
		assert.Equal(t, tt.want, r.word, "%s: %v", tt.step.name, tt.err)
		assert.Equal(t, tt.fine, !r.failed, "%s: %v", tt.step.name, tt.err)
	}
	spans := newTraces(t)
	s := closing(t, memory(t, Config{Tracer: spans}))
	for _, step := range []activity{deciding, making, lookingUp, correcting, delivering, noticing} {
		err := s.handle(t.Context(), &Job{ID: "x", Outbox: []Delivery{{}}}, &step, func(context.Context) error { panic("canary") })
		require.ErrorIs(t, err, ErrUnknown)
	}
	lines := spans.lines()
	require.Len(t, lines, 6)
	for _, line := range lines {
		assert.Contains(t, line, "result=panic error.type=panic status=panic")
		assert.NotContains(t, line, "canary")
	}
}

func memory(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := OpenMemory(cfg)
	require.NoError(t, err)
	return s
}

func TestWhatWasNotWrittenDownIsATraceOfItsOwn(t *testing.T) {
	spans := newTraces(t)
	s := memory(t, Config{Tracer: spans})
	require.NoError(t, s.Close())
	_, err := s.Enqueue(t.Context(), Job{ID: "x", Label: "meet", Source: "somewhere"})
	require.ErrorIs(t, err, ErrStopping)
	assert.Equal(t, []string{
		"meet > receive platform=somewhere result=stopping error.type=stopping status=stopping",
		"meet error.type=stopping status=stopping",
	}, spans.lines())
}

func TestTracesAreSampledWhole(t *testing.T) {
	sampler := sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5)))
	counts := map[trace.TraceID]int{}
	for range 2 { // two processes, which have to agree
		spans := newTraces(t, sampler)
		s := closing(t, memory(t, Config{Tracer: spans}))
		for i := range 26 {
			j := &Job{ID: string(rune('a' + i)), Created: time.Now()}
			for range 2 {
				require.NoError(t, s.handle(t.Context(), j, &making, func(context.Context) error { return nil }))
			}
		}
		for _, span := range spans.GetSpans() {
			counts[span.SpanContext.TraceID()]++
		}
	}
	assert.Greater(t, len(counts), 2)
	assert.Less(t, len(counts), 24)
	for _, n := range slices.Collect(maps.Values(counts)) {
		assert.Equal(t, 4, n, "all of a trace or none of it")
	}
}

func TestStepsAllocateNothingForTracesThatAreOff(t *testing.T) {
	s := closing(t, memory(t, Config{}))
	j := &Job{ID: "0123456789", Label: "meet", State: Accepted, Outbox: []Delivery{{}}}
	step := func(context.Context) error { return nil }
	ctx := t.Context()
	named := testing.AllocsPerRun(100, func() { _ = guarded(WithJob(ctx, j.ID), step) })
	for _, a := range []activity{deciding, making, lookingUp, correcting, delivering, noticing} {
		assert.Equal(t, named, testing.AllocsPerRun(100, func() { s.queued(j); _ = s.handle(ctx, j, &a, step) }), a.name)
	}
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprint(i))
	}
	enqueue := func(f func(context.Context, Job) (Job, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			_, err := f(ctx, Job{ID: ids[0], Label: "meet"})
			require.NoError(t, err)
			ids = ids[1:]
		})
	}
	bare, traced := math.Inf(1), math.Inf(1)
	for range 3 { // the maps of what is under way grow now and then
		bare, traced = min(bare, enqueue(s.enqueue)), min(traced, enqueue(func(ctx context.Context, j Job) (Job, error) { return s.receive(ctx, j, s.enqueue) }))
	}
	assert.InDelta(t, bare, traced, 1)
}

func TestAnAnswerIsObservedOnce(t *testing.T) {
	for _, tt := range []struct {
		name      string
		call      error
		reconcile error
		n         int // of the call
		want      int
	}{
		{"Made", nil, nil, 0, 1},
		{"ARefusalIsAnAnswer", errors.New("no"), nil, 0, 1},
		{"LookedUp", ErrUnknown, nil, 0, 1},
		{"NeverFoundOut", ErrUnknown, ErrUnknown, 0, 0},
		{"NotSent", ErrNotSent, nil, 0, 0},
		{"OnlyTheFirstCallCounts", nil, nil, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := 0
			inBubble(t, Config{Observer: Observer{Answered: func(label string, since time.Time) {
				answers++
				assert.Equal(t, "test", label)
				assert.False(t, since.IsZero())
			}}}, &script{
				next: func(_ context.Context, j *Job) (Next, error) {
					j.Call = tt.n
					return oneCall(j), nil
				},
				call:      func(context.Context, *Job) error { return tt.call },
				reconcile: func(context.Context, *Job) error { return tt.reconcile },
			})
			assert.Equal(t, tt.want, answers)
		})
	}
}
