package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"meetbot/bot/jobs/internal/engine"
)

var errBroken = errors.New("broken")

// engines are the implementations that must behave the same. Each returns a function
// that opens a store; opening a second time is another life, or another process, of the
// same store.
var engines = []struct {
	name string
	open func(t *testing.T) func(Config) *Store
}{
	{"Memory", func(t *testing.T) func(Config) *Store {
		e := engine.NewMemory(kindJob, kindTimer)
		return func(cfg Config) *Store {
			cfg.Keys = [][]byte{make([]byte, KeySize)}
			s, err := newStore(t.Context(), withDefaults(cfg), e)
			require.NoError(t, err)
			return s
		}
	}},
	{"Embedded", func(t *testing.T) func(Config) *Store {
		dir := t.TempDir()
		return func(cfg Config) *Store {
			cfg.Dir = dir
			cfg.Log = testLog(t)
			s, err := Open(t.Context(), cfg)
			require.NoError(t, err)
			return s
		}
	}},
	{"Cluster", func(t *testing.T) func(Config) *Store {
		c, err := shared()
		require.NoError(t, err)
		return openOn(t, c)
	}},
}

func conform(t *testing.T, f func(t *testing.T, open func(Config) *Store)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			open := e.open(t)
			f(t, func(cfg Config) *Store {
				if cfg.EnqueueWindow == 0 {
					cfg.EnqueueWindow = 30 * time.Second // the machine may be busy
				}
				return open(cfg)
			})
		})
	}
}

func TestJobGoesFromAcceptedToDone(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		var mu sync.Mutex
		var seen []string
		cfg := Config{Observer: Observer{Transition: func(label string, from, to State) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("%s: %s > %s", label, from, to))
		}}}
		s := closing(t, open(cfg))
		var calls atomic.Int32
		run(t, s, &script{
			call: func(_ context.Context, j *Job) error {
				calls.Add(1)
				j.Data = append(j.Data, " made"...)
				return nil
			},
			deliver: func(_ context.Context, j *Job) error {
				j.Outbox[j.Delivery].Receipt = []byte("42")
				return nil
			},
		})
		created := time.Now().Add(-time.Second)
		accepted, err := s.Enqueue(t.Context(), Job{ID: "a.b *>é", Label: "meet", Data: []byte("wish"), Created: created})
		require.NoError(t, err)
		assert.Equal(t, Accepted, accepted.State)
		assert.NotZero(t, accepted.Revision)

		j := await(t, s, "a.b *>é", finished)
		assert.Equal(t, Done, j.State)
		assert.Equal(t, "wish made", string(j.Data))
		assert.Equal(t, "called", j.Outcome)
		assert.True(t, j.Created.Equal(created))
		require.Len(t, j.Outbox, 1)
		assert.Equal(t, "42", string(j.Outbox[0].Receipt))
		assert.Equal(t, Sent, j.Outbox[0].State)
		assert.EqualValues(t, 1, calls.Load())
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(seen) >= 3
		}, time.Minute, time.Millisecond)
		assert.Equal(t, []string{"meet: accepted > calling", "meet: calling > called", "meet: called > done"}, seen)
	})
}

func TestSameWishIsOneJob(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		first, err := s.Enqueue(t.Context(), Job{ID: "x", Data: []byte("first")})
		require.NoError(t, err)
		again, err := s.Enqueue(t.Context(), Job{ID: "x", Data: []byte("second")})
		require.ErrorIs(t, err, ErrDuplicate)
		assert.Equal(t, "first", string(again.Data))
		assert.Equal(t, first.Revision, again.Revision)

		var wg sync.WaitGroup
		var stored, duplicates atomic.Int32
		for range 32 {
			wg.Go(func() {
				switch _, err := s.Enqueue(t.Context(), Job{ID: "y"}); {
				case err == nil:
					stored.Add(1)
				case errors.Is(err, ErrDuplicate):
					duplicates.Add(1)
				default:
					assert.NoError(t, err)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, stored.Load())
		assert.EqualValues(t, 31, duplicates.Load())

		for _, id := range []string{"", strings.Repeat("x", maxID+1)} {
			_, err = s.Enqueue(t.Context(), Job{ID: id})
			assert.Error(t, err)
		}
	})
}

func TestManyAtOnceAreAllStoredAndDone(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		run(t, s, &script{})
		const n = 300
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				j, err := s.Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
				assert.NoError(t, err)
				assert.NotZero(t, j.Revision)
			})
		}
		wg.Wait()
		for i := range n {
			assert.Equal(t, Done, await(t, s, strconv.Itoa(i), finished).State)
		}
		count := 0
		for j, err := range s.List(t.Context(), false) {
			require.NoError(t, err)
			assert.Equal(t, Done, j.State)
			count++
		}
		assert.Equal(t, n, count)
	})
}

func TestDocuments(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		ctx := t.Context()
		_, err := s.Doc(ctx, "meeting", "1")
		require.ErrorIs(t, err, ErrNotFound)

		rev, err := s.PutDoc(ctx, Doc{Key: []string{"meeting", "1"}, Value: []byte("one")})
		require.NoError(t, err)
		_, err = s.PutDoc(ctx, Doc{Key: []string{"meeting", "1"}, Value: []byte("two")})
		require.ErrorIs(t, err, ErrConflict)
		_, err = s.PutDoc(ctx, Doc{Key: []string{"meeting", "1"}, Value: []byte("two"), Revision: rev + 1})
		require.ErrorIs(t, err, ErrConflict)
		rev2, err := s.PutDoc(ctx, Doc{Key: []string{"meeting", "1"}, Value: []byte("two"), Revision: rev})
		require.NoError(t, err)
		d, err := s.Doc(ctx, "meeting", "1")
		require.NoError(t, err)
		assert.Equal(t, Doc{Key: []string{"meeting", "1"}, Value: []byte("two"), Revision: rev2}, d)

		for _, key := range [][]string{{"meeting", "1", "x"}, {"meeting", "10"}, {"meeting"}, {"meeting", "a b.c"}, {"meetings", "1"}, {"meeting", "1-x"}} {
			_, err = s.PutDoc(ctx, Doc{Key: key})
			require.NoError(t, err)
		}
		keys := func(limit int, prefix ...string) (keys []string) {
			docs, err := s.Docs(ctx, limit, prefix...)
			require.NoError(t, err)
			for _, d := range docs {
				keys = append(keys, strings.Join(d.Key, "/"))
			}
			return keys
		}
		assert.Equal(t, []string{"meeting", "meeting/1", "meeting/1/x", "meeting/1-x", "meeting/10", "meeting/a b.c"}, keys(0, "meeting"))
		assert.Equal(t, []string{"meeting/1", "meeting/1/x"}, keys(0, "meeting", "1"))
		assert.Equal(t, []string{"meeting", "meeting/1"}, keys(2, "meeting"))
		assert.Empty(t, keys(0, "nothing"))
		assert.Len(t, keys(0), 7)

		require.ErrorIs(t, s.DeleteDoc(ctx, rev, "meeting", "1"), ErrConflict)
		require.NoError(t, s.DeleteDoc(ctx, rev2, "meeting", "1"))
		require.ErrorIs(t, s.DeleteDoc(ctx, rev2, "meeting", "1"), ErrConflict)
		_, err = s.Doc(ctx, "meeting", "1")
		require.ErrorIs(t, err, ErrNotFound)
		_, err = s.PutDoc(ctx, Doc{Key: []string{"meeting", "1"}})
		require.NoError(t, err)

		for _, key := range [][]string{nil, {""}, {"a", ""}, {strings.Repeat("x", maxDocKey+1)}} {
			_, err = s.PutDoc(ctx, Doc{Key: key})
			assert.Error(t, err)
		}
	})
}

func TestDocumentExpires(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		_, err := s.PutDoc(t.Context(), Doc{Key: []string{"a"}, Expires: time.Now().Add(time.Second)})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := s.Doc(t.Context(), "a")
			return errors.Is(err, ErrNotFound)
		}, time.Minute, 10*time.Millisecond)
		docs, err := s.Docs(t.Context(), 0)
		require.NoError(t, err)
		assert.Empty(t, docs)
		_, err = s.PutDoc(t.Context(), Doc{Key: []string{"a"}})
		require.NoError(t, err, "an expired document is as good as none")
	})
}

func TestListingIsCompleteAboveOneRequest(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		const n = 2500
		var group errgroup.Group
		group.SetLimit(250)
		for i := range n {
			group.Go(func() error {
				_, err := s.PutDoc(t.Context(), Doc{Key: []string{"log", fmt.Sprintf("%05d", i)}, Value: make([]byte, 100)})
				return err
			})
		}
		require.NoError(t, group.Wait())
		docs, err := s.Docs(t.Context(), 0, "log")
		require.NoError(t, err)
		require.Len(t, docs, n)
		for i, d := range docs {
			require.Equal(t, fmt.Sprintf("%05d", i), d.Key[1])
		}
		docs, err = s.Docs(t.Context(), 3, "log")
		require.NoError(t, err)
		require.Len(t, docs, 3)
		assert.Equal(t, "00002", docs[2].Key[1])
	})
}

func TestTimerGoesOffInItsSecond(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		type gone struct {
			Timer
			at time.Time
		}
		fired := make(chan gone, 10)
		failures := atomic.Int32{}
		run(t, s, &script{timer: func(_ context.Context, tm Timer) error {
			if tm.Key == "fails once" && failures.Add(1) == 1 {
				return &RetryAfter{After: 10 * time.Millisecond, Err: errBroken}
			}
			fired <- gone{tm, time.Now()}
			return nil
		}})
		start := time.Now()
		at := map[string]time.Time{"soon": start.Add(300 * time.Millisecond), "moved": start.Add(400 * time.Millisecond), "past": start.Add(-time.Hour), "fails once": start}
		require.NoError(t, s.SetTimer(t.Context(), Timer{Key: "moved", At: start.Add(time.Hour)}))
		for key, when := range at {
			require.NoError(t, s.SetTimer(t.Context(), Timer{Key: key, At: when}))
		}
		for range len(at) {
			select {
			case f := <-fired:
				assert.False(t, f.at.Before(at[f.Key]), "%s went off early", f.Key)
				delete(at, f.Key)
			case <-time.After(10 * time.Second):
				t.Fatalf("timers did not go off: %v", at)
			}
		}
		assert.Empty(t, at)
		select {
		case f := <-fired:
			t.Errorf("%s went off", f.Key)
		case <-time.After(time.Until(start.Add(2300 * time.Millisecond))):
		}
	})
}

func TestAnotherLifeGoesOn(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		cfg := Config{ReconcileAfter: time.Millisecond, ClockSkew: time.Millisecond, CallTimeout: 200 * time.Millisecond, Grace: time.Millisecond}
		s := open(cfg)
		print1 := s.Fingerprint([]byte("key"))
		calling := make(chan string, 4)
		stop := run(t, s, &script{
			call: func(ctx context.Context, j *Job) error {
				calling <- j.ID
				<-ctx.Done()
				return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
			},
			next: func(_ context.Context, j *Job) (Next, error) {
				if j.ID == "approval" && j.State == Accepted {
					return Await(time.Now().Add(time.Hour)), nil
				}
				return oneCall(j), nil
			},
		})
		for _, id := range []string{"call", "approval"} {
			_, err := s.Enqueue(t.Context(), Job{ID: id})
			require.NoError(t, err)
		}
		require.Equal(t, "call", receive(t, calling))
		await(t, s, "approval", inState(AwaitingApproval))
		stop()
		_, err := s.Enqueue(t.Context(), Job{ID: "too late"})
		require.ErrorIs(t, err, ErrStopping)
		require.NoError(t, s.Close())

		s = closing(t, open(cfg))
		assert.Equal(t, print1, s.Fingerprint([]byte("key")))
		_, err = s.Enqueue(t.Context(), Job{ID: "waiting"})
		require.NoError(t, err)
		var lookups atomic.Int32
		var mu sync.Mutex
		var called []string
		run(t, s, &script{
			call: func(_ context.Context, j *Job) error {
				mu.Lock()
				defer mu.Unlock()
				called = append(called, j.ID)
				return nil
			},
			reconcile: func(context.Context, *Job) error { lookups.Add(1); return nil },
		})
		assert.Equal(t, "called", await(t, s, "call", finished).Outcome)
		assert.Equal(t, Done, await(t, s, "waiting", finished).State)
		assert.EqualValues(t, 1, lookups.Load())
		mu.Lock()
		assert.Equal(t, []string{"waiting"}, called)
		mu.Unlock()
		_, err = s.Update(t.Context(), "approval", func(j *Job) error { j.State = Accepted; return nil })
		require.NoError(t, err)
		assert.Equal(t, Done, await(t, s, "approval", finished).State)
	})
}
