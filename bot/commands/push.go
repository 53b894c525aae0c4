package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// A push is one or more steps, each a call of its own: the provider takes one address a
// call, and each is reported on its own. Before the first one the bot looks at what is
// set, since no call changes or deletes an address; after the last one it looks again,
// and says only what it saw.

const (
	approvalFor = 10 * time.Minute
	// freshFor is how long a key is taken for new, where a platform gives a new one for
	// every session.
	freshFor = time.Hour
)

func (r *run) pushNext(ctx context.Context) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		r.current().Outcome = stepSent
	case jobs.Refused:
		r.current().Outcome = stepRefused
	case jobs.Unknown:
		r.current().Outcome = stepUnclear
	case jobs.AwaitingApproval:
		r.closeApproval(ctx, r.job.ID, r.w, "approval.lapsed", chat.Neutral)
		return jobs.Next{}, texts.NewMessage("approval.expired")
	default:
		return r.pushBegin(ctx)
	}
	return r.pushOn(ctx)
}

// pushOn makes the call of the next step that is to be sent, and reports when none is left.
func (r *run) pushOn(ctx context.Context) (jobs.Next, error) {
	for i, s := range r.w.Steps {
		if s.Outcome == stepPending {
			r.job.Call, r.job.To = i, string(r.w.Ref.Provider)
			return jobs.MakeCall(), nil
		}
	}
	return r.pushReport(ctx)
}

// current is the destination that the current call is about.
func (r *run) current() *step { return &r.w.Steps[r.job.Call] }

func (r *run) off() bool { return r.w.Ask.Verb == grammar.VerbPushOff }

// pushBegin decides what is to be sent, all of it before the first call: which meeting,
// what is set there already, and whether a second person has to agree.
func (r *run) pushBegin(ctx context.Context) (jobs.Next, error) {
	if r.w.Fault != nil { // turned down by the second person
		return jobs.Next{}, r.w.Fault
	}
	t, err := r.resolve(ctx, want{push: true})
	if err != nil {
		return jobs.Next{}, r.offerTencent(err)
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	if r.w.Ask.Verb == grammar.VerbPush && r.w.Ask.Push.Key.IsZero() {
		return r.giveKeyLink(ctx, t)
	}
	began := time.Now()
	has, err := r.pusher().Pushes(ctx, r.w.Account, r.w.Ref.ID)
	r.observe(r.w.Ref.Provider, opPushes, err, began)
	if err != nil {
		return jobs.Next{}, r.offerHost(err, t)
	}
	asked := r.w.Steps // what a second person has approved
	protected, err := r.pushSteps(ctx, has)
	if err != nil {
		return jobs.Next{}, err
	}
	if r.w.Approved != nil && slices.ContainsFunc(r.w.Steps, func(s step) bool {
		return s.Outcome == stepPending && !slices.ContainsFunc(asked, s.same)
	}) {
		return jobs.Next{}, texts.NewMessage("approval.changed")
	}
	if !protected {
		if protected, err = r.guarded(ctx, t.reg); err != nil {
			return jobs.Next{}, err
		}
	}
	if protected && r.w.Approved == nil && slices.ContainsFunc(r.w.Steps, func(s step) bool { return s.Outcome == stepPending }) {
		return r.awaitApproval(ctx, t)
	}
	r.job.Calls = len(r.w.Steps)
	return r.pushOn(ctx)
}

// pushSteps makes the steps, and marks those that are not to be sent as things are. It
// reports whether one of them is of a protected destination.
func (r *run) pushSteps(ctx context.Context, has []meeting.PushTarget) (protected bool, err error) {
	switch r.w.Ask.Verb {
	case grammar.VerbPushOff:
		return r.pushOff(ctx, has)
	case grammar.VerbPushTo:
		protected, err = r.pushSaved(ctx)
	default:
		protected, err = r.pushOne(ctx)
	}
	if err != nil {
		return false, err
	}
	r.lookBefore(has)
	return protected, r.together(has)
}

// offerTencent adds the way out where a meeting takes no push address: one that does.
func (r *run) offerTencent(err error) error {
	var told *texts.Message
	if errors.As(err, &told) && told.ID == "which.systec" {
		return offering{err, chat.Button{Label: r.t.T("button.tencent"), Action: chat.Action{Name: string(grammar.VerbTencent), Arg: r.job.ID}}}
	}
	return err
}

// offerHost adds the way out of a refusal that somebody else would not have met: to ask.
func (r *run) offerHost(err error, t target) error {
	if t.reg == nil || !errors.Is(err, meeting.ErrNotPermitted) {
		return err
	}
	f := r.faultOf(err)
	if !othersMay(f) {
		return f
	}
	return offering{f, chat.Button{Label: r.t.T("button.askhost"), Action: chat.Action{Name: string(grammar.VerbAskHost), Arg: r.job.ID}}}
}

// awaitApproval has the job wait for a second person.
func (r *run) awaitApproval(ctx context.Context, t target) (jobs.Next, error) {
	if r.alone(t) {
		return jobs.Next{}, texts.NewMessage("approval.alone")
	}
	until := r.now().Add(approvalFor)
	if err := r.askApproval(ctx, t, until); err != nil {
		return jobs.Next{}, err
	}
	return jobs.Await(until), nil
}

// same reports whether both send the same key to the same place.
func (s step) same(as step) bool {
	return s.Target.Name == as.Target.Name && s.Target.URL == as.Target.URL && s.Target.Key.Equal(as.Target.Key) && s.Target.Enabled == as.Target.Enabled
}

func (r *run) pusher() pusher {
	if p, ok := r.provider(r.w.Ref.Provider).(pusher); ok {
		return p
	}
	return absent{r.w.Ref.Provider}
}

// pushOne makes the step for an address that came with the command. With a name in
// Ask.Names it is the new key of that saved destination, which keeps it.
func (r *run) pushOne(ctx context.Context) (protected bool, _ error) {
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
	target.Enabled = true
	_, findings := preset.Check(target.URL, target.Key, r.now())
	if err := r.findings(append(livepush.CheckPushName(target.Name), findings...)); err != nil {
		return false, err
	}
	s := step{Target: target, Fingerprint: livepush.Fingerprint(r.store, target.Key)}
	if len(r.w.Ask.Names) == 1 {
		d, err := r.usable(ctx, r.w.Ask.Names[0])
		if err != nil {
			return false, err
		}
		s.Destination, protected = d.ID, d.Protected
		r.w.Steps = []step{s}
		admin, err := r.isAdmin(ctx)
		if err != nil {
			return false, err
		}
		if !d.MayChange(r.w.Request.User.ID, admin) { // who may only use it pushes with it this once
			return protected, nil
		}
		if d, err = r.destinations().SetKey(ctx, d.ID, target.URL, target.Key); err != nil {
			return false, err
		}
		line := audit.Line{Action: audit.Key, Destination: d.Name, Fingerprint: s.Fingerprint, Outcome: "saved", Meeting: r.w.Ref.String(), Step: "key"}
		if err := r.audit(ctx, line); err != nil {
			return false, err
		}
	}
	r.w.Steps = []step{s}
	return protected, nil
}

// guarded reports whether a step has the key of a protected destination, whatever it is
// called and whoever asks, its owner too: of one that is saved here or where the meeting
// was asked for, or that was set before.
func (r *run) guarded(ctx context.Context, reg *registry.Registration) (bool, error) {
	scopes := []string{livepush.Scope(r.w.Request.Place, r.w.Request.User.ID)}
	if reg != nil {
		scopes = append(scopes, livepush.Scope(reg.Place, reg.Requester.ID))
	}
	var all []livepush.Destination
	for _, scope := range slices.Compact(scopes) {
		saved, err := r.destinations().All(ctx, scope)
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
			d, err := r.destinations().ByID(ctx, p.Destination)
			switch {
			case errors.Is(err, livepush.ErrNoDestination): // forgotten since
			case err != nil:
				return false, err
			default:
				all = append(all, d)
			}
		}
	}
	return slices.ContainsFunc(r.w.Steps, func(s step) bool {
		return s.Outcome == stepPending && slices.ContainsFunc(all, func(d livepush.Destination) bool {
			return d.Protected && livepush.SameStream(d.Target(), s.Target)
		})
	}), nil
}

// usable returns the saved destination of that name, if the person may use it here.
func (r *run) usable(ctx context.Context, name string) (livepush.Destination, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	d, err := r.destinations().ByName(ctx, livepush.Scope(place, user.ID), name)
	if errors.Is(err, livepush.ErrNoDestination) {
		return d, texts.NewMessage("dest.missing", "Names", name)
	}
	if err != nil {
		return d, err
	}
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return d, err
	}
	if !d.MayUse(user.ID, place, admin) {
		return d, texts.NewMessage("dest.not_yours", "Name", d.Name, "Owner", d.OwnerName)
	}
	return d, nil
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

// pushSaved makes a step for each named destination. One whose key is missing or worn
// out becomes a step that is not sent.
func (r *run) pushSaved(ctx context.Context) (protected bool, _ error) {
	place, user := r.w.Request.Place, r.w.Request.User
	found, missing, err := r.destinations().Resolve(ctx, livepush.Scope(place, user.ID), r.w.Ask.Names)
	if err != nil {
		return false, err
	}
	if len(missing) > 0 {
		return false, texts.NewMessage("dest.missing", "Names", r.t.Join(missing))
	}
	r.w.Steps = nil
	for _, d := range found {
		if _, err := r.usable(ctx, d.Name); err != nil {
			return false, err
		}
		s := step{Target: d.Target(), Destination: d.ID, Fingerprint: livepush.Fingerprint(r.store, d.Key)}
		preset := livepush.PresetByID(d.Preset)
		_, findings := preset.Check(s.Target.URL, s.Target.Key, r.now())
		// Other warnings were seen, and overridden, when it was saved.
		findings = slices.DeleteFunc(findings, func(f livepush.Finding) bool { return !f.Limit && f.Message.ID != livepush.FindingExpired })
		switch {
		case d.Key.IsZero(), preset.FreshKey && r.now().Sub(d.KeySet) > freshFor:
			s.Outcome, s.Fault = stepRefused, texts.NewMessage("dest.fresh_key", "Name", d.Name, "Platform", preset.Name(r.t))
			if d.Key.IsZero() {
				s.Fault.ID = "dest.no_key"
			}
		case livepush.Limits(findings), len(findings) > 0 && !r.w.Ask.Override:
			s.Outcome, s.Fault = stepRefused, r.found(findings)
		}
		protected = protected || d.Protected
		r.w.Steps = append(r.w.Steps, s)
	}
	return protected, nil
}

// pushOff makes the steps that switch addresses off: what was read back, with false.
func (r *run) pushOff(ctx context.Context, has []meeting.PushTarget) (protected bool, _ error) {
	found, unsaved, err := r.destinations().Resolve(ctx, livepush.Scope(r.w.Request.Place, r.w.Request.User.ID), r.w.Ask.Names)
	if err != nil {
		return false, err
	}
	// A set stands for its members.
	names := slices.Concat(unsaved, livepush.DestinationNames(found))
	saved := map[string]livepush.Destination{}
	for _, d := range found {
		saved[livepush.Fold(d.Name)] = d
		protected = protected || d.Protected
	}
	r.w.Steps = nil
	for _, h := range has {
		if !named(names, h.Name) {
			continue
		}
		s := step{Target: h, Destination: saved[livepush.Fold(h.Name)].ID, Fingerprint: livepush.Fingerprint(r.store, h.Key)}
		if !h.Enabled {
			s.Outcome = stepAlready
		}
		s.Target.Enabled = false
		r.w.Steps = append(r.w.Steps, s)
	}
	var there []string
	for _, h := range has {
		there = append(there, h.Name)
	}
	r.w.Absent = slices.DeleteFunc(names, func(n string) bool { return named(there, n) })
	switch {
	case len(r.w.Steps) > 0:
		return protected, nil
	case len(has) == 0:
		return false, texts.NewMessage("off.nothing")
	}
	return false, texts.NewMessage("off.missing", "Names", r.t.Join(r.w.Ask.Names), "There", r.t.Join(there))
}

// named reports whether a name is among others, as destinations compare them.
func named(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return livepush.Fold(n) == livepush.Fold(name) })
}

// lookBefore marks the steps that are not to be sent, from what is set already.
func (r *run) lookBefore(has []meeting.PushTarget) {
	for i := range r.w.Steps {
		s := &r.w.Steps[i]
		if s.Outcome != stepPending {
			continue
		}
		for _, h := range has {
			switch {
			case h.URL != s.Target.URL:
			case !h.Key.Equal(s.Target.Key):
				s.Outcome = stepReplaced
			case h.Enabled:
				s.Outcome = stepAlready
			}
		}
	}
}

// together checks the documented numbers before anything is sent.
func (r *run) together(has []meeting.PushTarget) error {
	var add []meeting.PushTarget
	for _, s := range r.w.Steps {
		if s.Outcome == stepPending {
			add = append(add, s.Target)
		}
	}
	fs := livepush.CheckTogether(has, add)
	if len(fs) == 0 {
		return nil
	}
	return r.found(fs)
}

func (r *run) pushCall(ctx context.Context) error {
	s := r.current()
	began := time.Now()
	err := r.pusher().SetPush(ctx, r.w.Account, r.w.Ref.ID, s.Target)
	r.observe(r.w.Ref.Provider, opSetPush, err, began)
	s.Fault = nil
	if err != nil {
		s.Fault = r.faultOf(err)
	}
	return outcome(err)
}

// pushReconcile reads the address back. It is sent again only when it is seen to be
// absent.
func (r *run) pushReconcile(ctx context.Context) error {
	began := time.Now()
	has, err := r.pusher().Pushes(ctx, r.w.Account, r.w.Ref.ID)
	r.observe(r.w.Ref.Provider, opPushes, err, began)
	if err != nil {
		return err
	}
	switch seen(has, r.current().Target) {
	case stepSet:
		r.current().Fault = nil
		return nil
	case stepRefused:
		return jobs.ErrAbsent
	}
	return fmt.Errorf("%w: read back, and not as sent", jobs.ErrUnknown)
}

// seen compares what is set with what was wanted: stepSet, stepDiffers, or stepRefused
// when the address is absent.
func seen(has []meeting.PushTarget, want meeting.PushTarget) stepOutcome {
	for _, h := range has {
		if h.URL != want.URL {
			continue
		}
		if h.Key.Equal(want.Key) && h.Enabled == want.Enabled {
			return stepSet
		}
		return stepDiffers
	}
	if !want.Enabled { // a provider may leave out what is off
		return stepSet
	}
	return stepRefused
}

// pushReport reads everything back once more and says what is so.
func (r *run) pushReport(ctx context.Context) (jobs.Next, error) {
	began := time.Now()
	has, err := r.pusher().Pushes(ctx, r.w.Account, r.w.Ref.ID)
	r.observe(r.w.Ref.Provider, opPushes, err, began)
	if err != nil {
		if n, ok := r.again(err); ok {
			return n, nil
		}
		r.log.WarnContext(ctx, "push not read back", "job", r.job.ID, "err", err)
	}
	good, open := 0, 0
	for i := range r.w.Steps {
		s := &r.w.Steps[i]
		switch s.Outcome {
		case stepSent, stepUnclear:
			switch {
			case err != nil && s.Outcome == stepSent:
				s.Outcome = stepUnread
			case err != nil:
			case seen(has, s.Target) == stepSet:
				s.Outcome = stepSet
			case s.Outcome == stepSent:
				s.Outcome = stepDiffers
			}
		}
		switch s.Outcome {
		case stepSet, stepAlready:
			good++
		case stepUnread, stepUnclear, stepDiffers:
			open++
		}
		if err := r.logStep(ctx, i); err != nil {
			return jobs.Next{}, err
		}
	}
	reg, regErr := r.noteSeen(ctx, has, err == nil)
	if regErr != nil && !errors.Is(regErr, jobs.ErrNotFound) {
		return jobs.Next{}, regErr
	}
	switch {
	case good == len(r.w.Steps):
		r.endAs(outcomeSet)
		if r.off() {
			r.endAs(outcomeOff)
		}
	case good > 0:
		r.endAs(outcomePartly)
	case open > 0:
		r.endAs(outcomeUnknown)
	default:
		r.endAs(outcomeRefused)
	}
	reply := r.pushReply(ctx, good)
	if err := r.offerKeyLinks(ctx, &reply); err != nil {
		return jobs.Next{}, err
	}
	r.tell(reply)
	r.w.Reported = true
	if regErr == nil {
		r.announce(reg)
	}
	return jobs.Deliver(), nil
}

func (r *run) pushReply(ctx context.Context, good int) chat.Reply {
	n := strconv.Itoa
	wanted := len(r.w.Steps)
	for _, name := range r.w.Absent {
		if named(r.w.Ask.Names, name) { // of a set only what is there is meant
			wanted++
		}
	}
	reply := chat.Reply{Tone: chat.Good, Title: r.t.T("push.title", "Good", n(good), "All", n(wanted))}
	if r.off() {
		reply.Title = r.t.T("off.title", "Good", n(good), "All", n(wanted))
	}
	replaced, notPermitted := false, false
	for _, s := range r.w.Steps {
		reply.Fields = append(reply.Fields, chat.Field{Name: s.Target.Name, Value: r.stepText(ctx, s)})
		replaced = replaced || s.Outcome == stepReplaced
		notPermitted = notPermitted || othersMay(s.Fault)
	}
	for _, name := range r.w.Absent {
		reply.Fields = append(reply.Fields, chat.Field{Name: name, Value: r.t.T("step.off.absent")})
	}
	var notes []string
	switch {
	case good == 0 && !slices.ContainsFunc(r.w.Steps, func(s step) bool { return s.Outcome == stepUnread }):
		reply.Tone = chat.Bad
	case good < wanted:
		reply.Tone = chat.Warning
	}
	if good > 0 && !r.off() {
		notes = append(notes, r.t.T("push.not_on_air"))
	}
	if r.w.Ask.Split {
		notes = append(notes, r.t.T("push.split", "URL", r.w.Ask.Push.URL))
	}
	if r.keySeen() {
		notes = append(notes, r.t.T("push.key_typed"))
	}
	if replaced {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: r.t.T("button.samedest"), Action: chat.Action{Name: string(grammar.VerbSameDest), Arg: r.w.Ref.String()}})
	}
	if notPermitted {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: r.t.T("button.askhost"), Action: chat.Action{Name: string(grammar.VerbAskHost), Arg: r.job.ID}})
	}
	if good > 0 && !r.off() {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: r.t.T("button.copy"), Action: chat.Action{Name: string(grammar.VerbCopy), Arg: r.w.Ref.String()}})
	}
	reply.Text = texts.Paragraphs(notes...)
	return reply
}

func (r *run) stepText(ctx context.Context, s step) string {
	verb := "step."
	if r.off() {
		verb = "step.off."
	}
	text := r.t.T(verb + string(s.Outcome))
	if s.Fault != nil && s.Outcome == stepRefused {
		text = s.Fault.In(r.t)
	}
	if s.Fingerprint != "" {
		text += " · " + r.t.T("field.fingerprint", "Fingerprint", s.Fingerprint)
	}
	if s.Destination != "" && !r.off() {
		if d, err := r.destinations().ByID(ctx, s.Destination); err == nil && !d.Key.IsZero() {
			text += " · " + d.KeyAge(r.t, r.now())
		}
	}
	return text
}

// noteSeen remembers what was read back, so that cards and lists show it.
func (r *run) noteSeen(ctx context.Context, has []meeting.PushTarget, read bool) (registry.Registration, error) {
	if !read {
		return r.registry.Get(ctx, r.w.Ref)
	}
	changed := false
	reg, err := r.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		byName := map[string]string{}
		for _, p := range reg.Pushes {
			byName[p.Name+p.Fingerprint] = p.Destination
		}
		for _, s := range r.w.Steps {
			byName[s.Target.Name+s.Fingerprint] = s.Destination
		}
		pushes := make([]registry.Push, 0, len(has))
		for _, h := range has {
			fp := livepush.Fingerprint(r.store, h.Key)
			pushes = append(pushes, registry.Push{Name: h.Name, Fingerprint: fp, Destination: byName[h.Name+fp], Enabled: h.Enabled})
		}
		changed = !slices.Equal(pushes, reg.Pushes)
		reg.Pushes = pushes
		return changed
	})
	if err != nil || !changed && r.job.Attempt == 0 { // a try before this one may have changed it
		return reg, err
	}
	return reg, r.redraw(ctx, reg)
}

// announce says in the meeting's thread who changed what. Nothing secret is in it.
func (r *run) announce(reg registry.Registration) {
	card := r.cardOf(reg)
	if card == nil {
		return
	}
	var names []string
	for _, s := range r.w.Steps {
		switch s.Outcome {
		case stepSet, stepUnread:
			names = append(names, s.Target.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	id := "announce.set"
	if r.off() {
		id = "announce.off"
	}
	t := texts.For(reg.LocaleOf(*card), r.t.Locale)
	text := t.T(id, "Names", t.Join(names))
	if !r.off() {
		text = texts.Paragraphs(text, t.T("push.not_on_air"))
	}
	user := r.w.Request.User
	r.put(delivery{Slot: chat.SlotThread, Place: &card.Place, Root: card, Reply: chat.Reply{
		Text: text, Fields: []chat.Field{{Name: t.T("field.by"), User: &user}},
	}})
}

// cardOf returns the meeting's card that is nearest to where the command ran: people are
// mentioned there, so it has to be on the same platform.
func (r *run) cardOf(reg registry.Registration) *chat.Receipt {
	place := r.w.Request.Place
	if card := reg.ThreadAt(place); card != nil {
		return card
	}
	for _, c := range reg.Cards {
		if c.Receipt.Place.Platform == place.Platform && c.Receipt.Place.Team == place.Team {
			return &c.Receipt
		}
	}
	return nil
}

func (r *run) logStep(ctx context.Context, i int) error {
	s := r.w.Steps[i]
	id := "push" + strconv.Itoa(i)
	if r.w.Reported && i == r.job.Call { // found out after it was written down as something else
		id += "late"
	}
	action := audit.Set
	if r.off() {
		action = audit.Off
	}
	return r.audit(ctx, audit.Line{
		Action: action, Destination: s.Target.Name, Fingerprint: s.Fingerprint, Outcome: string(s.Outcome),
		Meeting: r.w.Ref.String(), Step: id,
	})
}

// audit appends a line to the log, complete with who asked for it and where.
func (r *run) audit(ctx context.Context, l audit.Line) error {
	req := r.w.Request
	l.At, l.Asked, l.Job = r.now(), req.At, r.job.ID
	l.Who, l.WhoName = req.Place.UserKey(req.User), req.User.Name
	l.Where, l.Thread = req.Place.Key(), req.Place.Thread
	if r.w.Approved != nil {
		l.Approved = req.Place.UserKey(*r.w.Approved)
	}
	return audit.New(r.store).Append(ctx, l)
}

// statusNext shows what is set, as the provider says now.
func (r *run) statusNext(ctx context.Context) (jobs.Next, error) {
	t, err := r.resolve(ctx, want{push: true})
	if err != nil {
		return jobs.Next{}, err
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	began := time.Now()
	has, err := r.pusher().Pushes(ctx, r.w.Account, r.w.Ref.ID)
	r.observe(r.w.Ref.Provider, opPushes, err, began)
	if err != nil {
		return jobs.Next{}, err
	}
	if _, err := r.noteSeen(ctx, has, true); err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	r.endAs(outcomeShown)
	reply := chat.Reply{Title: r.t.T("status.title", "Number", t.ref.ID), Text: r.t.T("status.none")}
	if t.reg != nil {
		reply.Title = r.t.T("status.title", "Number", t.reg.Meeting.Topic)
		reply.Fields = append(reply.Fields, chat.Field{Name: r.t.T("field.state"), Value: r.stateText(r.t, *t.reg)})
	}
	if len(has) > 0 {
		reply.Text = r.t.T("status.as_of", "Time", r.clock(r.now()))
	}
	for _, h := range has {
		id := "status.on"
		if !h.Enabled {
			id = "status.off"
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: h.Name, Value: r.t.T(id, "Host", livepush.Host(h.URL), "Fingerprint", livepush.Fingerprint(r.store, h.Key))})
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}
