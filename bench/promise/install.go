package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/installs"
	"meetbot/bot/jobs"
)

// Workspaces install the app, have their tokens replaced and remove it while the bot is killed. The
// promise there is another one than that to who gives a command:
//
//   - whoever read "Installed" has an app that works, and whoever did not can do it again;
//   - Slack gives each token once: one that is lost is reported, never missing silently;
//   - once the bot has acknowledged that the app was removed, its token is erased, and the jobs of
//     that workspace end;
//   - no workspace's token is in anything of another's.

const (
	onInstalls = "Slack, installing"
	// organisation is whose workspaces may install the app: there are more than a variable could name.
	organisation = "E0PROMISE"
	installedIn  = "Installed in "
	// Slack replaces a token that is in its last two hours. The first ones are; the next are not.
	firstLife, nextLife = time.Hour, 12 * time.Hour
	// replacedWithin is when a token must be replaced, or be reported: a replica that has died leaves
	// its claim for a minute.
	replacedWithin = 3 * time.Minute
	workWithin     = time.Minute
)

// installing is a world whose Slack has several workspaces.
type installing struct {
	*world
	short  bool // no token is replaced: after a kill there, that takes a minute
	row    *row
	faults []fault
	teams  []*installation
}

// installation is one workspace's time with the app.
type installation struct {
	team, code string
	removes    bool // the app is removed in the end, and not only installed
	life       time.Duration
	told       bool // the browser read that it is installed
	reported   bool // the bot has acknowledged that the app was removed
	killedAt   string
}

func newInstalling(ctx context.Context, in setting) (*installing, error) {
	in.env = []string{
		"SLACK_BOT_TOKEN=", "SLACK_CLIENT_ID=" + slacktest.ClientID, "SLACK_CLIENT_SECRET=" + slacktest.ClientSecret, "SLACK_TEAMS=" + organisation,
		"PUBLIC_URL=https://bot.example.com", "SETTINGS_ALLOW=",
	}
	w, err := newWorld(ctx, in)
	if err != nil {
		return nil, err
	}
	return &installing{world: w, row: &row{engine: in.engine, platform: onInstalls}}, nil
}

// next is another workspace.
func (w *installing) next(removes bool) *installation {
	i := &installation{team: fmt.Sprintf("T7%03d%05d", w.series, len(w.teams)+1), removes: removes}
	if !removes && !w.short {
		i.life = firstLife
	}
	w.teams = append(w.teams, i)
	w.row.commands++
	return i
}

// mine reports whether a request of the bot's is about the workspace.
func (w *installing) mine(i *installation, r rig.Request) bool {
	known := func(s string) bool { return s != "" && strings.Contains(string(r.Sent), s) }
	return r.Service == "slack" && (known(url.QueryEscape(i.code)) || slices.ContainsFunc(w.rig.Slack.Tokens(i.team), func(token string) bool {
		return known(url.QueryEscape(token))
	}))
}

// browser is where somebody installs the app.
type browser struct{ address, cookie string }

// page fetches one, as far as there is an answer.
func (w *installing) page(ctx context.Context, b browser) (res *http.Response, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.bot.HTTP().Base+b.address, http.NoBody)
	if err != nil {
		return nil, "", err
	}
	if name, value, ok := strings.Cut(b.cookie, "="); ok {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if res, err = client.Do(req); err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res, string(text), err
}

// open opens the page and says yes at Slack: the browser then is where Slack sends it back to.
func (w *installing) open(ctx context.Context, i *installation) (browser, error) {
	res, _, err := w.page(ctx, browser{address: "/slack/install"})
	if err != nil {
		return browser{}, err
	}
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || len(res.Cookies()) != 1 {
		return browser{}, fmt.Errorf("the installation page answers %d, %w", res.StatusCode, err)
	}
	i.code = w.rig.Slack.Allow(slacktest.Install{Team: i.team, Name: i.team, Enterprise: organisation, Life: i.life, Next: nextLife})
	c := res.Cookies()[0]
	return browser{"/slack/oauth?" + url.Values{"state": {to.Query().Get("state")}, "code": {i.code}}.Encode(), c.Name + "=" + c.Value}, nil
}

// finish sends the browser back, and notes what it reads.
func (w *installing) finish(ctx context.Context, i *installation, b browser) {
	res, body, err := w.page(ctx, b)
	if err == nil && res.StatusCode == http.StatusOK && strings.Contains(body, installedIn+i.team) {
		i.told = true
	}
}

// installed installs the app, as often as it takes.
func (w *installing) installed(ctx context.Context, i *installation) error {
	for end := time.Now().Add(workWithin); !i.told; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: the app cannot be installed\n%s", i.team, w.bot.LogTail())
		}
		if b, err := w.open(ctx, i); err == nil {
			w.finish(ctx, i, b)
		}
		if err := w.revive(ctx); err != nil {
			return err
		}
	}
	return nil
}

// works reports whether a command in the workspace is carried out and answered there.
func (w *installing) works(ctx context.Context, i *installation) bool {
	for end := time.Now().Add(workWithin); time.Now().Before(end) && ctx.Err() == nil; {
		topic := fmt.Sprintf("installed %s %d", i.team, time.Now().UnixNano())
		if !w.give(ctx, w.rig.Slack.Slash("C"+i.team, "U1", "/meet", topic).From(i.team, organisation)) {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		for soon := time.Now().Add(15 * time.Second); time.Now().Before(soon); time.Sleep(20 * time.Millisecond) {
			if slices.ContainsFunc(w.rig.Slack.Messages(), func(m slacktest.Message) bool { return m.Team == i.team && strings.Contains(m.Text, topic) }) {
				return true
			}
		}
	}
	return false
}

// give brings an act to the bot, and reports whether it was acknowledged.
func (w *installing) give(ctx context.Context, act slacktest.Act) bool {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	ack, err := w.rig.Slack.Deliver(ctx, w.way(), act, 0)
	return err == nil && ack.Status == http.StatusOK
}

// act is what happens to a workspace from its beginning to its end.
func (w *installing) act(ctx context.Context, i *installation) error {
	if !i.removes {
		b, err := w.open(ctx, i)
		if err == nil {
			w.finish(ctx, i, b)
			if !i.told { // whoever sees no page loads it again
				if err := w.revive(ctx); err != nil {
					return err
				}
				w.finish(ctx, i, b)
			}
		}
		return w.revive(ctx)
	}
	w.give(ctx, w.rig.Slack.Slash("C"+i.team, "U1", "/meet", "removed "+i.team).From(i.team, organisation)) // its job is under way
	for _, report := range w.rig.Slack.Uninstall(i.team) {
		taken := false
		for end := time.Now().Add(workWithin); !taken && time.Now().Before(end); time.Sleep(20 * time.Millisecond) { // Slack comes again later
			if taken = w.give(ctx, report); taken {
				i.reported = true
			} else if err := w.revive(ctx); err != nil {
				return err
			}
		}
		if !taken {
			return fmt.Errorf("%s: the removal is not taken", i.team)
		}
	}
	return nil
}

// stage makes a workspace and what has to be there before it is acted on.
func (w *installing) stage(ctx context.Context, removes bool) (*installation, error) {
	i := w.next(removes)
	if removes {
		if err := w.installed(ctx, i); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(w.trace); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return i, nil
}

// over waits until nothing more comes of what was done to a workspace.
func (w *installing) over(ctx context.Context, i *installation) error {
	for end := time.Now().Add(replacedWithin); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		if err := w.revive(ctx); err != nil {
			return err
		}
		all, err := w.list(ctx)
		if err != nil {
			continue // no leader, for a moment
		}
		at := slices.IndexFunc(all, func(l line) bool { return l.ID == i.team })
		switch {
		case i.removes && at < 0:
			return nil
		case !i.removes && at >= 0 && (i.life == 0 || all[at].Refused != "" || time.Until(all[at].Expires) > firstLife):
			return nil
		}
	}
	return ctx.Err()
}

// line is what an operator sees of an installation.
type line struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"token_expires"`
	Refused string    `json:"refused"`
}

// operator is one of the operator's commands.
func (w *installing) operator(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.binary, args...)
	cmd.Env = w.bot.Env
	return cmd.Output()
}

func (w *installing) list(ctx context.Context) (all []line, err error) {
	out, err := w.operator(ctx, "workspaces", "--json")
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
}

// rehearse does it unharmed, and returns every point that it passes, with the workspace's ID left out.
func (w *installing) rehearse(ctx context.Context, removes bool) ([]point, error) {
	i, err := w.stage(ctx, removes)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var points []point
	counts := map[point]int{}
	w.aim(func(r rig.Request) rig.Verdict {
		if !w.mine(i, r) {
			return rig.Verdict{}
		}
		mu.Lock()
		defer mu.Unlock()
		p := point{service: r.Service, route: r.Route, moment: r.Moment}
		counts[p]++
		p.nth = counts[p]
		points = append(points, p)
		return rig.Verdict{}
	})
	if err := rig.Arm(w.armed, "", time.Now()); err != nil {
		return nil, err
	}
	if err := errors.Join(w.act(ctx, i), w.over(ctx, i)); err != nil {
		return nil, err
	}
	w.aim(nil)
	mu.Lock()
	defer mu.Unlock()
	for _, t := range w.traced() {
		if strings.HasPrefix(t, "install") {
			points = append(points, point{saved: strings.Replace(t, i.team, "TEAM", 1)})
		}
	}
	if removes {
		points = append(points, point{acked: true})
	}
	return points, os.Remove(w.armed)
}

// strike does it once more and kills the bot at a point of it. It reports false if the point was
// not passed.
func (w *installing) strike(ctx context.Context, removes bool, p point) (hit bool, err error) {
	i, err := w.stage(ctx, removes)
	if err != nil {
		return false, err
	}
	i.killedAt = p.String()
	struck := make(chan struct{})
	strike := sync.OnceFunc(func() { w.bot.Kill(); close(struck) })
	if p.saved != "" {
		if err := rig.Arm(w.armed, strings.Replace(p.saved, "TEAM", i.team, 1), time.Now()); err != nil {
			return false, err
		}
	} else if !p.acked {
		pass := p.aimed(strike)
		w.aim(func(r rig.Request) rig.Verdict {
			if r.Route != p.route || r.Moment != p.moment || !w.mine(i, r) {
				return rig.Verdict{}
			}
			return pass()
		})
	}
	if err := w.act(ctx, i); err != nil {
		return false, err
	}
	if p.acked {
		strike()
	}
	for end := time.Now().Add(15 * time.Second); !hit && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-struck:
			hit = true
		default:
			_, err := os.Stat(w.armed)
			hit = p.saved != "" && os.IsNotExist(err)
		}
	}
	w.aim(nil)
	_ = os.Remove(w.armed) // gone if it has struck
	if hit {
		w.row.kills++
		for end := time.Now().Add(5 * time.Second); p.saved != "" && !w.ended() && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		}
	}
	if err := w.revive(ctx); err != nil || removes {
		return hit, err
	}
	if !i.told { // whoever read that it is not installed does it again
		if err := w.installed(ctx, i); err != nil {
			w.broken("an installation cannot be done again", i)
			return hit, nil //nolint:nilerr // it is counted
		}
	}
	w.row.acked++
	if w.works(ctx, i) {
		w.row.told++
	} else {
		w.row.lost++
		w.broken("installed, and it does not work", i)
	}
	return hit, nil
}

func (w *installing) broken(what string, i *installation) {
	w.faults = append(w.faults, fault{what: fmt.Sprintf("%s: %s %s %s, killed at %s", what, w.engine, onInstalls, i.team, i.killedAt)})
}

// judge waits for what was promised, and looks at what is left.
func (w *installing) judge(ctx context.Context) error {
	for _, i := range w.teams {
		if err := w.over(ctx, i); err != nil {
			return err
		}
	}
	ready, err := w.readiness(ctx)
	if err != nil {
		return err
	}
	all, err := w.list(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.Refused != "" && !strings.Contains(ready[l.ID], l.Refused) {
			w.faults = append(w.faults, fault{what: l.ID + ": a token is lost, and /readyz does not say so: " + ready[l.ID]})
		}
	}
	if err := w.settle(ctx); err != nil { // every job ends, those of workspaces that have gone too
		return err
	}
	s, err := jobs.Open(ctx, w.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	kept := installs.New(s, "slack")
	undelivered := map[string]bool{}
	for j, err := range s.List(ctx, false) {
		if err != nil {
			return err
		}
		undelivered[j.ID] = j.State == jobs.Undeliverable
	}
	for _, i := range w.teams {
		tokens := w.rig.Slack.Tokens(i.team)
		in, err := kept.Get(ctx, i.team)
		switch {
		case err != nil && !errors.Is(err, installs.ErrNone):
			return err
		case i.removes:
			w.row.acked++
			if err == nil {
				w.row.lost++
				w.broken("the app was removed, and its token is kept", i)
				continue
			}
			w.row.told++
		case err != nil:
			w.broken("the installation is gone", i)
		case !slices.Contains(tokens, in.Token.Reveal()):
			w.broken("the token is not one of the workspace's", i)
		case i.life > 0 && in.Refused == "" && time.Until(in.Expires) < firstLife:
			w.broken("the token was not replaced, and nothing says so", i)
		}
		w.shown(i, tokens)
	}
	raw, err := w.files()
	if err != nil {
		return err
	}
	if strings.Contains(raw, "canary") {
		w.faults = append(w.faults, fault{what: "a secret is in the log or in the store's files in clear"})
	}
	removed := func(i *installation) bool { return i.removes }
	if len(undelivered) == 0 || slices.ContainsFunc(w.teams, removed) && !strings.Contains(raw, "a workspace has the app no more") {
		w.faults = append(w.faults, fault{what: "the operator is not told of workspaces that have removed the app"})
	}
	return nil
}

// shown looks for one workspace's tokens and texts in what another one was sent.
func (w *installing) shown(i *installation, tokens []string) {
	for _, m := range w.rig.Slack.Messages() {
		all, at := m.Text+string(m.Blocks), cmp.Or(m.Team, strings.TrimPrefix(m.Channel, "C")) // a response_url has no team
		if at != i.team && (strings.Contains(all, i.team) || slices.ContainsFunc(tokens, func(t string) bool { return strings.Contains(all, t) })) {
			w.row.untrue++
			w.broken("something of one workspace is in another one, "+at, i)
			return
		}
	}
}

// readiness is what /readyz says is wrong with each workspace.
func (w *installing) readiness(ctx context.Context) (map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.bot.Ops()+"/readyz", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var ready struct {
		Parts map[string]struct {
			Workspaces map[string]struct {
				LastError string `json:"last_error"`
			} `json:"workspaces"`
		} `json:"parts"`
	}
	err = json.NewDecoder(res.Body).Decode(&ready)
	all := map[string]string{}
	for id, x := range ready.Parts["slack"].Workspaces {
		all[id] = x.LastError
	}
	return all, err
}

// files are the log, and what lies in the store's.
func (w *installing) files() (string, error) {
	var b strings.Builder
	log, err := os.ReadFile(w.bot.LogPath())
	if err != nil || w.cluster != nil {
		return string(log), err
	}
	b.Write(log)
	err = filepath.WalkDir(w.store.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		b.Write(content)
		return err
	})
	return b.String(), err
}

// installs lets workspaces come and go in a world of their own while it is killed.
func (c *campaign) installs(ctx context.Context, account string) (err error) {
	w, err := newInstalling(ctx, setting{
		binary: c.binary, dir: filepath.Join(c.dir, account), engine: c.engine, cluster: c.cluster, account: account, series: 99,
	})
	if err != nil {
		return err
	}
	defer w.close()
	w.short = c.short
	type instant struct {
		removes bool
		p       point
	}
	var all []instant
	for _, removes := range []bool{false, true} {
		points, err := w.rehearse(ctx, removes)
		if err != nil {
			return err
		}
		c.mu.Lock()
		_, _ = fmt.Fprintf(c.log, "%s: %s, removed in the end: %t, passes %d instants\n", c.engine, onInstalls, removes, len(points))
		c.mu.Unlock()
		if c.short && removes {
			continue // a kill there may cut a provider's call, which is looked up much later
		}
		for _, p := range points {
			all = append(all, instant{removes, p})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	budget := max(2, c.kills/10)
	for _, at := range all[:min(budget, len(all))] {
		hit, err := w.strike(ctx, at.removes, at.p)
		if err != nil {
			return err
		}
		c.mu.Lock()
		if named := onInstalls + ", " + at.p.String(); hit {
			c.result.kills++
			c.result.steps++
			c.report(named)
		} else {
			c.result.missed = append(c.result.missed, named)
			c.report("not passed: " + named)
		}
		c.mu.Unlock()
	}
	err = w.judge(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visits, c.broken = w.row, w.faults
	return err
}
