package commands

import (
	"context"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
)

// listing lists the meetings of a place.
type listing struct {
	registry interface {
		Here(ctx context.Context, p chat.Place) ([]registry.Registration, error)
	}
	cards cards
}

// next shows this place's meetings that are not over, with what is pushed where.
func (h listing) next(ctx context.Context, r *run) (jobs.Next, error) {
	regs, err := h.registry.Here(ctx, r.w.Request.Place)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeListed)
	reply := chat.Reply{Title: r.t.T("list.title"), Text: r.t.T("list.none")}
	if len(regs) > 0 {
		reply.Text = ""
	}
	for _, reg := range regs {
		value := h.cards.stateText(r.t, reg)
		if reg.Meeting.Code != "" {
			value = showCode(reg.Meeting.Code) + " · " + value
		}
		if names := pushNames(r.t, reg); names != "" {
			value += " · " + r.t.T("list.pushed", "Names", names)
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: reg.Meeting.Topic, Value: value})
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}
