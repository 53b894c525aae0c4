// Package config reads the bot's settings from environment variables: all of them, and
// it is the only package that does.
//
// [Config] declares every variable once, with its default and its description. Reading,
// the help text and the table in docs/configuration.md all come from that declaration. [Load] checks
// everything before it returns and names every fault at once; no message repeats a
// value, since what was set may be a secret in the wrong place.
package config

import (
	"slices"
	"time"
)

// Config is the bot's whole configuration. A secret may also be given as the path of a
// file that has it, in the variable's name followed by _FILE.
type Config struct {
	Platforms

	HTTPAddr  string `split_words:"true" default:":8080" desc:"address that the bot listens on for platforms, providers and the key-entry page; it listens only if one of them needs it" check:"addr"`
	OpsAddr   string `split_words:"true" default:"127.0.0.1:9090" desc:"address that /livez, /readyz and /metrics listen on; keep it off the public network" check:"addr"`
	PublicURL string `split_words:"true" desc:"https URL under which people reach HTTP_ADDR; turns the key-entry page on" check:"url"`

	MeetProvider string `split_words:"true" desc:"provider that /meet uses without --provider: {providers}, an account of PROVIDERS_FILE, or sandbox; required if several are configured"`
	Providers
	ProvidersFile string `split_words:"true" desc:"path of a YAML or JSON file with named accounts of meeting providers, besides those of the variables; its secrets are in variables and files that it names (bot accounts --schema prints what it can have)"`

	MeetAllow     Principals `split_words:"true" desc:"who may use /meet, comma-separated: {entries}; unset: {meet}"`
	LivepushAllow Principals `split_words:"true" desc:"who may use /livepush, likewise; unset: {push}"`
	SettingsAllow Principals `split_words:"true" desc:"who may change the settings of a channel (/meet settings), likewise; unset: admins alone"`
	Admins        Principals `split_words:"true" desc:"who may end and push other people's meetings, and read the audit log, likewise; unset: nobody"`
	StartLink     string     `split_words:"true" default:"requester" desc:"who sees the start link: requester, or thread for everybody who can read the thread" oneof:"requester thread"`
	Recordings    string     `split_words:"true" default:"requester" desc:"who gets the links of a meeting's recording, transcript and summary: requester (and the hosts), or thread for everybody who can read the thread" oneof:"requester thread"`
	Participants  string     `split_words:"true" default:"off" desc:"thread has the report on a meeting that is over name those who were in it, where the provider tells; off reads no names" oneof:"off thread"`
	Locale        string     `split_words:"true" default:"en" desc:"language for people whose own the bot does not know: en or zh-CN" oneof:"en zh-CN"`

	DataDir       string `split_words:"true" default:"./data" desc:"directory of the embedded store; unset, the console uses a temporary one"`
	NATS          NATS
	EncryptionKey Keys          `split_words:"true" desc:"key that encrypts the store: 32 bytes in base64; several, newest first, to rotate it; unset: the bot makes one at its first start, beside the store"`
	Retention     time.Duration `split_words:"true" default:"168h" desc:"how long the bot keeps finished commands and meetings" min:"1h"`
	EraseAfter    time.Duration `split_words:"true" default:"24h" desc:"how long the store's files may still hold data that was overwritten or removed" min:"1h"`
	ShutdownGrace time.Duration `split_words:"true" default:"25s" desc:"how long running calls get at shutdown" min:"1s"`

	LogLevel  string `split_words:"true" default:"info" desc:"debug, info, warn or error; unset, the console uses error" oneof:"debug info warn error"`
	LogFormat string `split_words:"true" desc:"text or json; unset: text on a terminal, json elsewhere" oneof:"text json"`

	OTEL OTEL

	accounts []Account
	set      map[string]bool
}

// NATS is an external cluster, used instead of the embedded store when URL is set.
type NATS struct {
	URL   string `split_words:"true" desc:"NATS cluster to use instead of the embedded store; several servers comma-separated" check:"nats"`
	Creds string `split_words:"true" desc:"path of the cluster's credentials file"`
	// Plaintext is a string, as everything else that is on or off.
	Plaintext string `split_words:"true" default:"false" desc:"true allows nats://, without TLS, to other machines; safe only if nobody else is on that network" oneof:"true false"`
}

// Chat reports whether any chat platform is configured; if none is, the bot runs in the
// terminal.
func (c Config) Chat() bool { return slices.ContainsFunc(c.Platforms.all(), Platform.On) }

// Sandbox reports whether meetings are made in the sandbox: because it was asked for, or
// because nothing is configured at all.
func (c Config) Sandbox() bool {
	return c.MeetProvider == sandboxName || !c.Chat() && !slices.ContainsFunc(c.Providers.all(), Provider.On) && c.accounts == nil
}

// sandboxName is the sandbox's in MEET_PROVIDER.
const sandboxName = "sandbox"

// NeedsHTTP reports whether something has to be reachable at HTTPAddr.
func (c Config) NeedsHTTP() bool {
	return slices.ContainsFunc(c.Platforms.all(), Platform.HTTP) || slices.ContainsFunc(c.Providers.all(), Provider.HTTP) || c.PublicURL != "" ||
		slices.ContainsFunc(c.accounts, func(a Account) bool { return a.WebhookPath != "" })
}

// IsSet reports whether the variable was given a value, as opposed to its default.
func (c Config) IsSet(variable string) bool { return c.set[variable] }
