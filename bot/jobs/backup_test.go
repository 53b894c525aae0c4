package jobs

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A copy that is made under traffic is consistent, and the store can be opened on it. The
// directory may be a link, as systemd makes it.
func TestBackupWhileJobsAreAtWork(t *testing.T) {
	t.Parallel()
	real, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(real, link))
	s, err := openDir(t, Config{Dir: link})
	require.NoError(t, err)
	run(t, s, &script{})
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			_, err := s.Enqueue(t.Context(), Job{ID: strconv.Itoa(i)})
			assert.NoError(t, err)
		}
	}()
	await(t, s, "50", finished)
	var copied bytes.Buffer
	require.NoError(t, s.Backup(t.Context(), &copied))
	close(done)
	<-ended

	to := filepath.Join(t.TempDir(), "new", "copy")
	require.NoError(t, Restore(to, bytes.NewReader(copied.Bytes())))
	require.Error(t, Restore(to, bytes.NewReader(copied.Bytes())), "what is there is not written over")
	cut := filepath.Join(t.TempDir(), "cut")
	for _, n := range []int{0, 100, copied.Len() / 2, copied.Len() - 1500} {
		require.Error(t, Restore(cut, bytes.NewReader(copied.Bytes()[:n])), n)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(cut), "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
	left, err = filepath.Glob(filepath.Join(real, checkpointDirs+"*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	again, err := openDir(t, Config{Dir: to})
	require.NoError(t, err)
	closing(t, again)
	assert.Equal(t, s.Fingerprint([]byte("x")), again.Fingerprint([]byte("x")))
	run(t, again, &script{})
	for i := range 51 {
		assert.Equal(t, Done, await(t, again, strconv.Itoa(i), finished).State)
	}
	require.NoError(t, s.Close())
	closed, err := openDir(t, Config{Dir: link, ReadOnly: true})
	require.NoError(t, err)
	before := digest(t, real)
	copied.Reset()
	require.NoError(t, closed.Backup(t.Context(), &copied))
	require.NoError(t, closed.Close())
	assert.Equal(t, before, digest(t, real))
	cold := filepath.Join(t.TempDir(), "cold")
	require.NoError(t, Restore(cold, &copied))
	_, err = os.Stat(filepath.Join(cold, "records"))
	require.NoError(t, err)
}
