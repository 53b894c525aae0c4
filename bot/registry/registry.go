// Package registry remembers which meetings the bot made, where they are shown and whose they
// are.
//
// A meeting is one document under meeting/REF. It is found by index documents that hold
// nothing but the REF: code/NUMBER/REF, join/HASH/REF and here/PLACE/RANK/REF. The meeting is
// written first. A crash before its indexes leaves it to the next try of the same job, which
// writes them; a crash after a meeting is over may leave it in the list of a place, from
// which it goes when that list is next read ([Registry.Here]). All of it expires by age.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// Registration is what the bot remembers of a meeting that it made.
type Registration struct {
	// Job made it, for a wish of the time Asked: a provider may give a number once more.
	Job   string    `cbor:",omitzero"`
	Asked time.Time `cbor:",omitzero"`

	Meeting   meeting.Meeting `cbor:",omitzero"`
	Requester chat.User       `cbor:",omitzero"`
	Place     chat.Place      `cbor:",omitzero"` // where it was asked for
	Hosts     []string        `cbor:",omitzero"`
	Account   string          `cbor:",omitzero"` // the provider's user who created it
	Created   time.Time       `cbor:",omitzero"`
	StateAt   time.Time       `cbor:",omitzero"` // since when Meeting.State holds
	// LiveAt is since when the stream is on air, by a webhook's word; LiveHeard is when the
	// newest one was spoken.
	LiveAt    time.Time `cbor:",omitzero"`
	LiveHeard time.Time `cbor:",omitzero"`
	// LiveAsked is when LiveJob asked the provider to start the live, of which nothing was heard
	// since.
	LiveAsked time.Time `cbor:",omitzero"`
	// LiveStop is when the provider took a request to stop the live, of which nothing was heard since.
	LiveStop time.Time `cbor:",omitzero"`
	LiveJob  string    `cbor:",omitzero"`
	// JoinBy is when the provider deletes the meeting if nobody has joined; zero: it does not.
	JoinBy time.Time `cbor:",omitzero"`
	// StartUntil is when Meeting.StartURL stops working.
	StartUntil time.Time `cbor:",omitzero"`
	Pushes     []Push    `cbor:",omitzero"`
	Words      []Word    `cbor:",omitzero"` // beside Pushes, the newest last
	Audience   *Audience `cbor:",omitzero"` // nil: viewers were not counted
	Ran        Ran       `cbor:",omitzero"`
	Lives      []Span    `cbor:",omitzero"` // by the provider's word, oldest first
	Report     string    `cbor:",omitzero"` // the job that told what became of it; empty: none did
	// Moved is the meeting that was made in the place of this one; nil: none was.
	Moved *Moved `cbor:",omitzero"`
	Cards []Card `cbor:",omitzero"`
	// Before is the meeting that had the number before, without its secrets; nil: none had.
	Before *Registration `cbor:",omitzero"`

	revision uint64
}

// Moved is what people have to know of the meeting that was made in the place of another.
type Moved struct{ Topic, Code, JoinURL string }

// Push is a push address as it was last read back, or was accepted last.
type Push struct {
	Name        string `cbor:",omitzero"`
	Fingerprint string `cbor:",omitzero"`
	Destination string `cbor:",omitzero"`
	Enabled     bool   `cbor:",omitzero"`
	Standby     bool   `cbor:",omitzero"` // it was set to be switched on later
	Page        string `cbor:",omitzero"` // where viewers watch, of the saved destination; may be empty

	// What older records do not have.
	Address string    `cbor:",omitzero"` // names it in buttons: see [livepush.Address]
	Read    bool      `cbor:",omitzero"` // it was read back as it is here; else the provider accepted it, and no more is known
	By      string    `cbor:",omitzero"` // the name of who had it set or switched last
	At      time.Time `cbor:",omitzero"` // then
}

// Word is what became of a push address that is not as it was wanted: a change that did not
// succeed, or that it is not set any more. A name has one, the newest.
type Word struct {
	Name string
	Said texts.Message
	By   string // the name of whose command it was; empty: the provider's list said so
	At   time.Time
}

// mostWords bounds what is remembered of one meeting.
const mostWords = 20

// Say has a word take the place of an earlier one with its name.
func (r *Registration) Say(w Word) {
	r.Unsay(w.Name, func(Word) bool { return true })
	r.Words = append(r.Words, w)
	r.Words = r.Words[max(0, len(r.Words)-mostWords):]
}

// Unsay forgets the word with a name if it is one of which f holds.
func (r *Registration) Unsay(name string, f func(Word) bool) {
	r.Words = slices.DeleteFunc(slices.Clone(r.Words), func(w Word) bool { return w.Name == name && f(w) })
}

// Pushed reports whether a push address is, or was, set at the meeting, or was to be.
func (r *Registration) Pushed() bool { return len(r.Pushes)+len(r.Words) > 0 }

// Audience is how many people watched the live, by the provider's count.
type Audience struct {
	Now  int       `cbor:",omitzero"` // when it was last asked and the number was another than before
	At   time.Time `cbor:",omitzero"` // then
	Peak int       `cbor:",omitzero"` // of what was counted
	// Total is how many watched at all, once the live is over.
	Total int  `cbor:",omitzero"`
	Over  bool `cbor:",omitzero"`
}

// Card is a card of the meeting, somewhere.
type Card struct {
	Receipt chat.Receipt `cbor:",omitzero"`
	Locale  string       `cbor:",omitzero"`
}

// Version changes with every change of the registration.
func (r Registration) Version() uint64 { return r.revision }

// Unlisted reports whether the provider does not list the meeting any more.
func (r Registration) Unlisted() bool { return r.Meeting.State == meeting.StateUnlisted }

// Ref names the meeting.
func (r *Registration) Ref() meeting.Ref { return r.Meeting.Ref }

// LocaleOf returns the language of the card at a receipt.
func (r *Registration) LocaleOf(at chat.Receipt) string {
	for _, c := range r.Cards {
		if c.Receipt == at {
			return c.Locale
		}
	}
	return ""
}

// HasCard reports whether the message at a receipt is a card of the meeting.
func (r *Registration) HasCard(at chat.Receipt) bool {
	return slices.ContainsFunc(r.Cards, func(c Card) bool { return c.Receipt == at })
}

// ThreadAt returns the card of the meeting that is nearest to a place.
func (r *Registration) ThreadAt(p chat.Place) *chat.Receipt {
	for _, c := range r.Cards {
		if c.Receipt.Place.Key() == p.Key() {
			return &c.Receipt
		}
	}
	return nil
}

// Keys of documents. Lists are by whole segments.
const (
	docMeeting = "meeting" // ref → registration
	docCode    = "code"    // code, ref
	docHere    = "here"    // place, rank, ref
	docJoin    = "join"    // hash of the join URL, ref
)

// rank orders the meetings of a place in its list, the newest first.
func rank(created time.Time) string { return fmt.Sprintf("%016x", math.MaxInt64-created.UnixNano()) }

func hereKey(place string, reg Registration) []string {
	return []string{docHere, place, rank(reg.Created), reg.Ref().String()}
}

// Registry is which meetings the bot knows, where they are listed and whose they are.
type Registry struct {
	store     records.Store
	kinds     meeting.Kinds
	retention time.Duration // how long a meeting is remembered after its last change
	log       *slog.Logger
	now       func() time.Time
}

// New returns the registry in a store. Each meeting is remembered for the retention after
// its last change.
func New(store records.Store, kinds meeting.Kinds, retention time.Duration, log *slog.Logger, now func() time.Time) *Registry {
	return &Registry{store, kinds, retention, log, now}
}

// ErrSuperseded is returned by [Registry.Add] if the number went to a later meeting.
var ErrSuperseded = errors.New("the number is a later meeting's")

// Add remembers a new meeting. It may be repeated by its job, which gets back what is
// remembered. A provider may give the number of an earlier meeting once more, as with a
// personal one: the later wish has it then, the earlier meeting is in Before and in no list
// any more.
func (g *Registry) Add(ctx context.Context, reg Registration) (Registration, error) {
	ref := reg.Ref().String()
	expires := g.now().Add(g.retention)
	put := jobs.Doc{Key: []string{docMeeting, ref}, Expires: expires}
	for {
		var err error
		if put.Value, err = records.Encode(reg); err != nil {
			return reg, err
		}
		reg.revision, err = g.store.PutDoc(ctx, put)
		if err == nil {
			break
		}
		if !errors.Is(err, jobs.ErrConflict) {
			return reg, fmt.Errorf("register %s: %w", ref, err)
		}
		has, err := g.Get(ctx, reg.Ref())
		switch {
		case errors.Is(err, jobs.ErrNotFound): // expired since
			put.Revision, reg.Before = 0, nil
			continue
		case err != nil:
			return reg, err
		case has.Job != reg.Job && has.Asked.After(reg.Asked):
			return reg, ErrSuperseded
		}
		if has.Job == reg.Job {
			reg = has
			break
		}
		put.Revision, reg.Before = has.revision, &has
		has.Meeting.StartURL, has.Meeting.HostKey, has.Before = secret.String{}, secret.String{}, nil
	}
	if reg.Before != nil {
		g.Unlist(ctx, *reg.Before)
	}
	keys := [][]string{hereKey(reg.Place.Key(), reg)}
	if reg.Meeting.Code != "" {
		keys = append(keys, []string{docCode, reg.Meeting.Code, ref})
	}
	if reg.Meeting.JoinURL != "" {
		keys = append(keys, []string{docJoin, records.ShortHash(reg.Meeting.JoinURL), ref})
	}
	var all errgroup.Group // what is written side by side shares a sync
	for _, key := range keys {
		all.Go(func() error { return g.index(ctx, ref, key, expires) })
	}
	if err := all.Wait(); err != nil {
		return reg, fmt.Errorf("index %s: %w", ref, err)
	}
	return reg, nil
}

// Get returns what is remembered of a meeting, or [jobs.ErrNotFound].
func (g *Registry) Get(ctx context.Context, ref meeting.Ref) (Registration, error) {
	doc, err := g.store.Doc(ctx, docMeeting, ref.String())
	if err != nil {
		return Registration{}, fmt.Errorf("meeting %s: %w", ref, err)
	}
	reg, err := records.Decode[Registration](doc.Value)
	reg.revision = doc.Revision
	return reg, err
}

// Change rewrites what is remembered of a meeting, as often as others get in between.
// When f returns false nothing is written.
func (g *Registry) Change(ctx context.Context, ref meeting.Ref, f func(*Registration) bool) (Registration, error) {
	for {
		reg, err := g.Get(ctx, ref)
		if err != nil || !f(&reg) {
			return reg, err
		}
		if reg.Meeting.State.Over() { // nobody can use them any more
			reg.Meeting.StartURL, reg.Meeting.HostKey = secret.String{}, secret.String{}
		}
		body, err := records.Encode(reg)
		if err != nil {
			return reg, err
		}
		reg.revision, err = g.store.PutDoc(ctx, jobs.Doc{
			Key: []string{docMeeting, ref.String()}, Value: body, Revision: reg.revision, Expires: g.now().Add(g.retention),
		})
		if err == nil && g.Unwatched(reg) {
			g.Unlist(ctx, reg)
		}
		if !errors.Is(err, jobs.ErrConflict) {
			return reg, err
		}
	}
}

// Places are where the meeting is listed: where it was asked for, and where it was shared.
func (r *Registration) Places() []string {
	keys := []string{r.Place.Key()}
	for _, c := range r.Cards {
		keys = append(keys, c.Receipt.Place.Key())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Unlist takes a meeting that is over, or of which nothing more is heard, from the
// lists of its places, so that those stay short. What a crash leaves there goes when the
// list is read: see [Registry.Here].
func (g *Registry) Unlist(ctx context.Context, reg Registration) {
	for _, place := range reg.Places() {
		key := hereKey(place, reg)
		doc, err := g.store.Doc(ctx, key...)
		if err == nil {
			err = g.store.DeleteDoc(ctx, doc.Revision, key...)
		}
		if err != nil && !errors.Is(err, jobs.ErrNotFound) && !errors.Is(err, jobs.ErrConflict) {
			g.log.WarnContext(ctx, "finished meeting not removed from its list", "meeting_id", reg.Ref(), "err", err)
		}
	}
}

// List puts a meeting into the list of a place. It may be repeated.
func (g *Registry) List(ctx context.Context, place string, reg Registration) error {
	return g.index(ctx, reg.Ref().String(), hereKey(place, reg), g.now().Add(g.retention))
}

// index lets a meeting be found by a key. It may be repeated.
func (g *Registry) index(ctx context.Context, ref string, key []string, expires time.Time) error {
	_, err := g.store.PutDoc(ctx, jobs.Doc{Key: key, Value: []byte(ref), Expires: expires})
	if errors.Is(err, jobs.ErrConflict) {
		return nil
	}
	return err
}

// indexed bounds how many meetings with one number or link, or for one thread, are looked at.
const indexed = 200

// find loads the meetings under an index key, newest first.
func (g *Registry) find(ctx context.Context, prefix ...string) ([]Registration, error) {
	docs, err := g.store.Docs(ctx, indexed, prefix...)
	if err != nil {
		return nil, err
	}
	var regs []Registration
	for _, d := range docs {
		reg, ok, err := g.load(ctx, d)
		if err != nil {
			return nil, err
		}
		if ok {
			regs = append(regs, reg)
		}
	}
	slices.SortFunc(regs, func(a, b Registration) int { return b.Created.Compare(a.Created) })
	return regs, nil
}

// load returns the meeting that a document of an index is about, if it can be had.
func (g *Registry) load(ctx context.Context, index jobs.Doc) (reg Registration, ok bool, err error) {
	ref, ok := g.kinds.ParseRef(index.Key[len(index.Key)-1])
	if !ok {
		return reg, false, nil
	}
	reg, err = g.Get(ctx, ref)
	switch {
	case errors.Is(err, jobs.ErrNotFound): // expired between the two reads
		return reg, false, nil
	case errors.Is(err, records.ErrUnreadable): // one such must not stand in the way of the others
		g.log.ErrorContext(ctx, "meeting cannot be read", "meeting_id", ref, "err", err)
		return reg, false, nil
	}
	return reg, err == nil, err
}

// ByCode returns the meetings with a number, newest first.
func (g *Registry) ByCode(ctx context.Context, code string) ([]Registration, error) {
	return g.find(ctx, docCode, code)
}

// ByJoinURL returns the meetings with a join link, newest first.
func (g *Registry) ByJoinURL(ctx context.Context, url string) ([]Registration, error) {
	return g.find(ctx, docJoin, records.ShortHash(url))
}

// MaxHere is how many meetings of a place are ever shown.
const MaxHere = 25

// Here returns the newest meetings of a place that may go on, the newest first, at most limit
// of them and no more than [MaxHere]; in a thread that has some of its own, only those. It
// takes from the list what it meets there that does not belong there any more.
func (g *Registry) Here(ctx context.Context, p chat.Place, limit int) ([]Registration, error) {
	limit = min(limit, MaxHere)
	shown := limit
	if p.Thread != "" {
		limit = indexed // its own may be older
	}
	regs, err := g.here(ctx, p, limit)
	if err != nil || p.Thread == "" {
		return regs, err
	}
	var inThread []Registration
	for _, r := range regs {
		if r.Place.Thread == p.Thread || slices.ContainsFunc(r.Cards, func(c Card) bool { return c.Receipt.Place.Thread == p.Thread }) {
			inThread = append(inThread, r)
		}
	}
	if len(inThread) > 0 {
		regs = inThread
	}
	return regs[:min(len(regs), shown)], nil
}

// Pushed returns the meetings of a place, with its threads, that may go on and are pushed or were
// to be, the newest first. all says that it looked at every meeting of the place.
func (g *Registry) Pushed(ctx context.Context, p chat.Place) (_ []Registration, all bool, _ error) {
	regs, err := g.here(ctx, p, indexed)
	all = len(regs) < indexed
	return slices.DeleteFunc(regs, func(r Registration) bool { return !r.Pushed() }), all, err
}

// here is [Registry.Here] without regard to threads.
func (g *Registry) here(ctx context.Context, p chat.Place, limit int) ([]Registration, error) {
	var regs []Registration
	tidy := true
	for n, again := limit, true; again; { // what is over makes room for others
		docs, err := g.store.Docs(ctx, n, docHere, p.Key())
		if err != nil {
			return nil, err
		}
		regs = regs[:0]
		full, kept := len(docs) == n, 0
		again = false
		for _, d := range docs {
			reg, ok, err := g.load(ctx, d)
			if err != nil {
				return nil, err
			}
			switch {
			case !ok: // it stays there, and must not stand in the way of others
				kept++
			case g.listed(p, d, reg):
				regs = append(regs, reg)
			case !tidy:
				kept++
			default:
				err := g.store.DeleteDoc(ctx, d.Revision, d.Key...)
				if err != nil && !errors.Is(err, jobs.ErrConflict) {
					g.log.WarnContext(ctx, "finished meeting not removed from its list", "meeting_id", reg.Ref(), "err", err)
					tidy = false // each such try may take its time
					kept++
					continue
				}
				again = full
			}
		}
		if full && n < limit+kept {
			n, again = limit+kept, true
		}
	}
	return regs, nil
}

// listed reports whether a meeting belongs where d lists it: it is not over, and its number was
// not used again.
func (g *Registry) listed(p chat.Place, d jobs.Doc, reg Registration) bool {
	return !g.Unwatched(reg) && slices.Contains(reg.Places(), p.Key()) && slices.Equal(d.Key, hereKey(p.Key(), reg))
}

// AddCard remembers a card of the meeting that a job made; of another with that number it is
// none. The meeting is listed where the card was posted. It returns the meeting as it is then.
func (g *Registry) AddCard(ctx context.Context, ref meeting.Ref, job string, at chat.Receipt, locale string) (Registration, error) {
	reg, err := g.Change(ctx, ref, func(reg *Registration) bool {
		if reg.Job != job || reg.HasCard(at) {
			return false
		}
		reg.Cards = append(reg.Cards, Card{at, locale})
		return true
	})
	if err != nil {
		return reg, err
	}
	if reg.Job == job && at.Place.Key() != reg.Place.Key() { // shared into another room
		err = g.List(ctx, at.Place.Key(), reg)
	}
	return reg, err
}

// DropCard forgets a card that is not there any more. It returns the meeting as it is then.
func (g *Registry) DropCard(ctx context.Context, ref meeting.Ref, at chat.Receipt) (Registration, error) {
	return g.Change(ctx, ref, func(reg *Registration) bool {
		n := len(reg.Cards)
		reg.Cards = slices.DeleteFunc(reg.Cards, func(c Card) bool { return c.Receipt == at })
		return len(reg.Cards) < n
	})
}

// Turn changes a meeting's state on the provider's word, and reports whether it did. A
// meeting that is over stays over, and nothing is not a state.
func (g *Registry) Turn(reg *Registration, to meeting.State) bool {
	noted := reg.Ran.note(reg.Meeting.State, to, g.now(), false)
	return reg.turn(to, g.now()) || noted
}

// TurnAt is [Registry.Turn] for a word that was spoken at the given time: one that comes
// late says nothing of the state, unless it says that the meeting is over.
func (g *Registry) TurnAt(reg *Registration, to meeting.State, at time.Time) bool {
	noted := reg.Ran.note(reg.Meeting.State, to, at, true)
	return reg.turn(to, at) || noted
}

func (r *Registration) turn(to meeting.State, at time.Time) bool {
	was := r.Meeting.State
	to = was.Next(to)
	if to == was || at.Before(r.StateAt.Add(-time.Minute)) && !to.Over() {
		return false
	}
	r.Meeting.State, r.StateAt = to, at
	if to != meeting.StateReady {
		r.JoinBy = time.Time{}
	}
	if to.Over() {
		r.LiveAt, r.LiveAsked, r.LiveStop = time.Time{}, time.Time{}, time.Time{}
	}
	return true
}

// Unwatched reports whether nothing more is to be learnt of a meeting by polling.
func (g *Registry) Unwatched(reg Registration) bool {
	return reg.Meeting.State.Over() || reg.Unlisted() && g.now().Sub(reg.StateAt) > unlistedFor
}

const (
	// unlistedFor is how long a meeting that is no longer listed is still looked for: it
	// may have been a passing fault.
	unlistedFor = time.Hour
)
