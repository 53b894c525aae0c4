// Package rig runs the bot as it is shipped, a process of its own, among stand-ins for
// everything that it talks to: a Slack workspace, a Discord, and the sandbox of both
// meeting providers. They run in the caller's process, which so knows the truth: what was
// asked, which meetings exist, and what people were shown.
//
// Every request of the bot's passes a gate, where the caller can count it, delay it, lose
// its answer, or kill the bot.
package rig

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/meeting/sandbox"
)

// Options say what a [Rig] is like. The zero value works.
type Options struct {
	// History grants the scope with which the bot can look for its own messages.
	History bool
	// Socket lets Slack's events come over Socket Mode too.
	Socket bool
	// DiscordHTTP lets Discord's interactions come over HTTP instead of the gateway.
	DiscordHTTP bool
	// Sandbox is changed in these respects.
	Quirks sandbox.Quirks
}

// Rig is everything that a bot talks to.
type Rig struct {
	Sandbox *sandbox.Server
	Slack   *slacktest.Server
	Discord *discordtest.Server

	options   Options
	providers *gate
	slack     *gate
	discord   *gate
	tb        *plainTB
}

// New starts the stand-ins.
func New(o Options) (_ *Rig, err error) {
	r := &Rig{options: o, tb: &plainTB{}}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	o.Quirks.CallsPerMinute, o.Quirks.CallsPerDay, o.Quirks.CreatesPerHour, o.Quirks.ZoomCreatesPerDay = -1, -1, -1, -1
	r.Sandbox = sandbox.New(sandbox.Config{Quirks: o.Quirks})
	if r.providers, err = newGate(func(q *http.Request) (string, http.Handler) {
		switch {
		case strings.HasPrefix(q.URL.Path, "/umeeting/"):
			return "systec", r.Sandbox
		case strings.HasPrefix(q.URL.Path, "/zoom/"):
			return "zoom", r.Sandbox
		}
		return "tencent", r.Sandbox
	}); err != nil {
		return nil, err
	}
	scopes := append([]string{"app_mentions:read", "chat:write.public"}, slacktest.DefaultScopes...)
	if o.History {
		scopes = append(scopes, "channels:history", "groups:history", "im:history", "mpim:history")
	}
	r.Slack = slacktest.New(scopes...)
	if r.slack, err = newGate(func(*http.Request) (string, http.Handler) { return "slack", r.Slack.Config.Handler }); err != nil {
		return nil, err
	}
	r.Slack.URL = r.slack.url // response_urls too come through the gate
	r.slack.set(nil)          // after which every request sees it
	r.Discord = discordtest.New(r.tb, nil)
	base, _, _ := strings.Cut(r.Discord.URL, "/proxied")
	discord, err := forward(base)
	if err != nil {
		return nil, err
	}
	r.discord, err = newGate(func(*http.Request) (string, http.Handler) { return "discord", discord })
	return r, err
}

// Close ends the stand-ins.
func (r *Rig) Close() {
	for _, g := range []*gate{r.providers, r.slack, r.discord} {
		if g != nil {
			g.close()
		}
	}
	if r.Slack != nil {
		r.Slack.Close()
	}
	if r.Sandbox != nil {
		_ = r.Sandbox.Close() // its state stays readable
	}
	r.tb.end()
}

// Hook is asked about every request of the bot's from now on; nil lets all pass.
func (r *Rig) Hook(h Hook) {
	for _, g := range []*gate{r.providers, r.slack, r.discord} {
		g.set(h)
	}
}

// Providers are the variables of the two meeting providers.
func (r *Rig) Providers() []string {
	c := r.Sandbox.Config()
	return []string{
		"MEET_PROVIDER=systec",
		"SYSTEC_API_KEY=" + c.SystecKey, "SYSTEC_API_SECRET=" + c.SystecSecret.Reveal(), "SYSTEC_BASE_URL=" + r.providers.url + "/umeeting",
		"TENCENT_APP_ID=" + c.TencentAppID, "TENCENT_SECRET_ID=" + c.TencentSecretID, "TENCENT_SECRET_KEY=" + c.TencentSecretKey.Reveal(),
		"TENCENT_USER_ID=" + sandbox.DefaultUser, "TENCENT_BASE_URL=" + r.providers.url,
	}
}

// Account writes a file of accounts with one of that name, and returns the variables that go with it.
func (r *Rig) Account(path, name string) ([]string, error) {
	c := r.Sandbox.Config()
	text := fmt.Sprintf("accounts: [{name: %s, provider: tencent, app_id: %q, user_id: %s, base_url: %q, secret_id: {env: ACCOUNT_ID}, secret_key: {env: ACCOUNT_KEY}}]\n",
		name, c.TencentAppID, sandbox.DefaultUser, r.providers.url)
	return []string{"PROVIDERS_FILE=" + path, "ACCOUNT_ID=" + c.TencentSecretID, "ACCOUNT_KEY=" + c.TencentSecretKey.Reveal()}, os.WriteFile(path, []byte(text), 0o600)
}

// Zoom are the variables of the third meeting provider, which [Rig.Providers] leaves out.
func (r *Rig) Zoom() []string {
	c := r.Sandbox.Config()
	return []string{
		"ZOOM_ACCOUNT_ID=" + c.ZoomAccountID, "ZOOM_CLIENT_ID=" + c.ZoomClientID, "ZOOM_CLIENT_SECRET=" + c.ZoomClientSecret.Reveal(),
		"ZOOM_USER_ID=" + sandbox.DefaultUser, "ZOOM_BASE_URL=" + r.providers.url + "/zoom/v2", "ZOOM_OAUTH_URL=" + r.providers.url + "/zoom/oauth/token",
	}
}

// Chat are the variables of the two chat platforms.
func (r *Rig) Chat() []string {
	env := []string{
		"SLACK_BOT_TOKEN=" + slacktest.BotToken, "SLACK_SIGNING_SECRET=" + slacktest.SigningSecret, "SLACK_API_URL=" + r.Slack.APIURL(),
		"DISCORD_BOT_TOKEN=" + discordtest.Token, "DISCORD_APPLICATION_ID=" + discordtest.ApplicationID, "DISCORD_API_URL=" + r.discord.url + "/proxied/api",
	}
	if r.options.Socket {
		env = append(env, "SLACK_APP_TOKEN="+slacktest.AppToken)
	}
	if r.options.DiscordHTTP {
		env = append(env, "DISCORD_PUBLIC_KEY="+r.Discord.PublicKey)
	}
	return env
}

// Secrets are the credentials and other texts that may be seen nowhere.
func (r *Rig) Secrets() []string {
	c := r.Sandbox.Config()
	return []string{
		c.SystecSecret.Reveal(), c.TencentSecretKey.Reveal(), c.ZoomClientSecret.Reveal(),
		slacktest.BotToken, slacktest.AppToken, slacktest.SigningSecret, discordtest.Token, "canary-interaction-token-", "hook-canary-", "canary-verification-token",
	}
}

// plainTB stands in for a test, which the stand-ins expect, in a program that is none.
type plainTB struct {
	testing.TB
	cleanups []func()
}

func (*plainTB) Helper()                   {}
func (t *plainTB) Cleanup(f func())        { t.cleanups = append(t.cleanups, f) }
func (*plainTB) Error(args ...any)         {} // a request that a killed bot did not answer
func (*plainTB) Errorf(string, ...any)     {}
func (*plainTB) Fatal(args ...any)         { panic(errors.New(fmt.Sprint(args...))) }
func (*plainTB) Fatalf(s string, a ...any) { panic(fmt.Errorf(s, a...)) }

func (t *plainTB) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
	t.cleanups = nil
}
