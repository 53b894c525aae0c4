package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/bot/policy"
	"meetbot/bot/texts"
	"meetbot/meeting/sandbox"
)

// act is how a person on Slack makes a request; false where nobody there can.
func (x *team) act(user string, r chat.Request) (slacktest.Act, bool) {
	x.Helper()
	switch {
	case r.Options != nil: // nothing is typed into fields here
		return slacktest.Act{}, false
	case r.About != "":
		return x.slack.Shortcut("C1", "1700000000.000100", "", user, r.About), true
	case r.InTheOpen:
		act, _ := x.slack.Mention("C1", "", user, strings.TrimSpace(fmt.Sprintf("<@%s> %s %s", slacktest.BotUser, r.Command, r.Text)))
		return act, true
	case r.Action != nil:
		blocks, err := json.Marshal([]any{map[string]any{"type": "actions", "block_id": "b", "elements": []any{map[string]any{
			"type": "button", "action_id": "a", "value": r.Action.String(), "text": map[string]any{"type": "plain_text", "text": "x"},
		}}}})
		require.NoError(x, err)
		act, err := x.slack.Click(slacktest.Message{Channel: "C1", TS: "1700000000.000100", Blocks: blocks}, user, r.Action.Name)
		require.NoError(x, err)
		return act, true
	case r.Form != nil:
		x.slack.SetUser(slacktest.User{ID: "U1"})
		opened := len(x.slack.Views())
		x.do(x.slack.Slash("C1", "U1", map[string]string{"meet": "/meet", "push": "/livepush", "save": "/livepush"}[r.Form.Form],
			map[string]string{"meet": "form", "save": "save"}[r.Form.Form]))
		require.NoError(x, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Views()) > opened }))
		// Whoever opened it may have lost the right since.
		view := x.slack.Views()[opened]
		view.Payload = bytes.ReplaceAll(view.Payload, []byte("U1"), []byte(user))
		act, err := x.slack.Submit(view, user, r.Form.Fields)
		require.NoError(x, err)
		return act, true
	}
	return x.slack.Slash("C1", user, "/"+r.Command, r.Text), true
}

// TestNoWayOnSlackLeadsPastTheGuard tries every verb in every way that leads to it, as people
// who may not: as signed requests and over a socket, through the adapter and the whole bot.
func TestNoWayOnSlackLeadsPastTheGuard(t *testing.T) {
	t.Parallel()
	const stranger, onlyOther = "U0MAL", "U0OTHER"
	denied := texts.For("en").T("denied.whom")
	entry := func(id string) []policy.Entry {
		return []policy.Entry{{Platform: Platform, Kind: chat.UserEntry, ID: id}}
	}
	for name, lists := range map[string]func(chat.Rights) policy.Policy{
		"a guest": func(chat.Rights) policy.Policy { return policy.Policy{} },
		// Whoever has only the other right may not either.
		"a member who is not on the list": func(right chat.Rights) policy.Policy {
			p := policy.Policy{Meet: append(entry("U1"), entry(onlyOther)...), Push: entry("U1")}
			if right == chat.RightMeet {
				p.Meet, p.Push = p.Push, p.Meet
			}
			return p
		},
	} {
		for _, right := range []chat.Rights{chat.RightMeet, chat.RightPush} {
			t.Run(fmt.Sprintf("%s, %d", name, right), func(t *testing.T) {
				x := &team{T: t, slack: slacktest.New(slacktest.DefaultScopes...)}
				t.Cleanup(x.slack.Close)
				x.Process = adaptertest.NewProcess(t)
				x.Policy = lists(right)
				x.start()
				people := []string{stranger}
				x.slack.SetUser(slacktest.User{ID: stranger, Guest: true})
				if len(x.Policy.Meet) > 0 {
					people = append(people, onlyOther)
					x.slack.SetUser(slacktest.User{ID: onlyOther})
				}
				x.do(x.slack.Slash("C1", "U1", "/livepush", "save 主站 --url rtmp://ingest.example.com/live --key canary-key"))
				x.until("a destination is saved", private("U1", "is saved"))
				tried, acts := map[string]int{}, 0
				for _, d := range grammar.Verbs() {
					if !d.Help && d.Right != right {
						continue
					}
					ways := grammartest.WaysTo(d)
					for _, way := range slices.Sorted(maps.Keys(ways)) {
						for _, user := range people {
							acts++
							transport := []slacktest.Transport{x.http, x.slack.Socket()}[acts%2]
							act, can := x.act(user, ways[way])
							if !can {
								continue
							}
							tried[way]++
							before, opened := len(x.slack.Messages()), len(x.slack.Views())
							ack, err := x.slack.Deliver(x.ctx(), transport, act, 0)
							require.NoError(t, err)
							require.NotContains(t, string(ack.Payload), "errors", "%s, %s: it is refused for nothing else", d.Verb, way)
							told := func() (all string) {
								for _, m := range x.slack.Messages()[before:] {
									assert.Equal(t, user, m.To, "%s, %s: it is nobody else's: %s", d.Verb, way, m.Blocks)
									all += string(m.Blocks)
								}
								return all
							}
							if d.Help {
								require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Messages()) > before }))
								require.NotContains(t, told(), denied, "%s, %s: anybody may", d.Verb, way)
								continue
							}
							require.NoError(t, x.slack.Wait(x.ctx(), func() bool {
								return len(x.slack.Views()) > opened || len(x.slack.Messages()) > before
							}), "%s, %s", d.Verb, way)
							if len(x.slack.Views()) > opened { // who they are is looked up once it is sent
								view := x.slack.Views()[opened]
								require.Empty(t, x.Policy.Meet, "%s, %s: a list decides at once", d.Verb, way)
								require.NotContains(t, string(view.Payload), "canary")
								sent, err := x.slack.Submit(view, user, map[string]string{"url": "rtmp://ingest.example.com/live", "key": "canary-key", "name": "主站"})
								require.NoError(t, err)
								x.do(sent)
								require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Messages()) > before }), "%s, %s", d.Verb, way)
							}
							x.pressThrough(user, before)
							require.NoError(t, x.slack.Wait(x.ctx(), func() bool { return strings.Contains(told(), denied) }), "%s, %s as %s: %s", d.Verb, way, user, told())
						}
					}
				}
				for _, way := range []string{"line", "mention", "button", "form"} {
					assert.Positive(t, tried[way], way)
				}
				assert.Empty(t, x.Sandbox.Meetings())
				for _, e := range []sandbox.Endpoint{sandbox.TencentSetPush, sandbox.TencentDismiss, sandbox.TencentQueryPush} {
					assert.Zero(t, x.Sandbox.Calls(e), e)
				}
			})
		}
	}
}

// pressThrough presses the button that a mention is answered with, and sends the form that it
// opens: there a person is asked for what is not written where all can see it.
func (x *team) pressThrough(user string, before int) {
	x.Helper()
	m := x.slack.Messages()[before]
	if !strings.Contains(string(m.Blocks), `"actions"`) {
		return
	}
	opened := len(x.slack.Views())
	act, err := x.slack.Click(m, user, "")
	require.NoError(x, err)
	x.do(act)
	require.NoError(x, x.slack.Wait(x.ctx(), func() bool { return len(x.slack.Views()) > opened || len(x.slack.Messages()) > before+1 }))
	if len(x.slack.Views()) == opened {
		return
	}
	sent, err := x.slack.Submit(x.slack.Views()[opened], user, map[string]string{"url": "rtmp://ingest.example.com/live", "key": "canary-key", "name": "主站"})
	require.NoError(x, err)
	x.do(sent)
}
