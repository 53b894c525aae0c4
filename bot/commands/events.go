package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	made     made
}

// heard is the part of [registry.Registry] that events change.
type heard interface {
	changes
	TurnAt(reg *registry.Registration, to meeting.State, at time.Time) bool
	Unwatched(reg registry.Registration) bool
	List(ctx context.Context, place string, reg registry.Registration) error
}

func (h events) next(ctx context.Context, r *run) (jobs.Next, error) {
	e := r.w.Event
	if e.Live == meeting.LiveOn && e.State == meeting.StateUnknown { // its host starts it from within
		e.State = meeting.StateRunning
	}
	forgotten, ended := false, false
	reg, err := h.registry.Change(ctx, e.Ref, func(reg *registry.Registration) bool {
		forgotten = h.registry.Unwatched(*reg)
		if e.At.Before(reg.Asked.Add(-beganWithin)) { // it is of another meeting, which had the number before
			return false
		}
		was := liveOver(*reg)
		defer func() { ended = !was && liveOver(*reg) }()
		changed := h.registry.TurnAt(reg, e.State, e.At)
		if e.Live != meeting.LiveUnsaid {
			reg.OnAir(e.Live == meeting.LiveOn, e.At)
			changed = true
		}
		if e.Live == meeting.LiveUnsaid || e.At.Before(reg.LiveHeard) { // an older word that comes late
			return changed
		}
		reg.LiveHeard, reg.LiveStop = e.At, time.Time{}
		if e.Live == meeting.LiveOn || e.At.After(reg.LiveAsked) { // else it is of a live before
			reg.LiveAsked = time.Time{}
		}
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
			if err := h.registry.List(ctx, place, reg); err != nil {
				return jobs.Next{}, err
			}
		}
	}
	if err == nil {
		err = h.polling.reports.due(ctx, reg)
	}
	switch {
	case err != nil:
	case ended:
		err = h.polling.audience.over(ctx, reg)
	case e.Live == meeting.LiveOn && h.polling.clients.of(e.Ref.Provider).counts(): // the first count is not to wait for the next poll
		err = h.polling.soon(ctx, e.Ref)
	}
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	r.endAs(outcomeHeard)
	if err == nil && e.Made != meeting.MadeNothing {
		return h.made.tell(ctx, r, reg) // no card shows it
	}
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

// early keeps what a provider said of a meeting that the bot does not know: its answer to
// the call that made the meeting may still be on its way. Each word is a document under
// heard/REF/HASH, and all of them are read when the meeting is registered. What is another's
// is forgotten after [heardFor].
type early struct {
	store records.Store
	queue queue
	now   func() time.Time
}

const (
	docHeard = "heard"
	heardFor = 2 * time.Minute
	// heardMost bounds what is kept of one meeting.
	heardMost = 20
)

func (h early) keep(ctx context.Context, e meeting.Event) error {
	kept, err := h.of(ctx, e.Ref)
	if err != nil {
		return err
	}
	n := len(kept)
	if n == heardMost || n > 0 && e.Live == meeting.LiveUnsaid && kept[n-1].State == e.State { // nothing new
		return nil
	}
	value, err := records.Encode(e)
	if err != nil {
		return err
	}
	_, err = h.store.PutDoc(ctx, jobs.Doc{Key: []string{docHeard, e.Ref.String(), records.ShortHash(e.ID)}, Value: value, Expires: h.now().Add(heardFor)})
	if errors.Is(err, jobs.ErrConflict) { // it was repeated
		return nil
	}
	return err
}

// tell has the meeting, which is known by now, heed what was said of it. It may be repeated.
func (h early) tell(ctx context.Context, ref meeting.Ref) error {
	kept, err := h.of(ctx, ref)
	for _, e := range kept {
		err = errors.Join(err, h.queue.heard(ctx, e))
	}
	return err
}

// of returns what is kept of a meeting, in the order of the times.
func (h early) of(ctx context.Context, ref meeting.Ref) ([]meeting.Event, error) {
	docs, err := h.store.Docs(ctx, heardMost, docHeard, ref.String())
	if err != nil {
		return nil, err
	}
	var kept []meeting.Event
	for _, d := range docs {
		e, err := records.Decode[meeting.Event](d.Value)
		if err != nil {
			return nil, err
		}
		if d.Expires.After(h.now()) {
			kept = append(kept, e)
		}
	}
	slices.SortStableFunc(kept, func(a, b meeting.Event) int { return a.At.Compare(b.At) })
	return kept, nil
}

// heard has a provider's word on a meeting that is known be heeded.
func (h queue) heard(ctx context.Context, e meeting.Event) error {
	req := chat.Request{ID: "event:" + string(e.Ref.Provider) + ":" + e.ID, At: e.At}
	return h.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbEvent, Arg: e.Ref.String()}, Event: &e})
}

// queue takes the bot's own jobs.
type queue struct {
	store interface {
		Enqueue(ctx context.Context, j jobs.Job) (jobs.Job, error)
		Doc(ctx context.Context, key ...string) (jobs.Doc, error)
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

// redraw brings all cards of a meeting up to date, and the boards that have it, each in a job of
// its own: a room that cannot be written to holds up its own and no other.
func (h queue) redraw(ctx context.Context, reg registry.Registration) error {
	for _, c := range reg.Cards {
		at := c.Receipt
		req := chat.Request{ID: fmt.Sprintf("cards:%s:%d:%s:%s", reg.Ref(), reg.Version(), at.Place.Key(), at.Message), At: h.now()}
		if err := h.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbCards, Arg: reg.Ref().String()}, Card: &at}); err != nil {
			return err
		}
	}
	return h.redrawBoards(ctx, reg, reg.Places()...)
}
