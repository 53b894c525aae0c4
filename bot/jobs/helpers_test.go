package jobs

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a handler made of functions; the nil ones do the usual.
type script struct {
	next      func(ctx context.Context, j *Job) (Next, error)
	call      func(ctx context.Context, j *Job) error
	reconcile func(ctx context.Context, j *Job) error
	late      func(ctx context.Context, j, late *Job) bool
	deliver   func(ctx context.Context, j *Job) error
	notice    func(ctx context.Context, j *Job)
	timer     func(ctx context.Context, t Timer) error
	ended     func(ctx context.Context, j *Job)
}

// Next makes one call and then tells how it ended.
func (s *script) Next(ctx context.Context, j *Job) (Next, error) {
	if s.next != nil {
		return s.next(ctx, j)
	}
	return oneCall(j), nil
}

func oneCall(j *Job) Next {
	if j.State == Accepted {
		j.Calls = 1
		return MakeCall()
	}
	j.Outcome = string(j.State)
	j.Outbox = append(j.Outbox, Delivery{Body: []byte(j.State)})
	return Deliver()
}

func (s *script) Call(ctx context.Context, j *Job) error {
	if s.call != nil {
		return s.call(ctx, j)
	}
	return nil
}

func (s *script) Reconcile(ctx context.Context, j *Job) error {
	if s.reconcile != nil {
		return s.reconcile(ctx, j)
	}
	return ErrUnknown
}

func (s *script) Late(ctx context.Context, j, late *Job) bool {
	if s.late != nil {
		return s.late(ctx, j, late)
	}
	return false
}

func (s *script) Deliver(ctx context.Context, j *Job) error {
	if s.deliver != nil {
		return s.deliver(ctx, j)
	}
	return nil
}

func (s *script) Ended(ctx context.Context, j *Job) {
	if s.ended != nil {
		s.ended(ctx, j)
	}
}

func (s *script) Notice(ctx context.Context, j *Job) {
	if s.notice != nil {
		s.notice(ctx, j)
	}
}

func (s *script) Timer(ctx context.Context, t Timer) error {
	if s.timer != nil {
		return s.timer(ctx, t)
	}
	return nil
}

// run runs the store until the test ends or the returned function is called.
func run(t testing.TB, s *Store, h Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, h) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(30 * time.Second):
				t.Error("Run did not return")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// await waits until the job is in a state that f accepts.
func await(t testing.TB, s *Store, id string, f func(Job) bool) Job {
	t.Helper()
	var j Job
	require.Eventually(t, func() bool {
		var err error
		j, err = s.Get(context.Background(), id)
		return err == nil && f(j)
	}, time.Minute, 2*time.Millisecond, "job %s", id)
	return j
}

// receive waits for what is to come.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		require.FailNow(t, "nothing came")
		panic("not reached")
	}
}

func finished(j Job) bool { return j.State.Finished() }

func inState(want State) func(Job) bool { return func(j Job) bool { return j.State == want } }

// testLog shows what the store logs with the test's own output.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func closing(t testing.TB, s *Store) *Store {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }
