package commands

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// pushReport tells what became of a push, as it is read back.
type pushReport struct {
	clients clients
	seen    pushSeen
	dests   livepush.Destinations
	keyPage keyPage
	audit   auditor
	carry   carry
}

// tell reads everything back once more and says what is so.
func (h pushReport) tell(ctx context.Context, r *run) (jobs.Next, error) {
	var has []meeting.PushTarget
	err := errNotRead
	if !r.w.Unread {
		has, err = h.clients.of(r.w.Ref.Provider).Pushes(ctx, r.w.Account, r.w.Ref.ID)
	}
	if err != nil {
		if n, ok := r.again(err); ok {
			return n, nil
		}
		r.log.WarnContext(ctx, "push not read back", "job", r.job.ID, "err", err)
	}
	read := err == nil
	has = h.seen.named(ctx, r, has)
	good, open := 0, 0
	for i := range r.w.Calls {
		s := &r.w.Calls[i]
		s.Outcome = s.readBack(has, read, r.off())
		if r.switches() && s.unswitched() {
			s.Outcome = callKept
		}
		switch s.Outcome {
		case callSet, callAlready:
			good++
		case callUnread, callUnclear, callDiffers, callKept:
			open++
		}
		if err := h.logCall(ctx, r, i); err != nil {
			return jobs.Next{}, err
		}
	}
	if slices.ContainsFunc(r.w.Calls, func(s pushCall) bool { return s.Outcome == callReplaced }) {
		if err := h.carry.keep(ctx, r.w.Ref, r.w.Calls); err != nil {
			return jobs.Next{}, err
		}
	}
	reg, regErr := h.seen.note(ctx, r, has, read)
	if regErr != nil && !errors.Is(regErr, jobs.ErrNotFound) {
		return jobs.Next{}, regErr
	}
	switch {
	case good == len(r.w.Calls) && r.off():
		r.endAs(outcomeOff)
	case good == len(r.w.Calls):
		r.endAs(outcomeSet)
	case good > 0:
		r.endAs(outcomePartly)
	case open > 0:
		r.endAs(outcomeUnknown)
	default:
		r.endAs(outcomeRefused)
	}
	reply := h.reply(ctx, r, reg, good)
	if err := h.keyPage.offer(ctx, r, &reply); err != nil {
		return jobs.Next{}, err
	}
	r.tell(reply)
	r.w.Reported = true
	if regErr == nil {
		announce(r, reg)
	}
	return jobs.Deliver(), nil
}

// readBack is how the call has ended, by what is set now; without read that is not known.
func (s pushCall) readBack(has []meeting.PushTarget, read, off bool) callOutcome {
	switch {
	case s.Outcome != callSent && s.Outcome != callUnclear:
		return s.Outcome // it was not sent
	case !read && s.Outcome == callSent:
		return callUnread
	case read && seen(has, s.Target, off) == callSet:
		return callSet
	case read && s.Outcome == callSent:
		return callDiffers
	}
	return s.Outcome
}

// unswitched reports whether an address that was to be switched is known not to be. On the
// way onto or off the air nobody is helped by what is wrong with the call.
func (s pushCall) unswitched() bool {
	refused := s.Outcome == callRefused && s.Fault != nil && s.Fault.ID == "fault."+string(meeting.ReasonPushAddress)
	return refused || s.Outcome == callDiffers
}

// errNotRead stands for a read-back that is known to be refused.
var errNotRead = errors.New("the provider does not let this account read it")

func (h pushReport) reply(ctx context.Context, r *run, reg registry.Registration, good int) chat.Reply {
	n := strconv.Itoa
	wanted, unread := len(r.w.Calls), 0
	reply := chat.Reply{Tone: chat.Good}
	for _, s := range r.w.Calls {
		reply.Fields = append(reply.Fields, chat.Field{Name: s.Target.Name, Value: h.callText(ctx, r, s)})
		if s.Outcome == callUnread {
			unread++
		}
	}
	for _, name := range r.w.Absent {
		reply.Fields = append(reply.Fields, chat.Field{Name: name, Value: r.t.T("step.absent")})
		if named(r.w.Ask.Names, name) { // of a set only what is there is meant
			wanted++
		}
	}
	switch {
	case unread > 0:
		reply.Title = r.t.T("push.title.unread", "Good", n(good+unread), "All", n(wanted))
	case r.off():
		reply.Title = r.t.T("off.title", "Good", n(good), "All", n(wanted))
	case r.on():
		reply.Title = r.t.T("on.title", "Good", n(good), "All", n(wanted))
	case r.standby():
		reply.Title = r.t.T("standby.title", "Good", n(good), "All", n(wanted))
	default:
		reply.Title = r.t.T("push.title", "Good", n(good), "All", n(wanted))
	}
	switch {
	case good == 0 && unread == 0:
		reply.Tone = chat.Bad
	case good < wanted:
		reply.Tone = chat.Warning
	}
	reply.Text = pushNotes(r, reg, good+unread > 0)
	reply.Buttons = h.waysOut(ctx, r)
	if good > 0 && !r.off() {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: r.t.T("button.copy"), Action: grammar.Press(grammar.VerbCopy, r.w.Ref.String())})
	}
	return reply
}

// pushNotes is what there is to say of all calls together; sent says that one was made.
func pushNotes(r *run, reg registry.Registration, sent bool) string {
	provider := r.providerName(r.w.Ref.Provider)
	var notes []string
	if slices.ContainsFunc(r.w.Calls, func(s pushCall) bool { return s.Outcome == callKept }) {
		id := "off.kept"
		if r.on() {
			id = "on.kept"
		}
		notes = append(notes, r.t.T(id, "Provider", provider))
	}
	switch {
	case !sent:
	case r.standby():
		notes = append(notes, r.t.T("standby.note"))
	case waitsForLive(r, reg):
		notes = append(notes, r.t.T("push.not_on_air", "Provider", provider))
	case !r.switches() && r.kind(r.w.Ref.Provider).Can.StartLive:
		notes = append(notes, r.t.T("live.next"))
	}
	if len(r.w.Withdrawn) > 0 {
		notes = append(notes, withdrawnText(r))
	}
	if r.w.Ask.Split {
		notes = append(notes, r.t.T("push.split", "URL", r.w.Ask.Push.URL))
	}
	if r.keySeen() {
		notes = append(notes, r.t.T("push.key_typed"))
	}
	return texts.Paragraphs(notes...)
}

func withdrawnText(r *run) string { return r.t.T("off.withdrawn", "Names", r.t.Join(r.w.Withdrawn)) }

// waitsForLive reports whether what was set is on the air only once the host starts the live.
func waitsForLive(r *run, reg registry.Registration) bool {
	live := r.on() && (!reg.LiveAt.IsZero() || reg.Audience != nil)
	return !r.off() && !r.standby() && !live && !r.kind(r.w.Ref.Provider).Can.StartLive
}

// waysOut are buttons for what did not go as it was wished.
func (h pushReport) waysOut(ctx context.Context, r *run) []chat.Button {
	var buttons []chat.Button
	replaced, notPermitted := false, false
	for _, s := range r.w.Calls {
		replaced = replaced || s.Outcome == callReplaced
		notPermitted = notPermitted || othersMay(s.Fault)
		if s.Outcome != callKept || s.Destination == "" || r.on() {
			continue
		}
		if d, err := h.dests.ByID(ctx, s.Destination); err == nil && !d.Key.IsZero() {
			buttons = append(buttons, revokeButton(r, d))
		}
	}
	if replaced {
		buttons = append(buttons, chat.Button{Label: r.t.T("button.samedest"), Action: grammar.Press(grammar.VerbSameDest, r.w.Ref.String())})
	}
	if notPermitted {
		buttons = append(buttons, chat.Button{Label: r.t.T("button.askhost"), Action: grammar.Press(grammar.VerbAskHost, r.job.ID)})
	}
	return buttons
}

// said is what became of a call.
func (r *run) said(s pushCall) *texts.Message {
	verb := "step."
	switch {
	case r.off():
		verb = "step.off."
	case r.on():
		verb = "step.on."
	}
	id := verb + string(s.Outcome)
	switch {
	case s.Outcome == callUnread && r.w.Unread:
		id = "step.unreadable"
	case s.Outcome == callUnread:
		id = "step.unread"
	}
	if s.Fault != nil && s.Outcome == callRefused {
		return s.Fault
	}
	return texts.NewMessage(id, "Provider", r.providerName(r.w.Ref.Provider))
}

func (h pushReport) callText(ctx context.Context, r *run, s pushCall) string {
	text := r.said(s).In(r.t)
	if s.Fault != nil && s.Outcome == callRefused {
		return text // nothing is added to a sentence
	}
	if s.There != "" && !r.off() {
		text += " · " + r.t.T("step.there", "Name", s.There)
	}
	if s.Fingerprint != "" {
		text += " · " + r.t.T("field.fingerprint", "Fingerprint", s.Fingerprint)
	}
	if s.Destination != "" && !r.off() {
		if d, err := h.dests.ByID(ctx, s.Destination); err == nil && !d.Key.IsZero() {
			text += " · " + d.KeyAge(r.t, r.now())
		}
	}
	return text
}

// announce says in the meeting's thread who changed what. Nothing secret is in it.
func announce(r *run, reg registry.Registration) {
	card := r.cardOf(reg)
	if card == nil {
		return
	}
	var names []string
	for _, s := range r.w.Calls {
		switch s.Outcome {
		case callSet, callUnread:
			names = append(names, s.Target.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	id := "announce.set"
	switch {
	case r.off():
		id = "announce.off"
	case r.on():
		id = "announce.on"
	case r.standby():
		id = "announce.standby"
	}
	t := r.text(card.Place.Platform, reg.LocaleOf(*card), r.t.Locale)
	text := t.T(id, "Names", t.Join(names))
	if waitsForLive(r, reg) {
		text = texts.Paragraphs(text, t.T("push.not_on_air", "Provider", nameOf(t, r.kinds, r.w.Ref.Provider)))
	}
	user := r.w.Request.User
	var links []chat.Link
	if !r.off() {
		links = pageLinks(t, reg, names)
	}
	r.put(delivery{Slot: chat.SlotThread, Place: &card.Place, Root: card, Reply: chat.Reply{
		Text: text, Links: links, Fields: []chat.Field{{Name: t.T("field.by"), User: &user}},
	}})
}

func (h pushReport) logCall(ctx context.Context, r *run, i int) error {
	s := r.w.Calls[i]
	id := "push" + strconv.Itoa(i)
	if r.w.Reported && i == r.job.Call { // found out after it was written down as something else
		id += "late"
	}
	action := audit.Set
	switch {
	case r.off():
		action = audit.Off
	case r.on():
		action = audit.On
	case r.standby():
		action = audit.Standby
	}
	return h.audit.add(ctx, r, audit.Line{
		Action: action, Destination: s.Target.Name, Fingerprint: s.Fingerprint, Outcome: string(s.Outcome),
		Meeting: r.w.Ref.String(), Step: id,
	})
}
