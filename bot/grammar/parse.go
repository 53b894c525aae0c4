// Package grammar is what people can type: every verb, its words in both languages and its
// options, declared once, and the parser, the forms and the help that follow from it.
//
// [Parser.Parse] reads a request in whichever way it came: a line, typed options, a form or
// a button. It does no I/O and takes microseconds, and what it makes of the request is the
// same [Ask] whichever way and platform it came from.
package grammar

import (
	"slices"
	"strings"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 64 << 10

// Config is what a [Parser] has to know.
type Config struct {
	Platforms chat.Kinds // those that requests come from
	Locale    string     // where a person's own is not known
	// Kinds are the providers that there are: whatever refers to a meeting may be of one that
	// is not configured any more.
	Kinds meeting.Kinds
	// Providers are those that are configured, Default the one that /meet uses.
	Providers []meeting.Provider
	Default   meeting.Provider
	// Accounts are the IDs of named accounts at them, of which a place may use those that Here
	// returns: it has whatever the place may use, first what /meet uses there. nil: every place
	// may use everything.
	Accounts []meeting.Provider
	Here     func(chat.Place) []meeting.Provider
	// KeyPage says that there is a page where keys are entered. What would open a form
	// for a key is then an [Ask] whose answer is the link to that page.
	KeyPage bool
	Sandbox bool
}

// At returns what a place may use, first what /meet uses there.
func (c Config) At(place chat.Place) []meeting.Provider {
	if c.Here != nil {
		return c.Here(place)
	}
	all := slices.DeleteFunc(slices.Concat(c.Providers, c.Accounts), func(p meeting.Provider) bool { return p == c.Default })
	if c.Default == "" {
		return all
	}
	return slices.Insert(all, 0, c.Default)
}

// kinds are the providers that there are, and the accounts.
func (c Config) kinds() meeting.Kinds {
	all := slices.Clone(c.Kinds)
	for _, id := range c.Accounts {
		if k, ok := c.Kinds.Kind(id); ok {
			all = append(all, k)
		}
	}
	return all
}

// Usual is the provider that /meet uses at a place; empty where it has none.
func (c Config) Usual(place chat.Place) meeting.Provider {
	if c.Here == nil {
		return c.Default.Kind()
	}
	for _, p := range c.Here(place) {
		return p.Kind()
	}
	return ""
}

// Parser reads what people ask. It does no I/O and may be used concurrently.
type Parser struct {
	cfg            Config
	declared       []VerbDecl
	meet, livepush grammar
	flags          map[*VerbDecl]map[string]*OptionDecl
}

// grammar is what the line of one command can begin with.
type grammar struct {
	verbs map[string]*VerbDecl // by word, in lower case; under "" the command without one
	han   []hanVerb
}

// hanVerb is a verb's Chinese word: what follows it needs no blank between.
type hanVerb struct {
	word string
	verb *VerbDecl
}

// offers reports whether a provider is configured; each is where that is not said.
func (c Config) offers(k meeting.Kind) bool {
	return len(c.Providers) == 0 || slices.Contains(c.Providers, k.ID)
}

// shows reports whether people are told of a verb: some provider that is configured can do it.
func (c Config) shows(v VerbDecl) bool {
	return v.Can == nil || slices.ContainsFunc(c.Kinds, func(k meeting.Kind) bool { return c.offers(k) && v.Can(k.Can) })
}

// New returns a Parser.
func New(cfg Config) *Parser {
	p := &Parser{cfg: cfg, declared: Declarations(cfg.kinds()...), flags: map[*VerbDecl]map[string]*OptionDecl{}}
	p.meet.verbs, p.livepush.verbs = map[string]*VerbDecl{}, map[string]*VerbDecl{}
	for i := range p.declared {
		v := &p.declared[i]
		g := &p.meet
		if v.Command == commandLivepush {
			g = &p.livepush
		}
		g.verbs[v.Name] = v
		for _, a := range v.Aliases {
			g.verbs[a] = v
			if r, _ := utf8.DecodeRuneInString(a); r >= '一' && len(v.Options) > 0 && utf8.RuneCountInString(a) > 1 {
				g.han = append(g.han, hanVerb{a, v})
			}
		}
		p.flags[v] = map[string]*OptionDecl{}
		for j := range v.Options {
			o := &v.Options[j]
			for _, name := range append([]string{o.Name}, o.Aliases...) {
				p.flags[v][name] = o
			}
		}
	}
	for _, g := range []*grammar{&p.meet, &p.livepush} { // "推到" is not to hide "推到…"'s longer spellings
		slices.SortFunc(g.han, func(a, b hanVerb) int { return len(b.word) - len(a.word) })
	}
	return p
}

// Parse reads a request. It takes a few microseconds for a line, and time in proportion
// to its length for a long one; more than 64 KiB is refused.
func (p *Parser) Parse(r chat.Request) chat.Decision {
	size := len(r.Text)
	for _, v := range r.Options {
		size += len(v)
	}
	if r.Form != nil {
		for _, v := range r.Form.Fields {
			size += len(v)
		}
	}
	if size > maxLine {
		return p.tell(r, p.tooLong)
	}
	switch {
	case r.Action != nil:
		return p.action(r)
	case r.Form != nil:
		return p.submission(r)
	}
	command := p.command(r)
	if r.Options != nil || command == typedMeetings || command == typedDestinations {
		return p.typed(r, command)
	}
	switch command {
	case commandMeet:
		return p.meetLine(r)
	case commandLivepush:
		return p.pushLine(r)
	}
	return p.unknown(r)
}

// command returns the declared name of a command that was typed in whatever way.
func (p *Parser) command(r chat.Request) string {
	if r.Command == commandMeet || r.Command == commandLivepush { // as adapters have it
		return r.Command
	}
	bare := func(s string) string { return strings.ToLower(strings.TrimLeft(s, "/／")) }
	kind, s := p.cfg.Platforms.Of(r.Place.Platform), bare(r.Command)
	switch s {
	case commandMeet, bare(kind.Called(commandMeet)), "会议", "开会":
		return commandMeet
	case commandLivepush, bare(kind.Called(commandLivepush)), "推流":
		return commandLivepush
	}
	return s
}

// texts returns the language of the person who asked.
func (p *Parser) texts(r chat.Request) texts.Text { return p.Text(r.Place.Platform, r.User.Locale) }

func (p *Parser) unknown(r chat.Request) chat.Decision {
	typed := p.cfg.Platforms.Of(r.Place.Platform).Typed
	return p.tell(r, func(t texts.Text) chat.Reply { return p.unknownCommand(t, typed) })
}

func (p *Parser) tell(r chat.Request, reply func(texts.Text) chat.Reply) chat.Decision {
	v := reply(p.texts(r))
	return chat.Decision{Reply: &v, Request: bare(r)}
}

// bare is a request without what was given: an [Ask] has that, and holds its secrets as
// secrets.
func bare(r chat.Request) chat.Request {
	r.Text, r.Options, r.About = "", nil, ""
	if r.Form != nil {
		r.Form = &chat.Submission{Form: r.Form.Form, Arg: r.Form.Arg}
	}
	return r
}

// verb finds the verb that a line begins with, and what follows it.
func (g *grammar) verb(tokens []token) (*VerbDecl, []token) {
	if len(tokens) == 0 || tokens[0].quoted {
		return nil, tokens
	}
	first := tokens[0].raw
	if v := g.find(first); v != nil {
		return v, tokens[1:]
	}
	for _, h := range g.han {
		if rest, ok := strings.CutPrefix(first, h.word); ok {
			return h.verb, append([]token{glued(rest)}, tokens[1:]...)
		}
	}
	return nil, tokens
}

// find returns the verb of a word in whatever case.
func (g *grammar) find(word string) *VerbDecl { return g.verbs[strings.ToLower(word)] }

// glued is a token that was written together with what stands before it.
func glued(raw string) token {
	open, size := utf8.DecodeRuneInString(raw)
	s, quotes := scanner{s: raw}, closers(open)
	return token{raw, quotes != "" && s.closing(quotes, size) == len(raw)}
}

func (p *Parser) reading(r chat.Request, v Verb) reading {
	return reading{p: p, place: r.Place, ask: Ask{Verb: v}}
}

func (p *Parser) meetLine(r chat.Request) chat.Decision {
	if p.misplaced(meetGiven(r)...) {
		return p.keptBack(r)
	}
	tokens := tokenize(r.Text)
	if v, rest := p.meet.verb(tokens); v != nil {
		switch {
		case v.Help && len(rest) == 0:
			return p.tell(r, func(t texts.Text) chat.Reply { return p.Help(t, commandMeet) })
		case v.Opens != "" && len(rest) == 0:
			return p.open(r, v.Opens, Ask{Verb: VerbMeet, Meet: meeting.Instant{Topic: about(r.About)}})
		case len(rest) == 0:
			return p.accept(r, Ask{Verb: v.Verb})
		case v.Verb == VerbSettings:
			if d, ok := p.settingsLine(r, v, rest); ok {
				return d
			}
		case v.argument(1) != nil && v.argument(1).Kind == KindMeeting:
			w := phrase(rest)
			_, isMeeting := p.cfg.Kinds.Read(w.address())
			digits, isNumber := meeting.Digits(w.address())
			if isMeeting || isNumber && len(digits) > len("2026") { // anything else is a topic
				x := p.reading(r, v.Verb)
				x.setMeeting(v.argument(1), w)
				return p.finish(r, &x)
			}
		}
	}
	v := p.meet.verbs[""]
	x := p.reading(r, VerbMeet)
	topic := x.flags(v, tokens, false)
	x.ask.Doubt, x.ask.Meant = p.doubt(topic)
	if len(topic) > 0 {
		x.set(&v.Options[0], phrase(topic))
	}
	if x.ask.Meet.Topic == "" && r.About != "" {
		x.ask.Meet.Topic = about(r.About)
	}
	x.checkMeet()
	return p.finish(r, &x)
}

// phrase joins tokens into one word. Quotes are taken off only where they enclose all.
func phrase(tokens []token) word {
	if len(tokens) == 1 {
		return tokens[0].word()
	}
	return join(tokens, ' ')
}

// join joins tokens as they were typed, with their quotes.
func join(tokens []token, separator byte) word {
	var b strings.Builder
	w := word{}
	for i, t := range tokens {
		if i > 0 {
			b.WriteByte(separator)
		}
		w.add(&b, t.raw)
	}
	w.text, w.channels = b.String(), nil // channels are a list, with commas, or a part of a text
	return w
}

// about makes a topic of a message, cut at a character.
func about(message string) string {
	const enough = 16 * maxTopic // bytes: also for a message that is mostly markup
	if len(message) > enough {
		message = strings.ToValidUTF8(message[:enough], "")
	}
	text := []rune(phrase(tokenize(message)).text)
	if len(text) <= maxTopic {
		return string(text)
	}
	text = text[:maxTopic-1]
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == zeroWidthJoiner) {
		text = text[:len(text)-1]
	}
	return string(text) + "…"
}

// finish makes a decision of what was read.
func (p *Parser) finish(r chat.Request, x *reading) chat.Decision {
	if x.ask.Verb == VerbSettings && x.account != "" {
		x.ask.Set["provider"] = string(x.withAccount(meeting.Provider(x.ask.Set["provider"])))
	}
	if len(x.problems) == 0 {
		return p.accept(r, x.ask)
	}
	t := p.texts(r)
	if x.form {
		return chat.Decision{Faults: x.faults(t), Request: bare(r)}
	}
	reply := p.faulty(t, x, r.Options == nil && r.Verb == "")
	return chat.Decision{Reply: &reply, Request: bare(r)}
}

func (p *Parser) accept(r chat.Request, ask Ask) chat.Decision {
	return chat.Decision{Ask: &ask, Public: Declared(ask.Verb).Public && ask.Doubt == "", Request: bare(r)}
}
