package commands

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// cards shows meetings.
type cards struct {
	platforms     chat.Kinds
	webhooks      map[meeting.Provider]bool // which report the live state
	kinds         meeting.Kinds
	startInThread bool // start links are for everybody to see
}

// card is the message that everybody on a platform sees of a meeting, as it is now.
func (h cards) card(t texts.Text, reg registry.Registration, on chat.Platform) chat.Reply {
	m := reg.Meeting
	requester := chat.Field{Name: t.T("field.requester"), User: &reg.Requester}
	if on != reg.Place.Platform { // cannot be mentioned there
		requester.User, requester.Value = nil, reg.Requester.Name
	}
	reply := chat.Reply{
		Title: m.Topic,
		Fields: []chat.Field{
			requester,
			{Name: t.T("field.state"), Value: h.stateText(t, reg)},
		},
	}
	if m.Code != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.number"), Value: showCode(m.Code)})
	}
	pushed := "field.push"
	if m.State.Over() {
		pushed = "field.pushed"
	}
	if names := pushNames(t, reg); names != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T(pushed), Value: names})
	}
	if names := standbys(reg); len(names) > 0 && !m.State.Over() {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.standby"), Value: t.Join(names)})
	}
	if text := audienceText(t, reg); text != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.viewers"), Value: text})
	}
	if to := reg.Moved; to != nil {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.moved"), Value: strings.Join([]string{to.Topic, showCode(to.Code), to.JoinURL}, " · ")})
	}
	switch {
	case m.State.Over():
		return reply
	case m.State == meeting.StateRunning:
		reply.Tone = chat.Good
	}
	reply.Links = append(linksOf(t, m), pageLinks(t, reg, nil)...)
	ref := m.Ref.String()
	if kindOf(h.kinds, m.Ref.Provider).Can.LivePush {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.push"), Action: grammar.Press(grammar.VerbPushForm, ref)})
	}
	if m.WatchURL != "" || m.JoinURL != "" {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.qr"), Action: grammar.Press(grammar.VerbQR, ref)})
	}
	if len(standbys(reg)) > 0 { // below the list of what can be switched on
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.switch_on"), Action: grammar.PressOn(m.Ref, "")})
	}
	reply.Buttons = append(reply.Buttons, h.stopButton(t, reg, on)...)
	reply.Buttons = append(reply.Buttons, finalButton(h.platforms.Of(on), t.T("button.end"), endQuestion(t, m.Topic),
		grammar.Press(grammar.VerbMeetEnd, ref), grammar.Press(grammar.VerbEndYes, ref)))
	return reply
}

// stopButton stops everything that is pushed from a meeting, or starts or stops its live, where
// the provider can; none if there is nothing to stop.
func (h cards) stopButton(t texts.Text, reg registry.Registration, on chat.Platform) []chat.Button {
	ref := reg.Ref()
	switch {
	case kindOf(h.kinds, ref.Provider).Can.StartLive:
		return h.liveButton(t, reg, on)
	case pushNames(t, reg) == "":
		return nil
	}
	stop := stopAll(t, ref, reg.Meeting.Topic)
	if !h.platforms.Of(on).Confirms { // the list of what is on, below which the button of all is
		stop.Action, stop.Confirm = grammar.PressOff(ref, ""), nil
	}
	return []chat.Button{stop}
}

// stateText says what is known of a meeting, and since when. It never says more.
func (h cards) stateText(t texts.Text, reg registry.Registration) string {
	at := func(id string) string { return t.T(id, "Time", chat.Instant(reg.StateAt)) }
	switch reg.Meeting.State {
	case meeting.StateReady:
		if !reg.JoinBy.IsZero() {
			return t.T("state.ready_until", "Time", chat.Instant(reg.JoinBy))
		}
		return t.T("state.ready")
	case meeting.StateRunning:
		switch {
		case !reg.LiveAt.IsZero() && !reg.LiveStop.IsZero():
			return t.T("state.live_stop", "Time", chat.Instant(reg.LiveAt), "Asked", chat.Instant(reg.LiveStop))
		case !reg.LiveAt.IsZero():
			return t.T("state.live", "Time", chat.Instant(reg.LiveAt))
		case reg.Audience != nil && reg.LiveHeard.IsZero(): // viewers are of a live that has begun
			return at("state.running_live_begun")
		case !reg.LiveAsked.IsZero():
			id := "state.live_asked"
			if !h.webhooks[reg.Ref().Provider] {
				id = "state.live_asked_unseen"
			}
			return t.T(id, "Time", chat.Instant(reg.LiveAsked))
		case pushNames(t, reg) != "" && reg.LiveHeard.IsZero() && !h.webhooks[reg.Ref().Provider]:
			return at("state.running_live_unknown")
		}
		return at("state.running")
	case meeting.StateEmpty:
		if reg.Meeting.End.IsZero() {
			return at("state.empty")
		}
		return t.T("state.empty_until", "Time", chat.Instant(reg.StateAt), "End", chat.Instant(reg.Meeting.End))
	case meeting.StateExpired:
		return at("state.expired")
	case meeting.StateRecycled:
		return at("state.recycled")
	case meeting.StateEnded:
		return at("state.ended")
	case meeting.StateCancelled:
		return at("state.cancelled")
	case meeting.StateDeleted:
		return at("state.deleted")
	case meeting.StateUnlisted:
		return at("state.unlisted")
	}
	return at("state.unknown")
}

// audienceText says how many watch, or once the live is over how many did.
func audienceText(t texts.Text, reg registry.Registration) string {
	a := reg.Audience
	switch {
	case a == nil:
		return ""
	case a.Over && a.Peak == 0: // it was over before anybody counted, or nobody came
		return t.T("viewers.total", "Total", strconv.Itoa(a.Total))
	case a.Over:
		return t.T("viewers.over", "Total", strconv.Itoa(a.Total), "Peak", strconv.Itoa(a.Peak))
	case reg.Meeting.State.Over() || reg.Unlisted() || liveOver(reg): // all of them are being counted
		return t.T("viewers.peak", "Peak", strconv.Itoa(a.Peak))
	}
	return t.T("viewers.now", "Now", strconv.Itoa(a.Now), "Time", chat.Instant(a.At), "Peak", strconv.Itoa(a.Peak))
}

func isPushed(reg registry.Registration) bool {
	return slices.ContainsFunc(reg.Pushes, func(p registry.Push) bool { return p.Enabled })
}

func pushNames(t texts.Text, reg registry.Registration) string {
	var names []string
	for _, p := range reg.Pushes {
		if p.Enabled {
			names = append(names, p.Name)
		}
	}
	return t.Join(names)
}

// pageLinks are where viewers watch what a meeting is pushed to; of those alone that are
// named, nil: of all.
func pageLinks(t texts.Text, reg registry.Registration, names []string) []chat.Link {
	var links []chat.Link
	for _, p := range reg.Pushes {
		if p.Enabled && p.Page != "" && (names == nil || slices.Contains(names, p.Name)) {
			links = append(links, chat.Link{Label: t.T("link.watch_at", "Name", p.Name), URL: p.Page})
		}
	}
	return links
}

func linksOf(t texts.Text, m meeting.Meeting) []chat.Link {
	var links []chat.Link
	if m.JoinURL != "" {
		links = append(links, chat.Link{Label: t.T("link.join"), URL: m.JoinURL})
	}
	if m.WatchURL != "" {
		links = append(links, chat.Link{Label: t.T("link.watch"), URL: m.WatchURL})
	}
	return links
}

// threadReply has all that everybody may know of a new meeting.
func (h cards) threadReply(r *run, reg registry.Registration) chat.Reply {
	m, t := reg.Meeting, r.public()
	kind := kindOf(h.kinds, m.Ref.Provider)
	reply := chat.Reply{Links: linksOf(t, m), Mentions: r.w.Ask.Mentions}
	if m.PlayURL != "" {
		reply.Links = append(reply.Links, chat.Link{Label: t.T("link.play"), URL: m.PlayURL})
	}
	if m.Code != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.number"), Value: showCode(m.Code)})
	}
	if m.Passcode != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.passcode"), Value: m.Passcode})
	}
	if asked := askedFor(t, r.w.Ask.Meet); asked != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.options"), Value: asked})
	}
	if m.WatchURL == "" {
		id := "watch.add_live"
		switch {
		case m.Live:
			id = "watch.not_given"
		case kind.Parameters["live"] == "":
			id = "" // its meetings have no watch page
		}
		if id != "" {
			reply.Fields = append(reply.Fields, chat.Field{Name: t.T("link.watch"), Value: t.T(id)})
		}
	}
	if m.JoinURL == "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("link.join"), Value: t.T("join.by_number")})
	}
	if h.startInThread {
		reply.Secrets = startSecrets(r, reg)
	}
	reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.start"), User: &reg.Requester})
	for _, id := range reg.Hosts { // they are told that they are, as the others are
		host := chat.User{ID: id}
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.start"), User: &host})
		if !slices.ContainsFunc(reply.Mentions, func(u chat.User) bool { return u.ID == id }) {
			reply.Mentions = append(slices.Clip(reply.Mentions), host)
		}
	}
	ref := m.Ref.String()
	reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.start"), Action: grammar.Press(grammar.VerbStartLink, ref)})
	if kind.Can.LivePush {
		reply.Text = t.T("push.before")
		if kind.Can.StartLive {
			reply.Text = t.T("live.before")
		}
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.push"), Action: grammar.Press(grammar.VerbPushForm, ref)})
	}
	reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.copy"), Action: grammar.Press(grammar.VerbCopy, ref)})
	return reply
}

// askedFor are the options that a meeting was asked for with, besides those that its card
// shows by themselves.
func askedFor(t texts.Text, in meeting.Instant) string {
	var all []string
	add := func(option, value string) {
		all = append(all, t.T("copy.line", "Name", t.T("label."+option), "Value", value))
	}
	if in.Duration > 0 {
		all = append(all, t.T("asked.duration", "Minutes", strconv.Itoa(int(in.Duration/time.Minute))))
	}
	if in.Capacity > 0 {
		add("capacity", strconv.Itoa(in.Capacity))
	}
	if in.Recording != "" {
		add("record", t.T("choice.record."+string(in.Recording)))
	}
	for _, o := range []struct {
		option string
		on     *bool
	}{
		{"mute", in.Mute}, {"join-before-host", in.JoinBeforeHost}, {"waiting-room", in.WaitingRoom},
		{"host-video", in.HostVideo}, {"participants-video", in.ParticipantsVideo}, {"pmi", in.PMI},
	} {
		switch {
		case o.on == nil:
		case *o.on:
			add(o.option, t.T("choice.yes"))
		default:
			add(o.option, t.T("choice.no"))
		}
	}
	return strings.Join(all, " · ")
}

func startSecrets(r *run, reg registry.Registration) []chat.SecretField {
	var s []chat.SecretField
	if !reg.Meeting.StartURL.IsZero() {
		s = append(s, chat.SecretField{Name: r.t.T("link.start"), Value: reg.Meeting.StartURL, Link: true})
	}
	if !reg.Meeting.HostKey.IsZero() {
		s = append(s, chat.SecretField{Name: r.t.T("field.host_key"), Value: reg.Meeting.HostKey})
	}
	return s
}

// startReply is how to start the meeting, for the eyes of whoever may.
func startReply(r *run, reg registry.Registration) chat.Reply {
	t := r.t
	reply := chat.Reply{Tone: chat.Good, Title: t.T("start.title", "Topic", reg.Meeting.Topic), Secrets: startSecrets(r, reg), Links: r.links(reg.Meeting)}
	switch {
	case !reg.Meeting.StartURL.IsZero():
		reply.Text = t.T("start.link", "Time", r.clock(reg.StartUntil))
	case !reg.Meeting.HostKey.IsZero():
		reply.Text = t.T("start.host_key", "Provider", r.providerName(reg.Ref().Provider))
	case r.kind(reg.Ref().Provider).Can.Accounts:
		reply.Text = t.T("start.creator")
	default:
		reply.Text = t.T("start.none")
	}
	return reply
}

// listing lists the meetings of a place.
type listing struct {
	registry interface {
		Here(ctx context.Context, p chat.Place, limit int) ([]registry.Registration, error)
	}
	cards cards
}

// next shows this place's meetings that are not over, with what is pushed where.
func (h listing) next(ctx context.Context, r *run) (jobs.Next, error) {
	regs, err := h.registry.Here(ctx, r.w.Request.Place, registry.MaxHere)
	if err != nil {
		return jobs.Next{}, err
	}
	reply := chat.Reply{Title: r.t.T("list.title"), Text: r.t.T("list.none")}
	if len(regs) > 0 {
		reply.Text = ""
	}
	for _, reg := range regs {
		value := h.cards.stateText(r.t, reg)
		if reg.Meeting.Code != "" {
			value = showCode(reg.Meeting.Code) + " · " + value
		}
		if names := pushNames(r.t, reg); names != "" {
			value += " · " + r.t.T("list.pushed", "Names", names)
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: reg.Meeting.Topic, Value: value})
	}
	return r.answer(outcomeListed, reply)
}

// sharing shows a meeting once more: its card elsewhere, its link as a QR code, its data as
// text to be pasted.
type sharing struct {
	targets targets
	cards   cards
}

// share posts the meeting's card here as well. All its cards are edited together.
func (h sharing) share(ctx context.Context, r *run) (jobs.Next, error) {
	t, err := h.targets.resolve(ctx, r, want{vouched: true})
	if err == nil && t.reg == nil {
		err = texts.NewMessage("share.foreign")
	}
	if err != nil {
		return jobs.Next{}, err
	}
	r.put(delivery{Slot: chat.SlotRoot, Reply: h.cards.card(r.public(), *t.reg, r.w.Request.Place.Platform), Card: t.ref, Of: t.reg.Job})
	return r.answer(outcomeShared, chat.Reply{Tone: chat.Good, Title: r.t.T("share.done", "Topic", t.reg.Meeting.Topic)})
}

func (h sharing) qr(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.seenHere(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	if reg.Meeting.WatchURL == "" && reg.Meeting.JoinURL == "" {
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	}
	url, caption := reg.Meeting.WatchURL, r.public().T("qr.watch", "Topic", reg.Meeting.Topic)
	if url == "" {
		url, caption = reg.Meeting.JoinURL, r.public().T("qr.join", "Topic", reg.Meeting.Topic)
	}
	r.endAs(outcomeShown)
	d := delivery{Slot: chat.SlotThread, Reply: chat.Reply{QR: url, QRCaption: caption}, Root: reg.ThreadAt(r.w.Request.Place)}
	r.put(d)
	r.tell(chat.Reply{Tone: chat.Good, Title: r.t.T("qr.done")}) // a platform may be waiting with a private placeholder
	return jobs.Deliver(), nil
}

// copy gives a block of plain text to be pasted into another chat.
func (h sharing) copy(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.seenHere(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	return r.answer(outcomeShown, chat.Reply{Title: r.t.T("copy.title"), Copy: copyBlock(r, reg)})
}

func copyBlock(r *run, reg registry.Registration) string {
	m := reg.Meeting
	lines := []string{m.Topic}
	for _, l := range []struct{ id, value string }{
		{"field.number", showCode(m.Code)}, {"field.passcode", m.Passcode}, {"link.join", m.JoinURL}, {"link.watch", m.WatchURL},
	} {
		if l.value != "" {
			lines = append(lines, r.t.T("copy.line", "Name", r.t.T(l.id), "Value", l.value))
		}
	}
	for _, l := range pageLinks(r.t, reg, nil) {
		lines = append(lines, r.t.T("copy.line", "Name", l.Label, "Value", l.URL))
	}
	return strings.Join(lines, "\n")
}

// startLinks shows how to start a meeting to whoever has the right.
type startLinks struct {
	targets  targets
	clients  clients
	registry changes
}

// changes is the part of [registry.Registry] that rewrites what is known of a meeting.
type changes interface {
	Change(ctx context.Context, ref meeting.Ref, f func(*registry.Registration) bool) (registry.Registration, error)
}

// next shows how to start a meeting to whoever has the right now, with a fresh
// link where the old one is worn out.
func (h startLinks) next(ctx context.Context, r *run) (jobs.Next, error) {
	reg, err := h.targets.button(ctx, r)
	if err != nil {
		return jobs.Next{}, err
	}
	if ok, err := h.targets.holds(ctx, r, reg); err != nil {
		return jobs.Next{}, err
	} else if !ok && !shownAt(reg, r.w.Request.Place) {
		return jobs.Next{}, texts.NewMessage("repeat.gone")
	} else if !ok {
		return jobs.Next{}, texts.NewMessage("power.start", "Name", reg.Requester.Name)
	}
	if reg.Meeting.State.Over() {
		return jobs.Next{}, texts.NewMessage("which.over", "Topic", reg.Meeting.Topic)
	}
	if client := h.clients.of(reg.Ref().Provider); client.startsAnew() {
		worn := !r.now().Before(reg.StartUntil)
		if worn {
			reg.Meeting.StartURL, reg.StartUntil = noSecret, time.Time{}
		}
		url, err := client.StartURL(ctx, reg.Ref().ID)
		if n, ok := r.again(err); ok && worn { // the link that there is will do
			return n, nil
		}
		if err == nil {
			reg, err = h.registry.Change(ctx, reg.Ref(), func(reg *registry.Registration) bool {
				reg.Meeting.StartURL, reg.StartUntil = url, r.now().Add(r.kind(reg.Ref().Provider).StartLinkLife)
				return true
			})
			if err != nil {
				return jobs.Next{}, err
			}
		} else {
			r.log.WarnContext(ctx, "fresh start link not fetched", "job", r.job.ID, "err", err)
		}
	}
	return r.answer(outcomeShown, startReply(r, reg))
}
