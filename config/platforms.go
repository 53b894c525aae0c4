package config

import (
	"reflect"
	"slices"
	"strings"

	"meetbot/config/secret"
)

// Platforms are the settings of the chat platforms: each field is a [Platform].
type Platforms struct {
	Slack   Slack
	Discord Discord
}

// Platform is what the settings of a chat platform tell of themselves.
type Platform interface {
	On() bool       // it is configured
	HTTP() bool     // its requests arrive at HTTPAddr
	Switch() string // the variable that turns it on

	combinations(c checker)
}

// all returns the platforms, in the order of their declaration.
func (p Platforms) all() []Platform {
	v := reflect.ValueOf(p)
	all := make([]Platform, v.NumField())
	for i := range all {
		all[i] = v.Field(i).Interface().(Platform)
	}
	return all
}

// Slack is on when BotToken is set. Where several workspaces install the app, ClientID is set
// instead.
type Slack struct {
	BotToken        secret.String `split_words:"true" desc:"bot token, xoxb-…; turns Slack on" check:"xoxb"`
	AppToken        secret.String `split_words:"true" desc:"app-level token, xapp-…, for Socket Mode, which needs no public address" check:"xapp"`
	SigningSecret   secret.String `split_words:"true" desc:"signing secret, for HTTP mode: Slack sends its requests to HTTP_ADDR"`
	ClientID        string        `split_words:"true" desc:"client ID of an app that several workspaces, or an organisation, install at PUBLIC_URL; turns Slack on if SLACK_BOT_TOKEN is unset; if that is set, the bot warns that this has no effect" check:"slackapp"`
	ClientSecret    secret.String `split_words:"true" desc:"client secret of that app"`
	Teams           Teams         `split_words:"true" desc:"IDs of the workspaces (T…) and organisations (E…) that may install that app, comma-separated; unset: none"`
	Scopes          Words         `split_words:"true" desc:"optional scopes that an installation asks for, comma-separated, or all; bot manifest slack lists them"`
	ApiURL          string        `split_words:"true" desc:"base URL of the Web API, for a proxy; unset: Slack's own" check:"url"`
	MeetCommand     string        `split_words:"true" default:"/meet" desc:"name of the command in Slack, if another app has this one" check:"command"`
	LivepushCommand string        `split_words:"true" default:"/livepush" desc:"name of the command in Slack, if another app has this one" check:"command"`
}

// On implements [Platform].
func (s Slack) On() bool { return !s.BotToken.IsZero() || s.Many() }

// Many reports whether several workspaces install the app. A token is for one, and decides.
func (s Slack) Many() bool { return s.ClientID != "" && s.BotToken.IsZero() }

// Ignored are the variables that are set and have no effect, with what to do.
func (c Config) Ignored() []Fault {
	if c.Slack.ClientID == "" || c.Slack.Many() {
		return nil
	}
	return []Fault{{Variable: "SLACK_CLIENT_ID", Fix: "remove it, or remove SLACK_BOT_TOKEN: with that the bot serves one workspace, and no other can install it"}}
}

// HTTP implements [Platform].
func (s Slack) HTTP() bool { return !s.SigningSecret.IsZero() || s.Many() }

// Switch implements [Platform].
func (s Slack) Switch() string {
	if s.Many() {
		return "SLACK_CLIENT_ID"
	}
	return "SLACK_BOT_TOKEN"
}

func (s Slack) combinations(c checker) {
	on := s.Switch()
	c.only(on, "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET")
	c.only("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "SLACK_TEAMS", "SLACK_SCOPES")
	if c.set["SLACK_CLIENT_ID"] {
		c.needs("workspaces install the app with it", "SLACK_CLIENT_SECRET", "PUBLIC_URL")
	}
	if c.set[on] && !c.set["SLACK_APP_TOKEN"] && !c.set["SLACK_SIGNING_SECRET"] {
		c.fault("SLACK_APP_TOKEN", "set it for Socket Mode, or set SLACK_SIGNING_SECRET for HTTP mode: Slack needs one of the two")
	}
	if s.MeetCommand == s.LivepushCommand {
		c.fault("SLACK_LIVEPUSH_COMMAND", "use a different name from SLACK_MEET_COMMAND")
	}
}

// Discord is on when BotToken is set.
type Discord struct {
	BotToken      secret.String `split_words:"true" desc:"bot token; turns Discord on"`
	ApplicationID string        `split_words:"true" desc:"ID of the application" check:"snowflake" fix:"use the numeric ID (Discord: Developer Mode, Copy ID)"`
	PublicKey     string        `split_words:"true" desc:"public key of the application, for interactions over HTTP instead of the gateway" check:"ed25519" fix:"use the 64 hexadecimal digits of the Public Key on the application's General Information page"`
	GuildID       string        `split_words:"true" desc:"ID of a server: the bot registers its commands there and nowhere else, and serves it" check:"snowflake" fix:"use the numeric ID (Discord: Developer Mode, Copy ID)"`
	Guilds        IDs           `split_words:"true" desc:"IDs of the servers that the bot serves, comma-separated; it refuses everybody in another server, and direct messages from people who are in none of these; unset: the server of DISCORD_GUILD_ID, or every server that the bot is in if that is unset too"`
	ApiURL        string        `split_words:"true" desc:"base URL of the REST API, without its /v9, for a proxy; unset: Discord's own" check:"url"`
}

// On implements [Platform].
func (d Discord) On() bool { return !d.BotToken.IsZero() }

// HTTP implements [Platform].
func (d Discord) HTTP() bool { return d.PublicKey != "" }

// Switch implements [Platform].
func (Discord) Switch() string { return "DISCORD_BOT_TOKEN" }

func (d Discord) combinations(c checker) {
	c.only("DISCORD_BOT_TOKEN", "DISCORD_APPLICATION_ID", "DISCORD_PUBLIC_KEY", "DISCORD_GUILD_ID", "DISCORD_GUILDS")
	if c.set["DISCORD_BOT_TOKEN"] {
		c.needs("Discord does not work without it", "DISCORD_APPLICATION_ID")
	}
}

// Names are the names that a chat platform gives to people and to what lets them in. They
// are the adapters' business: [Load] is told of them.
type Names struct {
	Platform string
	Entries  []Name               // what an allow-list can name
	Person   func(id string) bool // can be the ID of one
	Meet     string               // who may use /meet where no list is set
	Push     string               // who may use /livepush
}

// Name is a kind of thing that an allow-list can name; with an empty Kind it is the platform.
type Name struct {
	Kind, Example string
	Valid         func(id string) bool
	Place         bool // it names where something is asked, not who asks
}

// AllNames are the names on every platform that there is.
type AllNames []Names

func (all AllNames) of(platform string) Names {
	for _, n := range all {
		if n.Platform == platform {
			return n
		}
	}
	return Names{}
}

// entry reports whether an allow-list can have p.
func (all AllNames) entry(p Principal) bool {
	for _, n := range all.of(p.Platform).Entries {
		if n.Kind == p.Kind {
			return p.Kind == "" || n.Valid(p.ID)
		}
	}
	return false
}

// place reports whether p is a place, or all places of a platform.
func (all AllNames) place(p Principal) bool {
	return all.entry(p) && slices.ContainsFunc(all.of(p.Platform).Entries, func(n Name) bool { return n.Kind == p.Kind && n.Place })
}

// places returns an entry of every kind of places.
func (all AllNames) places() string {
	var list []string
	for _, n := range all {
		for _, e := range n.Entries {
			if e.Place {
				list = append(list, Principal{n.Platform, e.Kind, e.Example}.String())
			}
		}
	}
	return strings.Join(list, ", ")
}

// person reports whether who is a person, as "slack:U123".
func (all AllNames) person(who string) bool {
	platform, id, _ := strings.Cut(who, ":")
	valid := all.of(platform).Person
	return valid != nil && valid(id)
}

// examples returns an entry of every kind, as an allow-list has it.
func (all AllNames) examples() string {
	var list []string
	for _, n := range all {
		for _, e := range n.Entries {
			list = append(list, Principal{n.Platform, e.Kind, e.Example}.String())
		}
	}
	return strings.Join(list, ", ")
}

// people returns a person of every platform that has them, with an account.
func (all AllNames) people() string {
	var list []string
	for _, n := range all {
		for _, e := range n.Entries {
			if e.Kind == "user" {
				list = append(list, n.Platform+":"+e.Example+"=ACCOUNT")
			}
		}
	}
	return strings.Join(list, ",")
}

// unset says who has a right where no list is set.
func (all AllNames) unset(of func(Names) string) string {
	var list []string
	for _, n := range all {
		if who := of(n); who != "" {
			list = append(list, who+" ("+n.Platform+")")
		}
	}
	return strings.Join(list, "; ")
}

// describe fills what depends on the platforms and providers into a description.
func (all AllNames) describe(text string) string {
	return strings.NewReplacer(
		"{providers}", strings.Join(Providers{}.names(), ", "), "{entries}", all.examples(), "{people}", all.people(),
		"{meet}", all.unset(func(n Names) string { return n.Meet }), "{push}", all.unset(func(n Names) string { return n.Push }),
	).Replace(text)
}
