package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/spans"
)

// replicaGrace is how old a record is when another replica may have died delivering it.
const replicaGrace = 20 * time.Second

// lateAfter is after how long an answer says when it was asked for: the bot did not run, or
// reached nobody.
const lateAfter = 5 * time.Minute

// Deliver implements [jobs.Handler].
func (b *Bot) Deliver(ctx context.Context, j *jobs.Job) error {
	r, _, err := b.open(j)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrLost, err)
	}
	defer r.leave()
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
	var reg registry.Registration
	edits := d.Slot == chat.SlotEdit && !d.Card.IsZero()
	if edits {
		reg, err = b.registry.Get(ctx, d.Card)
		if err != nil {
			return fmt.Errorf("%w: %w", jobs.ErrSkip, err)
		}
		if !reg.HasCard(*d.Edit) { // the number is another meeting's by now, or the card went before a crash
			return errors.Join(fmt.Errorf("%w: the card is of an earlier meeting", jobs.ErrSkip), b.queue.redrawBoards(ctx, reg, d.Edit.Place.Key()))
		}
		p.Reply = b.drawn(r, d, reg)
	}
	if p.Slot.Private() && !r.w.internal() && j.Outcome != outcomeWithdrawn.String() && b.now().Sub(r.w.Since) > lateAfter {
		p.Reply.Note = joinNotes(p.Reply.Note, r.t.T("late.note", "Time", r.clock(r.w.Since)))
	}
	poster := b.posters[p.Place.Platform]
	if poster == nil {
		return fmt.Errorf("%w: no adapter for %s", jobs.ErrLost, p.Place.Platform)
	}
	if d.Board != "" && d.Slot == chat.SlotEdit {
		receipt, err := b.boards.edit(ctx, r, d, poster, p)
		return sent(item, d, receipt, err)
	}
	receipt, err := post(ctx, poster, p)
	if err == nil && edits {
		err = b.catchUp(ctx, r, poster, p, d, reg)
	}
	switch {
	case errors.Is(err, chat.ErrGone):
		err = chat.ErrSkip
		if !d.Card.IsZero() {
			reg, dropped := b.registry.DropCard(ctx, d.Card, *d.Edit)
			err = errors.Join(err, dropped, b.queue.redrawBoards(ctx, reg, d.Edit.Place.Key()))
		}
	case err == nil && d.Slot == chat.SlotRoot && !d.Card.IsZero():
		if err := b.remember(ctx, r, d, receipt); err != nil {
			b.log.WarnContext(ctx, "card not remembered", "job", j.ID, "err", err)
		}
	}
	return sent(item, d, receipt, err)
}

// sent notes how a delivery went, and returns what [jobs.Handler.Deliver] does.
func sent(item *jobs.Delivery, d delivery, receipt chat.Receipt, err error) error {
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

// drawn is a card as the meeting is.
func (b *Bot) drawn(r *run, d delivery, reg registry.Registration) chat.Reply {
	on := d.Edit.Place.Platform
	return r.marked(r.t, b.cards.card(b.parser.Text(on, reg.LocaleOf(*d.Edit)), reg, on), on)
}

// catchUp edits a card once more if the meeting has changed while it was being edited: the edit
// that was made for the change may have gone before this one.
func (b *Bot) catchUp(ctx context.Context, r *run, poster chat.Poster, p chat.Post, d delivery, reg registry.Registration) error {
	for range 5 {
		now, err := b.registry.Get(ctx, d.Card)
		if err != nil || now.Version() == reg.Version() || !now.HasCard(*d.Edit) {
			return nil // the card was edited, and is forgotten
		}
		drawn := b.drawn(r, d, now)
		if reflect.DeepEqual(drawn, p.Reply) {
			return nil
		}
		reg, p.Reply = now, drawn
		if _, err := post(ctx, poster, p); err != nil {
			return err
		}
	}
	return nil // it changes all the time, and each change has an edit of its own
}

// remember knows a card from now on. What the meeting's cards were to show while it was on
// its way is shown on it now.
func (b *Bot) remember(ctx context.Context, r *run, d delivery, at chat.Receipt) error {
	reg, err := b.registry.AddCard(ctx, d.Card, d.Of, at, r.public().Locale)
	if err != nil || !reg.HasCard(at) {
		return err
	}
	if err := b.queue.redrawBoards(ctx, reg, at.Place.Key()); err != nil {
		return err
	}
	shown, err := records.Encode(d.Reply)
	if err != nil {
		return err
	}
	now, err := records.Encode(b.cards.card(b.parser.Text(at.Place.Platform, r.public().Locale), reg, at.Place.Platform))
	if err != nil || bytes.Equal(now, shown) {
		return err
	}
	reg.Cards = []registry.Card{{Receipt: at, Locale: r.public().Locale}}
	return b.queue.redraw(ctx, reg)
}

const slotAttr = attribute.Key("meetbot.delivery.slot")

// post names platform and kind of the message on the span of its delivery.
func post(ctx context.Context, poster chat.Poster, p chat.Post) (chat.Receipt, error) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(spans.Platform.String(string(p.Place.Platform)), slotAttr.String(string(p.Slot)))
	}
	return poster.Post(ctx, p)
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

// Ended implements [jobs.Handler]: it forgets what is secret and no longer needed, also of
// deliveries that reached nobody, and says how the job ended.
func (b *Bot) Ended(ctx context.Context, j *jobs.Job) {
	markFailed(ctx, j.Outcome)
	for i := range j.Outbox {
		j.Outbox[i].Body = nil
	}
	r, _, err := b.open(j)
	if err != nil {
		return // not to be read by this version
	}
	r.w.forget(r.job.Outcome == outcomeWithdrawn.String())
	if err := r.close(); err != nil {
		r.log.ErrorContext(ctx, "job not closed", "job", r.job.ID, "err", err)
	}
	if r.w.internal() {
		return
	}
	r.log.InfoContext(ctx, "command finished", "job", r.job.ID, "verb", r.w.Ask.Verb, "outcome", r.job.Outcome, "took", r.now().Sub(r.job.Created))
	if f := b.cfg.Observe.Finished; f != nil {
		f(r.w.Request.Place.Platform, r.w.Ask.Verb, r.job.Outcome, r.job.Created)
	}
}
