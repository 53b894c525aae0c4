package docs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// theRooms are Acme's meetings. The answer that makes the second one is lost.
type theRooms struct {
	mu   sync.Mutex
	made []map[string]string
}

func (s *theRooms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer canary-acme-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var out any
	switch {
	case r.Method == http.MethodPost && len(path) == 1:
		var in map[string]string
		_ = json.NewDecoder(r.Body).Decode(&in) // an empty meeting is seen to be wrong
		id := fmt.Sprint(100000 + len(s.made))
		in["id"], in["state"], in["join_url"] = id, "waiting", "https://acme.example/m/"+id
		s.made = append(s.made, in)
		if len(s.made) == 2 {
			panic(http.ErrAbortHandler)
		}
		out = in
	case len(path) == 1:
		out = map[string]any{"meetings": slices.DeleteFunc(slices.Clone(s.made), func(m map[string]string) bool { return m["state"] == "over" })}
	default:
		i := slices.IndexFunc(s.made, func(m map[string]string) bool { return m["id"] == path[1] })
		if i < 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if len(path) == 3 && path[2] == "end" {
			s.made[i]["state"] = "over"
		}
		out = s.made[i]
	}
	_ = json.NewEncoder(w).Encode(out) // the bot would see it
}

// TestAProviderIsAddedByItsRecipe follows the recipe to the letter over a copy of the tree,
// counts the files that it touches, and has the bot that comes of it make meetings.
func TestAProviderIsAddedByItsRecipe(t *testing.T) {
	long(t)
	i := slices.IndexFunc(examples, func(e example) bool { return e.name == "provider" })
	c := copyTree(t)
	c.follow(examples[i])
	c.goTool("test", "./cmd/bot", "-run", "^TestTheConfigurationPageIsTrue$", "-update")
	assert.Equal(t, []string{
		"cmd/bot/providers.go", "config/providers.go",
		"docs/configuration.md", // generated
		"meeting/acme/acme.go", "meeting/acme/acme_test.go",
	}, c.changed(), "a provider is its directory, its settings, one row, and the generated page")
	c.goTool("test", "./meeting/acme", "./bot/grammar", "./config")
	c.goTool("test", "./docs", "-run", "^(TestEachPackageImportsOnlyWhatItMay|TestOnlyAProvidersOwnPackageNamesIt|TestEverySecretHasItsRotation|TestOnlyConfigReadsTheEnvironment|TestVariablesThatAreNamedExist)$")
	c.goTool("test", "./cmd/bot", "-run", "^(TestSubcommands|TestTheConfigurationPageIsTrue|TestBadConfigurationIsToldAtOnce)$")

	binary := filepath.Join(t.TempDir(), "bot")
	c.goTool("build", "-o", binary, "./cmd/bot")
	rooms := &theRooms{}
	api := httptest.NewServer(rooms)
	defer api.Close()
	env := []string{"ACME_TOKEN=canary-acme-token", "ACME_API_URL=" + api.URL, "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	run := func(stdin string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		assert.NotContains(t, string(out), "canary")
		return string(out), err
	}
	out, err := run("/meet Weekly\n/meet Board\n/meet list\n/meet share 100000\n/meet end #Acme: 100000\n")
	require.NoError(t, err, out)
	assert.Contains(t, out, "https://acme.example/m/100000")
	assert.Contains(t, out, "https://acme.example/m/100001", "found again after its answer was lost")
	assert.Len(t, rooms.made, 2, "and not made twice")
	assert.Regexp(t, `(?m)Board +100001`, out)

	env = append(env, "DATA_DIR="+filepath.Join(t.TempDir(), "data"))
	out, err = run("", "doctor")
	require.NoError(t, err, out)
	assert.Regexp(t, `ok +acme +the credentials are accepted`, out)
	env = append(env, "ACME_TOKEN=canary-other")
	out, err = run("", "doctor")
	require.Error(t, err)
	assert.Regexp(t, `acme +the credentials are refused: .*→ copy ACME_TOKEN again`, out)
	// In the sandbox, which does not play it, it makes no real meetings.
	env = append(env, "MEET_PROVIDER=sandbox")
	out, err = run("/meet Trial --provider acme\n")
	require.Error(t, err)
	assert.Len(t, rooms.made, 2, out)
}
