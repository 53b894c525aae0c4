package commands

import (
	"context"
	"time"

	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// startLinks shows how to start a meeting to whoever has the right.
type startLinks struct {
	targets  targets
	clients  clients
	registry changes
}

// changes is the part of [registry.Registry] that rewrites what is known of a meeting.
type changes interface {
	Change(ctx context.Context, ref meeting.Ref, f func(*registry.Registration) bool) (registry.Registration, error)
}

// next shows how to start a meeting to whoever has the right now, with a fresh
// link where the old one is worn out.
func (h startLinks) next(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.button(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	if ok, err := h.targets.holds(ctx, r, reg); err != nil {
		return jobs.Next{}, err
	} else if !ok {
		return jobs.Next{}, texts.NewMessage("power.start", "Name", reg.Requester.Name)
	}
	if reg.Meeting.State.Over() {
		return jobs.Next{}, texts.NewMessage("which.over", "Topic", reg.Meeting.Topic)
	}
	if client := h.clients.of(reg.Ref().Provider); client.startsAnew() && !r.now().Before(reg.StartUntil) {
		reg.Meeting.StartURL, reg.StartUntil = noSecret, time.Time{}
		url, err := client.StartURL(ctx, reg.Ref().ID)
		if n, ok := r.again(err); ok {
			return n, nil
		}
		if err == nil {
			reg, err = h.registry.Change(ctx, reg.Ref(), func(reg *registry.Registration) bool {
				reg.Meeting.StartURL, reg.StartUntil = url, r.now().Add(r.kind(reg.Ref().Provider).StartLinkLife)
				return true
			})
			if err != nil {
				return jobs.Next{}, err
			}
		} else {
			r.log.WarnContext(ctx, "no fresh start link", "job", r.job.ID, "err", err)
		}
	}
	r.endAs(outcomeShown)
	r.tell(startReply(r, reg))
	return jobs.Deliver(), nil
}
