package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// run is one step of one job.
type run struct {
	*Bot
	job *jobs.Job
	w   work
	t   texts.Text
}

func (b *Bot) open(j *jobs.Job) (*run, steps, error) {
	w, err := records.Decode[work](j.Data)
	if err != nil {
		return nil, steps{}, err
	}
	h, ok := b.steps[w.Ask.Verb]
	if !ok {
		return nil, steps{}, fmt.Errorf("no handler for %q", w.Ask.Verb)
	}
	return &run{Bot: b, job: j, w: w, t: texts.For(w.Locale, w.Request.User.Locale, b.cfg.Parser.Locale)}, h, nil
}

// endAs says how the job ends, should it not be repeated.
func (r *run) endAs(o Outcome) { r.job.Outcome = o.String() }

func (r *run) close() error {
	data, err := records.Encode(r.w)
	if err == nil {
		r.job.Data = data
	}
	return err
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
	n, err := r.advance(ctx, h)
	if err == nil {
		return n, r.close()
	}
	j.Outbox = j.Outbox[:said] // what is said again in the next try
	if j.Attempt < maxTries {
		return n, err
	}
	b.log.ErrorContext(ctx, "job given up", "job", j.ID, "label", j.Label, "state", j.State, "err", err)
	return r.giveUp(), r.close()
}

// maxTries is how often a step that fails inside is tried, in about a minute. What still
// fails then, as a record that cannot be read, would fail for ever.
const maxTries = 8

// giveUp ends a job that cannot go on, and says so. A meeting that exists is handed over
// all the same.
func (r *run) giveUp() jobs.Next {
	r.endAs(outcomeInternal)
	switch {
	case r.w.internal():
	case r.w.Meeting != nil:
		reply := r.startReply(registry.Registration{Meeting: *r.w.Meeting, StartUntil: r.job.Created.Add(startURLLife)})
		reply.Tone, reply.Text = chat.Warning, texts.Paragraphs(r.t.T("fault.internal"), reply.Text)
		r.tell(reply)
	default:
		r.settle()
		r.tell(chat.Reply{Tone: chat.Bad, Title: r.t.T("refused.title"), Text: r.t.T("fault.internal")})
	}
	return jobs.Deliver()
}

func (r *run) advance(ctx context.Context, h steps) (jobs.Next, error) {
	if r.job.State == jobs.Accepted && !r.w.internal() {
		if err := r.lookUpPerson(ctx); err != nil {
			r.log.WarnContext(ctx, "person not looked up", "job", r.job.ID, "err", err)
		}
		if r.now().Sub(r.w.Since) > staleAfter {
			return r.withdraw(ctx)
		}
		if err := r.mustHave(ctx, grammar.Declared(r.w.Ask.Verb).Right); err != nil {
			return r.refuse(err)
		}
	}
	n, err := h.next(r, ctx)
	if err != nil && !r.w.internal() { // of the bot's own there is nobody to be told
		return r.refuse(err)
	}
	return n, err
}

// mustHave returns the refusal of a person who does not have a right.
func (r *run) mustHave(ctx context.Context, right chat.Rights) error {
	place := r.w.Request.Place
	allowed, err := r.cfg.Policy.Permits(ctx, r.directory(place.Platform), place, r.w.Request.User, right)
	switch {
	case err != nil:
		return r.notLookedUp(ctx, err)
	case !allowed:
		return denied{right}
	}
	return nil
}

// isAdmin reports whether the person is one. The error is what the person is told.
func (r *run) isAdmin(ctx context.Context) (bool, error) {
	place := r.w.Request.Place
	admin, err := r.cfg.Policy.IsAdmin(ctx, r.directory(place.Platform), place, r.w.Request.User)
	if err != nil {
		return false, r.notLookedUp(ctx, err)
	}
	return admin, nil
}

// notLookedUp is the refusal where nobody knows what a person may.
func (r *run) notLookedUp(ctx context.Context, err error) error {
	r.log.WarnContext(ctx, "permission not looked up", "job", r.job.ID, "err", err)
	return texts.NewMessage("fault.directory")
}

// denied is the refusal of a person who does not have a right.
type denied struct{ right chat.Rights }

func (denied) Error() string { return "refused: the person does not have the right" }

// offering is a refusal with a way out.
type offering struct {
	error
	button chat.Button
}

func (o offering) Unwrap() error { return o.error }

// refuse tells the person why nothing was done: err is a *[texts.Message], a [denied], or
// a provider's error. What may pass is tried again first, and what is none of these is
// returned: the step failed inside.
func (r *run) refuse(err error) (jobs.Next, error) {
	reply := chat.Reply{Tone: chat.Bad, Title: r.t.T("refused.title")}
	var told *texts.Message
	var no denied
	var api *meeting.APIError
	switch {
	case errors.As(err, &no):
		reply = r.refusal(r.t, no.right)
	case errors.As(err, &told):
		reply.Text = told.In(r.t)
	default:
		if n, ok := r.again(err); ok {
			return n, nil
		}
		if !errors.As(err, &api) {
			return jobs.Next{}, err
		}
		reply.Text = r.faultOf(err).In(r.t)
	}
	var way offering
	if errors.As(err, &way) {
		reply.Buttons = []chat.Button{way.button}
	}
	r.endAs(outcomeRefused)
	r.settle()
	r.tell(reply)
	return jobs.Deliver(), nil
}

// internal reports whether the job is the bot's own, with nobody to ask or to refuse.
func (w *work) internal() bool { return grammar.Declared(w.Ask.Verb).Internal }

// lookUpPerson completes what the event did not say of the person.
func (r *run) lookUpPerson(ctx context.Context) error {
	u := &r.w.Request.User
	if r.w.Locale != "" {
		return nil
	}
	r.w.Locale = r.cfg.Parser.Locale
	if u.Locale != "" {
		r.w.Locale = u.Locale
	} else if dir := r.directory(r.w.Request.Place.Platform); dir != nil {
		profile, err := dir.Profile(ctx, r.w.Request.Place, u.ID)
		if err != nil {
			return err
		}
		if profile.Locale != "" {
			r.w.Locale = profile.Locale
		}
		if u.Name == "" {
			u.Name = profile.Name
		}
	}
	r.t = texts.For(r.w.Locale)
	return nil
}

// keyOffered is how long a withdrawn command keeps its stream key for its button.
const keyOffered = 10 * time.Minute

// withdraw ends a job that waited too long to be carried out behind people's backs.
func (r *run) withdraw(ctx context.Context) (jobs.Next, error) {
	text := r.t.T("stale", "Time", r.clock(r.w.Since))
	if !r.w.Ask.Push.Key.IsZero() {
		until := r.now().Add(keyOffered)
		if err := r.store.SetTimer(ctx, jobs.Timer{Key: timerKey(timerDropKey, r.job.ID), At: until}); err != nil {
			return jobs.Next{}, err
		}
		text = texts.Paragraphs(text, r.t.T("stale.key", "Time", r.clock(until)))
	}
	r.endAs(outcomeWithdrawn)
	r.settle()
	r.tell(chat.Reply{
		Tone: chat.Warning, Title: r.t.T("stale.title"), Text: text,
		Buttons: []chat.Button{{Label: r.t.T("button.now"), Action: chat.Action{Name: string(grammar.VerbRunExpired), Arg: r.job.ID}}},
	})
	return jobs.Deliver(), nil
}

// dropKey takes the stream key from a command that was withdrawn some time ago.
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

// fault is why the provider did not carry the command out. It has none if an operator
// settled the job.
func (r *run) fault() error {
	if r.w.Fault == nil {
		return texts.NewMessage("fault.internal")
	}
	return r.w.Fault
}

func (b *Bot) refusal(t texts.Text, right chat.Rights) chat.Reply {
	id := "denied.meet"
	if right == chat.RightPush {
		id = "denied.push"
	}
	reply := chat.Reply{Tone: chat.Bad, Title: t.T("denied.title"), Text: t.T(id) + " " + t.T("denied.whom")}
	for _, e := range b.cfg.Policy.Admins {
		if e.Kind == policy.UserEntry {
			reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.admin"), User: &chat.User{ID: e.ID}})
		}
	}
	return reply
}

// patience is how long a look-up at a provider is repeated before the person is told
// that it could not be done.
const patience = 30 * time.Second

// again reports whether a failed look-up is worth another try, and when. Nothing was
// changed by it, so a repeat is harmless.
func (r *run) again(err error) (jobs.Next, bool) {
	if !errors.Is(err, meeting.ErrUnavailable) && !errors.Is(err, meeting.ErrRateLimited) {
		return jobs.Next{}, false
	}
	wait := 2 * time.Second
	var api *meeting.APIError
	if errors.As(err, &api) && api.RetryAfter > wait {
		wait = api.RetryAfter
	}
	at := r.now().Add(wait)
	return jobs.RetryAt(at), at.Before(r.w.Since.Add(patience))
}

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
		result = lookedUp(h.reconcile(r, ctx))
	} else {
		result = h.call(r, ctx)
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
	r.w.Fault = nil
	r.w.Meeting = l.w.Meeting
	if i := late.Call; i < len(l.w.Steps) && i < len(r.w.Steps) {
		r.w.Steps[i] = l.w.Steps[i] // with its key, by which it is read back
	}
	j.Call = late.Call // others may have followed
	return r.close() == nil
}

// Notice implements [jobs.Handler].
func (b *Bot) Notice(ctx context.Context, j *jobs.Job) {
	r, _, err := b.open(j)
	if err != nil || r.w.internal() {
		return
	}
	poster := b.posters[r.w.Request.Place.Platform]
	if poster == nil {
		return
	}
	text := r.t.T("progress")
	if j.Attempt > 0 { // a try failed, and there will be others
		text = r.t.T("progress.trying", "Provider", r.providerName(cmp.Or(r.w.Ref.Provider, r.w.Ask.Provider)))
	}
	post := r.post(delivery{Slot: chat.SlotProgress, Reply: chat.Reply{Text: text}})
	post.Key = postKey(j, -1)
	if _, err := poster.Post(ctx, post); err != nil && !errors.Is(err, chat.ErrSkip) {
		b.log.WarnContext(ctx, "progress not told", "job", j.ID, "err", err)
	}
}

// clock shows a time of day. Zones differ between readers, so it says which.
func (r *run) clock(at time.Time) string { return at.Local().Format("15:04 MST") }
