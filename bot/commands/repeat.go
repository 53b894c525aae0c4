package commands

import (
	"context"
	"errors"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/texts"
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

// next carries out the command of an earlier job as a new wish: it has
// expired, was refused, its outcome is unknown, or it was taken for a retype.
func (h repeat) next(ctx context.Context, r *run) (jobs.Next, error) {
	w, err := h.earlier(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	switch {
	case r.w.Ask.Verb == grammar.VerbElsewhere: // a push that its meeting could not take: a meeting first
		other, ok := h.clients.pushable(r)
		if !ok {
			return jobs.Next{}, texts.NewMessage("repeat.gone")
		}
		w.Ask = grammar.Ask{Verb: grammar.VerbMeet, Provider: other, Meet: like(r.kind(other), r.w.Ask, ""), Hosts: r.w.Ask.Hosts}
	case w.KeyGone && !h.keyPage: // else the page asks for it anew
		return jobs.Next{}, texts.NewMessage("repeat.key_gone")
	}
	if err := h.people.mustHave(ctx, r, grammar.Declared(w.Ask.Verb).Right); err != nil {
		return jobs.Next{}, err
	}
	if v := w.Ask.Verb; v == grammar.VerbMeet || v == grammar.VerbSameDest { // however many copies of the button there are, and whoever presses them
		first, err := h.wishes.claim(ctx, r, asLongAsJobs, string(r.w.Ask.Verb), r.w.Ask.Arg)
		if err != nil {
			return jobs.Next{}, err
		}
		if first != nil {
			return h.wishes.answer(r, first, "same")
		}
	}
	r.job.Label = string(w.Ask.Verb)
	r.w.Ask, r.w.Repeated = w.Ask, true
	return h.of(w.Ask.Verb).next(ctx, r)
}

// onlyRequester guards a button that is there for one person.
func (h repeat) onlyRequester(ctx context.Context, r *run, of chat.Request) error {
	mine := r.w.Request
	if h.people.same(mine.Place, mine.User.ID, of.Place, of.User.ID) {
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

// wish is the record of who asked what where, and the job that does it.
type wish struct {
	Job string
	At  time.Time
}

// wishes remembers who asked what where, and which job does it, so that an impatient
// retype is not a new wish. A claim is one compare-and-set write: of two jobs that want the
// same only one gets it, and a crash leaves it with the job, which goes on.
type wishes struct {
	store     wishStore
	retention time.Duration
}

type wishStore interface {
	Doc(ctx context.Context, key ...string) (jobs.Doc, error)
	PutDoc(ctx context.Context, d jobs.Doc) (uint64, error)
	Get(ctx context.Context, id string) (jobs.Job, error)
}

const (
	// docRecent is the key of wishes: person, place and command → the job that fulfils it.
	docRecent = "recent"
	// sameWish is how long one person's same command in the same place is an impatient
	// retype, whatever the platform's IDs say.
	sameWish = 30 * time.Second
	// asLongAsJobs has a wish claimed for as long as jobs are remembered.
	asLongAsJobs = time.Duration(-1)
)

// first returns the job that already does the same for the same person here, or nil
// when this one is the first.
func (h wishes) first(ctx context.Context, r *run) (*jobs.Job, error) {
	if r.w.Repeated { // on purpose
		return nil, nil
	}
	ask, err := records.Encode(r.w.Ask)
	if err != nil {
		return nil, err
	}
	place := r.w.Request.Place
	return h.claim(ctx, r, sameWish, place.UserKey(r.w.Request.User), place.Key(), place.Thread, string(ask))
}

// claim makes this job the one that fulfils a wish, or returns the one that did within
// the given time, unless that was refused: a refusal is worth a retry.
func (h wishes) claim(ctx context.Context, r *run, within time.Duration, wishKey ...string) (*jobs.Job, error) {
	key := []string{docRecent, records.ShortHash(wishKey...)}
	expires := r.now().Add(2 * within)
	if within == asLongAsJobs {
		expires = r.now().Add(h.retention)
	}
	body, err := records.Encode(wish{r.job.ID, r.w.Since})
	if err != nil {
		return nil, err
	}
	mine := jobs.Doc{Key: key, Value: body, Expires: expires}
	for {
		_, err := h.store.PutDoc(ctx, mine)
		if !errors.Is(err, jobs.ErrConflict) {
			return nil, err
		}
		doc, err := h.store.Doc(ctx, key...)
		if errors.Is(err, jobs.ErrNotFound) {
			mine.Revision = 0
			continue
		}
		if err != nil {
			return nil, err
		}
		was, err := records.Decode[wish](doc.Value)
		if err != nil {
			return nil, err
		}
		if was.Job == r.job.ID {
			return nil, nil
		}
		if within == asLongAsJobs || r.w.Since.Sub(was.At) < within {
			first, err := h.store.Get(ctx, was.Job)
			switch {
			case errors.Is(err, jobs.ErrNotFound):
			case err != nil:
				return nil, err
			case first.Outcome != outcomeRefused.String() && first.Outcome != outcomeWithdrawn.String():
				return &first, nil
			}
		}
		mine.Revision = doc.Revision
	}
}

// answer tells what became of the job that was first, in the sentences of that family.
func (h wishes) answer(r *run, first *jobs.Job, family string) (jobs.Next, error) {
	reply := chat.Reply{
		Tone: chat.Warning, Title: r.t.T(family + ".title"), Text: r.t.T(family + ".pending"),
		Buttons: []chat.Button{{Label: r.t.T("button.another"), Action: grammar.Press(grammar.VerbCreateAnyway, r.job.ID)}},
	}
	if w, err := records.Decode[work](first.Data); err == nil && w.Meeting != nil {
		reply.Text = r.t.T(family, "Topic", w.Meeting.Topic)
		reply.Links = r.links(*w.Meeting)
	} else if first.Outcome == outcomeUnknown.String() {
		reply.Text = r.t.T(family + ".unknown")
	}
	r.settle()
	return r.answer(outcomeSameWish, reply)
}
