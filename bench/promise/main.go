// Command promise kills the bot, again and again, and counts what became of the commands
// that it had acknowledged.
//
// The bot is the binary as it is shipped, with one addition: it can be told to kill itself
// right after it saved a job (see rig.BuildKillable). It is a process of its own and is
// ended with SIGKILL: at every recorded step of every scenario by name, at every request
// that it makes (arrived, carried out but not answered, answered), and at random instants
// with several commands under way. Slack and Discord are stand-ins in this process, as
// are both meeting providers, whose list of meetings is the truth.
//
// It exits with 1 when a command was lost, a meeting made twice, or something untrue said.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"meetbot/bench/internal/rig"
)

func main() {
	o := options{}
	flag.IntVar(&o.kills, "kills", 1000, "how often the bot is killed, on both engines together")
	flag.StringVar(&o.engine, "engine", "", `"embedded" or "cluster" alone`)
	flag.StringVar(&o.only, "only", "", "scenarios whose name has this in it")
	flag.BoolVar(&o.named, "named", false, "the named steps alone, no random instants")
	flag.BoolVar(&o.quick, "quick", false, "without the scenarios that wait for a provider's silence")
	flag.StringVar(&o.keep, "keep", "", "keep stores and logs in this directory")
	quiet := flag.Bool("q", false, "no progress")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var progress io.Writer = os.Stderr
	if *quiet {
		progress = io.Discard
	}
	result, err := run(ctx, o, progress)
	fmt.Print(result.table())
	if err == nil && len(result.faults) > 0 {
		err = errors.New("promises were broken")
	}
	for _, f := range result.faults {
		fmt.Fprintln(os.Stderr, f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "promise:", err)
		os.Exit(1)
	}
}

type options struct {
	kills  int
	engine string
	only   string
	named  bool
	quick  bool // without what waits for silence
	keep   string
}

// result is what a campaign counted.
type result struct {
	rows   []*row
	faults []fault
	kills  int
	steps  int      // different named instants that were hit
	missed []string // named instants that were not passed again
}

func run(ctx context.Context, o options, log io.Writer) (result, error) {
	var all result
	dir := o.keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "promise-"); err != nil {
			return all, err
		}
		defer func() { _ = os.RemoveAll(dir) }() // best effort: it is in the temporary directory
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return all, err
	}
	binary, err := rig.BuildKillable(ctx, dir)
	if err != nil {
		return all, err
	}
	engines := []string{embedded, clustered}
	switch o.engine {
	case "embedded":
		engines = engines[:1]
	case "cluster":
		engines = engines[1:]
	}
	for _, engine := range engines {
		at := filepath.Join(dir, strings.ReplaceAll(engine, " ", "-"))
		if err := os.MkdirAll(at, 0o700); err != nil {
			return all, err
		}
		r, err := campaign(ctx, o, binary, at, engine, o.kills/len(engines), log)
		all.rows = append(all.rows, r.rows...)
		all.faults = append(all.faults, r.faults...)
		all.missed = append(all.missed, r.missed...)
		all.kills += r.kills
		all.steps += r.steps
		if err != nil {
			return all, fmt.Errorf("%s: %w", engine, err)
		}
	}
	return all, nil
}

// target is a named instant of a scenario.
type target struct {
	s *scenario
	p point
}

func campaign(ctx context.Context, o options, binary, dir, engine string, kills int, log io.Writer) (result, error) {
	var r result
	w, err := newWorld(ctx, binary, dir, engine, rig.Options{History: engine == clustered, DiscordHTTP: engine == clustered}, log)
	if err != nil {
		return r, err
	}
	defer w.close()
	var targets []target
	var all []*scenario
	for _, s := range scenarios() {
		if !strings.Contains(s.name, o.only) || o.quick && s.slow {
			continue
		}
		points, err := w.rehearse(ctx, s)
		if err != nil {
			return r, fmt.Errorf("rehearse: %w", err)
		}
		if !s.slow {
			all = append(all, s)
		}
		_, _ = fmt.Fprintf(log, "%s: %s %s passes %d instants, %d private and %d public messages\n", engine, s.platform, s.name, len(points), s.private, s.public)
		for _, p := range points {
			targets = append(targets, target{s, p})
		}
	}
	if kills < len(targets) && !o.named { // a sample, of other instants each time
		rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		targets = targets[:kills*2/3]
	}
	began, lost := time.Now(), -1
	report := func(what any) {
		_, _ = fmt.Fprintf(log, "%s: %4d kills in %v: %v\n", engine, w.kills, time.Since(began).Round(time.Second), what)
	}
	// On a cluster one of the three nodes is away half of the time, the leader first.
	next := w.kills + 10
	cluster := func() error {
		if w.cluster == nil || w.kills < next {
			return nil
		}
		next = w.kills + 10
		if lost < 0 {
			lost = w.cluster.Lose("meetbot")
			report(fmt.Sprintf("node %d is lost", lost))
			return nil
		}
		err := w.cluster.Start(lost)
		lost = -1
		return err
	}
	for _, t := range targets {
		if err := cluster(); err != nil {
			return r, err
		}
		hit, err := w.strike(ctx, t.s, t.p)
		if err != nil {
			return r, err
		}
		what := fmt.Sprintf("%s %s, %s", t.s.platform, t.s.name, t.p)
		if hit {
			r.steps++
			report(what)
		} else {
			r.missed = append(r.missed, what)
			report("not passed: " + what)
		}
	}
	for w.kills < kills && !o.named && len(all) > 0 {
		if err := cluster(); err != nil {
			return r, err
		}
		if err := w.volley(ctx, all); err != nil {
			return r, err
		}
		report("a random instant")
	}
	if lost >= 0 {
		if err := w.cluster.Start(lost); err != nil {
			return r, err
		}
	}
	report("waiting for what was promised")
	err = w.settle(ctx)
	r.kills = w.kills
	r.rows, r.faults = w.count()
	return r, err
}

// table shows a result as Markdown.
func (r result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills, %d of them at named instants.\n\n", r.kills, r.steps)
	b.WriteString("| engine | adapter | commands | killed under way | acknowledged | outcome told | told \"perhaps\" | meetings | **lost** | **created twice** | **untrue** | told twice |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, x := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", x.engine, x.platform, x.commands, x.kills, x.acked, x.told, x.unclear, x.meetings, x.lost, x.twice, x.untrue, x.repeated)
	}
	for _, x := range r.rows {
		for _, what := range x.repeats {
			fmt.Fprintf(&b, "\nTold twice: %s %s %s", x.engine, x.platform, what)
		}
	}
	return b.String() + "\n"
}
