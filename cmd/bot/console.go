package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strings"

	"meetbot/bot/adapters/console"
	"meetbot/bot/grammar"
	"meetbot/config"
)

// serveConsole runs the console alone, whatever is configured for chat platforms.
func serveConsole(ctx context.Context, p process) error {
	if err := noArgs(p); err != nil {
		return err
	}
	cfg, err := load(p.lookup)
	if err != nil {
		return err
	}
	cfg.Platforms = config.Platforms{}
	if err := runBot(ctx, p, cfg); !errors.Is(err, console.ErrNoInput) {
		return err
	}
	return nil
}

// consoleConfig says who sits at the terminal.
func consoleConfig(p process, cfg config.Config, sandboxed bool) console.Config {
	name := "you"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	_, noColor := p.lookup("NO_COLOR") // https://no-color.org
	return console.Config{User: name, Locale: terminalLocale(p.lookup, cfg), Sandbox: sandboxed, Push: pushProvider(cfg), Declared: grammar.Declarations(offeredKinds(cfg)...), NoColor: noColor}
}

// terminalLocale is the language of whoever sits at the terminal: what LOCALE says, else
// what the terminal's own variables say, in the order that POSIX gives them.
// https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html
func terminalLocale(lookup func(string) (string, bool), cfg config.Config) string {
	if cfg.IsSet("LOCALE") {
		return cfg.Locale
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v, _ := lookup(name); v != "" {
			if strings.HasPrefix(v, "zh") {
				return "zh-CN"
			}
			break
		}
	}
	return cfg.Locale
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
