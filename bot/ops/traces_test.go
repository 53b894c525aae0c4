package ops_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/config"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// collector stands for OpenTelemetry's.
type collector struct {
	*httptest.Server
	status atomic.Int64 // what it answers; 0: 200

	mu       sync.Mutex
	raw      []byte
	headers  []http.Header
	spans    []*tracepb.Span
	resource map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{resource: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v1/traces", r.URL.Path)
		assert.Equal(t, "application/x-protobuf", r.Header.Get("Content-Type"))
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			zr, err := gzip.NewReader(body)
			if !assert.NoError(t, err) {
				return
			}
			body = zr
		}
		raw, err := io.ReadAll(body)
		assert.NoError(t, err)
		var data tracepb.TracesData
		assert.NoError(t, proto.Unmarshal(raw, &data))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.headers = append(c.headers, r.Header)
		if status := int(c.status.Load()); status != 0 {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, canary)
			return
		}
		c.raw = append(c.raw, raw...)
		for _, rs := range data.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				c.resource[a.Key] = a.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// config returns the configuration that sends to c.
func (c *collector) config(t *testing.T, pairs ...string) config.OTEL {
	t.Helper()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	cfg, err := config.Load(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	require.NoError(t, err)
	return cfg.OTEL
}

func (c *collector) traces(t *testing.T, log io.Writer, pairs ...string) *ops.Traces {
	t.Helper()
	traces, err := ops.NewTraces(t.Context(), c.config(t, pairs...), "v1.2.3", slog.New(slog.NewTextHandler(log, nil)), chattest.Slack, chattest.Discord, chattest.Console)
	require.NoError(t, err)
	t.Cleanup(func() { _ = traces.Close(time.Millisecond) })
	return traces
}

// tree returns what was received as "parent > name" with the span's attributes, and the
// IDs of the traces.
func (c *collector) tree(t *testing.T) (edges map[string]map[string]string, ids []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string]string{"": ""}
	for _, s := range c.spans {
		names[string(s.SpanId)] = s.Name
		if id := hex.EncodeToString(s.TraceId); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	edges = map[string]map[string]string{}
	for _, s := range c.spans {
		parent, ok := names[string(s.ParentSpanId)]
		require.True(t, ok, "the parent of %q was not sent", s.Name)
		attrs := map[string]string{}
		for _, a := range s.Attributes {
			attrs[a.Key] = valueOf(a.Value)
		}
		if s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			attrs["status"] = s.Status.Message
		}
		assert.LessOrEqual(t, s.StartTimeUnixNano, s.EndTimeUnixNano, s.Name)
		edges[parent+" > "+s.Name] = attrs
	}
	return edges, ids
}

func valueOf(v *commonpb.AnyValue) string {
	if n, ok := v.Value.(*commonpb.AnyValue_IntValue); ok {
		return string(rune('0' + n.IntValue%10))
	}
	return v.GetStringValue()
}

// cloud is a provider that can do everything, and refuses to end.
type cloud struct{ commands.Provider }

func (cloud) Create(context.Context, meeting.Instant) (meeting.Meeting, error) {
	return meeting.Meeting{Topic: canary}, nil
}
func (cloud) Get(context.Context, string, string) (meeting.Meeting, error) {
	return meeting.Meeting{}, nil
}
func (cloud) List(context.Context, string, string) ([]meeting.Meeting, error) { return nil, nil }
func (cloud) End(context.Context, string, string) error {
	return &meeting.APIError{Op: canary, Err: meeting.ErrNotPermitted}
}
func (cloud) ByCode(context.Context, string, string) (meeting.Meeting, error) {
	return meeting.Meeting{}, nil
}
func (cloud) SetPush(context.Context, string, string, meeting.PushTarget) error { return nil }
func (cloud) Pushes(context.Context, string, string) ([]meeting.PushTarget, error) {
	return nil, nil
}
func (cloud) StartURL(context.Context, string) (secret.String, error) {
	return secret.New(canary), errors.New(canary)
}

// chatRoom is a platform; it is asked over HTTP.
type chatRoom struct {
	http *http.Client
	url  string
}

func (c chatRoom) Post(ctx context.Context, _ chat.Post) (chat.Receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+canary, strings.NewReader(canary))
	if err != nil {
		return chat.Receipt{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return chat.Receipt{}, err
	}
	return chat.Receipt{}, resp.Body.Close()
}

func (chatRoom) Profile(context.Context, chat.Place, string) (chat.Profile, error) {
	return chat.Profile{}, nil
}
func (chatRoom) InGroup(context.Context, chat.Place, string, string) (bool, error) {
	return false, nil
}

// promise makes one call and two deliveries.
type promise struct {
	jobs.Handler
	provider commands.Provider
	poster   chat.Poster
	observe  commands.Observer
	notSent  bool // the first try of the call leaves nothing
	died     chan struct{}
	ended    chan struct{}
}

func (p *promise) Next(_ context.Context, j *jobs.Job) (jobs.Next, error) {
	if j.State == jobs.Accepted {
		return jobs.MakeCall(), nil
	}
	j.Outcome = "created"
	j.Outbox = []jobs.Delivery{{Body: []byte(canary)}, {Body: []byte(canary)}}
	return jobs.Deliver(), nil
}

func (p *promise) Call(ctx context.Context, j *jobs.Job) error {
	if p.notSent {
		if j.Attempt == 0 {
			return jobs.ErrNotSent
		}
		close(p.died)
		<-ctx.Done()
		return jobs.ErrNotSent
	}
	_, err := p.provider.Create(ctx, meeting.Instant{Topic: canary})
	_ = p.provider.End(ctx, canary, canary)
	return err
}

func (p *promise) Reconcile(ctx context.Context, _ *jobs.Job) error {
	_, err := p.provider.List(ctx, "", "")
	return err
}

func (p *promise) Deliver(ctx context.Context, j *jobs.Job) error {
	if j.Delivery == 1 {
		return jobs.ErrSkip
	}
	_, err := p.poster.Post(ctx, chat.Post{Slot: chat.SlotRoot, Place: chat.Place{Platform: chattest.Slack, Channel: canary}, Reply: chat.Reply{Text: canary}})
	return err
}

func (p *promise) Ended(j *jobs.Job) {
	p.observe.Finished(chattest.Slack, grammar.Verb(j.Label), j.Outcome, j.Created)
}
func (p *promise) Notice(context.Context, *jobs.Job) {}

// acceptor writes each request down as a job.
type acceptor struct {
	chat.Bot
	store commands.Store
}

func (a acceptor) Accept(ctx context.Context, d chat.Decision) chat.Acceptance {
	_, err := a.store.Enqueue(ctx, jobs.Job{ID: d.Request.ID, Label: string(grammar.AskOf(d).Verb), Data: []byte(canary)})
	return chat.Acceptance{Duplicate: errors.Is(err, jobs.ErrDuplicate)}
}

// process is one process of the bot with traces.
type process struct {
	*promise
	store *jobs.Store
	bot   chat.Bot
	stop  func()
}

func begin(t *testing.T, traces *ops.Traces, dir string, p *promise) process {
	t.Helper()
	p.ended, p.died = make(chan struct{}, 10), make(chan struct{})
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(platform.Close)
	store, err := jobs.Open(t.Context(), jobs.Config{
		Dir: dir, Grace: time.Millisecond, ReconcileAfter: time.Millisecond,
		Observer: jobs.Observer{Transition: func(_ string, _, to jobs.State) {
			if to.Finished() {
				p.ended <- struct{}{}
			}
		}},
	})
	require.NoError(t, err)
	p.provider = traces.Providers(map[meeting.Provider]commands.Provider{"systec": cloud{}})["systec"]
	client := traces.HTTPClient(chattest.Slack)
	if client == nil {
		client = platform.Client()
	}
	p.poster = traces.Poster(chatRoom{client, platform.URL})
	p.observe = traces.Commands(commands.Observer{Finished: func(chat.Platform, grammar.Verb, string, time.Time) {}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx, ops.NewMetrics("test", bothProviders).Handler(traces.Handler(p))) }()
	stop := sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
		assert.NoError(t, store.Close())
	})
	t.Cleanup(stop)
	return process{p, store, traces.Bot(acceptor{store: traces.Store(store)}), stop}
}

func (p process) accept(t *testing.T, id string) chat.Acceptance {
	t.Helper()
	return p.bot.Accept(t.Context(), chat.Decision{
		Request: chat.Request{ID: id, User: chat.User{ID: canary, Name: canary}, Place: chat.Place{Platform: chattest.Slack}},
		Ask:     &grammar.Ask{Verb: grammar.VerbMeet},
	})
}

func (p process) await(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the job does not end")
	}
}

func TestACommandIsOneTrace(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
	var log bytes.Buffer
	traces := c.traces(t, &log, "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%20"+canary)
	p := begin(t, traces, t.TempDir(), &promise{})
	assert.False(t, p.accept(t, "wish-1").Duplicate)
	p.await(t)
	assert.True(t, p.accept(t, "wish-1").Duplicate)
	p.stop()
	require.NoError(t, traces.Close(10*time.Second))

	edges, ids := c.tree(t)
	assert.Equal(t, []string{ops.TraceID("wish-1")}, ids)
	assert.ElementsMatch(t, []string{
		" > meet", "meet > receive", "meet > queue", "meet > decide", "meet > call", "call > systec create", "call > systec end",
		"meet > deliver", "deliver > slack request",
	}, slices.Collect(maps.Keys(edges)))
	assert.Equal(t, map[string]string{
		"meetbot.job": "wish-1", "meetbot.command": "meet", "meetbot.platform": "slack", "meetbot.outcome": "created", "meetbot.state": "done",
	}, edges[" > meet"])
	assert.Equal(t, "slack", edges["meet > receive"]["meetbot.platform"])
	assert.Equal(t, "duplicate", edges["meet > receive"]["meetbot.result"], "the second time")
	assert.Equal(t, "ok", edges["meet > call"]["meetbot.result"])
	assert.NotContains(t, edges["call > systec create"], "status")
	assert.Equal(t, "not_permitted", edges["call > systec end"]["status"])
	assert.Equal(t, "not_permitted", edges["call > systec end"]["error.type"])
	assert.Equal(t, "skipped", edges["meet > deliver"]["meetbot.result"], "the second one")
	assert.Equal(t, "4", edges["deliver > slack request"]["http.response.status_code"], "204, by its last digit")
	for _, s := range c.spans {
		if s.Name == "deliver" && strings.Contains(s.String(), `"sent"`) {
			assert.Contains(t, s.String(), "meetbot.delivery.held_ms")
			assert.Contains(t, s.String(), `"root"`)
		}
	}
	assert.Equal(t, "meetbot", c.resource["service.name"])
	assert.Equal(t, "v1.2.3", c.resource["service.version"])
	assert.Equal(t, "prod", c.resource["deployment.environment.name"])
	assert.Contains(t, c.resource, "service.instance.id")
	assert.Equal(t, "k "+canary, c.headers[0].Get("Api-Key"))
	assert.NotContains(t, string(c.raw), canary)
	assert.Empty(t, log.String())
}

func TestAnotherProcessGoesOnWithTheTrace(t *testing.T) {
	c := newCollector(t)
	dir := t.TempDir()
	first := c.traces(t, io.Discard)
	p := begin(t, first, dir, &promise{notSent: true})
	p.accept(t, "wish-1")
	select {
	case <-p.died: // the second try of the call
	case <-time.After(20 * time.Second):
		require.Fail(t, "the call is not tried again")
	}
	p.stop()
	require.NoError(t, first.Close(10*time.Second))
	c.mu.Lock()
	for _, s := range c.spans {
		assert.NotEqual(t, "meet", s.Name, "the root is sent when it is over")
	}
	before := len(c.spans)
	c.mu.Unlock()
	assert.NotZero(t, before)

	second := c.traces(t, io.Discard)
	q := begin(t, second, dir, &promise{})
	q.await(t)
	q.stop()
	require.NoError(t, second.Close(10*time.Second))
	edges, ids := c.tree(t)
	assert.Equal(t, []string{ops.TraceID("wish-1")}, ids)
	assert.Contains(t, edges, " > meet")
	assert.Contains(t, edges, "meet > receive")
	assert.Contains(t, edges, "meet > deliver")
}

func TestWhatWasNotWrittenDownIsATraceOfItsOwn(t *testing.T) {
	c := newCollector(t)
	traces := c.traces(t, io.Discard)
	p := begin(t, traces, t.TempDir(), &promise{})
	p.stop()
	p.accept(t, "wish-1")
	require.NoError(t, traces.Close(10*time.Second))
	edges, _ := c.tree(t)
	assert.Equal(t, "stopping", edges[" > meet"]["status"])
	assert.Equal(t, "stopping", edges["meet > receive"]["status"])
}

func TestTracesAreSampledWhole(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
	c := newCollector(t)
	seen := map[int]int{} // spans of a trace: traces
	for range 2 {         // two processes, which have to agree
		traces := c.traces(t, io.Discard)
		h := traces.Handler(handler{})
		for _, id := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			j := &jobs.Job{ID: id, Label: "meet", State: jobs.Done, Created: time.Now(), Outbox: []jobs.Delivery{{}}}
			_ = h.Call(t.Context(), j)
			_ = h.Reconcile(t.Context(), j)
		}
		require.NoError(t, traces.Close(10*time.Second))
	}
	spans := map[string]int{}
	for _, s := range c.spans {
		spans[string(s.TraceId)]++
	}
	for _, n := range spans {
		seen[n]++
	}
	assert.Equal(t, []int{4}, slices.Collect(maps.Keys(seen)), "all of a trace or none of it")
	assert.Greater(t, len(spans), 2)
	assert.Less(t, len(spans), 24)
}

func TestACollectorThatIsDownChangesNothing(t *testing.T) {
	for name, down := range map[string]func(*collector){
		"Unreachable": func(c *collector) { c.Close() },
		"Refuses":     func(c *collector) { c.status.Store(http.StatusUnauthorized) },
		"Overloaded":  func(c *collector) { c.status.Store(http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t)
			down(c)
			var log adaptertest.Log
			traces := c.traces(t, &log, "OTEL_EXPORTER_OTLP_HEADERS", "api-key="+canary)
			p := begin(t, traces, t.TempDir(), &promise{})
			for i := range 5 {
				p.accept(t, "wish-"+string(rune('a'+i)))
			}
			for range 5 {
				p.await(t)
			}
			p.stop()
			closed := make(chan error, 1)
			go func() { closed <- traces.Close(200 * time.Millisecond) }()
			select {
			case err := <-closed:
				assert.True(t, err != nil || strings.Contains(log.String(), "traces are not delivered"), "it is said")
			case <-time.After(10 * time.Second):
				require.Fail(t, "the shutdown hangs")
			}
			assert.LessOrEqual(t, strings.Count(log.String(), "traces are not delivered"), 1)
			assert.NotContains(t, log.String(), canary)
			assert.NotContains(t, log.String(), c.URL)
		})
	}
}

func TestAHangingCollectorDoesNotHoldTheShutdown(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-release }))
	defer hanging.Close()
	defer close(release)
	c := &collector{Server: hanging}
	traces := c.traces(t, io.Discard)
	traces.Handler(calls{}).Ended(&jobs.Job{ID: "a", State: jobs.Done, Created: time.Now()})
	closed := make(chan error, 1)
	go func() { closed <- traces.Close(100 * time.Millisecond) }()
	select {
	case <-asked:
		assert.Error(t, <-closed)
	case err := <-closed: // before it was sent
		assert.Error(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing is sent and nothing ends")
	}
}

func TestRefusedSpansAreSaid(t *testing.T) {
	// ExportTraceServiceResponse{partial_success: {rejected_spans: 7, error_message: …}}
	answer := append([]byte{0x0a, byte(4 + len(canary)), 0x08, 7, 0x12, byte(len(canary))}, canary...)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	defer s.Close()
	c := &collector{Server: s}
	err := ops.CheckTraces(t.Context(), c.config(t))
	require.ErrorContains(t, err, "refused 7 spans")
	assert.NotContains(t, err.Error(), canary)
}

func TestTheCollectorIsVerified(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	c := &collector{Server: s}
	assert.Error(t, ops.CheckTraces(t.Context(), c.config(t)), "signed by nobody known")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	assert.NoError(t, ops.CheckTraces(t.Context(), c.config(t, "OTEL_EXPORTER_OTLP_CERTIFICATE", ca)))
	for variable, pairs := range map[string][]string{
		"OTEL_EXPORTER_OTLP_CERTIFICATE":        {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/" + canary},
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", ca, "OTEL_EXPORTER_OTLP_CLIENT_KEY", "/" + canary},
	} {
		_, err := ops.NewTraces(t.Context(), c.config(t, pairs...), "", slog.New(slog.DiscardHandler))
		assert.ErrorContains(t, err, variable)
		assert.NotContains(t, err.Error(), canary)
	}
}

func TestWithoutACollectorNothingIsWrapped(t *testing.T) {
	before := runtime.NumGoroutine()
	traces, err := ops.NewTraces(t.Context(), config.OTEL{}, "", nil)
	require.NoError(t, err)
	require.Nil(t, traces)
	assert.Equal(t, before, runtime.NumGoroutine())
	h, providers, poster := handler{}, map[meeting.Provider]commands.Provider{"systec": cloud{}}, chatRoom{}
	assert.Equal(t, jobs.Handler(h), traces.Handler(h))
	assert.Equal(t, providers, traces.Providers(providers))
	assert.Equal(t, chat.Poster(poster), traces.Poster(poster))
	assert.Nil(t, traces.HTTPClient(chattest.Slack))
	assert.Nil(t, traces.Store(nil))
	assert.Nil(t, traces.Bot(nil))
	assert.Nil(t, traces.Commands(commands.Observer{}).Finished)
	assert.NoError(t, traces.Close(time.Second))
	assert.NoError(t, ops.CheckTraces(t.Context(), config.OTEL{}))
}

func TestLinesAboutAJobNameItsTrace(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(ops.LogHandler(slog.NewTextHandler(&out, nil), true))
	id := ops.TraceID("j1")
	assert.Regexp(t, "^[0-9a-f]{32}$", id)
	assert.NotEqual(t, id, ops.TraceID("j2"))
	for name, say := range map[string]func(){
		"ByItsContext":  func() { log.InfoContext(ops.WithJob(t.Context(), "j1"), "x") },
		"ByItself":      func() { log.InfoContext(ops.WithJob(t.Context(), "j2"), "x", "job", "j1") },
		"ByItsLogger":   func() { log.With("job", "j1").InfoContext(ops.WithJob(t.Context(), "j2"), "x") },
		"ByALaterField": func() { log.With("part", "jobs").Info("x", "label", "meet", "job", "j1") },
	} {
		out.Reset()
		say()
		assert.Equal(t, 1, strings.Count(out.String(), "trace_id="+id), name)
		assert.Equal(t, 1, strings.Count(out.String(), "job=j1"), name)
		assert.NotContains(t, out.String(), "j2", name)
	}
	out.Reset()
	log.Info("of no job")
	assert.NotContains(t, out.String(), "trace_id")
}

// The manual says how a trace is found without a log line.
func TestTheManualFindsTheTrace(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	require.Contains(t, string(manual), "printf meetbot:%s JOB | sha256sum | cut -c 1-32")
	sum := sha256.Sum256([]byte("meetbot:j1"))
	assert.Equal(t, hex.EncodeToString(sum[:])[:32], ops.TraceID("j1"))
}

// What a provider and a platform can do is found by their methods.
func TestWrappedPartsCanDoWhatTheyCould(t *testing.T) {
	traces := newCollector(t).traces(t, io.Discard)
	type pusher interface {
		ByCode(context.Context, string, string) (meeting.Meeting, error)
		SetPush(context.Context, string, string, meeting.PushTarget) error
		Pushes(context.Context, string, string) ([]meeting.PushTarget, error)
	}
	type starter interface {
		StartURL(context.Context, string) (secret.String, error)
	}
	plain := struct{ commands.Provider }{cloud{}}
	pushes := struct {
		commands.Provider
		pusher
	}{cloud{}, cloud{}}
	starts := struct {
		commands.Provider
		starter
	}{cloud{}, cloud{}}
	for _, p := range []commands.Provider{plain, pushes, starts, cloud{}} {
		_, wantPushes := p.(pusher)
		_, wantStarts := p.(starter)
		wrapped := traces.Providers(map[meeting.Provider]commands.Provider{"tencent": p})["tencent"]
		_, gotPushes := wrapped.(pusher)
		_, gotStarts := wrapped.(starter)
		assert.Equal(t, []bool{wantPushes, wantStarts}, []bool{gotPushes, gotStarts}, "%T", p)
	}
	_, ok := traces.Poster(chatRoom{}).(chat.Directory)
	assert.True(t, ok)
	_, ok = traces.Poster(struct{ chat.Poster }{chatRoom{}}).(chat.Directory)
	assert.False(t, ok)
}

// Every call is named, and so is every kind of error, in the words of the metrics.
func TestProviderCallsAreNamed(t *testing.T) {
	c := newCollector(t)
	traces := c.traces(t, io.Discard)
	p := traces.Providers(map[meeting.Provider]commands.Provider{"systec": cloud{}})["systec"]
	call := calls{do: func(ctx context.Context) {
		_, _ = p.Get(ctx, "", "")
		_, _ = p.List(ctx, "", "")
		all := p.(interface {
			ByCode(context.Context, string, string) (meeting.Meeting, error)
			SetPush(context.Context, string, string, meeting.PushTarget) error
			Pushes(context.Context, string, string) ([]meeting.PushTarget, error)
			StartURL(context.Context, string) (secret.String, error)
		})
		_, _ = all.ByCode(ctx, "", "")
		_ = all.SetPush(ctx, "", "", meeting.PushTarget{})
		_, _ = all.Pushes(ctx, "", "")
		link, err := all.StartURL(ctx, "")
		assert.Equal(t, canary, link.Reveal())
		assert.Error(t, err)
	}}
	call.do(t.Context()) // of no job
	assert.NoError(t, traces.Handler(call).Call(t.Context(), &jobs.Job{ID: "a", Label: "meet", Created: time.Now()}))
	traces.Handler(call).Ended(&jobs.Job{ID: "a", Label: "meet", Created: time.Now(), State: jobs.Undeliverable})
	require.NoError(t, traces.Close(10*time.Second))
	edges, ids := c.tree(t)
	assert.Len(t, ids, 1)
	assert.ElementsMatch(t, []string{
		" > meet", "meet > call", "call > systec get", "call > systec list", "call > systec by_code", "call > systec set_push", "call > systec pushes", "call > systec start_url",
	}, slices.Collect(maps.Keys(edges)))
	assert.Equal(t, "internal", edges["call > systec start_url"]["status"])
	assert.Equal(t, "undeliverable", edges[" > meet"]["status"])
	assert.NotContains(t, string(c.raw), canary)
}

// The kinds of errors are the metrics' own, so that one leads to the other.
func TestKindsOfErrorsAreThoseOfTheMetrics(t *testing.T) {
	c := newCollector(t)
	traces := c.traces(t, io.Discard)
	errs := []error{
		meeting.ErrNotFound, meeting.ErrNotPermitted, meeting.ErrInvalid, meeting.ErrLimit, meeting.ErrRateLimited,
		meeting.ErrCredentials, meeting.ErrUnavailable, meeting.ErrOutcomeUnknown, errors.New(canary),
	}
	for _, err := range errs {
		p := traces.Providers(map[meeting.Provider]commands.Provider{"systec": ending{err: err}})["systec"]
		h := traces.Handler(calls{do: func(ctx context.Context) { assert.ErrorIs(t, p.End(ctx, "", ""), err) }})
		require.NoError(t, h.Call(t.Context(), &jobs.Job{ID: "a", Created: time.Now()}))
	}
	require.NoError(t, traces.Close(10*time.Second))
	m := ops.NewMetrics("test", bothProviders)
	kinds := map[string]bool{}
	for _, s := range c.spans {
		if s.Name == "systec end" {
			kinds[s.Status.Message] = true
			m.Commands().Called("systec", "end", s.Status.Message, 0)
		}
	}
	assert.Len(t, kinds, len(errs))
	assert.NotContains(t, scrape(t, m), `"other"`)
}

// ending is a provider that ends meetings in one way.
type ending struct {
	commands.Provider
	err error
}

func (e ending) End(context.Context, string, string) error { return e.err }

// calls is a handler whose call does something.
type calls struct {
	jobs.Handler
	do func(context.Context)
}

func (c calls) Call(ctx context.Context, _ *jobs.Job) error { c.do(ctx); return nil }
func (calls) Ended(*jobs.Job)                               {}
