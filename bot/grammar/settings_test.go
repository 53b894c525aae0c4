package grammar

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/texts"
	"meetbot/meeting"
)

func TestSettingsAreReadAsTheyAreStored(t *testing.T) {
	for line, want := range map[string]map[string]string{
		"settings":                    nil,
		"设置":                          nil,
		"settings --provider tencent": {"provider": "tencent"},
		"设置 --平台 腾讯会议 --语言 中文":                 {"provider": "tencent", "language": "zh-CN"},
		"settings --recording on --live off":   {"record": "cloud", "live": "off"},
		"settings --record=none --capacity 50": {"record": "none", "capacity": "50"},
		"settings --provider default --live 默认 --capacity default --host default --deny -": {
			"provider": "", "live": "", "capacity": "", "host": "", "deny": "",
		},
		"settings --capacity 0":                           {"capacity": ""},
		"设置 --人数 ４０人":                                     {"capacity": "40"},
		"settings --host <@U1|ann>,<@U2>":                 {"host": "U1,U2"},
		"settings --to bili、抖音 --everywhere":              {"destinations": "bili,抖音"},
		"settings --allow <@U1>,<!subteam^S1|@team>":      {"allow": "user:U1,group:S1"},
		"settings --deny user:U1,slack:group:S1,U2,@U3":   {"deny": "user:U1,group:S1,user:U2,user:U3"},
		"settings --allow 'user:U1, user:U1' --deny none": nil,
	} {
		t.Run(line, func(t *testing.T) {
			r := chat.Request{Command: "meet", Text: line, Place: chat.Place{Platform: chattest.Slack}}
			d := both().Parse(r)
			if line == "settings --allow 'user:U1, user:U1' --deny none" { // "none" is an ID as any other, on no platform of which more is known
				require.NotNil(t, d.Ask)
				assert.Equal(t, map[string]string{"allow": "user:U1", "deny": "user:none"}, AskOf(d).Set)
				return
			}
			require.NotNil(t, d.Ask, "%+v", d.Reply)
			ask := *AskOf(d)
			assert.Equal(t, want, nothing(ask.Set))
			rest := ask
			rest.Set, rest.Everywhere = nil, false
			assert.Equal(t, Ask{Verb: VerbSettings}, rest, "nothing else is in it")
		})
	}
}

// nothing is nil for a map without anything.
func nothing(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

func TestWhatIsNoSettingIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"settings --live perhaps":               "--live",
		"settings --language klingon":           "--language",
		"settings --capacity 10001":             "--capacity",
		"settings --allow channel:C1":           "--allow",
		"settings --allow 'some body'":          "--allow",
		"settings --deny role:1":                "--deny",
		"settings --provider systec extra word": "settings",
		"settings --provider zoom":              "--provider",
		"settings --live on --live off":         "--live",
		"settings --topic x":                    "--topic",
	} {
		t.Run(text, func(t *testing.T) {
			d := both().Parse(chat.Request{Command: "meet", Text: text, Place: chat.Place{Platform: chattest.Slack}})
			assert.Contains(t, faultsOf(t, d), want)
			for _, locale := range texts.Locales {
				assert.NotContains(t, both().Parse(chat.Request{Command: "meet", Text: text, User: chat.User{Locale: locale}}).Reply.Text, "parse.")
			}
		})
	}
}

func TestATopicMayBeginWithTheWord(t *testing.T) {
	for _, text := range []string{"settings of the new office", "设置会议室", `"settings"`, "settings-review --live"} {
		assert.Equal(t, VerbMeet, AskOf(both().Parse(line("meet", text))).Verb, text)
	}
}

func TestAFormOfSettingsTakesBackWhatIsEmptied(t *testing.T) {
	fields := map[string]string{"provider": Default, "live": "on", "capacity": "", "deny": "user:U1"}
	d := both().Parse(chat.Request{Place: chat.Place{Platform: chattest.Slack}, Form: &chat.Submission{Form: formSettings, Arg: "1z", Fields: fields}})
	require.NotNil(t, d.Ask, "%+v", d)
	assert.Equal(t, Ask{Verb: VerbSettings, Arg: "1z", Set: map[string]string{"provider": "", "live": "on", "capacity": "", "deny": "user:U1"}}, *AskOf(d),
		"what was not in the form stays as it is")
}

// What only the place tells is checked when that is known: see [Parser.Check].
func TestWhatDependsOnThePlaceIsCheckedWithIt(t *testing.T) {
	parse := func(command, text string) (chat.Request, Ask) {
		r := line(command, text)
		d := both().Parse(r)
		require.NotNil(t, d.Ask, "%+v", d.Reply)
		return r, *AskOf(d)
	}
	r, ask := parse("meet", "x --duration 20 --capacity 5")
	short := faultsOf(t, chat.Decision{Reply: both().Check(r, ask, "systec", 0)})
	assert.Contains(t, short["--duration"], "31")
	only := faultsOf(t, chat.Decision{Reply: both().Check(r, ask, "tencent", 0)})
	assert.Contains(t, only["--capacity"], "only SYSTEC umeeting")
	r, ask = parse("meet", "x --duration 45")
	assert.Nil(t, both().Check(r, ask, "systec", 0))
	assert.Nil(t, both().Check(r, ask, meeting.Provider("unheard"), 0))

	for _, text := range []string{"to", "to in 806146667"} {
		r, ask = parse("livepush", text)
		assert.Contains(t, faultsOf(t, chat.Decision{Reply: both().Check(r, ask, "", 0)})["NAME"], "missing")
		assert.Nil(t, both().Check(r, ask, "", 1))
	}
}
