package commands

import (
	"context"
	"errors"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
)

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
	if r.w.Fresh {
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

func (h wishes) answer(ctx context.Context, r *run, first *jobs.Job) (jobs.Next, error) {
	r.endAs(outcomeSameWish)
	reply := chat.Reply{
		Tone: chat.Warning, Title: r.t.T("same.title"), Text: r.t.T("same.pending"),
		Buttons: []chat.Button{{Label: r.t.T("button.another"), Action: chat.Action{Name: string(grammar.VerbCreateAnyway), Arg: r.job.ID}}},
	}
	if w, err := records.Decode[work](first.Data); err == nil && w.Meeting != nil {
		reply.Text = r.t.T("same", "Topic", w.Meeting.Topic)
		reply.Links = r.links(*w.Meeting)
	} else if first.Outcome == outcomeUnknown.String() {
		reply.Text = r.t.T("same.unknown")
	}
	r.settle()
	r.tell(reply)
	return jobs.Deliver(), nil
}
