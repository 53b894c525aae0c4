package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// meet creates a meeting.
type meet struct {
	clients  clients
	accounts accounts
	people   people
	wishes   wishes
	registry known
	handover handover
	usual    usual
}

// usual says at which provider, or account there, a meeting is made where none was asked for.
type usual struct {
	provider meeting.Provider
	places   bool // places differ: see [grammar.Config]
}

// of returns where the meeting is made that was asked for: a place has nothing but what it may
// use, however the wish came.
func (u usual) of(r *run) (meeting.Provider, error) {
	asked := r.w.Ask.Provider
	if !u.places {
		return cmp.Or(asked, u.provider), nil
	}
	i := slices.IndexFunc(r.here, func(p meeting.Provider) bool { return asked == "" || asked.Covers(p) })
	switch {
	case i >= 0:
		return r.here[i], nil
	case asked == "":
		return "", texts.NewMessage("which.account")
	}
	return asked, texts.NewMessage("which.provider", "Provider", r.providerName(asked))
}

// known tells which meetings the bot has made.
type known interface {
	Get(ctx context.Context, ref meeting.Ref) (registry.Registration, error)
}

func (h meet) next(ctx context.Context, r *run) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		h.complete(ctx, r)
		return h.handover.made(ctx, r)
	case jobs.Refused:
		// The button that led here may be worn out: a platform takes one click of it.
		return jobs.Next{}, offering{r.fault(), []chat.Button{{Label: r.t.T("button.retry"), Action: grammar.Press(grammar.VerbRetry, r.job.ID)}}}
	case jobs.Unknown:
		return h.unknown(r), nil
	}
	return h.begin(ctx, r)
}

// begin decides what is sent, so that it can be looked for when the answer is lost.
func (h meet) begin(ctx context.Context, r *run) (jobs.Next, error) {
	provider, err := h.usual.of(r)
	if err != nil {
		return jobs.Next{}, err
	}
	if !h.clients.has(provider) {
		return jobs.Next{}, texts.NewMessage("which.provider", "Provider", r.providerName(provider))
	}
	if !r.w.Repeated && r.w.Ask.Verb == grammar.VerbMeet {
		if asked, err := h.askFirst(ctx, r); asked || err != nil {
			return jobs.Deliver(), err
		}
	}
	if first, err := h.wishes.first(ctx, r); err != nil {
		return jobs.Next{}, err
	} else if first != nil {
		return h.wishes.answer(r, first, "same")
	}

	h.people.nameMentions(ctx, r)
	in := r.w.Ask.Meet.Or(h.accounts[provider].Usual)
	if in.Topic == "" {
		in.Topic = r.t.T("meet.topic", "Name", r.personName())
	}
	own := h.accounts.own(r, provider)
	r.kind(provider).Prepare(&in, meeting.Origin{Mark: r.mark(), Account: own, Own: own != "", At: h.clients.of(provider).now(r.now())})
	if r.kind(provider).Parameters["hosts"] != "" {
		in.Hosts = h.hosts(r, provider, own)
	}
	if err := h.room(ctx, r, provider, in); err != nil {
		return jobs.Next{}, err
	}
	r.w.Ask.Provider, r.w.Instant, r.w.Sent = provider, in, h.clients.of(provider).now(r.now())
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(provider)
	return jobs.MakeCall(), nil
}

// hosts are the provider's users among the people who were named as hosts. Whoever asks with
// an account of their own stays one of them.
func (h meet) hosts(r *run, provider meeting.Provider, own string) []string {
	var accounts []string
	for _, id := range r.w.Ask.Hosts {
		if a := h.accounts.of(r, provider, chat.User{ID: id}); a != "" && !slices.Contains(accounts, a) {
			accounts = append(accounts, a)
		}
	}
	if len(accounts) > 0 && own != "" && !slices.Contains(accounts, own) {
		accounts = append([]string{own}, accounts...)
	}
	return accounts
}

// roomWithin bounds the question whether there is room, which is a courtesy.
const roomWithin = 2 * time.Second

// room refuses a meeting that the provider has no room for now. Whatever else it answers,
// the call that makes the meeting will tell.
func (h meet) room(ctx context.Context, r *run, provider meeting.Provider, in meeting.Instant) error {
	client := h.clients.of(provider)
	if !client.checks() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roomWithin)
	defer cancel()
	if err := client.CanCreate(ctx, in, r.now()); errors.Is(err, meeting.ErrLimit) {
		return r.faultOf(err)
	}
	return nil
}

// besides is how many of a place's newest meetings are looked at for somebody else's.
const besides = 8

// askFirst asks, privately, before a meeting is posted for everybody that is hardly wanted:
// the topic looks like a command or a plan, or somebody else's meeting is here already. It
// reports whether it did. One click goes on.
func (h meet) askFirst(ctx context.Context, r *run) (bool, error) {
	another := chat.Button{Label: r.t.T("button.another"), Action: grammar.Press(grammar.VerbCreateAnyway, r.job.ID)}
	ask := r.w.Ask
	if ask.Doubt != "" {
		reply := chat.Reply{Tone: chat.Warning, Title: r.t.T("doubt.title", "Topic", ask.Meet.Topic), Text: r.t.T("doubt.time")}
		if ask.Doubt == grammar.DoubtWord {
			reply.Text = r.t.T("doubt.word", "Command", r.t.Command(grammar.Declared(ask.Meant).Line()))
		}
		another.Label = r.t.T("button.anyway")
		reply.Buttons = []chat.Button{another}
		_, err := r.answer(outcomeAsked, reply)
		return true, err
	}
	place := r.w.Request.Place
	here, err := h.handover.registry.Here(ctx, place, besides)
	if err != nil {
		return false, err
	}
	if verb, of := grammar.Begun(ask.Meet.Topic); verb != "" {
		if numbers := called(here, of); len(numbers) > 0 {
			command := r.t.Command(grammar.Declared(verb).Line())
			if len(numbers) == 1 {
				command = r.t.Command(grammar.Declared(verb).Line(), numbers[0])
			}
			another.Label = r.t.T("button.anyway")
			r.settle()
			_, err := r.answer(outcomeAsked, chat.Reply{
				Tone: chat.Warning, Title: r.t.T("doubt.title", "Topic", ask.Meet.Topic), Text: r.t.T("doubt.word", "Command", command), Buttons: []chat.Button{another},
			})
			return true, err
		}
	}
	for _, reg := range here {
		if s := reg.Meeting.State; s != meeting.StateReady && s != meeting.StateRunning ||
			h.people.same(place, r.w.Request.User.ID, reg.Place, reg.Requester.ID) {
			continue
		}
		reply := chat.Reply{
			Tone: chat.Warning, Title: r.t.T("beside.title"),
			Text:   r.t.T("beside", "Name", reg.Requester.Name, "Topic", reg.Meeting.Topic, "Number", showCode(reg.Meeting.Code)),
			Fields: []chat.Field{{Name: r.t.T("field.state"), Value: h.handover.cards.stateText(r.t, reg)}}, Buttons: []chat.Button{another},
		}
		if reg.Meeting.JoinURL != "" {
			reply.Links = []chat.Link{{Label: r.t.T("beside.join"), URL: reg.Meeting.JoinURL}}
		}
		r.settle()
		_, err := r.answer(outcomeAsked, reply)
		return true, err
	}
	return false, nil
}

// called returns the numbers of the meetings with a topic that are not over.
func called(here []registry.Registration, topic string) []string {
	var numbers []string
	for _, reg := range here {
		if !reg.Meeting.State.Over() && strings.EqualFold(reg.Meeting.Topic, topic) {
			numbers = append(numbers, showCode(reg.Meeting.Code))
		}
	}
	return numbers
}

func (r *run) personName() string {
	if name := r.w.Request.User.Name; name != "" {
		return name
	}
	return r.t.T("meet.somebody")
}

// mark is the text that a meeting is made with where the provider takes one: no other has
// it, and the provider's reports say by it who asked.
func (r *run) mark() string {
	return "meetbot:" + r.job.ID + ":" + r.w.Request.Place.UserKey(r.w.Request.User)
}

func (h meet) call(ctx context.Context, r *run) error {
	p := h.clients.of(r.w.Ask.Provider)
	r.w.Sent = h.clients.of(r.w.Ask.Provider).now(r.now())
	m, err := p.Create(ctx, r.w.Instant)
	if err != nil {
		r.w.Fault = r.faultOf(err)
		return outcome(err)
	}
	r.w.Fault, r.w.Meeting = nil, &m
	return nil
}

// reconcile looks for a meeting whose answer was lost. It is adopted only if it is certainly
// the one, and the only one. Not to find it proves nothing: how long a provider takes to
// list one is not known.
func (h meet) reconcile(ctx context.Context, r *run) error {
	in := r.w.Instant
	listed, err := h.clients.of(r.w.Ask.Provider).List(ctx, in.Account, in.UserKey)
	if err != nil {
		return err
	}
	var found []meeting.Meeting
	for _, m := range listed {
		if !r.kind(m.Ref.Provider).Same(in, r.w.Sent, m) {
			continue
		}
		known, err := h.registry.Get(ctx, m.Ref)
		switch {
		case errors.Is(err, jobs.ErrNotFound):
		case err != nil:
			return err
		case known.Job != r.job.ID && meeting.SameTime(known.Asked, m.Start):
			continue // another command's; a number that was used before is not
		}
		found = append(found, m)
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %d meetings match", jobs.ErrUnknown, len(found))
	}
	if in.UserKey != "" && found[0].UserKey == "" { // lists may leave out what the meeting itself tells
		got, err := h.clients.of(r.w.Ask.Provider).Get(ctx, in.Account, found[0].Ref.ID)
		switch {
		case err != nil:
			return err
		case got.UserKey != "" && got.UserKey != in.UserKey:
			return fmt.Errorf("%w: the meeting that matches is another's", jobs.ErrUnknown)
		}
	}
	r.w.Fault, r.w.Meeting = nil, &found[0]
	if r.w.Meeting.HostKey.IsZero() {
		r.w.Meeting.HostKey = in.HostKey
	}
	return nil
}

// complete asks for what the answer to the creation left out. What cannot be had is
// explained to people, not waited for.
func (h meet) complete(ctx context.Context, r *run) {
	m := r.w.Meeting
	if m.HostKey.IsZero() {
		m.HostKey = r.w.Instant.HostKey
	}
	if m.Topic == "" {
		m.Topic = r.w.Instant.Topic
	}
	if m.Creator == "" && r.kind(m.Ref.Provider).Can.Accounts {
		if m.Creator = r.w.Instant.Account; m.Creator == "" {
			m.Creator = h.accounts[m.Ref.Provider].Bot
		}
	}
	m.Live = m.Live || r.w.Instant.Live != nil && *r.w.Instant.Live
	if m.JoinURL != "" && (m.WatchURL != "" || !m.Live) {
		return
	}
	got, err := h.clients.of(m.Ref.Provider).Get(ctx, m.Creator, m.Ref.ID)
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

func (h meet) unknown(r *run) jobs.Next {
	r.endAs(outcomeUnknown)
	r.w.Reported = true
	r.settle()
	r.tell(chat.Reply{
		Tone: chat.Warning, Title: r.t.T("unknown.title"), Text: r.t.T("unknown", "Topic", r.w.Instant.Topic, "Provider", r.providerName(r.w.Ask.Provider)),
		Buttons: []chat.Button{{Label: r.t.T("button.again"), Action: grammar.Press(grammar.VerbRetry, r.job.ID)}},
	})
	return jobs.Deliver()
}

// handover makes a new meeting known: to the registry, to the timers, and to everybody.
type handover struct {
	registry newMeetings
	polling  polling
	early    early
	cards    cards
}

// newMeetings is the part of [registry.Registry] that takes a new meeting in.
type newMeetings interface {
	Add(ctx context.Context, reg registry.Registration) (registry.Registration, error)
	Here(ctx context.Context, p chat.Place, limit int) ([]registry.Registration, error)
}

// made remembers the meeting and tells everybody. All of it may be done twice.
func (h handover) made(ctx context.Context, r *run) (jobs.Next, error) {
	m := *r.w.Meeting
	now := r.now()
	made := r.job.Created // or soon after: a lost answer may be found minutes later
	kind := r.kind(m.Ref.Provider)
	reg := registry.Registration{
		Job: r.job.ID, Asked: made, Meeting: m, Requester: r.w.Request.User, Place: r.w.Request.Place, Hosts: r.w.Ask.Hosts,
		Account: m.Creator, Created: now, StateAt: now,
	}
	reg.Requester.Name, reg.Requester.Roles = r.personName(), nil
	if reg.Account == "" {
		reg.Account = r.w.Instant.Account
	}
	if reg.Meeting.State == meeting.StateUnknown {
		reg.Meeting.State = meeting.StateReady
	}
	if kind.JoinWithin > 0 {
		reg.JoinBy = made.Add(kind.JoinWithin)
	}
	if !m.StartURL.IsZero() {
		reg.StartUntil = made.Add(kind.StartLinkLife)
	}
	others, err := h.registry.Here(ctx, reg.Place, besides)
	if err != nil {
		return jobs.Next{}, err
	}
	reg, err = h.registry.Add(ctx, reg)
	if errors.Is(err, registry.ErrSuperseded) {
		return h.numberUsedAgain(r, reg), nil
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if reg.Before != nil {
		h.closeCards(r, *reg.Before)
	}
	if err := h.polling.watch(ctx, reg); err != nil {
		return jobs.Next{}, err
	}
	if err := h.early.tell(ctx, m.Ref); err != nil {
		return jobs.Next{}, err
	}

	r.put(delivery{Slot: chat.SlotRoot, Reply: h.cards.card(r.public(), reg, reg.Place.Platform), Card: m.Ref, Of: reg.Job})
	r.put(delivery{Slot: chat.SlotThread, Reply: h.cards.threadReply(r, reg)})
	private := startReply(r, reg)
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
	return r.answer(outcomeCreated, private)
}

// closeCards says on the cards of an earlier meeting that its number is another's now, and
// that nothing more is to be learnt or done there.
func (h handover) closeCards(r *run, before registry.Registration) {
	before.Meeting.State, before.StateAt = meeting.StateRecycled, r.now()
	for _, c := range before.Cards {
		on := c.Receipt.Place.Platform
		r.put(delivery{Slot: chat.SlotEdit, Place: &c.Receipt.Place, Edit: &c.Receipt, Reply: h.cards.card(r.text(on, c.Locale), before, on)})
	}
}

// numberUsedAgain answers a job whose meeting's number went to a later meeting before the
// job could tell of it.
func (h handover) numberUsedAgain(r *run, reg registry.Registration) jobs.Next {
	r.endAs(outcomeCreated)
	r.settle()
	r.tell(chat.Reply{Tone: chat.Warning, Title: r.t.T("meet.number_again.title", "Topic", reg.Meeting.Topic), Text: r.t.T("meet.number_again")})
	return jobs.Deliver()
}

// sameDestinations creates a meeting like an earlier one, and sets the same destinations at it.
type sameDestinations struct {
	meet     meet
	targets  targets
	people   people
	queue    queue
	carry    carry
	registry changes
}

func (h sameDestinations) next(ctx context.Context, r *run) (jobs.Next, error) {
	if r.job.State == jobs.Accepted {
		reg, err := h.ask(ctx, r)
		if err != nil {
			return jobs.Next{}, err
		}
		if first, err := h.first(ctx, r, reg); err != nil {
			return jobs.Next{}, err
		} else if first != nil {
			return h.meet.wishes.answer(r, first, "moved")
		}
	}
	n, err := h.meet.next(ctx, r)
	if err == nil && r.job.State == jobs.Called {
		err = h.push(ctx, r, *r.w.Meeting)
	}
	return n, err
}

// first returns the job that has made, or makes, a meeting in the place of the same one: a show
// moves once, whoever presses a button for it. Who wants another all the same is asked.
func (h sameDestinations) first(ctx context.Context, r *run, reg registry.Registration) (*jobs.Job, error) {
	if r.w.Repeated { // on purpose
		return nil, nil
	}
	return h.meet.wishes.claim(ctx, r, asLongAsJobs, string(grammar.VerbSameDest), reg.Ref().String(), reg.Job)
}

// ask makes the wish for a new meeting like an earlier one.
func (h sameDestinations) ask(ctx context.Context, r *run) (registry.Registration, error) {
	reg, err := h.targets.button(ctx, r)
	if err != nil {
		return reg, err
	}
	if ok, err := h.targets.holds(ctx, r, reg); err != nil {
		return reg, err
	} else if !ok && !shownAt(reg, r.w.Request.Place) {
		return reg, texts.NewMessage("repeat.gone")
	} else if !ok {
		return reg, texts.NewMessage("power.meeting", "Name", reg.Requester.Name)
	}
	if err := h.people.mustHave(ctx, r, chat.RightMeet); err != nil { // the button has the right for pushes
		return reg, err
	}
	r.w.Ask.Provider = reg.Ref().Provider
	r.w.Ask.Meet = like(r.kind(reg.Ref().Provider), r.w.Ask, reg.Meeting.Topic)
	place := r.w.Request.Place
	if reg.Place.Platform == place.Platform && reg.Place.Team == place.Team && len(reg.Hosts) > 0 { // IDs are a team's
		r.w.Ask.Hosts = reg.Hosts
	}
	r.w.Calls, err = h.carry.of(ctx, reg)
	return reg, err
}

// liveAtFirst is the wish for a live, at a provider whose meetings have one only if they are
// made with it.
func liveAtFirst(k meeting.Kind) *bool {
	if k.Parameters["live"] == "" {
		return nil
	}
	return new(true)
}

// push sets the destinations of the earlier meeting at the new one, in a job of its own,
// and says on the earlier one's card where the show went.
func (h sameDestinations) push(ctx context.Context, r *run, made meeting.Meeting) error {
	if old, ok := r.kinds.ParseRef(r.w.Ask.Arg); ok {
		reg, err := h.registry.Change(ctx, old, func(reg *registry.Registration) bool {
			reg.Moved = &registry.Moved{Topic: made.Topic, Code: made.Code, JoinURL: made.JoinURL}
			return true
		})
		if err == nil {
			err = h.queue.redraw(ctx, reg)
		}
		if err != nil && !errors.Is(err, jobs.ErrNotFound) {
			return err
		}
	}
	var on, standby []pushCall
	for _, s := range r.w.Calls {
		if s.Target.Enabled {
			on = append(on, s)
		} else {
			standby = append(standby, s)
		}
	}
	if err := h.set(ctx, r, made, "samedest:", on, false); err != nil {
		return err
	}
	return h.set(ctx, r, made, "standby:", standby, true)
}

func (h sameDestinations) set(ctx context.Context, r *run, made meeting.Meeting, prefix string, calls []pushCall, standby bool) error {
	if len(calls) == 0 {
		return nil
	}
	req := r.w.Request
	req.ID, req.At = prefix+r.job.ID, r.now()
	return h.queue.own(ctx, work{
		Request: req, Locale: r.t.Locale, Public: r.w.Public, Lists: r.w.Lists, Since: r.now(), Calls: calls, Carried: true,
		Ask: grammar.Ask{Verb: grammar.VerbPushTo, Meeting: made.Ref.String(), Standby: standby},
	})
}
