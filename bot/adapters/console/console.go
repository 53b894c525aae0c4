// Package console is a chat with the bot in the terminal: one channel, in which one
// person types.
//
// On a terminal it has a prompt with history and completion, and forms ask field by
// field. With input from a pipe it answers line by line, each command waiting for the one
// before, and ends with the input; then [Console.Run] says whether a command failed.
//
// What others would see in the channel is shown as the channel's message with its thread
// beneath, what only the requester sees is marked as such, and buttons are numbered: a
// number presses one. In the sandbox a line that begins with @NAME is somebody else's.
package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// ErrFailed is returned by [Console.Run] when input was piped and a command failed.
var ErrFailed = errors.New("not every command succeeded")

// ErrNoInput is returned by [Console.Run] when input was not a terminal's and had no line.
var ErrNoInput = errors.New("no input")

// Config says who sits at the console.
type Config struct {
	User    string // the person's name
	Locale  string // in which the person is answered
	Sandbox bool   // said in the greeting
	Push    string // a meeting provider that takes live pushes; the greeting then shows how
	// Declared are the commands; nil: without what depends on the meeting providers.
	Declared []grammar.VerbDecl
	NoColor  bool
	// Patience is how long a piped command may take to finish. Zero: two minutes.
	Patience time.Duration
	Now      func() time.Time // nil: time.Now
}

const (
	channel = "console"
	userID  = "you"
	// promptAfter is when a person is given the prompt back while a command still runs.
	promptAfter = 5 * time.Second
)

// Console is the adapter. It is the [chat.Poster] and [chat.Directory] of its
// platform.
type Console struct {
	cfg     Config
	bot     chat.Bot
	log     *slog.Logger
	t       texts.Text
	input   input
	piped   bool
	session string // makes the IDs of this run's requests unlike any other's

	mu       sync.Mutex // guards what follows, and the screen
	out      io.Writer
	style    style
	width    func() int
	asked    int               // requests made
	open     int               // accepted and not finished
	parked   map[string]string // whose of those wait for a second person, by the argument of the buttons
	failed   bool
	changed  chan struct{}     // closed and renewed when a command finishes
	messages int               // posted
	shown    map[string]string // what an edited message looked like last
	under    string            // the root message whose thread was written to last
	titles   map[string]string // of root messages
	note     string            // the small print that was shown last
	buttons  []chat.Button     // by the number that presses them, less one
	asking   int               // the button that asked whether it is meant, and was not answered yet
	who      chat.User         // whose line is being carried out
}

// New returns a console that reads in and writes out. It edits lines and uses colours if
// both are terminals.
func New(cfg Config, bot chat.Bot, in io.Reader, out io.Writer, log *slog.Logger) *Console {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	c := &Console{
		cfg: cfg, bot: bot, log: log, t: grammar.Text(Kind(cfg.Sandbox), cfg.Locale), piped: true,
		session: rand.Text(), out: out, width: func() int { return pipedWidth },
		who: chat.User{ID: userID, Name: cfg.User}, parked: make(map[string]string), changed: make(chan struct{}), shown: make(map[string]string), titles: make(map[string]string),
	}
	if isTerminal(in) && isTerminal(out) {
		c.piped = false
		c.style.terminal = os.Getenv("TERM") != "dumb"
		c.style.color = c.style.terminal && !cfg.NoColor
		fd := int(out.(*os.File).Fd())
		c.width = func() int {
			w, _, err := term.GetSize(fd)
			if err != nil || w <= 0 {
				return maxWidth
			}
			return min(max(w, minWidth), maxWidth)
		}
		c.input = newEditor(c.complete)
	} else {
		c.input = newPipe(in)
	}
	return c
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Run talks until the input ends, the person leaves, or ctx is done.
func (c *Console) Run(ctx context.Context) error {
	defer c.input.close()
	if !c.piped {
		c.print(c.style.greeting(c.t, c.width(), c.cfg))
	}
	for lines := 0; ctx.Err() == nil; {
		line, err := c.input.line(ctx, prompt)
		switch {
		case errors.Is(err, errDropped):
			continue
		case errors.Is(err, errInterrupted):
			return nil
		case errors.Is(err, io.EOF):
			if !c.piped {
				c.print("\n")
			} else if lines == 0 {
				return ErrNoInput
			}
			return c.result()
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("read the console: %w", err)
		}
		line = trimmed(line)
		if line != "" {
			lines++
		}
		if !legible(line) {
			c.show(chat.Reply{Tone: chat.Bad, Text: c.t.T("console.bytes")})
			continue
		}
		if line == "" || c.piped && strings.HasPrefix(line, "#") {
			continue
		}
		if leave(line) {
			return c.result()
		}
		if c.piped {
			c.print(c.style.echo(masked(line)))
		}
		if hidden := masked(line); hidden == line {
			c.input.remember(line)
		} else if err := c.input.cover(c.out, prompt+line, prompt+oneLine(hidden)); err != nil {
			return fmt.Errorf("write to the console: %w", err)
		}
		if err := c.handle(ctx, line); errors.Is(err, errInterrupted) {
			return nil
		}
		if !c.piped {
			c.print("\n")
		}
	}
	return nil
}

// Health implements [kit.Adapter]: a terminal is always there.
func (c *Console) Health() kit.Health { return kit.Health{State: kit.Running} }

func (c *Console) result() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.piped && c.failed {
		return ErrFailed
	}
	return nil
}

func (c *Console) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = true
}

// Finished is to be told when a command that was given here has ended, and whether what was
// asked was done.
func (c *Console) Finished(done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = c.failed || !done
	c.open--
	if len(c.parked) > c.open { // nobody has decided in time
		clear(c.parked)
	}
	c.renew()
}

// renew wakes whoever waits. The caller holds the lock.
func (c *Console) renew() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns when every command has finished, and reports false if that takes too long.
func (c *Console) wait(ctx context.Context) bool {
	limit := promptAfter
	if c.piped {
		limit = c.cfg.Patience
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		c.mu.Lock()
		open, changed := c.open-len(c.parked), c.changed
		c.mu.Unlock()
		if open <= 0 {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return true
		case <-timer.C:
			return false
		}
	}
}

// Post implements [chat.Poster].
func (c *Console) Post(_ context.Context, p chat.Post) (chat.Receipt, error) {
	switch p.Slot {
	case chat.SlotThreadPrivate, chat.SlotSettle:
		return chat.Receipt{}, chat.ErrSkip // the private answer says it; there is no placeholder
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Reply.Tone == chat.Bad {
		c.failed = true
	}
	receipt := chat.Receipt{Place: p.Place}
	v := view{width: c.width(), number: c.number}
	switch p.Slot {
	case chat.SlotEdit:
		receipt = *p.Edit
		v.header, v.brief = header{kind: changed}, true
		v.number = nil
		text := c.style.message(c.t, v, c.local(p.Reply))
		if c.shown[receipt.Message] == text {
			return receipt, nil
		}
		c.shown[receipt.Message] = text
		c.write(text)
		c.under = ""
		return receipt, nil
	case chat.SlotThread:
		v.header = header{kind: thread}
		if p.Root != nil {
			v.header.follows, v.header.title = c.under == p.Root.Message, c.titles[p.Root.Message]
		}
	case chat.SlotRoot:
		v.header = header{kind: everyone}
	default:
		v.header = header{kind: private}
		if p.User.ID != userID {
			v.header.title = cmp.Or(p.User.Name, p.User.ID)
		}
	}
	if p.Reply.Note == c.note { // said right before
		p.Reply.Note = ""
	} else {
		c.note = p.Reply.Note
	}
	if i := slices.IndexFunc(p.Reply.Buttons, approves); i >= 0 && c.cfg.Sandbox {
		hint := c.t.T("console.second", "Number", len(c.buttons)+1+i)
		p.Reply.Note = strings.TrimPrefix(p.Reply.Note+" · "+hint, " · ")
		c.parked[p.Reply.Buttons[i].Action.Arg] = p.User.ID
		c.renew()
	}
	c.messages++
	receipt.Message = fmt.Sprintf("m%d", c.messages)
	text := c.style.message(c.t, v, c.local(p.Reply))
	switch p.Slot {
	case chat.SlotRoot:
		receipt.Place.Thread = receipt.Message
		c.under, c.titles[receipt.Message] = receipt.Message, p.Reply.Title
		c.shown[receipt.Message] = c.style.message(c.t, view{width: v.width, header: header{kind: changed}, brief: true}, c.local(p.Reply))
	case chat.SlotThread:
	default:
		c.under = ""
	}
	c.write(text)
	return receipt, nil
}

func approves(b chat.Button) bool {
	return b.Action.Name == grammar.Declared(grammar.VerbApprove).Button
}

// Profile implements [chat.Directory]: whoever sits here may do everything.
func (c *Console) Profile(_ context.Context, _ chat.Place, id string) (chat.Profile, error) {
	name := id
	if id == userID {
		name = c.cfg.User
	}
	return chat.Profile{Name: name, Locale: c.cfg.Locale, Rights: rights}, nil
}

// InGroup implements [chat.Directory]: there are no groups here.
func (c *Console) InGroup(context.Context, chat.Place, string, string) (bool, error) {
	return false, nil
}

// local is a reply with its times as this terminal's clock has them.
func (c *Console) local(r chat.Reply) chat.Reply {
	now := c.cfg.Now().Local()
	return r.WriteInstants(func(at time.Time) string { return chat.Clock(at, now) })
}

// show shows an immediate private answer.
func (c *Console) show(r chat.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Tone == chat.Bad {
		c.failed = true
	}
	c.under = ""
	v := view{width: c.width(), header: header{kind: private}, number: c.number}
	if c.who.ID != userID {
		v.header.title = c.who.Name
	}
	c.write(c.style.message(c.t, v, c.local(r)))
}

// number gives a button the number that presses it.
func (c *Console) number(b chat.Button) int {
	c.buttons = append(c.buttons, b)
	return len(c.buttons)
}

func (c *Console) print(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(text)
}

// write puts text on the screen, above the line being typed. The caller holds the lock.
func (c *Console) write(text string) {
	if err := c.input.above(c.out, text); err != nil {
		c.log.Error("console not written", "err", err)
	}
}
