package commands

import (
	"context"
	"errors"
	"slices"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// pushStatus shows what is set at a meeting.
type pushStatus struct {
	targets targets
	clients clients
	seen    pushSeen
	cards   cards
}

// next shows what is set, as the provider says now.
func (h pushStatus) next(ctx context.Context, r *run) (jobs.Next, error) {
	t, err := h.targets.resolve(ctx, r, want{push: true})
	if err != nil {
		return jobs.Next{}, err
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	has, err := h.clients.of(r.w.Ref.Provider).Pushes(ctx, r.w.Account, r.w.Ref.ID)
	if err != nil {
		return jobs.Next{}, err
	}
	if _, err := h.seen.note(ctx, r, has, true); err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	reply := chat.Reply{Title: r.t.T("status.title", "Number", t.ref.ID), Text: r.t.T("status.none")}
	if t.reg != nil {
		reply.Title = r.t.T("status.title", "Number", t.reg.Meeting.Topic)
		reply.Fields = append(reply.Fields, chat.Field{Name: r.t.T("field.state"), Value: h.cards.stateText(r.t, *t.reg)})
	}
	if len(has) > 0 {
		reply.Text = r.t.T("status.as_of", "Time", r.clock(r.now()), "Provider", r.providerName(t.ref.Provider))
	}
	for _, set := range has {
		id := "status.on"
		if !set.Enabled {
			id = "status.off"
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: set.Name, Value: r.t.T(id, "Host", livepush.Host(set.URL), "Fingerprint", h.seen.dests.Fingerprint(set.Key))})
	}
	return r.answer(outcomeShown, reply)
}

// pushSeen remembers what was read back.
type pushSeen struct {
	registry interface {
		known
		changes
	}
	dests livepush.Destinations
	queue queue
}

// note remembers what was read back, so that cards and lists show it.
func (h pushSeen) note(ctx context.Context, r *run, has []meeting.PushTarget, read bool) (registry.Registration, error) {
	if !read {
		return h.noteAccepted(ctx, r)
	}
	changed := false
	reg, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		byName := map[string]string{}
		for _, p := range reg.Pushes {
			byName[p.Name+p.Fingerprint] = p.Destination
		}
		for _, s := range r.w.Steps {
			byName[s.Target.Name+s.Fingerprint] = s.Destination
		}
		pushes := make([]registry.Push, 0, len(has))
		for _, set := range has {
			fp := h.dests.Fingerprint(set.Key)
			pushes = append(pushes, registry.Push{Name: set.Name, Fingerprint: fp, Destination: byName[set.Name+fp], Enabled: set.Enabled})
		}
		changed = !slices.Equal(pushes, reg.Pushes)
		reg.Pushes = pushes
		return changed
	})
	if err != nil || !changed && r.job.Attempt == 0 { // a try before this one may have changed it
		return reg, err
	}
	return reg, h.queue.redraw(ctx, reg)
}

// noteAccepted remembers what was accepted and cannot be read back.
func (h pushSeen) noteAccepted(ctx context.Context, r *run) (registry.Registration, error) {
	accepted := slices.DeleteFunc(slices.Clone(r.w.Steps), func(s step) bool { return s.Outcome != stepUnread })
	if len(accepted) == 0 {
		return h.registry.Get(ctx, r.w.Ref)
	}
	reg, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		for _, s := range accepted {
			reg.Pushes = append(slices.DeleteFunc(reg.Pushes, func(p registry.Push) bool { return p.Name == s.Target.Name && p.Fingerprint == s.Fingerprint }),
				registry.Push{Name: s.Target.Name, Fingerprint: s.Fingerprint, Destination: s.Destination, Enabled: s.Target.Enabled})
		}
		return true
	})
	if err != nil {
		return reg, err
	}
	return reg, h.queue.redraw(ctx, reg)
}
