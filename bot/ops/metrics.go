// Package ops is what operators see of a running bot: metrics, the health of its
// parts, and the ID by which one command is found in every log line.
//
// [Metrics] hands each part of the bot an observer and counts what the part reports to it.
// Labels come from closed lists, or from texts of the program itself. What a platform or a
// person wrote becomes [Other] before it can become a label: nobody outside decides how many
// time series there are, or their names.
//
// [Health] knows the parts and answers /livez and /readyz; [Handler] serves both and
// /metrics. Nothing in this package decides anything: without it the bot does the same.
package ops

import (
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/signed"
	"meetbot/meeting"
)

const namespace = "meetbot"

// Other is the label of everything that is in no list.
const Other = "other"

// Buckets in seconds. An acknowledgement has to be there within three seconds, an answer
// of a provider within the 30 that a call gets; a delivery may be tried for an hour.
var (
	ackBuckets      = []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 2.5, 3}
	callBuckets     = []float64{.05, .1, .25, .5, 1, 2, 5, 10, 15, 30}
	commandBuckets  = []float64{.1, .25, .5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600}
	waitBuckets     = []float64{.01, .1, .5, 1, 2, 5, 10, 30, 60, 300}
	durableBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.4}
	latenessBuckets = []float64{.05, .1, .25, .5, 1, 2, 5, 10, 60, 600}
)

// Metrics are the bot's numbers. Its methods may be used side by side.
type Metrics struct {
	registry *prometheus.Registry

	commands    *prometheus.CounterVec
	commandTime *prometheus.HistogramVec
	acks        *prometheus.HistogramVec
	answers     *prometheus.HistogramVec
	calls       *prometheus.HistogramVec
	callErrors  *prometheus.CounterVec
	platform    *prometheus.CounterVec
	duplicates  *prometheus.CounterVec
	rejected    *prometheus.CounterVec
	unheard     *prometheus.CounterVec
	waits       *prometheus.HistogramVec

	enqueued     *prometheus.HistogramVec
	transitions  *prometheus.CounterVec
	started      *prometheus.HistogramVec
	replayed     *prometheus.CounterVec
	deduplicated *prometheus.CounterVec
	lost         *prometheus.CounterVec
	late         *prometheus.CounterVec
	timers       prometheus.Histogram
	reopened     *prometheus.CounterVec
	unreadable   *prometheus.CounterVec
	damaged      prometheus.Counter
	replicas     prometheus.Gauge

	providers providers
	known     []string // providers
	platforms []string
	methods   vocabulary // of platforms' calls, from the adapters' own code
}

// NewMetrics returns Metrics in a registry of their own, with those of the Go runtime and
// of the process. Version goes into meetbot_build_info; every other provider and platform
// than those given is [Other].
func NewMetrics(version string, providers []meeting.Provider, platforms ...chat.Platform) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		known:    words(providers, func(p meeting.Provider) string { return string(p) }),

		commands:    counter("commands_total", "Commands that ended, and how.", "platform", "command", "outcome"),
		commandTime: histogram("command_duration_seconds", "Time from a command's record on disk to its last delivery.", commandBuckets, "platform", "command"),
		acks:        histogram("acknowledge_duration_seconds", "Time from an event's arrival to its acknowledgement, for which platforms wait 3 s.", ackBuckets, "platform", "kind"),
		answers:     histogram("answer_duration_seconds", "Time from a command's record on disk to the provider's first answer, also one that a look-up found later.", commandBuckets, "command"),
		calls:       histogram("provider_call_duration_seconds", "Time until a meeting provider answered a call, or the bot gave it up.", callBuckets, "provider", "call"),
		callErrors:  counter("provider_errors_total", "Calls to a meeting provider that failed.", "provider", "call", "kind"),
		platform:    counter("platform_errors_total", "Calls to a chat platform that failed.", "platform", "call", "kind"),
		duplicates:  counter("platform_duplicates_total", "Events that a platform sent again after the bot had acknowledged or accepted them.", "platform"),
		rejected:    counter("platform_rejected_requests_total", "Requests to the public address that the bot refused as not the platform's.", "platform", "reason"),
		unheard:     counter("provider_rejected_requests_total", "Requests to the public address that the bot refused as not the meeting provider's.", "provider", "reason"),
		waits:       histogram("rate_limit_wait_seconds", "How long a platform's rate limits held a call back.", waitBuckets, "platform"),

		enqueued:     histogram("job_enqueue_duration_seconds", "Time until a new job was on disk, or refused.", durableBuckets, "result"),
		transitions:  counter("job_transitions_total", "Recorded steps of jobs.", "command", "to"),
		started:      histogram("job_start_delay_seconds", "Time from a job's creation to its first step.", waitBuckets, "command"),
		replayed:     counter("job_replays_total", "Steps that an earlier worker had begun and not ended.", "command"),
		deduplicated: counter("jobs_deduplicated_total", "Commands that arrived again and made no second job.", "command"),
		lost:         counter("deliveries_lost_total", "Messages that reached nobody.", "command"),
		late:         counter("job_late_successes_total", "Calls that succeeded after the bot had given them up.", "command"),
		timers: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "timer_lateness_seconds", Help: "How late timers fired.", Buckets: latenessBuckets,
		}),
		unreadable: counter("store_unreadable_records_total", "Records that the bot found changed, damaged or put back, and left alone.", "kind"),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "store_damaged_files_total", Help: "Damaged files of the store that the bot came upon.",
		}),
		replicas: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "store_replicas_current", Help: "Replicas of the store on the NATS cluster that are up to date; 0 without a cluster.",
		}),
		reopened: counter("store_reopened_total", "Times that the bot opened the store again after it stopped confirming writes.", "result"),

		methods: vocabulary{max: 80},
	}
	m.providers.now = time.Now
	m.platforms = words(platforms, platformName)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; its labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.commands, m.commandTime, m.acks, m.answers, m.calls, m.callErrors, m.platform, m.duplicates, m.rejected, m.unheard, m.waits,
		m.enqueued, m.transitions, m.started, m.replayed, m.deduplicated, m.lost, m.late, m.timers, m.reopened, m.unreadable, m.damaged, m.replicas,
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	// There from the start: the first increase of what an alert is about has to be one.
	for _, kind := range []string{"job", "doc", "timer"} {
		m.unreadable.WithLabelValues(kind)
	}
	for _, result := range []string{"ok", "error"} {
		m.reopened.WithLabelValues(result)
	}
	for _, result := range []string{"full", "busy", "not_confirmed", "error"} {
		m.enqueued.WithLabelValues(result)
	}
	for _, provider := range m.known {
		for _, call := range providerCalls {
			m.callErrors.WithLabelValues(provider, call, "credentials")
		}
	}
	for _, d := range grammar.Verbs() {
		if d.IsJob() {
			m.lost.WithLabelValues(string(d.Verb))
		}
	}
	for _, p := range m.platforms {
		for _, verb := range commands.CallingVerbs() {
			m.commands.WithLabelValues(p, string(verb), commands.OutcomeUnknown.String())
		}
	}
	return m
}

// Jobs is the observer for [jobs.Config].
func (m *Metrics) Jobs() jobs.Observer {
	return jobs.Observer{
		Enqueued: func(took time.Duration, err error) {
			m.enqueued.WithLabelValues(jobs.EnqueueResult(err)).Observe(took.Seconds())
		},
		Duplicate: func(label string) { m.deduplicated.WithLabelValues(command(label)).Inc() },
		Transition: func(label string, _, to jobs.State) {
			m.transitions.WithLabelValues(command(label), state(to)).Inc()
		},
		Started: func(label string, waited time.Duration) {
			m.started.WithLabelValues(command(label)).Observe(waited.Seconds())
		},
		Answered: func(label string, since time.Time) {
			m.answers.WithLabelValues(command(label)).Observe(time.Since(since).Seconds())
		},
		Replayed:   func(label string, _ jobs.State) { m.replayed.WithLabelValues(command(label)).Inc() },
		Lost:       func(label string) { m.lost.WithLabelValues(command(label)).Inc() },
		Late:       func(label string) { m.late.WithLabelValues(command(label)).Inc() },
		Timer:      func(late time.Duration) { m.timers.Observe(late.Seconds()) },
		Unreadable: func(kind string) { m.unreadable.WithLabelValues(kind).Inc() },
		Damaged:    func() { m.damaged.Inc() },
		Replicas:   func(n int) { m.replicas.Set(float64(n)) },
		Reopened: func(err error) {
			result := "ok"
			if err != nil {
				result = "error"
			}
			m.reopened.WithLabelValues(result).Inc()
		},
	}
}

// Commands is the observer for [grammar.Config].
func (m *Metrics) Commands() commands.Observer {
	return commands.Observer{
		Finished: func(p chat.Platform, v grammar.Verb, outcome string, since time.Time) {
			platform, name := one(m.platforms, string(p)), command(string(v))
			m.commands.WithLabelValues(platform, name, one(outcomes, outcome)).Inc()
			m.commandTime.WithLabelValues(platform, name).Observe(time.Since(since).Seconds())
		},
		Called: func(p meeting.Provider, op, kind string, took time.Duration) {
			provider, call := one(m.known, string(p)), one(providerCalls, op)
			m.calls.WithLabelValues(provider, call).Observe(took.Seconds())
			if kind != "" {
				kind = one(providerKinds, kind)
				m.callErrors.WithLabelValues(provider, call, kind).Inc()
			}
			m.providers.called(provider, kind)
		},
	}
}

// Platform is the observer for an adapter. Of what a platform answers, the kinds that are
// given become labels, and the status of HTTP.
func (m *Metrics) Platform(p chat.Platform, kinds []string) kit.Observer {
	platform := one(m.platforms, string(p))
	return kit.Observer{
		Acked:     func(kind string, took time.Duration) { m.acked(platform, kind, took) },
		Duplicate: func() { m.duplicates.WithLabelValues(platform).Inc() },
		Rejected:  func(why signed.Reason) { m.rejected.WithLabelValues(platform, one(refusals, string(why))).Inc() },
		Waited:    func(d time.Duration) { m.waits.WithLabelValues(platform).Observe(d.Seconds()) },
		Failed: func(call, kind string) {
			m.platform.WithLabelValues(platform, m.methods.word(call), platformKind(kinds, kind)).Inc()
		},
	}
}

// Rejected counts a request that claimed to be a provider's.
func (m *Metrics) Rejected(p meeting.Provider, why signed.Reason) {
	m.unheard.WithLabelValues(one(m.known, string(p)), one(refusals, string(why))).Inc()
}

func (m *Metrics) acked(platform, kind string, took time.Duration) {
	m.acks.WithLabelValues(platform, one(ackKinds, kind)).Observe(took.Seconds())
}

// The closed lists that labels come from.
var (
	providerCalls = words(commands.Operations(), commands.Operation.String)
	providerKinds = commands.ErrorKinds()
	refusals      = words(signed.Reasons(), func(r signed.Reason) string { return string(r) })
	verbs         = words(grammar.Verbs(), func(d grammar.VerbDecl) string { return string(d.Verb) })
	outcomes      = words(commands.Outcomes(), commands.Outcome.String)
	ackKinds      = []string{"command", "action", "button", "form", "mention", "shortcut", "complete", "ping"}
	states        = []jobs.State{
		jobs.Accepted, jobs.AwaitingApproval, jobs.Calling, jobs.Called, jobs.Refused, jobs.Unknown,
		jobs.Delivering, jobs.Done, jobs.Undeliverable,
	}
	httpKind = regexp.MustCompile(`^http_[1-5][0-9]{2}$`)
)

func platformName(p chat.Platform) string { return string(p) }

// words are the labels for all values that there are.
func words[T any](all []T, word func(T) string) []string {
	list := make([]string, len(all))
	for i, v := range all {
		list[i] = word(v)
	}
	return list
}

func one(list []string, s string) string {
	if s == "" {
		return "none"
	}
	if slices.Contains(list, s) {
		return s
	}
	return Other
}

func state(s jobs.State) string {
	if slices.Contains(states, s) {
		return string(s)
	}
	return Other
}

func command(label string) string { return one(verbs, label) }

// passing are the kinds of failure that every platform has.
var passing = []string{"transport", "stopped", "panic"}

func platformKind(kinds []string, kind string) string {
	if httpKind.MatchString(kind) || slices.Contains(passing, kind) {
		return kind
	}
	return one(kinds, kind)
}

// vocabulary takes words of the program's own code as they come, up to a number.
type vocabulary struct {
	max  int
	mu   sync.Mutex
	seen map[string]bool
}

// callName is a method ("chat.postMessage") or a route with its parameters in braces. No
// ID fits: those have digits.
var callName = regexp.MustCompile(`^(?:[a-zA-Z._]{1,40}|(?:GET|POST|PUT|PATCH|DELETE) /[a-z/@{}_-]{1,100})$`)

func (v *vocabulary) word(s string) string {
	if !callName.MatchString(s) {
		return Other
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[s] {
		return s
	}
	if len(v.seen) >= v.max {
		return Other
	}
	if v.seen == nil {
		v.seen = make(map[string]bool)
	}
	v.seen[s] = true
	return s
}
