package discord

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/bwmarrin/discordgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/tencent"
)

func long(n int) string { return strings.Repeat("x", n) }

func replies() map[string]chat.Reply {
	action := func(name string) chat.Action { return chat.Action{Name: name, Arg: "systec:1591620888"} }
	return map[string]chat.Reply{
		"CardEnglish": {
			Tone: chat.Good, Title: "Weekly *sync*",
			Fields: []chat.Field{
				{Name: "Requested by", User: &chat.User{ID: alice}},
				{Name: "Number", Value: "1591620888"},
				{Name: "State", Value: "ready"},
			},
			Links: []chat.Link{{Label: "Join", URL: "https://meeting.example.com/j/1591620888"}},
			Buttons: []chat.Button{
				{Label: "Start link", Action: action("start")},
				{Label: "End", Action: action("end"), Danger: true, Confirm: &chat.Confirm{Title: "End it?"}},
			},
			Note: "SANDBOX: nothing here is real",
		},
		"CardChinese": {
			Tone: chat.Good, Title: "周会 🎉",
			Fields: []chat.Field{
				{Name: "发起人", User: &chat.User{ID: alice}},
				{Name: "会议号", Value: "1591620888"},
				{Name: "状态", Value: "未开始"},
			},
			Links:   []chat.Link{{Label: "入会", URL: "https://meeting.example.com/j/1591620888"}, {Label: "观看", URL: "https://meeting.example.com/w/1591620888"}},
			Buttons: []chat.Button{{Label: "主持链接", Action: action("start")}, {Label: "结束", Action: action("end"), Danger: true}},
			Note:    "沙箱演示：会议和链接均为模拟",
		},
		"Links": {
			Fields:   []chat.Field{{Name: "Passcode", Value: "123_456"}, {Name: "Start link for", User: &chat.User{ID: alice}}},
			Links:    []chat.Link{{Label: "Join", URL: "https://meeting.example.com/j?t=" + long(490)}, {Label: "Play", URL: "rtmp://play.example.com/1"}},
			Mentions: []chat.User{{ID: bob}, {ID: bob}, {Name: "no *ID*"}},
			Text:     "See https://meeting.example.com/a_b_c?x=1&y=*2 now",
		},
		"Private": {
			Tone: chat.Warning, Title: "Only for you",
			Secrets: []chat.SecretField{
				{Name: "Start link", Value: secret.New("https://meeting.example.com/start?zak=a_b*c"), Link: true},
				{Name: "Host key", Value: secret.New("12`34")},
			},
			Copy: "Join: https://meeting.example.com/j/1\n``` nested ```",
		},
		"Injection": {
			Tone: chat.Bad, Title: "@everyone <@&1> **now**\n# second line",
			Text:   "@here <@222> [click](https://evil.example.com) <https://x> ||spoiler|| `code` \\* ~~no~~\n> quote\n- list\n1. one\n-# small\n### head",
			Fields: []chat.Field{{Name: "na**me\nx", Value: "<#1> </meet:1> <t:1> __u__"}},
		},
		"HelpEnglish": grammar.New(grammar.Config{Kinds: meeting.Kinds{tencent.Kind}}).Help(grammar.Text(chat.Kind{}, "en"), "livepush"),
		"HelpChinese": grammar.New(grammar.Config{Kinds: meeting.Kinds{tencent.Kind}}).Help(grammar.Text(chat.Kind{}, "zh-CN"), "livepush"),

		"QR":    {QR: "https://meeting.example.com/w/1", QRCaption: "Watch on a phone", Title: "Watch"},
		"Empty": {},
	}
}

func TestRender(t *testing.T) {
	for name, r := range replies() {
		t.Run(name, func(t *testing.T) {
			m, lost := render(r, look{Key: "job-1-0"})
			assert.Empty(t, lost)
			golden(t, name, m)
		})
	}
}

func TestRenderKeepsWithinTheLimits(t *testing.T) {
	many := chat.Reply{Title: long(5000), Text: strings.Repeat("长文🎉*", 2000), Copy: long(9000), Note: long(900), QR: long(5000)}
	for i := range 60 {
		n := string(rune('a'+i%26)) + long(i)
		many.Fields = append(many.Fields, chat.Field{Name: n, Value: long(90)})
		many.Buttons = append(many.Buttons, chat.Button{Label: long(200), Action: chat.Action{Name: "x", Arg: n}})
	}
	many.Links = []chat.Link{{Label: long(300), URL: "https://meeting.example.com/" + long(600)}}
	many.Secrets = []chat.SecretField{{Name: "Start", Value: secret.New("https://meeting.example.com/start/" + long(900)), Link: true}}
	m, lost := render(many, look{Note: long(900)})
	b, err := json.Marshal(m)
	require.NoError(t, err)
	assert.Empty(t, discordtest.CheckMessage(b, nil))
	assert.Subset(t, lost, []string{"title", "text", "copy", "field", "buttons", "qr"})
	shown := discordtest.Message{Body: b}.Text()
	assert.Contains(t, shown, many.Links[0].URL, "links are never cut")
	assert.Contains(t, shown, many.Secrets[0].Value.Reveal())

	_, lost = render(chat.Reply{Text: "x", Buttons: []chat.Button{
		{Label: "a", Action: chat.Action{Name: "x", Arg: long(101)}},
		{Label: "b", Action: chat.Action{Name: "y"}}, {Label: "c", Action: chat.Action{Name: "y"}},
	}}, look{})
	assert.Equal(t, []string{"button x", "button y"}, lost)
}

// Four links of the longest kind that is believed of a provider, and one beside them.
func TestALongFieldLeavesRoomForTheOthers(t *testing.T) {
	long := func(n int) string { return strings.Repeat("*", n) }
	r := chat.Reply{Fields: []chat.Field{{Name: "a", Value: long(5000)}, {Name: "b", Value: "short"}}}
	for range 5 {
		r.Fields = append(r.Fields, chat.Field{Name: "c", Value: long(900)})
	}
	r.Fields = append(r.Fields, chat.Field{Name: "z", Value: "the last one"})
	m, lost := render(r, look{})
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	assert.Contains(t, string(raw), "short")
	assert.Contains(t, string(raw), "the last one", "it is short enough")
	assert.Contains(t, lost, "field")
}

func TestLinksLongerThanAMessageAreAttached(t *testing.T) {
	r := chat.Reply{Title: "Weekly", Text: long(4000), Links: []chat.Link{{Label: "Short", URL: "https://meeting.example.com/" + long(600)}}}
	for _, name := range []string{"Join", "Watch", "Play", "Start"} {
		r.Links = append(r.Links, chat.Link{Label: name, URL: "https://meeting.example.com/" + name + strings.Repeat("a", 4060)})
	}
	m, _ := render(r, look{Key: "k"})
	b, err := json.Marshal(m)
	require.NoError(t, err)
	var names []string
	for i, f := range m.files {
		names = append(names, f.Name)
		assert.Equal(t, r.Links[i+1].Label+"\n"+r.Links[i+1].URL+"\n", string(f.Data))
	}
	assert.Len(t, names, 4)
	assert.Empty(t, discordtest.CheckMessage(b, names))
	assert.Contains(t, string(b), r.Links[0].URL)
	assert.Contains(t, string(b), "Weekly")
}

var unescaped = regexp.MustCompile(`\\([[:punct:]])`)

func FuzzRender(f *testing.F) {
	for _, r := range replies() {
		f.Add(r.Title, r.Text, r.Copy, "https://meeting.example.com/x", "Label")
	}
	f.Add("`", "\\", "```", "http://", "\x00\u202e")
	f.Add("x", long(5000), "", "https://meeting.example.com/"+long(5000), long(5000))
	f.Fuzz(func(t *testing.T, title, text, copied, link, label string) {
		require.Equal(t, text, unescaped.ReplaceAllString(escape(text), "$1"), "escaping changes nothing that is read")
		m, _ := render(chat.Reply{
			Title: title, Text: text, Copy: copied, Links: []chat.Link{{Label: "Join", URL: link}},
			Fields:   []chat.Field{{Name: label, Value: text}},
			Mentions: []chat.User{{ID: title, Name: text}},
		}, look{Key: title, Note: label})
		b, err := json.Marshal(m)
		require.NoError(t, err)
		var files []string
		for _, f := range m.files {
			files = append(files, f.Name)
		}
		require.Empty(t, discordtest.CheckMessage(b, files))
	})
}

func TestAFormKeepsWithinTheLimits(t *testing.T) {
	form := chat.Form{ID: "push", Title: long(60), Intro: long(90)}
	var choices []chat.Choice
	for range 26 {
		choices = append(choices, chat.Choice{Label: long(120), Value: "v"})
	}
	for i, kind := range []chat.FieldKind{chat.TextField, chat.ChoiceField, chat.ChoiceField, chat.UserField, chat.MaskedField, chat.NumberField, chat.TextField} {
		form.Fields = append(form.Fields, chat.FormField{
			Name: "f" + string(rune('0'+i)), Label: long(60), Hint: long(120), Placeholder: long(120), Kind: kind, Choices: choices, Value: long(5000), Extra: i == 6,
		})
	}
	m, lost := renderForm(form)
	assert.Len(t, m.Components, maxModalFields)
	assert.Subset(t, lost, []string{"title", "f0", "f5"})
	assert.NotContains(t, lost, "f6", "an extra field is left out silently")
	b, err := json.Marshal(m)
	require.NoError(t, err)
	assert.Contains(t, string(b), form.Intro, "who sees the key is said at the key")

	form.Fields = form.Fields[:2]
	m, _ = renderForm(form)
	assert.IsType(t, discordgo.TextDisplay{}, m.Components[0])
}

func TestTextsOfPermissionsAreThere(t *testing.T) {
	for _, l := range texts.Locales {
		for _, p := range permissions {
			assert.True(t, texts.For(l).Has("discord.permission."+p.id), p.id)
		}
	}
}
