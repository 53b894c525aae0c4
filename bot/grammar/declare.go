package grammar

import (
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// The commands' declared names, and what typed platforms call the rest.
const (
	commandMeet     = "meet"
	commandLivepush = "livepush"

	typedMeetings     = "meetings"
	typedDestinations = "destinations"
)

// What a line can ask that becomes no [Ask].
const (
	VerbForm Verb = "form"
	VerbHelp Verb = "help"
)

// Limits of what people can give.
const (
	// maxTopic is in characters. As UTF-8 they are at most the 512 bytes that Tencent
	// Meeting takes for a subject: https://cloud.tencent.com/document/product/1095/42417.
	maxTopic    = 128
	maxMinutes  = 24 * 60
	maxCapacity = 10000
	maxName     = 60  // of a host, in characters
	maxURL      = 512 // of a watch page or a meeting's link
	maxList     = 20  // names, people or channels
	maxProblems = 20  // that are told at once; who makes more makes them one way
)

// minSystecMinutes is the shortest duration that SYSTEC takes: "必须大于30".
const minSystecMinutes = 31

func choices(values ...string) []chat.Choice {
	cs := make([]chat.Choice, len(values))
	for i, v := range values {
		cs[i] = chat.Choice{Value: v} // labelled by [texts.Text.ChoiceLabel]
	}
	return cs
}

var declarations = func() []VerbDecl {
	meetingAt := func(position int) OptionDecl {
		return OptionDecl{Name: "meeting", Aliases: []string{"会议"}, Kind: KindMeeting, Position: position, Max: maxURL}
	}
	url := OptionDecl{Name: "url", Aliases: []string{"address", "server", "地址", "推流地址"}, Kind: KindText, Max: meeting.MaxPushURL}
	key := OptionDecl{Name: "key", Aliases: []string{"stream-key", "密钥", "推流密钥", "推流码"}, Kind: KindSecret, Max: meeting.MaxPushKey}
	override := OptionDecl{Name: "override", Aliases: []string{"force", "忽略警告"}, Kind: KindBool}
	name := OptionDecl{Name: "name", Aliases: []string{"名称", "名字"}, Kind: KindText, Max: meeting.MaxPushName}
	saved := name
	saved.Required, saved.Position = true, 1
	forget := saved
	forget.Kind = KindDest
	presetIDs := make([]string, 0, len(livepush.Presets()))
	for _, p := range livepush.Presets() {
		presetIDs = append(presetIDs, p.ID)
	}

	return []VerbDecl{
		{
			Verb: VerbMeet, Command: commandMeet, Typed: commandMeet, Right: chat.RightMeet, Public: true,
			Options: []OptionDecl{
				{Name: "topic", Aliases: []string{"主题"}, Kind: KindText, Position: 1, Max: maxTopic},
				{Name: "provider", Aliases: []string{"平台"}, Kind: KindChoice, Choices: choices(string(meeting.Systec), string(meeting.Tencent))},
				{Name: "live", Aliases: []string{"直播"}, Kind: KindBool},
				{Name: "duration", Aliases: []string{"时长"}, Kind: KindInt, Min: 1, Max: maxMinutes, Unit: "minutes"},
				{Name: "record", Aliases: []string{"recording", "录制"}, Kind: KindChoice, Choices: choices(string(meeting.RecordingCloud), string(meeting.RecordingNone))},
				{Name: "host", Aliases: []string{"主持人"}, Kind: KindUser, List: true},
				{Name: "mute", Aliases: []string{"静音"}, Kind: KindBool},
				{Name: "join-before-host", Aliases: []string{"jbh", "提前入会"}, Kind: KindBool},
				{Name: "waiting-room", Aliases: []string{"等候室"}, Kind: KindBool},
				{Name: "capacity", Aliases: []string{"人数", "方数"}, Kind: KindInt, Min: 1, Max: maxCapacity, Unit: "people", Provider: meeting.Systec},
				{Name: "host-video", Aliases: []string{"主持人视频"}, Kind: KindBool, Provider: meeting.Systec},
				{Name: "participants-video", Aliases: []string{"参会者视频"}, Kind: KindBool, Provider: meeting.Systec},
				{Name: "pmi", Aliases: []string{"个人会议号"}, Kind: KindBool, Provider: meeting.Systec},
				{Name: "host-name", Aliases: []string{"主持人名称"}, Kind: KindText, Max: maxName, Provider: meeting.Systec},
			},
		},
		{Verb: VerbForm, Command: commandMeet, Name: "form", Aliases: []string{"表单"}, Right: chat.RightMeet},
		{
			Verb: VerbMeetList, Command: commandMeet, Name: "list", Aliases: []string{"列表", "会议列表"},
			Typed: typedMeetings, TypedSub: "list", Right: chat.RightMeet,
		},
		{
			Verb: VerbMeetEnd, Command: commandMeet, Name: "end", Aliases: []string{"结束", "结束会议"},
			Typed: typedMeetings, TypedSub: "end", Right: chat.RightMeet, Options: []OptionDecl{meetingAt(1)},
		},
		{
			Verb: VerbMeetShare, Command: commandMeet, Name: "share", Aliases: []string{"分享", "分享会议"},
			Typed: typedMeetings, TypedSub: "share", Right: chat.RightMeet, Public: true, Options: []OptionDecl{meetingAt(1)},
		},
		{Verb: VerbHelp, Command: commandMeet, Name: "help", Aliases: []string{"?", "？", "帮助", "--help"}, Right: chat.RightMeet},

		{
			Verb: VerbPush, Command: commandLivepush, Typed: commandLivepush, Right: chat.RightPush,
			Options: []OptionDecl{
				meetingAt(1), name, url, key,
				{Name: "wechat", Aliases: []string{"视频号", "微信视频号"}, Kind: KindBool},
				override,
			},
		},
		{
			Verb: VerbPushTo, Command: commandLivepush, Name: "to", Aliases: []string{"推到", "推送到", "推流到", "到"},
			Typed: commandLivepush, Right: chat.RightPush,
			Options: []OptionDecl{
				{Name: "to", Kind: KindDest, List: true, Required: true, Position: 1},
				meetingAt(2), override,
			},
		},
		{
			Verb: VerbPushOff, Command: commandLivepush, Name: "off", Aliases: []string{"关闭", "停推", "停用"},
			Typed: commandLivepush, Right: chat.RightPush,
			Options: []OptionDecl{
				{Name: "off", Kind: KindDest, List: true, Required: true, Position: 1},
				meetingAt(2),
			},
		},
		{
			Verb: VerbPushStatus, Command: commandLivepush, Name: "status", Aliases: []string{"状态", "查看"},
			Typed: typedMeetings, TypedSub: "status", Right: chat.RightPush, Options: []OptionDecl{meetingAt(1)},
		},
		{
			Verb: VerbPushSave, Command: commandLivepush, Name: "save", Aliases: []string{"保存"},
			Typed: typedDestinations, TypedSub: "save", Right: chat.RightPush,
			Options: []OptionDecl{
				saved,
				{Name: "preset", Aliases: []string{"platform", "平台"}, Kind: KindChoice, Choices: choices(presetIDs...)},
				url, key,
				{Name: "page", Aliases: []string{"watch", "观看页"}, Kind: KindText, Max: maxURL},
				{Name: "protected", Aliases: []string{"审批"}, Kind: KindBool},
				{Name: "people", Aliases: []string{"成员"}, Kind: KindUser, List: true},
				{Name: "channels", Aliases: []string{"频道"}, Kind: KindText, List: true},
				{Name: "members", Aliases: []string{"包含"}, Kind: KindDest, List: true},
				override,
			},
		},
		{
			Verb: VerbPushDestinations, Command: commandLivepush, Name: "destinations", Aliases: []string{"list", "目标", "推流目标", "列表"},
			Typed: typedDestinations, TypedSub: "list", Right: chat.RightPush,
		},
		{
			Verb: VerbPushForget, Command: commandLivepush, Name: "forget", Aliases: []string{"delete", "remove", "删除"},
			Typed: typedDestinations, TypedSub: "forget", Right: chat.RightPush, Options: []OptionDecl{forget},
		},
		{
			Verb: VerbPushLog, Command: commandLivepush, Name: "log", Aliases: []string{"记录", "日志"},
			Typed: typedMeetings, TypedSub: "log", Right: chat.RightPush, Options: []OptionDecl{meetingAt(1)},
		},
		{Verb: VerbHelp, Command: commandLivepush, Name: "help", Aliases: []string{"?", "？", "帮助", "--help"}, Right: chat.RightPush},
	}
}()

// Declarations returns everything that people can ask by a command: first the verbs of
// "meet", then those of "livepush". Callers do not change what it refers to.
//
// Several verbs can share a flat typed command; [TypedDeclarations] has them merged.
func Declarations() []VerbDecl { return slices.Clone(declarations) }

// TypedDecl declares one command of a platform where options are typed. It has either
// Options or Subs.
type TypedDecl struct {
	Name    string
	Verb    Verb // the first verb that it can mean, which describes it; of a command with Subs: empty
	Right   chat.Rights
	Options []OptionDecl // required ones first
	Subs    []TypedDecl
}

// TypedDeclarations returns the commands for platforms where options are typed. Which
// verb is meant follows from the options that are given.
func TypedDeclarations() []TypedDecl {
	var all []TypedDecl
	find := func(in *[]TypedDecl, name string, v VerbDecl) *TypedDecl {
		for i := range *in {
			if (*in)[i].Name == name {
				return &(*in)[i]
			}
		}
		*in = append(*in, TypedDecl{Name: name, Right: v.Right})
		return &(*in)[len(*in)-1]
	}
	for _, v := range declarations {
		if v.Typed == "" {
			continue
		}
		c := find(&all, v.Typed, v)
		if v.TypedSub != "" {
			c = find(&c.Subs, v.TypedSub, v)
		}
		merged := c.Verb != ""
		if !merged {
			c.Verb = v.Verb
		}
		for _, o := range v.Options {
			if merged {
				o.Required = false
			}
			if !slices.ContainsFunc(c.Options, func(have OptionDecl) bool { return have.Name == o.Name }) {
				c.Options = append(c.Options, o)
			}
		}
		slices.SortStableFunc(c.Options, func(a, b OptionDecl) int {
			switch {
			case a.Required == b.Required:
				return 0
			case a.Required:
				return -1
			}
			return 1
		})
	}
	return all
}

// declared returns the declaration of a verb; of one that only buttons ask, no more than
// whether its answer is public.
func Declared(v Verb) VerbDecl {
	for i := range declarations {
		if declarations[i].Verb == v {
			return declarations[i]
		}
	}
	return VerbDecl{Verb: v, Public: v == VerbAnother || v == VerbSameDest || v == VerbTencent}
}

// isVerb reports whether people type s for a verb or for "in": no destination can be
// called that.
func isVerb(s string) bool {
	if isIn(s) {
		return true
	}
	for _, d := range declarations {
		if d.called(s) {
			return true
		}
	}
	return false
}

// called reports whether s is the verb's word, in any of its spellings.
func (d VerbDecl) called(s string) bool {
	return d.Name != "" && (strings.EqualFold(s, d.Name) || slices.ContainsFunc(d.Aliases, func(a string) bool { return strings.EqualFold(a, s) }))
}

func isIn(s string) bool { return strings.EqualFold(s, "in") || s == "在" || s == "于" }

// TextID is the verb as the IDs of texts have it.
func (v Verb) TextID() string { return strings.ReplaceAll(string(v), " ", "_") }

// Describe returns the one-line description of the verb.
func (d VerbDecl) Describe(t texts.Text) string { return t.T("verb." + d.Verb.TextID()) }

// NameIn returns the name of the typed command or, with the command it belongs to, of the
// sub-command in the language.
func (d TypedDecl) NameIn(t texts.Text, of string) string {
	if of != "" {
		of += "."
	}
	return t.T("typed." + of + d.Name)
}

// Describe returns the one-line description of the typed command or sub-command.
func (d TypedDecl) Describe(t texts.Text) string {
	if d.Verb == "" {
		return t.T("typed." + d.Name + ".about")
	}
	return t.T("verb." + d.Verb.TextID())
}

// Describe returns the one-line description of the option.
func (o OptionDecl) Describe(t texts.Text) string { return t.T("option." + o.Name) }

// NameIn returns the option's name in the language, as typed platforms show it.
func (o OptionDecl) NameIn(t texts.Text) string { return t.T("optionname." + o.Name) }

// LabelOf returns what people read for one of the option's [OptionDecl.Choices].
func (o OptionDecl) LabelOf(t texts.Text, c chat.Choice) string {
	if c.Label != "" {
		return c.Label
	}
	if o.Name == "preset" {
		return livepush.PresetByID(c.Value).Name(t)
	}
	return t.T("choice." + o.Name + "." + c.Value)
}
