package jobs

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/jobs/internal/engine"
)

// opened returns what the keys open of everything that lies in the files of dir: in
// tables, also of what is superseded, in logs and in whatever else is there.
func opened(t *testing.T, dir string, keys ...[]byte) []byte {
	t.Helper()
	all, damaged := openedNow(t, dir, keys...)
	assert.Empty(t, damaged)
	return all
}

// openedNow is [opened] of a store at work, in which a file may be half written.
func openedNow(t *testing.T, dir string, keys ...[]byte) (all []byte, damaged []string) {
	t.Helper()
	seal, err := newSealer(keys)
	require.NoError(t, err)
	require.NoError(t, engine.ReadRaw(t.Context(), dir, func(r engine.Raw) error {
		if c, sealed, err := split(r.Entry); err == nil {
			if plain, err := seal.open(r.Key, c, sealed); err == nil {
				all = append(append(all, plain...), '\n')
			}
		}
		return nil
	}, func(file string, err error) { damaged = append(damaged, file+": "+err.Error()) }))
	return all, damaged
}

// Every place where a secret can be is given one, and each is removed in its way. Then
// nothing in the files is opened to it by any key, old ones included.
func TestRemovedIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, now := testKey(1), testKey(2)
	s, err := openDir(t, Config{Dir: dir, Keys: [][]byte{old}})
	require.NoError(t, err)
	ctx := t.Context()
	canary := func(what string) []byte { return []byte("canary-" + what + "-") }
	stop := run(t, s, &script{
		call: func(_ context.Context, j *Job) error { j.Data = canary("call"); return nil },
		deliver: func(_ context.Context, j *Job) error {
			j.Outbox[j.Delivery].Receipt = canary("receipt")
			return nil
		},
		next: func(_ context.Context, j *Job) (Next, error) {
			n := oneCall(j)
			for i := range j.Outbox {
				j.Outbox[i].Body = canary("outbox")
				j.Outbox = append(j.Outbox, j.Outbox[i])
			}
			return n, nil
		},
		ended: func(_ context.Context, j *Job) { j.Data, j.Outbox = nil, nil },
	})
	for i := range 300 {
		id := fmt.Sprint(i)
		_, err := s.Enqueue(ctx, Job{ID: id, Data: canary("wish")})
		require.NoError(t, err)
		rev, err := s.PutDoc(ctx, Doc{Key: []string{"forgotten", id}, Value: canary("forgotten")})
		require.NoError(t, err)
		require.NoError(t, s.DeleteDoc(ctx, rev, "forgotten", id))
		rev, err = s.PutDoc(ctx, Doc{Key: []string{"changed", id}, Value: canary("changed")})
		require.NoError(t, err)
		_, err = s.PutDoc(ctx, Doc{Key: []string{"changed", id}, Value: []byte("kept"), Revision: rev})
		require.NoError(t, err)
		_, err = s.PutDoc(ctx, Doc{Key: []string{"expired", id}, Value: canary("expired"), Expires: time.Now().Add(time.Second)})
		require.NoError(t, err)
	}
	for i := range 300 {
		await(t, s, fmt.Sprint(i), finished)
	}
	require.Eventually(t, func() bool {
		docs, err := s.Docs(ctx, 0, "expired")
		_, gone := s.engine.Get(ctx, "doc.expired.299")
		return err == nil && len(docs) == 0 && gone != nil
	}, time.Minute, 10*time.Millisecond)
	for _, what := range []string{"wish", "call", "outbox", "receipt", "forgotten", "changed", "expired"} {
		assert.True(t, bytes.Contains(opened(t, dir, old), canary(what)), "%s: the test looks where it has to", what)
	}
	require.NoError(t, s.engine.Erase(ctx))
	stop()
	files := func() []byte {
		require.NoError(t, s.Close())
		return opened(t, dir, old, now)
	}
	plain := files()
	assert.False(t, bytes.Contains(plain, []byte("canary")))
	assert.True(t, bytes.Contains(plain, []byte("kept")))

	// With a new key, nothing that the old one opens is left when the log says so.
	s, err = openDir(t, Config{Dir: dir, Keys: [][]byte{now, old}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		e, err := s.engine.Get(ctx, metaKey)
		if err != nil {
			return false
		}
		m, err := readMeta(e)
		return err == nil && len(m.Needs) == 0
	}, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		all, damaged := openedNow(t, dir, old)
		return len(all) == 0 && len(damaged) == 0
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, s.Close())
	assert.Empty(t, opened(t, dir, old))
	assert.True(t, bytes.Contains(opened(t, dir, now), []byte("kept")))
	id := []byte("v2:" + keyID(old) + ":")
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		assert.False(t, bytes.Contains(b, id), "%s has something that was sealed with the old key", path)
		return err
	}))
}

// What was removed is erased by itself when its time is over.
func TestErasureComesByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := openDir(t, Config{Dir: dir, Keys: [][]byte{testKey(1)}, EraseAfter: 2 * time.Second})
	require.NoError(t, err)
	rev, err := s.PutDoc(t.Context(), Doc{Key: []string{"a"}, Value: []byte("canary")})
	require.NoError(t, err)
	require.NoError(t, s.DeleteDoc(t.Context(), rev, "a"))
	require.True(t, bytes.Contains(opened(t, dir, testKey(1)), []byte("canary")))
	require.Eventually(t, func() bool {
		all, damaged := openedNow(t, dir, testKey(1))
		return !bytes.Contains(all, []byte("canary")) && len(damaged) == 0
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, s.Close())
}
