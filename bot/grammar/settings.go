package grammar

import (
	"slices"
	"strconv"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// Default is what people give for a setting that is to be none.
const Default = "default"

// The words of a setting that is on or off.
const (
	On  = "on"
	Off = "off"
)

// settingOptions are what can be set for a place. The name of an option is the name of its
// setting in [Ask.Set], and in the store.
var settingOptions = []OptionDecl{
	{Name: "provider", Aliases: []string{"平台", "会议平台"}, Kind: KindChoice, Choices: choices(Default)},
	{Name: accountOption, Aliases: []string{"账号", "帐号"}, Kind: KindAccount, Max: maxAccount}, // a provider too: of that setting
	{Name: "live", Aliases: []string{"直播"}, Kind: KindChoice, Choices: choices(Default, On, Off), Field: "live"},
	{Name: "record", Aliases: []string{"recording", "录制"}, Kind: KindChoice, Choices: choices(Default, string(meeting.RecordingCloud), string(meeting.RecordingNone)), Field: "recording"},
	{Name: "capacity", Aliases: []string{"人数", "方数"}, Kind: KindInt, Max: maxCapacity, Unit: "people", Field: "capacity"},
	{Name: "host", Aliases: []string{"主持人"}, Kind: KindUser, List: true},
	{Name: "language", Aliases: []string{"lang", "locale", "语言"}, Kind: KindChoice, Choices: choices(append([]string{Default}, texts.Locales...)...)},
	{Name: "destinations", Aliases: []string{"to", "推流目标", "目标"}, Kind: KindDest, List: true},
	{Name: "allow", Aliases: []string{"允许"}, Kind: KindWho, List: true},
	{Name: "deny", Aliases: []string{"禁止"}, Kind: KindWho, List: true},
	{Name: "everywhere", Aliases: []string{"all-channels", "所有频道"}, Kind: KindBool},
}

// Settings are the names of all settings, in their order.
func Settings() []string {
	var names []string
	for _, o := range settingOptions {
		if o.Kind != KindBool && o.Kind != KindAccount {
			names = append(names, o.Name)
		}
	}
	return names
}

// settingRoom is what a platform's form has room for if nothing is set.
var settingRoom = []string{"provider", "live", "record", "destinations", "language"}

// settingsLine reads what follows the verb. Words are a topic, unless an option came first.
func (p *Parser) settingsLine(r chat.Request, v *VerbDecl, rest []token) (chat.Decision, bool) {
	if f, ok := rest[0].asFlag(); !ok || !f.certain && p.flags[v][f.name] == nil {
		return chat.Decision{}, false
	}
	x := p.reading(r, v.Verb)
	if len(x.flags(v, rest, true)) > 0 && len(x.problems) == 0 {
		x.failLine("", v.Name, "settings.words")
	}
	return p.finish(r, &x), true
}

// isDefault reports whether people give s to take a setting back.
func isDefault(s string) bool {
	switch strings.ToLower(s) {
	case Default, "-", "默认":
		return true
	}
	return false
}

// setSetting gives a setting its value, in the one way in which it is stored: empty takes it
// back. What an option of another verb would put into the Ask goes into [Ask.Set].
func (x *reading) setSetting(o *OptionDecl, w word, set func()) {
	if x.ask.Set == nil {
		x.ask.Set = map[string]string{}
	}
	if o.Kind != KindBool && isDefault(strings.TrimSpace(w.text)) {
		if o.Kind != KindAccount {
			x.ask.Set[o.Name] = ""
		} else if _, said := x.ask.Set["provider"]; !said {
			x.ask.Set["provider"] = ""
		}
		return
	}
	before := len(x.problems) + x.more
	set()
	a := &x.ask
	value := ""
	switch o.Name {
	case "provider":
		value, a.Provider = string(a.Provider), ""
	case "live":
		if a.Meet.Live != nil {
			value = Off
			if *a.Meet.Live {
				value = On
			}
		}
	case "record":
		value = string(a.Meet.Recording)
	case "capacity":
		if a.Meet.Capacity > 0 {
			value = strconv.Itoa(a.Meet.Capacity)
		}
	case "host":
		value, a.Hosts = strings.Join(a.Hosts, ","), nil
	case "language":
		value = x.language
	case "destinations":
		value, a.Names = strings.Join(a.Names, ","), nil
	case "allow", "deny":
		value, x.who = strings.Join(x.who, ","), nil
	case "everywhere", accountOption: // where, and not what; see [Parser.finish]
		return
	}
	a.Meet = meeting.Instant{}
	if len(x.problems)+x.more == before {
		a.Set[o.Name] = value
	}
}

// languageWord reads a language.
func languageWord(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "en", "en-us", "english", "英文", "英语":
		return "en", true
	case "zh-cn", "zh", "cn", "chinese", "中文", "简体中文":
		return "zh-CN", true
	}
	return "", false
}

// setWho reads people, and groups or roles of them: mentions, or what an allow-list has, with
// or without the platform before it.
func (x *reading) setWho(o *OptionDecl, w word) {
	kind := x.p.cfg.Platforms.Of(x.place.Platform)
	add := func(as chat.EntryKind, id string) bool {
		i := slices.IndexFunc(kind.Entries, func(e chat.Entry) bool { return e.Kind == as })
		if i < 0 || as.Place() || len(id) > maxEntry || kind.Entries[i].IsID != nil && !kind.Entries[i].IsID(id) || strings.ContainsAny(id, " ,:") {
			return false
		}
		entry := string(as) + ":" + id
		if !slices.Contains(x.who, entry) {
			x.who = append(x.who, entry)
		}
		return true
	}
	ok := len(w.mentions)+len(w.groups) > 0
	for _, u := range w.mentions {
		ok = ok && add(chat.UserEntry, u.ID)
	}
	for _, id := range w.groups {
		ok = ok && (add(chat.GroupEntry, id) || add(chat.RoleEntry, id))
	}
	if !ok && len(w.mentions)+len(w.groups) == 0 {
		items := Split(w.text)
		ok = len(items) > 0
		for _, item := range items {
			item = strings.TrimPrefix(item, string(kind.Name)+":")
			as, id, named := strings.Cut(item, ":")
			if !named {
				as, id = string(chat.UserEntry), strings.TrimPrefix(strings.TrimPrefix(item, "@"), "!")
			}
			ok = ok && add(chat.EntryKind(as), id)
		}
	}
	if !ok || len(x.who) > maxList {
		x.fail(o, "who", "Max", strconv.Itoa(maxList))
	}
}

// maxEntry bounds the ID in an entry, in bytes.
const maxEntry = 64
