package main_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/redistest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

var benchRows = []string{
	"net/http: ", "httputil.ReverseProxy: ",
	"accepted, destination down ", "drained, in order ",
	"accepted while delivering in order ", "delivered in order ",
	"accepted while delivering 64 at a time ", "delivered 64 at a time ",
	"sender has its answer ", "destination has the request ",
}

// measure runs bench, which may take its time on a busy machine, and expects it to succeed.
func measure(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), proctest.Program(t, "webhook-repeater"), append([]string{"bench", "--quick"}, args...)...)
	cmd.Dir = t.TempDir()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	return string(out)
}

// One command measures with nothing prepared, and finds nothing lost.
func TestBench(t *testing.T) {
	t.Parallel()
	stdout := measure(t, "--requests", "400", "--connections", "8", "--rate", "100", "--store-dir", t.TempDir())
	for _, row := range append(benchRows, "fsync of 4 KiB in the store's directory ") {
		if !strings.Contains(stdout, "\n"+row) {
			t.Errorf("no row %q", row)
		}
	}
	// Warm up (twice 400), at the rate (150), delivered (twice 400), with the destination down (400).
	if !strings.Contains(stdout, "2,150 acknowledged by the repeater: 0 lost, 0 out of order, ") {
		t.Error("not all is well")
	}
	if t.Failed() {
		t.Log(stdout)
	}
}

// On Redis it measures the same, and leaves nothing behind.
func TestBenchRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	stdout := measure(t, "--requests", "40", "--connections", "4", "--rate", "20", "--redis", "redis://"+s.Addr(), "--json")
	var report struct {
		Store              string
		Throughput         []struct{ Name string }
		Acknowledged, Lost int
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	// So few that a busy machine sends them all in the time that each row has.
	if report.Store != "redis" || len(report.Throughput) != 8 || report.Acknowledged != 5*40+30 || report.Lost != 0 {
		t.Error(stdout)
	}
	if keys, err := s.Client(t).Keys(t.Context(), "*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("Redis still has %q, error %v", keys, err)
	}
}

func TestBenchMistakes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--requests", "0"}, "--requests is to be from 1"},
		{[]string{"--rate", "NaN"}, "--rate is to be above 0"},
		{[]string{"--size", "3"}, "--size is to be from 20"},
		{[]string{"--redis", "redis://127.0.0.1", "--store-dir", "/tmp"}, "give either it or --redis"},
		{[]string{"now"}, `bench: unknown argument "now"`},
		{[]string{"--nonsense"}, "bench: unknown flag: --nonsense"},
		{[]string{"--requests", "few"}, `bench: invalid argument "few" for "--requests" flag`},
		{[]string{"-requests", "0"}, "--requests is to be from 1"},
	} {
		_, stderr := run(t, t.TempDir(), append([]string{"bench"}, c.args...)...).ends(t, 2)
		if !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "webhook-repeater bench -h") {
			t.Errorf("%q: %s", c.args, stderr)
		}
	}
}

// TestBenchWithoutRedis: figures of requests that were all refused are no figures.
func TestBenchWithoutRedis(t *testing.T) {
	url := "redis://" + proctest.Loopback(testport.Plain(t))
	_, stderr := run(t, t.TempDir(), "bench", "--quick", "--redis", url).ends(t, 1)
	if !strings.HasPrefix(stderr, "webhook-repeater: bench: the Redis of --redis does not answer") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("it says\n%s", stderr)
	}
}
