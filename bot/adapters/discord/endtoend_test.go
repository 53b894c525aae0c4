package discord

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
)

// The table of wishes that every platform's tests are driven by: the same domain request,
// however it was typed.
func TestEveryWishIsTheSameAsk(t *testing.T) {
	t.Parallel()
	w := start(t, overGateway)
	where := discordtest.InGuild(channel)
	for _, c := range grammartest.Cases(Platform) {
		if c.Typed != nil {
			t.Run(c.Name+"/typed", func(t *testing.T) {
				name := strings.TrimSpace(c.Typed.Command + " " + c.Typed.Verb)
				in := w.server.Command(alice, where, "en-US", name, given(c.Typed)...)
				d := w.job(in)
				assert.Equal(t, c.WantOf("typed"), *grammar.AskOf(d))
				assert.Equal(t, c.Command == "livepush" || !d.Public, in.Ack.Flags() == discordtest.Ephemeral)
			})
		}
		if c.Form != nil {
			t.Run(c.Name+"/form", func(t *testing.T) {
				fields := map[string]any{}
				for name, v := range c.Form.Fields {
					fields[name] = v
					if name == "platform" || name == "provider" || name == "record" {
						fields[name] = []string{v}
					}
				}
				id := chat.Action{Name: c.Form.Form, Arg: c.Form.Arg}.String()
				assert.Equal(t, c.WantOf("form"), *grammar.AskOf(w.job(w.server.Submit(alice, where, id, fields))))
			})
		}
	}
}

// given is typed options as Discord sends them: by their declared kind.
func given(typed *grammartest.Typed) []discordtest.Option {
	kinds := map[string]grammar.Kind{}
	for _, d := range grammar.TypedDeclarations() {
		for _, sub := range append(d.Subs, d) {
			for _, o := range sub.Options {
				kinds[o.Name] = o.Kind
			}
		}
	}
	var all []discordtest.Option
	for name, v := range typed.Options {
		o := discordtest.Option{Name: name, Value: v}
		switch kinds[name] {
		case grammar.KindBool:
			o.Value = v == "true"
		case grammar.KindInt:
			o.Value, _ = strconv.Atoi(v)
		}
		all = append(all, o)
	}
	return all
}

// guild is a Discord and a bot process in it.
type guild struct {
	*testing.T
	*adaptertest.Process
	clock  *testClock
	server *discordtest.Server
}

func newGuild(t *testing.T) *guild {
	t.Helper()
	g := &guild{T: t, clock: &testClock{}}
	g.server = discordtest.New(t, g.clock.now)
	// As her interactions say: see [discordtest.InGuild].
	g.server.Join(alice, discordtest.Member{Permissions: discordtest.ManageEvents | discordtest.ManageGuild})
	g.Process = adaptertest.NewProcess(t)
	g.start()
	t.Cleanup(func() {
		g.Stop()
		assert.Empty(t, g.server.Problems(), "what Discord would refuse")
		checkBodies(t, g.server.Calls())
		for _, secret := range []string{"canary-", discordtest.Token, startPath} {
			assert.NotContains(t, g.Logged.String(), secret)
		}
	})
	return g
}

const startPath = "zak=" // of the sandbox's start links

func (g *guild) start() {
	g.Helper()
	g.Start(Platform, func(bot *commands.Bot, log *slog.Logger) adaptertest.Adapter {
		a, err := New(Config{
			BotToken: secret.New(discordtest.Token), ApplicationID: discordtest.ApplicationID, APIURL: g.server.URL, Now: g.clock.now,
		}, bot, log)
		require.NoError(g, err)
		return a
	})
	g.server.Until("it is connected", func() bool { return g.server.Connected() > 0 })
}

func (g *guild) send(in *discordtest.Interaction) *discordtest.Interaction {
	g.Helper()
	g.server.Acked(g.server.Send(in))
	return in
}

// until waits for a message that has the text.
func (g *guild) until(list func() []discordtest.Message, text string) (found discordtest.Message) {
	g.Helper()
	defer func() {
		for _, m := range list() {
			if found.ID == "" {
				g.Log(m.Text())
			}
		}
	}()
	g.server.Until("a message with "+text, func() bool {
		for _, m := range list() {
			if strings.Contains(m.Text(), text) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func (g *guild) public(where string) func() []discordtest.Message {
	return func() []discordtest.Message { return g.server.In(where) }
}

func (g *guild) private(user string) func() []discordtest.Message {
	return func() []discordtest.Message { return g.server.For(user) }
}

// show makes a meeting that can be pushed, and returns its card and what the provider has.
func (g *guild) show() (root discordtest.Message, made sandbox.Meeting) {
	g.Helper()
	g.send(g.server.Command(alice, discordtest.InGuild(channel), "en-US", "meet", discordtest.Option{Name: "topic", Value: "show"},
		discordtest.Option{Name: "provider", Value: "tencent"}, discordtest.Option{Name: "live", Value: true}))
	root = g.until(g.public(channel), "show")
	g.until(g.public(root.ID), "http")
	return root, g.Sandbox.Meetings()[0]
}

func (g *guild) nowhere(canary string, but func(discordtest.Message) bool) {
	g.Helper()
	for _, m := range g.server.All() {
		if but == nil || !but(m) {
			assert.NotContains(g, string(m.Body), canary)
		}
	}
	assert.NotContains(g, g.Logged.String(), canary)
}

func (g *guild) button(m discordtest.Message, action string) string {
	g.Helper()
	for line := range strings.SplitSeq(m.Text(), "\n") {
		if strings.HasPrefix(line, "v1:"+action+":") {
			return line
		}
	}
	require.Fail(g, "no button "+action, m.Text())
	return ""
}

func TestMeetFromCommandToEnd(t *testing.T) {
	t.Parallel()
	g := newGuild(t)
	where := discordtest.InGuild(channel)
	g.send(g.server.Command(alice, where, "zh-CN", "meet", discordtest.Option{Name: "topic", Value: "周会 @everyone"}))
	root := g.until(g.public(channel), "周会")
	g.server.Until("a thread", func() bool { return len(g.server.Threads(channel)) == 1 })
	links := g.until(g.public(root.ID), "http")
	answer := g.until(g.private(alice), startPath)
	require.Len(t, g.Sandbox.Meetings(), 1)
	assert.Equal(t, "周会 @everyone", g.Sandbox.Meetings()[0].Topic)
	assert.True(t, answer.Ephemeral())
	assert.Equal(t, channel, answer.Channel)
	alices := func(m discordtest.Message) bool { return m.User == alice }
	g.nowhere(startPath, alices)

	inThread := discordtest.InThread(root.ID, channel)
	g.send(g.server.Click(bob, inThread, links.ID, g.button(links, "start")))
	g.server.Until("somebody else is refused", func() bool { return len(g.server.For(bob)) == 1 && !g.server.For(bob)[0].Loading() })
	g.send(g.server.Click(alice, inThread, links.ID, g.button(links, "start")))
	g.server.Until("the start link again", func() bool {
		n := 0
		for _, m := range g.server.For(alice) {
			n += strings.Count(m.Text(), startPath)
		}
		return n == 2
	})
	g.nowhere(startPath, alices)

	g.send(g.server.Click(alice, where, root.ID, g.button(g.server.Message(root.ID), "end")))
	question := g.until(g.private(alice), "v1:endyes:")
	assert.True(t, question.Ephemeral(), "Discord has no dialog: the bot asks")
	assert.Zero(t, g.Sandbox.Calls(sandbox.SystecEnd), "one press of a thumb ends nothing")
	g.send(g.server.Click(alice, where, question.ID, g.button(question, "endyes")))
	g.server.Until("the card is edited", func() bool { return g.server.Message(root.ID).Edits > root.Edits })
	assert.Equal(t, 1, g.Sandbox.Calls(sandbox.SystecEnd))
}

func TestStreamKeyGoesToTheProviderAndNowhereElse(t *testing.T) {
	t.Parallel()
	g := newGuild(t)
	root, made := g.show()

	// In the thread no number is needed; the answer is private, the announcement is not.
	const key = "canary-key?a=b&c=d"
	inThread := discordtest.InThread(root.ID, channel)
	form := g.send(g.server.Command(alice, inThread, "en-US", "livepush"))
	require.Equal(t, 9, form.Ack.Type)
	sent := g.send(g.server.Submit(alice, inThread, modalOf(t, form.Ack).CustomID, map[string]any{
		"name": "bili", "url": "rtmp://live.example.com/app", "key": key, "platform": []string{"other"},
	}))
	assert.Equal(t, 5, sent.Ack.Type)
	g.server.Until("the address is set", func() bool { return len(g.Sandbox.Pushes(made.ID)) == 1 })
	g.until(g.private(alice), "bili")
	g.until(g.public(root.ID), "bili")
	g.nowhere("canary-key", nil)
}

func TestAFormKeepsWhatHasNoRoomInIt(t *testing.T) {
	t.Parallel()
	g := newGuild(t)
	where := discordtest.InGuild(channel)
	form := g.send(g.server.Command(alice, where, "en-US", "destinations save", discordtest.Option{Name: "name", Value: "main"},
		discordtest.Option{Name: "url", Value: "rtmp://live.example.com/app"}, discordtest.Option{Name: "page", Value: "https://watch.example.com/1"},
		discordtest.Option{Name: "protected", Value: true}, discordtest.Option{Name: "people", Value: "<@" + bob + ">"}))
	assert.Contains(t, string(form.Ack.Data), "live.example.com")
	assert.NotContains(t, string(form.Ack.Data), "watch.example.com")
	g.send(g.server.Submit(alice, where, modalOf(t, form.Ack).CustomID, map[string]any{
		"name": "main", "url": "rtmp://live.example.com/app", "key": "canary-key", "people": bob, "protected": []string{"true"},
	}))
	saved := g.until(g.private(alice), "main is saved").Text()
	assert.Contains(t, saved, "watch.example.com")
	assert.Contains(t, saved, "second person")
}

// Nothing is left "thinking" while a second person is waited for, and the answer follows.
func TestWhoWaitsForASecondPersonHearsItAtOnce(t *testing.T) {
	t.Parallel()
	g := newGuild(t)
	root, made := g.show()
	inThread := discordtest.InThread(root.ID, channel)
	g.send(g.server.Command(alice, inThread, "en-US", "destinations save", discordtest.Option{Name: "name", Value: "main"},
		discordtest.Option{Name: "url", Value: "rtmp://live.example.com/app"}, discordtest.Option{Name: "key", Value: "canary-key"},
		discordtest.Option{Name: "protected", Value: true}))
	g.until(g.private(alice), "main is saved")

	g.send(g.server.Command(alice, inThread, "en-US", "livepush", discordtest.Option{Name: "to", Value: "main"}))
	waits := g.until(g.private(alice), "Waiting for approval")
	assert.True(t, waits.Ephemeral())
	for _, m := range g.server.For(alice) {
		assert.False(t, m.Loading(), m.Text())
	}
	question := g.until(g.public(root.ID), "Approval needed")
	g.send(g.server.Click(bob, inThread, question.ID, g.button(question, "approve")))
	g.until(g.private(alice), "1 of 1 set")
	assert.Contains(t, g.server.Message(waits.ID).Text(), "Waiting for approval", "the answer follows it")
	g.server.Until("the question is closed", func() bool { return strings.Contains(g.server.Message(question.ID).Text(), "Approved: main") })
	assert.NotContains(t, g.server.Message(question.ID).Text(), "v1:approve")
	assert.Len(t, g.Sandbox.Pushes(made.ID), 1)
	g.nowhere("canary-key", nil)
}

func TestWhoMayNotIsToldPrivately(t *testing.T) {
	t.Parallel()
	g := newGuild(t)
	where := discordtest.InGuild(channel)
	where.Permissions = 0
	in := g.send(g.server.Command(bob, where, "en-US", "meet"))
	assert.Equal(t, discordtest.Ephemeral, in.Ack.Flags()&discordtest.Ephemeral)
	// In a direct message the person's servers decide.
	g.send(g.server.Command(bob, discordtest.InDirect(dm), "en-US", "meet"))
	g.server.Until("the refusal", func() bool {
		all := g.server.For(bob)
		return len(all) >= 2 && !all[1].Loading()
	})
	assert.Empty(t, g.Sandbox.Meetings())
	assert.Empty(t, g.server.In(channel))

	g.server.Join(alice, discordtest.Member{Permissions: discordtest.ManageEvents})
	g.send(g.server.Command(alice, discordtest.InDirect("5004"), "en-US", "meet", discordtest.Option{Name: "topic", Value: "two of us"}))
	g.until(func() []discordtest.Message { return g.server.In("5004") }, "two of us")
	assert.Len(t, g.Sandbox.Meetings(), 1)
}

// The process ends at each message of a /meet: right after Discord took it, or right
// before. The meeting is made once, everybody hears everything, and nothing is there
// twice: the deferred reply and the thread can only be written once, and our own messages
// carry a nonce. An ephemeral follow-up has none, and may be.
func TestCrashWhileDiscordIsBeingTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		route string
		fault discordtest.Fault
		again int
	}{
		"RootTaken":       {route: routeOriginal, fault: discordtest.Fault{Lose: true}},
		"RootNotTaken":    {route: routeOriginal, fault: discordtest.Fault{Status: 500}},
		"ThreadTaken":     {route: routeThread, fault: discordtest.Fault{Lose: true}},
		"ThreadNotTaken":  {route: routeThread, fault: discordtest.Fault{Status: 502, Body: "<html>"}},
		"LinksTaken":      {route: routeMessage, fault: discordtest.Fault{Lose: true}},
		"LinksLimited":    {route: routeMessage, fault: discordtest.Fault{Status: 429, Body: `{"retry_after":0.2}`}},
		"PrivateTaken":    {route: routeFollowUp, fault: discordtest.Fault{Lose: true}, again: 1},
		"PrivateNotTaken": {route: routeFollowUp, fault: discordtest.Fault{Status: 503}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuild(t)
			failed := make(chan struct{})
			var once bool
			g.server.Fail(func(call discordtest.Call) *discordtest.Fault {
				if call.String() != c.route || once {
					return nil
				}
				once = true
				close(failed)
				return &c.fault
			})
			g.send(g.server.Command(alice, discordtest.InGuild(channel), "en-US", "meet", discordtest.Option{Name: "topic", Value: "Weekly"}))
			<-failed
			g.Stop()
			g.start()
			root := g.until(g.public(channel), "Weekly")
			g.until(g.private(alice), startPath)
			g.until(g.public(root.ID), "http")
			g.server.Until("the follow-up, if it comes twice", func() bool { return len(g.server.For(alice)) == 1+c.again })
			assert.Len(t, g.Sandbox.Meetings(), 1)
			assert.Len(t, g.server.In(channel), 1)
			assert.Len(t, g.server.Threads(channel), 1)
			assert.Len(t, g.server.In(root.ID), 1)
		})
	}
}

func TestAnOutageLongerThanTheTokenIsToldByDirectMessage(t *testing.T) {
	t.Parallel()
	g := newGuild(t)
	down := true
	g.server.Fail(func(call discordtest.Call) *discordtest.Fault {
		if down && !strings.HasSuffix(call.Route, "/callback") {
			return &discordtest.Fault{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	g.send(g.server.Command(alice, discordtest.InGuild(channel), "en-US", "meet", discordtest.Option{Name: "topic", Value: "Weekly"}))
	g.server.Until("the meeting is made", func() bool { return len(g.Sandbox.Meetings()) == 1 })
	g.server.Until("telling was tried", func() bool { return g.server.Called(routeOriginal) > 0 })
	g.clock.forward(20 * time.Minute)
	g.server.Fail(nil)
	g.until(g.public(channel), "Weekly")
	told := g.until(g.private(alice), startPath)
	assert.NotEqual(t, channel, told.Channel)
	g.nowhere(startPath, func(m discordtest.Message) bool { return m.User == alice })
}
