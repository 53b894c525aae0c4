package grammar

import (
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// TypedDecl declares one command of a platform where options are typed. It has either
// Options or Subs.
type TypedDecl struct {
	Name    string
	Verb    Verb // the first verb that it can mean, which describes it; of a command with Subs: empty
	Right   chat.Rights
	Options []OptionDecl // required ones first
	Subs    []TypedDecl
}

// TypedDeclarations returns the commands for platforms where options are typed, with what
// depends on the providers that there are. Which verb is meant follows from the options that
// are given.
func TypedDeclarations(providers ...meeting.Kind) []TypedDecl {
	var all []TypedDecl
	find := func(in *[]TypedDecl, name string, v VerbDecl) *TypedDecl {
		for i := range *in {
			if (*in)[i].Name == name {
				return &(*in)[i]
			}
		}
		*in = append(*in, TypedDecl{Name: name, Right: v.Right})
		return &(*in)[len(*in)-1]
	}
	for _, v := range Declarations(providers...) {
		if v.Typed == "" {
			continue
		}
		c := find(&all, v.Typed, v)
		if v.TypedSub != "" {
			c = find(&c.Subs, v.TypedSub, v)
		}
		merged := c.Verb != ""
		if !merged {
			c.Verb = v.Verb
		}
		for _, o := range v.Options {
			if merged {
				o.Required = false
			}
			if !slices.ContainsFunc(c.Options, func(have OptionDecl) bool { return have.Name == o.Name }) {
				c.Options = append(c.Options, o)
			}
		}
		slices.SortStableFunc(c.Options, func(a, b OptionDecl) int {
			switch {
			case a.Required == b.Required:
				return 0
			case a.Required:
				return -1
			}
			return 1
		})
	}
	return all
}

// NameIn returns the name of the typed command or, with the command it belongs to, of the
// sub-command in the language.
func (d TypedDecl) NameIn(t texts.Text, of string) string {
	if of != "" {
		of += "."
	}
	return t.T("typed." + of + d.Name)
}

// Describe returns the one-line description of the typed command or sub-command.
func (d TypedDecl) Describe(t texts.Text) string {
	if d.Verb == "" {
		return t.T("typed." + d.Name + ".about")
	}
	return t.T("verb." + d.Verb.TextID())
}

// typed reads options that the platform has typed.
func (p *Parser) typed(r chat.Request, command string) chat.Decision {
	v := p.typedVerb(command, r)
	if v == nil {
		return p.unknown(r)
	}
	if v.Command == commandMeet && p.misplaced(meetGiven(r)...) {
		return p.keptBack(r)
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
		x.ask.Doubt, x.ask.Meant = p.doubt(tokenize(r.Options["topic"]))
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
	return p.meant(r.Options, func(v *VerbDecl) bool { return v.Typed == command && v.TypedSub == r.Verb })
}

// meant returns the verb that candidates share an entry with: the first whose required
// option was given, else the first.
func (p *Parser) meant(given map[string]string, candidate func(*VerbDecl) bool) *VerbDecl {
	var found *VerbDecl
	for i := range p.declared {
		v := &p.declared[i]
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
