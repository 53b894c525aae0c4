package jobs

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is a clock that can be set.
type machine struct{ by atomic.Int64 }

func (m *machine) now() time.Time      { return time.Now().Round(0).Add(time.Duration(m.by.Load())) }
func (m *machine) set(d time.Duration) { m.by.Add(int64(d)) }

// However the machine's clock is set, the store's goes on, hardly faster or slower.
func TestTheClockGoesOnEvenly(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, -3 * time.Minute, time.Hour, -100 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var m machine
				c := newClock(m.now)
				time.Sleep(time.Minute)
				before := c.Now()
				assert.True(t, before.Equal(m.now()))
				m.set(by)
				assert.Equal(t, before, c.Now())
				for range 60 {
					was := c.Now()
					time.Sleep(time.Second)
					assert.InDelta(t, 1, c.Now().Sub(was).Seconds(), 0.11)
				}
				time.Sleep(11 * by.Abs())
				assert.True(t, c.Now().Equal(m.now()), "it has come to what it should show")
			})
		})
	}
}

func TestTheClockCatchesUpWhileNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m machine
		c := newClock(m.now)
		m.set(8 * time.Hour) // the machine slept
		c.catchUp()
		assert.True(t, c.Now().Equal(m.now()))
		m.set(-time.Hour)
		c.catchUp()
		assert.Greater(t, c.Now().Sub(m.now()), 59*time.Minute, "it never goes back")
	})
}

func TestTheClockFollowsTheClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m, theirs machine
		m.set(10 * time.Minute)
		c := newClock(m.now)
		_, known := c.apart()
		assert.False(t, known)
		look := func() {
			asked := time.Now()
			time.Sleep(4 * time.Millisecond)
			said := theirs.now()
			time.Sleep(4 * time.Millisecond)
			c.follow(said, asked, time.Now())
		}
		look()
		assert.InDelta(t, 0, c.Now().Sub(theirs.now()).Seconds(), 0.01, "at once")
		m.set(-time.Hour)
		for range 5 {
			time.Sleep(time.Second)
			look()
			assert.InDelta(t, 0, c.Now().Sub(theirs.now()).Seconds(), 0.2, "whatever is done to the machine's")
		}
		apart, known := c.apart()
		assert.True(t, known)
		assert.Less(t, apart, 2*time.Second)
		theirs.set(5 * time.Second) // another server leads, whose clock is another
		look()
		apart, _ = c.apart()
		assert.Greater(t, apart, 5*time.Second)
		time.Sleep(2 * time.Minute)
		_, known = c.apart()
		assert.False(t, known, "not seen for long")
	})
}

// A process that has nothing to do catches up with the cluster's clock, and not with a machine's
// that was set a moment ago.
func TestAnIdleReplicaDoesNotFollowItsMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m, theirs machine
		c := newClock(m.now)
		look := func() {
			c.follow(theirs.now(), time.Now(), time.Now())
			c.catchUp()
		}
		look()
		for range 3 {
			time.Sleep(time.Second)
			_ = c.Now() // others look as well
			m.set(time.Hour)
			time.Sleep(10 * time.Millisecond)
			look()
			assert.InDelta(t, 0, c.Now().Sub(theirs.now()).Seconds(), 0.2)
		}
	})
}

// setWhile runs a job that is retried and whose call is made again, with the machine's clock
// set in the middle.
func setWhile(t *testing.T, by time.Duration) (job Job, took time.Duration, calls int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var m machine
		s, err := OpenMemory(Config{machine: m.now})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		fails := 0
		stop := run(t, s, &script{
			next: func(_ context.Context, j *Job) (Next, error) {
				if j.State == Accepted && j.Attempt < 3 {
					return Next{}, errBroken
				}
				return oneCall(j), nil
			},
			call: func(context.Context, *Job) error {
				if calls++; calls < 4 {
					return ErrNotSent
				}
				return nil
			},
			deliver: func(context.Context, *Job) error {
				if fails++; fails < 4 {
					return errBroken
				}
				return nil
			},
		})
		defer stop()
		began := time.Now()
		_, err = s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		for range 20 { // whatever it is waiting for
			time.Sleep(time.Second)
			m.set(by / 20)
			synctest.Wait()
		}
		for !job.State.Finished() && time.Since(began) < 12*time.Hour {
			time.Sleep(10 * time.Millisecond)
			job, err = s.Get(t.Context(), "x")
			require.NoError(t, err)
		}
		took = time.Since(began)
	})
	return job, took, calls
}

func TestAClockThatIsSetKeepsNothingWaiting(t *testing.T) {
	for _, by := range []time.Duration{0, -time.Hour, time.Hour} {
		job, took, calls := setWhile(t, by)
		assert.Equal(t, "called", job.Outcome, by)
		assert.Equal(t, Done, job.State, by)
		assert.Equal(t, 4, calls, by)
		assert.Less(t, took, time.Minute, by)
	}
}

// The next process takes over what waits, although the machine's clock was set back between
// the two.
func TestAClockThatIsSetBackBetweenTwoLives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var m machine
	open := func() *Store {
		s, err := Open(t.Context(), Config{Dir: dir, machine: m.now, Log: testLog(t)})
		require.NoError(t, err)
		return s
	}
	s := open()
	tried := make(chan struct{}, 10)
	stop := run(t, s, &script{deliver: func(context.Context, *Job) error { tried <- struct{}{}; return errBroken }})
	_, err := s.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	require.NoError(t, s.SetTimer(t.Context(), Timer{Key: "t", At: s.Now().Add(2 * time.Second)}))
	receive(t, tried)
	receive(t, tried)
	stop()
	require.NoError(t, s.Close())
	m.set(-time.Hour)
	s = closing(t, open())
	went := make(chan struct{})
	run(t, s, &script{timer: func(context.Context, Timer) error { close(went); return nil }})
	await(t, s, "x", inState(Done))
	select {
	case <-went:
	case <-time.After(time.Minute):
		t.Error("the timer waits for the machine's clock")
	}
}

// Replicas whose machines' clocks differ by minutes have one clock.
func TestReplicasHaveOneClock(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	open := openOn(t, c)
	var stores []*Store
	for _, by := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		m := &machine{}
		m.set(by)
		stores = append(stores, closing(t, open(Config{machine: m.now})))
	}
	for _, s := range stores {
		require.Eventually(t, func() bool { return time.Since(s.Now()).Abs() < time.Second }, time.Minute, 10*time.Millisecond)
		assert.Less(t, s.skew(), 10*time.Second, "which is known")
	}
}

// What a replica has in hand that is gone is looked up as soon as what it sent can have no
// effect any more, not when its time would have been over; and the person hears from another
// meanwhile.
func TestAReplicaThatIsGoneIsTakenOverFrom(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	open := openOn(t, c)
	cfg := Config{CallTimeout: 10 * time.Minute, ReconcileAfter: time.Second, NoticeAfter: 5 * time.Second}
	dead, alive := open(cfg), closing(t, open(cfg))
	calling, noticed := make(chan struct{}), make(chan struct{}, 10)
	var gone atomic.Bool
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = dead.Run(ctx, &script{
			call: func(context.Context, *Job) error { close(calling); <-release; return ErrUnknown },
			notice: func(context.Context, *Job) {
				if !gone.Load() { // else it could say nothing
					noticed <- struct{}{}
				}
			},
		})
	}()
	_, err = dead.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	receive(t, calling)
	run(t, alive, &script{
		reconcile: func(context.Context, *Job) error { return nil },
		notice:    func(context.Context, *Job) { noticed <- struct{}{} },
	})
	require.Eventually(t, func() bool { return !alive.Alone() }, time.Minute, 10*time.Millisecond, "it was there")
	gone.Store(true)
	require.NoError(t, dead.engine.Close()) // as a kill does
	assert.Equal(t, "called", await(t, alive, "x", inState(Done)).Outcome)
	assert.Len(t, noticed, 1)
	assert.True(t, alive.Alone())
}

// Whoever gave a command to a replica that dies before it says anything hears from another in
// time, which has not even noticed yet.
func TestWhatADeadReplicaOwedIsSaidInTime(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	open := openOn(t, c)
	cfg := Config{CallTimeout: 10 * time.Minute, ReconcileAfter: time.Second, NoticeAfter: 6 * time.Second, Grace: time.Second}
	replicas := []*Store{open(cfg), open(cfg)}
	calling, alone := make(chan int, 1), make(chan bool, 10)
	var killed atomic.Pointer[Store] // it can say nothing
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i, s := range replicas {
		run(t, closing(t, s), &script{
			call:      func(context.Context, *Job) error { calling <- i; <-ctx.Done(); return ErrUnknown },
			reconcile: func(context.Context, *Job) error { return nil },
			notice: func(context.Context, *Job) {
				if killed.Load() != s {
					alone <- s.Alone()
				}
			},
		})
		require.Eventually(t, func() bool { return i == 0 || !s.Alone() }, time.Minute, 10*time.Millisecond, "the other was there")
	}
	j, err := replicas[0].Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	i := receive(t, calling) // either may get it
	dead, alive := replicas[i], replicas[1-i]
	require.Eventually(t, func() bool { return !alive.Alone() }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		alive.promised.mu.Lock()
		defer alive.promised.mu.Unlock()
		return len(alive.promised.by) == 1
	}, time.Minute, 10*time.Millisecond)
	time.Sleep(time.Until(j.Created.Add(cfg.NoticeAfter - 500*time.Millisecond)))
	killed.Store(dead)
	require.NoError(t, dead.engine.Close()) // as a kill does
	assert.False(t, receive(t, alone))
	await(t, alive, "x", inState(Done))
	assert.Empty(t, alone, "once")
}

// A replica that cannot say any more that it runs, and does run, ends its calls before another
// looks them up: what it sent could have an effect after that.
func TestAReplicaThatIsCutOffEndsItsCallsFirst(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	open := openOn(t, c)
	cfg := Config{CallTimeout: 10 * time.Minute, ReconcileAfter: time.Second, Grace: time.Minute}
	cut, other := open(cfg), closing(t, open(cfg))
	calling := make(chan struct{})
	var ended atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = cut.Run(ctx, &script{call: func(ctx context.Context, _ *Job) error {
			close(calling)
			<-ctx.Done()
			ended.Store(true)
			return ErrUnknown
		}})
	}()
	_, err = cut.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	receive(t, calling)
	run(t, other, &script{reconcile: func(context.Context, *Job) error {
		assert.True(t, ended.Load(), "the call is under way")
		return nil
	}})
	require.Eventually(t, func() bool { return !other.Alone() }, time.Minute, 10*time.Millisecond, "it was there")
	require.NoError(t, cut.engine.Close())
	await(t, other, "x", inState(Done))
}

// Nor is a call looked up at once that one has begun since it was not heard of.
func TestAReplicaThatIsBackIsNotTakenOverFrom(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	s := closing(t, openOn(t, c)(Config{}))
	assert.False(t, s.Alone(), "nobody has looked yet")
	now := s.Now()
	s.replicas.by = map[string]*replica{"other": {seen: now.Add(-time.Minute), gone: true}}
	j := Job{State: Calling, Owner: "other", Lease: now.Add(time.Minute)}
	j.began = now.Add(-time.Minute)
	assert.False(t, s.settled(&j).After(now), "it died")
	j.began = now
	assert.GreaterOrEqual(t, s.settled(&j).Sub(now), callsFor+s.cfg.ReconcileAfter)
}
