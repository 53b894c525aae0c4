package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// calling goes on with a job whose call was begun, or put off, by somebody.
func (s *step) calling() {
	r, j := s.r, s.j
	switch {
	case j.phase == phaseLookup:
		s.lookup()
	case j.phase == phaseUnsent:
		s.again()
	case r.unbegun(j):
		s.begin()
	default:
		s.replayed()
		s.lookup()
	}
}

func (s *step) replayed() {
	if f := s.r.cfg.Observer.Replayed; f != nil {
		f(s.j.Label, s.j.State)
	}
}

// again makes a call again that certainly had no effect, while there is time.
func (s *step) again() {
	r, j := s.r, s.j
	if r.cfg.Now().After(j.Created.Add(r.cfg.CallWindow)) {
		s.ended(Refused)
		return
	}
	s.begin()
}

// begin saves `calling`, and makes the call if that worked: whoever wrote the record is
// the only one who may. If too many calls are under way the job is set aside.
func (s *step) begin() {
	r, j := s.r, s.j
	to := r.enter(s.m, j)
	if to == nil {
		return
	}
	now := r.cfg.Now()
	j.State, j.phase, j.Wait = Calling, phaseRunning, time.Time{}
	j.Owner, j.began, j.lookedUp, j.spent = r.owner, now, time.Time{}, 0
	j.Lease = now.Add(r.cfg.CallTimeout + r.cfg.ReconcileAfter)
	if s.saved(r.cfg.EnqueueWindow) != nil {
		r.leave(to)
		return
	}
	s.goOn = false // the call's end says how it goes on
	r.Store.mu.Lock()
	r.begun[j.ID] = j.nonce
	r.Store.mu.Unlock()
	// A worker is not kept waiting by a provider that does not answer: others need it.
	<-r.workers
	s.call(now)
	r.leave(to) // first: who waits for it may hold up a worker
	r.workers <- struct{}{}
}

// unbegun says that this process wrote `calling`, did not learn that in time, and so
// never began the call.
func (s *Store) unbegun(j *Job) bool {
	if j.Owner != s.owner {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun[j.ID] != j.nonce
}

// forget is called when a job's call is over.
func (s *Store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.begun, id)
}

// outcome is how a call ended, and the job as it left it.
type outcome struct {
	err error
	j   Job
}

// call makes the call, begun at the given time. The job is the caller's alone until the
// lease is over; then the call is given up, and if it succeeds after all that is adopted.
func (s *step) call(began time.Time) {
	r, j := s.r, s.j
	left := r.cfg.CallTimeout - r.cfg.Now().Sub(began) // saving took its time
	ctx, cancel := context.WithTimeout(r.ctx, left)
	ended := make(chan outcome, 1)
	given := clone(j)
	heard := r.replicas.whileHeard(cancel)
	r.running.Go(func() {
		defer cancel()
		defer heard()
		err := r.handle(ctx, &given, &making, func(ctx context.Context) error { return r.h.Call(ctx, &given) })
		if !errors.Is(err, ErrNotSent) && !errors.Is(err, ErrUnknown) && ctx.Err() == nil {
			r.answered(&given)
		}
		ended <- outcome{err, given}
	})

	lease := time.NewTimer(left + r.cfg.ReconcileAfter)
	defer lease.Stop()
	select {
	case out := <-ended:
		s.settle(out)
	case <-lease.C:
		r.log.Error("call did not end in its time, giving it up", "job", j.ID, "label", j.Label, "call", j.Call)
		late, key := clone(j), s.m.Key
		r.running.Go(func() { r.late(key, late, <-ended) })
		s.unknown()
	}
}

// answered notes that the other side has answered a call. Only the first call counts: people
// wait for it.
func (s *Store) answered(j *Job) {
	if f := s.cfg.Observer.Answered; f != nil && j.Call == 0 {
		f(j.Label, j.Created)
	}
}

// settle saves how a call ended.
func (s *step) settle(out outcome) {
	r, j := s.r, s.j
	keep := *j
	*j = out.j
	j.ID, j.State, j.Revision, j.progress, j.marks = keep.ID, keep.State, keep.Revision, keep.progress, keep.marks
	j.Owner, j.Lease, j.Call = keep.Owner, keep.Lease, keep.Call
	if out.err != nil {
		j.Err = out.err.Error()
	}
	switch err := out.err; {
	case err == nil:
		r.saveOutcome(s)
	case errors.Is(err, ErrNotSent):
		r.log.Warn("call not sent, trying again", "job", j.ID, "label", j.Label, "call", j.Call, "attempt", j.Attempt+1, "err", err)
		j.Attempt++
		j.phase, j.Owner, j.Lease = phaseUnsent, "", time.Time{}
		j.Wait = r.cfg.Now().Add(backoff(j.Attempt, err))
		if end := j.Created.Add(r.cfg.CallWindow); j.Wait.After(end) {
			s.ended(Refused)
			return
		}
		s.save()
	case errors.Is(err, ErrUnknown), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.log.Warn("outcome of a call is unknown, looking it up", "job", j.ID, "label", j.Label, "call", j.Call, "err", err)
		s.unknown()
	default:
		s.ended(Refused)
	}
}

// unknown puts the call off to be looked up.
func (s *step) unknown() {
	r, j := s.r, s.j
	j.phase, j.Attempt = phaseLookup, 0
	j.Wait = earlier(j.Lease, r.cfg.Now().Add(r.cfg.ReconcileAfter))
	j.Lease = time.Time{}
	s.save()
}

// ended saves that the call is over, in the given state.
func (s *step) ended(state State) {
	j := s.j
	j.State, j.Attempt, j.Wait, j.Owner, j.Lease = state, 0, time.Time{}, "", time.Time{}
	j.progress = progress{}
	s.save()
}

// lookup finds out what became of the call.
func (s *step) lookup() {
	r, j := s.r, s.j
	if j.lookedUp.IsZero() {
		j.lookedUp = r.cfg.Now()
	}
	began := time.Now()
	err := r.do(j, &lookingUp, func(ctx context.Context) error { return r.h.Reconcile(ctx, j) })
	if err == nil {
		r.answered(j)
	}
	if r.ctx.Err() != nil && err != nil {
		return
	}
	if err != nil {
		j.Err = err.Error()
	}
	switch {
	case err == nil:
		s.ended(Called)
	case errors.Is(err, ErrAbsent):
		j.Attempt++
		s.again()
	case errors.Is(err, ErrUnknown):
		s.ended(Unknown)
	default:
		j.Attempt++
		j.phase, j.Owner, j.Lease = phaseLookup, "", time.Time{}
		pause := backoff(j.Attempt, err)
		j.Wait = r.cfg.Now().Add(pause)
		if j.spent += time.Since(began) + pause; j.spent > r.cfg.ReconcileWindow {
			s.ended(Unknown)
			return
		}
		r.log.Warn("look-up of a call failed, trying again", "job", j.ID, "label", j.Label, "call", j.Call, "attempt", j.Attempt, "err", err)
		s.save()
	}
}

// saveOutcome saves that a call succeeded, for as long as it takes: nothing else knows.
// If somebody has given the call up meanwhile, its success is a late one.
func (r *runner) saveOutcome(s *step) {
	j := s.j
	called := clone(j)
	called.State, called.Attempt, called.Wait, called.Owner, called.Lease = Called, 0, time.Time{}, "", time.Time{}
	called.progress, called.settled = progress{}, j.nonce
	mine := *s
	mine.j = &called
	deadline := time.Now().Add(resaveFor)
	for {
		err := mine.saved(r.cfg.EnqueueWindow)
		switch {
		case err == nil:
			*s = mine
			return
		case errors.Is(err, ErrConflict):
			r.late(s.m.Key, *j, outcome{nil, *j})
			return
		}
		if time.Now().After(deadline) || r.ctx.Err() != nil {
			return // looked up later
		}
	}
}

// late adopts the success of a call that had been given up. given is the job at the time.
func (r *runner) late(key string, given Job, out outcome) {
	if out.err != nil {
		return
	}
	late := out.j
	late.State = Called
	deadline := time.Now().Add(resaveFor)
	for pause := firstBackoff; time.Now().Before(deadline); pause = min(2*pause, maxBackoff) {
		if done := r.adopt(key, given, &late); done {
			return
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// adopt corrects the record by a late success, and reports whether that is settled.
func (r *runner) adopt(key string, given Job, late *Job) bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.StepTimeout)
	defer cancel()
	e, err := r.engine.Get(ctx, key)
	if err != nil {
		return errors.Is(err, ErrNotFound)
	}
	j, err := r.decodeJob(e)
	if err != nil {
		return false
	}
	from := j.State
	switch {
	case j.settled == given.nonce:
		return true // it was saved after all, and the answer got lost
	case j.Call == given.Call && j.State == Called:
		return true // it was found by looking it up
	case j.Call == given.Call && j.State == Calling && (j.phase != phaseRunning || j.began.Equal(given.began)):
		// Given up but not looked up yet: this is the answer.
		noticed, rev := j.Noticed, j.Revision
		j = clone(late)
		j.Noticed, j.Revision = noticed, rev
	case j.Call == given.Call && j.State == Unknown, j.State == Delivering, j.State.Finished():
		corrected := false
		err := r.do(&j, &correcting, func(ctx context.Context) error {
			trace.SpanFromContext(ctx).SetAttributes(callAttr.Int(late.Call))
			corrected = r.h.Late(ctx, &j, late)
			return nil
		})
		if err != nil {
			r.log.Error("late success of a call not recorded", "job", j.ID, "err", err)
			return false
		}
		if !corrected {
			return true
		}
	default:
		return false // in the middle of something else
	}
	j.State, j.Attempt, j.Wait, j.Owner, j.Lease, j.progress = Called, 0, time.Time{}, "", time.Time{}, progress{}
	j.settled, j.Updated = given.nonce, r.cfg.Now()
	if err := r.write(ctx, key, &j, e.Rev, false); err != nil {
		return false
	}
	r.observe(&j, from)
	if f := r.cfg.Observer.Late; f != nil {
		f(j.Label)
	}
	return true
}

// clone copies a job, so that two goroutines can change it.
func clone(j *Job) Job {
	c := *j
	c.Data, c.Memo = slices.Clone(j.Data), nil
	c.Outbox = slices.Clone(j.Outbox)
	for i := range c.Outbox {
		c.Outbox[i].Body = slices.Clone(c.Outbox[i].Body)
		c.Outbox[i].Receipt = slices.Clone(c.Outbox[i].Receipt)
	}
	return c
}
