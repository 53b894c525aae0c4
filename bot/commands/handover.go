package commands

import (
	"context"
	"time"

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

const (
	// startURLLife is how long a SYSTEC start link works: its token says two hours.
	startURLLife = 2 * time.Hour
	// joinWithin is when SYSTEC deletes an instant meeting that nobody has joined.
	joinWithin = 30 * time.Minute
)

// made remembers the meeting and tells everybody. All of it may be done twice.
func (h handover) made(ctx context.Context, r *run) (jobs.Next, error) {
	m := *r.w.Meeting
	now := r.now()
	made := r.job.Created // or soon after: a lost answer may be found minutes later
	reg := registry.Registration{
		Meeting: m, Requester: r.w.Request.User, Place: r.w.Request.Place, Hosts: r.w.Ask.Hosts,
		Account: m.Creator, Created: now, StateAt: now,
	}
	reg.Requester.Roles = nil
	if reg.Account == "" {
		reg.Account = r.w.Instant.Account
	}
	if reg.Meeting.State == meeting.StateUnknown {
		reg.Meeting.State = meeting.StateReady
	}
	if m.Ref.Provider == meeting.Systec {
		reg.JoinBy = made.Add(joinWithin)
	}
	if !m.StartURL.IsZero() {
		reg.StartUntil = made.Add(startURLLife)
	}
	others, err := h.registry.Here(ctx, reg.Place)
	if err != nil {
		return jobs.Next{}, err
	}
	if reg, err = h.registry.Add(ctx, reg); err != nil {
		return jobs.Next{}, err
	}
	if err := h.polling.watch(ctx, reg); err != nil {
		return jobs.Next{}, err
	}

	r.endAs(outcomeCreated)
	r.put(delivery{Slot: chat.SlotRoot, Reply: h.cards.card(r.t, reg, reg.Place.Platform), Card: m.Ref})
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
