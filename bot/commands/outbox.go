package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// delivery is one post of a job, as its outbox keeps it. What is zero comes from the
// request.
type delivery struct {
	Slot  chat.Slot
	Reply chat.Reply
	Place *chat.Place
	User  *chat.User
	Root  *chat.Receipt
	Edit  *chat.Receipt
	// Card is the meeting whose card the message is: its receipt is remembered, and an
	// edit shows the meeting as it is when the edit is made.
	Card meeting.Ref
}

// put adds a delivery to the outbox.
func (r *run) put(d delivery) {
	body, err := records.Encode(d)
	if err != nil { // unreachable: every field of a delivery can be encoded
		r.log.Error("delivery not encoded", "job", r.job.ID, "err", err)
		return
	}
	r.job.Outbox = append(r.job.Outbox, jobs.Delivery{Body: body})
}

// tell adds a private answer to the requester, where the command ran.
func (r *run) tell(reply chat.Reply) { r.put(delivery{Slot: chat.SlotPrivate, Reply: reply}) }

// settle resolves a placeholder that everybody sees and that nothing will come of. The
// reason is told privately.
func (r *run) settle() {
	if grammar.Declared(r.w.Ask.Verb).Public {
		r.put(delivery{Slot: chat.SlotSettle, Reply: chat.Reply{Text: r.t.T("settled." + r.w.Ask.Verb.TextID())}})
	}
}

func joinNotes(a, b string) string {
	if a == "" || a == b {
		return b
	}
	return a + " · " + b
}

// marked says, in the sandbox, that nothing is real.
func (r *run) marked(reply chat.Reply) chat.Reply {
	if r.cfg.Parser.Sandbox {
		reply.Note = joinNotes(reply.Note, r.t.T("sandbox.note"))
	}
	return reply
}

func (r *run) post(d delivery) chat.Post {
	req := r.w.Request
	p := chat.Post{Slot: d.Slot, Place: req.Place, User: req.User, Origin: req.Origin, Asked: req.At, Reply: r.marked(d.Reply), Root: d.Root, Edit: d.Edit}
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
	d, err := records.Decode[delivery](item.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrLost, err)
	}
	p := r.post(d)
	p.Key = postKey(j, j.Delivery)
	p.Tried = item.Attempt > 0 || j.Updated.Before(b.started) || b.now().Sub(j.Updated) > replicaGrace
	if p.Root == nil && d.Place == nil {
		p.Root = r.root()
	}
	if d.Slot == chat.SlotEdit && !d.Card.IsZero() {
		reg, err := b.registry.Get(ctx, d.Card)
		if err != nil {
			return fmt.Errorf("%w: %w", jobs.ErrSkip, err)
		}
		p.Reply = r.marked(b.card(texts.For(reg.LocaleOf(*d.Edit)), reg, p.Place.Platform))
	}
	poster := b.posters[p.Place.Platform]
	if poster == nil {
		return fmt.Errorf("%w: no adapter for %s", jobs.ErrLost, p.Place.Platform)
	}
	receipt, err := poster.Post(ctx, p)
	switch {
	case errors.Is(err, chat.ErrGone):
		err = chat.ErrSkip
		if !d.Card.IsZero() {
			err = errors.Join(err, b.registry.DropCard(ctx, d.Card, *d.Edit))
		}
	case err == nil && d.Slot == chat.SlotRoot && !d.Card.IsZero():
		if err := b.registry.AddCard(ctx, d.Card, receipt, r.t.Locale); err != nil {
			b.log.WarnContext(ctx, "card not remembered", "job", j.ID, "err", err)
		}
	}
	err = delivered(err)
	if err != nil && !errors.Is(err, jobs.ErrSkip) && !errors.Is(err, jobs.ErrLost) {
		return err
	}
	// What was said is not kept: it may hold a start link.
	item.Body = nil
	if err == nil {
		item.Receipt, err = records.Encode(posted{d.Slot, receipt})
	}
	return err
}

// delivered translates a poster's error into what [jobs.Handler.Deliver] returns.
func delivered(err error) error {
	var later *chat.RetryAfter
	switch {
	case errors.As(err, &later):
		return &jobs.RetryAfter{After: later.After, Err: err}
	case errors.Is(err, chat.ErrSkip):
		return fmt.Errorf("%w: %w", jobs.ErrSkip, err)
	case errors.Is(err, chat.ErrLost):
		return fmt.Errorf("%w: %w", jobs.ErrLost, err)
	}
	return err
}

// posted is the receipt of a delivery, as the outbox keeps it.
type posted struct {
	Slot    chat.Slot
	Receipt chat.Receipt
}

// root returns the message that this job posted for everybody.
func (r *run) root() *chat.Receipt {
	for i := range r.job.Delivery {
		item := r.job.Outbox[i]
		if item.State != jobs.Sent {
			continue
		}
		if p, err := records.Decode[posted](item.Receipt); err == nil && p.Slot == chat.SlotRoot {
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
	r.w.forget(r.job.Outcome == outcomeWithdrawn.String())
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
