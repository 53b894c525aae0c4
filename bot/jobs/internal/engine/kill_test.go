package engine

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The engine's own work, by the operation on a file that the process is killed before.
var instants = map[string]func(op errorfs.Op, dir, name string) bool{
	"a log is begun":     is(errorfs.OpCreate, ".log"),
	"a log is dropped":   is(errorfs.OpRemove, ".log"),
	"a table is begun":   is(errorfs.OpCreate, ".sst"),
	"a table is written": is(errorfs.OpFileWrite, ".sst"),
	"a table is synced":  func(op errorfs.Op, _, name string) bool { return syncs(op) && filepath.Ext(name) == ".sst" },
	"a table is dropped": is(errorfs.OpRemove, ".sst"),
	"the list of tables is written": func(op errorfs.Op, _, name string) bool {
		return op.Kind == errorfs.OpFileWrite && strings.HasPrefix(name, "MANIFEST")
	},
	"the list of tables is synced": func(op errorfs.Op, _, name string) bool {
		return syncs(op) && strings.HasPrefix(name, "MANIFEST")
	},
	"a copy takes a table": is(errorfs.OpLink, ".sst"),
	"a copy takes its log": func(op errorfs.Op, dir, name string) bool { return dir == "copy" && filepath.Ext(name) == ".log" },
}

func syncs(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

func is(kind errorfs.OpKind, ext string) func(errorfs.Op, string, string) bool {
	return func(op errorfs.Op, _, name string) bool { return op.Kind == kind && filepath.Ext(name) == ext }
}

const (
	victimDir  = "ENGINE_TEST_DIR"
	victimKill = "ENGINE_TEST_KILL" // instant, and how often it passes before
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	victims = 4         // writers
	reached = "reached" // said right before the end
)

// victim writes, erases and copies until it is killed, and says what was confirmed to it: key
// and revision, of a record that it removed with a minus.
func victim(dir string) error {
	instant, times, _ := strings.Cut(os.Getenv(victimKill), "|")
	left, err := strconv.ParseInt(times, 10, 64)
	if err != nil {
		return err
	}
	var passes atomic.Int64
	here := instants[instant]
	fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		parent, name := filepath.Split(op.Path)
		if here(op, filepath.Base(parent), name) && passes.Add(1) > left {
			fmt.Println(reached)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}))
	_, err = os.Stat(filepath.Join(dir, RecordsDir))
	cfg := Config{Dir: dir, Queues: []string{"job"}, Log: slog.New(slog.DiscardHandler), Mark: func() error { return nil }}
	p, err := openPebble(context.Background(), cfg, nil, err != nil, anything, fs)
	if err != nil {
		return err
	}
	said := make(chan string)
	for w := range victims {
		go func() {
			revs := map[string]uint64{}
			for i := 0; ; i++ {
				key := fmt.Sprintf("job.%d-%d-%d", os.Getpid(), w, rand.N(200))
				var rev uint64
				var err error
				var line string
				if revs[key] != 0 && rand.N(4) == 0 {
					err = p.Remove(context.Background(), key, revs[key])
					line = fmt.Sprint(key, " -", revs[key])
				} else {
					rev, err = p.Put(context.Background(), key, make([]byte, 1<<10+rand.N(8<<10)), revs[key], 0, false)
					line = fmt.Sprint(key, " ", rev)
				}
				if err != nil {
					said <- "failed: " + err.Error()
					return
				}
				revs[key] = rev
				said <- line
			}
		}()
	}
	go func() {
		for i := 0; ; i++ {
			time.Sleep(150 * time.Millisecond)
			if err := p.Erase(context.Background()); err != nil {
				said <- "failed: " + err.Error()
			}
			copied := filepath.Join(dir, "copy")
			if err := p.Checkpoint(copied); err != nil {
				said <- "failed: " + err.Error()
			}
			_ = os.RemoveAll(copied)
		}
	}()
	for line := range said {
		fmt.Println(line)
	}
	return nil
}

// The process is killed in the middle of the engine's own work. What was confirmed is there
// afterwards, as it was confirmed.
func TestKilledInTheEnginesOwnWork(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	for instant := range instants {
		t.Run(instant, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			confirmed := map[string]int64{}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			cmd := exec.CommandContext(ctx, exe)
			cmd.Env = append(os.Environ(), victimDir+"="+dir, victimKill+"="+instant+"|"+strconv.Itoa(4+rand.N(3)))
			cmd.Stderr = t.Output()
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			there := false
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if lines.Text() == reached {
					there = true
					continue
				}
				key, rev, _ := strings.Cut(lines.Text(), " ")
				n, err := strconv.ParseInt(rev, 10, 64)
				if !assert.NoError(t, err, lines.Text()) {
					break
				}
				confirmed[key] = n
			}
			err = cmd.Wait()
			cancel()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "it has to be killed")
			require.True(t, there, "the instant never came")
			require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%v", err)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "copy")))

			p := openOn(t, dir, vfs.Default, Config{})
			gone := 0
			for key, rev := range confirmed {
				e, err := p.Get(t.Context(), key)
				switch {
				case err != nil:
					require.ErrorIs(t, err, ErrNotFound, key)
					if rev > 0 {
						gone++
					}
				case rev < 0:
					assert.Greater(t, e.Rev, uint64(-rev), "%s was removed, and not written since", key)
				default:
					assert.GreaterOrEqual(t, e.Rev, uint64(rev), "%s is older than was confirmed", key)
				}
			}
			assert.LessOrEqual(t, gone, victims, "each writer was removing one at the most")
			require.NoError(t, p.Close())
		})
	}
}
