package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was confirmed is there after the power has failed: a disk then has what it was told to
// sync, and nothing else.
func TestWhatIsConfirmedOutlivesThePower(t *testing.T) {
	dir := t.TempDir()
	records := filepath.Join(dir, RecordsDir)
	clone := func(from, to vfs.FS) {
		require.NoError(t, to.MkdirAll(dir, 0o700))
		copied, err := vfs.Clone(from, to, records, records, vfs.CloneSync)
		require.NoError(t, err)
		require.True(t, copied)
	}
	require.NoError(t, openOn(t, dir, vfs.Default, Config{}).Close())
	disk := vfs.NewCrashableMem()
	clone(vfs.Default, disk)
	for path := records; ; path = filepath.Dir(path) { // so far the directories are there
		d, err := disk.OpenDir(path)
		require.NoError(t, err)
		require.NoError(t, d.Sync())
		require.NoError(t, d.Close())
		if path == filepath.Dir(path) {
			break
		}
	}
	p := openOn(t, dir, disk, Config{})
	for i := range 20 {
		key := JoinKey("job", fmt.Sprint(i))
		rev, err := p.Put(t.Context(), key, []byte("first"), 0, 0, false)
		require.NoError(t, err)
		if i%2 == 0 {
			_, err = p.Put(t.Context(), key, []byte("second"), rev, 0, false)
			require.NoError(t, err)
		}
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, p.Close())
	require.NoError(t, os.RemoveAll(records))
	clone(after, vfs.Default)
	p = openOn(t, dir, vfs.Default, Config{})
	defer func() { require.NoError(t, p.Close()) }()
	for i := range 20 {
		e, err := p.Get(t.Context(), JoinKey("job", fmt.Sprint(i)))
		require.NoError(t, err, i)
		want := "first"
		if i%2 == 0 {
			want = "second"
		}
		assert.Equal(t, want, string(e.Body), i)
	}
}
