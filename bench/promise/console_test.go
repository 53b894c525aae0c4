package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bench/internal/rig"
)

// screen is what a console has written.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The console is killed at every save of a /meet. The next console on the same store says
// how it ended, and there is one meeting at most.
func TestTheConsoleIsKilled(t *testing.T) {
	t.Parallel()
	binary, err := rig.BuildKillable(t.Context(), t.TempDir())
	require.NoError(t, err)
	r, err := rig.New(rig.Options{})
	require.NoError(t, err)
	t.Cleanup(r.Close)

	points := []string{"accepted", "calling 1", "called 1", "delivering 1", "delivering 2", "delivering 3", "delivering 4", "done"}
	for i, p := range points {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			topic := fmt.Sprintf("promise 75%05d", i)
			var shown screen
			console := func() (*exec.Cmd, io.WriteCloser) {
				cmd := exec.CommandContext(t.Context(), binary)
				cmd.Env = append(r.Providers(), "DATA_DIR="+filepath.Join(dir, "data"), "HOME="+dir, rig.Armed+"="+filepath.Join(dir, "armed"), rig.Trace+"="+filepath.Join(dir, "trace"))
				cmd.Stdout, cmd.Stderr = &shown, &shown
				in, err := cmd.StdinPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				return cmd, in
			}
			require.NoError(t, rig.Arm(filepath.Join(dir, "armed"), "meet: "+p))
			first, in := console()
			_, err := io.WriteString(in, "/meet "+topic+" --provider systec\n")
			require.NoError(t, err)
			require.Error(t, first.Wait(), "it has to be killed: %s", shown.text())
			require.NoFileExists(t, filepath.Join(dir, "armed"))

			second, in := console()
			told := func() bool {
				return strings.Contains(shown.text(), topic+"” is ready") || strings.Contains(shown.text(), unclear)
			}
			assert.Eventually(t, told, 2*time.Minute, 20*time.Millisecond, "%s", shown.text())
			require.NoError(t, in.Close())
			_ = second.Wait() // 1 where a command did not succeed
			want := 1
			if p == "calling 1" { // nothing was sent yet, which nobody can know
				want = 0
				assert.Contains(t, shown.text(), unclear)
			}
			assert.Equal(t, want, r.Sandbox.Created(topic))
		})
	}
}
