package grammar

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// mark says that nothing is real where nothing is.
func (p *Parser) mark(t texts.Text, r *chat.Reply) {
	if p.cfg.Sandbox {
		r.Note = t.T("sandbox.note")
	}
}

// Help explains a command: "meet" or "livepush"; any other name gets a list of both.
func (p *Parser) Help(t texts.Text, command string) chat.Reply {
	if command != commandMeet && command != commandLivepush {
		return p.overview(t, false, chat.Neutral, t.T("help.title"), t.T("help.text"))
	}
	pushed := p.pushed()
	reply := chat.Reply{Title: t.T("help." + command + ".title"), Text: t.T("help."+command+".text",
		"Provider", t.Either(pushed.Name.EN, pushed.Name.ZH), "WeChat", pushed.Push.WeChat, "Others", pushed.Push.Others)}
	for _, v := range p.declared {
		if v.Command == command && p.cfg.shows(v) {
			reply.Fields = append(reply.Fields, chat.Field{Name: p.usage(t, v), Value: v.Describe(t) + p.able(t, v)})
		}
	}
	explained := map[string]bool{}
	for _, v := range p.declared {
		heading := chat.Field{Name: t.T("help.options"), Heading: true}
		if v.Name != "" {
			heading.Name = t.T("help.options.verb", "Command", t.Command(command+" "+v.Name))
		}
		for _, o := range v.Options {
			if v.Command != command || o.Position != 0 || !p.offers(o) || explained[o.Name] {
				continue
			}
			if heading.Heading {
				reply.Fields = append(reply.Fields, heading)
				heading = chat.Field{}
			}
			explained[o.Name] = true
			reply.Fields = append(reply.Fields, chat.Field{Name: p.flagUsage(t, o), Value: p.optionHelp(t, o)})
		}
	}
	reply.Copy = t.T("help."+command+".examples", "Provider", string(pushed.ID))
	p.mark(t, &reply)
	return reply
}

// pushed is a provider whose meetings can be pushed, for the help.
func (p *Parser) pushed() meeting.Kind {
	i := slices.IndexFunc(p.cfg.Kinds, func(k meeting.Kind) bool { return k.Can.LivePush && p.cfg.offers(k) })
	if i < 0 {
		return meeting.Kind{ID: "…", Name: meeting.Words{EN: "…", ZH: "…"}}
	}
	return p.cfg.Kinds[i]
}

// optionHelp describes an option, and says which provider has it where there are both.
func (p *Parser) optionHelp(t texts.Text, o OptionDecl) string {
	takers := o.Takers()
	return o.Describe(t) + p.only(t, o.Providers, func(k meeting.Kind) bool {
		return slices.ContainsFunc(takers, func(taker meeting.Kind) bool { return taker.ID == k.ID })
	})
}

// able says which provider can do a verb where not each can whose meetings can be pushed.
func (p *Parser) able(t texts.Text, v VerbDecl) string {
	if v.Can == nil {
		return ""
	}
	return p.only(t, p.cfg.Kinds, func(k meeting.Kind) bool { return v.Can(k.Can) })
}

// only names the providers that can do something, if there are others.
func (p *Parser) only(t texts.Text, all meeting.Kinds, can func(meeting.Kind) bool) string {
	var names []string
	others := false
	for _, k := range all {
		switch {
		case !p.cfg.offers(k):
		case can(k):
			names = append(names, t.Either(k.Product.EN, k.Product.ZH))
		default:
			others = true
		}
	}
	if !others || len(p.cfg.Providers) == 1 {
		return ""
	}
	return t.T("help.only", "Provider", t.Join(names))
}

// usage writes a verb's grammar: "/livepush to NAME… [in MEETING]".
func (p *Parser) usage(t texts.Text, v VerbDecl) string {
	words := []string{t.Command(v.Command)}
	if v.Name != "" {
		words = append(words, v.Name)
	}
	flags := false
	for _, o := range v.Options {
		if o.Position == 0 {
			flags = true
			continue
		}
		word := t.T("usage." + o.Name)
		if o.Position > 1 {
			word = "in " + word
		}
		if !o.Required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	if flags {
		words = append(words, t.T("usage.options"))
	}
	return strings.Join(words, " ")
}

// flagUsage writes a flag: "--duration MINUTES".
func (p *Parser) flagUsage(t texts.Text, o OptionDecl) string {
	switch o.Kind {
	case KindBool:
		return "--" + o.Name
	case KindChoice:
		var values []string
		for _, c := range o.Choices {
			if k, is := o.Providers.Kind(meeting.Provider(c.Value)); o.Name != "provider" || !is || p.cfg.offers(k) {
				values = append(values, c.Value)
			}
		}
		return "--" + o.Name + " " + strings.Join(values, "|")
	}
	return "--" + o.Name + " " + t.T("usage."+o.Name)
}

// overview lists the commands with their verbs. Where options are typed, the platform
// itself shows what can follow a command.
func (p *Parser) overview(t texts.Text, typed bool, tone chat.Tone, title, text string) chat.Reply {
	reply := chat.Reply{Tone: tone, Title: title, Text: text}
	for _, v := range p.declared {
		switch {
		case !p.cfg.shows(v):
		case typed && v.Typed != "" && !slices.ContainsFunc(reply.Fields, func(f chat.Field) bool { return f.Name == t.Command(v.Line()) }):
			reply.Fields = append(reply.Fields, chat.Field{Name: t.Command(v.Line()), Value: v.Describe(t)})
		case !typed && v.IsJob():
			reply.Fields = append(reply.Fields, chat.Field{Name: p.usage(t, v), Value: v.Describe(t)})
		}
	}
	var notes []string
	if !typed {
		notes = append(notes, t.T("help.more"))
	}
	if p.cfg.Sandbox {
		notes = append(notes, t.T("sandbox.note"))
	}
	reply.Note = strings.Join(notes, "\n")
	return reply
}

func (p *Parser) unknownCommand(t texts.Text, typed bool) chat.Reply {
	return p.overview(t, typed, chat.Bad, t.T("parse.command.title"), t.T("parse.command"))
}

func (p *Parser) tooLong(t texts.Text) chat.Reply {
	return chat.Reply{Tone: chat.Bad, Text: t.T("parse.toolong", "Max", strconv.Itoa(maxLine>>10))}
}

// stale answers a button or a form that is not ours, or not any more.
func (p *Parser) stale(t texts.Text) chat.Reply {
	return chat.Reply{Tone: chat.Bad, Text: t.T("parse.stale")}
}

// exposed answers a key that was typed where everybody could read it.
func (p *Parser) exposed(t texts.Text) chat.Reply {
	r := chat.Reply{Tone: chat.Bad, Title: t.T("parse.exposed.title"), Text: t.T("parse.exposed")}
	r.Buttons = []chat.Button{{Label: t.T("form.push.title"), Action: Press(VerbPushForm, "")}}
	p.mark(t, &r)
	return r
}

// faulty says what is wrong with a line, or with typed options: one thing in one line, more
// of them as a list.
func (p *Parser) faulty(t texts.Text, x *reading, line bool) chat.Reply {
	r := chat.Reply{Tone: chat.Bad}
	if n := len(x.problems) + x.more; n > 1 {
		r.Title = t.T("parse.title.many", "Count", strconv.Itoa(n))
		for _, problem := range x.problems {
			r.Fields = append(r.Fields, chat.Field{Name: problem.called(t, line), Value: sentence(problem.text(t))})
		}
	} else {
		r.Text = t.T("copy.line", "Name", x.problems[0].called(t, line), "Value", x.problems[0].text(t))
	}
	if line { // behind what is wrong
		r.Note = t.T("parse.nothing_done", "Command", t.Command(Declared(x.ask.Verb).Command))
	}
	return r
}

// called is what the person sees an option called: in a line, what was typed.
func (p problem) called(t texts.Text, line bool) string {
	switch {
	case p.option == nil, line && p.typed != "":
		return p.typed
	case !line:
		return p.option.NameIn(t)
	case p.option.Position > 0:
		return strings.Trim(t.T("usage."+p.option.Name), "[]…")
	}
	return "--" + p.option.Name
}

// sentence makes one of what is said behind the name of an option.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// faults is what is wrong with a form, by field.
func (x *reading) faults(t texts.Text) map[string]string {
	m := map[string]string{}
	for _, p := range x.problems {
		if id := p.fault.ID + ".form"; t.Has(id) { // fields are not called as options are
			p.fault.ID = id
		}
		text := sentence(p.text(t))
		if before := m[p.field]; before != "" {
			text = t.Sentences(before, text)
		}
		m[p.field] = text
	}
	return m
}
