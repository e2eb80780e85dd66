package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/webhook-repeater/repeater"
)

// gathered returns what a registry holds and is not zero, as "name{labels}", each with its value; of a histogram
// the number of its observations.
func gathered(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			if v := valueOf(m); v != 0 {
				all[strings.TrimPrefix(f.GetName(), "repeater_")+"{"+strings.Join(labels, ",")+"}"] = v
			}
		}
	}
	return all
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	}
	return m.Gauge.GetValue()
}

// TestMetrics: everything that happens to requests and messages is counted once, in its place.
func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			switch tr.body {
			case "refused":
				return reply{status: 400, after: time.Second}
			case "gone":
				return status(410)
			case "failed":
				return status(500)
			case "unwell":
				return status(429)
			case "silent":
				return reply{err: io.ErrUnexpectedEOF}
			}
			return status(200)
		})
		b.accept("/a", "1", "2", "refused", "gone", "failed")
		b.pass(time.Minute)
		b.accept("/b", "unwell")
		for range 2 {
			if w := b.post("/d", "3", delivery("same")); w.Code != 200 {
				t.Errorf("answered %d", w.Code)
			}
		}
		b.pass(time.Second)
		want := map[string]float64{
			"requests_accepted_total{route=a}":                             5,
			"requests_accepted_total{route=b}":                             1,
			"requests_accepted_total{route=d}":                             2,
			"requests_repeated_total{route=d}":                             1,
			"attempts_total{lane=http://a.example:80,outcome=delivered}":   3,
			"attempts_total{lane=http://a.example:80,outcome=refused}":     1,
			"attempts_total{lane=http://a.example:80,outcome=gone}":        1,
			"attempts_total{lane=http://a.example:80,outcome=failed}":      2,
			"attempts_total{lane=http://b.example:80,outcome=unwell}":      1,
			"attempt_duration_seconds{lane=http://a.example:80}":           7,
			"attempt_duration_seconds{lane=http://b.example:80}":           1,
			"delivery_age_seconds{lane=http://a.example:80}":               3,
			"dead_letters_total{lane=http://a.example:80,reason=refused}":  2,
			"dead_letters_total{lane=http://a.example:80,reason=given_up}": 1,
			"lane_dead_letters{lane=http://a.example:80}":                  3,
			"lane_messages{lane=http://b.example:80}":                      1,
			"lane_oldest_seconds{lane=http://b.example:80}":                1,
			"lane_state{lane=http://a.example:80,state=well}":              1,
			"lane_state{lane=http://b.example:80,state=unwell}":            1,
			"push_duration_seconds{}":                                      8,
			"store_up{}":                                                   1,
		}
		got := gathered(t, reg)
		for name := range got {
			if strings.Contains(name, "bytes") { // depends on the codec
				delete(got, name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}, repeater.WithMetrics(reg), repeater.WithQuickRetries(0),
		repeater.Route("/a", "http://a.example", repeater.Name("a"), repeater.MaxAttempts(2)),
		repeater.Route("/b", "http://b.example", repeater.Name("b")),
		repeater.Route("/d", "http://a.example", repeater.Name("d"), repeater.Dedupe("X-Delivery")))
	if got := gathered(t, reg); len(got) > 0 {
		t.Errorf("after Close there still is %v", got)
	}
}

// TestMetricsOfTheFileStore: how long its transactions take, and how many share one.
func TestMetricsOfTheFileStore(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	dest := newArrivals(t)
	dest.Start()
	rp := deliver(t, repeater.WithMetrics(reg), repeater.Route("/x", dest.URL, repeater.Name("x")))
	for range 3 {
		wantStatus(t, try(rp, "POST", "/x"), 200)
		receive(t, dest.got, "the delivery")
	}
	got := gathered(t, reg)
	if n := got["commit_duration_seconds{}"]; n < 3 || got["commit_operations{}"] != n {
		t.Errorf("%v transactions with %v numbers of operations, want 3 or more", n, got["commit_operations{}"])
	}
	if n := got["stored_bytes_total{route=x}"]; n < 100 || n > 3000 {
		t.Errorf("%v bytes stored", n)
	}
}

// TestMetricsOfRefusals: each reason has a name of its own, and no sender can add one.
func TestMetricsOfRefusals(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	q := &pushes{push: func(context.Context, repeater.Batch) (string, error) { return "", errors.New("full") }}
	rp := uncrowded(t, q, repeater.WithMetrics(reg), repeater.WithMaxBody(10), repeater.WithMaxHeader(1000),
		repeater.Route("POST /x", "http://a.example", repeater.Name("x")),
		repeater.Route("/tree/", "http://a.example", repeater.Name("tree")),
		repeater.Route("/closed", "http://a.example", repeater.Name("closed"), repeater.AllowFrom("192.0.2.99")),
		repeater.Route("/signed", "http://a.example", repeater.Name("signed"), repeater.Verify(repeater.GitHub("secret"))))
	for _, tt := range []struct {
		method, target, body string
		header               string
	}{
		{"POST", "/hunter2", "", ""}, {"GET", "/x", "", ""}, {"POST", "/closed", "", ""}, {"POST", "/signed", "", ""},
		{"POST", "/x", "much too long", ""}, {"POST", "/x", "", strings.Repeat("h", 1000)}, {"POST", "/x", "1", ""}, {"POST", "/tree/../x", "", ""},
	} {
		req := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
		req.Header.Set("X-Long", tt.header)
		rp.ServeHTTP(httptest.NewRecorder(), req)
	}
	got := gathered(t, reg)
	var refused []string
	for name, n := range got {
		if strings.HasPrefix(name, "requests_refused_total") {
			refused = append(refused, fmt.Sprintf("%s %v", strings.TrimPrefix(name, "requests_refused_total"), n))
		}
	}
	slices.Sort(refused)
	want := []string{
		"{reason=bad_request,route=} 1", "{reason=body_too_large,route=x} 1", "{reason=header_too_large,route=x} 1",
		"{reason=method,route=} 1", "{reason=no_route,route=} 1", "{reason=sender,route=closed} 1",
		"{reason=signature,route=signed} 1", "{reason=store,route=x} 1",
	}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTwoRepeatersOnOneRegisterer: the second is told so, and how to tell them apart.
func TestTwoRepeatersOnOneRegisterer(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	start := func(reg prometheus.Registerer) *repeater.Repeater {
		return repeater.New(repeater.Route("/x", "http://a.example"), repeater.WithMetrics(reg), repeater.WithQueue(laneless{new(pushes)}))
	}
	named := func(app string) prometheus.Registerer {
		return prometheus.WrapRegistererWith(prometheus.Labels{"app": app}, reg)
	}
	first := start(named("a"))
	if err := first.Err(); err != nil {
		t.Fatal(err)
	}
	if err := start(named("a")).Err(); err == nil || !strings.Contains(err.Error(), "WrapRegistererWith") {
		t.Errorf("the second says %v", err)
	}
	if err := start(named("b")).Err(); err != nil {
		t.Errorf("a third, with a label of its own, says %v", err)
	}
	if got := gathered(t, reg); got["store_up{app=a}"] != 1 || got["store_up{app=b}"] != 1 {
		t.Errorf("both are to be collected: %v", got)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := start(named("a")).Err(); err != nil {
		t.Errorf("the successor of the first says %v", err)
	}
}

// TestMetricsOverReload: counting goes on, for new routes, too, and a name of any bytes is no trouble.
func TestMetricsOverReload(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	rp := uncrowded(t, new(pushes), repeater.WithMetrics(reg), repeater.Route("/x", "http://a.example", repeater.Name("x")))
	wantStatus(t, try(rp, "POST", "/x"), 200)
	if err := rp.Reload(repeater.WithMetrics(prometheus.NewRegistry()), repeater.Route("/x", "http://a.example")); !errors.Is(err, repeater.ErrRestart) {
		t.Errorf("another registerer: %v, want ErrRestart", err)
	}
	if err := rp.Reload(repeater.WithLogger(discard()), repeater.Route("/x", "http://a.example", repeater.Name("x")),
		repeater.Route("/y", "http://a.example", repeater.Name("y\xff"))); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, try(rp, "POST", "/x"), 200)
	wantStatus(t, try(rp, "POST", "/y"), 200)
	got := gathered(t, reg)
	if got["requests_accepted_total{route=x}"] != 2 || got["requests_accepted_total{route=y\uFFFD}"] != 1 {
		t.Errorf("counted %v", got)
	}
}

// TestOldest: where the store can tell how long the oldest message of a lane waits, that is told.
func TestOldest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		queue repeater.Queue
		want  map[string]float64
	}{
		{aged{}, map[string]float64{"lane_messages{lane=a}": 1, "lane_messages{lane=b}": 2,
			"lane_oldest_seconds{lane=a}": 1.5, "lane_oldest_seconds{lane=b}": 3, "lane_state{lane=a,state=paused}": 1, "lane_state{lane=b,state=refusing}": 1, "store_up{}": 1}},
		{struct{ repeater.Queue }{aged{}}, map[string]float64{"lane_messages{lane=a}": 1, "lane_messages{lane=b}": 2,
			"lane_state{lane=a,state=paused}": 1, "lane_state{lane=b,state=refusing}": 1, "store_up{}": 1}},
		{aged{err: errors.New("away")}, map[string]float64{}},
	} {
		reg := prometheus.NewRegistry()
		rp := repeater.New(repeater.WithMetrics(reg), repeater.WithQueue(tt.queue), repeater.WithLogger(discard()), repeater.Route("/x", "http://a.example"))
		if err := rp.Err(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, gathered(t, reg)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// aged is a store of two lanes.
type aged struct {
	repeater.InspectQueue // never called
	err                   error
}

func (a aged) Lanes(context.Context, string, int) ([]repeater.LaneInfo, error) {
	return []repeater.LaneInfo{{Name: "a", Waiting: 1, Paused: true}, {Name: "b", Waiting: 2, Failures: 1, Refusals: 4}}, a.err
}

func (aged) Oldest(_ context.Context, lanes []string) ([]time.Duration, error) {
	if len(lanes) != 2 {
		return nil, errors.New("asked of others")
	}
	return []time.Duration{1500 * time.Millisecond, 3 * time.Second}, nil
}

// laneless has no lane to tell of.
type laneless struct{ *pushes }

func (laneless) Lanes(context.Context, string, int) ([]repeater.LaneInfo, error) { return nil, nil }

// uncrowded makes a Repeater that only accepts, and whose metrics can be collected.
func uncrowded(t *testing.T, q *pushes, opts ...repeater.Option) *repeater.Repeater {
	t.Helper()
	rp := repeater.New(append([]repeater.Option{repeater.WithQueue(laneless{q}), repeater.WithLogger(discard())}, opts...)...)
	if err := rp.Err(); err != nil {
		t.Fatalf("options: %v", err)
	}
	t.Cleanup(func() { _ = rp.Close() })
	return rp
}
