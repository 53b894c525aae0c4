package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"meetbot/bot/commands"
	"meetbot/bot/jobs"
	"meetbot/config"
)

const jobsHelp = `Usage: bot jobs [--all] [--json]
       bot jobs ID [--json] [--settle done|failed|retry]
       bot jobs RECORD [--json] [--drop]

Lists the jobs under way, and those that need somebody:
  stuck          not over after ten minutes
  unknown        over, and the bot could not find out whether the meeting was made
  undeliverable  over, and a message reached nobody
Below them it lists the records that the bot cannot read: of jobs (job. …), of documents such as
meetings and destinations (doc. …), and of timers (timer. …). The bot leaves such records alone.

With an ID, shows one job: who asked, where, for what, the last error, and which messages did not
arrive. The ID is the "job" of log lines and of the audit log.

  --all     List finished jobs too.
  --json    Print JSON lines.
  --settle  Close a job that the bot cannot close by itself. It never repeats a call to a provider,
            the bot refuses it while it makes such a call, and the audit log has a line of it.
              done    You found out how it ended, and told whoever asked. The bot sends nothing
                      more; on Discord the "thinking" message stays.
              failed  It did not happen. If the bot is still looking for the outcome of a call,
                      it tells the requester that the call was refused; otherwise it tells nobody.
              retry   Try the current step again now, instead of after its pause.
  --drop    Remove a record that the bot cannot read. It refuses to remove one that it can.
`

// jobsCommand is `bot jobs`.
func jobsCommand(ctx context.Context, p process) error {
	f := flags("jobs")
	all := f.Bool("all", false, "")
	asJSON := f.Bool("json", false, "")
	as := f.String("settle", "", "")
	drop := f.Bool("drop", false, "")
	id, err := parseAround(f, p, jobsHelp)
	switch {
	case err != nil:
		return err
	case len(id) > 1:
		return fmt.Errorf("%q: unexpected argument; name one job, as in bot jobs ID", id[1])
	case *as != "" && len(id) == 0:
		return errors.New("--settle: name the job, as in bot jobs ID --settle done")
	case *drop && (len(id) == 0 || *as != ""):
		return errors.New("--drop: name the record that cannot be read, as in bot jobs RECORD --drop")
	case *as != "" && !slices.Contains(settlements, *as):
		return fmt.Errorf("--settle %s: unknown; use one of %s", *as, strings.Join(settlements, ", "))
	}
	q := question{Op: "jobs", All: *all}
	if len(id) == 1 {
		q = question{Op: "job", Job: id[0]}
		if *as != "" {
			q = question{Op: "settle", Job: id[0], As: *as}
		}
		if *drop {
			q.Op = "drop"
		}
	}
	return show(ctx, p, q, *asJSON, printJobs)
}

// jobLine is a job as operators see it. In a list it has nothing that a person wrote.
type jobLine struct {
	ID       string     `json:"id"`
	Command  string     `json:"command"`
	Platform string     `json:"platform,omitempty"` // where it was asked for
	State    jobs.State `json:"state"`
	Step     string     `json:"step,omitempty"` // "2/3": call or delivery
	Outcome  string     `json:"outcome,omitempty"`
	Look     string     `json:"look,omitempty"` // why somebody has to look at it
	Why      string     `json:"why,omitempty"`  // it cannot be read; then ID is the record's name
	Attempt  int        `json:"attempt,omitempty"`
	Asked    time.Time  `json:"asked,omitzero"`
	Updated  time.Time  `json:"updated,omitzero"`
	Until    time.Time  `json:"waits_until,omitzero"`
	// What only a single job shows.
	Who        string     `json:"who,omitempty"`
	Where      string     `json:"where,omitempty"`
	Link       string     `json:"link,omitempty"` // of the place
	Topic      string     `json:"topic,omitempty"`
	Meeting    string     `json:"meeting,omitempty"`
	Number     string     `json:"number,omitempty"`
	Names      string     `json:"destinations,omitempty"`
	Error      string     `json:"error,omitempty"` // the last one
	Deliveries []string   `json:"deliveries,omitempty"`
	Was        jobs.State `json:"was,omitempty"` // before it was settled
}

const (
	stuckAfter = 10 * time.Minute
	settledTag = "settled_" // outcome of what an operator has closed
)

var settlements = []string{"done", "failed", "retry"}

func lineOf(j jobs.Job, now time.Time) jobLine {
	l := jobLine{
		ID: j.ID, Command: j.Label, Platform: j.Source, State: j.State, Outcome: j.Outcome, Attempt: j.Attempt,
		Asked: j.Created, Updated: j.Updated, Until: j.Wait,
	}
	switch {
	case j.State == jobs.Delivering:
		l.Step = fmt.Sprintf("%d/%d", j.Delivery+1, len(j.Outbox))
	case j.Calls > 0 && !j.State.Finished():
		l.Step = fmt.Sprintf("%d/%d", j.Call+1, j.Calls)
	}
	switch {
	case strings.HasPrefix(j.Outcome, settledTag):
	case !j.State.Finished():
		if j.State != jobs.AwaitingApproval && now.Sub(j.Created) > stuckAfter {
			l.Look = "stuck"
		}
	case j.Outcome == "unknown":
		l.Look = "unknown"
	case j.State == jobs.Undeliverable:
		l.Look = "undeliverable"
	}
	return l
}

func (a admin) listJobs(ctx context.Context, all bool, w io.Writer) error {
	var lines []jobLine
	for j, err := range a.store.List(ctx, false) {
		if errors.Is(err, jobs.ErrUnreadable) {
			continue // see below
		}
		if err != nil {
			return err
		}
		if l := lineOf(j, time.Now()); all || !l.State.Finished() || l.Look != "" {
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, func(a, b jobLine) int {
		if c := a.Asked.Compare(b.Asked); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	enc := json.NewEncoder(w)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	unreadable, err := a.store.Unreadable(ctx, maxUnreadable)
	for _, u := range unreadable {
		err = errors.Join(err, enc.Encode(lineOfUnreadable(u)))
	}
	return err
}

// maxUnreadable is how many records that cannot be read are listed.
const maxUnreadable = 1000

func lineOfUnreadable(u jobs.Unreadable) jobLine {
	return jobLine{ID: u.Key, Look: "unreadable", Why: u.Err.Error()}
}

// unreadable finds a record that cannot be read, by its name.
func (a admin) unreadable(ctx context.Context, key string) (jobLine, bool, error) {
	all, err := a.store.Unreadable(ctx, 0)
	for _, u := range all {
		if u.Key == key {
			return lineOfUnreadable(u), true, nil
		}
	}
	return jobLine{}, false, err
}

// dropRecord removes a record that cannot be read.
func (a admin) dropRecord(ctx context.Context, key string, w io.Writer) error {
	l, ok, err := a.unreadable(ctx, key)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%q: no record of this name is unreadable; bot jobs lists those that are", key)
	}
	if err := a.store.Drop(ctx, key); err != nil {
		return fmt.Errorf("drop %s: %w", key, err)
	}
	a.log.WarnContext(ctx, "operator dropped a record", "record", key)
	l.Look = "dropped"
	return json.NewEncoder(w).Encode(l)
}

// aboutJob is a job with what its people have to be told.
func (a admin) aboutJob(ctx context.Context, j jobs.Job) jobLine {
	l := lineOf(j, time.Now())
	t := commands.AboutJob(ctx, a.store, kinds(config.Config{}), j)
	l.Who, l.Where, l.Link, l.Topic, l.Meeting, l.Number, l.Names, l.Error = t.Who, t.Where, t.Link, t.Topic, t.Meeting, t.Number, t.Names, t.Error
	for _, d := range t.Deliveries {
		text := d.Label + ": " + d.State
		if d.Tries > 0 {
			text += fmt.Sprintf(", failed tries: %d", d.Tries)
		}
		if d.Error != "" {
			text += ", " + d.Error
		}
		l.Deliveries = append(l.Deliveries, text)
	}
	return l
}

func (a admin) showJob(ctx context.Context, id string, w io.Writer) error {
	j, err := a.store.Get(ctx, id)
	if err != nil {
		if l, ok, _ := a.unreadable(ctx, id); ok {
			return json.NewEncoder(w).Encode(l)
		}
		return noJob(id, err)
	}
	return json.NewEncoder(w).Encode(a.aboutJob(ctx, j))
}

func noJob(id string, err error) error {
	if errors.Is(err, jobs.ErrNotFound) {
		return fmt.Errorf("%q: no such job; the bot forgets finished jobs after RETENTION", id)
	}
	return err
}

// lookUpPause is how long a call that is being looked up is left alone: until the
// provider can no longer be acting on it.
const lookUpPause = time.Minute

// settle changes a job as an operator says. See [jobsHelp].
func settle(j *jobs.Job, as string, now time.Time) error {
	if j.State.Finished() && j.Outcome != settledTag+"done" && j.Outcome != settledTag+"failed" && lineOf(*j, now).Look == "" {
		return errors.New("the job is over, and whoever asked has the answer; there is nothing to settle")
	}
	switch as {
	case "retry":
		switch {
		case j.State.Finished():
			return errors.New("the job is over; there is nothing to try again")
		case j.State == jobs.AwaitingApproval:
			return errors.New("the job waits for a second person to approve it; there is nothing to try again")
		case j.State == jobs.Calling && now.Sub(j.Updated) < lookUpPause:
			return errors.New("the provider may still be carrying out the call; try again in a minute")
		}
		return nil // the update itself ends the pause
	case "done":
		drop(j, jobs.Skipped)
		if !j.State.Finished() {
			j.State = jobs.Done
		}
	case "failed":
		if j.State == jobs.Calling {
			j.State = jobs.Refused // the handler tells the requester
			return nil
		}
		drop(j, jobs.Lost)
		if !j.State.Finished() {
			j.State = jobs.Undeliverable
		}
	default:
		return fmt.Errorf("--settle %s: unknown", as)
	}
	j.Outcome = settledTag + as
	return nil
}

func drop(j *jobs.Job, as jobs.DeliveryState) {
	for i := range j.Outbox {
		if j.Outbox[i].State == jobs.Pending {
			j.Outbox[i].State, j.Outbox[i].Body = as, nil
		}
	}
	j.Delivery = len(j.Outbox)
}

func (a admin) settleJob(ctx context.Context, id, as string, w io.Writer) error {
	var was jobs.State
	j, err := a.store.Update(ctx, id, func(j *jobs.Job) error {
		was = j.State
		if err := settle(j, as, time.Now()); err != nil {
			return err
		}
		commands.Settled(j)
		return nil
	})
	if errors.Is(err, jobs.ErrConflict) {
		return errors.New("the bot is making the job's call right now; try again in a minute")
	}
	if err != nil {
		return noJob(id, err)
	}
	a.log.WarnContext(ctx, "operator settled a job", "job", id, "label", j.Label, "as", as, "from", was, "to", j.State)
	// The settling itself must not be lost to whoever asked, so it comes first.
	if err := commands.AuditSettled(context.WithoutCancel(ctx), a.store, j, as, time.Now()); err != nil {
		return fmt.Errorf("the job is settled, but the bot could not write the audit log: %w", err)
	}
	l := a.aboutJob(ctx, j)
	l.Was = was
	return json.NewEncoder(w).Encode(l)
}

// printJobs shows lines of JSON as a table.
func printJobs(w io.Writer, lines io.Reader, q question) error {
	all, err := linesOf[jobLine](lines)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return write(w, "No job is under way, and none needs somebody.\n")
	}
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tCOMMAND\tPLATFORM\tASKED\tSTATE\tOUTCOME\tLOOK")
	for _, l := range all {
		state := strings.TrimSpace(string(l.State) + " " + l.Step)
		if l.Was != "" && l.Was != l.State {
			state = string(l.Was) + " → " + state
		}
		asked := ""
		if !l.Asked.IsZero() {
			asked = l.Asked.Local().Format("2006-01-02 15:04:05 -07:00")
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Command, l.Platform, asked, state, l.Outcome, l.Look)
	}
	_ = tw.Flush() // a strings.Builder takes everything
	if q.Op != "jobs" {
		l := all[0]
		for _, f := range []struct{ name, value string }{
			{"why", l.Why}, {"who", l.Who}, {"where", l.Where}, {"link", l.Link}, {"topic", l.Topic}, {"meeting", l.Meeting},
			{"number", l.Number}, {"destinations", l.Names}, {"last error", l.Error},
		} {
			if f.value != "" {
				fmt.Fprintf(&b, "%s: %s\n", f.name, f.value)
			}
		}
		if l.Attempt > 0 {
			fmt.Fprintf(&b, "failed tries of this step: %d\n", l.Attempt)
		}
		if !l.Until.IsZero() {
			fmt.Fprintf(&b, "waits until: %s\n", l.Until.Local().Format("2006-01-02 15:04:05 -07:00"))
		}
		for _, d := range l.Deliveries {
			fmt.Fprintf(&b, "delivery: %s\n", d)
		}
	}
	return write(w, b.String())
}
