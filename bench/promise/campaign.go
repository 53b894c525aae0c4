package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/jobs/jobstest"
)

// campaign kills bots on one engine. It has several worlds, each with a bot, a store and
// everything around them, which know nothing of each other: most of the time most of them
// wait for something.
type campaign struct {
	options
	dir, engine string
	kills       int
	log         io.Writer
	began       time.Time
	cluster     *jobstest.Cluster // nil with the embedded engine

	last *part // the chats, if there are any

	mu     sync.Mutex // guards what follows, and what is counted of a part
	result result
	visits *row    // of workspaces that come and go; nil: none did
	broken []fault // there
	lost   int     // the node that is away; -1: none
	next   int     // the number of kills at which that changes
}

// part is scenarios that are carried out in worlds of the same kind.
type part struct {
	scenarios []*scenario
	console   bool
	random    bool // instants too, not the named ones alone
	size      int  // how many worlds
	worlds    []*world
	targets   []target
	budget    int // how often to kill
	kills     int
}

// target is a named instant of a scenario.
type target struct {
	s *scenario
	p point
}

// sample is how many scenarios of each platform the short form carries out, others each time.
const sample = 3

// parts says what is carried out where.
func (c *campaign) parts() []*part {
	slow, consoles, chats := &part{size: 8}, &part{size: 5, console: true, random: true}, &part{size: 2, random: true}
	all, taken := scenarios(), map[string]int{}
	if c.short {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	for _, s := range all {
		p := chats
		switch {
		case c.short && taken[s.platform] == sample:
			continue
		case !strings.Contains(s.platform+" "+s.name, c.only) || c.quick && s.slow:
			continue
		case s.slow:
			p = slow
		case s.platform == onConsole:
			p = consoles
		}
		taken[s.platform]++
		p.scenarios = append(p.scenarios, s)
	}
	return slices.DeleteFunc([]*part{slow, consoles, chats}, func(p *part) bool { return len(p.scenarios) == 0 })
}

func (c *campaign) run(ctx context.Context) (err error) {
	parts := c.parts()
	visited := strings.Contains(onInstalls, c.only)
	if len(parts) == 0 && !visited {
		return fmt.Errorf("no scenario has %q in its platform and name", c.only)
	}
	var accounts []string
	for i, p := range parts {
		for j := range p.size {
			accounts = append(accounts, fmt.Sprintf("w%d%d", i, j))
		}
	}
	const visiting = "visiting"
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if c.engine == clustered {
		if c.cluster, err = jobstest.NewCluster(c.dir, append(accounts, visiting)...); err != nil {
			return err
		}
		defer c.cluster.Close()
	}
	var worlds []*world
	defer func() {
		for _, w := range worlds {
			w.close()
		}
	}()
	for _, p := range parts {
		for range p.size {
			account := accounts[len(worlds)]
			w, err := newWorld(ctx, setting{
				binary: c.binary, dir: filepath.Join(c.dir, account), engine: c.engine,
				cluster: c.cluster, account: account, console: p.console, series: len(worlds),
			})
			if err != nil {
				return err
			}
			worlds, p.worlds = append(worlds, w), append(p.worlds, w)
		}
	}
	c.next = c.outage()
	if len(parts) > 0 {
		c.last = parts[len(parts)-1]
	}
	visits, visit, leave := make(chan error, 1), ctx, func() {}
	if visited {
		visit, leave = context.WithCancel(ctx)
		go func() { visits <- c.installs(visit, visiting) }()
	} else {
		visits <- nil
	}
	defer leave()
	err = each(ctx, parts, func(ctx context.Context, p *part) error {
		if err := c.rehearse(ctx, p); err != nil {
			return fmt.Errorf("rehearse: %w", err)
		}
		c.share(p)
		return c.strike(ctx, p)
	})
	if err != nil {
		leave()
	}
	err = errors.Join(err, <-visits)
	if missing := c.kills - c.result.kills; err == nil && missing > 0 && c.last != nil { // what was not passed
		c.last.targets = nil
		c.last.budget += missing
		err = c.strike(ctx, c.last)
	}
	if c.lost >= 0 && err == nil {
		err = c.cluster.Start(c.lost)
	}
	if err == nil {
		c.report("waiting for what was promised")
		err = each(ctx, worlds, func(ctx context.Context, w *world) error { return w.settle(ctx) })
	}
	c.result.rows, c.result.faults = count(worlds)
	if c.visits != nil {
		c.result.rows, c.result.faults = append(c.result.rows, c.visits), append(c.result.faults, c.broken...)
	}
	return err
}

// each does the same to all at once. It ends with the first error.
func each[T any](ctx context.Context, all []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, x := range all {
		wg.Go(func() {
			if err := do(ctx, x); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// rehearse finds the instants that there are.
func (c *campaign) rehearse(ctx context.Context, p *part) error {
	return each(ctx, p.worlds, func(ctx context.Context, w *world) error {
		for i, s := range p.scenarios {
			if p.worlds[i%len(p.worlds)] != w {
				continue
			}
			points, err := w.rehearse(ctx, s)
			if err != nil {
				return err
			}
			if c.engine == embedded && !c.quick { // there each takes seconds with the race detector
				for _, at := range rig.OwnWork() {
					points = append(points, point{saved: at})
				}
			}
			c.mu.Lock()
			_, _ = fmt.Fprintf(c.log, "%s: %s %s passes %d instants, %d private and %d public messages\n", c.engine, s.platform, s.name, len(points), s.private, s.public)
			for _, at := range points {
				if c.short && at.inCall() {
					continue
				}
				p.targets = append(p.targets, target{s, at})
			}
			c.mu.Unlock()
		}
		return nil
	})
}

// share divides the kills: a tenth for what waits for silence, a fifth for consoles, the
// rest for chats. With less than there are named instants it is a sample, of others each
// time.
func (c *campaign) share(p *part) {
	var n int
	switch {
	case p == c.last:
		n = c.kills - c.kills/10 - c.kills/5
	case p.random:
		n = c.kills / 5
	default:
		n = c.kills / 10
	}
	rand.Shuffle(len(p.targets), func(i, j int) { p.targets[i], p.targets[j] = p.targets[j], p.targets[i] })
	p.budget = n
	if c.named || n >= len(p.targets) {
		return
	}
	if p.random && !c.short {
		n = n * 2 / 3
	}
	p.targets = p.targets[:n]
}

// strike kills in all worlds of a part, until it is enough.
func (c *campaign) strike(ctx context.Context, p *part) error {
	targets := make(chan target, len(p.targets))
	for _, t := range p.targets {
		targets <- t
	}
	close(targets)
	return each(ctx, p.worlds, func(ctx context.Context, w *world) error {
		for t := range targets {
			hit, err := w.strike(ctx, t.s, t.p)
			if err == nil {
				err = c.struck(p, w, hit, fmt.Sprintf("%s %s, %s", t.s.platform, t.s.name, t.p))
			}
			if err != nil {
				return err
			}
		}
		for p.random && !c.named && !c.short && !c.enough(p) {
			if err := w.volley(ctx, p.scenarios); err != nil {
				return err
			}
			if err := c.struck(p, w, true, ""); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// enough reports whether a part has its kills.
func (c *campaign) enough(p *part) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.kills >= p.budget
}

// struck counts, and on a cluster lets one of the three nodes be away half of the time,
// first the one that leads.
func (c *campaign) struck(p *part, w *world, hit bool, named string) error {
	w.retire()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !hit:
		c.result.missed = append(c.result.missed, named)
		c.report("not passed: " + named)
		return nil
	case named != "":
		c.result.steps++
	}
	p.kills++
	c.result.kills++
	if named == "" {
		named = "a random instant"
		if p.console {
			named += ", " + onConsole
		}
	}
	c.report(named)
	if c.cluster == nil || c.result.kills < c.next {
		return nil
	}
	c.next = c.result.kills + c.outage()
	if c.lost >= 0 {
		node := c.lost
		c.lost = -1
		return c.cluster.Start(node)
	}
	c.lost = max(0, c.cluster.Leader("meetbot"))
	c.report(fmt.Sprintf("node %d is lost", c.lost))
	c.cluster.Stop(c.lost)
	return nil
}

// outage is after how many kills a node goes or comes back.
func (c *campaign) outage() int { return min(20, max(5, c.kills/5)) }

// report says what is going on.
func (c *campaign) report(what string) {
	_, _ = fmt.Fprintf(c.log, "%s: %4d kills in %v: %s\n", c.engine, c.result.kills, time.Since(c.began).Round(time.Second), what)
}
