package ops_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"meetbot/bot/adapters/kit"
	"meetbot/bot/adapters/slack"
	"meetbot/bot/chat/chattest"
	"meetbot/bot/grammar"
	"meetbot/bot/jobs"
	"meetbot/bot/ops"
	"meetbot/bot/signed"
)

const (
	rulesFile     = "../../deploy/alerts/meetbot.rules.yaml"
	rulesTestFile = "../../deploy/alerts/meetbot.rules.test.yaml"
	dashboardFile = "../../deploy/grafana/meetbot.json"
	manualFile    = "../../docs/operating.md"
)

// known returns every metric with its labels, after everything was observed once.
func known(t *testing.T) map[string][]string {
	t.Helper()
	m := ops.NewMetrics("test", bothProviders, chattest.Slack, chattest.Discord, chattest.Console)
	j, c, s, d := m.Jobs(), m.Commands(), m.Platform(chattest.Slack, slack.ErrorKinds()), m.Platform(chattest.Discord, nil)
	c.Finished(chattest.Slack, grammar.VerbMeet, "created", time.Now())
	c.Called("systec", "create", "unavailable", 0)
	s.Acked("command", 0)
	s.Waited(0)
	s.Failed("auth.test", "transport")
	d.Duplicate()
	d.Rejected(signed.Stale)
	m.Rejected("tencent", signed.Stale)
	j.Enqueued(0, nil)
	j.Duplicate("meet")
	j.Transition("meet", jobs.Accepted, jobs.Calling)
	j.Started("meet", 0)
	j.Answered("meet", time.Now())
	j.Replayed("meet", jobs.Calling)
	j.Lost("meet")
	j.Late("meet")
	j.Timer(0)
	j.Reopened(nil)
	st := &store{state: jobs.Ready}
	m.Watch(st, &ops.Health{Store: st, Metrics: m, Adapters: map[string]func() kit.Health{"slack": adapter(kit.Running, "")}})
	families, err := m.Gatherer().Gather()
	require.NoError(t, err)
	all := map[string][]string{}
	for _, f := range families {
		names := []string{f.GetName()}
		labels := []string{"job", "instance"} // Prometheus' own
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if f.GetMetric()[0].GetHistogram() != nil {
			labels = append(labels, "le")
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, n := range names {
			all[n] = labels
		}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:meetbot|process|go)_[a-z_]+\b`)
	selector   = regexp.MustCompile(`\b((?:meetbot|process|go)_[a-z_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	byLabels   = regexp.MustCompile(`\b(?:by|on) \(([a-z_, ]+)\)`)
)

// check requires that everything an expression mentions is there.
func check(t *testing.T, all map[string][]string, expr string) (metrics []string) {
	t.Helper()
	names := metricName.FindAllString(expr, -1)
	require.NotEmpty(t, names, expr)
	var labels []string
	for _, n := range names {
		assert.Contains(t, all, n, expr)
		labels = append(labels, all[n]...)
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
			assert.Contains(t, all[s[1]], l[1], expr)
		}
	}
	for _, by := range byLabels.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(by[1], ",") {
			assert.Contains(t, labels, strings.TrimSpace(l), expr)
		}
	}
	assert.Equal(t, strings.Count(expr, "("), strings.Count(expr, ")"), expr)
	return names
}

type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	b, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &file))
	require.Len(t, file.Groups, 1)
	require.NotEmpty(t, file.Groups[0].Rules)
	return file.Groups[0].Rules
}

func TestAlertsAreAboutMetricsThatThereAre(t *testing.T) {
	all := known(t)
	seen := map[string]bool{}
	for _, r := range rules(t) {
		t.Run(r.Alert, func(t *testing.T) {
			assert.Regexp(t, `^Meetbot[A-Za-z]+$`, r.Alert)
			assert.False(t, seen[r.Alert], "twice")
			seen[r.Alert] = true
			check(t, all, r.Expr)
			assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"])
			if r.For != "" {
				_, err := time.ParseDuration(r.For)
				assert.NoError(t, err)
			}
			for _, a := range []string{"summary", "description"} {
				assert.NotEmpty(t, r.Annotations[a])
			}
			page := "docs/alerts/" + r.Alert + ".md"
			assert.Equal(t, "https://git.example.com/meetbot/"+page, r.Annotations["runbook_url"])
			assert.FileExists(t, "../../"+page)
		})
	}
}

// What the rules do is tested by promtool, where there is one; deploy/check.sh runs it.
func TestEveryAlertHasATestThatFiresAndOneThatDoesNot(t *testing.T) {
	b, err := os.ReadFile(rulesTestFile)
	require.NoError(t, err)
	var file struct {
		RuleFiles []string `yaml:"rule_files"`
		Tests     []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &file))
	assert.Equal(t, []string{filepath.Base(rulesFile)}, file.RuleFiles)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.AlertRuleTest {
			if len(c.ExpAlerts) > 0 {
				fires[c.Alertname] = true
			} else {
				silent[c.Alertname] = true
			}
		}
	}
	for _, r := range rules(t) {
		assert.True(t, fires[r.Alert], "%s never fires in %s", r.Alert, rulesTestFile)
		assert.True(t, silent[r.Alert], "%s is never silent in %s", r.Alert, rulesTestFile)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool in PATH: install one (Debian: apt-get install prometheus) to test what the rules do")
	}
	said, err := exec.Command(promtool, "test", "rules", rulesTestFile).CombinedOutput()
	assert.NoError(t, err, string(said))
}

func TestEveryAlertHasASectionInTheManual(t *testing.T) {
	b, err := os.ReadFile(manualFile)
	require.NoError(t, err)
	var sections []string
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "##") {
			sections = append(sections, strings.Trim(strings.TrimSpace(title), "`"))
		}
	}
	var alerts []string
	for _, r := range rules(t) {
		alerts = append(alerts, r.Alert)
		assert.Contains(t, sections, r.Alert, "what to do when it fires")
	}
	for _, s := range sections {
		if strings.HasPrefix(s, "Meetbot") {
			assert.Contains(t, alerts, s, "a section about no alert")
		}
	}
}

func TestTheDashboardShowsMetricsThatThereAre(t *testing.T) {
	b, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var d struct {
		Title  string
		UID    string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct{ List []struct{ Name string } }
	}
	require.NoError(t, json.Unmarshal(b, &d))
	all := known(t)
	shown, ids := map[string]bool{}, map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "panel %d twice", p.ID)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "%s lies over", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			for _, name := range check(t, all, target.Expr) {
				shown[name] = true
			}
		}
	}
	// Whatever is counted is worth a look: a metric that nothing shows is forgotten.
	for _, r := range rules(t) {
		for _, name := range metricName.FindAllString(r.Expr, -1) {
			shown[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "meetbot_") {
			assert.True(t, shown[base] || shown[base+"_bucket"] || shown[base+"_count"] || shown[base+"_sum"], "%s is on no panel and in no alert", name)
		}
	}
}

func TestChecksOfExpressionsFindWhatIsWrong(t *testing.T) {
	all := map[string][]string{"meetbot_x_total": {"job", "kind"}}
	for _, expr := range []string{
		`rate(meetbot_y_total[5m])`, `rate(meetbot_x_total{verb="a"}[5m])`, `sum by (verb) (meetbot_x_total)`, `sum(meetbot_x_total`,
	} {
		quiet := &testing.T{}
		check(quiet, all, expr)
		assert.True(t, quiet.Failed(), expr)
	}
	quiet := &testing.T{}
	check(quiet, all, `sum by (kind) (rate(meetbot_x_total{kind!="a",job=~"b"}[5m]))`)
	assert.False(t, quiet.Failed())
}
