package jobs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/jobstest"
)

func jetStreamOf(t *testing.T, c *jobstest.Cluster) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(c.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// What reads the queue is deleted under a running store: it is made again, and what was
// stored meanwhile is done. Nothing is acknowledged and left lying.
func TestAReaderThatIsGoneIsMadeAgain(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	js := jetStreamOf(t, c)
	for _, kind := range []string{kindJob, kindTimer} {
		s := closing(t, openOn(t, c)(Config{}))
		fired := make(chan string, 9)
		run(t, s, &script{timer: func(_ context.Context, tm Timer) error { fired <- tm.Key; return nil }})
		require.NoError(t, js.DeleteConsumer(t.Context(), s.cfg.Name, kind))
		require.NoError(t, s.SetTimer(t.Context(), Timer{Key: "x", At: time.Now()}))
		var ids []string
		for i := 0; len(ids) < 5; i++ {
			id := strconv.Itoa(i)
			_, err := s.Enqueue(t.Context(), Job{ID: id})
			for end := time.Now().Add(time.Minute); errors.Is(err, ErrNotConfirmed) && time.Now().Before(end); { // a machine with much to do
				_, err = s.Enqueue(t.Context(), Job{ID: id})
			}
			if err == nil || errors.Is(err, ErrDuplicate) { // it was stored, if not confirmed in time
				ids = append(ids, id)
			} else {
				require.ErrorIs(t, err, ErrBusy)
				require.Eventually(t, func() bool { return s.admit() == nil }, time.Minute, 10*time.Millisecond)
			}
		}
		for _, id := range ids {
			await(t, s, id, finished)
		}
		select {
		case <-fired:
		case <-time.After(time.Minute):
			t.Error("the timer did not go off")
		}
	}
}

func TestAStreamThatIsGoneEndsTheProcessWithASentence(t *testing.T) {
	t.Parallel()
	c, err := shared()
	require.NoError(t, err)
	s := closing(t, openOn(t, c)(Config{}))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context(), &script{}) }()
	_, err = s.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err)
	await(t, s, "x", finished)
	require.NoError(t, jetStreamOf(t, c).DeleteStream(t.Context(), s.cfg.Name))
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "is gone from the NATS cluster")
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	_, err = s.Enqueue(t.Context(), Job{ID: "y"})
	require.ErrorIs(t, err, ErrStopping)
}

// A node that is lost is told of, and that it is back.
func TestALostNodeIsToldOf(t *testing.T) {
	t.Parallel()
	c, err := jobstest.NewCluster(t.TempDir())
	require.NoError(t, err)
	defer c.Close()
	var current atomic.Int64
	s := closing(t, openOn(t, c)(Config{Observer: Observer{Replicas: func(n int) { current.Store(int64(n)) }}}))
	run(t, s, &script{})
	is := func(n int64) func() bool { return func() bool { return current.Load() == n } }
	require.Eventually(t, is(3), time.Minute, 10*time.Millisecond)
	lost := slices.Index([]int{0, 1, 2}, (c.Leader(s.cfg.Name)+1)%3)
	c.Stop(lost)
	require.Eventually(t, is(2), time.Minute, 10*time.Millisecond)
	require.NoError(t, c.Start(lost))
	require.Eventually(t, is(3), time.Minute, 10*time.Millisecond)
	_, err = s.Enqueue(t.Context(), Job{ID: "x"})
	assert.False(t, err != nil && !errors.Is(err, ErrNotConfirmed), "%v", err)
}
