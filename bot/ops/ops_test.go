package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack"
	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/bot/signed"
	"meetbot/config/secret"
	"meetbot/meeting"
)

const canary = "canary-9f2b7c1d"

// store is a [jobs.Store] as ops sees it.
type store struct {
	state  jobs.Health
	last   error
	jobs   []jobs.Job
	failed error
	listed int
}

func (s *store) Healthy() (jobs.Health, time.Time, error) {
	return s.state, time.Unix(1_800_000_000, 0).UTC(), s.last
}

func (s *store) List(context.Context, bool) iter.Seq2[jobs.Job, error] {
	s.listed++
	return func(yield func(jobs.Job, error) bool) {
		for _, j := range s.jobs {
			if !yield(j, nil) {
				return
			}
		}
		if s.failed != nil {
			yield(jobs.Job{}, s.failed)
		}
	}
}

func adapter(s kit.State, last string) func() kit.Health {
	return func() kit.Health {
		return kit.Health{State: s, Since: time.Unix(1_800_000_000, 0).UTC(), LastError: last}
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func scrape(t *testing.T, m *ops.Metrics) string {
	t.Helper()
	code, body := get(t, ops.Handler(&ops.Health{Store: &store{state: jobs.Ready}, Metrics: m}), "/metrics")
	require.Equal(t, http.StatusOK, code)
	return body
}

// bothProviders are the providers of the metrics in these tests.
var bothProviders = []meeting.Provider{"systec", "tencent"}

func TestReadinessIsAboutAcceptingCommands(t *testing.T) {
	type adapters = map[string]func() kit.Health
	tests := []struct {
		name     string
		store    jobs.Health
		adapters adapters
		stopping bool
		want     bool
		parts    map[string]bool
	}{
		{name: "AllWell", store: jobs.Ready, adapters: adapters{"slack": adapter(kit.Running, "")}, want: true, parts: map[string]bool{"jobs": true, "slack": true}},
		{name: "ConsoleAlone", store: jobs.Ready, want: true, parts: map[string]bool{"jobs": true}},
		{
			name: "OneOfTwoDown", store: jobs.Ready, want: true,
			adapters: adapters{"slack": adapter(kit.Stopped, "x"), "discord": adapter(kit.Running, "")},
			parts:    map[string]bool{"jobs": true, "slack": false, "discord": true},
		},
		{
			name: "BothDown", store: jobs.Ready, want: false,
			adapters: adapters{"slack": adapter(kit.Degraded, "x"), "discord": adapter(kit.Starting, "")},
			parts:    map[string]bool{"jobs": true, "slack": false, "discord": false},
		},
		{name: "FullPeopleAreTold", store: jobs.Full, adapters: adapters{"slack": adapter(kit.Running, "")}, want: true, parts: map[string]bool{"jobs": false, "slack": true}},
		{name: "BusyPeopleAreTold", store: jobs.Busy, adapters: adapters{"slack": adapter(kit.Running, "")}, want: true, parts: map[string]bool{"jobs": false, "slack": true}},
		{name: "NothingCanBeWrittenDown", store: jobs.NotDurable, adapters: adapters{"slack": adapter(kit.Running, "")}, want: false, parts: map[string]bool{"jobs": false, "slack": true}},
		{name: "Stopping", store: jobs.Ready, stopping: true, adapters: adapters{"slack": adapter(kit.Running, "")}, want: false, parts: map[string]bool{"jobs": true, "slack": true}},
		{name: "EngineStopping", store: jobs.Stopping, want: false, parts: map[string]bool{"jobs": false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := ops.Handler(&ops.Health{Store: &store{state: tt.store}, Adapters: tt.adapters, Stopping: func() bool { return tt.stopping }})
			code, body := get(t, h, "/readyz")
			var r ops.Readiness
			require.NoError(t, json.Unmarshal([]byte(body), &r))
			got := map[string]bool{}
			for name, p := range r.Parts {
				got[name] = p.Ready
				assert.NotEmpty(t, p.State)
				assert.False(t, p.Since.IsZero())
			}
			assert.Equal(t, tt.parts, got)
			assert.Equal(t, tt.want, r.Ready)
			assert.Equal(t, tt.want, code == http.StatusOK)
			code, _ = get(t, h, "/livez")
			assert.Equal(t, http.StatusOK, code, "alive is another question")
		})
	}
}

func TestAProviderIsAsItsLastCallEnded(t *testing.T) {
	m := ops.NewMetrics("test", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	m.Expect("tencent")
	h := &ops.Health{Store: &store{state: jobs.Ready}, Metrics: m}
	called := m.Commands().Called
	steps := []struct{ kind, state string }{
		{"", "running"}, {"unavailable", "degraded"}, {"credentials", "degraded"},
		{"not_found", "running"}, // an answer, if not the one that was wished for
		{"outcome_unknown", "degraded"}, {"", "running"},
	}
	require.Equal(t, "unused", h.Readiness().Parts["tencent"].State)
	for _, s := range steps {
		called("tencent", "create", s.kind, time.Second)
		r := h.Readiness()
		assert.Equal(t, s.state, r.Parts["tencent"].State, s.kind)
		assert.True(t, r.Ready, "commands are kept while a provider is down")
	}
	assert.Equal(t, "outcome_unknown", h.Readiness().Parts["tencent"].LastError, "the last one stays, with its time")
}

func TestShownErrorsAreScrubbed(t *testing.T) {
	s := secret.New("short!" + canary)
	for _, text := range []string{
		"token " + s.Reveal() + " refused",
		"Post \"https://hooks.example/" + canary + "\": EOF",
		"auth xoxb-" + canary + " failed", "xapp-1-" + canary,
		"GET /x?sig=" + strings.Repeat(canary, 3),
		"dial wss://gw.example/?ticket=" + canary + " failed",
	} {
		h := &ops.Health{
			Store:    &store{state: jobs.Ready, last: errors.New(text)},
			Adapters: map[string]func() kit.Health{"slack": adapter(kit.Degraded, text)},
			Secrets:  []secret.String{s},
		}
		_, body := get(t, ops.Handler(h), "/readyz")
		assert.NotContains(t, body, canary, text)
	}
	long := ops.Scrub(strings.Repeat("é ", 1000) + "\nsecond line\u2028")
	assert.LessOrEqual(t, len(long), 310)
	assert.Equal(t, "a b c  d e", ops.Scrub("a\nb\u2028c\x00\u009bd\u202ee"))
	assert.Equal(t, "GET /v1/meetings: HTTP 503, code 190300", ops.Scrub("GET /v1/meetings: HTTP 503, code 190300"), "what helps stays")
}

func TestEverythingObservedIsCounted(t *testing.T) {
	m := ops.NewMetrics("v1.2.3", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	j, c, s, d := m.Jobs(), m.Commands(), m.Platform(chattest.Slack, slack.ErrorKinds()), m.Platform(chattest.Discord, nil)
	c.Finished(chattest.Slack, grammar.VerbMeet, "created", time.Now().Add(-2*time.Second))
	c.Called("systec", "create", "", 3*time.Second)
	c.Called("systec", "create", "unavailable", time.Second)
	s.Acked("command", 80*time.Millisecond)
	s.Rejected(signed.Stale)
	m.Rejected("tencent", signed.Forged)
	s.Waited(2 * time.Second)
	s.Failed("chat.postMessage", "not_in_channel")
	d.Acked("button", time.Millisecond)
	d.Duplicate()
	d.Rejected("canary")
	d.Waited(time.Second)
	d.Failed("POST /channels/{channel_id}/messages", "http_403")
	j.Enqueued(time.Millisecond, nil)
	j.Enqueued(time.Millisecond, fmt.Errorf("wrapped: %w", jobs.ErrFull))
	j.Duplicate("meet")
	j.Transition("meet", jobs.Accepted, jobs.Calling)
	j.Started("meet", time.Millisecond)
	j.Answered("meet", time.Now().Add(-4*time.Second))
	j.Replayed("meet", jobs.Calling)
	j.Lost("meet")
	j.Late("meet")
	j.Timer(time.Second)
	j.Reopened(nil)
	body := scrape(t, m)
	for _, line := range []string{
		`meetbot_commands_total{command="meet",outcome="created",platform="slack"} 1`,
		`meetbot_command_duration_seconds_bucket{command="meet",platform="slack",le="3"} 1`,
		`meetbot_provider_call_duration_seconds_count{call="create",provider="systec"} 2`,
		`meetbot_provider_errors_total{call="create",kind="unavailable",provider="systec"} 1`,
		`meetbot_acknowledge_duration_seconds_bucket{kind="command",platform="slack",le="0.1"} 1`,
		`meetbot_rate_limit_wait_seconds_sum{platform="slack"} 2`,
		`meetbot_platform_errors_total{call="chat.postMessage",kind="not_in_channel",platform="slack"} 1`,
		`meetbot_platform_errors_total{call="POST /channels/{channel_id}/messages",kind="http_403",platform="discord"} 1`,
		`meetbot_platform_duplicates_total{platform="discord"} 1`,
		`meetbot_platform_rejected_requests_total{platform="discord",reason="other"} 1`,
		`meetbot_platform_rejected_requests_total{platform="slack",reason="stale"} 1`,
		`meetbot_provider_rejected_requests_total{provider="tencent",reason="wrong_signature"} 1`,
		`meetbot_job_enqueue_duration_seconds_count{result="ok"} 1`,
		`meetbot_job_enqueue_duration_seconds_count{result="full"} 1`,
		`meetbot_jobs_deduplicated_total{command="meet"} 1`,
		`meetbot_job_transitions_total{command="meet",to="calling"} 1`,
		`meetbot_answer_duration_seconds_count{command="meet"} 1`,
		`meetbot_answer_duration_seconds_bucket{command="meet",le="3"} 0`,
		`meetbot_answer_duration_seconds_bucket{command="meet",le="5"} 1`,
		`meetbot_job_replays_total{command="meet"} 1`,
		`meetbot_deliveries_lost_total{command="meet"} 1`,
		`meetbot_deliveries_lost_total{command="livepush"} 0`,
		`meetbot_job_late_successes_total{command="meet"} 1`,
		`meetbot_store_reopened_total{result="ok"} 1`,
		`meetbot_timer_lateness_seconds_count 1`,
		`version="v1.2.3"`, "go_goroutines ", "process_cpu_seconds_total ",
	} {
		assert.Contains(t, body, line)
	}
}

func TestTextFromOutsideNeverBecomesALabel(t *testing.T) {
	m := ops.NewMetrics("test", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	series := func() int {
		all, err := m.Gatherer().Gather()
		require.NoError(t, err)
		n := 0
		for _, f := range all {
			if strings.HasPrefix(f.GetName(), "meetbot_") {
				n += len(f.GetMetric())
			}
		}
		return n
	}
	flood := func(i int) {
		x := canary + strconv.Itoa(i)
		j, c, s, d := m.Jobs(), m.Commands(), m.Platform(chattest.Slack, slack.ErrorKinds()), m.Platform(chattest.Discord, nil)
		c.Finished(chat.Platform(x), grammar.Verb(x), x, time.Now())
		c.Called(meeting.Provider(x), x, x, 0)
		for _, failed := range []func(string, string){s.Failed, d.Failed} {
			failed(x, x)
			failed("GET /channels/"+x, "http_"+x)
			failed("https://hooks.slack.com/"+x, "U12345678")
			failed("chat.postMessage", "xoxb_"+x)
		}
		s.Acked(x, 0)
		d.Acked(x, 0)
		j.Enqueued(0, errors.New(x))
		j.Duplicate(x)
		j.Transition(x, jobs.State(x), jobs.State(x))
		j.Started(x, 0)
		j.Answered(x, time.Now())
		j.Replayed(x, jobs.State(x))
		j.Lost(x)
		j.Late(x)
		j.Reopened(errors.New(x))
		m.Expect(x)
	}
	flood(0)
	before := series()
	for i := range 200 {
		flood(i)
	}
	assert.Equal(t, before, series(), "a flood of new words makes no new series")
	body := scrape(t, m)
	assert.NotContains(t, body, canary)
	assert.NotContains(t, body, "U12345678")
	for i := range 26 * 26 { // words that look like the program's own are bounded in number
		m.Platform(chattest.Slack, slack.ErrorKinds()).Failed("call."+string(rune('a'+i/26))+string(rune('a'+i%26)), "transport")
	}
	assert.LessOrEqual(t, series(), before+100)
}

func TestJobsAreCountedByStep(t *testing.T) {
	now := time.Now()
	s := &store{state: jobs.Ready, jobs: []jobs.Job{
		{State: jobs.Calling, Created: now.Add(-90 * time.Second)}, {State: jobs.Calling, Created: now.Add(-10 * time.Second)},
		{State: jobs.AwaitingApproval, Created: now.Add(-time.Hour)},
	}}
	m := ops.NewMetrics("test", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	h := &ops.Health{Store: s, Metrics: m}
	m.Watch(s, h)
	_, body := get(t, ops.Handler(h), "/metrics")
	assert.Contains(t, body, `meetbot_jobs{state="calling"} 2`)
	assert.Contains(t, body, `meetbot_jobs{state="awaiting_approval"} 1`)
	assert.Contains(t, body, `meetbot_jobs{state="delivering"} 0`)
	assert.Contains(t, body, `meetbot_oldest_job_age_seconds{state="calling"} 90.`)
	assert.Contains(t, body, `meetbot_oldest_job_age_seconds{state="delivering"} 0`)
	assert.Contains(t, body, `meetbot_jobs_count_failed 0`)
	assert.Contains(t, body, `meetbot_ready 1`)
	assert.Contains(t, body, `meetbot_part_ready{kind="engine",part="jobs"} 1`)
	assert.Contains(t, body, `meetbot_store_state{state="full"} 0`)
	_, _ = get(t, ops.Handler(h), "/metrics")
	assert.Equal(t, 1, s.listed, "a second look in between costs nothing")
	problems, err := testutil.GatherAndLint(m.Gatherer())
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestJobsThatCannotBeCountedAreAMetric(t *testing.T) {
	s := &store{state: jobs.Ready, failed: errors.New(canary)}
	m := ops.NewMetrics("test", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	h := &ops.Health{Store: s, Metrics: m}
	m.Watch(s, h)
	code, body := get(t, ops.Handler(h), "/metrics")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, "meetbot_jobs_count_failed 1")
	assert.NotContains(t, body, canary)
}

func TestWhatTheCommandsSayIsNeverOther(t *testing.T) {
	m := ops.NewMetrics("test", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	c := m.Commands()
	for _, d := range grammar.Verbs() {
		c.Finished(chattest.Console, d.Verb, "shown", time.Now())
	}
	for _, o := range commands.Outcomes() {
		require.NotEmpty(t, o.String())
		c.Finished(chattest.Console, grammar.VerbMeet, o.String(), time.Now())
	}
	for _, op := range commands.Operations() {
		require.NotEmpty(t, op.String())
		c.Called("systec", op.String(), "", 0)
	}
	for _, kind := range commands.ErrorKinds() {
		c.Called("systec", "create", kind, 0)
	}
	assert.NotContains(t, scrape(t, m), `"other"`)
}

func TestEveryLineOfAStepNamesItsJob(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(ops.LogHandler(slog.NewJSONHandler(&out, nil), false)).With("adapter", "slack")
	ctx := t.Context()
	log.InfoContext(jobs.WithJob(ctx, "j1"), "posted")
	assert.Contains(t, out.String(), `"job":"j1"`)
	out.Reset()
	log.InfoContext(jobs.WithJob(ctx, "j1"), "said already", "job", "j2")
	assert.Equal(t, 1, strings.Count(out.String(), `"job"`))
	assert.Contains(t, out.String(), `"job":"j2"`)
	out.Reset()
	log.With("job", "j3").InfoContext(jobs.WithJob(ctx, "j1"), "said by the logger")
	assert.Equal(t, 1, strings.Count(out.String(), `"job"`))
	out.Reset()
	log.InfoContext(ctx, "of no job")
	assert.NotContains(t, out.String(), `"job"`)
}
