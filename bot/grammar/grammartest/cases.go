// Package commandstest has what the command layer's tests and its adapters' tests share:
// one table of wishes, each written as a line, as typed options and as a form, with the
// one [grammar.Ask] that all of them are.
package grammartest

import (
	"time"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// Case is one wish. A way of writing that cannot say it is empty.
type Case struct {
	Name    string
	Command string // declared: "meet" or "livepush"
	// Line is what stands behind the command; HasLine tells an empty one from none.
	Line    string
	HasLine bool
	Typed   *Typed
	Form    *chat.Submission
	// Want is what a line and typed options ask. A form asks the same, but
	// [grammar.Ask.KeyTyped] is never set: it said beforehand who sees the key.
	Want grammar.Ask
}

// Typed is a command with typed options, as [chat.Request] has them.
type Typed struct {
	Command, Verb string
	Options       map[string]string
}

// Requests returns the case's requests, by the way it is written: "line", "typed", "form".
func (c Case) Requests(base chat.Request) map[string]chat.Request {
	all := map[string]chat.Request{}
	if c.HasLine {
		r := base
		r.Command, r.Text = c.Command, c.Line
		all["line"] = r
	}
	if c.Typed != nil {
		r := base
		r.Command, r.Verb, r.Options = c.Typed.Command, c.Typed.Verb, c.Typed.Options
		all["typed"] = r
	}
	if c.Form != nil {
		r := base
		r.Form = c.Form
		all["form"] = r
	}
	return all
}

// WantOf is Want for one of the ways that [Case.Requests] names.
func (c Case) WantOf(way string) grammar.Ask {
	want := c.Want
	if way == "form" {
		want.KeyTyped = false
	}
	return want
}

// Config is the parser's configuration that the cases are for.
func Config() grammar.Config {
	return grammar.Config{Platforms: chattest.Kinds(), Kinds: meeting.Kinds{systec.Kind, tencent.Kind, zoom.Kind}, Providers: []meeting.Provider{"systec", "tencent", "zoom"}, Default: "systec"}
}

// Canary is the stream key in the cases: it may appear nowhere but in an Ask.
const Canary = "canary-5f3a?a=b&c=d"

// person is somebody's ID, and how a mention of them arrives in a line.
func person(p chat.Platform) (id, mention string) {
	switch p {
	case chattest.Slack:
		return "U042ANN", "<@U042ANN|ann>"
	case chattest.Discord:
		return "4200000000000042", "<@!4200000000000042>"
	}
	return "ann", "@ann"
}

// Cases returns the table as people on the given platform write it.
func Cases(p chat.Platform) []Case {
	yes, no := true, false
	ann, annMentioned := person(p)
	key := secret.New(Canary)
	bili := meeting.PushTarget{
		Name: "B站", Platform: meeting.PushThirdParty, URL: "rtmp://live-push.bilivideo.com/live-bvc/", Enabled: true,
		Key: secret.New("?streamname=live_1_2&key=k"),
	}
	own := meeting.PushTarget{Name: "own", Platform: meeting.PushThirdParty, URL: "rtmp://live.example.com/app", Key: key, Enabled: true}
	wechat := meeting.PushTarget{Name: "视频号", Platform: meeting.PushWeChat, URL: "rtmp://1.livepush.myqcloud.com/trtc_1/", Key: key, Enabled: true}

	meet := func(options map[string]string) *Typed { return &Typed{"meet", "", options} }
	push := func(options map[string]string) *Typed { return &Typed{"livepush", "", options} }
	meetings := func(verb string, options map[string]string) *Typed { return &Typed{"meetings", verb, options} }
	destinations := func(verb string, options map[string]string) *Typed {
		return &Typed{"destinations", verb, options}
	}
	form := func(id string, fields map[string]string) *chat.Submission {
		return &chat.Submission{Form: id, Fields: fields}
	}
	type options = map[string]string

	return []Case{
		{
			Name: "a meeting without a word", Command: "meet", HasLine: true, Typed: meet(nil), Form: form("meet", nil),
			Want: grammar.Ask{Verb: grammar.VerbMeet},
		},
		{
			Name: "a Chinese topic", Command: "meet", HasLine: true, Line: "项目周会",
			Typed: meet(options{"topic": "项目周会"}), Form: form("meet", options{"topic": "项目周会"}),
			Want: grammar.Ask{Verb: grammar.VerbMeet, Meet: meeting.Instant{Topic: "项目周会"}},
		},
		{
			Name: "a topic with an emoji, marks and blanks", Command: "meet", HasLine: true, Line: "Launch 🚀 —  don't panic!",
			Typed: meet(options{"topic": "Launch 🚀 — don't panic!"}), Form: form("meet", options{"topic": " Launch 🚀 — don't panic! "}),
			Want: grammar.Ask{Verb: grammar.VerbMeet, Meet: meeting.Instant{Topic: "Launch 🚀 — don't panic!"}},
		},
		{
			Name: "every option that SYSTEC has", Command: "meet", HasLine: true,
			Line:  "Board --provider systec --capacity 50 --duration 90 --join-before-host --mute --host-video --participants-video=false --pmi --record cloud --live --no-waiting-room --host-name 'Ann B' --host " + annMentioned,
			Typed: meet(options{"topic": "Board", "provider": "systec", "capacity": "50", "duration": "90", "join-before-host": "true", "mute": "true", "host-video": "true", "participants-video": "false", "pmi": "true", "record": "cloud", "live": "true", "waiting-room": "false", "host-name": "Ann B", "host": ann}),
			Form:  form("meet", options{"topic": "Board", "provider": "systec", "capacity": "50", "duration": "90", "join-before-host": "true", "mute": "true", "host-video": "true", "participants-video": "false", "pmi": "true", "record": "cloud", "live": "true", "waiting-room": "false", "host-name": "Ann B", "host": ann}),
			Want: grammar.Ask{Verb: grammar.VerbMeet, Provider: "systec", Hosts: []string{ann}, Meet: meeting.Instant{
				Topic: "Board", Capacity: 50, Duration: 90 * time.Minute, JoinBeforeHost: &yes, Mute: &yes, HostVideo: &yes,
				ParticipantsVideo: &no, PMI: &yes, Recording: meeting.RecordingCloud, Live: &yes, WaitingRoom: &no, HostName: "Ann B",
			}},
		},
		{
			Name: "a short meeting of Tencent", Command: "meet", HasLine: true, Line: "周会 ——provider＝tencent －－duration：15 —live",
			Typed: meet(options{"topic": "周会", "provider": "tencent", "duration": "15", "live": "true"}),
			Form:  form("meet", options{"topic": "周会", "provider": "tencent", "duration": "15", "live": "true"}),
			Want: grammar.Ask{Verb: grammar.VerbMeet, Provider: "tencent", Meet: meeting.Instant{
				Topic: "周会", Duration: 15 * time.Minute, Live: &yes,
			}},
		},
		{
			Name: "the meetings here", Command: "meet", HasLine: true, Line: "list", Typed: meetings("list", nil),
			Want: grammar.Ask{Verb: grammar.VerbMeetList},
		},
		{
			Name: "the end of a meeting", Command: "meet", HasLine: true, Line: "end 806 146 667", Typed: meetings("end", options{"meeting": "806 146 667"}),
			Want: grammar.Ask{Verb: grammar.VerbMeetEnd, Meeting: "806 146 667"},
		},
		{
			Name: "the end of the meeting here", Command: "meet", HasLine: true, Line: "结束", Typed: meetings("end", nil),
			Want: grammar.Ask{Verb: grammar.VerbMeetEnd},
		},
		{
			Name: "a meeting shared by its link", Command: "meet", HasLine: true, Line: "share https://meeting.tencent.com/dm/a3YWqvkC96R5",
			Typed: meetings("share", options{"meeting": "https://meeting.tencent.com/dm/a3YWqvkC96R5"}),
			Want:  grammar.Ask{Verb: grammar.VerbMeetShare, Meeting: "https://meeting.tencent.com/dm/a3YWqvkC96R5"},
		},
		{
			Name: "an address and its key", Command: "livepush", HasLine: true, Line: "806-146-667 --name own --url rtmp://live.example.com/app --key " + Canary,
			Typed: push(options{"meeting": "806-146-667", "name": "own", "url": "rtmp://live.example.com/app", "key": Canary}),
			Form:  form("push", options{"meeting": "806-146-667", "platform": "other", "name": "own", "url": "rtmp://live.example.com/app", "key": Canary}),
			Want:  grammar.Ask{Verb: grammar.VerbPush, Meeting: "806-146-667", Push: own, KeyTyped: true},
		},
		{
			Name: "one address with the key in it", Command: "livepush", HasLine: true,
			Line:  "--name B站 --url rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&key=k",
			Typed: push(options{"name": "B站", "url": "rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&key=k"}),
			Form:  form("push", options{"name": "B站", "url": "rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&key=k"}),
			Want:  grammar.Ask{Verb: grammar.VerbPush, Push: bili, Split: true, KeyTyped: true},
		},
		{
			Name: "an address of WeChat Channels", Command: "livepush", HasLine: true, Line: "--wechat --name 视频号 --url rtmp：／／1.livepush.myqcloud.com／trtc_1／ --key " + Canary,
			Typed: push(options{"wechat": "true", "name": "视频号", "url": "rtmp://1.livepush.myqcloud.com/trtc_1/", "key": Canary}),
			Form:  form("push", options{"platform": "wechat", "name": "视频号", "url": "rtmp://1.livepush.myqcloud.com/trtc_1/", "key": Canary}),
			Want:  grammar.Ask{Verb: grammar.VerbPush, Push: wechat, KeyTyped: true},
		},
		{
			Name: "saved destinations", Command: "livepush", HasLine: true, Line: "to bili、抖音 in 806146667",
			Typed: push(options{"to": "bili, 抖音", "meeting": "806146667"}),
			Form:  form("push", options{"to": "bili，抖音", "meeting": "806146667"}),
			Want:  grammar.Ask{Verb: grammar.VerbPushTo, Names: []string{"bili", "抖音"}, Meeting: "806146667"},
		},
		{
			Name: "a destination switched off", Command: "livepush", HasLine: true, Line: "off bili", Typed: push(options{"off": "bili"}),
			Want: grammar.Ask{Verb: grammar.VerbPushOff, Names: []string{"bili"}},
		},
		{
			Name: "a destination set on stand-by", Command: "livepush", HasLine: true, Line: "to bili --待开启", Typed: push(options{"to": "bili", "standby": "true"}),
			Form: form("push", options{"to": "bili", "standby": "true"}),
			Want: grammar.Ask{Verb: grammar.VerbPushTo, Names: []string{"bili"}, Standby: true},
		},
		{
			Name: "destinations switched on", Command: "livepush", HasLine: true, Line: "开启 bili、抖音 在 806146667", Typed: push(options{"on": "bili, 抖音", "meeting": "806146667"}),
			Want: grammar.Ask{Verb: grammar.VerbPushOn, Names: []string{"bili", "抖音"}, Meeting: "806146667"},
		},
		{
			Name: "everything switched on", Command: "livepush", HasLine: true, Line: "on all", Typed: push(options{"on": "all"}),
			Want: grammar.Ask{Verb: grammar.VerbPushOn, All: true},
		},
		{
			Name: "a live started", Command: "livepush", HasLine: true, Line: "start 81238456071", Typed: meetings("start-live", options{"meeting": "81238456071"}),
			Want: grammar.Ask{Verb: grammar.VerbLiveStart, Meeting: "81238456071"},
		},
		{
			Name: "a live stopped", Command: "livepush", HasLine: true, Line: "停播", Typed: meetings("stop-live", nil),
			Want: grammar.Ask{Verb: grammar.VerbLiveStop},
		},
		{
			Name: "the push status of a meeting by its ID", Command: "livepush", HasLine: true, Line: "status 7567173273889276131",
			Typed: meetings("status", options{"meeting": "7567173273889276131"}),
			Want:  grammar.Ask{Verb: grammar.VerbPushStatus, Meeting: "7567173273889276131"},
		},
		{
			Name: "the log of the meeting here", Command: "livepush", HasLine: true, Line: "log", Typed: meetings("log", nil),
			Want: grammar.Ask{Verb: grammar.VerbPushLog},
		},
		{
			Name: "a destination saved", Command: "livepush", HasLine: true, Line: "save bili --preset b站 --key " + Canary + " --page https://live.bilibili.com/1 --protected --people " + annMentioned,
			Typed: destinations("save", options{"name": "bili", "preset": "bilibili", "key": Canary, "page": "https://live.bilibili.com/1", "protected": "true", "people": ann}),
			Want: grammar.Ask{Verb: grammar.VerbPushSave, Preset: "bilibili", Page: "https://live.bilibili.com/1", Protected: true, People: []string{ann}, KeyTyped: true,
				Push: meeting.PushTarget{Name: "bili", Platform: meeting.PushThirdParty, URL: "rtmp://live-push.bilivideo.com/live-bvc/", Key: key, Enabled: true}},
		},
		{
			Name: "a set of destinations saved", Command: "livepush", HasLine: true, Line: "save 周五秀 --members bili,抖音",
			Typed: destinations("save", options{"name": "周五秀", "members": "bili,抖音"}),
			Want:  grammar.Ask{Verb: grammar.VerbPushSave, Names: []string{"bili", "抖音"}, Push: meeting.PushTarget{Name: "周五秀"}},
		},
		{
			Name: "the saved destinations listed", Command: "livepush", HasLine: true, Line: "destinations", Typed: destinations("list", nil),
			Want: grammar.Ask{Verb: grammar.VerbPushDestinations},
		},
		{
			Name: "a destination forgotten", Command: "livepush", HasLine: true, Line: "forget bili", Typed: destinations("forget", options{"name": "bili"}),
			Want: grammar.Ask{Verb: grammar.VerbPushForget, Names: []string{"bili"}},
		},
	}
}
