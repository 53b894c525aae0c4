package commands

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/meeting"
)

// made tells what a provider has made of a meeting: its recording, transcript and summary, to
// its requester and hosts, and the replay of its live, in its thread. Each is told once, whether the
// provider reports it or is asked for it: made/REF/HASH is the job that tells it.
type made struct {
	timers   timers
	store    records.Store
	registry known
	clients  clients
	webhooks map[meeting.Provider]bool
	queue    queue
	pace     *pace
	rests    *rests
	thread   bool // everybody who can read the thread is told
	now      func() time.Time
	log      *slog.Logger
}

const docMade = "made"

// looked are the times after the end at which a provider is asked for what it does not report.
var looked = []time.Duration{2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour}

const (
	// pageWithin is how long what is reported to be ready may take to have a page.
	pageWithin = 2 * time.Minute
	// askedWithin is how long a provider that cannot answer is asked for a page.
	askedWithin = 10 * time.Minute
	// beganWithin is how far apart two clocks may be for what is about one meeting.
	beganWithin = 5 * time.Minute
)

// watch has the provider of a meeting that is over be asked for what it does not report.
func (h made) watch(ctx context.Context, reg registry.Registration) error {
	if !h.asksRecordings(reg) && !h.asksReplays(reg) {
		return nil
	}
	for _, after := range looked {
		if at := reg.StateAt.Add(after); at.After(h.now()) {
			return h.timers.SetTimer(ctx, jobs.Timer{Key: timerKey(timerMade, reg.Ref().String()), At: at})
		}
	}
	return nil
}

func (h made) asksRecordings(reg registry.Registration) bool {
	p := reg.Ref().Provider
	return can[recorder](h.clients.of(p)) && !h.webhooks[p]
}

// asksReplays: nobody reports those.
func (h made) asksReplays(reg registry.Registration) bool {
	return can[replayer](h.clients.of(reg.Ref().Provider)) && (len(reg.Lives) > 0 || reg.Audience != nil)
}

// look asks for what there is by now.
func (h made) look(ctx context.Context, ref meeting.Ref) error {
	reg, err := h.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) || err == nil && !over(reg, h.now()) && reg.Meeting.State != meeting.StateEmpty {
		return nil
	}
	if err != nil {
		return err
	}
	client := h.clients.of(ref.Provider)
	var pages []meeting.Page
	if h.asksRecordings(reg) {
		pages = h.ask(ctx, reg, "recordings", client.Recordings)
	}
	if h.asksReplays(reg) {
		pages = append(pages, h.ask(ctx, reg, "replays", client.Replays)...)
	}
	for _, p := range pages {
		e := meeting.Event{ID: "found:" + string(p.Made) + ":" + p.File, At: h.now(), Ref: ref, Made: p.Made, Files: []string{p.File}, Page: p.URL}
		if err := h.queue.heard(ctx, e); err != nil {
			return err
		}
	}
	return h.watch(ctx, reg)
}

// ask asks for pages, unless the account may not see them.
func (h made) ask(ctx context.Context, reg registry.Registration, what string, f func(context.Context, string, string) ([]meeting.Page, error)) []meeting.Page {
	who, now := rester{provider: reg.Ref().Provider, account: what + " " + reg.Account}, h.now()
	if h.rests.resting(who, now) || !h.pace.take(now) {
		return nil
	}
	pages, err := f(ctx, reg.Account, reg.Ref().ID)
	if err != nil {
		h.failed(ctx, who, err)
	}
	return pages
}

// failed logs an error, if it is the first: it may be for want of a right.
func (h made) failed(ctx context.Context, who rester, err error) {
	if passes(err) || errors.Is(err, meeting.ErrNotFound) || errors.Is(err, meeting.ErrInvalid) {
		return // another meeting may have some
	}
	if h.rests.refused(who, h.now()) {
		h.log.WarnContext(ctx, "provider does not show this account what it made of a meeting", "provider", who.provider, "account", who.account, "err", err)
	}
}

// passes reports whether an error may pass by itself.
func passes(err error) bool {
	return errors.Is(err, meeting.ErrUnavailable) || errors.Is(err, meeting.ErrRateLimited)
}

// tell says what is ready, once.
func (h made) tell(ctx context.Context, r *run, reg registry.Registration) (jobs.Next, error) {
	e := r.w.Event
	reg, ours := madeOf(*e, reg)
	if !ours {
		return jobs.Deliver(), nil
	}
	files := e.Files
	if len(files) == 0 {
		files = []string{e.ID}
	}
	pages := map[string]string{}
	for _, f := range files {
		pages[f] = e.Page
	}
	if e.Page == "" && can[recorder](h.clients.of(e.Ref.Provider)) {
		wait, err := h.find(ctx, r, reg, pages)
		if wait > 0 {
			return jobs.RetryAt(r.now().Add(wait)), nil
		}
		if err != nil {
			h.failed(ctx, rester{e.Ref.Provider, "recordings " + reg.Account}, err)
		}
	}
	var links []chat.Link
	mine := false
	locale := ""
	if len(reg.Cards) > 0 {
		locale = reg.Cards[0].Locale
	}
	r.w.Locale = locale
	r.t = r.text(reg.Place.Platform, locale)
	for _, f := range files {
		ok, err := claim(ctx, h.store, r.job.ID, r.now().Add(madeFor), docMade, e.Ref.String(), records.ShortHash(string(e.Made), f))
		if err != nil {
			return jobs.Next{}, err
		}
		mine = mine || ok
		link := chat.Link{Label: r.t.T("link.made." + string(e.Made)), URL: pages[f]}
		if ok && link.URL != "" && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	if mine {
		h.put(r, reg, links)
	}
	return jobs.Deliver(), nil
}

// madeFor is how long it is remembered that something was told: longer than any provider
// repeats it.
const madeFor = 366 * 24 * time.Hour

// madeOf returns the meeting that e is about, of those that had its number. It is none of the
// bot's if somebody has used the number since.
func madeOf(e meeting.Event, reg registry.Registration) (registry.Registration, bool) {
	if e.Began.IsZero() {
		return reg, true
	}
	if e.Began.Before(reg.Asked.Add(-beganWithin)) {
		if reg.Before == nil {
			return reg, false
		}
		reg = *reg.Before
	}
	after := reg.Meeting.State.Over() && e.Began.After(reg.StateAt.Add(beganWithin))
	return reg, !after && !e.Began.Before(reg.Asked.Add(-beganWithin))
}

// find asks for the pages of what was reported without. It says how long to wait for them, if
// they may come.
func (h made) find(ctx context.Context, r *run, reg registry.Registration, pages map[string]string) (wait time.Duration, _ error) {
	age := r.now().Sub(r.job.Created)
	all, err := h.clients.of(reg.Ref().Provider).Recordings(ctx, reg.Account, reg.Ref().ID)
	found := false
	for _, p := range all {
		if _, asked := pages[p.File]; asked && p.URL != "" {
			pages[p.File], found = p.URL, true
		}
	}
	complete := !slices.Contains(slices.Collect(maps.Values(pages)), "")
	switch {
	case complete, found && err == nil:
		return 0, nil
	case err != nil && passes(err) && age < askedWithin:
		return time.Minute, err
	case err == nil && age < pageWithin:
		return pageWithin / 4, nil
	}
	return 0, err
}

// put says it to the requester and the hosts, or in the thread.
func (h made) put(r *run, reg registry.Registration, links []chat.Link) {
	e := r.w.Event
	reply := chat.Reply{Title: r.t.T("made."+string(e.Made)+".title", "Topic", reg.Meeting.Topic), Links: links}
	card := reg.ThreadAt(reg.Place)
	open := (h.thread || e.Made == meeting.MadeReplay) && card != nil
	switch {
	case len(links) == 0:
		reply.Text = r.t.T("made.found", "Provider", r.providerName(e.Ref.Provider))
	case !open:
		reply.Text = r.t.T("made.private", "Provider", r.providerName(e.Ref.Provider))
	}
	if open {
		r.put(delivery{Slot: chat.SlotThread, Place: &card.Place, Root: card, Reply: reply})
		return
	}
	r.put(delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &reg.Requester, Reply: reply})
	for _, id := range reg.Hosts {
		if id != reg.Requester.ID {
			r.put(delivery{Slot: chat.SlotDirect, Place: &reg.Place, User: &chat.User{ID: id}, Reply: reply})
		}
	}
}

// claim reports whether a job is the one that does a thing: the first that asks, however
// often.
func claim(ctx context.Context, store records.Store, job string, expires time.Time, key ...string) (bool, error) {
	_, err := store.PutDoc(ctx, jobs.Doc{Key: key, Value: []byte(job), Expires: expires})
	if !errors.Is(err, jobs.ErrConflict) {
		return err == nil, err
	}
	doc, err := store.Doc(ctx, key...)
	return err == nil && string(doc.Value) == job, err
}
