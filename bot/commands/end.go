package commands

import (
	"context"
	"errors"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// ending ends meetings.
type ending struct {
	targets  targets
	clients  clients
	registry states
	queue    queue
	reports  reports
}

// states is the part of [registry.Registry] that a meeting's state is changed with.
type states interface {
	Change(ctx context.Context, ref meeting.Ref, f func(*registry.Registration) bool) (registry.Registration, error)
	Turn(reg *registry.Registration, to meeting.State) bool
}

// askFirst asks before a meeting is ended: a typed command has no dialog of its own.
func (h ending) askFirst(ctx context.Context, r *run) (jobs.Next, error) {
	t, err := h.targets.resolve(ctx, r, want{})
	if err == nil {
		err = h.may(ctx, r, t)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	return r.question(endQuestion(r.t, topicOf(t)), grammar.Press(grammar.VerbEndYes, t.ref.String()))
}

func endQuestion(t texts.Text, topic string) chat.Confirm {
	return chat.Confirm{Title: t.T("end.ask.title"), Text: t.T("end.ask", "Topic", topic), Yes: t.T("end.yes"), No: t.T("end.no")}
}

// question asks before something is done that cannot be undone.
func (r *run) question(q chat.Confirm, do chat.Action) (jobs.Next, error) {
	return r.answer(outcomeAsked, chat.Reply{Tone: chat.Warning, Title: q.Title, Text: q.Text, Buttons: []chat.Button{
		{Label: q.Yes, Danger: true, Action: do},
		{Label: q.No, Action: grammar.Press(grammar.VerbKeep, "")},
	}})
}

// finalButton does what cannot be undone. Where the platform asks before it tells of a press,
// it asks there; elsewhere the answer to the button is the question.
func finalButton(on chat.Kind, label string, q chat.Confirm, ask, do chat.Action) chat.Button {
	b := chat.Button{Label: label, Danger: true, Action: ask}
	if on.Confirms {
		b.Action, b.Confirm = do, &q
	}
	return b
}

// may guards ending a meeting: only its requester or an admin, and for a meeting that
// the bot did not make, whoever acts as their own account.
func (h ending) may(ctx context.Context, r *run, t target) error {
	if t.reg == nil {
		return nil
	}
	req := r.w.Request
	if h.targets.people.same(req.Place, req.User.ID, t.reg.Place, t.reg.Requester.ID) {
		return nil
	}
	admin, err := h.targets.people.isAdmin(ctx, r)
	if err != nil {
		return err
	}
	if !admin {
		return texts.NewMessage("power.end", "Name", t.reg.Requester.Name)
	}
	return nil
}

func (h ending) next(ctx context.Context, r *run) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		reg, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool { return h.registry.Turn(reg, meeting.StateEnded) })
		switch {
		case errors.Is(err, jobs.ErrNotFound): // not one of the bot's
		case err != nil:
			return jobs.Next{}, err
		default:
			if err := h.reports.due(ctx, reg); err != nil {
				return jobs.Next{}, err
			}
			if err := h.queue.redraw(ctx, reg); err != nil {
				return jobs.Next{}, err
			}
		}
		return r.answer(outcomeEnded, chat.Reply{Tone: chat.Good, Title: r.t.T("end.done")})
	case jobs.Refused:
		return jobs.Next{}, r.fault()
	case jobs.Unknown:
		return jobs.Next{}, texts.NewMessage("end.unknown")
	}
	r.w.Ask.Meeting = r.w.Ask.Arg
	t, err := h.targets.resolve(ctx, r, want{})
	if err == nil {
		err = h.may(ctx, r, t)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(t.ref.Provider)
	return jobs.MakeCall(), nil
}

func (h ending) call(ctx context.Context, r *run) error {
	err := h.clients.of(r.w.Ref.Provider).End(ctx, r.w.Account, r.w.Ref.ID)
	if err != nil {
		r.w.Fault = r.faultOf(err)
	}
	return outcome(err)
}

// reconcile looks whether the meeting is over. If it is not, ending it once more does
// no harm.
func (h ending) reconcile(ctx context.Context, r *run) error {
	m, err := h.clients.of(r.w.Ref.Provider).Get(ctx, r.w.Account, r.w.Ref.ID)
	switch {
	case errors.Is(err, meeting.ErrNotFound), err == nil && m.State.Over():
		return nil
	case err == nil:
		return jobs.ErrAbsent
	}
	return err
}
