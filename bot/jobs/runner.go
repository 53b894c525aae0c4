package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"meetbot/bot/jobs/internal/engine"
)

const (
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 30 * time.Second
	keepBackoff  = 5 * time.Second
	heartbeat    = 2 * time.Second  // how often a worker says that it is still at it
	resaveFor    = 10 * time.Minute // how long the outcome of a call is tried to be saved
)

// Run carries jobs and timers out until ctx is done. Then it begins nothing new, gives
// what is running [Config.Grace] and returns; what was not finished is picked up by the
// next Run, here or in another process. From then on Enqueue returns [ErrStopping]. A store
// has one Run at a time.
func (s *Store) Run(ctx context.Context, h Handler) error {
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	r := newRunner(ctx, working, s, h)
	defer r.crew.Dismiss()
	s.running.Store(r)
	if s.engine.Exclusive() { // else each replica is handed what another one leaves
		r.running.Go(r.promiseAll)
	} else {
		present, leave := context.WithCancel(context.WithoutCancel(ctx))
		var left sync.WaitGroup
		left.Go(func() { s.keepPresence(present) })
		defer left.Wait()
		defer leave()
	}

	stopJobs, err := s.engine.Consume(ctx, kindJob, func(m engine.Message) { r.dispatch(m, r.job) })
	if err != nil {
		return s.notRunning(ctx, err)
	}
	stopTimers, err := s.engine.Consume(ctx, kindTimer, func(m engine.Message) { r.dispatch(m, r.timer) })
	if err != nil {
		stopJobs()
		return s.notRunning(ctx, err)
	}
	var gone error
	select {
	case <-ctx.Done():
	case <-s.engine.Failed():
		gone = s.engine.Why()
	}
	s.stopping.Store(true)
	stopJobs()
	stopTimers()
	r.end()

	drained := make(chan struct{})
	go func() { r.running.Wait(); close(drained) }()
	select {
	case <-drained:
		return gone
	case <-time.After(s.cfg.Grace):
	}
	stopWork()
	select {
	case <-drained:
	case <-time.After(time.Second): // a handler that does not heed its context
		s.log.Warn("steps still run at the end of the shutdown time; the next start continues them")
	}
	return gone
}

// notRunning is how Run ends if it could not begin.
func (s *Store) notRunning(ctx context.Context, err error) error {
	if ctx.Err() != nil { // it was to end anyway
		s.stopping.Store(true)
		return nil
	}
	return fmt.Errorf("take jobs: %w", err)
}

// beat tells the engine that the message is being worked on until the returned function
// is called.
func (r *runner) beat(m engine.Message) (stop func()) {
	done := make(chan struct{})
	var again func()
	again = func() {
		select {
		case <-done:
		default:
			m.Receipt.Working()
			time.AfterFunc(heartbeat, again)
		}
	}
	t := time.AfterFunc(heartbeat, again)
	return func() {
		close(done)
		t.Stop()
	}
}

// job carries out the step that is due, and those that follow from it as far as this
// worker may go.
func (r *runner) job(m engine.Message) {
	j, err := r.decodeJob(m.Entry)
	if err != nil {
		m.Receipt.Later(maxBackoff) // it was told of; its key may come, or it be dropped
		return
	}
	if j.State.Finished() {
		m.Receipt.Ack()
		return
	}
	r.promise(m.Key, &j)
	now := r.cfg.Now()
	if at, wait := r.due(&j, now); wait {
		m.Receipt.Later(at.Sub(now))
		return
	}
	stop := r.beat(m)
	defer stop()
	step := &step{r: r, m: m, j: &j, from: j.State, at: now}
	for step.carryOut() {
	}
}

// lookAgain is how often it is looked whether the replica that makes a call is gone.
const lookAgain = 3 * time.Second

// due returns when something has to be done for j, and whether that is still to come.
func (r *runner) due(j *Job, now time.Time) (time.Time, bool) {
	at := j.Wait
	if j.State == Calling {
		switch {
		case j.phase == phaseRunning && !r.unbegun(j):
			at = r.settled(j) // until then its record is left alone
			if again := now.Add(lookAgain); j.Owner != r.owner && !r.engine.Exclusive() && now.Before(at) {
				return earlier(at, again), true // its maker may turn out to be gone
			}
		case j.phase == phaseLookup && j.lookedUp.IsZero() && j.Owner != r.owner && !r.engine.Exclusive():
			at = at.Add(r.skew()) // it was another's clock
		}
	}
	return at, now.Before(at)
}

// step is one job in the hands of one worker.
type step struct {
	r     *runner
	m     engine.Message
	j     *Job
	from  State
	at    time.Time // when the worker took it
	goOn  bool      // the same worker goes on with the job
	keeps bool      // it goes on trying to save the job
}

// carryOut carries out one step, and reports whether there is another one to do at once.
func (s *step) carryOut() bool {
	s.goOn = false
	switch j := s.j; j.State {
	case Accepted, AwaitingApproval, Called, Refused, Unknown:
		s.next()
	case Calling:
		s.calling()
	case Delivering:
		s.deliver()
	default:
		s.r.log.Error("job is in an unknown state", "job", j.ID, "state", j.State)
		s.m.Receipt.Later(maxBackoff)
	}
	return s.goOn
}

// next asks the handler how to go on.
func (s *step) next() {
	r, j := s.r, s.j
	r.queued(j)
	var next Next
	err := r.do(j, &deciding, func(ctx context.Context) (err error) {
		next, err = r.h.Next(ctx, j)
		return err
	})
	if r.ctx.Err() != nil {
		return // picked up at the next start
	}
	if err != nil {
		s.retry(err)
		return
	}
	j.Attempt, j.Wait = 0, time.Time{}
	switch next.kind {
	case nextCall:
		s.begin()
	case nextAwait:
		j.State, j.Wait = AwaitingApproval, next.until
		s.save()
	case nextRetry:
		j.Wait = next.until
		s.save()
	default:
		s.toOutbox()
	}
}

// retry leaves the job in its state, to be tried again.
func (s *step) retry(err error) {
	s.r.log.Warn("step failed, trying again", "job", s.j.ID, "label", s.j.Label, "state", s.j.State, "attempt", s.j.Attempt+1, "err", err)
	s.j.Attempt++
	s.j.Err = err.Error()
	s.j.Wait = s.r.cfg.Now().Add(backoff(s.j.Attempt, err))
	s.save()
}

// backoff returns how long to wait after the given number of failed tries.
func backoff(attempt int, err error) time.Duration {
	var after *RetryAfter
	if errors.As(err, &after) && after.After > 0 {
		return after.After + rand.N(firstBackoff)
	}
	d := firstBackoff << min(attempt-1, 10)
	d = min(d, maxBackoff)
	return d/2 + rand.N(d)
}

// toOutbox goes on with the deliveries. What is to be said is saved with the end of the first
// one: until then [Handler.Next] can say it again. Only the end of a wait for approval is
// saved at once, so that nobody approves what somebody was told is over.
func (s *step) toOutbox() {
	r, j := s.r, s.j
	j.State, j.Attempt = Delivering, 0
	if s.from == AwaitingApproval {
		s.skipEnded()
		s.save()
		return
	}
	r.mu.Lock()
	r.yield(r.jobs[s.m.Key])
	r.mu.Unlock()
	s.goOn = true
}

// skipEnded moves on to the delivery that is to be made next, or ends the job.
func (s *step) skipEnded() {
	j := s.j
	var found bool
	if j.Delivery, found = nextDelivery(j.Outbox, s.r.cfg.Now()); found {
		j.Wait = j.Outbox[j.Delivery].Wait
		return
	}
	j.Wait = time.Time{}
	lost := slices.ContainsFunc(j.Outbox, func(d Delivery) bool { return d.State == Lost })
	j.Delivery = len(j.Outbox)
	j.State = Done
	if lost {
		j.State = Undeliverable
	}
	if err := s.r.over(j); err != nil {
		s.r.log.Error("private data of a finished job not removed from its record", "job", j.ID, "err", err)
	}
}

// nextDelivery returns which of the deliveries that have not ended is next: of those that
// are first in their lane and need not wait the one with the smallest rank, else the one that
// waits least.
func nextDelivery(outbox []Delivery, now time.Time) (next int, found bool) {
	seen := make(map[string]bool, 2)
	for i := range outbox {
		d := &outbox[i]
		if d.State != Pending || seen[d.Lane] {
			continue
		}
		seen[d.Lane] = true
		if !found || sooner(d, &outbox[next], now) {
			next, found = i, true
		}
	}
	return next, found
}

func sooner(a, b *Delivery, now time.Time) bool {
	aWaits, bWaits := now.Before(a.Wait), now.Before(b.Wait)
	switch {
	case aWaits && bWaits:
		return a.Wait.Before(b.Wait)
	case aWaits || bWaits:
		return bWaits
	}
	return a.Rank < b.Rank
}

// deliver carries out one delivery.
func (s *step) deliver() {
	r, j := s.r, s.j
	s.skipEnded()
	if j.State.Finished() {
		s.save()
		return
	}
	d := &j.Outbox[j.Delivery]
	began := time.Now()
	var err error
	if d.Spent >= r.cfg.DeliveryWindow || !d.Until.IsZero() && r.cfg.Now().After(d.Until) {
		err = fmt.Errorf("its time is over: %w", ErrLost)
	} else {
		err = r.do(j, &delivering, func(ctx context.Context) error { return r.h.Deliver(ctx, j) })
		if r.ctx.Err() != nil && err != nil {
			return
		}
		d = &j.Outbox[j.Delivery] // the handler may have appended
	}
	if err != nil {
		d.Err = err.Error()
	}
	switch {
	case err == nil:
		d.State = Sent
	case errors.Is(err, ErrSkip):
		d.State = Skipped
	case errors.Is(err, ErrLost):
		d.State = Lost
	default:
		d.Attempt++
		j.Attempt++
		pause := backoff(d.Attempt, err)
		d.Spent += time.Since(began) + pause
		d.Wait = r.cfg.Now().Add(pause)
		if d.Spent >= r.cfg.DeliveryWindow || !d.Until.IsZero() && d.Wait.After(d.Until) {
			d.State = Lost
		} else {
			r.log.Warn("delivery failed, trying again", "job", j.ID, "label", j.Label, "delivery", j.Delivery, "attempt", d.Attempt, "err", err)
			s.skipEnded()
			s.save()
			return
		}
	}
	if d.State == Lost {
		r.log.Error("delivery reached nobody", "job", j.ID, "label", j.Label, "delivery", j.Delivery, "err", err)
		if f := r.cfg.Observer.Lost; f != nil {
			f(j.Label)
		}
	}
	j.Attempt = 0
	s.skipEnded()
	s.keep()
}

// keep is save of what must not be done again, for as long as it takes: nothing else knows that
// somebody was told.
func (s *step) keep() {
	deadline := time.Now().Add(resaveFor)
	s.keeps = true
	defer func() { s.keeps = false }()
	for pause := firstBackoff; ; pause = min(2*pause, keepBackoff) {
		err := s.saved(s.r.cfg.StepTimeout)
		if err == nil || errors.Is(err, ErrConflict) {
			return
		}
		if s.r.ctx.Err() != nil || time.Now().After(deadline) {
			s.m.Receipt.Later(firstBackoff)
			return
		}
		select {
		case <-s.r.ctx.Done():
		case <-time.After(pause):
		}
	}
}

// save stores the job. What is stored is also handed out again. Where no other process can
// get it the worker goes on by itself, so that a job which was begun does not wait behind
// all that were not; else whoever gets the record does.
func (s *step) save() {
	_ = s.saved(s.r.cfg.StepTimeout)
}

// saved is save with a time limit. The message is dealt with whatever it returns.
func (s *step) saved(within time.Duration) error {
	r, j := s.r, s.j
	j.Updated = r.cfg.Now()
	j.Noticed = j.Noticed || r.told(s.m.Key)
	s.goOn = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), within)
	defer cancel()
	err := r.write(ctx, s.m.Key, j, j.Revision, true)
	switch {
	case err == nil:
		if f := r.cfg.Observer.Started; f != nil && s.from == Accepted && j.State != Accepted {
			f(j.Label, s.at.Sub(j.Created))
		}
		r.observe(j, s.from)
		s.from = j.State
		if j.State != Calling {
			r.forget(j.ID)
		}
		r.superseded(s.m.Key, j)
		if j.State.Finished() {
			r.kept(s.m.Key)
		}
		if !r.engine.Exclusive() {
			s.m.Receipt.Ack() // whoever is handed what was saved goes on
			break
		}
		s.m.Rev, s.m.Doubtful = j.Revision, true // what it was handed is older
		now := r.cfg.Now()
		at, wait := r.due(j, now)
		switch {
		case j.State.Finished():
			s.m.Receipt.Ack()
		case wait:
			s.m.Receipt.Later(at.Sub(now))
		default:
			s.goOn = r.taking.Err() == nil
		}
	case errors.Is(err, ErrConflict):
		s.m.Receipt.Ack() // somebody saved a newer one, which is delivered by itself
	case s.keeps:
		r.log.Error("job not saved, trying again", "job", j.ID, "label", j.Label, "state", j.State, "err", err)
	default:
		r.log.Error("job not saved, repeating its step", "job", j.ID, "label", j.Label, "state", j.State, "err", err)
		s.m.Receipt.Later(firstBackoff)
	}
	return err
}

// do is [Store.handle] with a step's time limit.
func (r *runner) do(j *Job, a *activity, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.StepTimeout)
	defer cancel()
	return r.handle(ctx, j, a, f)
}

func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w: %v\n%s", ErrUnknown, errPanic, p, debug.Stack())
		}
	}()
	return f(ctx)
}

// timer handles a timer that may be due.
func (r *runner) timer(m engine.Message) {
	t, err := r.decodeTimer(m.Entry)
	if err != nil {
		m.Receipt.Later(maxBackoff)
		return
	}
	now := r.cfg.Now()
	if now.Before(t.At) {
		m.Receipt.Later(t.At.Sub(now))
		return
	}
	stop := r.beat(m)
	defer stop()
	if f := r.cfg.Observer.Timer; f != nil {
		f(now.Sub(t.At))
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.StepTimeout)
	err = guarded(ctx, func(ctx context.Context) error { return r.h.Timer(ctx, t) })
	cancel()
	if err != nil {
		if r.ctx.Err() == nil {
			r.log.Warn("timer failed, trying again", "timer", t.Key, "err", err)
		}
		var after *RetryAfter
		if errors.As(err, &after) {
			m.Receipt.Later(after.After)
			return
		}
		m.Receipt.Later(maxBackoff/2 + rand.N(maxBackoff/2))
		return
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(r.ctx), r.cfg.StepTimeout)
	defer cancel()
	if err := r.engine.Remove(ctx, m.Key, m.Rev); err != nil && !errors.Is(err, ErrConflict) {
		r.log.Warn("timer that fired not removed, it will fire again", "timer", t.Key, "err", err)
		m.Receipt.Later(firstBackoff)
		return
	}
	m.Receipt.Ack()
}
