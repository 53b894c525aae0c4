package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is the bot on a pseudo-terminal.
type terminal struct {
	t    testing.TB
	pty  *os.File
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended

	mu     sync.Mutex
	screen bytes.Buffer
	more   chan struct{} // closed and renewed when something was written
}

func onTerminal(t testing.TB, binary string, env ...string) *terminal {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	conn, err := pty.SyscallConn()
	require.NoError(t, err)
	var n int
	require.NoError(t, conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if err == nil {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 100})
		}
	}))
	require.NoError(t, err)
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)

	x := &terminal{t: t, pty: pty, cmd: command(t, binary, env...), done: make(chan struct{}), more: make(chan struct{})}
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, x.cmd.Start())
	require.NoError(t, tty.Close())
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := pty.Read(b)
			x.mu.Lock()
			x.screen.Write(b[:n])
			close(x.more)
			x.more = make(chan struct{})
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(x.done)
		_ = x.cmd.Wait() // the tests look at its state
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		<-x.done
		_ = pty.Close()
	})
	return x
}

const patience = 30 * time.Second

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// sees waits until the text is on the screen.
func (x *terminal) sees(text string) {
	x.t.Helper()
	limit := time.After(patience)
	for {
		x.mu.Lock()
		screen, more := x.screen.String(), x.more
		x.mu.Unlock()
		if strings.Contains(screen, text) {
			return
		}
		select {
		case <-more:
		case <-limit:
			x.t.Fatalf("%q did not appear in:\n%s", text, screen)
		}
	}
}

func (x *terminal) types(text string) {
	x.t.Helper()
	_, err := x.pty.WriteString(text)
	require.NoError(x.t, err)
}

// ends waits for the process and returns how long that took.
func (x *terminal) ends() time.Duration {
	x.t.Helper()
	began := time.Now()
	select {
	case <-x.done:
	case <-time.After(patience):
		x.t.Fatalf("the bot goes on:\n%s", x.text())
	}
	return time.Since(began)
}

const ctrlC, ctrlD = "\x03", "\x04"

func TestCtrlCEndsItAtAnyMoment(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(hang); provider.Close() })
	hanging := []string{"SYSTEC_API_KEY=k", "SYSTEC_API_SECRET=s", "SYSTEC_BASE_URL=" + provider.URL}

	for _, tt := range []struct {
		name string
		env  []string
		do   func(x *terminal)
	}{
		{"AtTheStart", nil, func(*terminal) {}},
		{"Starting", nil, func(*terminal) { time.Sleep(30 * time.Millisecond) }},
		{"AtThePrompt", nil, func(x *terminal) { x.sees("› ") }},
		{"HalfALine", nil, func(x *terminal) {
			x.sees("› ")
			x.types("/meet 周")
			x.sees("周")
			x.types(ctrlC)
			x.sees("^C\r\n› ")
		}},
		{"InAForm", nil, func(x *terminal) {
			x.sees("› ")
			x.types("/meet form\r")
			x.sees(": ")
		}},
		{"WhileTheProviderHangs", hanging, func(x *terminal) { x.sees("› "); x.types("/meet a\r"); time.Sleep(300 * time.Millisecond) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := onTerminal(t, self(t), tt.env...)
			tt.do(x)
			x.types(ctrlC)
			t.Logf("ended after %v", x.ends())
			for _, trace := range []string{"goroutine ", "panic", "SIGINT"} {
				assert.NotContains(t, x.text(), trace)
			}
		})
	}
}

// Ctrl-C drops what was begun, at the prompt and in a form, and the session goes on.
func TestCtrlCDropsALineThatWasBegun(t *testing.T) {
	t.Parallel()
	x := onTerminal(t, self(t), "NO_COLOR=1")
	x.sees("› ")
	x.types("/meet not this")
	x.sees("not this")
	x.types(ctrlC)
	x.sees("^C\r\n› ")
	x.types("/meet this\r")
	x.sees("“this” is ready")
	x.types("/meet form\r")
	x.sees("Enter keeps the value in brackets")
	x.sees(": ")
	x.types("half a topic")
	x.sees("half a topic")
	x.types(ctrlC)
	x.sees("^C\r\n  ")
	x.types("whole topic\r")
	for range 20 {
		x.types("\r")
	}
	x.sees("“whole topic” is ready")
	assert.NotContains(t, x.text(), "“not this”")
	x.types(ctrlC)
	x.ends()
	assert.Zero(t, x.cmd.ProcessState.ExitCode(), x.text())
}

// A value that was refused is not proposed again.
func TestAFormDoesNotProposeWhatWasRefused(t *testing.T) {
	t.Parallel()
	x := onTerminal(t, self(t), "NO_COLOR=1")
	x.sees("› ")
	x.types("/meet form\r")
	x.sees("Enter keeps the value in brackets")
	x.types("refused\r")
	x.types("1\r") // SYSTEC umeeting
	x.types("\r")  // live
	x.types("5\r") // minutes, which are too few
	for range 20 {
		x.types("\r")
	}
	x.sees("at least 31 minutes")
	for range 3 {
		x.types("\r")
	}
	x.sees("“refused” is ready")
}

func TestATerminalSession(t *testing.T) {
	t.Parallel()
	x := onTerminal(t, self(t), "NO_COLOR=1")
	x.sees("SANDBOX")
	x.sees("› ")
	x.types("/me\t周会 --pro\ttencent --live\r")
	x.sees("#console")
	x.sees("only you see this")
	x.types("\x1b[A") // the line before
	x.sees("› /meet 周会 --provider tencent --live")
	x.types("\x15/livepush\r")
	x.sees("http://127.0.0.1:") // the key is entered on a page, not here
	x.sees("/k/")
	x.types("/livepush --name b --url rtmp://live.example.com/app/canary\r")
	x.sees("\x1b[1A\r\x1b[J› /livepush --name b --url ••••••")
	x.sees("1 of 1 set")
	x.types("\x1b[200~/meet pasted\r\x1b[201~") // as a terminal with bracketed paste sends it
	x.sees("“pasted” is ready")
	x.types("/meet form\r")
	x.sees("Enter keeps the value in brackets")
	x.types(ctrlD)
	x.sees("Cancelled")
	x.types("2\r")
	x.sees("Scan")
	x.types(ctrlD)
	x.ends()
	assert.Zero(t, x.cmd.ProcessState.ExitCode(), x.text())
}

func TestASecondSignalKills(t *testing.T) {
	t.Parallel()
	x := onTerminal(t, self(t))
	x.sees("› ")
	require.NoError(t, x.cmd.Process.Signal(syscall.SIGTERM))
	_ = x.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	x.ends()
}

// built is the bot as it is shipped.
func built(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bot")
	out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// BenchmarkTerminal reports what a person with a terminal feels: the time from the start
// to the first prompt, the time from Ctrl-C to the end, and the memory of the idle
// process. Wanted: 150 ms, 2 s, 40 MiB.
func BenchmarkTerminal(b *testing.B) {
	path := built(b)
	var prompt, end time.Duration
	var memory float64
	for b.Loop() {
		began := time.Now()
		x := onTerminal(b, path)
		x.sees("› ")
		prompt += time.Since(began)
		b.StopTimer()
		time.Sleep(time.Second)
		memory += resident(b, x.cmd.Process.Pid)
		x.types(ctrlC)
		end += x.ends()
		b.StartTimer()
	}
	n := float64(b.N)
	b.ReportMetric(prompt.Seconds()*1e3/n, "ms-to-prompt")
	b.ReportMetric(end.Seconds()*1e3/n, "ms-to-end")
	b.ReportMetric(memory/n, "MiB-idle")
	b.ReportMetric(0, "ns/op")
}

// resident is the process's memory in MiB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			require.NoError(b, err)
			return kib / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
