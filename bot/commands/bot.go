// Package commands does what people ask. An accepted [grammar.Ask] is a job; [Bot] is the
// handler of these jobs: it checks who may, calls the meeting providers, and puts what is to
// be said into the job's outbox, from which each [chat.Post] goes to its platform.
//
// What a verb does stands in one row of steps.go: next decides how the job goes on, and fills
// the outbox when it is through; call and reconcile exist where a provider is asked to change
// something that must not happen twice. Everything that next decides is in the job before the
// call, so that a lost answer can be looked for. Every step may be repeated after a crash.
// What is refused is an error, a *[texts.Message]; [Bot.advance] makes the answer of it.
//
// The verbs of one family are methods of a struct that has the few things that they need, in
// a file that is called what the family is about. They share parts of the same kind: people
// (who may), targets (which meeting is meant), clients (the calls to providers), cards,
// wishes, the queue of the bot's own jobs. A run is what one step works on.
//
// Besides the jobs this package keeps a few kinds of documents. A wish (recent/HASH) says which
// job does what a person asked in a place; it is written before the provider is called, and a
// crash behind it leaves it to the same job. A key-entry link (keylink/HASH) is marked as
// claimed before its job is written and as used after; a crash between the two lets the next
// submission in, which meets the job of the first. What a provider says of a meeting before its
// answer is here (heard/REF/HASH) waits some minutes for the meeting. That something was made of a meeting (made/REF/HASH), or that
// an account sees no viewers (unseen/PROVIDER/HASH), is told by the job that wrote its document first. The board of a place
// (board/PLACE) is written once its message is there, and stays until that is gone. What else is kept has packages of its own:
// registry, livepush and audit.
//
// The package knows no platform and speaks no HTTP.
package commands

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// Store is the part of [jobs.Store] that a [Bot] needs.
type Store interface {
	Enqueue(ctx context.Context, j jobs.Job) (jobs.Job, error)
	Refuse(ctx context.Context, j jobs.Job, err error) error
	Get(ctx context.Context, id string) (jobs.Job, error)
	Update(ctx context.Context, id string, change func(*jobs.Job) error) (jobs.Job, error)
	records.Store
	SetTimer(ctx context.Context, t jobs.Timer) error
}

// Config is what a [Bot] is made of.
type Config struct {
	// Platforms are those that requests come from; Parser and Policy are told of them.
	Platforms chat.Kinds
	Parser    grammar.Config
	Providers map[meeting.Provider]Provider
	Policy    policy.Policy
	// Accounts are those of the providers that have any.
	Accounts map[meeting.Provider]Accounts
	// SandboxHere says that the sandbox's links open on the bot's own machine alone.
	SandboxHere bool
	// ProviderVariable says that a variable, and not a lack of others, makes the parser's
	// default provider the default.
	ProviderVariable bool
	// StartLinkInThread posts start links for everybody to see.
	StartLinkInThread bool
	// RecordingsInThread posts the links of recordings for everybody to see.
	RecordingsInThread bool
	// Participants has reports name those who were in a meeting.
	Participants bool
	// Webhooks are the providers that report the live state.
	Webhooks map[meeting.Provider]bool
	// KeyPageURL is the address of the key-entry page, to which a token is appended;
	// empty where there is none.
	KeyPageURL string
	Retention  time.Duration // how long meetings are remembered
	Observe    Observer
	Log        *slog.Logger
	Now        func() time.Time
}

// Accounts are the users of one provider as whom calls are made.
type Accounts struct {
	Bot     string            // for everybody
	Persons map[string]string // who acts as their own, by [chat.Kind.Named]
	// Usual is what a meeting has unless its requester says otherwise.
	Usual meeting.Instant
}

// Observer is told of what happens, for metrics. A nil function is not called.
type Observer struct {
	// Finished: a command ended; since is when the person asked, or a
	// second one approved.
	Finished func(platform chat.Platform, verb grammar.Verb, outcome string, since time.Time)
	// Called: a provider answered. kind is empty for success.
	Called func(p meeting.Provider, op, kind string, took time.Duration)
}

// Bot acts on what was asked. It is the [jobs.Handler] of its jobs.
type Bot struct {
	parser   *grammar.Parser
	cfg      Config
	store    Store
	registry *registry.Registry
	posters  map[chat.Platform]chat.Poster
	log      *slog.Logger
	now      func() time.Time
	started  time.Time

	people  people
	targets targets
	cards   cards
	boards  boards
	saved   saved
	keyPage keyPage
	polling polling
	queue   queue
	early   early
	steps   map[grammar.Verb]steps
}

// New returns a Bot. Every platform's [chat.Poster] is to be attached before its jobs run.
func New(cfg Config, store Store) *Bot {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Retention == 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	cfg.Parser.Platforms, cfg.Policy.Platforms = cfg.Platforms, cfg.Platforms
	b := &Bot{
		parser: grammar.New(cfg.Parser), cfg: cfg, store: store, posters: map[chat.Platform]chat.Poster{},
		log: cfg.Log, now: cfg.Now, started: cfg.Now(), registry: registry.New(store, cfg.Parser.Kinds, cfg.Retention, cfg.Log, cfg.Now),
	}
	p := newParts(b)
	b.people, b.targets, b.cards, b.boards, b.saved, b.keyPage = p.people, p.targets, p.cards, p.boards, p.saved, p.keyPage
	b.polling, b.queue, b.early = p.polling, p.queue, p.early
	b.steps = declaredSteps(p)
	return b
}

// Attach says who posts on a platform.
func (b *Bot) Attach(p chat.Platform, poster chat.Poster) { b.posters[p] = poster }

// Parse parses a request and refuses at once, privately, what can be refused without a
// look-up: on Discord the refusal of an acknowledged command could not be private.
func (b *Bot) Parse(r chat.Request) chat.Decision {
	d := b.parser.Parse(r)
	if d.Reply != nil || d.Faults != nil {
		return d
	}
	v, _ := grammar.Asked(d)
	if b.cfg.Policy.Judge(r.Place, r.User, v.Right) == policy.No && !b.mayBeAdmin(r) {
		reply := b.people.refusal(b.parser.Text(r.Place.Platform, r.User.Locale), r.Place, denied{right: v.Right})
		return chat.Decision{Reply: &reply}
	}
	return d
}

// here returns the providers and accounts that a place may use.
func (b *Bot) here(place chat.Place) []meeting.Provider {
	c := b.cfg.Parser
	if c.Here != nil {
		return c.Here(place)
	}
	var all []meeting.Provider
	for _, k := range c.Kinds {
		all = append(all, k.ID)
	}
	return append(all, c.Accounts...)
}

// completeAccount proposes the accounts that the place may use.
func (b *Bot) completeAccount(_ context.Context, r chat.Request, typed string) ([]chat.Choice, error) {
	var all []chat.Choice
	for _, p := range b.cfg.Parser.At(r.Place) {
		if name := p.Account(); name != "" && strings.HasPrefix(name, strings.ToLower(typed)) {
			label := nameOf(b.parser.Text(r.Place.Platform, r.User.Locale), b.cfg.Parser.Kinds, p.Kind())
			all = append(all, chat.Choice{Label: name + " · " + label, Value: name})
		}
	}
	return all, nil
}

// mayBeAdmin reports whether only a look-up can tell that the person is no admin.
func (b *Bot) mayBeAdmin(r chat.Request) bool {
	return b.cfg.Policy.Admin(r.Place, r.User) == policy.LookUp
}

// acceptWithin bounds the wait for the store; platforms want their answer in 3 s.
const acceptWithin = 2400 * time.Millisecond

// Accept writes an accepted request down. When it returns without a Reply, the person
// will hear how it ended, whatever becomes of this process.
func (b *Bot) Accept(ctx context.Context, d chat.Decision) chat.Acceptance {
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	ask := *grammar.AskOf(d)
	here, unread := b.people.settings.Here(ctx, d.Request.Place)
	if unread == nil {
		if no := b.complete(d.Request, &ask, here); no != nil {
			return chat.Acceptance{Reply: no}
		}
	}
	j, err := newJob(d.Request, ask, here, b.now())
	if err == nil && unread != nil {
		err = b.store.Refuse(ctx, j, unread)
	}
	if err == nil {
		_, err = b.store.Enqueue(ctx, j)
	}
	switch {
	case err == nil:
		b.log.InfoContext(ctx, "command accepted", "job", j.ID, "verb", ask.Verb, "platform", d.Request.Place.Platform)
		return chat.Acceptance{}
	case errors.Is(err, jobs.ErrDuplicate):
		return chat.Acceptance{Duplicate: true}
	}
	id := "accept.internal"
	switch {
	case errors.Is(err, jobs.ErrNotConfirmed), errors.Is(err, context.DeadlineExceeded):
		id = "accept.not_confirmed"
	case errors.Is(err, jobs.ErrFull):
		id = "accept.full"
	case errors.Is(err, jobs.ErrBusy):
		id = "accept.busy"
	case errors.Is(err, jobs.ErrStopping):
		id = "accept.stopping"
	}
	b.log.ErrorContext(ctx, "command not accepted", "job", j.ID, "verb", ask.Verb, "err", err)
	t := b.parser.Text(d.Request.Place.Platform, d.Request.User.Locale)
	return chat.Acceptance{Reply: &chat.Reply{Tone: chat.Bad, Text: t.T(id)}}
}

// mostProposed is how many choices every platform shows in a form.
const mostProposed = 25

// Ready implements [chat.Bot].
func (b *Bot) Ready(ctx context.Context, d chat.Decision) chat.Decision {
	if d.Form == nil {
		return d
	}
	v, _ := grammar.Asked(d)
	r := d.Request
	t := b.parser.Text(r.Place.Platform, r.User.Locale)
	here, err := b.people.settings.Here(ctx, r.Place)
	if err == nil {
		err = b.people.may(ctx, r.Place, r.User, v.Right, here.Lists())
	}
	var no denied
	if errors.As(err, &no) {
		reply := b.people.refusal(t, r.Place, no)
		return chat.Decision{Reply: &reply, Request: r}
	}
	form := *d.Form
	d.Form = &form
	b.prefill(d.Form, v.Verb, r.Place, here)
	f := form
	f.Fields = nil
	gone := map[string]bool{}
	for _, field := range d.Form.Fields {
		if field.Propose {
			all := b.Complete(ctx, chat.Request{Command: v.Command, User: r.User, Place: r.Place}, field.Name, "")
			switch {
			case len(all) == 0 && (field.Kind == chat.ListField || field.Kind != chat.TextField && field.Value == ""):
				gone[field.Name] = true
				continue
			case len(all) == 0, len(all) > mostProposed, field.Value != "": // to be typed
				field.Kind = chat.TextField
				if none := "hint." + field.Name + ".none"; len(all) == 0 && field.Value == "" && t.Has(none) {
					field.Hint = t.T(none)
					if how := b.howToCreate(t, v, r.Place); how != "" && field.Name == "meeting" {
						field.Hint = how
					}
				}
			case field.Kind == chat.TextField:
				field.Kind, field.Max, field.Choices, field.Placeholder = chat.ChoiceField, 0, all, ""
			default:
				field.Choices, field.Placeholder = all, ""
			}
		}
		if field.Only != nil && gone[field.Only.Field] {
			field.Only, field.Extra = nil, false // there is room for it now
		}
		f.Fields = append(f.Fields, field)
	}
	d.Form = &f
	return d
}

// howToCreate is the hint of a form's meeting where the place has none with which the command can go
// on: how to create one. Empty where no provider there has such meetings, or a form has no room for it.
func (b *Bot) howToCreate(t texts.Text, v grammar.VerbDecl, place chat.Place) string {
	r := &run{kinds: b.cfg.Parser.Kinds, here: b.here(place), w: &work{Ask: grammar.Ask{Verb: v.Verb}}}
	p, ok := b.targets.clients.pushable(r)
	if !ok {
		return ""
	}
	id := "hint.meeting.create"
	if r.kind(p).Parameters["live"] == "" {
		id += ".any"
	}
	if how := t.T(id, "Provider", string(p.Kind())); utf8.RuneCountInString(how) <= maxHint {
		return how
	}
	return ""
}

// maxHint is how long a form's hint may be, in characters: see [chat.FormField].
const maxHint = 100

// Complete proposes values for the named option of the command in r: recent meetings
// here, or names of saved destinations. It never proposes a key, and nothing to whom the
// command would be refused.
func (b *Bot) Complete(ctx context.Context, r chat.Request, option, typed string) []chat.Choice {
	v, o, ok := grammar.Completed(r, option)
	if !ok {
		return nil
	}
	if err := b.people.mayNow(ctx, r.Place, r.User, v.Right); err != nil {
		if !isDenied(err) {
			b.log.WarnContext(ctx, "permission not looked up", "verb", v.Verb, "err", err)
		}
		return nil
	}
	complete := b.saved.complete
	switch {
	case o.Kind == grammar.KindMeeting:
		complete = func(ctx context.Context, r chat.Request, typed string) ([]chat.Choice, error) {
			return b.targets.complete(ctx, r, v, typed)
		}
	case o.Kind == grammar.KindAccount:
		complete = b.completeAccount
	case v.Verb == grammar.VerbPushOff:
		complete = b.targets.completeOff
	case v.Verb == grammar.VerbPushOn:
		complete = b.targets.completeOn
	}
	choices, err := complete(ctx, r, typed)
	if err != nil {
		b.log.WarnContext(ctx, "option not completed", "option", option, "err", err)
	}
	return choices
}

// Hear writes down what a provider said. When it returns nil the cards will show it. That one
// more person has come says nothing new of a meeting that runs.
func (b *Bot) Hear(ctx context.Context, e meeting.Event) error {
	now := b.now()
	if e.At = b.polling.clients.of(e.Ref.Provider).ours(e.At, now); e.At.After(now) { // nobody speaks of what is to come
		e.At = now
	}
	reg, err := b.registry.Get(ctx, e.Ref)
	if err == nil && e.Live == meeting.LiveUnsaid && e.State == meeting.StateRunning && reg.Meeting.State == e.State && !e.At.Before(reg.Ran.From) {
		return nil
	}
	if errors.Is(err, jobs.ErrNotFound) {
		if err := b.early.keep(ctx, e); err != nil {
			return err
		}
		_, err = b.registry.Get(ctx, e.Ref) // it may have become known meanwhile
		if errors.Is(err, jobs.ErrNotFound) {
			return nil // not one of ours, as far as is known
		}
	}
	if err != nil {
		return err
	}
	return b.queue.heard(ctx, e)
}

// LookKey returns what a key-entry link is for, without using it up.
func (b *Bot) LookKey(ctx context.Context, token string) (KeyForm, error) {
	f, err := b.keyPage.look(ctx, token)
	f.Back = b.cfg.Platforms.Of(f.Place.Platform).LinkTo(f.Place)
	return f, err
}

// SubmitKey takes what was typed into the key-entry page, once, if the person may still
// do what the link is for. The error is a *[KeyFaults] where the entry is not good enough.
func (b *Bot) SubmitKey(ctx context.Context, token string, e KeyEntry) (KeyResult, error) {
	result, err := b.keyPage.submit(ctx, token, e)
	result.Form.Back = b.cfg.Platforms.Of(result.Form.Place.Platform).LinkTo(result.Form.Place)
	return result, err
}
