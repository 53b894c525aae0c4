package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"meetbot/bot/jobs"
	"meetbot/meeting/sandbox"
)

// row is what came of the commands of one platform on one engine.
type row struct {
	engine, platform string
	kills            int // lives that ended while one of its commands was under way
	commands         int
	acked            int
	meetings         int // that /meet made
	told             int // acknowledged commands whose outcome the person was shown
	unclear          int // "perhaps", since it cannot be known; acknowledged or not
	lost             int // acknowledged, and nothing was shown
	twice            int // meetings or lives too many
	repeated         int // commands of which the same message was shown twice
	untrue           int // shown what is not so
	repeats          []string
}

// fault is a broken promise, for whoever has to look into it.
type fault struct {
	what string
	c    *command
}

func (f fault) String() string {
	if f.c == nil { // it is about no command
		return f.what
	}
	return fmt.Sprintf("%s: %s %s %s %s (acknowledged %v, killed at %s)\n  private: %q\n  public: %q", f.what, f.c.world.engine, f.c.scenario.platform, f.c.scenario.name, f.c.id, f.c.acked, f.c.killedAt, f.c.private()[f.c.privately:], f.c.public()[f.c.publicly:])
}

// told reports whether the person was shown how it ended.
func (c *command) told() bool {
	c.shown = c.shown || len(c.private()) > c.privately
	return c.shown
}

// nudgeAfter is when somebody asks a second time for what went unheard, as an approval
// may while the store has no leader.
const nudgeAfter = 20 * time.Second

// settle waits until everything that was promised is done.
func (w *world) settle(ctx context.Context) error {
	end := time.Now().Add(3 * settleWithin) // a look-up alone may be tried for five minutes
	nudge := time.Now().Add(nudgeAfter)
	for time.Now().Before(end) {
		waiting := slices.DeleteFunc(slices.Clone(w.commands), func(c *command) bool { return !c.acked || c.told() || c.declined() })
		if len(waiting) == 0 {
			break
		}
		if err := w.revive(ctx); err != nil { // it may have struck after it was given up
			return err
		}
		if time.Now().After(nudge) {
			nudge = time.Now().Add(nudgeAfter)
			for _, c := range waiting {
				if c.scenario.again == nil {
					continue
				}
				soon, cancel := context.WithTimeout(ctx, ackWithin)
				err := c.scenario.again(soon, c)
				cancel()
				if err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	// Whether more is to come, nobody knows but the bot.
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		if err := w.bot.Stop(); err != nil {
			return err
		}
		open, err := w.unfinished(ctx, false)
		switch {
		case err != nil:
			return err
		case len(open) == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("jobs that do not end: %q", open)
		}
		if err := w.start(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// unfinished returns the jobs of a stopped bot's store that have not ended. Of a copy, the
// bot itself still finds its store as it left it.
func (w *world) unfinished(ctx context.Context, copied bool) (open []string, err error) {
	cfg := w.store
	if copied && w.cluster == nil {
		cfg.Dir = filepath.Join(w.dir, "copy")
		if err := errors.Join(os.RemoveAll(cfg.Dir), copyFiles(cfg.Dir, w.store.Dir)); err != nil {
			return nil, err
		}
	}
	s, err := jobs.Open(ctx, cfg)
	for end := time.Now().Add(startWithin); err != nil && w.cluster != nil && ctx.Err() == nil && time.Now().Before(end); {
		time.Sleep(time.Second) // a node has just gone
		s, err = jobs.Open(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for j, err := range s.List(ctx, true) {
		if err != nil {
			return nil, err
		}
		if j.State != jobs.AwaitingApproval { // which is people's turn
			open = append(open, j.Label+" "+string(j.State))
		}
	}
	return open, nil
}

// copyFiles copies the plain files of a directory, which a killed process has left.
func copyFiles(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular(): // the operator's socket
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, 0o600)
	})
}

// count judges every command by what exists and what was shown.
func count(worlds []*world) (rows []*row, faults []fault) {
	by := map[string]*row{}
	for _, platform := range []string{onSlack, onDiscord, onConsole} {
		by[platform] = &row{platform: platform}
		rows = append(rows, by[platform])
	}
	var all []*command
	for _, w := range worlds {
		all = append(all, w.commands...)
	}
	for _, c := range all {
		w, r := c.world, by[c.scenario.platform]
		r.engine = w.engine
		made := w.rig.Sandbox.Created(c.topic)
		if made > 1 {
			r.twice += made - 1
			faults = append(faults, fault{"created twice", c})
		}
		if c.abandoned {
			continue
		}
		r.commands++
		r.kills += c.kills
		if c.scenario.makes {
			r.meetings += made
		}
		if n := w.rig.Sandbox.LiveStarts(c.meeting); n > 1 {
			r.twice += n - 1
			faults = append(faults, fault{"a live started twice", c})
		}
		reports := len(c.reports())
		if c.scenario.reports && c.acked && reports == 0 && strings.Contains(strings.Join(c.private(), ""), text.T("end.done")) {
			r.lost++
			faults = append(faults, fault{"no report", c})
		}
		if reports > 1 {
			r.repeated++
			r.repeats = append(r.repeats, fmt.Sprintf("%s %s, killed at: %s: %d reports", c.id, c.scenario.name, c.killedAt, reports))
		}
		private, public := c.private()[c.privately:], c.public()[c.publicly:]
		if c.acked && (len(private) > 0 || !c.declined()) {
			r.acked++
			if len(private) == 0 {
				r.lost++
				faults = append(faults, fault{"lost", c})
			} else {
				r.told++
			}
		}
		all := strings.Join(private, "\n")
		if strings.Contains(all, unclear) || strings.Contains(all, atZoom) || strings.Contains(all, notAsSet) {
			r.unclear++
		}
		if what := c.untrue(all, made); what != "" {
			r.untrue++
			faults = append(faults, fault{"untrue: " + what, c})
		}
		mostPrivate, mostPublic := c.scenario.private, c.scenario.public
		if c.scenario.makes && !strings.Contains(all, "is ready") {
			mostPrivate, mostPublic = 1, 1
		}
		if len(private) > mostPrivate || len(public) > mostPublic {
			r.repeated++
			r.repeats = append(r.repeats, fmt.Sprintf("%s %s, killed at: %s: %s", c.id, c.scenario.name, c.killedAt, strings.Join(append(again(private), again(public)...), " | ")))
		}
	}
	return slices.DeleteFunc(rows, func(r *row) bool { return r.commands == 0 }), faults
}

// untrue says which words to the person are not so; empty if all are.
func (c *command) untrue(told string, made int) string {
	switch {
	case c.scenario.makes && strings.Contains(told, "is ready") && made != 1:
		return "told of a meeting that is not there"
	case c.scenario.makes && refuses(told) && !strings.Contains(told, "is ready") && made != 0:
		return "told that nothing was made"
	case strings.Contains(told, text.T("settings.same")): // nothing was set before
		return "told that nothing was changed"
	case strings.Contains(told, text.T("end.done")):
		if m, ok := c.world.rig.Sandbox.Meeting(c.meeting); ok && m.State != sandbox.Ended && m.State != sandbox.Cancelled && m.State != sandbox.Deleted {
			return "told that it ended"
		}
	}
	if c.meeting == "" {
		return ""
	}
	if strings.Contains(told, text.T("live.start.done")) && c.world.rig.Sandbox.LiveStarts(c.meeting) == 0 {
		return "told of a live that nobody asked for"
	}
	set, urls := 0, map[string]int{}
	for _, p := range c.world.rig.Sandbox.Pushes(c.meeting) {
		urls[p.URL]++
		if p.Enabled {
			set++
		}
		if urls[p.URL] > 1 {
			return "an address was set twice"
		}
	}
	for _, good := range []string{"1", "2", "3"} {
		if strings.Contains(told, text.T("push.title", "Good", good, "All", "3")) && fmt.Sprint(set) < good {
			return "told of addresses that are not set"
		}
	}
	return c.untrueBoard(set)
}

// untrueBoard says what is not so on the boards of the command's channel, where that many
// addresses are on. A board shows a meeting until the bot hears that it is over.
func (c *command) untrueBoard(set int) string {
	boards := c.boards()
	if len(boards) == 0 {
		return ""
	}
	last := boards[len(boards)-1]
	on := strings.Count(last, text.T("step.on.set"))
	m, _ := c.world.rig.Sandbox.Meeting(c.meeting)
	over := m.State == sandbox.Ended || m.State == sandbox.Cancelled || m.State == sandbox.Deleted
	switch {
	case strings.Contains(last, text.T("board.replaced")):
		return "the last board says that there is a newer one"
	case on > set:
		return "a board shows addresses that are not on"
	case on < set && !over && !strings.Contains(last, text.T("step.unclear")):
		return "a board does not show what is on"
	}
	for _, former := range boards[:len(boards)-1] {
		// Slack shows a message twice that was posted right before a kill: nobody knows of the first.
		if c.scenario.platform == onDiscord && !strings.Contains(former, text.T("board.replaced")) {
			return "a former board is not called so"
		}
	}
	return ""
}

// again are the messages that were shown more than once, by how they begin.
func again(messages []string) (out []string) {
	seen := map[string]int{}
	for _, m := range messages {
		head := strings.Join(strings.Fields(m), " ")
		if r := []rune(head); len(r) > 60 {
			head = string(r[:60])
		}
		if seen[head]++; seen[head] == 2 {
			out = append(out, head)
		}
	}
	return out
}
