package commands

import (
	"context"
	"errors"
	"slices"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/grammar"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/bot/settings"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// pushCalls decides which calls a push is.
type pushCalls struct {
	saved saved
	dests livepush.Destinations
	audit auditor
}

// freshFor is how long a key is taken for new, where a platform gives a new one for every
// session.
const freshFor = time.Hour

// decide puts the calls into the job, and marks those that are not to be made as things are. It
// reports whether one of them is of a protected destination.
func (h pushCalls) decide(ctx context.Context, r *run, reg *registry.Registration, has []meeting.PushTarget) (protected bool, err error) {
	if p := r.w.Ref.Provider; r.standby() && r.kind(p).Push.Replaces {
		return false, texts.NewMessage("standby.none", "Provider", r.providerName(p))
	}
	switch r.w.Ask.Verb {
	case grammar.VerbPushOff:
		return false, h.toSwitch(ctx, r, reg, has)
	case grammar.VerbPushOn:
		if err := h.toSwitch(ctx, r, reg, has); err != nil {
			return false, err
		}
		return h.mine(ctx, r)
	case grammar.VerbPushTo:
		if r.w.Carried {
			protected, err = h.carried(ctx, r)
		} else {
			protected, err = h.fromSaved(ctx, r)
		}
	default:
		protected, err = h.one(ctx, r)
	}
	if err != nil {
		return false, err
	}
	lookBefore(r, has)
	return protected, together(r, has)
}

// one is the call for an address that came with the command. With a name in
// Ask.Names it is the new key of that saved destination, which keeps it.
func (h pushCalls) one(ctx context.Context, r *run) (protected bool, _ error) {
	target := r.w.Ask.Push
	preset := livepush.PresetByID(r.w.Ask.Preset)
	if r.w.Ask.Preset == "" {
		preset = livepush.Detect(target.URL)
	}
	if target.Platform == 0 {
		target.Platform = preset.Platform
	}
	if target.Name == "" {
		target.Name = cutRunes(preset.Name(r.t), meeting.MaxPushName)
	}
	target.Enabled = !r.w.Ask.Standby
	_, findings := preset.Check(target.URL, target.Key, r.now())
	if err := r.findings(append(livepush.CheckPushName(target.Name), findings...)); err != nil {
		return false, err
	}
	s := pushCall{Target: target, Fingerprint: h.dests.Fingerprint(target.Key)}
	if len(r.w.Ask.Names) == 1 {
		d, err := h.saved.usable(ctx, r, r.w.Ask.Names[0])
		if err != nil {
			return false, err
		}
		s.Destination, protected = d.ID, d.Protected
		r.w.Calls = []pushCall{s}
		admin, err := h.saved.people.isAdmin(ctx, r)
		if err != nil {
			return false, err
		}
		if !d.MayChange(r.w.Request.User.ID, admin) { // who may only use it pushes with it this once
			return protected, nil
		}
		if d, err = h.dests.SetKey(ctx, d.ID, target.URL, target.Key); err != nil {
			return false, err
		}
		line := audit.Line{Action: audit.Key, Destination: d.Name, Fingerprint: s.Fingerprint, Outcome: "saved", Meeting: r.w.Ref.String(), Step: "key"}
		if err := h.audit.add(ctx, r, line); err != nil {
			return false, err
		}
	}
	r.w.Calls = []pushCall{s}
	return protected, nil
}

// fromSaved has a call for each named destination. One whose key is missing or worn
// out has one that is not made.
func (h pushCalls) fromSaved(ctx context.Context, r *run) (protected bool, _ error) {
	place, user := r.w.Request.Place, r.w.Request.User
	found, missing, err := h.dests.Resolve(ctx, livepush.Scope(place, user.ID), r.w.Ask.Names)
	if err != nil {
		return false, err
	}
	if len(missing) > 0 {
		here, err := h.saved.people.settings.Here(ctx, place)
		if err != nil {
			return false, err
		}
		id := "dest.missing"
		if usual, _ := here.Get("destinations"); slices.Equal(settings.List(usual), r.w.Ask.Names) { // nobody typed them
			id = "dest.missing.usual"
		}
		return false, texts.NewMessage(id, "Names", r.t.Join(missing))
	}
	r.w.Calls = nil
	for _, d := range found {
		if _, err := h.saved.usable(ctx, r, d.Name); err != nil {
			return false, err
		}
		protected = protected || d.Protected
		r.w.Calls = append(r.w.Calls, h.ofSaved(r, d))
	}
	return protected, nil
}

// ofSaved is the call for a saved destination as it is now.
func (h pushCalls) ofSaved(r *run, d livepush.Destination) pushCall {
	s := pushCall{Target: d.Target(), Destination: d.ID, Fingerprint: h.dests.Fingerprint(d.Key)}
	s.Target.Enabled = !r.w.Ask.Standby
	preset := livepush.PresetByID(d.Preset)
	_, findings := preset.Check(s.Target.URL, s.Target.Key, r.now())
	// Other warnings were seen, and overridden, when it was saved.
	findings = slices.DeleteFunc(findings, func(f livepush.Finding) bool { return !f.Limit && f.Message.ID != livepush.FindingExpired })
	switch {
	case d.Key.IsZero(), preset.FreshKey && r.now().Sub(d.KeySet) > freshFor:
		s.Outcome, s.Fault = callRefused, texts.NewMessage("dest.fresh_key", "Name", d.Name, "Platform", preset.Name(r.t))
		if d.Key.IsZero() {
			s.Fault.ID = "dest.no_key"
		}
	case livepush.Limits(findings), len(findings) > 0 && !r.w.Ask.Override:
		s.Outcome, s.Fault = callRefused, r.found(findings)
	}
	return s
}

// carried completes the calls that come from another meeting: what is saved as it is saved
// now, and anything else as it was set there. What cannot be carried over says why.
func (h pushCalls) carried(ctx context.Context, r *run) (protected bool, _ error) {
	for i, s := range r.w.Calls {
		d, err := h.dests.ByID(ctx, s.Destination)
		switch {
		case errors.Is(err, livepush.ErrNoDestination): // typed, or forgotten since
			r.w.Calls[i].Destination = ""
			if s.Target.Key.IsZero() {
				r.w.Calls[i].Outcome, r.w.Calls[i].Fault = callRefused, texts.NewMessage("carry.no_key")
			}
			continue
		case err != nil:
			return false, err
		}
		_, err = h.saved.usable(ctx, r, d.Name)
		var no *texts.Message
		switch {
		case errors.As(err, &no):
			r.w.Calls[i].Outcome, r.w.Calls[i].Fault = callRefused, no
		case err != nil:
			return false, err
		default:
			protected = protected || d.Protected
			r.w.Calls[i] = h.ofSaved(r, d)
			r.w.Calls[i].Target.Enabled = s.Target.Enabled
		}
	}
	return protected, nil
}

// mine refuses to switch on what is saved for others, and reports whether a second person
// has to agree to the rest.
func (h pushCalls) mine(ctx context.Context, r *run) (protected bool, _ error) {
	admin, err := h.saved.people.isAdmin(ctx, r)
	if err != nil {
		return false, err
	}
	for i := range r.w.Calls {
		s := &r.w.Calls[i]
		if s.Outcome != callPending || s.Destination == "" {
			continue
		}
		d, err := h.dests.ByID(ctx, s.Destination)
		switch {
		case errors.Is(err, livepush.ErrNoDestination): // forgotten since
		case err != nil:
			return false, err
		case !d.MayUse(r.w.Request.User.ID, r.w.Request.Place, admin):
			s.Outcome, s.Fault = callRefused, texts.NewMessage("dest.not_yours", "Name", d.Name, "Owner", d.OwnerName)
		default:
			protected = protected || d.Protected
		}
	}
	return protected, nil
}

// toSwitch has the calls that switch addresses on or off: what was read back, with the other
// value.
func (h pushCalls) toSwitch(ctx context.Context, r *run, reg *registry.Registration, has []meeting.PushTarget) error {
	ask := r.w.Ask
	found, unsaved, err := h.dests.Resolve(ctx, livepush.Scope(r.w.Request.Place, r.w.Request.User.ID), ask.Names)
	if err != nil {
		return err
	}
	if r.w.Unread && reg != nil && (ask.All || ask.Which != "") { // what was set is all that is known
		for _, p := range reg.Pushes {
			d, err := h.dests.ByID(ctx, p.Destination)
			switch {
			case errors.Is(err, livepush.ErrNoDestination), err == nil && !ask.All && livepush.Address(d.Target()) != ask.Which, ask.All && r.on() && p.Enabled:
			case err != nil:
				return err
			default:
				found = append(found, d)
			}
		}
	}
	// A set stands for its members.
	names := slices.Concat(unsaved, livepush.DestinationNames(found))
	saved := map[string]livepush.Destination{}
	for _, d := range found {
		saved[livepush.Fold(d.Name)] = d
	}
	r.w.Calls = nil
	if r.w.Unread { // what is saved is all that is known
		for _, d := range found {
			if !d.Key.IsZero() {
				s := pushCall{Target: d.Target(), Destination: d.ID, Fingerprint: h.dests.Fingerprint(d.Key)}
				s.Target.Enabled = r.on()
				r.w.Calls = append(r.w.Calls, s)
			}
		}
		if len(r.w.Calls) == 0 {
			id := "off.unread"
			if r.on() {
				id = "on.unread"
			}
			return texts.NewMessage(id, "Provider", r.providerName(r.w.Ref.Provider))
		}
		return nil
	}
	for _, set := range has {
		switch {
		case ask.All && set.Enabled != r.on(), livepush.Address(set) == ask.Which, named(names, set.Name):
		default:
			continue
		}
		s := pushCall{Target: set, Destination: saved[livepush.Fold(set.Name)].ID, Fingerprint: h.dests.Fingerprint(set.Key)}
		if set.Enabled == r.on() {
			s.Outcome = callAlready
		}
		s.Target.Enabled = r.on()
		if reg != nil && s.Destination == "" {
			s.Destination = destinationOf(*reg, s)
		}
		r.w.Calls = append(r.w.Calls, s)
	}
	var there []string
	for _, set := range has {
		there = append(there, set.Name)
	}
	r.w.Absent = slices.DeleteFunc(names, func(n string) bool { return named(there, n) })
	switch {
	case len(r.w.Calls) > 0:
		return nil
	case r.on() && !ask.All && ask.Which == "":
		return texts.NewMessage("on.missing", "Names", r.t.Join(r.w.Ask.Names), "There", r.t.Join(there))
	case len(has) == 0, ask.All, ask.Which != "":
		if r.on() {
			return texts.NewMessage("on.nothing")
		}
		return texts.NewMessage("off.nothing")
	}
	return texts.NewMessage("off.missing", "Names", r.t.Join(r.w.Ask.Names), "There", r.t.Join(there))
}

// destinationOf returns the saved destination that was set at the meeting with that name and
// key; empty if none was.
func destinationOf(reg registry.Registration, s pushCall) string {
	for _, p := range reg.Pushes {
		if p.Name == s.Target.Name && p.Fingerprint == s.Fingerprint {
			return p.Destination
		}
	}
	return ""
}

// remembered is what was set at a meeting from what is saved, where it cannot be read back.
func (h pushCalls) remembered(ctx context.Context, reg *registry.Registration) ([]meeting.PushTarget, error) {
	if reg == nil {
		return nil, nil
	}
	var has []meeting.PushTarget
	for _, p := range reg.Pushes {
		d, err := h.dests.ByID(ctx, p.Destination)
		switch {
		case errors.Is(err, livepush.ErrNoDestination): // by hand, or forgotten since
		case err != nil:
			return nil, err
		default:
			target := d.Target()
			target.Enabled = p.Enabled
			has = append(has, target)
		}
	}
	return has, nil
}

// named reports whether a name is among others, as destinations compare them.
func named(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return livepush.Fold(n) == livepush.Fold(name) })
}

// lookBefore marks the calls that are not to be made, from what is set already. Whether an
// address may be set once more with another key, as two channels of one platform need, is
// not documented: with an override the provider decides.
func lookBefore(r *run, has []meeting.PushTarget) {
	for i := range r.w.Calls {
		s := &r.w.Calls[i]
		if s.Outcome != callPending {
			continue
		}
		set, is := setAt(has, s.Target)
		if is && livepush.Fold(set.Name) != livepush.Fold(s.Target.Name) {
			s.There = set.Name
		}
		switch {
		case !is:
		case set.Key.Equal(s.Target.Key) && set.Enabled == s.Target.Enabled:
			s.Outcome = callAlready
		case set.Key.Equal(s.Target.Key) && r.standby(): // who gets ready takes nothing off the air
			s.Outcome, s.Fault = callRefused, texts.NewMessage("standby.is_on")
		case !set.Key.Equal(s.Target.Key) && !r.w.Ask.Override && !r.kind(r.w.Ref.Provider).Push.Replaces:
			s.Outcome = callReplaced
		}
	}
}

// together checks the documented numbers before anything is sent.
func together(r *run, has []meeting.PushTarget) error {
	var add, already []meeting.PushTarget
	for _, s := range r.w.Calls {
		switch s.Outcome {
		case callPending:
			add = append(add, s.Target)
		case callAlready:
			already = append(already, s.Target)
		}
	}
	rules := r.kind(r.w.Ref.Provider).Push
	if rules.Replaces && len(add) > 0 { // what is asked for and set already would not stay
		add = append(add, already...)
	}
	fs := livepush.CheckTogether(rules, has, add, r.w.Ask.Override)
	if len(fs) == 0 {
		return nil
	}
	return r.found(fs)
}

// guarded reports whether a call has the key of a protected destination, whatever it is
// called and whoever asks, its owner too: of one that is saved here or where the meeting
// was asked for, or that was set before.
func (h pushCalls) guarded(ctx context.Context, r *run, reg *registry.Registration) (bool, error) {
	scopes := []string{livepush.Scope(r.w.Request.Place, r.w.Request.User.ID)}
	if reg != nil {
		scopes = append(scopes, livepush.Scope(reg.Place, reg.Requester.ID))
	}
	var all []livepush.Destination
	for _, scope := range slices.Compact(scopes) {
		saved, err := h.dests.All(ctx, scope)
		if err != nil {
			return false, err
		}
		all = append(all, saved...)
	}
	if reg != nil {
		for _, p := range reg.Pushes {
			if p.Destination == "" {
				continue
			}
			d, err := h.dests.ByID(ctx, p.Destination)
			switch {
			case errors.Is(err, livepush.ErrNoDestination): // forgotten since
			case err != nil:
				return false, err
			default:
				all = append(all, d)
			}
		}
	}
	return slices.ContainsFunc(r.w.Calls, func(s pushCall) bool {
		return s.Outcome == callPending && slices.ContainsFunc(all, func(d livepush.Destination) bool {
			return d.Protected && livepush.SameStream(d.Target(), s.Target)
		})
	}), nil
}

// findings refuses what is wrong with an address, unless it is all warnings and those were
// overridden.
func (r *run) findings(fs []livepush.Finding) error {
	if len(fs) == 0 || r.w.Ask.Override && !livepush.Limits(fs) {
		return nil
	}
	return r.found(fs)
}

// found says what is wrong with an address.
func (r *run) found(fs []livepush.Finding) *texts.Message {
	sentences := make([]string, len(fs))
	for i, f := range fs {
		sentences[i] = f.Text(r.t)
	}
	id := "finding.all"
	if !livepush.Limits(fs) {
		id = "finding.warnings"
	}
	return texts.NewMessage(id, "Findings", texts.Paragraphs(sentences...))
}

func cutRunes(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n])
	}
	return s
}
