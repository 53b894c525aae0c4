package commands

import (
	"context"
	"errors"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// listNext shows this place's meetings that are not over, with what is pushed where.
func (r *run) listNext(ctx context.Context) (jobs.Next, error) {
	regs, err := r.registry.Here(ctx, r.w.Request.Place)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeListed)
	reply := chat.Reply{Title: r.t.T("list.title"), Text: r.t.T("list.none")}
	if len(regs) > 0 {
		reply.Text = ""
	}
	for _, reg := range regs {
		value := r.stateText(r.t, reg)
		if reg.Meeting.Code != "" {
			value = showCode(reg.Meeting.Code) + " · " + value
		}
		if names := pushNames(r.t, reg); names != "" {
			value += " · " + r.t.T("list.pushed", "Names", names)
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: reg.Meeting.Topic, Value: value})
	}
	r.tell(reply)
	return jobs.Deliver(), nil
}

// endAsk asks before a meeting is ended: a typed command has no dialog of its own.
func (r *run) endAsk(ctx context.Context) (jobs.Next, error) {
	t, err := r.resolve(ctx, want{})
	if err == nil {
		err = r.mayEnd(ctx, t)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	topic := t.ref.ID
	if t.reg != nil {
		topic = t.reg.Meeting.Topic
	}
	r.endAs(outcomeAsked)
	r.tell(chat.Reply{
		Tone: chat.Warning, Title: r.t.T("end.ask.title"), Text: r.t.T("end.ask", "Topic", topic),
		Buttons: []chat.Button{{Label: r.t.T("end.yes"), Danger: true, Action: chat.Action{Name: string(grammar.VerbEndYes), Arg: t.ref.String()}}},
	})
	return jobs.Deliver(), nil
}

// mayEnd guards ending a meeting: only its requester or an admin, and for a meeting that
// the bot did not make, whoever acts as their own account.
func (r *run) mayEnd(ctx context.Context, t target) error {
	if t.reg == nil {
		return nil
	}
	req := r.w.Request
	if req.User.ID == t.reg.Requester.ID && req.Place.Platform == t.reg.Place.Platform {
		return nil
	}
	admin, err := r.isAdmin(ctx)
	if err != nil {
		return err
	}
	if !admin {
		return texts.NewMessage("power.end", "Name", t.reg.Requester.Name)
	}
	return nil
}

func (r *run) endNext(ctx context.Context) (jobs.Next, error) {
	switch r.job.State {
	case jobs.Called:
		reg, err := r.registry.Change(ctx, r.w.Ref, func(reg *registry.Registration) bool { return r.registry.Turn(reg, meeting.StateEnded) })
		switch {
		case errors.Is(err, jobs.ErrNotFound): // not one of the bot's
		case err != nil:
			return jobs.Next{}, err
		default:
			if err := r.redraw(ctx, reg); err != nil {
				return jobs.Next{}, err
			}
		}
		r.endAs(outcomeEnded)
		r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("end.done")})
		return jobs.Deliver(), nil
	case jobs.Refused:
		return jobs.Next{}, r.fault()
	case jobs.Unknown:
		return jobs.Next{}, texts.NewMessage("end.unknown")
	}
	r.w.Ask.Meeting = r.w.Ask.Arg
	t, err := r.resolve(ctx, want{})
	if err == nil {
		err = r.mayEnd(ctx, t)
	}
	if err != nil {
		return jobs.Next{}, err
	}
	r.w.Ref, r.w.Account = t.ref, t.account
	r.job.Call, r.job.Calls, r.job.To = 0, 1, string(t.ref.Provider)
	return jobs.MakeCall(), nil
}

func (r *run) endCall(ctx context.Context) error {
	began := time.Now()
	err := r.provider(r.w.Ref.Provider).End(ctx, r.w.Account, r.w.Ref.ID)
	r.observe(r.w.Ref.Provider, opEnd, err, began)
	if err != nil {
		r.w.Fault = r.faultOf(err)
	}
	return outcome(err)
}

// endReconcile looks whether the meeting is over. If it is not, ending it once more does
// no harm.
func (r *run) endReconcile(ctx context.Context) error {
	m, err := r.provider(r.w.Ref.Provider).Get(ctx, r.w.Account, r.w.Ref.ID)
	switch {
	case errors.Is(err, meeting.ErrNotFound), err == nil && m.State.Over():
		return nil
	case err == nil:
		return jobs.ErrAbsent
	}
	return err
}

// shareNext posts the meeting's card here as well. All its cards are edited together.
func (r *run) shareNext(ctx context.Context) (jobs.Next, error) {
	t, err := r.resolve(ctx, want{vouched: true})
	if err == nil && t.reg == nil {
		err = texts.NewMessage("share.foreign")
	}
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeShared)
	r.put(delivery{Slot: chat.SlotRoot, Reply: r.card(r.t, *t.reg, r.w.Request.Place.Platform), Card: t.ref})
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("share.done", "Topic", t.reg.Meeting.Topic)})
	return jobs.Deliver(), nil
}

// button finds the meeting that a card's button is about, made by the bot.
func (r *run) button(ctx context.Context) (registry.Registration, error) {
	ref, ok := meeting.ParseRef(r.w.Ask.Arg)
	if !ok {
		return registry.Registration{}, texts.NewMessage("repeat.gone")
	}
	reg, err := r.registry.Get(ctx, ref)
	if errors.Is(err, jobs.ErrNotFound) {
		return reg, texts.NewMessage("repeat.gone")
	}
	return reg, err
}

// seenHere is [run.button] for what shows a meeting's links: numbers can be guessed, so
// the meeting has to be shown here already, or to be the person's own.
func (r *run) seenHere(ctx context.Context) (registry.Registration, error) {
	reg, err := r.button(ctx)
	if err != nil {
		return reg, err
	}
	place := r.w.Request.Place
	if reg.Place.Key() == place.Key() || reg.ThreadAt(place) != nil {
		return reg, nil
	}
	ok, err := r.holds(ctx, reg)
	switch {
	case err != nil:
		return reg, err
	case !ok:
		return reg, texts.NewMessage("power.card")
	}
	return reg, nil
}

// startLinkNext shows how to start a meeting to whoever has the right now, with a fresh
// link where the old one is worn out.
func (r *run) startLinkNext(ctx context.Context) (jobs.Next, error) {
	reg, err := r.button(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	if ok, err := r.holds(ctx, reg); err != nil {
		return jobs.Next{}, err
	} else if !ok {
		return jobs.Next{}, texts.NewMessage("power.start", "Name", reg.Requester.Name)
	}
	if reg.Meeting.State.Over() {
		return jobs.Next{}, texts.NewMessage("which.over", "Topic", reg.Meeting.Topic)
	}
	if p, ok := r.cfg.Providers[reg.Ref().Provider].(starter); ok && !r.now().Before(reg.StartUntil) {
		began := time.Now()
		reg.Meeting.StartURL, reg.StartUntil = noSecret, time.Time{}
		url, err := p.StartURL(ctx, reg.Ref().ID)
		r.observe(reg.Ref().Provider, opStartURL, err, began)
		if n, ok := r.again(err); ok {
			return n, nil
		}
		if err == nil {
			reg, err = r.registry.Change(ctx, reg.Ref(), func(reg *registry.Registration) bool {
				reg.Meeting.StartURL, reg.StartUntil = url, r.now().Add(startURLLife)
				return true
			})
			if err != nil {
				return jobs.Next{}, err
			}
		} else {
			r.log.WarnContext(ctx, "no fresh start link", "job", r.job.ID, "err", err)
		}
	}
	r.endAs(outcomeShown)
	r.tell(r.startReply(reg))
	return jobs.Deliver(), nil
}

func (r *run) qrNext(ctx context.Context) (jobs.Next, error) {
	reg, err := r.seenHere(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	if reg.Meeting.WatchURL == "" && reg.Meeting.JoinURL == "" {
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	}
	url, caption := reg.Meeting.WatchURL, r.t.T("qr.watch", "Topic", reg.Meeting.Topic)
	if url == "" {
		url, caption = reg.Meeting.JoinURL, r.t.T("qr.join", "Topic", reg.Meeting.Topic)
	}
	r.endAs(outcomeShown)
	d := delivery{Slot: chat.SlotThread, Reply: chat.Reply{QR: url, QRCaption: caption}, Root: reg.ThreadAt(r.w.Request.Place)}
	r.put(d)
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("qr.done")}) // a platform may be waiting with a private placeholder
	return jobs.Deliver(), nil
}

// copyNext gives a block of plain text to be pasted into another chat.
func (r *run) copyNext(ctx context.Context) (jobs.Next, error) {
	reg, err := r.seenHere(ctx)
	if err != nil {
		return jobs.Next{}, err
	}
	r.endAs(outcomeShown)
	r.tell(chat.Reply{Title: r.t.T("copy.title"), Copy: r.copyBlock(reg.Meeting)})
	return jobs.Deliver(), nil
}

func (r *run) copyBlock(m meeting.Meeting) string {
	lines := []string{m.Topic}
	for _, l := range []struct{ id, value string }{
		{"field.number", showCode(m.Code)}, {"field.passcode", m.Passcode}, {"link.join", m.JoinURL}, {"link.watch", m.WatchURL},
	} {
		if l.value != "" {
			lines = append(lines, r.t.T("copy.line", "Name", r.t.T(l.id), "Value", l.value))
		}
	}
	return strings.Join(lines, "\n")
}
