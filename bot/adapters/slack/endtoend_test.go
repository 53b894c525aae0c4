package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/commands"
	"meetbot/meeting/sandbox"
)

// team is a workspace and a bot process in it.
type team struct {
	*testing.T
	*adaptertest.Process
	slack *slacktest.Server
	http  slacktest.HTTP
}

func newTeam(t *testing.T, more ...string) *team {
	t.Helper()
	x := &team{T: t, slack: slacktest.New(append(append([]string(nil), slacktest.DefaultScopes...), more...)...)}
	t.Cleanup(x.slack.Close)
	x.Process = adaptertest.NewProcess(t)
	x.start()
	return x
}

func (x *team) start() {
	x.Helper()
	x.Start(Platform, func(bot *commands.Bot, _ *slog.Logger) adaptertest.Adapter {
		a := newAdapter(x, x.slack, bot, x.Logged)
		server := httptest.NewServer(a.Handler())
		x.Cleanup(server.Close)
		x.http = slacktest.HTTP{Base: server.URL, Secret: slacktest.SigningSecret, Client: server.Client()}
		return a
	})
	require.NoError(x, x.slack.Wait(x.ctx(), func() bool { return x.slack.Connections() == 2 }))
}

func (x *team) ctx() context.Context {
	ctx, cancel := context.WithTimeout(x.Context(), 2*hang)
	x.Cleanup(cancel)
	return ctx
}

func (x *team) do(act slacktest.Act) {
	x.Helper()
	ack, err := x.slack.Deliver(x.ctx(), x.http, act, 0)
	require.NoError(x, err)
	require.Equal(x, 200, ack.Status)
	require.Empty(x, ack.Payload)
}

// until waits for a message for which f holds.
func (x *team) until(what string, f func(slacktest.Message) bool) (found slacktest.Message) {
	x.Helper()
	err := x.slack.Wait(x.ctx(), func() bool {
		for _, m := range x.slack.Messages() {
			if f(m) {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		for _, m := range x.slack.Messages() {
			x.Logf("%s %s to=%q hook=%v: %s", m.Channel, m.Thread, m.To, m.Hook, m.Blocks)
		}
	}
	require.NoError(x, err, what)
	return found
}

func isRoot(m slacktest.Message) bool { return m.To == "" && m.Thread == "" && !m.Hook }

func private(to, text string) func(slacktest.Message) bool {
	return func(m slacktest.Message) bool { return m.To == to && strings.Contains(string(m.Blocks), text) }
}

func (x *team) click(m slacktest.Message, user, value string) {
	x.Helper()
	act, err := x.slack.Click(m, user, value)
	require.NoError(x, err)
	x.do(act)
}

func TestMeetFromCommandToEnd(t *testing.T) {
	x := newTeam(t)
	x.slack.SetUser(slacktest.User{ID: "U1", Name: "小王", Locale: "zh-CN"})
	x.do(x.slack.Slash("C1", "U1", "/meet", "周会 &lt;!channel&gt; --live"))
	root := x.until("the card", isRoot)
	thread := x.until("the links", func(m slacktest.Message) bool { return m.Thread == root.TS && m.To == "" })
	require.Equal(t, 1, len(x.Sandbox.Meetings()))
	made := x.Sandbox.Meetings()[0]
	assert.Equal(t, "周会 <!channel>", made.Topic)
	for _, m := range []slacktest.Message{root, thread} {
		assert.NotContains(t, string(m.Blocks), "<!channel>")
	}

	inThread := x.until("the start link in the thread", func(m slacktest.Message) bool { return m.To == "U1" && m.Thread == root.TS })
	answer := x.until("the private answer", func(m slacktest.Message) bool { return m.To == "U1" && m.Hook })
	start := firstURL(t, answer, "zak=")
	assert.Contains(t, string(inThread.Blocks), "http")
	for _, m := range x.slack.Messages() {
		if m.To == "" {
			assert.NotContains(t, string(m.Blocks), start)
		}
		assert.NotContains(t, m.Text, start)
	}
	assert.NotContains(t, x.Logged.String(), start)

	before := len(x.slack.Messages())
	x.click(thread, "U1", ":start:")
	x.until("the start link again", func(m slacktest.Message) bool {
		return m.To == "U1" && m.TS > answer.TS && len(x.slack.Messages()) > before && strings.Contains(string(m.Blocks), "http")
	})
	x.click(thread, "U2", ":start:")
	refused := x.until("somebody else is refused", func(m slacktest.Message) bool { return m.To == "U2" })
	assert.NotContains(t, string(refused.Blocks), "http")

	x.click(root, "U2", ":endyes:")
	x.until("somebody else cannot end it", func(m slacktest.Message) bool { return m.To == "U2" && m.TS != refused.TS })
	assert.Zero(t, x.Sandbox.Calls(sandbox.SystecEnd))
	x.click(root, "U1", ":endyes:")
	edited := x.until("the card is edited", func(m slacktest.Message) bool { return m.TS == root.TS && m.Edits > 0 })
	assert.Equal(t, 1, x.Sandbox.Calls(sandbox.SystecEnd))
	_, err := x.slack.Click(edited, "U1", ":endyes:")
	assert.Error(t, err, "an ended meeting has no such button")
}

// TestNobodyGetsTheSameMessageTwiceInOnePlace: after a mention the private answer is in the
// thread already.
func TestNobodyGetsTheSameMessageTwiceInOnePlace(t *testing.T) {
	x := newTeam(t)
	act, _ := x.slack.Mention("C1", "5.5", "U1", "<@U0BOT> meet weekly")
	x.do(act)
	x.until("the private answer", private("U1", "weekly"))
	x.do(x.slack.Slash("C1", "U1", "/meet", "list")) // whatever else there is comes before its answer
	x.until("another answer", func(m slacktest.Message) bool { return m.To == "U1" && m.Hook })
	seen := map[string]int{}
	for _, m := range x.slack.Messages() {
		if m.To == "U1" && !m.Hook {
			seen[m.Channel+m.Thread]++
		}
	}
	assert.Equal(t, map[string]int{"C15.5": 1}, seen)
}

// firstURL returns the first link with that in it.
func firstURL(t *testing.T, m slacktest.Message, kind string) string {
	t.Helper()
	var all []any
	require.NoError(t, json.Unmarshal(m.Blocks, &all))
	found := ""
	walk(t, all, func(_, s string) {
		for part := range strings.SplitSeq(s, "<") {
			if u, _, ok := strings.Cut(part, ">"); ok && strings.HasPrefix(u, "http") && strings.Contains(u, kind) && found == "" {
				found = u
			}
		}
	})
	require.NotEmpty(t, found, "%s", m.Blocks)
	return found
}

func TestStreamKeyGoesToTheProviderAndNowhereElse(t *testing.T) {
	x := newTeam(t)
	x.do(x.slack.Slash("C1", "U1", "/meet", "show --provider tencent --live"))
	root := x.until("the card", isRoot)
	x.until("the private answer", func(m slacktest.Message) bool { return m.To == "U1" && m.Hook })
	x.click(root, "U1", "v1:push:")
	require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Views()) == 1 }))
	const key = "canary-key?a=b&c=d"
	act, err := x.slack.Submit(x.slack.Views()[0], "U1", map[string]string{"name": "bili", "url": "rtmp://live.example.com/app", "key": key})
	require.NoError(t, err)
	x.do(act)
	made := x.Sandbox.Meetings()[0]
	require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.Sandbox.Pushes(made.ID)) == 1 }))
	x.until("the outcome", private("U1", "bili"))
	x.until("the announcement", func(m slacktest.Message) bool {
		return m.To == "" && m.Thread == root.TS && strings.Contains(string(m.Blocks), "bili")
	})
	nowhere(x, "canary-key")
}

// nowhere holds that a secret is in no message and no line of the log.
func nowhere(x *team, canary string) {
	x.Helper()
	for _, m := range x.slack.Messages() {
		assert.NotContains(x, string(m.Blocks)+m.Text, canary)
	}
	for _, c := range x.slack.Calls("") {
		assert.NotContains(x, fmt.Sprint(c.Form)+string(c.Body), canary, c.Method)
	}
	assert.NotContains(x, x.Logged.String(), canary)
}

func TestKeyTypedInTheOpenIsRefused(t *testing.T) {
	x := newTeam(t)
	act, _ := x.slack.Mention("C1", "1.0", "U1", "<@U0BOT> livepush 123456789 --name bili --url rtmp://live.example.com/app --key canary-open")
	x.do(act)
	m := x.until("a private word", func(m slacktest.Message) bool { return m.To == "U1" })
	assert.Equal(t, "1.0", m.Thread)
	for _, e := range []sandbox.Endpoint{sandbox.TencentGetByCode, sandbox.TencentGet, sandbox.TencentSetPush, sandbox.TencentQueryPush} {
		assert.Zero(t, x.Sandbox.Calls(e), e)
	}
	nowhere(x, "canary-open")
}

func TestGuestsMayDoNothing(t *testing.T) {
	x := newTeam(t)
	x.slack.SetUser(slacktest.User{ID: "U7", Guest: true})
	x.do(x.slack.Slash("C1", "U7", "/meet", ""))
	x.until("the refusal", func(m slacktest.Message) bool { return m.To == "U7" })
	assert.Empty(t, x.Sandbox.Meetings())
	for _, m := range x.slack.Messages() {
		assert.Equal(t, "U7", m.To)
	}
}

func TestHelpAndFormAreGivenAtOnce(t *testing.T) {
	x := newTeam(t)
	x.slack.SetUser(slacktest.User{ID: "U8", Locale: "zh-CN"})
	for _, command := range []string{"/meet", "/livepush"} {
		before := len(x.slack.Messages())
		x.do(x.slack.Slash("C1", "U8", command, "help"))
		require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Messages()) > before }))
		m := x.slack.Messages()[before]
		assert.Equal(t, "U8", m.To)
		assert.Regexp(t, `[\x{4e00}-\x{9fff}]`, string(m.Blocks))
	}
	x.do(x.slack.Slash("C1", "U8", "/meet", "form"))
	x.do(x.slack.Slash("C1", "U8", "/livepush", ""))
	require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Views()) == 2 }), x.Logged.String())
	for _, v := range x.slack.Views() {
		assert.NotContains(t, string(v.Payload), "–", "every text of the form is there")
	}
}

// TestCrashWhileSlackIsBeingTold ends the process at each message of a /meet: right after
// Slack took it, and right before. The meeting is made once, and everybody hears
// everything; what Slack took without our hearing of it may be there twice, unless the
// history can be read.
func TestCrashWhileSlackIsBeingTold(t *testing.T) {
	type crash struct {
		method string
		fault  slacktest.Fault
		again  int // messages shown twice
	}
	crashes := map[string]crash{
		"RootTaken":      {"chat.postMessage", slacktest.Fault{Lost: true}, 1},
		"RootNotTaken":   {"chat.postMessage", slacktest.Fault{Status: 500}, 0},
		"ThreadPrivate":  {"chat.postEphemeral", slacktest.Fault{Status: 503}, 0},
		"PrivateRefused": {"response_url", slacktest.Fault{Status: 500}, 0},
		"Limited":        {"chat.postMessage", slacktest.Fault{RetryAfter: 1}, 0},
	}
	for name, c := range crashes {
		for _, scopes := range [][]string{nil, {"channels:history"}} {
			t.Run(fmt.Sprintf("%s/history=%v", name, scopes != nil), func(t *testing.T) {
				t.Parallel()
				x := newTeam(t, scopes...)
				calls := len(x.slack.Calls(c.method))
				x.slack.Fail(c.method, c.fault)
				x.do(x.slack.Slash("C1", "U1", "/meet", "weekly"))
				require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Calls(c.method)) > calls }))
				x.Stop()
				x.start()
				x.until("the card", isRoot)
				x.until("the links", func(m slacktest.Message) bool { return m.Thread != "" && m.To == "" })
				x.until("the private answer", func(m slacktest.Message) bool { return m.To == "U1" && m.Thread == "" })
				assert.Len(t, x.Sandbox.Meetings(), 1)
				roots := 0
				for _, m := range x.slack.Messages() {
					if isRoot(m) {
						roots++
					}
				}
				want := 1 + c.again
				if scopes != nil {
					want = 1
				}
				assert.Equal(t, want, roots)
			})
		}
	}
}

// However many ask in one channel, whose public posts have a pace, each is told privately
// before that is half through.
func TestACrowdInOneChannelIsToldPrivately(t *testing.T) {
	x := newTeam(t)
	const people = 60
	for i := range people {
		user := fmt.Sprintf("U%d", 100+i)
		x.slack.SetUser(slacktest.User{ID: user, Name: user, Locale: "en-US"})
		x.do(x.slack.Slash("C1", user, "/meet", "meeting of "+user+" --provider systec"))
	}
	told := func() map[string]bool {
		all := map[string]bool{}
		for _, m := range x.slack.Messages() {
			if m.To != "" && m.Hook {
				all[m.To] = true
			}
		}
		return all
	}
	require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(told()) == people }))
	posts := 0
	for _, m := range x.slack.Messages() {
		if m.To == "" {
			posts++
		}
	}
	assert.Less(t, posts, people/2)
}
