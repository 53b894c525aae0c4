package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/jobs/jobstest"
)

// Bot is a bot that is started again and again on one store.
type Bot struct {
	Rig    *Rig
	Binary string
	Dir    string   // DATA_DIR, and its log
	Env    []string // besides what New gives

	base, ops string
	screen    *Screen // of a console; else nil

	mu   sync.Mutex
	cmd  *exec.Cmd
	in   io.Writer     // of a console
	done chan struct{} // closed when the process has ended
	log  *os.File
}

// Screen is what a console has written, over all its lives: a file, so that nothing is on
// its way when the process has gone on.
type Screen struct{ f *os.File }

// Text returns what was written after the first n bytes.
func (s Screen) Text(n int) string {
	text := make([]byte, max(0, s.Len()-n))
	read, _ := s.f.ReadAt(text, int64(n))
	return string(text[:read])
}

// Len is how many bytes were written.
func (s Screen) Len() int {
	info, err := s.f.Stat()
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// NewBot makes a bot of a binary that keeps its data in a directory of dir.
func (r *Rig) NewBot(binary, dir string, env ...string) (*Bot, error) {
	b := &Bot{Rig: r, Binary: binary, Dir: dir}
	base, err := jobstest.FreeAddress()
	if err != nil {
		return nil, err
	}
	ops, err := jobstest.FreeAddress()
	if err != nil {
		return nil, err
	}
	b.base, b.ops = "http://"+base, "http://"+ops
	b.Env = slices.Concat(r.Providers(), r.Chat(), []string{
		"DATA_DIR=" + filepath.Join(dir, "data"), "HTTP_ADDR=" + base, "OPS_ADDR=" + ops, "LOG_FORMAT=json", "LOG_LEVEL=info",
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), "TZ=UTC",
	}, env)
	b.log, err = os.OpenFile(filepath.Join(dir, "bot.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return b, err
}

// NewConsole is [Rig.NewBot] for a bot that talks to one person at a console, whose lines
// come through a pipe.
func (r *Rig) NewConsole(binary, dir string, env ...string) (*Bot, error) {
	b := &Bot{Rig: r, Binary: binary, Dir: dir}
	b.Env = slices.Concat(r.Providers(), []string{"DATA_DIR=" + filepath.Join(dir, "data"), "HOME=" + dir, "TZ=UTC", "LOG_LEVEL=info"}, env)
	screen, err := os.OpenFile(filepath.Join(dir, "screen"), os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	b.screen = &Screen{screen}
	b.log, err = os.OpenFile(filepath.Join(dir, "bot.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return b, err
}

// Screen is what a console has written; nil for a bot that is none.
func (b *Bot) Screen() *Screen { return b.screen }

// Type types a line at a console. Nobody reads it if the process has ended.
func (b *Bot) Type(line string) {
	b.mu.Lock()
	in := b.in
	b.mu.Unlock()
	_, _ = io.WriteString(in, line+"\n")
}

// DataDir is where the embedded store is, LogPath what the bot wrote to its log.
func (b *Bot) DataDir() string { return filepath.Join(b.Dir, "data") }

// LogPath is the file of everything that the bot logged in all its lives.
func (b *Bot) LogPath() string { return filepath.Join(b.Dir, "bot.log") }

// HTTP is Slack's way in over HTTP.
func (b *Bot) HTTP() slacktest.HTTP {
	return slacktest.HTTP{Base: b.base, Secret: slacktest.SigningSecret, Client: client}
}

// DiscordURL is Discord's way in over HTTP.
func (b *Bot) DiscordURL() string { return b.base + "/discord/interactions" }

// Ops is the base of the bot's own pages.
func (b *Bot) Ops() string { return b.ops }

// client opens a connection a request: those of a killed bot are of no use.
var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Launch starts the process, with more variables, and does not wait. It runs until it is
// ended, whatever becomes of ctx.
func (b *Bot) Launch(ctx context.Context, env ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), b.Binary)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(slices.Clone(b.Env), env...), b.log, b.log
	if b.screen != nil {
		cmd.Stdout = b.screen.f
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		b.in = in
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	b.cmd, b.done = cmd, done
	go func() {
		_ = cmd.Wait() // how it ended is asked of cmd
		close(done)
	}()
	return nil
}

// Start starts the process and waits until every way in is open. A console is open at
// once: what is typed is read later.
func (b *Bot) Start(ctx context.Context, env ...string) error {
	if err := b.Launch(ctx, env...); err != nil || b.screen != nil {
		return err
	}
	return b.Ready(ctx)
}

// errEnded: the process is not there.
var errEnded = errors.New("the bot has ended")

// Ready waits until every way in is open.
func (b *Bot) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if b.open(ctx) {
			return nil
		}
		select {
		case <-b.Ended():
			return fmt.Errorf("%w: %v\n%s", errEnded, b.cmd.ProcessState, b.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("the bot is not ready: %w\n%s", ctx.Err(), b.LogTail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *Bot) open(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.ops+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	var ready struct {
		Ready bool `json:"ready"`
		Parts map[string]struct {
			State string `json:"state"`
		} `json:"parts"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&ready) != nil || !ready.Ready {
		return false
	}
	for _, name := range []string{"slack", "discord"} {
		if state := ready.Parts[name].State; state != "" && state != "running" {
			return false
		}
	}
	return true
}

// Ended is closed when the process has ended.
func (b *Bot) Ended() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

// Kill ends the process at once and returns when it is gone.
func (b *Bot) Kill() {
	b.mu.Lock()
	cmd, done := b.cmd, b.done
	b.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // it may be gone already
	<-done
}

// Stop asks the process to end, and returns how it did.
func (b *Bot) Stop() error {
	b.mu.Lock()
	cmd, done := b.cmd, b.done
	b.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		<-done
		return errors.New("the bot did not end within a minute of SIGTERM")
	}
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("the bot ended with %s; see %s", cmd.ProcessState, b.LogPath())
	}
	return nil
}

// Close kills what still runs and closes the log. A screen stays readable.
func (b *Bot) Close() {
	b.Kill()
	_ = b.log.Close()
}

// PID is the process's.
func (b *Bot) PID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cmd.Process.Pid
}

// LogTail is the end of the log, for an error.
func (b *Bot) LogTail() string {
	raw, _ := os.ReadFile(b.LogPath())
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
