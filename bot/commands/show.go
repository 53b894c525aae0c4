package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

func (b *Bot) destinations() livepush.Destinations { return livepush.NewDestinations(b.store, b.now) }
func (b *Bot) keyLinks() keyLinks                  { return keyLinks{b.store, b.now} }

// giveKeyLink answers with a link to the key-entry page, where the command goes on.
func (r *run) giveKeyLink(ctx context.Context, t target) (jobs.Next, error) {
	if r.cfg.KeyPageURL == "" {
		return jobs.Next{}, texts.NewMessage("key.missing")
	}
	l := keyLink{Request: r.w.Request, Locale: r.t.Locale, Ask: r.w.Ask}
	l.Request.Origin = nil // worn out by the time the key is there
	if !t.ref.IsZero() {
		l.Ask.Meeting, l.Meeting = t.ref.String(), t.ref.ID
	}
	if t.reg != nil {
		l.Meeting = t.reg.Meeting.Topic
	}
	token, err := r.keyLinks().create(ctx, l)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeAsked)
	reply := chat.Reply{
		Title: r.t.T("keylink.title"), Text: r.t.T("keylink.text"),
		Secrets: []chat.SecretField{{Name: r.t.T("keylink.open"), Value: secret.New(r.cfg.KeyPageURL + token.Reveal()), Link: true}},
	}
	if r.keySeen() {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.key_typed"))
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}

// keySeen reports whether a chat platform has seen the key.
func (r *run) keySeen() bool { return r.w.Ask.KeyTyped && r.w.Request.Place.Platform != chat.Console }

// offerKeyLinks adds a link to the key-entry page for every destination that was not
// sent because it needs a new key. What is entered there is kept and sent to the meeting.
func (r *run) offerKeyLinks(ctx context.Context, reply *chat.Reply) error {
	if r.cfg.KeyPageURL == "" {
		return nil
	}
	for _, s := range r.w.Steps {
		if s.Fault == nil || s.Fault.ID != "dest.fresh_key" && s.Fault.ID != "dest.no_key" {
			continue
		}
		d, err := r.destinations().ByID(ctx, s.Destination)
		if err != nil {
			return err
		}
		l := keyLink{Request: r.w.Request, Locale: r.t.Locale, Meeting: r.w.Ref.ID, Destination: d.ID, Ask: grammar.Ask{
			Verb: grammar.VerbPush, Meeting: r.w.Ref.String(), Names: []string{d.Name}, Preset: d.Preset, Push: d.Target(),
		}}
		l.Request.Origin = nil
		token, err := r.keyLinks().create(ctx, l)
		if err != nil {
			return err
		}
		reply.Secrets = append(reply.Secrets, chat.SecretField{
			Name: r.t.T("keylink.for", "Name", d.Name), Value: secret.New(r.cfg.KeyPageURL + token.Reveal()), Link: true,
		})
	}
	return nil
}

// LookKey returns what a key-entry link is for, without using it up.
func (b *Bot) LookKey(ctx context.Context, token string) (KeyForm, error) {
	l, err := b.keyLinks().look(ctx, token)
	if err != nil { // a used link still answers in its own language
		return KeyForm{Locale: l.Locale}, err
	}
	return l.form(), nil
}

// SubmitKey takes what was typed into the key-entry page, once, if the person may still
// do what the link is for. The error is a *[KeyFaults] where the entry is not good enough.
func (b *Bot) SubmitKey(ctx context.Context, token string, e KeyEntry) (KeyResult, error) {
	l, err := b.keyLinks().look(ctx, token)
	if err != nil {
		return KeyResult{}, err
	}
	form := l.form()
	e, split, err := form.judge(e, b.now())
	if err != nil {
		return KeyResult{}, err
	}
	dir := b.directory(l.Request.Place.Platform)
	if dir != nil { // what came with the command is some minutes old
		l.Request.User.Rights, l.Request.User.Roles = 0, nil
	}
	allowed, err := b.cfg.Policy.Permits(ctx, dir, l.Request.Place, l.Request.User, chat.RightPush)
	if err != nil {
		return KeyResult{}, fmt.Errorf("look up whether the person still may: %w", err)
	}
	if !allowed {
		return KeyResult{}, ErrLinkRefused
	}
	err = b.keyLinks().use(ctx, token, func(ctx context.Context, l keyLink) error {
		if dir != nil {
			l.Request.User.Rights, l.Request.User.Roles = 0, nil
		}
		r, ask := l.wish(e, split, b.now())
		j, err := newJob(r, ask, b.now())
		if err == nil {
			_, err = b.store.Enqueue(ctx, j)
		}
		return err
	})
	if err != nil {
		return KeyResult{}, err
	}
	return KeyResult{Form: form, Name: e.Name, Preset: e.Preset, URL: e.URL, Split: split, Fingerprint: livepush.Fingerprint(b.store, e.Key)}, nil
}

// saveNext stores a destination, or a named set of destinations.
func (r *run) saveNext(ctx context.Context) (jobs.Next, error) {
	ask := r.w.Ask
	place, user := r.w.Request.Place, r.w.Request.User
	scope := livepush.Scope(place, user.ID)
	if len(ask.Names) == 0 && ask.Push.Key.IsZero() && r.cfg.KeyPageURL != "" {
		return r.askForKey(ctx, scope)
	}
	d := livepush.Destination{
		Name: ask.Push.Name, Preset: ask.Preset, Platform: ask.Push.Platform, URL: ask.Push.URL, Key: ask.Push.Key,
		Page: ask.Page, People: ask.People, Channels: ask.Channels, Protected: ask.Protected, Members: ask.Names,
	}
	findings := livepush.CheckPushName(d.Name)
	if d.IsSet() {
		found, missing, err := r.destinations().Resolve(ctx, scope, d.Members)
		if err != nil {
			return jobs.Next{}, err
		}
		if len(missing) > 0 {
			return jobs.Next{}, texts.NewMessage("dest.missing", "Names", r.t.Join(missing))
		}
		d.Members = nil
		for _, m := range found {
			d.Members = append(d.Members, m.Name)
		}
	} else {
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
			return jobs.Next{}, texts.NewMessage("save.no_url")
		}
		address, found := preset.Check(d.URL, d.Key, r.now())
		d.URL, d.Key = address.URL, address.Key
		findings = append(findings, found...)
	}
	if err := r.findings(findings); err != nil {
		return jobs.Next{}, err
	}
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	saved, err := r.destinations().Save(ctx, scope, d, user, admin)
	switch {
	case errors.Is(err, livepush.ErrNotOwner):
		return jobs.Next{}, texts.NewMessage("dest.owned", "Name", saved.Name, "Owner", saved.OwnerName)
	case err != nil:
		return jobs.Next{}, err
	}
	fp := livepush.Fingerprint(r.store, saved.Key)
	if err := r.audit(ctx, audit.Line{Action: audit.Save, Destination: saved.Name, Fingerprint: fp, Outcome: "saved", Step: "save"}); err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeSaved)
	reply := chat.Reply{Tone: chat.Good, Title: r.t.T("save.title", "Name", saved.Name), Fields: r.destinationFields(saved)}
	if saved.IsSet() {
		reply.Text = r.t.T("save.set", "Name", saved.Name)
	} else {
		reply.Text = r.t.T("save.next", "Name", saved.Name)
		reply.Buttons = []chat.Button{{Label: r.t.T("button.revoke"), Danger: true, Action: chat.Action{Name: string(grammar.VerbRevoke), Arg: saved.RevokeArg()}}}
	}
	if ask.Split {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.split", "URL", saved.URL))
	}
	if r.keySeen() {
		reply.Text = texts.Paragraphs(reply.Text, r.t.T("push.key_typed"))
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}

// askForKey answers a save without a key. What is saved under the name already fills the
// page, and somebody else's is refused before a key is typed in vain.
func (r *run) askForKey(ctx context.Context, scope string) (jobs.Next, error) {
	ask := &r.w.Ask
	old, err := r.destinations().ByName(ctx, scope, ask.Push.Name)
	switch {
	case errors.Is(err, livepush.ErrNoDestination):
	case err != nil:
		return jobs.Next{}, err
	default:
		admin, err := r.isAdmin(ctx)
		if err != nil {
			return jobs.Next{}, err
		}
		if !old.MayChange(r.w.Request.User.ID, admin) {
			return jobs.Next{}, texts.NewMessage("dest.owned", "Name", old.Name, "Owner", old.OwnerName)
		}
		if ask.Preset == "" && ask.Push.URL == "" {
			ask.Preset, ask.Push.URL = old.Preset, old.URL
		}
	}
	return r.giveKeyLink(ctx, target{})
}

func (r *run) destinationFields(d livepush.Destination) []chat.Field {
	if d.IsSet() {
		return []chat.Field{{Name: r.t.T("field.members"), Value: r.t.Join(d.Members)}}
	}
	fields := []chat.Field{
		{Name: r.t.T("field.platform"), Value: livepush.PresetByID(d.Preset).Name(r.t)},
		{Name: r.t.T("field.server"), Value: livepush.Host(d.URL)},
		{Name: r.t.T("field.key"), Value: r.keyText(d)},
	}
	if d.Page != "" {
		fields = append(fields, chat.Field{Name: r.t.T("link.watch"), Value: d.Page})
	}
	if d.Protected {
		fields = append(fields, chat.Field{Name: r.t.T("field.protected"), Value: r.t.T("dest.protected")})
	}
	return fields
}

func (r *run) keyText(d livepush.Destination) string {
	if d.Key.IsZero() {
		return d.KeyAge(r.t, r.now())
	}
	return livepush.Fingerprint(r.store, d.Key) + " · " + d.KeyAge(r.t, r.now())
}

func (r *run) destinationsNext(ctx context.Context) (jobs.Next, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	all, err := r.destinations().Usable(ctx, place, user.ID, admin)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeListed)
	reply := chat.Reply{Title: r.t.T("dest.title")}
	if len(all) == 0 {
		reply.Text = r.t.T("dest.none")
	}
	for _, d := range all {
		var parts []string
		for _, f := range r.destinationFields(d) {
			parts = append(parts, f.Value)
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: d.Name, Value: strings.Join(parts, " · ")})
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}

func (r *run) forgetNext(ctx context.Context) (jobs.Next, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	name := r.w.Ask.Push.Name
	if len(r.w.Ask.Names) > 0 {
		name = r.w.Ask.Names[0]
	}
	d, err := r.destinations().ByName(ctx, livepush.Scope(place, user.ID), name)
	if errors.Is(err, livepush.ErrNoDestination) {
		if len(r.w.Steps) > 0 { // by an earlier try of ours
			return r.forgotten(ctx)
		}
		return jobs.Next{}, texts.NewMessage("dest.missing", "Names", name)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	if !d.MayChange(user.ID, admin) {
		return jobs.Next{}, texts.NewMessage("dest.owned", "Name", d.Name, "Owner", d.OwnerName)
	}
	if len(r.w.Steps) == 0 { // written down first: when it is gone, nothing tells what it was
		r.w.Steps = []step{{Target: meeting.PushTarget{Name: d.Name}, Fingerprint: livepush.Fingerprint(r.store, d.Key)}}
		return jobs.RetryAt(r.now()), nil
	}
	if err := r.destinations().Forget(ctx, d); err != nil {
		return jobs.Next{}, err
	}
	return r.forgotten(ctx)
}

func (r *run) forgotten(ctx context.Context) (jobs.Next, error) {
	was := r.w.Steps[0]
	name := was.Target.Name
	if err := r.audit(ctx, audit.Line{Action: audit.Forget, Destination: name, Fingerprint: was.Fingerprint, Outcome: "forgotten", Step: "forget"}); err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeForgotten)
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("forget.done", "Name", name), Text: r.t.T("forget.still_set")})
	return jobs.Deliver(), nil
}

func (r *run) revokeNext(ctx context.Context) (jobs.Next, error) {
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	d, err := r.destinations().Revoke(ctx, r.w.Ask.Arg, r.w.Request.User.ID, admin)
	switch {
	case errors.Is(err, livepush.ErrNoDestination):
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	case errors.Is(err, livepush.ErrNotOwner):
		return jobs.Next{}, texts.NewMessage("dest.owned", "Name", d.Name, "Owner", d.OwnerName)
	case errors.Is(err, livepush.ErrKeyReplaced):
		return jobs.Next{}, texts.NewMessage("revoke.replaced", "Name", d.Name)
	case err != nil:
		return jobs.Next{}, err
	}
	if err := r.audit(ctx, audit.Line{Action: audit.Revoke, Destination: d.Name, Outcome: "revoked", Step: "revoke"}); err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeRevoked)
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("revoke.done", "Name", d.Name), Text: r.t.T("revoke.rotate")})
	return jobs.Deliver(), nil
}

// logShown is how many lines of the audit log a message has room for.
const logShown = 15

func (r *run) logNext(ctx context.Context) (jobs.Next, error) {
	// Where no meeting is named it is one that can be pushed, as with the commands it tells of.
	t, err := r.resolve(ctx, want{push: r.w.Ask.Meeting == "", vouched: true, over: true})
	if err != nil {
		return jobs.Next{}, err
	}
	lines, err := audit.New(r.store).Of(ctx, t.ref)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeShown)
	name := t.ref.ID
	if t.reg != nil {
		name = t.reg.Meeting.Topic
	}
	reply := chat.Reply{Title: r.t.T("log.title", "Topic", name)}
	if len(lines) == 0 {
		reply.Text = r.t.T("log.none")
	}
	for _, l := range lines[max(0, len(lines)-logShown):] {
		who := l.WhoName
		switch {
		case l.Who == audit.Operator:
			who = r.t.T("log.operator")
		case who == "":
			who = l.Who
		}
		reply.Fields = append(reply.Fields, chat.Field{
			Name:  l.At.Local().Format("01-02 15:04 MST"),
			Value: oneSpace(r.t.T("log.line", "Who", who, "Action", r.t.T("audit."+string(l.Action)), "Name", l.Destination, "Fingerprint", l.Fingerprint, "Outcome", r.t.T("outcome."+l.Outcome))),
		})
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}

// oneSpace closes the gaps that missing parts leave.
func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// alone reports whether nobody else would see that somebody has to approve.
func (r *run) alone(t target) bool {
	place := r.w.Request.Place
	return place.Platform == chat.Console || place.Kind == chat.InDirect && (t.reg == nil || r.openCardOf(*t.reg) == nil)
}

// openCardOf is [run.cardOf] without the cards that only one person sees.
func (r *run) openCardOf(reg registry.Registration) *chat.Receipt {
	reg.Cards = slices.DeleteFunc(slices.Clone(reg.Cards), func(c registry.Card) bool { return c.Receipt.Place.Kind == chat.InDirect })
	return r.cardOf(reg)
}

// askApproval posts, in the meeting's thread, what waits for a second person, and tells
// the requester so: in a job of its own, since this one is to wait.
func (r *run) askApproval(ctx context.Context, t target, until time.Time) error {
	ask := grammar.Ask{Verb: grammar.VerbApproval, Arg: r.job.ID, Meeting: t.ref.String(), Push: meeting.PushTarget{Enabled: !r.off()}}
	for _, s := range r.w.Steps {
		if s.Outcome == stepPending {
			ask.Names = append(ask.Names, s.Target.Name)
		}
	}
	req := r.w.Request
	req.ID = approvalRequest(r.job.ID)
	return r.enqueueOwn(ctx, work{Request: req, Ask: ask, Locale: r.t.Locale, Until: until})
}

// approvalRequest is the request of the job that asks for the approval of another.
func approvalRequest(id string) string { return "approval:" + id }

// meetingName is what people call a meeting: its topic, or its number.
func (r *run) meetingName(ctx context.Context, ref meeting.Ref) string {
	if reg, err := r.registry.Get(ctx, ref); err == nil {
		return reg.Meeting.Topic
	}
	return ref.ID
}

func (r *run) approvalNext(ctx context.Context) (jobs.Next, error) {
	ref, _ := meeting.ParseRef(r.w.Ask.Meeting)
	user := r.w.Request.User
	words := []any{"Names", r.t.Join(r.w.Ask.Names), "Number", r.meetingName(ctx, ref), "Time", r.clock(r.w.Until)}
	question := "approval"
	if !r.w.Ask.Push.Enabled {
		question = "approval.off"
	}
	d := delivery{Slot: chat.SlotThread, Place: &r.w.Request.Place, Reply: chat.Reply{
		Tone: chat.Warning, Title: r.t.T("approval.title"), Text: r.t.T(question, words...),
		Fields: []chat.Field{{Name: r.t.T("field.requester"), User: &user}},
		Buttons: []chat.Button{
			{Label: r.t.T("button.approve"), Action: chat.Action{Name: string(grammar.VerbApprove), Arg: r.w.Ask.Arg}},
			{Label: r.t.T("button.reject"), Danger: true, Action: chat.Action{Name: string(grammar.VerbReject), Arg: r.w.Ask.Arg}},
		},
	}}
	reg, err := r.registry.Get(ctx, ref)
	switch {
	case err == nil:
		if card := r.openCardOf(reg); card != nil {
			d.Root, d.Place = card, &card.Place
		}
	case !errors.Is(err, jobs.ErrNotFound):
		return jobs.Next{}, err
	}
	waits := "approval.waits"
	if d.Root == nil {
		d.Slot, waits = chat.SlotRoot, "approval.waits_here"
	}
	r.endAs(outcomeAsked)
	// First, since whoever is asked may be quick: that it waits is not to follow how it ended.
	r.tell(chat.Reply{Title: r.t.T("approval.waits.title"), Text: r.t.T(waits, words...)})
	r.put(d)
	for i := range r.job.Outbox { // later it would not be true
		r.job.Outbox[i].Until = r.w.Until
	}
	return jobs.Deliver(), nil
}

// approveNext lets a second person decide about somebody else's change.
func (r *run) approveNext(ctx context.Context) (jobs.Next, error) {
	approve := r.w.Ask.Verb == grammar.VerbApprove
	me := r.w.Request.User
	var was work
	_, err := r.store.Update(ctx, r.w.Ask.Arg, func(j *jobs.Job) error {
		var err error
		if was, err = records.Decode[work](j.Data); err != nil {
			return err
		}
		switch {
		case j.State != jobs.AwaitingApproval && was.Decision == r.job.ID: // our own, before a crash
			return errAlready
		case j.State != jobs.AwaitingApproval:
			return texts.NewMessage("approval.over")
		case was.Request.User.ID == me.ID && was.Request.Place.Platform == r.w.Request.Place.Platform:
			return texts.NewMessage("approval.self")
		}
		was.Approved, was.Decision, was.Since = &me, r.job.ID, r.now()
		if !approve {
			was.Fault = texts.NewMessage("approval.rejected", "Name", me.Name)
		}
		if j.Data, err = records.Encode(was); err != nil {
			return err
		}
		j.State, j.Attempt = jobs.Accepted, 0
		j.Created = r.now() // what it is now given to be carried out does not count the waiting
		return nil
	})
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	case err != nil && !errors.Is(err, errAlready):
		return jobs.Next{}, err
	}
	action, title := audit.Approve, "approve.done"
	if !approve {
		action, title = audit.Reject, "reject.done"
	}
	if err := r.audit(ctx, audit.Line{Action: action, Destination: strings.Join(was.targets(), ", "), Meeting: was.Ref.String(), Outcome: string(action), Step: "approve"}); err != nil {
		return jobs.Next{}, err
	}
	if approve {
		r.endAs(outcomeApprove)
		r.closeApproval(ctx, r.w.Ask.Arg, was, "approval.given", chat.Good)
	} else {
		r.endAs(outcomeReject)
		r.closeApproval(ctx, r.w.Ask.Arg, was, "approval.denied", chat.Bad)
	}
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T(title)})
	return jobs.Deliver(), nil
}

// closeApproval takes the buttons from the message that asked about a job, and says there
// what was decided. Where that message is not known the buttons say that it is too late.
func (r *run) closeApproval(ctx context.Context, id string, about work, decided string, tone chat.Tone) {
	asked, err := r.store.Get(ctx, jobID(chat.Request{ID: approvalRequest(id)}))
	if err != nil {
		return
	}
	var at posted
	if !slices.ContainsFunc(asked.Outbox, func(d jobs.Delivery) bool {
		at, err = records.Decode[posted](d.Receipt)
		return err == nil && at.Slot != chat.SlotPrivate
	}) {
		return
	}
	t := texts.For(about.Locale, r.t.Locale)
	reply := chat.Reply{
		Tone: tone, Title: t.T(decided, "Names", t.Join(about.targets())),
		Fields: []chat.Field{{Name: t.T("field.requester"), User: &about.Request.User}},
	}
	if about.Approved != nil {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.by"), User: about.Approved})
	}
	r.put(delivery{Slot: chat.SlotEdit, Place: &at.Receipt.Place, Edit: &at.Receipt, Reply: reply})
}

var errAlready = errors.New("decided already")

// askHostNext asks, in the meeting's thread, whoever can do what was not permitted.
func (r *run) askHostNext(ctx context.Context) (jobs.Next, error) {
	w, err := r.earlier(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	reg, err := r.registry.Get(ctx, w.Ref)
	if errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, texts.NewMessage("askhost.unknown")
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if first, err := r.claim(ctx, wishForever, "askhost", r.w.Ask.Arg); err != nil {
		return jobs.Next{}, err
	} else if first != nil {
		r.endAs(outcomeAsked)
		r.tell(chat.Reply{Title: r.t.T("askhost.done"), Text: r.t.T("askhost.who", "Name", reg.Requester.Name)})
		return jobs.Deliver(), nil
	}
	names := w.Ask.Names
	if len(names) == 0 {
		names = []string{w.Ask.Push.Name}
	}
	d := delivery{Slot: chat.SlotThread, Root: r.cardOf(reg), Reply: chat.Reply{
		Text: r.t.T("askhost", "Names", r.t.Join(names)), Mentions: []chat.User{reg.Requester},
		Fields:  []chat.Field{{Name: r.t.T("field.requester"), User: &w.Request.User}},
		Buttons: []chat.Button{{Label: r.t.T("button.push"), Action: chat.Action{Name: string(grammar.VerbPushForm), Arg: reg.Ref().String()}}},
	}}
	switch {
	case d.Root != nil:
		d.Place = &d.Root.Place
	case reg.Place.Platform == r.w.Request.Place.Platform: // no card to be seen from here
		d.Slot, d.Place, d.User = chat.SlotDirect, &reg.Place, &reg.Requester
	default:
		return jobs.Next{}, texts.NewMessage("power.meeting", "Name", reg.Requester.Name)
	}
	r.endAs(outcomeAsked)
	r.put(d)
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("askhost.done"), Text: r.t.T("askhost.who", "Name", reg.Requester.Name)})
	return jobs.Deliver(), nil
}

// sameDestinations makes the wish for a new Tencent meeting like an earlier one.
func (r *run) sameDestinations(ctx context.Context) error {
	reg, err := r.button(ctx)
	if err != nil {
		return err
	}
	if ok, err := r.holds(ctx, reg); err != nil {
		return err
	} else if !ok {
		return texts.NewMessage("power.meeting", "Name", reg.Requester.Name)
	}
	if err := r.mustHave(ctx, chat.RightMeet); err != nil { // the button has the right for pushes
		return err
	}
	live := true
	r.w.Ask.Provider = meeting.Tencent
	r.w.Ask.Meet = meeting.Instant{Topic: reg.Meeting.Topic, Live: &live}
	r.w.Ask.Names = nil
	for _, p := range reg.Pushes {
		if p.Destination != "" && p.Enabled {
			r.w.Ask.Names = append(r.w.Ask.Names, p.Name)
		}
	}
	return nil
}

// pushSameDestinations sets the destinations of the earlier meeting at the new one, in a
// job of its own.
func (r *run) pushSameDestinations(ctx context.Context, reg registry.Registration) error {
	if len(r.w.Ask.Names) == 0 {
		return nil
	}
	req := r.w.Request
	req.ID, req.At = "samedest:"+r.job.ID, r.now()
	return r.enqueueOwn(ctx, work{
		Request: req, Locale: r.t.Locale, Since: r.now(),
		Ask: grammar.Ask{Verb: grammar.VerbPushTo, Meeting: reg.Ref().String(), Names: r.w.Ask.Names},
	})
}

func (b *Bot) completeDestinations(ctx context.Context, r chat.Request, typed string) []chat.Choice {
	all, err := b.destinations().Usable(ctx, r.Place, r.User.ID, b.cfg.Policy.Admin(r.Place, r.User) == policy.Yes)
	if err != nil {
		b.log.WarnContext(ctx, "destinations not completed", "err", err)
		return nil
	}
	// A list is completed at its last name.
	before, last := "", typed
	if i := strings.LastIndexAny(typed, ",，、"); i >= 0 {
		_, size := utf8.DecodeRuneInString(typed[i:])
		before, last = typed[:i+size], strings.TrimSpace(typed[i+size:])
	}
	var choices []chat.Choice
	for _, d := range all {
		if strings.Contains(livepush.Fold(d.Name), livepush.Fold(last)) && !slices.Contains(strings.Split(before, ","), d.Name) {
			choices = append(choices, chat.Choice{Label: before + d.Name, Value: before + d.Name})
		}
	}
	return choices
}
