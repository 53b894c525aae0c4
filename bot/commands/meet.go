package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/config/secret"
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

// defaultDuration is the planned length of a Tencent meeting, which needs an end. It is
// set here, not left to the client, so that a lost meeting can be found by it.
const defaultDuration = time.Hour

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
	switch provider {
	case meeting.Systec:
		in.UserKey = "meetbot:" + r.job.ID
	case meeting.Tencent:
		in.Start = r.now().Truncate(time.Second)
		if in.Duration == 0 {
			in.Duration = defaultDuration
		}
		in.Account = h.accounts.own(r)
		if in.Account == "" {
			in.HostKey = newHostKey() // nobody here is the creator: this is how to become host
		}
	}
	r.w.Ask.Provider, r.w.Instant = provider, in
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(provider)
	return jobs.MakeCall(), nil
}

func (r *run) personName() string {
	if name := r.w.Request.User.Name; name != "" {
		return name
	}
	return r.t.T("meet.somebody")
}

// newHostKey returns six random digits, as Tencent Meeting asks for.
func newHostKey() secret.String {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // unreachable: crypto/rand does not fail
	}
	return secret.New(fmt.Sprintf("%06d", n))
}

func (h meet) call(ctx context.Context, r *run) error {
	p := h.clients.of(r.w.Ask.Provider)
	m, err := p.Create(ctx, r.w.Instant)
	if err != nil {
		r.w.Fault = r.faultOf(err)
		return outcome(err)
	}
	r.w.Fault, r.w.Meeting = nil, &m
	return nil
}

// reconcile looks for a meeting whose answer was lost. Not to find it proves
// nothing: how long a provider takes to list one is not known.
func (h meet) reconcile(ctx context.Context, r *run) error {
	in := r.w.Instant
	listed, err := h.clients.of(r.w.Ask.Provider).List(ctx, in.Account, in.UserKey)
	if err != nil {
		return err
	}
	var found []meeting.Meeting
	for _, m := range listed {
		if _, err := h.registry.Get(ctx, m.Ref); err == nil {
			continue // another command's
		} else if !errors.Is(err, jobs.ErrNotFound) {
			return err
		}
		switch r.w.Ask.Provider {
		case meeting.Systec:
			if m.UserKey == "" || m.UserKey == in.UserKey { // its list is by user_key
				found = append(found, m)
			}
		case meeting.Tencent:
			if m.Topic == in.Topic && m.Start.Equal(in.Start) && m.End.Equal(in.Start.Add(in.Duration)) {
				found = append(found, m)
			}
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %d meetings match", jobs.ErrUnknown, len(found))
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
	if m.Creator == "" && m.Ref.Provider == meeting.Tencent {
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
