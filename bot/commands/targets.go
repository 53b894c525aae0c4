package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// targets finds the meetings that commands are about, and knows who may have them acted
// upon.
type targets struct {
	registry meetings
	people   people
	clients  clients
	accounts accounts
	kinds    meeting.Kinds
}

// meetings is the part of [registry.Registry] that finds them.
type meetings interface {
	Get(ctx context.Context, ref meeting.Ref) (registry.Registration, error)
	Here(ctx context.Context, p chat.Place, limit int) ([]registry.Registration, error)
	ByCode(ctx context.Context, code string) ([]registry.Registration, error)
	ByJoinURL(ctx context.Context, url string) ([]registry.Registration, error)
}

// target is a meeting that a command is about.
type target struct {
	ref     meeting.Ref
	reg     *registry.Registration // nil: not made by the bot
	account string                 // to act as
}

// want is what a command needs of its meeting.
type want struct {
	push bool // push addresses can be set
	// vouched: nothing else asks the provider whether the person's own account may.
	vouched bool
	over    bool // it may be over
}

// resolve finds the meeting that a command means and checks that the person may have it
// acted upon. It returns a fault to be told, or an error worth another try.
func (h targets) resolve(ctx context.Context, r *run, need want) (target, error) {
	arg := r.w.Ask.Meeting
	if arg == "" {
		return h.resolveHere(ctx, r, need)
	}
	m, ok := r.kinds.Read(arg)
	if !ok {
		return target{}, texts.NewMessage("which.unreadable")
	}
	refs, of, err := h.refs(ctx, r, m, need)
	if err != nil {
		return target{}, err
	}
	switch {
	case len(refs) > 1:
		forms := make([]string, len(refs))
		for i, ref := range refs {
			forms[i] = string(ref.Provider) + ":" + cmp.Or(m.Code, m.ID)
		}
		return target{}, texts.NewMessage("which.tie", "Number", cmp.Or(m.Code, m.ID), "Forms", strings.Join(forms, " / "))
	case len(refs) == 1:
		reg, err := h.registry.Get(ctx, refs[0])
		if err == nil {
			var t target
			if t, err = h.mayTouch(ctx, r, reg, need); !errors.Is(err, errStranger) {
				return t, err
			}
			of = refs[0].Provider
		}
		switch {
		case m.Link != "" && errors.Is(err, errStranger):
			return target{}, texts.NewMessage("which.url")
		case m.Code != "" && errors.Is(err, errStranger):
			return h.foreignCode(ctx, r, m, of, need)
		case errors.Is(err, jobs.ErrNotFound), errors.Is(err, errStranger):
			t, err := h.foreign(ctx, r, refs[0], need)
			if err == nil {
				err = ofAnother(of, refs[0].Provider)
			}
			return t, err
		}
		return target{}, err
	case m.Code != "":
		return h.foreignCode(ctx, r, m, of, need)
	}
	return target{}, texts.NewMessage("which.url")
}

// ofAnother is what an account would answer that were asked for a meeting that is known to be
// another account's: it is not asked.
func ofAnother(of, asked meeting.Provider) error {
	if of == "" || of == asked || of.Kind() != asked.Kind() {
		return nil
	}
	return &meeting.APIError{Provider: asked, Op: opByCode.String(), Err: meeting.ErrNotFound}
}

// refs returns the meetings that a MEETING argument can mean: the one that it names, or
// those that the bot made with its number or its link. Those of accounts that the place may not
// use are not among them; of is the account of such a one.
func (h targets) refs(ctx context.Context, r *run, m meeting.Target, need want) (refs []meeting.Ref, of meeting.Provider, err error) {
	var regs []registry.Registration
	switch {
	case m.ID != "":
		all := h.clients.accountsOf(m.Provider)
		if len(all) == 1 && m.Provider.Account() == "" {
			return []meeting.Ref{{Provider: m.Provider, ID: m.ID}}, "", nil
		}
		for _, p := range all {
			reg, err := h.registry.Get(ctx, meeting.Ref{Provider: p, ID: m.ID})
			if err == nil {
				regs = append(regs, reg)
			} else if !errors.Is(err, jobs.ErrNotFound) {
				return nil, "", err
			}
		}
	case m.Code != "":
		regs, err = h.registry.ByCode(ctx, m.Code)
		several := len(regs) > 1
		regs = slices.DeleteFunc(regs, func(reg registry.Registration) bool {
			p := reg.Ref().Provider
			if m.Provider != "" {
				return !m.Provider.Covers(p)
			}
			return need.push && several && !r.kind(p).Can.LivePush // not meant, where another one is
		})
	case m.Link != "":
		regs, err = h.registry.ByJoinURL(ctx, m.Link)
	}
	if exact := slices.IndexFunc(regs, func(reg registry.Registration) bool { return reg.Ref().Provider == m.Provider }); exact >= 0 {
		regs = regs[exact : exact+1]
	}
	for _, reg := range regs {
		if h.walled(r, reg) {
			of = reg.Ref().Provider
			continue
		}
		refs = append(refs, reg.Ref())
	}
	if m.ID != "" && len(refs) == 0 { // perhaps one that the bot did not make
		p := m.Provider
		if i := slices.IndexFunc(r.here, p.Covers); i >= 0 {
			p = r.here[i]
		}
		refs = []meeting.Ref{{Provider: p, ID: m.ID}}
	}
	return refs, of, err
}

// walled reports whether a meeting is of a named account that the place may not use. People there
// are told what they would be told if there were no such meeting, whoever they are; where it is
// shown, and to its requester and hosts alone with the bot, it stays what it was.
func (h targets) walled(r *run, reg registry.Registration) bool {
	p, place := reg.Ref().Provider, r.w.Request.Place
	return p.Account() != "" && !slices.Contains(r.here, p) && !shownAt(reg, place) && (place.Kind != chat.InDirect || !h.theirs(r, reg))
}

// theirs reports whether the person asked for a meeting, or hosts it.
func (h targets) theirs(r *run, reg registry.Registration) bool {
	place, user := r.w.Request.Place, r.w.Request.User
	return slices.ContainsFunc(append([]string{reg.Requester.ID}, reg.Hosts...), func(id string) bool { return h.people.same(place, user.ID, reg.Place, id) })
}

func (h targets) resolveHere(ctx context.Context, r *run, need want) (target, error) {
	regs, err := h.registry.Here(ctx, r.w.Request.Place, registry.MaxHere)
	if err != nil {
		return target{}, err
	}
	able := slices.DeleteFunc(slices.Clone(regs), func(reg registry.Registration) bool {
		return need.push && !r.kind(reg.Ref().Provider).Can.LivePush
	})
	likely := slices.DeleteFunc(slices.Clone(able), func(reg registry.Registration) bool {
		return need.push && !h.suits(grammar.Declared(r.w.Ask.Verb), reg)
	})
	if len(likely) > 0 {
		able = likely
	}
	if listed := slices.DeleteFunc(slices.Clone(able), registry.Registration.Unlisted); len(listed) > 0 {
		able = listed // what the provider has forgotten is hardly meant
	}
	switch {
	case len(able) == 1:
		return h.mayTouch(ctx, r, able[0], need)
	case len(able) > 1:
		return target{}, several(r, able)
	case len(regs) > 0:
		return target{}, h.noPush(r, regs[0].Ref().Provider)
	case need.push:
		if other, ok := h.clients.pushable(r); ok {
			id := "which.none_push"
			if r.kind(other).Parameters["live"] == "" { // any meeting of its can be pushed
				id += ".any"
			}
			return target{}, texts.NewMessage(id, "Provider", string(other.Kind()))
		}
	}
	return target{}, texts.NewMessage("which.none")
}

// noPush says that a provider's meetings take no push addresses, and whose do.
func (h targets) noPush(r *run, p meeting.Provider) *texts.Message {
	if other, ok := h.clients.pushable(r); ok {
		return texts.NewMessage("which.no_push", "Provider", r.providerName(p), "Other", r.providerName(other))
	}
	return texts.NewMessage("which.no_push_anywhere", "Provider", r.providerName(p))
}

// mayTouch guards a meeting that the bot made: its requester, its hosts, whoever the
// allow-list names in its channel, and admins may have the bot's account act on it.
func (h targets) mayTouch(ctx context.Context, r *run, reg registry.Registration, need want) (target, error) {
	t := target{ref: reg.Ref(), reg: &reg, account: reg.Account}
	if h.walled(r, reg) {
		return target{}, errStranger
	}
	ok, err := h.holds(ctx, r, reg)
	if err != nil {
		return t, err
	}
	if !ok && !shownAt(reg, r.w.Request.Place) {
		return target{}, errStranger
	}
	if need.push && !r.kind(t.ref.Provider).Can.LivePush {
		return t, h.noPush(r, t.ref.Provider)
	}
	if !ok {
		own := h.accounts.own(r, t.ref.Provider)
		if own == "" {
			return t, texts.NewMessage("power.meeting", "Name", reg.Requester.Name)
		}
		t.account = own // the provider decides whether that account may
		if err := h.vouch(ctx, r, t, need); err != nil {
			return t, err
		}
	}
	if reg.Meeting.State.Over() && !need.over {
		return t, texts.NewMessage("which.over", "Topic", reg.Meeting.Topic)
	}
	return t, nil
}

// errStranger is returned of a meeting that is not shown where the person is, nor theirs:
// they are told what they would be told if there were none, since numbers can be guessed.
var errStranger = errors.New("not a meeting of this place")

// shownAt reports whether the people of a place see a meeting there.
func shownAt(reg registry.Registration, place chat.Place) bool {
	return reg.Place.Key() == place.Key() || reg.ThreadAt(place) != nil
}

// vouch asks the provider whether the person's own account knows the meeting, where no
// call follows that would.
func (h targets) vouch(ctx context.Context, r *run, t target, need want) error {
	if !need.vouched {
		return nil
	}
	_, err := h.clients.of(t.ref.Provider).Get(ctx, t.account, t.ref.ID)
	if errors.Is(err, meeting.ErrNotFound) || errors.Is(err, meeting.ErrNotPermitted) {
		return texts.NewMessage("power.foreign", "Provider", r.providerName(t.ref.Provider))
	}
	return err
}

// holds reports whether a person has the requester's power over a meeting.
func (h targets) holds(ctx context.Context, r *run, reg registry.Registration) (bool, error) {
	place := r.w.Request.Place
	if h.theirs(r, reg) {
		return true, nil
	}
	if admin, err := h.people.isAdmin(ctx, r); admin || err != nil {
		return admin, err
	}
	if grammar.Declared(r.w.Ask.Verb).Right != chat.RightPush || place.Key() != reg.Place.Key() {
		return false, nil
	}
	return h.people.named(ctx, r, chat.RightPush)
}

// foreign guards a meeting that the bot did not make: the person acts as their own
// account, or is an admin.
func (h targets) foreign(ctx context.Context, r *run, ref meeting.Ref, need want) (target, error) {
	t := target{ref: ref, account: h.accounts.own(r, ref.Provider)}
	can := r.kind(ref.Provider).Can
	if need.push && !can.LivePush {
		return t, h.noPush(r, ref.Provider)
	}
	if !h.clients.has(ref.Provider) || ref.Provider.Account() != "" && !slices.Contains(r.here, ref.Provider) {
		return t, texts.NewMessage("which.provider", "Provider", r.providerName(ref.Provider))
	}
	if !can.Foreign {
		return t, texts.NewMessage("which.none")
	}
	if t.account != "" {
		return t, h.vouch(ctx, r, t, need)
	}
	admin, err := h.people.isAdmin(ctx, r)
	if err != nil {
		return t, err
	}
	if !admin {
		return t, texts.NewMessage("power.foreign", "Provider", r.providerName(ref.Provider))
	}
	return t, nil
}

// foreignCode looks a number up that the registry does not have, or has for the account of: that
// one's meeting is not looked up at another. The right is checked before the provider is asked.
func (h targets) foreignCode(ctx context.Context, r *run, m meeting.Target, of meeting.Provider, need want) (target, error) {
	p := m.Provider
	if p == "" {
		p = h.clients.ownerOf(m.Code, r)
	} else if i := slices.IndexFunc(r.here, p.Covers); i >= 0 {
		p = r.here[i]
	}
	t, err := h.foreign(ctx, r, meeting.Ref{Provider: p, ID: m.Code}, need)
	if err == nil {
		err = ofAnother(of, p)
	}
	if err != nil || r.kind(p).CodeIsID {
		return t, err
	}
	client := h.clients.of(p)
	if !client.pushes() {
		return t, texts.NewMessage("which.provider", "Provider", r.providerName(p))
	}
	got, err := client.ByCode(ctx, t.account, m.Code)
	if err != nil {
		return t, err
	}
	t.ref = got.Ref
	return t, nil
}

// button finds the meeting that a card's button is about, made by the bot.
func (h targets) button(ctx context.Context, r *run) (registry.Registration, error) {
	ref, ok := r.kinds.ParseRef(r.w.Ask.Arg)
	if !ok {
		return registry.Registration{}, texts.NewMessage("repeat.gone")
	}
	reg, err := h.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) || err == nil && !r.w.internal() && h.walled(r, reg) {
		return registry.Registration{}, texts.NewMessage("repeat.gone")
	}
	return reg, err
}

// seenHere is [targets.button] for what shows a meeting's links: numbers can be guessed, so
// the meeting has to be shown here already, or to be the person's own.
func (h targets) seenHere(ctx context.Context, r *run) (registry.Registration, error) {
	reg, err := h.button(ctx, r)
	if isRefusal(err) {
		return reg, texts.NewMessage("power.card")
	}
	if err != nil {
		return reg, err
	}
	if shownAt(reg, r.w.Request.Place) {
		return reg, nil
	}
	ok, err := h.holds(ctx, r, reg)
	if err == nil && !ok {
		err = texts.NewMessage("power.card")
	}
	return reg, err
}

// maxOffered is how many meetings a question offers by buttons.
const maxOffered = 10

// maxOfferedTopic is how much of its topic a button shows, in characters: no platform cuts off
// the number then.
const maxOfferedTopic = 50

// several asks which of the meetings of a place is meant: by buttons where a button can ask
// the same.
func several(r *run, able []registry.Registration) error {
	var names []string
	var buttons []chat.Button
	v := grammar.Declared(r.w.Ask.Verb)
	same := v.Button != "" && len(r.w.Ask.Names) == 0 && !r.w.Ask.All && (v.Takes == grammar.TakesMeeting || v.Takes == grammar.TakesAddress)
	for i, reg := range able {
		number := showCode(reg.Meeting.Code)
		names = append(names, r.t.T("which.one", "Topic", reg.Meeting.Topic, "Number", number, "Time", r.clock(reg.Created)))
		if same && i < maxOffered {
			buttons = append(buttons, chat.Button{Label: cutRunes(reg.Meeting.Topic, maxOfferedTopic) + " · " + number, Action: grammar.Press(v.Verb, reg.Ref().String())})
		}
	}
	id := "which.several"
	if len(buttons) > 0 {
		id = "which.several.buttons"
	}
	return offering{texts.NewMessage(id, "Meetings", strings.Join(names, r.t.T("list.apart"))), buttons}
}

// suits reports whether a meeting's provider can do what a verb asks of it.
func (h targets) suits(v grammar.VerbDecl, reg registry.Registration) bool {
	can := kindOf(h.kinds, reg.Ref().Provider).Can
	return (v.Right != chat.RightPush || can.LivePush) && (v.Can == nil || v.Can(can))
}

func (h targets) complete(ctx context.Context, r chat.Request, v grammar.VerbDecl, typed string) ([]chat.Choice, error) {
	regs, err := h.registry.Here(ctx, r.Place, registry.MaxHere)
	if err != nil {
		return nil, err
	}
	typed = strings.ToLower(typed)
	var choices []chat.Choice
	for _, reg := range regs {
		if !h.suits(v, reg) {
			continue
		}
		label := reg.Meeting.Topic + " · " + showCode(reg.Meeting.Code)
		if strings.Contains(strings.ToLower(label), typed) || strings.Contains(reg.Meeting.Code, typed) {
			choices = append(choices, chat.Choice{Label: label, Value: reg.Ref().String()})
		}
	}
	return choices, nil
}

// completeOff proposes what can be switched off here: all, or what is set by name.
func (h targets) completeOff(ctx context.Context, r chat.Request, typed string) ([]chat.Choice, error) {
	return h.completeSet(ctx, r, typed, true)
}

// completeOn proposes what can be switched on here.
func (h targets) completeOn(ctx context.Context, r chat.Request, typed string) ([]chat.Choice, error) {
	return h.completeSet(ctx, r, typed, false)
}

func (h targets) completeSet(ctx context.Context, r chat.Request, typed string, enabled bool) ([]chat.Choice, error) {
	regs, err := h.registry.Here(ctx, r.Place, registry.MaxHere)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, reg := range regs {
		for _, p := range reg.Pushes {
			if p.Enabled == enabled && !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	if len(names) > 0 {
		names = append([]string{"all"}, names...)
	}
	return completeList(names, typed), nil
}

// accounts says as which of a provider's users a person acts.
type accounts map[meeting.Provider]Accounts

// own is the provider's user that the person is mapped to; empty for none.
func (h accounts) own(r *run, p meeting.Provider) string { return h.of(r, p, r.w.Request.User) }

func (h accounts) of(r *run, p meeting.Provider, who chat.User) string {
	return h[p].Persons[r.platform.Named(r.w.Request.Place, who)]
}

// showCode groups a meeting number as clients do: 806-146-667, 812-3456-7890.
func showCode(code string) string {
	switch n := len(code); {
	case n < 9:
		return code
	case n == 11:
		return code[:3] + "-" + code[3:7] + "-" + code[7:]
	}
	return code[:3] + "-" + code[3:6] + "-" + code[6:]
}
