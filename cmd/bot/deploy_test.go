package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config"
)

func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../deploy/" + name)
	require.NoError(t, err)
	return string(b)
}

// setIn finds what an example sets, or would set if a line were uncommented.
var setIn = regexp.MustCompile(`(?m)^[\s#]*(?:Environment=)?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)(?:=|: )(\S.*)$`)

func TestExamplesSetVariablesThatThereAre(t *testing.T) {
	known := []string{"GOMEMLIMIT", "SSL_CERT_FILE", "BOT_NKEY", "NODE"}
	for _, v := range config.Variables() {
		known = append(known, v.Name)
		if v.Secret {
			known = append(known, v.Name+"_FILE")
		}
	}
	for _, name := range []string{"meetbot.env.example", "compose.yaml", "compose.cluster.yaml", "kubernetes/config.yaml", "systemd/meetbot.service"} {
		t.Run(name, func(t *testing.T) {
			text := example(t, name)
			var set []string
			for _, m := range setIn.FindAllStringSubmatch(text, -1) {
				set = append(set, m[1])
				assert.Contains(t, known, m[1])
			}
			require.NotEmpty(t, set)
			for _, v := range []string{"DISCORD_", "TENCENT_"} { // the headline is a live show
				assert.True(t, slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, v) }), "nothing of %s", v)
			}
		})
	}
}

func TestAnExampleIsNoConfiguration(t *testing.T) {
	env := map[string]string{"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SYSTEC_API_KEY": "k", "SYSTEC_API_SECRET": "s"}
	for line := range strings.Lines(example(t, "meetbot.env.example")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			env[name] = value
		}
	}
	_, err := load(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	var faults *config.Error
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults.Faults, 1)
	assert.Equal(t, "ADMINS", faults.Faults[0].Variable)
	assert.Contains(t, faults.Faults[0].Fix, "placeholder")
}

// Where memory has a limit, the heap knows one below it: the bot is told to be thrifty
// before it is killed.
func TestTheHeapHasALimitWhereTheProcessHasOne(t *testing.T) {
	const limit, heap = `(?m)^\s*(?:mem_limit: 512m|memory: 512Mi|MemoryMax=512M)$`, `GOMEMLIMIT(?:: |=)400MiB`
	for limited, set := range map[string]string{
		"compose.yaml": "compose.yaml", "compose.cluster.yaml": "compose.cluster.yaml", "systemd/meetbot.service": "systemd/meetbot.service",
		"kubernetes/single.yaml": "kubernetes/config.yaml", "kubernetes/cluster.yaml": "kubernetes/config.yaml",
	} {
		assert.Regexp(t, limit, example(t, limited), limited)
		assert.Regexp(t, heap, example(t, set), set)
	}
}

func TestKeyLinksAreInNoAccessLog(t *testing.T) {
	for _, doc := range strings.Split(example(t, "kubernetes/network.yaml"), "\n---\n") {
		if strings.Contains(doc, "kind: Ingress\n") && strings.Contains(doc, "/k/") {
			assert.Contains(t, doc, `enable-access-log: "false"`)
			assert.NotContains(t, doc, "/slack/", "whose log is of use")
		}
	}
	assert.Equal(t, 1, strings.Count(example(t, "kubernetes/network.yaml"), "path: /k/"))
}
