package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/jobstest"
)

// slowToAnswer is a cluster that for a while says nothing about its consumers.
type slowToAnswer struct {
	jetstream.JetStream
	silent *atomic.Int64 // answers that are still to be lost
}

func (s slowToAnswer) Consumer(ctx context.Context, stream, consumer string) (jetstream.Consumer, error) {
	if s.silent.Add(-1) >= 0 {
		return nil, context.DeadlineExceeded
	}
	return s.JetStream.Consumer(ctx, stream, consumer)
}

func (s slowToAnswer) CreateOrUpdateConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := s.JetStream.CreateOrUpdateConsumer(ctx, stream, cfg)
	s.silent.Store(1)
	return consumer, err
}

// A queue is read as soon as the cluster answers, whether that was asked at the start or after
// its consumer had gone.
func TestAQueueIsReadOnceTheClusterAnswers(t *testing.T) {
	t.Parallel()
	c, err := jobstest.NewCluster(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	e, err := OpenCluster(t.Context(), Config{
		URL: c.URL(), Stream: "test", Replicas: 3, Queues: []string{"job"}, MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler), Current: func(int) {},
	}, func(func(context.Context, string) (Entry, error)) error { return nil })
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	n := e.(*natsEngine)
	real := n.js
	silent := &atomic.Int64{}
	n.js = slowToAnswer{real, silent}
	put := func(id string) {
		require.Eventually(t, func() bool {
			_, err := e.Put(t.Context(), JoinKey("job", id), []byte("x"), 0, 0, false)
			return err == nil || errors.Is(err, ErrConflict)
		}, time.Minute, 10*time.Millisecond)
	}
	handed := make(chan string, 100)
	for _, id := range []string{"at the start", "after it had gone"} {
		if id == "at the start" {
			silent.Store(2)
			stop, err := e.Consume(t.Context(), "job", func(m Message) {
				_, segments, err := SplitKey(m.Key)
				require.NoError(t, err)
				handed <- segments[0]
				m.Receipt.Ack()
			})
			require.NoError(t, err)
			defer stop()
		} else {
			require.NoError(t, real.DeleteConsumer(t.Context(), "test", "job"))
		}
		put(id)
		for end := time.After(time.Minute); ; {
			select {
			case got := <-handed:
				if got != id {
					continue // again, of a consumer that was made again
				}
			case <-end:
				require.Fail(t, "not handed out", id)
			}
			break
		}
	}
}
