package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// open takes up a job. What a step before has decoded is not decoded again: it is taken from
// j.Memo, to which [run.close] and [run.leave] give it back.
func (b *Bot) open(j *jobs.Job) (*run, steps, error) {
	w, known := j.Memo.(*work)
	j.Memo = nil
	if !known {
		fresh, err := records.Decode[work](j.Data)
		if err != nil {
			return nil, steps{}, err
		}
		w = &fresh
	}
	h, ok := b.steps[w.Ask.Verb]
	if !ok {
		return nil, steps{}, fmt.Errorf("no handler for %q", w.Ask.Verb)
	}
	return &run{
		job: j, w: w, t: b.parser.Text(w.Request.Place.Platform, w.Locale, w.Request.User.Locale),
		now: b.now, log: b.log, note: b.cfg.smallPrint, kinds: b.cfg.Parser.Kinds, here: b.here(w.Request.Place),
		text: b.parser.Text, platform: b.cfg.Platforms.Of(w.Request.Place.Platform),
	}, h, nil
}

// staleAfter is how long a command may wait before it is begun. After that the person is
// asked whether it is still wanted.
const staleAfter = 2 * time.Minute

// Next implements [jobs.Handler].
func (b *Bot) Next(ctx context.Context, j *jobs.Job) (jobs.Next, error) {
	r, h, err := b.open(j)
	if err != nil { // written by another version: a repeat reads the same bytes
		b.log.ErrorContext(ctx, "job cannot be read", "job", j.ID, "label", j.Label, "err", err)
		j.Outcome = outcomeUnreadable.String()
		return jobs.Deliver(), nil
	}
	said := len(j.Outbox)
	n, err := b.advance(ctx, r, h)
	if err == nil {
		return n, r.close()
	}
	j.Outbox = j.Outbox[:said] // what is said again in the next try
	if j.Attempt < maxTries {
		return n, err
	}
	b.log.ErrorContext(ctx, "job given up", "job", j.ID, "label", j.Label, "state", j.State, "err", err)
	return b.giveUp(r), r.close()
}

// maxTries is how often a step that fails inside is tried, in about a minute. What still
// fails then, as a record that cannot be read, would fail for ever.
const maxTries = 8

// giveUp ends a job that cannot go on, and says so. A meeting that exists is handed over
// all the same.
func (b *Bot) giveUp(r *run) jobs.Next {
	r.endAs(outcomeInternal)
	switch {
	case r.w.internal():
	case r.w.Meeting != nil:
		reply := startReply(r, registry.Registration{Meeting: *r.w.Meeting, StartUntil: r.job.Created.Add(r.kind(r.w.Meeting.Ref.Provider).StartLinkLife)})
		reply.Tone, reply.Text = chat.Warning, texts.Paragraphs(r.t.T("fault.internal"), reply.Text)
		r.tell(reply)
	default:
		r.settle()
		r.tell(chat.Reply{Tone: chat.Bad, Text: r.t.T("fault.internal")})
	}
	return jobs.Deliver()
}

// advance makes the next step: it checks, before the first one, that the command is still
// wanted and permitted, and it is the one place where a refusal becomes an answer.
func (b *Bot) advance(ctx context.Context, r *run, h steps) (jobs.Next, error) {
	d := grammar.Declared(r.w.Ask.Verb)
	if d.Afresh() {
		ctx = chat.Afresh(ctx)
	}
	if r.job.State == jobs.Accepted && !r.w.internal() {
		if c, claims := b.posters[r.w.Request.Place.Platform].(chat.Claimer); claims {
			if err := c.Claim(ctx, r.w.Request.Origin); errors.Is(err, chat.ErrTaken) {
				r.endAs(outcomeNotNeeded) // who has answered does it
				return jobs.Deliver(), nil
			}
		}
		if u := &r.w.Request.User; r.w.Approved != nil && b.people.directory(r.w.Request.Place.Platform) != nil {
			u.Rights, u.Roles = 0, nil // what came with the command is as old as the question
		}
		if err := b.people.lookUp(ctx, r); err != nil {
			r.log.WarnContext(ctx, "person not looked up", "job", r.job.ID, "err", err)
		}
		if r.now().Sub(r.w.Since) > staleAfter {
			return b.expire(ctx, r)
		}
		if err := b.people.mustHave(ctx, r, d.Right); err != nil {
			return b.refuse(r, err)
		}
	}
	n, err := h.next(ctx, r)
	if err != nil && !r.w.internal() { // of the bot's own there is nobody to be told
		return b.refuse(r, err)
	}
	return n, err
}

// internal reports whether the job is the bot's own, with nobody to ask or to refuse.
func (w *work) internal() bool { return grammar.Declared(w.Ask.Verb).Internal }

// keyOffered is how long an expired command keeps its stream key for its button.
const keyOffered = 10 * time.Minute

// expire ends a job that waited too long to be carried out without asking, and offers to run
// it now.
func (b *Bot) expire(ctx context.Context, r *run) (jobs.Next, error) {
	text := r.t.T("stale", "Time", r.clock(r.w.Since))
	if !r.w.Ask.Push.Key.IsZero() {
		until := r.now().Add(keyOffered)
		if err := b.store.SetTimer(ctx, jobs.Timer{Key: timerKey(timerDropKey, r.job.ID), At: until}); err != nil {
			return jobs.Next{}, err
		}
		text = texts.Paragraphs(text, r.t.T("stale.key", "Time", r.clock(until)))
	}
	r.endAs(outcomeWithdrawn)
	r.settle()
	r.tell(chat.Reply{
		Tone: chat.Warning, Title: r.t.T("stale.title"), Text: text,
		Buttons: []chat.Button{{Label: r.t.T("button.now"), Action: grammar.Press(grammar.VerbRunExpired, r.job.ID)}},
	})
	return jobs.Deliver(), nil
}

// dropKey takes the stream key from a command that expired some time ago.
func (b *Bot) dropKey(ctx context.Context, id string) error {
	_, err := b.store.Update(ctx, id, func(j *jobs.Job) error {
		if !j.State.Finished() { // its button is not even there; a delivery must not be disturbed
			return errUntold
		}
		return forget(j)
	})
	switch {
	case errors.Is(err, errUntold):
		return b.store.SetTimer(ctx, jobs.Timer{Key: timerKey(timerDropKey, id), At: b.now().Add(keyOffered)})
	case errors.Is(err, jobs.ErrNotFound), errors.Is(err, records.ErrUnreadable):
		return nil
	}
	return err
}

var errUntold = errors.New("the person has not been told yet")

// Call implements [jobs.Handler].
func (b *Bot) Call(ctx context.Context, j *jobs.Job) error { return b.within(ctx, j, false) }

// Reconcile implements [jobs.Handler].
func (b *Bot) Reconcile(ctx context.Context, j *jobs.Job) error { return b.within(ctx, j, true) }

func (b *Bot) within(ctx context.Context, j *jobs.Job, reconcile bool) error {
	r, h, err := b.open(j)
	if err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrUnknown, err)
	}
	var result error
	if reconcile {
		result = lookedUp(h.reconcile(ctx, r))
	} else {
		result = h.call(ctx, r)
	}
	if err := r.close(); err != nil {
		return fmt.Errorf("%w: %w", jobs.ErrUnknown, err)
	}
	return result
}

// lookedUp translates a provider's error into what [jobs.Handler.Reconcile] returns: only
// what may pass is tried again.
func lookedUp(err error) error {
	var api *meeting.APIError
	if errors.As(err, &api) && !errors.Is(err, meeting.ErrUnavailable) && !errors.Is(err, meeting.ErrRateLimited) {
		return fmt.Errorf("%w: %w", jobs.ErrUnknown, err)
	}
	return err
}

// outcome translates a provider's error into what [jobs.Handler.Call] returns.
func outcome(err error) error {
	var api *meeting.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, meeting.ErrOutcomeUnknown):
		return fmt.Errorf("%w: %w", jobs.ErrUnknown, err)
	case errors.Is(err, meeting.ErrRateLimited), errors.Is(err, meeting.ErrUnavailable):
		err = fmt.Errorf("%w: %w", jobs.ErrNotSent, err)
		if errors.As(err, &api) && api.RetryAfter > 0 {
			return &jobs.RetryAfter{After: api.RetryAfter, Err: err}
		}
		return err
	case errors.As(err, &api):
		return err
	}
	// Not a provider's word (a context that ended before the request, a bug): what was
	// sent cannot be told.
	return fmt.Errorf("%w: %w", jobs.ErrUnknown, err)
}

// Late implements [jobs.Handler].
func (b *Bot) Late(ctx context.Context, j, late *jobs.Job) bool {
	r, _, err := b.open(j)
	if err != nil {
		return false
	}
	l, _, err := b.open(late)
	if err != nil {
		return false
	}
	i := late.Call
	called := i < len(l.w.Calls) && i < len(r.w.Calls)
	switch was := r.w.Meeting; {
	case called:
		if o := r.w.Calls[i].Outcome; o != callPending && o != callUnclear { // it was looked up
			return false
		}
		r.w.Calls[i] = l.w.Calls[i] // with its key, by which it is read back
	case was != nil && l.w.Meeting != nil && was.Ref == l.w.Meeting.Ref, l.w.Meeting == nil && j.Outcome != "" && Done(j.Outcome):
		return false // it was found, and told
	}
	r.w.Fault = nil
	r.w.Meeting = l.w.Meeting
	j.Call = late.Call // others may have followed
	return r.close() == nil
}

// Notice implements [jobs.Handler].
func (b *Bot) Notice(ctx context.Context, j *jobs.Job) {
	r, _, err := b.open(j)
	if err != nil || r.w.internal() {
		return
	}
	for p := range r.sent() {
		if p.Slot.Private() || p.Slot == chat.SlotRoot { // there it is
			return
		}
	}
	poster := b.posters[r.w.Request.Place.Platform]
	if poster == nil {
		return
	}
	text := r.t.T("progress")
	if j.State == jobs.Calling && j.Attempt > 0 { // a try failed, and there will be others
		text = r.t.T("progress.trying", "Provider", r.providerName(cmp.Or(r.w.Ref.Provider, r.w.Ask.Provider)))
	}
	p := r.post(delivery{Slot: chat.SlotProgress, Reply: chat.Reply{Text: text}})
	p.Key = postKey(j, -1)
	if _, err := post(ctx, poster, p); err != nil && !errors.Is(err, chat.ErrSkip) {
		b.log.WarnContext(ctx, "progress not reported", "job", j.ID, "err", err)
	}
}

// Timer implements [jobs.Handler].
func (b *Bot) Timer(ctx context.Context, t jobs.Timer) error {
	kind, rest, _ := strings.Cut(t.Key, "/")
	if kind == timerDropKey {
		return b.dropKey(ctx, rest)
	}
	ref, ok := b.cfg.Parser.Kinds.ParseRef(rest)
	if !ok {
		b.log.ErrorContext(ctx, "dropping timer with unknown key", "key", t.Key)
		return nil
	}
	switch kind {
	case timerPoll:
		return b.polling.poll(ctx, ref)
	case timerViewers:
		return b.polling.audience.total(ctx, ref)
	case timerReport:
		return b.polling.reports.begin(ctx, ref)
	case timerMade:
		return b.polling.reports.made.look(ctx, ref)
	case timerRemind:
		req := chat.Request{ID: "remind:" + ref.String(), At: b.now()}
		return b.queue.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbRemind, Arg: ref.String()}})
	}
	return nil
}
