package jobs

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
		<-began
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
