package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"meetbot/bench/internal/rig"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/slack/slacktest"
)

// world is one bot with everything around it, over all its lives.
type world struct {
	engine  string
	rig     *rig.Rig
	bot     *rig.Bot
	cluster *rig.Cluster // nil with the embedded engine
	armed   string
	trace   string
	log     io.Writer // what is going on

	kills    int
	lives    atomic.Int64 // how often the bot was started
	starting sync.Mutex   // one process at a time

	mu       sync.Mutex
	commands []*command
	aimed    func(rig.Request) rig.Verdict // at the command that is being killed
}

// command is one thing that somebody asked, and what has to come of it.
type command struct {
	world    *world
	scenario *scenario
	id       string // seven digits that appear in everything of this command's
	topic    string
	channel  string
	user     string

	mu       sync.Mutex
	marks    []string // what its requests can be told by
	acked    bool     // the platform was told that the command was taken
	unacked  string   // why the last try was not acknowledged
	kills    int      // of the bot while it was under way
	killedAt string
	meeting  string // ID of the meeting that it is about
	code     string
	// How much was shown before the command.
	privately, publicly int
}

const startWithin = 90 * time.Second

func newWorld(ctx context.Context, binary, dir, engine string, o rig.Options, log io.Writer) (_ *world, err error) {
	w := &world{engine: engine, armed: filepath.Join(dir, "armed"), trace: filepath.Join(dir, "trace"), log: log}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	env := []string{rig.Armed + "=" + w.armed, rig.Trace + "=" + w.trace, "MEET_ALLOW=", "ADMINS="}
	if engine == clustered {
		if w.cluster, err = rig.NewCluster(dir); err != nil {
			return nil, err
		}
		env = append(env, "NATS_URL="+w.cluster.URL(), "ENCRYPTION_KEY="+strings.Repeat("A", 43)+"=")
	}
	if w.rig, err = rig.New(o); err != nil {
		return nil, err
	}
	w.rig.Hook(w.watch)
	if w.bot, err = w.rig.NewBot(binary, dir, env...); err != nil {
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
	if w.cluster != nil {
		w.cluster.Close()
	}
}

// start starts the bot and waits until every way in is open.
func (w *world) start(ctx context.Context) error {
	w.lives.Add(1)
	if err := w.bot.Start(ctx); err != nil {
		return err
	}
	if w.discordHTTP() {
		return nil
	}
	for end := time.Now().Add(startWithin); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if w.rig.Discord.Connected() > 0 {
			return nil
		}
	}
	return errors.New("the bot did not connect to Discord's gateway")
}

func (w *world) discordHTTP() bool { return w.engine == clustered }

// newCommand makes a person in a channel of their own, so that whatever is shown there
// belongs to one command.
func (w *world) newCommand(s *scenario) *command {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &command{world: w, scenario: s, id: fmt.Sprintf("73%05d", len(w.commands)+1)}
	c.topic, c.channel, c.user = "promise "+c.id, "C"+c.id, "U"+c.id
	if s.platform == onDiscord {
		c.channel, c.user = "80000000000"+c.id, "90000000000"+c.id
	}
	c.marks = []string{c.id}
	w.commands = append(w.commands, c)
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

// slack brings an act to the bot, and again if the platform would.
func (c *command) slack(ctx context.Context, act slacktest.Act, tries int) error {
	for again := range tries {
		if again > 0 {
			if err := c.world.revive(ctx); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, ackWithin)
		ack, err := c.world.rig.Slack.Deliver(ctx, c.world.bot.HTTP(), act, again)
		cancel()
		if err == nil && ack.Status == http.StatusOK {
			c.took()
			return nil
		}
		c.unacked = fmt.Sprintf("status %d, %v", ack.Status, err)
	}
	return nil
}

// discord brings an interaction to the bot. Discord does not try twice.
func (c *command) discord(ctx context.Context, in *discordtest.Interaction) error {
	c.mark(in.ID, in.Token)
	w := c.world
	if w.discordHTTP() {
		status := w.rig.Discord.Post(httpClient, w.bot.DiscordURL(), in)
		if status == http.StatusOK && deferred(in.Ack.Type) {
			c.took()
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	ended := w.bot.Ended()
	w.rig.Discord.Send(in)
	for {
		if t := w.ackOf(in); t != 0 {
			if deferred(t) {
				c.took()
			}
			return nil
		}
		select {
		case <-ended:
			if deferred(w.ackOf(in)) {
				c.took()
			}
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// deferred: the kinds of first responses that promise something later.
func deferred(kind int) bool { return kind == 5 || kind == 6 }

// ackOf returns the type of the first response to in, 0 before there is one.
func (w *world) ackOf(in *discordtest.Interaction) int {
	for _, call := range w.rig.Discord.Calls() {
		if call.String() == "POST /interactions/{interaction_id}/{interaction_token}/callback" && call.Args[0] == in.ID {
			return typeOf(call.Body)
		}
	}
	return 0
}

var httpClient = &http.Client{Timeout: ackWithin, Transport: &http.Transport{DisableKeepAlives: true}}

// revive starts the bot if it is not running.
func (w *world) revive(ctx context.Context) error {
	w.starting.Lock()
	defer w.starting.Unlock()
	if w.ended() {
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

// traced returns the saves that were seen since [rig.Arm], without repeats.
func (w *world) traced() []string {
	raw, err := os.ReadFile(w.trace)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}
