// Command bench measures the bot as it is shipped and prints the figures as Markdown.
//
//	go run ./bench           # a few minutes
//	go run ./bench -full     # all of it: also 100,000 stored meetings and 60 s of hanging
//
// The bot is a process of its own on a store on disk; what it talks to runs in this
// process, on the same machine, and takes its share of the processors. TMPDIR has to be
// on a real disk. Nothing is asserted on time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"meetbot/bench/internal/rig"
)

func main() {
	if os.Getenv(floorEnv) != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveFloor())
		os.Exit(1)
	}
	full := flag.Bool("full", false, "the sizes that docs/performance.md names")
	only := flag.String("only", "", "parts whose name has this in it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *full, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of everything.
type bench struct {
	full   bool
	dir    string
	binary string
}

// figure is a line of the table.
type figure struct{ what, value, wanted string }

type part struct {
	name string
	run  func(*bench, context.Context) ([]figure, error)
}

var parts = []part{
	{"size", (*bench).size},
	{"idle", (*bench).idle},
	{"acknowledge", (*bench).acknowledge},
	{"cost", (*bench).cost},
	{"flood", (*bench).flood},
	{"stored", (*bench).stored},
	{"steady", (*bench).steady},
	{"peers", (*bench).peers},
}

func run(ctx context.Context, full bool, only string) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: it is in the temporary directory
	b := &bench{full: full, dir: dir}
	if b.binary, err = rig.BuildShipped(ctx, dir); err != nil {
		return err
	}
	fmt.Printf("%s, %s/%s, %d processors, %s", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if rev, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		fmt.Printf(", %s", strings.TrimSpace(string(rev)))
	}
	fmt.Print("\n\n| what | figure | wanted |\n| --- | --- | --- |\n")
	for _, p := range parts {
		if !strings.Contains(p.name, only) {
			continue
		}
		figures, err := p.run(b, ctx)
		for _, f := range figures {
			fmt.Printf("| %s | %s | %s |\n", f.what, f.value, f.wanted)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// pick is the size for a full run or a short one.
func (b *bench) pick(full, short int) int {
	if b.full {
		return full
	}
	return short
}

// bot makes a bot on an empty store, among stand-ins.
func (b *bench) bot(name string) (*rig.Rig, *rig.Bot, func(), error) {
	r, err := rig.New(rig.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.Close()
		return nil, nil, nil, err
	}
	bot, err := r.NewBot(b.binary, dir, "LOG_LEVEL=warn")
	if err != nil {
		r.Close()
		return nil, nil, nil, err
	}
	return r, bot, func() { bot.Close(); r.Close() }, nil
}

func (b *bench) size(context.Context) ([]figure, error) {
	info, err := os.Stat(b.binary)
	if err != nil {
		return nil, err
	}
	return []figure{{"the binary, static, without symbols: all that the image has besides certificates", mib(float64(info.Size())), ""}}, nil
}

// idle measures a bot with both platforms connected and nothing to do.
func (b *bench) idle(ctx context.Context) ([]figure, error) {
	_, bot, done, err := b.bot("idle")
	if err != nil {
		return nil, err
	}
	defer done()
	var starts []time.Duration
	for range 5 {
		began := time.Now()
		if err := bot.Start(ctx); err != nil {
			return nil, err
		}
		starts = append(starts, time.Since(began))
		if err := bot.Stop(); err != nil {
			return nil, err
		}
	}
	if err := bot.Start(ctx); err != nil {
		return nil, err
	}
	time.Sleep(3 * time.Second)
	span := time.Duration(b.pick(60, 10)) * time.Second
	before := cpu(bot.PID())
	select {
	case <-time.After(span):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	used := cpu(bot.PID()) - before
	return []figure{
		{"from start to ready, Slack and Discord connected, p50 of 5", ms(quantile(starts, .5)), ""},
		{fmt.Sprintf("idle: processor time over %v", span), fmt.Sprintf("%.2f %% of one", 100*used.Seconds()/span.Seconds()), "≤ 0.1 %"},
		{"idle: resident memory; of it not the program's file", mib(resident(bot.PID())) + "; " + mib(anonymous(bot.PID())), "≤ 30 MiB"},
	}, bot.Stop()
}
