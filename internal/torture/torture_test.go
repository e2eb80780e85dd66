//go:build linux

package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestReport: the table has every scenario, and any fault makes the run fail.
func TestReport(t *testing.T) {
	t.Parallel()
	good := result{name: "a", cycles: 2, promised: 10, duplicates: 3, longest: 20 * time.Millisecond}
	bad := result{name: "b", cycles: 1, promised: 5, lost: 1, faults: []string{"1 of 5 is lost"}}
	var out strings.Builder
	if code := report(&out, []result{good}); code != 0 {
		t.Errorf("all is well, and the status is %d:\n%s", code, &out)
	}
	out.Reset()
	if code := report(&out, []result{good, bad}); code != 1 {
		t.Errorf("one is lost, and the status is %d", code)
	}
	for _, want := range []string{"FAILED", "b: 1 of 5 is lost", "15"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	for r, want := range map[*result]string{
		&good:                           "a: well after 2 cycles in 3s: 10 acknowledged, 0 lost",
		&bad:                            "b: FAILED after 1 cycles in 3s: 1 of 5 is lost",
		{name: "c", note: "not played"}: "c: not played",
	} {
		if got := r.progress(3 * time.Second); got != want {
			t.Errorf("progress %q, want %q", got, want)
		}
	}
}

// TestStage: a scenario that gives up, or panics, is a fault, and leaves nothing behind.
func TestStage(t *testing.T) {
	t.Parallel()
	for what, play := range map[string]func(*stage){
		"a fault":   func(s *stage) { s.Error("no") },
		"giving up": func(s *stage) { s.Fatalf("no") },
		"skipping":  func(s *stage) { s.Skipf("no") },
		"a panic":   func(*stage) { panic("no") },
	} {
		cleaned := false
		s := perform(t.Context(), "x", func(s *stage) {
			s.Cleanup(func() { cleaned = true })
			play(s)
		})
		if len(s.Faults()) != 1 || !cleaned || s.ctx.Err() == nil {
			t.Errorf("%s: faults %q, cleaned up: %t", what, s.Faults(), cleaned)
		}
	}
}

// TestSamePlan: a seed plans the same for a scenario whichever others are played.
func TestSamePlan(t *testing.T) {
	t.Parallel()
	a, again := seeded(1, "a"), seeded(1, "a")
	other, later := seeded(1, "b"), seeded(2, "a")
	n := a.Uint64()
	if again.Uint64() != n || other.Uint64() == n || later.Uint64() == n {
		t.Error("the plan does not follow from seed and name")
	}
}

// TestCompare: what grows is told, and so is what could not be measured.
func TestCompare(t *testing.T) {
	t.Parallel()
	flat := sample{memory: 100 << 20, heap: 50 << 20, goroutines: 40, descriptors: 30, threads: 9, file: 18 << 20}
	more := flat
	more.memory, more.goroutines = 150<<20, 90
	blind := flat
	blind.heap = 0
	for _, tt := range []struct {
		what string
		last sample
		want int
	}{{"flat", flat, 0}, {"memory and goroutines grow", more, 2}, {"a measure fails", blind, 1}} {
		if grown := compare([]sample{flat, flat, flat, tt.last}); len(grown) != tt.want {
			t.Errorf("%s: %q", tt.what, grown)
		}
	}
	if len(compare([]sample{flat})) == 0 {
		t.Error("nothing was compared, and it is flat")
	}
}

// TestProxyLosesAnswers: the request goes through, and its answer does not.
func TestProxyLosesAnswers(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	heard := make(chan string, 3)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				for in := bufio.NewReader(c); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					heard <- line
					_, _ = io.WriteString(c, "answer")
				}
			}()
		}
	}()
	p := newProxy(t, ln.Addr().String())
	ask := func() string {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "question\n")
		b := make([]byte, len("answer"))
		n, _ := io.ReadFull(c, b)
		<-heard
		return string(b[:n])
	}
	if got := ask(); got != "answer" {
		t.Errorf("heard %q", got)
	}
	p.lose.Store(1)
	if got := ask(); got != "" {
		t.Errorf("heard %q of an answer that was to be lost", got)
	}
	p.halve.Store(1)
	if got := ask(); got == "answer" {
		t.Errorf("heard %q of an answer that was to be cut", got)
	}
	if got := ask(); got != "answer" {
		t.Errorf("heard %q afterwards", got)
	}
}
