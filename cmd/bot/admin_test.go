package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/adapters/adaptertest"
	"meetbot/bot/adapters/discord/discordtest"
	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack/slacktest"
	"meetbot/bot/audit"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/config"
)

// start runs the bot in this process until the test ends or stop is called.
func start(t *testing.T, env map[string]string, stderr io.Writer) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, process{lookup: lookup, stdin: strings.NewReader(""), stdout: io.Discard, stderr: stderr})
	}()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	require.Eventually(t, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Errorf("the bot ended: %v", err)
			return true
		default:
		}
		code, _ := fetch(env["OPS_ADDR"], "/readyz")
		return code == http.StatusOK
	}, 20*time.Second, 10*time.Millisecond)
	return stop
}

func fetch(addr, path string) (int, string) {
	resp, err := http.Get("http://" + addr + path) //nolint:noctx // a test's
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close() //nolint:errcheck // a test's
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestOperatorsAskTheRunningBot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.without("DISCORD_")
	web := freeAddr(t)
	w.set("HTTP_ADDR", web, "PUBLIC_URL", "http://"+web)
	stop := start(t, w.env, io.Discard)

	info, err := os.Stat(filepath.Join(w.env["DATA_DIR"], adminSocket))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := filepath.Glob(filepath.Join(w.env["DATA_DIR"], ".admin-*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	ack, err := w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/meet", "canary topic"), 0)
	require.NoError(t, err)
	require.Empty(t, ack.Payload)
	var out string
	require.Eventually(t, func() bool {
		out, _, err = invoke(t, w.env, "jobs", "--all", "--json")
		return err == nil && strings.Contains(out, `"state":"done"`)
	}, 20*time.Second, 10*time.Millisecond)
	assert.NotContains(t, out, "canary", "nothing that a person wrote")
	var l jobLine
	require.NoError(t, json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &l))
	assert.Equal(t, "meet", l.Command)
	assert.Equal(t, "slack", l.Platform)
	assert.Equal(t, "created", l.Outcome)
	out, _, err = invoke(t, w.env, "jobs", l.ID)
	require.NoError(t, err)
	assert.Contains(t, out, "delivery: root: sent")
	assert.Regexp(t, `(?m)^who: \S.* \(slack:U1\)$`, out)
	assert.Regexp(t, `(?m)^where: Slack, team \S+, channel C1$`, out)
	assert.Regexp(t, `(?m)^topic: canary topic$`, out)
	assert.Regexp(t, `(?m)^meeting: systec:\d+$`, out)
	assert.Regexp(t, `(?m)^ID +COMMAND +PLATFORM .*\n\S+ +meet +slack `, out)
	out, _, err = invoke(t, w.env, "jobs")
	require.NoError(t, err)
	assert.Equal(t, "No job is under way, and none needs somebody.\n", out)
	_, _, err = invoke(t, w.env, "jobs", l.ID, "--settle", "retry")
	assert.ErrorContains(t, err, "the job is over")
	_, _, err = invoke(t, w.env, "jobs", "nonesuch")
	assert.ErrorContains(t, err, `"nonesuch": no such job`)
	_, _, err = invoke(t, w.env, "audit")
	require.NoError(t, err)
	out, _, err = invoke(t, w.env, "export")
	require.NoError(t, err)
	assert.True(t, json.Valid([]byte(strings.SplitN(out, "\n", 2)[0])))
	_, _, err = invoke(t, w.env, "import")
	assert.ErrorContains(t, err, "stop it")
	_, _, err = invoke(t, w.env, "healthcheck")
	require.NoError(t, err)

	code, body := fetch(w.env["OPS_ADDR"], "/metrics")
	assert.Equal(t, http.StatusOK, code)
	for _, line := range []string{
		`meetbot_part_ready{kind="platform",part="slack"} 1`, `meetbot_part_ready{kind="provider",part="systec"} 1`, `meetbot_part_ready{kind="engine",part="jobs"} 1`,
		`meetbot_commands_total{command="meet",outcome="created",platform="slack"} 1`,
		`meetbot_acknowledge_duration_seconds_count{kind="command",platform="slack"} 1`,
		`meetbot_provider_call_duration_seconds_count{call="create",provider="systec"} 1`,
		`meetbot_job_enqueue_duration_seconds_count{result="ok"} `, `meetbot_jobs{state="calling"} 0`,
	} {
		assert.Contains(t, body, line)
	}
	assert.NotContains(t, body, "canary")

	d := w.diagnose(t)
	assert.Empty(t, d.of(kit.Fault))
	assert.Contains(t, strings.Join(d.of(kit.Fine), "\n"), "running bot: slack: running since")
	assert.Contains(t, strings.Join(d.of(kit.Fine), "\n"), "the key-entry page answers under PUBLIC_URL")
	w.set("PUBLIC_URL", "http://127.0.0.1:1")
	match(t, "warning", []string{"this machine does not reach PUBLIC_URL"}, w.diagnose(t).of(kit.Warning))
	w.slack.Revoke()
	match(t, "fault", []string{"slack: SLACK_BOT_TOKEN is refused", "slack: SLACK_APP_TOKEN is refused"}, w.diagnose(t).of(kit.Fault))

	require.NoError(t, stop())
	_, err = os.Stat(filepath.Join(w.env["DATA_DIR"], adminSocket))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = invoke(t, w.env, "healthcheck")
	assert.Error(t, err)
}

func TestOnePlatformDownLeavesTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.env, io.Discard)
	parts := func() ops.Readiness {
		_, body := fetch(w.env["OPS_ADDR"], "/readyz")
		var r ops.Readiness
		_ = json.Unmarshal([]byte(body), &r) // then it is empty, and asked again
		return r
	}
	require.Eventually(t, func() bool { r := parts(); return r.Parts["slack"].Ready && r.Parts["discord"].Ready }, 20*time.Second, 10*time.Millisecond)
	w.slack.Revoke()
	w.slack.DropConnections()
	require.Eventually(t, func() bool { return !parts().Parts["slack"].Ready }, 20*time.Second, 10*time.Millisecond)
	r := parts()
	assert.True(t, r.Ready, "commands are taken on Discord")
	assert.True(t, r.Parts["discord"].Ready)
	require.Eventually(t, func() bool { return parts().Parts["slack"].LastError != "" }, 20*time.Second, 10*time.Millisecond)
	_, body := fetch(w.env["OPS_ADDR"], "/readyz")
	assert.NotContains(t, body, "canary")
	_, body = fetch(w.env["OPS_ADDR"], "/metrics")
	assert.Contains(t, body, `meetbot_part_ready{kind="platform",part="slack"} 0`)
	assert.Contains(t, body, `meetbot_ready 1`)
	assert.NotContains(t, body, "canary")

	// What is registered is looked at again, and now it should have been in order.
	w.set("MEET_ALLOW", "discord:user:1,slack:user:U1")
	assert.Contains(t, strings.Join(w.diagnose(t).of(kit.Fault), "\n"), "although the bot runs")
}

func TestATokenRefusedAtTheStartLeavesTheOtherPlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.discord.Fail(func(discordtest.Call) *discordtest.Fault { return &discordtest.Fault{Status: http.StatusUnauthorized} })
	start(t, w.env, io.Discard)
	var r ops.Readiness
	require.Eventually(t, func() bool {
		_, body := fetch(w.env["OPS_ADDR"], "/readyz")
		_ = json.Unmarshal([]byte(body), &r) // then it is empty, and asked again
		return r.Parts["slack"].Ready && r.Parts["discord"].LastError != ""
	}, 20*time.Second, 10*time.Millisecond)
	assert.True(t, r.Ready, "commands are taken in Slack")
	assert.Equal(t, "stopped", r.Parts["discord"].State)
	assert.Contains(t, r.Parts["discord"].LastError, "refuses the bot token")
}

func TestOperatorsOpenTheStoreOfAStoppedBot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := w.store(t)
	_, err := store.Enqueue(t.Context(), jobs.Job{ID: "j1", Label: "meet", Created: time.Now().Add(-time.Hour), Data: []byte("canary")})
	require.NoError(t, err)
	require.NoError(t, store.Close())

	out, _, err := invoke(t, w.env, "jobs")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^j1 +meet .* accepted +stuck$`, out)
	out, _, err = invoke(t, w.env, "jobs", "j1", "--settle", "done", "--json")
	require.NoError(t, err)
	var l jobLine
	require.NoError(t, json.Unmarshal([]byte(out), &l))
	assert.Equal(t, jobs.Accepted, l.Was)
	assert.Equal(t, jobs.Done, l.State)
	assert.Equal(t, "settled_done", l.Outcome)

	out, _, err = invoke(t, w.env, "audit")
	require.NoError(t, err)
	var line audit.Line
	require.NoError(t, json.Unmarshal([]byte(out), &line))
	assert.Equal(t, "j1", line.Job)
	assert.Equal(t, audit.Operator, line.Who)
	assert.Equal(t, audit.Settle, line.Action)
	assert.Equal(t, "settled_done", line.Outcome)

	exported, _, err := invoke(t, w.env, "export")
	require.NoError(t, err)
	assert.NotContains(t, exported, "canary")

	intoNew := func(env map[string]string) error {
		lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
		return run(t.Context(), process{args: []string{"import"}, lookup: lookup, stdin: strings.NewReader(exported), stdout: io.Discard, stderr: io.Discard})
	}
	dir := filepath.Join(t.TempDir(), "new")
	assert.ErrorContains(t, intoNew(map[string]string{"DATA_DIR": dir}), "set ENCRYPTION_KEY")
	wrong := base64.StdEncoding.EncodeToString([]byte("another-key-another-key-another1"))
	require.ErrorIs(t, intoNew(map[string]string{"DATA_DIR": dir, "ENCRYPTION_KEY": wrong}), jobs.ErrWrongKey)
	require.NoError(t, intoNew(map[string]string{"DATA_DIR": dir, "ENCRYPTION_KEY_FILE": w.env["ENCRYPTION_KEY_FILE"]}), "a wrong key leaves nothing behind")

	other := map[string]string{"DATA_DIR": private(t), "ENCRYPTION_KEY_FILE": w.env["ENCRYPTION_KEY_FILE"]}
	_, _, err = invoke(t, other, "jobs")
	assert.ErrorContains(t, err, "has no store")
	var stdout bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := other[name]; return v, ok }
	require.NoError(t, run(t.Context(), process{args: []string{"import"}, lookup: lookup, stdin: strings.NewReader(exported), stdout: &stdout, stderr: io.Discard}))
	assert.Equal(t, "Imported 2 records.\n", stdout.String(), "the job, and the line of the audit log")
	err = run(t.Context(), process{args: []string{"import"}, lookup: lookup, stdin: strings.NewReader("hello\n"), stdout: io.Discard, stderr: io.Discard})
	require.EqualError(t, err, "import, line 1: this is not the output of bot export")
	out, _, err = invoke(t, other, "jobs", "j1")
	require.NoError(t, err)
	assert.Contains(t, out, "settled_done")
}

func TestSettling(t *testing.T) {
	now := time.Now()
	outbox := func() []jobs.Delivery {
		return []jobs.Delivery{{State: jobs.Sent}, {Body: []byte("x")}}
	}
	tests := []struct {
		name    string
		job     jobs.Job
		as      string
		want    jobs.Job
		refused string
	}{
		{name: "DoneSaysNothingMore", as: "done", job: jobs.Job{State: jobs.Delivering, Delivery: 1, Outbox: outbox()},
			want: jobs.Job{State: jobs.Done, Outcome: "settled_done", Delivery: 2, Outbox: []jobs.Delivery{{State: jobs.Sent}, {State: jobs.Skipped}}}},
		{name: "DoneOfWhatIsUnknown", as: "done", job: jobs.Job{State: jobs.Done, Outcome: "unknown"}, want: jobs.Job{State: jobs.Done, Outcome: "settled_done"}},
		{name: "FailedWhileLookedUpIsTold", as: "failed", job: jobs.Job{State: jobs.Calling}, want: jobs.Job{State: jobs.Refused}},
		{name: "FailedInDeliveryIsUndeliverable", as: "failed", job: jobs.Job{State: jobs.Delivering, Outbox: outbox()},
			want: jobs.Job{State: jobs.Undeliverable, Outcome: "settled_failed", Delivery: 2, Outbox: []jobs.Delivery{{State: jobs.Sent}, {State: jobs.Lost}}}},
		{name: "FailedBeforeAnything", as: "failed", job: jobs.Job{State: jobs.Accepted}, want: jobs.Job{State: jobs.Undeliverable, Outcome: "settled_failed"}},
		{name: "FailedOfWhatIsUnknown", as: "failed", job: jobs.Job{State: jobs.Done, Outcome: "unknown"}, want: jobs.Job{State: jobs.Done, Outcome: "settled_failed"}},
		{name: "RetryOfAStuckDelivery", as: "retry", job: jobs.Job{State: jobs.Delivering}, want: jobs.Job{State: jobs.Delivering}},
		{name: "RetryOfALookUp", as: "retry", job: jobs.Job{State: jobs.Calling, Updated: now.Add(-2 * time.Minute)}, want: jobs.Job{State: jobs.Calling, Updated: now.Add(-2 * time.Minute)}},
		{name: "NoLookUpWhileTheCallMayLand", as: "retry", job: jobs.Job{State: jobs.Calling, Updated: now.Add(-10 * time.Second)}, refused: "may still be carrying out"},
		{name: "NothingToRetry", as: "retry", job: jobs.Job{State: jobs.Done}, refused: "is over"},
		{name: "WhatEndedWellStaysSo", as: "failed", job: jobs.Job{State: jobs.Done, Outcome: "created"}, refused: "nothing to settle"},
		{name: "ASettlementCanBeCorrected", as: "done", job: jobs.Job{State: jobs.Done, Outcome: "settled_failed"}, want: jobs.Job{State: jobs.Done, Outcome: "settled_done"}},
		{name: "ApprovalIsForPeople", as: "retry", job: jobs.Job{State: jobs.AwaitingApproval}, refused: "approve"},
		{name: "NoSuchWay", as: "again", job: jobs.Job{State: jobs.Calling}, refused: "--settle again: unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := tt.job
			err := settle(&j, tt.as, now)
			if tt.refused != "" {
				assert.ErrorContains(t, err, tt.refused)
				assert.Equal(t, tt.job, j)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, j)
			assert.NotEqual(t, "unknown", lineOf(j, now).Look, "it is on nobody's list any more")
		})
	}
}

func TestWhatNeedsSomebody(t *testing.T) {
	now := time.Now()
	for want, j := range map[string]jobs.Job{
		"stuck":         {State: jobs.Calling, Created: now.Add(-time.Hour)},
		"unknown":       {State: jobs.Done, Outcome: "unknown"},
		"undeliverable": {State: jobs.Undeliverable, Outcome: "created"},
	} {
		assert.Equal(t, want, lineOf(j, now).Look)
	}
	for _, j := range []jobs.Job{
		{State: jobs.Calling, Created: now}, {State: jobs.AwaitingApproval, Created: now.Add(-time.Hour)},
		{State: jobs.Done, Outcome: "created"}, {State: jobs.Undeliverable, Outcome: "settled_failed"},
	} {
		assert.Empty(t, lineOf(j, now).Look, j.State)
	}
}

func TestJobsRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--settle", "done"}, {"j1", "--settle", "maybe"}, {"j1", "j2"}, {"--nonesuch"}} {
		_, _, err := invoke(t, map[string]string{"DATA_DIR": "/proc/none"}, append([]string{"jobs"}, args...)...)
		assert.Error(t, err, args)
		assert.NotContains(t, err.Error(), "DATA_DIR", "it is told before a store is looked for")
	}
	help, _, err := invoke(t, nil, "jobs", "-h")
	require.NoError(t, err)
	assert.Contains(t, help, "It never repeats a call")
}

// rawAdmin serves a socket of its own.
func rawAdmin(t *testing.T, dir string, a admin) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g := &group{log: slog.New(slog.DiscardHandler)}
	g.add("the bot", func(ctx context.Context) error { <-ctx.Done(); return nil })
	g.addAdmin(dir, a)
	require.Len(t, g.parts, 2)
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	t.Cleanup(func() { cancel(); assert.NoError(t, <-ended) })
}

func TestOperatorsCanLookOnWhileTheBotStops(t *testing.T) {
	t.Parallel()
	g := &group{log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	busy := make(chan struct{})
	g.add("busy", func(ctx context.Context) error { <-ctx.Done(); <-busy; return nil })
	addr := freeAddr(t)
	store, err := jobs.OpenMemory(jobs.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	require.NoError(t, g.addServer(ctx, "OPS_ADDR", addr, ops.Handler(g.health(store, ops.NewMetrics("test", nil), nil))))
	g.outlive()
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	require.Eventually(t, func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.Eventually(t, func() bool {
		code, _ := fetch(addr, "/readyz")
		return code == http.StatusServiceUnavailable
	}, 10*time.Second, 5*time.Millisecond)
	code, _ := fetch(addr, "/livez")
	assert.Equal(t, http.StatusOK, code)
	close(busy)
	require.NoError(t, <-ended)
	code, _ = fetch(addr, "/livez")
	assert.Zero(t, code)
}

func TestTheSocketIsBounded(t *testing.T) {
	t.Parallel()
	store, err := jobs.OpenMemory(jobs.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	// A path longer than any socket's may be.
	dir := filepath.Join(private(t), strings.Repeat("long-", 20), strings.Repeat("path-", 20))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	rawAdmin(t, dir, admin{store: store, health: func() ops.Readiness { return ops.Readiness{Ready: true} }, log: slog.New(slog.DiscardHandler)})

	var out strings.Builder
	require.NoError(t, askRunning(t.Context(), dir, question{Op: "health"}, &out))
	assert.JSONEq(t, `{"ready":true,"parts":null}`, out.String())
	assert.ErrorContains(t, askRunning(t.Context(), dir, question{Op: "nonesuch"}, io.Discard), "another version")
	assert.Error(t, askRunning(t.Context(), dir, question{Op: strings.Repeat("x", maxAdminBody)}, io.Discard))
	assert.ErrorIs(t, askRunning(t.Context(), t.TempDir(), question{}, io.Discard), errNotRunning)
}

func TestAStaleSocketIsNoRunningBot(t *testing.T) {
	t.Parallel()
	dir := private(t)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, adminSocket), Net: "unix"})
	if err != nil { // the temporary directory's path is too long
		t.Skip(err)
	}
	ln.SetUnlinkOnClose(false)
	require.NoError(t, ln.Close())
	assert.ErrorIs(t, askRunning(t.Context(), dir, question{}, io.Discard), errNotRunning)
	again, err := listenAdmin(dir)
	require.NoError(t, err, "the next process takes its place")
	require.NoError(t, again.Close())
}

func TestAnAnswerThatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	dir := private(t)
	ln, err := listenAdmin(dir)
	require.NoError(t, err)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close() })
	err = askRunning(t.Context(), dir, question{Op: "export"}, io.Discard)
	assert.ErrorContains(t, err, "broke off")
	assert.False(t, errors.Is(err, errNotRunning))
}

func TestPolicySaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"MEET_ALLOW": "slack:user:U1,slack:channel:C1", "LIVEPUSH_ALLOW": "slack:group:S1,discord:role:7", "ADMINS": "discord:user:9",
		"TENCENT_APP_ID": "200000001", "TENCENT_SECRET_ID": "canary-id", "TENCENT_SECRET_KEY": "canary-key", "TENCENT_USER_ID": "ops",
		"TENCENT_USERS": "slack:U1=alice", "START_LINK": "thread", "RECORDINGS": "thread",
		"SLACK_BOT_TOKEN": "canary: wrong, and none of this command's business",
	}
	out, _, err := invoke(t, env, "policy", "--json")
	require.NoError(t, err)
	assert.NotContains(t, out, "canary")
	got := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var l policyLine
		require.NoError(t, d.Decode(&l))
		got[l.What+" "+l.Where] += l.Who + " <- " + l.Why + ";"
	}
	for key, want := range map[string][]string{
		"meet slack":       {"person U1, everybody in channel C1 <- MEET_ALLOW"},
		"meet discord":     {"nobody but admins", "replaces the default"},
		"meet console":     {"whoever uses it", "has the credentials anyway"},
		"livepush slack":   {"members of user group S1"},
		"livepush discord": {"members with role 7"},
		"any_here slack":   {"members of user group S1"},
		"admin slack":      {"nobody <- ADMINS names nobody here"},
		"admin discord":    {"person 9 <- ADMINS"},
		"act_as slack":     {"U1 acts as alice <- TENCENT_USERS"},
		"act_as ":          {"everybody else through ops <- TENCENT_USER_ID"},
		"start_link ":      {"everybody who can read the thread <- START_LINK=thread"},
		"recordings ":      {"everybody who can read the thread <- RECORDINGS=thread"},
		"participants ":    {"nobody <- PARTICIPANTS=off"},
	} {
		for _, w := range want {
			assert.Contains(t, got[key], w, key)
		}
	}
	out, _, err = invoke(t, nil, "policy")
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^  slack +full members.*no guests.*\(MEET_ALLOW is not set`, out)
	assert.Regexp(t, `(?m)^  discord +every member with Manage Server +\(LIVEPUSH_ALLOW is not set`, out)
	assert.Regexp(t, `(?m)^  slack +nobody +\(ADMINS names nobody here\)`, out)
}

func TestHealthcheckAsksWhereTheBotListens(t *testing.T) {
	for listen, want := range map[string]string{
		":9090": "127.0.0.1:9090", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "10.0.0.1:2": "10.0.0.1:2", "localhost:3": "localhost:3",
	} {
		assert.Equal(t, want, reachable(listen))
	}
}

func TestEveryLineOfACommandNamesItsJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.without("DISCORD_")
	w.set("LOG_LEVEL", "debug", "LOG_FORMAT", "json")
	w.slack.Fail("chat.postMessage", slacktest.Fault{Status: 503}) // a line of the job layer, and one of the adapter's
	var logs adaptertest.Log
	start(t, w.env, &logs)
	_, err := w.slack.Deliver(t.Context(), w.slack.Socket(), w.slack.Slash("C1", "U1", "/meet", "canary"), 0)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(logs.String(), "command finished") }, 20*time.Second, 10*time.Millisecond)
	ids := map[string]int{}
	for line := range strings.Lines(logs.String()) {
		var l struct{ Job string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Job != "" {
			ids[l.Job]++
		}
	}
	assert.Len(t, ids, 1)
	for _, n := range ids {
		assert.GreaterOrEqual(t, n, 3, logs.String())
	}
	assert.Contains(t, logs.String(), "command accepted")
	assert.NotContains(t, logs.String(), "canary")
}

// A stop leaves a line, so that it can be told from a kill.
func TestAStopIsToldInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	stop := start(t, w.env, &log)
	require.NoError(t, stop())
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	assert.Contains(t, log.String(), `"msg":"stopping","why":"context canceled"`)
	assert.Contains(t, lines[len(lines)-1], `"msg":"stopped"`)
}

// TestNothingActsOnTheOperatorsTerminal: what strangers have named is printed and logged so
// that no terminal obeys it and no line reads backwards.
func TestNothingActsOnTheOperatorsTerminal(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]0;PWNED\x07 \u009b31m \u202etxt.exe\u2028 \r"
	w := newWorld(t)
	store := w.store(t)
	_, err := store.Enqueue(t.Context(), jobs.Job{ID: "j1", Label: evil, Source: evil, Created: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.NoError(t, audit.New(store).Append(t.Context(), audit.Line{
		At: time.Now(), Asked: time.Now(), Who: "discord:1", WhoName: evil, Destination: evil, Job: "j1", Step: "1", Action: audit.Set,
	}))
	require.NoError(t, store.Close())
	harmless := func(what, out string) {
		assert.NotEmpty(t, out, what)
		assert.NotRegexp(t, `[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]`, strings.NewReplacer("\n", "", "\t", "").Replace(out), what)
	}
	for _, args := range [][]string{{"jobs"}, {"jobs", "--json"}, {"jobs", "j1"}, {"audit"}, {"export"}} {
		out, _, err := invoke(t, w.env, args...)
		require.NoError(t, err)
		harmless(strings.Join(args, " "), out)
		if args[0] == "audit" {
			var l audit.Line
			require.NoError(t, json.Unmarshal([]byte(out), &l))
			assert.Equal(t, evil, l.WhoName, "it is only written otherwise")
		}
	}
	for _, format := range []string{"json", "text"} {
		var log bytes.Buffer
		l := logger(&log, config.Config{LogFormat: format, LogLevel: "debug"}).With(evil, evil).WithGroup(evil)
		l.Info(evil, evil, evil, "err", errors.New(evil), "list", []string{evil}) //nolint:sloglint // it is what is tested
		harmless(format, log.String())
	}
}

type traced struct{ error }

func (e traced) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, e.Error())
	if f.Flag('+') {
		_, _ = io.WriteString(f, "\nstack trace")
	}
}

func TestALoggedErrorIsItsSentence(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var log bytes.Buffer
		logger(&log, config.Config{LogFormat: format}).Error("a write failed", "err", fmt.Errorf("write: %w", traced{io.ErrShortWrite}), "cause", traced{io.EOF})
		assert.Contains(t, log.String(), "short write", format)
		assert.Contains(t, log.String(), "EOF", format)
		assert.NotContains(t, log.String(), "stack trace", format)
	}
}
