package main

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"meetbot/bot/adapters/console"
	"meetbot/bot/adapters/discord"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack"
	"meetbot/bot/chat"
	"meetbot/bot/grammar"
	"meetbot/bot/installs"
	"meetbot/config"
)

// platform is one chat platform: all that the sub-commands of the binary know of it.
type platform struct {
	kind func(config.Config) chat.Kind
	on   func(config.Config) bool
	open func(config.Config, parts) (kit.Adapter, error)
	// errors are the kinds of failure, besides the statuses of HTTP, that metrics tell apart.
	errors []string
	// manifest prints what has to be registered with the platform; nil: nothing has. Usage is
	// what can be given with it.
	manifest func(process) error
	usage    string
}

// parts are what an adapter is made of, besides its settings.
type parts struct {
	process   process
	bot       chat.Bot // nil where the adapter is only to be looked at
	log       *slog.Logger
	observe   kit.Observer
	http      *http.Client     // nil: the adapter's own
	now       func() time.Time // nil: the machine's clock
	alone     func() bool      // no other process shares the store; nil: that is not known
	installs  *installs.Store  // who has installed the platform's app; nil where no store is open
	sandboxed bool
}

// platforms are all that there are, one row each.
func platforms() []platform {
	return []platform{
		{
			kind: func(c config.Config) chat.Kind {
				return slack.Kind(map[string]string{"meet": c.Slack.MeetCommand, "livepush": c.Slack.LivepushCommand}, c.Slack.Many())
			},
			on: func(c config.Config) bool { return c.Slack.On() },
			open: func(c config.Config, p parts) (kit.Adapter, error) {
				return adapter(slack.New(slack.Config{
					BotToken: c.Slack.BotToken, AppToken: c.Slack.AppToken, SigningSecret: c.Slack.SigningSecret, APIURL: c.Slack.ApiURL,
					ClientID: slackClientID(c), ClientSecret: c.Slack.ClientSecret, Teams: c.Slack.Teams, Scopes: slackScopes(c.Slack.Scopes), PublicURL: c.PublicURL, Installs: p.installs,
					MeetCommand: c.Slack.MeetCommand, LivepushCommand: c.Slack.LivepushCommand, Locale: c.Locale,
					Observe: p.observe, HTTPClient: p.http, Now: p.now, Alone: p.alone,
				}, p.bot, p.log))
			},
			errors: slack.ErrorKinds(), manifest: slackManifest, usage: "[--socket | --url URL] [--install URL] [--org] [--with SCOPES|all]",
		},
		{
			kind: func(config.Config) chat.Kind { return discord.Kind() },
			on:   func(c config.Config) bool { return c.Discord.On() },
			open: func(c config.Config, p parts) (kit.Adapter, error) {
				return adapter(discord.New(discord.Config{
					BotToken: c.Discord.BotToken, ApplicationID: c.Discord.ApplicationID, PublicKey: c.Discord.PublicKey,
					GuildID: c.Discord.GuildID, Guilds: c.Discord.Guilds, APIURL: c.Discord.ApiURL, Listed: listed(c), Locale: c.Locale,
					Commands: grammar.TypedDeclarations(offeredKinds(c)...),
					Observe:  p.observe, HTTPClient: p.http, Now: p.now, Alone: p.alone,
				}, p.bot, p.log))
			},
			manifest: discordManifest, usage: "[--invite]",
		},
		{
			kind: func(c config.Config) chat.Kind { return console.Kind(c.Sandbox()) },
			on:   func(c config.Config) bool { return !c.Chat() },
			open: func(c config.Config, p parts) (kit.Adapter, error) {
				return console.New(consoleConfig(p.process, c, p.sandboxed), p.bot, p.process.stdin, p.process.stdout, p.log), nil
			},
		},
	}
}

// adapter keeps a nil pointer from becoming an adapter that is not nil.
func adapter[A kit.Adapter](a A, err error) (kit.Adapter, error) {
	if err != nil {
		return nil, err
	}
	return a, nil
}

// kinds are what the platforms are like, by the settings.
func kinds(cfg config.Config) chat.Kinds {
	var all chat.Kinds
	for _, p := range platforms() {
		all = append(all, p.kind(cfg))
	}
	return all
}

func platformNames() []chat.Platform {
	var names []chat.Platform
	for _, k := range kinds(config.Config{}) {
		names = append(names, k.Name)
	}
	return names
}

// names are what lists of people can name, for config.
func names(cfg config.Config) []config.Names {
	var all []config.Names
	for _, k := range kinds(cfg) {
		n := config.Names{Platform: string(k.Name), Person: k.HasID, Meet: k.Members[chat.RightMeet], Push: k.Members[chat.RightPush]}
		for _, e := range k.Entries {
			name := config.Name{Kind: string(e.Kind), Example: e.Example, Valid: e.IsID, Place: e.Kind.Place()}
			if k.IsTeam != nil && e.Kind != chat.TeamEntry {
				name = inTeam(k, name)
			}
			n.Entries = append(n.Entries, name)
			if e.Kind == chat.UserEntry {
				n.Person = name.Valid
			}
		}
		all = append(all, n)
	}
	return all
}

// inTeam is a name that says of which team it is.
func inTeam(k chat.Kind, n config.Name) config.Name {
	bare := n.Valid
	return config.Name{Kind: n.Kind, Example: "T1/" + n.Example, Place: n.Place, Valid: func(s string) bool {
		team, id, both := strings.Cut(s, "/")
		return both && k.IsTeam(team) && bare(id)
	}}
}

// load reads the settings.
func load(lookup func(string) (string, bool)) (config.Config, error) { return loadSome(lookup, lookup) }

// loadSome reads those settings that some has. What lists of people can name depends on all.
func loadSome(all, some func(string) (string, bool)) (config.Config, error) {
	var shape config.Config
	shape.Slack.ClientID, _ = all("SLACK_CLIENT_ID")
	for _, name := range []string{"SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN_FILE"} {
		if v, _ := all(name); v != "" {
			shape.Slack.ClientID = ""
		}
	}
	return config.Load(some, names(shape)...)
}

// withManifest are the platforms where something has to be registered, and the commands that
// print it.
func withManifest() (some []platform, list string) {
	some = slices.DeleteFunc(platforms(), func(p platform) bool { return p.manifest == nil })
	var all []string
	for _, p := range some {
		all = append(all, "bot manifest "+string(p.kind(config.Config{}).Name))
	}
	return some, strings.Join(all, " or ")
}

// manifestUsage is what can be given to `bot manifest`.
func manifestUsage() string {
	some, _ := withManifest()
	var all []string
	for _, p := range some {
		all = append(all, strings.TrimSpace(string(p.kind(config.Config{}).Name)+" "+p.usage))
	}
	return strings.Join(all, " | ")
}
