package repeater_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// nowhere is a Queue that forgets, so that the door alone is measured.
type nowhere struct{ repeater.Queue }

func (nowhere) Push(_ context.Context, b repeater.Batch) (string, error) { return b.ID, nil }

// plainWriter costs next to nothing.
type plainWriter struct{ h http.Header }

func (w *plainWriter) Header() http.Header                   { return w.h }
func (*plainWriter) Write(p []byte) (int, error)             { return len(p), nil }
func (*plainWriter) WriteHeader(int)                         {}
func (*plainWriter) SetReadDeadline(time.Time) error         { return nil }
func (*plainWriter) WriteString(s string) (n int, err error) { return len(s), nil }

// BenchmarkDoor accepts an ordinary webhook on a route without features.
func BenchmarkDoor(b *testing.B) {
	rp := repeater.New(repeater.WithQueue(nowhere{}), repeater.WithLogger(discard()), repeater.Route("/hooks/x", anywhere))
	body := strings.NewReader(strings.Repeat("x", 1024))
	req, err := http.NewRequest("POST", "/hooks/x", io.NopCloser(body))
	if err != nil {
		b.Fatal(err)
	}
	req.ContentLength, req.RemoteAddr = body.Size(), "192.0.2.1:1234"
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/1"}, "Accept": {"*/*"},
		"X-Github-Delivery": {"72d3162e-cc78-11e3-81ab-4c9367dc0958"}, "X-Hub-Signature-256": {strings.Repeat("a", 71)},
	}
	w := &plainWriter{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = body.Seek(0, io.SeekStart)
		rp.ServeHTTP(w, req)
	}
}
