// Package grammar is what people can type: every verb, its words in both languages and its
// options, declared once, and the parser, the forms and the help that follow from it.
//
// [Parser.Parse] reads a request in whichever way it came: a line, typed options, a form or
// a button. It does no I/O and takes microseconds, and what it makes of the request is the
// same [Ask] whichever way and platform it came from.
package grammar

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 64 << 10

// Config is what a [Parser] has to know.
type Config struct {
	Platforms chat.Kinds // those that requests come from
	Locale    string     // where a person's own is not known
	// Providers are those that are configured, Default the one that /meet uses.
	Providers []meeting.Provider
	Default   meeting.Provider
	// KeyPage says that there is a page where keys are entered. What would open a form
	// for a key is then an [Ask] whose answer is the link to that page.
	KeyPage bool
	Sandbox bool
}

// Parser reads what people ask. It does no I/O and may be used concurrently.
type Parser struct {
	cfg            Config
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

// New returns a Parser.
func New(cfg Config) *Parser {
	p := &Parser{cfg: cfg, flags: map[*VerbDecl]map[string]*OptionDecl{}}
	p.meet.verbs, p.livepush.verbs = map[string]*VerbDecl{}, map[string]*VerbDecl{}
	for i := range commandDeclarations {
		v := &commandDeclarations[i]
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
	tokens := tokenize(r.Text)
	if v, rest := p.meet.verb(tokens); v != nil {
		switch {
		case v.Help && len(rest) == 0:
			return p.tell(r, func(t texts.Text) chat.Reply { return p.Help(t, commandMeet) })
		case v.Opens != "" && len(rest) == 0:
			return p.open(r, v.Opens, Ask{Verb: VerbMeet, Meet: meeting.Instant{Topic: about(r.About)}})
		case len(rest) == 0:
			return p.accept(r, Ask{Verb: v.Verb})
		case len(v.Options) > 0: // one, which is a meeting
			w := phrase(rest)
			_, isMeeting := MeetingArg(w.address())
			digits, isNumber := number(w.address())
			if isMeeting || isNumber && len(digits) > len("2026") { // anything else is a topic
				x := p.reading(r, v.Verb)
				x.setMeeting(&v.Options[0], w)
				return p.finish(r, &x)
			}
		}
	}
	v := p.meet.verbs[""]
	x := p.reading(r, VerbMeet)
	topic := x.flags(v, tokens, false)
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

// flags takes the options out of the tokens, in place, and returns the rest. strict says
// that no other word may begin with a dash.
func (x *reading) flags(v *VerbDecl, tokens []token, strict bool) []token {
	known := x.p.flags[v]
	rest := tokens[:0]
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		f, ok := flag{}, false
		if c := t.raw[0]; c == '-' || c >= 0xe2 { // the first byte of every dash
			f, ok = t.asFlag()
		}
		if !ok {
			rest = append(rest, t)
			continue
		}
		o, negated := known[f.name], false
		if o == nil {
			if name, no := strings.CutPrefix(f.name, "no-"); no {
				if o = known[name]; o != nil && o.Kind == KindBool {
					negated = true
				} else {
					o = nil
				}
			}
		}
		if o == nil {
			near := ""
			if len(x.problems) < maxProblems {
				near = nearest(f.name, v.Options)
			}
			if !f.certain && !strict && (near == "" || t.raw[0] == '-') {
				rest = append(rest, t)
				continue
			}
			x.unknownFlag(f, near)
			continue
		}
		if o.Kind == KindBool {
			x.boolFlag(o, f, negated, &i, tokens)
			continue
		}
		w := word{}
		if f.given {
			w = valueWord(f.value)
		}
		if w.text == "" && i+1 < len(tokens) && x.isValue(known, tokens[i+1]) {
			i++
			w = tokens[i].word()
		}
		if strings.TrimSpace(w.text) == "" {
			x.fail(o, "value", "Option", o.Name)
			continue
		}
		x.set(o, w)
	}
	return rest
}

// isValue reports whether a token can be the value of the flag before it.
func (x *reading) isValue(known map[string]*OptionDecl, t token) bool {
	if t.quoted {
		return true
	}
	f, ok := t.asFlag()
	if !ok {
		return true
	}
	_, is := known[f.name]
	return !is && !f.certain
}

func (x *reading) boolFlag(o *OptionDecl, f flag, negated bool, i *int, tokens []token) {
	text := "true"
	if f.given {
		text = valueWord(f.value).text
	} else if *i+1 < len(tokens) && !tokens[*i+1].quoted {
		if next := tokens[*i+1].raw; len(next) <= len("false") && (strings.EqualFold(next, "true") || strings.EqualFold(next, "false")) {
			text = next
			*i++
		}
	}
	if v, ok := truth(text); ok && negated {
		text = strconv.FormatBool(!v)
	}
	x.set(o, word{text: text})
}

// unknownFlag says that there is no such option. A name that no option could have is not
// repeated: it may be a key.
func (x *reading) unknownFlag(f flag, near string) {
	shown := "--" + f.name
	if len(f.name) > 24 || !plainName(f.name) {
		shown = "--…"
	}
	if near != "" {
		x.failLine("", shown, "flag.near", "Near", "--"+near)
		return
	}
	if x.ask.Verb == VerbMeet {
		x.failLine("", shown, "flag.topic")
		return
	}
	x.failLine("", shown, "flag")
}

// nearest returns the name of the option that a misspelt one can be; empty if none is near.
func nearest(name string, options []OptionDecl) string {
	best, least := "", 3
	name = strings.TrimPrefix(name, "no-")
	if len(name) > 30 {
		return ""
	}
	try := func(o *OptionDecl, known string) {
		if d := len(name) - len(known); d >= least || -d >= least {
			return // that many letters apart at least, in the names people misspell
		}
		if d := distance(name, known); d < least && d*2 < max(len(known), 3) {
			best, least = o.Name, d
		}
	}
	for i := range options {
		o := &options[i]
		try(o, o.Name)
		for _, a := range o.Aliases {
			try(o, a)
		}
	}
	return best
}

// distance is the number of letters to add, to remove, to replace, or to swap with their
// neighbours, to make b of a.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(s); i++ {
		before, last, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(s)+1)%3][len(t)]
}

func (p *Parser) pushLine(r chat.Request) chat.Decision {
	tokens := tokenize(r.Text)
	v, rest := p.livepush.verb(tokens)
	if v == nil {
		v, rest = p.livepush.verbs[""], tokens
	}
	if v.Help && len(rest) == 0 {
		return p.tell(r, func(t texts.Text) chat.Reply { return p.Help(t, commandLivepush) })
	}
	x := p.reading(r, v.Verb)
	rest = x.flags(v, rest, true)
	unknown := len(x.problems) > 0 && slices.ContainsFunc(x.problems, func(p problem) bool { return p.field == "" })
	if r.InTheOpen && x.exposed(tokenize(r.Text)) {
		return p.tell(r, p.exposed)
	}
	switch v.Verb {
	case VerbPushTo, VerbPushOff:
		names, where, in := cutIn(rest)
		if len(names) > 0 {
			x.set(&v.Options[0], join(names, ',')) // blanks separate names, too
		} else if !unknown {
			x.fail(&v.Options[0], "names")
		}
		if in {
			x.meetingWords(&v.Options[1], where)
		}
	case VerbPushSave:
		if len(rest) > 0 {
			if len(rest) > 1 && !unknown {
				x.fail(&v.Options[0], "name.blank")
			} else {
				x.set(&v.Options[0], rest[0].word())
			}
		}
	case VerbPushForget:
		switch {
		case len(rest) > 0:
			x.set(&v.Options[0], join(rest, ','))
		case !unknown:
			x.fail(&v.Options[0], "names")
		}
	case VerbPush, VerbPushStatus, VerbPushLog:
		if len(rest) > 0 && isIn(rest[0].raw) && v.Verb != VerbPush {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			break
		}
		if w := phrase(rest); v.Verb == VerbPush && !unknown {
			x.pushWords(v, rest, w)
		} else if !unknown {
			x.meetingWords(&v.Options[0], rest)
		}
	default: // help with more words, destinations
		if len(rest) > 0 && !unknown {
			x.failLine("", v.Name, "extra")
		}
	}
	return p.finishPush(r, &x, v)
}

// meetingWords reads a MEETING argument, and says what is wrong if there is none.
func (x *reading) meetingWords(o *OptionDecl, tokens []token) {
	if len(tokens) == 0 {
		x.fail(o, "meeting.missing")
		return
	}
	x.set(o, phrase(tokens))
}

// pushWords reads the words of the long form that are not options: a meeting, and
// nothing else.
func (x *reading) pushWords(v *VerbDecl, tokens []token, w word) {
	if _, ok := MeetingArg(w.address()); ok {
		x.set(&v.Options[0], w)
		return
	}
	for _, t := range tokens {
		if IsPushURL(t.word().address()) {
			x.failLine("url", "--url", "push.url")
			return
		}
	}
	if near := x.p.nearVerb(tokens[0].raw); near != "" {
		x.failLine("meeting", tokens[0].raw, "push.near", "Near", near)
		return
	}
	x.fail(&v.Options[0], "push.words")
}

// nearVerb returns the verb of livepush that a misspelt word can be.
func (p *Parser) nearVerb(s string) string {
	if len(s) > 16 {
		return ""
	}
	s = strings.ToLower(s)
	for i := range commandDeclarations {
		v := &commandDeclarations[i]
		if v.Command == commandLivepush && len(v.Name) > 2 && distance(s, v.Name) <= len(v.Name)/3 {
			return v.Name
		}
	}
	return ""
}

// exposed reports whether a key may stand in a line that everybody saw.
func (x *reading) exposed(tokens []token) bool {
	if x.has("key") || x.url != "" && holdsKey(x.url) {
		return true
	}
	push := x.p.livepush.verbs[""].Options
	for _, t := range tokens {
		if f, ok := t.asFlag(); ok {
			if f.name == "key" || nearest(f.name, push) == "key" || IsPushURL(f.value) && holdsKey(valueWord(f.value).address()) {
				return true
			}
		} else if w := t.word(); IsPushURL(w.address()) && (x.url == "" || holdsKey(w.address())) {
			return true // without --url, what follows it may be the key
		}
	}
	return false
}

// holdsKey reports whether a key may be in an address.
func holdsKey(address string) bool {
	a, err := meeting.SplitPush(HalfWidth(address), secret.String{})
	faults, _ := err.(meeting.PushFaults)
	return !a.Key.IsZero() || len(faults) > 1 || strings.Contains(address, "?")
}

// cutIn splits "NAME… in MEETING". A number or a link at the end is a meeting also without
// the "in": taken for a name, it would have another meeting's addresses switched off.
func cutIn(tokens []token) (names, where []token, in bool) {
	for i := len(tokens) - 1; i >= 0; i-- {
		t := tokens[i]
		if t.quoted {
			continue
		}
		if isIn(t.raw) {
			return tokens[:i], tokens[i+1:], true
		}
		if name, rest, ok := cutLast(t.raw, "在"); ok { // Chinese has no blanks around it
			where = append([]token{glued(rest)}, tokens[i+1:]...)
			if _, ok := MeetingArg(phrase(where).address()); ok {
				names = slices.Clone(tokens[:i])
				if name != "" {
					names = append(names, glued(name))
				}
				return names, where, true
			}
		}
	}
	for i := max(1, len(tokens)-5); i < len(tokens); i++ { // a number can be in pieces
		last, _ := utf8.DecodeLastRuneInString(tokens[i-1].raw)
		if tokens[i].quoted || strings.ContainsRune(",，、", last) { // a name
			continue
		}
		if _, ok := MeetingArg(phrase(tokens[i:]).address()); ok {
			return tokens[:i], tokens[i:], true
		}
	}
	return tokens, nil, false
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// finishPush decides whether what was given is enough, or has to be asked for.
func (p *Parser) finishPush(r chat.Request, x *reading, v *VerbDecl) chat.Decision {
	if v.Verb != VerbPush && v.Verb != VerbPushSave {
		return p.finish(r, x)
	}
	x.checkPush(v)
	push := &x.ask.Push
	if len(x.ask.Names) > 0 { // a set of destinations
		for _, name := range []string{"url", "key", "preset", "page"} {
			if x.has(name) {
				x.fail(x.option(v, name), "members")
			}
		}
		if push.Name == "" {
			x.fail(x.option(v, "name"), "name.missing")
		}
		x.ask.Push = meeting.PushTarget{Name: push.Name}
		return p.finish(r, x)
	}
	if x.url == "" && (x.form || !push.Key.IsZero()) {
		x.fail(x.option(v, "url"), "url.missing")
	}
	if x.form && push.Key.IsZero() && !x.failed("key") && (x.url == "" || !x.failed("url")) {
		x.fail(x.option(v, "key"), "key.missing")
	}
	if v.Verb == VerbPushSave && !push.Key.IsZero() && push.Name == "" && !x.failed("name") {
		x.fail(x.option(v, "name"), "name.missing")
	}
	if len(x.problems) > 0 || !push.Key.IsZero() {
		return p.finish(r, x)
	}
	if p.cfg.KeyPage {
		return p.finish(r, x)
	}
	if v.Verb == VerbPushSave {
		return p.open(r, FormSave, x.ask)
	}
	return p.open(r, FormPush, x.ask)
}

func (x *reading) failed(field string) bool {
	return slices.ContainsFunc(x.problems, func(p problem) bool { return p.field == field })
}

// finish makes a decision of what was read.
func (p *Parser) finish(r chat.Request, x *reading) chat.Decision {
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
	return chat.Decision{Ask: &ask, Public: Declared(ask.Verb).Public, Request: bare(r)}
}

// typed reads options that the platform has typed.
func (p *Parser) typed(r chat.Request, command string) chat.Decision {
	v := p.typedVerb(command, r)
	if v == nil {
		return p.unknown(r)
	}
	x := p.reading(r, v.Verb)
	for i := range v.Options {
		o := &v.Options[i]
		value := r.Options[o.Name]
		if strings.TrimSpace(value) == "" {
			continue
		}
		x.setTyped(o, value)
	}
	for i := range v.Options {
		o := &v.Options[i]
		if o.Required && !x.has(o.Name) && (v.Verb != VerbPushSave || o.Name != "name") {
			x.fail(o, "value", "Option", o.Name)
		}
	}
	if v.Verb == VerbMeet {
		x.checkMeet()
		return p.finish(r, &x)
	}
	for name, value := range r.Options {
		if value != "" && !slices.ContainsFunc(v.Options, func(o OptionDecl) bool { return o.Name == name }) {
			x.failLine(name, name, "together", "Other", v.Options[0].Name)
			break
		}
	}
	return p.finishPush(r, &x, v)
}

// typedVerb finds the verb of a typed command; where several share it, by what was given.
func (p *Parser) typedVerb(command string, r chat.Request) *VerbDecl {
	return meant(r.Options, func(v *VerbDecl) bool { return v.Typed == command && v.TypedSub == r.Verb })
}

// meant returns the verb that candidates share an entry with: the first whose required
// option was given, else the first.
func meant(given map[string]string, candidate func(*VerbDecl) bool) *VerbDecl {
	var found *VerbDecl
	for i := range commandDeclarations {
		v := &commandDeclarations[i]
		if !candidate(v) {
			continue
		}
		if found == nil {
			found = v
		}
		for _, o := range v.Options {
			if o.Required && given[o.Name] != "" {
				return v
			}
		}
	}
	return found
}

// setTyped gives an option the value that stands in a field of its own.
func (x *reading) setTyped(o *OptionDecl, value string) {
	value = strings.TrimSpace(clean(value))
	if value == "" {
		return
	}
	t := glued(value)
	switch {
	case o.Kind == KindSecret:
		x.set(o, word{text: unquote(t.raw, t.quoted)}) // as it is: no entities, no markup
	case t.quoted:
		x.set(o, t.word())
	case o.Kind == KindMeeting || o.Name == "url" || o.Name == "page":
		x.set(o, read(value))
	default:
		x.set(o, phrase(tokenize(value)))
	}
}

// action reads the press of a button.
func (p *Parser) action(r chat.Request) chat.Decision {
	arg := r.Action.Arg
	v, known := byButton(r.Action.Name)
	_, isRef := meeting.ParseRef(arg)
	switch {
	case !known, !isArg(arg):
		return p.tell(r, p.stale)
	case arg == "" && v.Takes != TakesNothing && v.Takes != TakesAnyMeeting,
		arg != "" && v.Takes == TakesNothing,
		arg != "" && v.takesMeeting() && !isRef:
		return p.tell(r, p.stale)
	}
	if v.Opens != "" { // a form again, with what was typed in it, which the adapter has
		asks, _ := byForm(v.Opens)
		ask := Ask{Verb: asks.Verb, Meeting: arg}
		if p.cfg.KeyPage && asks.hasKey() { // the page takes the form's place
			ask.Push.Enabled = true
			return p.accept(r, ask)
		}
		return p.open(r, v.Opens, ask)
	}
	ask := Ask{Verb: v.Verb, Arg: arg}
	if v.takesMeeting() {
		ask.Meeting = arg
	}
	return p.accept(r, ask)
}

// hasKey reports whether a stream key is given with the verb.
func (d VerbDecl) hasKey() bool {
	return slices.ContainsFunc(d.Options, func(o OptionDecl) bool { return o.Kind == KindSecret })
}

func (d VerbDecl) takesMeeting() bool { return d.Takes == TakesMeeting || d.Takes == TakesAnyMeeting }

// isArg reports whether s can be the argument of a button of ours.
func isArg(s string) bool {
	if len(s) > chat.MaxAction {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
