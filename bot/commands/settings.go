package commands

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"meetbot/bot/audit"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/livepush"
	"meetbot/bot/policy"
	"meetbot/bot/settings"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// complete puts what is set for the place into what was asked, where the person has not said
// otherwise. It is done once, when the command is accepted, and what comes of it is in the
// job: a setting that is changed while the job waits is for later commands. The Reply is the
// answer to what cannot be carried out so.
func (b *Bot) complete(r chat.Request, ask *grammar.Ask, here settings.Here) *chat.Reply {
	if no := b.turnedAway(r, ask.Verb, here); no != nil {
		return no
	}
	value := func(name string) string { v, _ := here.Get(name); return v }
	switch ask.Verb {
	case grammar.VerbMeet:
		set := meeting.Provider(value("provider"))
		switch asked := ask.Provider; {
		case asked == "" && !serves(b.cfg.Parser, r.Place, set):
			t := b.parser.Text(r.Place.Platform, r.User.Locale)
			return &chat.Reply{Tone: chat.Bad, Text: t.T("settings.account.gone", "Provider", nameOf(t, b.cfg.Parser.Kinds, set))}
		case asked == "":
			if no := b.parser.Check(r, *ask, effective(set, b.cfg.Parser.Usual(r.Place)), 0); no != nil {
				return no
			}
			ask.Provider = set
		case asked.Covers(set) && serves(b.cfg.Parser, r.Place, set): // of the provider that was asked for, the account that is set
			ask.Provider = set
		}
		has := kindOf(b.cfg.Parser.Kinds, effective(ask.Provider, b.cfg.Parser.Usual(r.Place))).Parameters
		in := &ask.Meet
		if live := value("live"); in.Live == nil && live != "" && has["live"] != "" {
			in.Live = new(live == grammar.On)
		}
		if in.Recording == meeting.RecordingDefault && has["recording"] != "" {
			in.Recording = meeting.Recording(value("record"))
		}
		if in.Capacity == 0 && has["capacity"] != "" {
			in.Capacity, _ = strconv.Atoi(value("capacity")) // the parser has read it
		}
		if len(ask.Hosts) == 0 {
			ask.Hosts = settings.List(value("host"))
		}
	case grammar.VerbSameDest, grammar.VerbElsewhere: // whose provider is not known yet
		ask.Meet.Recording = meeting.Recording(value("record"))
		ask.Meet.Capacity, _ = strconv.Atoi(value("capacity"))
		ask.Hosts = settings.List(value("host"))
	case grammar.VerbPushTo:
		if len(ask.Names) == 0 {
			ask.Names = settings.List(value("destinations"))
		}
		return b.parser.Check(r, *ask, "", len(ask.Names))
	}
	return nil
}

// like is the wish for a meeting that a button asks for, at a provider of that kind, with what is set
// for the place where it was pressed.
func like(k meeting.Kind, ask grammar.Ask, topic string) meeting.Instant {
	in := meeting.Instant{Topic: topic, Live: liveAtFirst(k)}
	if k.Parameters["recording"] != "" {
		in.Recording = ask.Meet.Recording
	}
	if k.Parameters["capacity"] != "" {
		in.Capacity = ask.Meet.Capacity
	}
	return in
}

func effective(set, otherwise meeting.Provider) meeting.Provider {
	if set == "" {
		return otherwise
	}
	return set
}

// serves reports whether a place may use what is set. Only accounts come, go, and have places.
func serves(c grammar.Config, place chat.Place, set meeting.Provider) bool {
	return set.Account() == "" || slices.Contains(c.At(place), set)
}

// turnedAway refuses at once, privately, whom a list of the place refuses without a look-up.
func (b *Bot) turnedAway(r chat.Request, v grammar.Verb, here settings.Here) *chat.Reply {
	right := grammar.Declared(v).Right
	if right == chat.RightSettings || b.cfg.Policy.Admin(r.Place, r.User) != policy.No {
		return nil
	}
	if !slices.ContainsFunc(here.Lists(), func(l policy.List) bool { return l.Judge(r.Place, r.User) == policy.No }) {
		return nil
	}
	reply := b.people.refusal(b.parser.Text(r.Place.Platform, r.User.Locale), r.Place, denied{right, true})
	return &reply
}

// prefill shows in a form what is set: of a new meeting what it will have, of the settings
// what this channel has.
func (b *Bot) prefill(f *chat.Form, v grammar.Verb, place chat.Place, here settings.Here) {
	kind := b.cfg.Platforms.Of(place.Platform)
	var fields, empty []chat.FormField
	for _, field := range f.Fields {
		set, from := here.Get(field.Name)
		switch field.Name {
		case "provider":
			set = string(meeting.Provider(set).Kind())
		case "account":
			set, from = here.Get("provider")
			set = meeting.Provider(set).Account()
		}
		switch {
		case v == grammar.VerbMeet && field.Name == "account": // another provider may be chosen: it is that of the channel unless one is typed
		case v == grammar.VerbMeet && field.Value == "" && field.Name != "host": // a form shows no names of people
			field.Value = set
			if set != "" && field.Name == "live" {
				field.Value = strconv.FormatBool(set == grammar.On)
			}
		case v == grammar.VerbSettings:
			who := field.Name == "allow" || field.Name == "deny"
			if who && !slices.ContainsFunc(kind.Entries, func(e chat.Entry) bool { return e.Kind == chat.UserEntry }) {
				continue // nobody can be named there
			}
			if set == "" {
				from = settings.Unset
			}
			if from == settings.Channel {
				field.Value, field.Extra = set, false // what is set must not get lost where there is little room
			} else if field.Kind == chat.ChoiceField && !field.Propose {
				field.Value = grammar.Default
			}
			if field.Kind == chat.UserField && field.Value != "" {
				field.Kind = chat.TextField
			}
			if from != settings.Channel {
				empty = append(empty, field)
				continue
			}
		}
		fields = append(fields, field)
	}
	f.Fields = append(fields, empty...)
	if v == grammar.VerbSettings {
		f.Arg = revisionArg(here.Channel)
	}
}

// revisionArg names what a form of the settings showed.
func revisionArg(r settings.Record) string { return strconv.FormatUint(r.Revision, 36) }

// channelSettings shows and changes what is set for a place.
type channelSettings struct {
	settings settings.Settings
	people   people
	dests    livepush.Destinations
	audit    auditor
	cfg      *Config
}

// next changes what is set, and says so. The record has what a job has changed of it, so both
// may be done twice.
func (h channelSettings) next(ctx context.Context, r *run) (jobs.Next, error) {
	place := r.w.Request.Place
	here, err := h.settings.Here(ctx, place)
	if err != nil {
		return jobs.Next{}, err
	}
	if len(r.w.Ask.Set) == 0 {
		return r.answer(outcomeShown, h.show(r, here, r.t.T("settings.title"), grammar.Settings()...))
	}
	rec := here.Channel
	if r.w.Ask.Everywhere {
		if err := h.mayEverywhere(ctx, r); err != nil {
			return jobs.Next{}, err
		}
		rec = here.Team
	}
	if of, done := rec.ChangedBy(r.job.ID); done {
		return h.changed(ctx, r, here, of)
	}
	of, err := h.decide(ctx, r, rec)
	if err != nil {
		return jobs.Next{}, err
	}
	if len(of) == 0 {
		return r.answer(outcomeNotNeeded, chat.Reply{Title: r.t.T("settings.same"), Buttons: h.buttons(r)})
	}
	err = h.settings.Change(ctx, rec, place.UserKey(r.w.Request.User), r.now(), settings.Change{Job: r.job.ID, Of: of})
	if err != nil && !errors.Is(err, jobs.ErrConflict) { // somebody else's change, or our own
		return jobs.Next{}, err
	}
	return h.next(ctx, r)
}

// mayEverywhere refuses who may set something for a channel, and not for all.
func (h channelSettings) mayEverywhere(ctx context.Context, r *run) error {
	admin, err := h.people.isAdmin(ctx, r)
	switch {
	case err != nil:
		return err
	case !admin:
		return texts.NewMessage("settings.admins")
	case r.w.Request.Place.Team == "":
		return texts.NewMessage("settings.no_team")
	}
	return nil
}

// decide works out what is to be changed of a record.
func (h channelSettings) decide(ctx context.Context, r *run, rec settings.Record) ([]settings.Value, error) {
	ask := r.w.Ask
	if ask.Arg != "" && ask.Arg != revisionArg(rec) {
		return nil, texts.NewMessage("settings.changed")
	}
	if names := settings.List(ask.Set["destinations"]); len(names) > 0 {
		_, missing, err := h.dests.Resolve(ctx, livepush.Scope(r.w.Request.Place, r.w.Request.User.ID), names)
		if err == nil && len(missing) > 0 {
			err = texts.NewMessage("dest.missing", "Names", r.t.Join(missing))
		}
		if err != nil {
			return nil, err
		}
	}
	if ask.Everywhere && !serves(h.cfg.Parser, rec.Place(), meeting.Provider(ask.Set["provider"])) {
		return nil, texts.NewMessage("settings.account.some")
	}
	var of []settings.Value
	for _, name := range grammar.Settings() {
		to, asked := ask.Set[name]
		if from := rec.Values[name]; asked && from != to {
			of = append(of, settings.Value{Name: name, From: from, To: to})
		}
	}
	return of, nil
}

// changed says what was changed, here and in the audit log.
func (h channelSettings) changed(ctx context.Context, r *run, here settings.Here, of []settings.Value) (jobs.Next, error) {
	where, title := r.w.Request.Place, "settings.saved"
	if r.w.Ask.Everywhere {
		where, title = here.Team.Place(), "settings.saved.everywhere"
	}
	var names, own []string
	for _, c := range of {
		names = append(names, c.Name)
		if r.w.Ask.Everywhere && here.Channel.Values[c.Name] != "" && !addsUp(c.Name) {
			own = append(own, r.t.T("label."+c.Name))
		}
		l := audit.Line{Action: audit.Settings, Where: where.Key(), Setting: c.Name, From: c.From, To: c.To, Outcome: "saved", Step: "settings/" + c.Name}
		if err := h.audit.add(ctx, r, l); err != nil {
			return jobs.Next{}, err
		}
	}
	notes := []string{r.t.T("settings.from_now")}
	if r.w.Ask.Everywhere {
		here.Channel.Values = nil
	}
	if len(own) > 0 {
		notes = append(notes, r.t.T("settings.own", "Names", r.t.Join(own)))
	}
	reply := h.show(r, here, r.t.T(title), names...)
	reply.Tone, reply.Text = chat.Good, texts.Paragraphs(notes...)
	return r.answer(outcomeSaved, reply)
}

func (h channelSettings) buttons(r *run) []chat.Button {
	return []chat.Button{{Label: r.t.T("button.settings"), Action: grammar.Press(grammar.VerbSettingsForm, "")}}
}

// addsUp reports whether what is set for all channels counts beside what is set for one.
func addsUp(name string) bool { return name == "allow" || name == "deny" }

// show lists settings with their values, and where each is from.
func (h channelSettings) show(r *run, here settings.Here, title string, names ...string) chat.Reply {
	reply := chat.Reply{Title: title, Buttons: h.buttons(r)}
	for _, name := range names {
		value, from := here.Get(name)
		label, source := r.t.T("label."+name), h.source(r, name, from)
		add := func(value string) {
			reply.Fields = append(reply.Fields, chat.Field{Name: label, Value: r.t.T("settings.value", "Value", value, "Source", source)})
		}
		if addsUp(name) {
			h.showList(r, &reply, name, here)
			if value != "" {
				continue
			}
		}
		switch name {
		case "host":
			for _, id := range settings.List(value) {
				reply.Fields = append(reply.Fields, chat.Field{Name: r.t.T("settings.value", "Value", label, "Source", source), User: &chat.User{ID: id}})
			}
			if value == "" {
				add(r.t.T("settings.none.host"))
			}
		default:
			add(h.valueText(r, here, name, value))
		}
	}
	return reply
}

// showList shows who may, or who may not: of all channels, and of this one.
func (h channelSettings) showList(r *run, reply *chat.Reply, name string, here settings.Here) {
	for _, of := range []struct {
		rec  settings.Record
		from settings.Source
	}{{here.Team, settings.Team}, {here.Channel, settings.Channel}} {
		label := r.t.T("settings.value", "Value", r.t.T("label."+name), "Source", h.source(r, name, of.from))
		for _, entry := range settings.List(of.rec.Values[name]) {
			kind, id, _ := strings.Cut(entry, ":")
			f := chat.Field{Name: label, Value: entry}
			if chat.EntryKind(kind) == chat.UserEntry {
				f = chat.Field{Name: label, User: &chat.User{ID: id}}
			}
			reply.Fields = append(reply.Fields, f)
		}
	}
}

// valueText is a value as people read it; of what is not set, what holds instead.
func (h channelSettings) valueText(r *run, here settings.Here, name, value string) string {
	set, _ := here.Get("provider")
	provider := effective(meeting.Provider(set), h.cfg.Parser.Usual(r.w.Request.Place))
	text, field := value, ""
	switch {
	case name == "provider" && !serves(h.cfg.Parser, r.w.Request.Place, provider):
		return r.t.T("settings.account.not_here", "Provider", r.providerName(provider))
	case name == "provider":
		return r.providerName(provider)
	case value == "":
		return r.t.T("settings.none." + name)
	case name == "destinations":
		return r.t.Join(settings.List(value))
	case name == "live":
		text, field = r.t.T("choice.live."+value), "live"
	case name == "record":
		text, field = r.t.T("choice.record."+value), "recording"
	case name == "capacity":
		field = "capacity"
	case name == "language":
		return r.t.T("choice.language." + value)
	}
	if field != "" && r.kind(provider).Parameters[field] == "" {
		return r.t.T("settings.not_at", "Value", text, "Provider", r.providerName(provider))
	}
	return text
}

// source says where a value is from: the channel, its team, a variable, or nobody has set it.
func (h channelSettings) source(r *run, name string, from settings.Source) string {
	switch from {
	case settings.Channel:
		return r.t.T("settings.from.channel")
	case settings.Team:
		return r.t.T("settings.from.everywhere")
	}
	var set []string
	switch name {
	case "provider":
		if h.cfg.ProviderVariable {
			set = []string{"MEET_PROVIDER"}
		}
	case "allow":
		if !h.cfg.Policy.Unlisted(chat.RightMeet) {
			set = append(set, "MEET_ALLOW")
		}
		if !h.cfg.Policy.Unlisted(chat.RightPush) {
			set = append(set, "LIVEPUSH_ALLOW")
		}
	}
	if len(set) > 0 {
		return r.t.T("settings.from.variable", "Names", r.t.Join(set))
	}
	return r.t.T("settings.from.default")
}
