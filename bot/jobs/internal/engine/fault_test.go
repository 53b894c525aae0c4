package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func anything(func(context.Context, string) (Entry, error)) error { return nil }

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// faulty is a disk that fails while err is set, in the operations that it is asked about.
type faulty struct{ err atomic.Pointer[error] }

func (f *faulty) set(err error) {
	if err == nil {
		f.err.Store(nil)
		return
	}
	f.err.Store(&err)
}

func (f *faulty) fs(fails func(errorfs.Op) bool) vfs.FS {
	return errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if err := f.err.Load(); err != nil && fails(op) {
			return &os.PathError{Op: fmt.Sprint(op.Kind), Path: op.Path, Err: *err}
		}
		return nil
	}))
}

func openOn(t *testing.T, dir string, fs vfs.FS, cfg Config) *Pebble {
	t.Helper()
	cfg.Dir, cfg.Queues, cfg.Log = dir, []string{"job"}, testLog(t)
	cfg.Mark = func() error { return nil }
	_, err := os.Stat(filepath.Join(dir, RecordsDir))
	p, err := openPebble(t.Context(), cfg, nil, err != nil, anything, fs)
	require.NoError(t, err)
	return p
}

// A disk that fails for a while, under traffic: what was confirmed is there, what is there
// is handed to a worker, and the engine works again by itself.
func TestADiskThatFailsForAWhile(t *testing.T) {
	t.Parallel()
	write := func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }
	for _, tt := range []struct {
		name  string
		err   error
		fails func(errorfs.Op) bool
	}{
		{"EIO", syscall.EIO, write},
		{"EROFS", syscall.EROFS, write},
		{"ENOSPC", syscall.ENOSPC, write},
		{"EIOOfASync", syscall.EIO, func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		}},
		{"EIOOfACreation", syscall.EIO, func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate }},
		{"EIOOfEverything", syscall.EIO, func(errorfs.Op) bool { return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var disk faulty
			p := openOn(t, t.TempDir(), disk.fs(tt.fails), Config{})
			defer func() { assert.NoError(t, p.Close()) }()
			var handed sync.Map
			stop, err := p.Consume(t.Context(), "job", func(m Message) {
				handed.Store(m.Key, true)
				m.Receipt.Ack()
			})
			require.NoError(t, err)
			defer stop()

			ctx, cancel := context.WithCancel(t.Context())
			var confirmed, tried sync.Map
			var since, refused atomic.Int64 // confirmed since the disk is well; not confirmed since it is not
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						time.Sleep(time.Millisecond) // steady traffic, which leaves the processor to others
						key := fmt.Sprintf("job.%d-%d", w, i)
						attempt, cancel := context.WithTimeout(ctx, time.Second)
						tried.Store(key, true)
						_, err := p.Put(attempt, key, make([]byte, 4<<10), 0, 0, false)
						cancel()
						if err == nil {
							confirmed.Store(key, true)
							since.Add(1)
						} else {
							refused.Add(1)
							assert.False(t, errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound), "%v", err)
						}
					}
				})
			}
			enough := func() bool { return since.Load() > 200 }
			require.Eventually(t, enough, time.Minute, time.Millisecond)
			for range 3 {
				refused.Store(0)
				since.Store(0)
				disk.set(tt.err)
				require.Eventually(t, func() bool { return refused.Load() >= 8 || tt.name == "EIOOfACreation" && enough() }, time.Minute, time.Millisecond)
				disk.set(nil)
				since.Store(0)
				require.Eventually(t, enough, 20*time.Second, time.Millisecond, "it works again by itself")
			}
			cancel()
			wg.Wait()
			confirmed.Range(func(key, _ any) bool {
				_, err := p.Get(t.Context(), key.(string))
				assert.NoError(t, err)
				return true
			})
			tried.Range(func(key, _ any) bool {
				if _, err := p.Get(t.Context(), key.(string)); err != nil {
					return true // it was not confirmed either
				}
				return assert.Eventually(t, func() bool { _, ok := handed.Load(key); return ok }, 20*time.Second, time.Millisecond,
					"%s is stored and no worker has it", key)
			})
		})
	}
}

// The process can end whatever the disk does.
func TestClosingOnADiskThatFails(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
		var disk faulty
		p := openOn(t, t.TempDir(), disk.fs(func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }), Config{})
		_, putErr := p.Put(t.Context(), "job.a", nil, 0, 0, false)
		require.NoError(t, putErr)
		disk.set(err)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, putErr = p.Put(ctx, "job.b", nil, 0, 0, false)
		cancel()
		require.Error(t, putErr)
		closed := make(chan struct{})
		go func() { _ = p.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Fatal("it does not end")
		}
	}
}

// Closing waits for whoever uses the database, and lets nobody begin: the memory that it gives
// back would be read, which ends the process.
func TestClosingWhileItIsUsed(t *testing.T) {
	t.Parallel()
	for range 20 {
		p := openOn(t, t.TempDir(), vfs.Default, Config{})
		for i := range 200 {
			_, err := p.Put(t.Context(), fmt.Sprint("job.", i), make([]byte, 2<<10), 0, 0, false)
			require.NoError(t, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var next atomic.Int64
		next.Store(1000)
		var uses sync.WaitGroup
		for _, use := range []func() error{
			func() error { return p.Erase(ctx) },
			func() error { _, err := p.Get(ctx, "job.7"); return err },
			func() error { return p.List(ctx, "job", true, func(Entry) bool { return true }) },
			func() error { return p.Queued(ctx, "job", true, func(Entry) bool { return true }) },
			func() error {
				_, err := p.Put(ctx, fmt.Sprint("job.", next.Add(1)), make([]byte, 2<<10), 0, 0, false)
				return err
			},
			func() error { return p.Checkpoint(filepath.Join(t.TempDir(), "copy")) },
		} {
			uses.Go(func() {
				for ctx.Err() == nil {
					if err := use(); err != nil {
						assert.True(t, errors.Is(err, ErrUnconfirmed) || ctx.Err() != nil, "%v", err)
						return
					}
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		assert.NoError(t, p.Close())
		cancel()
		uses.Wait()
	}
}
