package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bench/internal/rig"
	"meetbot/bot/jobs/jobstest"
)

// TestABotInTheFakeWorkspace does what docs/slack.md says: it starts the bot as it is shipped
// with the variables that are printed, and types.
func TestABotInTheFakeWorkspace(t *testing.T) {
	binary, err := rig.Build(t.Context(), t.TempDir())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	in, typed := io.Pipe()
	read, out := io.Pipe()
	var ended sync.WaitGroup
	ended.Go(func() {
		assert.NoError(t, run(ctx, in, out))
		_ = out.Close() // a pipe in memory
	})
	said := newTranscript(read)

	said.until(ctx, t, "Waiting for the bot")
	var env []string
	for _, line := range regexp.MustCompile(`(?m)^ +export (.*)$`).FindAllStringSubmatch(said.all(), -1) {
		env = append(env, strings.Fields(line[1])...)
	}
	require.Len(t, env, 4)
	ops, err := jobstest.FreeAddress()
	require.NoError(t, err)
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	bot := exec.CommandContext(ctx, binary)
	bot.Env = append(env, "HOME="+dir, "PATH="+os.Getenv("PATH"), "DATA_DIR="+filepath.Join(dir, "data"), "OPS_ADDR="+ops)
	bot.Stdout, bot.Stderr = log, log
	require.NoError(t, bot.Start())
	defer func() {
		_ = bot.Process.Kill()
		_ = bot.Wait() // it was killed
		if t.Failed() {
			all, _ := os.ReadFile(log.Name())
			t.Logf("the screen:\n%s\nthe bot's log:\n%s", said.all(), all)
		}
	}()
	say := func(line string) {
		_, err := io.WriteString(typed, line+"\n")
		require.NoError(t, err)
	}

	said.until(ctx, t, `The bot is connected. You are @ada in #general. Your ID is U0ADA.`)
	say("/meet weekly --provider tencent")
	said.until(ctx, t, `#general\n  weekly`)
	said.until(ctx, t, `#general, thread\n(  .*\n)*?  .*http://`)
	said.until(ctx, t, `only @ada sees this\n(  .*\n)*?  .*“weekly” is ready`)
	end := regexp.MustCompile(`\[(\d+) End meeting\]`)
	number := end.FindStringSubmatch(said.until(ctx, t, end.String()))[1]

	say("/livepush save bili")
	said.until(ctx, t, "form for @ada: Save destination")
	for _, value := range []string{"", "generic", "rtmp://live.example.com/app", "canary-key"} {
		say(value)
	}
	for range 8 { // whatever else the form has stays as it is
		say("")
	}
	said.until(ctx, t, "bili is saved")
	assert.NotContains(t, said.all(), "canary-key")

	say("@ben " + number)
	said.until(ctx, t, `only @ben sees this\n(  .*\n)*?  .*Only ada, who requested`)
	say("99")
	said.until(ctx, t, "99: no such button.")
	say(number)
	said.until(ctx, t, "Slack asks here first: End the meeting\\?")
	said.until(ctx, t, `#general, edited\n(  .*\n)*?  .*(Ended|Cancelled) at`)
	require.NoError(t, typed.Close())
	ended.Wait()
}

// transcript is what was printed so far.
type transcript struct {
	mu      sync.Mutex
	lines   strings.Builder
	changed chan struct{}
}

func newTranscript(r io.Reader) *transcript {
	s := &transcript{changed: make(chan struct{})}
	go func() {
		for scan := bufio.NewScanner(r); scan.Scan(); {
			s.mu.Lock()
			s.lines.WriteString(scan.Text() + "\n")
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *transcript) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.String()
}

// until returns everything once it has what is expected.
func (s *transcript) until(ctx context.Context, t *testing.T, want string) string {
	t.Helper()
	re := regexp.MustCompile(want)
	for {
		s.mu.Lock()
		all, changed := s.lines.String(), s.changed
		s.mu.Unlock()
		if re.MatchString(all) {
			return all
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.Fail(t, "was not printed: "+want)
		}
	}
}
