package commands

import (
	"context"
	"errors"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/texts"
)

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
		Buttons: []chat.Button{{Label: r.t.T("button.push"), Action: chat.Action{Name: string(grammar.VerbPushForm), Arg: reg.Ref().String()}}},
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
