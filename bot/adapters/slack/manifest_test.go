package slack

import (
	"encoding/json"
	"meetbot/bot/grammar"
	"meetbot/bot/texts"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func optionalScopes() []string {
	var names []string
	for _, s := range AllScopes() {
		if !s.Required {
			names = append(names, s.Name)
		}
	}
	return names
}

var manifests = map[string]ManifestOptions{
	"Socket":       {},
	"HTTP":         {URL: "https://bot.example/base/"},
	"Full":         {Optional: optionalScopes(), MeetCommand: "/会议", LivepushCommand: "/推流", Name: "会议机器人", Locale: "zh-CN"},
	"Organisation": {Organisation: true},
	"Install":      {Install: "https://bot.example/", Organisation: true, Optional: []string{"app_mentions:read"}},
	"InstallHTTP":  {URL: "https://bot.example", Install: "https://bot.example"},
	"HTTPAll":      {URL: "https://bot.example", Optional: optionalScopes()},
}

// TestManifestValidatesAgainstSlacksSchema needs Slack's published schemas, which are not
// part of the project: https://github.com/slackapi/manifest-schema.
func TestManifestValidatesAgainstSlacksSchema(t *testing.T) {
	dir := os.Getenv("SLACK_MANIFEST_SCHEMAS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "reference", "specs")
	}
	schemas, err := filepath.Glob(filepath.Join(dir, "slack-manifest*.json"))
	require.NoError(t, err)
	if len(schemas) == 0 {
		t.Skip("Slack's manifest schemas are not here; SLACK_MANIFEST_SCHEMAS names their folder")
	}
	for _, path := range schemas {
		for name, options := range manifests {
			t.Run(filepath.Base(path)+"/"+name, func(t *testing.T) {
				c := jsonschema.NewCompiler()
				c.UseRegexpEngine(perlRegexp)
				schema, err := c.Compile(path)
				require.NoError(t, err)
				b, err := Manifest(options)
				require.NoError(t, err)
				var m any
				require.NoError(t, json.Unmarshal(b, &m))
				require.NoError(t, schema.Validate(m))
			})
		}
	}
}

// perlRegexp takes what Go's regexp has no way to say, as a pattern that nothing matches:
// a manifest that comes to need one fails.
func perlRegexp(pattern string) (jsonschema.Regexp, error) {
	if re, err := regexp.Compile(pattern); err == nil {
		return re, nil
	}
	return noRegexp(pattern), nil
}

type noRegexp string

func (noRegexp) MatchString(string) bool { return false }
func (p noRegexp) String() string        { return string(p) }

type manifest struct {
	Features struct {
		Commands []struct {
			Command, Description, URL string
			UsageHint                 string `json:"usage_hint"`
			ShouldEscape              bool   `json:"should_escape"`
		} `json:"slash_commands"`
		Home      map[string]bool `json:"app_home"`
		Shortcuts []struct {
			CallbackID string `json:"callback_id"`
		}
	}
	OAuth struct{ Scopes struct{ Bot []string } } `json:"oauth_config"`

	Settings struct {
		Socket        bool `json:"socket_mode_enabled"`
		Interactivity struct {
			URL string `json:"request_url"`
		}
		Events *struct {
			URL    string   `json:"request_url"`
			Events []string `json:"bot_events"`
		} `json:"event_subscriptions"`
	}
}

func parseManifest(t *testing.T, o ManifestOptions) (m manifest) {
	t.Helper()
	b, err := Manifest(o)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &m))
	return m
}

func TestManifestFollowsFromTheDeclarations(t *testing.T) {
	m := parseManifest(t, manifests["Socket"])
	var bare []grammar.VerbDecl
	for _, d := range grammar.Declarations() {
		if d.Name == "" {
			bare = append(bare, d)
		}
	}
	require.Len(t, m.Features.Commands, len(bare))
	for i, d := range bare {
		c := m.Features.Commands[i]
		assert.Equal(t, "/"+d.Command, c.Command)
		assert.Equal(t, d.Describe(texts.For("en")), c.Description)
		assert.True(t, c.ShouldEscape, "people are named by ID")
		assert.Empty(t, c.URL)
		for _, v := range grammar.Declarations() {
			if v.Command == d.Command && v.Name != "" {
				assert.Equal(t, v.Can == nil, slices.Contains(strings.Split(c.UsageHint, " | "), v.Name), "%s: no provider is known here: %s", v.Name, c.UsageHint)
			}
		}
	}
}

func TestManifestAsksForTheFewestScopes(t *testing.T) {
	m := parseManifest(t, manifests["Socket"])
	assert.Equal(t, []string{"commands", "chat:write", "im:write", "users:read"}, m.OAuth.Scopes.Bot)
	assert.True(t, m.Settings.Socket)
	assert.Nil(t, m.Settings.Events, "no events without the scope for them")

	m = parseManifest(t, manifests["HTTPAll"])
	assert.Len(t, m.OAuth.Scopes.Bot, len(AllScopes()))
	assert.False(t, m.Settings.Socket)
	assert.Equal(t, []string{"app_mention"}, m.Settings.Events.Events)
	assert.Equal(t, "https://bot.example/slack/events", m.Settings.Events.URL)
	assert.Equal(t, "https://bot.example/slack/interactions", m.Settings.Interactivity.URL)

	m = parseManifest(t, manifests["HTTP"])
	assert.Equal(t, "https://bot.example/base/slack/commands", m.Features.Commands[0].URL)
	assert.Equal(t, shortcutID, m.Features.Shortcuts[0].CallbackID)
	assert.Equal(t, map[string]bool{"home_tab_enabled": false, "messages_tab_enabled": true, "messages_tab_read_only_enabled": false}, m.Features.Home)

	for _, s := range AllScopes() {
		assert.NotEmpty(t, s.Without, s.Name)
	}
	assert.False(t, slices.Contains(optionalScopes(), "chat:write"))
}

func TestManifestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]ManifestOptions{
		"PlainHTTP": {URL: "http://bot.example"}, "NoHost": {URL: "https:///x"}, "Query": {URL: "https://bot.example/?a=b"},
		"Command": {MeetCommand: "meet"}, "Scope": {Optional: []string{"admin"}},
	} {
		_, err := Manifest(o)
		assert.Error(t, err, name)
	}
}
