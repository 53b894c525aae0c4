package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meetbot/bot/jobs"
	"meetbot/meeting"
)

// delivery is one post of a job, as its outbox keeps it. What is zero comes from the
// request.
type delivery struct {
	Slot  Slot
	Reply Reply
	Place *Place
	User  *User
	Root  *Receipt
	Edit  *Receipt
	// Card is the meeting whose card the message is: its receipt is remembered, and an
	// edit shows the meeting as it is when the edit is made.
	Card meeting.Ref
}

// put adds a delivery to the outbox.
func (r *run) put(d delivery) {
	body, err := encode(d)
	if err != nil { // unreachable: every field of a delivery can be encoded
		r.log.Error("delivery not encoded", "job", r.job.ID, "err", err)
		return
	}
	r.job.Outbox = append(r.job.Outbox, jobs.Delivery{Body: body})
}

// tell adds a private answer to the requester, where the command ran.
func (r *run) tell(reply Reply) { r.put(delivery{Slot: SlotPrivate, Reply: reply}) }

// settle resolves a placeholder that everybody sees and that nothing will come of. The
// reason is told privately.
func (r *run) settle() {
	if declared(r.w.Ask.Verb).Public {
		r.put(delivery{Slot: SlotSettle, Reply: Reply{Text: r.t.T("settled." + textID(string(r.w.Ask.Verb)))}})
	}
}

func joinNotes(a, b string) string {
	if a == "" || a == b {
		return b
	}
	return a + " · " + b
}

// marked says, in the sandbox, that nothing is real.
func (r *run) marked(reply Reply) Reply {
	if r.cfg.Parser.Sandbox {
		reply.Note = joinNotes(reply.Note, r.t.T("sandbox.note"))
	}
	return reply
}

func (r *run) post(d delivery) Post {
	req := r.w.Request
	p := Post{Slot: d.Slot, Place: req.Place, User: req.User, Origin: req.Origin, Asked: req.At, Reply: r.marked(d.Reply), Root: d.Root, Edit: d.Edit}
	if d.Place != nil { // somewhere else than where the command ran: its token is of no use there
		p.Place, p.Origin = *d.Place, nil
	}
	if d.User != nil {
		p.User = *d.User
	}
	return p
}

// replicaGrace is how old a record is when another replica may have died delivering it.
const replicaGrace = 20 * time.Second

// Deliver implements [jobs.Handler].
func (b *Bot) Deliver(ctx context.Context, j *jobs.Job) error {
	r, _, err := b.open(j)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrLost, err)
	}
	item := &j.Outbox[j.Delivery]
	d, err := decode[delivery](item.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrLost, err)
	}
	p := r.post(d)
	p.Key = postKey(j, j.Delivery)
	p.Tried = item.Attempt > 0 || j.Updated.Before(b.started) || b.now().Sub(j.Updated) > replicaGrace
	if p.Root == nil && d.Place == nil {
		p.Root = r.root()
	}
	if d.Slot == SlotEdit && !d.Card.IsZero() {
		reg, err := b.registration(ctx, d.Card)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSkip, err)
		}
		p.Reply = r.marked(b.card(TextFor(reg.localeOf(*d.Edit)), reg, p.Place.Platform))
	}
	poster := b.posters[p.Place.Platform]
	if poster == nil {
		return fmt.Errorf("%w: no adapter for %s", jobs.ErrLost, p.Place.Platform)
	}
	receipt, err := poster.Post(ctx, p)
	switch {
	case errors.Is(err, ErrGone):
		err = ErrSkip
		if !d.Card.IsZero() {
			err = errors.Join(err, b.forgetCard(ctx, d.Card, *d.Edit))
		}
	case err == nil && d.Slot == SlotRoot && !d.Card.IsZero():
		if err := b.rememberCard(ctx, d.Card, receipt, r.t.Locale); err != nil {
			b.log.WarnContext(ctx, "card not remembered", "job", j.ID, "err", err)
		}
	}
	if err != nil && !errors.Is(err, ErrSkip) && !errors.Is(err, ErrLost) {
		return err
	}
	// What was said is not kept: it may hold a start link.
	item.Body = nil
	if err == nil {
		item.Receipt, err = encode(posted{d.Slot, receipt})
	}
	return err
}

// posted is the receipt of a delivery, as the outbox keeps it.
type posted struct {
	Slot    Slot
	Receipt Receipt
}

// root returns the message that this job posted for everybody.
func (r *run) root() *Receipt {
	for i := range r.job.Delivery {
		item := r.job.Outbox[i]
		if item.State != jobs.Sent {
			continue
		}
		if p, err := decode[posted](item.Receipt); err == nil && p.Slot == SlotRoot {
			return &p.Receipt
		}
	}
	return nil
}

// Ended implements [jobs.Handler]: it forgets what is secret and no longer needed, also of
// deliveries that reached nobody, and says how the job ended.
func (b *Bot) Ended(j *jobs.Job) {
	for i := range j.Outbox {
		j.Outbox[i].Body = nil
	}
	r, _, err := b.open(j)
	if err != nil {
		return // not to be read by this version
	}
	r.w.forget(r.job.Outcome == "withdrawn")
	if err := r.close(); err != nil {
		r.log.Error("job not closed", "job", r.job.ID, "err", err)
	}
	if r.w.internal() {
		return
	}
	r.log.Info("command finished", "job", r.job.ID, "verb", r.w.Ask.Verb, "outcome", r.job.Outcome, "took", r.now().Sub(r.job.Created))
	if f := r.cfg.Observe.Finished; f != nil {
		f(r.w.Request.Place.Platform, r.w.Ask.Verb, r.job.Outcome, r.job.Created)
	}
}
