// Package contrib_test holds what is offered for Grafana and Prometheus against what a Repeater exports.
package contrib_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"

	"github.com/webhook-repeater/repeater"
)

// exported is the labels of each series, as a Repeater exports it that has had something of everything. The values of a
// label are those that were seen.
type exported map[string]map[string][]string

// fromEverywhere are the labels that Prometheus itself adds to what it collects.
var fromEverywhere = []string{"instance", "job"}

func export(t *testing.T) exported {
	t.Helper()
	reg := prometheus.NewRegistry()
	dest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "refused" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(dest.Close)
	rp := repeater.New(repeater.WithMetrics(reg), repeater.WithFile(filepath.Join(t.TempDir(), "test.db")),
		repeater.WithLogger(slog.New(slog.DiscardHandler)), repeater.Route("/x", dest.URL, repeater.Name("x")),
		repeater.Route("/down", "http://127.0.0.1:1", repeater.Name("down")))
	ran := make(chan error, 1)
	go func() { ran <- rp.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := rp.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	for _, r := range [][2]string{{"/x", "1"}, {"/x", "refused"}, {"/down", "waits"}, {"/unknown", ""}} {
		rp.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", r[0], strings.NewReader(r[1])))
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		all := make(exported)
		for _, f := range families {
			all.add(f)
		}
		if len(all["repeater_lane_messages"]["lane"]) == 2 && slices.Contains(all["repeater_lane_state"]["state"], "unwell") &&
			len(all["repeater_dead_letters_total"]["lane"]) > 0 {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("one delivered, one dead and one waiting have not come to pass: %v", all["repeater_lane_messages"])
		}
	}
}

func (e exported) add(f *dto.MetricFamily) {
	names := []string{f.GetName()}
	if f.GetType() == dto.MetricType_HISTOGRAM {
		names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
	}
	for _, name := range names {
		labels := make(map[string][]string)
		if strings.HasSuffix(name, "_bucket") {
			labels["le"] = nil
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		e[name] = labels
	}
}

// check reads an expression of PromQL, and holds what it names against what is exported.
func (e exported) check(t *testing.T, where, expr string) {
	t.Helper()
	for variable, value := range map[string]string{"$__rate_interval": "5m", "$lane|": ".*", "$lane": ".*", "$route": ".*"} {
		expr = strings.ReplaceAll(expr, variable, value)
	}
	parsed, err := metricsql.Parse(expr)
	if err != nil {
		t.Errorf("%s: %s: %v", where, expr, err)
		return
	}
	has := make(map[string]bool) // the labels of all that the expression names
	for _, l := range fromEverywhere {
		has[l] = true
	}
	named := 0
	metricsql.VisitAll(parsed, func(x metricsql.Expr) {
		m, ok := x.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range m.LabelFilterss {
			named++
			name := filters[0].Value
			labels, ok := e[name]
			if filters[0].Label != "__name__" || !ok {
				t.Errorf("%s: there is no metric %q", where, name)
				continue
			}
			for l := range labels {
				has[l] = true
			}
			for _, f := range filters[1:] {
				e.checkFilter(t, where+": "+name, labels, f)
			}
		}
	})
	if named == 0 {
		t.Errorf("%s: %s names no metric", where, expr)
	}
	metricsql.VisitAll(parsed, func(x metricsql.Expr) {
		if a, ok := x.(*metricsql.AggrFuncExpr); ok {
			for _, l := range a.Modifier.Args {
				if !has[l] {
					t.Errorf("%s: %s: no metric of it has the label %q", where, expr, l)
				}
			}
		}
	})
}

// words are labels whose values come from fixed lists.
var words = []string{"state", "outcome"}

func (e exported) checkFilter(t *testing.T, where string, labels map[string][]string, f metricsql.LabelFilter) {
	t.Helper()
	values, ok := labels[f.Label]
	switch {
	case !ok && !slices.Contains(fromEverywhere, f.Label):
		t.Errorf("%s has no label %q", where, f.Label)
	case slices.Contains(words, f.Label) && !f.IsRegexp && !slices.Contains(values, f.Value):
		t.Errorf("%s: %s is never %q", where, f.Label, f.Value)
	}
}

// TestAlertRules: every metric and label in them is exported, and each rule says what to do.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	e := export(t)
	text, err := os.ReadFile("repeater.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
				Annotations      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`\$labels\.(\w+)`)
	n := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			n++
			e.check(t, r.Alert, r.Expr)
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s has no summary, description or severity", r.Alert)
			}
			for _, label := range used.FindAllStringSubmatch(r.Annotations["summary"], -1) {
				if !strings.Contains(r.Expr, label[1]) && strings.Contains(r.Expr, " by ") {
					t.Errorf("%s: its summary names the label %q, which its expression leaves out", r.Alert, label[1])
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("%d rules were read", n)
	}
}

// TestAlertsAreExplained: docs/operations.md has a row for each alert.
func TestAlertsAreExplained(t *testing.T) {
	t.Parallel()
	page := fromTop(t, "docs/operations.md")
	alerts := regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(fromTop(t, "contrib/repeater.rules.yml"), -1)
	if len(alerts) < 10 {
		t.Errorf("%d alerts were found", len(alerts))
	}
	for _, a := range alerts {
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + a[1] + "`").MatchString(page) {
			t.Errorf("%s has no row in docs/operations.md", a[1])
		}
	}
}

// TestDashboard: every metric and label in it is exported, and every metric that is exported is on it.
func TestDashboard(t *testing.T) {
	t.Parallel()
	e := export(t)
	text, err := os.ReadFile("grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := make(map[int]string)
	for _, p := range dashboard.Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("panels %q and %q have the same id", p.Title, other)
		}
		ids[p.ID] = p.Title
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			e.check(t, p.Title, target.Expr)
		}
	}
	values := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	for _, v := range dashboard.Templating.List {
		if v.Type != "query" {
			continue
		}
		query, _ := v.Query.(map[string]any)["query"].(string)
		m := values.FindStringSubmatch(query)
		if m == nil {
			t.Errorf("variable %s: %q is not understood", v.Name, query)
		} else if _, ok := e[m[1]][m[2]]; !ok {
			t.Errorf("variable %s: no metric %s with a label %s", v.Name, m[1], m[2])
		}
	}
	for name := range e {
		base := strings.NewReplacer("_bucket", "", "_sum", "", "_count", "").Replace(name)
		if !strings.Contains(string(text), base) {
			t.Errorf("%s is not on the dashboard", base)
		}
	}
}
