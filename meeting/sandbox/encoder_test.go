package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/meeting/sandbox"
)

// TestTheEncoderFollowsTheShow has a script in the place of ffmpeg, that says where to it would
// push and when it is ended.
func TestTheEncoderFollowsTheShow(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell: ", err)
	}
	dir := t.TempDir()
	script, runs := filepath.Join(dir, "ffmpeg"), filepath.Join(dir, "runs")
	require.NoError(t, os.Mkdir(runs, 0o700))
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nwhile [ $# -gt 5 ]; do shift; done\necho \"$2 $4 $5\" >"+runs+"/$$\nexec sleep 60\n"), 0o700))
	dials := make(chan string, 100)
	p := start(t, sandbox.Config{Encoder: &sandbox.Encoder{FFmpeg: script, Dial: func(scheme, hostport string) string {
		dials <- scheme + "://" + hostport
		return "127.0.0.1:1"
	}}})
	s := p.s
	// pushing is what runs now.
	pushing := func() []string {
		var now []string
		files, err := os.ReadDir(runs)
		require.NoError(t, err)
		for _, f := range files {
			told, err := os.ReadFile(filepath.Join(runs, f.Name()))
			if err == nil && len(told) > 0 && exec.Command("kill", "-0", f.Name()).Run() == nil {
				now = append(now, strings.TrimSpace(string(told)))
			}
		}
		slices.Sort(now)
		return now
	}
	becomes := func(want ...string) {
		t.Helper()
		assert.Eventually(t, func() bool { return slices.Equal(want, pushing()) }, 10*time.Second, 10*time.Millisecond, "%v", want)
	}
	m := p.create(nil)
	id := m["meeting_id"].(string)
	a := push("a", "rtmp://a.example/live-bvc/", "?streamname=1&key=2")
	b := push("b", "rtmps://b.example:444/live2?backup=1", "k")
	off := push("c", "rtmp://c.example/live", "k")
	off["enable_push_addres"] = false
	for _, entry := range []object{a, b, off} {
		_, fail := p.setPush(id, sandbox.DefaultUser, entry)
		require.Zero(t, fail)
	}
	require.NoError(t, s.Join(id, sandbox.DefaultUser))
	assert.Empty(t, pushing())
	require.NoError(t, s.StartLive(id))
	onA, onB := "live-bvc ?streamname=1&key=2 rtmp://127.0.0.1:1/live-bvc", "live2?backup=1 k rtmps://127.0.0.1:1/live2?backup=1"
	becomes(onA, onB)
	assert.ElementsMatch(t, []string{"rtmp://a.example:1935", "rtmps://b.example:444"}, []string{<-dials, <-dials})

	a["enable_push_addres"], off["enable_push_addres"] = false, true
	for _, entry := range []object{a, off} {
		_, fail := p.setPush(id, sandbox.DefaultUser, entry)
		require.Zero(t, fail)
	}
	becomes("live k rtmp://127.0.0.1:1/live", onB)
	require.NoError(t, s.StopLive(id))
	becomes()
	require.NoError(t, s.StartLive(id))
	becomes("live k rtmp://127.0.0.1:1/live", onB)
	require.NoError(t, s.End(id))
	becomes()

	again := p.create(nil)["meeting_id"].(string)
	_, fail := p.setPush(again, sandbox.DefaultUser, push("d", "rtmp://d.example/live", "d"))
	require.Zero(t, fail)
	require.NoError(t, s.Join(again, sandbox.DefaultUser))
	require.NoError(t, s.StartLive(again))
	becomes("live d rtmp://127.0.0.1:1/live")
	require.NoError(t, s.Close())
	assert.Empty(t, pushing(), "nothing outlives the sandbox")
}
