package commands

import (
	"context"
	"errors"
	"fmt"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// meet creates a meeting.
type meet struct {
	clients  clients
	accounts accounts
	people   people
	wishes   wishes
	registry known
	handover handover
	provider meeting.Provider // where none was asked for
}

// known tells which meetings the bot has made.
type known interface {
	Get(ctx context.Context, ref meeting.Ref) (registry.Registration, error)
}

func (h meet) next(ctx context.Context, r *run) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		h.complete(ctx, r)
		return h.handover.made(ctx, r)
	case jobs.Refused:
		// The button that led here may be worn out: a platform takes one click of it.
		return jobs.Next{}, offering{r.fault(), chat.Button{Label: r.t.T("button.retry"), Action: chat.Action{Name: string(grammar.VerbRetry), Arg: r.job.ID}}}
	case jobs.Unknown:
		return h.unknown(r), nil
	}
	return h.begin(ctx, r)
}

// begin decides what is sent, so that it can be looked for when the answer is lost.
func (h meet) begin(ctx context.Context, r *run) (jobs.Next, error) {
	provider := r.w.Ask.Provider
	if provider == "" {
		provider = h.provider
	}
	if !h.clients.has(provider) {
		return jobs.Next{}, texts.NewMessage("which.provider", "Provider", r.providerName(provider))
	}
	if first, err := h.wishes.first(ctx, r); err != nil {
		return jobs.Next{}, err
	} else if first != nil {
		return h.wishes.answer(ctx, r, first)
	}

	h.people.nameMentions(ctx, r)
	in := r.w.Ask.Meet
	if in.Topic == "" {
		in.Topic = r.t.T("meet.topic", "Name", r.personName())
	}
	own := h.accounts.own(r)
	r.kind(provider).Prepare(&in, meeting.Origin{Mark: r.mark(), Account: own, Own: own != "", At: r.now()})
	r.w.Ask.Provider, r.w.Instant, r.w.Sent = provider, in, r.now()
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(provider)
	return jobs.MakeCall(), nil
}

func (r *run) personName() string {
	if name := r.w.Request.User.Name; name != "" {
		return name
	}
	return r.t.T("meet.somebody")
}

// mark is the text that a meeting is made with where the provider takes one: no other has
// it, and the provider's reports say by it who asked.
func (r *run) mark() string {
	return "meetbot:" + r.job.ID + ":" + r.w.Request.Place.UserKey(r.w.Request.User)
}

func (h meet) call(ctx context.Context, r *run) error {
	p := h.clients.of(r.w.Ask.Provider)
	r.w.Sent = r.now()
	m, err := p.Create(ctx, r.w.Instant)
	if err != nil {
		r.w.Fault = r.faultOf(err)
		return outcome(err)
	}
	r.w.Fault, r.w.Meeting = nil, &m
	return nil
}

// reconcile looks for a meeting whose answer was lost. It is adopted only if it is certainly
// the one, and the only one. Not to find it proves nothing: how long a provider takes to
// list one is not known.
func (h meet) reconcile(ctx context.Context, r *run) error {
	in := r.w.Instant
	listed, err := h.clients.of(r.w.Ask.Provider).List(ctx, in.Account, in.UserKey)
	if err != nil {
		return err
	}
	var found []meeting.Meeting
	for _, m := range listed {
		if !r.kind(m.Ref.Provider).Same(in, r.w.Sent, m) {
			continue
		}
		known, err := h.registry.Get(ctx, m.Ref)
		switch {
		case errors.Is(err, jobs.ErrNotFound):
		case err != nil:
			return err
		case known.Job != r.job.ID && meeting.SameTime(known.Asked, m.Start):
			continue // another command's; a number that was used before is not
		}
		found = append(found, m)
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %d meetings match", jobs.ErrUnknown, len(found))
	}
	if in.UserKey != "" && found[0].UserKey == "" { // lists may leave out what the meeting itself tells
		got, err := h.clients.of(r.w.Ask.Provider).Get(ctx, in.Account, found[0].Ref.ID)
		switch {
		case err != nil:
			return err
		case got.UserKey != "" && got.UserKey != in.UserKey:
			return fmt.Errorf("%w: the meeting that matches is another's", jobs.ErrUnknown)
		}
	}
	r.w.Fault, r.w.Meeting = nil, &found[0]
	if r.w.Meeting.HostKey.IsZero() {
		r.w.Meeting.HostKey = in.HostKey
	}
	return nil
}

// complete asks for what the answer to the creation left out. What cannot be had is
// explained to people, not waited for.
func (h meet) complete(ctx context.Context, r *run) {
	m := r.w.Meeting
	if m.HostKey.IsZero() {
		m.HostKey = r.w.Instant.HostKey
	}
	if m.Topic == "" {
		m.Topic = r.w.Instant.Topic
	}
	if m.Creator == "" && r.kind(m.Ref.Provider).Can.Accounts {
		if m.Creator = r.w.Instant.Account; m.Creator == "" {
			m.Creator = h.accounts.bot
		}
	}
	m.Live = m.Live || r.w.Instant.Live != nil && *r.w.Instant.Live
	if m.JoinURL != "" && (m.WatchURL != "" || !m.Live) {
		return
	}
	got, err := h.clients.of(m.Ref.Provider).Get(ctx, m.Creator, m.Ref.ID)
	if err != nil {
		r.log.WarnContext(ctx, "meeting's links not completed", "job", r.job.ID, "err", err)
		return
	}
	for _, link := range []struct{ have, got *string }{{&m.JoinURL, &got.JoinURL}, {&m.WatchURL, &got.WatchURL}, {&m.PlayURL, &got.PlayURL}, {&m.Code, &got.Code}, {&m.Passcode, &got.Passcode}} {
		if *link.have == "" {
			*link.have = *link.got
		}
	}
}

func (h meet) unknown(r *run) jobs.Next {
	r.endAs(outcomeUnknown)
	r.w.Reported = true
	r.settle()
	r.tell(chat.Reply{
		Tone: chat.Warning, Title: r.t.T("unknown.title"), Text: r.t.T("unknown", "Topic", r.w.Instant.Topic, "Provider", r.providerName(r.w.Ask.Provider)),
		Buttons: []chat.Button{{Label: r.t.T("button.again"), Action: chat.Action{Name: string(grammar.VerbRetry), Arg: r.job.ID}}},
	})
	return jobs.Deliver()
}
