package slack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	slackapi "github.com/slack-go/slack"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/grammar"
)

// Scope is a permission of the Slack app.
type Scope struct {
	Name     string
	Required bool
	Without  string // what does not work without it
}

// Scopes are all permissions that the bot makes use of, the required ones first.
// https://docs.slack.dev/reference/scopes
var scopes = []Scope{
	{"commands", true, "no slash commands, no buttons, no shortcut"},
	{"chat:write", true, "no messages in channels and threads"},
	{"im:write", true, "no direct messages: once Slack's response address has expired, the bot can give no private answer"},
	{"users:read", true, "the bot can't see languages or recognise guests, so without an allow-list it refuses everyone"},
	{"chat:write.public", false, "in channels that the bot is not a member of: no thread and no updated card; the bot answers through the command's own response"},
	{"files:write", false, "no QR code button"},
	{"app_mentions:read", false, "no \"@bot meet …\", so the message shortcut is the only command inside threads"},
	{"usergroups:read", false, "allow-lists can't name user groups: an entry slack:group:… refuses everyone"},
	{"channels:history", false, "after a crash in the middle of posting in a public channel, that one message may appear twice"},
	{"groups:history", false, "the same in a private channel"},
	{"im:history", false, "the same in a direct message"},
	{"mpim:history", false, "the same in a group direct message"},
}

// AllScopes returns every permission that the bot makes use of, the required ones first.
func AllScopes() []Scope { return slices.Clone(scopes) }

// ManifestOptions say how the app will be connected.
type ManifestOptions struct {
	// URL is the public https address that Slack sends requests to; empty: Socket Mode.
	URL string
	// Install is the public https address under which workspaces install the app; empty: it has one
	// token. Organisation lets the app be installed for a whole organisation.
	Install         string
	Organisation    bool
	MeetCommand     string // empty: "/meet"
	LivepushCommand string // empty: "/livepush"
	Name            string // of the app; empty: "meetbot"
	Locale          string // of the descriptions
	// Optional scopes to ask for, of [AllScopes].
	Optional []string
}

// Manifest returns the settings of a Slack app for this bot, as JSON to be pasted into
// "Create an app, from a manifest".
func Manifest(o ManifestOptions) ([]byte, error) {
	names := map[string]string{meetCommand: cmp.Or(o.MeetCommand, "/meet"), livepushCommand: cmp.Or(o.LivepushCommand, "/livepush")}
	o.Name = cmp.Or(o.Name, "meetbot")
	for _, name := range names {
		if !commandName.MatchString(name) {
			return nil, fmt.Errorf("%q cannot be a slash command", name)
		}
	}
	for _, address := range []string{o.URL, o.Install} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
			return nil, errors.New("the URL must be an https address without a query")
		}
	}
	base := strings.TrimSuffix(o.URL, "/")
	at := func(path string) string {
		if base == "" {
			return ""
		}
		return base + path
	}
	t := grammar.Text(Kind(names, false), o.Locale)
	m := slackapi.Manifest{
		Metadata: slackapi.ManifestMetadata{MajorVersion: 2, MinorVersion: 1},
		Display:  slackapi.Display{Name: o.Name, Description: t.T("slack.app.description")},
		Features: slackapi.Features{
			BotUser: slackapi.BotUser{DisplayName: o.Name, AlwaysOnline: true},
			Shortcuts: []slackapi.Shortcut{{
				Name: t.T("slack.shortcut"), CallbackID: shortcutID, Description: t.T("slack.shortcut.description"), Type: slackapi.MessageShortcut,
			}},
		},
		Settings: slackapi.Settings{
			Interactivity:     &slackapi.Interactivity{IsEnabled: true, RequestUrl: at(PathInteractions)},
			SocketModeEnabled: base == "", OrgDeployEnabled: o.Organisation,
		},
	}
	for _, d := range grammar.Declarations() {
		if d.Name != "" {
			continue // a verb of a command
		}
		name, ok := names[d.Command]
		if !ok {
			continue
		}
		description, _ := kit.Cut(d.Describe(t), maxDescription)
		m.Features.SlashCommands = append(m.Features.SlashCommands, slackapi.ManifestSlashCommand{
			Command: name, Description: description, UsageHint: usage(d), ShouldEscape: true, Url: at(PathCommands),
		})
	}
	for _, s := range scopes {
		if s.Required {
			m.OAuthConfig.Scopes.Bot = append(m.OAuthConfig.Scopes.Bot, s.Name)
		}
	}
	for _, want := range o.Optional {
		i := slices.IndexFunc(scopes, func(s Scope) bool { return s.Name == want })
		if i < 0 {
			return nil, fmt.Errorf("the bot does not use the scope %q", want)
		}
		if !slices.Contains(m.OAuthConfig.Scopes.Bot, want) {
			m.OAuthConfig.Scopes.Bot = append(m.OAuthConfig.Scopes.Bot, want)
		}
	}
	var events []string
	if slices.Contains(m.OAuthConfig.Scopes.Bot, "app_mentions:read") {
		events = append(events, "app_mention")
	}
	if o.Install != "" {
		m.OAuthConfig.RedirectUrls = []string{strings.TrimRight(o.Install, "/") + PathOAuth}
		events = append(events, "app_uninstalled", "tokens_revoked")
	}
	if events != nil {
		m.Settings.EventSubscriptions = &slackapi.EventSubscriptions{BotEvents: events, RequestUrl: at(PathEvents)}
	}
	return encodeManifest(m)
}

// encodeManifest writes m with what the library's type leaves out when it is false: people
// can write to the bot, or commands would not work there, and without the tab Slack
// refuses direct messages to them.
func encodeManifest(m slackapi.Manifest) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	features, _ := all["features"].(map[string]any)
	features["app_home"] = map[string]bool{"home_tab_enabled": false, "messages_tab_enabled": true, "messages_tab_read_only_enabled": false}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(all)
	return bytes.TrimSpace(out.Bytes()), err
}

// usage is the hint that Slack shows while a command is typed: what comes first, and the
// verbs.
func usage(bare grammar.VerbDecl) string {
	var parts []string
	for _, o := range bare.Options {
		if o.Position > 0 {
			parts = append(parts, "["+o.Name+"]")
		}
	}
	parts = append(parts, "[--…]")
	hint := strings.Join(parts, " ")
	for _, d := range grammar.Declarations() {
		if d.Command == bare.Command && d.Name != "" && d.Can == nil { // what not every provider can is no hint for all
			hint += " | " + d.Name
		}
	}
	hint, _ = kit.Cut(hint, maxUsageHint)
	return hint
}
