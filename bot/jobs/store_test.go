package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/internal/engine"
)

func testKey(n byte) []byte { return bytes.Repeat([]byte{n}, KeySize) }

func openDir(t *testing.T, cfg Config) (*Store, error) {
	t.Helper()
	cfg.Log = testLog(t)
	return Open(t.Context(), cfg)
}

// digest is of every file's name and content below dir.
func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	}))
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := openDir(t, Config{Dir: dir})
	require.NoError(t, err)
	_, err = openDir(t, Config{Dir: dir})
	require.ErrorIs(t, err, ErrInUse)
	_, err = s.Enqueue(t.Context(), Job{ID: "x"})
	require.NoError(t, err, "the first one is not disturbed")
	require.NoError(t, s.Close())
	s, err = openDir(t, Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestWrongKeyChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string) Config
	}{
		{"AnotherKey", func(_ *testing.T, dir string) Config { return Config{Dir: dir, Keys: [][]byte{testKey(2)}} }},
		{"KeyFileOfAnother", func(t *testing.T, dir string) Config {
			require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), 0o600))
			return Config{Dir: dir}
		}},
		{"KeyFileIsGone", func(t *testing.T, dir string) Config {
			require.NoError(t, os.Remove(filepath.Join(dir, keyFile)))
			return Config{Dir: dir}
		}},
		{"StoreFileIsGone", func(t *testing.T, dir string) Config {
			require.NoError(t, os.Remove(filepath.Join(dir, storeFile)))
			return Config{Dir: dir}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := openDir(t, Config{Dir: dir})
			require.NoError(t, err)
			_, err = s.PutDoc(t.Context(), Doc{Key: []string{"a"}, Value: []byte("value")})
			require.NoError(t, err)
			require.NoError(t, s.Close())

			cfg := tt.spoil(t, dir)
			before := digest(t, dir)
			_, err = openDir(t, cfg)
			require.ErrorIs(t, err, ErrWrongKey)
			assert.Equal(t, before, digest(t, dir))
		})
	}
}

func TestStoreOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := openDir(t, Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	path := filepath.Join(dir, storeFile)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(b, []byte(`"version":2`), []byte(`"version":3`), 1), 0o600))
	_, err = openDir(t, Config{Dir: dir})
	require.ErrorContains(t, err, "format 3")
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := openDir(t, Config{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for _, name := range []string{keyFile, storeFile, lockFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), name)
	}
}

// What is private is nowhere on disk in clear.
func TestNothingPrivateIsOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := openDir(t, Config{Dir: dir, Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	const canary = "canary-8c1e"
	stop := run(t, s, &script{next: func(_ context.Context, j *Job) (Next, error) {
		j.Outbox = []Delivery{{Body: []byte(canary), Label: canary, Err: canary}}
		j.Err = canary
		return Deliver(), nil
	}, deliver: func(_ context.Context, j *Job) error {
		j.Outbox[0].Receipt = []byte(canary)
		return nil
	}})
	_, err = s.Enqueue(t.Context(), Job{ID: "x", Data: []byte(canary)})
	require.NoError(t, err)
	_, err = s.PutDoc(t.Context(), Doc{Key: []string{"a"}, Value: []byte(canary)})
	require.NoError(t, err)
	require.NoError(t, s.SetTimer(t.Context(), Timer{Key: "a", At: time.Now().Add(time.Hour)}))
	await(t, s, "x", finished)
	var export bytes.Buffer
	require.NoError(t, s.Export(t.Context(), &export))
	assert.NotContains(t, export.String(), canary)
	stop()
	require.NoError(t, s.Close())
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		assert.NotContains(t, string(b), canary, path)
		assert.NotContains(t, string(b), string(testKey(1)), path)
		return err
	}))
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(keys ...byte) (*Store, error) {
		cfg := Config{Dir: dir}
		for _, k := range keys {
			cfg.Keys = append(cfg.Keys, testKey(k))
		}
		return openDir(t, cfg)
	}
	s, err := open(1)
	require.NoError(t, err)
	print1 := s.Fingerprint([]byte("x"))
	_, err = s.PutDoc(t.Context(), Doc{Key: []string{"a"}, Value: []byte("value"), Expires: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.NoError(t, s.SetTimer(t.Context(), Timer{Key: "a", At: time.Now().Add(time.Hour)}))
	for id, state := range map[string]State{"done": Done, "waits": AwaitingApproval} {
		_, err = s.Enqueue(t.Context(), Job{ID: id, State: state, Data: []byte(id), Wait: time.Now().Add(time.Hour)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())

	s, err = open(2, 1)
	require.NoError(t, err)
	assert.Equal(t, print1, s.Fingerprint([]byte("x")))
	sealedBy := func(kind string) (ids []string) {
		require.NoError(t, s.engine.List(t.Context(), kind, true, func(e engine.Entry) bool {
			_, sealed, err := split(e)
			require.NoError(t, err)
			ids = append(ids, sealedWith(sealed))
			return true
		}))
		return ids
	}
	old, now := keyID(testKey(1)), keyID(testKey(2))
	require.Eventually(t, func() bool {
		return sealedBy(kindDoc)[0] == now && sealedBy(kindTimer)[0] == now && sealedBy(kindJob)[0] == now
	}, time.Minute, 10*time.Millisecond)
	assert.Equal(t, []string{now, old}, sealedBy(kindJob), "a job under way is left alone")
	require.NoError(t, s.Close())

	_, err = open(2)
	require.ErrorIs(t, err, ErrWrongKey, "a record needs the old key")
	s, err = open(2, 1)
	require.NoError(t, err)
	_, err = s.Update(t.Context(), "waits", func(j *Job) error { j.State = Done; return nil })
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s, err = open(2, 1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var m meta
		e, err := s.engine.Get(t.Context(), metaKey)
		return err == nil && unmarshal(e.Body, &m) == nil && len(m.Needs) == 0
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, s.Close())

	s, err = open(2)
	require.NoError(t, err)
	d, err := s.Doc(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, "value", string(d.Value))
	assert.Equal(t, print1, s.Fingerprint([]byte("x")))
	require.NoError(t, s.Close())
}

func TestSealedValueIsBoundToItsRecord(t *testing.T) {
	t.Parallel()
	s, err := newSealer([][]byte{testKey(1)})
	require.NoError(t, err)
	sealed := s.seal("doc.a", []byte("clear"), []byte("value"))
	assert.True(t, bytes.HasPrefix(sealed, []byte("v2:"+keyID(testKey(1))+":")))
	plain, err := s.open("doc.a", []byte("clear"), sealed)
	require.NoError(t, err)
	assert.Equal(t, "value", string(plain))
	_, err = s.open("doc.b", []byte("clear"), sealed)
	require.ErrorIs(t, err, ErrUnreadable)
	_, err = s.open("doc.a", []byte("cleaR"), sealed)
	require.ErrorIs(t, err, ErrUnreadable)
	for i := range sealed {
		spoilt := bytes.Clone(sealed)
		spoilt[i] ^= 1
		_, err = s.open("doc.a", []byte("clear"), spoilt)
		require.Error(t, err)
		_, err = s.open("doc.a", []byte("clear"), sealed[:i])
		require.Error(t, err)
	}
	_, err = newSealer([][]byte{[]byte("short")})
	require.Error(t, err)
}

func TestKeysAreReversible(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "a.b", "%", "*", ">", " ", "é", "\x00\xff", "a-b_c", strings.Repeat(".", 200)} {
		key, err := jobKey(id)
		require.NoError(t, err)
		assert.NotContains(t, strings.TrimPrefix(key, "job."), ".")
		kind, segments, err := engine.SplitKey(key)
		require.NoError(t, err)
		assert.Equal(t, kindJob, kind)
		assert.Equal(t, []string{id}, segments)
	}
	for _, bad := range []string{"job.%", "job.%4", "job.%zz"} {
		_, _, err := engine.SplitKey(bad)
		assert.Error(t, err)
	}
}

// Everything moves between the engines, in every direction, and twice does no harm.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	for _, from := range engines {
		for _, to := range engines {
			if from.name == to.name {
				continue
			}
			t.Run(from.name+"To"+to.name, func(t *testing.T) {
				t.Parallel()
				zero := [][]byte{make([]byte, KeySize)}
				a := closing(t, from.open(t)(Config{Keys: zero}))
				b := closing(t, to.open(t)(Config{Keys: zero}))
				at := time.Now().Add(time.Hour).Truncate(0)
				for i := range 20 {
					_, err := a.Enqueue(t.Context(), Job{ID: fmt.Sprintf("job.%d", i), Label: "meet", State: Done, Data: []byte(strconv.Itoa(i)), Outbox: []Delivery{{Body: []byte("b"), State: Sent}}})
					require.NoError(t, err)
				}
				_, err := a.Enqueue(t.Context(), Job{ID: "running", Label: "meet"})
				require.NoError(t, err)
				_, err = a.PutDoc(t.Context(), Doc{Key: []string{"meeting", "1 2"}, Value: []byte("doc"), Expires: at})
				require.NoError(t, err)
				require.NoError(t, a.SetTimer(t.Context(), Timer{Key: "past", At: time.Now()}))

				var export bytes.Buffer
				require.NoError(t, a.Export(t.Context(), &export))
				n, err := b.Import(t.Context(), bytes.NewReader(export.Bytes()))
				require.NoError(t, err)
				assert.Equal(t, 23, n)
				n, err = b.Import(t.Context(), bytes.NewReader(export.Bytes()))
				require.NoError(t, err)
				assert.Zero(t, n)

				assert.Equal(t, a.Fingerprint([]byte("x")), b.Fingerprint([]byte("x")))
				was, err := a.Get(t.Context(), "job.7")
				require.NoError(t, err)
				is, err := b.Get(t.Context(), "job.7")
				require.NoError(t, err)
				is.Revision = was.Revision
				assert.Equal(t, was, is)
				d, err := b.Doc(t.Context(), "meeting", "1 2")
				require.NoError(t, err)
				assert.Equal(t, "doc", string(d.Value))
				assert.True(t, d.Expires.Equal(at))

				fired := make(chan Timer, 1)
				run(t, b, &script{timer: func(_ context.Context, tm Timer) error { fired <- tm; return nil }})
				assert.Equal(t, Done, await(t, b, "running", finished).State)
				select {
				case tm := <-fired:
					assert.Equal(t, "past", tm.Key)
				case <-time.After(20 * time.Second):
					t.Error("the timer did not go off")
				}
			})
		}
	}
}

func TestImportRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	a, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, a)
	_, err = a.PutDoc(t.Context(), Doc{Key: []string{"a"}})
	require.NoError(t, err)
	var export bytes.Buffer
	require.NoError(t, a.Export(t.Context(), &export))

	b, err := OpenMemory(Config{Keys: [][]byte{testKey(2)}})
	require.NoError(t, err)
	closing(t, b)
	_, err = b.Import(t.Context(), bytes.NewReader(export.Bytes()))
	require.ErrorIs(t, err, ErrWrongKey)

	c, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, c)
	_, err = c.PutDoc(t.Context(), Doc{Key: []string{"own"}})
	require.NoError(t, err)
	_, err = c.Import(t.Context(), bytes.NewReader(export.Bytes()))
	require.ErrorIs(t, err, ErrConflict)

	d, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, d)
	moved := strings.Replace(export.String(), `"key":["a"]`, `"key":["b"]`, 1)
	for _, text := range []string{"", "x", "{}", `{"kind":"job","key":["a"]}`, moved, export.String() + "garbage"} {
		_, err = d.Import(t.Context(), strings.NewReader(text))
		assert.Error(t, err, text)
	}
}

// What other programs make of an export on its way is read where it can be, told where it cannot,
// and ends nothing that comes after it.
func TestAnExportAsOtherProgramsLeaveIt(t *testing.T) {
	t.Parallel()
	a, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, a)
	for i := range 3 {
		_, err = a.PutDoc(t.Context(), Doc{Key: []string{"doc", strconv.Itoa(i)}})
		require.NoError(t, err)
	}
	var export bytes.Buffer
	require.NoError(t, a.Export(t.Context(), &export))
	lines := strings.SplitAfter(export.String(), "\n")[:4]
	all := strings.Join(lines, "")
	utf16 := "\xff\xfe"
	for i := range len(all) {
		utf16 += all[i:i+1] + "\x00"
	}
	for name, tt := range map[string]struct {
		text   string
		stored int
		says   string // empty: there is no error
	}{
		"ByteOrderMark":      {"\ufeff" + all, 3, ""},
		"CarriageReturns":    {strings.ReplaceAll(all, "\n", "\r\n"), 3, ""},
		"BlankLines":         {"\n" + strings.ReplaceAll(all, "\n", "\n \r\n"), 3, ""},
		"NoEndOfLine":        {strings.TrimSuffix(all, "\n"), 3, ""},
		"TwoLinesInOne":      {lines[0] + strings.TrimSuffix(lines[1], "\n") + lines[2] + lines[3], 1, "line 2: "},
		"MoreBehindARecord":  {lines[0] + strings.TrimSuffix(lines[1], "\n") + " x\n" + lines[2] + lines[3], 2, "line 2: "},
		"ALineWithoutEnd":    {lines[0] + lines[1] + strings.Repeat("x", maxExportLine+1) + "\n" + lines[2] + lines[3], 3, "line 3: longer than"},
		"ALongLastLine":      {all + strings.Repeat("x", maxExportLine+1), 3, "line 5: longer than"},
		"TwoExports":         {all + all, 3, "line 5: "},
		"UTF16":              {utf16, 0, "UTF-16"},
		"Compressed":         {"\x1f\x8b\x08\x00", 0, "compressed"},
		"NothingButBlanks":   {" \n\n", 0, "the input is empty"},
		"NothingButAMark":    {"\ufeff", 0, "the input is empty"},
		"AnotherProgramsLog": {"x\n" + all, 0, "line 1: this is not the output of bot export"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
			require.NoError(t, err)
			closing(t, b)
			n, err := b.Import(t.Context(), strings.NewReader(tt.text))
			assert.Equal(t, tt.stored, n)
			if tt.says == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.says)
			}
		})
	}
}

func TestFullStoreTakesNoNewJobsButFinishesTheOthers(t *testing.T) {
	t.Parallel()
	s, err := openDir(t, Config{Dir: t.TempDir(), MaxBytes: 1 << 20})
	require.NoError(t, err)
	closing(t, s)
	var last string
	require.Eventually(t, func() bool {
		for range 50 {
			id := strconv.FormatUint(newNonce(), 10)
			if _, err := s.Enqueue(t.Context(), Job{ID: id, State: AwaitingApproval, Data: make([]byte, 1000)}); err != nil {
				assert.ErrorIs(t, err, ErrFull)
				state, _, _ := s.Healthy()
				return state == Full
			}
			last = id
		}
		time.Sleep(50 * time.Millisecond)
		return false
	}, 30*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { state, _, _ := s.Healthy(); return state == Full }, time.Minute, 10*time.Millisecond)

	run(t, s, &script{next: func(context.Context, *Job) (Next, error) { return Deliver(), nil }})
	_, err = s.Update(t.Context(), last, func(j *Job) error { j.State = Accepted; return nil })
	require.NoError(t, err)
	await(t, s, last, finished)

	// Room is made, and the store takes jobs again.
	for j, err := range s.List(t.Context(), false) {
		require.NoError(t, err)
		_, err := s.Update(t.Context(), j.ID, func(j *Job) error { j.State, j.Data = Done, nil; return nil })
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		_, err := s.Enqueue(t.Context(), Job{ID: "fits"})
		return err == nil
	}, time.Minute, 20*time.Millisecond)
}

func TestFinishedJobsExpire(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{Retention: time.Second}))
		run(t, s, &script{})
		_, err := s.Enqueue(t.Context(), Job{ID: "x"})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := s.Get(t.Context(), "x")
			return errors.Is(err, ErrNotFound)
		}, time.Minute, 10*time.Millisecond)
	})
}

func TestTenThousandJobsWaitAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := openDir(t, Config{Dir: dir, EnqueueWindow: time.Minute})
	require.NoError(t, err)
	const n = 10_000
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				_, err := s.Enqueue(t.Context(), Job{ID: strconv.FormatInt(i, 10)})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Close())

	s, err = openDir(t, Config{Dir: dir, MaxWaiting: 5000})
	require.NoError(t, err)
	closing(t, s)
	require.Eventually(t, func() bool {
		_, err := s.Enqueue(t.Context(), Job{ID: "one too many" + strconv.FormatUint(newNonce(), 10)})
		return errors.Is(err, ErrBusy)
	}, time.Minute, 100*time.Millisecond)
	var seen sync.Map
	var count atomic.Int64
	run(t, s, &script{next: func(_ context.Context, j *Job) (Next, error) {
		if _, twice := seen.LoadOrStore(j.ID, true); !twice {
			count.Add(1)
		}
		return Deliver(), nil
	}})
	require.Eventually(t, func() bool { return count.Load() >= n }, 2*time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := s.Enqueue(t.Context(), Job{ID: "room again"})
		return err == nil || errors.Is(err, ErrDuplicate)
	}, 3*time.Minute, 100*time.Millisecond)
	require.Eventually(t, func() bool {
		waiting, _, err := s.engine.Load(t.Context(), kindJob)
		return err == nil && waiting == 0
	}, 3*time.Minute, 100*time.Millisecond, "all of them end")
}

func TestTooLargeRecordIsRefused(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		_, err := s.Enqueue(t.Context(), Job{ID: "x", Data: make([]byte, maxRecord)})
		require.Error(t, err)
		assert.NotErrorIs(t, err, ErrNotConfirmed)
		_, err = s.Enqueue(t.Context(), Job{ID: "x", Data: make([]byte, maxRecord-1024)})
		require.NoError(t, err)
	})
}

func TestConfigAndStoreArePrintedWithoutKeys(t *testing.T) {
	t.Parallel()
	const canary = "canary-canary-canary-canary-0123"
	cfg := Config{Name: "n", NATSURL: "nats://user:" + canary + "@host", Keys: [][]byte{[]byte(canary)}}
	s, err := OpenMemory(cfg)
	require.NoError(t, err)
	closing(t, s)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		_, _ = fmt.Fprintf(&out, verb+verb+verb, cfg, &cfg, struct{ C Config }{cfg})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "cfg", cfg)
	_, _ = fmt.Fprintf(&out, "%+v %#v", s.seal, s.cfg.Keys)
	assert.NotContains(t, out.String(), canary)
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", canary))
	assert.NotContains(t, out.String(), fmt.Sprintf("%d", []byte(canary)))
}

// electing is an engine without an answer for some time.
type electing struct {
	*engine.Memory
	silent int
}

func (e *electing) Get(ctx context.Context, key string) (engine.Entry, error) {
	if e.silent > 0 {
		e.silent--
		return engine.Entry{}, engine.ErrUnconfirmed
	}
	return e.Memory.Get(ctx, key)
}

func TestAClusterThatElectsIsWaitedForAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := withDefaults(Config{Keys: [][]byte{make([]byte, KeySize)}})
		s, err := newStore(t.Context(), cfg, &electing{engine.NewMemory(kindJob, kindTimer), 50})
		require.NoError(t, err)
		require.NoError(t, s.Close())

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = newStore(ctx, cfg, &electing{engine.NewMemory(kindJob, kindTimer), 1 << 30})
		require.ErrorIs(t, err, engine.ErrUnconfirmed)
	})
}

// proposing is an engine on which another replica's write already refuses ours but cannot
// be read yet, as a cluster's leader does until its followers agree.
type proposing struct {
	engine.Engine
	refusals atomic.Int32
	stored   func() // by the other replica, once its write is there; nil: it failed
}

func (e *proposing) Put(ctx context.Context, key string, body []byte, expect uint64, ttl time.Duration, held bool) (uint64, error) {
	switch n := e.refusals.Add(-1); {
	case n > 0:
		return 0, ErrConflict
	case n == 0 && e.stored != nil:
		e.stored()
	}
	return e.Engine.Put(ctx, key, body, expect, ttl, held)
}

func TestTheReplicaThatComesSecondFindsTheJobOrStoresIt(t *testing.T) {
	for name, agreed := range map[string]bool{"TheOtherIsStored": true, "TheOtherFailed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := withDefaults(Config{Keys: [][]byte{make([]byte, KeySize)}})
				e := &proposing{Engine: engine.NewMemory()}
				s, err := newStore(t.Context(), cfg, e)
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				e.refusals.Store(5)
				if agreed {
					e.stored = func() {
						_, err := s.Enqueue(t.Context(), Job{ID: "wish", Data: []byte("the first")})
						require.NoError(t, err)
					}
				}
				j, err := s.Enqueue(t.Context(), Job{ID: "wish", Data: []byte("the second")})
				if agreed {
					require.ErrorIs(t, err, ErrDuplicate)
					assert.Equal(t, "the first", string(j.Data))
					return
				}
				require.NoError(t, err)
				assert.Equal(t, "the second", string(j.Data))
			})
		})
	}
}

// Where a job was asked for stays with it, also in another store.
func TestAJobKeepsItsSource(t *testing.T) {
	a, err := OpenMemory(Config{})
	require.NoError(t, err)
	b, err := OpenMemory(Config{})
	require.NoError(t, err)
	closing(t, a)
	closing(t, b)
	_, err = a.Enqueue(t.Context(), Job{ID: "x", Source: "somewhere"})
	require.NoError(t, err)
	_, err = a.Enqueue(t.Context(), Job{ID: "y"})
	require.NoError(t, err)
	var export bytes.Buffer
	require.NoError(t, a.Export(t.Context(), &export))
	assert.Contains(t, export.String(), `"source":"somewhere"`)
	_, err = b.Import(t.Context(), &export)
	require.NoError(t, err)
	for _, s := range []*Store{a, b} {
		x, err := s.Get(t.Context(), "x")
		require.NoError(t, err)
		assert.Equal(t, "somewhere", x.Source)
		y, err := s.Get(t.Context(), "y")
		require.NoError(t, err)
		assert.Empty(t, y.Source, "as in records that were written before there was one")
	}
}

// A directory may be called anything.
func TestADirectoryWhoseNameIsAPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [z-a] *?")
	for range 2 {
		s, err := Open(t.Context(), Config{Dir: dir})
		require.NoError(t, err)
		require.NoError(t, s.Backup(t.Context(), io.Discard))
		require.NoError(t, s.Close())
	}
}

// A process that is almost out of something takes nothing new, and says of what. That it has enough
// again makes no room where too much waits all the same.
func TestAlmostOut(t *testing.T) {
	for name, waiting := range map[string]int{"and nothing else": 10, "and too much waits": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out error
				s, err := OpenMemory(Config{MaxWaiting: waiting, scarce: func() error { return out }})
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				for _, id := range []string{"a", "b"} {
					_, err := s.Enqueue(t.Context(), Job{ID: id})
					require.NoError(t, err)
				}
				synctest.Wait()
				look := func(now error) (Health, error) {
					out, s.health.looks = now, 0 // it is time to ask
					s.look(t.Context())
					state, _, err := s.Healthy()
					return state, err
				}
				for _, now := range []error{errDescriptors, errMemory} {
					state, err := look(now)
					assert.Equal(t, Busy, state)
					assert.Equal(t, now, err)
					_, err = s.Enqueue(t.Context(), Job{ID: "c"})
					assert.ErrorIs(t, err, ErrBusy)
				}
				_, err = look(nil)
				assert.NoError(t, err)
				_, _ = look(nil)
				_, err = s.Enqueue(t.Context(), Job{ID: "c"})
				if waiting == 1 {
					assert.ErrorIs(t, err, ErrBusy)
				} else {
					assert.NoError(t, err)
				}
			})
		})
	}
}

// What no collection frees counts against what the process was given.
func TestMemoryRunsShort(t *testing.T) {
	assert.NoError(t, scarce(), "no limit is set")
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	kept := make([]byte, 200<<20) // whatever other tests hold
	debug.SetMemoryLimit(220 << 20)
	runtime.GC() // which happens by itself as the limit comes near
	assert.ErrorIs(t, scarce(), errMemory)
	runtime.KeepAlive(kept)
	assert.NoError(t, scarce(), "nobody needs it any more")
	debug.SetMemoryLimit(1 << 30)
	assert.NoError(t, scarce())
}
