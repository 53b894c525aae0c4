package commands

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/jobs"
	"meetbot/meeting"
)

// spansBelow keeps those that are made below the span in the returned context.
func spansBelow(t *testing.T) (ctx context.Context, ended func() tracetest.SpanStubs) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	ctx, span := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)).Tracer("test").Start(t.Context(), "above")
	return ctx, func() tracetest.SpanStubs {
		span.End()
		return kept.GetSpans()
	}
}

func attrsOf(s tracetest.SpanStub) map[string]string {
	attrs := map[string]string{}
	for _, a := range s.Attributes {
		attrs[string(a.Key)] = a.Value.String()
	}
	return attrs
}

// roomySystec says before that a meeting can be made.
type roomySystec struct{ fakeSystec }

func (roomySystec) CanCreate(context.Context, meeting.Instant, time.Time) error { return nil }

// startedTencent has a live that can be started and stopped.
type startedTencent struct{ fakeTencent }

func (startedTencent) StartLive(context.Context, string, string, string) error { return nil }
func (startedTencent) StopLive(context.Context, string, string) error          { return nil }

func TestCallsToAProviderAreSpansOfWhatTheyAreMadeFor(t *testing.T) {
	sys, ten := newFake("systec"), newFake("tencent")
	c := clients{all: map[meeting.Provider]Provider{"systec": roomySystec{fakeSystec{sys}}, "tencent": startedTencent{fakeTencent{ten}}}}
	ten.viewers = map[string]int{"806146601": 1, "806146602": 1}
	every := func(ctx context.Context) {
		s, p := c.of("systec"), c.of("tencent")
		m, err := s.Create(ctx, meeting.Instant{Topic: "canary"})
		require.NoError(t, err)
		_ = s.CanCreate(ctx, meeting.Instant{}, time.Now())
		_, _ = s.Get(ctx, "", m.Ref.ID)
		_, _ = s.Poll(ctx, "", m.Ref.ID)
		_, _ = s.List(ctx, "", "")
		_ = s.End(ctx, "", m.Ref.ID)
		_, _ = s.StartURL(ctx, m.Ref.ID)
		m, err = p.Create(ctx, meeting.Instant{Topic: "canary"})
		require.NoError(t, err)
		_, _ = p.ByCode(ctx, "", m.Code)
		_ = p.SetPush(ctx, "", m.Ref.ID, meeting.PushTarget{Name: "canary"})
		_, _ = p.Pushes(ctx, "", m.Ref.ID)
		_, err = p.Viewers(ctx, "", m.Ref.ID)
		require.NoError(t, err)
		_, _ = p.Recordings(ctx, "", m.Ref.ID)
		_, _ = p.Replays(ctx, "", m.Ref.ID)
		_, _, _ = p.Participants(ctx, "", m.Ref.ID)
		_ = p.StartLive(ctx, "", m.Ref.ID, "canary")
		_ = p.StopLive(ctx, "", m.Ref.ID)
		_, err = c.of("gone").Get(ctx, "", "canary")
		require.ErrorIs(t, err, errNotSetUp)
	}
	every(t.Context()) // of no job
	ctx, ended := spansBelow(t)
	every(ctx)
	var names []string
	for _, s := range ended() {
		if s.Name == "above" {
			continue
		}
		names = append(names, s.Name)
		assert.Equal(t, codes.Unset, s.Status.Code, s.Name)
		assert.Equal(t, "client", s.SpanKind.String())
		assert.True(t, s.Parent.IsValid())
		assert.Contains(t, []map[string]string{{"meetbot.provider": "systec"}, {"meetbot.provider": "tencent"}}, attrsOf(s))
	}
	assert.Equal(t, []string{
		"systec create", "systec can_create", "systec get", "systec poll", "systec list", "systec end", "systec start_url",
		"tencent create", "tencent by_code", "tencent set_push", "tencent pushes", "tencent viewers", "tencent recordings", "tencent replays", "tencent participants", "tencent start_live", "tencent stop_live",
	}, names)
	for _, op := range Operations() {
		assert.True(t, slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, " "+op.String()) }), op)
	}
}

// The kinds of errors are the metrics' own, so that one leads to the other.
func TestKindsOfErrorsInTracesAreThoseOfTheMetrics(t *testing.T) {
	for _, k := range errorKinds {
		kindOfSpan(t, refusal(k.err, ""), k.kind)
	}
	kindOfSpan(t, errors.New("canary"), kindInternal)
}

func kindOfSpan(t *testing.T, err error, want string) {
	t.Helper()
	fake := newFake("systec")
	fake.fail = func(string) error { return err }
	observed := ""
	c := clients{
		all:     map[meeting.Provider]Provider{"systec": fake},
		observe: func(_ meeting.Provider, _, kind string, _ time.Duration) { observed = kind },
	}
	ctx, ended := spansBelow(t)
	require.ErrorIs(t, c.of("systec").End(ctx, "", "1"), err)
	span := ended()[0]
	assert.Equal(t, want, observed)
	assert.Equal(t, want, span.Status.Description)
	assert.Equal(t, want, attrsOf(span)["error.type"])
}

func TestASpanSaysWhatWasPostedAndHowTheCommandEnded(t *testing.T) {
	ctx, ended := spansBelow(t)
	_, err := post(ctx, &room{}, chat.Post{Slot: chat.SlotThread, Place: chat.Place{Platform: chattest.Slack, Channel: "canary"}})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"meetbot.platform": "slack", "meetbot.delivery.slot": "thread"}, attrsOf(ended()[0]))

	for _, o := range Outcomes() {
		ctx, ended := spansBelow(t)
		new(Bot).Ended(ctx, &jobs.Job{Outcome: o.String(), Data: []byte("of another version")})
		span := ended()[0]
		want := map[Outcome]bool{outcomeUnknown: true, outcomeInternal: true, outcomeUnreadable: true}[o]
		assert.Equal(t, want, span.Status.Code == codes.Error, o)
		if want {
			assert.Equal(t, o.String(), attrsOf(span)["error.type"])
		}
	}
	new(Bot).Ended(t.Context(), &jobs.Job{Outcome: outcomeInternal.String()})
}
