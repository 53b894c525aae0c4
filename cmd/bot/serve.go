package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"meetbot/bot/adapters/console"
	"meetbot/bot/adapters/discord"
	"meetbot/bot/adapters/keypage"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack"
	"meetbot/bot/chat"
	"meetbot/bot/commands"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/bot/policy"
	"meetbot/config"
	"meetbot/meeting"
	"meetbot/meeting/tencent"
)

// serve runs what is configured.
func serve(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	cfg, err := config.Load(p.lookup)
	if err != nil {
		return err
	}
	return runBot(ctx, p, cfg)
}

// consoleGrace is what running steps get when a person leaves the terminal.
const consoleGrace = 500 * time.Millisecond

// flushTraces is how long the shutdown may take longer for the last traces.
const flushTraces = 2 * time.Second

// runBot builds the bot from the bottom up and runs it until ctx is done, the person at
// the console leaves, or a part cannot go on.
func runBot(ctx context.Context, p process, cfg config.Config) (err error) {
	if !cfg.Chat() {
		remove, err := temporaryData(&cfg)
		if err != nil {
			return err
		}
		defer remove()
		cfg.ShutdownGrace = consoleGrace
		if !cfg.IsSet("LOG_LEVEL") {
			cfg.LogLevel = "error" // the person hears of the rest in the chat
		}
	}
	log := logger(p.stderr, cfg)
	sandboxed := cfg.Sandbox()
	if sandboxed {
		// It outlives ctx: what is under way at shutdown may still need it.
		s, err := inSandbox(context.WithoutCancel(ctx), &cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
	}
	clients, first, err := providers(cfg)
	if err != nil {
		return err
	}
	traces, err := ops.NewTraces(ctx, cfg.OTEL, buildVersion(), log.With("part", "traces"))
	if err != nil {
		return err
	}
	defer func() { // last, when everything else has ended
		if err := traces.Close(flushTraces); err != nil {
			log.Warn("traces", "err", err)
		}
	}()
	metrics := ops.NewMetrics(buildVersion())
	storeCfg := storeConfig(cfg, log.With("part", "jobs"))
	storeCfg.Observer = metrics.Jobs()
	store, err := openStore(ctx, storeCfg)
	if errors.Is(err, context.Canceled) {
		return nil // told to stop before anything was begun
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	var finished func(outcome string)
	pageURL := cfg.PublicURL
	var local net.Listener // the key-entry page of the person at this terminal
	if !cfg.Chat() && pageURL == "" && isTerminal(p.stdin) {
		if local, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("the key-entry page: %w", err)
		}
		pageURL = "http://" + local.Addr().String()
	}
	botCfg, err := botConfig(cfg, pageURL, log, traces.Providers(clients), first, sandboxed)
	if err != nil {
		return err
	}
	botCfg.Observe = traces.Commands(metrics.Commands())
	count := botCfg.Observe.Finished
	botCfg.Observe.Finished = func(platform chat.Platform, verb grammar.Verb, outcome string, since time.Time) {
		count(platform, verb, outcome, since)
		if platform == chat.Console && finished != nil {
			finished(outcome)
		}
	}
	bot := commands.New(botCfg, traces.Store(store))
	accepts := traces.Bot(bot)
	g := &group{log: log}
	web := http.NewServeMux()

	if cfg.Slack.On() {
		a, err := slack.New(slack.Config{
			BotToken: cfg.Slack.BotToken, AppToken: cfg.Slack.AppToken, SigningSecret: cfg.Slack.SigningSecret, APIURL: cfg.Slack.ApiURL,
			MeetCommand: cfg.Slack.MeetCommand, LivepushCommand: cfg.Slack.LivepushCommand, Locale: cfg.Locale,
			Observe: metrics.Slack(), HTTPClient: traces.HTTPClient(chat.Slack),
		}, accepts, log.With("adapter", "slack"))
		if err != nil {
			return fmt.Errorf("SLACK_*: %w", err)
		}
		bot.Attach(chat.Slack, traces.Poster(a))
		if !cfg.Slack.SigningSecret.IsZero() {
			web.Handle("/slack/", a.Handler())
		}
		g.addAdapter("slack", a, slack.ErrTokenRefused)
	}
	if cfg.Discord.On() {
		a, err := discord.New(discord.Config{
			BotToken: cfg.Discord.BotToken, ApplicationID: cfg.Discord.ApplicationID, PublicKey: cfg.Discord.PublicKey,
			GuildID: cfg.Discord.GuildID, APIURL: cfg.Discord.ApiURL, Listed: listed(cfg), Locale: cfg.Locale,
			Observe: metrics.Discord(), HTTPClient: traces.HTTPClient(chat.Discord),
		}, accepts, log.With("adapter", "discord"))
		if err != nil {
			return fmt.Errorf("DISCORD_*: %w", err)
		}
		bot.Attach(chat.Discord, traces.Poster(a))
		if cfg.Discord.PublicKey != "" {
			web.Handle("/discord/", a.Handler())
		}
		g.addAdapter("discord", a, discord.ErrTokenRefused)
	}
	if !cfg.Chat() {
		c := console.New(consoleConfig(p, cfg, sandboxed), accepts, p.stdin, p.stdout, log)
		finished = c.Finished
		bot.Attach(chat.Console, traces.Poster(c))
		g.add("console", c.Run)
	}
	if !cfg.Tencent.WebhookToken.IsZero() {
		h, err := tencent.NewWebhook(cfg.Tencent.WebhookToken, cfg.Tencent.WebhookAESKey, nil, hear(bot))
		if err != nil {
			return fmt.Errorf("TENCENT_WEBHOOK_*: %w", err)
		}
		web.Handle("/tencent/events", h)
	}
	if pageURL != "" {
		h, err := keypage.New(keypage.Config{Links: bot, PublicURL: pageURL, Locale: cfg.Locale, Log: log})
		if err != nil {
			return fmt.Errorf("PUBLIC_URL: %w", err)
		}
		if local != nil {
			g.addListener("key-entry page", local, h)
		} else {
			web.Handle(keypage.Path, h)
		}
	}
	g.add("jobs", func(ctx context.Context) error { return store.Run(ctx, metrics.Handler(traces.Handler(bot))) })
	if cfg.NeedsHTTP() {
		if err := g.addServer(ctx, "HTTP_ADDR", cfg.HTTPAddr, web); err != nil {
			return err
		}
	}
	health := g.health(store, metrics, secretsOf(cfg))
	for p := range clients {
		metrics.Expect(string(p))
	}
	metrics.Watch(store, health)
	if cfg.Chat() || cfg.IsSet("OPS_ADDR") {
		if err := g.addServer(ctx, "OPS_ADDR", cfg.OpsAddr, ops.Handler(health)); err != nil {
			return err
		}
		g.outlive()
	}
	if cfg.NATS.URL == "" {
		g.addAdmin(cfg.DataDir, admin{store, health.Readiness, log})
	}
	if sandboxed && cfg.Chat() {
		log.Warn("meetings are made in the sandbox; nothing of them is real")
	}
	log.Info("started", "version", buildVersion())
	return g.run(ctx)
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
	case errors.Is(err, jobs.ErrWrongKey):
		return nil, fmt.Errorf("ENCRYPTION_KEY: %w; set the key it was written with, the newest first", err)
	case err != nil && c.NATSURL != "":
		return nil, fmt.Errorf("NATS_URL: %w", err)
	case err != nil:
		return nil, fmt.Errorf("DATA_DIR %s: %w; set a directory that the bot may write to", c.Dir, err)
	}
	return store, nil
}

func botConfig(cfg config.Config, pageURL string, log *slog.Logger, clients map[meeting.Provider]commands.Provider, first meeting.Provider, sandboxed bool) (commands.Config, error) {
	var names []meeting.Provider
	for _, p := range []meeting.Provider{meeting.Systec, meeting.Tencent} {
		if clients[p] != nil {
			names = append(names, p)
		}
	}
	c := commands.Config{
		Parser: grammar.Config{
			Locale: cfg.Locale, Providers: names, Default: first, KeyPage: pageURL != "", Sandbox: sandboxed,
		},
		Providers: clients, Account: cfg.Tencent.UserID, Accounts: cfg.Tencent.Users,
		StartLinkInThread: cfg.StartLink == "thread", Webhooks: !cfg.Tencent.WebhookToken.IsZero(),
		Retention: cfg.Retention, Log: log,
	}
	if cfg.Slack.On() && !cfg.Discord.On() {
		c.Parser.MeetCommand, c.Parser.LivepushCommand = cfg.Slack.MeetCommand, cfg.Slack.LivepushCommand
	}
	if pageURL != "" {
		c.KeyPageURL = strings.TrimRight(pageURL, "/") + keypage.Path
	}
	var err error
	c.Policy.Meet, err = entries(cfg.MeetAllow, err)
	c.Policy.Push, err = entries(cfg.LivepushAllow, err)
	c.Policy.Admins, err = entries(cfg.Admins, err)
	return c, err
}

func entries(list config.Principals, err error) ([]policy.Entry, error) {
	var all []policy.Entry
	for _, p := range list {
		e, perr := policy.ParseEntry(p.String())
		err = errors.Join(err, perr)
		all = append(all, e)
	}
	return all, err
}

func logger(w io.Writer, cfg config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // config has checked it
	o := &slog.HandlerOptions{Level: level}
	traced := cfg.OTEL.TracesURL() != ""
	if cfg.LogFormat == "text" || cfg.LogFormat == "" && isTerminal(w) {
		return slog.New(ops.LogHandler(slog.NewTextHandler(w, o), traced))
	}
	return slog.New(ops.LogHandler(slog.NewJSONHandler(w, o), traced))
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// adapter is a chat platform's part.
type adapter interface {
	Run(ctx context.Context) error
	Health() kit.Health
}
