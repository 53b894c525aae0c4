package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/goldentest"
	"meetbot/bot/grammar"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
	"meetbot/meeting/zoom"
)

// testClock is the real one, moved.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *testClock) forward(d time.Duration) { c.offset.Add(int64(d)) }

// fakeBot parses as the bot does, and keeps what it is to accept.
type fakeBot struct {
	*grammar.Parser
	parse  func(chat.Request) (chat.Decision, bool)
	accept func(context.Context, chat.Decision) chat.Acceptance

	mu       sync.Mutex
	accepted []chat.Decision
	ids      map[string]bool
	clashes  int
}

func newBot() *fakeBot {
	return &fakeBot{
		Parser: grammar.New(grammar.Config{Kinds: meeting.Kinds{systec.Kind, tencent.Kind, zoom.Kind}, Providers: []meeting.Provider{"systec", "tencent", "zoom"}, Default: "systec"}),
		ids:    map[string]bool{},
	}
}

func (b *fakeBot) Parse(r chat.Request) chat.Decision {
	if b.parse != nil {
		if d, ok := b.parse(r); ok {
			return d
		}
	}
	return b.Parser.Parse(r)
}

func (b *fakeBot) Accept(ctx context.Context, d chat.Decision) chat.Acceptance {
	if b.accept != nil {
		if a := b.accept(ctx, d); a.Reply != nil {
			return a
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ids[d.Request.ID] {
		b.clashes++
		return chat.Acceptance{Duplicate: true}
	}
	b.ids[d.Request.ID] = true
	b.accepted = append(b.accepted, d)
	return chat.Acceptance{}
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

func (b *fakeBot) Complete(_ context.Context, r chat.Request, option, typed string) []chat.Choice {
	return []chat.Choice{
		{Label: r.Command + " " + r.Verb + " " + option + " " + typed, Value: "systec:1"},
		{Label: strings.Repeat("长", 120), Value: "systec:2"},
		{Label: "its value is too long", Value: strings.Repeat("x", 101)},
		{Label: "", Value: "no label"},
	}
}

func (b *fakeBot) jobs() []chat.Decision {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]chat.Decision(nil), b.accepted...)
}

// world is an adapter connected to a Discord.
type world struct {
	t      *testing.T
	clock  *testClock
	ahead  time.Duration // the adapter's clock of Discord's
	server *discordtest.Server
	bot    *fakeBot
	a      *Adapter
	http   string // where the adapter takes interactions; empty: the gateway
	log    *adaptertest.Log
	cancel context.CancelFunc
	done   chan error
}

type transport string

const (
	overGateway transport = "gateway"
	overHTTP    transport = "http"
)

// still makes a world whose adapter is not run.
func still(t *testing.T, how transport) *world {
	w := &world{t: t, clock: &testClock{}, bot: newBot(), log: &adaptertest.Log{}}
	w.server = discordtest.New(t, w.clock.now)
	w.a = w.adapter(how)
	t.Cleanup(func() {
		assert.Empty(t, w.server.Problems(), "what Discord would refuse")
		checkBodies(t, w.server.Calls())
		for _, secret := range []string{discordtest.Token, "canary-"} {
			assert.NotContains(t, w.log.String(), secret)
		}
	})
	return w
}

func (w *world) adapter(how transport) *Adapter {
	cfg := Config{
		BotToken: secret.New(discordtest.Token), ApplicationID: discordtest.ApplicationID,
		APIURL: w.server.URL, Now: func() time.Time { return w.clock.now().Add(w.ahead) },
	}
	if how == overHTTP {
		cfg.PublicKey = w.server.PublicKey
	}
	a, err := New(cfg, w.bot, slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(w.t, err)
	return a
}

// start makes a world whose adapter runs.
func start(t *testing.T, how transport) *world {
	w := still(t, how)
	w.run(how)
	return w
}

func (w *world) run(how transport) {
	w.begin(how)
	w.server.Until("the adapter runs", func() bool { return w.a.Health().State == kit.Running })
}

func (w *world) begin(how transport) {
	if how == overHTTP {
		s := httptest.NewServer(w.a.Handler())
		w.t.Cleanup(s.Close)
		w.http = s.URL + Path
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel, w.done = cancel, make(chan error, 1)
	go func() { w.done <- w.a.Run(ctx) }()
	w.t.Cleanup(w.stop)
}

func (w *world) stop() {
	w.cancel()
	select {
	case err := <-w.done:
		w.done <- err
	case <-time.After(10 * time.Second):
		w.t.Error("the adapter does not stop")
	}
}

// send delivers an interaction and waits for its acknowledgement.
func (w *world) send(in *discordtest.Interaction) discordtest.Ack {
	w.t.Helper()
	if w.http == "" {
		return w.server.Acked(w.server.Send(in))
	}
	require.Equal(w.t, http.StatusOK, w.server.Post(http.DefaultClient, w.http, in))
	return w.server.Acked(in)
}

// job sends a command and returns what was accepted.
func (w *world) job(in *discordtest.Interaction) chat.Decision {
	w.t.Helper()
	n := len(w.bot.jobs())
	w.send(in)
	jobs := w.bot.jobs()
	for _, m := range w.server.For(in.User) {
		if len(jobs) == n {
			w.t.Log(m.Text())
		}
	}
	require.Len(w.t, jobs, n+1)
	return jobs[n]
}

// post delivers a reply of a job.
func (w *world) post(d chat.Decision, slot chat.Slot, change ...func(*chat.Post)) (chat.Receipt, error) {
	p := chat.Post{
		Key: "key-" + string(slot), Slot: slot, Place: d.Request.Place, User: d.Request.User, Origin: d.Request.Origin,
		Asked: d.Request.At, Reply: chat.Reply{Title: "Weekly", Text: "text of " + string(slot)},
	}
	for _, c := range change {
		c(&p)
	}
	return w.a.Post(w.t.Context(), p)
}

func text(s string) func(*chat.Post) {
	return func(p *chat.Post) { p.Reply = chat.Reply{Text: s}; p.Key = "k-" + s[:min(len(s), 20)] }
}

func under(r chat.Receipt) func(*chat.Post) {
	return func(p *chat.Post) { p.Root = &r }
}

func tried(p *chat.Post) { p.Tried = true }

const (
	alice   = "111"
	bob     = "222"
	channel = "5001"
	thread  = "5002"
	dm      = "5003"
)

func meetIn(w *world, where discordtest.Where) *discordtest.Interaction {
	return w.server.Command(alice, where, "en-US", "meet", discordtest.Option{Name: "topic", Value: "Weekly"})
}

// golden compares v with a file.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(b, &plain))
	var out bytes.Buffer
	e := json.NewEncoder(&out) // people read it: with < and & as they are
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(plain))
	b = out.Bytes()
	path := filepath.Join("testdata", strings.Split(t.Name(), "/")[0], name+".golden.json")
	goldentest.Check(t, path, string(b))
}

var schemas = sync.OnceValue(func() func(call discordtest.Call) (*jsonschema.Schema, error) {
	path := os.Getenv("DISCORD_OPENAPI")
	if path == "" {
		path = filepath.Join("..", "..", "..", "..", "shared", "reference", "specs", "discord-openapi.json")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	c := jsonschema.NewCompiler()
	if c.AddResource("file:///discord.json", doc) != nil {
		return nil
	}
	var mu sync.Mutex
	known := map[string]*jsonschema.Schema{}
	return func(call discordtest.Call) (*jsonschema.Schema, error) {
		mu.Lock()
		defer mu.Unlock()
		if s := known[call.String()]; s != nil {
			return s, nil
		}
		kind := "application~1json"
		// The specification names the parameters otherwise, and @original is a path of its own.
		route := strings.NewReplacer("{application_id}/{interaction_token}", "{webhook_id}/{webhook_token}").Replace(call.Route)
		pointer := strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(route)
		s, err := c.Compile("file:///discord.json#/paths/" + pointer + "/" + strings.ToLower(call.Method) + "/requestBody/content/" + kind + "/schema")
		known[call.String()] = s
		return s, err
	}
})

var permissionStrings = regexp.MustCompile(`("default_member_permissions":)"(\d+)"`)

// checkBodies compares every body with Discord's published schema, where that is present.
func checkBodies(t *testing.T, calls []discordtest.Call) {
	t.Helper()
	schema := schemas()
	if schema == nil {
		t.Log("bodies not compared: Discord's OpenAPI file is not there; DISCORD_OPENAPI names it")
		return
	}
	for _, c := range calls {
		if len(c.Body) == 0 {
			continue
		}
		s, err := schema(c)
		if !assert.NoError(t, err, c.String()) {
			continue
		}
		// Discord's pages say that permissions are strings, as all of its answers have them;
		// its schema of this one body says integer.
		body := permissionStrings.ReplaceAll(c.Body, []byte("$1$2"))
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		require.NoError(t, err)
		assert.NoError(t, s.Validate(v), "%s %.600s", c, c.Body)
	}
}
