package repeater_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// answersWith is a destination of bare connections. What answer returns is sent, and the connection stays open, as far as the destination
// is concerned.
func answersWith(t *testing.T, answer func(body string) string) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				for r := bufio.NewReader(conn); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					body, _ := io.ReadAll(req.Body)
					fmt.Fprint(conn, answer(string(body)))
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

// delivering runs a Repeater until the test ends, and expects it to end soon then.
func delivering(t *testing.T, opts ...repeater.Option) *repeater.Repeater {
	t.Helper()
	rp := repeater.New(append([]repeater.Option{repeater.WithQueue(memqueue.New()), repeater.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rp.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
	})
	return rp
}

// TestSwitchingProtocols: a destination that switches protocols, and says nothing more, refuses the message. It holds up neither
// the lane nor the end of Run.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]repeater.RouteOption{
		"stored": nil, "passed through": {repeater.PassThrough(10 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan string, 10)
			url := answersWith(t, func(body string) string {
				arrived <- body
				if body == "1" {
					return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
				}
				return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
			})
			rp := delivering(t, repeater.Route("/", url, opts...), repeater.WithDrain(time.Second))
			want := http.StatusOK
			if opts != nil {
				want = http.StatusAccepted
			}
			for _, body := range []string{"1", "2"} {
				w := httptest.NewRecorder()
				rp.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
				if body == "1" && w.Code != want {
					t.Errorf("the sender gets %d, want %d", w.Code, want)
				}
			}
			for _, want := range []string{"1", "2"} {
				select {
				case got := <-arrived:
					if got != want {
						t.Errorf("%q arrives, want %q", got, want)
					}
				case <-time.After(20 * time.Second):
					t.Fatalf("%q does not arrive", want)
				}
			}
		})
	}
}

// TestQuickRetryOfHalfAnAnswer: that the rest of a 503 does not come costs no more than the rest of another.
func TestQuickRetryOfHalfAnAnswer(t *testing.T) {
	t.Parallel()
	arrived := make(chan time.Time, 10)
	n := 0
	url := answersWith(t, func(string) string {
		arrived <- time.Now()
		if n++; n == 1 {
			return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nhal"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	rp := delivering(t, repeater.Route("/", url))
	rp.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader("1")))
	first := <-arrived
	select {
	case second := <-arrived:
		if d := second.Sub(first); d > 10*time.Second {
			t.Errorf("the quick retry comes after %v", d)
		}
	case <-time.After(20 * time.Second):
		t.Error("no quick retry")
	}
}
