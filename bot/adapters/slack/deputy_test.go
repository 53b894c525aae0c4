package slack

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/installs"
	"meetbot/bot/policy"
	"meetbot/bot/records/recordstest"
	"meetbot/config/secret"
)

// TestNothingOfOneWorkspaceIsAnothers has the same user, in a channel of the same ID, try from
// another workspace everything that leads to a meeting, a destination and a right of the first.
func TestNothingOfOneWorkspaceIsAnothers(t *testing.T) {
	const mine, theirs = "T1", "T2"
	x := &team{T: t, slack: slacktest.New(slacktest.DefaultScopes...)}
	t.Cleanup(x.slack.Close)
	x.Process = adaptertest.NewProcess(t)
	x.Policy = policy.Policy{Admins: []policy.Entry{{Platform: Platform, Kind: chat.UserEntry, Team: mine, ID: "U1"}}}
	store, _ := recordstest.Open(t, time.Now())
	kept := installs.New(store, string(Platform))
	tokens := map[string]string{}
	for _, id := range []string{mine, theirs} {
		tokens[id], _ = x.slack.Installed(slacktest.Install{Team: id, Name: id})
		_, err := kept.Save(t.Context(), installs.Installation{ID: id, BotUser: "U0BOT" + id, Token: secret.New(tokens[id]), Scopes: slacktest.DefaultScopes})
		require.NoError(t, err)
	}
	x.Start(Platform, func(bot *commands.Bot, _ *slog.Logger) adaptertest.Adapter {
		a := manyAdapter(x.T, x.slack, bot, x.Logged, store, mine, theirs)
		server := httptest.NewServer(a.Handler())
		x.Cleanup(server.Close)
		x.http = slacktest.HTTP{Base: server.URL, Secret: slacktest.SigningSecret, Client: server.Client()}
		return a
	})
	require.NoError(x, x.slack.Wait(x.ctx(), func() bool { return x.slack.Connections() == 2 }))
	say := func(team, line string) {
		command, text, _ := strings.Cut(line, " ")
		x.do(x.slack.Slash("C1", "U1", command, text).From(team, ""))
	}

	say(mine, "/livepush save 主站 --url rtmp://canary-ingest.example.com/live --key canary-key")
	x.until("a destination is saved", private("U1", "is saved"))
	say(mine, "/meet canary-topic --provider tencent")
	card := x.until("the card", isRoot)
	require.Equal(t, mine, card.Team)
	x.until("the links", func(m slacktest.Message) bool { return m.Thread == card.TS && m.To == "" })
	x.until("the host key in the thread", func(m slacktest.Message) bool { return m.Thread == card.TS && m.To == "U1" })
	x.until("the answer", func(m slacktest.Message) bool {
		return m.Hook && m.To == "U1" && strings.Contains(string(m.Blocks), "canary-topic")
	})
	require.Len(t, x.Sandbox.Meetings(), 1)
	number := x.Sandbox.Meetings()[0].Code
	before := len(x.slack.Messages())

	lines := []string{
		"/meet list", "/meet end " + number, "/meet share " + number, "/livepush status " + number, "/livepush log " + number,
		"/livepush to 主站 in " + number, "/livepush off 主站 in " + number, "/livepush destinations", "/livepush forget 主站", "/livepush live " + number,
	}
	for _, line := range lines {
		heard := len(x.slack.Messages())
		say(theirs, line)
		require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Messages()) > heard }), line)
	}
	// Its own buttons, pressed there: as Slack sends them, and forged without saying whose card it is.
	var blocks []struct {
		Elements []struct {
			Value string `json:"value"`
		} `json:"elements"`
	}
	require.NoError(t, json.Unmarshal(card.Blocks, &blocks))
	pressed := 0
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.Value == "" {
				continue
			}
			for _, of := range []string{card.Team, ""} {
				pressed++
				m := card
				m.Team = of
				heard, opened := len(x.slack.Messages()), len(x.slack.Views())
				act, err := x.slack.Click(m, "U1", e.Value)
				require.NoError(t, err)
				x.do(act.From(theirs, ""))
				require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Messages()) > heard || len(x.slack.Views()) > opened }), e.Value)
				if len(x.slack.Views()) == opened {
					continue
				}
				view := x.slack.Views()[opened] // who may is looked at when it is sent
				assert.NotContains(t, string(view.Payload), "canary")
				sent, err := x.slack.Submit(view, "U1", map[string]string{"url": "rtmp://other.example.com/live", "key": "another-key-1234", "name": "other"})
				require.NoError(t, err)
				x.do(sent.From(theirs, ""))
				require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Messages()) > heard }), e.Value)
			}
		}
	}
	require.Positive(t, pressed)
	for _, m := range x.slack.Messages()[before:] {
		said := string(m.Blocks) + m.Text
		for _, of := range []string{"canary", "ingest", "zak="} {
			assert.NotContains(t, said, of, "in %s", m.Team)
		}
		assert.NotEqual(t, mine, m.Team, "nobody asked anything there: %s", said)
	}
	require.Len(t, x.Sandbox.Meetings(), 1)
	assert.Empty(t, x.Sandbox.Pushes(x.Sandbox.Meetings()[0].ID), "nothing is pushed")
	assert.NotContains(t, x.Logged.String(), "canary")

	// The first workspace's token went nowhere but to its own calls.
	for _, c := range x.slack.Calls("") {
		if c.Method == "response_url" {
			continue
		}
		if bytes.Contains(c.Body, []byte("canary-topic")) || strings.Contains(c.Form.Get("blocks"), "canary-topic") {
			assert.Equal(t, tokens[mine], c.Form.Get("token"), c.Method)
		}
	}

	// And at home it all works.
	heard := len(x.slack.Messages())
	say(mine, "/livepush destinations")
	require.NoError(t, x.slack.Wait(x.ctx(), func() bool {
		for _, m := range x.slack.Messages()[heard:] {
			if strings.Contains(string(m.Blocks), "主站") {
				return true
			}
		}
		return false
	}))
}
