package repeater_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// TestTimeoutsByPhase: each phase of an attempt has its own, and an attempt that runs into it says which.
func TestTimeoutsByPhase(t *testing.T) {
	t.Parallel()
	const short, long = 50 * time.Millisecond, time.Hour
	mute := func(t *testing.T) string { // takes connections and says nothing
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln.Addr().String()
	}
	full := func(t *testing.T) string { // a listener whose queue is full takes no connection
		addr := mute(t)
		for range 20_000 {
			c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
			if err != nil {
				return addr
			}
			t.Cleanup(func() { _ = c.Close() })
		}
		t.Fatal("the listener takes any number of connections")
		return ""
	}
	for _, tt := range []struct {
		name  string
		where func(*testing.T) string
		url   string
		set   repeater.Timeouts
		want  string
	}{
		{"dial", full, "http://", repeater.Timeouts{Dial: short, Header: long, Attempt: long}, "timeout: no connection"},
		{"TLS", mute, "https://", repeater.Timeouts{TLS: short, Header: long, Attempt: long}, "timeout: no TLS handshake"},
		{"header", mute, "http://", repeater.Timeouts{Header: short, Attempt: long}, "timeout: no answer"},
		{"attempt", mute, "http://", repeater.Timeouts{Header: long, Attempt: short}, "timeout: no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			failed := make(chan string, 10)
			rp := deliver(t, repeater.Route("/", tt.url+tt.where(t)), repeater.WithTimeouts(tt.set), repeater.WithLogger(logErrors(failed)))
			wantStatus(t, try(rp, "POST", "/"), 200)
			if got := receive(t, failed, "the attempt to fail"); got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

// logErrors sends the "error" of each line that has one.
func logErrors(to chan<- string) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "error" {
				to <- a.Value.String()
			}
			return a
		},
	}))
}

// TestConnectionsAreReused: answers are read up to 64 KiB so that the next attempt finds the connection open.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		size int
		want int64
	}{{"small", 10, 1}, {"64 KiB", 64 << 10, 1}, {"beyond", 10 << 20, 5}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var conns atomic.Int64
			var got sync.WaitGroup
			got.Add(5)
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.Copy(w, io.LimitReader(zeros{}, int64(tt.size)))
				got.Done()
			}))
			srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					conns.Add(1)
				}
			}
			srv.Start()
			defer srv.Close()
			rp := deliver(t, repeater.Route("/", srv.URL))
			for range 5 {
				wantStatus(t, try(rp, "POST", "/"), 200)
			}
			got.Wait()
			if n := conns.Load(); n != tt.want {
				t.Errorf("%d connections for 5 deliveries, want %d", n, tt.want)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestQuickRetryAfterStaleConnection: a destination that has closed the connection since the last delivery costs no backoff,
// also where net/http may not send again by itself.
func TestQuickRetryAfterStaleConnection(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	arrived := make(chan string, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				rd := bufio.NewReader(c)
				for n := 0; ; n++ {
					req, err := http.ReadRequest(rd)
					if err != nil {
						return
					}
					body, _ := io.ReadAll(req.Body)
					if n > 0 {
						return // a second request on one connection: closed without an answer
					}
					arrived <- string(body) + "#" + req.Header.Get("Repeater-Attempt")
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	rp := repeater.New(repeater.Route("/", "http://"+ln.Addr().String()), repeater.WithLogger(discard()),
		repeater.WithFile(filepath.Join(t.TempDir(), "test.db")), repeater.WithBackoff(time.Hour, time.Hour))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rp.Run(ctx) }()
	for _, body := range []string{"1", "2", "3"} {
		w := try(rp, "POST", "/", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("Idempotency-Key", body)
		})
		wantStatus(t, w, 200)
		if got := receive(t, arrived, "a delivery"); got != body+"#1" {
			t.Errorf("arrived %s, want %s#1", got, body)
		}
	}
	cancel()
	if err := receive(t, ended, "Run to end"); err != nil {
		t.Error(err)
	}
	_ = rp.Close()
}
