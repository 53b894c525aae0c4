package commands

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// audience asks how many people watch a live, of providers that tell. While a meeting runs
// that is asked for together with its state, and what is learnt is remembered and drawn
// together; once the live is over it is asked for how many there were in all.
type audience struct {
	timers   timers
	registry interface {
		known
		changes
	}
	clients clients
	queue   queue
	pace    *pace
	rests   *rests
	store   records.Store
	admins  []policy.Entry
	now     func() time.Time
	log     *slog.Logger
}

const (
	// countEvery is how often viewers are counted at most.
	countEvery = time.Minute
	// countedAfter is how long a provider is given to have all viewers of a live that is over.
	countedAfter = 20 * time.Second
	// countedUntil is how long after the end they are asked for.
	countedUntil = 30 * time.Minute
)

// count returns how many watch now. It is not known of a meeting that certainly has no live,
// from a provider that does not tell, or that has been asked for enough.
func (h audience) count(ctx context.Context, reg registry.Registration) (n int, known bool) {
	if reg.Meeting.State != meeting.StateRunning || !mayBeLive(reg) {
		return 0, false
	}
	n, err := h.ask(ctx, reg)
	return n, err == nil
}

// mayBeLive reports whether a live can be under way: the last word on it was not that it
// has ended, and there is somewhere for it to be seen.
func mayBeLive(reg registry.Registration) bool {
	if reg.LiveAt.IsZero() && !reg.LiveHeard.IsZero() {
		return false
	}
	return !reg.LiveAt.IsZero() || reg.Meeting.Live || isPushed(reg)
}

// errNotAsked stands for a question that is not put now.
var errNotAsked = errors.New("not asked")

func (h audience) ask(ctx context.Context, reg registry.Registration) (int, error) {
	client, who := h.clients.of(reg.Ref().Provider), rester{reg.Ref().Provider, reg.Account}
	now := h.now()
	if !client.counts() || h.rests.resting(who, now) || !h.pace.take(now) {
		return 0, errNotAsked
	}
	n, err := client.Viewers(ctx, reg.Account, reg.Ref().ID)
	var api *meeting.APIError
	switch {
	case err == nil:
		h.rests.end(who)
	case errors.Is(err, meeting.ErrUnavailable), errors.Is(err, meeting.ErrRateLimited):
		var least time.Duration
		if errors.As(err, &api) {
			least = api.RetryAfter
		}
		h.rests.longer(who, now, least)
	case errors.As(err, &api) && (api.Reason == meeting.ReasonNoLive || errors.Is(err, meeting.ErrNotFound)):
		// Of this meeting there is nothing to be told.
	default: // for want of a right or of the whole operation: so it is for every other meeting
		if h.rests.refused(who, now) {
			h.log.WarnContext(ctx, "provider does not show viewers to this account", "provider", who.provider, "account", who.account, "err", err)
			if err := h.refused(ctx, reg); err != nil {
				h.log.WarnContext(ctx, "admins not told", "err", err)
			}
		}
	}
	return n, err
}

// refused has admins be told that an account sees no viewers.
func (h audience) refused(ctx context.Context, reg registry.Registration) error {
	req := chat.Request{ID: "unseen:" + string(reg.Ref().Provider) + ":" + reg.Account, At: h.now()}
	return h.queue.own(ctx, work{Request: req, Ask: grammar.Ask{Verb: grammar.VerbUnseen, Arg: reg.Ref().String()}})
}

const docUnseen = "unseen"

// tellAdmins tells the admins of the platform, once and for all, that an account sees no viewers.
func (h audience) tellAdmins(ctx context.Context, r *run) (jobs.Next, error) {
	r.endAs(outcomeNotNeeded)
	ref, _ := r.kinds.ParseRef(r.w.Ask.Arg)
	reg, err := h.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) {
		return jobs.Deliver(), nil
	}
	if err != nil {
		return jobs.Next{}, err
	}
	mine, err := claim(ctx, h.store, r.job.ID, time.Time{}, docUnseen, string(ref.Provider), records.ShortHash("account", reg.Account))
	if err != nil || !mine {
		return jobs.Deliver(), err
	}
	r.t = r.text(reg.Place.Platform, r.w.Locale)
	for _, e := range h.admins {
		if e.Kind == chat.UserEntry && e.At(reg.Place) {
			provider := r.providerName(ref.Provider)
			r.put(delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &chat.User{ID: e.ID}, Reply: chat.Reply{
				Tone: chat.Warning, Title: r.t.T("viewers.refused.title", "Provider", provider), Text: r.t.T("viewers.refused", "Provider", provider),
			}})
		}
	}
	return jobs.Deliver(), nil
}

// over has all viewers of a live that is over be counted in a while.
func (h audience) over(ctx context.Context, reg registry.Registration) error {
	counted := reg.Audience != nil && reg.Audience.Over
	if counted || reg.Audience == nil && reg.LiveHeard.IsZero() || !h.clients.of(reg.Ref().Provider).counts() {
		return nil
	}
	return h.timers.SetTimer(ctx, jobs.Timer{Key: timerKey(timerViewers, reg.Ref().String()), At: h.now().Add(countedAfter)})
}

// total counts all viewers of a live that is over.
func (h audience) total(ctx context.Context, ref meeting.Ref) error {
	reg, err := h.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) || err == nil && !liveOver(reg) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := h.ask(ctx, reg)
	if errors.Is(err, errNotAsked) || errors.Is(err, meeting.ErrUnavailable) || errors.Is(err, meeting.ErrRateLimited) {
		if h.now().Sub(later(reg.StateAt, reg.LiveHeard)) > countedUntil {
			return nil
		}
		return h.timers.SetTimer(ctx, jobs.Timer{Key: timerKey(timerViewers, ref.String()), At: h.now().Add(countEvery)})
	}
	if err != nil {
		return nil // it was logged, if it is worth it
	}
	reg, err = h.registry.Change(ctx, ref, func(reg *registry.Registration) bool {
		if !liveOver(*reg) {
			return false
		}
		was := registry.Audience{}
		if reg.Audience != nil {
			was = *reg.Audience
		}
		reg.Audience = &registry.Audience{Now: was.Now, At: was.At, Peak: was.Peak, Total: max(n, was.Peak), Over: true}
		return true
	})
	if err != nil || reg.Audience == nil || !reg.Audience.Over {
		return err
	}
	return h.queue.redraw(ctx, reg)
}

// liveOver reports whether a live was, and is no more.
func liveOver(reg registry.Registration) bool {
	ended := reg.Meeting.State.Over() || reg.Unlisted() || reg.LiveAt.IsZero() && !reg.LiveHeard.IsZero()
	return ended && (reg.Audience != nil || !reg.LiveHeard.IsZero())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// counted puts what was counted at a time into a registration, and reports whether cards
// show it.
func counted(reg *registry.Registration, n int, at time.Time) bool {
	a := reg.Audience
	if a != nil && !a.Over && a.Now == n {
		return false
	}
	peak := n
	if a != nil {
		peak = max(peak, a.Peak)
	}
	reg.Audience = &registry.Audience{Now: n, At: at, Peak: peak}
	return true
}

// rests are the times in which a provider is not asked for one account's viewers: longer and
// longer while it cannot answer, and for an hour when it does not want to.
type rests struct {
	mu  sync.Mutex
	all map[rester]rest
}

type rester struct {
	provider meeting.Provider
	account  string
}

type rest struct {
	until  time.Time
	last   time.Duration
	logged bool
}

const (
	maxRest     = 15 * time.Minute
	refusedRest = time.Hour
)

func newRests() *rests { return &rests{all: map[rester]rest{}} }

func (r *rests) resting(who rester, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.all[who].until)
}

func (r *rests) end(who rester) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, who)
}

// longer doubles the rest, and makes it as long as the provider asked for.
func (r *rests) longer(who rester, now time.Time, least time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.all[who]
	was.last = max(min(max(2*was.last, countEvery), maxRest), least)
	was.until = now.Add(was.last)
	r.all[who] = was
}

// refused reports whether this is the first time.
func (r *rests) refused(who rester, now time.Time) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = !r.all[who].logged
	r.all[who] = rest{until: now.Add(refusedRest), logged: true}
	return first
}
