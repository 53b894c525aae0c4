package commands

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// polling asks the providers for the states of meetings, by timers that it sets itself.
type polling struct {
	timers   timers
	registry polled
	clients  clients
	queue    queue
	audience audience
	reports  reports
	pace     *pace
	now      func() time.Time
	log      *slog.Logger
}

type timers interface {
	SetTimer(ctx context.Context, t jobs.Timer) error
}

// polled is the part of [registry.Registry] that knows which meetings are to be asked for.
type polled interface {
	known
	states
	Unwatched(reg registry.Registration) bool
	Unlist(ctx context.Context, reg registry.Registration)
	Saw(ctx context.Context, ref meeting.Ref, at time.Time) error
}

// Timers, each of a meeting where nothing else is said.
const (
	timerPoll    = "poll"
	timerRemind  = "remind"
	timerViewers = "viewers"
	timerReport  = "report"
	timerMade    = "made"

	timerDropKey = "dropkey" // of a job
)

// remindBefore is how long before a meeting is deleted its requester is told.
const remindBefore = 5 * time.Minute

func timerKey(kind, of string) string { return kind + "/" + of }

// watch arms the timers of a new meeting. It may be repeated.
func (h polling) watch(ctx context.Context, reg registry.Registration) error {
	ref := reg.Ref()
	if !reg.JoinBy.IsZero() {
		if err := h.timers.SetTimer(ctx, jobs.Timer{Key: timerKey(timerRemind, ref.String()), At: reg.JoinBy.Add(-remindBefore)}); err != nil {
			return err
		}
	}
	return h.book(ctx, ref, pollAfter(0))
}

// book has a meeting be polled after some time, or later where as many are booked for then as a
// provider takes: a timer that goes off in vain is a write, and of thousands of meetings that is all
// that would happen.
func (h polling) book(ctx context.Context, ref meeting.Ref, after time.Duration) error {
	return h.pollAt(ctx, ref, h.pace.book(h.now().Add(after)))
}

// soon has a meeting be polled in a moment.
func (h polling) soon(ctx context.Context, ref meeting.Ref) error {
	return h.pollAt(ctx, ref, h.now().Add(countedAfter))
}

func (h polling) pollAt(ctx context.Context, ref meeting.Ref, at time.Time) error {
	return h.timers.SetTimer(ctx, jobs.Timer{Key: timerKey(timerPoll, ref.String()), At: at})
}

// pollsPerMinute bounds what polling takes of a provider's calls a minute, so that
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
func (h polling) poll(ctx context.Context, ref meeting.Ref) error {
	reg, err := h.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if h.registry.Unwatched(reg) {
		h.registry.Unlist(ctx, reg)
		if err := h.reports.due(ctx, reg); err != nil {
			return err
		}
		if err := h.audience.over(ctx, reg); err != nil { // whoever learnt of the end may have died before
			return err
		}
		if err := h.queue.redraw(ctx, reg); err != nil {
			return err
		}
		if !reg.Unlisted() {
			return nil
		}
		return h.queue.redrawBoardsFor(ctx, reg, "given up", reg.Places()...) // time alone took it from them
	}
	if !h.clients.has(ref.Provider) {
		return nil
	}
	after := pollAfter(h.now().Sub(reg.Created))
	if !h.pace.take(h.now()) { // it was not booked, or by the process before
		return h.book(ctx, ref, after)
	}
	asked := h.now()
	m, err := h.clients.of(ref.Provider).Poll(ctx, reg.Account, ref.ID)
	switch {
	case errors.Is(err, meeting.ErrNotFound):
		m.State = meeting.StateUnlisted // not a word on how it ended
		if neverSeen := reg.Meeting.State == meeting.StateReady; neverSeen && (h.now().Before(reg.JoinBy) || h.now().Sub(reg.Created) < listedWithin) {
			m.State = meeting.StateUnknown // it may take a while to be listed
		}
	case err != nil:
		h.log.WarnContext(ctx, "meeting not polled", "meeting_id", ref, "err", err)
		return h.book(ctx, ref, after)
	}
	asking := reg
	asking.Meeting.State = m.State
	viewers, counting := h.audience.count(ctx, asking)
	over := reg.Meeting.State.Over() || reg.Unlisted()
	reg, changed, err := h.learn(ctx, ref, m, asked, func(reg *registry.Registration) bool {
		return counting && mayBeLive(*reg) && counted(reg, viewers, asked)
	})
	if err != nil {
		return err
	}
	if m.State == meeting.StateRunning {
		if err := h.registry.Saw(ctx, ref, asked); err != nil {
			return err
		}
	}
	if !over {
		if err := h.reports.due(ctx, reg); err != nil {
			return err
		}
	}
	if !over && (reg.Meeting.State.Over() || reg.Unlisted()) {
		if err := h.audience.over(ctx, reg); err != nil {
			return err
		}
	}
	// Also when nothing changed just now: whoever changed it before may have died before
	// the cards were drawn. What is drawn already is not drawn again.
	if changed || !reg.StateAt.Equal(reg.Created) || reg.Pushed() {
		if err := h.queue.redraw(ctx, reg); err != nil {
			return err
		}
	}
	if h.registry.Unwatched(reg) {
		return nil
	}
	if counting { // what people watch does not wait for a turn
		return h.pollAt(ctx, ref, h.now().Add(min(after, pollAfter(10*countEvery))))
	}
	return h.book(ctx, ref, after)
}

// learn remembers what a provider said of a meeting when it was asked, with what else was
// learnt, and reports whether cards show anything of it.
func (h polling) learn(ctx context.Context, ref meeting.Ref, m meeting.Meeting, asked time.Time, also func(*registry.Registration) bool) (_ registry.Registration, changed bool, _ error) {
	reg, err := h.registry.Change(ctx, ref, func(reg *registry.Registration) bool {
		changed = !asked.Before(reg.StateAt) && h.registry.Turn(reg, m.State) // else a webhook was faster
		if m.WatchURL != "" && reg.Meeting.WatchURL == "" {
			reg.Meeting.WatchURL, changed = m.WatchURL, true
		}
		changed = also(reg) || changed
		worn := !reg.Meeting.StartURL.IsZero() && (reg.Unlisted() || !h.now().Before(reg.StartUntil))
		if worn {
			reg.Meeting.StartURL, reg.StartUntil = noSecret, time.Time{}
		}
		return changed || worn
	})
	return reg, changed, err
}

// pace lets a bounded number of things happen in a minute.
type pace struct {
	mu     sync.Mutex
	limit  int
	minute int64 // since 1970, that used is of
	used   int
	booked map[int64]int // by minute
}

func newPace(perMinute int) *pace { return &pace{limit: perMinute, booked: make(map[int64]int)} }

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// take reports whether one more may happen now.
func (p *pace) take(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := minuteOf(now); m != p.minute {
		p.minute, p.used = m, 0
		maps.DeleteFunc(p.booked, func(past int64, _ int) bool { return past < m })
	}
	p.used++
	return p.used <= p.limit
}

// book returns when something is to happen that is wanted at a time: then, or in the next minute
// for which less is booked. Then it still has to take, as what was not booked does.
func (p *pace) book(at time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := minuteOf(at)
	m := wanted
	for p.booked[m] >= p.limit {
		m++
	}
	p.booked[m]++
	if m == wanted {
		return at
	}
	return time.Unix(60*m, 0).Add(rand.N(time.Minute))
}

// reminders tells a requester that a meeting is about to be deleted.
type reminders struct {
	targets targets
	clients clients
}

// next tells the requester that a meeting is about to be deleted, if nobody has
// joined it by the provider's own word.
func (h reminders) next(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.button(ctx, r)
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
	m, err := h.clients.of(reg.Ref().Provider).Get(ctx, reg.Account, reg.Ref().ID)
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
	r.t = r.text(reg.Place.Platform, locale)
	r.endAs(outcomeReminded)
	r.put(delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &reg.Requester, Reply: chat.Reply{
		Tone: chat.Warning, Title: r.t.T("remind.title", "Topic", reg.Meeting.Topic),
		Text:  r.t.T("remind", "Time", r.clock(reg.JoinBy)),
		Links: slices.DeleteFunc(r.links(reg.Meeting), func(l chat.Link) bool { return l.URL != reg.Meeting.JoinURL }),
	}})
	return jobs.Deliver(), nil
}
