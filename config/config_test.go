package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config"
)

type env map[string]string

func (e env) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v, ok
}

// names are what two platforms and the console call people.
var names = func() []config.Names {
	upper, digits := regexp.MustCompile(`^[A-Z][A-Z0-9]+$`).MatchString, regexp.MustCompile(`^[0-9]+$`).MatchString
	return []config.Names{
		{Platform: "slack", Person: upper, Entries: []config.Name{{"user", "U1", upper, false}, {"group", "S1", upper, false}, {"channel", "C1", upper, true}, {"team", "T1", upper, true}}, Meet: "full members"},
		{Platform: "discord", Person: digits, Entries: []config.Name{{"user", "1", digits, false}, {"role", "1", digits, false}, {"channel", "1", digits, true}, {"guild", "1", digits, true}}, Meet: "Manage Events"},
		{Platform: "console", Person: func(id string) bool { return id != "" }, Entries: []config.Name{{Place: true}}},
	}
}()

// with returns a copy of e with more variables in it.
func (e env) with(pairs ...string) env {
	c := make(env, len(e)+len(pairs)/2)
	for k, v := range e {
		c[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = pairs[i+1]
	}
	return c
}

const (
	key1 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	key2 = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHgA="
)

var (
	systec  = env{"SYSTEC_API_KEY": "canary-systec-key", "SYSTEC_API_SECRET": "canary-systec-secret"}
	zoom    = env{"ZOOM_ACCOUNT_ID": "acct", "ZOOM_CLIENT_ID": "app", "ZOOM_CLIENT_SECRET": "canary-zs", "ZOOM_USER_ID": "ops@example.com"}
	tencent = env{"TENCENT_APP_ID": "200000001", "TENCENT_SECRET_ID": "canary-tc-id", "TENCENT_SECRET_KEY": "canary-tc-key", "TENCENT_USER_ID": "ops"}
	// spelt has the variables whose values matter to a test.
	spelt = env{
		"SLACK_BOT_TOKEN": "xoxb-canary", "SLACK_APP_TOKEN": "xapp-canary", "SLACK_SIGNING_SECRET": "canary-signing",
		"SLACK_CLIENT_ID": "1.2", "SLACK_TEAMS": "T1, E1", "SLACK_API_URL": "https://slack.example/api/", "SLACK_MEET_COMMAND": "/zoomless", "SLACK_LIVEPUSH_COMMAND": "/air",
		"DISCORD_BOT_TOKEN": "canary-discord", "DISCORD_APPLICATION_ID": "123456789012345678",
		"DISCORD_PUBLIC_KEY": strings.Repeat("ab", 32), "DISCORD_GUILD_ID": "223456789012345678", "DISCORD_GUILDS": "323456789012345678, 423456789012345678", "DISCORD_API_URL": "http://127.0.0.1:1/api",
		"HTTP_ADDR": "0.0.0.0:80", "OPS_ADDR": "[::1]:90", "PUBLIC_URL": "https://meet.example.com",
		"MEET_PROVIDER": "tencent", "SYSTEC_API_KEY": "canary-sk", "SYSTEC_API_SECRET": "canary-ss", "SYSTEC_BASE_URL": "https://systec.example", "SYSTEC_CAPACITY": "100",
		"TENCENT_APP_ID": "2", "TENCENT_SDK_ID": "3", "TENCENT_SECRET_ID": "canary-ti", "TENCENT_SECRET_KEY": "canary-tk", "TENCENT_USER_ID": "ops",
		"TENCENT_USERS": "slack:U123=alice, discord:42=bob", "TENCENT_INSTANCE_ID": "5", "TENCENT_BASE_URL": "http://localhost:9",
		"TENCENT_WEBHOOK_TOKEN": "canary-wt", "TENCENT_WEBHOOK_AES_KEY": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
		"ZOOM_ACCOUNT_ID": "acct", "ZOOM_CLIENT_ID": "app", "ZOOM_CLIENT_SECRET": "canary-zs", "ZOOM_USER_ID": "ops@example.com", "ZOOM_USERS": "slack:U1=ann@example.com",
		"ZOOM_BASE_URL": "http://localhost:8/v2", "ZOOM_OAUTH_URL": "http://localhost:8/oauth/token", "ZOOM_WEBHOOK_TOKEN": "canary-zt",
		"PROVIDERS_FILE": "testdata/accounts.yaml",
		"MEET_ALLOW":     "slack:user:U1,slack:group:S1,slack:channel:C1", "LIVEPUSH_ALLOW": "discord:user:1,discord:role:2,discord:channel:3", "ADMINS": "console", "SETTINGS_ALLOW": "slack:user:U2",
		"START_LINK": "thread", "RECORDINGS": "thread", "PARTICIPANTS": "thread", "LOCALE": "zh-CN", "DATA_DIR": "/var/lib/meetbot", "NATS_URL": "tls://a:4222,tls://b:4222", "NATS_CREDS": "/run/secrets/nats.creds", "NATS_PLAINTEXT": "true",
		"ENCRYPTION_KEY": key1 + "," + key2, "RETENTION": "24h", "ERASE_AFTER": "2h", "SHUTDOWN_GRACE": "10s", "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4318/base/", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces.example/v1/spans",
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=canary%20otel, x-tenant=a", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_TIMEOUT": "2000", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/bot.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/bot.key", "OTEL_SDK_DISABLED": "false",
	}
)

// all sets every variable to something else than its default: those that are not spelt out
// have the first of some values that they take.
var all = func() env {
	e := spelt.with()
	for _, v := range config.Variables() {
		word := "other"
		if v.Secret {
			word = "canary"
		}
		for _, value := range []string{word, "https://other.example/api", "123456789012345678", "7", "36h"} {
			if _, done := e[v.Name]; done || value == v.Default {
				continue
			}
			var faults *config.Error
			_, err := config.Load(env{v.Name: value}.lookup, names...)
			if !errors.As(err, &faults) || !slices.ContainsFunc(faults.Faults, func(f config.Fault) bool { return f.Variable == v.Name }) {
				e[v.Name] = value
			}
		}
	}
	return e
}()

func TestAnEmptyEnvironmentIsTheConsoleAndTheSandbox(t *testing.T) {
	c, err := config.Load(env{}.lookup, names...)
	require.NoError(t, err)
	assert.False(t, c.Chat())
	assert.True(t, c.Sandbox())
	assert.False(t, c.NeedsHTTP())
	assert.False(t, c.IsSet("DATA_DIR"))
	assert.Equal(t, ":8080", c.HTTPAddr)
	assert.Equal(t, "/meet", c.Slack.MeetCommand)
	assert.Equal(t, "https://api.systeccloud.com/umeeting", c.Systec.BaseURL)
	assert.Equal(t, 25, c.Systec.Capacity)
	assert.Equal(t, 1, c.Tencent.InstanceID)
	assert.Equal(t, "./data", c.DataDir)
	assert.Equal(t, 168*time.Hour, c.Retention)
	assert.Equal(t, 25*time.Second, c.ShutdownGrace)
}

func TestEveryVariableArrives(t *testing.T) {
	for _, v := range config.Variables() {
		assert.Contains(t, all, v.Name)
		assert.NotEmpty(t, v.Description, v.Name)
	}
	assert.Len(t, all, len(config.Variables()))

	c, err := config.Load(all.lookup, names...)
	require.NoError(t, err)
	defaults, err := config.Load(env{}.lookup, names...)
	require.NoError(t, err)
	var same func(a, b reflect.Value, path string)
	same = func(a, b reflect.Value, path string) {
		for i := range a.NumField() {
			f := a.Type().Field(i)
			switch {
			case !f.IsExported():
			case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == "meetbot/config":
				same(a.Field(i), b.Field(i), path+f.Name+".")
			default:
				assert.NotEqual(t, a.Field(i).Interface(), b.Field(i).Interface(), path+f.Name)
			}
		}
	}
	same(reflect.ValueOf(c), reflect.ValueOf(defaults), "")

	assert.Equal(t, config.Users{"slack:U123": "alice", "discord:42": "bob"}, c.Tencent.Users)
	assert.Equal(t, config.Principals{{"slack", "user", "U1"}, {"slack", "group", "S1"}, {"slack", "channel", "C1"}}, c.MeetAllow)
	assert.Equal(t, config.Principals{{Platform: "console"}}, c.Admins)
	assert.Equal(t, "discord:role:2", c.LivepushAllow[1].String())
	require.Len(t, c.EncryptionKey, 2)
	assert.Equal(t, byte(31), c.EncryptionKey[1].Reveal()[0], "the newest is first")
	assert.Equal(t, "xoxb-canary", c.Slack.BotToken.Reveal())
	assert.True(t, c.IsSet("DATA_DIR"))
	assert.True(t, c.NeedsHTTP())
}

func TestFaultsNameTheVariable(t *testing.T) {
	slack := env{"SLACK_BOT_TOKEN": "xoxb-canary", "SLACK_APP_TOKEN": "xapp-canary"}
	for _, tt := range []struct {
		name string
		env  env
		want []string // variables
	}{
		{"SlackTokenOfAnotherKind", systec.with("SLACK_BOT_TOKEN", "xoxp-canary", "SLACK_APP_TOKEN", "xoxb-canary"), []string{"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"}},
		{"SlackWithoutTransport", systec.with("SLACK_BOT_TOKEN", "xoxb-canary"), []string{"SLACK_APP_TOKEN"}},
		{"SlackTransportWithoutToken", systec.with("SLACK_SIGNING_SECRET", "canary"), []string{"SLACK_BOT_TOKEN"}},
		{"SlackCommandsAlike", slack.with("MEET_PROVIDER", "sandbox", "SLACK_MEET_COMMAND", "/livepush"), []string{"SLACK_LIVEPUSH_COMMAND"}},
		{"SlackCommandWithoutSlash", env{"SLACK_MEET_COMMAND": "meet"}, []string{"SLACK_MEET_COMMAND"}},
		{"DiscordWithoutApplication", systec.with("DISCORD_BOT_TOKEN", "canary"), []string{"DISCORD_APPLICATION_ID"}},
		{"DiscordWithoutToken", systec.with("DISCORD_APPLICATION_ID", "123456789012345678"), []string{"DISCORD_BOT_TOKEN"}},
		{"DiscordKeyOfAnotherShape", env{"DISCORD_PUBLIC_KEY": "canary"}, []string{"DISCORD_PUBLIC_KEY", "DISCORD_BOT_TOKEN"}},
		{"ChatWithoutProvider", slack, []string{"MEET_PROVIDER"}},
		{"ChatWithHalfAProvider", slack.with("SYSTEC_API_KEY", "canary"), []string{"SYSTEC_API_SECRET"}},
		{"SystecSecretAlone", env{"SYSTEC_API_SECRET": "canary"}, []string{"SYSTEC_API_KEY"}},
		{"BothProviders", systec.with("TENCENT_APP_ID", "1", "TENCENT_SECRET_ID", "canary", "TENCENT_SECRET_KEY", "canary", "TENCENT_USER_ID", "ops"), []string{"MEET_PROVIDER"}},
		{"ProviderThatIsNotConfigured", systec.with("MEET_PROVIDER", "tencent"), []string{"MEET_PROVIDER"}},
		{"SystecThatIsNotConfigured", env{"MEET_PROVIDER": "systec"}, []string{"MEET_PROVIDER"}},
		{"ProviderHalfConfigured", env{"MEET_PROVIDER": "systec", "SYSTEC_API_SECRET": "canary"}, []string{"SYSTEC_API_KEY"}},
		{"NoSuchProvider", systec.with("MEET_PROVIDER", "canary"), []string{"MEET_PROVIDER"}},
		{"TencentWithoutKey", env{"TENCENT_APP_ID": "1", "TENCENT_SECRET_ID": "canary", "TENCENT_USER_ID": "ops"}, []string{"TENCENT_SECRET_KEY"}},
		{"TencentWithoutUser", env{"TENCENT_APP_ID": "1", "TENCENT_SECRET_ID": "canary", "TENCENT_SECRET_KEY": "canary"}, []string{"TENCENT_USER_ID"}},
		{"TencentUserAlone", env{"TENCENT_USER_ID": "ops"}, []string{"TENCENT_APP_ID", "TENCENT_SECRET_ID", "TENCENT_SECRET_KEY"}},
		{"WebhookKeyWithoutToken", tencent.with("TENCENT_WEBHOOK_AES_KEY", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"), []string{"TENCENT_WEBHOOK_TOKEN"}},
		{"WebhookKeyOfAnotherLength", tencent.with("TENCENT_WEBHOOK_TOKEN", "canary", "TENCENT_WEBHOOK_AES_KEY", "canary"), []string{"TENCENT_WEBHOOK_AES_KEY"}},
		{"ZoomWithoutSecret", env{"ZOOM_ACCOUNT_ID": "a", "ZOOM_CLIENT_ID": "b", "ZOOM_USER_ID": "ops"}, []string{"ZOOM_CLIENT_SECRET"}},
		{"ZoomWithoutHost", env{"ZOOM_ACCOUNT_ID": "a", "ZOOM_CLIENT_ID": "b", "ZOOM_CLIENT_SECRET": "canary"}, []string{"ZOOM_USER_ID"}},
		{"ZoomEventsAlone", env{"ZOOM_WEBHOOK_TOKEN": "canary"}, []string{"ZOOM_ACCOUNT_ID", "ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_USER_ID"}},
		{"UsersWithoutPlatform", tencent.with("TENCENT_USERS", "U123=canary"), []string{"TENCENT_USERS"}},
		{"UserTwice", tencent.with("TENCENT_USERS", "slack:U1=canary,slack:U1=bob"), []string{"TENCENT_USERS"}},
		{"AllowSomebodyUnknown", env{"MEET_ALLOW": "slack:user:U1,everyone-canary"}, []string{"MEET_ALLOW"}},
		{"AllowSomebodyOnAPlatformThatIsNone", env{"MEET_ALLOW": "teams:user:canary"}, []string{"MEET_ALLOW"}},
		{"AllowAnIDOfAnotherShape", env{"ADMINS": "slack:user:canary"}, []string{"ADMINS"}},
		{"AllowAWholePlatform", env{"ADMINS": "slack"}, []string{"ADMINS"}},
		{"UserOfAnotherShape", tencent.with("TENCENT_USERS", "discord:canary=bob"), []string{"TENCENT_USERS"}},
		{"AllowGroupOnDiscord", env{"LIVEPUSH_ALLOW": "discord:group:1"}, []string{"LIVEPUSH_ALLOW"}},
		{"AllowWithAHole", env{"ADMINS": "slack:user:U1,,console"}, []string{"ADMINS"}},
		{"KeyTooShort", env{"ENCRYPTION_KEY": "Y2FuYXJ5"}, []string{"ENCRYPTION_KEY"}},
		{"KeyTwice", env{"ENCRYPTION_KEY": key1 + "," + key1}, []string{"ENCRYPTION_KEY"}},
		{"ClusterWithoutKey", env{"NATS_URL": "tls://a:4222"}, []string{"ENCRYPTION_KEY"}},
		{"ClusterWithPassword", env{"NATS_URL": "nats://u:canary@a:4222", "ENCRYPTION_KEY": key1}, []string{"NATS_URL"}},
		{"ClusterInClear", env{"NATS_URL": "tls://a:4222,nats://b:4222", "ENCRYPTION_KEY": key1}, []string{"NATS_URL"}},
		{"ClusterInClearSaidNo", env{"NATS_URL": "nats://10.0.0.1:4222", "NATS_PLAINTEXT": "false", "ENCRYPTION_KEY": key1}, []string{"NATS_URL"}},
		{"CollectorHeadersInClear", env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318", "OTEL_EXPORTER_OTLP_HEADERS": "a=canary"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{"KeyOfZeros", env{"ENCRYPTION_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, []string{"ENCRYPTION_KEY"}},
		{"KeyOfOnes", env{"ENCRYPTION_KEY": key1 + ",//////////////////////////////////////////8="}, []string{"ENCRYPTION_KEY"}},
		{"CredentialsWithoutCluster", env{"NATS_CREDS": "canary"}, []string{"NATS_URL"}},
		{"PlainHTTP", env{"PUBLIC_URL": "http://meet.example.com"}, []string{"PUBLIC_URL"}},
		{"NotAURL", env{"SYSTEC_BASE_URL": "canary"}, []string{"SYSTEC_BASE_URL"}},
		{"PasswordInURL", env{"TENCENT_BASE_URL": "https://u:canary@example.com"}, []string{"TENCENT_BASE_URL"}},
		{"AddressWithoutPort", env{"HTTP_ADDR": "canary"}, []string{"HTTP_ADDR"}},
		{"MetricsInPublic", env{"PUBLIC_URL": "https://meet.example.com", "OPS_ADDR": ":8080"}, []string{"OPS_ADDR"}},
		{"DurationWithoutUnit", env{"RETENTION": "168", "SHUTDOWN_GRACE": "0s"}, []string{"RETENTION", "SHUTDOWN_GRACE"}},
		{"CapacityZero", env{"SYSTEC_CAPACITY": "0"}, []string{"SYSTEC_CAPACITY"}},
		{"CollectorWithoutScheme", env{"OTEL_EXPORTER_OTLP_ENDPOINT": "canary:4318"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{"CollectorWithPassword", env{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://u:canary@otel:4318"}, []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}},
		{"CollectorHeadersWithoutName", env{"OTEL_EXPORTER_OTLP_HEADERS": "canary"}, []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		{"CollectorHeadersWithALineBreak", env{"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=canary%0d%0ab: c"}, []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS"}},
		{"CollectorOverGRPC", env{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, []string{"OTEL_EXPORTER_OTLP_PROTOCOL"}},
		{"CollectorCertificateWithoutKey", env{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "canary"}, []string{"OTEL_EXPORTER_OTLP_CLIENT_KEY"}},
		{"NoSuchLocale", env{"LOCALE": "fr", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "START_LINK": "all"}, []string{"START_LINK", "LOCALE", "LOG_LEVEL", "LOG_FORMAT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(tt.env.lookup, names...)
			var faults *config.Error
			require.ErrorAs(t, err, &faults)
			var got []string
			for _, f := range faults.Faults {
				got = append(got, f.Variable)
				assert.NotEmpty(t, f.Fix)
				assert.Contains(t, err.Error(), f.Variable+": "+f.Fix)
			}
			assert.Equal(t, tt.want, got)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
}

// A secret as shells, editors and other systems leave it is told by name, with what to do.
func TestSecretsAsOtherSystemsLeaveThem(t *testing.T) {
	base := systec.with("SLACK_BOT_TOKEN", "xoxb-1", "SLACK_APP_TOKEN", "xapp-1", "DISCORD_BOT_TOKEN", "d", "DISCORD_APPLICATION_ID", "123456789012345678")
	for _, tt := range []struct {
		name, variable, value string
		want                  string // in the fix
	}{
		{"Quotes", "SLACK_BOT_TOKEN", `"xoxb-canary"`, "quotes"},
		{"SingleQuotes", "DISCORD_BOT_TOKEN", `'canary'`, "quotes"},
		{"SmartQuotes", "SYSTEC_API_KEY", "“canary”", "quotes"},
		{"OneQuote", "SYSTEC_API_SECRET", `canary"`, "quotes"},
		{"Backticks", "SLACK_APP_TOKEN", "`xapp-canary`", "quotes"},
		{"ChineseQuotes", "SYSTEC_API_KEY", "「canary」", "quotes"},
		{"KeyInQuotes", "ENCRYPTION_KEY", `"` + key1 + `"`, "quotes"},
		{"BotBefore", "DISCORD_BOT_TOKEN", "Bot canary.a.b", "Bot"},
		{"BotBeforeInSmallLetters", "DISCORD_BOT_TOKEN", "bot canary", "Bot"},
		{"BearerBefore", "SLACK_BOT_TOKEN", "Bearer xoxb-canary", "Bearer"},
		{"ByteOrderMark", "SLACK_BOT_TOKEN", "\ufeffxoxb-canary", "byte order mark"},
		{"UTF16", "SYSTEC_API_KEY", "\xff\xfec\x00a\x00", "UTF-16"},
		{"WrittenOutLineBreak", "SYSTEC_API_SECRET", `canary\n`, `written-out line break`},
		{"TwoLines", "SYSTEC_API_SECRET", "canary\ncanary", "line break"},
		{"Blank", "DISCORD_BOT_TOKEN", "canary canary", "blank"},
		{"NoBreakSpaceInside", "DISCORD_BOT_TOKEN", "canary\u00a0canary", "blank"},
		{"ZeroWidth", "DISCORD_BOT_TOKEN", "canary\u200b", "invisible"},
		{"FullWidth", "SYSTEC_API_KEY", "ｃanary", "character"},
		{"WholeLine", "SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN=xoxb-canary", "name"},
		{"ExportedLine", "SYSTEC_API_KEY", "export SYSTEC_API_KEY=canary", "name"},
		{"Base64", "SLACK_BOT_TOKEN", "eG94Yi1jYW5hcnk=", "base64"},
		{"Rotating", "SLACK_BOT_TOKEN", "xoxe.xoxb-1-canary", "rotates"},
		{"Refresh", "SLACK_BOT_TOKEN", "xoxe-1-canary", "refresh token"},
		{"UserToken", "SLACK_BOT_TOKEN", "xoxp-canary", "user token"},
		{"AppTokenInTheWrongPlace", "SLACK_BOT_TOKEN", "xapp-canary", "SLACK_APP_TOKEN"},
		{"BotTokenInTheWrongPlace", "SLACK_APP_TOKEN", "xoxb-canary", "SLACK_BOT_TOKEN"},
		{"Placeholder", "SYSTEC_API_KEY", "replace-me", "placeholder"},
		{"PlaceholderInAToken", "SLACK_BOT_TOKEN", "xoxb-replace-me", "placeholder"},
		{"Ellipsis", "SLACK_BOT_TOKEN", "xoxb-…", "placeholder"},
		{"AngleBrackets", "SYSTEC_API_SECRET", "<your secret>", "placeholder"},
		{"NotExpanded", "SYSTEC_API_SECRET", "${SYSTEC_API_SECRET}", "placeholder"},
		{"AnExamplesAdmin", "ADMINS", "slack:user:U0REPLACEME", "placeholder"},
		{"AnExamplesList", "MEET_ALLOW", "slack:user:U1,slack:group:S0REPLACEME", "placeholder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := func(e env) {
				_, err := config.Load(e.lookup)
				var faults *config.Error
				require.ErrorAs(t, err, &faults)
				require.Len(t, faults.Faults, 1, "%v", err)
				assert.Equal(t, tt.variable, faults.Faults[0].Variable)
				assert.Contains(t, faults.Faults[0].Fix, tt.want)
				assert.NotContains(t, err.Error(), "canary")
			}
			check(base.with(tt.variable, tt.value))
			if tt.variable == "ADMINS" || tt.variable == "MEET_ALLOW" {
				return
			}
			path := filepath.Join(t.TempDir(), "secret")
			require.NoError(t, os.WriteFile(path, []byte(tt.value+"\r\n"), 0o600))
			e := base.with(tt.variable+"_FILE", path)
			delete(e, tt.variable)
			check(e)
		})
	}
	for name, value := range map[string]string{"LineBreak": "xoxb-1\n", "Blanks": "  xoxb-1\t", "CarriageReturn": "xoxb-1\r\n"} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(base.with("SLACK_BOT_TOKEN", value).lookup)
			require.NoError(t, err)
			assert.Equal(t, "xoxb-1", c.Slack.BotToken.Reveal())
		})
	}
}

// What is no secret is left in the same ways, and then names another directory, person or page.
func TestOtherValuesAsOtherSystemsLeaveThem(t *testing.T) {
	base := tencent.with("SLACK_BOT_TOKEN", "xoxb-1", "SLACK_APP_TOKEN", "xapp-1")
	for _, tt := range []struct{ name, variable, value, want string }{
		{"Quotes", "DATA_DIR", `"./data"`, "quotes"},
		{"SmartQuotes", "TENCENT_USER_ID", "“bot”", "quotes"},
		{"OneQuote", "TENCENT_SDK_ID", `'1`, "quotes"},
		{"ByteOrderMark", "DATA_DIR", "\ufeff./data", "byte order mark"},
		{"WholeLine", "DATA_DIR", "DATA_DIR=./data", "name"},
		{"NotExpanded", "DATA_DIR", "${DATA}", "placeholder"},
		{"WrittenOutLineBreak", "TENCENT_USER_ID", `bot\n`, "written-out line break"},
		{"InvisibleAtTheEnd", "TENCENT_USER_ID", "bot\u200b", "invisible"},
		{"InvisibleInAHost", "PUBLIC_URL", "https://meet.example\u200b.com", "invisible"},
		{"InvisibleInAPath", "PUBLIC_URL", "https://meet.example.com/\u2060", "invisible"},
		{"QuotedList", "ADMINS", `"slack:user:U1"`, "quotes"},
		{"QuotedAccount", "TENCENT_USERS", `slack:U1="alice",slack:U2=bob`, "quotes"},
		{"FullWidthComma", "TENCENT_USERS", "slack:U1=alice，slack:U2=bob", "comma"},
		{"EnumerationComma", "MEET_ALLOW", "slack:user:U1、slack:user:U2", "comma"},
		{"Semicolon", "TENCENT_USERS", "slack:U1=alice;slack:U2=bob", "comma"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(base.with(tt.variable, tt.value).lookup, names...)
			var faults *config.Error
			require.ErrorAs(t, err, &faults)
			require.Len(t, faults.Faults, 1, "%v", err)
			assert.Equal(t, tt.variable, faults.Faults[0].Variable)
			assert.Contains(t, faults.Faults[0].Fix, tt.want)
		})
	}
	for name, e := range map[string]env{
		"ChineseDirectory":  base.with("DATA_DIR", "./数据"),
		"ApostropheInside":  base.with("DATA_DIR", "./ann's data"),
		"ChineseHost":       base.with("PUBLIC_URL", "https://会议.example.com"),
		"AccountWithSigns":  base.with("TENCENT_USERS", "slack:U1=a;b==, slack:U2=bob@example.com"),
		"LineBreakAtTheEnd": base.with("DATA_DIR", "./data\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(e.lookup, names...)
			assert.NoError(t, err)
		})
	}
}

// The path of a secret's file comes from the same environment as everything else.
func TestAPathOfASecretAsOtherSystemsLeaveIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("canary-systec-key"), 0o600))
	base := env{"SYSTEC_API_SECRET": "s"}
	for name, left := range map[string]string{"CarriageReturn": path + "\r", "Blanks": " " + path + "  ", "LineBreak": path + "\r\n"} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(base.with("SYSTEC_API_KEY_FILE", left).lookup)
			require.NoError(t, err)
			assert.Equal(t, "canary-systec-key", c.Systec.ApiKey.Reveal())
		})
	}
	for name, left := range map[string]string{"Quotes": `"` + path + `"`, "SmartQuotes": "“" + path + "”"} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(base.with("SYSTEC_API_KEY_FILE", left).lookup)
			require.ErrorContains(t, err, "SYSTEC_API_KEY_FILE: remove the quotes")
			assert.NotContains(t, err.Error(), path)
		})
	}
	c, err := config.Load(systec.with("SYSTEC_API_KEY_FILE", " ").lookup)
	require.NoError(t, err, "blanks are nothing")
	assert.Equal(t, "canary-systec-key", c.Systec.ApiKey.Reveal())
}

func TestWhatFitsTogetherIsAccepted(t *testing.T) {
	for name, e := range map[string]env{
		"Systec":            systec,
		"Tencent":           tencent,
		"Zoom":              zoom,
		"BothAndAChoice":    systec.with("MEET_PROVIDER", "systec", "TENCENT_APP_ID", "1", "TENCENT_SECRET_ID", "i", "TENCENT_SECRET_KEY", "k", "TENCENT_USERS", "slack:U1=a"),
		"SlackInTheSandbox": {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s", "MEET_PROVIDER": "sandbox"},
		"DiscordByGateway":  systec.with("DISCORD_BOT_TOKEN", "d", "DISCORD_APPLICATION_ID", "123456789012345678"),
		"EmptyMeansUnset":   {"SLACK_BOT_TOKEN": "", "SLACK_APP_TOKEN": " ", "MEET_ALLOW": "", "RETENTION": ""},
		"SystecOnACluster":  systec.with("NATS_URL", "tls://a:4222", "ENCRYPTION_KEY", key1),
		"SystecOnACluster1": systec.with("NATS_URL", "nats://127.0.0.1:4222,nats://[::1]:4223,nats://localhost:4224", "ENCRYPTION_KEY", key1),
		"SystecOnACluster2": systec.with("NATS_URL", "nats://a:4222", "NATS_PLAINTEXT", "true", "ENCRYPTION_KEY", key1),
		"CollectorNearby":   {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(e.lookup, names...)
			assert.NoError(t, err)
		})
	}
}

func TestEverySecretCanBeAFile(t *testing.T) {
	dir := t.TempDir()
	e, secrets := env{}, 0
	for name, value := range all {
		e[name] = value
	}
	for _, v := range config.Variables() {
		if v.Secret {
			secrets++
			path := filepath.Join(dir, v.Name)
			require.NoError(t, os.WriteFile(path, []byte(all[v.Name]+"\n"), 0o600))
			delete(e, v.Name)
			e[v.Name+"_FILE"] = path
		}
	}
	require.Greater(t, secrets, 10)
	want, err := config.Load(all.lookup, names...)
	require.NoError(t, err)
	got, err := config.Load(e.lookup, names...)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for name, e := range map[string]env{
		"Both":    e.with("SLACK_BOT_TOKEN", "xoxb-canary"),
		"Missing": e.with("SLACK_BOT_TOKEN_FILE", filepath.Join(dir, "canary-path")),
		"Folder":  e.with("SLACK_BOT_TOKEN_FILE", dir),
		"Empty":   e.with("SLACK_BOT_TOKEN_FILE", empty),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(e.lookup, names...)
			var faults *config.Error
			require.True(t, errors.As(err, &faults), "%v", err)
			require.Len(t, faults.Faults, 1)
			assert.Equal(t, "SLACK_BOT_TOKEN", faults.Faults[0].Variable)
			assert.Contains(t, faults.Faults[0].Fix, "SLACK_BOT_TOKEN_FILE")
			assert.NotContains(t, err.Error(), "canary")
		})
	}
}

func TestAConfigurationIsNeverPrinted(t *testing.T) {
	c, err := config.Load(all.lookup, names...)
	require.NoError(t, err)
	out := fmt.Sprintf("%v %+v %#v", c, c, c)
	assert.NotContains(t, out, "canary")
	assert.NotContains(t, out, c.EncryptionKey[0].Reveal())
}

func TestUsageNamesEveryVariable(t *testing.T) {
	var b strings.Builder
	require.NoError(t, config.Usage(&b))
	for _, v := range config.Variables() {
		assert.Regexp(t, `(?m)^  `+regexp.QuoteMeta(v.Name)+` `, b.String())
		assert.Contains(t, config.Markdown(), "| `"+v.Name+"`")
	}
	described := config.Markdown(names...)
	for _, want := range []string{"slack:user:U1, slack:group:S1", "discord:role:1", ", console; unset: full members (slack); Manage Events (discord)", "slack:U1=ACCOUNT,discord:1=ACCOUNT"} {
		assert.Contains(t, described, want)
	}
	assert.NotContains(t, described, "{")
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, len(line), 110)
	}
}

func TestWhereTracesGo(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  env
		want string
	}{
		{"Nowhere", env{}, ""},
		{"TheBase", env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}, "http://otel:4318/v1/traces"},
		{"ABaseWithAPath", env{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example/otlp/"}, "https://otel.example/otlp/v1/traces"},
		{"TheWholeAddress", env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://tempo:4318/spans"}, "http://tempo:4318/spans"},
		{"Off", env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318", "OTEL_SDK_DISABLED": "TRUE"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := config.Load(tt.env.lookup, names...)
			require.NoError(t, err)
			assert.Equal(t, tt.want, c.OTEL.TracesURL())
		})
	}
}

func TestWhatIsSetForTracesAloneWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(path, []byte("api-key=file"), 0o600))
	for _, tt := range []struct {
		env  env
		want map[string]string
	}{
		{env{}, map[string]string{}},
		{env{"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%2Cb, x-tenant = t="}, map[string]string{"api-key": "a,b", "x-tenant": "t="}},
		{env{"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=b"}, map[string]string{"api-key": "b"}},
		{env{"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a", "OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE": path}, map[string]string{"api-key": "file"}},
	} {
		c, err := config.Load(tt.env.lookup, names...)
		require.NoError(t, err)
		assert.Equal(t, tt.want, c.OTEL.Headers())
	}
}

// TestWhereAValueIsFoundIsSaidByWhoeverGivesItOut looks at the sentences that stand beside the
// variable, and not beside the shape that others may share.
func TestWhereAValueIsFoundIsSaidByWhoeverGivesItOut(t *testing.T) {
	_, err := config.Load(env{
		"TENCENT_APP_ID": "canary", "TENCENT_WEBHOOK_AES_KEY": "canary", "DISCORD_APPLICATION_ID": "canary", "DISCORD_PUBLIC_KEY": "canary", "DISCORD_GUILDS": "canary",
	}.lookup, names...)
	require.Error(t, err)
	for _, want := range []string{
		"TENCENT_APP_ID: use the number that Tencent Meeting shows as AppId",
		"TENCENT_WEBHOOK_AES_KEY: use the 43 characters that Tencent Meeting shows as EncodingAESKey",
		"DISCORD_APPLICATION_ID: use the numeric ID (Discord: Developer Mode, Copy ID)",
		"DISCORD_PUBLIC_KEY: use the 64 hexadecimal digits of the Public Key on the application's General Information page",
		"DISCORD_GUILDS: entry 1: use the numeric ID (Discord: Developer Mode, Copy ID)",
	} {
		assert.Contains(t, err.Error(), want)
	}
	assert.NotContains(t, err.Error(), "canary")
}
