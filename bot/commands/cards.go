package commands

import (
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/registry"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// cards shows meetings.
type cards struct {
	webhooks      bool // the provider reports the live state
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
	if names := pushNames(t, reg); names != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.push"), Value: names})
	}
	switch {
	case m.State.Over():
		return reply
	case m.State == meeting.StateRunning:
		reply.Tone = chat.Good
	}
	reply.Links = linksOf(t, m)
	ref := m.Ref.String()
	if kindOf(h.kinds, m.Ref.Provider).Can.LivePush {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.push"), Action: chat.Action{Name: string(grammar.VerbPushForm), Arg: ref}})
	}
	if m.WatchURL != "" || m.JoinURL != "" {
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.qr"), Action: chat.Action{Name: string(grammar.VerbQR), Arg: ref}})
	}
	reply.Buttons = append(reply.Buttons, chat.Button{
		Label: t.T("button.end"), Action: chat.Action{Name: string(grammar.VerbEndYes), Arg: ref}, Danger: true,
		Confirm: &chat.Confirm{Title: t.T("end.ask.title"), Text: t.T("end.ask", "Topic", m.Topic), Yes: t.T("end.yes"), No: t.T("end.no")},
	})
	return reply
}

// stateText says what is known of a meeting, and since when. It never says more.
func (h cards) stateText(t texts.Text, reg registry.Registration) string {
	at := func(id string) string { return t.T(id, "Time", reg.StateAt.Local().Format("15:04 MST")) }
	switch reg.Meeting.State {
	case meeting.StateReady:
		if !reg.JoinBy.IsZero() {
			return t.T("state.ready_until", "Time", reg.JoinBy.Local().Format("15:04 MST"))
		}
		return t.T("state.ready")
	case meeting.StateRunning:
		switch {
		case !reg.LiveAt.IsZero():
			return t.T("state.live", "Time", reg.LiveAt.Local().Format("15:04 MST"))
		case pushNames(t, reg) != "" && reg.LiveHeard.IsZero() && !h.webhooks:
			return at("state.running_live_unknown")
		}
		return at("state.running")
	case meeting.StateEmpty:
		if reg.Meeting.End.IsZero() {
			return at("state.empty")
		}
		return t.T("state.empty_until", "Time", reg.StateAt.Local().Format("15:04 MST"), "End", reg.Meeting.End.Local().Format("15:04 MST"))
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

func pushNames(t texts.Text, reg registry.Registration) string {
	var names []string
	for _, p := range reg.Pushes {
		if p.Enabled {
			names = append(names, p.Name)
		}
	}
	return t.Join(names)
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
	m, t := reg.Meeting, r.t
	reply := chat.Reply{Links: r.links(m), Mentions: r.w.Ask.Mentions}
	if m.PlayURL != "" {
		reply.Links = append(reply.Links, chat.Link{Label: t.T("link.play"), URL: m.PlayURL})
	}
	if m.Code != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.number"), Value: showCode(m.Code)})
	}
	if m.Passcode != "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.passcode"), Value: m.Passcode})
	}
	if m.WatchURL == "" {
		id := "watch.add_live"
		if m.Live {
			id = "watch.not_given"
		}
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("link.watch"), Value: t.T(id)})
	}
	if m.JoinURL == "" {
		reply.Fields = append(reply.Fields, chat.Field{Name: t.T("link.join"), Value: t.T("join.by_number")})
	}
	if h.startInThread {
		reply.Secrets = startSecrets(r, reg)
	}
	reply.Fields = append(reply.Fields, chat.Field{Name: t.T("field.start"), User: &reg.Requester})
	ref := m.Ref.String()
	reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.start"), Action: chat.Action{Name: string(grammar.VerbStartLink), Arg: ref}})
	if kindOf(h.kinds, m.Ref.Provider).Can.LivePush {
		reply.Text = t.T("push.before")
		reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.push"), Action: chat.Action{Name: string(grammar.VerbPushForm), Arg: ref}})
	}
	reply.Buttons = append(reply.Buttons, chat.Button{Label: t.T("button.copy"), Action: chat.Action{Name: string(grammar.VerbCopy), Arg: ref}})
	return reply
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
