package console

import (
	"context"
	"fmt"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const rights = chat.RightsKnown | chat.RightMeet | chat.RightPush

// handle carries out one line: a command, or the number of a button. It returns
// errInterrupted if the person left in the middle of a form, and no other error.
func (c *Console) handle(ctx context.Context, line string) error {
	c.mu.Lock()
	asking := c.asking
	c.asking = 0
	c.who = chat.User{ID: userID, Name: c.cfg.User}
	if m := otherPattern.FindStringSubmatch(line); m != nil && c.cfg.Sandbox {
		c.who = chat.User{ID: strings.ToLower(m[1]), Name: m[1]}
		line = m[2]
	}
	c.mu.Unlock()
	if asking > 0 && yesPattern.MatchString(line) {
		return c.press(ctx, asking, true)
	}
	if n, yes, ok := pressed(line); ok {
		return c.press(ctx, n, yes)
	}
	command, text, ok := command(line)
	if !ok {
		c.show(c.unknown(line))
		return nil
	}
	r := c.request()
	r.Command, r.Text = command, text
	return c.decide(ctx, r)
}

// request returns a request of the person's with a new ID.
func (c *Console) request() chat.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return chat.Request{
		ID:    fmt.Sprintf("%s:%s:%d", Platform, c.session, c.asked),
		At:    c.cfg.Now(),
		User:  chat.User{ID: c.who.ID, Name: c.who.Name, Locale: c.cfg.Locale, Rights: rights},
		Place: chat.Place{Platform: Platform, Channel: channel},
	}
}

// decide does with a request what its parsing says.
func (c *Console) decide(ctx context.Context, r chat.Request) error {
	d := c.bot.Ready(ctx, c.bot.Parse(r))
	for {
		switch {
		case d.Reply != nil:
			c.show(*d.Reply)
			return nil
		case d.Form != nil && c.piped:
			c.fail()
			c.print(c.style.formOnOneLine(c.t, c.width(), *d.Form))
			return nil
		case d.Form != nil:
			form := *d.Form
			submission, err := c.fill(ctx, form, nil, nil)
			for err == nil {
				r = c.request()
				r.Form = submission
				if d = c.bot.Parse(r); d.Faults == nil {
					break
				}
				submission, err = c.fill(ctx, form, submission, d.Faults)
			}
			if err != nil {
				return c.cancelled(err)
			}
		case d.Ask != nil:
			c.accept(ctx, d)
			return nil
		default:
			c.log.Error("nothing decided", "request", r.ID)
			c.fail()
			return nil
		}
	}
}

func (c *Console) accept(ctx context.Context, d chat.Decision) {
	c.mu.Lock()
	c.open++
	c.mu.Unlock()
	a := c.bot.Accept(ctx, d)
	if a.Reply != nil || a.Duplicate {
		c.mu.Lock()
		c.open--
		c.mu.Unlock()
		if a.Reply != nil {
			c.fail()
			c.show(*a.Reply)
		}
		return
	}
	if !c.wait(ctx) && c.piped { // at a prompt the bot's own word that it takes longer is enough
		c.fail()
		c.print(c.style.aside(c.t.T("console.still_working")))
	}
}

// press does what a numbered button does.
func (c *Console) press(ctx context.Context, n int, yes bool) error {
	c.mu.Lock()
	var b chat.Button
	known := 0 < n && n <= len(c.buttons)
	if known {
		b = c.buttons[n-1]
	}
	c.mu.Unlock()
	if !known {
		why := c.t.T("console.no_button.none")
		if last := len(c.buttons); last > 0 {
			why = c.t.T("console.no_button.last", "Last", last)
		}
		c.show(chat.Reply{Tone: chat.Bad, Text: c.t.T("console.no_button", "Number", n, "Why", why)})
		return nil
	}
	if b.Confirm != nil && !yes {
		c.mu.Lock()
		c.asking = n
		c.mu.Unlock()
		c.show(chat.Reply{Tone: chat.Warning, Title: b.Confirm.Title, Text: b.Confirm.Text + "\n\n" + c.t.T("console.confirm", "Line", fmt.Sprintf("%d yes", n), "Yes", b.Confirm.Yes)})
		if c.piped {
			c.fail() // nobody is there to confirm: it was not done
		}
		return nil
	}
	c.mu.Lock()
	if by, waits := c.parked[b.Action.Arg]; waits && by != c.who.ID { // what waits for it ends with it
		delete(c.parked, b.Action.Arg)
	}
	c.mu.Unlock()
	r := c.request()
	r.Action = &b.Action
	return c.decide(ctx, r)
}

var (
	pressPattern = regexp.MustCompile(`(?i)^\[?(\d{1,4})\]?(?:\s+(yes|y|是|确认))?$`)
	// otherPattern is a line that somebody else types: "@ben /livepush status", "@ben 3".
	otherPattern = regexp.MustCompile(`^[@＠]([\p{L}\p{N}_-]{1,20})\s+(\S.*)$`)
	yesPattern   = regexp.MustCompile(`(?i)^(?:yes|y|是|确认)$`)
)

// pressed reads "3", "[3]" and "3 yes".
func pressed(line string) (n int, yes, ok bool) {
	m := pressPattern.FindStringSubmatch(strings.Map(func(r rune) rune {
		if '０' <= r && r <= '９' { // what a Chinese keyboard gives
			return r - '０' + '0'
		}
		return r
	}, line))
	if m == nil {
		return 0, false, false
	}
	n, _ = strconv.Atoi(m[1])
	return n, m[2] != "", true
}

// command splits "/meet weekly sync", and reports whether there is such a command.
func command(line string) (name, text string, ok bool) {
	rest, slash := strings.CutPrefix(line, "/")
	if !slash {
		if rest, slash = strings.CutPrefix(line, "／"); !slash {
			return "", "", false
		}
	}
	name = rest
	if i := strings.IndexFunc(rest, unicode.IsSpace); i >= 0 {
		name, text = rest[:i], strings.TrimSpace(rest[i:])
	}
	name = strings.ToLower(name)
	return name, text, slices.Contains(commandNames(), name)
}

var commandNames = sync.OnceValue(func() []string {
	var names []string
	for _, d := range grammar.Declarations() {
		if !slices.Contains(names, d.Command) {
			names = append(names, d.Command)
		}
	}
	return names
})

func (c *Console) unknown(line string) chat.Reply {
	var all []string
	for _, name := range commandNames() {
		all = append(all, "/"+name, "/"+name+" help")
	}
	r := chat.Reply{Title: c.t.T("console.help"), Text: strings.Join(all, " · ") + "\n\n" + c.t.T("console.leave")}
	switch word := strings.ToLower(strings.TrimLeft(line, "/／")); word {
	case "help", "?", "h", "帮助", "？":
		return r
	}
	unknown := firstWord(masked(line))
	if near := nearCommand(firstWord(line)); near != "" {
		return chat.Reply{Tone: chat.Bad, Text: c.t.T("console.unknown.near", "Command", unknown, "Near", "/"+near)}
	}
	return chat.Reply{Tone: chat.Bad, Text: c.t.T("console.unknown", "Command", unknown) + "\n\n" + r.Text}
}

// nearCommand returns the command that a word without its slash, a misspelt one, or one that
// a command has on another platform can be; empty if none.
func nearCommand(word string) string {
	word = strings.ToLower(strings.TrimLeft(word, "/／"))
	names := commandNames()
	if slices.Contains(names, word) {
		return word
	}
	for name, others := range map[string][]string{
		"meet":     {"meeting", "meetings", "会议", "开会", "会"},
		"livepush": {"live", "push", "stream", "destination", "destinations", "直播", "推流", "推流目标"},
	} {
		if slices.Contains(others, word) {
			return name
		}
	}
	return grammar.Nearest(word, names)
}

// legible reports whether a line is text: not bytes of another encoding, which a terminal's
// editor turns into replacement characters, and not UTF-16.
func legible(line string) bool {
	return utf8.ValidString(line) && !strings.ContainsAny(line, "\x00\ufffd")
}

func firstWord(line string) string {
	word := strings.Fields(line)[0]
	if runes := []rune(word); len(runes) > 30 {
		word = string(runes[:30]) + "…"
	}
	return word
}

// trimmed is a line without the space around it, and without what comes along unseen: the
// byte order mark of a file, the zero-width space of a paste.
func trimmed(line string) string {
	return strings.TrimFunc(line, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' })
}

func leave(line string) bool {
	switch strings.ToLower(line) {
	case "exit", "quit", "/exit", "/quit", ":q", "退出":
		return true
	}
	return false
}

// keyPattern finds where a line may begin to give a stream key away: at an option that
// takes one, or at a push address, whose path may end in one.
var keyPattern = sync.OnceValue(func() *regexp.Regexp {
	var names []string
	for _, d := range grammar.Declarations() {
		for _, o := range d.Options {
			if o.Kind == grammar.KindSecret {
				names = append(names, regexp.QuoteMeta(o.Name))
				for _, a := range o.Aliases {
					names = append(names, regexp.QuoteMeta(a))
				}
			}
		}
	}
	return regexp.MustCompile(`(?i)(?:[-‐‑‒–—―−－]+\s*(?:` + strings.Join(names, "|") + `)|\brtmps?[:：])[\s\S]*`)
})

// masked returns the line without what may be a key, and the line itself where there is
// none. It errs on the side of hiding.
func masked(line string) string {
	line = keyPattern().ReplaceAllString(line, mask)
	return wordPattern.ReplaceAllStringFunc(line, func(word string) string {
		if grammar.MayBeKey(word) {
			return mask
		}
		return word
	})
}

const mask = "••••••"

var wordPattern = regexp.MustCompile(`\S+`)
