package ops_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
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
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/bot/records"
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
	traces, err := ops.NewTraces(t.Context(), c.config(t, pairs...), "v1.2.3", slog.New(slog.NewTextHandler(log, nil)))
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

// cloud is a provider that makes meetings, and refuses to end them.
type cloud struct {
	commands.Provider
	create func(context.Context) error // nil: it works
}

func (c cloud) Create(ctx context.Context, _ meeting.Instant) (meeting.Meeting, error) {
	if c.create != nil {
		if err := c.create(ctx); err != nil {
			return meeting.Meeting{}, &meeting.APIError{Op: canary, Err: err}
		}
	}
	return meeting.Meeting{
		Ref: meeting.Ref{Provider: "systec", ID: "1591620801"}, Code: "1591620801", Topic: canary, State: meeting.StateReady,
		JoinURL: "https://join.example/" + canary, StartURL: secret.New("https://start.example/" + canary),
	}, nil
}

func (cloud) End(context.Context, string, string) error {
	return &meeting.APIError{Op: canary, Err: meeting.ErrNotPermitted}
}

// chatRoom is a platform; it is asked over HTTP.
type chatRoom struct {
	http *http.Client
	url  string
}

func (c chatRoom) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	if p.Slot == chat.SlotThreadPrivate {
		return chat.Receipt{}, chat.ErrSkip
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+canary, strings.NewReader(canary))
	if err != nil {
		return chat.Receipt{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return chat.Receipt{}, err
	}
	return chat.Receipt{Place: p.Place, Message: canary}, resp.Body.Close()
}

// process is one process of the bot with traces.
type process struct {
	bot   *commands.Bot
	ended chan struct{} // one for each job
	stop  func()
}

func begin(t *testing.T, traces *ops.Traces, dir string, provider cloud) process {
	t.Helper()
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(platform.Close)
	p := process{ended: make(chan struct{}, 10)}
	store, err := jobs.Open(t.Context(), jobs.Config{
		Dir: dir, Grace: time.Millisecond, ReconcileAfter: time.Millisecond, Tracer: traces.Tracer(),
		Observer: jobs.Observer{Transition: func(_ string, _, to jobs.State) {
			if to.Finished() {
				p.ended <- struct{}{}
			}
		}},
	})
	require.NoError(t, err)
	p.bot = commands.New(commands.Config{
		Platforms: chattest.Kinds(), Parser: grammartest.Config(),
		Providers: map[meeting.Provider]commands.Provider{"systec": provider},
	}, store)
	client := kit.PlatformClient(chattest.Slack, nil)
	p.bot.Attach(chattest.Slack, chatRoom{client, platform.URL})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx, p.bot) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
		assert.NoError(t, store.Close())
		client.CloseIdleConnections()
	})
	t.Cleanup(p.stop)
	return p
}

// accept has somebody ask, in the request with that ID.
func (p process) accept(t *testing.T, id string, ask grammar.Ask) chat.Acceptance {
	t.Helper()
	return p.bot.Accept(t.Context(), chat.Decision{
		Request: chat.Request{
			ID: id, At: time.Now(), Place: chat.Place{Platform: chattest.Slack, Team: "T1", Channel: canary},
			User: chat.User{ID: canary, Name: canary, Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush},
		},
		Ask: &ask,
	})
}

// traceOf is the ID of the trace of what was asked in that request.
func traceOf(id string) string { return jobs.TraceID(records.ShortHash("job", id)) }

var meet = grammar.Ask{Verb: grammar.VerbMeet, Provider: "systec"}

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
	p := begin(t, traces, t.TempDir(), cloud{})
	assert.Equal(t, chat.Acceptance{}, p.accept(t, "wish-1", meet))
	p.await(t)
	assert.True(t, p.accept(t, "wish-1", meet).Duplicate)
	assert.Equal(t, chat.Acceptance{}, p.accept(t, "wish-2", grammar.Ask{Verb: grammar.VerbEndYes, Arg: "systec:1591620801"}))
	p.await(t)
	p.stop()
	require.NoError(t, traces.Close(10*time.Second))

	edges, ids := c.tree(t)
	assert.ElementsMatch(t, []string{traceOf("wish-1"), traceOf("wish-2")}, ids)
	assert.ElementsMatch(t, []string{
		" > meet", "meet > receive", "meet > queue", "meet > decide", "meet > call", "call > systec create",
		"meet > deliver", "deliver > slack request",
		" > endyes", "endyes > receive", "endyes > queue", "endyes > decide", "endyes > call", "call > systec end", "endyes > deliver",
	}, slices.Collect(maps.Keys(edges)))
	assert.Equal(t, map[string]string{
		"meetbot.job": records.ShortHash("job", "wish-1"), "meetbot.command": "meet", "meetbot.platform": "slack",
		"meetbot.outcome": "created", "meetbot.state": "done",
	}, edges[" > meet"])
	assert.Equal(t, "slack", edges["meet > receive"]["meetbot.platform"])
	assert.Equal(t, "duplicate", edges["meet > receive"]["meetbot.result"], "the second time")
	assert.Equal(t, "ok", edges["meet > call"]["meetbot.result"])
	assert.NotContains(t, edges["call > systec create"], "status")
	assert.Equal(t, "refused", edges["endyes > call"]["status"])
	assert.Equal(t, "not_permitted", edges["call > systec end"]["status"])
	assert.Equal(t, "not_permitted", edges["call > systec end"]["error.type"])
	assert.Equal(t, "4", edges["deliver > slack request"]["http.response.status_code"], "204, by its last digit")
	skipped := 0
	for _, s := range c.spans {
		if s.Name == "deliver" && strings.Contains(s.String(), `"skipped"`) {
			skipped++
			assert.NotContains(t, s.String(), "meetbot.delivery.held_ms")
			assert.Contains(t, s.String(), `"thread_private"`)
		}
	}
	assert.Equal(t, 1, skipped)
	for _, s := range c.spans {
		if s.Name == "deliver" && strings.Contains(s.String(), `"sent"`) {
			assert.Contains(t, s.String(), "meetbot.delivery.held_ms")
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
	tries, died := 0, make(chan struct{})
	p := begin(t, first, dir, cloud{create: func(ctx context.Context) error {
		if tries++; tries == 2 {
			close(died)
			<-ctx.Done()
		}
		return meeting.ErrUnavailable // nothing was sent
	}})
	p.accept(t, "wish-1", meet)
	select {
	case <-died:
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
	q := begin(t, second, dir, cloud{})
	q.await(t)
	q.stop()
	require.NoError(t, second.Close(10*time.Second))
	edges, ids := c.tree(t)
	assert.Equal(t, []string{traceOf("wish-1")}, ids)
	assert.Contains(t, edges, " > meet")
	assert.Contains(t, edges, "meet > receive")
	assert.Contains(t, edges, "meet > deliver")
}

func TestWhatWasNotWrittenDownIsATraceOfItsOwn(t *testing.T) {
	c := newCollector(t)
	traces := c.traces(t, io.Discard)
	p := begin(t, traces, t.TempDir(), cloud{})
	p.stop()
	assert.NotNil(t, p.accept(t, "wish-1", meet).Reply)
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
		store, err := jobs.OpenMemory(jobs.Config{Tracer: traces.Tracer()})
		require.NoError(t, err)
		for _, id := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			_, err = store.Enqueue(t.Context(), jobs.Job{ID: id, Label: "meet"})
			require.NoError(t, err)
			_, err = store.Enqueue(t.Context(), jobs.Job{ID: id, Label: "meet"})
			require.ErrorIs(t, err, jobs.ErrDuplicate)
		}
		require.NoError(t, store.Close())
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
			p := begin(t, traces, t.TempDir(), cloud{})
			for i := range 5 {
				p.accept(t, "wish-"+string(rune('a'+i)), grammar.Ask{Verb: grammar.VerbMeetList})
			}
			for range 5 {
				p.await(t)
			}
			p.stop()
			closed := make(chan error, 1)
			go func() { closed <- traces.Close(200 * time.Millisecond) }()
			select {
			case err := <-closed:
				assert.True(t, err != nil || strings.Contains(log.String(), "traces not delivered"), "it is said")
			case <-time.After(10 * time.Second):
				require.Fail(t, "the shutdown hangs")
			}
			assert.LessOrEqual(t, strings.Count(log.String(), "traces not delivered"), 1)
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
	_, span := traces.Tracer().Start(jobs.WithJob(t.Context(), "a"), "meet")
	span.End()
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

func TestWithoutACollectorThereAreNoTraces(t *testing.T) {
	before := runtime.NumGoroutine()
	traces, err := ops.NewTraces(t.Context(), config.OTEL{}, "", nil)
	require.NoError(t, err)
	require.Nil(t, traces)
	assert.Equal(t, before, runtime.NumGoroutine())
	assert.Nil(t, traces.Tracer())
	assert.NoError(t, traces.Close(time.Second))
	assert.NoError(t, ops.CheckTraces(t.Context(), config.OTEL{}))
}

func TestLinesAboutAJobNameItsTrace(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(ops.LogHandler(slog.NewTextHandler(&out, nil), true))
	id := jobs.TraceID("j1")
	assert.Regexp(t, "^[0-9a-f]{32}$", id)
	assert.NotEqual(t, id, jobs.TraceID("j2"))
	for name, say := range map[string]func(){
		"ByItsContext":  func() { log.InfoContext(jobs.WithJob(t.Context(), "j1"), "x") },
		"ByItself":      func() { log.InfoContext(jobs.WithJob(t.Context(), "j2"), "x", "job", "j1") },
		"ByItsLogger":   func() { log.With("job", "j1").InfoContext(jobs.WithJob(t.Context(), "j2"), "x") },
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
	assert.Equal(t, hex.EncodeToString(sum[:])[:32], jobs.TraceID("j1"))
}
