package commands

import (
	"context"
	"errors"
	"slices"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/meeting"
)

// reminders tells a requester that a meeting is about to be deleted.
type reminders struct {
	targets targets
	clients clients
}

// next tells the requester that a meeting is about to be deleted, if nobody has
// joined it by the provider's own word.
func (h reminders) next(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.button(ctx, r)
	if err != nil && !isRefusal(err) {
		return jobs.Next{}, err
	}
	r.endAs(outcomeNotNeeded)
	if err != nil || reg.Meeting.State.Over() {
		return jobs.Deliver(), nil
	}
	if r.now().After(reg.JoinBy) { // somebody came, or it is too late
		return jobs.Deliver(), nil
	}
	m, err := h.clients.of(reg.Ref().Provider).Get(ctx, reg.Account, reg.Ref().ID)
	switch {
	case errors.Is(err, meeting.ErrUnavailable), errors.Is(err, meeting.ErrRateLimited):
		return jobs.Next{}, err // there are some minutes left
	case err != nil, m.State != meeting.StateReady && m.State != meeting.StateUnknown:
		return jobs.Deliver(), nil
	}
	locale := ""
	if len(reg.Cards) > 0 {
		locale = reg.Cards[0].Locale
	}
	r.w.Locale = locale
	r.t = r.text(reg.Place.Platform, locale)
	r.endAs(outcomeReminded)
	r.put(delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &reg.Requester, Reply: chat.Reply{
		Tone: chat.Warning, Title: r.t.T("remind.title", "Topic", reg.Meeting.Topic),
		Text:  r.t.T("remind", "Time", r.clock(reg.JoinBy)),
		Links: slices.DeleteFunc(r.links(reg.Meeting), func(l chat.Link) bool { return l.URL != reg.Meeting.JoinURL }),
	}})
	return jobs.Deliver(), nil
}
