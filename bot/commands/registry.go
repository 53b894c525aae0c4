package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meetbot/bot/jobs"
	"meetbot/meeting"
)

// registration is what the bot remembers of a meeting that it made.
type registration struct {
	Meeting   meeting.Meeting
	Requester User
	Place     Place // where it was asked for
	Hosts     []string
	Account   string // the provider's user who created it
	Created   time.Time
	StateAt   time.Time // since when Meeting.State holds
	// LiveAt is since when the stream is on air, by a webhook's word; LiveHeard is when the
	// newest one was spoken.
	LiveAt    time.Time
	LiveHeard time.Time
	// JoinBy is when the provider deletes the meeting if nobody has joined; SYSTEC only.
	JoinBy time.Time
	// StartUntil is when Meeting.StartURL stops working.
	StartUntil time.Time
	Pushes     []pushSeen
	Cards      []cardAt

	revision uint64
}

// pushSeen is a push address as it was last read back.
type pushSeen struct {
	Name        string
	Fingerprint string
	Destination string
	Enabled     bool
}

// cardAt is a card of the meeting, somewhere.
type cardAt struct {
	Receipt Receipt
	Locale  string
}

func (r registration) unlisted() bool { return r.Meeting.State == meeting.StateUnlisted }

func (r *registration) ref() meeting.Ref { return r.Meeting.Ref }

// localeOf returns the language of the card at a receipt.
func (r *registration) localeOf(at Receipt) string {
	for _, c := range r.Cards {
		if c.Receipt == at {
			return c.Locale
		}
	}
	return ""
}

// threadAt returns the card of the meeting that is nearest to a place.
func (r *registration) threadAt(p Place) *Receipt {
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
	docHere    = "here"    // place, ref
	docJoin    = "join"    // hash of the join URL, ref
	docRecent  = "recent"  // person, place and command → the job that did it
)

// register remembers a new meeting. It may be repeated.
func (b *Bot) register(ctx context.Context, reg registration) (registration, error) {
	ref := reg.ref().String()
	body, err := encode(reg)
	if err != nil {
		return reg, err
	}
	expires := b.now().Add(b.cfg.Retention)
	reg.revision, err = b.store.PutDoc(ctx, jobs.Doc{Key: []string{docMeeting, ref}, Value: body, Expires: expires})
	if errors.Is(err, jobs.ErrConflict) {
		if reg, err = b.registration(ctx, reg.ref()); err != nil {
			return reg, err
		}
	} else if err != nil {
		return reg, fmt.Errorf("register %s: %w", ref, err)
	}
	keys := [][]string{{docHere, reg.Place.Key(), ref}}
	if reg.Meeting.Code != "" {
		keys = append(keys, []string{docCode, reg.Meeting.Code, ref})
	}
	if reg.Meeting.JoinURL != "" {
		keys = append(keys, []string{docJoin, shortHash(reg.Meeting.JoinURL), ref})
	}
	for _, key := range keys {
		if err := b.index(ctx, ref, key, expires); err != nil {
			return reg, fmt.Errorf("index %s: %w", ref, err)
		}
	}
	return reg, nil
}

// registration returns what is remembered of a meeting, or [jobs.ErrNotFound].
func (b *Bot) registration(ctx context.Context, ref meeting.Ref) (registration, error) {
	doc, err := b.store.Doc(ctx, docMeeting, ref.String())
	if err != nil {
		return registration{}, fmt.Errorf("meeting %s: %w", ref, err)
	}
	reg, err := decode[registration](doc.Value)
	reg.revision = doc.Revision
	return reg, err
}

// change rewrites what is remembered of a meeting, as often as others get in between.
// When f returns false nothing is written.
func (b *Bot) change(ctx context.Context, ref meeting.Ref, f func(*registration) bool) (registration, error) {
	for {
		reg, err := b.registration(ctx, ref)
		if err != nil || !f(&reg) {
			return reg, err
		}
		if reg.Meeting.State.Over() { // nobody can use them any more
			reg.Meeting.StartURL, reg.Meeting.HostKey = noSecret, noSecret
		}
		body, err := encode(reg)
		if err != nil {
			return reg, err
		}
		reg.revision, err = b.store.PutDoc(ctx, jobs.Doc{
			Key: []string{docMeeting, ref.String()}, Value: body, Revision: reg.revision, Expires: b.now().Add(b.cfg.Retention),
		})
		if err == nil && b.unwatched(reg) {
			b.leaveLists(ctx, reg)
		}
		if !errors.Is(err, jobs.ErrConflict) {
			return reg, err
		}
	}
}

// places are where the meeting is listed: where it was asked for, and where it was shared.
func (r *registration) places() []string {
	keys := []string{r.Place.Key()}
	for _, c := range r.Cards {
		keys = append(keys, c.Receipt.Place.Key())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// leaveLists takes a meeting that is over, or of which nothing more is heard, from the
// lists of its places, so that those stay short. What a crash leaves there goes when the
// list is read: see [Bot.here].
func (b *Bot) leaveLists(ctx context.Context, reg registration) {
	for _, place := range reg.places() {
		b.unlist(ctx, place, reg.ref())
	}
}

// list puts a meeting into the list of a place. It may be repeated.
func (b *Bot) list(ctx context.Context, place string, ref meeting.Ref) error {
	return b.index(ctx, ref.String(), []string{docHere, place, ref.String()}, b.now().Add(b.cfg.Retention))
}

// index lets a meeting be found by a key. It may be repeated.
func (b *Bot) index(ctx context.Context, ref string, key []string, expires time.Time) error {
	_, err := b.store.PutDoc(ctx, jobs.Doc{Key: key, Value: []byte(ref), Expires: expires})
	if errors.Is(err, jobs.ErrConflict) {
		return nil
	}
	return err
}

// unlist takes a meeting from the list of a place, and reports whether it is not there now.
func (b *Bot) unlist(ctx context.Context, place string, ref meeting.Ref) bool {
	key := []string{docHere, place, ref.String()}
	doc, err := b.store.Doc(ctx, key...)
	if err == nil {
		err = b.store.DeleteDoc(ctx, doc.Revision, key...)
	}
	if err != nil && !errors.Is(err, jobs.ErrNotFound) && !errors.Is(err, jobs.ErrConflict) {
		b.log.WarnContext(ctx, "meeting that is over not taken from its list", "meeting_id", ref, "err", err)
		return false
	}
	return true
}

// indexed bounds how many meetings of one channel are looked at.
const indexed = 200

// found loads the meetings under an index key, newest first.
func (b *Bot) found(ctx context.Context, prefix ...string) ([]registration, error) {
	docs, err := b.store.Docs(ctx, indexed, prefix...)
	if err != nil {
		return nil, err
	}
	var regs []registration
	for _, d := range docs {
		ref, ok := meeting.ParseRef(d.Key[len(d.Key)-1])
		if !ok {
			continue
		}
		reg, err := b.registration(ctx, ref)
		if errors.Is(err, jobs.ErrNotFound) {
			continue // expired between the two reads
		}
		if errors.Is(err, errUnreadable) { // one such must not stand in the way of the others
			b.log.ErrorContext(ctx, "meeting cannot be read", "meeting_id", ref, "err", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		regs = append(regs, reg)
	}
	slices.SortFunc(regs, func(a, b registration) int { return b.Created.Compare(a.Created) })
	return regs, nil
}

// here returns the meetings of a place that may go on, newest first; in a thread that
// has some of its own, only those.
func (b *Bot) here(ctx context.Context, p Place) ([]registration, error) {
	var regs []registration
	for again := true; again; { // what is over makes room for others
		var err error
		if regs, err = b.found(ctx, docHere, p.Key()); err != nil {
			return nil, err
		}
		full := len(regs) == indexed
		again = false
		regs = slices.DeleteFunc(regs, func(r registration) bool {
			if !b.unwatched(r) {
				return false
			}
			again = b.unlist(ctx, p.Key(), r.ref()) && full || again
			return true
		})
	}
	if p.Thread == "" {
		return regs, nil
	}
	var inThread []registration
	for _, r := range regs {
		if r.Place.Thread == p.Thread || slices.ContainsFunc(r.Cards, func(c cardAt) bool { return c.Receipt.Place.Thread == p.Thread }) {
			inThread = append(inThread, r)
		}
	}
	if len(inThread) > 0 {
		return inThread, nil
	}
	return regs, nil
}

func (b *Bot) rememberCard(ctx context.Context, ref meeting.Ref, at Receipt, locale string) error {
	reg, err := b.change(ctx, ref, func(reg *registration) bool {
		if slices.ContainsFunc(reg.Cards, func(c cardAt) bool { return c.Receipt == at }) {
			return false
		}
		reg.Cards = append(reg.Cards, cardAt{at, locale})
		return true
	})
	if err != nil {
		return err
	}
	if at.Place.Key() != reg.Place.Key() { // shared into another room
		err = b.list(ctx, at.Place.Key(), ref)
	}
	return err
}

func (b *Bot) forgetCard(ctx context.Context, ref meeting.Ref, at Receipt) error {
	_, err := b.change(ctx, ref, func(reg *registration) bool {
		n := len(reg.Cards)
		reg.Cards = slices.DeleteFunc(reg.Cards, func(c cardAt) bool { return c.Receipt == at })
		return len(reg.Cards) < n
	})
	return err
}

func (b *Bot) completeMeetings(ctx context.Context, r Request, typed string) []Choice {
	regs, err := b.here(ctx, r.Place)
	if err != nil {
		b.log.WarnContext(ctx, "meetings not completed", "err", err)
		return nil
	}
	typed = strings.ToLower(typed)
	var choices []Choice
	for _, reg := range regs {
		label := reg.Meeting.Topic + " · " + showCode(reg.Meeting.Code)
		if strings.Contains(strings.ToLower(label), typed) || strings.Contains(reg.Meeting.Code, typed) {
			choices = append(choices, Choice{Label: label, Value: reg.ref().String()})
		}
	}
	return choices
}

// showCode groups a meeting number as clients do: 806-146-667.
func showCode(code string) string {
	if len(code) < 9 {
		return code
	}
	return code[:3] + "-" + code[3:6] + "-" + code[6:]
}

// target is a meeting that a command is about.
type target struct {
	ref     meeting.Ref
	reg     *registration // nil: not made by the bot
	account string        // to act as
}

// want is what a command needs of its meeting.
type want struct {
	push bool // push addresses can be set
	// vouched: nothing else asks the provider whether the person's own account may.
	vouched bool
	over    bool // it may be over
}

// resolve finds the meeting that a command means and checks that the person may have it
// acted upon. It returns a fault to be told, or an error worth another try.
func (r *run) resolve(ctx context.Context, need want) (target, *fault, error) {
	arg := r.w.Ask.Meeting
	if arg == "" {
		return r.resolveHere(ctx, need)
	}
	m, ok := MeetingArg(arg)
	if !ok {
		return target{}, newFault("which.unreadable"), nil
	}
	var refs []meeting.Ref
	switch {
	case m.ID != "" && m.Provider != "":
		refs = append(refs, meeting.Ref{Provider: m.Provider, ID: m.ID})
	case m.ID != "":
		refs = append(refs, meeting.Ref{Provider: meeting.Tencent, ID: m.ID})
	case m.Code != "":
		regs, err := r.found(ctx, docCode, m.Code)
		if err != nil {
			return target{}, nil, err
		}
		for _, reg := range regs {
			p := reg.ref().Provider
			if m.Provider == p || m.Provider == "" && (!need.push || p.Capabilities().LivePush || len(regs) == 1) {
				refs = append(refs, reg.ref())
			}
		}
	case m.URL != "":
		regs, err := r.found(ctx, docJoin, shortHash(m.URL))
		if err != nil {
			return target{}, nil, err
		}
		for _, reg := range regs {
			refs = append(refs, reg.ref())
		}
	}
	switch {
	case len(refs) > 1:
		return target{}, newFault("which.tie", "Number", m.Code), nil
	case len(refs) == 1:
		reg, err := r.registration(ctx, refs[0])
		if err == nil {
			return r.mayTouch(ctx, reg, need)
		}
		if !errors.Is(err, jobs.ErrNotFound) {
			return target{}, nil, err
		}
		return r.foreign(ctx, refs[0], need)
	case m.Code != "":
		return r.foreignCode(ctx, m, need)
	}
	return target{}, newFault("which.url"), nil
}

func (r *run) resolveHere(ctx context.Context, need want) (target, *fault, error) {
	regs, err := r.here(ctx, r.w.Request.Place)
	if err != nil {
		return target{}, nil, err
	}
	able := slices.DeleteFunc(slices.Clone(regs), func(reg registration) bool {
		return need.push && !reg.ref().Provider.Capabilities().LivePush
	})
	if listed := slices.DeleteFunc(slices.Clone(able), registration.unlisted); len(listed) > 0 {
		able = listed // what the provider has forgotten is hardly meant
	}
	switch {
	case len(able) == 1:
		return r.mayTouch(ctx, able[0], need)
	case len(able) > 1:
		var names []string
		for _, reg := range able {
			names = append(names, reg.Meeting.Topic+" "+showCode(reg.Meeting.Code))
		}
		return target{}, newFault("which.several", "Meetings", strings.Join(names, r.t.T("list.apart"))), nil
	case len(regs) > 0:
		return target{}, newFault("which.systec"), nil
	case need.push:
		return target{}, newFault("which.none_push"), nil
	}
	return target{}, newFault("which.none"), nil
}

// mayTouch guards a meeting that the bot made: its requester, its hosts, whoever the
// allow-list names in its channel, and admins may have the bot's account act on it.
func (r *run) mayTouch(ctx context.Context, reg registration, need want) (target, *fault, error) {
	t := target{ref: reg.ref(), reg: &reg, account: reg.Account}
	if need.push && !t.ref.Provider.Capabilities().LivePush {
		return t, newFault("which.systec"), nil
	}
	ok, err := r.holds(ctx, reg)
	if err != nil {
		return t, newFault("fault.directory"), nil
	}
	if !ok {
		own := r.ownAccount()
		if own == "" || t.ref.Provider != meeting.Tencent {
			return t, newFault("power.meeting", "Name", reg.Requester.Name), nil
		}
		t.account = own // the provider decides whether that account may
		if f, err := r.vouch(ctx, t, need); f != nil || err != nil {
			return t, f, err
		}
	}
	if reg.Meeting.State.Over() && !need.over {
		return t, newFault("which.over", "Topic", reg.Meeting.Topic), nil
	}
	return t, nil, nil
}

// vouch asks the provider whether the person's own account knows the meeting, where no
// call follows that would.
func (r *run) vouch(ctx context.Context, t target, need want) (*fault, error) {
	if !need.vouched {
		return nil, nil
	}
	_, err := r.provider(t.ref.Provider).Get(ctx, t.account, t.ref.ID)
	if errors.Is(err, meeting.ErrNotFound) || errors.Is(err, meeting.ErrNotPermitted) {
		return newFault("power.foreign"), nil
	}
	return nil, err
}

// holds reports whether a person has the requester's power over a meeting.
func (r *run) holds(ctx context.Context, reg registration) (bool, error) {
	place, user := r.w.Request.Place, r.w.Request.User
	if r.w.Request.Place.Platform == reg.Place.Platform && (user.ID == reg.Requester.ID || slices.Contains(reg.Hosts, user.ID)) {
		return true, nil
	}
	dir := r.directory(place.Platform)
	if admin, err := r.cfg.Policy.isAdmin(ctx, dir, place, user); admin || err != nil {
		return admin, err
	}
	if rightFor(r.w.Ask.Verb) == RightPush && place.Key() == reg.Place.Key() {
		return r.cfg.Policy.named(ctx, dir, place, user, RightPush)
	}
	return false, nil
}

// ownAccount is the provider's user that the person is mapped to; empty for none.
func (r *run) ownAccount() string {
	return r.cfg.Accounts[r.w.Request.Place.UserKey(r.w.Request.User)]
}

// foreign guards a meeting that the bot did not make: the person acts as their own
// account, or is an admin.
func (r *run) foreign(ctx context.Context, ref meeting.Ref, need want) (target, *fault, error) {
	t := target{ref: ref, account: r.ownAccount()}
	if need.push && !ref.Provider.Capabilities().LivePush {
		return t, newFault("which.systec"), nil
	}
	if _, ok := r.cfg.Providers[ref.Provider]; !ok {
		return t, newFault("which.provider", "Provider", r.providerName(ref.Provider)), nil
	}
	if t.account != "" && ref.Provider == meeting.Tencent {
		f, err := r.vouch(ctx, t, need)
		return t, f, err
	}
	admin, err := r.cfg.Policy.isAdmin(ctx, r.directory(r.w.Request.Place.Platform), r.w.Request.Place, r.w.Request.User)
	if err != nil {
		return t, newFault("fault.directory"), nil
	}
	if !admin {
		return t, newFault("power.foreign"), nil
	}
	return t, nil, nil
}

// foreignCode looks a number up that the registry does not have. The right is checked
// before the provider is asked.
func (r *run) foreignCode(ctx context.Context, m MeetingTarget, need want) (target, *fault, error) {
	p := m.Provider
	if p == "" {
		p = meeting.Tencent
		if _, ok := r.cfg.Providers[p]; !ok {
			p = meeting.Systec
		}
	}
	t, f, err := r.foreign(ctx, meeting.Ref{Provider: p, ID: m.Code}, need)
	if f != nil || err != nil || p == meeting.Systec { // its number is its ID
		return t, f, err
	}
	lookup, ok := r.cfg.Providers[p].(pusher)
	if !ok {
		return t, newFault("which.provider", "Provider", r.providerName(p)), nil
	}
	got, err := lookup.ByCode(ctx, t.account, m.Code)
	if err != nil {
		return t, nil, err
	}
	t.ref = got.Ref
	return t, nil, nil
}
