package commands

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/policy"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// saved keeps destinations for the people who may use them.
type saved struct {
	dests   livepush.Destinations
	people  people
	audit   auditor
	keyPage keyPage
}

// save stores a destination, or a named set of destinations.
func (h saved) save(ctx context.Context, r *run) (jobs.Next, error) {
	ask, user := r.w.Ask, r.w.Request.User
	scope := livepush.Scope(r.w.Request.Place, user.ID)
	if len(ask.Names) == 0 && ask.Push.Key.IsZero() && h.keyPage.url != "" {
		return h.askForKey(ctx, r, scope)
	}
	wanted, err := h.wanted(ctx, r, scope)
	if err != nil {
		return jobs.Next{}, err
	}
	admin, err := h.people.isAdmin(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	d, err := h.dests.Save(ctx, scope, wanted, user, admin)
	switch {
	case errors.Is(err, livepush.ErrNotOwner):
		return jobs.Next{}, owned(d)
	case err != nil:
		return jobs.Next{}, err
	}
	if err := h.audit.add(ctx, r, audit.Line{Action: audit.Save, Destination: d.Name, Fingerprint: h.dests.Fingerprint(d.Key), Outcome: "saved", Step: "save"}); err != nil {
		return jobs.Next{}, err
	}
	reply := chat.Reply{Tone: chat.Good, Title: r.t.T("save.title", "Name", d.Name), Fields: h.fields(r, d)}
	if d.IsSet() {
		reply.Text = r.t.T("save.set", "Name", d.Name)
	} else {
		reply.Text = r.t.T("save.next", "Name", d.Name)
		if !d.Key.IsZero() {
			reply.Buttons = []chat.Button{revokeButton(r, d)}
		}
	}
	if ask.Split {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.split", "URL", d.URL))
	}
	if r.keySeen() {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.key_typed"))
	}
	return r.answer(outcomeSaved, reply)
}

// wanted is the destination that is to be saved, complete with what its preset knows; of a
// set the members are there.
func (h saved) wanted(ctx context.Context, r *run, scope string) (livepush.Destination, error) {
	ask := r.w.Ask
	d := livepush.Destination{
		Name: ask.Push.Name, Preset: ask.Preset, Platform: ask.Push.Platform, URL: ask.Push.URL, Key: ask.Push.Key,
		Page: ask.Page, People: ask.People, Channels: ask.Channels, Protected: ask.Protected,
	}
	findings := livepush.CheckPushName(d.Name)
	if len(ask.Names) > 0 {
		members, missing, err := h.dests.Resolve(ctx, scope, ask.Names)
		if err == nil && len(missing) > 0 {
			err = texts.NewMessage("dest.missing", "Names", r.t.Join(missing))
		}
		if err != nil {
			return d, err
		}
		d.Members = livepush.DestinationNames(members)
		return d, r.findings(findings)
	}
	preset := livepush.PresetByID(d.Preset)
	if d.Preset == "" {
		preset = livepush.Detect(d.URL)
	}
	d.Preset, d.Platform = preset.ID, preset.Platform
	if ask.Push.Platform == meeting.PushWeChat {
		d.Platform = meeting.PushWeChat
	}
	if d.URL == "" {
		d.URL = preset.Ingest
	}
	if d.URL == "" {
		return d, texts.NewMessage("save.no_url")
	}
	address, found := preset.Check(d.URL, d.Key, r.now())
	d.URL, d.Key = address.URL, address.Key
	return d, r.findings(append(findings, found...))
}

// askForKey answers a save without a key. What is saved under the name already fills the
// page, and somebody else's is refused before a key is typed in vain.
func (h saved) askForKey(ctx context.Context, r *run, scope string) (jobs.Next, error) {
	ask := &r.w.Ask
	old, err := h.dests.ByName(ctx, scope, ask.Push.Name)
	if err == nil {
		err = h.mayChange(ctx, r, old)
		if ask.Preset == "" && ask.Push.URL == "" {
			ask.Preset, ask.Push.URL = old.Preset, old.URL
		}
	}
	if err != nil && !errors.Is(err, livepush.ErrNoDestination) {
		return jobs.Next{}, err
	}
	return h.keyPage.give(ctx, r, target{})
}

// mayChange refuses a person who may not change a destination.
func (h saved) mayChange(ctx context.Context, r *run, d livepush.Destination) error {
	admin, err := h.people.isAdmin(ctx, r)
	if err == nil && !d.MayChange(r.w.Request.User.ID, admin) {
		return owned(d)
	}
	return err
}

// owned is the refusal of a change of somebody else's destination.
func owned(d livepush.Destination) error {
	return texts.NewMessage("dest.owned", "Name", d.Name, "Owner", d.OwnerName)
}

// usable returns the saved destination of that name, if the person may use it here.
func (h saved) usable(ctx context.Context, r *run, name string) (livepush.Destination, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	d, err := h.dests.ByName(ctx, livepush.Scope(place, user.ID), name)
	if errors.Is(err, livepush.ErrNoDestination) {
		return d, texts.NewMessage("dest.missing", "Names", name)
	}
	if err != nil {
		return d, err
	}
	admin, err := h.people.isAdmin(ctx, r)
	if err != nil {
		return d, err
	}
	if !d.MayUse(user.ID, place, admin) {
		return d, texts.NewMessage("dest.not_yours", "Name", d.Name, "Owner", d.OwnerName)
	}
	return d, nil
}

func (h saved) fields(r *run, d livepush.Destination) []chat.Field {
	if d.IsSet() {
		return []chat.Field{{Name: r.t.T("field.members"), Value: r.t.Join(d.Members)}}
	}
	fields := []chat.Field{
		{Name: r.t.T("field.platform"), Value: livepush.PresetByID(d.Preset).Name(r.t)},
		{Name: r.t.T("field.server"), Value: livepush.Host(d.URL)},
		{Name: r.t.T("field.key"), Value: h.keyText(r, d)},
	}
	if d.Page != "" {
		fields = append(fields, chat.Field{Name: r.t.T("link.watch"), Value: d.Page})
	}
	if d.Protected {
		fields = append(fields, chat.Field{Name: r.t.T("field.protected"), Value: r.t.T("dest.protected")})
	}
	return fields
}

func (h saved) keyText(r *run, d livepush.Destination) string {
	if d.Key.IsZero() {
		return d.KeyAge(r.t, r.now())
	}
	return h.dests.Fingerprint(d.Key) + " · " + d.KeyAge(r.t, r.now())
}

func (h saved) list(ctx context.Context, r *run) (jobs.Next, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	admin, err := h.people.isAdmin(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	all, err := h.dests.Usable(ctx, place, user.ID, admin)
	if err != nil {
		return jobs.Next{}, err
	}
	reply := chat.Reply{Title: r.t.T("dest.title")}
	if len(all) == 0 {
		reply.Text = r.t.T("dest.none")
	}
	for _, d := range all {
		var parts []string
		for _, f := range h.fields(r, d) {
			parts = append(parts, f.Value)
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: d.Name, Value: strings.Join(parts, " · ")})
	}
	return r.answer(outcomeListed, reply)
}

// askForget asks before a destination is forgotten: its key is gone then.
func (h saved) askForget(ctx context.Context, r *run) (jobs.Next, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	name := r.w.Ask.Push.Name
	if len(r.w.Ask.Names) > 0 {
		name = r.w.Ask.Names[0]
	}
	d, err := h.dests.ByName(ctx, livepush.Scope(place, user.ID), name)
	if errors.Is(err, livepush.ErrNoDestination) {
		err = texts.NewMessage("dest.missing", "Names", name)
	}
	if err == nil {
		err = h.mayChange(ctx, r, d)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	id := "forget.ask"
	if d.IsSet() {
		id = "forget.ask.set"
	}
	q := chat.Confirm{Title: r.t.T("forget.ask.title", "Name", d.Name), Text: r.t.T(id), Yes: r.t.T("forget.yes"), No: r.t.T("forget.no")}
	return r.question(q, grammar.Press(grammar.VerbForgetYes, d.ForgetArg()))
}

// ofButton returns the destination that a button is about: one of the team in which it was pressed,
// since another team's people can have the same IDs. Outside of every team a person is the same in all.
func (h saved) ofButton(ctx context.Context, r *run) (livepush.Destination, error) {
	id, _, _ := strings.Cut(r.w.Ask.Arg, ".")
	place, user := r.w.Request.Place, r.w.Request.User
	if scope := livepush.Scope(place, user.ID); place.Team != "" && !livepush.InScope(id, scope) {
		return livepush.Destination{}, livepush.ErrNoDestination
	}
	return h.dests.ByID(ctx, id)
}

// forget forgets the destination that the question was about, if it is still as it was then.
func (h saved) forget(ctx context.Context, r *run) (jobs.Next, error) {
	d, err := h.ofButton(ctx, r)
	if errors.Is(err, livepush.ErrNoDestination) {
		if len(r.w.Calls) > 0 { // by an earlier try of ours
			return h.forgotten(ctx, r)
		}
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	}
	if err == nil {
		err = h.mayChange(ctx, r, d)
	}
	if err == nil && d.ForgetArg() != r.w.Ask.Arg {
		err = texts.NewMessage("forget.changed", "Name", d.Name)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if len(r.w.Calls) == 0 { // written down first: when it is gone, nothing tells what it was
		r.w.Calls = []pushCall{{Target: meeting.PushTarget{Name: d.Name}, Fingerprint: h.dests.Fingerprint(d.Key)}}
		return jobs.RetryAt(r.now()), nil
	}
	if err := h.dests.Forget(ctx, d); err != nil {
		return jobs.Next{}, err
	}
	return h.forgotten(ctx, r)
}

func (h saved) forgotten(ctx context.Context, r *run) (jobs.Next, error) {
	was := r.w.Calls[0]
	name := was.Target.Name
	if err := h.audit.add(ctx, r, audit.Line{Action: audit.Forget, Destination: name, Fingerprint: was.Fingerprint, Outcome: "forgotten", Step: "forget"}); err != nil {
		return jobs.Next{}, err
	}
	return r.answer(outcomeForgotten, chat.Reply{Tone: chat.Good, Title: r.t.T("forget.done", "Name", name), Text: r.t.T("forget.still_set")})
}

// revokeButton removes the key of a destination.
func revokeButton(r *run, d livepush.Destination) chat.Button {
	return finalButton(r.platform, r.t.T("button.revoke", "Name", d.Name), revokeQuestion(r.t, d),
		grammar.Press(grammar.VerbRevoke, d.RevokeArg()), grammar.Press(grammar.VerbRevokeYes, d.RevokeArg()))
}

func revokeQuestion(t texts.Text, d livepush.Destination) chat.Confirm {
	return chat.Confirm{Title: t.T("revoke.ask.title", "Name", d.Name), Text: t.T("revoke.ask"), Yes: t.T("revoke.yes"), No: t.T("revoke.no")}
}

// askRevoke asks before a key is removed, where the platform has no question of its own.
func (h saved) askRevoke(ctx context.Context, r *run) (jobs.Next, error) {
	d, err := h.ofButton(ctx, r)
	if errors.Is(err, livepush.ErrNoDestination) {
		err = texts.NewMessage("repeat.gone")
	}
	if err == nil {
		err = h.mayChange(ctx, r, d)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	return r.question(revokeQuestion(r.t, d), grammar.Press(grammar.VerbRevokeYes, r.w.Ask.Arg))
}

func (h saved) revoke(ctx context.Context, r *run) (jobs.Next, error) {
	admin, err := h.people.isAdmin(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	d, err := h.ofButton(ctx, r)
	if err == nil {
		d, err = h.dests.Revoke(ctx, r.w.Ask.Arg, r.w.Request.User.ID, admin)
	}
	switch {
	case errors.Is(err, livepush.ErrNoDestination):
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	case errors.Is(err, livepush.ErrNotOwner):
		return jobs.Next{}, owned(d)
	case errors.Is(err, livepush.ErrKeyReplaced):
		return jobs.Next{}, texts.NewMessage("revoke.replaced", "Name", d.Name)
	case err != nil:
		return jobs.Next{}, err
	}
	if err := h.audit.add(ctx, r, audit.Line{Action: audit.Revoke, Destination: d.Name, Outcome: "revoked", Step: "revoke"}); err != nil {
		return jobs.Next{}, err
	}
	return r.answer(outcomeRevoked, chat.Reply{Tone: chat.Good, Title: r.t.T("revoke.done", "Name", d.Name), Text: r.t.T("revoke.rotate")})
}

func (h saved) complete(ctx context.Context, r chat.Request, typed string) ([]chat.Choice, error) {
	all, err := h.dests.Usable(ctx, r.Place, r.User.ID, h.people.policy.Admin(r.Place, r.User) == policy.Yes)
	if err != nil {
		return nil, err
	}
	return completeList(livepush.DestinationNames(all), typed), nil
}

// completeList completes a list at its last name.
func completeList(names []string, typed string) []chat.Choice {
	before, last := "", typed
	if i := strings.LastIndexAny(typed, grammar.ListMarks); i >= 0 {
		_, size := utf8.DecodeRuneInString(typed[i:])
		before, last = typed[:i+size], strings.TrimSpace(typed[i+size:])
	}
	there := grammar.Split(before)
	var choices []chat.Choice
	for _, name := range names {
		if strings.Contains(livepush.Fold(name), livepush.Fold(last)) && !named(there, name) {
			choices = append(choices, chat.Choice{Label: before + name, Value: before + name})
		}
	}
	return choices
}
