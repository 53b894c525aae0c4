package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/jobs/jobstest"
	"meetbot/meeting/sandbox"
)

// world is one bot with everything around it, over all its lives.
type world struct {
	setting
	rig   *rig.Rig
	bot   *rig.Bot
	store jobs.Config
	armed string
	trace string

	lives    atomic.Int64 // how often the bot was started
	tries    atomic.Int64 // of Slack's
	starting sync.Mutex   // one process at a time

	mu       sync.Mutex
	commands []*command
	running  []*command                    // whose meetings may run
	aimed    func(rig.Request) rig.Verdict // at the command that is being killed
}

// setting is what a world is like.
type setting struct {
	binary, dir string
	engine      string
	cluster     *jobstest.Cluster // nil with the embedded engine
	account     string            // on the cluster
	console     bool              // instead of the chat platforms
	series      int               // makes its commands' numbers unlike other worlds'
	gateway     bool              // Discord's interactions come over the gateway on the cluster too
	env         []string          // more variables
	// ways are how Slack reaches the bot, by the number of the try; nil: the one bot that there is.
	ways func(n int) slacktest.HTTP
}

// command is one thing that somebody asked, and what has to come of it.
type command struct {
	world    *world
	scenario *scenario
	id       string // eight digits that appear in everything of this command's
	topic    string
	channel  string
	user     string

	mu       sync.Mutex
	marks    []string // what its requests can be told by
	acked    bool     // the platform was told that the command was taken
	unacked  string   // why the last try was not acknowledged
	kills    int      // of the bot while it was under way
	killedAt string
	began    time.Time
	from, to int  // on a console's screen; to is 0 while it is the last one
	shown    bool // how it ended
	// preparing: what its scenario needs is not there yet.
	preparing bool
	abandoned bool   // never got beyond that: only that nothing was made twice is asked of it
	meeting   string // ID of the meeting that it is about
	code      string
	// How much was shown before the command.
	privately, publicly int
}

const startWithin = 90 * time.Second

func newWorld(ctx context.Context, in setting) (_ *world, err error) {
	w := &world{setting: in, armed: filepath.Join(in.dir, "armed"), trace: filepath.Join(in.dir, "trace")}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.MkdirAll(in.dir, 0o700); err != nil {
		return nil, err
	}
	env := []string{rig.Armed + "=" + w.armed, rig.Trace + "=" + w.trace, "MEET_ALLOW=", "ADMINS=", "SETTINGS_ALLOW=slack:user:" + setter}
	w.store = jobs.Config{Dir: filepath.Join(in.dir, "data")}
	if in.cluster != nil {
		w.store = jobs.Config{NATSURL: in.cluster.URL(), NATSCreds: in.cluster.Credentials(in.account), Keys: [][]byte{clusterKey}}
		env = append(env, "NATS_URL="+w.store.NATSURL, "NATS_CREDS="+w.store.NATSCreds, "ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(clusterKey))
	}
	env = append(env, in.env...)
	if w.rig, err = rig.New(rig.Options{History: w.discordHTTP(), DiscordHTTP: w.discordHTTP()}); err != nil {
		return nil, err
	}
	w.rig.Hook(w.watch)
	makeBot := w.rig.NewBot
	if in.console {
		makeBot = w.rig.NewConsole
	}
	account, err := w.rig.Account(filepath.Join(in.dir, "accounts.yaml"), "school")
	if err != nil {
		return nil, err
	}
	if w.bot, err = makeBot(in.binary, in.dir, append(append(env, w.rig.Zoom()...), account...)...); err != nil {
		return nil, err
	}
	return w, w.start(ctx)
}

func (w *world) close() {
	if w.bot != nil {
		w.bot.Close()
	}
	if w.rig != nil {
		w.rig.Close()
	}
}

// start starts the bot and waits until every way in is open.
func (w *world) start(ctx context.Context) error {
	w.lives.Add(1)
	if err := w.bot.Start(ctx); err != nil {
		return err
	}
	if w.console || w.discordHTTP() {
		return nil
	}
	for end := time.Now().Add(startWithin); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if w.rig.Discord.Connected() > 0 {
			return nil
		}
	}
	return errors.New("the bot did not connect to Discord's gateway")
}

// On the cluster Slack has the history scopes too.
func (w *world) discordHTTP() bool { return w.engine == clustered && !w.gateway }

// way is how Slack reaches the bot now.
func (w *world) way() slacktest.HTTP {
	if w.ways == nil {
		return w.bot.HTTP()
	}
	return w.ways(int(w.tries.Add(1)))
}

// newCommand makes a person in a channel of their own, so that whatever is shown there
// belongs to one command.
func (w *world) newCommand(s *scenario) *command {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &command{world: w, scenario: s, id: fmt.Sprintf("7%02d%05d", w.series, len(w.commands)+1), began: time.Now()}
	c.topic, c.channel, c.user = "promise "+c.id, "C"+c.id, "U"+c.id
	if s.platform == onDiscord {
		c.channel, c.user = "80000000000"+c.id, "90000000000"+c.id
	}
	if w.console {
		c.from = w.bot.Screen().Len()
		if n := len(w.commands); n > 0 {
			w.commands[n-1].to = c.from
		}
	}
	c.marks = []string{c.id}
	w.commands, w.running = append(w.commands, c), append(w.running, c)
	return c
}

// mine reports whether a request of the bot's is about this command.
func (c *command) mine(r rig.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.marks {
		if strings.Contains(r.Path, m) || strings.Contains(string(r.Sent), m) {
			return true
		}
	}
	return false
}

func (c *command) mark(texts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks = append(c.marks, texts...)
}

// watch sees every request of the bot's.
func (w *world) watch(r rig.Request) rig.Verdict {
	w.mu.Lock()
	aimed := w.aimed
	w.mu.Unlock()
	if aimed != nil {
		return aimed(r)
	}
	return rig.Verdict{}
}

func (w *world) aim(f func(rig.Request) rig.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aimed = f
}

// ackWithin is a little more than what the platforms wait.
const ackWithin = 4 * time.Second

func (c *command) took() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = true
}

// abandon leaves a command alone whose preparation the bot did not take.
func (c *command) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned, c.acked = true, false
}

// step returns what one step of a scenario says that the platform tried: while preparing, each
// has to be acknowledged.
func (c *command) step(acknowledged bool) error {
	if c.preparing && !acknowledged {
		return fmt.Errorf("%w: %s", errNotTaken, c.unacked)
	}
	return nil
}

// slack brings an act to the bot, and again if the platform would.
func (c *command) slack(ctx context.Context, act slacktest.Act, tries int) error {
	for again := range tries {
		if again > 0 {
			if err := c.world.revive(ctx); err != nil {
				return err
			}
		}
		if c.deliver(ctx, act, again) {
			return nil
		}
	}
	return c.step(false)
}

// deliver brings an act once, and reports whether it was acknowledged.
func (c *command) deliver(ctx context.Context, act slacktest.Act, again int) bool {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	ack, err := c.world.rig.Slack.Deliver(ctx, c.world.way(), act, again)
	if err != nil || ack.Status != http.StatusOK {
		c.unacked = fmt.Sprintf("status %d, %v", ack.Status, err)
		return false
	}
	c.took()
	return true
}

// discord brings an interaction to the bot. Discord does not try twice.
func (c *command) discord(ctx context.Context, in *discordtest.Interaction) error {
	c.mark(in.ID, in.Token)
	acknowledged := c.interact(ctx, in)
	if acknowledged {
		c.took()
	}
	return c.step(acknowledged)
}

// interact brings an interaction once, and reports whether it was acknowledged.
func (c *command) interact(ctx context.Context, in *discordtest.Interaction) bool {
	w := c.world
	if w.discordHTTP() {
		status := w.rig.Discord.Post(httpClient, w.bot.DiscordURL(), in)
		c.unacked = fmt.Sprintf("status %d, response type %d", status, in.Ack.Type)
		return status == http.StatusOK && deferred(in.Ack.Type)
	}
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	ended := w.bot.Ended()
	w.rig.Discord.Send(in)
	for {
		if t := w.rig.Discord.AckNow(in).Type; t != 0 {
			c.unacked = fmt.Sprintf("response type %d", t)
			return deferred(t)
		}
		select {
		case <-ended:
			c.unacked = "the bot ended"
			return deferred(w.rig.Discord.AckNow(in).Type)
		case <-ctx.Done():
			c.unacked = ctx.Err().Error()
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// line types a line at the console, and waits until the command is saved, which the
// person is not told, or the console is gone.
func (c *command) line(ctx context.Context, text string) error {
	w := c.world
	ended, before := w.bot.Ended(), w.accepted()
	w.bot.Type(text)
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if w.accepted() > before {
			c.took()
			return nil
		}
		select {
		case <-ended:
			if w.accepted() > before {
				c.took()
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("the console does not take %q: %w\n%s\n%s", text, ctx.Err(), w.bot.Screen().Text(c.from), w.bot.LogTail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// deferred: the kinds of first responses that promise something later.
func deferred(kind int) bool { return kind == 5 || kind == 6 }

var httpClient = &http.Client{Timeout: ackWithin, Transport: &http.Transport{DisableKeepAlives: true}}

// revive starts the bot if it is not running.
func (w *world) revive(ctx context.Context) error {
	w.starting.Lock()
	defer w.starting.Unlock()
	if w.bot != nil && w.ended() {
		return w.start(ctx)
	}
	return nil
}

func (w *world) ended() bool {
	select {
	case <-w.bot.Ended():
		return true
	default:
		return false
	}
}

// traced returns the saves that were seen since the trace was removed.
func (w *world) traced() []string {
	raw, err := os.ReadFile(w.trace)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// own reports whether a job is one that the bot made by itself.
func own(label string) bool {
	for _, v := range grammar.Verbs() {
		if v.Internal && strings.HasPrefix(label, string(v.Verb)) && v.Verb != grammar.VerbApproval {
			return true
		}
	}
	return false
}

// accepted counts the commands that were taken since the trace was removed.
func (w *world) accepted() int { return w.saves(": accepted") }

// over counts those that ended.
func (w *world) over() int { return w.saves(": done") + w.saves(": undeliverable") }

func (w *world) saves(state string) (n int) {
	for _, t := range w.traced() {
		if strings.HasSuffix(t, state) && !own(t) {
			n++
		}
	}
	return n
}

// retire ends the meetings of commands that are over, as hosts do: no account has
// hundreds of them running.
func (w *world) retire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	runs := map[string]string{}
	for _, m := range w.rig.Sandbox.Meetings() {
		switch m.State {
		case sandbox.Ended, sandbox.Cancelled, sandbox.Deleted:
		default:
			runs[m.Topic] = m.ID
		}
	}
	w.running = slices.DeleteFunc(w.running, func(c *command) bool {
		if c.scenario.ends || !c.told() && (c.acked || time.Since(c.began) < settleWithin) {
			return c.scenario.ends // whether it ended is what it is judged by
		}
		if id := runs[c.topic]; id != "" {
			_ = w.rig.Sandbox.End(id) // over already, perhaps
		}
		return true
	})
}

// clusterKey is the key of every cluster's bot.
var clusterKey = []byte("a key for stores that are killed")
