package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"meetbot/bot/adapters/slack"
	"meetbot/bot/goldentest"
	"meetbot/config"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced  = regexp.MustCompile("(?s)```.*?```")
)

// anchor is the fragment that a heading is reached by.
func anchor(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteRune('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// pages are all documents for people: those in docs, and the two at the top.
func pages(t *testing.T) []string {
	t.Helper()
	return append(markdown(t), "../README.md", "../CHANGELOG.md")
}

// linked returns the files that a page links to, from the root of the tree.
func linked(t *testing.T, page string) []string {
	t.Helper()
	var to []string
	for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
		file, _, _ := strings.Cut(m[1], "#")
		if file == "" || strings.Contains(file, "://") {
			continue
		}
		if path := filepath.ToSlash(filepath.Join("docs", filepath.Dir(page), filepath.FromSlash(file))); !slices.Contains(to, path) {
			to = append(to, path)
		}
	}
	slices.Sort(to)
	return to
}

func TestTheReadmesAreShortAndReachEveryPage(t *testing.T) {
	for _, readme := range []string{"../README.md", "README.zh-CN.md"} {
		t.Run(readme, func(t *testing.T) {
			assert.LessOrEqual(t, strings.Count(read(t, readme), "\n"), 150)
			reached := append(linked(t, readme), "README.md", "docs/README.zh-CN.md")
			top, err := filepath.Glob("*.md")
			require.NoError(t, err)
			for _, page := range top {
				assert.Contains(t, reached, "docs/"+page)
			}
		})
	}
}

// TestTheReadmesAreEqual compares what can be compared of two languages: where the links
// lead, how many sections and lines to type there are, and which variables are set.
func TestTheReadmesAreEqual(t *testing.T) {
	english, chinese := read(t, "../README.md"), read(t, "README.zh-CN.md")
	toEach := []string{"README.md", "docs/README.zh-CN.md"} // to each other
	without := func(all []string) []string {
		return slices.DeleteFunc(all, func(s string) bool { return slices.Contains(toEach, s) })
	}
	assert.Equal(t, without(linked(t, "../README.md")), without(linked(t, "README.zh-CN.md")))
	for name, what := range map[string]*regexp.Regexp{
		"sections":      regexp.MustCompile(`(?m)^#+ `),
		"lines to type": regexp.MustCompile(`(?m)^    +[^ \n]`),
		"table rows":    regexp.MustCompile(`(?m)^\| `),
		"steps":         regexp.MustCompile(`(?m)^\d\. `),
	} {
		assert.Equal(t, len(what.FindAllString(english, -1)), len(what.FindAllString(chinese, -1)), name)
	}
	variables := regexp.MustCompile(`\b[A-Z]+_[A-Z_]+\b`)
	assert.Equal(t, variables.FindAllString(english, -1), slices.DeleteFunc(variables.FindAllString(chinese, -1), func(s string) bool { return s == "LOCALE" }))
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, path := range pages(t) {
		text := fenced.ReplaceAllString(read(t, path), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, fragment, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
			}
			if _, err := os.Stat(target); !assert.NoError(t, err, "%s links to %s", path, m[1]) || fragment == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, target), ""), -1) {
				anchors = append(anchors, anchor(strings.Trim(h[1], "`")))
			}
			assert.Contains(t, anchors, fragment, "%s links to %s", path, m[1])
		}
	}
}

var (
	image    = regexp.MustCompile(`(?:src|srcset)="([^"]+)"`)
	untitled = regexp.MustCompile(`<img (?:[^>]*alt=""|src)|!\[\]`)
)

// TestEveryPictureIsThereAndSaysWhatItShows looks at both modes, and for pictures that no
// page shows.
func TestEveryPictureIsThereAndSaysWhatItShows(t *testing.T) {
	shown := map[string]bool{}
	for _, path := range pages(t) {
		text := read(t, path)
		assert.NotRegexp(t, untitled, text, "%s has a picture without a text", path)
		for _, m := range image.FindAllStringSubmatch(text, -1) {
			file := filepath.Join(filepath.Dir(path), filepath.FromSlash(m[1]))
			assert.FileExists(t, file, path)
			shown[filepath.Base(file)] = true
		}
	}
	made, err := filepath.Glob("pictures/*")
	require.NoError(t, err)
	require.NotEmpty(t, made)
	for _, path := range made {
		assert.True(t, shown[filepath.Base(path)], "no page shows %s", path)
	}
}

// TestEveryScopeIsExplained compares the scopes that the bot makes use of with the page.
func TestEveryScopeIsExplained(t *testing.T) {
	table := section(t, read(t, "slack.md"), "## Permissions")
	var explained, used []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			explained = append(explained, strings.Trim(name, "`"))
		}
	}
	for _, s := range slack.AllScopes() {
		used = append(used, s.Name)
	}
	assert.ElementsMatch(t, used, explained)
}

// others are variables that are somebody else's, or a deploy file's own.
var others = []string{
	"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "NO_COLOR",
	"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_SCHEDULE_DELAY",
	"MEETBOT_IMAGE", "NATS_IMAGE", "BOT_NKEY", "GO_IMAGE",
}

// TestVariablesThatAreNamedExist looks through the documents and the files that the bot is
// deployed with for variables that config does not know.
func TestVariablesThatAreNamedExist(t *testing.T) {
	known := map[string]bool{}
	for _, v := range config.Variables() {
		known[v.Name] = true
		if v.Secret {
			known[v.Name+"_FILE"] = true
		}
	}
	for _, name := range others {
		known[name] = true
	}
	named := 0
	check := func(path, name string) {
		named++
		assert.True(t, known[name], "%s names %s, which config does not know", path, name)
	}
	backticked := regexp.MustCompile("`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`")
	for _, path := range pages(t) {
		for _, m := range backticked.FindAllStringSubmatch(read(t, path), -1) {
			if m[1] != "NAME_FILE" {
				check(path, m[1])
			}
		}
	}
	entry := regexp.MustCompile(`(?m)^\s*(?:- name: )?#?([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:[:=]|$)`)
	deployed, err := filepath.Glob("../deploy/kubernetes/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, deployed)
	for _, m := range regexp.MustCompile(`[= ]([A-Z][A-Z0-9]*_[A-Z0-9_]+)=`).FindAllStringSubmatch(read(t, "../deploy/systemd/meetbot.service"), -1) {
		check("meetbot.service", m[1])
	}
	for _, path := range append(deployed, "../deploy/compose.yaml", "../deploy/compose.cluster.yaml", "../deploy/meetbot.env.example") {
		for _, m := range entry.FindAllStringSubmatch(read(t, path), -1) {
			check(path, m[1])
		}
	}
	require.Greater(t, named, 100, "the variables were not found")
}

// TestTheChartKnowsEverySecret compares the names that its schema keeps out of the plain
// variables, and looks at the variables that it sets itself.
func TestTheChartKnowsEverySecret(t *testing.T) {
	const chart = "../deploy/helm/meetbot/"
	var schema struct {
		Properties struct {
			Config struct {
				PropertyNames struct{ Not struct{ Enum []string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, chart+"values.schema.json")), &schema))
	known := map[string]bool{}
	var secrets []string
	for _, v := range config.Variables() {
		known[v.Name] = true
		if v.Secret {
			known[v.Name+"_FILE"] = true
			secrets = append(secrets, v.Name)
		}
	}
	assert.ElementsMatch(t, secrets, schema.Properties.Config.PropertyNames.Not.Enum)
	files, err := filepath.Glob(chart + "ci/*.yaml")
	require.NoError(t, err)
	set := regexp.MustCompile(`(?m)(?:^ *|[\[ ])([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:: |[,\]])`)
	n := 0
	for _, path := range append(files, chart+"values.yaml", chart+"templates/_pod.tpl") {
		for _, m := range set.FindAllStringSubmatch(read(t, path), -1) {
			n++
			assert.True(t, known[m[1]] || slices.Contains(others, m[1]), "%s sets %s, which config does not know", path, m[1])
		}
	}
	assert.Greater(t, n, 15)
}

// section is what stands under a heading, with what is below it.
func section(t *testing.T, text, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut("\n"+text, "\n"+title+"\n")
	require.True(t, ok, "no heading %q", title)
	level := title[:strings.Index(title, " ")+1]
	s, _, _ := strings.Cut(rest, "\n"+level)
	return s
}

func TestEverySecretHasItsRotation(t *testing.T) {
	s := section(t, read(t, "operating.md"), "## Rotate a secret")
	for _, v := range config.Variables() {
		assert.True(t, !v.Secret || v.Rotate != "" || strings.Contains(s, "`"+v.Name+"`"), "neither its declaration nor operating.md says how to rotate %s", v.Name)
	}
}

// alert is one rule of deploy/alerts.
type alert struct {
	Alert  string
	Expr   string
	For    string
	Labels struct{ Severity string }
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	files, err := filepath.Glob("../deploy/alerts/*.yaml")
	require.NoError(t, err)
	for _, path := range files {
		var rules struct {
			Groups []struct{ Rules []alert }
		}
		require.NoError(t, yaml.Unmarshal([]byte(read(t, path)), &rules))
		for _, g := range rules.Groups {
			all = append(all, g.Rules...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// TestEveryAlertHasItsPage compares the alert rules with the pages, and with the headings
// that the rules' annotations point to. What a page says of its rule is generated.
func TestEveryAlertHasItsPage(t *testing.T) {
	operating := section(t, read(t, "operating.md"), "## Alerts")
	rule := regexp.MustCompile(`(?s)<!-- rule -->\n.*?<!-- /rule -->`)
	var named []string
	for _, a := range alerts(t) {
		named = append(named, a.Alert)
		path := "alerts/" + a.Alert + ".md"
		page := read(t, path)
		when := "at once"
		if a.For != "" {
			when = "after " + a.For
		}
		page = rule.ReplaceAllLiteralString(page, "<!-- rule -->\n**Severity: "+a.Labels.Severity+"**, "+when+" of\n\n```promql\n"+strings.TrimSpace(a.Expr)+"\n```\n<!-- /rule -->")
		goldentest.Check(t, path, page)
		assert.True(t, strings.HasPrefix(page, "# "+a.Alert+"\n"), path)
		assert.Less(t, len(strings.Fields(page)), 250, "%s is too long for 3 a.m.", path)
		assert.Contains(t, operating, "### "+a.Alert+"\n\n[", "operating.md has no heading for it")
		assert.Contains(t, operating, "]("+path+")")
	}
	there, err := filepath.Glob("alerts/*.md")
	require.NoError(t, err)
	assert.Len(t, there, len(named), "a page of no alert")
	assert.Len(t, regexp.MustCompile(`(?m)^### `).FindAllString(operating, -1), len(named), "a heading of no alert")
}

// TestTheBinarysCommandsThatAreNamedExist looks for `bot …` in the documents.
func TestTheBinarysCommandsThatAreNamedExist(t *testing.T) {
	known := []string{"-h"}
	for _, m := range regexp.MustCompile(`(?m)^\t\t\{"(\w+)", `).FindAllStringSubmatch(read(t, "../cmd/bot/main.go"), -1) {
		known = append(known, m[1])
	}
	require.Greater(t, len(known), 5, "the sub-commands were not found")
	named := regexp.MustCompile("(?:`|(?m:^)    +(?:\\$ )?|/)bot ([a-z]+|-h)\\b")
	for _, path := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(read(t, path), -1) {
			assert.Contains(t, known, m[1], "%s names `bot %s`", path, m[1])
		}
	}
}

// TestEveryReleaseHasItsSection compares the changelog with the tags, and has the release
// script refuse a version that it does not know.
func TestEveryReleaseHasItsSection(t *testing.T) {
	changelog := read(t, "../CHANGELOG.md")
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (v\d+\.\d+\.\d+)$`).FindAllStringSubmatch(changelog, -1) {
		sections = append(sections, m[1])
		assert.Contains(t, section(t, changelog, "## "+m[1]), "### Upgrading\n", m[1])
	}
	require.NotEmpty(t, sections)
	number := func(version string) []int {
		var n [3]int
		_, err := fmt.Sscanf(version, "v%d.%d.%d", &n[0], &n[1], &n[2])
		require.NoError(t, err)
		return n[:]
	}
	assert.True(t, slices.IsSortedFunc(sections, func(a, b string) int { return slices.Compare(number(b), number(a)) }), "the newest comes first")

	assert.Contains(t, read(t, "../deploy/helm/meetbot/Chart.yaml"), "\nappVersion: "+sections[0]+"\n", "the chart is of the newest version")

	tags, err := exec.CommandContext(t.Context(), "git", "tag", "--list", "v[0-9]*").Output()
	if err != nil {
		t.Log("no tags are compared: this is no git repository, or git is missing")
	}
	for tag := range strings.FieldsSeq(string(tags)) {
		assert.Contains(t, sections, tag)
	}

	script := exec.CommandContext(t.Context(), "bash", "../deploy/release.sh", "v999.0.0", t.TempDir())
	said, err := script.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(said), "CHANGELOG.md has no section")
}
