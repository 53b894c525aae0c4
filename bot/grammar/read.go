package grammar

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"meetbot/bot/chat"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
)

// problem is one thing that is wrong with what was given. Its text never has a key, an
// address, or a word in it that could be one.
type problem struct {
	field  string      // of a form
	option *OptionDecl // nil: what was typed is none
	typed  string      // in a line; empty where nothing was, or not for that option
	fault  texts.Message
}

// text is what is wrong, with the providers' names.
func (p problem) text(t texts.Text) string {
	f := texts.Message{ID: p.fault.ID, Args: slices.Clone(p.fault.Args)}
	for i := 0; i+1 < len(f.Args); i += 2 {
		if name := f.Args[i]; p.option != nil && (name == "Provider" || name == "Other" && strings.HasSuffix(f.ID, ".only")) {
			ids := strings.Split(f.Args[i+1], ",")
			for j, id := range ids {
				if k, ok := p.option.Providers.Kind(meeting.Provider(id)); ok {
					words := k.Product
					if strings.HasSuffix(f.ID, ".short") { // it stands in a sentence of its own
						words = k.Name
					}
					ids[j] = t.Either(words.EN, words.ZH)
				}
			}
			f.Args[i+1] = t.Join(ids)
		} else if name == "ID" {
			f.Args[i+1] = t.Join(strings.Split(f.Args[i+1], ","))
		}
	}
	if !t.Has(f.ID) { // the key page has the same sentence
		f.ID = strings.Replace(f.ID, "parse.", "finding.", 1)
		s := f.In(t)
		r, size := utf8.DecodeRuneInString(s)
		return string(unicode.ToLower(r)) + s[size:]
	}
	return f.In(t)
}

// reading makes an [Ask] of what was given, in whichever way, and collects what is wrong
// with it.
type reading struct {
	p        *Parser
	place    chat.Place
	form     bool // in a form
	ask      Ask
	given    []*OptionDecl // in the order in which they were given
	problems []problem
	more     int               // problems that are not kept
	spelt    map[string]string // by the name of an option: how it was typed, which may be a Chinese name
	url      string            // as given: what is done with it depends on whether a key was given too
	platform meeting.PushPlatform
	account  meeting.Provider
	language string   // of a setting
	who      []string // of a setting: entries of an allow-list, without the platform
}

func (x *reading) fail(o *OptionDecl, id string, pairs ...string) {
	x.add(problem{field: o.Name, option: o, typed: x.spelt[o.Name], fault: texts.Message{ID: "parse." + id, Args: pairs}})
}

// failLine says what is wrong with something that is no option.
func (x *reading) failLine(field, typed, id string, pairs ...string) {
	x.add(problem{field: field, typed: typed, fault: texts.Message{ID: "parse." + id, Args: pairs}})
}

func (x *reading) add(p problem) {
	if len(x.problems) == maxProblems {
		x.more++
		return
	}
	x.problems = append(x.problems, p)
}

func (x *reading) has(name string) bool {
	return slices.ContainsFunc(x.given, func(o *OptionDecl) bool { return o.Name == name })
}

// set gives an option its value, which is not empty.
func (x *reading) set(o *OptionDecl, w word) {
	if !slices.Contains(x.given, o) {
		x.given = append(x.given, o)
	} else if !o.List || x.ask.Verb == VerbSettings {
		x.fail(o, "twice")
		return
	}
	if x.ask.Verb == VerbSettings {
		x.setSetting(o, w, func() { x.setValue(o, w) })
		return
	}
	x.setValue(o, w)
}

func (x *reading) setValue(o *OptionDecl, w word) {
	switch o.Kind {
	case KindBool:
		if v, ok := truth(w.text); ok {
			x.setBool(o, v)
		} else {
			x.fail(o, "bool")
		}
	case KindInt:
		x.setInt(o, w.text)
	case KindChoice:
		x.setChoice(o, w.text)
	case KindUser:
		x.setUsers(o, w)
	case KindMeeting:
		x.setMeeting(o, w)
	case KindDest:
		x.setNames(o, w)
	case KindAccount:
		x.setAccount(o, w.text)
	case KindSecret:
		x.setKey(o, w.text)
	case KindText:
		x.setText(o, w)
	case KindWho:
		x.setWho(o, w)
	}
}

func truth(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "y", "on", "1", "是", "开", "开启":
		return true, true
	case "false", "no", "n", "off", "0", "否", "关", "关闭":
		return false, true
	}
	return false, false
}

func (x *reading) setBool(o *OptionDecl, v bool) {
	m := &x.ask.Meet
	switch o.Name {
	case "live":
		m.Live = &v
	case "mute":
		m.Mute = &v
	case "join-before-host":
		m.JoinBeforeHost = &v
	case "waiting-room":
		m.WaitingRoom = &v
	case "host-video":
		m.HostVideo = &v
	case "participants-video":
		m.ParticipantsVideo = &v
	case "pmi":
		m.PMI = &v
	case "wechat":
		x.platform = meeting.PushThirdParty
		if v {
			x.platform = meeting.PushWeChat
		}
	case "override":
		x.ask.Override = v
	case "protected":
		x.ask.Protected = v
	case "standby":
		x.ask.Standby = v
	case "everywhere":
		x.ask.Everywhere = v
	}
}

func (x *reading) setInt(o *OptionDecl, s string) {
	n, ok := 0, false
	if o.Unit == "minutes" {
		n, ok = minutes(s)
	} else {
		n, ok = digits(strings.TrimSuffix(s, "人"))
	}
	if !ok || n < o.Min || n > o.Max {
		x.fail(o, o.Unit, "Min", strconv.Itoa(o.Min), "Max", strconv.Itoa(o.Max))
		return
	}
	switch o.Name {
	case "duration":
		x.ask.Meet.Duration = time.Duration(n) * time.Minute
	case "capacity":
		x.ask.Meet.Capacity = n
	}
}

// digits reads a number of up to six digits, half-width or full-width. Of a meeting's number a
// dash is a mark between digits; here it makes a range, or a number below zero.
func digits(s string) (int, bool) {
	if strings.ContainsFunc(s, func(r rune) bool { return r == '-' || isDash(r) }) {
		return 0, false
	}
	s, ok := meeting.Digits(s)
	if !ok || len(s) > 6 {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// halves are how Chinese says half an hour, alone and after hours.
var halves = strings.NewReplacer("半个小时", "30分钟", "半小时", "30分钟", "个半小时", "小时30分钟", "小时半", "小时30分钟")

// minutes reads "90", "90m", "1h30m", "90分钟", "1小时", "1个半小时".
func minutes(s string) (int, bool) {
	total, rest := 0, halves.Replace(strings.ToLower(strings.ReplaceAll(s, " ", "")))
	if rest == "" {
		return 0, false
	}
	for rest != "" {
		end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && (r < '０' || r > '９') })
		if end < 0 {
			end = len(rest)
		}
		n, ok := digits(rest[:end])
		if !ok {
			return 0, false
		}
		rest = rest[end:]
		if after, ok := cutAny(rest, "hours", "hour", "hrs", "hr", "h", "个小时", "小时"); ok {
			n, rest = n*60, after
		} else {
			rest, _ = cutAny(rest, "minutes", "minute", "mins", "min", "m", "分钟", "分")
		}
		total += n
	}
	return total, true
}

func cutAny(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if after, ok := strings.CutPrefix(s, p); ok {
			return after, true
		}
	}
	return s, false
}

func (x *reading) setChoice(o *OptionDecl, s string) {
	value, ok := "", false
	switch o.Name {
	case "provider":
		var p meeting.Provider
		p, ok = x.p.cfg.Kinds.Word(s)
		value = string(p)
	case "record":
		value, ok = recordWord(s)
	case "live":
		var v bool
		v, ok = truth(s)
		x.ask.Meet.Live = &v
	case "language":
		value, ok = languageWord(s)
	case "preset":
		var p livepush.Preset
		p, ok = livepush.Find(s)
		value = p.ID
	}
	if !ok {
		x.fail(o, "choice."+o.Name, "IDs", x.p.providerIDs())
		return
	}
	switch o.Name {
	case "provider":
		p := meeting.Provider(value)
		if len(x.p.cfg.Providers) > 0 && !slices.Contains(x.p.cfg.Providers, p) {
			x.fail(o, "provider.absent", "Provider", value)
			return
		}
		x.ask.Provider = p
	case "record":
		x.ask.Meet.Recording = meeting.Recording(value)
	case "language":
		x.language = value
	case "preset":
		x.ask.Preset = value
	}
}

// setAccount takes one of the accounts that the place may use. Of any other nobody hears there
// whether there is one.
func (x *reading) setAccount(o *OptionDecl, s string) {
	s = strings.ToLower(strings.TrimSpace(s))
	var names []string
	for _, p := range x.p.cfg.At(x.place) {
		switch p.Account() {
		case "":
			continue
		case s:
			x.account = p
			return
		}
		names = append(names, p.Account())
	}
	if len(names) == 0 {
		x.fail(o, "account.none")
		return
	}
	x.fail(o, "account", "IDs", strings.Join(names, " / "))
}

// providerIDs are what --provider takes, as a sentence has it: "systec or tencent".
func (p *Parser) providerIDs() string {
	ids := make([]string, len(p.cfg.Kinds))
	for i, k := range p.cfg.Kinds {
		ids[i] = string(k.ID)
	}
	return strings.Join(ids, " / ")
}

func recordWord(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "cloud", "yes", "true", "on", "云", "云端", "云录制":
		return string(meeting.RecordingCloud), true
	case "none", "no", "false", "off", "不", "不录", "不录制":
		return string(meeting.RecordingNone), true
	}
	return "", false
}

func (x *reading) setText(o *OptionDecl, w word) {
	switch o.Name {
	case "topic":
		x.setTopic(o, w)
	case "host-name":
		if n := utf8.RuneCountInString(w.text); n > o.Max {
			x.fail(o, "long", "Count", strconv.Itoa(n), "Max", strconv.Itoa(o.Max))
			return
		}
		x.ask.Meet.HostName = w.text
	case "passcode":
		if n := utf8.RuneCountInString(w.text); n > o.Max {
			x.fail(o, "long", "Count", strconv.Itoa(n), "Max", strconv.Itoa(o.Max))
			return
		}
		x.ask.Meet.Passcode = w.text
	case "name":
		x.setName(o, w.text)
	case "url":
		x.url = w.address()
	case "page":
		page := w.address()
		lower := strings.ToLower(page)
		if len(page) > o.Max || !strings.HasPrefix(lower, "https://") && !strings.HasPrefix(lower, "http://") || strings.ContainsAny(page, " \"<>") {
			x.fail(o, "page")
			return
		}
		x.ask.Page = page
	case "channels":
		ids := w.channels
		if len(ids) == 0 {
			ids = Split(w.text)
			for i := range ids {
				ids[i] = strings.TrimPrefix(ids[i], "#")
			}
		}
		if !slices.ContainsFunc(ids, func(id string) bool { return !x.isID(id) }) && len(ids) > 0 && len(x.ask.Channels)+len(ids) <= maxList {
			x.ask.Channels = append(x.ask.Channels, ids...)
			return
		}
		x.fail(o, "channels")
	}
}

func (x *reading) setTopic(o *OptionDecl, w word) {
	topic := strings.TrimSpace(w.text)
	if n := utf8.RuneCountInString(topic); n > o.Max {
		x.fail(o, "long", "Count", strconv.Itoa(n), "Max", strconv.Itoa(o.Max))
		return
	}
	x.ask.Meet.Topic = topic
	x.ask.Mentions = nil
	for _, u := range w.mentions {
		if !slices.ContainsFunc(x.ask.Mentions, func(have chat.User) bool { return have.ID == u.ID }) && len(x.ask.Mentions) < maxList {
			x.ask.Mentions = append(x.ask.Mentions, u)
		}
	}
}

// setName sets the name of an address or of a destination.
func (x *reading) setName(o *OptionDecl, name string) {
	name = strings.TrimSpace(name)
	if fault := nameFault(x.ask.Verb, name); fault != "" {
		x.fail(o, fault, "Max", strconv.Itoa(meeting.MaxPushName))
		return
	}
	x.ask.Push.Name = name
}

// ListMarks are the characters that stand between the items of a list.
const ListMarks = ",，、"

// Split splits a list and takes the quotes off its items.
func Split(s string) []string {
	items := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(ListMarks, r) })
	kept := items[:0]
	for _, item := range items {
		item = strings.TrimSpace(item)
		if item = strings.TrimSpace(unquote(item, glued(item).quoted)); item != "" {
			kept = append(kept, item)
		}
	}
	return kept
}

func (x *reading) setNames(o *OptionDecl, w word) {
	names := Split(w.text)
	for _, name := range names {
		if (x.ask.Verb == VerbPushOff || x.ask.Verb == VerbPushOn) && isAll(name) {
			x.ask.All = true
			continue
		}
		if len(livepush.CheckPushName(name)) > 0 {
			x.fail(o, "name", "Max", strconv.Itoa(meeting.MaxPushName))
			return
		}
		if !slices.Contains(x.ask.Names, name) {
			x.ask.Names = append(x.ask.Names, name)
		}
	}
	switch {
	case len(names) == 0:
		x.fail(o, "names")
	case !o.List && len(x.ask.Names) > 1:
		x.fail(o, "names.one")
	case len(x.ask.Names) > maxList:
		x.fail(o, "names.many", "Max", strconv.Itoa(maxList))
	}
}

func (x *reading) setUsers(o *OptionDecl, w word) {
	var ids []string
	for _, u := range w.mentions {
		ids = append(ids, u.ID)
	}
	if len(ids) == 0 {
		for _, id := range Split(w.text) {
			ids = append(ids, strings.TrimPrefix(strings.TrimPrefix(id, "@"), "!"))
		}
	}
	to := &x.ask.Hosts
	if o.Name == "people" {
		to = &x.ask.People
	}
	if len(ids) == 0 || len(*to)+len(ids) > maxList || slices.ContainsFunc(ids, func(id string) bool { return !x.isID(id) }) {
		x.fail(o, "user")
		return
	}
	for _, id := range ids {
		if !slices.Contains(*to, id) {
			*to = append(*to, id)
		}
	}
}

// isID reports whether s can be the platform's ID of a person or a channel: a name that
// the platform has not turned into one says nothing for sure.
func (x *reading) isID(s string) bool {
	return x.p.cfg.Platforms.Of(x.place.Platform).HasID(s)
}

func (x *reading) setMeeting(o *OptionDecl, w word) {
	s := w.address()
	if _, ok := x.p.cfg.Kinds.Read(s); !ok {
		x.fail(o, "meeting")
		return
	}
	x.ask.Meeting = s
}

func (x *reading) setKey(o *OptionDecl, key string) {
	key = meeting.HalfWidth(key)
	switch {
	case len(key) > o.Max:
		x.fail(o, "push."+string(meeting.PushFaultKeyLong), "Max", strconv.Itoa(o.Max))
	case strings.ContainsFunc(key, unicode.IsSpace):
		x.fail(o, "push."+string(meeting.PushFaultKeyCharacters))
	case IsPushURL(key):
		x.fail(o, "key.address")
	default:
		x.ask.Push.Key = secret.New(key)
		x.ask.KeyTyped = !x.form
	}
}

// IsPushURL reports whether s begins as an RTMP address does, in whatever width.
func IsPushURL(s string) bool {
	s = strings.ToLower(meeting.HalfWidth(s[:min(len(s), len("rtmps：／／"))]))
	return strings.HasPrefix(s, "rtmp://") || strings.HasPrefix(s, "rtmps://")
}

// withAccount returns the account that was asked for, which has to be one of the provider that was;
// without one, the provider.
func (x *reading) withAccount(asked meeting.Provider) meeting.Provider {
	if x.account == "" {
		return asked
	}
	if asked != "" && !asked.Covers(x.account) {
		i := slices.IndexFunc(x.given, func(o *OptionDecl) bool { return o.Kind == KindAccount })
		x.fail(x.given[i], "account.other", "Provider", string(x.account.Kind()))
	}
	return x.account
}

// checkMeet checks what only the provider decides. Where the place may have one set that is
// not known yet, [Parser.Check] does; a form says beforehand which one is meant.
func (x *reading) checkMeet() {
	x.ask.Provider = x.withAccount(x.ask.Provider)
	switch {
	case x.ask.Provider != "":
		x.checkProvider(x.ask.Provider)
	case x.form, len(x.p.cfg.Providers) == 1:
		x.checkProvider(x.p.cfg.Usual(x.place))
	}
}

// Check returns the answer to an Ask, as it was given, that cannot be carried out with what is
// set for its place: the provider, and the destinations. It is nil for one that can.
func (p *Parser) Check(r chat.Request, ask Ask, provider meeting.Provider, destinations int) *chat.Reply {
	x := p.reading(r, ask.Verb)
	x.ask = ask
	switch options := p.options; {
	case ask.Verb == VerbMeet:
		given := ask.Meet.Given()
		for i, o := range options(VerbMeet) {
			if o.Field != "" && slices.Contains(given, o.Field) {
				x.given = append(x.given, &options(VerbMeet)[i])
			}
		}
		x.checkProvider(provider)
	case ask.Verb == VerbPushTo && destinations == 0:
		x.fail(&options(VerbPushTo)[0], "names")
	}
	if len(x.problems) == 0 {
		return nil
	}
	reply := p.faulty(p.texts(r), &x, !p.cfg.Platforms.Of(r.Place.Platform).Typed)
	return &reply
}

func (x *reading) checkProvider(provider meeting.Provider) {
	provider = provider.Kind()
	kind, known := x.p.cfg.Kinds.Kind(provider)
	if !known {
		return
	}
	for _, o := range x.given {
		takers := o.Takers()
		if len(takers) > 0 && !slices.ContainsFunc(takers, func(k meeting.Kind) bool { return k.ID == provider }) {
			only, id := string(takers[0].ID), "provider.only"
			for _, k := range takers[1:] {
				only, id = only+","+string(k.ID), "provider.several.only"
			}
			x.fail(o, id, "Provider", only, "Other", string(provider), "ID", only)
		}
		if least := kind.MinDuration; o.Field == "duration" && x.ask.Meet.Duration > 0 && x.ask.Meet.Duration < least {
			n := int(least.Minutes())
			x.fail(o, "duration.short", "Provider", string(provider), "Over", strconv.Itoa(n-1), "Min", strconv.Itoa(n))
		}
	}
}

// checkPush puts address and key together.
func (x *reading) checkPush(v *VerbDecl) {
	x.ask.Push.Enabled = true
	x.ask.Push.Platform = x.platform
	var preset livepush.Preset
	switch {
	case x.ask.Preset != "":
		preset = livepush.PresetByID(x.ask.Preset)
	case x.url == "" && !x.ask.Push.Key.IsZero(): // "save youtube --key …"
		preset = livepush.Guess(x.ask.Push.Name)
	}
	if x.url == "" {
		x.url = preset.Ingest
	}
	if x.url != "" {
		x.readURL(x.option(v, "url"), x.option(v, "key"))
	}
	if x.platform != 0 {
		return
	}
	if x.ask.Preset == "" && x.ask.Push.URL != "" {
		preset = livepush.Detect(x.ask.Push.URL)
	}
	x.ask.Push.Platform = preset.Platform
}

func (x *reading) option(v *VerbDecl, name string) *OptionDecl {
	for i := range v.Options {
		if v.Options[i].Name == name {
			return &v.Options[i]
		}
	}
	return &OptionDecl{Name: name}
}

// readURL reads the push address, and takes the key out of it where none was given. That
// there is no key is no fault here: it can be asked for.
func (x *reading) readURL(url *OptionDecl, key *OptionDecl) {
	a, err := meeting.SplitPush(meeting.HalfWidth(x.url), x.ask.Push.Key)
	faults, _ := err.(meeting.PushFaults)
	wrong := false
	for _, f := range faults {
		switch f {
		case meeting.PushFaultKeyMissing:
			continue
		case meeting.PushFaultKeyCharacters, meeting.PushFaultKeyLong:
			x.fail(key, "push."+string(f), "Max", strconv.Itoa(meeting.MaxPushKey))
		default:
			x.fail(url, "push."+string(f), "Max", strconv.Itoa(meeting.MaxPushURL))
		}
		wrong = true
	}
	if wrong {
		return
	}
	x.ask.Push.URL, x.ask.Push.Key, x.ask.Split = a.URL, a.Key, a.Split
	x.ask.KeyTyped = !a.Key.IsZero() && !x.form
}
