package commands

import (
	"context"
	"errors"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// handover makes a new meeting known: to the registry, to the timers, and to everybody.
type handover struct {
	registry newMeetings
	polling  polling
	cards    cards
}

// newMeetings is the part of [registry.Registry] that takes a new meeting in.
type newMeetings interface {
	Add(ctx context.Context, reg registry.Registration) (registry.Registration, error)
	Here(ctx context.Context, p chat.Place) ([]registry.Registration, error)
}

// made remembers the meeting and tells everybody. All of it may be done twice.
func (h handover) made(ctx context.Context, r *run) (jobs.Next, error) {
	m := *r.w.Meeting
	now := r.now()
	made := r.job.Created // or soon after: a lost answer may be found minutes later
	kind := r.kind(m.Ref.Provider)
	reg := registry.Registration{
		Job: r.job.ID, Asked: made, Meeting: m, Requester: r.w.Request.User, Place: r.w.Request.Place, Hosts: r.w.Ask.Hosts,
		Account: m.Creator, Created: now, StateAt: now,
	}
	reg.Requester.Roles = nil
	if reg.Account == "" {
		reg.Account = r.w.Instant.Account
	}
	if reg.Meeting.State == meeting.StateUnknown {
		reg.Meeting.State = meeting.StateReady
	}
	if kind.JoinWithin > 0 {
		reg.JoinBy = made.Add(kind.JoinWithin)
	}
	if !m.StartURL.IsZero() {
		reg.StartUntil = made.Add(kind.StartLinkLife)
	}
	others, err := h.registry.Here(ctx, reg.Place)
	if err != nil {
		return jobs.Next{}, err
	}
	reg, err = h.registry.Add(ctx, reg)
	if errors.Is(err, registry.ErrSuperseded) {
		return h.numberUsedAgain(r, reg), nil
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if reg.Before != nil {
		h.closeCards(r, *reg.Before)
	}
	if err := h.polling.watch(ctx, reg); err != nil {
		return jobs.Next{}, err
	}

	r.endAs(outcomeCreated)
	r.put(delivery{Slot: chat.SlotRoot, Reply: h.cards.card(r.t, reg, reg.Place.Platform), Card: m.Ref, Of: reg.Job})
	r.put(delivery{Slot: chat.SlotThread, Reply: h.cards.threadReply(r, reg)})
	private := startReply(r, reg)
	r.put(delivery{Slot: chat.SlotThreadPrivate, Reply: private})
	if r.w.Reported {
		private.Text = texts.Paragraphs(r.t.T("meet.after_all"), private.Text)
	}
	for _, o := range others {
		if o.Ref() != m.Ref && !o.Unlisted() && o.Requester.ID != reg.Requester.ID {
			private.Text = texts.Paragraphs(private.Text, r.t.T("meet.other", "Name", o.Requester.Name, "Topic", o.Meeting.Topic, "Number", showCode(o.Meeting.Code)))
			break
		}
	}
	r.tell(private)
	return jobs.Deliver(), nil
}

// closeCards says on the cards of an earlier meeting that its number is another's now, and
// that nothing more is to be learnt or done there.
func (h handover) closeCards(r *run, before registry.Registration) {
	before.Meeting.State, before.StateAt = meeting.StateRecycled, r.now()
	for _, c := range before.Cards {
		on := c.Receipt.Place.Platform
		r.put(delivery{Slot: chat.SlotEdit, Place: &c.Receipt.Place, Edit: &c.Receipt, Reply: h.cards.card(r.text(on, c.Locale), before, on)})
	}
}

// numberUsedAgain answers a job whose meeting's number went to a later meeting before the
// job could tell of it.
func (h handover) numberUsedAgain(r *run, reg registry.Registration) jobs.Next {
	r.endAs(outcomeCreated)
	r.settle()
	r.tell(chat.Reply{Tone: chat.Warning, Title: r.t.T("meet.number_again.title", "Topic", reg.Meeting.Topic), Text: r.t.T("meet.number_again")})
	return jobs.Deliver()
}
