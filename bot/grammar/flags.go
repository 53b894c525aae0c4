package grammar

import (
	"strconv"
	"strings"

	"meetbot/config/near"
)

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
		name := strings.ReplaceAll(f.name, "_", "-") // as the providers' documents write theirs
		o, negated := known[name], false
		if o == nil {
			if name, no := strings.CutPrefix(name, "no-"); no {
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
		if x.spelt == nil {
			x.spelt = map[string]string{}
		}
		x.spelt[o.Name] = "--" + f.name
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
		if d := near.Distance(name, known); d < least && d*2 < max(len(known), 3) {
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
