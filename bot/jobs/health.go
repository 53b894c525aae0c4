package jobs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

// Health says how a store is.
type Health string

const (
	Ready      Health = "ready"
	Full       Health = "full"       // disk or quota: takes no new jobs, carries on with the others
	Busy       Health = "busy"       // too many jobs wait for a worker or for their turn to call
	NotDurable Health = "notdurable" // writes are not confirmed
	Stopping   Health = "stopping"
)

const (
	watchEvery = time.Second
	manyFailed = 3 // writes in a row are no accident
)

type health struct {
	full, busy  atomic.Bool
	used        atomic.Uint64 // bytes of all records, when looked at last
	added       atomic.Int64  // jobs enqueued since then
	addedBytes  atomic.Uint64
	unconfirmed atomic.Int64 // writes in a row
	unreachable atomic.Bool  // the engine does not answer
	unread      atomic.Bool  // and nothing hands out what it has
	looks       int          // of [Store.watch]

	mu     sync.Mutex
	state  Health
	since  time.Time
	last   error
	scarce error // what the process is almost out of; nil: nothing
}

// almostOut notes what the process is almost out of, and reports whether that is new.
func (h *health) almostOut(of error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := !errors.Is(of, h.scarce)
	h.scarce = of
	return fresh
}

func (h *health) short() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scarce != nil
}

// wrote notes how a write ended.
func (h *health) wrote(err error) {
	switch {
	case err == nil, errors.Is(err, ErrConflict):
		if h.unconfirmed.Load() != 0 {
			h.unconfirmed.Store(0)
		}
	case errors.Is(err, ErrFull), errors.Is(err, context.Canceled):
	default:
		h.mu.Lock()
		h.unconfirmed.Add(1)
		h.last = err
		h.mu.Unlock()
	}
}

// recordOverhead is about what a record takes beside its content.
const recordOverhead = 200

func (h *health) enqueued(size int) {
	h.added.Add(1)
	h.addedBytes.Add(uint64(size) + recordOverhead)
}

// overQuota says that what is left is for the jobs that are under way.
func (s *Store) overQuota() bool {
	return s.health.used.Load()+s.health.addedBytes.Load() > s.cfg.MaxBytes/10*9
}

// admit says whether a new job is taken.
func (s *Store) admit() error {
	switch {
	case s.stopping.Load():
		return ErrStopping
	case s.health.full.Load(), s.overQuota():
		return ErrFull
	case s.health.unread.Load(), s.health.busy.Load(), s.health.added.Load() > int64(s.cfg.MaxWaiting):
		return ErrBusy
	}
	return nil
}

// Healthy says how the store is, since when, and what went wrong last.
func (s *Store) Healthy() (state Health, since time.Time, last error) {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	now := Ready
	switch {
	case s.stopping.Load():
		now = Stopping
	case h.unreachable.Load(), h.unconfirmed.Load() >= manyFailed:
		now = NotDurable
	case h.full.Load():
		now = Full
	case h.busy.Load():
		now = Busy
	}
	if now != h.state {
		h.state, h.since = now, s.cfg.Now()
	}
	if now == Busy && h.scarce != nil {
		return h.state, h.since, h.scarce
	}
	return h.state, h.since, h.last
}

// watch looks every second whether new jobs can be taken.
func (s *Store) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		s.look(ctx)
		_, _, _ = s.Healthy() // notes since when
		if n%int(keepClockEvery/watchEvery) == 0 {
			s.keepClock(ctx)
		}
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchEvery)
			defer cancel()
			s.keepClock(ctx)
			return
		case <-tick.C:
		}
	}
}

func (s *Store) look(ctx context.Context) {
	h := &s.health
	free, known := s.engine.(interface{ Free() (uint64, error) })
	diskFull := false
	if known {
		if n, err := free.Free(); err == nil {
			diskFull = n < s.cfg.MinFree
		}
	}
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	waiting, used, err := s.engine.Load(ctx, kindJob)
	s.watchClock(ctx)
	h.unreachable.Store(err != nil)
	h.unread.Store(errors.Is(err, engine.ErrUnread))
	if err == nil {
		h.added.Store(0)
		h.addedBytes.Store(0)
		h.used.Store(used)
		h.busy.Store(waiting+uint64(s.aside.Load()) > uint64(s.cfg.MaxWaiting) || h.short())
	}
	if h.looks++; h.looks%5 == 1 { // it costs more than the rest
		switch out := s.cfg.scarce(); {
		case !h.almostOut(out):
		case out != nil:
			h.busy.Store(true)
			s.log.WarnContext(ctx, "the process is almost out of what it needs, refusing new jobs", "err", out)
		default: // the next look says whether too much waits
			s.log.InfoContext(ctx, "the process has what it needs again, accepting new jobs")
		}
	}
	quota := s.overQuota()
	if full := diskFull || quota; full != h.full.Swap(full) {
		if full {
			s.log.WarnContext(ctx, "store is full, refusing new jobs", "disk", diskFull, "quota", quota)
		} else {
			s.log.InfoContext(ctx, "store has room again, accepting new jobs")
		}
	}
}
