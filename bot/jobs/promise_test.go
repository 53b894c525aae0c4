package jobs

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/internal/engine"
)

// Whatever a job waits for, the person hears once, ten seconds after the wish, that it takes
// longer.
func TestTheNoticeComesWhateverAJobWaitsFor(t *testing.T) {
	hangs := func(ctx context.Context) error {
		select {
		case <-time.After(25 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	failsFor := func(d time.Duration) func() error {
		began := time.Now()
		return func() error {
			if time.Since(began) < d {
				return errBroken
			}
			return nil
		}
	}
	tests := map[string]func() *script{
		"a directory that hangs": func() *script {
			return &script{next: func(ctx context.Context, j *Job) (Next, error) {
				if j.State == Accepted {
					if err := hangs(ctx); err != nil {
						return Next{}, err
					}
				}
				return oneCall(j), nil
			}}
		},
		"a step that fails": func() *script {
			fails := failsFor(25 * time.Second)
			return &script{next: func(_ context.Context, j *Job) (Next, error) {
				if err := fails(); err != nil {
					return Next{}, err
				}
				return oneCall(j), nil
			}}
		},
		"a step that is put off": func() *script {
			at := time.Now().Add(25 * time.Second)
			return &script{next: func(_ context.Context, j *Job) (Next, error) {
				if time.Now().Before(at) {
					return RetryAt(at), nil
				}
				return oneCall(j), nil
			}}
		},
		"a call": func() *script {
			return &script{call: func(ctx context.Context, _ *Job) error { return hangs(ctx) }}
		},
		"a platform that hangs": func() *script {
			return &script{deliver: func(ctx context.Context, _ *Job) error { return hangs(ctx) }}
		},
		"a platform that refuses": func() *script {
			fails := failsFor(25 * time.Second)
			return &script{deliver: func(context.Context, *Job) error { return fails() }}
		},
	}
	for name, made := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := OpenMemory(Config{})
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				h := made()
				var told []time.Duration
				var mu sync.Mutex
				h.notice = func(_ context.Context, j *Job) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, time.Since(j.Created).Round(time.Second))
				}
				stop := run(t, s, h)
				defer stop()
				_, err = s.Enqueue(t.Context(), Job{ID: "x"})
				require.NoError(t, err)
				time.Sleep(10 * time.Minute)
				mu.Lock()
				assert.Equal(t, []time.Duration{10 * time.Second}, told)
				mu.Unlock()
				assert.True(t, await(t, s, "x", finished).Noticed)
			})
		})
	}
}

// Nobody hears it of a job that is over, nor of one that waits for a second person.
func TestTheNoticeIsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		stop := run(t, s, &script{
			next: func(_ context.Context, j *Job) (Next, error) {
				if j.ID == "waits" && j.State == Accepted {
					return Await(time.Now().Add(time.Hour)), nil
				}
				return Deliver(), nil
			},
			notice: func(_ context.Context, j *Job) { t.Errorf("told of %s", j.ID) },
		})
		defer stop()
		for _, id := range []string{"ends", "waits"} {
			_, err := s.Enqueue(t.Context(), Job{ID: id})
			require.NoError(t, err)
		}
		time.Sleep(30 * time.Minute)
	})
}

// Every worker may be busy: the notice takes none.
func TestTheNoticeNeedsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{Workers: 1})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		var told atomic.Int32
		stop := run(t, s, &script{
			next: func(context.Context, *Job) (Next, error) {
				time.Sleep(20 * time.Second)
				return Deliver(), nil
			},
			notice: func(_ context.Context, j *Job) {
				if time.Since(j.Created) < 11*time.Second {
					told.Add(1)
				}
			},
		})
		defer stop()
		for _, id := range []string{"a", "b", "c"} {
			_, err := s.Enqueue(t.Context(), Job{ID: id})
			require.NoError(t, err)
		}
		time.Sleep(12 * time.Second)
		assert.EqualValues(t, 3, told.Load())
		time.Sleep(time.Minute)
		assert.EqualValues(t, 3, told.Load())
	})
}

// What a process left that is gone is noticed by the next one, also before it has a worker for it.
func TestTheNoticeOutlivesAProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		_, err = s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		key, err := jobKey("x")
		require.NoError(t, err)
		s.kept(key) // as in another process
		time.Sleep(5 * time.Second)
		var told []time.Duration
		stop := run(t, s, &script{
			call:   func(context.Context, *Job) error { time.Sleep(20 * time.Second); return nil },
			notice: func(_ context.Context, j *Job) { told = append(told, time.Since(j.Created).Round(time.Second)) },
		})
		defer stop()
		await(t, s, "x", finished)
		assert.Equal(t, []time.Duration{10 * time.Second}, told)
	})
}

// Of several replicas that know of a job one tells.
func TestOneReplicaGivesTheNotice(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	open := openOn(t, c)
	var told atomic.Int32
	release := make(chan struct{})
	var stores []*Store
	for range 3 {
		s := closing(t, open(Config{NoticeAfter: time.Second}))
		stores = append(stores, s)
		run(t, s, &script{
			call:   func(context.Context, *Job) error { <-release; return nil },
			notice: func(context.Context, *Job) { told.Add(1) },
		})
	}
	j, err := stores[0].Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	key, err := jobKey("x")
	require.NoError(t, err)
	for _, s := range stores[1:] {
		s.promise(key, &j)
	}
	require.Eventually(t, func() bool { return told.Load() > 0 }, time.Minute, 10*time.Millisecond)
	for _, s := range stores {
		require.Eventually(t, func() bool { return s.told(key) }, time.Minute, 10*time.Millisecond)
	}
	close(release)
	await(t, stores[0], "x", finished)
	assert.EqualValues(t, 1, told.Load())
}

// A lane that does not move holds no other one up, and keeps its own order.
func TestLanesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		began := time.Now()
		var told []string
		at := map[string]time.Duration{}
		stop := run(t, s, &script{
			next: func(_ context.Context, j *Job) (Next, error) {
				for _, d := range []struct {
					lane, body string
					rank       int
				}{
					{"card", "card", 1}, {"card", "thread", 3},
					{"alone", "first", 2}, {"alone", "second", 2},
					{"other", "other", 0},
				} {
					j.Outbox = append(j.Outbox, Delivery{Lane: d.lane, Body: []byte(d.body), Rank: d.rank})
				}
				return Deliver(), nil
			},
			deliver: func(_ context.Context, j *Job) error {
				body := string(j.Outbox[j.Delivery].Body)
				if body == "card" && time.Since(began) < time.Minute {
					if time.Since(began) < time.Second {
						told = append(told, "card refused")
					}
					return &RetryAfter{After: 40 * time.Second, Err: errBroken}
				}
				told = append(told, body)
				at[body] = time.Since(began)
				return nil
			},
		})
		defer stop()
		_, err = s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		await(t, s, "x", inState(Done))
		assert.Equal(t, []string{"other", "card refused", "first", "second", "card", "thread"}, told)
		assert.Less(t, at["second"], time.Second)
		assert.Greater(t, at["thread"], time.Minute)
	})
}

// sleptThrough enqueues a job, stops after a while, and runs again more than a day later, when
// up says that all is well. It returns the job once it is done.
func sleptThrough(t *testing.T, h *script, up *atomic.Bool, within time.Duration) Job {
	s, err := OpenMemory(Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	stop := run(t, s, h)
	_, err = s.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	time.Sleep(within)
	stop()
	time.Sleep(30 * time.Hour)
	up.Store(true)
	stop = run(t, s, h)
	defer stop()
	return await(t, s, "x", inState(Done))
}

// However long nobody runs, what was acknowledged is told when somebody does.
func TestDowntimeEndsNoDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		sleptThrough(t, &script{deliver: func(context.Context, *Job) error {
			if !up.Load() {
				return errBroken
			}
			return nil
		}}, &up, 10*time.Minute)
	})
}

// Nor a look-up.
func TestDowntimeEndsNoLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		var tries atomic.Int32
		j := sleptThrough(t, &script{
			call: func(context.Context, *Job) error { return ErrUnknown },
			reconcile: func(context.Context, *Job) error {
				if !up.Load() || tries.Add(1) == 1 { // and once more after it
					return errBroken
				}
				return nil
			},
		}, &up, 2*time.Minute)
		assert.Equal(t, "called", j.Outcome)
	})
}

// refusing is an engine that takes no write for a while.
type refusing struct {
	engine.Engine
	off atomic.Bool
}

func (e *refusing) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool) (uint64, error) {
	if e.off.Load() {
		time.Sleep(100 * time.Millisecond)
		return 0, engine.ErrFull
	}
	return e.Engine.Put(ctx, key, body, expect, ttl, held)
}

// What was told and cannot be saved is not told again: the process knows.
func TestWhatCannotBeSavedIsNotToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &refusing{Engine: engine.NewMemory(kindJob, kindTimer)}
		s, err := newStore(t.Context(), withDefaults(Config{Keys: [][]byte{make([]byte, KeySize)}}), e)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		var told atomic.Int32
		stop := run(t, s, &script{deliver: func(context.Context, *Job) error {
			told.Add(1)
			e.off.Store(true)
			return nil
		}})
		defer stop()
		_, err = s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		time.Sleep(5 * time.Minute)
		e.off.Store(false)
		time.Sleep(time.Minute)
		await(t, s, "x", inState(Done))
		assert.EqualValues(t, 1, told.Load())
	})
}

// A notice that is being given is given when the process is to end: nobody gives it again.
func TestANoticeOutlivesTheEndOfTaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		var given atomic.Bool
		stop := run(t, s, &script{
			next: func(context.Context, *Job) (Next, error) { return RetryAt(time.Now().Add(time.Hour)), nil },
			notice: func(ctx context.Context, _ *Job) {
				select {
				case <-time.After(3 * time.Second):
					given.Store(true)
				case <-ctx.Done():
				}
			},
		})
		_, err = s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		time.Sleep(11 * time.Second)
		stop()
		assert.True(t, given.Load())
	})
}
