package discord

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/bot/policy"
	"meetbot/bot/texts"
	"meetbot/meeting/sandbox"
)

// act is how a person on Discord makes a request; nil where nobody there can.
func (g *guild) act(user string, where discordtest.Where, r chat.Request) *discordtest.Interaction {
	switch {
	case r.Options != nil:
		return g.server.Command(user, where, "en-US", strings.TrimSpace(r.Command+" "+r.Verb), given(&grammartest.Typed{Options: r.Options})...)
	case r.Action != nil:
		return g.server.Click(user, where, "1", r.Action.String())
	case r.Form != nil:
		fields := map[string]any{}
		for name, v := range r.Form.Fields {
			fields[name] = v
		}
		return g.server.Submit(user, where, chat.Action{Name: r.Form.Form}.String(), fields)
	}
	return nil // no lines, mentions and shortcuts here
}

// TestNoWayOnDiscordLeadsPastTheGuard tries every verb in every way that leads to it, as people
// who may not, in a server and in a direct message, through the adapter and the whole bot; and
// every option that is completed.
func TestNoWayOnDiscordLeadsPastTheGuard(t *testing.T) {
	t.Parallel()
	denied := texts.For("en").T("denied.whom")
	entry := func(id string) []policy.Entry {
		return []policy.Entry{{Platform: Platform, Kind: chat.UserEntry, ID: id}}
	}
	// Whoever has only the other right may not either.
	permission := map[chat.Rights]int64{chat.RightMeet: discordtest.ManageGuild, chat.RightPush: discordtest.ManageEvents | discordtest.CreateEvents}
	for name, listed := range map[string]bool{"by permission": false, "by list": true} {
		for _, right := range []chat.Rights{chat.RightMeet, chat.RightPush} {
			t.Run(fmt.Sprintf("%s, %d", name, right), func(t *testing.T) {
				g := &guild{T: t, clock: &testClock{}}
				g.server = discordtest.New(t, g.clock.now)
				g.Process = adaptertest.NewProcess(t)
				inGuild := discordtest.InGuild(channel)
				inGuild.Permissions = permission[right]
				if listed {
					g.Policy = policy.Policy{Meet: append(entry(alice), entry(bob)...), Push: entry(alice)}
					if right == chat.RightMeet {
						g.Policy.Meet, g.Policy.Push = g.Policy.Push, g.Policy.Meet
					}
					inGuild = discordtest.InGuild(channel) // permissions are of no use
				}
				g.start()
				t.Cleanup(func() {
					g.Stop()
					assert.Empty(t, g.server.Problems(), "what Discord would refuse")
					assert.NotContains(t, g.Logged.String(), "canary-")
				})
				g.server.Join(alice, discordtest.Member{Permissions: discordtest.ManageEvents | discordtest.ManageGuild})
				g.server.Join(bob, discordtest.Member{Permissions: inGuild.Permissions})
				// What there would be to complete.
				g.send(g.server.Command(alice, discordtest.InGuild(channel), "en-US", "destinations save", given(&grammartest.Typed{Options: map[string]string{"name": "主站", "url": "rtmp://ingest.example.com/live", "key": "canary-key"}})...))
				g.until(func() []discordtest.Message { return g.server.For(alice) }, "is saved")
				g.show()
				public := len(g.server.In(channel))

				tried := map[string]int{}
				for _, d := range grammar.Verbs() {
					if !d.Help && d.Right != right {
						continue
					}
					ways := grammartest.WaysTo(d)
					for _, way := range slices.Sorted(maps.Keys(ways)) {
						for _, where := range []discordtest.Where{inGuild, discordtest.InDirect(dm)} {
							in := g.act(bob, where, ways[way])
							if in == nil {
								continue
							}
							tried[way]++
							before := len(g.server.For(bob))
							ack := g.server.Acked(g.server.Send(in))
							told := func() (all string) {
								for _, m := range g.server.For(bob)[min(before, len(g.server.For(bob))):] {
									all += m.Text() + "\n"
								}
								return all
							}
							if d.Help {
								g.server.Until(fmt.Sprintf("%s, %s is answered", d.Verb, way), func() bool { return told() != "" })
								require.NotContains(t, told(), denied, "%s, %s: anybody may", d.Verb, way)
								continue
							}
							require.NotEqual(t, 9, ack.Type, "%s, %s: no form is opened", d.Verb, way)
							g.server.Until(fmt.Sprintf("%s, %s is refused: %s", d.Verb, way, told()), func() bool { return strings.Contains(told(), denied) })
						}
					}
					for _, o := range d.Options {
						if d.Typed == "" || o.Kind != grammar.KindMeeting && o.Kind != grammar.KindDest {
							continue
						}
						for _, where := range []discordtest.Where{inGuild, discordtest.InDirect(dm)} {
							tried["completion"]++
							ack := g.server.Acked(g.server.Send(g.server.Complete(bob, where, strings.TrimSpace(d.Typed+" "+d.TypedSub), discordtest.Option{Name: o.Name, Value: "", Focused: true})))
							var proposed struct {
								Choices []any `json:"choices"`
							}
							require.NoError(t, json.Unmarshal(ack.Data, &proposed))
							assert.Empty(t, proposed.Choices, "%s, %s", d.Verb, o.Name)
						}
					}
				}
				for _, way := range []string{"typed options", "button", "form", "completion"} {
					assert.Positive(t, tried[way], way)
				}
				assert.Len(t, g.server.In(channel), public, "nobody else sees anything of it")
				assert.Len(t, g.Sandbox.Meetings(), 1)
				for _, e := range []sandbox.Endpoint{sandbox.TencentSetPush, sandbox.TencentDismiss, sandbox.TencentQueryPush, sandbox.SystecEnd} {
					assert.Zero(t, g.Sandbox.Calls(e), e)
				}
			})
		}
	}
}
