package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"meetbot/bot/adapters/discord"
	"meetbot/bot/adapters/slack"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/config"
)

// manifest prints what to register with a platform. People run it before they have
// credentials, so only the variables that shape it are read.
func manifest(_ context.Context, p process) error {
	some, list := withManifest()
	if len(p.args) == 0 {
		return fmt.Errorf("manifest: name the platform; use %s", list)
	}
	name := p.args[0]
	p.args = p.args[1:]
	for _, row := range some {
		if string(row.kind(config.Config{}).Name) == name {
			return row.manifest(p)
		}
	}
	return fmt.Errorf("%q: there is no manifest for it; use %s", name, list)
}

// only reads some variables, so that others need not fit together yet.
func only(lookup func(string) (string, bool), names ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if !slices.Contains(names, name) {
			return "", false
		}
		return lookup(name)
	}
}

func slackManifest(p process) error {
	cfg, err := load(only(p.lookup, "SLACK_MEET_COMMAND", "SLACK_LIVEPUSH_COMMAND", "LOCALE"))
	if err != nil {
		return err
	}
	f := flags("manifest slack")
	socket := f.Bool("socket", false, "Socket Mode, which needs no public address (the default)")
	url := f.String("url", "", "HTTP mode: the public https `ADDRESS` that Slack sends requests to")
	install := f.String("install", "", "for an app that several workspaces install (SLACK_CLIENT_ID): the public https `ADDRESS` under which they do, PUBLIC_URL")
	org := f.Bool("org", false, "for an app that is installed for a whole organisation")
	with := f.String("with", "", "ask for these optional `SCOPES` too, comma-separated, or all")
	if err := parse(f, p, ""); err != nil {
		return err
	}
	if *socket && *url != "" {
		return errors.New("--socket and --url: use one, not both")
	}
	var optional, unknown []string
	if *with != "" {
		optional = slackScopes(strings.Split(*with, ","))
		for _, name := range optional {
			if !slices.ContainsFunc(slack.AllScopes(), func(s slack.Scope) bool { return s.Name == name }) {
				unknown = append(unknown, name)
			}
		}
	}
	if unknown != nil {
		return fmt.Errorf("--with: the bot does not use %s; bot manifest slack lists the scopes that it can use", strings.Join(unknown, ", "))
	}
	out, err := slack.Manifest(slack.ManifestOptions{
		URL: *url, Install: *install, Organisation: *org, MeetCommand: cfg.Slack.MeetCommand, LivepushCommand: cfg.Slack.LivepushCommand, Locale: cfg.Locale, Optional: optional,
	})
	if err != nil {
		return err
	}
	return errors.Join(write(p.stdout, string(out)+"\n"), scopeNotes(p.stderr, optional))
}

// slackClientID is that of the app that workspaces install; empty: there is one token.
func slackClientID(c config.Config) string {
	if !c.Slack.Many() {
		return ""
	}
	return c.Slack.ClientID
}

// slackScopes are the optional scopes that a list names, which may be all.
func slackScopes(list []string) (names []string) {
	if len(list) != 1 || list[0] != "all" {
		return list
	}
	for _, s := range slack.AllScopes() {
		if !s.Required {
			names = append(names, s.Name)
		}
	}
	return names
}

// scopeNotes says what does not work without the scopes that are left out. It goes to
// standard error: standard output is the manifest.
func scopeNotes(w io.Writer, asked []string) error {
	var b strings.Builder
	for _, s := range slack.AllScopes() {
		if !s.Required && !slices.Contains(asked, s.Name) {
			if b.Len() == 0 {
				b.WriteString("\nThe manifest leaves these scopes out. Add them with --with NAME,NAME or --with all:\n")
			}
			fmt.Fprintf(&b, "  %-18s without it: %s\n", s.Name, s.Without)
		}
	}
	return write(w, b.String())
}

func discordManifest(p process) error {
	cfg, err := loadSome(p.lookup, only(p.lookup, "MEET_ALLOW", "LIVEPUSH_ALLOW"))
	if err != nil {
		return err
	}
	if all, err := load(p.lookup); err == nil { // the providers that are set up, if that can be known already
		cfg = all
	}
	f := flags("manifest discord")
	invite := f.Bool("invite", false, "print the link that adds the bot to a server")
	if err := parse(f, p, ""); err != nil {
		return err
	}
	if *invite {
		id, _ := p.lookup("DISCORD_APPLICATION_ID")
		if id == "" {
			return errors.New("DISCORD_APPLICATION_ID is not set; copy it from the application's General Information page")
		}
		return write(p.stdout, discord.InviteURL(id)+"\n")
	}
	out, err := discord.Manifest(listed(cfg), grammar.TypedDeclarations(offeredKinds(cfg)...))
	if err != nil {
		return err
	}
	return write(p.stdout, string(out)+"\n")
}

// listed has the rights that an allow-list guards instead of the platform's permissions.
func listed(cfg config.Config) chat.Rights {
	var r chat.Rights
	if cfg.MeetAllow != nil {
		r |= chat.RightMeet
	}
	if cfg.LivepushAllow != nil {
		r |= chat.RightPush
	}
	return r
}
