package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/chat"
	"meetbot/config"
	"meetbot/config/secret"
	"meetbot/meeting"
	"meetbot/meeting/sandbox"
)

// account is a sandbox with credentials of its own, and what it was sent.
type account struct {
	*sandbox.Server
	url  string
	mu   sync.Mutex
	sent bytes.Buffer
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := httputil.DumpRequest(r, true)
	a.mu.Lock()
	a.sent.Write(raw)
	a.mu.Unlock()
	a.Server.ServeHTTP(w, r)
}

func (a *account) all() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent.String()
}

func newAccount(t *testing.T, name string) *account {
	t.Helper()
	s, err := sandbox.Start(t.Context(), "127.0.0.1:0", sandbox.Config{
		TencentAppID: "200000001", TencentSecretID: "canary-" + name + "-id", TencentSecretKey: secret.New("canary-" + name + "-key"),
		Users: []sandbox.User{{ID: "ops-" + name}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	a := &account{Server: s}
	front := httptest.NewServer(a)
	t.Cleanup(front.Close)
	a.url = front.URL
	return a
}

// accountsFile has two accounts of one provider.
func accountsFile(t *testing.T, school, sales *account, more ...string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	entry := func(a *account, name string) string {
		upper := strings.ToUpper(name)
		return "  - {name: " + name + ", provider: tencent, app_id: 200000001, user_id: ops-" + name + ", base_url: '" + a.url + "', secret_id: {env: " + upper + "_ID}," +
			" secret_key: {file: " + filepath.Join(dir, name) + "}, webhook_token: {env: TENCENT_" + upper + "_HOOK}" + strings.Join(more, "") + "}\n"
	}
	env := map[string]string{"PROVIDERS_FILE": filepath.Join(dir, "accounts.yaml"), "MEET_PROVIDER": "school"}
	for _, name := range []string{"school", "sales"} {
		env[strings.ToUpper(name)+"_ID"] = "canary-" + name + "-id"
		env["TENCENT_"+strings.ToUpper(name)+"_HOOK"] = "canary-" + name + "-hook"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("canary-"+name+"-key"), 0o600))
	}
	require.NoError(t, os.WriteFile(env["PROVIDERS_FILE"], []byte("accounts:\n"+entry(school, "school")+entry(sales, "sales")), 0o600))
	return env
}

func bodyOf(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

// TestTwoAccountsOfOneProvider makes, shows and ends meetings at two accounts, and looks for what
// belongs to the one at the other.
func TestTwoAccountsOfOneProvider(t *testing.T) {
	t.Parallel()
	school, sales := newAccount(t, "school"), newAccount(t, "sales")
	env := accountsFile(t, school, sales)
	env["DATA_DIR"], env["HTTP_ADDR"], env["OPS_ADDR"], env["LOG_LEVEL"] = private(t), freeAddr(t), freeAddr(t), "debug"
	in, lines := io.Pipe()
	out := &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, process{
			args: []string{"console"}, lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
			environ: []string{"TENCENT_SCHOOL_HOOK=x", "TENCENT_SALES_HOOK=x"}, stdin: in, stdout: out, stderr: out,
		})
	}()
	say := func(line string) {
		out.clear()
		_, err := io.WriteString(lines, line+"\n")
		require.NoError(t, err)
	}
	say("/meet Lesson")
	out.await(t, `Join +http`)
	say("/meet Pitch --account sales --live")
	out.await(t, `Pitch[\s\S]*Join +http`)
	require.Len(t, school.Meetings(), 1)
	require.Len(t, sales.Meetings(), 1)
	lesson, pitch := school.Meetings()[0], sales.Meetings()[0]
	assert.Equal(t, []string{"Lesson", "Pitch"}, []string{lesson.Topic, pitch.Topic})
	say("/meet x --account sale")
	out.await(t, `no account of that name here. Use one of school / sales`)

	// Each account's word is taken on its own path, with its own token, about its own meetings.
	hook := func(a *account, path, token string) {
		a.SetWebhook(sandbox.Webhook{Provider: sandbox.Tencent, URL: "http://" + env["HTTP_ADDR"] + path, Token: secret.New(token)})
	}
	out.clear()
	hook(school, "/tencent/events/sales", "canary-school-hook") // refused: another's path
	require.NoError(t, school.Join(lesson.ID, "ops-school"))
	require.NoError(t, school.WaitWebhooks(t.Context()))
	hook(school, "/tencent/events/sales", "canary-sales-hook") // whoever had the token: it moves no meeting of school
	require.NoError(t, school.Leave(lesson.ID, "ops-school"))
	require.NoError(t, school.WaitWebhooks(t.Context()))
	hook(sales, "/tencent/events/sales", "canary-sales-hook")
	require.NoError(t, sales.Join(pitch.ID, "ops-sales"))
	out.await(t, `Pitch[\s\S]*Status +Running since`)
	say("/meet list")
	out.await(t, `Lesson.*\n?.*Ready`)
	hook(school, "/tencent/events/school", "canary-school-hook")
	require.NoError(t, school.Join(lesson.ID, "ops-school"))
	out.await(t, `Lesson[\s\S]*Status +Running since`)

	say("/livepush " + pitch.Code + " --name show --url rtmp://live.example.com/app --key k123")
	out.await(t, `1 of 1 set`)
	say("/meet end " + pitch.Code)
	say(out.await(t, `\[(\d+)\] End meeting`)[1])
	out.await(t, `Pitch[\s\S]*Status +Ended`)
	end, _ := sales.Meeting(pitch.ID)
	assert.Equal(t, sandbox.Ended, end.State)
	still, _ := school.Meeting(lesson.ID)
	assert.Equal(t, sandbox.Running, still.State)

	ready, metrics := bodyOf(t, "http://"+env["OPS_ADDR"]+"/readyz"), bodyOf(t, "http://"+env["OPS_ADDR"]+"/metrics")
	for _, id := range []string{"tencent@school", "tencent@sales"} {
		assert.Contains(t, ready, `"`+id+`"`)
		assert.Contains(t, metrics, `provider="`+id+`"`)
		assert.Contains(t, metrics, `meetbot_part_ready{kind="provider",part="`+id+`"} 1`)
	}
	assert.Contains(t, metrics, `meetbot_provider_rejected_requests_total{provider="tencent@sales"`)
	assert.NotContains(t, metrics, `provider="other"`)
	require.NoError(t, lines.Close())
	assert.Error(t, <-done) // a command that was refused is the exit code

	for _, name := range []string{"school", "sales"} {
		own, other := school, sales
		if name == "sales" {
			own, other = sales, school
		}
		assert.Contains(t, own.all(), "canary-"+name+"-id")
		assert.NotContains(t, own.all(), "canary-"+name+"-key", "it signs")
		assert.NotContains(t, other.all(), "canary-"+name)
		assert.NotContains(t, other.all(), "ops-"+name)
		assert.NotContains(t, out.b.String()+ready+metrics, "canary-")
	}
}

// The sandbox plays each account by itself.
func TestTheSandboxPlaysAccounts(t *testing.T) {
	t.Parallel()
	school, sales := newAccount(t, "school"), newAccount(t, "sales")
	env := []string{"MEET_PROVIDER=sandbox"}
	for name, value := range accountsFile(t, school, sales, ", options: --mute --duration 45") {
		if name != "MEET_PROVIDER" {
			env = append(env, name+"="+value)
		}
	}
	out, errs, exit := pipe(t, "/meet A --account school\n/meet B --账号 sales\n/meet C\n/meet list\n", env...)
	require.Zero(t, exit, errs+out)
	assert.Contains(t, out, "SANDBOX")
	assert.NotContains(t, out+errs, "canary")
	assert.Empty(t, school.all()+sales.all(), "nothing is sent to the real ones")
}

func TestWhichAccountsAPlaceMayUse(t *testing.T) {
	entry := func(list string) (all config.Principals) {
		if list != "" {
			require.NoError(t, all.Set(list))
		}
		return all
	}
	cfg := config.Config{}.WithAccounts([]config.Account{
		{Name: "team", Provider: "tencent", Places: entry("slack:team:T1,discord:guild:1")},
		{Name: "room", Provider: "zoom", Places: entry("slack:channel:C1,slack:team:T2")},
		{Name: "open", Provider: "systec"},
		{Name: "usual", Provider: "zoom"},
	})
	cfg.Systec.ApiKey = secret.New("k")
	at := usable(configuredRows(cfg), "zoom@usual", kinds(cfg))
	for name, tt := range map[string]struct {
		place chat.Place
		want  []meeting.Provider
	}{
		"Team":        {chat.Place{Platform: "slack", Team: "T1", Channel: "C9"}, []meeting.Provider{"tencent@team", "zoom@usual", "systec", "systec@open"}},
		"Channel":     {chat.Place{Platform: "slack", Team: "T1", Channel: "C1"}, []meeting.Provider{"zoom@room", "tencent@team", "zoom@usual", "systec", "systec@open"}},
		"OtherTeam":   {chat.Place{Platform: "slack", Team: "T3", Channel: "C9"}, []meeting.Provider{"zoom@usual", "systec", "systec@open"}},
		"Server":      {chat.Place{Platform: "discord", Team: "1", Channel: "5"}, []meeting.Provider{"tencent@team", "zoom@usual", "systec", "systec@open"}},
		"OtherServer": {chat.Place{Platform: "discord", Team: "2", Channel: "1"}, []meeting.Provider{"zoom@usual", "systec", "systec@open"}},
		"Direct":      {chat.Place{Platform: "discord", Channel: "5", Kind: chat.InDirect}, []meeting.Provider{"zoom@usual", "systec", "systec@open"}},
		"Operator":    {chat.Place{Platform: "console"}, []meeting.Provider{"zoom@usual", "systec", "tencent@team", "zoom@room", "systec@open"}},
	} {
		assert.Equal(t, tt.want, at(tt.place), name)
	}
}

func TestAnAccountsOptionsAreRead(t *testing.T) {
	t.Parallel()
	usual, err := usualOptions(config.Account{Name: "school", Provider: "tencent", Options: "--mute --duration 45m --record cloud"})
	require.NoError(t, err)
	assert.Equal(t, meeting.Instant{Mute: new(true), Duration: 45 * time.Minute, Recording: meeting.RecordingCloud}, usual)
	for options, fix := range map[string]string{
		"--mut": "--mute", "--capacity 5": "capacity", "Weekly": "no topic", "--provider zoom": "", "--host U1": "", "--live 18:00": "", "help": "no topic", "--key canary-key": "",
	} {
		_, err := usualOptions(config.Account{Name: "school", Provider: "tencent", Options: options})
		require.ErrorContains(t, err, "PROVIDERS_FILE, account school, options: ", options)
		assert.ErrorContains(t, err, fix)
		assert.NotContains(t, err.Error(), "canary-key")
	}
	_, err = usualOptions(config.Account{Name: "sales", Provider: "zoom", Options: "--passcode 123456"})
	require.ErrorContains(t, err, "no topic, provider, hosts or passcode")
}

func TestTheDoctorLooksAtEachAccount(t *testing.T) {
	t.Parallel()
	school, sales := newAccount(t, "school"), newAccount(t, "sales")
	w := newWorld(t)
	w.set("SALES_ID", "canary-other")
	for name, value := range accountsFile(t, school, sales) {
		if name != "SALES_ID" && name != "MEET_PROVIDER" {
			w.set(name, value)
		}
	}
	d := w.diagnose(t)
	assert.Contains(t, d.of("ok"), "tencent: the credentials are accepted")
	assert.Contains(t, d.of("ok"), "tencent@school: the credentials are accepted")
	assert.Contains(t, strings.Join(d.of("fault"), "\n"), "tencent@sales: Tencent Meeting does not know secret_id")
	assert.NotContains(t, strings.Join(d.of("warning"), "\n"), "not one of the bot's variables")

	out, _, err := invoke(t, w.env, "policy")
	require.NoError(t, err)
	assert.Contains(t, out, "everybody else through ops-school")
	assert.Contains(t, out, "PROVIDERS_FILE, account school, user_id")

	out, _, err = invoke(t, w.env, "accounts")
	require.NoError(t, err)
	assert.Contains(t, out, "/tencent/events/sales")
	assert.NotContains(t, out, "canary")
	out, _, err = invoke(t, nil, "accounts", "--schema")
	require.NoError(t, err)
	assert.Contains(t, out, `"webhook_token"`)
	_, _, err = invoke(t, nil, "accounts")
	require.ErrorContains(t, err, "PROVIDERS_FILE is not set")

	out, _, err = invoke(t, w.env, "manifest", "discord")
	require.NoError(t, err)
	assert.NotContains(t, out, "school", "servers do not hear of each other's accounts")
}
