package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// push sets live push addresses at a meeting, or switches them on or off: one or more calls,
// since the provider takes one address a call, and each is reported on its own. Before the first call the bot looks at what is set, since no call changes or deletes
// an address; after the last one it looks again, and says only what it saw.
//
// Everything is decided before the first call ([push.begin]) and is in the job: the calls in
// their order, of which job.Call is the current one. One with an outcome is never made.
type push struct {
	targets   targets
	clients   clients
	calls     pushCalls
	approvals approvals
	keyPage   keyPage
	report    pushReport
	live      live
}

func (h push) next(ctx context.Context, r *run) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		r.current().Outcome = callSent
	case jobs.Refused:
		r.current().Outcome = callRefused
	case jobs.Unknown:
		r.current().Outcome = callUnclear
	case jobs.AwaitingApproval:
		h.approvals.close(ctx, r, *r.w, "approval.lapsed", chat.Neutral)
		return jobs.Next{}, texts.NewMessage("approval.expired")
	default:
		return h.begin(ctx, r)
	}
	return h.goOn(ctx, r)
}

// goOn makes the next call, and reports when none is left.
func (h push) goOn(ctx context.Context, r *run) (jobs.Next, error) {
	for i, s := range r.w.Calls {
		if s.Outcome == callPending {
			r.job.Call, r.job.To = i, string(r.w.Ref.Provider)
			return jobs.MakeCall(), nil
		}
	}
	return h.report.tell(ctx, r)
}

// current is the destination that the current call is about.
func (r *run) current() *pushCall { return &r.w.Calls[r.job.Call] }

func (r *run) off() bool { return r.w.Ask.Verb == grammar.VerbPushOff }

func (r *run) on() bool { return r.w.Ask.Verb == grammar.VerbPushOn }

// switches reports whether the push only switches what is set.
func (r *run) switches() bool { return r.off() || r.on() }

// standby reports whether the push sets addresses without switching them on.
func (r *run) standby() bool { return r.w.Ask.Standby && !r.switches() }

// begin decides what is to be sent, all of it before the first call: which meeting,
// what is set there already, and whether a second person has to agree.
func (h push) begin(ctx context.Context, r *run) (jobs.Next, error) {
	if r.w.Fault != nil { // turned down by the second person
		return jobs.Next{}, r.w.Fault
	}
	t, err := h.targets.resolve(ctx, r, want{push: true})
	if err != nil {
		return jobs.Next{}, h.offerElsewhere(r, err)
	}
	asked := r.w.Calls
	r.w.Ref, r.w.Account = t.ref, t.account
	if r.w.Ask.Verb == grammar.VerbPush && r.w.Ask.Push.Key.IsZero() {
		return h.keyPage.give(ctx, r, t)
	}
	has, err := h.clients.of(r.w.Ref.Provider).Pushes(ctx, r.w.Account, r.w.Ref.ID)
	if cannotRead(err) {
		r.log.WarnContext(ctx, "push addresses cannot be read back", "job", r.job.ID, "err", err)
		r.w.Unread, err = true, nil
	}
	if err != nil {
		return jobs.Next{}, offerHost(r, err, t)
	}
	has = h.report.seen.name(r, t.reg, has)
	if k := r.kind(t.ref.Provider); k.Push.Replaces && k.Can.StartLive {
		switch {
		case r.off():
			return h.live.stopInstead(r, t, has)
		case r.on():
			return h.live.startInstead(ctx, r, t, has)
		}
		r.w.Ask.Standby = false // so is every address there: nothing goes out before the live is started
	}
	if r.switches() && len(r.w.Ask.Names) == 0 && !r.w.Ask.All && r.w.Ask.Which == "" {
		if r.w.Unread {
			if has, err = h.calls.remembered(ctx, t.reg); err != nil {
				return jobs.Next{}, err
			}
		}
		if !r.w.Unread || len(has) > 0 {
			return h.askWhich(r, t, has)
		}
	}
	if r.off() {
		if err := h.approvals.withdraw(ctx, r); err != nil {
			return jobs.Next{}, err
		}
	}
	protected, err := h.calls.decide(ctx, r, t.reg, has)
	if isRefusal(err) && len(r.w.Withdrawn) > 0 { // that is all that there is to be switched off
		return r.answer(outcomeOff, chat.Reply{Tone: chat.Good, Title: withdrawnText(r)})
	}
	if err != nil {
		return jobs.Next{}, err
	}
	if !protected && !r.off() { // off the air nobody waits for anybody
		if protected, err = h.calls.guarded(ctx, r, t.reg); err != nil {
			return jobs.Next{}, err
		}
	}
	if protected && slices.ContainsFunc(r.w.Calls, func(s pushCall) bool { return s.Outcome == callPending }) {
		if r.w.Approved == nil || !r.w.Pinned.covers(t, asked, r.w.Calls) {
			return h.approvals.await(ctx, r, t)
		}
		if err := h.approvals.vouch(ctx, r); err != nil {
			return jobs.Next{}, err
		}
	}
	r.job.Calls = len(r.w.Calls)
	return h.goOn(ctx, r)
}

// askWhich lists what can be switched, with a button each: nobody types a name in a hurry.
func (h push) askWhich(r *run, t target, has []meeting.PushTarget) (jobs.Next, error) {
	has = slices.DeleteFunc(slices.Clone(has), func(p meeting.PushTarget) bool { return p.Enabled == r.on() })
	reply := chat.Reply{Tone: chat.Warning, Title: r.t.T("off.which"), Buttons: offButtons(r.t, t.ref, topicOf(t), has)}
	nothing := "off.nothing"
	if r.on() {
		reply.Title, reply.Buttons, nothing = r.t.T("on.which"), onButtons(r.t, t.ref, has), "on.nothing"
	}
	if len(has) == 0 {
		return jobs.Next{}, texts.NewMessage(nothing)
	}
	for _, set := range has {
		reply.Fields = append(reply.Fields, chat.Field{Name: set.Name, Value: livepush.Host(set.URL)})
	}
	return r.answer(outcomeAsked, reply)
}

// topicOf is what people call a meeting: its topic, or its number.
func topicOf(t target) string {
	if t.reg != nil {
		return t.reg.Meeting.Topic
	}
	return t.ref.ID
}

// offButtons switch off what is on at a meeting, each and all.
func offButtons(t texts.Text, ref meeting.Ref, topic string, has []meeting.PushTarget) []chat.Button {
	var buttons []chat.Button
	for _, set := range has {
		if set.Enabled {
			buttons = append(buttons, chat.Button{Label: t.T("button.off", "Name", set.Name), Action: grammar.PressOff(ref, livepush.Address(set))})
		}
	}
	if len(buttons) > 0 {
		buttons = append(buttons, stopAll(t, ref, topic))
	}
	return buttons
}

// onButtons switch on what is set at a meeting and off.
func onButtons(t texts.Text, ref meeting.Ref, has []meeting.PushTarget) []chat.Button {
	var buttons []chat.Button
	for _, set := range has {
		if !set.Enabled {
			buttons = append(buttons, chat.Button{Label: t.T("button.on", "Name", set.Name), Action: grammar.PressOn(ref, livepush.Address(set))})
		}
	}
	return buttons
}

// stopAll switches everything off that is pushed from a meeting.
func stopAll(t texts.Text, ref meeting.Ref, topic string) chat.Button {
	return chat.Button{
		Label: t.T("button.stop_all"), Danger: true, Action: grammar.PressAllOff(ref),
		Confirm: &chat.Confirm{Title: t.T("off.ask.title"), Text: t.T("off.ask", "Topic", topic), Yes: t.T("button.stop_all"), No: t.T("off.no")},
	}
}

// offerElsewhere adds the way out where a meeting takes no push address: one that does.
func (h push) offerElsewhere(r *run, err error) error {
	var told *texts.Message
	if errors.As(err, &told) && told.ID == "which.no_push" {
		other, _ := h.clients.pushable(r)
		return offering{err, []chat.Button{{Label: r.t.T("button.elsewhere", "Provider", r.providerName(other)), Action: grammar.Press(grammar.VerbElsewhere, r.job.ID)}}}
	}
	return err
}

// cannotRead reports whether the provider refused to say what is set, for want of a right or
// of the whole operation. Setting an address is an operation of its own, and is sent all the
// same. Where only somebody else may ask, only they may set, too.
func cannotRead(err error) bool {
	var api *meeting.APIError
	if !errors.As(err, &api) || api.Code == 0 {
		return false
	}
	switch api.Reason {
	case meeting.ReasonNotHost, meeting.ReasonNotCreator, meeting.ReasonAccount, meeting.ReasonState:
		return false
	}
	return errors.Is(err, meeting.ErrNotPermitted) || errors.Is(err, meeting.ErrInvalid)
}

// offerHost adds the way out of a refusal that somebody else would not have met: to ask.
func offerHost(r *run, err error, t target) error {
	if t.reg == nil || !errors.Is(err, meeting.ErrNotPermitted) {
		return err
	}
	f := r.faultOf(err)
	if !othersMay(f) {
		return f
	}
	return offering{f, []chat.Button{{Label: r.t.T("button.askhost"), Action: grammar.Press(grammar.VerbAskHost, r.job.ID)}}}
}

func (h push) call(ctx context.Context, r *run) error {
	s := r.current()
	err := h.clients.of(r.w.Ref.Provider).SetPush(ctx, r.w.Account, r.w.Ref.ID, s.Target)
	s.Fault = nil
	if err != nil {
		s.Fault = r.faultOf(err)
	}
	return outcome(err)
}

// reconcile reads the address back. It is sent again only when it is seen to be
// absent.
func (h push) reconcile(ctx context.Context, r *run) error {
	has, err := h.clients.of(r.w.Ref.Provider).Pushes(ctx, r.w.Account, r.w.Ref.ID)
	if err != nil {
		return err
	}
	switch seen(has, r.current().Target, r.off()) {
	case callDiffers:
		if r.switches() { // to switch twice does no harm
			return jobs.ErrAbsent
		}
	case callSet:
		r.current().Fault = nil
		return nil
	case callRefused:
		return jobs.ErrAbsent
	}
	return fmt.Errorf("%w: read back, and not as sent", jobs.ErrUnknown)
}

// seen compares what is set with what was wanted: callSet, callDiffers, or callRefused
// when the address is absent. A provider may leave out what is off: to be absent is then
// to be as wanted.
func seen(has []meeting.PushTarget, want meeting.PushTarget, off bool) callOutcome {
	set, is := setAt(has, want)
	switch {
	case is && set.Key.Equal(want.Key) && set.Enabled == want.Enabled:
		return callSet
	case is:
		return callDiffers
	}
	if off {
		return callSet
	}
	return callRefused
}

// setAt returns what is set at the address of want: with its key, or else with another.
func setAt(has []meeting.PushTarget, want meeting.PushTarget) (at meeting.PushTarget, is bool) {
	for _, set := range has {
		if !meeting.SamePushAddress(set.URL, want.URL) {
			continue
		}
		if set.Key.Equal(want.Key) {
			return set, true
		}
		at, is = set, true
	}
	return at, is
}
