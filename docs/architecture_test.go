// Package docs_test keeps the documents true: it generates what can be generated, compiles
// the worked examples, and checks which package knows which.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mayImport says, for every package, which of our own packages its code may import. A
// trailing /... stands for everything below as well. Tests may import anything.
var mayImport = map[string][]string{
	"cmd/bot": {"..."},

	// What an adapter may know of the rest: the words, what can be typed, and the sentences.
	"bot/adapters/kit":     {"bot/chat", "bot/grammar", "bot/spans", "bot/signed", "config/clock", "config/secret"},
	"bot/adapters/slack":   append([]string{"bot/installs", "bot/webpage"}, anAdapter...),
	"bot/adapters/keypage": {"bot/chat", "bot/commands", "bot/grammar", "bot/livepush", "bot/texts", "bot/webpage", "config/secret", "meeting"},

	"bot/chat":     {"config/secret"},
	"bot/texts":    {},
	"bot/plain":    {},
	"bot/webpage":  {},
	"bot/grammar":  {"bot/chat", "bot/livepush", "bot/plain", "bot/texts", "config/near", "config/secret", "meeting"},
	"bot/policy":   {"bot/chat"},
	"bot/records":  {"bot/jobs"},
	"bot/installs": {"bot/jobs", "bot/records", "config/secret"},
	"bot/audit":    {"bot/jobs", "bot/records", "meeting"},
	"bot/settings": {"bot/chat", "bot/jobs", "bot/policy", "bot/records"},
	"bot/livepush": {"bot/chat", "bot/jobs", "bot/plain", "bot/records", "bot/texts", "config/secret", "meeting"},
	"bot/registry": {"bot/chat", "bot/jobs", "bot/records", "bot/texts", "config/secret", "meeting"},
	"bot/commands": {
		"bot/audit", "bot/chat", "bot/grammar", "bot/jobs", "bot/livepush", "bot/plain", "bot/policy", "bot/records", "bot/registry", "bot/settings", "bot/spans", "bot/texts",
		"config/clock", "config/secret", "meeting",
	},
	"bot/jobs":  {"bot/jobs/internal/...", "bot/spans"},
	"bot/spans": {},
	// The engines know records, not what the promise is about.
	"bot/jobs/internal/engine": {},
	// What an operator asks for looks at every part, so it knows them; nobody but cmd/bot
	// knows it.
	"bot/ops": {"bot/adapters/kit", "bot/chat", "bot/commands", "bot/grammar", "bot/jobs", "bot/spans", "config/...", "bot/signed", "meeting/..."},

	"meeting":                  {"config/secret"},
	"meeting/internal/lenient": {},
	"meeting/internal/oneshot": {"meeting", "meeting/internal/...", "config/clock", "config/secret"},
	"meeting/internal/scrub":   {},
	// It checks the clients, so it shares no code with them.
	"meeting/sandbox": {"config/secret"},

	"config":        {"config/near", "config/secret"},
	"config/clock":  {},
	"config/near":   {},
	"config/secret": {},
	"bot/signed":    {},

	// For tests alone.
	"bot/adapters/adaptertest":         {"bot/chat", "bot/chat/chattest", "bot/commands", "bot/grammar/...", "bot/jobs", "bot/policy", "bot/texts", "meeting/...", "config/secret"},
	"bot/adapters/slack/slacktest":     {},
	"bot/adapters/discord/discordtest": {},
	"bot/jobs/jobstest":                {},
	"bot/chat/chattest":                {"bot/chat"},
	"bot/grammar/grammartest":          {"bot/chat", "bot/chat/chattest", "bot/grammar", "config/secret", "meeting/..."},
	"bot/goldentest":                   {},
	"bot/records/recordstest":          {"bot/jobs"},
	"meeting/clienttest":               {"meeting", "meeting/sandbox", "config/secret"},

	"bench":         {"..."},
	"docs/examples": {"..."},
	"deploy":        {},
}

const module = "meetbot/"

func TestEachPackageImportsOnlyWhatItMay(t *testing.T) {
	seen := map[string]bool{}
	for path, file := range goFiles(t) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		seen[pkg] = true
		allowed, ok := rulesOf(pkg)
		if !assert.True(t, ok, "%s has no rule: say in mayImport what it may know", pkg) {
			continue
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if ours, ok := strings.CutPrefix(name, module); ok {
				assert.True(t, permitted(allowed, ours), "%s must not know %s", path, ours)
			}
		}
	}
	for pkg := range mayImport {
		optional := pkg == "bench" || pkg == "deploy" || pkg == "bot/ops" || pkg == "docs/examples"
		assert.True(t, optional || seen[pkg], "mayImport has a rule for %s, which is not there", pkg)
	}
}

// anAdapter is what every adapter may know that has no rule of its own: the words, what can
// be typed, and the sentences.
var anAdapter = []string{"bot/adapters/kit", "bot/chat", "bot/grammar", "bot/texts", "bot/signed", "config/clock", "config/secret"}

// aProvider is what every meeting provider may know that has no rule of its own.
var aProvider = []string{"meeting", "meeting/internal/...", "bot/signed", "config/clock", "config/secret"}

// rulesOf returns the rule of a package, or of the nearest directory above that has one
// and is not a product package itself.
func rulesOf(pkg string) ([]string, bool) {
	if allowed, ok := mayImport[pkg]; ok {
		return allowed, true
	}
	if name, ok := strings.CutPrefix(pkg, "bot/adapters/"); ok && !strings.Contains(name, "/") {
		return anAdapter, true
	}
	if name, ok := strings.CutPrefix(pkg, "meeting/"); ok && !strings.Contains(name, "/") {
		return aProvider, true
	}
	for _, above := range []string{"bench", "docs/examples", "deploy"} {
		if strings.HasPrefix(pkg, above+"/") {
			return mayImport[above], true
		}
	}
	return nil, false
}

func permitted(allowed []string, name string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		if a == "..." {
			return true
		}
		if below, ok := strings.CutSuffix(a, "/..."); ok {
			return name == below || strings.HasPrefix(name, below+"/")
		}
		return name == a
	})
}

func TestTheRulesTellForbiddenFromAllowed(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"bot/commands", "meeting", true},
		{"bot/commands", "meeting/systec", false},
		{"bot/commands", "bot/adapters/slack", false},
		{"bot/adapters/slack", "bot/adapters/discord", false},
		{"bot/adapters/discord", "meeting/tencent", false},
		{"bot/jobs", "bot/commands", false},
		{"bot/jobs", "meeting", false},
		{"meeting", "meeting/systec", false},
		{"meeting/systec", "meeting/tencent", false},
		{"meeting/sandbox", "meeting/tencent", false},
		{"meeting/tencent", "meeting/internal/oneshot", true},
		{"config", "config/secret", true},
		{"config", "meeting", false},
		{"cmd/bot", "meeting/sandbox", true},
	} {
		allowed, ok := rulesOf(tt.from)
		require.True(t, ok, tt.from)
		assert.Equal(t, tt.want, permitted(allowed, tt.to), "%s → %s", tt.from, tt.to)
	}
}

// namesPlatforms are the directories whose code may name a chat platform, besides the
// platform's own: where they are gathered, their settings, and what is for tests and
// measurements.
var namesPlatforms = []string{"cmd/bot/", "config/", "bench/", "deploy/", "bot/chat/chattest/", "bot/grammar/grammartest/"}

// noPlatforms are the adapters' packages that are none.
var noPlatforms = []string{"kit", "keypage", "adaptertest"}

// platformWord matches the name of every platform: those are the adapters' directories.
func platformWord(t *testing.T) *regexp.Regexp {
	t.Helper()
	dirs, err := os.ReadDir("../bot/adapters")
	require.NoError(t, err)
	var names []string
	for _, d := range dirs {
		if d.IsDir() && !slices.Contains(noPlatforms, d.Name()) {
			names = append(names, d.Name())
		}
	}
	require.GreaterOrEqual(t, len(names), 3)
	return regexp.MustCompile("(?i)" + strings.Join(names, "|"))
}

// TestOnlyAPlatformsOwnRoomsNameIt looks for platforms among the names and the strings of the
// code: what others must know of one is its chat.Kind.
func TestOnlyAPlatformsOwnRoomsNameIt(t *testing.T) {
	words := platformWord(t)
	looked, found := 0, 0
	for path, file := range goFiles(t) {
		slash := filepath.ToSlash(path)
		if strings.HasSuffix(slash, "_test.go") {
			continue
		}
		free := slices.ContainsFunc(namesPlatforms, func(dir string) bool { return strings.HasPrefix(slash, dir) })
		if rest, adapter := strings.CutPrefix(slash, "bot/adapters/"); adapter {
			free = !slices.ContainsFunc(noPlatforms, func(dir string) bool { return strings.HasPrefix(rest, dir+"/") })
		}
		looked++
		ast.Inspect(file, func(n ast.Node) bool {
			word := ""
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false // the imports have their own rules
			case *ast.Ident:
				word = n.Name
			case *ast.BasicLit:
				word = n.Value
			}
			if words.MatchString(word) {
				found++
				assert.True(t, free, "%s names a platform: %s", path, word)
			}
			return true
		})
	}
	assert.Greater(t, looked, 100)
	assert.Greater(t, found, 100, "the platforms' own rooms name them")
}

// readsEnvironment lists who may touch the environment, and what for. Everything else
// gets its settings from config.
var readsEnvironment = map[string][]string{
	"cmd/bot/main.go":                 {"LookupEnv", "Environ"}, // handed to config.Load; names that nearly are variables
	"bot/adapters/console/console.go": {"Getenv"},               // TERM: what the terminal can show
}

func TestOnlyConfigReadsTheEnvironment(t *testing.T) {
	used := map[string]bool{}
	for path, file := range goFiles(t) {
		slash := filepath.ToSlash(path)
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(slash, "config/") || strings.HasPrefix(slash, "bench/") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok || pkg.Name != "os" && pkg.Name != "syscall" {
				return true
			}
			switch name := sel.Sel.Name; name {
			case "Getenv", "LookupEnv", "Environ", "ExpandEnv":
				used[slash] = true
				assert.Contains(t, readsEnvironment[slash], name, "%s reads the environment: only config does", slash)
			}
			return true
		})
	}
	for path := range readsEnvironment {
		assert.True(t, used[path], "%s does not read the environment any more: remove its allowance", path)
	}
}

func TestTheTopLevelHoldsNothingElse(t *testing.T) {
	entries, err := filepath.Glob("../*")
	require.NoError(t, err)
	allowed := []string{
		"go.mod", "go.sum", "cmd", "bot", "meeting", "config", "deploy", "docs", "bench", "Dockerfile", "README.md", "CHANGELOG.md",
		"data", "dist", // what running and releasing leave behind; ignored by git
	}
	for _, e := range entries {
		name := filepath.Base(e)
		assert.True(t, strings.HasPrefix(name, ".") || slices.Contains(allowed, name), "%s does not belong at the top level", name)
	}
}

// goFiles parses every Go file of the main module, by its path from the root.
func goFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	const root = ".."
	files := map[string]*ast.File{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "data" || name == "dist") {
				return fs.SkipDir
			}
			if path != root && nested(path) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		files[rel] = f
		return err
	})
	require.NoError(t, err)
	require.Greater(t, len(files), 100, "the files of the module were not found")
	return files
}

// nested reports whether a directory is a module of its own.
func nested(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "go.mod"))
	return err == nil && len(found) > 0
}

// namesProviders are the words for the providers. What is true of one stands in its own
// package, in a struct of config, and in the table of cmd/bot.
var namesProviders = regexp.MustCompile(`(?i)systec|umeeting|tencent|wemeet|voov|腾讯|zoom`)

func TestOnlyAProvidersOwnPackageNamesIt(t *testing.T) {
	seen := 0
	for path, file := range goFiles(t) {
		pkg := filepath.ToSlash(filepath.Dir(path))
		ours := pkg == "meeting" || pkg == "config" && filepath.Base(path) != "providers.go" || strings.HasPrefix(pkg, "bot/") && !strings.HasSuffix(pkg, "test")
		if !ours || strings.HasSuffix(path, "_test.go") {
			continue
		}
		seen++
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				assert.False(t, namesProviders.MatchString(n.Value), "%s names a provider: %s", path, n.Value)
			case *ast.Ident:
				assert.False(t, namesProviders.MatchString(n.Name), "%s names a provider: %s", path, n.Name)
			}
			return true
		})
	}
	assert.Greater(t, seen, 50)
}

// TestNoTextNamesAProvider looks for providers in what people read: their names come from
// their Kinds.
func TestNoTextNamesAProvider(t *testing.T) {
	files, err := filepath.Glob("../bot/texts/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 8)
	for _, path := range files {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(b)) {
			assert.False(t, namesProviders.MatchString(line), "%s names a provider: %s", path, line)
		}
	}
}
