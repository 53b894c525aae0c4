package grammar

import (
	"slices"
	"strings"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/config/near"
	"meetbot/config/secret"
	"meetbot/meeting"
)

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
	if r.InTheOpen && x.exposed(tokenize(r.Text)) {
		return p.tell(r, p.exposed)
	}
	x.pushArguments(v, rest)
	return p.finishPush(r, &x, v)
}

// pushArguments reads the words that are no options, by what the verb takes in their place.
// Where an option was misspelt they may be its value, and nothing more is said of them.
func (x *reading) pushArguments(v *VerbDecl, rest []token) {
	unknown := slices.ContainsFunc(x.problems, func(p problem) bool { return p.field == "" })
	first, second := v.argument(1), v.argument(2)
	var where []token
	in := false
	if second != nil {
		rest, where, in = x.p.cutIn(rest)
	}
	switch {
	case first == nil:
		if len(rest) > 0 && !unknown {
			x.failLine("", v.Name, "extra")
		}
	case first.Kind == KindDest && len(rest) > 0:
		x.set(first, join(rest, ',')) // blanks separate names, too
	case first.Kind == KindDest:
		if !unknown && v.Takes != TakesAddress && v.Verb != VerbPushTo { // then what is set is listed, or meant
			x.fail(first, "names")
		}
	case len(rest) == 0, unknown && first.Kind == KindMeeting:
	case first.Kind == KindMeeting && v.Name == "": // the command itself, where words are more likely a mistake
		x.pushWords(v, rest, phrase(rest))
	case first.Kind == KindMeeting:
		if isIn(rest[0].raw) {
			rest = rest[1:]
		}
		if len(rest) > 0 {
			x.meetingWords(first, rest)
		}
	case len(rest) > 1 && !unknown:
		x.fail(first, "name.blank")
	default:
		x.set(first, rest[0].word())
	}
	if in {
		x.meetingWords(second, where)
	}
}

// argument returns the option at a place among the positional ones; nil if there is none.
func (v *VerbDecl) argument(position int) *OptionDecl {
	i := slices.IndexFunc(v.Options, func(o OptionDecl) bool { return o.Position == position })
	if i < 0 {
		return nil
	}
	return &v.Options[i]
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
	if _, ok := x.p.cfg.Kinds.Read(w.address()); ok {
		x.set(&v.Options[0], w)
		return
	}
	for _, t := range tokens {
		if IsPushURL(t.word().address()) {
			x.failLine("url", "--url", "push.url")
			return
		}
	}
	switch word := strings.ToLower(tokens[0].raw); {
	case x.p.cannot(word):
		x.failLine("meeting", tokens[0].raw, "push.cannot")
		return
	case x.p.nearVerb(word) != "":
		x.failLine("meeting", tokens[0].raw, "push.near", "Near", x.p.nearVerb(word))
		return
	}
	x.fail(&v.Options[0], "push.words")
}

// cannot reports whether a word is a verb of livepush that no provider here can do: they start and
// stop lives, and nothing else depends on a provider.
func (p *Parser) cannot(s string) bool {
	return p.livepush.verbs[s] == nil && slices.ContainsFunc(commandDeclarations, func(v VerbDecl) bool {
		return v.Command == commandLivepush && v.Can != nil && (v.Name == s || slices.Contains(v.Aliases, s))
	})
}

// nearVerb returns the verb of livepush that a misspelt word can be.
func (p *Parser) nearVerb(s string) string {
	if len(s) > 16 {
		return ""
	}
	for i := range p.declared {
		v := &p.declared[i]
		if v.Command == commandLivepush && len(v.Name) > 2 && near.Distance(s, v.Name) <= len(v.Name)/3 {
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
			if f.name == "key" || nearest(f.name, push) == "key" || mayHoldKey(valueWord(f.value)) {
				return true
			}
		} else if w := t.word(); mayHoldKey(w) || IsPushURL(w.address()) && x.url == "" {
			return true // without --url, what follows it may be the key
		}
	}
	return false
}

// mayHoldKey reports whether a key may be in a word: in an address, or as whatever else has a
// key's shape.
func mayHoldKey(w word) bool {
	if IsPushURL(w.address()) {
		return holdsKey(w.address())
	}
	return MayBeKey(w.address()) || MayBeKey(w.text)
}

// holdsKey reports whether a key may be in an address.
func holdsKey(address string) bool {
	a, err := meeting.SplitPush(meeting.HalfWidth(address), secret.String{})
	faults, _ := err.(meeting.PushFaults)
	return !a.Key.IsZero() || len(faults) > 1 || strings.Contains(address, "?")
}

// cutIn splits "NAME… in MEETING". A number or a link at the end is a meeting also without
// the "in": taken for a name, it would have another meeting's addresses switched off.
func (p *Parser) cutIn(tokens []token) (names, where []token, in bool) {
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
			if _, ok := p.cfg.Kinds.Read(phrase(where).address()); ok {
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
		if tokens[i].quoted || strings.ContainsRune(ListMarks, last) { // a name
			continue
		}
		if _, ok := p.cfg.Kinds.Read(phrase(tokens[i:]).address()); ok {
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
	if !v.hasKey() {
		return p.finish(r, x)
	}
	x.checkPush(v)
	if len(x.ask.Names) > 0 {
		x.checkSet(v)
		return p.finish(r, x)
	}
	x.checkGiven(v)
	if len(x.problems) > 0 || !x.ask.Push.Key.IsZero() || p.cfg.KeyPage {
		return p.finish(r, x)
	}
	return p.open(r, v.Form, x.ask)
}

// checkSet checks a set of destinations, which has a name and nothing else of its own.
func (x *reading) checkSet(v *VerbDecl) {
	for _, name := range []string{"url", "key", "preset", "page"} {
		if x.has(name) {
			x.fail(x.option(v, name), "members")
		}
	}
	name := x.ask.Push.Name
	if name == "" {
		x.fail(x.option(v, "name"), "name.missing")
	}
	x.ask.Push = meeting.PushTarget{Name: name}
}

// checkGiven says what is missing of an address. A form has all its fields; a line without
// a key is answered with a way to give one.
func (x *reading) checkGiven(v *VerbDecl) {
	noKey := x.ask.Push.Key.IsZero()
	if x.url == "" && (x.form || !noKey) {
		x.fail(x.option(v, "url"), "url.missing")
	}
	if x.form && noKey && !x.failed("key") && (x.url == "" || !x.failed("url")) {
		x.fail(x.option(v, "key"), "key.missing")
	}
	if v.Verb == VerbPushSave && !noKey && x.ask.Push.Name == "" && !x.failed("name") {
		x.fail(x.option(v, "name"), "name.missing")
	}
}

func (x *reading) failed(field string) bool {
	return slices.ContainsFunc(x.problems, func(p problem) bool { return p.field == field })
}
