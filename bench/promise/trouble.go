package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/jobs/jobstest"
)

// A part in trouble is slow, silent, refusing or wrong for a while, alone or together with
// another one, while people on both platforms go on asking.

const (
	slow     = "slow"
	silent   = "silent"
	refusing = "refusing"
	wrong    = "wrong"
)

// trouble is one part in one manner.
type trouble struct {
	part, manner string
	engine       string // empty: both
	// deaf says that it is in the way of every word to the person.
	deaf  bool
	begin func(*troubled) (end func(), err error)
}

func (t trouble) String() string { return t.part + ", " + t.manner }

const (
	troubleFor   = 5 * time.Second // how long a part is in trouble
	commandEvery = 350 * time.Millisecond
	commandsEach = 16
	oneAnswer    = 3 * time.Second // of a part that is slow
	hangs        = 8 * time.Second // of a part that is silent
	troubledLast = 3 * time.Minute // until everybody must have been told
)

// requests are troubles of what the bot calls.
func requests(part string, deaf bool, which func(*troubled, rig.Request) bool, wrongly func(rig.Request) rig.Verdict) []trouble {
	verdicts := map[string]func(rig.Request) rig.Verdict{
		slow:     func(r rig.Request) rig.Verdict { return arrived(r, rig.Verdict{Delay: oneAnswer}) },
		silent:   func(r rig.Request) rig.Verdict { return arrived(r, rig.Verdict{Delay: hangs, Cut: true}) },
		refusing: func(r rig.Request) rig.Verdict { return arrived(r, rig.Verdict{Status: http.StatusServiceUnavailable}) },
		wrong:    wrongly,
	}
	var all []trouble
	for _, manner := range []string{slow, silent, refusing, wrong} {
		if verdicts[manner] == nil {
			continue
		}
		all = append(all, trouble{part: part, manner: manner, deaf: deaf, begin: func(t *troubled) (func(), error) {
			return t.disturb(func(r rig.Request) rig.Verdict {
				if which(t, r) {
					return verdicts[manner](r)
				}
				return rig.Verdict{}
			}), nil
		}})
	}
	return all
}

func arrived(r rig.Request, v rig.Verdict) rig.Verdict {
	if r.Moment != rig.Arrived {
		return rig.Verdict{}
	}
	return v
}

// callback is Discord's way to acknowledge, which decides what was promised.
func callback(r rig.Request) bool { return strings.HasSuffix(r.Route, "callback") }

func platformIs(name string) func(*troubled, rig.Request) bool {
	return func(_ *troubled, r rig.Request) bool { return r.Service == name && !callback(r) }
}

func troubles() []trouble {
	provider := func(_ *troubled, r rig.Request) bool { return r.Service == "systec" || r.Service == "tencent" }
	gateway := func(r rig.Request) rig.Verdict { // something between, after it was carried out
		if r.Moment != rig.Done {
			return rig.Verdict{}
		}
		return rig.Verdict{Status: http.StatusGatewayTimeout, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"status":504,"message":"Gateway Timeout"}`)}
	}
	blocks := func(r rig.Request) rig.Verdict {
		return arrived(r, rig.Verdict{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"ok":false,"error":"fatal_error"}`)})
	}
	network := func(r rig.Request) rig.Verdict {
		return arrived(r, rig.Verdict{Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"message":"internal network error","code":40333}`)})
	}
	room := func(t *troubled, r rig.Request) bool {
		public := r.Route == "chat.postMessage" || strings.HasSuffix(r.Route, "/messages") && r.Service == "discord"
		return public && t.inRoom(r)
	}
	directory := func(_ *troubled, r rig.Request) bool {
		return r.Route == "users.info" || strings.Contains(r.Route, "/members/")
	}
	all := slices.Concat(
		requests("Slack", true, platformIs("slack"), blocks),
		requests("Discord", true, platformIs("discord"), network),
		requests("providers", false, provider, gateway),
		requests("a room", false, room, network),
		requests("the directory", false, directory, nil),
	)
	stop := func(stopped, running time.Duration) func(*troubled) (func(), error) {
		return func(t *troubled) (func(), error) { return t.pause(stopped, running) }
	}
	return append(all,
		trouble{"a replica", slow, clustered, false, stop(400*time.Millisecond, 400*time.Millisecond)},
		trouble{"a replica", silent, clustered, false, stop(troubleFor, 0)},
		trouble{"a replica", refusing, clustered, false, func(t *troubled) (func(), error) {
			t.other.Kill()
			return func() {}, nil // nobody starts it again
		}},
		trouble{"a replica", wrong, clustered, false, func(t *troubled) (func(), error) {
			t.other.Kill()
			return func() {}, t.other.Launch(t.ctx)
		}},
		trouble{"a NATS node", silent, clustered, false, func(t *troubled) (func(), error) {
			node := max(0, t.cluster.Leader("meetbot"))
			t.cluster.Stop(node)
			return func() { t.note(t.cluster.Start(node)) }, nil
		}},
		trouble{"a NATS node", slow, clustered, false, func(t *troubled) (func(), error) {
			node := max(0, t.cluster.Leader("meetbot"))
			t.cluster.Stop(node)
			return func() {}, t.cluster.Start(node)
		}},
		trouble{"the reader", wrong, clustered, false, (*troubled).dropReader},
		trouble{"the clock", wrong, "", false, func(t *troubled) (func(), error) { return t.setClock(time.Hour) }},
		trouble{"the clock", slow, "", false, func(t *troubled) (func(), error) { return t.setClock(-3 * time.Minute) }},
		trouble{"the clock", silent, "", false, func(t *troubled) (func(), error) { return t.setClock(-time.Hour) }},
		trouble{"the disk", slow, embedded, false, func(t *troubled) (func(), error) { return t.setDisk(slow) }},
		trouble{"the disk", silent, embedded, false, func(t *troubled) (func(), error) { return t.setDisk(silent) }},
		trouble{"the disk", refusing, embedded, false, func(t *troubled) (func(), error) { return t.setDisk(refusing) }},
		trouble{"the disk", wrong, embedded, false, func(t *troubled) (func(), error) { return t.setDisk(wrong) }},
		trouble{"descriptors", refusing, "", false, (*troubled).noDescriptors},
	)
}

// troubled is a world in which something goes wrong for a while.
type troubled struct {
	*world
	ctx   context.Context
	other *rig.Bot // the second replica, on a cluster

	verdicts sync.Map // by their number
	next     atomic.Int64
	noted    error
}

func (t *troubled) note(err error) { t.noted = errors.Join(t.noted, err) }

func (t *troubled) disturb(f func(rig.Request) rig.Verdict) (end func()) {
	n := t.next.Add(1)
	t.verdicts.Store(n, f)
	return func() { t.verdicts.Delete(n) }
}

func (t *troubled) judge(r rig.Request) (v rig.Verdict) {
	t.verdicts.Range(func(_, f any) bool {
		v = f.(func(rig.Request) rig.Verdict)(r)
		return v.Delay == 0 && !v.Cut && v.Status == 0
	})
	return v
}

// inRoom reports whether a request is about the room that is in trouble: every fourth is.
func (t *troubled) inRoom(r rig.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.commands {
		if i%4 == 0 && (strings.Contains(r.Path, c.id) || strings.Contains(string(r.Sent), c.id)) {
			return true
		}
	}
	return false
}

// pause stops the second replica again and again.
func (t *troubled) pause(stopped, running time.Duration) (func(), error) {
	pid := t.other.PID()
	ctx, cancel := context.WithCancel(t.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			wait(ctx, stopped)
			_ = syscall.Kill(pid, syscall.SIGCONT)
			wait(ctx, running)
		}
	}()
	return func() { cancel(); <-ended }, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (t *troubled) dropReader() (func(), error) {
	nk, err := nats.NkeyOptionFromSeed(t.cluster.Credentials(t.account))
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(t.cluster.URL(), nk)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	return func() {}, js.DeleteConsumer(ctx, "meetbot", "job")
}

func (t *troubled) clockFile() string { return filepath.Join(t.dir, "clock") }
func (t *troubled) diskFile() string  { return filepath.Join(t.dir, "disk") }

// setClock sets the clock of the machine of one replica, which stays set.
func (t *troubled) setClock(by time.Duration) (func(), error) {
	return func() {}, os.WriteFile(t.clockFile(), []byte(strconv.FormatInt(int64(by), 10)), 0o600)
}

func (t *troubled) setDisk(manner string) (func(), error) {
	return func() { t.note(os.WriteFile(t.diskFile(), nil, 0o600)) }, os.WriteFile(t.diskFile(), []byte(manner), 0o600)
}

// newTroubled makes a world with one bot, or on the cluster with two.
func newTroubled(ctx context.Context, binary, dir, engine string, series int) (t *troubled, err error) {
	t = &troubled{ctx: ctx}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	in := setting{binary: binary, dir: dir, engine: engine, series: series, gateway: true}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return t, err
	}
	if engine == clustered {
		if in.cluster, err = jobstest.NewCluster(dir, "bot"); err != nil {
			return t, err
		}
		in.account = "bot"
	}
	in.env = []string{rig.Clock + "=" + filepath.Join(dir, "clock"), rig.Disk + "=" + filepath.Join(dir, "disk")}
	if t.world, err = newWorld(ctx, in); err != nil {
		return t, err
	}
	t.rig.Hook(t.judge)
	if engine == embedded {
		return t, nil
	}
	second := filepath.Join(dir, "second")
	if err := os.MkdirAll(second, 0o700); err != nil {
		return t, err
	}
	if t.other, err = t.rig.NewBot(binary, second, "MEET_ALLOW=", "ADMINS=", "NATS_URL="+t.store.NATSURL, "NATS_CREDS="+t.store.NATSCreds,
		"ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(clusterKey)); err != nil {
		return t, err
	}
	t.ways = func(n int) slacktest.HTTP {
		if n%2 == 1 {
			return t.other.HTTP()
		}
		return t.bot.HTTP()
	}
	return t, t.other.Start(ctx)
}

func (t *troubled) close() {
	if t.other != nil {
		t.other.Close()
	}
	if t.world != nil {
		t.world.close()
		if t.cluster != nil {
			t.cluster.Close()
		}
	}
}

// traffic are the commands that people give meanwhile, with how many messages each has.
func traffic() []*scenario {
	return []*scenario{
		{name: "/meet", platform: onSlack, makes: true, act: slackMeet("systec"), private: 2, public: 2},
		{name: "/meet", platform: onDiscord, makes: true, act: discordMeet("tencent"), private: 1, public: 2},
		{name: "@bot meet", platform: onSlack, makes: true, act: mentionOnce, private: 1, public: 2},
		{name: "/meet, refused", platform: onSlack, act: slackLine("/meet", "%s --provider systec --capacity 500"), private: 1},
	}
}

// mentionOnce is mentionMeet without the platform's repeats, which would start a bot.
func mentionOnce(ctx context.Context, c *command) error {
	act, _ := c.world.rig.Slack.Mention(c.channel, "", c.user, fmt.Sprintf("<@%s> meet %s --provider tencent", slacktest.BotUser, c.topic))
	return c.slack(ctx, act, 1)
}

// silence is how long a command's person heard nothing, and did not hear how it ended.
type silence struct {
	first, last time.Duration
	heard       bool
}

// heard reports whether the person was shown anything since the command, or sees that the bot
// is at it.
func (c *command) heard() bool {
	if len(c.everything()) > 0 {
		return true
	}
	if c.scenario.platform == onDiscord {
		for _, m := range c.world.rig.Discord.In(c.channel) {
			if m.Loading() {
				return true
			}
		}
	}
	return false
}

// run carries out one run: traffic, the troubles for a while, and then what was promised.
func (t *troubled) run(all []trouble) (longest silence, err error) {
	kinds := traffic()
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var acts sync.WaitGroup
	watched := make(map[*command]*silence)
	begun := time.Now()
	var ends []func()
	over := false
	for i := 0; i < commandsEach || !over; i++ {
		if i < commandsEach {
			c := t.newCommand(kinds[i%len(kinds)])
			watched[c] = &silence{}
			acts.Go(func() { _ = c.scenario.act(ctx, c) }) // what is not acknowledged is not promised
		}
		if i == 2 {
			begun = time.Now()
			for _, tr := range all {
				end, err := tr.begin(t)
				if err != nil {
					return longest, fmt.Errorf("%s: %w", tr, err)
				}
				ends = append(ends, end)
			}
		}
		t.look(watched, commandEvery)
		if i > 2 && !over && time.Since(begun) > troubleFor {
			over = true
			for _, end := range ends {
				end()
			}
		}
	}
	for end := time.Now().Add(troubledLast); time.Now().Before(end) && t.ctx.Err() == nil; {
		if t.look(watched, 50*time.Millisecond) == 0 {
			break
		}
	}
	cancel()
	acts.Wait()
	t.look(watched, 0)
	if t.other != nil {
		_ = syscall.Kill(t.other.PID(), syscall.SIGCONT)
	}
	if err := t.settle(t.ctx); err != nil {
		return longest, err
	}
	if t.other != nil {
		t.other.Kill()
	}
	for c, s := range watched {
		if c.acked && (c.told() || !c.declined()) {
			longest.first, longest.last = max(longest.first, s.first), max(longest.last, s.last)
		}
	}
	return longest, t.noted
}

// look notes for how long nobody was told, for a while, and returns how many are not told yet.
func (t *troubled) look(watched map[*command]*silence, within time.Duration) (waiting int) {
	for end := time.Now().Add(within); ; time.Sleep(25 * time.Millisecond) {
		waiting = 0
		for c, s := range watched {
			c.mu.Lock()
			acked := c.acked
			c.mu.Unlock()
			if !acked {
				continue
			}
			if !c.told() && !c.declined() {
				waiting++
				s.last = time.Since(c.began)
				if s.heard = s.heard || c.heard(); !s.heard {
					s.first = s.last
				}
			}
		}
		if !time.Now().Before(end) {
			return waiting
		}
	}
}

// troubleRow is what came of all runs with one trouble.
type troubleRow struct {
	name                                          string
	runs, acked, lost, twice, untrue, repeatedTwo int
	longest                                       silence
	deaf                                          bool
}

// pick returns what n runs are about: each trouble alone in turn, in another order each time,
// and as many pairs.
func pick(n int) [][]trouble {
	all := troubles()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var runs [][]trouble
	for i := range n {
		one := all[i%len(all)]
		if i < len(all) || i%2 == 0 {
			runs = append(runs, []trouble{one})
			continue
		}
		other := all[rand.N(len(all))]
		if one.part == other.part || one.engine != "" && other.engine != "" && one.engine != other.engine {
			runs = append(runs, []trouble{one})
			continue
		}
		runs = append(runs, []trouble{one, other})
	}
	return runs
}

// sideBySide is how many runs there are at once: most of the time they wait.
const sideBySide = 4

// runTroubles carries out n runs.
func runTroubles(ctx context.Context, n int, only, binary, dir string, log io.Writer) (rows []*troubleRow, faults []fault, err error) {
	runs := pick(n)
	if only != "" {
		var chosen []trouble
		for _, t := range troubles() {
			if strings.Contains(t.String(), only) {
				chosen = append(chosen, t)
			}
		}
		if len(chosen) == 0 {
			return nil, nil, fmt.Errorf("no trouble has %q in its name", only)
		}
		runs = nil
		for i := range n {
			runs = append(runs, []trouble{chosen[i%len(chosen)]})
		}
	}
	var mu sync.Mutex
	by := map[string]*troubleRow{}
	slots := make(chan struct{}, sideBySide)
	began := time.Now()
	var failed error
	one := func(ctx context.Context, all []trouble) error {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-slots }()
		mu.Lock()
		series := len(by)
		name := all[0].String()
		if len(all) > 1 {
			name = "two at once"
		}
		row := by[name]
		if row == nil {
			row = &troubleRow{name: name}
			by[name], rows = row, append(rows, row)
		}
		row.runs++
		run := row.runs
		mu.Unlock()
		engine := embedded
		for _, t := range all {
			if t.engine == clustered || t.engine == "" && run%2 == 0 {
				engine = clustered
			}
			row.deaf = row.deaf || t.deaf
		}
		for _, t := range all {
			if t.engine == embedded {
				engine = embedded
			}
		}
		where := filepath.Join(dir, strings.NewReplacer(" ", "-", ",", "", "[", "", "]", "").Replace(fmt.Sprintf("%v-%d", all, run)))
		t, err := newTroubled(ctx, binary, where, engine, series%100)
		if err != nil {
			return fmt.Errorf("%v: %w", all, err)
		}
		defer t.close()
		longest, err := t.run(all)
		if err != nil {
			return fmt.Errorf("%v: %w", all, err)
		}
		counted, bad := count([]*world{t.world})
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, bad...)
		for _, r := range counted {
			row.acked += r.acked
			row.lost += r.lost
			row.twice += r.twice
			row.untrue += r.untrue
			row.repeatedTwo += r.repeated
		}
		row.longest.first, row.longest.last = max(row.longest.first, longest.first), max(row.longest.last, longest.last)
		_, _ = fmt.Fprintf(log, "%v: %s: %v: first word after %.1f s, the last after %.1f s\n", time.Since(began).Round(time.Second), engine, all, longest.first.Seconds(), longest.last.Seconds())
		for _, r := range counted {
			for _, what := range r.repeats {
				_, _ = fmt.Fprintf(log, "  shown twice: %s\n", what)
			}
		}
		return nil
	}
	err = each(ctx, runs, func(ctx context.Context, all []trouble) error {
		if err := one(ctx, all); err != nil { // the others say what they can
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		}
		return ctx.Err()
	})
	err = errors.Join(err, failed)
	slices.SortFunc(rows, func(a, b *troubleRow) int { return strings.Compare(a.name, b.name) })
	return rows, faults, err
}

// troubleTable shows the rows as Markdown.
func troubleTable(rows []*troubleRow) string {
	var b strings.Builder
	b.WriteString("| in trouble for 5 s | runs | acknowledged | **lost** | **created twice** | **untrue** | shown twice | longest to the first word | longest to the last |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %.1f s | %.1f s |\n", r.name, r.runs, r.acked, r.lost, r.twice, r.untrue, r.repeatedTwo, r.longest.first.Seconds(), r.longest.last.Seconds())
	}
	return b.String()
}
