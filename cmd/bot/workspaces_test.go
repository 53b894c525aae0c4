package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/slack/slacktest"
)

// installApp opens the installation page in a browser, says yes at Slack, and returns the page
// that the browser ends at.
func installApp(t *testing.T, w *world, web string, i slacktest.Install) (status int, page string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(address string, cookies []*http.Cookie) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		require.NoError(t, err)
		for _, c := range cookies {
			req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
		res, err := client.Do(req)
		require.NoError(t, err)
		return res
	}
	begun := get("http://"+web+"/slack/install", nil)
	_ = begun.Body.Close()
	to, err := url.Parse(begun.Header.Get("Location"))
	require.NoError(t, err)
	back := url.Values{"state": {to.Query().Get("state")}, "code": {w.slack.Allow(i)}}
	res := get("http://"+web+"/slack/oauth?"+back.Encode(), begun.Cookies())
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

func TestSeveralWorkspacesInstallOneBot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.without("DISCORD_")
	web := freeAddr(t)
	delete(w.env, "SLACK_BOT_TOKEN")
	w.set("HTTP_ADDR", web, "PUBLIC_URL", "http://"+web, "SLACK_CLIENT_ID", slacktest.ClientID, "SLACK_CLIENT_SECRET", slacktest.ClientSecret,
		"SLACK_TEAMS", "T1,T2,E1", "ADMINS", "slack:user:T1/U1", "TENCENT_USERS", "slack:T1/U1=alice")
	var log adaptertest.Log
	stop := start(t, w.env, &log)
	out, _, err := invoke(t, w.env, "workspaces")
	require.NoError(t, err)
	assert.Equal(t, "No workspace has installed the app.\n", out)

	for _, i := range []slacktest.Install{{Team: "T1", Name: "One"}, {Team: "T2", Name: "Two", Life: 12 * time.Hour}, {Enterprise: "E1", Name: "Org"}} {
		status, page := installApp(t, w, web, i)
		require.Equal(t, http.StatusOK, status, page)
	}
	status, _ := installApp(t, w, web, slacktest.Install{Team: "T3", Name: "Three"})
	assert.Equal(t, http.StatusForbidden, status)

	meet := func(team, enterprise string) {
		t.Helper()
		before, topic := len(w.slack.Messages()), "in "+team+" "+rand.Text()
		ack, err := w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/meet", topic).From(team, enterprise), 0)
		require.NoError(t, err)
		require.Empty(t, ack.Payload)
		want := team
		if enterprise != "" {
			want = enterprise // whose token it is
		}
		require.Eventually(t, func() bool {
			for _, m := range w.slack.Messages()[before:] {
				if m.Team == want && strings.Contains(m.Text, topic) {
					return true
				}
			}
			return false
		}, 20*time.Second, 10*time.Millisecond, "%s", team)
	}
	meet("T1", "")
	meet("T2", "")
	meet("T9", "E1")

	// Another process on the same store has all of them.
	require.NoError(t, stop())
	stop = start(t, w.env, &log)
	require.Eventually(t, func() bool { return w.slack.Connections() > 0 }, 20*time.Second, 10*time.Millisecond)
	meet("T2", "")
	meet("T9", "E1")

	out, _, err = invoke(t, w.env, "workspaces")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^E1 +Org +organisation, 1 workspaces seen .*does not expire$`, out)
	assert.Regexp(t, `(?m)^T1 +One +workspace .* U0ADMIN +does not expire$`, out)
	assert.Regexp(t, `(?m)^T2 +Two +workspace .*until 20`, out)
	json1, _, err := invoke(t, w.env, "workspaces", "--json")
	require.NoError(t, err)
	var first workspaceLine
	require.NoError(t, json.Unmarshal([]byte(strings.SplitN(json1, "\n", 2)[0]), &first))
	assert.Equal(t, "E1", first.ID)
	assert.Equal(t, []string{"T9"}, first.Workspaces)

	// One bad workspace is seen, and makes nothing unready.
	w.slack.RevokeTokens("T1")
	_, err = w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/meet", "").From("T1", ""), 0)
	require.NoError(t, err)
	var ready string
	require.Eventually(t, func() bool {
		_, ready = fetch(w.env["OPS_ADDR"], "/readyz")
		return strings.Contains(ready, `"stopped"`)
	}, 20*time.Second, 10*time.Millisecond)
	code, ready := fetch(w.env["OPS_ADDR"], "/readyz")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, ready, `"T1":{"ready":false,"state":"stopped"`)
	assert.Contains(t, ready, `"T2":{"ready":true`)
	_, metrics := fetch(w.env["OPS_ADDR"], "/metrics")
	assert.NotContains(t, metrics, `"T1"`, "no workspace is a label")
	found, _, err := invoke(t, w.env, "doctor")
	assert.Contains(t, found, "workspace T1: stopped", "%v", err)
	assert.Contains(t, found, "workspace T2: running")

	out, _, err = invoke(t, w.env, "workspaces", "T2", "--revoke")
	require.NoError(t, err)
	assert.Equal(t, "Removed the app from T2 (Two), and erased its token.\n", out)
	assert.NotEmpty(t, w.slack.Calls("apps.uninstall"))
	_, _, err = invoke(t, w.env, "workspaces", "T2", "--revoke")
	require.ErrorContains(t, err, "has not installed the app")
	audit, _, err := invoke(t, w.env, "audit")
	require.NoError(t, err)
	assert.Contains(t, audit, `"action":"uninstall"`)
	exported, _, err := invoke(t, w.env, "export")
	require.NoError(t, err)
	assert.NotContains(t, exported, "canary")

	// What was saved stays until the operator says otherwise, and what another workspace has, stays then too.
	save := func(team, enterprise, name string) {
		t.Helper()
		before := len(w.slack.Messages())
		_, err := w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/livepush", "save "+name+" --url rtmp://live.example.com/app --key canary-key --override").From(team, enterprise), 0)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			for _, m := range w.slack.Messages()[before:] {
				if strings.Contains(string(m.Blocks), name+" is saved") {
					return true
				}
			}
			return false
		}, 20*time.Second, 10*time.Millisecond, "%s", team)
	}
	save("T8", "E1", "other")
	save("T9", "E1", "show")

	require.NoError(t, stop())
	out, _, err = invoke(t, w.env, "workspaces", "T8", "--revoke", "--forget") // the organisation keeps the app
	require.NoError(t, err)
	assert.Equal(t, "T8 has not installed the app.\nSaved destinations erased, with their stream keys: 1.\n", out)
	out, _, err = invoke(t, w.env, "workspaces", "E1", "--revoke") // while no bot runs
	require.NoError(t, err)
	assert.Contains(t, out, "Removed the app from E1 (Org), and erased its token.\nSaved destinations that stay, with their stream keys: 1. To erase them, with each of T9, T8 as the ID: bot workspaces ID --revoke --forget\n")
	for _, left := range []string{"1", "0"} {
		out, _, err = invoke(t, w.env, "workspaces", "T9", "--revoke", "--forget")
		require.NoError(t, err)
		assert.Contains(t, out, "erased, with their stream keys: "+left)
	}
	for _, args := range [][]string{{"workspaces", "T1"}, {"workspaces", "T1", "--forget"}, {"workspaces", "--revoke"}, {"workspaces", "T1", "T2", "--revoke"}} {
		_, _, err = invoke(t, w.env, args...)
		require.Error(t, err, "%v", args)
	}
	assert.NotContains(t, log.String(), "canary")
}

// Every event is of a workspace, so that a list which named an organisation would name nobody.
func TestAListNamesWorkspacesAndNoOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.without("DISCORD_")
	delete(w.env, "SLACK_BOT_TOKEN")
	w.set("PUBLIC_URL", "https://bot.example.com", "SLACK_CLIENT_ID", slacktest.ClientID, "SLACK_CLIENT_SECRET", slacktest.ClientSecret, "SLACK_TEAMS", "E1", "TENCENT_USERS", "slack:T1/U1=alice", "ADMINS", "console")
	load := func(name, value string) error {
		_, err := load(func(n string) (string, bool) {
			if n == name {
				return value, true
			}
			v, ok := w.env[n]
			return v, ok
		})
		return err
	}
	for name, entry := range map[string]string{"ADMINS": "slack:user:%s/U1", "MEET_ALLOW": "slack:team:%s", "LIVEPUSH_ALLOW": "slack:channel:%s/C1", "SETTINGS_ALLOW": "slack:group:%s/S1"} {
		require.NoError(t, load(name, strings.ReplaceAll(entry, "%s", "T1")), name)
		err := load(name, strings.ReplaceAll(entry, "%s", "E1"))
		require.ErrorContains(t, err, name)
		assert.ErrorContains(t, err, "T1", name)
	}
}

func TestAClientIDBesideATokenIsSaidToHaveNoEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.without("DISCORD_")
	w.set("PUBLIC_URL", "https://bot.example.com", "SLACK_CLIENT_ID", slacktest.ClientID, "SLACK_CLIENT_SECRET", slacktest.ClientSecret)
	var log adaptertest.Log
	stop := start(t, w.env, &log)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "a variable has no effect") }, 20*time.Second, 10*time.Millisecond)
	assert.Contains(t, log.String(), "remove SLACK_BOT_TOKEN")
	found, _, err := invoke(t, w.env, "doctor")
	assert.Contains(t, found, "SLACK_CLIENT_ID has no effect", "%v", err)
	require.NoError(t, stop())
}
