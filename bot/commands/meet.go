package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/records"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

const (
	// sameWish is how long one person's same command in the same place is an impatient
	// retype, whatever the platform's IDs say.
	sameWish = 30 * time.Second
	// defaultDuration is the planned length of a Tencent meeting, which needs an end. It is
	// set here, not left to the client, so that a lost meeting can be found by it.
	defaultDuration = time.Hour
	// startURLLife is how long a SYSTEC start link works: its token says two hours.
	startURLLife = 2 * time.Hour
	// joinWithin is when SYSTEC deletes an instant meeting that nobody has joined.
	joinWithin   = 30 * time.Minute
	remindBefore = 5 * time.Minute
)

func (r *run) meetNext(ctx context.Context) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		return r.meetMade(ctx)
	case jobs.Refused:
		// The button that led here may be worn out: a platform takes one click of it.
		return jobs.Next{}, offering{r.fault(), chat.Button{Label: r.t.T("button.retry"), Action: chat.Action{Name: string(grammar.VerbRetry), Arg: r.job.ID}}}
	case jobs.Unknown:
		return r.meetUnknown(), nil
	}
	return r.meetBegin(ctx)
}

// meetBegin decides what is sent, so that it can be looked for when the answer is lost.
func (r *run) meetBegin(ctx context.Context) (jobs.Next, error) {
	if r.w.Ask.Verb == grammar.VerbSameDest {
		if err := r.sameDestinations(ctx); err != nil {
			return jobs.Next{}, err
		}
	}
	provider := r.w.Ask.Provider
	if provider == "" {
		provider = r.cfg.Parser.Default
	}
	if _, ok := r.cfg.Providers[provider]; !ok {
		return jobs.Next{}, texts.NewMessage("which.provider", "Provider", r.providerName(provider))
	}
	if first, err := r.firstWish(ctx); err != nil {
		return jobs.Next{}, err
	} else if first != nil {
		return r.sameWishAnswer(ctx, first)
	}

	r.nameMentions(ctx)
	in := r.w.Ask.Meet
	if in.Topic == "" {
		in.Topic = r.t.T("meet.topic", "Name", r.personName())
	}
	switch provider {
	case meeting.Systec:
		in.UserKey = "meetbot:" + r.job.ID
	case meeting.Tencent:
		in.Start = r.now().Truncate(time.Second)
		if in.Duration == 0 {
			in.Duration = defaultDuration
		}
		in.Account = r.ownAccount()
		if in.Account == "" {
			in.HostKey = newHostKey() // nobody here is the creator: this is how to become host
		}
	}
	r.w.Ask.Provider, r.w.Instant = provider, in
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(provider)
	return jobs.MakeCall(), nil
}

// nameMentions puts names where a topic has only IDs: a platform may not send both.
func (r *run) nameMentions(ctx context.Context) {
	place := r.w.Request.Place
	dir := r.directory(place.Platform)
	for i := range r.w.Ask.Mentions {
		u := &r.w.Ask.Mentions[i]
		if u.Name != "" || dir == nil {
			continue
		}
		profile, err := dir.Profile(ctx, place, u.ID)
		if err != nil || profile.Name == "" {
			r.log.WarnContext(ctx, "mentioned person not looked up", "job", r.job.ID, "err", err)
			continue
		}
		u.Name = profile.Name
		r.w.Ask.Meet.Topic = strings.ReplaceAll(r.w.Ask.Meet.Topic, "@"+u.ID, "@"+u.Name)
	}
}

func (r *run) personName() string {
	if name := r.w.Request.User.Name; name != "" {
		return name
	}
	return r.t.T("meet.somebody")
}

// newHostKey returns six random digits, as Tencent Meeting asks for.
func newHostKey() secret.String {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // unreachable: crypto/rand does not fail
	}
	return secret.New(fmt.Sprintf("%06d", n))
}

// wish is the record of who asked what where, and the job that does it.
type wish struct {
	Job string
	At  time.Time
}

// firstWish returns the job that already does the same for the same person here, or nil
// when this one is the first.
func (r *run) firstWish(ctx context.Context) (*jobs.Job, error) {
	if r.w.Fresh {
		return nil, nil
	}
	ask, err := records.Encode(r.w.Ask)
	if err != nil {
		return nil, err
	}
	place := r.w.Request.Place
	return r.claim(ctx, sameWish, place.UserKey(r.w.Request.User), place.Key(), place.Thread, string(ask))
}

// docRecent is the key of wishes: person, place and command → the job that fulfils it.
const docRecent = "recent"

// wishForever is as long as jobs are remembered.
const wishForever = 0

// claim makes this job the one that fulfils a wish, or returns the one that did within
// the given time, unless that was refused: a refusal is worth a retry.
func (r *run) claim(ctx context.Context, within time.Duration, wishKey ...string) (*jobs.Job, error) {
	key := []string{docRecent, records.ShortHash(wishKey...)}
	expires := r.now().Add(2 * within)
	if within == wishForever {
		expires = r.now().Add(r.cfg.Retention)
	}
	body, err := records.Encode(wish{r.job.ID, r.w.Since})
	if err != nil {
		return nil, err
	}
	mine := jobs.Doc{Key: key, Value: body, Expires: expires}
	for {
		_, err := r.store.PutDoc(ctx, mine)
		if !errors.Is(err, jobs.ErrConflict) {
			return nil, err
		}
		doc, err := r.store.Doc(ctx, key...)
		if errors.Is(err, jobs.ErrNotFound) {
			mine.Revision = 0
			continue
		}
		if err != nil {
			return nil, err
		}
		was, err := records.Decode[wish](doc.Value)
		if err != nil {
			return nil, err
		}
		if was.Job == r.job.ID {
			return nil, nil
		}
		if within == wishForever || r.w.Since.Sub(was.At) < within {
			first, err := r.store.Get(ctx, was.Job)
			switch {
			case errors.Is(err, jobs.ErrNotFound):
			case err != nil:
				return nil, err
			case first.Outcome != outcomeRefused.String() && first.Outcome != outcomeWithdrawn.String():
				return &first, nil
			}
		}
		mine.Revision = doc.Revision
	}
}

func (r *run) sameWishAnswer(ctx context.Context, first *jobs.Job) (jobs.Next, error) {
	r.endAs(outcomeSameWish)
	reply := chat.Reply{
		Tone: chat.Warning, Title: r.t.T("same.title"), Text: r.t.T("same.pending"),
		Buttons: []chat.Button{{Label: r.t.T("button.another"), Action: chat.Action{Name: string(grammar.VerbCreateAnyway), Arg: r.job.ID}}},
	}
	if w, err := records.Decode[work](first.Data); err == nil && w.Meeting != nil {
		reply.Text = r.t.T("same", "Topic", w.Meeting.Topic)
		reply.Links = r.links(*w.Meeting)
	} else if first.Outcome == outcomeUnknown.String() {
		reply.Text = r.t.T("same.unknown")
	}
	r.settle()
	r.tell(reply)
	return jobs.Deliver(), nil
}

func (r *run) meetCall(ctx context.Context) error {
	p := r.provider(r.w.Ask.Provider)
	began := time.Now()
	m, err := p.Create(ctx, r.w.Instant)
	r.observe(r.w.Ask.Provider, opCreate, err, began)
	if err != nil {
		r.w.Fault = r.faultOf(err)
		return outcome(err)
	}
	r.w.Fault, r.w.Meeting = nil, &m
	return nil
}

// meetReconcile looks for a meeting whose answer was lost. Not to find it proves
// nothing: how long a provider takes to list one is not known.
func (r *run) meetReconcile(ctx context.Context) error {
	in := r.w.Instant
	began := time.Now()
	listed, err := r.provider(r.w.Ask.Provider).List(ctx, in.Account, in.UserKey)
	r.observe(r.w.Ask.Provider, opList, err, began)
	if err != nil {
		return err
	}
	var found []meeting.Meeting
	for _, m := range listed {
		if _, err := r.registry.Get(ctx, m.Ref); err == nil {
			continue // another command's
		} else if !errors.Is(err, jobs.ErrNotFound) {
			return err
		}
		switch r.w.Ask.Provider {
		case meeting.Systec:
			if m.UserKey == "" || m.UserKey == in.UserKey { // its list is by user_key
				found = append(found, m)
			}
		case meeting.Tencent:
			if m.Topic == in.Topic && m.Start.Equal(in.Start) && m.End.Equal(in.Start.Add(in.Duration)) {
				found = append(found, m)
			}
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %d meetings match", jobs.ErrUnknown, len(found))
	}
	r.w.Fault, r.w.Meeting = nil, &found[0]
	if r.w.Meeting.HostKey.IsZero() {
		r.w.Meeting.HostKey = in.HostKey
	}
	return nil
}

// meetMade remembers the meeting and tells everybody. All of it may be done twice.
func (r *run) meetMade(ctx context.Context) (jobs.Next, error) {
	r.complete(ctx)
	m := *r.w.Meeting
	now := r.now()
	made := r.job.Created // or soon after: a lost answer may be found minutes later
	reg := registry.Registration{
		Meeting: m, Requester: r.w.Request.User, Place: r.w.Request.Place, Hosts: r.w.Ask.Hosts,
		Account: m.Creator, Created: now, StateAt: now,
	}
	reg.Requester.Roles = nil
	if reg.Account == "" {
		reg.Account = r.w.Instant.Account
	}
	if reg.Meeting.State == meeting.StateUnknown {
		reg.Meeting.State = meeting.StateReady
	}
	if m.Ref.Provider == meeting.Systec {
		reg.JoinBy = made.Add(joinWithin)
	}
	if !m.StartURL.IsZero() {
		reg.StartUntil = made.Add(startURLLife)
	}
	others, err := r.registry.Here(ctx, reg.Place)
	if err != nil {
		return jobs.Next{}, err
	}
	if reg, err = r.registry.Add(ctx, reg); err != nil {
		return jobs.Next{}, err
	}
	if err := r.watch(ctx, reg); err != nil {
		return jobs.Next{}, err
	}
	if r.w.Ask.Verb == grammar.VerbSameDest {
		if err := r.pushSameDestinations(ctx, reg); err != nil {
			return jobs.Next{}, err
		}
	}

	r.endAs(outcomeCreated)
	r.put(delivery{Slot: chat.SlotRoot, Reply: r.card(r.t, reg, reg.Place.Platform), Card: m.Ref})
	r.put(delivery{Slot: chat.SlotThread, Reply: r.threadReply(reg)})
	private := r.startReply(reg)
	r.put(delivery{Slot: chat.SlotThreadPrivate, Reply: private})
	if r.w.Reported {
		private.Text = texts.Paragraphs(r.t.T("meet.after_all"), private.Text)
	}
	for _, o := range others {
		if o.Ref() != m.Ref && !o.Unlisted() && o.Requester.ID != reg.Requester.ID {
			private.Text = texts.Paragraphs(private.Text, r.t.T("meet.other", "Name", o.Requester.Name, "Topic", o.Meeting.Topic, "Number", showCode(o.Meeting.Code)))
			break
		}
	}
	r.tell(private)
	return jobs.Deliver(), nil
}

// complete asks for what the answer to the creation left out. What cannot be had is
// explained to people, not waited for.
func (r *run) complete(ctx context.Context) {
	m := r.w.Meeting
	if m.HostKey.IsZero() {
		m.HostKey = r.w.Instant.HostKey
	}
	if m.Topic == "" {
		m.Topic = r.w.Instant.Topic
	}
	if m.Creator == "" && m.Ref.Provider == meeting.Tencent {
		if m.Creator = r.w.Instant.Account; m.Creator == "" {
			m.Creator = r.cfg.Account
		}
	}
	m.Live = m.Live || r.w.Instant.Live != nil && *r.w.Instant.Live
	if m.JoinURL != "" && (m.WatchURL != "" || !m.Live) {
		return
	}
	began := time.Now()
	got, err := r.provider(m.Ref.Provider).Get(ctx, m.Creator, m.Ref.ID)
	r.observe(m.Ref.Provider, opGet, err, began)
	if err != nil {
		r.log.WarnContext(ctx, "meeting's links not completed", "job", r.job.ID, "err", err)
		return
	}
	for _, link := range []struct{ have, got *string }{{&m.JoinURL, &got.JoinURL}, {&m.WatchURL, &got.WatchURL}, {&m.PlayURL, &got.PlayURL}, {&m.Code, &got.Code}, {&m.Passcode, &got.Passcode}} {
		if *link.have == "" {
			*link.have = *link.got
		}
	}
}

func (r *run) meetUnknown() jobs.Next {
	r.endAs(outcomeUnknown)
	r.w.Reported = true
	r.settle()
	r.tell(chat.Reply{
		Tone: chat.Warning, Title: r.t.T("unknown.title"), Text: r.t.T("unknown", "Topic", r.w.Instant.Topic, "Provider", r.providerName(r.w.Ask.Provider)),
		Buttons: []chat.Button{{Label: r.t.T("button.again"), Action: chat.Action{Name: string(grammar.VerbRetry), Arg: r.job.ID}}},
	})
	return jobs.Deliver()
}

// earlier returns what an earlier job was about, to the person who asked for it.
func (r *run) earlier(ctx context.Context) (work, error) {
	j, err := r.store.Get(ctx, r.w.Ask.Arg)
	if errors.Is(err, jobs.ErrNotFound) {
		return work{}, texts.NewMessage("repeat.gone")
	}
	if err != nil {
		return work{}, err
	}
	w, err := records.Decode[work](j.Data)
	if err != nil {
		return work{}, texts.NewMessage("repeat.gone")
	}
	return w, r.onlyRequester(ctx, w.Request)
}

// repeatNext carries out the command of an earlier job as a new wish: it was withdrawn,
// its outcome is unknown, or it was taken for a retype.
func (r *run) repeatNext(ctx context.Context) (jobs.Next, error) {
	w, err := r.earlier(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	switch {
	case r.w.Ask.Verb == grammar.VerbTencent: // a push that its meeting could not take: a meeting first
		live := true
		w.Ask = grammar.Ask{Verb: grammar.VerbMeet, Provider: meeting.Tencent, Meet: meeting.Instant{Live: &live}}
	case w.KeyGone && r.cfg.KeyPageURL == "": // else the page asks for it anew
		return jobs.Next{}, texts.NewMessage("repeat.key_gone")
	}
	if err := r.mustHave(ctx, grammar.Declared(w.Ask.Verb).Right); err != nil {
		return jobs.Next{}, err
	}
	if w.Ask.Verb == grammar.VerbMeet { // however many copies of the button there are, and whoever presses them
		first, err := r.claim(ctx, wishForever, string(r.w.Ask.Verb), r.w.Ask.Arg)
		if err != nil {
			return jobs.Next{}, err
		}
		if first != nil {
			return r.sameWishAnswer(ctx, first)
		}
	}
	r.job.Label = string(w.Ask.Verb)
	r.w.Ask, r.w.Fresh = w.Ask, true
	return r.steps[w.Ask.Verb].next(r, ctx)
}

// onlyRequester guards a button that is there for one person.
func (r *run) onlyRequester(ctx context.Context, of chat.Request) error {
	mine := r.w.Request
	if mine.User.ID == of.User.ID && mine.Place.Platform == of.Place.Platform {
		return nil
	}
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return err
	}
	if !admin {
		return texts.NewMessage("power.button")
	}
	return nil
}
