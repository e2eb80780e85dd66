package crashtest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/witness"
)

// TestSecondProcessOnOneFile starts the program again beside itself. The second gets
// a port that is taken: if it tried to listen first, it would complain of that.
func TestSecondProcessOnOneFile(t *testing.T) {
	t.Parallel()
	l := witness.NewLedger()
	dest := witness.NewDestination(t, l)
	dest.Up(t)
	s := newSetup(t, dest)
	first := s.start(t)
	s.sendSome(t, l, 0, 5)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := newSetup(t, dest)
	other.port, other.store = taken.Addr().(*net.TCPAddr).Port, s.store
	second := other.start(t)
	if code := second.Code(t); code != 1 {
		t.Errorf("the second process exited with %d, want 1", code)
	}
	if text := second.Stderr.String(); !strings.Contains(text, "in use by another process") {
		t.Errorf("the second process does not say what is wrong:\n%s", text)
	}

	s.sendSome(t, l, 5, 5)
	l.Settle(t, patience)
	first.stop(t)
	first.quiet(t, l)
	allOnce(t, l)
	s.empty(t, repeater.WithFile(s.file()))
}

// TestDrainOnSIGTERM stops the program while an attempt is in flight: that one is
// finished, the others wait for the next start as if they had never been touched.
func TestDrainOnSIGTERM(t *testing.T) {
	t.Parallel()
	l := witness.NewLedger()
	dest := witness.NewDestination(t, l)
	draining := make(chan struct{})
	dest.Answer = func(*http.Request) { <-draining }
	dest.Up(t)
	s := newSetup(t, dest)
	p := s.start(t)
	s.sendSome(t, l, 0, 20)
	awaitArrivals(t, l, 1)
	p.Signal(t, syscall.SIGTERM)
	s.awaitRefusing(t)
	close(draining)
	if code := p.Code(t); code != 0 {
		t.Errorf("the process exited with %d, want 0", code)
	}
	p.quiet(t, l)
	if n := l.Counts().Arrived; n != 1 {
		t.Errorf("%d requests were delivered by the end, want the one in flight", n)
	}
	s.start(t)
	l.Settle(t, patience)
	allOnce(t, l)
}

// TestGraceEnds stops the program while an attempt hangs: it is given up, and does
// not count.
func TestGraceEnds(t *testing.T) {
	t.Parallel()
	l := witness.NewLedger()
	dest := witness.NewDestination(t, l)
	hang := make(chan struct{})
	dest.Answer = func(*http.Request) { <-hang }
	dest.Up(t)
	s := newSetup(t, dest)
	s.grace = 300 * time.Millisecond
	p := s.start(t)
	s.sendSome(t, l, 0, 20)
	awaitArrivals(t, l, 1)
	began := time.Now()
	p.stop(t)
	if took := time.Since(began); took > 10*time.Second { // the attempt's own timeout would end it, too
		t.Errorf("stopped after %v, with a grace of %v", took, s.grace)
	}
	close(hang)
	s.start(t)
	l.Settle(t, patience)
	if n := l.Counts().Repeated; n != 1 {
		t.Errorf("%d requests were delivered again, want the one that was given up", n)
	}
	for at, attempts := range l.Attempts() {
		if slices.Max(attempts) != 1 {
			t.Errorf("%v arrived as attempts %v, want 1 only", at, attempts)
		}
	}
}

// sendSome sends requests one after the other, all of which are to be acknowledged.
func (s *setup) sendSome(t *testing.T, l *witness.Ledger, from, n int) {
	t.Helper()
	c := witness.NewClient()
	defer c.CloseIdleConnections()
	s.awaitListening(t)
	for seq := from; seq < from+n; seq++ {
		if !witness.Send(c, s.url(), witness.Letter{Sender: 0, Seq: seq}, l) {
			t.Fatalf("request %d was not acknowledged", seq)
		}
	}
}

func (s *setup) awaitListening(t *testing.T) {
	t.Helper()
	s.awaitDial(t, func(err error) bool { return err == nil })
}

func (s *setup) awaitRefusing(t *testing.T) {
	t.Helper()
	s.awaitDial(t, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) })
}

// awaitDial tries until it hears what it wants: nothing tells when another process
// begins or ends to listen.
func (s *setup) awaitDial(t *testing.T, wanted func(error) bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", proctest.Loopback(s.port))
		if err == nil {
			c.Close()
		}
		if wanted(err) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v a connection still ends with %v", patience, err)
		}
	}
}

func awaitArrivals(t *testing.T, l *witness.Ledger, n int) {
	t.Helper()
	if !l.Await(patience, func(c witness.Counts) bool { return c.Arrived >= n }) {
		t.Fatalf("%d requests did not arrive within %v", n, patience)
	}
}

// allOnce expects each request to have arrived in one attempt, the first.
func allOnce(t *testing.T, l *witness.Ledger) {
	t.Helper()
	for at, attempts := range l.Attempts() {
		if got := fmt.Sprint(attempts); got != "[1]" {
			t.Errorf("%v arrived as attempts %v, want 1 only", at, got)
		}
	}
}
