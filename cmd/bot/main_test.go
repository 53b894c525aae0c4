package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/goldentest"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/config"
)

// asBot makes the test's own binary behave as the bot.
const asBot = "MEETBOT_TEST_RUN_AS_BOT"

func TestMain(m *testing.M) {
	if os.Getenv(asBot) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is the bot as a process of its own, with these variables and no others.
func command(t testing.TB, binary string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary)
	cmd.Env = append([]string{asBot + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "TERM=xterm"}, env...)
	return cmd
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// pipe runs the bot with lines on its standard input.
func pipe(t *testing.T, lines string, env ...string) (stdout, stderr string, exit int) {
	t.Helper()
	cmd := command(t, self(t), env...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(lines), &out, &errs
	err := cmd.Run()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

const livepushLine = `/livepush --name bili --url rtmp://live-push.bilivideo.com/live-bvc/ --key "?streamname=live_1&key=canary"` + "\n"

func TestPipedCommandsMakeAMeetingAndSetItsPush(t *testing.T) {
	t.Parallel()
	out, errs, exit := pipe(t, "/meet 周会\n/meet --provider tencent --live 直播\n"+livepushLine+"/livepush status\n")
	assert.Zero(t, exit, errs)
	assert.Empty(t, errs)
	for _, want := range []string{
		`(?m)^› /meet 周会$`, `(?m)^#console$`, `(?m)^│ 周会$`, `(?m)^│ Join +http://127\.0\.0\.1:\d+/j/\d+`,
		`(?m)^╰─ thread$`, `(?m)^┊ Start link +http://127\.0\.0\.1:\d+/s/`, `(?m)^┊ bili +set`, `(?m)^┊ bili +on · live-push\.bilivideo\.com`,
		`SANDBOX`, `\[1\] QR`,
	} {
		assert.Regexp(t, want, out)
	}
	assert.NotContains(t, out, "canary")
	assert.NotContains(t, out, "\x1b")
}

func TestAFailedCommandIsTheExitCode(t *testing.T) {
	t.Parallel()
	out, errs, exit := pipe(t, "/meet --duration soon\n")
	assert.Equal(t, 1, exit)
	assert.Contains(t, out, "--duration")
	assert.Equal(t, "bot: console: not every command succeeded\n", errs)

	out, errs, exit = pipe(t, "/meet 周会\n"+livepushLine)
	assert.Equal(t, 1, exit, "a SYSTEC meeting takes no live push")
	assert.NotEmpty(t, out)
	assert.NotContains(t, out+errs, "canary")
}

func TestNothingConfiguredAndNobodyThereIsAnError(t *testing.T) {
	t.Parallel()
	for _, input := range []string{"", "\n  \n"} {
		out, errs, exit := pipe(t, input)
		assert.Equal(t, 1, exit)
		assert.Empty(t, out)
		assert.Contains(t, errs, "bot: no chat platform is configured")
		assert.Contains(t, errs, "SLACK_BOT_TOKEN")
	}
	_, errs, exit := pipe(t, "", "SLACK_BOT_TOKN=xoxb-canary")
	assert.Equal(t, 1, exit)
	assert.Contains(t, errs, "SLACK_BOT_TOKN is not one of the bot's variables: did you mean SLACK_BOT_TOKEN?")
	assert.NotContains(t, errs, "canary")
	_, errs, exit = pipe(t, "", "SLACK_BOT_TOKN=xoxb-canary", "SLACK_APP_TOKEN=xapp-1")
	assert.Equal(t, 1, exit)
	assert.Contains(t, errs, "SLACK_BOT_TOKEN: set it as well")
	assert.Contains(t, errs, "did you mean SLACK_BOT_TOKEN?")
	_, errs, exit = pipe(t, "# nothing to do\n")
	assert.Zero(t, exit, errs)
}

func TestTheConsoleIsAskedForByName(t *testing.T) {
	t.Parallel()
	cmd := command(t, self(t))
	cmd.Args = append(cmd.Args, "console")
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, string(out))
	assert.Empty(t, out)
}

func TestWordsOfTheBinaryAreForgiving(t *testing.T) {
	say := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), process{args: args, lookup: func(string) (string, bool) { return "", false }, stdin: strings.NewReader(""), stdout: &out, stderr: &out})
		return out.String(), err
	}
	want, err := say("version")
	require.NoError(t, err)
	for _, word := range []string{"--version", "-version", "-v", "-V"} {
		got, err := say(word)
		require.NoError(t, err, word)
		assert.Equal(t, want, got, word)
	}
	for word, meant := range map[string]string{"doctr": "doctor", "Doctor": "doctor", "--doctor": "doctor", "job": "jobs", "versoin": "version", "polcy": "policy", "hlep": "help", "healthchek": "healthcheck"} {
		_, err := say(word)
		assert.ErrorContains(t, err, "did you mean bot "+meant+"?", word)
	}
	_, err = say("frobnicate")
	assert.ErrorContains(t, err, "bot -h lists them")
}

func TestTheTemporaryStoreIsRemoved(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	_, _, exit := pipe(t, "/meet a\n", "TMPDIR="+tmp)
	assert.Zero(t, exit)
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAKeptStoreIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, errs, exit := pipe(t, "/meet kept\n", "DATA_DIR="+dir)
	require.Zero(t, exit, errs)
	out, errs, exit := pipe(t, "/meet list\n", "DATA_DIR="+dir)
	assert.Zero(t, exit, errs)
	assert.Contains(t, out, "kept")

	other := "AQ" + strings.Repeat("A", 41) + "="
	_, errs, exit = pipe(t, "", "DATA_DIR="+dir, "ENCRYPTION_KEY="+other)
	assert.Equal(t, 1, exit)
	assert.Contains(t, errs, "bot: ENCRYPTION_KEY: ")
}

// A store that cannot be opened holds what the bot has promised: to start on another directory
// is no way out of it.
func TestAStoreThatCannotBeOpenedIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	_, errs, exit := pipe(t, "/meet kept\n", "DATA_DIR="+kept)
	require.Zero(t, exit, errs)
	for name, tt := range map[string]struct {
		spoil func(dir string) error
		says  string
	}{
		"damaged": {func(dir string) error { return os.WriteFile(filepath.Join(dir, storeMark), []byte("{"), 0o600) }, "restore it from a backup"},
		"format": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, storeMark), []byte(`{"version":99}`), 0o600)
		}, "start the version that wrote it"},
		"key": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "key"), nil, 0o600) }, "set it to the key that wrote the store"},
		"lock": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "LOCK")), os.Mkdir(filepath.Join(dir, "LOCK"), 0o700))
		}, "keep DATA_DIR if a store is in it"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		require.NoError(t, os.CopyFS(dir, os.DirFS(kept)))
		require.NoError(t, os.Chmod(dir, 0o700))
		require.NoError(t, os.Chmod(filepath.Join(dir, "key"), 0o600))
		require.NoError(t, tt.spoil(dir), name)
		_, errs, exit := pipe(t, "/meet again\n", "DATA_DIR="+dir)
		assert.Equal(t, 1, exit, name)
		assert.Contains(t, errs, tt.says, name)
		assert.NotContains(t, errs, "set a directory", name)
		assert.NotContains(t, errs, "set DATA_DIR to", name)
	}
	_, errs, exit = pipe(t, "/meet x\n", "DATA_DIR=/dev/null/data")
	assert.Equal(t, 1, exit)
	assert.Contains(t, errs, "set DATA_DIR to a directory on a local disk", "no store is in it")
}

func TestBadConfigurationIsToldAtOnce(t *testing.T) {
	t.Parallel()
	out, errs, exit := pipe(t, "/meet a\n", "SLACK_BOT_TOKEN=canary", "RETENTION=1", "DISCORD_BOT_TOKEN=canary")
	assert.Equal(t, 1, exit)
	assert.Empty(t, out)
	for _, name := range []string{"SLACK_BOT_TOKEN: ", "RETENTION: ", "DISCORD_APPLICATION_ID: ", "MEET_PROVIDER: "} {
		assert.Contains(t, errs, "\n  "+name)
	}
	assert.NotContains(t, errs, "canary")
}

// invoke runs the bot in this process.
func invoke(t *testing.T, env map[string]string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	err = run(t.Context(), process{args: args, lookup: lookup, stdin: strings.NewReader(""), stdout: &out, stderr: &errs})
	return out.String(), errs.String(), err
}

func TestSubcommands(t *testing.T) {
	t.Parallel()
	id := map[string]string{"DISCORD_APPLICATION_ID": "123456789012345678"}
	for _, tt := range []struct {
		args string
		env  map[string]string
		want string // of standard output, a pattern
		err  string // a part of what the person is told
	}{
		{args: "-h", want: `(?m)^  bot manifest slack`},
		{args: "help", want: `(?m)^  SLACK_BOT_TOKEN `},
		{args: "version", want: `^meetbot \S.* linux/|^meetbot \S.* darwin/`},
		{args: "version now", err: `"now": unexpected argument`},
		{args: "vrsion", err: "bot -h"},
		{args: "audit -h", want: `^Usage:\n  bot audit\n`},
		{args: "manifest --help", want: `bot manifest slack .*discord`},
		{args: "doctor -h", want: `(?m)^  --send CHANNEL `},
		{args: "export -h", want: `--salvage`},
		{args: "import -h", want: `--first-format`},
		{args: "policy --jsn", err: "--jsn: unknown option; did you mean --json?"},
		{args: "doctor --send", err: "--send: its value is missing"},
		{args: "console extra", err: `"extra": unexpected argument`},
		{args: "manifest", err: "bot manifest slack"},
		{args: "manifest teams", err: "bot manifest slack or bot manifest discord"},
		{args: "manifest slack", want: `"socket_mode_enabled": true`},
		{args: "manifest slack", env: map[string]string{"SLACK_MEET_COMMAND": "/zoomless"}, want: `"/zoomless"`},
		{args: "manifest slack --url https://meet.example.com", want: `"https://meet.example.com/slack/commands"`},
		{args: "manifest slack --url https://x.example --socket", err: "not both"},
		{args: "manifest slack --with all", want: `"usergroups:read"`},
		{args: "manifest slack --with files:write", want: `"files:write"`},
		{args: "manifest slack --with admin", err: "admin"},
		{args: "manifest discord", want: `"name": "livepush"`},
		{args: "manifest discord --invite", err: "DISCORD_APPLICATION_ID"},
		{args: "manifest discord --invite", env: id, want: `^https://discord\.com/oauth2/authorize\?.*123456789012345678`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			out, _, err := invoke(t, tt.env, strings.Fields(tt.args)...)
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Regexp(t, tt.want, out)
			if tt.args == "manifest slack" || tt.args == "manifest discord" {
				assert.True(t, json.Valid([]byte(out)))
			}
		})
	}
}

func TestToBeStoppedWhileItStartsIsNoFault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lookup := func(string) (string, bool) { return "", false }
	assert.NoError(t, run(ctx, process{lookup: lookup, stdin: strings.NewReader("/meet a\n"), stdout: io.Discard, stderr: io.Discard}))
}

func TestOneEndedPartEndsAll(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	g := &group{log: slog.New(slog.DiscardHandler)}
	g.add("waits", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	g.add("fails", func(context.Context) error { return broken })
	err := g.run(t.Context())
	assert.ErrorIs(t, err, broken)
	assert.NotErrorIs(t, err, context.Canceled)
	assert.True(t, g.stopping.Load())
}

func TestOpsTellsWhetherCommandsAreTaken(t *testing.T) {
	t.Parallel()
	store, err := jobs.OpenMemory(jobs.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	g := &group{log: slog.New(slog.DiscardHandler)}
	handler := ops.Handler(g.health(store, ops.NewMetrics("test", nil), nil))
	get := func(path string) (int, ops.Readiness) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		var r ops.Readiness
		_ = json.Unmarshal(w.Body.Bytes(), &r) // /livez has no body
		return w.Code, r
	}
	code, _ := get("/livez")
	assert.Equal(t, http.StatusOK, code)
	code, r := get("/readyz")
	assert.Equal(t, http.StatusOK, code)
	assert.True(t, r.Ready)
	assert.Contains(t, r.Parts, "jobs")

	g.stopping.Store(true)
	code, r = get("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.False(t, r.Ready)
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close() //nolint:errcheck // a test's
	_, _, err = invoke(t, map[string]string{"OPS_ADDR": ln.Addr().String()})
	assert.ErrorContains(t, err, "OPS_ADDR")
}

func TestAServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := &group{log: slog.New(slog.DiscardHandler)}
	entered := make(chan struct{})
	hang := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-ctx.Done() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	require.NoError(t, g.addServer(ctx, "HTTP_ADDR", addr, hang))
	done := make(chan error, 1)
	go func() { done <- g.run(ctx) }()
	go func() {
		if resp, err := http.Get("http://" + addr); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	<-entered
	cancel()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the server did not end")
	}
}

// TestTheConfigurationPageIsTrue compares the page's generated part with its source.
func TestTheConfigurationPageIsTrue(t *testing.T) {
	t.Parallel()
	const path = "../../docs/configuration.md"
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	table := regexp.MustCompile(`(?s)<!-- variables -->\n.*?<!-- /variables -->`)
	require.True(t, table.Match(raw), "the page marks where the table of variables is")
	goldentest.Check(t, path, table.ReplaceAllLiteralString(string(raw), "<!-- variables -->\n"+config.Markdown(names(config.Config{})...)+"<!-- /variables -->"))
	for _, c := range subcommands() {
		assert.Contains(t, string(raw), "`"+strings.TrimSpace("bot "+c.name))
	}
}

func TestABackupSaysWhatIsWrongWithItsDirectory(t *testing.T) {
	t.Parallel()
	dir, full := t.TempDir(), t.TempDir()
	_, errs, exit := pipe(t, "/meet kept\n", "DATA_DIR="+dir)
	require.Zero(t, exit, errs)
	require.NoError(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	_, _, err := invoke(t, map[string]string{"DATA_DIR": dir}, "backup", full)
	assert.EqualError(t, err, "backup: "+full+" is not empty; name a new directory")

	in, w, err := os.Pipe()
	require.NoError(t, err)
	c := command(t, self(t), "DATA_DIR="+dir)
	c.Stdin = in
	require.NoError(t, c.Start())
	defer func() { assert.NoError(t, errors.Join(w.Close(), c.Wait())) }()
	_, err = w.WriteString("/meet help\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, adminSocket))
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	_, _, err = invoke(t, map[string]string{"DATA_DIR": dir}, "backup", full)
	assert.EqualError(t, err, "backup: "+full+" is not empty; name a new directory", "while a bot runs, too")
}
