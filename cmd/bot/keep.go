package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
)

// kept is a platform's adapter, which is replaced by a new one once its platform accepts the
// credentials again. To everybody else it is one adapter.
type kept struct {
	name    string
	open    func() (kit.Adapter, error)
	current atomic.Pointer[kit.Adapter]
}

// keep opens the adapter. Where the first can look people up, what it returns can.
func keep(name string, open func() (kit.Adapter, error)) (*kept, kit.Adapter, error) {
	a, err := open()
	if err != nil {
		return nil, nil, err
	}
	k := &kept{name: name, open: open}
	k.current.Store(&a)
	if _, looksUp := a.(chat.Directory); looksUp {
		return k, struct {
			*kept
			chat.Directory
		}{k, directory{k}}, nil
	}
	return k, k, nil
}

func (k *kept) now() kit.Adapter { return *k.current.Load() }

// Post implements [chat.Poster].
func (k *kept) Post(ctx context.Context, p chat.Post) (chat.Receipt, error) {
	return k.now().Post(ctx, p)
}

// Claim implements [chat.Claimer].
func (k *kept) Claim(ctx context.Context, origin []byte) error {
	if c, claims := k.now().(chat.Claimer); claims {
		return c.Claim(ctx, origin)
	}
	return nil
}

// Run implements [kit.Adapter].
func (k *kept) Run(ctx context.Context) error { return k.now().Run(ctx) }

// Health implements [kit.Adapter].
func (k *kept) Health() kit.Health { return k.now().Health() }

// ahead is how far this machine's clock is ahead of the platform's, if that is known.
func (k *kept) ahead() (time.Duration, bool) {
	if c, knows := k.now().(clocked); knows {
		return c.Clock().Ahead()
	}
	return 0, false
}

// Finished implements [kit.Finisher].
func (k *kept) Finished(failed bool) {
	if f, hears := k.now().(kit.Finisher); hears {
		f.Finished(failed)
	}
}

// Endpoint implements [kit.Receiver].
func (k *kept) Endpoint() (string, http.Handler) {
	path, _ := endpoint(k.now())
	type served struct {
		a *kit.Adapter
		h http.Handler
	}
	var last atomic.Pointer[served]
	return path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, a := last.Load(), k.current.Load()
		if s == nil || s.a != a { // it was replaced
			_, h := endpoint(*a)
			s = &served{a, h}
			last.Store(s)
		}
		if s.h != nil {
			s.h.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

func endpoint(a kit.Adapter) (string, http.Handler) {
	if r, receives := a.(kit.Receiver); receives {
		return r.Endpoint()
	}
	return "", nil
}

// replace puts a new adapter in the place of the old one, if the platform accepts its
// credentials, which may be others by now.
func (k *kept) replace(ctx context.Context) error {
	a, err := k.open()
	if err != nil {
		return err
	}
	if p, asks := a.(kit.Probed); asks {
		if err := p.Probe(ctx); err != nil {
			return err
		}
	}
	k.current.Store(&a)
	return nil
}

// directory is the [chat.Directory] of an adapter that may be replaced.
type directory struct{ k *kept }

func (d directory) Profile(ctx context.Context, place chat.Place, userID string) (chat.Profile, error) {
	return d.k.now().(chat.Directory).Profile(ctx, place, userID)
}

func (d directory) InGroup(ctx context.Context, place chat.Place, userID, groupID string) (bool, error) {
	return d.k.now().(chat.Directory).InGroup(ctx, place, userID, groupID)
}

// stopped are the adapters that cannot serve, and why.
type stopped struct {
	mu  sync.Mutex
	all int
	why map[string]error
}

func (s *stopped) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all++
}

// stop notes that an adapter cannot serve. If now none can, it returns why.
func (s *stopped) stop(name string, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = make(map[string]error)
	}
	s.why[name] = err
	if len(s.why) < s.all {
		return nil
	}
	all := err // its part has its name
	for _, other := range slices.Sorted(maps.Keys(s.why)) {
		if other != name {
			all = errors.Join(all, fmt.Errorf("%s: %w", other, s.why[other]))
		}
	}
	return all
}

func (s *stopped) resume(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.why, name)
}

// How often a platform is asked whether it accepts the credentials again, and how seldom
// where something else is wrong for good.
const (
	askAgain    = time.Minute
	askSeldomer = time.Hour
	afterPanic  = 5 * time.Second
)

// runKept runs an adapter. One that cannot go on is stopped, while another can serve, and
// is started again when the platform accepts it; with none left it returns why.
func runKept(ctx context.Context, k *kept, s *stopped, log *slog.Logger) error {
	pause := askAgain // of an adapter that its platform does not refuse
	for {
		began := time.Now()
		err := kit.Guard(ctx, log, k.name, kit.Observer{}, func() error { return k.Run(ctx) })
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait := askAgain
		panicked := errors.Is(err, kit.ErrPanic)
		if panicked {
			wait = afterPanic
		} else if err := s.stop(k.name, err); err != nil {
			return err
		}
		if !panicked && !errors.Is(err, kit.ErrTokenRefused) {
			if time.Since(began) > askSeldomer {
				pause = askAgain
			}
			wait, pause = pause, min(2*pause, askSeldomer)
		}
		log.ErrorContext(ctx, "adapter stopped, trying again; the others go on", "adapter", k.name, "in", wait, "err", err)
		if !kit.Sleep(ctx, wait) {
			return nil // told to stop
		}
		if err := kit.Retry(ctx, kit.Pauses{First: askAgain, Longest: askAgain}, func(ctx context.Context) (kit.Verdict, error) {
			return kit.Again, k.replace(ctx)
		}, nil); err != nil {
			return nil // told to stop
		}
		s.resume(k.name)
		log.InfoContext(ctx, "adapter starts again", "adapter", k.name)
	}
}
