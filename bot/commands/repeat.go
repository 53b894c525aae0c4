package commands

import (
	"context"
	"errors"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// repeat carries out the command of an earlier job again.
type repeat struct {
	store   earlierJobs
	people  people
	wishes  wishes
	clients clients
	keyPage bool // a key that was dropped can be asked for anew
	of      func(grammar.Verb) steps
}

type earlierJobs interface {
	Get(ctx context.Context, id string) (jobs.Job, error)
}

// earlier returns what an earlier job was about, to the person who asked for it.
func (h repeat) earlier(ctx context.Context, r *run) (work, error) {
	j, err := h.store.Get(ctx, r.w.Ask.Arg)
	if errors.Is(err, jobs.ErrNotFound) {
		return work{}, texts.NewMessage("repeat.gone")
	}
	if err != nil {
		return work{}, err
	}
	w, err := records.Decode[work](j.Data)
	if err != nil {
		return work{}, texts.NewMessage("repeat.gone")
	}
	return w, h.onlyRequester(ctx, r, w.Request)
}

// next carries out the command of an earlier job as a new wish: it was withdrawn,
// its outcome is unknown, or it was taken for a retype.
func (h repeat) next(ctx context.Context, r *run) (jobs.Next, error) {
	w, err := h.earlier(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	switch {
	case r.w.Ask.Verb == grammar.VerbTencent: // a push that its meeting could not take: a meeting first
		other, ok := h.clients.pushable(r.kinds)
		if !ok {
			return jobs.Next{}, texts.NewMessage("repeat.gone")
		}
		live := true
		w.Ask = grammar.Ask{Verb: grammar.VerbMeet, Provider: other, Meet: meeting.Instant{Live: &live}}
	case w.KeyGone && !h.keyPage: // else the page asks for it anew
		return jobs.Next{}, texts.NewMessage("repeat.key_gone")
	}
	if err := h.people.mustHave(ctx, r, grammar.Declared(w.Ask.Verb).Right); err != nil {
		return jobs.Next{}, err
	}
	if w.Ask.Verb == grammar.VerbMeet { // however many copies of the button there are, and whoever presses them
		first, err := h.wishes.claim(ctx, r, asLongAsJobs, string(r.w.Ask.Verb), r.w.Ask.Arg)
		if err != nil {
			return jobs.Next{}, err
		}
		if first != nil {
			return h.wishes.answer(ctx, r, first)
		}
	}
	r.job.Label = string(w.Ask.Verb)
	r.w.Ask, r.w.Fresh = w.Ask, true
	return h.of(w.Ask.Verb).next(ctx, r)
}

// onlyRequester guards a button that is there for one person.
func (h repeat) onlyRequester(ctx context.Context, r *run, of chat.Request) error {
	mine := r.w.Request
	if mine.User.ID == of.User.ID && mine.Place.Platform == of.Place.Platform {
		return nil
	}
	admin, err := h.people.isAdmin(ctx, r)
	if err != nil {
		return err
	}
	if !admin {
		return texts.NewMessage("power.button")
	}
	return nil
}
