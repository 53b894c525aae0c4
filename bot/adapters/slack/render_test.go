package slack

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/goldentest"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/tencent"
)

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(v))
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var plain any // the library escapes HTML in some of its types
	require.NoError(t, json.Unmarshal(got, &plain))
	got = encode(t, plain)
	path := filepath.Join("testdata", strings.Split(t.Name(), "/")[0], name+".golden.json")
	goldentest.Check(t, path, string(got))
}

// words are one reply's texts in a language.
var words = map[string]map[string]string{
	"en": {
		"requester": "Requested by", "state": "State", "running": "running since 14:02 CST", "number": "Number", "join": "Join", "watch": "Watch",
		"push": "Set up live push", "end": "End", "ask": "End “Weekly review” for everybody?", "yes": "End meeting", "no": "Keep it", "topic": "Weekly review",
		"start": "Start link", "startTitle": "Your start link", "startText": "Whoever has it is the host for about two hours. Do not pass it on.", "key": "Host key", "play": "Play",
		"missing": "No watch link: add --live", "for": "Start", "bad": "The push address was not set", "badText": "Tencent Meeting knows no meeting with this number.\n\nCheck the number, or leave it out to take the one that was made here.",
		"copy": "Weekly review\nNumber 123 456 789\nhttps://meet.example/w/1", "copyTitle": "Copy for WeChat", "sandbox": "SANDBOX: nothing here is real", "qr": "QR code",
	},
	"zh-CN": {
		"requester": "发起人", "state": "状态", "running": "14:02 CST 起进行中", "number": "会议号", "join": "加入会议", "watch": "观看直播",
		"push": "设置推流", "end": "结束", "ask": "要为所有人结束“周会”吗？", "yes": "结束", "no": "不结束", "topic": "周会",
		"start": "开始链接", "startTitle": "你的开始链接", "startText": "持有者在约两小时内即为主持人。请勿转发。", "key": "主持人密钥", "play": "播放",
		"missing": "没有观看链接：请加 --live", "for": "开始会议", "bad": "推流地址没有设置", "badText": "腾讯会议里没有这个会议号。\n\n请检查会议号，或者不填，用在这里创建的那个会议。",
		"copy": "周会\n会议号 123 456 789\nhttps://meet.example/w/1", "copyTitle": "微信邀请文案", "sandbox": "沙箱演示：会议和链接均为模拟", "qr": "二维码",
	},
}

func TestReplies(t *testing.T) {
	requester := chat.User{ID: "U1", Name: "bo"}
	for locale, w := range words {
		card := chat.Reply{
			Tone: chat.Good, Title: w["topic"],
			Fields: []chat.Field{{Name: w["requester"], User: &requester}, {Name: w["state"], Value: w["running"]}, {Name: w["number"], Value: "123 456 789"}},
			Links:  []chat.Link{{Label: w["join"], URL: "https://meet.example/j/1?pwd=a&tk=b"}, {Label: w["watch"], URL: "https://meet.example/w/1"}},
			Buttons: []chat.Button{
				{Label: w["push"], Action: chat.Action{Name: "push", Arg: "tencent:1"}},
				{Label: w["qr"], Action: chat.Action{Name: "qr", Arg: "tencent:1"}},
				{Label: w["end"], Action: chat.Action{Name: "endyes", Arg: "tencent:1"}, Danger: true, Confirm: &chat.Confirm{Title: w["end"], Text: w["ask"], Yes: w["yes"], No: w["no"]}},
			},
			Note: w["sandbox"],
		}
		cases := map[string]struct {
			reply chat.Reply
			how   look
		}{
			"Card":        {card, look{card: true, files: true}},
			"CardNoFiles": {card, look{card: true}},
			"Thread": {chat.Reply{
				Mentions: []chat.User{{ID: "U2"}, {ID: "not an id", Name: "Eve <!here>"}},
				Fields:   []chat.Field{{Name: w["watch"], Value: w["missing"]}, {Name: w["for"], User: &requester}},
				Links:    []chat.Link{{Label: w["join"], URL: "https://meet.example/j/1?pwd=a&tk=b|c"}, {Label: w["play"], URL: "https://meet.example/p.m3u8"}},
				Buttons:  []chat.Button{{Label: w["start"], Action: chat.Action{Name: "start", Arg: "systec:1"}}},
			}, look{}},
			"Start": {chat.Reply{
				Tone: chat.Good, Title: w["startTitle"], Text: w["startText"],
				Secrets: []chat.SecretField{{Name: w["start"], Value: secret.New("https://meet.example/s/1?zak=x&y=z"), Link: true}, {Name: w["key"], Value: secret.New("135790")}},
			}, look{}},
			"Error": {chat.Reply{Tone: chat.Bad, Title: w["bad"], Text: w["badText"]}, look{}},
			"Copy":  {chat.Reply{Title: w["copyTitle"], Copy: w["copy"]}, look{}},
			"Help":  {grammar.New(grammar.Config{Kinds: meeting.Kinds{tencent.Kind}}).Help(grammar.Text(Kind(nil, false), locale), "livepush"), look{}},
			"Hostile": {chat.Reply{
				Tone: chat.Warning, Title: "<!channel> *bold* & <https://evil.example|Join>", Text: "<@U9> <!everyone> ```\n&lt;",
				Fields: []chat.Field{{Name: "a*b", Value: "<!here>"}}, Copy: "```\n<!channel>",
				Links:   []chat.Link{{Label: "<!channel>", URL: "javascript:alert(1)"}, {Label: "x", URL: "https://a.example/>|<!channel>"}},
				Buttons: []chat.Button{{Label: "<!channel>", Action: chat.Action{Name: "x"}}},
				Note:    "<!channel>",
			}, look{notes: []string{"/invite @meetbot"}}},
		}
		for name, tt := range cases {
			t.Run(name+"_"+locale, func(t *testing.T) {
				m := render(tt.reply, tt.how)
				assert.False(t, m.cut)
				assert.Empty(t, check(t, m))
				golden(t, name+"_"+locale, encode(t, map[string]any{"text": m.text, "blocks": m.blocks}))
			})
		}
	}
}

func check(t testing.TB, m message) string {
	t.Helper()
	b, err := json.Marshal(m.blocks)
	require.NoError(t, err)
	return slacktest.CheckMessage(m.text, b)
}

func TestFormsInBothLanguages(t *testing.T) {
	for locale, w := range words {
		f := chat.Form{ID: "push", Title: w["push"], Submit: w["push"], Intro: w["startText"], Fields: []chat.FormField{
			{Name: "meeting", Label: w["number"], Value: "123 456 789", Required: true},
			{Name: "preset", Label: w["state"], Kind: chat.ChoiceField, Choices: []chat.Choice{{Label: "Bilibili", Value: "bili"}}, Value: "bili"},
			{Name: "key", Label: w["key"], Kind: chat.MaskedField, Hint: w["missing"], Max: 512},
			{Name: "wechat", Label: w["watch"], Kind: chat.ChoiceField, Choices: []chat.Choice{{Label: "Yes", Value: "true"}, {Label: "No", Value: "false"}}},
			{Name: "minutes", Label: w["number"], Kind: chat.NumberField, Placeholder: "60"},
			{Name: "host", Label: w["requester"], Kind: chat.UserField, Value: "U1"},
		}}
		t.Run(locale, func(t *testing.T) {
			b := encode(t, modalView(f, texts.For(locale).T("slack.cancel")))
			assert.Empty(t, slacktest.CheckView(b))
			golden(t, "Push_"+locale, b)
		})
	}
}

// FuzzRender holds that whatever people and providers write, Slack takes the message,
// nobody is mentioned by it, links are whole, and no secret is in a notification.
func FuzzRender(f *testing.F) {
	f.Add("Weekly", "text", "https://meet.example/j/1", 1, true)
	f.Add("<!channel>", strings.Repeat("长👩‍👩‍👧‍👦&<>\n", 3000), "https://a.example/"+strings.Repeat("x", 5000), 60, false)
	f.Add("*_~`", "```", "javascript:alert(1)", 30, true)
	f.Add("", "", "", 0, false)
	f.Add(strings.Repeat("&", 9000), strings.Repeat("\u0301", 9000), "http://h/"+strings.Repeat("&", 2995), 3, true)
	f.Fuzz(func(t *testing.T, title, text, link string, n int, card bool) {
		n = max(0, min(n, 80))
		if !utf8.ValidString(title + text + link) {
			t.Skip()
		}
		const canary = "canary-secret"
		r := chat.Reply{Tone: chat.Bad, Title: title, Text: text, Note: text, Copy: text, Secrets: []chat.SecretField{{Name: title, Value: secret.New(canary + text)}}}
		for range n {
			r.Fields = append(r.Fields, chat.Field{Name: title, Value: text}, chat.Field{Name: text, User: &chat.User{ID: title, Name: text}})
			r.Links = append(r.Links, chat.Link{Label: title, URL: link})
			r.Buttons = append(r.Buttons, chat.Button{Label: text, Action: chat.Action{Name: "x", Arg: "1"}, Confirm: &chat.Confirm{Title: title, Text: text}})
			r.Mentions = append(r.Mentions, chat.User{ID: title, Name: text})
		}
		m := render(r, look{card: card, files: true})
		require.Empty(t, check(t, m))
		require.NotContains(t, m.text, canary)
		walk(t, decode(t, m), func(kind, s string) {
			if kind == "mrkdwn" {
				require.NotContains(t, s, "<!")
				require.NotContains(t, s, "<#")
			}
		})
		if n == 1 && link != "" && !m.cut {
			b := encode(t, m.blocks)
			found := false
			var all []any
			require.NoError(t, json.Unmarshal(b, &all))
			walk(t, all, func(_, s string) {
				to, ok := target(link)
				found = found || strings.Contains(s, link) || ok && strings.Contains(s, to)
			})
			require.True(t, found, "the link is whole")
		}
	})
}

func decode(t *testing.T, m message) (all []any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(encode(t, m.blocks), &all))
	return all
}

// walk visits every string with the type of the object it is in.
func walk(t *testing.T, v any, f func(kind, s string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walk(t, e, f)
		}
	case map[string]any:
		kind, _ := v["type"].(string)
		for _, e := range v {
			if s, ok := e.(string); ok {
				f(kind, s)
			} else {
				walk(t, e, f)
			}
		}
	}
}

func TestLongTextIsCutOnACharacterAndLinksNever(t *testing.T) {
	family := "👩‍👩‍👧‍👦"
	m := render(chat.Reply{Title: strings.Repeat(family, 3000), Text: strings.Repeat(family, 3000)}, look{})
	assert.True(t, m.cut)
	assert.Empty(t, check(t, m))
	walk(t, decode(t, m), func(_, s string) {
		s = strings.NewReplacer("…", "", "*", "", "❌ ", "", "\n", "").Replace(s)
		if s != "mrkdwn" && s != "section" {
			assert.Empty(t, strings.ReplaceAll(s, family, ""), "cut within a character")
		}
	})
	long := "https://meet.example/j/" + strings.Repeat("a", 6000)
	for _, card := range []bool{true, false} {
		m := render(chat.Reply{Title: "x", Links: []chat.Link{{Label: "Join", URL: long}}}, look{card: card})
		assert.Contains(t, string(encode(t, m.blocks)), long)
	}
}

// An instant is a few characters that a reader never sees, and some seventy that Slack counts.
func TestInstantsAreCountedAsTheyAreWritten(t *testing.T) {
	said := strings.Repeat("on at "+chat.Instant(time.Unix(1_800_000_000, 0))+" by Ada, ", 90)
	m := render(chat.Reply{Title: said, Text: said, Fields: []chat.Field{{Name: "Push", Value: said}}, Note: said}, look{})
	assert.Empty(t, check(t, m))
	walk(t, decode(t, m), func(_, s string) {
		assert.Equal(t, strings.Count(s, "<"), strings.Count(s, ">"), "cut within an instant: %s", s)
	})
}
