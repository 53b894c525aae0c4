package grammar

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// The forms.
const (
	formMeet = "meet"
	formPush = "push"
	formSave = "save"

	formSettings = "settings"
)

// platformOption is how the push form asks for --wechat.
var platformOption = OptionDecl{Name: "platform", Kind: KindChoice, Choices: choices("other", "wechat")}

// open lets a form be opened, with what is known already. After a mention there is
// nothing to open it with, but a button.
func (p *Parser) open(r chat.Request, id string, ask Ask) chat.Decision {
	t := p.texts(r)
	if r.InTheOpen {
		title := t.T("form." + id + ".title")
		reply := chat.Reply{Title: title, Text: t.T("form.button." + id), Buttons: []chat.Button{{Label: title, Action: chat.Action{Name: id, Arg: ""}}}}
		p.mark(t, &reply)
		return chat.Decision{Reply: &reply, Request: bare(r)}
	}
	here := *p
	here.cfg.Default = p.cfg.Usual(r.Place)
	f := here.Form(t, id, ask)
	if p.cfg.Platforms.Of(r.Place.Platform).Local && id != formMeet { // no chat platform sees what is typed
		f.Intro = ""
		for i := range f.Fields {
			if f.Fields[i].Kind == chat.MaskedField {
				f.Fields[i].Hint = t.T("form.key.hint.local")
			}
		}
	}
	return chat.Decision{Form: &f, Request: bare(r)}
}

// Form returns the form "meet", "push" or "save", with what is known already. What is
// left out of a platform's form where it has no room is marked as extra.
func (p *Parser) Form(t texts.Text, id string, ask Ask) chat.Form {
	f := chat.Form{ID: id, Title: t.T("form." + id + ".title"), Submit: t.T("form." + id + ".submit")}
	field := func(o OptionDecl, value string, required, extra bool) {
		f.Fields = append(f.Fields, p.field(t, o, value, required, extra))
	}
	switch id {
	case formMeet:
		f.Intro = t.T("form.meet.intro")
		room := []string{"topic", "provider", "live", "duration", "record"}
		if len(p.cfg.Providers) == 1 {
			room[1] = "mute"
		}
		for _, o := range p.options(VerbMeet) {
			if p.offers(o) {
				field(o, instantValue(o.Name, ask), false, !slices.Contains(room, o.Name))
			}
		}
	case formSettings:
		for _, o := range p.options(VerbSettings) {
			if o.Kind != KindBool && p.offers(o) {
				field(o, "", false, !slices.Contains(settingRoom, o.Name))
				last := &f.Fields[len(f.Fields)-1]
				last.Only = nil // what a meeting's provider has not is left out when it is made
				if o.Kind == KindDest {
					last.Kind, last.Propose = chat.ListField, true
				}
			}
		}
	case formPush:
		f.Intro = t.T("form.key.intro")
		v := Declared(VerbPush)
		opt := func(name string) OptionDecl { return *(&reading{}).option(&v, name) }
		platform := ""
		if ask.Push.Platform == meeting.PushWeChat {
			platform = "wechat"
		}
		if _, ok := p.cfg.Kinds.ParseRef(ask.Meeting); ok {
			f.Arg = ask.Meeting
		} else {
			field(opt("meeting"), ask.Meeting, false, false)
			f.Fields[0].Propose = true
		}
		if ask.Push.Name == "" && ask.Push.URL == "" { // else one address is meant
			field(Declared(VerbPushTo).Options[0], "", false, false)
			last := &f.Fields[len(f.Fields)-1]
			last.Kind, last.Propose, last.Hint = chat.ListField, true, t.T("form.to.hint")
		}
		typed := len(f.Fields)
		field(opt("name"), ask.Push.Name, false, false)
		field(opt("url"), ask.Push.URL, true, false)
		field(opt("key"), "", true, false)
		field(platformOption, platform, false, platform == "") // the address mostly tells it
		if typed > 0 && f.Fields[typed-1].Kind == chat.ListField {
			for i := typed; i < len(f.Fields); i++ {
				f.Fields[i].Only = &chat.Precondition{Field: f.Fields[typed-1].Name, Values: []string{""}}
			}
		}
		given := ""
		if ask.Standby {
			given = "true"
		}
		field(opt("standby"), given, false, true)
		if ask.Override {
			field(opt("override"), "true", false, true)
		}
	case formSave:
		f.Intro = t.T("form.key.intro")
		given := saveValues(ask)
		// Some platforms have room for two more fields: what was asked for must not get lost there.
		room := slices.DeleteFunc([]string{"protected", "people", "channels", "override", "page", "preset"}, func(name string) bool { return given[name] == "" })
		for _, name := range []string{"preset", "page"} {
			if given[name] == "" {
				room = append(room, name)
			}
		}
		for _, o := range Declared(VerbPushSave).Options {
			value := given[o.Name]
			switch o.Name {
			case "name", "url", "key": // a preset may have the address
				field(o, value, o.Name != "url", false)
				continue
			case "preset", "page", "protected": // asked for in any case
			default:
				if value == "" {
					continue
				}
			}
			field(o, value, false, !slices.Contains(room[:2], o.Name))
		}
	}
	return f
}

// offers reports whether an option means anything here.
func (p *Parser) offers(o OptionDecl) bool {
	if o.Name == "provider" {
		return len(p.cfg.Providers) != 1
	}
	return o.Field == "" || len(p.cfg.Providers) == 0 || slices.ContainsFunc(o.Takers(), func(k meeting.Kind) bool { return slices.Contains(p.cfg.Providers, k.ID) })
}

// options returns a verb's options, with what depends on the providers.
func (p *Parser) options(v Verb) []OptionDecl {
	i := slices.IndexFunc(p.declared, func(d VerbDecl) bool { return d.Verb == v })
	return p.declared[i].Options
}

func (p *Parser) field(t texts.Text, o OptionDecl, value string, required, extra bool) chat.FormField {
	f := chat.FormField{
		Name: o.Name, Label: t.T("label." + o.Name), Hint: o.Describe(t), Required: required, Extra: extra,
		Max: o.Max, Value: value,
	}
	if takers := o.Takers(); len(takers) < len(o.Providers) {
		f.Only = &chat.Precondition{Field: "provider"}
		for _, k := range takers {
			f.Only.Values = append(f.Only.Values, string(k.ID))
			if p.cfg.Default == k.ID {
				f.Only.Values = append(f.Only.Values, "")
			}
		}
		if p.cfg.Default == "" {
			f.Only.Values = append(f.Only.Values, "")
		}
	}
	if t.Has("hint." + o.Name) { // what the option says of itself would repeat the label
		f.Hint = t.T("hint." + o.Name)
	}
	if t.Has("placeholder." + o.Name) {
		f.Placeholder = t.T("placeholder." + o.Name)
	}
	switch o.Kind {
	case KindSecret:
		// In the field itself: some platforms have no room for the introduction.
		f.Kind, f.Hint = chat.MaskedField, t.T("form.key.hint")
	case KindAccount:
		f.Kind, f.Max, f.Propose = chat.ChoiceField, 0, true
	case KindInt:
		f.Kind, f.Max = chat.NumberField, len(strconv.Itoa(o.Max))
	case KindUser:
		if value == "" { // no platform's choice takes several IDs back
			f.Kind = chat.UserField
		}
	case KindBool:
		// Not a tick: leaving the choice to the provider is a third one.
		f.Kind, f.Max = chat.ChoiceField, 0
		f.Choices = []chat.Choice{{Label: t.T("choice.yes"), Value: "true"}, {Label: t.T("choice.no"), Value: "false"}}
	case KindChoice:
		f.Kind = chat.ChoiceField
		for _, c := range o.Choices {
			if o.Name == "provider" && len(p.cfg.Providers) > 0 && !slices.Contains(p.cfg.Providers, meeting.Provider(c.Value)) {
				continue
			}
			f.Choices = append(f.Choices, chat.Choice{Label: o.LabelOf(t, c), Value: c.Value})
		}
	}
	return f
}

// instantValue is what an [Ask] has for an option of meet already.
func instantValue(name string, ask Ask) string {
	switch name {
	case "topic":
		return ask.Meet.Topic
	case "provider":
		return string(ask.Provider)
	case "duration":
		if ask.Meet.Duration > 0 {
			return strconv.Itoa(int(ask.Meet.Duration / time.Minute))
		}
	}
	return ""
}

// saveValues is what an [Ask] has for the options of save already, by their names.
func saveValues(ask Ask) map[string]string {
	values := map[string]string{
		"name": ask.Push.Name, "preset": ask.Preset, "url": ask.Push.URL, "page": ask.Page,
		"people": strings.Join(ask.People, ", "), "channels": strings.Join(ask.Channels, ", "),
	}
	if ask.Protected {
		values["protected"] = "true"
	}
	if ask.Override {
		values["override"] = "true"
	}
	return values
}

// submission reads a form that was sent.
func (p *Parser) submission(r chat.Request) chat.Decision {
	s := r.Form
	if !isArg(s.Arg) {
		return p.tell(r, p.stale)
	}
	v := p.meant(s.Fields, func(v *VerbDecl) bool { return v.Form == s.Form && s.Form != "" })
	if v == nil {
		return p.tell(r, p.stale)
	}
	x := p.reading(r, v.Verb)
	x.form = true
	for i := range v.Options {
		o := &v.Options[i]
		value, shown := s.Fields[o.Name]
		if value != "" {
			x.setTyped(o, value)
		} else if shown && v.Verb == VerbSettings { // emptied
			x.set(o, word{text: Default})
		}
	}
	if v.Verb == VerbSettings {
		x.ask.Arg = s.Arg
		return p.finish(r, &x)
	}
	if s.Form == formMeet {
		if p.misplaced(meetGiven(r)...) {
			x.fail(&v.Options[0], "misplaced.field")
		}
		x.checkMeet()
		return p.finish(r, &x)
	}
	switch s.Fields["platform"] {
	case "wechat":
		x.platform = meeting.PushWeChat
	case "other":
		x.platform = meeting.PushThirdParty
	}
	if x.ask.Meeting == "" && s.Form == formPush {
		if _, ok := p.cfg.Kinds.ParseRef(s.Arg); ok {
			x.ask.Meeting = s.Arg
		}
	}
	if v.Verb == VerbPushTo {
		if s.Fields["url"] != "" || s.Fields["key"] != "" {
			x.fail(&v.Options[0], "together.form")
		}
		return p.finish(r, &x)
	}
	if !x.has("name") && v.Verb == VerbPushSave {
		x.fail(x.option(v, "name"), "name.missing")
	}
	return p.finishPush(r, &x, v)
}
