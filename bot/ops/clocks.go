package ops

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Clocks compare this machine's clock with those of the platforms and providers. Nothing is
// decided by it: what others sign and expire goes by theirs, and what waits by a clock of its own.
type Clocks struct {
	mu  sync.Mutex
	all []theirs
}

type theirs struct {
	whose string
	ahead func() (time.Duration, bool)
	told  bool // that it is far off
}

// farOff is how far a clock may be off without a word.
const farOff = 30 * time.Second

// Add adds a clock: how far this machine's is ahead of it, and whether that is known.
func (c *Clocks) Add(whose string, ahead func() (time.Duration, bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, theirs{whose: whose, ahead: ahead})
	slices.SortFunc(c.all, func(a, b theirs) int { return strings.Compare(a.whose, b.whose) })
}

func differs(whose string, ahead time.Duration) string {
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("this machine's clock is %v %s that of %s", ahead.Abs().Round(time.Second), direction, whose)
}

// part is the clock as a part of [Readiness]; false while none is known.
func (c *Clocks) part() (Part, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, known := Part{Ready: true, State: "right"}, false
	var off []string
	for _, t := range c.all {
		ahead, ok := t.ahead()
		known = known || ok
		if ok && ahead.Abs() > farOff {
			off = append(off, differs(t.whose, ahead))
		}
	}
	if len(off) > 0 {
		p.Ready, p.State, p.LastError = false, "off", strings.Join(off, "; ")
	}
	return p, known
}

// watchClocks is how often the clocks are compared for the log.
const watchClocks = 10 * time.Second

// Watch logs when a clock begins to be far off, and when it no longer is, until ctx is done.
func (c *Clocks) Watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(watchClocks)
	defer tick.Stop()
	for {
		c.look(ctx, log)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Clocks) look(ctx context.Context, log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.all {
		t := &c.all[i]
		ahead, known := t.ahead()
		off := known && ahead.Abs() > farOff
		if off == t.told {
			continue
		}
		t.told = off
		if off {
			log.WarnContext(ctx, "this machine's clock is wrong: set it by NTP", "of", t.whose, "ahead", ahead.Round(time.Second))
		} else {
			log.InfoContext(ctx, "this machine's clock is right again", "of", t.whose)
		}
	}
}

var clockAhead = prometheus.NewDesc(namespace+"_clock_ahead_seconds", "How far this machine's clock is ahead of a platform's or a provider's.", []string{"of"}, nil)

// Describe implements [prometheus.Collector].
func (c *Clocks) Describe(ch chan<- *prometheus.Desc) { ch <- clockAhead }

// Collect implements [prometheus.Collector].
func (c *Clocks) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.all {
		if ahead, known := t.ahead(); known {
			ch <- prometheus.MustNewConstMetric(clockAhead, prometheus.GaugeValue, ahead.Seconds(), t.whose)
		}
	}
}
