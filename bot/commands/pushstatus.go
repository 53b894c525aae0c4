package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// pushStatus shows what is set at a meeting.
type pushStatus struct {
	targets targets
	clients clients
	seen    pushSeen
	cards   cards
}

// next shows what is set, as the provider says now. One that tells it also of a meeting that
// is over is asked of such a one, too.
func (h pushStatus) next(ctx context.Context, r *run) (jobs.Next, error) {
	t, err := h.targets.resolve(ctx, r, want{push: true, over: true})
	if err != nil {
		return jobs.Next{}, err
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	over := t.reg != nil && t.reg.Meeting.State.Over()
	has, err := h.clients.of(r.w.Ref.Provider).Pushes(ctx, r.w.Account, r.w.Ref.ID)
	if over && errors.Is(err, meeting.ErrNotFound) {
		err = texts.NewMessage("which.over", "Topic", t.reg.Meeting.Topic)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	has = h.seen.name(r, t.reg, has)
	reg, err := h.seen.note(ctx, r, has, true)
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	reply := chat.Reply{Title: r.t.T("status.title", "Number", topicOf(t)), Text: r.t.T("status.none")}
	if t.reg != nil {
		reply.Fields = append(reply.Fields, chat.Field{Name: r.t.T("field.state"), Value: h.cards.stateText(r.t, *t.reg)})
	}
	if len(has) > 0 {
		reply.Text = r.t.T("status.as_of", "Time", r.clock(r.now()), "Provider", r.providerName(t.ref.Provider))
	}
	for _, set := range has {
		id := "status.on"
		switch {
		case r.kind(t.ref.Provider).Push.Replaces: // nothing is switched there
			id = "status.set"
		case set.Enabled:
		case slices.Contains(standbys(reg), set.Name):
			id = "status.standby"
		default:
			id = "status.off"
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: set.Name, Value: r.t.T(id, "Host", livepush.Host(set.URL), "Fingerprint", h.seen.dests.Fingerprint(set.Key))})
	}
	if over { // there is nothing to switch
		return r.answer(outcomeShown, reply)
	}
	waiting := slices.DeleteFunc(slices.Clone(has), func(p meeting.PushTarget) bool { return !slices.Contains(standbys(reg), p.Name) })
	switch {
	case !r.kind(t.ref.Provider).Push.Replaces:
		reply.Buttons = slices.Concat(onButtons(r.t, t.ref, waiting), offButtons(r.t, t.ref, topicOf(t), has))
	case t.reg != nil:
		reply.Buttons = h.cards.liveButton(r.t, *t.reg, r.w.Request.Place.Platform)
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
	before, err := h.registry.Get(ctx, r.w.Ref)
	if err != nil {
		return before, err
	}
	pages, err := h.pages(ctx, r, before)
	if err != nil {
		return before, err
	}
	changed, worded := false, false
	reg, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		byName := map[string]registry.Push{}
		for _, p := range reg.Pushes {
			byName[p.Name+p.Fingerprint] = p
		}
		for _, s := range r.w.Calls {
			byName[s.Target.Name+s.Fingerprint] = r.pushed(s, byName[s.Target.Name+s.Fingerprint])
		}
		pushes := make([]registry.Push, 0, len(has))
		for _, set := range has {
			fp := h.dests.Fingerprint(set.Key)
			p := byName[set.Name+fp]
			p.Name, p.Fingerprint, p.Enabled = set.Name, fp, set.Enabled
			p.Address, p.Read = livepush.Address(set), true
			p.Standby = p.Standby && !set.Enabled
			if page, saved := pages[p.Destination]; saved {
				p.Page = page
			}
			pushes = append(pushes, p)
		}
		worded = r.words(reg, pushes, true)
		changed = !slices.EqualFunc(pushes, reg.Pushes, samePush)
		reg.Pushes = pushes
		return changed || worded
	})
	switch {
	case err != nil:
		return reg, err
	case changed || r.job.Attempt > 0: // a try before this one may have changed it
		err = h.queue.redraw(ctx, reg)
	case worded: // no card shows that
		err = h.queue.redrawBoards(ctx, reg, reg.Places()...)
	}
	return reg, err
}

// pushed is what a call makes of an address that was known before, or was not.
func (r *run) pushed(s pushCall, was registry.Push) registry.Push {
	p := registry.Push{
		Name: s.Target.Name, Fingerprint: s.Fingerprint, Destination: s.Destination, Enabled: s.Target.Enabled,
		Standby: !s.Target.Enabled && !r.off(), Page: was.Page, Address: livepush.Address(s.Target), By: was.By, At: was.At,
	}
	if s.Outcome == callSet || s.Outcome == callUnread {
		p.By, p.At = r.w.Request.User.Name, r.now()
	}
	return p
}

// words takes down what is not as it was wanted after the calls: which of them did not succeed,
// and why, and what was set and is not listed any more. It forgets what is answered by now, and
// reports whether anything changed. has is what was read back, if it was.
func (r *run) words(reg *registry.Registration, has []registry.Push, read bool) (changed bool) {
	before := reg.Words
	listed := func(name string) bool {
		return slices.ContainsFunc(has, func(p registry.Push) bool { return p.Name == name })
	}
	if read {
		for _, p := range reg.Pushes {
			if !listed(p.Name) {
				reg.Say(registry.Word{Name: p.Name, Said: *texts.NewMessage("step.absent"), At: r.now()})
			}
		}
		for _, p := range has {
			reg.Unsay(p.Name, func(w registry.Word) bool { return slices.Contains(answered, w.Said.ID) })
		}
	}
	for _, s := range r.w.Calls {
		said := r.said(s)
		switch s.Outcome {
		case callSet, callAlready, callUnread:
			if s.Outcome != callSet || !r.off() || listed(s.Target.Name) {
				reg.Unsay(s.Target.Name, func(registry.Word) bool { return true })
				continue
			}
		case callRefused:
			switch said.ID {
			case "dest.not_yours", "standby.is_on": // of the person, and not of the push
				continue
			case "fault.said", "fault.said.trace": // what the provider said itself is for private answers
				code := slices.Index(said.Args, "Code")
				said = texts.NewMessage("board.refused", said.Args[code:code+2]...)
			}
		}
		reg.Say(registry.Word{Name: s.Target.Name, Said: *said, By: r.w.Request.User.Name, At: r.now()})
	}
	return !slices.EqualFunc(before, reg.Words, sameWord)
}

// answered are the words that are no news of an address once it is listed.
var answered = []string{"step.absent", "step.off.set", "step.unclear", "step.off.unclear", "step.on.unclear"}

// samePush compares the instants as such: one that was stored has another location.
func samePush(a, b registry.Push) bool {
	same := a.At.Equal(b.At)
	a.At = b.At
	return same && a == b
}

func sameWord(a, b registry.Word) bool {
	return a.Name == b.Name && a.By == b.By && a.At.Equal(b.At) && a.Said.ID == b.Said.ID && slices.Equal(a.Said.Args, b.Said.Args)
}

// standbys are the names of what is set at a meeting to be switched on later.
func standbys(reg registry.Registration) []string {
	var names []string
	for _, p := range reg.Pushes {
		if p.Standby && !p.Enabled {
			names = append(names, p.Name)
		}
	}
	return names
}

// pages are the watch pages of the saved destinations that a push is about or that are known
// at its meeting, by their IDs. What is not saved any more has none.
func (h pushSeen) pages(ctx context.Context, r *run, reg registry.Registration) (map[string]string, error) {
	pages := map[string]string{}
	add := func(id string) error {
		if _, known := pages[id]; known || id == "" {
			return nil
		}
		d, err := h.dests.ByID(ctx, id)
		if errors.Is(err, livepush.ErrNoDestination) {
			return nil
		}
		if err == nil {
			pages[id] = d.Page
		}
		return err
	}
	for _, p := range reg.Pushes {
		if err := add(p.Destination); err != nil {
			return nil, err
		}
	}
	for _, s := range r.w.Calls {
		if err := add(s.Destination); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// noteAccepted remembers what was accepted and cannot be read back.
func (h pushSeen) noteAccepted(ctx context.Context, r *run) (registry.Registration, error) {
	accepted := slices.DeleteFunc(slices.Clone(r.w.Calls), func(s pushCall) bool { return s.Outcome != callUnread })
	reg, err := h.registry.Get(ctx, r.w.Ref)
	if err != nil {
		return reg, err
	}
	pages, err := h.pages(ctx, r, reg)
	if err != nil {
		return reg, err
	}
	reg, err = h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		for _, s := range accepted {
			reg.Pushes = append(slices.DeleteFunc(reg.Pushes, func(p registry.Push) bool { return p.Name == s.Target.Name && p.Fingerprint == s.Fingerprint }),
				r.pushed(s, registry.Push{Page: pages[s.Destination]}))
		}
		return r.words(reg, nil, false) || len(accepted) > 0
	})
	if err != nil {
		return reg, err
	}
	if len(accepted) == 0 {
		return reg, h.queue.redrawBoards(ctx, reg, reg.Places()...)
	}
	return reg, h.queue.redraw(ctx, reg)
}

// changeLog shows who changed what of a meeting.
type changeLog struct {
	targets targets
	log     audit.Log
}

// logShown is how many lines of the audit log a message has room for.
const logShown = 15

func (h changeLog) next(ctx context.Context, r *run) (jobs.Next, error) {
	// Where no meeting is named it is one that can be pushed, as with the commands it tells of.
	t, err := h.targets.resolve(ctx, r, want{push: r.w.Ask.Meeting == "", vouched: true, over: true})
	if err != nil {
		return jobs.Next{}, err
	}
	lines, err := h.log.Of(ctx, t.ref)
	if err != nil {
		return jobs.Next{}, err
	}
	name := t.ref.ID
	if t.reg != nil {
		name = t.reg.Meeting.Topic
	}
	reply := chat.Reply{Title: r.t.T("log.title", "Topic", name)}
	if len(lines) == 0 {
		reply.Text = r.t.T("log.none")
	}
	for _, l := range lines[max(0, len(lines)-logShown):] {
		reply.Fields = append(reply.Fields, chat.Field{
			Name:  chat.Instant(l.At),
			Value: oneSpace(r.t.T("log.line", "Who", whoIn(r.t, l), "Action", r.t.T("audit."+string(l.Action)), "Name", l.Destination, "Fingerprint", l.Fingerprint, "Outcome", r.t.T("outcome."+l.Outcome))),
		})
	}
	return r.answer(outcomeShown, reply)
}

// whoIn is who did what a line says.
func whoIn(t texts.Text, l audit.Line) string {
	if l.Who == audit.Operator {
		return t.T("log.operator")
	}
	return cmp.Or(l.WhoName, l.Who)
}

// oneSpace closes the gaps that missing parts leave.
func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// auditor appends to the log.
type auditor struct{ log audit.Log }

// add appends a line to the log, complete with who asked for it and where.
func (h auditor) add(ctx context.Context, r *run, l audit.Line) error {
	req := r.w.Request
	l.At, l.Asked, l.Job = r.now(), req.At, r.job.ID
	l.Who, l.WhoName = req.Place.UserKey(req.User), req.User.Name
	if l.Where == "" {
		l.Where = req.Place.Key()
	}
	l.Thread = req.Place.Thread
	if r.w.Approved != nil {
		l.Approved = req.Place.UserKey(*r.w.Approved)
	}
	return h.log.Append(ctx, l)
}
