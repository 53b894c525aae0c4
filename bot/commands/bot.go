// Package commands does what people ask. An accepted [grammar.Ask] is a job; [Bot] is the
// handler of these jobs: it checks who may, calls the meeting providers, and puts what is to
// be said into the job's outbox, from which each [chat.Post] goes to its platform.
//
// Each verb is a few steps: next decides how the job goes on, and fills the outbox when it is
// through; call and reconcile exist where a provider is asked to change something that must
// not happen twice. Everything that next decides is in the job before the call, so that a
// lost answer can be looked for. Every step may be repeated after a crash.
//
// Besides the jobs this package keeps wishes (recent/HASH: who asked what where, and the job
// that does it) and key-entry links (keylink/HASH). What else is kept has rooms of its own:
// registry, livepush and audit.
//
// The package knows no platform and speaks no HTTP.
package commands

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// Provider is the part of a meeting provider that every command needs. account is the
// provider's own user who acts; empty where the provider has none, or for its default.
type Provider interface {
	Create(ctx context.Context, want meeting.Instant) (meeting.Meeting, error)
	Get(ctx context.Context, account, id string) (meeting.Meeting, error)
	// List returns the account's running and coming meetings; with a userKey, where the
	// provider has those, only the ones marked with it.
	List(ctx context.Context, account, userKey string) ([]meeting.Meeting, error)
	End(ctx context.Context, account, id string) error
}

// pusher is a [Provider] whose meetings take live push addresses.
type pusher interface {
	ByCode(ctx context.Context, account, code string) (meeting.Meeting, error)
	SetPush(ctx context.Context, account, id string, target meeting.PushTarget) error
	Pushes(ctx context.Context, account, id string) ([]meeting.PushTarget, error)
}

// starter is a [Provider] that gives a fresh start link for a meeting.
type starter interface {
	StartURL(ctx context.Context, id string) (secret.String, error)
}

// provider returns the client of p. Jobs and meetings outlive a change of configuration:
// of one that is not set up any more every call is refused before it is sent.
func (b *Bot) provider(p meeting.Provider) Provider {
	if c, ok := b.cfg.Providers[p]; ok {
		return c
	}
	return absent{p}
}

// absent stands for a provider that is not set up.
type absent struct{ provider meeting.Provider }

var errNotSetUp = errors.New("not set up in this bot")

func (a absent) refuse(op string) error {
	return &meeting.APIError{Provider: a.provider, Op: op, Err: errNotSetUp}
}

func (a absent) Create(context.Context, meeting.Instant) (meeting.Meeting, error) {
	return meeting.Meeting{}, a.refuse("create")
}

func (a absent) Get(context.Context, string, string) (meeting.Meeting, error) {
	return meeting.Meeting{}, a.refuse("get")
}

func (a absent) List(context.Context, string, string) ([]meeting.Meeting, error) {
	return nil, a.refuse("list")
}

func (a absent) End(context.Context, string, string) error { return a.refuse("end") }

func (a absent) ByCode(context.Context, string, string) (meeting.Meeting, error) {
	return meeting.Meeting{}, a.refuse("get")
}

func (a absent) SetPush(context.Context, string, string, meeting.PushTarget) error {
	return a.refuse("set_push")
}

func (a absent) Pushes(context.Context, string, string) ([]meeting.PushTarget, error) {
	return nil, a.refuse("pushes")
}

// Store is the part of [jobs.Store] that a [Bot] needs.
type Store interface {
	Enqueue(ctx context.Context, j jobs.Job) (jobs.Job, error)
	Get(ctx context.Context, id string) (jobs.Job, error)
	Update(ctx context.Context, id string, change func(*jobs.Job) error) (jobs.Job, error)
	records.Store
	SetTimer(ctx context.Context, t jobs.Timer) error
}

// Config is what a [Bot] is made of.
type Config struct {
	Parser    grammar.Config
	Providers map[meeting.Provider]Provider
	Policy    policy.Policy
	// Account is the provider's user as whom the bot acts for everybody; Accounts says who
	// acts as their own, by [chat.Place.UserKey]. Tencent only.
	Account  string
	Accounts map[string]string
	// StartLinkInThread posts start links for everybody to see.
	StartLinkInThread bool
	// Webhooks says that the provider reports the live state.
	Webhooks bool
	// KeyPageURL is the address of the key-entry page, to which a token is appended;
	// empty where there is none.
	KeyPageURL string
	Retention  time.Duration // how long meetings are remembered
	Observe    Observer
	Log        *slog.Logger
	Now        func() time.Time
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
	polls    *pace
	steps    map[grammar.Verb]steps
}

// NewBot returns a Bot. Every platform's [chat.Poster] is to be attached before its jobs run.
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
	b := &Bot{
		parser: grammar.New(cfg.Parser), cfg: cfg, store: store, posters: map[chat.Platform]chat.Poster{},
		log: cfg.Log, now: cfg.Now, started: cfg.Now(), polls: newPace(pollsPerMinute), steps: declaredSteps(),
	}
	b.registry = registry.New(store, cfg.Retention, cfg.Log, cfg.Now)
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
		reply := b.refusal(texts.For(r.User.Locale, b.cfg.Parser.Locale), v.Right)
		return chat.Decision{Reply: &reply}
	}
	return d
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
	ask := grammar.AskOf(d)
	j, err := newJob(d.Request, *ask, b.now())
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
	t := texts.For(d.Request.User.Locale, b.cfg.Parser.Locale)
	return chat.Acceptance{Reply: &chat.Reply{Tone: chat.Bad, Title: t.T(id + ".title"), Text: t.T(id)}}
}

// Complete proposes values for the named option of the command in r: recent meetings
// here, or names of saved destinations. It never proposes a key, and nothing to whom the
// command would be refused.
func (b *Bot) Complete(ctx context.Context, r chat.Request, option, typed string) []chat.Choice {
	v, o, ok := grammar.Completed(r, option)
	if !ok {
		return nil
	}
	allowed, err := b.cfg.Policy.Permits(ctx, b.directory(r.Place.Platform), r.Place, r.User, v.Right)
	if err != nil {
		b.log.WarnContext(ctx, "permission not looked up", "verb", v.Verb, "err", err)
	}
	switch {
	case !allowed:
		return nil
	case o.Kind == grammar.KindMeeting:
		return b.completeMeetings(ctx, r, typed)
	}
	return b.completeDestinations(ctx, r, typed)
}

func (b *Bot) directory(p chat.Platform) chat.Directory {
	dir, _ := b.posters[p].(chat.Directory)
	return dir
}
