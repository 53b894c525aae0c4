package slack

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
)

var pushForm = chat.Form{
	ID: "push", Arg: "tencent:123", Title: "推流设置：一个比二十四个字符还要长很多的标题，放不下", Intro: "Slack sees what you type here <!channel>", Submit: "Set",
	Fields: []chat.FormField{
		{Name: "meeting", Label: "Meeting", Value: "123 456 789", Required: true},
		{Name: "preset", Label: "Platform", Kind: chat.ChoiceField, Value: "bili", Choices: []chat.Choice{{Label: "Douyin", Value: "douyin"}, {Label: "Bilibili", Value: "bili"}}},
		{Name: "url", Label: "Address", Placeholder: "rtmp://…", Hint: "as the platform shows it", Required: true, Max: 1024},
		{Name: "key", Label: "Key", Kind: chat.MaskedField, Required: true},
		{Name: "wechat", Label: "WeChat Channels", Kind: chat.ChoiceField, Choices: []chat.Choice{{Label: "Yes", Value: "true"}, {Label: "No", Value: "false"}}, Value: "true"},
		{Name: "minutes", Label: "Minutes", Kind: chat.NumberField, Extra: true},
		{Name: "host", Label: "Host", Kind: chat.UserField},
		{Name: "to", Label: "Saved", Kind: chat.ListField, Choices: []chat.Choice{{Label: "bili", Value: "bili"}, {Label: "抖音", Value: "抖音"}}},
		{Name: "else", Label: "Otherwise", Required: true, Only: &chat.Precondition{Field: "to", Values: []string{""}}},
	},
}

func TestFormIsOpenedFilledInAndSent(t *testing.T) {
	w := newWorld(t)
	for name, tr := range w.transports() {
		t.Run(name, func(t *testing.T) {
			before := len(w.slack.Views())
			w.bot.parse = func(r chat.Request) chat.Decision {
				switch {
				case r.Form == nil:
					return chat.Decision{Form: &pushForm}
				case r.Form.Fields["url"] == "nonsense":
					return chat.Decision{Faults: map[string]string{"url": "not an address", "key": "too short", "elsewhere": "and this"}}
				}
				return chat.Decision{Ask: &grammar.Ask{Verb: grammar.VerbPush}, Request: r}
			}
			ack := w.deliver(tr, w.slack.Slash("C1", "U1", "/livepush", ""))
			assert.Empty(t, ack.Payload)
			require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Views()) == before+1 }))
			v := w.slack.Views()[before]

			send := func(values map[string]string) slacktest.Ack {
				act, err := w.slack.Submit(v, "U1", values)
				require.NoError(t, err)
				return w.deliver(tr, act)
			}
			ack = send(map[string]string{"url": "nonsense", "key": "k"})
			assert.JSONEq(t, `{"response_action":"errors","errors":{"url":"not an address","key":"too short","meeting":"and this"}}`, string(ack.Payload))
			jobs := len(w.bot.jobs())

			w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance {
				return chat.Acceptance{Reply: &chat.Reply{Title: "Busy.", Text: "Send it again."}}
			}
			ack = send(map[string]string{"url": "rtmp://a/b", "key": "k"})
			assert.JSONEq(t, `{"response_action":"errors","errors":{"meeting":"Busy. Send it again."}}`, string(ack.Payload))
			w.bot.accept = nil

			ack = send(map[string]string{"url": " rtmp://a/b ", "key": "canary?a=b&c=d", "wechat": "false", "host": "U5", "to": "bili,抖音"})
			assert.Empty(t, ack.Payload, "the form closes")
			send(map[string]string{"url": "rtmp://a/b", "key": "k"})
			require.Len(t, w.bot.jobs(), jobs+1, "a form sent twice is one wish")
			r := w.bot.jobs()[jobs]
			assert.Equal(t, &chat.Submission{Form: "push", Arg: "tencent:123", Fields: map[string]string{
				"meeting": "123 456 789", "preset": "bili", "url": "rtmp://a/b", "key": "canary?a=b&c=d", "wechat": "false", "minutes": "", "host": "U5", "to": "bili,抖音", "else": "",
			}}, r.Form)
			assert.Equal(t, chat.Place{Platform: Platform, Team: slacktest.Team, Channel: "C1"}, r.Place)
			assert.NotContains(t, w.log.String(), "canary?a")
		})
	}
}

func TestFormOfSomebodyElseIsNotTaken(t *testing.T) {
	w := newWorld(t)
	w.bot.parse = func(r chat.Request) chat.Decision {
		if r.Form == nil {
			return chat.Decision{Form: &pushForm}
		}
		return chat.Decision{Ask: &grammar.Ask{}, Request: r}
	}
	w.deliver(w.socket, w.slack.Slash("C1", "U1", "/livepush", ""))
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Views()) == 1 }))
	act, err := w.slack.Submit(w.slack.Views()[0], "U2", nil)
	require.NoError(t, err)
	w.deliver(w.socket, act)
	assert.Empty(t, w.bot.jobs())
}

func TestFormThatDoesNotOpenIsSaid(t *testing.T) {
	w := newWorld(t)
	w.slack.SetUser(slacktest.User{ID: "U9", Locale: "zh-CN"})
	w.bot.parse = func(chat.Request) chat.Decision { return chat.Decision{Form: &pushForm} }
	w.slack.Fail("views.open", slacktest.Fault{Error: "expired_trigger_id"})
	w.deliver(w.http, w.slack.Slash("C1", "U9", "/livepush", ""))
	m := w.messages(1)[0]
	assert.Equal(t, "U9", m.To)
	assert.Contains(t, string(m.Blocks), "Slack 要求 3 秒内打开表单")
}

// TestAFormIsTriedAgainWhileItsTimeLasts: a hiccup of Slack's is none of the person's.
func TestAFormIsTriedAgainWhileItsTimeLasts(t *testing.T) {
	for name, fault := range map[string]slacktest.Fault{"503": {Status: 503}, "Internal": {Error: "internal_error"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.bot.parse = func(chat.Request) chat.Decision { return chat.Decision{Form: &pushForm} }
			w.slack.Fail("views.open", fault, fault)
			w.deliver(w.http, w.slack.Slash("C1", "U1", "/livepush", ""))
			require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Views()) == 1 }))
			assert.Len(t, w.slack.Calls("views.open"), 3)
			assert.Empty(t, w.slack.Messages(), "nothing is said of it")
		})
	}
}

// TestAFormThatIsRefusedIsNotSaidToBeLate: the reason that is said is the reason.
func TestAFormThatIsRefusedIsNotSaidToBeLate(t *testing.T) {
	w := newWorld(t)
	w.bot.parse = func(chat.Request) chat.Decision { return chat.Decision{Form: &pushForm} }
	w.slack.Fail("views.open", slacktest.Fault{Error: "invalid_arguments"})
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/livepush", ""))
	m := w.messages(1)[0]
	assert.Contains(t, string(m.Blocks), "refused to open the form")
	assert.NotContains(t, string(m.Blocks), "three seconds")
	assert.Len(t, w.slack.Calls("views.open"), 1)
}

func TestFormSentCanLeadToAnother(t *testing.T) {
	w := newWorld(t)
	w.bot.parse = func(chat.Request) chat.Decision { return chat.Decision{Form: &pushForm} }
	w.deliver(w.socket, w.slack.Slash("C1", "U1", "/livepush", ""))
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Views()) == 1 }))
	act, err := w.slack.Submit(w.slack.Views()[0], "U1", nil)
	require.NoError(t, err)
	var answer struct {
		Action string          `json:"response_action"`
		View   json.RawMessage `json:"view"`
	}
	require.NoError(t, json.Unmarshal(w.deliver(w.socket, act).Payload, &answer))
	assert.Equal(t, "update", answer.Action)
	assert.Contains(t, string(answer.View), "tencent:123")
}

func TestModalStaysWithinSlacksLimits(t *testing.T) {
	long := strings.Repeat("长👩‍👩‍👧‍👦", 2000)
	f := chat.Form{ID: "x", Title: long, Intro: long, Submit: long}
	choices := make([]chat.Choice, 150)
	for i := range choices {
		choices[i] = chat.Choice{Label: long, Value: strings.Repeat("v", i+1)}
	}
	for range 120 {
		f.Fields = append(f.Fields,
			chat.FormField{Name: strings.Repeat("n", len(f.Fields)+1), Label: long, Hint: long, Placeholder: long, Value: long, Max: 1 << 20},
			chat.FormField{Name: strings.Repeat("c", len(f.Fields)+1), Label: long, Kind: chat.ChoiceField, Choices: choices})
	}
	v := modalView(f, long)
	assert.LessOrEqual(t, len(v.Blocks.BlockSet), maxModalBlocks)
	b, err := json.Marshal(v)
	require.NoError(t, err)
	assert.Empty(t, slacktest.CheckView(b))
}
