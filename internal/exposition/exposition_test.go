package exposition_test

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/exposition"
)

// TestServed: what is served can be read, is named as Prometheus wants it, and holds no path.
func TestServed(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	reg, h := exposition.New(log)
	rp := repeater.New(repeater.WithMetrics(reg), repeater.WithLogger(log), repeater.WithFile(filepath.Join(t.TempDir(), "x.db")),
		repeater.Route("/hunter2", "http://user:hunter2@a.example/hunter2?hunter2", repeater.Name("secret")))
	defer rp.Close()
	for _, path := range []string{"/hunter2", "/hunter2-unknown"} {
		rp.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", path, strings.NewReader("x")))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text := w.Body.String()
	for _, want := range []string{`repeater_requests_accepted_total{route="secret"} 1`, `repeater_lane_messages{lane="http://a.example:80"} 1`, "go_goroutines"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is served:\n%s", text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "repeater_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
