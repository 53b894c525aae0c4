package grammar

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
)

// Text speaks the language of the first locale that is not empty, and writes commands as
// people on the platform give them.
func Text(k chat.Kind, locales ...string) texts.Text {
	t := texts.For(locales...)
	return t.On(words{k, t})
}

// Text speaks the language of the first locale that is not empty, and writes commands as
// people on the platform give them.
func (p *Parser) Text(platform chat.Platform, locales ...string) texts.Text {
	return Text(p.cfg.Platforms.Of(platform), append(locales, p.cfg.Locale)...)
}

// words are the [texts.Words] of one platform, in one language.
type words struct {
	kind chat.Kind
	t    texts.Text
}

// option is an option as it was written, which [words.Command] tells from a value.
type option string

// Command implements [texts.Words]: "/livepush to bili", or, where options are typed,
// "/livepush to:bili". A verb that cannot be given there is its command alone.
func (w words) Command(verb string, args ...any) any {
	i := slices.IndexFunc(commandDeclarations, func(d VerbDecl) bool { return d.Line() == verb })
	if i < 0 {
		return "/" + verb // unreachable: a test writes all commands of all texts
	}
	d := commandDeclarations[i]
	parts := []string{w.kind.Called(d.Command)}
	switch {
	case !w.kind.Typed:
		parts = append(parts, d.Name)
	default:
		parts = []string{"/" + w.t.T("typed."+cmp.Or(d.Typed, d.Command))}
		if d.TypedSub != "" {
			parts = append(parts, w.t.T("typed."+d.Typed+"."+d.TypedSub))
		}
	}
	position := 0
	for _, arg := range args {
		switch arg := arg.(type) {
		case option:
			parts = append(parts, string(arg))
		case string:
			position++
			at := slices.IndexFunc(d.Options, func(o OptionDecl) bool { return o.Position == position })
			if w.kind.Typed && at >= 0 {
				arg = w.named(d.Options[at], arg)
			}
			parts = append(parts, arg)
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// Option implements [texts.Words]: "--live", or, where options are typed, "live:True".
func (w words) Option(name string, values ...any) any {
	value := make([]string, len(values))
	for i, v := range values {
		value[i] = fmt.Sprint(v)
	}
	if !w.kind.Typed {
		return option(strings.Join(append([]string{"--" + name}, value...), " "))
	}
	name, off := strings.CutPrefix(name, "no-")
	for _, d := range commandDeclarations {
		i := slices.IndexFunc(d.Options, func(o OptionDecl) bool { return o.Name == name })
		switch {
		case i < 0:
		case len(value) > 0:
			return option(w.named(d.Options[i], strings.Join(value, " ")))
		case off:
			return option(w.named(d.Options[i], "False"))
		case d.Options[i].Kind == KindBool:
			return option(w.named(d.Options[i], "True"))
		default:
			return option(d.Options[i].NameIn(w.t))
		}
	}
	return option(name) // unreachable: a test writes all options of all texts
}

func (w words) named(o OptionDecl, value string) string { return o.NameIn(w.t) + ":" + value }
