package bench_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/bench"
)

func play(t *testing.T, connections, requests int) *bench.Play {
	t.Helper()
	p, err := bench.NewPlay(connections, requests)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// forward stands for a server: it passes each request on as often as times says of the how
// manieth it is, before it answers.
func forward(t *testing.T, p *bench.Play, times func(i int64) int) (addr string) {
	t.Helper()
	var count atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for range times(count.Add(1)) {
			resp, err := http.Post(p.URL(), "", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				w.WriteHeader(http.StatusBadGateway)
			}
		}
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// What a server loses, repeats or refuses is found.
func TestCounts(t *testing.T) {
	const requests = 200
	for name, c := range map[string]struct {
		times       func(i int64) int
		lost, twice int
	}{
		"all well":   {func(int64) int { return 1 }, 0, 0},
		"two lost":   {func(i int64) int { return min(1, int(i%100)) }, 2, 0},
		"one doubly": {func(i int64) int { return 1 + int(i/requests) }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t, 4, requests)
			if err := p.Send(t.Context(), forward(t, p, c.times), 0); err != nil {
				t.Fatal(err)
			}
			lost := p.Await(t.Context(), 100*time.Millisecond)
			if lost != c.lost || p.Twice() != c.twice || p.Disorder() != 0 || p.Refused() != 0 {
				t.Errorf("%d lost, %d twice, %d out of order, %d refused", lost, p.Twice(), p.Disorder(), p.Refused())
			}
		})
	}
}

// A destination that is down counts nothing and tells the sender; what was not acknowledged is not lost.
func TestDown(t *testing.T) {
	p := play(t, 1, 20)
	p.Down(true)
	if err := p.Send(t.Context(), forward(t, p, func(int64) int { return 1 }), 0); err != nil {
		t.Fatal(err)
	}
	if lost := p.Await(t.Context(), time.Minute); lost != 0 || p.Arrived() != 0 || p.Refused() != 20 {
		t.Errorf("%d lost, %d arrived, %d refused", lost, p.Arrived(), p.Refused())
	}
}

func TestDisorder(t *testing.T) {
	p := play(t, 2, 10)
	for _, a := range []struct{ conn, n int }{{0, 0}, {1, 1}, {0, 3}, {0, 2}, {1, 5}, {1, 4}, {0, 6}, {0, 6}} {
		p.Arrive(a.conn, a.n)
	}
	if p.Disorder() != 2 || p.Twice() != 1 || p.Arrived() != 7 {
		t.Errorf("%d out of order, %d twice, %d arrived; want 2, 1 and 7", p.Disorder(), p.Twice(), p.Arrived())
	}
}

// Requests that a slow server lets wait count from when they were due.
func TestOpenLoop(t *testing.T) {
	p := play(t, 1, 20)
	addr := forward(t, p, func(int64) int { time.Sleep(20 * time.Millisecond); return 1 })
	if err := p.Send(t.Context(), addr, 1000); err != nil {
		t.Fatal(err)
	}
	if slowest := p.Slowest(); slowest < 20*20-20 {
		t.Errorf("the last of 20 took %.0f ms, as if it had been due when it was sent", slowest)
	}
}

// Requests do not come faster than they are due.
func TestRate(t *testing.T) {
	p := play(t, 8, 100)
	if err := p.Send(t.Context(), forward(t, p, func(int64) int { return 1 }), 500); err != nil {
		t.Fatal(err)
	}
	if took := p.Now(); took < 99*2*time.Millisecond {
		t.Errorf("100 requests at 500 a second took %v", took)
	}
}

// A server that nothing comes from is an error, not a figure.
func TestNobody(t *testing.T) {
	p := play(t, 1, 1000)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	err := p.Send(t.Context(), strings.TrimPrefix(srv.URL, "http://"), 0)
	if err == nil || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("error %v", err)
	}
}

func TestQuantiles(t *testing.T) {
	var values []time.Duration
	for i := range 101 {
		values = append(values, time.Duration(100-i)*time.Millisecond) // the 0 is no value
	}
	if diff := cmp.Diff([]float64{1, 51, 99, 100}, bench.Quantiles(values, 0, 0.5, 0.99, 1)); diff != "" {
		t.Error(diff)
	}
}

func report() *bench.Report {
	r := bench.NewReport(bench.Options{Requests: 50_000, Connections: 64, Size: 1024, Rate: 1000, Runs: 3})
	r.Machine = bench.Machine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.8"}
	for _, v := range []float64{60_000, 64_000, 61_000} {
		r.AddRate("net/http: reads and answers, nothing else", v, 16)
		r.AddRate("accepted while delivering in order", v/2, 0)
		r.AddTook("sender has its answer", time.Millisecond, 2*time.Millisecond, time.Duration(v)*time.Microsecond)
	}
	r.Acknowledged, r.Twice = 150_000, 1
	return r
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := report().Print(&out); err != nil {
		t.Fatal(err)
	}
	const want = `file store, linux/amd64, 2 CPUs, go1.26.8
50,000 requests of 1,024 bytes over 64 connections, medians of 3 runs with the least and the most

                                           requests/s   least    most  CPU µs each  of net/http  of ReverseProxy
net/http: reads and answers, nothing else      61,000  60,000  64,000           16         1.00                 
accepted while delivering in order             30,500  30,000  32,000                      0.50                 

at 1,000 requests/s    p50 ms  least  most  p99 ms  least   most
sender has its answer    2.00   2.00  2.00   61.00  60.00  64.00

150,000 acknowledged by the repeater: 0 lost, 0 out of order, 1 delivered twice. 0 requests got no 2xx.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(report())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Throughput []struct {
			Name string
			PerS struct{ Median, Min, Max float64 } `json:"per_s"`
		}
		Twice int
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if first := got.Throughput[0]; got.Twice != 1 || first.PerS.Median != 61_000 || first.PerS.Min != 60_000 || first.PerS.Max != 64_000 {
		t.Errorf("%s", b)
	}
}

// Only what was promised, and not kept, is a failure.
func TestOK(t *testing.T) {
	for _, c := range []struct {
		report bench.Report
		ok     bool
	}{
		{bench.Report{Twice: 1, Refused: 1}, true},
		{bench.Report{Lost: 1}, false},
		{bench.Report{Disorder: 1}, false},
	} {
		if c.report.OK() != c.ok {
			t.Errorf("%+v: OK is %v", c.report, !c.ok)
		}
	}
}
