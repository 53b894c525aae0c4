//go:build linux

package jobs

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mountSmall returns a directory on a small disk of its own.
func mountSmall(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here (needs root): %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// The disk is nearly full: new jobs are refused before anything goes wrong, and taken
// again when there is room.
func TestNearlyFullDisk(t *testing.T) {
	t.Parallel()
	dir := mountSmall(t, "64m")
	s, err := openDir(t, Config{Dir: filepath.Join(dir, "data"), MinFree: 16 << 20})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, err = s.Enqueue(t.Context(), Job{ID: "before"})
	require.NoError(t, err)

	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 50<<20), 0o600))
	require.Eventually(t, func() bool {
		_, err := s.Enqueue(t.Context(), Job{ID: strconv.FormatUint(newNonce(), 10)})
		return errors.Is(err, ErrFull)
	}, time.Minute, 50*time.Millisecond)
	state, _, _ := s.Healthy()
	assert.Equal(t, Full, state)
	run(t, s, &script{})
	await(t, s, "before", finished)

	require.NoError(t, os.Remove(ballast))
	require.Eventually(t, func() bool {
		_, err := s.Enqueue(t.Context(), Job{ID: strconv.FormatUint(newNonce(), 10)})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
}

// The disk is full to the last byte, as another program can make it: nothing is
// confirmed that is not durable, nothing confirmed is lost, and the store comes back by
// itself when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := mountSmall(t, "32m")
	reopened := make(chan error, 100)
	s, err := openDir(t, Config{
		Dir: filepath.Join(dir, "data"), MinFree: 1, EnqueueWindow: time.Second,
		Observer: Observer{Reopened: func(err error) { reopened <- err }},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	var confirmed []string
	enqueue := func() error {
		id := strconv.FormatUint(newNonce(), 10)
		_, err := s.Enqueue(t.Context(), Job{ID: id, State: AwaitingApproval, Wait: time.Now().Add(time.Hour), Data: make([]byte, 64<<10)})
		if err == nil {
			confirmed = append(confirmed, id)
		}
		return err
	}
	require.NoError(t, enqueue())
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	require.NoError(t, err)
	for chunk := make([]byte, 4<<10); err == nil; {
		_, err = ballast.Write(chunk)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, ballast.Close())

	failures := 0
	for range 1000 { // what the disk had given before is used up first
		if failures == 3 {
			break
		}
		if err := enqueue(); err != nil {
			failures++
			assert.True(t, errors.Is(err, ErrNotConfirmed) || errors.Is(err, ErrFull), "%v", err)
		}
	}
	assert.NotZero(t, failures)
	require.NoError(t, os.Remove(ballast.Name()))
	require.Eventually(t, func() bool { return enqueue() == nil }, 30*time.Second, 50*time.Millisecond)
	for _, id := range confirmed {
		_, err := s.Get(t.Context(), id)
		assert.NoError(t, err)
	}
	t.Logf("%d refused or not confirmed, opened again %d times", failures, len(reopened))
}
