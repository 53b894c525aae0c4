package jobs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// copied returns a copy of the directory, as a kill leaves it if a store is at work on it.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// grown returns a directory with everything that a store has after some time: tables in
// several levels, a log that is not written to a table yet, documents, timers and jobs
// that wait. It also returns how many records there are.
func grown(t *testing.T, key []byte) (dir string, records int) {
	t.Helper()
	dir = t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir, Keys: [][]byte{key}})
	require.NoError(t, err)
	closing(t, s)
	for i := range 200 {
		id := fmt.Sprintf("%04d", i)
		_, err := s.PutDoc(t.Context(), Doc{Key: []string{"d", id}, Value: bytes.Repeat([]byte(id), 100)})
		require.NoError(t, err)
		if i%10 == 0 {
			_, err := s.Enqueue(t.Context(), Job{ID: id, State: AwaitingApproval, Wait: time.Now().Add(time.Hour)})
			require.NoError(t, err)
			require.NoError(t, s.SetTimer(t.Context(), Timer{Key: id, At: time.Now().Add(time.Hour)}))
		}
		if i == 100 {
			require.NoError(t, s.engine.Erase(t.Context())) // a table
		}
	}
	return copied(t, dir), 200 + 20 + 20
}

// readable returns how many records the store has, and how many cannot be read.
func readable(t *testing.T, s *Store) (n int, err error) {
	t.Helper()
	err = s.Export(t.Context(), writerFunc(func(b []byte) (int, error) {
		n += bytes.Count(b, []byte("\n"))
		return len(b), nil
	}))
	return n - 1, err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Every file is damaged in every way. Either the start is refused, with a sentence that
// says what to do and nothing changed on the disk, or nothing is lost, or it is said; and
// what can be read is salvaged.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	key := testKey(1)
	sound, records := grown(t, key)
	other, _ := grown(t, testKey(2))
	files, err := filepath.Glob(filepath.Join(sound, "*"))
	require.NoError(t, err)
	below, err := filepath.Glob(filepath.Join(sound, "records", "*"))
	require.NoError(t, err)
	kinds := map[string]bool{}
	flip := func(share int) func([]byte) []byte {
		return func(b []byte) []byte {
			if len(b) > 0 {
				b[(len(b)-1)*share/100] ^= 0x10
			}
			return b
		}
	}
	damages := map[string]func([]byte) []byte{
		"FlippedBegin": flip(0), "Flipped20": flip(20), "Flipped80": flip(80), "FlippedEnd": flip(100),
		"Cut":   func(b []byte) []byte { return b[:len(b)/2] },
		"Empty": func(b []byte) []byte { return nil },
		"Gone":  nil, "OfAnother": nil,
	}
	for _, path := range append(files, below...) {
		name, err := filepath.Rel(sound, path)
		require.NoError(t, err)
		if info, err := os.Stat(path); err != nil || info.IsDir() || name == lockFile || name == "reserve" {
			continue
		}
		log := filepath.Ext(name) == ".log"
		kinds[filepath.Ext(name)+strings.Split(filepath.Base(name), "-")[0]] = true
		for what, damage := range damages {
			if log && (what == "Cut" || what == "Empty" || what == "FlippedEnd") {
				continue // that is what a power cut leaves of what was never acknowledged
			}
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				dir := copied(t, sound)
				path := filepath.Join(dir, name)
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				switch what {
				case "Gone":
					require.NoError(t, os.Remove(path))
				case "OfAnother":
					same, err := filepath.Glob(filepath.Join(other, filepath.Dir(name), "*"+filepath.Ext(name)))
					require.NoError(t, err)
					if len(same) == 0 || filepath.Ext(name) == "" {
						return
					}
					b, err = os.ReadFile(same[0])
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(path, b, 0o600))
				default:
					require.NoError(t, os.WriteFile(path, damage(bytes.Clone(b)), 0o600))
				}
				before := digest(t, dir)
				var told atomic.Int32
				cfg := Config{Dir: dir, Keys: [][]byte{key}, Log: testLog(t), Observer: Observer{
					Damaged: func() { told.Add(1) }, Unreadable: func(string) { told.Add(1) },
				}}
				s, err := Open(t.Context(), cfg)
				if err != nil {
					assert.Equal(t, before, digest(t, dir), "a start that is refused changes nothing")
					assert.True(t, strings.Contains(err.Error(), "bot export --salvage") || strings.Contains(err.Error(), storeFile), "it says what to do: %v", err)
				} else {
					n, exportErr := readable(t, s)
					if n < records {
						assert.True(t, exportErr != nil || told.Load() > 0, "%d records are lost, and nobody is told", records-n)
					}
					require.NoError(t, s.Close())
					return
				}
				n, err := Salvage(t.Context(), cfg, io.Discard)
				if what != "Cut" && what != "Gone" && what != "Empty" && what != "OfAnother" {
					assert.Greater(t, n, records/3, "%v", err)
				}
				assert.Equal(t, before, digest(t, dir))
			})
		}
	}
	assert.GreaterOrEqual(t, len(kinds), 4, "%v", kinds)
}

func TestWhoOnlyLooksChangesNothing(t *testing.T) {
	t.Parallel()
	dir, records := grown(t, testKey(1))
	before := digest(t, dir)
	cfg := Config{Dir: dir, Keys: [][]byte{testKey(1)}, ReadOnly: true}
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	n, err := readable(t, s)
	require.NoError(t, err)
	assert.Equal(t, records, n)
	_, err = s.PutDoc(t.Context(), Doc{Key: []string{"x"}})
	require.Error(t, err)
	require.NoError(t, s.Close())
	n, err = Salvage(t.Context(), cfg, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, records, n)
	assert.Equal(t, before, digest(t, dir))
}

// What a kill leaves of the last write is forgotten: it was never acknowledged.
func TestATornLastWriteIsForgotten(t *testing.T) {
	t.Parallel()
	sound, records := grown(t, testKey(1))
	logs, err := filepath.Glob(filepath.Join(sound, "records", "*.log"))
	require.NoError(t, err)
	last := logs[len(logs)-1]
	b, err := os.ReadFile(last)
	require.NoError(t, err)
	end := len(bytes.TrimRight(b, "\x00"))
	for _, torn := range []int{1, 5, 20} {
		dir := copied(t, sound)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "records", filepath.Base(last)), b[:end-torn], 0o600))
		s, err := Open(t.Context(), Config{Dir: dir, Keys: [][]byte{testKey(1)}, Log: testLog(t)})
		require.NoError(t, err)
		n, err := readable(t, s)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, n, records-1)
		require.NoError(t, s.Close())
	}
}
