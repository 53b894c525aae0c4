package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/discord"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/jobs/jobstest"
	"meetbot/bot/ops"
	"meetbot/config/secret"
	"meetbot/meeting/sandbox"
	"meetbot/meeting/systec"
	"meetbot/meeting/tencent"
)

// world is everything that a bot is configured with, whole and well.
type world struct {
	slack   *slacktest.Server
	discord *discordtest.Server
	sandbox *sandbox.Server
	env     map[string]string
	skew    time.Duration // of the providers' clocks
	args    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		slack: slacktest.New(slacktest.DefaultScopes...), discord: discordtest.New(t, nil),
		args: []string{"doctor"},
	}
	t.Cleanup(w.slack.Close)
	w.discord.SetApplication(func(a *discordtest.Application) { a.Private = true })
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{
		SystecKey: "canary-systec-key", SystecSecret: secret.New("canary-systec-secret"),
		TencentAppID: "200000001", TencentSecretID: "canary-tencent-id", TencentSecretKey: secret.New("canary-tencent-key"),
		Users: []sandbox.User{{ID: "operator"}, {ID: "alice"}},
		Now:   func() time.Time { return time.Now().Add(w.skew) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	w.sandbox = s
	key := filepath.Join(t.TempDir(), "encryption-key")
	require.NoError(t, os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString([]byte("canary-canary-canary-canary-0123"))), 0o600))
	w.env = map[string]string{
		"SLACK_BOT_TOKEN": slacktest.BotToken, "SLACK_APP_TOKEN": slacktest.AppToken, "SLACK_API_URL": w.slack.APIURL(),
		"DISCORD_BOT_TOKEN": discordtest.Token, "DISCORD_APPLICATION_ID": discordtest.ApplicationID, "DISCORD_API_URL": w.discord.URL,
		"SYSTEC_API_KEY": "canary-systec-key", "SYSTEC_API_SECRET": "canary-systec-secret", "SYSTEC_BASE_URL": s.SystecURL(),
		"TENCENT_APP_ID": "200000001", "TENCENT_SECRET_ID": "canary-tencent-id", "TENCENT_SECRET_KEY": "canary-tencent-key",
		"TENCENT_USER_ID": "operator", "TENCENT_USERS": "slack:U1=alice", "TENCENT_BASE_URL": s.TencentURL(),
		"MEET_PROVIDER": "systec", "DATA_DIR": private(t), "ENCRYPTION_KEY_FILE": key, "OPS_ADDR": freeAddr(t), "ADMINS": "slack:user:U1,discord:user:1",
	}
	w.register(t)
	return w
}

func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return dir
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := jobstest.FreeAddress()
	require.NoError(t, err)
	return addr
}

// register registers the commands as a running bot does.
func (w *world) register(t *testing.T) {
	t.Helper()
	a, err := discord.New(discord.Config{
		BotToken: secret.New(discordtest.Token), ApplicationID: discordtest.ApplicationID, APIURL: w.discord.URL,
		Commands: grammar.TypedDeclarations(systec.Kind, tencent.Kind), // those of the world
	}, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, err = a.Register(t.Context())
	require.NoError(t, err)
}

func (w *world) set(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		w.env[pairs[i]] = pairs[i+1]
	}
}

// without turns parts off.
func (w *world) without(prefixes ...string) {
	for _, p := range prefixes {
		maps.DeleteFunc(w.env, func(name, _ string) bool { return strings.HasPrefix(name, p) })
	}
}

// store makes a store in DATA_DIR as a bot would.
func (w *world) store(t *testing.T) *jobs.Store {
	t.Helper()
	store, err := jobs.Open(t.Context(), jobs.Config{Dir: w.env["DATA_DIR"], Keys: [][]byte{[]byte("canary-canary-canary-canary-0123")}})
	require.NoError(t, err)
	return store
}

type diagnosis struct {
	OK       bool
	Faults   int
	Warnings int
	Findings []finding
}

func (d diagnosis) of(l kit.Level) []string {
	var all []string
	for _, f := range d.Findings {
		if f.Level == l {
			all = append(all, f.Part+": "+f.Says)
		}
	}
	return all
}

// diagnose runs the doctor in both of its languages, and looks for secrets in each.
func (w *world) diagnose(t *testing.T) diagnosis {
	t.Helper()
	text, errs, err := invoke(t, w.env, w.args...)
	asJSON, jsonErrs, jsonErr := invoke(t, w.env, append(w.args, "--json")...)
	var d diagnosis
	require.NoError(t, json.Unmarshal([]byte(asJSON), &d), asJSON)
	assert.Equal(t, d.Faults == 0, err == nil, "the exit code tells")
	assert.Equal(t, err, jsonErr)
	assert.Equal(t, d.Faults == 0, d.OK)
	all := text + errs + asJSON + jsonErrs
	if err != nil {
		all += err.Error()
	}
	assert.NotContains(t, strings.ToLower(all), "canary")
	for name, v := range w.env {
		if strings.Contains(name, "TOKEN") || strings.Contains(name, "SECRET") || name == "ENCRYPTION_KEY" {
			assert.NotContains(t, all, v, name)
		}
	}
	// The text has the same, one line each.
	assert.Equal(t, len(d.Findings)+1, strings.Count(text, "\n"), text)
	for _, f := range d.Findings {
		if f.Level == kit.Fault || f.Level == kit.Warning {
			assert.NotEmpty(t, f.Fix, f.Says)
		}
		assert.NotEmpty(t, f.Part)
	}
	return d
}

func TestDoctorFindsNothingWrongWithWhatIsWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.store(t).Close())
	_, collector := collect(t)
	w.set("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
	d := w.diagnose(t)
	assert.Empty(t, d.of(kit.Fault))
	assert.Empty(t, d.of(kit.Warning))
	good := strings.Join(d.of(kit.Fine), "\n")
	for _, want := range []string{
		"slack: SLACK_BOT_TOKEN is accepted", "slack: SLACK_APP_TOKEN is accepted", "discord: DISCORD_BOT_TOKEN is accepted",
		"discord: the registered commands are up to date", "discord: the gateway accepts the bot", "discord: in server",
		"systec: the credentials are accepted", "tencent: the credentials are accepted", "engine: the bot can read every record of the store",
		"store: the bot can write to DATA_DIR", "MiB are free", "addresses: OPS_ADDR is free",
		"traces: the collector takes traces",
		"clock: this machine's and that of SYSTEC agree", "that of Tencent Meeting agree", "that of Slack agree", "that of Discord agree",
	} {
		assert.Contains(t, good, want)
	}
	assert.Empty(t, w.slack.Messages(), "nothing is posted unasked")
	assert.Empty(t, w.discord.All())
	assert.Empty(t, w.discord.Problems())
	assert.Empty(t, w.sandbox.Meetings())
}

func TestDoctorFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	const closed = "http://127.0.0.1:1"
	tests := []struct {
		name     string
		broken   func(t *testing.T, w *world)
		faults   []string // patterns, each of one fault; there are no others
		warnings []string
	}{
		{name: "VariablesThatCannotBe", broken: func(_ *testing.T, w *world) { w.set("SLACK_BOT_TOKEN", "canary", "RETENTION", "canary") },
			faults: []string{"variables: SLACK_BOT_TOKEN cannot", "variables: RETENTION cannot"}},
		{name: "AnAllowListForOnePlatform", broken: func(_ *testing.T, w *world) { w.set("MEET_ALLOW", "slack:user:U1"); registerListed(t, w) },
			warnings: []string{"variables: MEET_ALLOW names nobody on discord"}},
		{name: "SandboxBehindAChatPlatform", broken: func(t *testing.T, w *world) {
			w.without("SYSTEC_", "TENCENT_")
			w.set("MEET_PROVIDER", "sandbox")
			registerListed(t, w) // of all providers
		}, warnings: []string{"variables: MEET_PROVIDER is sandbox"}},

		{name: "CollectorThatIsNoURL", broken: func(_ *testing.T, w *world) { w.set("OTEL_EXPORTER_OTLP_ENDPOINT", "canary:4318") },
			faults: []string{"variables: OTEL_EXPORTER_OTLP_ENDPOINT cannot"}},
		{name: "CollectorDown", broken: func(_ *testing.T, w *world) {
			w.set("OTEL_EXPORTER_OTLP_ENDPOINT", closed, "OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary")
		}, warnings: []string{"traces: the bot cannot use the collector", "traces: the bot sends OTEL_EXPORTER_OTLP_HEADERS unencrypted"}},
		{name: "CollectorRefuses", broken: func(t *testing.T, w *world) {
			s := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			w.set("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
		}, warnings: []string{"traces: the bot cannot use the collector, and drops the traces: .*404"}},
		{name: "CollectorWithoutItsCertificate", broken: func(_ *testing.T, w *world) {
			w.set("OTEL_EXPORTER_OTLP_ENDPOINT", closed, "OTEL_EXPORTER_OTLP_CERTIFICATE", "/canary")
		}, faults: []string{"traces: the bot cannot use the settings: OTEL_EXPORTER_OTLP_CERTIFICATE"}},

		{name: "SlackRevoked", broken: func(_ *testing.T, w *world) { w.slack.Revoke() },
			faults: []string{`slack: SLACK_BOT_TOKEN is refused: .*token_revoked`, `slack: SLACK_APP_TOKEN is refused: .*token_revoked`}},
		{name: "SlackBotTokenOfAnotherApp", broken: func(_ *testing.T, w *world) { w.set("SLACK_BOT_TOKEN", "xoxb-canary-other") },
			faults: []string{`slack: SLACK_BOT_TOKEN is refused: .*invalid_auth`}},
		{name: "SlackAppTokenOfAnotherApp", broken: func(_ *testing.T, w *world) { w.set("SLACK_APP_TOKEN", "xapp-canary-other") },
			faults: []string{`slack: SLACK_APP_TOKEN is refused: .*invalid_auth`}},
		{name: "SlackScopeMissing", broken: func(t *testing.T, w *world) { w.slackWith(t, "commands", "chat:write", "users:read") },
			faults: []string{`slack: the scope im:write is missing: no direct messages`}},
		{name: "SlackGroupsNotReadable", broken: func(_ *testing.T, w *world) { w.set("ADMINS", "slack:group:S1,discord:user:1") },
			faults: []string{`slack: the scope usergroups:read is missing, and an allow-list`}},
		{name: "SlackUnreachable", broken: func(_ *testing.T, w *world) { w.set("SLACK_API_URL", closed+"/api/") },
			faults: []string{`slack: Slack does not answer: .*connection refused`, `slack: Slack opens no Socket Mode connection`}},
		{name: "SlackBehindAProxyPage", broken: func(_ *testing.T, w *world) {
			w.slack.Fail("auth.test", slacktest.Fault{Status: 502}, slacktest.Fault{Status: 502})
		}, faults: []string{`slack: Slack does not answer: .*http_502`}},
		{name: "SlackSocketModeOff", broken: func(_ *testing.T, w *world) {
			w.slack.Fail("apps.connections.open", slacktest.Fault{Error: "forbidden_team"}, slacktest.Fault{Error: "forbidden_team"})
		}, faults: []string{`slack: Slack opens no Socket Mode connection: .*forbidden_team`}},

		{name: "DiscordTokenRefused", broken: func(_ *testing.T, w *world) { w.set("DISCORD_BOT_TOKEN", "canary-other") },
			faults: []string{`discord: DISCORD_BOT_TOKEN is refused`}},
		{name: "DiscordOtherApplication", broken: func(_ *testing.T, w *world) { w.set("DISCORD_APPLICATION_ID", "700000000000000002") },
			faults: []string{`discord: DISCORD_APPLICATION_ID and DISCORD_BOT_TOKEN belong to different applications`}},
		{name: "DiscordOtherKey", broken: func(_ *testing.T, w *world) {
			w.set("DISCORD_PUBLIC_KEY", strings.Repeat("ab", 32), "HTTP_ADDR", freeAddr(t))
			w.discord.SetApplication(func(a *discordtest.Application) { a.Endpoint = "https://bot.example/discord/interactions" })
		}, faults: []string{`discord: DISCORD_PUBLIC_KEY is not the application's`}},
		{name: "DiscordHTTPWithoutEndpoint", broken: func(_ *testing.T, w *world) {
			w.set("DISCORD_PUBLIC_KEY", w.discord.PublicKey, "HTTP_ADDR", freeAddr(t))
		}, faults: []string{`discord: DISCORD_PUBLIC_KEY is set, but the application has no interactions endpoint`}},
		{name: "DiscordGatewayWithEndpoint", broken: func(_ *testing.T, w *world) {
			w.discord.SetApplication(func(a *discordtest.Application) { a.Endpoint = "https://bot.example/discord/interactions" })
		}, faults: []string{`discord: the application has an interactions endpoint, so nothing comes over the gateway`}},
		{name: "DiscordInNoServer", broken: func(_ *testing.T, w *world) { w.discord.SetGuilds() },
			faults: []string{`discord: the bot is in no server`}},
		{name: "DiscordForAnybody", broken: func(_ *testing.T, w *world) {
			w.discord.SetApplication(func(a *discordtest.Application) { a.Private = false })
		}, warnings: []string{`discord: anybody may add the bot to a server of their own`}},
		{name: "DiscordForAnybodyAndServedAtHome", broken: func(_ *testing.T, w *world) {
			w.discord.SetApplication(func(a *discordtest.Application) { a.Private = false })
			w.set("DISCORD_GUILDS", discordtest.GuildID)
		}},
		{name: "DiscordNotInTheServer", broken: func(t *testing.T, w *world) { w.set("DISCORD_GUILD_ID", "600000000000000009") },
			faults: []string{`discord: the bot is not in the server 600000000000000009, which`}},
		{name: "DiscordPermissionMissing", broken: func(_ *testing.T, w *world) {
			w.discord.SetGuilds(discordtest.Guild{ID: "1", Permissions: 1<<40 - 1 - 1<<35 - 1<<3}) // CREATE_PUBLIC_THREADS, ADMINISTRATOR
		}, warnings: []string{`discord: in server 1 the bot lacks CREATE_PUBLIC_THREADS$`}},
		{name: "DiscordCommandsNotRegistered", broken: func(_ *testing.T, w *world) { w.set("LIVEPUSH_ALLOW", "discord:user:1,slack:user:U1") },
			warnings: []string{`discord: the registered commands are out of date`}},
		{name: "DiscordUnreachable", broken: func(_ *testing.T, w *world) { w.set("DISCORD_API_URL", closed) },
			faults: []string{`discord: Discord does not answer`}},

		{name: "SystecSecretWrong", broken: func(_ *testing.T, w *world) { w.set("SYSTEC_API_SECRET", "canary-other") },
			faults: []string{`systec: the credentials are refused`}},
		{name: "SystecDown", broken: func(_ *testing.T, w *world) {
			w.sandbox.Fault(sandbox.Fault{Provider: sandbox.Systec, Kind: sandbox.Status})
		}, faults: []string{`systec: it is unavailable: .*HTTP 503`}},
		{name: "TencentKeyWrong", broken: func(_ *testing.T, w *world) { w.set("TENCENT_SECRET_KEY", "canary-other") },
			faults: []string{`tencent: Tencent Meeting refuses the signature`}},
		{name: "TencentSecretIDUnknown", broken: func(_ *testing.T, w *world) { w.set("TENCENT_SECRET_ID", "canary-other") },
			faults: []string{`tencent: Tencent Meeting does not know TENCENT_SECRET_ID`}},
		{name: "TencentAccountUnknown", broken: func(_ *testing.T, w *world) { w.set("TENCENT_USER_ID", "nobody") },
			faults: []string{`tencent: the account that the bot acts as is not registered`}},
		{name: "TencentMappedAccountUnknown", broken: func(_ *testing.T, w *world) { w.set("TENCENT_USERS", "slack:U1=alice,discord:42=nobody") },
			faults: []string{`tencent: the account of discord:42 in TENCENT_USERS cannot act`}},
		{name: "TencentAnswersHTML", broken: func(_ *testing.T, w *world) {
			w.sandbox.Fault(sandbox.Fault{Provider: sandbox.Tencent, Kind: sandbox.ProxyHTML})
		}, faults: []string{`tencent: it is unavailable: .*HTTP 502`}},
		{name: "ClockOff", broken: func(_ *testing.T, w *world) { w.skew = 11 * time.Minute },
			faults: []string{
				`clock: this machine's clock is (11m0s|10m59s|11m1s) behind that of SYSTEC`, `clock: .* behind that of Tencent`,
			}},
		{name: "ClockSlightlyOff", broken: func(_ *testing.T, w *world) { w.skew = -90 * time.Second },
			warnings: []string{`clock: .* ahead of that of SYSTEC`, `clock: .* ahead of that of Tencent`}},

		{name: "StoreIsAFile", broken: func(t *testing.T, w *world) {
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			w.set("DATA_DIR", path)
		}, faults: []string{`store: DATA_DIR is not a directory`}},
		{name: "StoreCannotBeMade", broken: func(_ *testing.T, w *world) { w.set("DATA_DIR", "/proc/none/data") },
			faults: []string{`store: DATA_DIR does not exist, and the bot cannot make it`}},
		{name: "StoreReadableByOthers", broken: func(t *testing.T, w *world) { require.NoError(t, os.Chmod(w.env["DATA_DIR"], 0o755)) },
			warnings: []string{`store: other users can look into DATA_DIR`}},
		{name: "StoreWritableByOthers", broken: func(t *testing.T, w *world) { require.NoError(t, os.Chmod(w.env["DATA_DIR"], 0o777)) },
			faults: []string{`store: other users can write to DATA_DIR`}},
		{name: "KeyBesideTheStore", broken: func(t *testing.T, w *world) {
			delete(w.env, "ENCRYPTION_KEY_FILE")
			store, err := jobs.Open(t.Context(), jobs.Config{Dir: w.env["DATA_DIR"]})
			require.NoError(t, err)
			require.NoError(t, store.Close())
		}, warnings: []string{`store: the encryption key is beside the store`}},
		{name: "KeyReadableByOthers", broken: func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.env["DATA_DIR"], "key"), []byte("canary"), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(w.env["DATA_DIR"], "key"), 0o644))
		}, faults: []string{`store: other users can read key in DATA_DIR`}},
		{name: "SecretFileReadableByAll", broken: func(t *testing.T, w *world) {
			require.NoError(t, os.Chmod(w.env["ENCRYPTION_KEY_FILE"], 0o644))
		}, warnings: []string{`store: every user of this machine can read the file that ENCRYPTION_KEY_FILE names`}},
		{name: "AnotherKey", broken: func(t *testing.T, w *world) {
			require.NoError(t, w.store(t).Close())
			require.NoError(t, os.WriteFile(w.env["ENCRYPTION_KEY_FILE"], []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("kl", 16)))), 0o600))
		}, faults: []string{`engine: the store was written with another key`}},
		{name: "AnotherProcessHasTheStore", broken: func(t *testing.T, w *world) {
			store := w.store(t)
			t.Cleanup(func() { _ = store.Close() })
		}, faults: []string{`engine: another process uses DATA_DIR`}},
		{name: "StoreCutShort", broken: func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.env["DATA_DIR"], storeMark), []byte("{"), 0o600))
		}, faults: []string{`engine: the bot cannot open the store`}},
		{name: "StoreOfAnotherFormat", broken: func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.env["DATA_DIR"], storeMark), []byte(`{"version":99}`), 0o600))
		}, faults: []string{`engine: the bot cannot open the store: .*start the version that wrote it`}},
		{name: "StoreThatTheSystemRefuses", broken: func(t *testing.T, w *world) {
			require.NoError(t, w.store(t).Close())
			lock := filepath.Join(w.env["DATA_DIR"], "LOCK")
			require.NoError(t, os.Remove(lock))
			require.NoError(t, os.Mkdir(lock, 0o700))
		}, faults: []string{`engine: the bot cannot open the store: .*is a directory`}},
		{name: "ClusterUnreachable", broken: func(_ *testing.T, w *world) { w.set("NATS_URL", "nats://127.0.0.1:1") },
			faults: []string{`engine: the bot reaches no NATS server`}},
		{name: "ClusterWithoutJetStream", broken: func(t *testing.T, w *world) { w.set("NATS_URL", natsServer(t, false)) },
			faults: []string{`engine: the cluster does not answer: ask for JetStream`}},

		{name: "PortTaken", broken: func(t *testing.T, w *world) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { _ = ln.Close() })
			w.set("OPS_ADDR", ln.Addr().String())
		}, faults: []string{`addresses: the bot cannot listen on OPS_ADDR: .*address already in use`}},
		{name: "ProxyDown", broken: func(_ *testing.T, w *world) { w.set("HTTPS_PROXY", "http://user:canary-password@127.0.0.1:1") },
			faults: []string{`proxy: this machine does not reach the outbound proxy of HTTPS_PROXY`}},
		{name: "ProxyOfAnUnknownKind", broken: func(_ *testing.T, w *world) { w.set("https_proxy", "ftp://127.0.0.1:1") },
			faults: []string{`proxy: https_proxy has a scheme that the bot does not support`}},

		{name: "SendToNowhere", broken: func(_ *testing.T, w *world) {
			w.args = append(w.args, "--send", "slack:C404")
			for range 8 {
				w.slack.Fail("chat.postMessage", slacktest.Fault{Error: "channel_not_found"})
			}
		}, faults: []string{`slack: --send could not post to the channel`}},
		{name: "SendToAPlatformThatIsOff", broken: func(_ *testing.T, w *world) {
			w.without("DISCORD_")
			w.args = append(w.args, "--send", "discord:1")
		}, faults: []string{`variables: --send cannot post: it names no channel of a platform`}},
		{name: "SendToOneOfTwoPlatforms", broken: func(_ *testing.T, w *world) { w.args = append(w.args, "--send", "C1") },
			faults: []string{`variables: --send names a channel without its platform`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.broken(t, w)
			d := w.diagnose(t)
			match(t, "fault", tt.faults, d.of(kit.Fault))
			match(t, "warning", tt.warnings, d.of(kit.Warning))
		})
	}
}

// match requires a finding for every pattern, and none without.
func match(t *testing.T, what string, patterns, found []string) {
	t.Helper()
	for _, p := range patterns {
		ok := false
		for i, f := range found {
			if regexp.MustCompile(p).MatchString(f) {
				found, ok = append(found[:i:i], found[i+1:]...), true
				break
			}
		}
		assert.True(t, ok, "no %s %q among %q", what, p, found)
	}
	assert.Empty(t, found, "another %s", what)
}

// slackWith replaces the workspace by one with other scopes.
func (w *world) slackWith(t *testing.T, scopes ...string) {
	t.Helper()
	s := slacktest.New(scopes...)
	t.Cleanup(s.Close)
	w.slack = s
	w.set("SLACK_API_URL", s.APIURL())
}

// registerListed registers the commands as they are with MEET_ALLOW set.
func registerListed(t *testing.T, w *world) {
	t.Helper()
	out, _, err := invoke(t, w.env, "manifest", "discord")
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut,
		w.discord.URL+"/v9/applications/"+discordtest.ApplicationID+"/commands", strings.NewReader(out))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bot "+discordtest.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func natsServer(t *testing.T, jetStream bool) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: jetStream, StoreDir: t.TempDir()})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(10*time.Second))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.ClientURL()
}

func TestDoctorLooksAtACluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("NATS_URL", natsServer(t, true))
	d := w.diagnose(t)
	assert.Empty(t, d.of(kit.Fault))
	assert.Contains(t, strings.Join(d.of(kit.Note), "\n"), "the cluster has no store yet")
	config := jobs.Config{NATSURL: w.env["NATS_URL"], Replicas: 1, Keys: [][]byte{[]byte("canary-canary-canary-canary-0123")}}
	store, err := jobs.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	match(t, "warning", []string{`engine: the store has 1 replica`}, w.diagnose(t).of(kit.Warning))
	assert.Contains(t, strings.Join(d.of(kit.Note), "\n"), "no replica runs on this machine")
	require.NoError(t, os.WriteFile(w.env["ENCRYPTION_KEY_FILE"], []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("kl", 16)))), 0o600))
	match(t, "fault", []string{`engine: the store on the cluster was written with another key`}, w.diagnose(t).of(kit.Fault))
}

// What only a process knows the doctor asks the replica on its machine.
func TestDoctorAsksTheReplicaOnThisMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("NATS_URL", natsServer(t, true))
	answer, status := "", http.StatusOK
	replica := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/readyz", r.URL.Path)
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(answer))
	}))
	replica.Start()
	t.Cleanup(replica.Close)
	w.set("OPS_ADDR", replica.Listener.Addr().String())
	say := func(r ops.Readiness) {
		raw, err := json.Marshal(r)
		require.NoError(t, err)
		answer = string(raw)
	}
	say(ops.Readiness{Ready: true, Parts: map[string]ops.Part{
		"jobs": {Ready: true, State: "ready"}, "slack": {Ready: true, State: "connected", LastError: kit.ErrOtherBot.Error()},
	}})
	d := w.diagnose(t)
	assert.Empty(t, d.of(kit.Fault))
	assert.Contains(t, d.of(kit.Fine), "running bot: jobs: ready", "it does not say since when")
	match(t, "warning", []string{`running bot: slack: connected.*another bot uses the same token`}, d.of(kit.Warning))
	status = http.StatusServiceUnavailable
	say(ops.Readiness{Parts: map[string]ops.Part{"jobs": {State: "not_durable"}}})
	match(t, "fault", []string{`running bot: jobs: not_durable`}, w.diagnose(t).of(kit.Fault))
	for _, answer = range []string{"", "<html>", "{}", `{"parts":` + strings.Repeat("[", 2*maxReadiness)} {
		match(t, "fault", []string{`running bot: the replica on this machine does not answer on OPS_ADDR: another program answers`}, w.diagnose(t).of(kit.Fault))
	}
}

func TestDoctorSendsOneRoundTrip(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"slack:C1", "discord:500000000000000001"} {
		w := newWorld(t)
		w.args = append(w.args, "--send", platform)
		_, _, err := invoke(t, w.env, w.args...)
		require.NoError(t, err)
		if strings.HasPrefix(platform, "slack") {
			require.Len(t, w.slack.Messages(), 2)
			assert.Equal(t, w.slack.Messages()[0].TS, w.slack.Messages()[1].Thread)
		} else {
			require.Len(t, w.discord.Threads("500000000000000001"), 1)
			require.Len(t, w.discord.In(w.discord.Threads("500000000000000001")[0].ID), 1)
			assert.Empty(t, w.discord.Problems())
		}
	}
}

func TestDoctorWithNothingConfigured(t *testing.T) {
	t.Parallel()
	out, _, err := invoke(t, nil, "doctor")
	require.NoError(t, err)
	assert.Contains(t, out, "the bot runs in the terminal, against a sandbox")
	assert.Contains(t, out, "0 faults, 0 warnings.")
	left, err := os.Stat("data")
	assert.Error(t, err, left)
}

func TestACheckThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	d := &doctor{within: 20 * time.Millisecond}
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(func() { hung.CloseClientConnections(); hung.Close() })
	found := d.within1(t.Context(), check{"x", func(ctx context.Context) []finding { <-ctx.Done(); <-time.After(3 * time.Second); return nil }})
	require.Len(t, found, 1)
	assert.Equal(t, kit.Fault, found[0].Level)
	found = d.within1(t.Context(), check{"x", func(context.Context) []finding { panic("canary") }})
	require.Len(t, found, 1)
	assert.NotContains(t, fmt.Sprint(found), "canary")
}
