package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBubble runs one job with the handler, in a bubble where time passes at once, and
// returns the finished record and how long it took.
func inBubble(t *testing.T, cfg Config, h *script) (job Job, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		stop := run(t, s, h)
		defer stop()
		start := time.Now()
		_, err = s.Enqueue(t.Context(), Job{ID: "x", Label: "test"})
		require.NoError(t, err)
		for !job.State.Finished() {
			require.Less(t, time.Since(start), 24*time.Hour, "%+v", job)
			time.Sleep(10*time.Millisecond + time.Since(start)/1000)
			job, err = s.Get(t.Context(), "x")
			require.NoError(t, err)
		}
		took = time.Since(start)
		time.Sleep(time.Hour) // what comes late
		job, err = s.Get(t.Context(), "x")
		require.NoError(t, err)
	})
	return job, took
}

func TestCallThatCannotBeSentIsTriedAgainUntilItsWindowCloses(t *testing.T) {
	var calls, notices atomic.Int32
	var noticedAt time.Duration
	job, took := inBubble(t, Config{}, &script{
		call: func(context.Context, *Job) error { calls.Add(1); return fmt.Errorf("refused: %w", ErrNotSent) },
		notice: func(_ context.Context, j *Job) {
			notices.Add(1)
			noticedAt = time.Since(j.Created)
		},
	})
	assert.Equal(t, "refused", job.Outcome)
	assert.Greater(t, calls.Load(), int32(5))
	assert.Less(t, calls.Load(), int32(40), "there is a backoff")
	assert.EqualValues(t, 1, notices.Load())
	assert.InDelta(t, 10, noticedAt.Seconds(), 1)
	assert.LessOrEqual(t, took, 121*time.Second)
	assert.Greater(t, took, 120*time.Second-maxBackoff*3/2-time.Second, "the next try would have been too late")
}

func TestCallIsMadeWhenTheOtherSideIsBack(t *testing.T) {
	var calls atomic.Int32
	job, took := inBubble(t, Config{}, &script{call: func(context.Context, *Job) error {
		if calls.Add(1) < 3 {
			return ErrNotSent
		}
		return nil
	}})
	assert.Equal(t, "called", job.Outcome)
	assert.Less(t, took, 5*time.Second)
}

func TestRefusalIsTold(t *testing.T) {
	job, took := inBubble(t, Config{}, &script{call: func(_ context.Context, j *Job) error {
		j.Data = []byte("why")
		return errBroken
	}})
	assert.Equal(t, "refused", job.Outcome)
	assert.Equal(t, "why", string(job.Data))
	assert.Less(t, took, time.Second)
}

func TestHangingCallIsNoticedEndedAndLookedUp(t *testing.T) {
	var begun, ended, looked time.Time
	var notices atomic.Int32
	job, _ := inBubble(t, Config{}, &script{
		call: func(ctx context.Context, _ *Job) error {
			begun = time.Now()
			<-ctx.Done()
			ended = time.Now()
			return ctx.Err()
		},
		notice:    func(context.Context, *Job) { notices.Add(1) },
		reconcile: func(context.Context, *Job) error { looked = time.Now(); return nil },
	})
	assert.Equal(t, "called", job.Outcome)
	assert.EqualValues(t, 1, notices.Load())
	assert.Equal(t, 30*time.Second, ended.Sub(begun))
	assert.GreaterOrEqual(t, looked.Sub(ended), 15*time.Second)
	assert.True(t, job.Noticed)
}

func TestLateSuccessIsAdopted(t *testing.T) {
	var told []string
	var adopted atomic.Int32
	cfg := Config{Observer: Observer{Late: func(string) { adopted.Add(1) }}}
	job, _ := inBubble(t, cfg, &script{
		call: func(_ context.Context, j *Job) error {
			time.Sleep(10 * time.Minute) // does not heed its context
			j.Data = []byte("made")
			return nil
		},
		late: func(_ context.Context, j, late *Job) bool {
			j.Data = late.Data
			return true
		},
		deliver: func(_ context.Context, j *Job) error {
			told = append(told, string(j.Outbox[j.Delivery].Body))
			return nil
		},
	})
	assert.Equal(t, []string{"unknown", "called"}, told)
	assert.Equal(t, Done, job.State)
	assert.Equal(t, "made", string(job.Data))
	assert.EqualValues(t, 1, adopted.Load())
}

func TestLookingUp(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []error // of the look-ups; the last one stays
		outcome State
		calls   int32
	}{
		{"Found", []error{nil}, Called, 1},
		{"FoundAtLast", []error{errBroken, errBroken, nil}, Called, 1},
		{"Unclear", []error{ErrUnknown}, Unknown, 1},
		{"NeverAnswered", []error{errBroken}, Unknown, 1},
		{"AbsentSoCalledAgain", []error{ErrAbsent, nil}, Called, 2},
		{"AbsentUntilTheWindowCloses", []error{ErrAbsent}, Refused, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls, lookups atomic.Int32
			job, _ := inBubble(t, Config{}, &script{
				call: func(context.Context, *Job) error { calls.Add(1); return ErrUnknown },
				reconcile: func(context.Context, *Job) error {
					return tt.answers[min(int(lookups.Add(1)), len(tt.answers))-1]
				},
			})
			assert.Equal(t, string(tt.outcome), job.Outcome)
			assert.Equal(t, tt.calls, calls.Load())
		})
	}
}

func TestThreeCallsAreThreeRecords(t *testing.T) {
	var made []int
	job, _ := inBubble(t, Config{}, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			j.Calls = 3
			switch {
			case j.State == Accepted:
			case j.Call == 2:
				j.Outcome = "all"
				return Deliver(), nil
			default:
				j.Call++
			}
			return MakeCall(), nil
		},
		call: func(_ context.Context, j *Job) error {
			made = append(made, j.Call)
			if j.Call == 1 {
				return errBroken
			}
			return nil
		},
	})
	assert.Equal(t, []int{0, 1, 2}, made)
	assert.Equal(t, "all", job.Outcome)
	assert.Equal(t, Done, job.State, "nothing to deliver is done")
}

func TestDeliveries(t *testing.T) {
	var tries [5]int
	var at []time.Time
	lost := 0
	cfg := Config{Observer: Observer{Lost: func(string) { lost++ }}}
	job, took := inBubble(t, cfg, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			j.Outbox = make([]Delivery, 5)
			j.Outbox[2].Until = time.Now().Add(10 * time.Second)
			return Deliver(), nil
		},
		deliver: func(_ context.Context, j *Job) error {
			i := j.Delivery
			tries[i]++
			switch i {
			case 0:
				at = append(at, time.Now())
				if tries[i] == 1 {
					return &RetryAfter{After: 7 * time.Second, Err: errBroken}
				}
				j.Outbox[0].Receipt = []byte("ts")
			case 1:
				return fmt.Errorf("here: %w", ErrSkip)
			case 2:
				return errBroken
			case 3:
				assert.Equal(t, "ts", string(j.Outbox[0].Receipt), "earlier receipts are there")
				return ErrLost
			}
			return nil
		},
	})
	var states []DeliveryState
	for _, d := range job.Outbox {
		states = append(states, d.State)
	}
	assert.Equal(t, []DeliveryState{Sent, Skipped, Lost, Lost, Sent}, states)
	assert.Equal(t, Undeliverable, job.State)
	assert.Equal(t, 2, lost)
	require.Len(t, at, 2)
	assert.GreaterOrEqual(t, at[1].Sub(at[0]), 7*time.Second)
	assert.Greater(t, tries[2], 2)
	assert.Less(t, took, 30*time.Second)
}

func TestDeliveryIsGivenUpAfterAnHour(t *testing.T) {
	job, took := inBubble(t, Config{}, &script{deliver: func(context.Context, *Job) error { return errBroken }})
	assert.Equal(t, Undeliverable, job.State)
	assert.InDelta(t, time.Hour.Seconds(), took.Seconds(), 60)
}

func TestApprovalExpires(t *testing.T) {
	job, took := inBubble(t, Config{}, &script{next: func(_ context.Context, j *Job) (Next, error) {
		if j.State == Accepted {
			return Await(time.Now().Add(15 * time.Minute)), nil
		}
		j.Outcome = "expired in " + string(j.State)
		return Deliver(), nil
	}})
	assert.Equal(t, "expired in awaiting_approval", job.Outcome)
	assert.InDelta(t, 900, took.Seconds(), 1)
}

func TestStepThatFailsIsTriedAgain(t *testing.T) {
	asked := 0
	job, _ := inBubble(t, Config{}, &script{next: func(_ context.Context, j *Job) (Next, error) {
		asked++
		switch asked {
		case 1:
			return Next{}, errBroken
		case 2:
			panic("bug")
		case 3:
			return RetryAt(time.Now().Add(time.Minute)), nil
		}
		return Deliver(), nil
	}})
	assert.Equal(t, Done, job.State)
	assert.Equal(t, 4, asked)
}

func TestPanicInACallIsAnUnknownOutcome(t *testing.T) {
	job, _ := inBubble(t, Config{}, &script{call: func(context.Context, *Job) error { panic("bug") }})
	assert.Equal(t, "unknown", job.Outcome)
}

func TestRecordIsLeftAloneWhileACallIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenMemory(Config{})
		require.NoError(t, err)
		closing(t, s)
		run(t, s, &script{call: func(context.Context, *Job) error { time.Sleep(5 * time.Second); return nil }})
		_, err = s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = s.Update(t.Context(), "x", func(j *Job) error { j.State = Unknown; return nil })
		require.ErrorIs(t, err, ErrConflict)
		await(t, s, "x", finished)
		_, err = s.Update(t.Context(), "x", func(*Job) error { return errBroken })
		require.ErrorIs(t, err, errBroken)
		_, err = s.Update(t.Context(), "none", func(*Job) error { return nil })
		require.ErrorIs(t, err, ErrNotFound)
	})
}

func TestUpdatesOfManyAllCount(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{EnqueueWindow: 20 * time.Second}))
		_, err := s.Enqueue(t.Context(), Job{ID: "x", State: AwaitingApproval})
		require.NoError(t, err)
		done := make(chan error)
		const n = 10
		for range n {
			go func() {
				_, err := s.Update(context.Background(), "x", func(j *Job) error { j.Data = append(j.Data, 'x'); return nil })
				done <- err
			}()
		}
		for range n {
			require.NoError(t, <-done)
		}
		j, err := s.Get(t.Context(), "x")
		require.NoError(t, err)
		assert.Len(t, j.Data, n)
	})
}

func TestShutdown(t *testing.T) {
	t.Run("RunningCallMayEnd", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := OpenMemory(Config{})
			require.NoError(t, err)
			closing(t, s)
			stop := run(t, s, &script{call: func(context.Context, *Job) error { time.Sleep(20 * time.Second); return nil }})
			_, err = s.Enqueue(t.Context(), Job{ID: "x"})
			require.NoError(t, err)
			time.Sleep(time.Second)
			start := time.Now()
			stop()
			assert.Equal(t, 19*time.Second, time.Since(start))
			j, err := s.Get(t.Context(), "x")
			require.NoError(t, err)
			assert.Equal(t, Called, j.State, "the outcome is saved, and nothing new is begun")
		})
	})
	t.Run("NoCallIsBegun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := OpenMemory(Config{})
			require.NoError(t, err)
			closing(t, s)
			stop := run(t, s, &script{
				next: func(_ context.Context, j *Job) (Next, error) { time.Sleep(5 * time.Second); return oneCall(j), nil },
				call: func(context.Context, *Job) error { t.Error("a call was begun"); return nil },
			})
			_, err = s.Enqueue(t.Context(), Job{ID: "x"})
			require.NoError(t, err)
			time.Sleep(time.Second)
			stop()
			j, err := s.Get(t.Context(), "x")
			require.NoError(t, err)
			assert.Equal(t, Accepted, j.State)
		})
	})
	t.Run("NothingIsWaitedForWithoutALimit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := OpenMemory(Config{})
			require.NoError(t, err)
			closing(t, s)
			stop := run(t, s, &script{call: func(context.Context, *Job) error { time.Sleep(time.Hour); return nil }})
			_, err = s.Enqueue(t.Context(), Job{ID: "x"})
			require.NoError(t, err)
			time.Sleep(time.Second)
			start := time.Now()
			stop()
			assert.Equal(t, 26*time.Second, time.Since(start))
			state, _, _ := s.Healthy()
			assert.Equal(t, Stopping, state)
			_, err = s.Enqueue(t.Context(), Job{ID: "y"})
			require.ErrorIs(t, err, ErrStopping)
			time.Sleep(2 * time.Hour)
		})
	})
}

// What goes wrong is logged without what is private.
func TestLogHoldsNothingPrivate(t *testing.T) {
	var out bytes.Buffer
	const canary = "canary-77"
	cfg := Config{Log: slog.New(slog.NewTextHandler(&out, nil)), Keys: [][]byte{bytes.Repeat([]byte("k"), KeySize)}}
	tries := 0
	inBubble(t, cfg, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			if tries++; tries == 1 {
				return Next{}, errors.New("failed")
			}
			j.Data = []byte(canary)
			return oneCall(j), nil
		},
		call:    func(context.Context, *Job) error { return ErrUnknown },
		deliver: func(_ context.Context, j *Job) error { j.Outbox[0].Receipt = []byte(canary); return ErrLost },
	})
	assert.NotEmpty(t, out.String())
	assert.NotContains(t, out.String(), canary)
	assert.NotContains(t, out.String(), strings.Repeat("k", KeySize))
}

func TestTheHandlerIsToldThatAJobIsOverHoweverItEnded(t *testing.T) {
	j, _ := inBubble(t, Config{DeliveryWindow: time.Second}, &script{
		next: func(_ context.Context, j *Job) (Next, error) {
			j.Data, j.Outbox = []byte("a start link"), []Delivery{{Body: []byte("a start link")}}
			return Deliver(), nil
		},
		deliver: func(context.Context, *Job) error { return errors.New("nobody is there") },
		ended: func(_ context.Context, j *Job) {
			j.Data = nil
			for i := range j.Outbox {
				j.Outbox[i].Body = nil
			}
		},
	})
	assert.Equal(t, Undeliverable, j.State)
	assert.Empty(t, j.Data)
	assert.Empty(t, j.Outbox[0].Body, "what reached nobody is not kept either")
}

// Else the process would die of that job again at every start.
func TestPanicWhereAJobIsOverEndsIt(t *testing.T) {
	j, _ := inBubble(t, Config{}, &script{ended: func(context.Context, *Job) { panic("bug") }})
	assert.Equal(t, Done, j.State)
}

func TestTheLastErrorIsKeptForAnOperator(t *testing.T) {
	tries := 0
	job, _ := inBubble(t, Config{}, &script{
		call: func(context.Context, *Job) error {
			if tries++; tries == 1 {
				return fmt.Errorf("%w: nobody listens", ErrNotSent)
			}
			return nil
		},
		deliver: func(context.Context, *Job) error {
			return fmt.Errorf("%w: %s\nand a second line", ErrLost, strings.Repeat("世", MaxErr))
		},
	})
	assert.Equal(t, Undeliverable, job.State)
	assert.Equal(t, "nothing was sent: nobody listens", job.Err, "a later success leaves it")
	err := job.Outbox[0].Err
	assert.True(t, utf8.ValidString(err))
	assert.LessOrEqual(t, len(err), MaxErr+len("…"))
	assert.True(t, strings.HasPrefix(err, ErrLost.Error()), err)
}
