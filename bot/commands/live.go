package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// live starts and stops the live of a meeting, at providers that can: see
// [meeting.Capabilities]. It asks first, and starts none twice: a meeting's live is claimed in
// the registry before the call, and a call whose answer was lost is never made again. That
// the provider took a request is no word that the stream is on air; only its event is.
type live struct {
	targets  targets
	clients  clients
	seen     pushSeen
	registry interface {
		known
		changes
	}
	queue    queue
	audit    auditor
	webhooks map[meeting.Provider]bool // which report the live state
}

// againAfter is how long after a request to start a live no other is made: Zoom, for one,
// refuses it within 30 seconds.
const againAfter = 30 * time.Second

// broadcast is a live that can be started or stopped.
type broadcast struct {
	target
	to   []meeting.PushTarget // where the meeting is streamed to
	read bool                 // the provider said so
}

// find returns the meeting whose live is meant, if its provider starts and stops lives.
func (h live) find(ctx context.Context, r *run) (broadcast, error) {
	t, err := h.targets.resolve(ctx, r, want{push: true})
	if err != nil {
		return broadcast{}, err
	}
	return h.of(ctx, r, t)
}

func (h live) of(ctx context.Context, r *run, t target) (broadcast, error) {
	if !r.kind(t.ref.Provider).Can.StartLive {
		return broadcast{}, texts.NewMessage("live.cannot", "Provider", r.providerName(t.ref.Provider))
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	has, err := h.clients.of(t.ref.Provider).Pushes(ctx, t.account, t.ref.ID)
	if cannotRead(err) { // it is asked all the same: the provider decides
		return broadcast{target: t}, nil
	}
	if err != nil {
		return broadcast{}, offerHost(r, err, t)
	}
	return broadcast{t, h.seen.name(r, t.reg, has), true}, nil
}

// where says where a live goes, as people know it.
func (s broadcast) where(t texts.Text) string {
	if len(s.to) == 0 {
		return t.T("live.somewhere")
	}
	return s.to[0].Name + " (" + livepush.Host(s.to[0].URL) + ")"
}

// onAir reports whether a live is on by the provider's word, and nobody has had it stopped.
func onAir(reg registry.Registration) bool { return !reg.LiveAt.IsZero() && reg.LiveStop.IsZero() }

// startable refuses a live that is on air, or that nobody could see.
func (h live) startable(ctx context.Context, r *run, s broadcast) error {
	switch reg := s.reg; {
	case reg != nil && onAir(*reg):
		return texts.NewMessage("live.on", "Time", r.clock(reg.LiveAt))
	case reg != nil && reg.LiveJob != r.job.ID && r.now().Sub(reg.LiveAsked) < againAfter:
		return texts.NewMessage("live.asked", "Time", r.clock(reg.LiveAsked), "Provider", r.providerName(s.ref.Provider))
	case s.read && len(s.to) == 0:
		return texts.NewMessage("live.nowhere")
	}
	m, err := h.clients.of(s.ref.Provider).Get(ctx, s.account, s.ref.ID)
	if err == nil && m.State == meeting.StateReady {
		err = texts.NewMessage("live.empty", "Topic", topicOf(s.target))
	}
	return err
}

// askStart asks before a live is started: a typed command has no dialog of its own.
func (h live) askStart(ctx context.Context, r *run) (jobs.Next, error) {
	s, err := h.find(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	return h.askStartOf(ctx, r, s)
}

func (h live) askStartOf(ctx context.Context, r *run, s broadcast) (jobs.Next, error) {
	if err := h.startable(ctx, r, s); err != nil {
		return jobs.Next{}, err
	}
	text := r.t.T("live.start.ask", "Topic", topicOf(s.target), "Where", s.where(r.t))
	if s.reg != nil && !s.reg.LiveAsked.IsZero() {
		text = texts.Paragraphs(text, r.t.T("live.start.again", "Provider", r.providerName(s.ref.Provider), "Time", r.clock(s.reg.LiveAsked)))
	}
	return r.answer(outcomeAsked, chat.Reply{
		Tone: chat.Warning, Title: r.t.T("live.start.title"), Text: text,
		Buttons: []chat.Button{{Label: r.t.T("button.startlive"), Action: grammar.Press(grammar.VerbLiveStartYes, s.ref.String())}},
	})
}

// askStop asks before a live is stopped.
func (h live) askStop(ctx context.Context, r *run) (jobs.Next, error) {
	s, err := h.find(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	return h.askStopOf(r, s)
}

func (h live) askStopOf(r *run, s broadcast) (jobs.Next, error) {
	provider := r.providerName(s.ref.Provider)
	if reg := s.reg; reg != nil && reg.LiveAt.IsZero() && !reg.LiveHeard.IsZero() && reg.LiveAsked.IsZero() { // by the provider's word
		return jobs.Next{}, texts.NewMessage("live.off", "Provider", provider)
	}
	return r.answer(outcomeAsked, chat.Reply{
		Tone: chat.Warning, Title: r.t.T("live.stop.title"), Text: r.t.T("live.stop.ask", "Topic", topicOf(s.target), "Where", s.where(r.t), "Provider", provider),
		Buttons: []chat.Button{{Label: r.t.T("button.stoplive"), Danger: true, Action: grammar.Press(grammar.VerbLiveStopYes, s.ref.String())}},
	})
}

func (h live) nextStart(ctx context.Context, r *run) (jobs.Next, error) {
	return h.next(ctx, r, audit.Start, func(s broadcast) error {
		if err := h.startable(ctx, r, s); err != nil {
			return err
		}
		r.w.Instant.Topic = topicOf(s.target) // what viewers see it called
		if s.reg == nil {
			return nil
		}
		return h.claim(ctx, r)
	})
}

func (h live) nextStop(ctx context.Context, r *run) (jobs.Next, error) {
	return h.next(ctx, r, audit.Stop, func(s broadcast) error {
		if s.reg != nil {
			r.w.LiveJob = &s.reg.LiveJob
		}
		return nil
	})
}

// next asks the provider for the action, if ready finds nothing against it, and says what came
// of it.
func (h live) next(ctx context.Context, r *run, action audit.Action, ready func(broadcast) error) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		return h.done(ctx, r, action)
	case jobs.Refused:
		return h.refused(ctx, r, action)
	case jobs.Unknown:
		return h.unknown(ctx, r, action)
	}
	r.w.Ask.Meeting = r.w.Ask.Arg
	s, err := h.find(ctx, r)
	if err == nil {
		err = ready(s)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	r.w.Sent = r.now()
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(s.ref.Provider)
	return jobs.MakeCall(), nil
}

// claim makes sure that one job alone starts the live. Whoever comes second is told.
func (h live) claim(ctx context.Context, r *run) error {
	var taken *texts.Message
	_, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		taken = nil
		switch {
		case onAir(*reg):
			taken = texts.NewMessage("live.on", "Time", r.clock(reg.LiveAt))
		case reg.LiveJob == r.job.ID: // before a crash
			return false
		case r.now().Sub(reg.LiveAsked) < againAfter:
			taken = texts.NewMessage("live.asked", "Time", r.clock(reg.LiveAsked), "Provider", r.providerName(r.w.Ref.Provider))
		default:
			reg.LiveAsked, reg.LiveJob = r.now(), r.job.ID
			reg.LiveAt, reg.LiveStop = time.Time{}, time.Time{} // of a live that was stopped
			return true
		}
		return false
	})
	if err == nil && taken != nil {
		return taken
	}
	return err
}

// done says that the provider took the request, and no more than that.
func (h live) done(ctx context.Context, r *run, action audit.Action) (jobs.Next, error) {
	if err := h.note(ctx, r, action, "sent"); err != nil {
		return jobs.Next{}, err
	}
	reg, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		if action == audit.Start || startedSince(r, *reg) || reg.LiveAsked.IsZero() && reg.LiveAt.IsZero() {
			return false
		}
		reg.LiveAsked = time.Time{}
		if !reg.LiveAt.IsZero() {
			reg.LiveStop = r.now()
		}
		return true
	})
	switch {
	case errors.Is(err, jobs.ErrNotFound): // not one of the bot's
	case err != nil:
		return jobs.Next{}, err
	default:
		h.announce(r, reg, action)
		if err := h.queue.redraw(ctx, reg); err != nil {
			return jobs.Next{}, err
		}
	}
	provider := r.providerName(r.w.Ref.Provider)
	after := "live.start.after"
	if !h.webhooks[r.w.Ref.Provider] {
		after = "live.start.unseen"
	}
	if action == audit.Stop {
		return r.answer(outcomeStopped, chat.Reply{Tone: chat.Good, Title: r.t.T("live.stop.done"), Text: r.t.T("live.stop.after", "Provider", provider)})
	}
	return r.answer(outcomeStarted, chat.Reply{Tone: chat.Good, Title: r.t.T("live.start.done"), Text: r.t.T(after, "Provider", provider)})
}

// announce says in the meeting's thread who had the live started or stopped.
func (h live) announce(r *run, reg registry.Registration, action audit.Action) {
	card := r.cardOf(reg)
	if card == nil {
		return
	}
	t := r.text(card.Place.Platform, reg.LocaleOf(*card), r.t.Locale)
	user := r.w.Request.User
	r.put(delivery{Slot: chat.SlotThread, Place: &card.Place, Root: card, Reply: chat.Reply{
		Text: t.T("announce.live." + string(action)), Fields: []chat.Field{{Name: t.T("field.by"), User: &user}},
	}})
}

func (h live) refused(ctx context.Context, r *run, action audit.Action) (jobs.Next, error) {
	if err := h.note(ctx, r, action, "refused"); err != nil {
		return jobs.Next{}, err
	}
	if err := h.release(ctx, r); err != nil {
		return jobs.Next{}, err
	}
	return jobs.Next{}, r.fault()
}

// release gives up a claim: the live was certainly not started.
func (h live) release(ctx context.Context, r *run) error {
	_, err := h.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool {
		if reg.LiveJob != r.job.ID || reg.LiveAsked.IsZero() {
			return false
		}
		reg.LiveAsked = time.Time{}
		return true
	})
	if errors.Is(err, jobs.ErrNotFound) {
		return nil
	}
	return err
}

func (h live) unknown(ctx context.Context, r *run, action audit.Action) (jobs.Next, error) {
	if err := h.note(ctx, r, action, "unclear"); err != nil {
		return jobs.Next{}, err
	}
	r.w.Reported = true
	text := "live." + string(action) + ".unknown"
	if action == audit.Start && !h.webhooks[r.w.Ref.Provider] {
		text += ".unseen"
	}
	return r.answer(outcomeUnknown, chat.Reply{
		Tone: chat.Warning, Title: r.t.T("live." + string(action) + ".unknown.title"),
		Text: r.t.T(text, "Provider", r.providerName(r.w.Ref.Provider)),
	})
}

func (h live) note(ctx context.Context, r *run, action audit.Action, outcome string) error {
	step := "live"
	if r.w.Reported {
		step += "late"
	}
	return h.audit.add(ctx, r, audit.Line{Action: action, Outcome: outcome, Meeting: r.w.Ref.String(), Step: step})
}

func (h live) callStart(ctx context.Context, r *run) error {
	err := h.clients.of(r.w.Ref.Provider).StartLive(ctx, r.w.Account, r.w.Ref.ID, r.w.Instant.Topic)
	r.w.Fault = nil
	if err == nil {
		return nil
	}
	r.w.Fault = r.faultOf(err)
	if e, ok := errors.AsType[*meeting.APIError](err); ok && e.Reason == meeting.ReasonStarting { // somebody else has just started it: not to be tried again unasked
		return err
	}
	return outcome(err)
}

func (h live) callStop(ctx context.Context, r *run) error {
	reg, err := h.registry.Get(ctx, r.w.Ref)
	switch {
	case errors.Is(err, jobs.ErrNotFound): // not one of the bot's
	case err != nil:
		return fmt.Errorf("%w: %w", jobs.ErrNotSent, err)
	case startedSince(r, reg): // while this waited, or before it is tried again
		r.w.Fault = texts.NewMessage("live.stop.since")
		return errors.New("the live was started again since")
	}
	err = h.clients.of(r.w.Ref.Provider).StopLive(ctx, r.w.Account, r.w.Ref.ID)
	r.w.Fault = nil
	if err != nil {
		r.w.Fault = r.faultOf(err)
	}
	return outcome(err)
}

// startedSince reports whether the live that is to be stopped is not the one that was meant.
func startedSince(r *run, reg registry.Registration) bool {
	return r.w.LiveJob != nil && reg.LiveJob != *r.w.LiveJob
}

// reconcileStart goes by the provider's own word since the call. Without one nobody knows:
// no call tells whether a live is on, and it is not asked for a second time.
func (h live) reconcileStart(ctx context.Context, r *run) error {
	reg, err := h.registry.Get(ctx, r.w.Ref)
	if err == nil && !reg.LiveAt.IsZero() && reg.LiveHeard.After(r.w.Sent) {
		r.w.Fault = nil
		return nil
	}
	return errors.Join(fmt.Errorf("%w: no word on the live", jobs.ErrUnknown), err)
}

// reconcileStop asks once more where the provider has not said that the live is over: to
// stop it twice does no harm.
func (h live) reconcileStop(ctx context.Context, r *run) error {
	reg, err := h.registry.Get(ctx, r.w.Ref)
	if err == nil && reg.LiveAt.IsZero() && reg.LiveHeard.After(r.w.Sent) {
		r.w.Fault = nil
		return nil
	}
	return jobs.ErrAbsent
}

// liveButton starts or stops the live of a meeting that is streamed somewhere, as its card
// has it; none while nobody is in.
func (h cards) liveButton(t texts.Text, reg registry.Registration, on chat.Platform) []chat.Button {
	if reg.Meeting.State != meeting.StateRunning || pushNames(t, reg) == "" {
		return nil
	}
	ref, topic := reg.Ref().String(), reg.Meeting.Topic
	ask, yes, id, danger := grammar.VerbLiveStart, grammar.VerbLiveStartYes, "start", false
	if !reg.LiveAt.IsZero() || !reg.LiveAsked.IsZero() {
		ask, yes, id, danger = grammar.VerbLiveStop, grammar.VerbLiveStopYes, "stop", true
	}
	b := chat.Button{Label: t.T("button." + id + "live"), Action: grammar.Press(ask, ref), Danger: danger}
	if h.platforms.Of(on).Confirms { // what the other answers with
		b.Action = grammar.Press(yes, ref)
		b.Confirm = &chat.Confirm{
			Title: t.T("live." + id + ".title"),
			Text:  t.T("live."+id+".ask", "Topic", topic, "Where", pushNames(t, reg), "Provider", nameOf(t, h.kinds, reg.Ref().Provider)),
			Yes:   b.Label, No: t.T("live." + id + ".no"),
		}
	}
	return []chat.Button{b}
}

// stopInstead answers somebody who wants addresses switched off where none can be: what can be
// stopped is the live, and the address is used by no other.
func (h live) stopInstead(r *run, t target, has []meeting.PushTarget) (jobs.Next, error) {
	if len(has) == 0 {
		return jobs.Next{}, texts.NewMessage("off.nothing")
	}
	return h.askStopOf(r, broadcast{t, has, true})
}

// startInstead answers somebody who wants an address switched on where every one that is set is
// on stand-by until the live is started.
func (h live) startInstead(ctx context.Context, r *run, t target, has []meeting.PushTarget) (jobs.Next, error) {
	if names := r.w.Ask.Names; len(names) > 0 && !r.w.Unread && !slices.ContainsFunc(has, func(p meeting.PushTarget) bool { return named(names, p.Name) }) {
		var there []string
		for _, p := range has {
			there = append(there, p.Name)
		}
		return jobs.Next{}, texts.NewMessage("on.missing", "Names", r.t.Join(names), "There", r.t.Join(there))
	}
	return h.askStartOf(ctx, r, broadcast{t, has, !r.w.Unread})
}

// named is [pushSeen.name] of a meeting that is still to be looked up.
func (h pushSeen) named(ctx context.Context, r *run, has []meeting.PushTarget) []meeting.PushTarget {
	if !slices.ContainsFunc(has, func(p meeting.PushTarget) bool { return p.Name == "" }) {
		return has
	}
	reg, err := h.registry.Get(ctx, r.w.Ref)
	if err != nil { // the names are a courtesy
		return h.name(r, nil, has)
	}
	return h.name(r, &reg, has)
}

// name gives names to addresses of a provider that keeps none: what this command calls it,
// what it was called when it was set, or else the service's own.
func (h pushSeen) name(r *run, reg *registry.Registration, has []meeting.PushTarget) []meeting.PushTarget {
	for i := range has {
		if has[i].Name != "" {
			continue
		}
		fp := h.dests.Fingerprint(has[i].Key)
		has[i].Name = cutRunes(livepush.Detect(has[i].URL).Name(r.t), meeting.MaxPushName)
		if reg != nil {
			for _, p := range reg.Pushes {
				if p.Fingerprint == fp {
					has[i].Name = p.Name
				}
			}
		}
		for _, s := range r.w.Calls {
			if s.Fingerprint == fp && meeting.SamePushAddress(s.Target.URL, has[i].URL) {
				has[i].Name = s.Target.Name
			}
		}
	}
	return has
}
