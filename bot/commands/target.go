package commands

import (
	"context"
	"errors"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
	"slices"
	"strings"
)

func (b *Bot) completeMeetings(ctx context.Context, r chat.Request, typed string) []chat.Choice {
	regs, err := b.registry.Here(ctx, r.Place)
	if err != nil {
		b.log.WarnContext(ctx, "meetings not completed", "err", err)
		return nil
	}
	typed = strings.ToLower(typed)
	var choices []chat.Choice
	for _, reg := range regs {
		label := reg.Meeting.Topic + " · " + showCode(reg.Meeting.Code)
		if strings.Contains(strings.ToLower(label), typed) || strings.Contains(reg.Meeting.Code, typed) {
			choices = append(choices, chat.Choice{Label: label, Value: reg.Ref().String()})
		}
	}
	return choices
}

// showCode groups a meeting number as clients do: 806-146-667.
func showCode(code string) string {
	if len(code) < 9 {
		return code
	}
	return code[:3] + "-" + code[3:6] + "-" + code[6:]
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
func (r *run) resolve(ctx context.Context, need want) (target, error) {
	arg := r.w.Ask.Meeting
	if arg == "" {
		return r.resolveHere(ctx, need)
	}
	m, ok := grammar.MeetingArg(arg)
	if !ok {
		return target{}, texts.NewMessage("which.unreadable")
	}
	var refs []meeting.Ref
	switch {
	case m.ID != "" && m.Provider != "":
		refs = append(refs, meeting.Ref{Provider: m.Provider, ID: m.ID})
	case m.ID != "":
		refs = append(refs, meeting.Ref{Provider: meeting.Tencent, ID: m.ID})
	case m.Code != "":
		regs, err := r.registry.ByCode(ctx, m.Code)
		if err != nil {
			return target{}, err
		}
		for _, reg := range regs {
			p := reg.Ref().Provider
			if m.Provider == p || m.Provider == "" && (!need.push || p.Capabilities().LivePush || len(regs) == 1) {
				refs = append(refs, reg.Ref())
			}
		}
	case m.URL != "":
		regs, err := r.registry.ByJoinURL(ctx, m.URL)
		if err != nil {
			return target{}, err
		}
		for _, reg := range regs {
			refs = append(refs, reg.Ref())
		}
	}
	switch {
	case len(refs) > 1:
		return target{}, texts.NewMessage("which.tie", "Number", m.Code)
	case len(refs) == 1:
		reg, err := r.registry.Get(ctx, refs[0])
		if err == nil {
			return r.mayTouch(ctx, reg, need)
		}
		if !errors.Is(err, jobs.ErrNotFound) {
			return target{}, err
		}
		return r.foreign(ctx, refs[0], need)
	case m.Code != "":
		return r.foreignCode(ctx, m, need)
	}
	return target{}, texts.NewMessage("which.url")
}

func (r *run) resolveHere(ctx context.Context, need want) (target, error) {
	regs, err := r.registry.Here(ctx, r.w.Request.Place)
	if err != nil {
		return target{}, err
	}
	able := slices.DeleteFunc(slices.Clone(regs), func(reg registry.Registration) bool {
		return need.push && !reg.Ref().Provider.Capabilities().LivePush
	})
	if listed := slices.DeleteFunc(slices.Clone(able), registry.Registration.Unlisted); len(listed) > 0 {
		able = listed // what the provider has forgotten is hardly meant
	}
	switch {
	case len(able) == 1:
		return r.mayTouch(ctx, able[0], need)
	case len(able) > 1:
		var names []string
		for _, reg := range able {
			names = append(names, reg.Meeting.Topic+" "+showCode(reg.Meeting.Code))
		}
		return target{}, texts.NewMessage("which.several", "Meetings", strings.Join(names, r.t.T("list.apart")))
	case len(regs) > 0:
		return target{}, texts.NewMessage("which.systec")
	case need.push:
		return target{}, texts.NewMessage("which.none_push")
	}
	return target{}, texts.NewMessage("which.none")
}

// mayTouch guards a meeting that the bot made: its requester, its hosts, whoever the
// allow-list names in its channel, and admins may have the bot's account act on it.
func (r *run) mayTouch(ctx context.Context, reg registry.Registration, need want) (target, error) {
	t := target{ref: reg.Ref(), reg: &reg, account: reg.Account}
	if need.push && !t.ref.Provider.Capabilities().LivePush {
		return t, texts.NewMessage("which.systec")
	}
	ok, err := r.holds(ctx, reg)
	if err != nil {
		return t, err
	}
	if !ok {
		own := r.ownAccount()
		if own == "" || t.ref.Provider != meeting.Tencent {
			return t, texts.NewMessage("power.meeting", "Name", reg.Requester.Name)
		}
		t.account = own // the provider decides whether that account may
		if err := r.vouch(ctx, t, need); err != nil {
			return t, err
		}
	}
	if reg.Meeting.State.Over() && !need.over {
		return t, texts.NewMessage("which.over", "Topic", reg.Meeting.Topic)
	}
	return t, nil
}

// vouch asks the provider whether the person's own account knows the meeting, where no
// call follows that would.
func (r *run) vouch(ctx context.Context, t target, need want) error {
	if !need.vouched {
		return nil
	}
	_, err := r.provider(t.ref.Provider).Get(ctx, t.account, t.ref.ID)
	if errors.Is(err, meeting.ErrNotFound) || errors.Is(err, meeting.ErrNotPermitted) {
		return texts.NewMessage("power.foreign")
	}
	return err
}

// holds reports whether a person has the requester's power over a meeting.
func (r *run) holds(ctx context.Context, reg registry.Registration) (bool, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	if r.w.Request.Place.Platform == reg.Place.Platform && (user.ID == reg.Requester.ID || slices.Contains(reg.Hosts, user.ID)) {
		return true, nil
	}
	if admin, err := r.isAdmin(ctx); admin || err != nil {
		return admin, err
	}
	if grammar.Declared(r.w.Ask.Verb).Right != chat.RightPush || place.Key() != reg.Place.Key() {
		return false, nil
	}
	named, err := r.cfg.Policy.Named(ctx, r.directory(place.Platform), place, user, chat.RightPush)
	if err != nil {
		return false, r.notLookedUp(ctx, err)
	}
	return named, nil
}

// ownAccount is the provider's user that the person is mapped to; empty for none.
func (r *run) ownAccount() string {
	return r.cfg.Accounts[r.w.Request.Place.UserKey(r.w.Request.User)]
}

// foreign guards a meeting that the bot did not make: the person acts as their own
// account, or is an admin.
func (r *run) foreign(ctx context.Context, ref meeting.Ref, need want) (target, error) {
	t := target{ref: ref, account: r.ownAccount()}
	if need.push && !ref.Provider.Capabilities().LivePush {
		return t, texts.NewMessage("which.systec")
	}
	if _, ok := r.cfg.Providers[ref.Provider]; !ok {
		return t, texts.NewMessage("which.provider", "Provider", r.providerName(ref.Provider))
	}
	if t.account != "" && ref.Provider == meeting.Tencent {
		return t, r.vouch(ctx, t, need)
	}
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return t, err
	}
	if !admin {
		return t, texts.NewMessage("power.foreign")
	}
	return t, nil
}

// foreignCode looks a number up that the registry does not have. The right is checked
// before the provider is asked.
func (r *run) foreignCode(ctx context.Context, m grammar.MeetingTarget, need want) (target, error) {
	p := m.Provider
	if p == "" {
		p = meeting.Tencent
		if _, ok := r.cfg.Providers[p]; !ok {
			p = meeting.Systec
		}
	}
	t, err := r.foreign(ctx, meeting.Ref{Provider: p, ID: m.Code}, need)
	if err != nil || p == meeting.Systec { // its number is its ID
		return t, err
	}
	lookup, ok := r.cfg.Providers[p].(pusher)
	if !ok {
		return t, texts.NewMessage("which.provider", "Provider", r.providerName(p))
	}
	got, err := lookup.ByCode(ctx, t.account, m.Code)
	if err != nil {
		return t, err
	}
	t.ref = got.Ref
	return t, nil
}
