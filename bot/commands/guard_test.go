package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/bot/jobs"
	"meetbot/bot/policy"
	"meetbot/bot/texts"
	"meetbot/meeting"
	"meetbot/meeting/zoom"
)

// stranger is a directory that knows of no right.
type stranger struct{ *room }

func (stranger) Profile(context.Context, chat.Place, string) (chat.Profile, error) {
	return chat.Profile{Name: "Somebody", Rights: chat.RightsKnown}, nil
}
func (stranger) InGroup(context.Context, chat.Place, string, string) (bool, error) { return false, nil }

// TestNoWayLeadsPastTheGuard tries every verb on every platform in every way that leads to
// it, as people who may not.
func TestNoWayLeadsPastTheGuard(t *testing.T) {
	denied := texts.For("en").T("denied.whom")
	places := map[chat.Platform]chat.Place{
		chattest.Slack:   channel,
		chattest.Discord: {Platform: chattest.Discord, Team: "1", Channel: "20"},
	}
	lists := policy.Policy{
		Meet: []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "UMEET"}, {Platform: chattest.Discord, Kind: chat.UserEntry, ID: "UMEET"}},
		Push: []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "UPUSH"}, {Platform: chattest.Discord, Kind: chat.UserEntry, ID: "UPUSH"}},
	}
	// Nobody has this one of the platform.
	change := []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: "USET"}, {Platform: chattest.Discord, Kind: chat.UserEntry, ID: "USET"}}
	lists.Settings = change
	// Whoever has only the other right may not either.
	other := map[chat.Rights]chat.User{
		chat.RightSettings: {ID: "UPUSH", Rights: chat.RightsKnown | chat.RightMeet | chat.RightPush | chat.RightSettings},
		chat.RightMeet:     {ID: "UPUSH", Rights: chat.RightsKnown | chat.RightPush},
		chat.RightPush:     {ID: "UMEET", Rights: chat.RightsKnown | chat.RightMeet},
	}
	may := map[chat.Rights]chat.User{chat.RightMeet: other[chat.RightPush], chat.RightPush: other[chat.RightMeet], chat.RightSettings: {ID: "USET", Rights: chat.RightsKnown}}
	for _, listed := range []bool{false, true} {
		inWorld(t, func(c *Config) {
			c.Parser.Kinds = append(slices.Clone(kinds), zoom.Kind) // whose verbs others have not
			c.Policy.Settings = change
			if listed {
				c.Policy = lists
			}
		}, func(w *world) {
			for platform := range places {
				w.bot.Attach(platform, stranger{w.room})
			}
			console := chat.Place{Platform: chattest.Console, Channel: "terminal"}
			for _, d := range grammar.Verbs() {
				for way, r := range grammartest.WaysTo(d) {
					for platform, place := range places {
						name := fmt.Sprintf("%s, %s, %s, lists %t", platform, d.Verb, way, listed)
						if d.Help {
							require.NotContains(t, w.bot.Parse(w.request(mal, place, r)).Reply.Text, denied, "%s: anybody may", name)
							continue
						}
						require.False(t, d.Internal, "%s: nobody can ask what is the bot's own", name)
						parsed := w.bot.Parse(w.request(may[d.Right], place, r))
						require.True(t, parsed.Ask != nil || parsed.Form != nil || r.InTheOpen, "%s: whoever may is not refused: %+v", name, parsed)
						if opens := parsed.Reply; opens != nil { // with the button that a mention is answered with
							r = chat.Request{Action: &opens.Buttons[0].Action}
						}
						for _, u := range []chat.User{mal, other[d.Right]} {
							refused := w.bot.Parse(w.request(u, place, r))
							require.NotNil(t, refused.Reply, "%s as %s", name, u.ID)
							require.Contains(t, refused.Reply.Text, denied, "%s as %s", name, u.ID)
						}
						if listed || parsed.Ask == nil {
							continue
						}
						// What the event does not say is looked up in the job.
						unknown := chat.User{ID: "U9"}
						posts := w.do(w.bot.Parse(w.request(unknown, place, r)), unknown, place)
						require.Contains(t, find(t, posts, chat.SlotPrivate).Reply.Text, denied, name)
						for _, p := range posts {
							require.Contains(t, []chat.Slot{chat.SlotPrivate, chat.SlotSettle}, p.Slot, "%s: nothing else comes of it", name)
							require.NotContains(t, p.Reply.Text, "settled.", "%s: a text is missing", name)
						}
					}
					if !d.Help {
						local := w.bot.Parse(w.request(chat.User{ID: "root"}, console, r))
						require.False(t, local.Reply != nil && strings.Contains(local.Reply.Text, denied), "%s, %s: whoever sits there holds the credentials", d.Verb, way)
					}
				}
			}
			assert.Zero(t, w.systec.created+w.tencent.created)
		})
	}
}

// TestNothingIsCompletedForWhoMayNot does the same for what a platform completes.
func TestNothingIsCompletedForWhoMayNot(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.Policy.Settings = []policy.Entry{{Platform: chattest.Slack, Kind: chat.UserEntry, ID: ada.ID}}
	}, func(w *world) {
		w.bot.Attach(chattest.Slack, stranger{w.room})
		w.say(ada, channel, "/meet weekly --provider tencent")
		w.say(ada, channel, "/livepush save 主站 --url rtmp://ingest.example.com/live --key canary-key")
		w.say(ada, channel, "/livepush to 主站")
		w.say(ada, channel, "/livepush --name 副站 --url rtmp://other.example.com/live --key canary-key --standby")
		completed := 0
		for _, d := range grammar.Declarations(kinds...) { // of what no provider here can do nothing is proposed
			for _, o := range d.Options {
				if o.Kind != grammar.KindMeeting && o.Kind != grammar.KindDest {
					continue
				}
				for _, r := range []chat.Request{{Command: d.Command}, {Command: d.Typed, Verb: d.TypedSub}} {
					name := fmt.Sprintf("%s, %s, %+v", d.Verb, o.Name, r)
					completed++
					assert.NotEmpty(t, w.bot.Complete(t.Context(), w.request(ada, channel, r), o.Name, ""), name)
					one := chat.User{ID: ada.ID, Rights: chat.RightsKnown | chat.RightMeet}
					switch d.Right {
					case chat.RightSettings:
						one.ID = ben.ID
					case chat.RightMeet:
						one.Rights = chat.RightsKnown | chat.RightPush
					}
					for _, u := range []chat.User{mal, one, {ID: "U9"}} {
						assert.Empty(t, w.bot.Complete(t.Context(), w.request(u, channel, r), o.Name, ""), name)
					}
				}
			}
		}
		assert.Greater(t, completed, 15)
	})
}

func TestWhatIsTheBotsOwnHasNoWayIn(t *testing.T) {
	bot := New(Config{Parser: grammar.Config{Kinds: kinds, Providers: []meeting.Provider{"systec"}}}, nil)
	for _, d := range grammar.Verbs() {
		if !d.Internal {
			continue
		}
		assert.Empty(t, grammartest.WaysTo(d), d.Verb)
		for _, arg := range []string{"", "job", "systec:1591620801"} {
			parsed := bot.Parse(chat.Request{User: ada, Place: channel, Action: &chat.Action{Name: string(d.Verb), Arg: arg}})
			assert.Nil(t, parsed.Ask, d.Verb)
		}
	}
}

func TestWhatWasNotDoneIsNotDone(t *testing.T) {
	for word, want := range map[string]bool{
		"created": true, "shown": true, "asked": true, "partly": true,
		"refused": false, "unknown": false, "withdrawn": false, "unreadable": false, "internal": false,
	} {
		assert.Equal(t, want, Done(word), word)
	}
}

func TestAVerbIsDeclaredAndDoesSomething(t *testing.T) {
	next := func(context.Context, *run) (jobs.Next, error) { return jobs.Deliver(), nil }
	call := func(context.Context, *run) error { return nil }
	declared := []grammar.VerbDecl{{Verb: "a"}, {Verb: "b"}, {Verb: "explained", Help: true}, {Verb: "opened", Opens: "form"}}
	for _, tt := range []struct {
		name  string
		steps map[grammar.Verb]steps
		ok    bool
	}{
		{"Match", map[grammar.Verb]steps{"a": {next: next}, "b": {next: next, call: call, reconcile: call}}, true},
		{"DoesNothing", map[grammar.Verb]steps{"a": {next: next}}, false},
		{"IsNotDeclared", map[grammar.Verb]steps{"a": {next: next}, "b": {next: next}, "c": {next: next}}, false},
		{"IsNoJob", map[grammar.Verb]steps{"a": {next: next}, "b": {next: next}, "explained": {next: next}}, false},
		{"CannotBeLookedUp", map[grammar.Verb]steps{"a": {next: next}, "b": {next: next, call: call}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.ok, match(tt.steps, declared) == nil) })
	}
	assert.NoError(t, match(stepsOf(parts{}), grammar.Verbs()))
	assert.Equal(t, []grammar.Verb{"endyes", "golive", "livepush", "livepush off", "livepush on", "livepush to", "meet", "samedest", "unlive"}, CallingVerbs())
}
