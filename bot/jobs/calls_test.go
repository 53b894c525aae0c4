package jobs

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/internal/engine"
)

// A provider that does not answer holds up its own calls and nothing else.
func TestHangingCallsDoNotKeepOthersWaiting(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Workers: 2, Calls: 8})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	answer := make(chan struct{})
	began := make(chan struct{}, 8)
	stop := run(t, s, &script{call: func(ctx context.Context, j *Job) error {
		if !strings.HasPrefix(j.ID, "hangs") {
			return nil
		}
		began <- struct{}{}
		select {
		case <-answer:
			return nil
		case <-ctx.Done():
			return ErrUnknown
		}
	}})
	defer stop()
	for i := range 7 {
		_, err := s.Enqueue(t.Context(), Job{ID: "hangs" + strconv.Itoa(i)})
		require.NoError(t, err)
	}
	for range 7 {
		receive(t, began)
	}
	_, err = s.Enqueue(t.Context(), Job{ID: "other"})
	require.NoError(t, err)
	await(t, s, "other", finished)
	close(answer)
	for i := range 7 {
		await(t, s, "hangs"+strconv.Itoa(i), finished)
	}
}

// More calls than may be under way at once wait for each other, and all are made.
func TestCallsWaitForEachOther(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Workers: 3, Calls: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	under := make(chan struct{}, 1)
	stop := run(t, s, &script{call: func(context.Context, *Job) error {
		select {
		case under <- struct{}{}:
		default:
			t.Error("two calls at once")
		}
		<-under
		return nil
	}})
	defer stop()
	for i := range 50 {
		_, err := s.Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
		require.NoError(t, err)
	}
	for i := range 50 {
		await(t, s, strconv.Itoa(i), finished)
	}
}

// A provider that does not answer uses up its own calls, and others are called all the
// while; those that wait for it all get their turn.
func TestASideThatHangsHoldsUpItself(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Workers: 2, Calls: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	answer := make(chan struct{})
	began := make(chan string, 20)
	stop := run(t, s, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			j.To, _, _ = strings.Cut(j.ID, "-")
			return oneCall(j), nil
		},
		call: func(_ context.Context, j *Job) error {
			if j.To == "hangs" {
				began <- j.ID
				<-answer
			}
			return nil
		},
	})
	defer stop()
	want := make([]string, 10)
	for i := range want {
		want[i] = "hangs-" + strconv.Itoa(i)
		_, err := s.Enqueue(t.Context(), Job{ID: want[i]})
		require.NoError(t, err)
	}
	for i := range 10 {
		_, err := s.Enqueue(t.Context(), Job{ID: "answers-" + strconv.Itoa(i)})
		require.NoError(t, err)
	}
	for i := range 10 {
		await(t, s, "answers-"+strconv.Itoa(i), finished)
	}
	require.Eventually(t, func() bool { return s.aside.Load() == 9 }, time.Minute, time.Millisecond)
	close(answer)
	var order []string
	for range want {
		order = append(order, receive(t, began))
	}
	assert.ElementsMatch(t, want, order)
	for _, id := range want {
		await(t, s, id, finished)
	}
	assert.Zero(t, s.aside.Load())
}

// A job that waits for its turn to call can be changed meanwhile, at once.
func TestAJobThatIsSetAsideIsNotOutOfReach(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Calls: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	answer := make(chan struct{})
	calls := make(chan string, 3)
	stop := run(t, s, &script{call: func(_ context.Context, j *Job) error {
		calls <- j.ID
		<-answer
		return nil
	}})
	defer stop()
	for _, id := range []string{"first", "withdrawn", "third"} {
		_, err := s.Enqueue(t.Context(), Job{ID: id})
		require.NoError(t, err)
		if id == "first" {
			receive(t, calls)
		}
	}
	require.Eventually(t, func() bool { return s.aside.Load() == 2 }, time.Minute, time.Millisecond)
	_, err = s.Update(t.Context(), "withdrawn", func(j *Job) error { j.State = Refused; return nil })
	require.NoError(t, err)
	await(t, s, "withdrawn", finished)
	close(answer)
	await(t, s, "first", finished)
	await(t, s, "third", finished)
	require.Equal(t, "third", receive(t, calls))
	require.Empty(t, calls)
}

// A job that was begun is carried to its end before those behind it are begun: else nobody
// in a crowd would hear of anything until everything is done.
func TestAJobIsCarriedToItsEnd(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Workers: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	var order []string
	for i := range 5 {
		_, err := s.Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
		require.NoError(t, err)
	}
	stop := run(t, s, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			if j.State == Accepted {
				order = append(order, "begun "+j.ID)
				j.State = Refused // no call: those take turns
			}
			return oneCall(j), nil
		},
		deliver: func(_ context.Context, j *Job) error { order = append(order, "told "+j.ID); return nil },
	})
	for i := range 5 {
		await(t, s, strconv.Itoa(i), finished)
	}
	stop()
	var want []string
	for i := range 5 {
		want = append(want, "begun "+strconv.Itoa(i), "told "+strconv.Itoa(i))
	}
	assert.Equal(t, want, order)
}

// What a process knows of jobs that it has handled is forgotten, whoever is handed what it
// saved.
func TestJobsThatAreOverTakeNoMemory(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		e := engine.NewMemory(kindJob, kindTimer)
		e.Shared = shared
		s, err := newStore(t.Context(), withDefaults(Config{Keys: [][]byte{make([]byte, KeySize)}}), e)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		r := newRunner(ctx, ctx, s, &script{})
		stop, err := e.Consume(ctx, kindJob, func(m engine.Message) { r.dispatch(m, r.job) })
		require.NoError(t, err)
		for i := range 20 {
			_, err := s.Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
			require.NoError(t, err)
		}
		for i := range 20 {
			await(t, s, strconv.Itoa(i), finished)
		}
		assert.Eventually(t, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.jobs) == 0
		}, time.Minute, time.Millisecond)
		cancel()
		stop()
		r.running.Wait()
		require.NoError(t, s.Close())
	}
}

// handedOut is what a worker is handed of a job.
func handedOut(s *Store, id string, rev uint64) engine.Message {
	key, _ := jobKey(id)
	return engine.Message{Entry: engine.Entry{Key: key, Rev: rev}, Receipt: s.engine.(*engine.Memory).Receipt(key)}
}

// A call that ends at the very moment when a worker leaves a job that waits for it does
// not bring the job a second worker.
func TestAJobThatIsBeingSetAsideHasOneWorker(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Calls: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	j, err := s.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	r := newRunner(t.Context(), t.Context(), s, &script{})
	var to *side
	r.dispatch(handedOut(s, "calls", 1), func(m engine.Message) { to = r.enter(m, &Job{Revision: 1}) })
	r.running.Wait()
	var workers, calls atomic.Int32
	r.dispatch(handedOut(s, "x", j.Revision), func(m engine.Message) {
		assert.EqualValues(t, 1, workers.Add(1))
		defer workers.Add(-1)
		if r.enter(m, &j) != nil {
			calls.Add(1)
		}
		r.leave(to)
		time.Sleep(10 * time.Millisecond) // in which another worker would begin
	})
	r.running.Wait()
	assert.EqualValues(t, 1, calls.Load())
	assert.Zero(t, to.calls)
	assert.Empty(t, r.jobs)
}

// A turn that is not used for a call is not kept for what the job does instead.
func TestATurnIsPassedOnBeforeAnythingElseIsDone(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{Calls: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	answer, told := make(chan struct{}), make(chan struct{})
	began := make(chan string, 2)
	var asked atomic.Int32
	stop := run(t, s, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			if j.ID == "withdraws" && asked.Add(1) > 1 {
				j.State = Refused
			}
			return oneCall(j), nil
		},
		call: func(_ context.Context, j *Job) error { began <- j.ID; <-answer; return nil },
		deliver: func(_ context.Context, j *Job) error {
			if j.ID == "withdraws" {
				<-told
			}
			return nil
		},
	})
	defer stop()
	for i, id := range []string{"first", "withdraws", "third"} {
		_, err := s.Enqueue(t.Context(), Job{ID: id})
		require.NoError(t, err)
		if i == 0 {
			require.Equal(t, "first", receive(t, began))
			continue
		}
		require.Eventually(t, func() bool { return s.aside.Load() == int64(i) }, time.Minute, time.Millisecond)
	}
	close(answer)
	assert.Equal(t, "third", receive(t, began))
	await(t, s, "third", finished)
	close(told)
	await(t, s, "withdraws", finished)
}

// However often a job is set aside, the person hears once that it takes longer.
func TestAJobThatIsSetAsideIsNoticedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{Workers: 1, Calls: 1})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		var tries, notices atomic.Int32
		stop := run(t, s, &script{
			next: func(_ context.Context, j *Job) (Next, error) {
				if j.ID == "takes the worker" {
					time.Sleep(6 * time.Second)
					j.State = Refused
				}
				return oneCall(j), nil
			},
			call: func(_ context.Context, j *Job) error {
				if j.ID == "x" && tries.Add(1) == 1 {
					return &RetryAfter{After: 9 * time.Second, Err: ErrNotSent}
				}
				if j.ID == "calls" {
					time.Sleep(25 * time.Second)
				}
				return nil
			},
			notice: func(_ context.Context, j *Job) {
				if j.ID == "x" {
					notices.Add(1)
				}
			},
		})
		defer stop()
		for _, id := range []string{"x", "calls", "takes the worker"} {
			_, err := s.Enqueue(t.Context(), Job{ID: id})
			require.NoError(t, err)
			time.Sleep(3 * time.Second)
		}
		await(t, s, "x", finished)
		assert.EqualValues(t, 2, tries.Load())
		assert.EqualValues(t, 1, notices.Load())
	})
}

// How long a job waited until it was begun is told once, with the time that it was set aside.
func TestAJobThatIsSetAsideStartsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waited []time.Duration
		s, err := OpenMemory(Config{Calls: 1, Observer: Observer{Started: func(_ string, d time.Duration) { waited = append(waited, d) }}})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		stop := run(t, s, &script{call: func(context.Context, *Job) error { time.Sleep(time.Second); return nil }})
		for i := range 3 {
			_, err := s.Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		stop()
		assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, waited)
	})
}

// A message that a job's worker has superseded long ago, and that is handed out again, does
// not let it wait for what has come already.
func TestAnOldMessageLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s, err := OpenMemory(Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	r := newRunner(t.Context(), t.Context(), s, &script{})
	r.dispatch(handedOut(s, "x", 1), func(m engine.Message) {
		if m.Rev == 1 {
			r.superseded(m.Key, &Job{Revision: 2})
			r.dispatch(handedOut(s, "x", 2), nil)
		} else {
			r.dispatch(handedOut(s, "x", 1), nil)
		}
	})
	r.running.Wait()
	assert.Empty(t, r.jobs)
}

// Jobs that call two sides in turns, are refused, fail, panic and are changed by others
// meanwhile all end, and no two workers ever have the same one.
func TestACrowdInTroubleEnds(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { crowdInTrouble(t, shared) })
	}
}

func crowdInTrouble(t *testing.T, shared bool) {
	e := engine.NewMemory(kindJob, kindTimer)
	e.Shared = shared
	s, err := newStore(t.Context(), withDefaults(Config{Keys: [][]byte{make([]byte, KeySize)}, Workers: 5, Calls: 2}), e)
	require.NoError(t, err)
	var inHand sync.Map
	step := func(j *Job) (leave func()) {
		_, taken := inHand.LoadOrStore(j.ID, nil)
		assert.False(t, taken, "two workers have %s", j.ID)
		return func() { inHand.Delete(j.ID) }
	}
	trouble := func() {
		if rand.N(20) == 0 {
			panic("bug")
		}
	}
	stop := run(t, s, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			defer step(j)()
			trouble()
			j.To = strconv.Itoa(rand.N(2))
			if (j.State == Called || j.State == Refused) && j.Call < 2 {
				j.Call++
				return MakeCall(), nil
			}
			return oneCall(j), nil
		},
		call: func(_ context.Context, j *Job) error {
			defer step(j)()
			time.Sleep(rand.N(time.Millisecond))
			switch rand.N(10) {
			case 0:
				return errBroken
			case 1:
				return ErrNotSent
			}
			return nil
		},
		deliver: func(_ context.Context, j *Job) error { defer step(j)(); trouble(); return nil },
		ended:   func(context.Context, *Job) { trouble() },
	})
	const n = 200
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := strconv.Itoa(i)
			_, err := s.Enqueue(t.Context(), Job{ID: id})
			assert.NoError(t, err)
			for range 3 {
				time.Sleep(rand.N(20 * time.Millisecond))
				_, err = s.Update(t.Context(), id, func(j *Job) error {
					if j.State != Accepted {
						return errBroken
					}
					return nil
				})
				if !errors.Is(err, errBroken) && !errors.Is(err, ErrConflict) {
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range n {
		await(t, s, strconv.Itoa(i), finished)
	}
	assert.Zero(t, s.aside.Load())
	stop()
	require.NoError(t, s.Close())
}
