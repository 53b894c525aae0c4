package console

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/goldentest"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/tencent"
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(t.Name(), "/", "_")+name+".golden.txt")
	goldentest.Check(t, path, got)
}

// numbers returns a function that numbers buttons from one.
func numbers() func(chat.Button) int {
	n := 0
	return func(chat.Button) int { n++; return n }
}

var (
	ada     = chat.User{ID: "you", Name: "Ada"}
	replies = map[string]map[string]struct {
		header header
		reply  chat.Reply
	}{
		"en": {
			"Root": {header{kind: everyone}, chat.Reply{
				Title: "Weekly sync",
				Fields: []chat.Field{
					{Name: "Requested by", User: &ada},
					{Name: "State", Value: "ready; SYSTEC deletes it at 14:32 CST unless somebody joins, and a value as long as this one goes on in the next line"},
					{Name: "Number", Value: "159 1620 888"},
				},
				Links: []chat.Link{{Label: "Join", URL: "http://127.0.0.1:40123/systec/j/1591620888?pwd=" + strings.Repeat("x", 60)}},
				Buttons: []chat.Button{
					{Label: "QR code", Action: chat.Action{Name: "qr"}},
					{Label: "Set up live push", Action: chat.Action{Name: "push"}},
					{Label: "The same meeting once more, with all of its destinations", Action: chat.Action{Name: "samedest"}},
					{Label: "End", Danger: true, Action: chat.Action{Name: "endyes"}},
				},
				Note: "SANDBOX: nothing here is real",
			}},
			"Thread": {header{kind: thread, follows: true}, chat.Reply{
				Text:     "Set destinations before anyone enters.\n\nDuring the meeting only the host may.",
				Links:    []chat.Link{{Label: "Join", URL: "http://127.0.0.1:40123/j/1"}, {Label: "Watch", URL: "http://127.0.0.1:40123/w/1"}},
				Fields:   []chat.Field{{Name: "Start", User: &ada}},
				Mentions: []chat.User{{ID: "u2", Name: "Bob"}, {ID: "u3"}},
				Buttons:  []chat.Button{{Label: "Start link"}},
			}},
			"Private": {header{kind: private}, chat.Reply{
				Tone: chat.Good, Title: "You can start Weekly sync", Text: "The link works until 16:02.",
				Secrets: []chat.SecretField{{Name: "Start link", Value: secret.New("http://127.0.0.1:40123/s/secret"), Link: true}, {Name: "Host key", Value: secret.New("123456")}},
				Note:    "SANDBOX: nothing here is real",
			}},
			"Refused": {header{kind: private}, chat.Reply{
				Tone: chat.Bad, Title: "Not done", Text: "“--durationn” is no option: --duration.\n\n--record: use cloud or none.",
			}},
			"Changed": {header{kind: changed}, chat.Reply{
				Tone: chat.Good, Title: "Weekly sync", Fields: []chat.Field{{Name: "State", Value: "running since 14:02"}},
				Links: []chat.Link{{Label: "Join", URL: "http://left.out"}},
			}},
			"Copy": {header{kind: private}, chat.Reply{
				Title: "To copy", Copy: "Weekly sync\n159 1620 888\nhttp://127.0.0.1:40123/w/1", Tone: chat.Warning,
			}},
			"Help": {header{kind: private}, grammar.New(grammar.Config{Kinds: meeting.Kinds{tencent.Kind}}).Help(grammar.Text(Kind(true), "en"), "livepush")},
			"QR":   {header{kind: private}, chat.Reply{QR: "http://127.0.0.1:40123/w/1", QRCaption: "Watch: Weekly sync"}},
			"Hostile": {header{kind: everyone}, chat.Reply{
				Title:   "\x1b]0;owned\x07\x1b[31mred\x1b[0m \x9b2Jclear \u202Eright to left\u2066 a\tb\rc\x00\x7f",
				Text:    "\x1b]52;c;ZXZpbA==\x1b\\clipboard \x1bPq#0;2;0;0;0\x1b\\sixel \x1b",
				Fields:  []chat.Field{{Name: "a\nb", Value: "\x1b[2A\x1b[1Gover it"}},
				Links:   []chat.Link{{Label: "\x1b[8mhidden", URL: "http://x/\x1b]8;;http://evil\x07y\n"}},
				Buttons: []chat.Button{{Label: "press\x1b[5m\nme"}},
				Copy:    "copy\x1b[7m me", Note: "\x1b[1mnote",
				Mentions: []chat.User{{Name: "M\x1b[31mallory"}},
				QR:       "",
			}},
		},
		"zh-CN": {
			"Root": {header{kind: everyone}, chat.Reply{
				Title: "周五晚间直播秀：第一季第十二期，嘉宾访谈与观众互动环节，欢迎大家准时参加并邀请朋友们一起来看，谢谢支持！",
				Fields: []chat.Field{
					{Name: "发起人", User: &chat.User{Name: "小明"}},
					{Name: "状态", Value: "就绪；如果 14:32 之前没有人入会，SYSTEC 会删除这个会议，到时候请重新发起一个新的会议，其它人的会议不受影响。"},
				},
				Links:   []chat.Link{{Label: "入会", URL: "http://127.0.0.1:40123/j/1"}, {Label: "观看链接", URL: "http://127.0.0.1:40123/w/1"}},
				Buttons: []chat.Button{{Label: "二维码"}, {Label: "设置直播推流"}, {Label: "结束会议", Danger: true}},
				Note:    "沙箱演示：会议和链接均为模拟",
			}},
			"Thread":  {header{kind: thread}, chat.Reply{Text: "请在任何人入会之前设置推流地址。", Fields: []chat.Field{{Name: "会议号", Value: "159 1620 888"}}}},
			"Private": {header{kind: private}, chat.Reply{Tone: chat.Good, Title: "可以开始“周会”了", Secrets: []chat.SecretField{{Name: "主持人密钥", Value: secret.New("123456")}}}},
			"Help":    {header{kind: private}, grammar.New(grammar.Config{Kinds: meeting.Kinds{tencent.Kind}}).Help(grammar.Text(Kind(true), "zh-CN"), "livepush")},
			"Changed": {header{kind: changed}, chat.Reply{Title: "周会", Fields: []chat.Field{{Name: "状态", Value: "14:02 起进行中"}}}},
		},
	}
)

func TestMessagesAreRendered(t *testing.T) {
	for locale, cases := range replies {
		for name, tt := range cases {
			t.Run(locale+"/"+name, func(t *testing.T) {
				v := view{header: tt.header, width: 80, brief: tt.header.kind == changed}
				text := grammar.Text(Kind(true), locale)
				v.number = numbers()
				got := style{}.message(text, v, tt.reply)
				golden(t, "", got)
				assert.NotContains(t, got, "\x1b")

				v.number = numbers()
				colored := style{color: true}.message(text, v, tt.reply)
				assert.Equal(t, got, escapes.ReplaceAllString(colored, ""), "colours change nothing else")
				for line := range strings.Lines(got) {
					if !strings.Contains(line, "http") {
						assert.LessOrEqual(t, width(line), 80, line)
					}
				}
			})
		}
	}
}

func TestColoredMessage(t *testing.T) {
	tt := replies["en"]["Private"]
	golden(t, "", style{color: true}.message(grammar.Text(Kind(true), "en"), view{header: tt.header, width: 80, number: numbers()}, tt.reply))
}

func TestGreetingAndForms(t *testing.T) {
	form := chat.Form{ID: "push", Title: "Set up live push", Intro: "Where is it to be pushed?", Fields: []chat.FormField{
		{Name: "name", Label: "Name", Hint: "1 to 10 characters", Required: true},
		{Name: "url", Label: "Address", Placeholder: "rtmp://…", Required: true},
		{Name: "key", Label: "Stream key", Kind: chat.MaskedField, Required: true},
		{Name: "wechat", Label: "WeChat Channels", Kind: chat.ChoiceField, Choices: []chat.Choice{{Label: "Yes", Value: "true"}, {Label: "No", Value: "false"}}},
	}}
	for _, locale := range texts.Locales {
		t.Run(locale, func(t *testing.T) {
			text := grammar.Text(Kind(true), locale)
			out := style{}.greeting(text, 80, Config{Sandbox: true, Push: "tencent"}) + style{}.formIntro(text, 80, form)
			for _, f := range form.Fields {
				out += style{}.field(text, 80, f, "")
			}
			out += style{}.field(text, 80, chat.FormField{Choices: []chat.Choice{{Label: "Bilibili"}, {Label: "抖音"}}}, "not that one")
			out += style{}.formOnOneLine(text, 80, form)
			golden(t, "", out)
		})
	}
}

func TestTheGreetingShowsOnlyWhatCanBeDone(t *testing.T) {
	got := style{}.greeting(grammar.Text(Kind(true), "en"), 40, Config{})
	assert.NotContains(t, got, "live")
	assert.NotContains(t, got, "SANDBOX")
	for line := range strings.Lines(got) {
		assert.LessOrEqual(t, width(strings.TrimRight(line, "\n")), 40)
	}
}

func TestPlainTextCannotSteerTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"as it is 周会 🎥":                   "as it is 周会 🎥",
		"two\nlines":                      "two\nlines",
		"\x1b[31mred\x1b[0m":              "red",
		"\x1b]8;;http://evil\x1b\\link":   "link",
		"\x1b]0;never ends":               "",
		"\u009b31mC1":                     "C1",
		"\u009d0;title\u009cC1":           "C1",
		"\x1b(0charset\x1bc":              "charset",
		"a\u202eb\u2067c\u200e":           "abc",
		"bell\a back\b cr\r del\x7f \xff": "bell back cr del ",
		"👩‍🚀 joins":                       "👩‍🚀 joins",
	} {
		assert.Equal(t, want, plain(in), "%q", in)
	}
}

func FuzzPlainTextCannotSteerTheTerminal(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m 周会")
	f.Add("\x1b]52;c;x\x1b\\")
	f.Add("\u202e\x9b2J")
	f.Fuzz(func(t *testing.T, in string) {
		got := plain(in)
		for _, r := range got {
			if r == '\n' {
				continue
			}
			require.False(t, r < ' ' || 0x7f <= r && r < 0xa0, "%q left of %q", r, in)
		}
		for _, l := range wrap(got, 20) {
			require.NotContains(t, l, "\n")
		}
		require.Equal(t, strings.Join(strings.Fields(got), ""), strings.Join(strings.Fields(strings.Join(wrap(got, 20), "")), ""), "wrapping loses nothing")
	})
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", []string{""}},
		{"one two three", []string{"one two", "three"}},
		{"http://a.very/long/url x", []string{"http://a.very/long/url", "x"}},
		{"一二三四五六", []string{"一二三四五", "六"}},
		{"一二三四五，六", []string{"一二三四", "五，六"}},
		{"在 Slack 里开会", []string{"在 Slack", "里开会"}},
		{"请用 `/a 名称`。", []string{"请用 `/a", "名称`。"}},
		{"一二三四名称`。", []string{"一二三四名", "称`。"}},
		{"请用一二三`/a`", []string{"请用一二三", "`/a`"}},
	} {
		assert.Equal(t, tt.want, wrap(tt.in, 10), tt.in)
	}
}

func TestANarrowWindowStacksALongTable(t *testing.T) {
	r := chat.Reply{Title: "/meet", Fields: []chat.Field{
		{Name: "/meet share [MEETING]", Value: "Post a meeting's card here too"},
		{Name: "--provider systec|tencent", Value: "Which service holds the meeting.\nLeft out: the usual one"},
	}, Links: []chat.Link{{Label: "Join", URL: "https://meeting.example.com/a/very/long/address/indeed"}}}
	text := style{}.message(texts.For("en"), view{width: 40, header: header{kind: private}}, r)
	assert.Contains(t, text, "┊ /meet share [MEETING]\n┊   Post a meeting's card here too\n")
	assert.Contains(t, text, "┊   Left out: the usual one\n")
	assert.Contains(t, text, "┊   https://meeting.example.com/a/very/long/address/indeed\n", "which has to stay one")
	for l := range strings.Lines(text) {
		if !strings.Contains(l, "https://") {
			assert.LessOrEqual(t, width(strings.TrimRight(l, "\n")), 40, l)
		}
	}
	card := chat.Reply{Title: "Weekly", Fields: []chat.Field{{Name: "Meeting number", Value: "393-260-354"}}}
	assert.Contains(t, style{}.message(texts.For("en"), view{width: 40}, card), "Meeting number  393-260-354", "a card has room")
}

func TestACodeIsBlackAndWhiteWithoutColoursToo(t *testing.T) {
	r := chat.Reply{QR: "https://x.example/1", QRCaption: "Scan it."}
	code := func(s style, width int) string { return s.message(texts.For("en"), view{width: width}, r) }
	assert.Contains(t, code(style{terminal: true}, 80), "\x1b[97;40m")
	assert.Contains(t, code(style{terminal: true, color: true}, 80), "\x1b[97;40m")
	assert.NotContains(t, code(style{}, 80), "\x1b")
	assert.Contains(t, code(style{}, 80), "Scan it.")
	assert.NotContains(t, code(style{}, 30), "Scan it.", "there is nothing to scan")
	assert.Contains(t, code(style{}, 30), "https://x.example/1")
}
