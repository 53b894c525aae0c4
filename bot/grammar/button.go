package grammar

import (
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// action reads the press of a button.
func (p *Parser) action(r chat.Request) chat.Decision {
	arg := r.Action.Arg
	v, known := byButton(r.Action.Name)
	_, isRef := p.cfg.Kinds.ParseRef(arg)
	switch {
	case !known, !isArg(arg):
		return p.tell(r, p.stale)
	case arg == "" && v.Takes != TakesNothing && v.Takes != TakesAnyMeeting && v.Takes != TakesAddress,
		arg != "" && v.Takes == TakesNothing,
		arg != "" && v.takesMeeting() && !isRef:
		return p.tell(r, p.stale)
	}
	if v.Help {
		return p.tell(r, func(t texts.Text) chat.Reply { return chat.Reply{Title: t.T("kept")} })
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
	if v.Takes == TakesAddress {
		ref, which, _ := strings.Cut(arg, "/")
		if _, ok := p.cfg.Kinds.ParseRef(ref); !ok && arg != "" {
			return p.tell(r, p.stale)
		}
		return p.accept(r, Ask{Verb: v.Verb, Meeting: ref, All: which == allAddresses, Which: which})
	}
	ask := Ask{Verb: v.Verb, Arg: arg}
	if v.takesMeeting() {
		ask.Meeting = arg
	}
	return p.accept(r, ask)
}

// allAddresses stands for every address of a meeting in a button's argument.
const allAddresses = "all"

// PressOff is what a button does that switches one address of a meeting off; without an
// address it asks which.
func PressOff(ref meeting.Ref, address string) chat.Action {
	if address == "" {
		return Press(VerbPushOff, ref.String())
	}
	return Press(VerbPushOff, ref.String()+"/"+address)
}

// PressOn is what a button does that switches one address of a meeting on; without an address
// it asks which.
func PressOn(ref meeting.Ref, address string) chat.Action {
	if address == "" {
		return Press(VerbPushOn, ref.String())
	}
	return Press(VerbPushOn, ref.String()+"/"+address)
}

// PressAllOff is what a button does that switches all addresses of a meeting off.
func PressAllOff(ref meeting.Ref) chat.Action { return PressOff(ref, allAddresses) }

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
