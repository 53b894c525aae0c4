package commands

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// approvals has a second person decide about a change of a protected destination. The job
// that waits is not touched but by the decision, and what is asked is a job of its own.
type approvals struct {
	store    waitingJobs
	registry known
	queue    queue
	audit    auditor
}

// waitingJobs is the part of [jobs.Store] that a decision is entered in.
type waitingJobs interface {
	Get(ctx context.Context, id string) (jobs.Job, error)
	Update(ctx context.Context, id string, change func(*jobs.Job) error) (jobs.Job, error)
}

// approvalFor is how long a second person has to decide.
const approvalFor = 10 * time.Minute

// await has the job wait for a second person.
func (h approvals) await(ctx context.Context, r *run, t target) (jobs.Next, error) {
	if hasNoApprover(r, t) {
		return jobs.Next{}, texts.NewMessage("approval.alone")
	}
	until := r.now().Add(approvalFor)
	if err := h.ask(ctx, r, t, until); err != nil {
		return jobs.Next{}, err
	}
	return jobs.Await(until), nil
}

// hasNoApprover reports whether nobody else would see that somebody has to approve.
func hasNoApprover(r *run, t target) bool {
	place := r.w.Request.Place
	return r.local || place.Kind == chat.InDirect && (t.reg == nil || r.openCardOf(*t.reg) == nil)
}

// openCardOf is [run.cardOf] without the cards that only one person sees.
func (r *run) openCardOf(reg registry.Registration) *chat.Receipt {
	reg.Cards = slices.DeleteFunc(slices.Clone(reg.Cards), func(c registry.Card) bool { return c.Receipt.Place.Kind == chat.InDirect })
	return r.cardOf(reg)
}

// ask posts, in the meeting's thread, what waits for a second person, and tells
// the requester so: in a job of its own, since this one is to wait.
func (h approvals) ask(ctx context.Context, r *run, t target, until time.Time) error {
	ask := grammar.Ask{Verb: grammar.VerbApproval, Arg: r.job.ID, Meeting: t.ref.String(), Push: meeting.PushTarget{Enabled: !r.off()}}
	for _, s := range r.w.Calls {
		if s.Outcome == callPending {
			ask.Names = append(ask.Names, s.Target.Name)
		}
	}
	req := r.w.Request
	req.ID = approvalRequest(r.job.ID)
	return h.queue.own(ctx, work{Request: req, Ask: ask, Locale: r.t.Locale, Until: until})
}

// approvalRequest is the request of the job that asks for the approval of another.
func approvalRequest(id string) string { return "approval:" + id }

// meetingName is what people call a meeting: its topic, or its number.
func (h approvals) meetingName(ctx context.Context, r *run, ref meeting.Ref) string {
	if reg, err := h.registry.Get(ctx, ref); err == nil {
		return reg.Meeting.Topic
	}
	return ref.ID
}

func (h approvals) question(ctx context.Context, r *run) (jobs.Next, error) {
	ref, _ := r.kinds.ParseRef(r.w.Ask.Meeting)
	user := r.w.Request.User
	words := []any{"Names", r.t.Join(r.w.Ask.Names), "Number", h.meetingName(ctx, r, ref), "Time", r.clock(r.w.Until)}
	question := "approval"
	if !r.w.Ask.Push.Enabled {
		question = "approval.off"
	}
	d := delivery{Slot: chat.SlotThread, Place: &r.w.Request.Place, Reply: chat.Reply{
		Tone: chat.Warning, Title: r.t.T("approval.title"), Text: r.t.T(question, words...),
		Fields: []chat.Field{{Name: r.t.T("field.requester"), User: &user}},
		Buttons: []chat.Button{
			{Label: r.t.T("button.approve"), Action: grammar.Press(grammar.VerbApprove, r.w.Ask.Arg)},
			{Label: r.t.T("button.reject"), Danger: true, Action: grammar.Press(grammar.VerbReject, r.w.Ask.Arg)},
		},
	}}
	reg, err := h.registry.Get(ctx, ref)
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

// decide lets a second person decide about somebody else's change.
func (h approvals) decide(ctx context.Context, r *run) (jobs.Next, error) {
	approve := r.w.Ask.Verb == grammar.VerbApprove
	me := r.w.Request.User
	var was work
	_, err := h.store.Update(ctx, r.w.Ask.Arg, func(j *jobs.Job) error {
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
	if err := h.audit.add(ctx, r, audit.Line{Action: action, Destination: strings.Join(was.targets(), ", "), Meeting: was.Ref.String(), Outcome: string(action), Step: "approve"}); err != nil {
		return jobs.Next{}, err
	}
	if approve {
		r.endAs(outcomeApprove)
		h.close(ctx, r, r.w.Ask.Arg, was, "approval.given", chat.Good)
	} else {
		r.endAs(outcomeReject)
		h.close(ctx, r, r.w.Ask.Arg, was, "approval.denied", chat.Bad)
	}
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T(title)})
	return jobs.Deliver(), nil
}

// close takes the buttons from the message that asked about a job, and says there
// what was decided. Where that message is not known the buttons say that it is too late.
func (h approvals) close(ctx context.Context, r *run, id string, about work, decided string, tone chat.Tone) {
	asked, err := h.store.Get(ctx, jobID(chat.Request{ID: approvalRequest(id)}))
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
	t := r.text(at.Receipt.Place.Platform, about.Locale, r.t.Locale)
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
		Buttons: []chat.Button{{Label: r.t.T("button.push"), Action: grammar.Press(grammar.VerbPushForm, reg.Ref().String())}},
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
