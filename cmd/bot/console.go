package main

import (
	"context"
	"os"
	"os/user"

	"meetbot/bot/adapters/console"
	"meetbot/config"
)

// serveConsole runs the console alone, whatever is configured for chat platforms.
func serveConsole(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	cfg, err := config.Load(p.lookup)
	if err != nil {
		return err
	}
	cfg.Slack, cfg.Discord = config.Slack{}, config.Discord{}
	return runBot(ctx, p, cfg)
}

// consoleConfig says who sits at the terminal.
func consoleConfig(p process, cfg config.Config, sandboxed bool) console.Config {
	name := "you"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	_, noColor := p.lookup("NO_COLOR") // https://no-color.org
	return console.Config{User: name, Locale: cfg.Locale, Sandbox: sandboxed, Push: cfg.Tencent.On(), NoColor: noColor}
}

// temporaryData makes the directory that the console's store is in, unless one was given.
func temporaryData(cfg *config.Config) (remove func(), err error) {
	if cfg.IsSet("DATA_DIR") || cfg.NATS.URL != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "meetbot-")
	if err != nil {
		return nil, err
	}
	cfg.DataDir = dir
	return func() { _ = os.RemoveAll(dir) }, nil // best effort: it is in the temporary directory
}
