package commands

import (
	"context"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// sameDestinations creates a meeting like an earlier one, and sets the same destinations at it.
type sameDestinations struct {
	meet    meet
	targets targets
	people  people
	queue   queue
}

func (h sameDestinations) next(ctx context.Context, r *run) (jobs.Next, error) {
	if r.job.State == jobs.Accepted {
		if err := h.ask(ctx, r); err != nil {
			return jobs.Next{}, err
		}
	}
	n, err := h.meet.next(ctx, r)
	if err == nil && r.job.State == jobs.Called {
		err = h.push(ctx, r, r.w.Meeting.Ref)
	}
	return n, err
}

// ask makes the wish for a new meeting like an earlier one.
func (h sameDestinations) ask(ctx context.Context, r *run) error {
	reg, err := h.targets.button(ctx, r)
	if err != nil {
		return err
	}
	if ok, err := h.targets.holds(ctx, r, reg); err != nil {
		return err
	} else if !ok {
		return texts.NewMessage("power.meeting", "Name", reg.Requester.Name)
	}
	if err := h.people.mustHave(ctx, r, chat.RightMeet); err != nil { // the button has the right for pushes
		return err
	}
	live := true
	r.w.Ask.Provider = reg.Ref().Provider
	r.w.Ask.Meet = meeting.Instant{Topic: reg.Meeting.Topic, Live: &live}
	r.w.Ask.Names = nil
	for _, p := range reg.Pushes {
		if p.Destination != "" && p.Enabled {
			r.w.Ask.Names = append(r.w.Ask.Names, p.Name)
		}
	}
	return nil
}

// push sets the destinations of the earlier meeting at the new one, in a
// job of its own.
func (h sameDestinations) push(ctx context.Context, r *run, ref meeting.Ref) error {
	if len(r.w.Ask.Names) == 0 {
		return nil
	}
	req := r.w.Request
	req.ID, req.At = "samedest:"+r.job.ID, r.now()
	return h.queue.own(ctx, work{
		Request: req, Locale: r.t.Locale, Since: r.now(),
		Ask: grammar.Ask{Verb: grammar.VerbPushTo, Meeting: ref.String(), Names: r.w.Ask.Names},
	})
}
