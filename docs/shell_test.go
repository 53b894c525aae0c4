package docs_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/config"
)

// treatment says how lines that are typed into a shell are kept true. One of the last three
// is given.
type treatment struct {
	line string // the lines, as an expression
	// run is what is typed, in a directory with the bot in PATH and a sandbox for its
	// provider; "as it is" is the line itself.
	run string
	// by is a file that runs it, and the text by which that is seen.
	by [2]string
	// not is why nothing runs it.
	not string
}

const (
	asItIs = "as it is"
	aStore = `printf '/meet Weekly sync\n' | bot >session && `

	needsDocker   = "needs a container engine; compose.yaml and the image's contents are checked by deploy/check.sh"
	needsCluster  = "needs a cluster; the manifests are checked by deploy/check.sh"
	needsSystemd  = "needs systemd, as the machine's own"
	needsAccounts = "starts the bot with real accounts"
	aRelease      = "builds a release, which .ci/run does for one platform"
)

var treatments = []treatment{
	{line: `printf '/meet (.*)\\n' \| go run \./cmd/bot`, by: [2]string{"../.ci/run", "| go run ./cmd/bot"}},
	{line: `(LOCALE=\S+ )?go run \./cmd/bot`, by: [2]string{"../.ci/run", "go run ./cmd/bot"}},
	{line: `go test \./\.\.\.`, by: [2]string{"../.ci/run", "go test -race"}},
	{line: `go test \./bench/promise -kills 100 -chaos -troubles 20`, by: [2]string{"../.ci/run", "./bench/promise -kills 100 -chaos -troubles 20"}},
	{line: `go test \./bench/hostile -duration 1m`, by: [2]string{"../.ci/run", "./bench/hostile -duration 1m"}},
	{line: `go test \./docs -recipes`, by: [2]string{"../.ci/run", "./docs -recipes"}},
	{line: `go run \./bench/fakeslack`, by: [2]string{"../bench/fakeslack/main_test.go", "TestABotInTheFakeWorkspace"}},
	{line: `\.ci/run`, not: "is what runs the rest"},
	{line: `GOBIN=/usr/local/bin go install \./cmd/bot`, run: "bot version"}, // of the bot that the test itself has installed so
	{line: `install .*`, by: [2]string{"systemd_test.go", "`## systemd`"}},
	{line: `\(umask 077; openssl .*\)`, by: [2]string{"systemd_test.go", "`## systemd`"}},
	{line: `journalctl .*`, not: needsSystemd},

	{line: `bot manifest slack( --org| --install \S+)? > manifest\.json`, run: asItIs + " && test -s manifest.json"},
	{line: `DISCORD_APPLICATION_ID=… bot manifest discord --invite`, run: "DISCORD_APPLICATION_ID=700000000000000001 bot manifest discord --invite"},
	{line: `bot`, not: needsAccounts},
	{line: `(DATA_DIR=/var/lib/meetbot )?bot doctor`, run: "bot doctor"},
	{line: `bot doctor --send \S+`, not: needsAccounts},
	{line: `bot (policy|jobs)`, run: aStore + asItIs},
	{line: `bot jobs ID( --settle done)?`, by: [2]string{"../cmd/bot/admin_test.go", "--settle"}},
	{line: `umask 077`, run: asItIs},
	{line: `bot export > records(-\$\(date \+%F\))?\.jsonl`, run: aStore + asItIs},
	{line: `test -s records-\$\(date \+%F\)\.jsonl`, run: aStore + "bot export > records-$(date +%F).jsonl && test -s records-$(date +%F).jsonl"},
	{line: `bot export --salvage > salvaged\.jsonl`, run: aStore + asItIs},
	{line: `ENCRYPTION_KEY_FILE=\S+ DATA_DIR=\S+ bot import < salvaged\.jsonl`, run: aStore + "bot export --salvage > s.jsonl && ENCRYPTION_KEY_FILE=$DATA_DIR/key DATA_DIR=$HERE/salvaged bot import < s.jsonl"},
	{line: `bot backup /backup/.*`, run: aStore + "bot backup $HERE/backup/copy && DATA_DIR=$HERE/backup/copy bot policy"},
	{line: `bot jobs RECORD --drop`, not: "takes a record that cannot be read; bot/jobs tries that"},
	{line: `(ENCRYPTION_KEY_FILE=\S+ DATA_DIR=\S+ )?bot import < records\S*\.jsonl`, run: aStore + "bot export > r.jsonl && ENCRYPTION_KEY_FILE=$DATA_DIR/key DATA_DIR=$HERE/new bot import < r.jsonl"},
	{line: `printf meetbot:%s JOB \| sha256sum \| cut -c 1-32`, run: asItIs},

	{line: `openssl rand -base64 32( > \S+)?`, run: "mkdir -p secrets && " + asItIs},
	{line: `cp -p ENCRYPTION_KEY new`, by: [2]string{"systemd_test.go", "`### ENCRYPTION_KEY`"}},
	{line: `printf '%s,%s\\n' .* > new && mv new ENCRYPTION_KEY`, by: [2]string{"systemd_test.go", "`### ENCRYPTION_KEY`"}},
	{line: `cp meetbot\.env\.example meetbot\.env`, run: "cp $ROOT/deploy/meetbot.env.example . && " + asItIs},
	{line: `mkdir -m 0700 secrets`, run: "rm -rf secrets && " + asItIs},
	{line: `chown -R 65532:65532 secrets`, not: "needs root"},
	{line: `chmod 0400 secrets/\*`, run: "mkdir -p secrets && echo x > secrets/A && " + asItIs},
	{line: `(export )?([A-Z_]+=\S+ ?)+`, not: "only sets variables; that they exist is tested below"},

	{line: `docker .*`, not: needsDocker},
	{line: `kubectl .*`, not: needsCluster},
	{line: `systemctl .*`, not: needsSystemd},
	{line: `helm .*`, not: needsCluster},
	{line: `set -a; \. /etc/meetbot/env; set \+a`, not: needsSystemd},
	{line: `for f in /etc/meetbot/secrets/\*; do .* done`, not: needsSystemd},
	{line: `rm -f .*/backup/.*`, not: needsSystemd},
	{line: `(mv|mkdir -m 0700) /var/lib/private/.*`, by: [2]string{"systemd_test.go", "`### Restore`"}},
	{line: `skopeo .*`, not: "needs a registry; the archive is unpacked and run by deploy/check.sh"},
	{line: `deploy/release\.sh v\S+`, not: aRelease},
}

// shellBlock finds blocks that are indented further than a list's text.
var (
	shellBlock = regexp.MustCompile(`(?m)\n\n((?: {4}| {7}).+\n(?:(?: {4}| {7}).*\n)*)`)
	remark     = regexp.MustCompile(` {2,}# .*$`)
)

// typed returns what the documents say to type into a shell, with where.
func typed(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, page := range pages(t) {
		if slices.Contains([]string{"commands.md", "architecture.md", "security.md"}, page) { // chat, and diagrams
			continue
		}
		for _, block := range shellBlock.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, page), ""), -1) {
			for line := range strings.SplitSeq(strings.ReplaceAll(block[1], "\\\n", " "), "\n") {
				line = strings.Join(strings.Fields(remark.ReplaceAllString(line, "")), " ")
				if line != "" {
					all[line] = page
				}
			}
		}
	}
	require.Greater(t, len(all), 40, "the commands were not found")
	return all
}

// shown is a log line, which nobody types.
var shown = regexp.MustCompile(`^every record is encrypted`)

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close() //nolint:errcheck // nothing was read or written
	return ln.Addr().String()
}

// TestWhatIsTypedIntoAShellWorks runs every command of the documents, or says what does or
// why nothing does.
func TestWhatIsTypedIntoAShellWorks(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	here := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "install", "-ldflags=-s -w", "./cmd/bot")
	build.Dir, build.Env = root, append(os.Environ(), "GOBIN="+filepath.Join(here, "bin"))
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))

	used := make([]bool, len(treatments))
	for line, page := range typed(t) {
		if shown.MatchString(line) {
			continue
		}
		found := false
		for i, how := range treatments {
			if !regexp.MustCompile(`^(?:` + how.line + `)$`).MatchString(line) {
				continue
			}
			found, used[i] = true, true
			switch {
			case how.by[0] != "":
				assert.Contains(t, read(t, how.by[0]), how.by[1], "%s does not run %q any more", how.by[0], line)
			case how.run != "":
				cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.ReplaceAll(how.run, asItIs, line))
				cmd.Dir = t.TempDir()
				cmd.Env = append(os.Environ(), "PATH="+filepath.Join(here, "bin")+":"+os.Getenv("PATH"), "ROOT="+root, "HERE="+cmd.Dir,
					"DATA_DIR="+filepath.Join(t.TempDir(), "data"), "MEET_PROVIDER=sandbox", "TMPDIR="+t.TempDir(), "OPS_ADDR="+freeAddress(t))
				said, err := cmd.CombinedOutput()
				assert.NoError(t, err, "%s says to type %q:\n%s", page, line, said)
			}
			break
		}
		assert.True(t, found, "%s: nothing runs %q, and nothing says why", page, line)
	}
	for i, how := range treatments {
		assert.True(t, used[i], "no document says to type %q any more", how.line)
	}
}

// TestVariablesThatAreSetExist looks at what the documents say to export or to put before a
// command.
func TestVariablesThatAreSetExist(t *testing.T) {
	known := map[string]bool{}
	for _, v := range config.Variables() {
		known[v.Name], known[v.Name+"_FILE"] = true, v.Secret
	}
	for _, name := range others {
		known[name] = true
	}
	n := 0
	for line, page := range typed(t) {
		for _, m := range regexp.MustCompile(`(?:^|\s)([A-Z][A-Z0-9]*_[A-Z0-9_]+)=`).FindAllStringSubmatch(line, -1) {
			n++
			assert.True(t, known[m[1]], "%s sets %s, which config does not know", page, m[1])
		}
	}
	assert.Greater(t, n, 10)
}
