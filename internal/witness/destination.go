package witness

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

// Destination is where deliveries go. While it is down, connections are refused. Up and
// Down are for one goroutine at a time.
type Destination struct {
	Addr   string
	Path   string // that requests come for; /hook
	Ledger *Ledger
	Unwell atomic.Int32        // so many attempts more are answered with 503
	Answer func(*http.Request) // before the 200; may take its time

	srv *http.Server // nil while it is down
}

// NewDestination returns one that is down, until the end of the test at the latest.
func NewDestination(t testing.TB, l *Ledger) *Destination {
	t.Helper()
	d := &Destination{Path: "/hook", Addr: proctest.Loopback(testport.Plain(t)), Ledger: l}
	t.Cleanup(d.Down)
	return d
}

// IsUp tells whether it listens.
func (d *Destination) IsUp() bool { return d.srv != nil }

// Up lets it listen, if it does not.
func (d *Destination) Up(t testing.TB) {
	t.Helper()
	if d.srv != nil {
		return
	}
	ln, err := net.Listen("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	d.srv = &http.Server{Handler: http.HandlerFunc(d.receive), ReadHeaderTimeout: patience}
	go func(srv *http.Server) { _ = srv.Serve(ln) }(d.srv)
}

// Down breaks all connections, as a crash would.
func (d *Destination) Down() {
	if d.srv != nil {
		_ = d.srv.Close()
		d.srv = nil
	}
}

func (d *Destination) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the process was killed while it sent, or we are going down
	}
	if d.Unwell.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	at, err := readLetter(r.URL.RawQuery, body)
	attempt, notNumber := strconv.Atoi(r.Header.Get("Repeater-Attempt"))
	id := r.Header.Get("Repeater-Id")
	switch {
	case err != nil:
		d.Ledger.Blame("id %s did not arrive as it was sent: %v", id, err)
	case r.Method != http.MethodPost || r.URL.Path != d.Path:
		d.Ledger.Blame("id %s arrived as %s %s", id, r.Method, r.URL.Path)
	case id == "" || notNumber != nil || attempt < 1:
		d.Ledger.Blame("id %q arrived with attempt %q", id, r.Header.Get("Repeater-Attempt"))
	default:
		d.Ledger.Arrive(id, attempt, at)
	}
	if d.Answer != nil {
		d.Answer(r)
	}
}
