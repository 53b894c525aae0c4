package commands

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// Event is a provider's word on a meeting, as a webhook brings it.
type Event struct {
	ID    string // the provider's, the same when it is sent again
	At    time.Time
	Ref   meeting.Ref
	State meeting.State // StateUnknown: nothing was said of it
	// Live is what was said of the live stream: LiveOn, LiveOff, or nothing.
	Live Live
}

// Live is what an [Event] says of the live stream.
type Live string

const (
	LiveNothing Live = ""
	LiveOn      Live = "on"
	LiveOff     Live = "off"
)

// Hear writes down what a provider said. When it returns nil the cards will show it.
func (b *Bot) Hear(ctx context.Context, e Event) error {
	if _, err := b.registry.Get(ctx, e.Ref); err != nil {
		if errors.Is(err, jobs.ErrNotFound) {
			return nil // not one of ours
		}
		return err
	}
	req := chat.Request{ID: "event:" + string(e.Ref.Provider) + ":" + e.ID, At: e.At}
	return b.enqueueOwn(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbEvent, Arg: e.Ref.String()}, Event: &e})
}

func (b *Bot) enqueueOwn(ctx context.Context, w work) error {
	data, err := records.Encode(w)
	if err != nil {
		return err
	}
	_, err = b.store.Enqueue(ctx, jobs.Job{ID: jobID(w.Request), Label: string(w.Ask.Verb), State: jobs.Accepted, Created: b.now(), Data: data})
	if errors.Is(err, jobs.ErrDuplicate) {
		return nil
	}
	return err
}

func (r *run) eventNext(ctx context.Context) (jobs.Next, error) {
	e := r.w.Event
	forgotten := false
	reg, err := r.registry.Change(ctx, e.Ref, func(reg *registry.Registration) bool {
		forgotten = r.registry.Unwatched(*reg)
		changed := r.registry.TurnAt(reg, e.State, e.At)
		if e.Live == LiveNothing || e.At.Before(reg.LiveHeard) { // an older word that comes late
			return changed
		}
		reg.LiveHeard = e.At
		switch {
		case e.Live == LiveOff:
			reg.LiveAt = time.Time{}
		case reg.LiveAt.IsZero():
			reg.LiveAt = e.At
		}
		return true
	})
	if err != nil && !errors.Is(err, jobs.ErrNotFound) {
		return jobs.Next{}, err
	}
	if err == nil && forgotten && !r.registry.Unwatched(reg) {
		if err := r.watch(ctx, reg); err != nil {
			return jobs.Next{}, err
		}
		for _, place := range reg.Places() {
			if err := r.registry.List(ctx, place, reg.Ref()); err != nil {
				return jobs.Next{}, err
			}
		}
	}
	r.endAs(outcomeHeard)
	r.putCards(reg)
	return jobs.Deliver(), nil
}

// redraw brings all cards of a meeting up to date, in a job of its own.
func (b *Bot) redraw(ctx context.Context, reg registry.Registration) error {
	if len(reg.Cards) == 0 {
		return nil
	}
	req := chat.Request{ID: fmt.Sprintf("cards:%s:%d", reg.Ref(), reg.Version()), At: b.now()}
	return b.enqueueOwn(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbCards, Arg: reg.Ref().String()}})
}

func (r *run) cardsNext(ctx context.Context) (jobs.Next, error) {
	reg, err := r.button(ctx)
	r.endAs(outcomeDrawn)
	switch {
	case isRefusal(err): // forgotten since
	case err != nil:
		return jobs.Next{}, err
	default:
		r.putCards(reg)
	}
	return jobs.Deliver(), nil
}

func (r *run) putCards(reg registry.Registration) {
	for _, c := range reg.Cards {
		r.put(delivery{Slot: chat.SlotEdit, Place: &c.Receipt.Place, Edit: &c.Receipt, Card: reg.Ref()})
	}
}

// Timers, each of a meeting where nothing else is said.
const (
	timerPoll   = "poll"
	timerRemind = "remind"

	timerDropKey = "dropkey" // of a job
)

func timerKey(kind, of string) string { return kind + "/" + of }

// watch arms the timers of a new meeting. It may be repeated.
func (b *Bot) watch(ctx context.Context, reg registry.Registration) error {
	ref := reg.Ref()
	if !reg.JoinBy.IsZero() {
		if err := b.store.SetTimer(ctx, jobs.Timer{Key: timerKey(timerRemind, ref.String()), At: reg.JoinBy.Add(-remindBefore)}); err != nil {
			return err
		}
	}
	return b.store.SetTimer(ctx, jobs.Timer{Key: timerKey(timerPoll, ref.String()), At: b.now().Add(pollAfter(0))})
}

// Timer implements [jobs.Handler].
func (b *Bot) Timer(ctx context.Context, t jobs.Timer) error {
	kind, rest, _ := strings.Cut(t.Key, "/")
	if kind == timerDropKey {
		return b.dropKey(ctx, rest)
	}
	ref, ok := meeting.ParseRef(rest)
	if !ok {
		b.log.ErrorContext(ctx, "timer of nothing", "key", t.Key)
		return nil
	}
	switch kind {
	case timerPoll:
		return b.poll(ctx, ref)
	case timerRemind:
		req := chat.Request{ID: "remind:" + ref.String(), At: b.now()}
		return b.enqueueOwn(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbRemind, Arg: ref.String()}})
	}
	return nil
}

// pollsPerMinute bounds what polling takes of Tencent's 300 calls a minute, so that
// commands always find room.
const pollsPerMinute = 100

// pollAfter spaces the polls of a meeting by its age: closely while somebody waits for
// it to begin, seldom when it has run for hours. A third of it is chance, so that
// meetings of one minute do not stay together.
func pollAfter(age time.Duration) time.Duration {
	d := min(max(age/10, 30*time.Second), 5*time.Minute)
	return d - time.Duration(rand.Int64N(int64(d/3)))
}

// listedWithin is how long a new meeting may take to be listed by its provider.
const listedWithin = 5 * time.Minute

// poll asks the provider for a meeting's state and shows what changed.
func (b *Bot) poll(ctx context.Context, ref meeting.Ref) error {
	reg, err := b.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if b.registry.Unwatched(reg) {
		b.registry.Unlist(ctx, reg)
		return b.redraw(ctx, reg)
	}
	p, ok := b.cfg.Providers[ref.Provider]
	if !ok {
		return nil
	}
	next := jobs.Timer{Key: timerKey(timerPoll, ref.String()), At: b.now().Add(pollAfter(b.now().Sub(reg.Created)))}
	if !b.polls.take(b.now()) {
		return b.store.SetTimer(ctx, next)
	}
	began, asked := time.Now(), b.now()
	m, err := p.Get(ctx, reg.Account, ref.ID)
	b.observe(ref.Provider, opPoll, err, began)
	state := m.State
	switch {
	case errors.Is(err, meeting.ErrNotFound):
		state = meeting.StateUnlisted // not a word on how it ended
	case err != nil:
		b.log.WarnContext(ctx, "meeting not polled", "meeting_id", ref, "err", err)
		return b.store.SetTimer(ctx, next)
	}
	neverSeen := reg.Meeting.State == meeting.StateReady
	if state == meeting.StateUnlisted && neverSeen && (b.now().Before(reg.JoinBy) || b.now().Sub(reg.Created) < listedWithin) {
		state = meeting.StateUnknown // it may take a while to be listed
	}
	changed := false
	reg, err = b.registry.Change(ctx, ref, func(reg *registry.Registration) bool {
		changed = !asked.Before(reg.StateAt) && b.registry.Turn(reg, state) // else a webhook was faster
		if err == nil && m.WatchURL != "" && reg.Meeting.WatchURL == "" {
			reg.Meeting.WatchURL, changed = m.WatchURL, true
		}
		worn := !reg.Meeting.StartURL.IsZero() && (reg.Unlisted() || !b.now().Before(reg.StartUntil))
		if worn {
			reg.Meeting.StartURL, reg.StartUntil = noSecret, time.Time{}
		}
		return changed || worn
	})
	if err != nil {
		return err
	}
	// Also when nothing changed just now: whoever changed it before may have died before
	// the cards were drawn. What is drawn already is not drawn again.
	if changed || !reg.StateAt.Equal(reg.Created) || len(reg.Pushes) > 0 {
		if err := b.redraw(ctx, reg); err != nil {
			return err
		}
	}
	if b.registry.Unwatched(reg) {
		return nil
	}
	return b.store.SetTimer(ctx, next)
}

// remindNext tells the requester that a meeting is about to be deleted, if nobody has
// joined it by the provider's own word.
func (r *run) remindNext(ctx context.Context) (jobs.Next, error) {
	reg, err := r.button(ctx)
	if err != nil && !isRefusal(err) {
		return jobs.Next{}, err
	}
	r.endAs(outcomeNotNeeded)
	if err != nil || reg.Meeting.State.Over() {
		return jobs.Deliver(), nil
	}
	if r.now().After(reg.JoinBy) { // somebody came, or it is too late
		return jobs.Deliver(), nil
	}
	m, err := r.provider(reg.Ref().Provider).Get(ctx, reg.Account, reg.Ref().ID)
	switch {
	case errors.Is(err, meeting.ErrUnavailable), errors.Is(err, meeting.ErrRateLimited):
		return jobs.Next{}, err // there are some minutes left
	case err != nil, m.State != meeting.StateReady && m.State != meeting.StateUnknown:
		return jobs.Deliver(), nil
	}
	locale := ""
	if len(reg.Cards) > 0 {
		locale = reg.Cards[0].Locale
	}
	r.w.Locale = locale
	r.t = texts.For(locale, r.cfg.Parser.Locale)
	r.endAs(outcomeReminded)
	r.put(delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &reg.Requester, Reply: chat.Reply{
		Tone: chat.Warning, Title: r.t.T("remind.title", "Topic", reg.Meeting.Topic),
		Text:  r.t.T("remind", "Time", r.clock(reg.JoinBy)),
		Links: slices.DeleteFunc(r.links(reg.Meeting), func(l chat.Link) bool { return l.URL != reg.Meeting.JoinURL }),
	}})
	return jobs.Deliver(), nil
}

// pace lets a bounded number of things happen in a minute.
type pace struct {
	mu    sync.Mutex
	limit int
	since time.Time
	used  int
}

func newPace(perMinute int) *pace { return &pace{limit: perMinute} }

func (p *pace) take(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.since) >= time.Minute {
		p.since, p.used = now, 0
	}
	p.used++
	return p.used <= p.limit
}
