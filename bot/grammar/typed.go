package grammar

import (
	"slices"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
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

// TypedDeclarations returns the commands for platforms where options are typed. Which
// verb is meant follows from the options that are given.
func TypedDeclarations() []TypedDecl {
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
	for _, v := range commandDeclarations {
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
