package grammar

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/texts"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// canary is a stream key that no answer may have in it.
const canary = "canary-7c1e?sign=s3cr3t&x=1"

func both() *Parser {
	return New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Platforms: chattest.Kinds(), Providers: []meeting.Provider{"systec", "tencent"}, Default: "systec"})
}

func line(command, text string) chat.Request {
	return chat.Request{Command: command, Text: text, Place: chat.Place{Platform: chattest.Slack, Team: "T1", Channel: "C1"}, User: chat.User{ID: "U1"}}
}

func TestTopics(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"Weekly sync":                           "Weekly sync",
		"  Weekly\u3000 sync ":                  "Weekly sync",
		`"Weekly sync"`:                         "Weekly sync",
		"“周会”":                                  "周会",
		"“双十一”复盘":                               "“双十一”复盘",
		`Review of "Design Patterns"`:           `Review of "Design Patterns"`,
		`"a" and "b"`:                           `"a" and "b"`,
		"rock 'n' roll":                         "rock 'n' roll",
		"Sync — part 2":                         "Sync — part 2",
		"Sync -- part 2":                        "Sync -- part 2",
		"Sync —part 2":                          "Sync —part 2",
		"项目复盘 ——第二期":                            "项目复盘 ——第二期",
		"-5 degrees":                            "-5 degrees",
		`"--mute" explained`:                    `"--mute" explained`,
		"help desk sync":                        "help desk sync",
		"end of sprint":                         "end of sprint",
		"end 2026":                              "end 2026",
		"share 806146667 with Bob":              "share 806146667 with Bob",
		"list of risks":                         "list of risks",
		"list --live":                           "list",
		`"list"`:                                "list",
		"“结束”":                                  "结束",
		"列表整理":                                  "列表整理",
		"结束语":                                   "结束语",
		"form follows function":                 "form follows function",
		"a &lt;b&gt; &amp; c":                   "a <b> & c",
		"see <https://a.example|a.example>":     "see a.example",
		"about <#C9|general> :tada:":            "about #general :tada:",
		"with <@U2|bob> and <@U3>":              "with bob and @U3",
		"<!channel> now":                        "@channel now",
		"a\u202eb\u200bc\x07":                   "abc",
		"👩‍💻 pairing":                           "👩‍💻 pairing",
		"--topic 'Board meeting'":               "Board meeting",
		"why --live is not what --mute is":      "why is not what is",
		strings.Repeat("会", maxTopic):           strings.Repeat("会", maxTopic),
		"Ready? Set; go! 50% of $100 (or €) #1": "Ready? Set; go! 50% of $100 (or €) #1",
	} {
		t.Run(text, func(t *testing.T) {
			d := both().Parse(line("meet", text))
			require.NotNil(t, d.Ask, "%+v", d.Reply)
			assert.Equal(t, VerbMeet, AskOf(d).Verb)
			assert.Equal(t, want, AskOf(d).Meet.Topic)
			assert.True(t, d.Public)
		})
	}
}

func TestMentionedPeopleAreKnown(t *testing.T) {
	d := both().Parse(line("meet", "1:1 <@U2|bob> <@U3> <@U2|bob> --host <@U4|eve>,<@U5|dan> --host <@U4>"))
	require.NotNil(t, d.Ask)
	assert.Equal(t, "1:1 bob @U3 bob", AskOf(d).Meet.Topic)
	assert.Equal(t, []chat.User{{ID: "U2", Name: "bob"}, {ID: "U3"}}, AskOf(d).Mentions)
	assert.Equal(t, []string{"U4", "U5"}, AskOf(d).Hosts)
}

func TestAnEmptyCommandAboutAMessageTakesItsText(t *testing.T) {
	r := line("meet", "")
	r.About = "Prod is *down* since <https://x.example|9:40>, see <#C1|ops>\n" + strings.Repeat("事", 4000)
	d := both().Parse(r)
	require.NotNil(t, d.Ask)
	topic := AskOf(d).Meet.Topic
	assert.True(t, strings.HasPrefix(topic, "Prod is *down* since 9:40, see #ops 事"), topic)
	assert.True(t, strings.HasSuffix(topic, "事…"))
	assert.Equal(t, maxTopic, utf8.RuneCountInString(topic))
	assert.Empty(t, AskOf(d).Mentions, "nobody is called by somebody else's message")

	r.Text = "Incident --live"
	assert.Equal(t, "Incident", AskOf(both().Parse(r)).Meet.Topic)
}

func TestEveryTopicFitsTencent(t *testing.T) {
	d := both().Parse(line("meet", strings.Repeat("🚀", maxTopic)))
	require.NotNil(t, d.Ask)
	assert.LessOrEqual(t, len(AskOf(d).Meet.Topic), 512)
	d = both().Parse(line("meet", strings.Repeat("a", 300)))
	require.NotNil(t, d.Reply)
	assert.Equal(t, "TOPIC: has 300 characters. Shorten it to 128.", d.Reply.Text)
}

func TestLivepushVerbs(t *testing.T) {
	ask := func(v Verb, meeting string, names ...string) Ask {
		return Ask{Verb: v, Meeting: meeting, Names: names}
	}
	for text, want := range map[string]Ask{
		"to bili":                      ask(VerbPushTo, "", "bili"),
		"TO bili douyin":               ask(VerbPushTo, "", "bili", "douyin"),
		"to bili, douyin,bili":         ask(VerbPushTo, "", "bili", "douyin"),
		"to “B 站”、抖音 in 806 146 667":   ask(VerbPushTo, "806 146 667", "B 站", "抖音"),
		`to "B 站","抖 音"`:               ask(VerbPushTo, "", "B 站", "抖 音"),
		"推到B站、抖音 在806146667":           ask(VerbPushTo, "806146667", "B站", "抖音"),
		"推到B站、抖音在806146667":            ask(VerbPushTo, "806146667", "B站", "抖音"),
		"推送到 周五秀 在 806146667":          ask(VerbPushTo, "806146667", "周五秀"),
		"to bili in systec:1591620888": ask(VerbPushTo, "systec:1591620888", "bili"),
		"to bili --override":           {Verb: VerbPushTo, Names: []string{"bili"}, Override: true},
		"off":                          ask(VerbPushOff, ""),
		"stop":                         ask(VerbPushOff, ""),
		"停止":                           ask(VerbPushOff, ""),
		"取消 B站":                        ask(VerbPushOff, "", "B站"),
		"停止推流":                         ask(VerbPushOff, ""),
		"off all":                      {Verb: VerbPushOff, All: true},
		"off ALL in 806146667":         {Verb: VerbPushOff, All: true, Meeting: "806146667"},
		"stop 全部":                      {Verb: VerbPushOff, All: true},
		"关闭全部":                         {Verb: VerbPushOff, All: true},
		"off bili in 806146667":        ask(VerbPushOff, "806146667", "bili"),
		"off bili 806 146 667":         ask(VerbPushOff, "806 146 667", "bili"),
		"停用 B站、抖音 806146667":           ask(VerbPushOff, "806146667", "B站", "抖音"),
		"to bili, 806146667":           ask(VerbPushTo, "", "bili", "806146667"),
		`to bili "806146667"`:          ask(VerbPushTo, "", "bili", "806146667"),
		"停推B站":                         ask(VerbPushOff, "", "B站"),
		"status":                       ask(VerbPushStatus, ""),
		"status in 806146667":          ask(VerbPushStatus, "806146667"),
		"状态 806146667":                 ask(VerbPushStatus, "806146667"),
		"status <https://meeting.tencent.com/dm/x|our show>": ask(VerbPushStatus, "https://meeting.tencent.com/dm/x"),
		"destinations":  ask(VerbPushDestinations, ""),
		"list":          ask(VerbPushDestinations, ""),
		"forget bili":   ask(VerbPushForget, "", "bili"),
		"删除 B站":         ask(VerbPushForget, "", "B站"),
		"log 806146667": ask(VerbPushLog, "806146667"),
	} {
		t.Run(text, func(t *testing.T) {
			d := both().Parse(line("livepush", text))
			require.NotNil(t, d.Ask, "%+v", d.Reply)
			assert.Equal(t, want, *AskOf(d))
			assert.False(t, d.Public)
		})
	}
}

// faultsOf returns field and text of everything that is wrong with a line.
func faultsOf(t *testing.T, d chat.Decision) map[string]string {
	t.Helper()
	require.NotNil(t, d.Reply, "%+v", d.Ask)
	assert.Equal(t, chat.Bad, d.Reply.Tone)
	m := map[string]string{}
	for _, f := range d.Reply.Fields {
		m[f.Name] = f.Value
	}
	if name, text, ok := strings.Cut(d.Reply.Text, ": "); ok { // one alone is one line
		m[name] = text
	}
	return m
}

func TestAllFaultsOfALineAreSaidAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name, command, text string
		want                []string // what they are called
		says                string
	}{
		{"UnknownOption", "meet", "x --frobnicate", []string{"--frobnicate"}, "unknown option"},
		{"Misspelt", "meet", "x --captcity 5", []string{"--captcity"}, "--capacity"},
		{"MisspeltDash", "meet", "x —liev", []string{"--liev"}, "--live"},
		{"MissingValue", "meet", "x --duration --live", []string{"--duration"}, "missing"},
		{"MissingLast", "meet", "x --capacity", []string{"--capacity"}, "missing"},
		{"NoNumber", "meet", "x --duration soon", []string{"--duration"}, "from 1 to 1440"},
		{"TooMuch", "meet", "x --capacity 99999", []string{"--capacity"}, "from 1 to 10000"},
		{"Negative", "meet", "x --capacity -1", []string{"--capacity"}, "from 1 to 10000"},
		{"ARange", "meet", "x --capacity 5-10", []string{"--capacity"}, "from 1 to 10000"},
		{"ARangeInFullWidth", "meet", "x --capacity ５－１０", []string{"--capacity"}, "from 1 to 10000"},
		{"NegativeWithAnEqualsSign", "meet", "x --capacity=–25", []string{"--capacity"}, "from 1 to 10000"},
		{"Overflow", "meet", "x --capacity 99999999999999999999", []string{"--capacity"}, "from 1 to 10000"},
		{"ShortForSystec", "meet", "x --provider systec --duration 30", []string{"--duration"}, "31"},
		{"Twice", "meet", "x --record cloud --record none", []string{"--record"}, "twice"},
		{"NoSwitch", "meet", "x --mute=perhaps", []string{"--mute"}, "true or false"},
		{"SystecOnly", "meet", "x --provider tencent --pmi --capacity 5 --host-video --participants-video --host-name A", []string{"--pmi", "--capacity", "--host-video", "--participants-video", "--host-name"}, "Only SYSTEC umeeting"},
		{"NobodyKnown", "meet", "x --host @bob", []string{"--host"}, "choose the person"},
		{"Several", "meet", "x --duration soon --record tape --provider zoom --foo", []string{"--duration", "--record", "--provider", "--foo"}, ""},
		{"InNothing", "livepush", "to bili in", []string{"MEETING"}, "missing after"},
		{"InNowhere", "livepush", "to bili in paris", []string{"MEETING"}, "recognise that meeting"},
		{"EndShortNumber", "meet", "end 806 146", []string{"MEETING"}, "recognise that meeting"},
		{"ForgetTwo", "livepush", "forget a,b", []string{"NAME"}, "only one name"},
		{"LongName", "livepush", "to abcdefghijk", []string{"NAME"}, "1 to 10"},
		{"StatusOfNothing", "livepush", "status of it", []string{"MEETING"}, "recognise that meeting"},
		{"VerbAsName", "livepush", "save to --url rtmp://live.example.com/app --key k", []string{"NAME"}, "command"},
		{"InAsName", "livepush", "save in", []string{"NAME"}, "command"},
		{"ChineseVerbAsName", "livepush", "save 状态", []string{"NAME"}, "command"},
		{"NameWithBlank", "livepush", "save B 站", []string{"NAME"}, "quotes"},
		{"MembersAndKey", "livepush", "save set --members a,b --key k", []string{"--key"}, "Remove it"},
		{"ListAndMore", "livepush", "destinations please", []string{"destinations"}, "alone"},
		{"NoVerb", "livepush", "stauts", []string{"stauts"}, "Did you mean status?"},
		{"NoMeeting", "livepush", "my show", []string{"MEETING"}, "--url"},
		{"BareAddress", "livepush", "rtmp://live.example.com/app/" + canary, []string{"--url"}, "put the address after --url"},
		{"BareEverything", "livepush", "806146667 rtmp://live.example.com/app " + canary, []string{"--url"}, "put the address after --url"},
		{"NoURL", "livepush", "--name x --key " + canary, []string{"--url"}, "missing"},
		{"HTTP", "livepush", "--name x --url https://live.example.com/app --key " + canary, []string{"--url"}, "rtmp://"},
		{"KeyWithBlank", "livepush", "--name x --url rtmp://live.example.com/app --key 'a " + canary + "'", []string{"--key"}, "space"},
		{"KeyIsAddress", "livepush", "--name x --url rtmp://live.example.com/app --key rtmp://live.example.com/app/" + canary, []string{"--key"}, "address"},
		{"Private", "livepush", "--url rtmp://192.168.1.2/app --key " + canary, []string{"--url"}, "this host is in a private network"},
		{"UserInfo", "livepush", "--url rtmp://u:" + canary + "@live.example.com/app --key k", []string{"--url"}, ""},
		{"Facebook", "livepush", "--url rtmp://live-api-s.facebook.com/rtmp/ --key " + canary, []string{"--url"}, "rtmps"},
		{"MisspeltKey", "livepush", "--kye " + canary, []string{"--kye"}, "--key"},
		{"KeyAsOption", "livepush", "--" + canary, []string{"--…"}, "unknown option"},
		{"ManyOfPush", "livepush", "nonsense --name abcdefghijklm --url rtmp://u@h:0/# --key 'a b'", []string{"--name", "--key", "MEETING", "--url"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := line(tt.command, tt.text)
			d := both().Parse(r)
			got := faultsOf(t, d)
			for _, name := range tt.want {
				assert.Contains(t, got, name)
			}
			assert.Len(t, got, len(tt.want), "%v", got)
			if tt.says != "" {
				assert.Contains(t, got[tt.want[0]], tt.says)
			}
			for _, locale := range texts.Locales {
				r.User.Locale = locale
				answer := fmt.Sprintf("%+v", both().Parse(r))
				assert.NotContains(t, answer, "canary")
				assert.NotContains(t, answer, "s3cr3t")
				assert.NotContains(t, answer, "parse.", "a text is missing")
				assert.NotContains(t, answer, "<no value>")
			}
		})
	}
}

func TestAProviderThatIsNotThereIsRefused(t *testing.T) {
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Providers: []meeting.Provider{"tencent"}, Default: "tencent"})
	got := faultsOf(t, p.Parse(line("meet", "x --provider systec")))
	assert.Contains(t, got["--provider"], "connected to SYSTEC umeeting")
	d := p.Parse(line("meet", "x --duration 5"))
	require.NotNil(t, d.Ask)
	assert.Equal(t, 5*time.Minute, AskOf(d).Meet.Duration)
	assert.Contains(t, faultsOf(t, p.Parse(line("meet", "x --pmi"))), "--pmi")
}

func TestEveryProviderWithAnOptionIsNamed(t *testing.T) {
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind, zoom.Kind}, Providers: []meeting.Provider{"systec", "tencent", "zoom"}, Default: "systec"})
	r := line("meet", "x --live --provider zoom")
	assert.Equal(t, "only SYSTEC umeeting, Tencent Meeting support this, and this meeting uses Zoom Meetings. Remove it, or use one of the providers systec, tencent.", faultsOf(t, p.Parse(r))["--live"])
	r.User.Locale = "zh-CN"
	assert.Contains(t, p.Parse(r).Reply.Text, "仅 SYSTEC umeeting、腾讯会议支持，而这场会议使用 Zoom 会议。请去掉，或把会议平台改为 systec、tencent 之一。")
}

func TestALiveThatNoProviderStartsIsNotSuggested(t *testing.T) {
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Providers: []meeting.Provider{"tencent"}, Default: "tencent"})
	for _, word := range []string{"start", "Start", "go-live", "开播", "stop-live", "结束直播"} {
		got := faultsOf(t, p.Parse(line("livepush", word)))
		assert.Contains(t, got[word], "The host can do it in the meeting client.", word)
	}
	assert.NotContains(t, fmt.Sprint(faultsOf(t, p.Parse(line("livepush", "strat")))), "start")
	assert.Contains(t, faultsOf(t, both().Parse(line("livepush", "stop-lvie")))["MEETING"], "recognise that meeting", "neither can both")
}

func TestDurationsAsPeopleWriteThem(t *testing.T) {
	for s, want := range map[string]int{"90": 90, "90m": 90, "1h30m": 90, "1h": 60, "90分钟": 90, "1小时30分钟": 90, "2个小时": 120, "９０": 90, "45min": 45, "1 hour": 60,
		"半小时": 30, "半个小时": 30, "1个半小时": 90, "1小时半": 90, "2个小时半": 150} {
		got, ok := minutes(s)
		assert.True(t, ok, s)
		assert.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "m", "1.5h", "-5", "soon", "90x", "9999999", "半", "个半小时", "1半小时半"} {
		_, ok := minutes(s)
		assert.False(t, ok, s)
	}
}

func TestAKeyInTheOpenIsRefused(t *testing.T) {
	for _, text := range []string{
		"--url rtmp://live.example.com/app --key " + canary,
		"--name x --url rtmp://live.example.com/app/" + canary,
		"rtmp://live.example.com/app/" + canary,
		"806146667 rtmp://live.example.com/app " + canary,
		"--name x --ulr rtmp://live.example.com/app/" + canary,
		"--ulr=rtmp://live.example.com/app/" + canary,
		"--kye=" + canary,
		"to bili --key " + canary,
		"save bili --key " + canary,
		"<rtmp://live.example.com/app/" + canary + "|x>",
	} {
		t.Run(text, func(t *testing.T) {
			r := line("livepush", text)
			r.InTheOpen = true
			d := both().Parse(r)
			require.NotNil(t, d.Reply)
			assert.Equal(t, "Everyone here can read that stream key", d.Reply.Title)
			assert.Contains(t, d.Reply.Text, "Delete your message")
			assert.Contains(t, d.Reply.Text, "new key")
			assert.NotContains(t, fmt.Sprintf("%+v", d), "canary")
		})
	}
	r := line("livepush", "to bili")
	r.InTheOpen = true
	assert.Equal(t, VerbPushTo, AskOf(both().Parse(r)).Verb)
	for text, button := range map[string]string{
		"": "push", "806146667": "push", "--name x --url rtmp://live.example.com/app": "push", "save bili": "save",
	} {
		r.Text = text
		d := both().Parse(r)
		require.NotNil(t, d.Reply, "there is nothing to open a form with")
		assert.NotEqual(t, chat.Bad, d.Reply.Tone)
		require.Len(t, d.Reply.Buttons, 1)
		assert.Equal(t, button, d.Reply.Buttons[0].Action.Name)
	}
}

func TestWhatOpensAForm(t *testing.T) {
	for text, form := range map[string]string{
		"": formPush, "806146667": formPush, "--name bili": formPush, "--name bili --url rtmp://live.example.com/app": formPush, "--wechat": formPush,
		"save": formSave, "save bili": formSave, "保存B站": formSave, "save bili --preset bilibili": formSave,
	} {
		t.Run(text, func(t *testing.T) {
			d := both().Parse(line("livepush", text))
			require.NotNil(t, d.Form, "%+v", d)
			assert.Equal(t, form, d.Form.ID)
			withPage := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, KeyPage: true})
			d = withPage.Parse(line("livepush", text))
			require.NotNil(t, d.Ask, "%+v", d)
			assert.True(t, AskOf(d).Push.Key.IsZero())
		})
	}
	d := both().Parse(line("meet", "form"))
	require.NotNil(t, d.Form)
	assert.Equal(t, formMeet, d.Form.ID)
}

func TestHelpAndUnknownCommands(t *testing.T) {
	for _, r := range []chat.Request{line("meet", "help"), line("meet", "帮助"), line("livepush", "help"), line("livepush", "?"), line("meet", "--help")} {
		d := both().Parse(r)
		require.NotNil(t, d.Reply)
		assert.Equal(t, chat.Neutral, d.Reply.Tone)
		assert.NotEmpty(t, d.Reply.Fields)
	}
	d := both().Parse(line("frobnicate", "x"))
	require.NotNil(t, d.Reply)
	assert.Equal(t, chat.Bad, d.Reply.Tone)
	assert.NotEmpty(t, d.Reply.Fields)
}

func TestCommandsAreKnownByTheirConfiguredNames(t *testing.T) {
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Platforms: chat.Kinds{{Name: chattest.Slack, Commands: map[string]string{"meet": "/livemeet", "livepush": "/push2"}}}})
	for _, name := range []string{"meet", "/livemeet", "livemeet", "LiveMeet", "／livemeet", "会议"} {
		assert.NotNil(t, p.Parse(line(name, "x")).Ask, name)
	}
	help := p.Parse(line("meet", "help")).Reply
	assert.Contains(t, fmt.Sprintf("%+v", help), "/livemeet")
	assert.NotContains(t, fmt.Sprintf("%+v", help), "/meet")
}

func TestButtons(t *testing.T) {
	for _, tt := range []struct {
		action chat.Action
		want   Ask
		public bool
	}{
		{chat.Action{Name: "start", Arg: "systec:1591620888"}, Ask{Verb: VerbStartLink, Arg: "systec:1591620888", Meeting: "systec:1591620888"}, false},
		{chat.Action{Name: "qr", Arg: "tencent:1"}, Ask{Verb: VerbQR, Arg: "tencent:1", Meeting: "tencent:1"}, false},
		{chat.Action{Name: "end", Arg: "tencent:1"}, Ask{Verb: VerbMeetEnd, Arg: "tencent:1", Meeting: "tencent:1"}, false},
		{chat.Action{Name: "endyes", Arg: "tencent:1"}, Ask{Verb: VerbEndYes, Arg: "tencent:1", Meeting: "tencent:1"}, false},
		{chat.Action{Name: "samedest", Arg: "tencent:1"}, Ask{Verb: VerbSameDest, Arg: "tencent:1", Meeting: "tencent:1"}, true},
		{chat.Action{Name: "another", Arg: "abc234"}, Ask{Verb: VerbCreateAnyway, Arg: "abc234"}, true},
		{chat.Action{Name: "approve", Arg: "abc234"}, Ask{Verb: VerbApprove, Arg: "abc234"}, false},
		{chat.Action{Name: "revoke", Arg: "abc-def.k1"}, Ask{Verb: VerbRevoke, Arg: "abc-def.k1"}, false},
		{chat.Action{Name: "forgetyes", Arg: "abc-def.k1"}, Ask{Verb: VerbForgetYes, Arg: "abc-def.k1"}, false},
	} {
		t.Run(tt.action.Name, func(t *testing.T) {
			d := both().Parse(chat.Request{Action: &tt.action})
			require.NotNil(t, d.Ask)
			assert.Equal(t, tt.want, *AskOf(d))
			assert.Equal(t, tt.public, d.Public)
		})
	}
	for _, a := range []chat.Action{
		{Name: "", Arg: ""}, {Name: "frob", Arg: "x"}, {Name: "qr", Arg: ""}, {Name: "qr", Arg: "zoom:1"}, {Name: "end", Arg: "x"}, {Name: "setkey", Arg: "x"}, {Name: "meet list", Arg: "x"}, {Name: "livepush", Arg: ""},
		{Name: "another", Arg: "a b"}, {Name: "another", Arg: strings.Repeat("x", 101)}, {Name: "approve", Arg: "\x00"}, {Name: "push", Arg: "nonsense"}, {Name: "approve", Arg: ""}, {Name: "another", Arg: ""},
	} {
		d := both().Parse(chat.Request{Action: &a})
		require.NotNil(t, d.Reply, "%v", a)
		assert.Equal(t, chat.Bad, d.Reply.Tone)
	}
	d := both().Parse(chat.Request{Action: &chat.Action{Name: "push", Arg: "tencent:7567173273889276131"}})
	require.NotNil(t, d.Form)
	assert.Equal(t, "tencent:7567173273889276131", d.Form.Arg)
	d = New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, KeyPage: true}).Parse(chat.Request{Action: &chat.Action{Name: "push", Arg: "tencent:7567173273889276131"}})
	require.NotNil(t, d.Ask)
	assert.Equal(t, VerbPush, AskOf(d).Verb)
	assert.Equal(t, "tencent:7567173273889276131", AskOf(d).Meeting)
	for _, name := range []string{formMeet, formSave} { // "open the form again"
		d = both().Parse(chat.Request{Action: &chat.Action{Name: name, Arg: ""}})
		require.NotNil(t, d.Form)
		assert.Equal(t, name, d.Form.ID)
	}
}

func TestFaultsOfFormsAreOnTheirFields(t *testing.T) {
	submit := func(form string, fields map[string]string) map[string]string {
		d := both().Parse(chat.Request{Form: &chat.Submission{Form: form, Fields: fields}, Place: chat.Place{Platform: chattest.Slack}})
		require.NotNil(t, d.Faults, "%+v", d)
		assert.NotContains(t, fmt.Sprintf("%+v", d), "canary")
		names := map[string]string{}
		for name := range d.Faults {
			names[name] = ""
		}
		return names
	}
	assert.Equal(t, map[string]string{"url": "", "key": ""}, submit(formPush, nil))
	assert.Equal(t, map[string]string{"meeting": "", "name": "", "url": ""}, submit(formPush, map[string]string{
		"meeting": "nowhere", "name": "far too long a name", "url": "http://x/" + canary, "key": canary,
	}))
	assert.Equal(t, map[string]string{"key": ""}, submit(formPush, map[string]string{"url": "rtmp://live.example.com/app"}))
	assert.Equal(t, map[string]string{"to": ""}, submit(formPush, map[string]string{"to": "bili", "url": "rtmp://live.example.com/app"}))
	assert.Equal(t, map[string]string{"name": "", "url": "", "key": ""}, submit(formSave, nil))
	assert.Equal(t, map[string]string{"name": ""}, submit(formSave, map[string]string{"name": "off", "preset": "youtube", "key": canary}))
	assert.Equal(t, map[string]string{"duration": "", "pmi": "", "host": ""}, submit(formMeet, map[string]string{
		"provider": "tencent", "duration": "x", "pmi": "true", "host": "bob",
	}))

	d := both().Parse(chat.Request{Form: &chat.Submission{Form: formPush, Arg: "tencent:1", Fields: map[string]string{"url": "rtmp://live.example.com/app", "key": canary}}})
	require.NotNil(t, d.Ask)
	assert.Equal(t, "tencent:1", AskOf(d).Meeting)
	assert.Empty(t, d.Request.Form.Fields)
	d = both().Parse(chat.Request{Form: &chat.Submission{Form: "frob"}})
	require.NotNil(t, d.Reply)
}

func TestTypedOptions(t *testing.T) {
	typed := func(command, verb string, options map[string]string) chat.Decision {
		return both().Parse(chat.Request{Command: command, Verb: verb, Options: options, Place: chat.Place{Platform: chattest.Discord}})
	}
	d := typed("livepush", "", map[string]string{})
	require.NotNil(t, d.Form)
	got := faultsOf(t, typed("livepush", "", map[string]string{"to": "bili", "url": "rtmp://live.example.com/app"}))
	assert.Contains(t, got, "url")
	got = faultsOf(t, typed("meet", "", map[string]string{"topic": "x", "duration": "20", "record": "tape", "provider": "systec"}))
	assert.Len(t, got, 2)
	d = typed("meet", "", map[string]string{"topic": "with <@42> at <#7> &lt;3", "host": "42"})
	require.NotNil(t, d.Ask)
	assert.Equal(t, "with @42 at #7 <3", AskOf(d).Meet.Topic)
	d = typed("meet", "", map[string]string{"topic": "list"})
	assert.Equal(t, VerbMeet, AskOf(d).Verb, "what is typed as a topic is one")
	d = typed("meet", "", map[string]string{"topic": "--mute --frob"})
	assert.Equal(t, "--mute --frob", AskOf(d).Meet.Topic)
	d = typed("destinations", "forget", map[string]string{})
	assert.Contains(t, faultsOf(t, d), "name")
	assert.NotNil(t, typed("meetings", "frob", nil).Reply)
	assert.NotNil(t, typed("meetings", "", nil).Reply)
}

func TestLongInputIsRefused(t *testing.T) {
	for _, r := range []chat.Request{
		line("meet", strings.Repeat("x ", maxLine/2+1)),
		{Command: "meet", Options: map[string]string{"topic": strings.Repeat("x", maxLine+1)}},
		{Form: &chat.Submission{Form: formMeet, Fields: map[string]string{"topic": strings.Repeat("x", maxLine+1)}}},
	} {
		d := both().Parse(r)
		require.NotNil(t, d.Reply)
		assert.Contains(t, d.Reply.Text, "64 KiB")
	}
	assert.Contains(t, faultsOf(t, both().Parse(line("meet", strings.Repeat("x", maxLine)))), "TOPIC")
}

// FuzzParse: nothing panics, exactly one decision is made, an accepted topic fits, and
// no answer has a key in it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "Weekly sync --live", "list", "end 806146667", "--host <@U1|a>", "to a、b in 806146667", "推到B站在806146667", "save x",
		"806146667 --name n --url rtmp://h.example/app --key k", "--no-mute=false", "—live＝是", `--name "a" --name b`, "off in in", "--key", "\xff--key=\x00",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	p := both()
	page := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, KeyPage: true, Sandbox: true, Locale: "zh-CN"})
	f.Fuzz(func(t *testing.T, text string, open bool) {
		for _, command := range []string{"meet", "livepush"} {
			for _, parser := range []*Parser{p, page} {
				r := line(command, text)
				r.InTheOpen = open
				check(t, parser.Parse(r))
				r.Text = text + " --key " + canary
				d := parser.Parse(r)
				check(t, d)
				if d.Reply != nil || d.Form != nil {
					require.NotContains(t, fmt.Sprintf("%+v%+v", d.Reply, d.Form), "canary")
				}
			}
		}
		for _, name := range []string{formMeet, formPush, formSave} {
			check(t, p.Parse(chat.Request{Form: &chat.Submission{Form: name, Fields: map[string]string{"name": text, "url": text, "key": text, "to": text, "host": text, "topic": text}}}))
		}
		if a, ok := chat.ParseAction(text); ok {
			check(t, p.Parse(chat.Request{Action: &a}))
		}
	})
}

func check(t *testing.T, d chat.Decision) {
	t.Helper()
	set := 0
	for _, is := range []bool{d.Form != nil, d.Reply != nil, d.Faults != nil, d.Ask != nil} {
		if is {
			set++
		}
	}
	require.Equal(t, 1, set, "%+v", d)
	if d.Ask == nil {
		return
	}
	require.LessOrEqual(t, len(AskOf(d).Meet.Topic), 512)
	require.Equal(t, strings.TrimSpace(AskOf(d).Meet.Topic), AskOf(d).Meet.Topic)
	require.LessOrEqual(t, len(AskOf(d).Names), maxList)
	if AskOf(d).Meeting != "" && AskOf(d).Arg == "" {
		_, ok := (meeting.Kinds{systec.Kind, tencent.Kind}).Read(AskOf(d).Meeting)
		require.True(t, ok, AskOf(d).Meeting)
	}
	require.False(t, d.Public && Declared(AskOf(d).Verb).Command == commandLivepush)
}

const typicalLine = "Quarterly launch show with <@U123ABC|ann> &amp; <@U456DEF|bob> --provider tencent --live --duration=90 --no-mute --record cloud --waiting-room --host <@U123ABC|ann>"

func BenchmarkParse(b *testing.B) {
	p := both()
	for _, bm := range []struct{ name, command, text string }{
		{"meet", "meet", typicalLine},
		{"chinese", "meet", "“双十一”直播 复盘会　——provider＝tencent —live －－duration：90 和大家一起讨论下一场"},
		{"livepush", "livepush", "806-146-667 --name B站 --url rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1_2&amp;key=0123456789abcdef&amp;schedule=rtmp"},
		{"to", "livepush", "to bili、抖音, kuaishou in 806 146 667"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			require.Less(b, len(bm.text), 200)
			r := line(bm.command, bm.text)
			require.NotNil(b, p.Parse(r).Ask)
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(r)
			}
		})
	}
}

// BenchmarkParseLong shows that the cost is in proportion to the length, also for the
// lines that are made to be slow.
func BenchmarkParseLong(b *testing.B) {
	p := both()
	for name, part := range map[string]string{
		"words": "word ", "quotes": `"a '“«「`, "quote": `" `, "apostrophes": "'a ", "markup": "<@", "links": "<http://a|b> ", "entities": "&amp;",
		"flags": "--liev ", "chinese": "会 议，", "invisible": "\u200b",
	} {
		for size := 4 << 10; size <= maxLine; size *= 4 {
			text := strings.Repeat(part, size/len(part))
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				r := line("meet", text)
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					p.Parse(r)
				}
			})
		}
	}
}

// The providers' own names for options are the options': people have their documents open.
func TestTheProvidersOwnNamesForOptions(t *testing.T) {
	p := New(Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind}, Default: "systec"})
	for _, line := range []string{
		"Board --option-jbh --meeting-capacity 50 --use-pmi --allow-live-streaming --mute-upon-entry=false",
		"Board --option_jbh=true --meeting_capacity=50 --use_pmi --allow_live_streaming --no-mute_upon_entry",
	} {
		d := p.Parse(chat.Request{Command: "meet", Text: line})
		require.NotNil(t, d.Ask, "%s: %+v", line, d.Reply)
		got := AskOf(d).Meet
		yes, no := true, false
		assert.Equal(t, meeting.Instant{Topic: "Board", JoinBeforeHost: &yes, Capacity: 50, PMI: &yes, Live: &yes, Mute: &no}, got, line)
	}
	d := p.Parse(chat.Request{Command: "meet", Text: "end #腾讯会议：806-146-667"})
	require.NotNil(t, d.Ask)
	assert.Equal(t, VerbMeetEnd, AskOf(d).Verb, "as the client copies it")
}
