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
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// events shows what a provider says of a meeting.
type events struct {
	registry heard
	polling  polling
	targets  targets
}

// heard is the part of [registry.Registry] that events change.
type heard interface {
	changes
	TurnAt(reg *registry.Registration, to meeting.State, at time.Time) bool
	Unwatched(reg registry.Registration) bool
	List(ctx context.Context, place string, ref meeting.Ref) error
}

func (h events) next(ctx context.Context, r *run) (jobs.Next, error) {
	e := r.w.Event
	forgotten := false
	reg, err := h.registry.Change(ctx, e.Ref, func(reg *registry.Registration) bool {
		forgotten = h.registry.Unwatched(*reg)
		changed := h.registry.TurnAt(reg, e.State, e.At)
		if e.Live == meeting.LiveUnsaid || e.At.Before(reg.LiveHeard) { // an older word that comes late
			return changed
		}
		reg.LiveHeard = e.At
		switch {
		case e.Live == meeting.LiveOff:
			reg.LiveAt = time.Time{}
		case reg.LiveAt.IsZero():
			reg.LiveAt = e.At
		}
		return true
	})
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	if err == nil && forgotten && !h.registry.Unwatched(reg) {
		if err := h.polling.watch(ctx, reg); err != nil {
			return jobs.Next{}, err
		}
		for _, place := range reg.Places() {
			if err := h.registry.List(ctx, place, reg.Ref()); err != nil {
				return jobs.Next{}, err
			}
		}
	}
	r.endAs(outcomeHeard)
	return jobs.Deliver(), h.polling.queue.redraw(ctx, reg)
}

func (h events) cards(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.button(ctx, r)
	r.endAs(outcomeDrawn)
	switch {
	case isRefusal(err): // forgotten since
	case err != nil:
		return jobs.Next{}, err
	default:
		for _, c := range reg.Cards {
			if r.w.Card == nil || *r.w.Card == c.Receipt {
				r.put(delivery{Slot: chat.SlotEdit, Place: &c.Receipt.Place, Edit: &c.Receipt, Card: reg.Ref()})
			}
		}
	}
	return jobs.Deliver(), nil
}

// queue takes the bot's own jobs.
type queue struct {
	store interface {
		Enqueue(ctx context.Context, j jobs.Job) (jobs.Job, error)
	}
	now func() time.Time
}

func (h queue) own(ctx context.Context, w work) error {
	data, err := records.Encode(w)
	if err != nil {
		return err
	}
	_, err = h.store.Enqueue(ctx, jobs.Job{ID: jobID(w.Request), Label: string(w.Ask.Verb), State: jobs.Accepted, Created: h.now(), Data: data})
	if errors.Is(err, jobs.ErrDuplicate) {
		return nil
	}
	return err
}

// redraw brings all cards of a meeting up to date, each in a job of its own: a room that
// cannot be written to holds up its own card and no other.
func (h queue) redraw(ctx context.Context, reg registry.Registration) error {
	for _, c := range reg.Cards {
		at := c.Receipt
		req := chat.Request{ID: fmt.Sprintf("cards:%s:%d:%s:%s", reg.Ref(), reg.Version(), at.Place.Key(), at.Message), At: h.now()}
		if err := h.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbCards, Arg: reg.Ref().String()}, Card: &at}); err != nil {
			return err
		}
	}
	return nil
}
