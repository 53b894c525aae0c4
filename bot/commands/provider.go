package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"meetbot/bot/grammar"
	"meetbot/bot/spans"
	"meetbot/config/clock"
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

// liver is a [Provider] that starts and stops a meeting's live: see [meeting.Capabilities].
type liver interface {
	StartLive(ctx context.Context, account, id, name string) error
	StopLive(ctx context.Context, account, id string) error
}

// checker is a [Provider] that tells before a meeting is made whether it can be.
type checker interface {
	CanCreate(ctx context.Context, want meeting.Instant, at time.Time) error
}

// counter is a [Provider] that tells how many people watch a meeting's live now or, once it is
// over, how many did.
type counter interface {
	Viewers(ctx context.Context, account, id string) (int, error)
}

// recorder is a [Provider] that tells the pages of a meeting's recordings, by their files.
type recorder interface {
	// Recordings may return pages and an error: of those that it could not read.
	Recordings(ctx context.Context, account, id string) ([]meeting.Page, error)
}

// replayer is a [Provider] that tells the pages on which a meeting's lives are shown again.
type replayer interface {
	Replays(ctx context.Context, account, id string) ([]meeting.Page, error)
}

// attender is a [Provider] that tells the names of those who were in a meeting; more says that
// there were others.
type attender interface {
	Participants(ctx context.Context, account, id string) (names []string, more bool, err error)
}

// clocked is a [Provider] that knows its own clock.
type clocked interface {
	Clock() *clock.Theirs
}

// now is what the provider's clock shows, or ours: a meeting is found by when it began.
func (c client) now(ours time.Time) time.Time {
	if p, ok := c.clients.all[c.provider].(clocked); ok {
		if _, known := p.Clock().Ahead(); known {
			return p.Clock().Now()
		}
	}
	return ours
}

// sameClock is how far apart two clocks may seem to be that are not: a provider tells its to
// the second.
const sameClock = 3 * time.Second

// ours is when, by our clock, which shows now, the provider's showed at.
func (c client) ours(at, now time.Time) time.Time {
	if off := now.Sub(c.now(now)); off.Abs() > sameClock {
		return at.Add(off)
	}
	return at
}

var errNotSetUp = errors.New("not set up in this bot")

// clients makes the calls to the providers. Jobs and meetings outlive a change of
// configuration: of one that is not set up any more every call is refused before it is sent.
type clients struct {
	all     map[meeting.Provider]Provider
	observe func(p meeting.Provider, op, kind string, took time.Duration) // nil: nobody
}

func (c clients) has(p meeting.Provider) bool { return c.all[p] != nil }

// pushable returns the first provider of the place with whose meetings a command about live push
// can go on. None can where it only switches what is set, or stops a live: a new meeting has neither.
func (c clients) pushable(r *run) (meeting.Provider, bool) {
	v := grammar.Declared(r.w.Ask.Verb)
	if r.switches() || v.Verb == grammar.VerbLiveStop {
		return "", false
	}
	for _, p := range r.here {
		if can := r.kind(p).Can; c.has(p) && can.LivePush && (v.Can == nil || v.Can(can)) {
			return p, true
		}
	}
	return "", false
}

// ownerOf returns the provider whose a number is taken for, of those that the place may use: one
// that can be asked, before one whose numbers are its IDs.
func (c clients) ownerOf(code string, r *run) meeting.Provider {
	var owner meeting.Provider
	for _, p := range r.here {
		k := r.kind(p)
		if !c.has(p) || !k.IsCode(code) {
			continue
		}
		if k.Can.ByCode {
			return p
		}
		owner = cmp.Or(owner, p)
	}
	return owner
}

// accountsOf returns p, and the accounts that are set up at it if it is no account itself.
func (c clients) accountsOf(p meeting.Provider) []meeting.Provider {
	all := []meeting.Provider{p}
	for q := range c.all {
		if q != p && p.Covers(q) {
			all = append(all, q)
		}
	}
	slices.Sort(all[1:])
	return all
}

func (c clients) of(p meeting.Provider) client { return client{c, p} }

// client makes one provider's calls, and has each observed.
type client struct {
	clients  clients
	provider meeting.Provider
}

// pushes reports whether its meetings take live push addresses.
func (c client) pushes() bool {
	_, ok := c.clients.all[c.provider].(pusher)
	return ok
}

// startsAnew reports whether it gives a fresh start link.
func (c client) startsAnew() bool {
	_, ok := c.clients.all[c.provider].(starter)
	return ok
}

// checks reports whether it tells before whether a meeting can be made.
func (c client) checks() bool {
	_, ok := c.clients.all[c.provider].(checker)
	return ok
}

// counts reports whether it tells how many watch.
func (c client) counts() bool {
	_, ok := c.clients.all[c.provider].(counter)
	return ok
}

// can reports whether a provider's API is one.
func can[API any](c client) bool {
	_, ok := c.clients.all[c.provider].(API)
	return ok
}

const providerAttr = attribute.Key("meetbot.provider")

// call makes a call that only an API can make. What is called for a job is a span of its trace.
func call[API, T any](ctx context.Context, c client, op Operation, f func(API) (T, error)) (T, error) {
	api, ok := c.clients.all[c.provider].(API)
	if !ok {
		var none T
		return none, &meeting.APIError{Provider: c.provider, Op: op.String(), Err: errNotSetUp}
	}
	span := spans.Client(ctx, providerAttr, string(c.provider), op.String())
	defer span.End()
	began := time.Now()
	v, err := f(api)
	if refused, ok := err.(*meeting.APIError); ok && c.provider.Account() != "" { //nolint:errorlint // what is around it stays
		of := *refused
		of.Provider = c.provider
		err = &of
	}
	kind := ErrorKind(err)
	if c.clients.observe != nil {
		c.clients.observe(c.provider, op.String(), kind, time.Since(began))
	}
	if err != nil {
		spans.Fail(span, kind)
	}
	return v, err
}

// described makes a call that describes a meeting. A client knows its provider, and not which of
// the accounts there it is.
func described[API any](ctx context.Context, c client, op Operation, f func(API) (meeting.Meeting, error)) (meeting.Meeting, error) {
	m, err := call(ctx, c, op, f)
	if !m.Ref.IsZero() {
		m.Ref.Provider = c.provider
	}
	return m, err
}

func (c client) Create(ctx context.Context, want meeting.Instant) (meeting.Meeting, error) {
	return described(ctx, c, opCreate, func(p Provider) (meeting.Meeting, error) { return p.Create(ctx, want) })
}

func (c client) CanCreate(ctx context.Context, want meeting.Instant, at time.Time) error {
	_, err := call(ctx, c, opCanCreate, func(p checker) (struct{}, error) { return struct{}{}, p.CanCreate(ctx, want, at) })
	return err
}

func (c client) Get(ctx context.Context, account, id string) (meeting.Meeting, error) {
	return described(ctx, c, opGet, func(p Provider) (meeting.Meeting, error) { return p.Get(ctx, account, id) })
}

// Poll is Get, counted apart.
func (c client) Poll(ctx context.Context, account, id string) (meeting.Meeting, error) {
	return described(ctx, c, opPoll, func(p Provider) (meeting.Meeting, error) { return p.Get(ctx, account, id) })
}

func (c client) List(ctx context.Context, account, userKey string) ([]meeting.Meeting, error) {
	all, err := call(ctx, c, opList, func(p Provider) ([]meeting.Meeting, error) { return p.List(ctx, account, userKey) })
	for i := range all {
		all[i].Ref.Provider = c.provider
	}
	return all, err
}

func (c client) End(ctx context.Context, account, id string) error {
	_, err := call(ctx, c, opEnd, func(p Provider) (struct{}, error) { return struct{}{}, p.End(ctx, account, id) })
	return err
}

func (c client) ByCode(ctx context.Context, account, code string) (meeting.Meeting, error) {
	return described(ctx, c, opByCode, func(p pusher) (meeting.Meeting, error) { return p.ByCode(ctx, account, code) })
}

func (c client) SetPush(ctx context.Context, account, id string, target meeting.PushTarget) error {
	_, err := call(ctx, c, opSetPush, func(p pusher) (struct{}, error) { return struct{}{}, p.SetPush(ctx, account, id, target) })
	return err
}

func (c client) Pushes(ctx context.Context, account, id string) ([]meeting.PushTarget, error) {
	all, err := call(ctx, c, opPushes, func(p pusher) ([]meeting.PushTarget, error) { return p.Pushes(ctx, account, id) })
	for i := range all { // a host may have typed anything there, which everybody will read
		all[i].Name = grammar.CleanName(all[i].Name)
	}
	return all, err
}

func (c client) StartURL(ctx context.Context, id string) (secret.String, error) {
	return call(ctx, c, opStartURL, func(p starter) (secret.String, error) { return p.StartURL(ctx, id) })
}

func (c client) Viewers(ctx context.Context, account, id string) (int, error) {
	return call(ctx, c, opViewers, func(p counter) (int, error) { return p.Viewers(ctx, account, id) })
}

func (c client) Recordings(ctx context.Context, account, id string) ([]meeting.Page, error) {
	return call(ctx, c, opRecordings, func(p recorder) ([]meeting.Page, error) { return p.Recordings(ctx, account, id) })
}

func (c client) Replays(ctx context.Context, account, id string) ([]meeting.Page, error) {
	return call(ctx, c, opReplays, func(p replayer) ([]meeting.Page, error) { return p.Replays(ctx, account, id) })
}

func (c client) Participants(ctx context.Context, account, id string) (names []string, more bool, err error) {
	names, err = call(ctx, c, opParticipants, func(p attender) (all []string, err error) {
		all, more, err = p.Participants(ctx, account, id)
		return all, err
	})
	return names, more, err
}

func (c client) StartLive(ctx context.Context, account, id, name string) error {
	_, err := call(ctx, c, opStartLive, func(p liver) (struct{}, error) { return struct{}{}, p.StartLive(ctx, account, id, name) })
	return err
}

func (c client) StopLive(ctx context.Context, account, id string) error {
	_, err := call(ctx, c, opStopLive, func(p liver) (struct{}, error) { return struct{}{}, p.StopLive(ctx, account, id) })
	return err
}

// errorKinds are the words for a provider's errors.
var errorKinds = []struct {
	err  error
	kind string
}{
	{meeting.ErrNotFound, "not_found"},
	{meeting.ErrNotPermitted, "not_permitted"},
	{meeting.ErrInvalid, "invalid"},
	{meeting.ErrLimit, "limit"},
	{meeting.ErrRateLimited, "rate_limited"},
	{meeting.ErrCredentials, "credentials"},
	{meeting.ErrUnavailable, "unavailable"},
	{meeting.ErrOutcomeUnknown, "outcome_unknown"},
}

const kindInternal = "internal" // what is in no list

// ErrorKind names a provider's error in one word, for metrics and traces; empty for nil.
func ErrorKind(err error) string {
	if err == nil {
		return ""
	}
	for _, k := range errorKinds {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return kindInternal
}

// ErrorKinds returns every word of [ErrorKind] but the empty one.
func ErrorKinds() []string {
	words := []string{kindInternal}
	for _, k := range errorKinds {
		words = append(words, k.kind)
	}
	return words
}
