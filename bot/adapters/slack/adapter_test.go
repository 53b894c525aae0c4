package slack

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/grammar/grammartest"
	"meetbot/config/secret"
)

// fakeBot parses with a function and remembers what it was asked.
type fakeBot struct {
	parse  func(chat.Request) chat.Decision
	accept func(context.Context, chat.Decision) chat.Acceptance

	mu       sync.Mutex
	parsed   []chat.Request
	accepted []chat.Request
	seen     map[string]bool
}

// Ready gives lists two choices.
func (b *fakeBot) Ready(_ context.Context, d chat.Decision) chat.Decision {
	if d.Form != nil {
		f := *d.Form
		f.Fields = slices.Clone(f.Fields)
		for i := range f.Fields {
			if f.Fields[i].Kind == chat.ListField {
				f.Fields[i].Choices = []chat.Choice{{Label: "bili", Value: "bili"}, {Label: "抖音", Value: "抖音"}}
			}
		}
		d.Form = &f
	}
	return d
}

func (b *fakeBot) Complete(context.Context, chat.Request, string, string) []chat.Choice { return nil }

func (b *fakeBot) Parse(r chat.Request) chat.Decision {
	b.mu.Lock()
	b.parsed = append(b.parsed, r)
	b.mu.Unlock()
	if b.parse != nil {
		return b.parse(r)
	}
	return chat.Decision{Ask: &grammar.Ask{Verb: grammar.VerbMeet}, Request: r}
}

func (b *fakeBot) Accept(ctx context.Context, d chat.Decision) chat.Acceptance {
	if b.accept != nil {
		if a := b.accept(ctx, d); a.Reply != nil {
			return a
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	if b.seen[d.Request.ID] {
		return chat.Acceptance{Duplicate: true}
	}
	b.seen[d.Request.ID] = true
	b.accepted = append(b.accepted, d.Request)
	return chat.Acceptance{}
}

func (b *fakeBot) jobs() []chat.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]chat.Request(nil), b.accepted...)
}

// world is an adapter with its Slack, connected over both transports.
type world struct {
	*testing.T
	slack  *slacktest.Server
	bot    *fakeBot
	a      *Adapter
	http   slacktest.HTTP
	socket slacktest.Transport
	log    *adaptertest.Log
	done   chan error
	stop   context.CancelFunc
}

const hang = 10 * time.Second // a bound against hanging, not a measure

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), hang)
	w.Cleanup(cancel)
	return ctx
}

// newWorld starts everything; more scopes come on top of the required ones.
func newWorld(t *testing.T, more ...string) *world {
	t.Helper()
	w := &world{T: t, slack: slacktest.New(append(append([]string(nil), slacktest.DefaultScopes...), more...)...), bot: &fakeBot{}, log: &adaptertest.Log{}, done: make(chan error, 1)}
	t.Cleanup(w.slack.Close)
	w.a = newAdapter(t, w.slack, w.bot, w.log)
	w.connect()
	return w
}

// connect runs the world's adapter.
func (w *world) connect() {
	t := w.T
	server := httptest.NewServer(w.a.Handler())
	t.Cleanup(server.Close)
	w.http = slacktest.HTTP{Base: server.URL, Secret: slacktest.SigningSecret, Client: server.Client()}
	w.socket = w.slack.Socket()
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.done <- w.a.Run(ctx)
	}()
	t.Cleanup(func() { // what is under way may still be waited for
		cancel()
		<-ended
	})
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return w.slack.Connections() == 2 }), "two connections")
	require.Eventually(t, func() bool { return w.a.Health().Ready() }, hang, time.Millisecond)
}

func newAdapter(t testing.TB, s *slacktest.Server, bot chat.Bot, log *adaptertest.Log) *Adapter {
	t.Helper()
	return adapterBy(t, time.Now, s, bot, log)
}

func adapterBy(t testing.TB, now func() time.Time, s *slacktest.Server, bot chat.Bot, log *adaptertest.Log) *Adapter {
	t.Helper()
	a, err := New(Config{
		Now: now, Alone: func() bool { return true },

		BotToken: secret.New(slacktest.BotToken), AppToken: secret.New(slacktest.AppToken), SigningSecret: secret.New(slacktest.SigningSecret),
		APIURL: s.APIURL(), HTTPClient: &http.Client{Timeout: 5 * time.Second},
	}, bot, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	unpaced(a)
	return a
}

// unpaced lets an adapter post and connect as fast as it can: it is paced in its own test.
func unpaced(a *Adapter) {
	made := a.workspaces.make
	a.workspaces.make = func(id string, w *web) *workspace {
		s := made(id, w)
		s.poster.channels, s.poster.edits = kit.NewPace(0, time.Second, nil), kit.NewEdits(0, time.Second, nil)
		return s
	}
	a.sockets.backoff = 10 * time.Millisecond
}

func (w *world) transports() map[string]slacktest.Transport {
	return map[string]slacktest.Transport{"HTTP": w.http, "Socket": w.socket}
}

func (w *world) deliver(tr slacktest.Transport, act slacktest.Act) slacktest.Ack {
	w.Helper()
	ack, err := w.slack.Deliver(w.ctx(), tr, act, 0)
	require.NoError(w, err)
	require.Equal(w, http.StatusOK, ack.Status)
	return ack
}

// messages waits until there are n of them.
func (w *world) messages(n int) []slacktest.Message {
	w.Helper()
	require.NoError(w, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Messages()) >= n }), "message %d", n)
	all := w.slack.Messages()
	require.Len(w, all, n)
	return all
}

func TestSettingsAreChecked(t *testing.T) {
	ok := Config{BotToken: secret.New("xoxb-1"), SigningSecret: secret.New("s")}
	for name, change := range map[string]func(*Config){
		"NoBotToken":      func(c *Config) { c.BotToken = secret.String{} },
		"UserToken":       func(c *Config) { c.BotToken = secret.New("xoxp-1") },
		"NoTransport":     func(c *Config) { c.SigningSecret = secret.String{} },
		"BotTokenAsApp":   func(c *Config) { c.AppToken = secret.New("xoxb-1") },
		"CommandNoSlash":  func(c *Config) { c.MeetCommand = "meet" },
		"CommandCapital":  func(c *Config) { c.MeetCommand = "/Meet" },
		"SameCommand":     func(c *Config) { c.MeetCommand = "/livepush" },
		"APIURLIsNone":    func(c *Config) { c.APIURL = "slack.com" },
		"TooManySessions": func(c *Config) { c.Connections = 11 },
	} {
		t.Run(name, func(t *testing.T) {
			c := ok
			change(&c)
			_, err := New(c, &fakeBot{}, nil)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "xox"+"p-1")
		})
	}
	_, err := New(ok, &fakeBot{}, nil)
	require.NoError(t, err)
}

func TestCommandIsAcknowledgedEmptyAfterItIsDurable(t *testing.T) {
	w := newWorld(t)
	for name, tr := range w.transports() {
		t.Run(name, func(t *testing.T) {
			durable := make(chan struct{})
			asked := make(chan struct{})
			w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance {
				close(asked)
				<-durable
				return chat.Acceptance{}
			}
			acked := make(chan slacktest.Ack, 1)
			act := w.slack.Slash("C1", "U1", "/meet", "周会 &amp; more")
			go func() {
				ack, err := w.slack.Deliver(w.ctx(), tr, act, 0)
				assert.NoError(t, err)
				acked <- ack
			}()
			<-asked
			select {
			case <-acked:
				t.Fatal("acknowledged before it was durable")
			default:
			}
			close(durable)
			ack := <-acked
			assert.Equal(t, http.StatusOK, ack.Status)
			assert.Empty(t, ack.Payload)
			jobs := w.bot.jobs()
			r := jobs[len(jobs)-1]
			assert.Equal(t, "meet", r.Command)
			assert.Equal(t, "周会 &amp; more", r.Text)
			assert.Equal(t, "U1", r.User.ID)
			assert.Equal(t, chat.Place{Platform: Platform, Team: slacktest.Team, Channel: "C1"}, r.Place)
			assert.Regexp(t, `^slack:T0TEAM:1337\.42\.`, r.ID)
		})
	}
}

func TestAcceptanceIsBounded(t *testing.T) {
	w := newWorld(t)
	w.bot.accept = func(ctx context.Context, _ chat.Decision) chat.Acceptance {
		deadline, ok := ctx.Deadline()
		assert.True(t, ok)
		assert.LessOrEqual(t, time.Until(deadline), 2400*time.Millisecond)
		return chat.Acceptance{Reply: &chat.Reply{Tone: chat.Bad, Title: "Busy"}}
	}
	ack := w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", ""))
	assert.Empty(t, ack.Payload)
	m := w.messages(1)[0]
	assert.Equal(t, "U1", m.To)
	assert.True(t, m.Hook)
	assert.Contains(t, string(m.Blocks), "Busy")
}

func TestAStoreThatHangsIsNotWaitedForTooLong(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"HTTP", "Socket"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.bot.accept = func(ctx context.Context, _ chat.Decision) chat.Acceptance {
				<-ctx.Done()
				return chat.Acceptance{Reply: &chat.Reply{Tone: chat.Bad, Title: "Not sure"}}
			}
			ack := w.deliver(w.transports()[name], w.slack.Slash("C1", "U1", "/livepush", "--key canary"))
			assert.Empty(t, ack.Payload)
			assert.Contains(t, string(w.messages(1)[0].Blocks), "Not sure")
		})
	}
}

func TestEveryWayInMakesItsRequest(t *testing.T) {
	w := newWorld(t)
	inThread := slacktest.Message{Channel: "C1", TS: "2.0", Thread: "1.0", Blocks: json.RawMessage(`[{"type":"actions","elements":[{"type":"button","action_id":"b0","value":"v1:endyes:systec:7"}]}]`)}
	card := inThread
	card.TS, card.Thread = "1.0", "1.0"
	click := func(m slacktest.Message) slacktest.Act {
		act, err := w.slack.Click(m, "U1", "endyes")
		require.NoError(t, err)
		return act
	}
	mention := func(thread, text string) slacktest.Act {
		act, _ := w.slack.Mention("C1", thread, "U1", text)
		return act
	}
	place := func(channel, thread string, kind chat.PlaceKind) chat.Place {
		return chat.Place{Platform: Platform, Team: slacktest.Team, Channel: channel, Thread: thread, Kind: kind}
	}
	for _, tt := range []struct {
		name string
		act  func() slacktest.Act
		want chat.Request
	}{
		{"Livepush", func() slacktest.Act { return w.slack.Slash("C1", "U1", "/livepush", "to a,b") },
			chat.Request{Place: place("C1", "", chat.InChannel), Command: "livepush", Text: "to a,b"}},
		{"DirectMessage", func() slacktest.Act { return w.slack.Slash("D1", "U1", "/meet", "") },
			chat.Request{Place: place("D1", "", chat.InDirect), Command: "meet"}},
		{"GroupDirectMessage", func() slacktest.Act { return w.slack.Slash("G1", "U1", "/meet", "") },
			chat.Request{Place: place("G1", "", chat.InGroup), Command: "meet"}},
		{"MentionInThread", func() slacktest.Act { return mention("1.0", "<@U0BOT> meet weekly <@U2|bo>") },
			chat.Request{Place: place("C1", "1.0", ""), Command: "meet", Text: "weekly <@U2|bo>", InTheOpen: true}},
		{"MentionAfterWords", func() slacktest.Act { return mention("1.0", "hey <@U0BOT|meetbot>： /livepush\u3000off bili") },
			chat.Request{Place: place("C1", "1.0", ""), Command: "livepush", Text: "off bili", InTheOpen: true}},
		{"MentionAsksNothing", func() slacktest.Act { return mention("1.0", "thanks <@U0BOT>!") },
			chat.Request{Place: place("C1", "1.0", ""), Command: "meet", Text: "help", InTheOpen: true}},
		{"Shortcut", func() slacktest.Act {
			return w.slack.Shortcut("C1", "3.0", "", "U1", "see <https://x.example|the &lt;plan&gt;> with <@U2|bo>")
		}, chat.Request{Place: place("C1", "3.0", ""), Command: "meet", About: "see the <plan> with @bo"}},
		{"ButtonInThread", func() slacktest.Act { return click(inThread) },
			chat.Request{Place: place("C1", "1.0", ""), Action: &chat.Action{Name: "endyes", Arg: "systec:7"}}},
		{"ButtonOnCard", func() slacktest.Act { return click(card) },
			chat.Request{Place: place("C1", "", ""), Action: &chat.Action{Name: "endyes", Arg: "systec:7"}}},
	} {
		for name, tr := range w.transports() {
			t.Run(tt.name+name, func(t *testing.T) {
				w.deliver(tr, tt.act())
				jobs := w.bot.jobs()
				require.NotEmpty(t, jobs)
				got := jobs[len(jobs)-1]
				assert.LessOrEqual(t, len(got.ID), 200)
				assert.WithinDuration(t, time.Now(), got.At, time.Minute)
				got.ID, got.At, got.Origin, got.User = "", time.Time{}, nil, chat.User{}
				assert.Equal(t, tt.want, got)
			})
		}
	}
}

func TestTheSameWishIsOneJob(t *testing.T) {
	w := newWorld(t)
	act, _ := w.slack.Mention("C1", "1.0", "U1", "<@U0BOT> meet")
	for again := range 3 {
		_, err := w.slack.Deliver(w.ctx(), w.http, act, again)
		require.NoError(t, err)
	}
	assert.Len(t, w.bot.jobs(), 1, "a repeated event")

	buttons := slacktest.Message{Channel: "C1", TS: "2.0", Blocks: json.RawMessage(`[{"type":"actions","elements":[
		{"type":"button","action_id":"b0","value":"v1:another:j1"},{"type":"button","action_id":"b1","value":"v1:start:systec:7"}]}]`)}
	press := func(m slacktest.Message, user, what string) {
		act, err := w.slack.Click(m, user, what)
		require.NoError(t, err)
		w.deliver(w.socket, act)
	}
	press(buttons, "U1", "another")
	press(buttons, "U1", "another")
	assert.Len(t, w.bot.jobs(), 2, "a double click")
	press(buttons, "U2", "another")
	assert.Len(t, w.bot.jobs(), 3, "another person's click is checked on its own")
	edited := buttons
	edited.Edits = 1
	press(edited, "U1", "another")
	assert.Len(t, w.bot.jobs(), 4, "a click on a card that has changed")
	press(buttons, "U1", "start")
	press(buttons, "U1", "start")
	assert.Len(t, w.bot.jobs(), 6, "what only shows something may be asked again")
}

func TestOthersEventsAreAcknowledgedAndLeftAlone(t *testing.T) {
	w := newWorld(t)
	byBot, _ := w.slack.Mention("C1", "", slacktest.BotUser, "<@U0BOT> meet")
	link := slacktest.Message{Channel: "C1", TS: "1.0", Blocks: json.RawMessage(`[{"type":"actions","elements":[{"type":"button","action_id":"b0","value":"not-ours"}]}]`)}
	pressed, err := w.slack.Click(link, "U1", "not-ours")
	require.NoError(t, err)
	for _, tr := range w.transports() {
		w.deliver(tr, byBot)
		w.deliver(tr, pressed)
	}
	assert.Empty(t, w.bot.jobs())
}

func TestImmediateAnswerIsPrivateAndInThePersonsLanguage(t *testing.T) {
	w := newWorld(t)
	w.slack.SetUser(slacktest.User{ID: "U9", Name: "wang", Locale: "zh-CN"})
	w.bot.parse = func(r chat.Request) chat.Decision {
		return chat.Decision{Reply: &chat.Reply{Title: map[string]string{"": "Help", "zh-CN": "帮助", "en-US": "Help"}[r.User.Locale]}}
	}
	ack := w.deliver(w.socket, w.slack.Slash("C1", "U9", "/meet", "help"))
	assert.Empty(t, ack.Payload)
	m := w.messages(1)[0]
	assert.Equal(t, "U9", m.To)
	assert.Contains(t, string(m.Blocks), "帮助")

	act, _ := w.slack.Mention("C1", "1.0", "U1", "<@U0BOT>")
	for again := range 2 { // Slack repeats the event; the person is answered once
		_, err := w.slack.Deliver(w.ctx(), w.http, act, again)
		require.NoError(t, err)
	}
	m = w.messages(2)[1]
	assert.Equal(t, slacktest.Message{Team: slacktest.Team, Channel: "C1", Thread: "1.0", To: "U1", TS: m.TS, Text: "Help", Blocks: m.Blocks}, m)
}

func TestAPanicEndsNoMoreThanItsEvent(t *testing.T) {
	w := newWorld(t)
	w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance { panic("canary-typed") }
	ctx, cancel := context.WithCancel(w.ctx())
	go func() {
		_, err := w.slack.Deliver(ctx, w.socket, w.slack.Slash("C1", "U1", "/meet", ""), 0)
		assert.Error(t, err, "Slack delivers it again")
	}()
	require.Eventually(t, func() bool { return strings.Contains(w.log.String(), "panic") }, hang, time.Millisecond)
	cancel()
	assert.NotContains(t, w.log.String(), "canary-typed")
	w.bot.accept = nil
	w.deliver(w.socket, w.slack.Slash("C1", "U1", "/meet", ""))
	assert.Len(t, w.bot.jobs(), 1)
}

func TestStoppingAcknowledgesWhatIsUnderWay(t *testing.T) {
	for _, name := range []string{"HTTP", "Socket"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			asked, durable := make(chan struct{}), make(chan struct{})
			w.bot.accept = func(context.Context, chat.Decision) chat.Acceptance {
				close(asked)
				<-durable
				return chat.Acceptance{}
			}
			acked := make(chan slacktest.Ack, 1)
			go func() {
				ack, err := w.slack.Deliver(w.ctx(), w.transports()[name], w.slack.Slash("C1", "U1", "/meet", ""), 0)
				assert.NoError(t, err)
				acked <- ack
			}()
			<-asked
			w.stop()
			close(durable)
			require.NoError(t, <-w.done)
			assert.Equal(t, http.StatusOK, (<-acked).Status)
			assert.Len(t, w.bot.jobs(), 1)
		})
	}
}

// TestLinesAskTheSameAsEverywhere takes the table that every platform's adapter is held
// to through the wire, escaped as Slack escapes what people type.
func TestLinesAskTheSameAsEverywhere(t *testing.T) {
	w := newWorld(t)
	parser := grammar.New(grammartest.Config())
	var got chat.Decision
	w.bot.parse = func(r chat.Request) chat.Decision {
		got = parser.Parse(r)
		return chat.Decision{}
	}
	lines := 0
	for _, c := range grammartest.Cases(Platform) {
		if !c.HasLine {
			continue
		}
		lines++
		for name, tr := range w.transports() {
			t.Run(c.Name+"/"+name, func(t *testing.T) {
				w.deliver(tr, w.slack.Slash("C1", "U1", "/"+c.Command, strings.ReplaceAll(c.Line, "&", "&amp;")))
				require.NotNil(t, got.Ask, "%+v", got.Reply)
				assert.Equal(t, c.WantOf("line"), *grammar.AskOf(got))
			})
		}
	}
	require.NotZero(t, lines)
}

// TestAnotherWorkspaceIsNotServed: whoever installs a distributed app has its events signed with
// the same secret.
func TestAnotherWorkspaceIsNotServed(t *testing.T) {
	w := newWorld(t)
	mine := w.a.web.self.Load()
	card := slacktest.Message{Channel: "C1", TS: "2.0", Blocks: json.RawMessage(`[{"type":"actions","elements":[{"type":"button","action_id":"b0","value":"v1:end:systec:7"}]}]`)}
	acts := func(enterprise string) []slacktest.Act {
		mention, _ := w.slack.Mention("C1", "", "U1", "<@"+slacktest.BotUser+"> meet")
		click, err := w.slack.Click(card, "U1", "v1:end")
		require.NoError(t, err)
		all := []slacktest.Act{w.slack.Slash("C1", "U1", "/meet", ""), mention, w.slack.Shortcut("C1", "1.0", "", "U1", "The build is red"), click}
		for i := range all {
			all[i] = all[i].From(slacktest.Team, enterprise)
		}
		return all
	}
	theirs := *mine
	theirs.team = "T666"
	w.a.web.self.Store(&theirs)
	for _, tr := range w.transports() {
		for _, act := range acts("") {
			assert.Empty(t, w.deliver(tr, act).Payload)
		}
	}
	assert.Empty(t, w.bot.jobs())
	assert.Equal(t, 1, strings.Count(w.log.String(), "another workspace"), "one line, however many")

	grid := theirs // a token serves the workspaces of its organisation
	grid.enterprise = "E1"
	for _, tt := range []struct {
		self       *identity
		enterprise string
		want       int
	}{{mine, "", 4}, {&grid, "E1", 4}, {&grid, "E2", 0}, {&grid, "", 0}} {
		w.a.web.self.Store(tt.self)
		before := len(w.bot.jobs())
		for _, act := range acts(tt.enterprise) {
			w.deliver(w.http, act)
		}
		assert.Len(t, w.bot.jobs(), before+tt.want, "%+v", tt)
	}
}

// In a channel that organisations share, an event may name the workspace of whoever wrote. The
// installation that sees it is the bot's own, and it answers; whose it is not is left alone.
func TestAMentionInASharedChannelIsTakenWhereTheBotIs(t *testing.T) {
	w := newWorld(t)
	for name, tr := range w.transports() {
		before := len(w.bot.jobs())
		mention, _ := w.slack.Mention("C1", "", "U1", "<@"+slacktest.BotUser+"> meet weekly")
		w.deliver(tr, mention.Shared("T666", slacktest.Team))
		require.Len(t, w.bot.jobs(), before+1, name)
		got := w.bot.jobs()[before]
		assert.Equal(t, slacktest.Team, got.Place.Team, name)
		assert.Equal(t, "weekly", got.Text, name)

		other, _ := w.slack.Mention("C1", "", "U1", "<@"+slacktest.BotUser+"> meet weekly")
		w.deliver(tr, other.Shared("T666", "T777"))
		assert.Len(t, w.bot.jobs(), before+1, name)
	}
	assert.Equal(t, 1, strings.Count(w.log.String(), "another workspace"), "only of what was left alone")
}

// A form that is not taken says so: an empty answer would close it as if it had been.
func TestAFormOfAnotherWorkspaceIsRefused(t *testing.T) {
	w := newWorld(t)
	w.bot.parse = func(r chat.Request) chat.Decision {
		if r.Form != nil {
			return chat.Decision{Ask: &grammar.Ask{Verb: grammar.VerbMeet}, Request: r}
		}
		return chat.Decision{Form: &chat.Form{ID: "meet", Title: "Meet", Submit: "OK", Fields: []chat.FormField{{Name: "topic", Label: "Topic"}}}}
	}
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", ""))
	require.NoError(t, w.slack.Wait(w.ctx(), func() bool { return len(w.slack.Views()) == 1 }))
	sent, err := w.slack.Submit(w.slack.Views()[0], "U1", map[string]string{"topic": "weekly"})
	require.NoError(t, err)
	for name, tr := range w.transports() {
		ack := w.deliver(tr, sent.From("T666", ""))
		assert.JSONEq(t, `{"response_action":"errors","errors":{"topic":"I'm not enabled in this workspace, so I did nothing. Ask whoever runs this bot."}}`, string(ack.Payload), name)
	}
	assert.Empty(t, w.bot.jobs())
	w.deliver(w.http, sent)
	assert.Len(t, w.bot.jobs(), 1)
}

// Where several workspaces share a channel, a card there is of one of them.
func TestAButtonOnAnotherWorkspacesCardIsRefused(t *testing.T) {
	w := newWorld(t)
	card := slacktest.Message{Team: "T666", Channel: "C1", TS: "2.0", Blocks: json.RawMessage(`[{"type":"actions","elements":[{"type":"button","action_id":"b0","value":"v1:end:systec:7"}]}]`)}
	click, err := w.slack.Click(card, "U1", "v1:end")
	require.NoError(t, err)
	w.deliver(w.http, click)
	told := w.messages(1)[0]
	assert.Equal(t, "U1", told.To)
	assert.Contains(t, told.Text, "another workspace")
	assert.Empty(t, w.bot.jobs())
}

// What waits for Slack without being a job is bounded. Whoever types a command then hears at
// once, by the acknowledgement, that it is too much; nothing is kept for them.
func TestAnswersThatWaitForSlackAreBounded(t *testing.T) {
	w := newWorld(t)
	w.bot.parse = func(chat.Request) chat.Decision { return chat.Decision{Reply: &chat.Reply{Title: "Help"}} }
	for range maxLater { // as many hang
		w.a.follow <- struct{}{}
	}
	for _, tr := range []slacktest.Transport{w.http, w.socket} {
		ack := w.deliver(tr, w.slack.Slash("C1", "U1", "/meet", "help"))
		assert.JSONEq(t, `{"response_type":"ephemeral","text":"I have too much to do right now, so I didn't run your command. Try again in a minute."}`, string(ack.Payload))
	}
	assert.Empty(t, w.slack.Messages())

	// One who cannot hear it that way has the next place that is free.
	act, _ := w.slack.Mention("C1", "1.0", "U1", "<@U0BOT>")
	go func() {
		time.Sleep(50 * time.Millisecond)
		for range maxLater {
			<-w.a.follow
		}
	}()
	w.deliver(w.http, act)
	assert.Equal(t, "Help", w.messages(1)[0].Text)
	w.deliver(w.http, w.slack.Slash("C1", "U1", "/meet", "help"))
	w.messages(2)
}
