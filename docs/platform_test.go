package docs_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tree is a copy of the project, changed as somebody would who follows a recipe.
type tree struct {
	t   *testing.T
	dir string
}

// copyTree copies what the module consists of.
func copyTree(t *testing.T) tree {
	t.Helper()
	c := tree{t, t.TempDir()}
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"data", "dist", "bench", "pictures"}, rel) {
				return fs.SkipDir
			}
			return os.Mkdir(filepath.Join(c.dir, rel), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(c.dir, rel), b, 0o644)
	}))
	return c
}

// follow does what an example says.
func (c tree) follow(e example) {
	c.t.Helper()
	for path, file := range e.add {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(c.t, err)
		to := filepath.Join(c.dir, path)
		require.NoError(c.t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(c.t, os.WriteFile(to, b, 0o644))
	}
	for _, in := range e.into {
		path := filepath.Join(c.dir, in.path)
		was, err := os.ReadFile(path)
		require.NoError(c.t, err)
		lines, err := os.ReadFile(filepath.Join("testdata", in.lines))
		require.NoError(c.t, err)
		require.Equal(c.t, 1, strings.Count(string(was), in.before), "%s has no place for the example any more", in.path)
		require.NoError(c.t, os.WriteFile(path, []byte(strings.Replace(string(was), in.before, string(lines)+in.before, 1)), 0o644))
	}
}

// changed lists the files that differ from the project's.
func (c tree) changed() (paths []string) {
	c.t.Helper()
	require.NoError(c.t, filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(c.dir, path)
		if err != nil {
			return err
		}
		is, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if was, err := os.ReadFile(filepath.Join("..", rel)); err != nil || !bytes.Equal(is, was) {
			paths = append(paths, filepath.ToSlash(rel))
		}
		return nil
	}))
	return paths
}

// goTool runs the go command in the copy.
func (c tree) goTool(args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	require.NoError(c.t, err, "go %s\n%s", strings.Join(args, " "), out)
	return string(out)
}

// theChat is Acme: it takes the bot's messages, and sends it what people do.
type theChat struct {
	t   *testing.T
	key string
	bot string // where the bot listens

	mu     sync.Mutex
	posted []posted
	sent   int
}

type posted struct {
	Channel, User, Text string
	Buttons             []string
}

func (c *theChat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !assert.Equal(c.t, c.sign(body), r.Header.Get("X-Acme-Signature")) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method != http.MethodGet {
		var p posted
		assert.NoError(c.t, json.Unmarshal(body, &p))
		c.posted = append(c.posted, p)
	}
	_, _ = fmt.Fprintf(w, `{"id":"m%d"}`, len(c.posted))
}

func (c *theChat) sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(c.key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// reaction is what the bot shows at once.
type reaction struct {
	Text, Form string
	Fields     []string
	Faults     map[string]string
}

// send tells the bot what a person did, and returns its answer.
func (c *theChat) send(what map[string]any) (r reaction) {
	c.t.Helper()
	c.sent++
	event := map[string]any{
		"id": fmt.Sprintf("e%d", c.sent), "time": time.Now().Unix(), "channel": "R1",
		"user": map[string]string{"id": "A1", "name": "Ada", "locale": "en"},
	}
	for k, v := range what {
		event[k] = v
	}
	body, err := json.Marshal(event)
	require.NoError(c.t, err)
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.bot+"/acme/events", bytes.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("X-Acme-Signature", c.sign(body))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close() //nolint:errcheck // only read
	require.Equal(c.t, http.StatusOK, resp.StatusCode)
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&r))
	return r
}

// await returns the first message, of those after the first n, that has the text in it.
func (c *theChat) await(n int, text string) posted {
	c.t.Helper()
	var found posted
	require.Eventually(c.t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.posted[n:], func(p posted) bool { return strings.Contains(p.Text, text) })
		if i >= 0 {
			found = c.posted[n+i]
		}
		return i >= 0
	}, time.Minute, 5*time.Millisecond, "nothing was posted with %q", text)
	return found
}

func (c *theChat) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.posted)
}

// TestAPlatformIsAddedByItsRecipe follows the recipe to the letter over a copy of the tree,
// counts the files that it touches, and talks to the platform that comes of it.
func TestAPlatformIsAddedByItsRecipe(t *testing.T) {
	long(t)
	i := slices.IndexFunc(examples, func(e example) bool { return e.name == "platform" })
	c := copyTree(t)
	c.follow(examples[i])
	c.goTool("test", "./cmd/bot", "-run", "^TestTheConfigurationPageIsTrue$", "-update")
	assert.Equal(t, []string{
		"bot/adapters/acme/acme.go", "bot/adapters/acme/acme_test.go",
		"bot/texts/acme.en.json", "bot/texts/acme.zh-CN.json",
		"cmd/bot/platforms.go", "config/platforms.go",
		"docs/configuration.md", // generated
	}, c.changed(), "a platform is its directory, its settings, one row, its texts, and the generated page")
	// What looks at all platforms, variables and texts is content with the new one.
	c.goTool("test", "./bot/adapters/acme", "./bot/texts", "./bot/grammar", "./config")
	c.goTool("test", "./docs", "-run", "^(TestEachPackageImportsOnlyWhatItMay|TestOnlyAPlatformsOwnRoomsNameIt|TestEverySecretHasItsRotation|TestOnlyConfigReadsTheEnvironment|TestVariablesThatAreNamedExist)$")
	c.goTool("test", "./cmd/bot", "-run", "^(TestSubcommands|TestTheConfigurationPageIsTrue|TestBadConfigurationIsToldAtOnce)$")

	binary := filepath.Join(t.TempDir(), "bot")
	c.goTool("build", "-o", binary, "./cmd/bot")
	talkToAcme(t, binary)
}

func talkToAcme(t *testing.T, binary string) {
	acme := &theChat{t: t, key: "canary-acme-secret"}
	api := httptest.NewServer(acme)
	defer api.Close()
	address, ops := freeAddress(t), freeAddress(t)
	acme.bot = "http://" + address
	env := []string{
		"ACME_SECRET=" + acme.key, "ACME_API_URL=" + api.URL, "MEET_PROVIDER=sandbox", "HTTP_ADDR=" + address, "OPS_ADDR=" + ops,
		"DATA_DIR=" + t.TempDir(), "MEET_ALLOW=acme:user:A1", "TENCENT_USERS=", "LOG_FORMAT=json", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
	}
	run := func(stdin string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
		out, err := cmd.Output()
		return string(out), err
	}

	var log bytes.Buffer
	serving := exec.CommandContext(t.Context(), binary)
	serving.Env, serving.Stderr, serving.Cancel = env, &log, func() error { return serving.Process.Signal(os.Interrupt) }
	require.NoError(t, serving.Start())
	defer func() {
		assert.NoError(t, serving.Process.Signal(os.Interrupt))
		assert.NoError(t, serving.Wait(), "%s", &log)
		assert.NotContains(t, log.String(), "canary", "no secret in the log")
	}()
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + ops + "/readyz")
		if err == nil {
			_ = resp.Body.Close() // only its status is looked at
		}
		return err == nil && resp.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "it is ready")

	// A command: the card for everybody, and the rest.
	assert.Equal(t, reaction{}, acme.send(map[string]any{"command": "meet", "text": "Weekly sync --provider tencent --live"}))
	card := acme.await(0, "Weekly sync")
	assert.Equal(t, "R1", card.Channel)
	private := acme.await(0, "Host key")
	assert.Equal(t, "A1", private.User, "what lets people host is for the one who asked")
	n := acme.count()
	acme.send(map[string]any{"command": "meet", "text": "list"})
	assert.Contains(t, acme.await(n, "Meetings here").Text, "Weekly sync")

	// A form: opened, found faulty, and sent.
	form := acme.send(map[string]any{"command": "livepush"})
	require.NotEmpty(t, form.Form)
	assert.Contains(t, form.Fields, "url")
	assert.NotEmpty(t, acme.send(map[string]any{"form": form.Form, "fields": map[string]string{"name": "bili"}}).Faults)
	n = acme.count()
	acme.send(map[string]any{"form": form.Form, "fields": map[string]string{"name": "own", "url": "rtmp://live.example.com/app", "key": "canary-key"}})
	acme.await(n, "1 of 1 set")

	// A sentence that names a command, as it is called here.
	n = acme.count()
	acme.send(map[string]any{"command": "livepush", "text": "destinations"})
	acme.await(n, "Add one with /livepush save NAME")

	// A button that cannot be undone: it asks, and its answer ends the meeting.
	press := func(message posted, action, said string) posted {
		i := slices.IndexFunc(message.Buttons, func(b string) bool { return strings.Contains(b, ":"+action+":") })
		require.GreaterOrEqual(t, i, 0, "%v", message.Buttons)
		n := acme.count()
		acme.send(map[string]any{"button": message.Buttons[i], "message": "m1"})
		return acme.await(n, said)
	}
	question := press(card, "end", "for everyone")
	assert.Equal(t, "A1", question.User)
	press(question, "endyes", "ended")

	// Whoever is on no list.
	refused := acme.send(map[string]any{"command": "meet", "text": "x", "user": map[string]string{"id": "A2", "name": "Eve"}})
	assert.NotEmpty(t, refused.Text)

	// What operators look at.
	metrics := fetch(t, "http://"+ops+"/metrics")
	for _, want := range []string{
		`meetbot_part_ready{kind="platform",part="acme"} 1`, `meetbot_commands_total{command="meet",outcome="created",platform="acme"} 1`,
		`meetbot_acknowledge_duration_seconds_count{kind="form",platform="acme"}`,
	} {
		assert.Contains(t, metrics, want)
	}
	out, err := run("", "doctor", "--json")
	require.NoError(t, err, out)
	assert.Contains(t, out, "ACME_SECRET is accepted")
	assert.Contains(t, out, "acme: running since")
	n = acme.count()
	out, err = run("", "doctor", "--send", "acme:R7")
	require.NoError(t, err, out)
	assert.Equal(t, "R7", acme.await(n, "Round trip").Channel)
	out, err = run("", "policy")
	require.NoError(t, err)
	assert.Regexp(t, regexp.MustCompile(`acme +person A1 +\(MEET_ALLOW\)`), out)
	assert.Regexp(t, regexp.MustCompile(`acme +everybody +\(LIVEPUSH_ALLOW is not set\)`), out)
	out, err = run("", "-h")
	require.NoError(t, err)
	assert.Contains(t, out, "acme:user:A1")

	// The console beside it is the console: it has a prompt of its own and serves nobody.
	// What the running bot has to itself is left out: its store and its address.
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "DATA_DIR=") || strings.HasPrefix(v, "OPS_ADDR=") })
	out, err = run("/meet In the terminal\n", "console")
	require.NoError(t, err)
	assert.Contains(t, out, "In the terminal")
	// An entry that nobody on Acme can have is told, with what can be had.
	env = append(env, "ADMINS=acme:user:U1")
	_, err = run("", "policy")
	require.ErrorContains(t, err, "exit status 1")
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed)
	assert.Contains(t, string(failed.Stderr), "acme:user:A1")
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}
