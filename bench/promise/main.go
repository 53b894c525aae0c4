// Command promise kills the bot, again and again, and counts what became of the commands
// that it had acknowledged.
//
// The bot is the binary as it is shipped, with one addition: it can be told to kill itself
// right after it saved a job (see rig.BuildKillable). It is a process of its own and is
// ended with SIGKILL: at every recorded step of every scenario by name, at every request
// that it makes (arrived, carried out but not answered, answered), and at random instants
// with several commands under way. Slack and Discord are stand-ins in this process, as
// are the meeting providers, whose list of meetings is the truth. In a world of their own workspaces
// install the app and remove it, while the bot is killed there too.
//
// It exits with 1 when a command was lost, a meeting made twice, or something untrue said.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	flag.StringVar(&o.only, "only", "", `scenarios whose platform and name have this in them: "Discord /meet"`)
	flag.BoolVar(&o.named, "named", false, "the named steps alone, no random instants")
	flag.BoolVar(&o.quick, "quick", false, "without the scenarios that wait for a provider's silence")
	flag.StringVar(&o.keep, "keep", "", "keep stores and logs in this directory")
	flag.IntVar(&o.troubles, "troubles", 0, "instead of kills: so many runs with parts in trouble (200 is the long form)")
	quiet := flag.Bool("q", false, "no progress")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var progress io.Writer = os.Stderr
	if *quiet {
		progress = io.Discard
	}
	if o.troubles > 0 {
		if err := inTrouble(ctx, o, progress); err != nil {
			fmt.Fprintln(os.Stderr, "promise:", err)
			os.Exit(1)
		}
		return
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

// inTrouble carries out runs with parts in trouble, and shows what came of them.
func inTrouble(ctx context.Context, o options, log io.Writer) error {
	dir := o.keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "promise-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // best effort: it is in the temporary directory
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	binary, err := rig.BuildKillable(ctx, dir)
	if err != nil {
		return err
	}
	rows, faults, err := runTroubles(ctx, o.troubles, o.only, binary, dir, log)
	fmt.Print(troubleTable(rows))
	for _, f := range faults {
		fmt.Fprintln(os.Stderr, f)
	}
	if err == nil && len(faults) > 0 {
		err = errors.New("promises were broken")
	}
	return err
}

type options struct {
	troubles int
	kills    int
	engine   string
	only     string
	named    bool
	quick    bool // without what waits for silence
	short    bool // named instants outside of a provider's call alone: after one in it, the outcome is looked up much later
	keep     string
	binary   string // of rig.BuildKillable; empty: built first
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
	if o.binary == "" {
		var err error
		if o.binary, err = rig.BuildKillable(ctx, dir); err != nil {
			return all, err
		}
	}
	engines := []string{embedded, clustered}
	switch o.engine {
	case "embedded":
		engines = engines[:1]
	case "cluster":
		engines = engines[1:]
	}
	for _, engine := range engines {
		c := &campaign{
			options: o, dir: filepath.Join(dir, strings.ReplaceAll(engine, " ", "-")),
			engine: engine, kills: o.kills / len(engines), log: log, began: time.Now(), lost: -1,
		}
		err := c.run(ctx)
		all.rows = append(all.rows, c.result.rows...)
		all.faults = append(all.faults, c.result.faults...)
		all.missed = append(all.missed, c.result.missed...)
		all.kills += c.result.kills
		all.steps += c.result.steps
		if err != nil {
			return all, fmt.Errorf("%s: %w", engine, err)
		}
	}
	return all, nil
}

// table shows a result as Markdown.
func (r result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills, %d of them at named instants.\n\n", r.kills, r.steps)
	b.WriteString("| engine | adapter | commands | killed under way | acknowledged | answered | answered \"perhaps\" | meetings | **lost** | **created twice** | **untrue** | shown twice |\n")
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
