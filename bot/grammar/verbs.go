package grammar

import (
	"slices"
	"strings"

	"meetbot/bot/chat"
	"meetbot/bot/livepush"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

// Verb names one thing that can be asked, on every platform alike. Jobs in the store have
// it, so a name is not changed.
type Verb string

const (
	VerbMeet      Verb = "meet"
	VerbMeetForm  Verb = "form"
	VerbMeetList  Verb = "meet list"
	VerbMeetEnd   Verb = "meet end"
	VerbMeetShare Verb = "meet share"
	VerbSettings  Verb = "meet settings" // what a channel has set for its commands
	VerbMeetHelp  Verb = "help"

	VerbPush             Verb = "livepush" // set one address, given with the command
	VerbPushTo           Verb = "livepush to"
	VerbPushOff          Verb = "livepush off"
	VerbPushOn           Verb = "livepush on" // of what is set and off
	VerbPushStatus       Verb = "livepush status"
	VerbPushSave         Verb = "livepush save"
	VerbPushDestinations Verb = "livepush destinations"
	VerbPushForget       Verb = "livepush forget"
	VerbPushLog          Verb = "livepush log"
	VerbPushBoard        Verb = "livepush board"
	VerbLiveStart        Verb = "livepush start" // of the live itself, where the provider can
	VerbLiveStop         Verb = "livepush stop"  // likewise; typed "stop" is VerbPushOff, which comes to this there
	VerbPushHelp         Verb = "livepush help"

	// What only buttons ask. Ask.Arg is the button's.
	VerbPushForm     Verb = "push"
	VerbSaveForm     Verb = "save"
	VerbStartLink    Verb = "start"
	VerbQR           Verb = "qr"
	VerbCopy         Verb = "copy"
	VerbEndYes       Verb = "endyes"    // the answer to "really end it?"
	VerbCreateAnyway Verb = "another"   // a command again that was taken for a repeat of an earlier one
	VerbRunExpired   Verb = "now"       // a command that was too old to be run unasked
	VerbRetry        Verb = "again"     // a command that was refused, or whose outcome is unknown
	VerbElsewhere    Verb = "elsewhere" // after a push to a meeting that takes none: one of a provider whose do
	VerbApprove      Verb = "approve"   //
	VerbReject       Verb = "reject"    //
	VerbRevoke       Verb = "revoke"    // asks first
	VerbRevokeYes    Verb = "revokeyes" // the answer to it
	VerbForgetYes    Verb = "forgetyes" // the answer to "really forget it?"
	VerbKeep         Verb = "keep"      // the other answer to any such question
	VerbSameDest     Verb = "samedest"  // a new meeting with the destinations of an earlier one
	VerbAskHost      Verb = "askhost"   // asks who can to do it
	VerbLiveStartYes Verb = "golive"    // the answers to "start it?" and "stop it?"
	VerbLiveStopYes  Verb = "unlive"
	VerbSettingsForm Verb = "settings form"
	VerbBoardCopy    Verb = "copyboard"

	// What only the bot asks of itself.
	VerbCards    Verb = "cards"    // Arg: a [meeting.Ref], whose cards are brought up to date
	VerbBoards   Verb = "boards"   // Arg: the key of a place, whose board is brought up to date
	VerbEvent    Verb = "event"    // a provider's word on a meeting
	VerbRemind   Verb = "remind"   // Arg: a [meeting.Ref] that nobody has joined yet
	VerbReport   Verb = "report"   // Arg: a [meeting.Ref], of which is told what became of it
	VerbUnseen   Verb = "unseen"   // Arg: a [meeting.Ref] whose viewers its account may not see
	VerbApproval Verb = "approval" // Arg: the job that waits for a second person
)

// Takes is what the argument of a verb's button names.
type Takes int

const (
	TakesNothing     Takes = iota
	TakesMeeting           // a [meeting.Ref]
	TakesAnyMeeting        // a [meeting.Ref], or nothing
	TakesJob               // a job's ID
	TakesDestination       // a saved destination, and which of its keys
	TakesAddress           // a [meeting.Ref], and which of its push addresses: see [livepush.Address]; or nothing
)

// VerbDecl declares one thing that can be asked: everything about it but what it does.
type VerbDecl struct {
	Verb Verb

	// How people ask it. On text platforms by Command ("meet" or "livepush") and a word:
	// Name, empty for the command itself, or one of Aliases (Chinese words and spellings).
	// Where options are typed (Discord) by Typed and TypedSub; TypedSub empty: a flat
	// command. By pressing a button whose action is called Button. By sending the form Form.
	Command  string
	Name     string
	Aliases  []string
	Typed    string
	TypedSub string
	Button   string
	Form     string

	Options []OptionDecl
	Takes   Takes // of Button
	// Can is what a meeting's provider has to be able to do; nil: nothing in particular. Where
	// no provider can, people are not offered the verb.
	Can func(meeting.Capabilities) bool

	// Right is who may: people with RightMeet, RightPush or RightSettings. Without one nobody may,
	// except what is Help or Internal.
	Right  chat.Rights
	Public bool // the answer begins with a message that everybody sees
	// Once says that one person's clicks on the button are one wish as long as its message
	// is unchanged: it may create something each time. Any other button shows something, or
	// does what is harmless to do twice, so each click is a new wish: the first may have failed.
	Once bool

	Opens    string // the form that is the whole answer; such a verb is no job
	Help     bool   // changes nothing, and is answered at once and to anybody; no job either
	Internal bool   // only the bot itself asks it
	Final    bool   // cannot be undone: only a question leads there, see [Final]
}

// IsJob reports whether what is asked becomes a job, with steps in package commands.
func (d VerbDecl) IsJob() bool { return d.Opens == "" && !d.Help }

// Afresh reports whether who may is asked of the platform each time, whatever it said a moment
// ago: where keys are sent, approved or kept, and where a meeting is ended.
func (d VerbDecl) Afresh() bool {
	return d.Right == chat.RightPush || d.Verb == VerbMeetEnd || d.Verb == VerbEndYes
}

// The commands' declared names, and what typed platforms call the rest.
const (
	commandMeet     = "meet"
	commandLivepush = "livepush"

	accountOption = "account"

	typedMeetings     = "meetings"
	typedDestinations = "destinations"
)

// startsLive is [VerbDecl.Can] of what starts and stops a live.
func startsLive(can meeting.Capabilities) bool { return can.StartLive }

// declarations is the one list of verbs.
var declarations = func() []VerbDecl {
	meetingAt := func(position int) OptionDecl {
		return OptionDecl{Name: "meeting", Aliases: []string{"会议"}, Kind: KindMeeting, Position: position, Max: maxURL}
	}
	url := OptionDecl{Name: "url", Aliases: []string{"address", "server", "地址", "推流地址"}, Kind: KindText, Max: meeting.MaxPushURL}
	key := OptionDecl{Name: "key", Aliases: []string{"stream-key", "密钥", "推流密钥", "推流码"}, Kind: KindSecret, Max: meeting.MaxPushKey}
	override := OptionDecl{Name: "override", Aliases: []string{"force", "忽略警告"}, Kind: KindBool}
	standby := OptionDecl{Name: "standby", Aliases: []string{"stand-by", "disabled", "待开启", "先不开启", "备用"}, Kind: KindBool}
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
			Verb: VerbMeet, Command: commandMeet, Typed: commandMeet, Form: formMeet, Right: chat.RightMeet, Public: true,
			Options: []OptionDecl{
				{Name: "topic", Aliases: []string{"主题"}, Kind: KindText, Position: 1, Max: maxTopic, Field: "topic"},
				{Name: "provider", Aliases: []string{"平台", "会议平台"}, Kind: KindChoice},
				{Name: accountOption, Aliases: []string{"账号", "帐号"}, Kind: KindAccount, Max: maxAccount},
				{Name: "live", Aliases: []string{"直播"}, Kind: KindBool, Field: "live"},
				{Name: "duration", Aliases: []string{"时长"}, Kind: KindInt, Min: 1, Max: maxMinutes, Unit: "minutes", Field: "duration"},
				{Name: "record", Aliases: []string{"recording", "录制"}, Kind: KindChoice, Choices: choices(string(meeting.RecordingCloud), string(meeting.RecordingNone)), Field: "recording"},
				{Name: "host", Aliases: []string{"主持人"}, Kind: KindUser, List: true},
				{Name: "mute", Aliases: []string{"静音"}, Kind: KindBool, Field: "mute"},
				{Name: "join-before-host", Aliases: []string{"jbh", "提前入会"}, Kind: KindBool, Field: "join_before_host"},
				{Name: "waiting-room", Aliases: []string{"等候室"}, Kind: KindBool, Field: "waiting_room"},
				{Name: "capacity", Aliases: []string{"人数", "方数"}, Kind: KindInt, Min: 1, Max: maxCapacity, Unit: "people", Field: "capacity"},
				{Name: "host-video", Aliases: []string{"主持人视频"}, Kind: KindBool, Field: "host_video"},
				{Name: "participants-video", Aliases: []string{"参会者视频"}, Kind: KindBool, Field: "participants_video"},
				{Name: "pmi", Aliases: []string{"个人会议号"}, Kind: KindBool, Field: "pmi"},
				{Name: "host-name", Aliases: []string{"主持人名称"}, Kind: KindText, Max: maxName, Field: "host_name"},
				{Name: "passcode", Aliases: []string{"密码", "入会密码", "会议密码"}, Kind: KindText, Max: maxPasscode, Field: "passcode"},
			},
		},
		{
			Verb: VerbMeetForm, Command: commandMeet, Name: "form", Aliases: []string{"表单"},
			Button: "meet", Opens: formMeet, Right: chat.RightMeet,
		},
		{
			Verb: VerbMeetList, Command: commandMeet, Name: "list", Aliases: []string{"列表", "会议列表"},
			Typed: typedMeetings, TypedSub: "list", Button: "list", Right: chat.RightMeet,
		},
		{
			Verb: VerbMeetEnd, Command: commandMeet, Name: "end", Aliases: []string{"结束", "结束会议"},
			Typed: typedMeetings, TypedSub: "end", Button: "end", Takes: TakesMeeting, Right: chat.RightMeet, Options: []OptionDecl{meetingAt(1)},
		},
		{
			Verb: VerbMeetShare, Command: commandMeet, Name: "share", Aliases: []string{"分享", "分享会议"},
			Typed: typedMeetings, TypedSub: "share", Button: "share", Takes: TakesMeeting,
			Right: chat.RightMeet, Public: true, Options: []OptionDecl{meetingAt(1)},
		},
		{
			Verb: VerbSettings, Command: commandMeet, Name: "settings", Aliases: []string{"设置"},
			Typed: typedMeetings, TypedSub: "settings", Form: formSettings, Right: chat.RightSettings, Options: settingOptions,
		},
		{Verb: VerbMeetHelp, Command: commandMeet, Name: "help", Aliases: []string{"?", "？", "帮助", "--help"}, Help: true},

		{
			Verb: VerbPush, Command: commandLivepush, Typed: commandLivepush, Form: formPush, Right: chat.RightPush,
			Options: []OptionDecl{
				meetingAt(1), name, url, key,
				{Name: "wechat", Aliases: []string{"视频号", "微信视频号"}, Kind: KindBool},
				standby, override,
			},
		},
		{
			Verb: VerbPushTo, Command: commandLivepush, Name: "to", Aliases: []string{"推到", "推送到", "推流到", "到"},
			Typed: commandLivepush, Form: formPush, Right: chat.RightPush,
			Options: []OptionDecl{
				{Name: "to", Kind: KindDest, List: true, Required: true, Position: 1},
				meetingAt(2), standby, override,
			},
		},
		{
			Verb: VerbPushOff, Command: commandLivepush, Name: "off", Aliases: []string{"stop", "cancel", "关闭", "停推", "停用", "停止", "取消", "停止推流", "取消推流"},
			Typed: commandLivepush, Button: "off", Takes: TakesAddress, Right: chat.RightPush,
			Options: []OptionDecl{
				{Name: "off", Kind: KindDest, List: true, Required: true, Position: 1},
				meetingAt(2),
			},
		},
		{
			Verb: VerbPushOn, Command: commandLivepush, Name: "on", Aliases: []string{"enable", "开启", "启用", "打开", "开启推流"},
			Typed: commandLivepush, Button: "on", Takes: TakesAddress, Right: chat.RightPush,
			Options: []OptionDecl{
				{Name: "on", Kind: KindDest, List: true, Required: true, Position: 1},
				meetingAt(2),
			},
		},
		{
			Verb: VerbPushStatus, Command: commandLivepush, Name: "status", Aliases: []string{"状态", "查看"},
			Typed: typedMeetings, TypedSub: "status", Button: "status", Takes: TakesMeeting, Right: chat.RightPush, Options: []OptionDecl{meetingAt(1)},
		},
		{
			Verb: VerbPushSave, Command: commandLivepush, Name: "save", Aliases: []string{"保存"},
			Typed: typedDestinations, TypedSub: "save", Form: formSave, Right: chat.RightPush,
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
			Typed: typedDestinations, TypedSub: "list", Button: "destinations", Right: chat.RightPush,
		},
		{
			Verb: VerbPushForget, Command: commandLivepush, Name: "forget", Aliases: []string{"delete", "remove", "删除"},
			Typed: typedDestinations, TypedSub: "forget", Right: chat.RightPush, Options: []OptionDecl{forget},
		},
		{
			Verb: VerbPushLog, Command: commandLivepush, Name: "log", Aliases: []string{"记录", "日志"},
			Typed: typedMeetings, TypedSub: "log", Button: "log", Takes: TakesMeeting, Right: chat.RightPush, Options: []OptionDecl{meetingAt(1)},
		},
		{
			Verb: VerbPushBoard, Command: commandLivepush, Name: "board", Aliases: []string{"看板", "推流看板", "直播看板"},
			Typed: typedMeetings, TypedSub: "board", Right: chat.RightPush, Public: true,
		},
		{
			Verb: VerbLiveStart, Command: commandLivepush, Name: "start", Aliases: []string{"go-live", "start-live", "开播", "开始直播", "开始推流"},
			Typed: typedMeetings, TypedSub: "start-live", Button: "startlive", Takes: TakesMeeting, Right: chat.RightPush, Options: []OptionDecl{meetingAt(1)}, Can: startsLive,
		},
		{
			Verb: VerbLiveStop, Command: commandLivepush, Name: "stop-live", Aliases: []string{"end-live", "停播", "下播", "结束直播", "停止直播"},
			Typed: typedMeetings, TypedSub: "stop-live", Button: "stoplive", Takes: TakesMeeting, Right: chat.RightPush, Options: []OptionDecl{meetingAt(1)}, Can: startsLive,
		},
		{Verb: VerbPushHelp, Command: commandLivepush, Name: "help", Aliases: []string{"?", "？", "帮助", "--help"}, Help: true},

		{Verb: VerbPushForm, Button: "push", Takes: TakesAnyMeeting, Opens: formPush, Right: chat.RightPush},
		{Verb: VerbSaveForm, Button: "save", Opens: formSave, Right: chat.RightPush},
		{Verb: VerbStartLink, Button: "start", Takes: TakesMeeting, Right: chat.RightMeet},
		{Verb: VerbQR, Button: "qr", Takes: TakesMeeting, Right: chat.RightMeet},
		{Verb: VerbCopy, Button: "copy", Takes: TakesMeeting, Right: chat.RightMeet},
		{Verb: VerbEndYes, Button: "endyes", Takes: TakesMeeting, Right: chat.RightMeet, Final: true},
		{Verb: VerbCreateAnyway, Button: "another", Takes: TakesJob, Right: chat.RightMeet, Public: true, Once: true},
		{Verb: VerbRunExpired, Button: "now", Takes: TakesJob, Right: chat.RightMeet, Once: true},
		{Verb: VerbRetry, Button: "again", Takes: TakesJob, Right: chat.RightMeet, Once: true},
		{Verb: VerbElsewhere, Button: "elsewhere", Takes: TakesJob, Right: chat.RightMeet, Public: true},
		{Verb: VerbApprove, Button: "approve", Takes: TakesJob, Right: chat.RightPush},
		{Verb: VerbReject, Button: "reject", Takes: TakesJob, Right: chat.RightPush},
		{Verb: VerbRevoke, Button: "revoke", Takes: TakesDestination, Right: chat.RightPush},
		{Verb: VerbRevokeYes, Button: "revokeyes", Takes: TakesDestination, Right: chat.RightPush, Final: true},
		{Verb: VerbForgetYes, Button: "forgetyes", Takes: TakesDestination, Right: chat.RightPush, Final: true},
		{Verb: VerbKeep, Button: "keep", Help: true},
		{Verb: VerbSameDest, Button: "samedest", Takes: TakesMeeting, Right: chat.RightPush, Public: true, Once: true},
		{Verb: VerbAskHost, Button: "askhost", Takes: TakesJob, Right: chat.RightMeet},
		{Verb: VerbLiveStartYes, Button: "golive", Takes: TakesMeeting, Right: chat.RightPush},
		{Verb: VerbLiveStopYes, Button: "unlive", Takes: TakesMeeting, Right: chat.RightPush},
		{Verb: VerbSettingsForm, Button: "settings", Opens: formSettings, Right: chat.RightSettings},
		{Verb: VerbBoardCopy, Button: "copyboard", Right: chat.RightPush},

		{Verb: VerbCards, Internal: true},
		{Verb: VerbBoards, Internal: true},
		{Verb: VerbEvent, Internal: true},
		{Verb: VerbRemind, Internal: true},
		{Verb: VerbReport, Internal: true},
		{Verb: VerbUnseen, Internal: true},
		{Verb: VerbApproval, Internal: true},
	}
}()

// commandDeclarations are those that people ask by a command.
var commandDeclarations = slices.DeleteFunc(slices.Clone(declarations), func(d VerbDecl) bool { return d.Command == "" })

// Declarations returns everything that people can ask by a command: first the verbs of
// "meet", then those of "livepush". With the providers that there are it has the choices
// between them, and their own names for options; with the kinds of accounts ([meeting.Kinds.Kind])
// the option to choose one. Callers do not change what it refers to.
//
// Several verbs can share a flat typed command; [TypedDeclarations] has them merged.
func Declarations(providers ...meeting.Kind) []VerbDecl {
	all := slices.Clone(commandDeclarations)
	kinds := slices.DeleteFunc(slices.Clone(providers), func(k meeting.Kind) bool { return k.ID.Account() != "" })
	for i := range all {
		if len(kinds) == len(providers) { // nothing to choose
			all[i].Options = slices.DeleteFunc(slices.Clone(all[i].Options), func(o OptionDecl) bool { return o.Kind == KindAccount })
		}
	}
	if providers = kinds; len(providers) == 0 {
		return all
	}
	all = slices.DeleteFunc(all, func(d VerbDecl) bool {
		return d.Can != nil && !slices.ContainsFunc(providers, func(k meeting.Kind) bool { return d.Can(k.Can) })
	})
	for i := range all {
		if v := all[i].Verb; v == VerbMeet || v == VerbSettings {
			all[i].Options = ofProviders(all[i].Options, providers)
		}
	}
	return all
}

// ofProviders returns options with what depends on the providers, without those that none has.
func ofProviders(options []OptionDecl, providers meeting.Kinds) []OptionDecl {
	options = slices.DeleteFunc(slices.Clone(options), func(o OptionDecl) bool {
		return o.Field != "" && !slices.ContainsFunc(providers, func(k meeting.Kind) bool { return k.Parameters[o.Field] != "" })
	})
	taken := map[string]bool{}
	for _, o := range options {
		for _, name := range append([]string{o.Name}, o.Aliases...) {
			taken[name] = true
		}
	}
	for i := range options {
		o := &options[i]
		o.Providers, o.Aliases = providers, slices.Clone(o.Aliases)
		for _, k := range providers {
			if o.Name == "provider" {
				o.Choices = append(o.Choices, chat.Choice{Value: string(k.ID)})
			}
			param := k.Parameters[o.Field]
			if o.Field == "duration" && param != o.Field { // an end is no length
				continue
			}
			if name := strings.ReplaceAll(param, "_", "-"); name != "" && !taken[name] {
				taken[name] = true
				o.Aliases = append(o.Aliases, name)
			}
		}
	}
	return options
}

// Verbs returns every verb: [Declarations], what only buttons ask, and what the bot asks
// of itself. Callers do not change what it refers to.
func Verbs() []VerbDecl { return slices.Clone(declarations) }

// Declared returns the declaration of a verb. A verb that is not declared has no right, so
// nobody may ask it.
func Declared(v Verb) VerbDecl {
	d, _ := find(func(d *VerbDecl) bool { return d.Verb == v })
	return d
}

// find returns the first declaration that f accepts.
func find(f func(*VerbDecl) bool) (VerbDecl, bool) {
	for i := range declarations {
		if f(&declarations[i]) {
			return declarations[i], true
		}
	}
	return VerbDecl{}, false
}

// byButton returns what the button with that name asks.
func byButton(name string) (VerbDecl, bool) {
	return find(func(d *VerbDecl) bool { return d.Button == name && name != "" })
}

// byForm returns what a form asks. Where several verbs share it, that is the first one.
func byForm(id string) (VerbDecl, bool) {
	return find(func(d *VerbDecl) bool { return d.Form == id && id != "" })
}

// Asked returns the declaration of what a decision asks for, also of what the form that
// it opens will ask for. It has none if the decision is an answer.
func Asked(d chat.Decision) (VerbDecl, bool) {
	switch ask := AskOf(d); {
	case ask != nil:
		return Declared(ask.Verb), true
	case d.Form != nil:
		v, _ := byForm(d.Form.ID)
		return v, true
	}
	return VerbDecl{}, false
}

// Completed returns the option of the command in r whose values are proposed while it is
// typed, and the verb that has it.
func Completed(r chat.Request, name string) (VerbDecl, OptionDecl, bool) {
	for _, v := range commandDeclarations {
		if v.Command != r.Command && (v.Typed != r.Command || v.TypedSub != r.Verb) {
			continue
		}
		if i := slices.IndexFunc(v.Options, func(o OptionDecl) bool {
			return o.Name == name && (o.Kind == KindMeeting || o.Kind == KindDest || o.Kind == KindAccount)
		}); i >= 0 {
			return v, v.Options[i], true
		}
	}
	return VerbDecl{}, OptionDecl{}, false
}

// Press is what a button does that asks a verb.
func Press(v Verb, arg string) chat.Action { return chat.Action{Name: Declared(v).Button, Arg: arg} }

// Final reports whether what a button does cannot be undone. It stands beneath a question, or
// its platform asks first: see [chat.Confirm].
func Final(a chat.Action) bool {
	d, _ := byButton(a.Name)
	return d.Final
}

// Once reports whether one person's clicks on a button are one wish: see [VerbDecl.Once].
func Once(a chat.Action) bool {
	d, _ := byButton(a.Name)
	return d.Once
}

// Line is the verb as people type it, without the slash: "livepush to".
func (d VerbDecl) Line() string { return strings.TrimSpace(d.Command + " " + d.Name) }

// isVerb reports whether people type s for a verb, for "in" or for "all": no destination can
// be called that.
func isVerb(s string) bool {
	if isIn(s) || isAll(s) {
		return true
	}
	for _, d := range commandDeclarations {
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

// isAll reports whether people type s for everything that is set at a meeting.
func isAll(s string) bool {
	switch strings.ToLower(s) {
	case "all", "everything", "全部", "所有", "全关", "全停":
		return true
	}
	return false
}

func isIn(s string) bool { return strings.EqualFold(s, "in") || s == "在" || s == "于" }

// TextID is the verb as the IDs of texts have it.
func (v Verb) TextID() string { return strings.ReplaceAll(string(v), " ", "_") }

// Describe returns the one-line description of the verb.
func (d VerbDecl) Describe(t texts.Text) string { return t.T("verb." + d.Verb.TextID()) }
