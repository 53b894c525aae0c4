package grammar_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/meeting"
)

// withAccounts has two accounts: one serves team T1, where it is the usual one, and one every place.
func withAccounts() grammar.Config {
	c := grammartest.Config()
	c.Accounts = []meeting.Provider{"tencent@school", "zoom@sales"}
	c.Here = func(p chat.Place) []meeting.Provider {
		if p.Team == "T1" {
			return []meeting.Provider{"tencent@school", "systec", "zoom@sales"}
		}
		return []meeting.Provider{"systec", "zoom@sales"}
	}
	return c
}

func TestAnAccountIsChosenByItsName(t *testing.T) {
	p := grammar.New(withAccounts())
	at := func(team string) chat.Place { return chat.Place{Platform: chattest.Slack, Team: team, Channel: "C1"} }
	for _, tt := range []struct {
		team, line string
		want       meeting.Provider
		fault      string
	}{
		{"T1", "x --account school", "tencent@school", ""},
		{"T1", "x --账号=School", "tencent@school", ""},
		{"T1", "x --account sales --provider zoom", "zoom@sales", ""},
		{"T1", "x --provider zoom --account school", "", "Choose the account or the meeting service"},
		{"T2", "x --account school", "", "Use one of sales"},
		{"T2", "x --account schol", "", "Use one of sales"},
		{"T2", "x --capacity 5", "", ""},
		{"T1", "x --account sales --capacity 5", "", "capacity"},
	} {
		d := p.Parse(chat.Request{Command: "meet", Text: tt.line, Place: at(tt.team)})
		if tt.fault != "" {
			require.NotNil(t, d.Reply, tt.line)
			var b strings.Builder
			b.WriteString(d.Reply.Title + d.Reply.Text)
			for _, f := range d.Reply.Fields {
				b.WriteString(f.Name + f.Value)
			}
			assert.Contains(t, b.String(), tt.fault, tt.line)
			if tt.team == "T2" {
				assert.NotContains(t, strings.ReplaceAll(b.String(), tt.line, ""), "school /")
			}
			continue
		}
		require.NotNil(t, d.Ask, "%s: %+v", tt.line, d.Reply)
		assert.Equal(t, tt.want, grammar.AskOf(d).Provider, tt.line)
	}

	for line, want := range map[string]map[string]string{
		"settings --account school":                     {"provider": "tencent@school"},
		"设置 --账号 School --平台 tencent":                   {"provider": "tencent@school"},
		"settings --provider tencent --account school":  {"provider": "tencent@school"},
		"settings --provider default --account school":  {"provider": "tencent@school"},
		"settings --account default":                    {"provider": ""},
		"settings --account default --provider tencent": {"provider": "tencent"},
		"settings --provider tencent --account default": {"provider": "tencent"},
		"settings --provider zoom --account school":     nil,
		"settings --account nobody":                     nil,
	} {
		d := p.Parse(chat.Request{Command: "meet", Text: line, Place: at("T1")})
		if want == nil {
			assert.NotNil(t, d.Reply, line)
			continue
		}
		require.NotNil(t, d.Ask, "%s: %+v", line, d.Reply)
		assert.Equal(t, grammar.Ask{Verb: grammar.VerbSettings, Set: want}, *grammar.AskOf(d), line)
	}

	form := p.Parse(chat.Request{Command: "meet", Text: "form", Place: at("T1")}).Form
	require.NotNil(t, form)
	i := slices.IndexFunc(form.Fields, func(f chat.FormField) bool { return f.Name == "account" })
	require.GreaterOrEqual(t, i, 0)
	assert.True(t, form.Fields[i].Propose)
	assert.Empty(t, form.Fields[i].Choices, "which there are depends on the place")
}

func TestWithoutAccountsNobodyIsAskedForOne(t *testing.T) {
	has := func(all []grammar.VerbDecl) bool {
		return slices.ContainsFunc(all[0].Options, func(o grammar.OptionDecl) bool { return o.Name == "account" })
	}
	c := grammartest.Config()
	assert.False(t, has(grammar.Declarations()))
	assert.False(t, has(grammar.Declarations(c.Kinds...)))
	account, _ := c.Kinds.Kind("zoom@sales")
	assert.True(t, has(grammar.Declarations(append(c.Kinds, account)...)))
	d := grammar.New(c).Parse(chat.Request{Command: "meet", Text: "x --account sales"})
	assert.NotNil(t, d.Reply, "an unknown option")
}
