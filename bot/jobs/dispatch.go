package jobs

import (
	"context"
	"sync"

	"meetbot/bot/jobs/internal/engine"
)

// runner is one [Store.Run].
type runner struct {
	*Store
	h       Handler
	taking  context.Context // ends when nothing new is begun
	ctx     context.Context // ends when what is running must end
	workers chan struct{}
	running sync.WaitGroup
	crew    engine.Crew // of workers

	mu    sync.Mutex
	ended bool             // nothing joins what is running any more
	jobs  map[string]*work // by key, also timers
	sides map[string]*side // by [Job.To]
}

func newRunner(taking, ctx context.Context, s *Store, h Handler) *runner {
	return &runner{
		Store: s, h: h, taking: taking, ctx: ctx,
		crew: engine.NewCrew(), workers: make(chan struct{}, s.cfg.Workers), jobs: make(map[string]*work), sides: make(map[string]*side),
	}
}

// join counts the caller among what is running, until it calls r.running.Done. It reports
// false when that is too late.
func (r *runner) join() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.running.Add(1)
	return true
}

// end lets nothing join any more.
func (r *runner) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// work is a job that this process has in hand, or of which messages may still come that
// it has superseded itself.
type work struct {
	do    func(engine.Message)
	next  *engine.Message // what came for it and was not looked at, the newest
	busy  bool            // a worker is at it, or about to be
	saved uint64          // revision that the worker saved last
	aside *side           // it waits for a call to that side to end; while busy, it is about to
	turn  *side           // it has waited, and may call that side
}

// side is whom calls go to.
type side struct {
	calls   int      // under way
	waiting []string // keys of jobs that were set aside, in their order
}

// dispatch waits for a free worker and lets it work. Messages of one job come one after
// the other: one that arrives while the job is worked on waits for that to end, in the
// same worker; a newer one takes its place, and one that the worker itself has superseded
// is dropped.
func (r *runner) dispatch(m engine.Message, do func(engine.Message)) {
	if w := r.accept(m, do); w != nil && r.hire() {
		r.begin(func() { r.work(m.Key, w) })
	}
}

// begin lets somebody of the crew do something, for which Run waits.
func (r *runner) begin(f func()) {
	r.running.Add(1)
	r.crew.Run(func() {
		defer r.running.Done()
		f()
	})
}

// accept returns what there is to work on now, or nil.
func (r *runner) accept(m engine.Message, do func(engine.Message)) *work {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.jobs[m.Key]
	if w == nil {
		w = &work{do: do}
		r.jobs[m.Key] = w
	}
	if m.Rev < w.saved {
		m.Receipt.Ack()
		return nil
	}
	known := w.next
	if known == nil || known.Rev <= m.Rev {
		w.next = &m
		if w.busy {
			w.aside = nil // it is not what would wait
		}
	}
	if w.busy || w.aside != nil && known.Rev >= m.Rev {
		return nil
	}
	r.take(w, nil)
	return w
}

// take marks w as being worked on. The caller holds mu.
func (r *runner) take(w *work, turn *side) {
	if w.aside != nil {
		r.aside.Add(-1)
	}
	w.busy, w.aside, w.turn = true, nil, turn
}

// hire waits for a free worker. It reports false when nothing new is begun any more.
func (r *runner) hire() bool {
	if r.taking.Err() != nil {
		return false
	}
	select {
	case r.workers <- struct{}{}:
		return true
	case <-r.taking.Done():
		return false
	}
}

// work is what a worker does: what has come for w, one after the other.
func (r *runner) work(key string, w *work) {
	defer func() { <-r.workers }()
	for {
		r.mu.Lock()
		m := *w.next
		w.next = nil
		r.mu.Unlock()
		if m, ok := r.fresh(m); ok {
			w.do(m)
		}
		if !r.more(key, w) {
			return
		}
	}
}

// more reports whether something has come for w meanwhile, or it need not be set aside
// any more. If not, the worker leaves it.
func (r *runner) more(key string, w *work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.yield(w)
	if to := w.aside; to != nil && to.calls >= r.cfg.Calls {
		w.busy = false
		to.waiting = append(to.waiting, key)
		r.aside.Add(1)
		return false
	}
	w.aside = nil
	if w.next != nil && r.taking.Err() == nil {
		return true
	}
	w.busy = false
	delete(r.jobs, key)
	return false
}

// fresh reports whether the message is still the newest record, and returns it with that;
// else it is dealt with. What a person would see twice must not be done for an old one.
func (r *runner) fresh(m engine.Message) (engine.Message, bool) {
	if !m.Doubtful {
		return m, true
	}
	e, err := r.engine.Get(r.ctx, m.Key)
	switch {
	case err == nil && e.Rev == m.Rev:
		m.Entry = e
		return m, true
	case err == nil && e.Rev > m.Rev:
		m.Receipt.Ack()
	default: // not known, or the replica that answers lags behind the one that delivered
		m.Receipt.Later(firstBackoff / 4)
	}
	return m, false
}

// superseded notes that the job's worker saved it anew.
func (r *runner) superseded(key string, j *Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.jobs[key]
	w.saved = j.Revision
	if w.next != nil && w.next.Rev < w.saved {
		w.next.Receipt.Ack()
		w.next = nil
	}
	if j.State != Calling {
		r.yield(w)
	}
}

// enter asks for the right to call the side that it returns, which [runner.leave] gives
// back; nil is no. If too many calls to the side are under way, the job whose message this
// is is set aside until one ends. When nothing new is begun any more there is none.
func (r *runner) enter(m engine.Message, j *Job) *side {
	r.mu.Lock()
	defer r.mu.Unlock()
	to := r.sides[j.To]
	if to == nil {
		to = &side{}
		r.sides[j.To] = to
	}
	w := r.jobs[m.Key]
	switch {
	case r.taking.Err() != nil:
		m.Receipt.Later(0) // somebody else may have it at once
	case w.turn == to:
		w.turn = nil
		return to
	case to.calls < r.cfg.Calls:
		to.calls++
		return to
	case w.next == nil && m.Rev == j.Revision: // else what is newer will be
		m.Doubtful = true
		w.next, w.aside = &m, to // as soon as its worker leaves it
	}
	return nil
}

// leave ends a call.
func (r *runner) leave(to *side) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pass(to)
}

// yield gives up the turn of a job that does not call after all. The caller holds mu.
func (r *runner) yield(w *work) {
	if to := w.turn; to != nil {
		w.turn = nil
		r.pass(to)
	}
}

// pass gives the right to call to the job that has waited longest. The caller holds mu.
func (r *runner) pass(to *side) {
	for len(to.waiting) > 0 {
		key := to.waiting[0]
		to.waiting = to.waiting[1:]
		if w := r.jobs[key]; w != nil && w.aside == to && !w.busy {
			r.take(w, to)
			r.begin(func() {
				if r.hire() {
					r.work(key, w)
				}
			})
			return
		}
	}
	to.calls--
}
