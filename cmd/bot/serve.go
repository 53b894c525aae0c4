package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"meetbot/bot/adapters/console"
	"meetbot/bot/adapters/keypage"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/installs"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/bot/plain"
	"meetbot/bot/policy"
	"meetbot/bot/signed"
	"meetbot/config"
	"meetbot/config/clock"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
)

// serve runs what is configured.
func serve(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	cfg, err := load(p.lookup)
	if err != nil {
		for _, m := range misspelt(p.environ) {
			err = fmt.Errorf("%w\n  %s is not one of the bot's variables: %s", err, m.Variable, m.Fix)
		}
		return err
	}
	err = runBot(ctx, p, cfg)
	if errors.Is(err, console.ErrNoInput) {
		return errors.New("no chat platform is configured, and there is neither a terminal nor input to chat in: set SLACK_BOT_TOKEN or DISCORD_BOT_TOKEN (bot -h lists the variables), or run it in a terminal")
	}
	return err
}

// consoleGrace is what running steps get when a person leaves the terminal.
const consoleGrace = 500 * time.Millisecond

// flushTraces is how long the shutdown may take longer for the last traces.
const flushTraces = 2 * time.Second

// runBot builds the bot from the bottom up and runs it until ctx is done, the person at
// the console leaves, or a part cannot go on.
func runBot(ctx context.Context, p process, cfg config.Config) (err error) {
	holdThreads()
	b := &building{process: p, cfg: cfg, web: http.NewServeMux()}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, step := range []func(context.Context) error{
		b.settle, b.providers, b.observe, b.openStore, b.keyPageAddress, b.commands,
		b.platforms, b.webhooks, b.keyPage, b.listen,
	} {
		if err := step(ctx); err != nil {
			if errors.Is(err, context.Canceled) {
				return nil // told to stop before anything was begun
			}
			return err
		}
	}
	b.log.Info("started", "version", buildVersion())
	defer paceGarbage(p.lookup)()
	// Without a last line, a stop cannot be told from a kill.
	b.group.add("stop", func(parts context.Context) error {
		<-parts.Done()
		why := "a part has ended"
		if told := context.Cause(ctx); told != nil {
			why = told.Error()
		}
		b.log.Info("stopping", "why", why)
		return nil
	})
	b.ends = slices.Insert(b.ends, 0, func() error { b.log.Info("stopped"); return nil })
	return b.group.run(ctx)
}

// building is a bot that is being built. Each step needs what those before it have made.
type building struct {
	process
	cfg   config.Config
	log   *slog.Logger
	group *group
	ends  []func() error // the last is called first

	kinds     chat.Kinds // by the settings as they were given: the sandbox changes them
	sandboxed bool
	clients   map[meeting.Provider]commands.Provider
	first     meeting.Provider // that /meet uses
	traces    *ops.Traces
	metrics   *ops.Metrics
	store     *jobs.Store
	pageURL   string                     // of the key-entry page; empty: there is none
	sandboxes map[string]*sandbox.Server // by account
	local     net.Listener               // of the key-entry page of the person at this terminal
	bot       *commands.Bot
	finishers map[chat.Platform]kit.Finisher
	clocks    ops.Clocks
	web       *http.ServeMux // what HTTP_ADDR serves
}

func (b *building) ending(f func() error) { b.ends = append(b.ends, f) }

func (b *building) close() (err error) {
	for _, end := range slices.Backward(b.ends) {
		err = errors.Join(err, end())
	}
	return err
}

// settle fills in what the settings leave to the console.
func (b *building) settle(context.Context) error {
	if !b.cfg.Chat() {
		remove, err := temporaryData(&b.cfg)
		if err != nil {
			return err
		}
		b.ending(func() error { remove(); return nil })
		b.cfg.ShutdownGrace = consoleGrace
		if !b.cfg.IsSet("LOG_LEVEL") {
			b.cfg.LogLevel = "error" // the person hears of the rest in the chat
		}
	}
	b.log = logger(b.stderr, b.cfg)
	for _, m := range misspelt(b.environ, b.cfg.Named()...) {
		if b.cfg.Chat() {
			b.log.Warn("not one of the bot's variables", "variable", m.Variable, "fix", m.Fix)
		} else if _, err := fmt.Fprintf(plain.Escape(b.stderr), "bot: %s is not one of the bot's variables: %s\n", m.Variable, m.Fix); err != nil {
			return err
		}
	}
	for _, f := range b.cfg.Ignored() {
		b.log.Warn("a variable has no effect", "variable", f.Variable, "fix", f.Fix)
	}
	b.group, b.kinds = &group{log: b.log}, kinds(b.cfg)
	return nil
}

// providers makes the meeting providers' clients; in the sandbox, the providers too.
func (b *building) providers(ctx context.Context) (err error) {
	if b.sandboxed = b.cfg.Sandbox(); b.sandboxed {
		// It outlives ctx: what is under way at shutdown may still need it.
		b.sandboxes, err = inSandbox(context.WithoutCancel(ctx), &b.cfg, b.sandbox)
		for account, s := range b.sandboxes {
			b.ending(s.Close)
			if at := sandboxPages(account); b.cfg.Chat() && b.cfg.PublicURL != "" {
				b.web.Handle(at+"/", http.StripPrefix(at, s.Pages()))
			}
		}
		if err != nil {
			return err
		}
	}
	b.clients, b.first, err = providers(b.cfg, b.sandboxed)
	return err
}

// observe makes what the parts report to. Traces are sent last, when everything else has ended.
func (b *building) observe(ctx context.Context) (err error) {
	b.metrics = ops.NewMetrics(buildVersion(), providerIDs(b.cfg), platformNames()...)
	b.traces, err = ops.NewTraces(ctx, b.cfg.OTEL, buildVersion(), b.log.With("part", "traces"))
	b.ending(func() error {
		if err := b.traces.Close(flushTraces); err != nil {
			b.log.Warn("traces not sent", "err", err)
		}
		return nil
	})
	return err
}

func (b *building) openStore(ctx context.Context) (err error) {
	c := storeConfig(b.cfg, b.log.With("part", "jobs"))
	c.Observer, c.Tracer = b.metrics.Jobs(), b.traces.Tracer()
	if b.store, err = openStore(ctx, c); err == nil {
		b.ending(b.store.Close)
	}
	return err
}

// keyPageAddress finds out where people reach the key-entry page. A person at a terminal
// has one of their own.
func (b *building) keyPageAddress(ctx context.Context) (err error) {
	b.pageURL = b.cfg.PublicURL
	if b.cfg.Chat() || b.pageURL != "" || !isTerminal(b.stdin) {
		return nil
	}
	if b.local, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("the key-entry page: %w", err)
	}
	b.pageURL = "http://" + b.local.Addr().String()
	return nil
}

// commands makes what acts on what people ask.
func (b *building) commands(context.Context) error {
	c := botConfig(b.cfg, b.pageURL, b.log, b.clients, b.first, b.sandboxed)
	c.Platforms, c.SandboxHere = b.kinds, b.sandboxed && b.cfg.PublicURL == ""
	if err := withAccounts(&c, b.cfg, b.kinds); err != nil {
		return err
	}
	c.Now = b.store.Now
	c.Observe = b.metrics.Commands()
	count := c.Observe.Finished
	b.finishers = make(map[chat.Platform]kit.Finisher)
	c.Observe.Finished = func(platform chat.Platform, verb grammar.Verb, outcome string, since time.Time) {
		count(platform, verb, outcome, since)
		if f := b.finishers[platform]; f != nil {
			f.Finished(commands.Done(outcome))
		}
	}
	b.bot = commands.New(c, b.store)
	return nil
}

// platforms connects the chat platforms that are on.
func (b *building) platforms(context.Context) error {
	for _, p := range platforms() {
		if !p.on(b.cfg) {
			continue
		}
		name := p.kind(b.cfg).Name
		made := parts{
			process: b.process, bot: b.bot, log: b.log.With("adapter", string(name)), sandboxed: b.sandboxed,
			observe: b.metrics.Platform(name, p.errors), now: b.store.Now, alone: b.store.Alone, installs: installs.New(b.store, string(name)),
		}
		again := false
		k, a, err := keep(string(name), func() (kit.Adapter, error) {
			cfg := b.cfg
			if again { // what was put into a secret's file meanwhile counts
				if fresh, err := load(b.lookup); err == nil && p.on(fresh) {
					cfg = fresh
				}
			}
			again = true
			return p.open(cfg, made)
		})
		if err != nil {
			return fmt.Errorf("%s_*: %w", strings.ToUpper(string(name)), err)
		}
		b.bot.Attach(name, a)
		if path, h := k.Endpoint(); path != "" {
			b.web.Handle(path, h)
		}
		b.finishers[name] = k
		b.clocks.Add(string(name), k.ahead)
		b.group.addAdapter(k, a)
	}
	return nil
}

// webhooks takes what a meeting provider reports by itself.
func (b *building) webhooks(ctx context.Context) error {
	if b.sandboxed {
		return b.sandboxEvents(ctx)
	}
	for _, row := range configuredRows(b.cfg) {
		if row.webhook == nil || !row.settings(b.cfg).HTTP() {
			continue
		}
		path, h, err := row.webhook(b.cfg, b.listener(row))
		if err != nil {
			return fmt.Errorf("%s: %w", row.variables, err)
		}
		b.web.Handle(path, h)
	}
	return nil
}

// clocked are the adapters and providers that know the clock of whom they talk to.
type clocked interface{ Clock() *clock.Theirs }

func (b *building) listener(row providerRow) listener {
	id := row.kind.ID
	now := time.Now
	if c, knows := b.clients[id].(clocked); knows {
		now = c.Clock().Now
	}
	return listener{
		now: now, log: b.log.With("provider", string(id)),
		hear: func(ctx context.Context, e meeting.Event) error {
			e.Ref.Provider = id // whatever it says, it is a word on this account's meetings alone
			return b.bot.Hear(ctx, e)
		},
		refused: func(why signed.Reason) { b.metrics.Rejected(id, why) },
	}
}

// sandboxEvents has the sandbox report to this bot, so that what is done on its pages is
// seen on the cards at once. Both are one process: nothing has to be reachable for it.
func (b *building) sandboxEvents(ctx context.Context) error {
	for _, row := range configuredRows(b.cfg) {
		if row.token == nil {
			continue
		}
		cfg, token := b.cfg, secret.New(rand.Text())
		row.token(&cfg, token)
		path, h, err := row.webhook(cfg, b.listener(row))
		if err != nil {
			return err
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.Handle(path, h)
		b.group.addListener("the sandbox's events", ln, mux)
		b.sandboxes[row.kind.ID.Account()].SetWebhook(sandbox.Webhook{Provider: sandbox.Provider(row.kind.ID.Kind()), URL: "http://" + ln.Addr().String() + path, Token: token})
	}
	return nil
}

func (b *building) keyPage(context.Context) error {
	if b.pageURL == "" {
		return nil
	}
	h, err := keypage.New(keypage.Config{Links: b.bot, PublicURL: b.pageURL, Locale: b.cfg.Locale, Log: b.log})
	if err != nil {
		return fmt.Errorf("PUBLIC_URL: %w", err)
	}
	if b.local != nil {
		b.group.addListener("key-entry page", b.local, h)
	} else {
		b.web.Handle(keypage.Path, h)
	}
	return nil
}

// listen adds the jobs, and what people, platforms and operators reach.
func (b *building) listen(ctx context.Context) error {
	g := b.group
	g.add("jobs", func(ctx context.Context) error { return b.store.Run(ctx, b.bot) })
	if b.cfg.NeedsHTTP() {
		if err := g.addServer(ctx, "HTTP_ADDR", b.cfg.HTTPAddr, b.web); err != nil {
			return err
		}
	}
	health := g.health(b.store, b.metrics, secretsOf(b.cfg))
	health.Clocks = &b.clocks
	g.add("clocks", func(ctx context.Context) error { b.clocks.Watch(ctx, b.log); return nil })
	for p, client := range b.clients {
		b.metrics.Expect(string(p))
		if c, knows := client.(clocked); knows {
			b.clocks.Add(string(p), c.Clock().Ahead)
		}
	}
	b.metrics.Watch(b.store, health)
	if b.cfg.Chat() || b.cfg.IsSet("OPS_ADDR") {
		if err := g.addServer(ctx, "OPS_ADDR", b.cfg.OpsAddr, ops.Handler(health)); err != nil {
			return err
		}
		g.outlive()
	}
	if b.cfg.NATS.URL == "" {
		g.addAdmin(b.cfg.DataDir, admin{b.store, health.Readiness, b.log, func() (config.Config, error) { return b.cfg, nil }})
	}
	if b.sandboxed && b.cfg.Chat() {
		b.log.Warn("sandbox in use: no meeting is real")
	}
	return nil
}

func openStore(ctx context.Context, c jobs.Config) (*jobs.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	store, err := jobs.Open(ctx, c)
	switch {
	case errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("stopped while the store was being opened: %w", err)
	case errors.Is(err, jobs.ErrInUse):
		return nil, fmt.Errorf("DATA_DIR %w; stop it, or set another directory", err)
	case errors.Is(err, jobs.ErrOpenToOthers):
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	case errors.Is(err, jobs.ErrWrongKey):
		return nil, fmt.Errorf("ENCRYPTION_KEY: %w; set it to the key that wrote the store; of several, the newest first", err)
	case err != nil && c.NATSURL != "":
		return nil, fmt.Errorf("NATS_URL: %w", err)
	case err != nil && diskFull(c.Dir): // the engine's own words name no system's error
		return nil, fmt.Errorf("DATA_DIR %s: %w; free some space on its disk", c.Dir, err)
	case errors.As(err, new(syscall.Errno)):
		return nil, fmt.Errorf("DATA_DIR %s: %w; %s", c.Dir, err, directoryFix(c.Dir))
	case err != nil: // says itself what to do
		return nil, fmt.Errorf("DATA_DIR %s: %w", c.Dir, err)
	}
	return store, nil
}

// diskFull reports whether a directory's disk has no room left, not even for a store to be opened.
func diskFull(dir string) bool {
	free, err := jobs.FreeBytes(dir)
	return err == nil && free < 1<<20
}

// directoryFix says what to do where the system refuses a directory. Another one is the way out
// only if no store may be in it: what the bot has promised would be left behind.
func directoryFix(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, storeMark)); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "set DATA_DIR to a directory on a local disk that the bot's user owns"
	}
	return "keep DATA_DIR if a store is in it: run this as the bot's own user, and see that this user owns all of it and that the disk works"
}

func botConfig(cfg config.Config, pageURL string, log *slog.Logger, clients map[meeting.Provider]commands.Provider, first meeting.Provider, sandboxed bool) commands.Config {
	var names []meeting.Provider
	for _, k := range providerKinds() {
		for id := range clients {
			if k.ID.Covers(id) && !slices.Contains(names, k.ID) {
				names = append(names, k.ID)
			}
		}
	}
	c := commands.Config{
		Parser: grammar.Config{
			Locale: cfg.Locale, Kinds: providerKinds(), Providers: names, Default: first, KeyPage: pageURL != "", Sandbox: sandboxed,
		},
		Accounts: map[meeting.Provider]commands.Accounts{}, Webhooks: map[meeting.Provider]bool{},
		Providers: clients, ProviderVariable: cfg.IsSet("MEET_PROVIDER") && !sandboxed, StartLinkInThread: cfg.StartLink == "thread", RecordingsInThread: cfg.Recordings == "thread", Participants: cfg.Participants == "thread", Retention: cfg.Retention, Log: log,
	}
	for _, row := range configuredRows(cfg) {
		if clients[row.kind.ID] == nil {
			continue
		}
		if row.kind.Can.Accounts {
			bot, persons := row.settings(cfg).Accounts()
			c.Accounts[row.kind.ID] = commands.Accounts{Bot: bot, Persons: persons}
		}
		c.Webhooks[row.kind.ID] = row.settings(cfg).HTTP() || sandboxed && row.token != nil
	}
	if pageURL != "" {
		c.KeyPageURL = strings.TrimRight(pageURL, "/") + keypage.Path
	}
	c.Policy = policyFrom(cfg)
	return c
}

func policyFrom(cfg config.Config) policy.Policy {
	return policy.Policy{
		Meet: entries(cfg.MeetAllow), Push: entries(cfg.LivepushAllow), Settings: entries(cfg.SettingsAllow), Admins: entries(cfg.Admins),
	}
}

func entries(list config.Principals) []policy.Entry {
	var all []policy.Entry
	for _, p := range list {
		e := policy.Entry{Platform: chat.Platform(p.Platform), Kind: chat.EntryKind(p.Kind), ID: p.ID}
		if team, id, both := strings.Cut(p.ID, "/"); both {
			e.Team, e.ID = team, id
		}
		all = append(all, e)
	}
	return all
}

func logger(w io.Writer, cfg config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // config has checked it
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	traced := cfg.OTEL.TracesURL() != ""
	out := plain.Escape(w)
	if cfg.LogFormat == "text" || cfg.LogFormat == "" && isTerminal(w) {
		return slog.New(ops.LogHandler(slog.NewTextHandler(out, o), traced))
	}
	return slog.New(ops.LogHandler(slog.NewJSONHandler(out, o), traced))
}

// readable writes a duration as people do, "2.239s", and an error as its sentence, without
// the stack that some of them print; also in JSON.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case time.Duration:
		if v > time.Second {
			v = v.Round(time.Millisecond)
		}
		a.Value = slog.StringValue(v.String())
	case error:
		a.Value = slog.StringValue(v.Error())
	}
	return a
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
