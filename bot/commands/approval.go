package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// approvals has a second person decide about a change of a protected destination. The job
// that waits is not touched but by the decision, and what is asked is a job of its own. What
// is shown is pinned in the job that waits, and each question has a button of its own: to
// press one decides about nothing but what that question showed.
type approvals struct {
	store    waitingJobs
	docs     records.Store
	registry known
	queue    queue
	audit    auditor
	people   people
	dests    livepush.Destinations
}

// waitingJobs is the part of [jobs.Store] that a decision is entered in.
type waitingJobs interface {
	Get(ctx context.Context, id string) (jobs.Job, error)
	Update(ctx context.Context, id string, change func(*jobs.Job) error) (jobs.Job, error)
}

// pinned is what one question for approval is about, besides the steps.
type pinned struct {
	Question string // names the question
	Round    int    // which one of the job it is
	Ref      meeting.Ref
	Made     string // the job that made the meeting: a number can be used again
	Account  string
}

func pin(t target) pinned {
	p := pinned{Ref: t.ref, Account: t.account}
	if t.reg != nil {
		p.Made = t.reg.Job
	}
	return p
}

// covers reports whether what is to be sent now was shown: at this meeting, as this account,
// and of the steps each that is pending.
func (p *pinned) covers(t target, shown, now []pushCall) bool {
	if p == nil {
		return false
	}
	is := pin(t)
	is.Question, is.Round = p.Question, p.Round
	return is == *p && !slices.ContainsFunc(now, func(s pushCall) bool {
		return s.Outcome == callPending && !slices.ContainsFunc(shown, s.same)
	})
}

// same reports whether both send the same key to the same place, under one name.
func (s pushCall) same(as pushCall) bool {
	a, b := s.Target, as.Target
	return s.Destination == as.Destination && a.Name == b.Name && a.URL == b.URL && a.Key.Equal(b.Key) && a.Enabled == b.Enabled && a.Platform == b.Platform
}

// approvalFor is how long a second person has to decide.
const approvalFor = 10 * time.Minute

// await has the job wait for a second person.
func (h approvals) await(ctx context.Context, r *run, t target) (jobs.Next, error) {
	if hasNoApprover(r, t) {
		return jobs.Next{}, texts.NewMessage("approval.alone")
	}
	p := pin(t)
	if r.w.Pinned != nil {
		p.Round = r.w.Pinned.Round + 1
	}
	id := []string{"approval", r.job.ID, strconv.Itoa(p.Round), p.Ref.String(), p.Made, p.Account}
	for _, s := range r.w.Calls {
		id = append(id, s.Target.Name, s.Target.URL, s.Fingerprint, s.Destination, string(s.Outcome))
	}
	p.Question = records.ShortHash(id...)
	until := r.now().Add(approvalFor)
	again := r.w.Approved != nil
	r.w.Pinned, r.w.Approved, r.w.Decision = &p, nil, ""
	r.w.Ask.Meeting = t.ref.String() // whichever meeting is here when it is decided
	if err := h.ask(ctx, r, t, until, again); err != nil {
		return jobs.Next{}, err
	}
	key := []string{docWaiting, t.ref.String(), p.Question}
	_, err := h.docs.PutDoc(ctx, jobs.Doc{Key: key, Value: []byte(approvalArg(r.job.ID, &p)), Expires: until})
	if err != nil && !errors.Is(err, jobs.ErrConflict) { // a try before this one has put it there
		return jobs.Next{}, err
	}
	return jobs.Await(until), nil
}

// docWaiting is the key of what waits for a second person: meeting and question → the argument of
// its buttons.
const docWaiting = "waiting"

// withdraw rejects what waits to go on the air from a meeting where it is switched off now: nobody
// is to approve it after that. It may be repeated.
func (h approvals) withdraw(ctx context.Context, r *run) error {
	docs, err := h.docs.Docs(ctx, 0, docWaiting, r.w.Ref.String())
	if err != nil || len(docs) == 0 {
		return err
	}
	found, names, err := h.dests.Resolve(ctx, livepush.Scope(r.w.Request.Place, r.w.Request.User.ID), r.w.Ask.Names)
	if err != nil {
		return err
	}
	names = append(names, livepush.DestinationNames(found)...) // a set stands for its members
	r.w.Withdrawn = nil
	for _, doc := range docs {
		id, question, _ := strings.Cut(string(doc.Value), ".")
		was, err := h.enter(ctx, r, id, question, false, func(was work) bool {
			pending := slices.DeleteFunc(slices.Clone(was.Calls), func(s pushCall) bool { return s.Outcome != callPending || !s.Target.Enabled })
			return len(pending) > 0 && !slices.ContainsFunc(pending, func(s pushCall) bool { return !r.w.Ask.All && !named(names, s.Target.Name) })
		})
		switch {
		case isRefusal(err), errors.Is(err, jobs.ErrNotFound), errors.Is(err, records.ErrUnreadable): // decided, or not meant
			continue
		case err != nil:
			return err
		}
		l := audit.Line{Action: audit.Reject, Destination: strings.Join(was.targets(), ", "), Meeting: was.Ref.String(), Outcome: string(audit.Reject), Step: "withdraw" + question}
		if err := h.audit.add(ctx, r, l); err != nil {
			return err
		}
		h.close(ctx, r, was, "approval.denied", chat.Bad)
		r.w.Withdrawn = append(r.w.Withdrawn, was.targets()...)
	}
	return nil
}

// hasNoApprover reports whether nobody else would see that somebody has to approve.
func hasNoApprover(r *run, t target) bool {
	place := r.w.Request.Place
	return r.platform.Alone || place.Kind == chat.InDirect && (t.reg == nil || r.openCardOf(*t.reg) == nil)
}

// openCardOf is [run.cardOf] without the cards that only one person sees.
func (r *run) openCardOf(reg registry.Registration) *chat.Receipt {
	reg.Cards = slices.DeleteFunc(slices.Clone(reg.Cards), func(c registry.Card) bool { return c.Receipt.Place.Kind == chat.InDirect })
	return r.cardOf(reg)
}

// ask posts, in the meeting's thread, what waits for a second person, and tells
// the requester so: in a job of its own, since this one is to wait.
func (h approvals) ask(ctx context.Context, r *run, t target, until time.Time, again bool) error {
	ask := grammar.Ask{Verb: grammar.VerbApproval, Arg: approvalArg(r.job.ID, r.w.Pinned), Meeting: t.ref.String()}
	name := t.ref.ID
	if t.reg != nil {
		name = t.reg.Meeting.Topic + " · " + showCode(t.reg.Meeting.Code)
	}
	shown := []chat.Field{{Name: r.public().T("field.meeting"), Value: name}}
	var dests []livepush.Destination
	for _, s := range r.w.Calls {
		if s.Outcome != callPending {
			continue
		}
		ask.Names = append(ask.Names, s.Target.Name)
		d, err := h.dests.ByID(ctx, s.Destination)
		switch {
		case err == nil:
			dests = append(dests, d)
		case !errors.Is(err, livepush.ErrNoDestination):
			return err
		}
		shown = append(shown, chat.Field{Name: s.Target.Name, Value: h.shows(r, s, d)})
	}
	req := r.w.Request
	req.ID = approvalRequest(r.w.Pinned)
	w := work{Request: req, Ask: ask, Locale: r.t.Locale, Public: r.w.Public, Until: until, Shown: shown, Tell: h.approvers(ctx, r, t, dests)}
	if again {
		w.Fault = texts.NewMessage("approval.changed")
	}
	return h.queue.own(ctx, w)
}

// shows is what two people can compare of an address: where it is, and which key it has.
func (h approvals) shows(r *run, s pushCall, d livepush.Destination) string {
	t := r.public()
	parts := []string{livepush.Host(s.Target.URL), t.T("field.fingerprint", "Fingerprint", s.Fingerprint)}
	if !s.Target.Enabled {
		parts = append(parts, t.T("field.standby"))
	}
	switch d.ID {
	case "":
		parts = append(parts, t.T("approval.by_hand"))
	default:
		parts = append(parts, d.KeyAge(t, r.now()))
		if d.Moved.After(d.Vouched) {
			parts = append(parts, t.T("approval.moved", "From", d.From))
		}
	}
	return strings.Join(parts, " · ")
}

// maxApprovers bounds how many people one question calls.
const maxApprovers = 10

// approvers are those who can approve, as far as they are known by name: people of the
// allow-lists, of the meeting and of the destinations.
func (h approvals) approvers(ctx context.Context, r *run, t target, dests []livepush.Destination) []chat.User {
	place := r.w.Request.Place
	ids := h.people.policy.People(place, chat.RightPush)
	if t.reg != nil && t.reg.Place.Platform == place.Platform && t.reg.Place.Team == place.Team {
		ids = slices.Concat(ids, []string{t.reg.Requester.ID}, t.reg.Hosts)
	}
	for _, d := range dests {
		ids = slices.Concat(ids, []string{d.Owner}, d.People)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // to call nobody is better than to wait
	defer cancel()
	var found []chat.User
	for i, id := range ids {
		if len(found) == maxApprovers || i == 2*maxApprovers {
			break
		}
		if id == r.w.Request.User.ID || slices.Contains(ids[:i], id) {
			continue
		}
		u := chat.User{ID: id}
		if err := h.people.may(ctx, place, u, chat.RightPush, r.w.Lists); err == nil {
			found = append(found, u)
		}
	}
	return found
}

// vouch remembers of the destinations that a second person has seen where they lead.
func (h approvals) vouch(ctx context.Context, r *run) error {
	for _, s := range r.w.Calls {
		if s.Destination == "" {
			continue
		}
		if err := h.dests.Vouch(ctx, s.Destination, s.Target.URL); err != nil && !errors.Is(err, livepush.ErrNoDestination) {
			return err
		}
	}
	return nil
}

// approvalRequest is the request of the job that asks a question.
func approvalRequest(p *pinned) string { return "approval:" + p.Question }

// approvalArg is what the buttons of a question name: a job, and what was shown of it.
func approvalArg(id string, p *pinned) string { return id + "." + p.Question }

func (h approvals) question(ctx context.Context, r *run) (jobs.Next, error) {
	ref, _ := r.kinds.ParseRef(r.w.Ask.Meeting)
	user := r.w.Request.User
	reg, err := h.registry.Get(ctx, ref)
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	words := []any{"Names", r.t.Join(r.w.Ask.Names), "Number", cmp.Or(reg.Meeting.Topic, ref.ID), "Time", r.clock(r.w.Until)}
	t := r.public()
	text := t.T("approval", words...)
	if r.w.Fault != nil {
		text = texts.Paragraphs(r.w.Fault.In(t), text)
	}
	d := delivery{Slot: chat.SlotThread, Place: &r.w.Request.Place, Reply: chat.Reply{
		Tone: chat.Warning, Title: t.T("approval.title"), Text: text, Mentions: r.w.Tell,
		Fields: append([]chat.Field{{Name: t.T("field.requester"), User: &user}}, r.w.Shown...),
		Buttons: []chat.Button{
			{Label: t.T("button.approve"), Action: grammar.Press(grammar.VerbApprove, r.w.Ask.Arg)},
			{Label: t.T("button.reject"), Danger: true, Action: grammar.Press(grammar.VerbReject, r.w.Ask.Arg)},
		},
	}}
	if card := r.openCardOf(reg); card != nil {
		d.Root, d.Place = card, &card.Place
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

// decide lets a second person decide about somebody else's change.
func (h approvals) decide(ctx context.Context, r *run) (jobs.Next, error) {
	approve := r.w.Ask.Verb == grammar.VerbApprove
	id, question, _ := strings.Cut(r.w.Ask.Arg, ".")
	was, err := h.enter(ctx, r, id, question, approve, func(work) bool { return true })
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	case err != nil:
		return jobs.Next{}, err
	}
	// Who is quick clicks before the receipt of the question is saved, by which it is closed.
	if was.Pinned != nil && r.now().Sub(r.w.Since) < closingWithin {
		asked, err := h.store.Get(ctx, jobID(chat.Request{ID: approvalRequest(was.Pinned)}))
		if err == nil && !asked.State.Finished() {
			return jobs.RetryAt(r.now().Add(100 * time.Millisecond)), nil
		}
	}
	action, title := audit.Approve, "approve.done"
	if !approve {
		action, title = audit.Reject, "reject.done"
	}
	if err := h.audit.add(ctx, r, audit.Line{Action: action, Destination: strings.Join(was.targets(), ", "), Meeting: was.Ref.String(), Outcome: string(action), Step: "approve"}); err != nil {
		return jobs.Next{}, err
	}
	if approve {
		r.endAs(outcomeApprove)
		h.close(ctx, r, was, "approval.given", chat.Good)
	} else {
		r.endAs(outcomeReject)
		h.close(ctx, r, was, "approval.denied", chat.Bad)
	}
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T(title)})
	return jobs.Deliver(), nil
}

// enter has the job that waits go on with what was decided about its question, if it is one that
// is meant. It may be repeated.
func (h approvals) enter(ctx context.Context, r *run, id, question string, approve bool, meant func(work) bool) (was work, _ error) {
	me := r.w.Request.User
	_, err := h.store.Update(ctx, id, func(j *jobs.Job) error {
		var err error
		if was, err = records.Decode[work](j.Data); err != nil {
			return err
		}
		switch {
		case j.State != jobs.AwaitingApproval && was.Decision == r.job.ID: // our own, before a crash
			return errAlready
		case j.State != jobs.AwaitingApproval:
			return texts.NewMessage("approval.over")
		case was.Pinned == nil || was.Pinned.Question != question: // what is to be sent is not what this question showed
			return texts.NewMessage("approval.over")
		case !meant(was):
			return texts.NewMessage("approval.over")
		case was.Request.Place.Platform != r.w.Request.Place.Platform || was.Request.Place.Team != r.w.Request.Place.Team:
			return texts.NewMessage("approval.elsewhere")
		case was.Request.User.ID == me.ID && approve: // to reject one's own is to withdraw it
			return texts.NewMessage("approval.self")
		}
		was.Approved, was.Decision, was.Since = &me, r.job.ID, r.now()
		switch {
		case !approve && was.Request.User.ID == me.ID:
			was.Fault = texts.NewMessage("approval.withdrawn")
		case !approve:
			was.Fault = texts.NewMessage("approval.rejected", "Name", me.Name)
		}
		if j.Data, err = records.Encode(was); err != nil {
			return err
		}
		j.State, j.Attempt = jobs.Accepted, 0
		j.Created = r.now() // what it is now given to be carried out does not count the waiting
		return nil
	})
	if errors.Is(err, errAlready) {
		err = nil
	}
	return was, err
}

// closingWithin is how long a decision waits for the question to be delivered.
const closingWithin = 5 * time.Second

// close takes the buttons from the message that asked about a job, and says there
// what was decided. Where that message is not known the buttons say that it is too late.
func (h approvals) close(ctx context.Context, r *run, about work, decided string, tone chat.Tone) {
	if about.Pinned == nil {
		return
	}
	asked, err := h.store.Get(ctx, jobID(chat.Request{ID: approvalRequest(about.Pinned)}))
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
	t := r.text(at.Receipt.Place.Platform, about.Public, about.Locale, r.t.Locale)
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

// askHost asks whoever may to do what was refused to somebody else.
type askHost struct {
	repeat   repeat
	registry known
	wishes   wishes
}

// next asks, in the meeting's thread, whoever can do what was not permitted.
func (h askHost) next(ctx context.Context, r *run) (jobs.Next, error) {
	w, err := h.repeat.earlier(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	reg, err := h.registry.Get(ctx, w.Ref)
	if errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, texts.NewMessage("askhost.unknown")
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if first, err := h.wishes.claim(ctx, r, asLongAsJobs, "askhost", r.w.Ask.Arg); err != nil {
		return jobs.Next{}, err
	} else if first != nil {
		r.endAs(outcomeAsked)
		r.tell(chat.Reply{Title: r.t.T("askhost.who", "Name", reg.Requester.Name)})
		return jobs.Deliver(), nil
	}
	names := w.Ask.Names
	if len(names) == 0 {
		names = []string{w.Ask.Push.Name}
	}
	t := r.public()
	d := delivery{Slot: chat.SlotThread, Root: r.cardOf(reg), Reply: chat.Reply{
		Text: t.T("askhost", "Names", t.Join(names)), Mentions: []chat.User{reg.Requester},
		Fields:  []chat.Field{{Name: t.T("field.requester"), User: &w.Request.User}},
		Buttons: []chat.Button{{Label: t.T("button.push"), Action: grammar.Press(grammar.VerbPushForm, reg.Ref().String())}},
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
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("askhost.who", "Name", reg.Requester.Name)})
	return jobs.Deliver(), nil
}
