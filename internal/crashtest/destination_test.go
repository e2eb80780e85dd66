package crashtest

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

// destination is where deliveries go. While it is down, connections are refused.
type destination struct {
	addr   string
	path   string // that requests come for
	ledger *ledger
	unwell atomic.Int32        // so many attempts more are answered with 503
	answer func(*http.Request) // before the 200; may take its time
	srv    *http.Server        // nil while it is down
}

func newDestination(t *testing.T, l *ledger) *destination {
	t.Helper()
	d := &destination{path: "/hook", addr: proctest.Loopback(testport.Plain(t)), ledger: l}
	t.Cleanup(d.down)
	return d
}

func (d *destination) up(t *testing.T) {
	t.Helper()
	if d.srv != nil {
		return
	}
	ln, err := net.Listen("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	d.srv = &http.Server{Handler: http.HandlerFunc(d.receive), ReadHeaderTimeout: patience}
	go func(srv *http.Server) { _ = srv.Serve(ln) }(d.srv)
}

// down breaks all connections, as a crash would.
func (d *destination) down() {
	if d.srv != nil {
		_ = d.srv.Close()
		d.srv = nil
	}
}

func (d *destination) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the process was killed while it sent, or we are going down
	}
	if d.unwell.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	at, err := readLetter(r.URL.RawQuery, body)
	attempt, notNumber := strconv.Atoi(r.Header.Get("Repeater-Attempt"))
	id := r.Header.Get("Repeater-Id")
	d.ledger.note(func() {
		switch {
		case err != nil:
			d.ledger.blame("id %s did not arrive as it was sent: %v", id, err)
		case r.Method != http.MethodPost || r.URL.Path != d.path:
			d.ledger.blame("id %s arrived as %s %s", id, r.Method, r.URL.Path)
		case id == "" || notNumber != nil || attempt < 1:
			d.ledger.blame("id %q arrived with attempt %q", id, r.Header.Get("Repeater-Attempt"))
		default:
			d.ledger.arrive(id, attempt, at)
		}
	})
	if d.answer != nil {
		d.answer(r)
	}
}
