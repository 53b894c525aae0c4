package ops

import (
	"context"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"meetbot/bot/jobs"
)

// Lister is the part of [jobs.Store] that is counted.
type Lister interface {
	List(ctx context.Context, unfinished bool) iter.Seq2[jobs.Job, error]
}

// How often the jobs are counted at most. Counting reads every record, so it is done only
// when somebody asks, and the rarer the longer it takes: at most a hundredth of the time.
const (
	countEvery   = 15 * time.Second
	countSeldom  = 2 * time.Minute
	countTimeout = 10 * time.Second
	countShare   = 100
)

// census counts the unfinished jobs by step. On a cluster every replica counts the same.
type census struct {
	store Lister
	now   func() time.Time

	mu     sync.Mutex
	until  time.Time
	counts map[jobs.State]int
	oldest map[jobs.State]time.Time
	failed bool
}

var (
	jobsDesc = prometheus.NewDesc(namespace+"_jobs", "Unfinished jobs by the step they are in.", []string{"state"}, nil)
	ageDesc  = prometheus.NewDesc(namespace+"_oldest_job_age_seconds",
		"Age of the oldest unfinished job in a step, since the person asked; 0 where there is none.", []string{"state"}, nil)
	countedDesc = prometheus.NewDesc(namespace+"_jobs_count_failed", "1 if the bot could not count its jobs; the counts are then the last ones.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c *census) Describe(ch chan<- *prometheus.Desc) {
	ch <- jobsDesc
	ch <- ageDesc
	ch <- countedDesc
}

// Collect implements [prometheus.Collector].
func (c *census) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !now.Before(c.until) {
		c.count()
	}
	for _, s := range states {
		if s.Finished() {
			continue
		}
		age := 0.0
		if at, ok := c.oldest[s]; ok {
			age = max(0, now.Sub(at).Seconds())
		}
		ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(c.counts[s]), string(s))
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, age, string(s))
	}
	failed := 0.0
	if c.failed {
		failed = 1
	}
	ch <- prometheus.MustNewConstMetric(countedDesc, prometheus.GaugeValue, failed)
}

func (c *census) count() {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	counts, oldest := make(map[jobs.State]int), make(map[jobs.State]time.Time)
	failed := false
	for j, err := range c.store.List(ctx, true) {
		if err != nil {
			failed = true
			continue
		}
		counts[j.State]++
		if at, ok := oldest[j.State]; !ok || j.Created.Before(at) {
			oldest[j.State] = j.Created
		}
	}
	c.failed = failed
	if !failed || c.counts == nil {
		c.counts, c.oldest = counts, oldest
	}
	c.until = c.now().Add(min(max(countShare*time.Since(began), countEvery), countSeldom))
}

// health shows [Health] as metrics.
type healthCollector struct{ h *Health }

var (
	readyDesc = prometheus.NewDesc(namespace+"_ready", "1 while /readyz says ready.", nil, nil)
	partDesc  = prometheus.NewDesc(namespace+"_part_ready", "1 while the part is ready: the engine, an adapter, a provider, the machine's clock.", []string{"part", "kind"}, nil)
	storeDesc = prometheus.NewDesc(namespace+"_store_state", "1 for the state that the store is in.", []string{"state"}, nil)
)

// Describe implements [prometheus.Collector].
func (c healthCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- readyDesc
	ch <- partDesc
	ch <- storeDesc
}

// Collect implements [prometheus.Collector].
func (c healthCollector) Collect(ch chan<- prometheus.Metric) {
	r := c.h.Readiness()
	gauge := func(d *prometheus.Desc, on bool, labels ...string) {
		v := 0.0
		if on {
			v = 1
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(readyDesc, r.Ready)
	for name, part := range r.Parts {
		gauge(partDesc, part.Ready, name, c.h.kind(name))
	}
	for _, s := range []jobs.Health{jobs.Ready, jobs.Full, jobs.Busy, jobs.NotDurable, jobs.Stopping} {
		gauge(storeDesc, r.Parts["jobs"].State == string(s), string(s))
	}
}

// kind says what a part is.
func (h *Health) kind(part string) string {
	switch part {
	case "jobs":
		return "engine"
	case "clock":
		return "clock"
	}
	if _, platform := h.Adapters[part]; platform {
		return "platform"
	}
	return "provider"
}

// Watch adds what is looked up when somebody asks: the jobs in the store, and the parts.
// It is called once.
func (m *Metrics) Watch(store Lister, h *Health) {
	m.registry.MustRegister(&census{store: store, now: time.Now}, healthCollector{h})
	if h.Clocks != nil {
		m.registry.MustRegister(h.Clocks)
	}
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 3, Timeout: countTimeout + 5*time.Second})
}

// Gatherer gives the metrics out, for tests and for other exporters.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
