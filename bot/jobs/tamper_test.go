package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/internal/engine"
)

// watched is a store in memory, what it logged and what it counted as unreadable.
func watched(t *testing.T, e *engine.Memory) (s *Store, log *bytes.Buffer, kinds func() []string) {
	t.Helper()
	var mu sync.Mutex
	var counted []string
	log = &bytes.Buffer{}
	s, err := newStore(t.Context(), withDefaults(Config{
		Keys: [][]byte{testKey(1)}, Log: slog.New(slog.NewTextHandler(log, nil)),
		Observer: Observer{Unreadable: func(kind string) { mu.Lock(); defer mu.Unlock(); counted = append(counted, kind) }},
	}), e)
	require.NoError(t, err)
	return closing(t, s), log, func() []string { mu.Lock(); defer mu.Unlock(); return counted }
}

// overwrite puts a body in place of a record's, as whoever can write the store can.
func overwrite(t *testing.T, s *Store, key string, body []byte) {
	t.Helper()
	e, err := s.engine.Get(t.Context(), key)
	require.NoError(t, err)
	_, err = s.engine.Put(t.Context(), key, body, e.Rev, 0, false)
	require.NoError(t, err)
}

// Whoever can write the store, without its key, cannot make the bot act: every field in
// clear is changed in turn, of every kind of record.
func TestAChangedFieldIsRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range []any{clearJob{}, clearDoc{}} {
		typ := reflect.TypeOf(kind)
		for i := range typ.NumField() {
			t.Run(typ.Name()+"/"+typ.Field(i).Name, func(t *testing.T) {
				t.Parallel()
				s, log, counted := watched(t, engine.NewMemory(kindJob, kindTimer))
				ctx := t.Context()
				_, err := s.Enqueue(ctx, Job{ID: "a", State: AwaitingApproval, Wait: time.Now().Add(time.Hour)})
				require.NoError(t, err)
				_, err = s.PutDoc(ctx, Doc{Key: []string{"a"}, Value: []byte("value")})
				require.NoError(t, err)
				require.NoError(t, s.SetTimer(ctx, Timer{Key: "a", At: time.Now().Add(time.Hour)}))
				keys := []string{"job.a"}
				if typ.Name() == "clearDoc" {
					keys = []string{"doc.a", "timer.a"}
				}
				for _, key := range keys {
					e, err := s.engine.Get(ctx, key)
					require.NoError(t, err)
					c, sealed, err := split(e)
					require.NoError(t, err)
					clear := reflect.New(typ)
					require.NoError(t, cbor.Unmarshal(c, clear.Interface()))
					switch f := clear.Elem().Field(i); f.Kind() {
					case reflect.String:
						f.SetString(string(Accepted) + f.String())
					case reflect.Bool:
						f.SetBool(!f.Bool())
					case reflect.Int, reflect.Int64:
						f.SetInt(f.Int() + 1)
					default:
						f.SetUint(f.Uint() + 1)
					}
					changed, err := cbor.Marshal(clear.Interface())
					require.NoError(t, err)
					body := append([]byte{}, byte(len(changed)))
					if len(changed) > 127 {
						body = []byte{byte(len(changed)&127 | 128), byte(len(changed) >> 7)}
					}
					overwrite(t, s, key, append(append(body, changed...), sealed...))
				}
				acted := make(chan string, 9)
				run(t, s, &script{
					next:  func(_ context.Context, j *Job) (Next, error) { acted <- j.ID; return Deliver(), nil },
					timer: func(_ context.Context, tm Timer) error { acted <- tm.Key; return nil },
				})
				found, err := s.Unreadable(ctx, 0)
				require.NoError(t, err)
				require.Len(t, found, len(keys))
				for i, f := range found {
					assert.Equal(t, keys[i], f.Key)
					require.ErrorIs(t, f.Err, ErrUnreadable)
				}
				require.NoError(t, s.Drop(ctx, keys[0]))
				_, err = s.engine.Get(ctx, keys[0])
				require.ErrorIs(t, err, ErrNotFound)
				assert.Len(t, counted(), len(keys), "each is counted once")
				assert.Equal(t, len(keys), strings.Count(log.String(), "level=ERROR"), "and logged once")
				assert.Empty(t, acted)
			})
		}
	}
}

// One unreadable record of each kind stops nothing else.
func TestAnUnreadableRecordStopsNothingElse(t *testing.T) {
	conform(t, func(t *testing.T, open func(Config) *Store) {
		s := closing(t, open(Config{}))
		ctx := t.Context()
		for _, id := range []string{"a", "bad", "c"} {
			_, err := s.Enqueue(ctx, Job{ID: id, State: AwaitingApproval, Wait: time.Now().Add(time.Hour)})
			require.NoError(t, err)
			_, err = s.PutDoc(ctx, Doc{Key: []string{"d", id}, Value: []byte("value")})
			require.NoError(t, err)
			require.NoError(t, s.SetTimer(ctx, Timer{Key: id, At: time.Now().Add(time.Hour)}))
		}
		for _, key := range []string{"job.bad", "doc.d.bad", "timer.bad"} {
			overwrite(t, s, key, []byte("garbage"))
		}
		require.Error(t, s.Drop(ctx, "job.a"), "one that can be read stays")

		docs, err := s.Docs(ctx, 0, "d")
		require.NoError(t, err)
		assert.Len(t, docs, 2)
		var ids []string
		for j, err := range s.List(ctx, true) {
			if err != nil {
				require.ErrorIs(t, err, ErrUnreadable)
				continue
			}
			ids = append(ids, j.ID)
		}
		assert.ElementsMatch(t, []string{"a", "c"}, ids)

		var export bytes.Buffer
		err = s.Export(ctx, &export)
		require.ErrorIs(t, err, ErrUnreadable)
		assert.Equal(t, 7, strings.Count(export.String(), "\n"), "the others are exported")
		fresh, err := OpenMemory(Config{Keys: [][]byte{make([]byte, KeySize)}})
		require.NoError(t, err)
		closing(t, fresh)
		if strings.Contains(t.Name(), "Embedded") {
			return // it has a key of its own
		}
		lines := strings.SplitAfter(export.String(), "\n")
		lines[2] = "{garbage\n"
		lines[4] = strings.Replace(lines[4], `"nonce":`, `"nonce":1`, 1)
		n, err := fresh.Import(ctx, strings.NewReader(strings.Join(lines, "")))
		assert.Equal(t, 4, n)
		require.ErrorContains(t, err, "line 3: ")
		require.ErrorContains(t, err, "line 5: ")
	})
}

// A hostile export: the states of finished jobs are changed.
func TestAChangedExportIsRefused(t *testing.T) {
	t.Parallel()
	a, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, a)
	_, err = a.Enqueue(t.Context(), Job{ID: "x", State: Done})
	require.NoError(t, err)
	var export bytes.Buffer
	require.NoError(t, a.Export(t.Context(), &export))
	changed := strings.Replace(export.String(), `"state":"done"`, `"state":"accepted"`, 1)
	require.NotEqual(t, export.String(), changed)
	b, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, b)
	n, err := b.Import(t.Context(), strings.NewReader(changed))
	require.ErrorIs(t, err, ErrUnreadable)
	assert.Zero(t, n)
}

// On a cluster somebody puts back what a record was.
func TestARecordThatIsPutBackIsRefused(t *testing.T) {
	t.Parallel()
	e := engine.NewMemory(kindJob, kindTimer)
	e.Shared = true
	s, _, counted := watched(t, e)
	ctx := t.Context()
	var versions [][]byte
	keep := func(key string) {
		e, err := s.engine.Get(ctx, key)
		require.NoError(t, err)
		versions = append(versions, e.Body)
	}
	var rev uint64
	for _, value := range []string{"first", "second", "third"} {
		var err error
		rev, err = s.PutDoc(ctx, Doc{Key: []string{"a"}, Value: []byte(value), Revision: rev})
		require.NoError(t, err)
		_, err = s.Doc(ctx, "a")
		require.NoError(t, err)
		keep("doc.a")
	}
	for _, old := range versions[:2] {
		overwrite(t, s, "doc.a", old)
		_, err := s.Doc(ctx, "a")
		require.ErrorIs(t, err, ErrUnreadable)
	}
	assert.Len(t, counted(), 2)

	// What is removed and made anew is not.
	require.NoError(t, s.Drop(ctx, "doc.a"))
	_, err := s.PutDoc(ctx, Doc{Key: []string{"a"}, Value: []byte("anew")})
	require.NoError(t, err)
	_, err = s.Doc(ctx, "a")
	require.NoError(t, err)
}

// An export of the first format, as its last version wrote it.
func TestImportOfTheFirstFormat(t *testing.T) {
	t.Parallel()
	first, err := newSealer([][]byte{testKey(1)})
	require.NoError(t, err)
	seal := func(key string, plain []byte) []byte {
		aead := first.aeads[first.newest]
		nonce := make([]byte, aead.NonceSize())
		return aead.Seal(append([]byte("v1:"+first.newest+":"), nonce...), nonce, plain, []byte(key))
	}
	private, err := cbor.Marshal(wirePrivate{Data: []byte("wish")})
	require.NoError(t, err)
	var export bytes.Buffer
	lines := json.NewEncoder(&export)
	for _, line := range []map[string]any{
		{"kind": "meta", "store": map[string]any{"version": 1, "subkey": seal("meta.store", testKey(9))}},
		{"kind": "job", "key": []string{"x"}, "job": map[string]any{"state": "accepted", "created": time.Now().UnixNano(), "nonce": 7, "sealed": seal("job.x", private)}},
		{"kind": "doc", "key": []string{"a", "b"}, "doc": map[string]any{"nonce": 8, "sealed": seal("doc.a.b", []byte("value"))}},
		{"kind": "timer", "key": []string{"t"}, "timer": map[string]any{"at": time.Now().Add(time.Hour).UnixNano(), "sealed": seal("timer.t", nil)}},
	} {
		require.NoError(t, lines.Encode(line))
	}
	s, err := OpenMemory(Config{Keys: [][]byte{testKey(1)}})
	require.NoError(t, err)
	closing(t, s)
	_, err = s.Import(t.Context(), bytes.NewReader(export.Bytes()))
	require.ErrorContains(t, err, "--first-format")
	n, err := s.ImportFirstFormat(t.Context(), bytes.NewReader(export.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	j, err := s.Get(t.Context(), "x")
	require.NoError(t, err)
	assert.Equal(t, "wish", string(j.Data))
	d, err := s.Doc(t.Context(), "a", "b")
	require.NoError(t, err)
	assert.Equal(t, "value", string(d.Value))
	found, err := s.Unreadable(t.Context(), 0)
	require.NoError(t, err)
	assert.Empty(t, found)
}
