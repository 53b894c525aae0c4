package docs_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"meetbot/bot/goldentest"
)

// example is a worked example: files that would be added to the tree, and lines that would
// go into files that are there.
type example struct {
	name string
	add  map[string]string // path in the tree → file in testdata
	into []insertion
	pkg  string // packages, separated by blanks
	run  string // tests of the packages that have to pass
	skip string // tests whose golden files the document says to generate anew
}

type insertion struct{ path, before, lines string }

var examples = []example{
	{
		name: "command",
		add: map[string]string{
			"bot/commands/number.go":          "command/number.go",
			"bot/commands/tellnumber_test.go": "command/number_test.go",
			"bot/texts/number.en.json":        "command/number.en.json",
			"bot/texts/number.zh-CN.json":     "command/number.zh-CN.json",
		},
		into: []insertion{
			{"bot/grammar/verbs.go", "\tVerbMeetHelp  Verb = \"help\"\n", "command/verb.txt"},
			{"bot/grammar/verbs.go", "\t\t{Verb: VerbMeetHelp, Command: commandMeet,", "command/declaration.txt"},
			{"bot/commands/steps.go", "\t\tgrammar.VerbMeetEnd:", "command/handler.txt"},
		},
		pkg: "./bot/commands/ ./bot/grammar/ ./bot/texts/ ./bot/ops/", run: ".", skip: "^TestHelpReadsWell$",
	},
	{
		name: "provider",
		add:  map[string]string{"meeting/acme/acme.go": "provider/acme.go", "meeting/acme/acme_test.go": "provider/acme_test.go"},
		into: []insertion{
			{"config/providers.go", "}\n\n// Provider is what the settings of a meeting provider tell", "provider/field.txt"},
			{"config/providers.go", "// Systec is SYSTEC umeeting; on when", "provider/config.txt"},
			{"cmd/bot/providers.go", "\t\"meetbot/meeting/sandbox\"\n", "provider/import.txt"},
			{"cmd/bot/providers.go", "\t}\n}\n\n// inSandbox starts", "provider/row.txt"},
		},
		pkg: "./meeting/acme/", run: ".",
	},
	{
		name: "platform",
		add: map[string]string{
			"bot/adapters/acme/acme.go": "platform/acme.go", "bot/adapters/acme/acme_test.go": "platform/acme_test.go",
			"bot/texts/acme.en.json": "platform/acme.en.json", "bot/texts/acme.zh-CN.json": "platform/acme.zh-CN.json",
		},
		into: []insertion{
			{"config/platforms.go", "}\n\n// Platform is what the settings of a chat platform tell", "platform/field.txt"},
			{"config/platforms.go", "// Slack is on when BotToken is set.", "platform/config.txt"},
			{"cmd/bot/platforms.go", "\t\"meetbot/bot/adapters/console\"\n", "platform/import.txt"},
			{"cmd/bot/platforms.go", "\t\t{\n\t\t\tkind: func(c config.Config) chat.Kind { return console.Kind(c.Sandbox()) },", "platform/row.txt"},
		},
		pkg: "./bot/adapters/acme/", run: ".",
	},
}

// Each builds much of the bot anew: go test alone looks only whether the examples still fit.
var recipes = flag.Bool("recipes", false, "build and run the examples, and follow the recipes to the letter, for some minutes")

func long(t *testing.T) {
	t.Helper()
	if !*recipes {
		t.Skip("builds the bot anew: go test ./docs -recipes")
	}
}

// TestTheWorkedExamplesWork lays each example over the tree, as somebody who follows the
// document would change it, and with -recipes runs its tests.
func TestTheWorkedExamplesWork(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			replace := map[string]string{}
			for path, file := range e.add {
				source, err := filepath.Abs(filepath.Join("testdata", file))
				require.NoError(t, err)
				replace[filepath.Join(root, path)] = source
			}
			for _, in := range e.into {
				path := filepath.Join(root, in.path)
				was, err := os.ReadFile(cmp.Or(replace[path], path)) // the example may change it twice
				require.NoError(t, err)
				lines, err := os.ReadFile(filepath.Join("testdata", in.lines))
				require.NoError(t, err)
				require.Equal(t, 1, strings.Count(string(was), in.before), "%s has no place for the example any more", in.path)
				changed := filepath.Join(t.TempDir(), filepath.Base(in.path))
				require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(was), in.before, string(lines)+in.before, 1)), 0o600))
				replace[path] = changed
			}
			long(t)
			overlay, err := json.Marshal(map[string]any{"Replace": replace})
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, os.WriteFile(file, overlay, 0o600))
			var out []byte
			for _, pkg := range strings.Fields(e.pkg) {
				// Built and run apart: `go test` would enter the package's directory, which need not exist.
				program := filepath.Join(t.TempDir(), "example.test")
				build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", file, "-o", program, pkg)
				build.Dir = root
				said, err := build.CombinedOutput()
				require.NoError(t, err, string(said))
				cmd := exec.CommandContext(t.Context(), program, "-test.run", e.run, "-test.skip", cmp.Or(e.skip, "^$"), "-test.v", "-test.timeout", "10m")
				cmd.Dir = t.TempDir()
				if _, err := os.Stat(filepath.Join(root, pkg)); err == nil { // its test data is there
					cmd.Dir = filepath.Join(root, pkg)
				}
				said, err = cmd.CombinedOutput()
				require.NoError(t, err, string(said))
				assert.NotContains(t, string(said), "no tests to run")
				out = append(out, said...)
			}
			for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(e.run, -1) {
				assert.Contains(t, string(out), "--- PASS: "+name, "the document names a test that is gone")
			}
		})
	}
}

// included is a file that a document shows, between two marks.
var included = regexp.MustCompile("(?s)<!-- include: ([a-z0-9/._A-Z-]+) -->\n.*?<!-- end -->")

// TestTheDocumentsShowTheExamplesAsTheyAre compares every included file with the document.
func TestTheDocumentsShowTheExamplesAsTheyAre(t *testing.T) {
	shown := map[string]bool{}
	for _, path := range markdown(t) {
		was, err := os.ReadFile(path)
		require.NoError(t, err)
		is := included.ReplaceAllStringFunc(string(was), func(block string) string {
			name := included.FindStringSubmatch(block)[1]
			shown[name] = true
			content, err := os.ReadFile(filepath.FromSlash("testdata/" + name))
			require.NoError(t, err)
			lang := map[string]string{".go": "go", ".txt": "go", ".json": "json"}[filepath.Ext(name)]
			return "<!-- include: " + name + " -->\n```" + lang + "\n" + strings.TrimRight(string(content), "\n") + "\n```\n<!-- end -->"
		})
		goldentest.Check(t, path, is)
	}
	for _, e := range examples {
		for _, file := range e.add {
			assert.True(t, shown[file] || strings.HasSuffix(file, "_test.go"), "no document shows %s", file)
		}
		for _, in := range e.into {
			assert.True(t, shown[in.lines], "no document shows %s", in.lines)
		}
	}
}

// markdown returns every page in docs.
func markdown(t *testing.T) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	}))
	require.NotEmpty(t, paths)
	return paths
}
