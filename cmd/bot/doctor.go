package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/ops"
	"meetbot/config"
	"meetbot/config/secret"
)

// finding is one thing that the doctor has to say.
type finding struct {
	Level kit.Level `json:"level"`
	Part  string    `json:"part"`
	Says  string    `json:"says"`
	Fix   string    `json:"fix,omitempty"` // of a fault or a warning
}

func ok(says string, args ...any) finding    { return said(kit.OK(says, args...)) }
func noted(says string, args ...any) finding { return said(kit.Noted(says, args...)) }
func warn(says, fix string) finding          { return said(kit.Warn(says, fix)) }
func fault(says, fix string) finding         { return said(kit.Faulty(says, fix)) }

func said(f kit.Finding) finding { return finding{Level: f.Level, Says: f.Says, Fix: f.Fix} }

// checkWithin is what one check gets. They run side by side.
const checkWithin = 20 * time.Second

// doctor checks what can go wrong before users find it.
type doctor struct {
	cfg     config.Config
	lookup  func(string) (string, bool)
	send    string
	secrets []secret.String
	within  time.Duration
	clocks  clocks

	running   bool // a bot runs on DATA_DIR
	readiness ops.Readiness
	notAsked  error // why a bot that seems to run could not be asked
}

const doctorAbout = `Checks the setup and prints one line per check, with the fix; the faults come last. Exits with 1 if
there is one. It changes nothing, except with --send and --try-provider.`

// doctorCommand is `bot doctor`.
func doctorCommand(ctx context.Context, p process) error {
	f := flags("doctor")
	asJSON := f.Bool("json", false, "print one JSON object")
	send := f.String("send", "", "post a message and a reply in its thread to this `CHANNEL`: "+channelExamples())
	try := f.Bool("try-provider", false, "make a meeting at each provider, try what no document says, and end it; the doctor asks first")
	if err := parse(f, p, doctorAbout); err != nil {
		return err
	}
	if *try {
		if err := mayTry(p); err != nil {
			return err
		}
	}
	findings, secrets := examine(ctx, p.lookup, *send, *try)
	cfg, _ := load(p.lookup) // what is wrong with it was found
	for _, m := range misspelt(p.environ, cfg.Named()...) {
		findings = append(findings, finding{kit.Warning, "variables", m.Variable + " is not one of the bot's variables", m.Fix})
	}
	for _, f := range cfg.Ignored() {
		findings = append(findings, finding{kit.Warning, "variables", f.Variable + " has no effect", f.Fix})
	}
	faults, warnings := count(findings, kit.Fault), count(findings, kit.Warning)
	var text string
	if *asJSON {
		b, err := json.MarshalIndent(struct {
			OK       bool      `json:"ok"`
			Faults   int       `json:"faults"`
			Warnings int       `json:"warnings"`
			Findings []finding `json:"findings"`
		}{faults == 0, faults, warnings, findings}, "", "  ")
		if err != nil {
			return err
		}
		text = string(b) + "\n"
	} else {
		text = report(findings, faults, warnings)
	}
	if err := write(p.stdout, ops.Hide(text, secrets...)); err != nil {
		return err
	}
	if faults > 0 {
		return fmt.Errorf("doctor: %s", several(faults, "fault"))
	}
	return nil
}

func count(all []finding, l kit.Level) int {
	n := 0
	for _, f := range all {
		if f.Level == l {
			n++
		}
	}
	return n
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// report has one line for each finding, faults last: that is where a terminal ends.
func report(all []finding, faults, warnings int) string {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range []kit.Level{kit.Fine, kit.Note, kit.Warning, kit.Fault} {
		for _, f := range all {
			if f.Level != l {
				continue
			}
			line := f.Says
			if f.Fix != "" {
				line += " → " + f.Fix
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\n", f.Level, f.Part, oneLine(line))
		}
	}
	_ = tw.Flush() // a strings.Builder takes everything
	fmt.Fprintf(&b, "%s, %s.\n", several(faults, "fault"), several(warnings, "warning"))
	return b.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// examine makes all checks.
func examine(ctx context.Context, lookup func(string) (string, bool), send string, try bool) ([]finding, []secret.String) {
	cfg, err := load(lookup)
	var bad *config.Error
	if errors.As(err, &bad) {
		var all []finding
		for _, f := range bad.Faults {
			all = append(all, finding{kit.Fault, "variables", f.Variable + " cannot be used", f.Fix})
		}
		return append(all, finding{Level: kit.Note, Part: "variables", Says: "correct these first; the doctor has checked nothing else"}), nil
	}
	if err != nil {
		return []finding{{kit.Fault, "variables", "the variables cannot be read", err.Error()}}, nil
	}
	d := &doctor{cfg: cfg, lookup: lookup, send: send, secrets: secretsOf(cfg), within: checkWithin}
	found := d.run(ctx)
	if try {
		found = append(found, d.try(ctx)...)
	}
	return found, d.secrets
}

type check struct {
	part string
	run  func(context.Context) []finding
}

func (d *doctor) run(ctx context.Context) []finding {
	d.askRunning(ctx)
	checks := []check{
		{"variables", d.variables}, {"running bot", d.runningBot}, {"store", d.store}, {"engine", d.engine},
		{"addresses", d.addresses}, {"proxy", d.proxy},
	}
	for _, p := range platforms() {
		checks = append(checks, check{string(p.kind(d.cfg).Name), func(ctx context.Context) []finding { return d.platform(ctx, p) }})
	}
	for _, row := range configuredRows(d.cfg) {
		checks = append(checks, check{string(row.kind.ID), func(ctx context.Context) []finding { return d.provider(ctx, row) }})
	}
	checks = append(checks, check{"traces", d.traces})
	found := make([][]finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { found[i] = d.within1(ctx, c) })
	}
	wg.Wait()
	for i, c := range checks {
		for j := range found[i] {
			found[i][j].Part = c.part
		}
	}
	return append(slices.Concat(found...), d.clocks.findings()...)
}

// within1 makes one check, and gives it up when its time is over whatever it waits for.
func (d *doctor) within1(ctx context.Context, c check) []finding {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	done := make(chan []finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []finding{fault("the check itself crashed", "report it, with the output of bot version")}
			}
		}()
		done <- c.run(ctx)
	}()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
		select { // both may be ready
		case found := <-done:
			return found
		case <-time.After(time.Second):
		}
		return []finding{fault(fmt.Sprintf("no answer within %v", d.within), "check that this machine reaches it")}
	}
}

// text of an error, fit to be shown.
func (d *doctor) text(err error) string { return ops.Scrub(err.Error(), d.secrets...) }

// secretsOf returns every secret of the configuration.
func secretsOf(cfg config.Config) []secret.String {
	var all []secret.String
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		if s, ok := v.Interface().(secret.String); ok {
			if !s.IsZero() {
				all = append(all, s)
			}
			return
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(cfg))
	for _, a := range cfg.Accounts() {
		walk(reflect.ValueOf(a.Settings))
	}
	return all
}

// variables says what the configuration as a whole amounts to.
func (d *doctor) variables(context.Context) []finding {
	if unsendable := d.sendable(); unsendable != nil {
		return unsendable
	}
	for _, a := range d.cfg.Accounts() {
		var bad *config.Error
		if _, err := usualOptions(a); errors.As(err, &bad) {
			return []finding{fault(bad.Faults[0].Variable+" cannot be used", bad.Faults[0].Fix)}
		}
	}
	if !d.cfg.Chat() {
		if d.cfg.Sandbox() {
			return []finding{noted("nothing is configured: the bot runs in the terminal, against a sandbox")}
		}
		return []finding{noted("no chat platform is configured: the bot runs in the terminal")}
	}
	var all []finding
	if d.cfg.Sandbox() {
		all = append(all, warn("MEET_PROVIDER is sandbox: no meeting is real", "configure "+providerVariables()+", and remove MEET_PROVIDER"))
	}
	if d.cfg.Admins == nil {
		all = append(all, noted("ADMINS is not set: nobody can end or push other people's meetings"))
	}
	for _, v := range []struct {
		name string
		list config.Principals
	}{{"MEET_ALLOW", d.cfg.MeetAllow}, {"LIVEPUSH_ALLOW", d.cfg.LivepushAllow}} {
		for _, k := range d.on() {
			people, channels := named(v.list, k)
			if v.list != nil && len(people)+len(channels) == 0 {
				all = append(all, warn(fmt.Sprintf("%s names nobody on %s, so only admins may use the command there", v.name, k.Name),
					"add entries for it, or unset the variable to go by the platform's own permissions; bot policy shows the result"))
			}
		}
	}
	return append(all, ok("they fit together"))
}

// askRunning finds out whether a bot runs on the store, and how it is. A cluster's store has
// no owner to ask, but there may be a replica on this machine.
func (d *doctor) askRunning(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var err error
	if d.cfg.NATS.URL != "" {
		err = d.askReplica(ctx)
	} else {
		var b strings.Builder
		if err = askRunning(ctx, d.cfg.DataDir, question{Op: "health"}, &b); err == nil {
			err = json.Unmarshal([]byte(b.String()), &d.readiness)
		}
	}
	d.running = !errors.Is(err, errNotRunning)
	if d.running {
		d.notAsked = err
	}
}

// maxReadiness bounds what whoever listens on OPS_ADDR may answer.
const maxReadiness = 1 << 20

func (d *doctor) askReplica(ctx context.Context) error {
	resp, err := askOps(ctx, d.cfg.OpsAddr, "/readyz")
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errNotRunning
	}
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReadiness)).Decode(&d.readiness); err != nil || d.readiness.Parts == nil {
		return errors.New("another program answers")
	}
	return nil
}

func (d *doctor) runningBot(context.Context) []finding {
	cluster := d.cfg.NATS.URL != ""
	switch {
	case !d.running && cluster:
		return []finding{noted("no replica runs on this machine")}
	case !d.running:
		return []finding{noted("no bot uses this DATA_DIR")}
	case d.notAsked != nil && cluster:
		return []finding{fault("the replica on this machine does not answer on OPS_ADDR: "+d.text(d.notAsked), "restart it; if another program listens there, set another address")}
	case d.notAsked != nil:
		return []finding{fault("it does not answer on its admin socket: "+d.text(d.notAsked), "run the doctor as the bot's own user; if it still does not answer, restart the bot")}
	}
	var all []finding
	for name, part := range d.readiness.Parts {
		says := fmt.Sprintf("%s: %s%s", name, part.State, since(part.Since))
		if part.LastError != "" {
			says += ", last error: " + part.LastError
		}
		switch {
		case part.Ready && strings.Contains(part.LastError, kit.ErrOtherBot.Error()):
			all = append(all, warn(says, "stop one of the two, or let both use one store (NATS_URL)"))
		case part.Ready:
			all = append(all, finding{Level: kit.Fine, Says: says})
		default:
			all = append(all, fault(says, "see the other lines about it, and the bot's log"))
		}
		for id, w := range part.Workspaces {
			switch says := fmt.Sprintf("%s, workspace %s: %s%s", name, id, w.State, since(w.Since)); {
			case w.LastError != "":
				all = append(all, warn(says+", last error: "+w.LastError, "if it lasts, have the app installed there again, or remove it: bot workspaces "+id+" --revoke"))
			default:
				all = append(all, finding{Level: kit.Fine, Says: says})
			}
		}
	}
	slices.SortFunc(all, func(a, b finding) int { return strings.Compare(a.Says, b.Says) })
	return all
}

// since says from when on a part has been as it is; nothing of a part that does not say it.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.UTC().Format(time.RFC3339)
}

// clocks compares this machine's clock with those of the servers that answered.
type clocks struct {
	mu   sync.Mutex
	seen []seenClock
}

type seenClock struct {
	whose string
	ahead time.Duration // this machine's, as far as can be told
}

const (
	slightSkew = 30 * time.Second
	// Whoever signs refuses what is five minutes off.
	badSkew = 4 * time.Minute
)

// saw notes a server's time, which arrived between the two.
func (c *clocks) saw(whose string, theirs, asked, answered time.Time) {
	if theirs.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.ContainsFunc(c.seen, func(k seenClock) bool { return k.whose == whose }) {
		ours := asked.Add(answered.Sub(asked) / 2)
		c.seen = append(c.seen, seenClock{whose, ours.Sub(theirs).Round(time.Second)})
	}
}

func (c *clocks) findings() []finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.seen, func(a, b seenClock) int { return strings.Compare(a.whose, b.whose) })
	var all []finding
	for _, k := range c.seen {
		direction := "ahead of"
		if k.ahead < 0 {
			direction = "behind"
		}
		says := fmt.Sprintf("this machine's clock is %v %s that of %s", k.ahead.Abs(), direction, k.whose)
		const fix = "set it by NTP: the times in the log are wrong, and until the first answer of a platform or provider the bot has no other"
		switch {
		case k.ahead.Abs() >= badSkew:
			all = append(all, fault(says, fix))
		case k.ahead.Abs() >= slightSkew:
			all = append(all, warn(says, fix))
		default:
			all = append(all, ok("this machine's and that of %s agree", k.whose))
		}
	}
	for i := range all {
		all[i].Part = "clock"
	}
	return all
}

// client is an HTTP client that notes the clock of who answers.
func (d *doctor) client(whose string) *http.Client {
	return &http.Client{Timeout: d.within, Transport: dated{&d.clocks, whose}}
}

type dated struct {
	clocks *clocks
	whose  string
}

func (t dated) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			t.clocks.saw(t.whose, at, asked, time.Now())
		}
	}
	return resp, err
}

// silentLog is for parts that say what is wrong by an error as well.
func silentLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
