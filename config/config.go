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

	HTTPAddr  string `split_words:"true" default:":8080" desc:"where people and platforms reach the bot; listens only when something needs it" check:"addr"`
	OpsAddr   string `split_words:"true" default:"127.0.0.1:9090" desc:"/livez, /readyz and /metrics; keep it off the public network" check:"addr"`
	PublicURL string `split_words:"true" desc:"https address under which people reach HTTP_ADDR; turns the key-entry page on" check:"url"`

	MeetProvider string `split_words:"true" desc:"{providers} or sandbox; needed when several are configured" oneof:"{providers} sandbox"`
	Providers

	MeetAllow     Principals `split_words:"true" desc:"who may use /meet, comma-separated: {entries}; unset: {meet}"`
	LivepushAllow Principals `split_words:"true" desc:"who may use /livepush, likewise; unset: {push}"`
	Admins        Principals `split_words:"true" desc:"who may end and push others' meetings, and see the audit log, likewise; unset: nobody"`
	StartLink     string     `split_words:"true" default:"requester" desc:"who is shown the start link: requester, or thread for everyone" oneof:"requester thread"`
	Locale        string     `split_words:"true" default:"en" desc:"language where the person's own is not known: en or zh-CN" oneof:"en zh-CN"`

	DataDir       string `split_words:"true" default:"./data" desc:"the embedded store; in the console a temporary directory unless set"`
	NATS          NATS
	EncryptionKey Keys          `split_words:"true" desc:"32 bytes in base64, what the store is encrypted with; several, newest first; unset: made on first start, beside the store"`
	Retention     time.Duration `split_words:"true" default:"168h" desc:"how long finished commands and meetings are kept" min:"1h"`
	EraseAfter    time.Duration `split_words:"true" default:"24h" desc:"how long the files of the store may still hold what was overwritten or removed" min:"1h"`
	ShutdownGrace time.Duration `split_words:"true" default:"25s" desc:"how long running calls may take at shutdown" min:"1s"`

	LogLevel  string `split_words:"true" default:"info" desc:"debug, info, warn or error; in the console error unless set" oneof:"debug info warn error"`
	LogFormat string `split_words:"true" desc:"text or json; unset: text on a terminal" oneof:"text json"`

	OTEL OTEL

	set map[string]bool
}

// NATS is an external cluster, used instead of the embedded store when URL is set.
type NATS struct {
	URL   string `split_words:"true" desc:"an external NATS cluster instead of the embedded store, several servers comma-separated" check:"nats"`
	Creds string `split_words:"true" desc:"path of its credentials file"`
	// Plaintext is a string, as everything else that is on or off.
	Plaintext string `split_words:"true" default:"false" desc:"true accepts nats://, without TLS, to other machines: only where nobody else is on that network" oneof:"true false"`
}

// Chat reports whether any chat platform is configured; if none is, the bot runs in the
// terminal.
func (c Config) Chat() bool { return slices.ContainsFunc(c.Platforms.all(), Platform.On) }

// Sandbox reports whether meetings are made in the sandbox: because it was asked for, or
// because nothing is configured at all.
func (c Config) Sandbox() bool {
	return c.MeetProvider == "sandbox" || !c.Chat() && !slices.ContainsFunc(c.Providers.all(), Provider.On)
}

// NeedsHTTP reports whether something has to be reachable at HTTPAddr.
func (c Config) NeedsHTTP() bool {
	return slices.ContainsFunc(c.Platforms.all(), Platform.HTTP) || slices.ContainsFunc(c.Providers.all(), Provider.HTTP) || c.PublicURL != ""
}

// IsSet reports whether the variable was given a value, as opposed to its default.
func (c Config) IsSet(variable string) bool { return c.set[variable] }
