package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/config/secret"
)

// group runs the bot's parts: when one ends, all do.
type group struct {
	log      *slog.Logger
	parts    []part
	adapters map[string]kit.Adapter
	stopped  stopped
	stopping atomic.Bool
}

type part struct {
	name string
	run  func(context.Context) error
	last bool // ends when all others have
}

func (g *group) add(name string, run func(context.Context) error) {
	g.parts = append(g.parts, part{name: name, run: run})
}

// outlive makes the part that was added last end after the others, so that operators can
// look on while those finish what they have in hand.
func (g *group) outlive() { g.parts[len(g.parts)-1].last = true }

func (g *group) addAdapter(k *kept, a kit.Adapter) {
	if g.adapters == nil {
		g.adapters = make(map[string]kit.Adapter)
	}
	g.adapters[k.name] = a
	g.stopped.add()
	g.add(k.name, func(ctx context.Context) error { return runKept(ctx, k, &g.stopped, g.log) })
}

// run runs all parts until ctx is done or one of them ends, and returns why they ended.
func (g *group) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { g.stopping.Store(true) })
	defer stop()
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	errs := make(chan error, len(g.parts))
	var others sync.WaitGroup
	for _, p := range g.parts {
		ctx := ctx
		if p.last {
			ctx = lasting
		} else {
			others.Add(1)
		}
		go func() {
			if !p.last {
				defer others.Done()
			}
			err := p.run(ctx)
			if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) { // being told to stop is no fault
				errs <- fmt.Errorf("%s: %w", p.name, err)
			} else {
				errs <- nil
			}
			cancel()
		}()
	}
	go func() { others.Wait(); end() }()
	var all error
	for range g.parts {
		all = errors.Join(all, <-errs)
	}
	g.stopping.Store(true) // what stop calls off may not have run yet
	return all
}

// Limits of every request; handlers set stricter ones.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 15 * time.Second
	answerTimeout  = 30 * time.Second
	idleTimeout    = 75 * time.Second // longer than what proxies keep a connection for
	maxHeader      = 64 << 10
)

// addServer listens at once, so that an address in use is told at start. variable is what
// the address was set with.
func (g *group) addServer(ctx context.Context, variable, addr string, h http.Handler) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s: %w; set a free address", variable, err)
	}
	g.addListener(variable, ln, h)
	return nil
}

// addListener serves h on ln as a part.
func (g *group) addListener(name string, ln net.Listener, h http.Handler) {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ConnState: (&connections{max: maxConnections}).state, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	g.add(name, func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			return s.Close()
		}
		return nil
	})
}

// health gathers how the parts are, for the operators' address and the admin socket.
func (g *group) health(store *jobs.Store, m *ops.Metrics, secrets []secret.String) *ops.Health {
	h := &ops.Health{Store: store, Adapters: make(map[string]func() kit.Health), Metrics: m, Stopping: g.stopping.Load, Secrets: secrets}
	for name, a := range g.adapters {
		h.Adapters[name] = a.Health
	}
	return h
}
