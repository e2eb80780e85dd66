package repeater_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater"
)

// watched tells on its channel when a request has been served to its end.
func watched(h http.Handler) (http.Handler, <-chan struct{}) {
	served := make(chan struct{}, 100)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { served <- struct{}{} }()
		h.ServeHTTP(w, r)
	}), served
}

// wantClosed checks that the server says no more and hangs up. The sender ends first: for
// a while net/http waits for what is left of a small body.
func wantClosed(t *testing.T, conn *net.TCPConn, br *bufio.Reader) {
	t.Helper()
	_ = conn.CloseWrite()
	more, err := io.ReadAll(br)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Error("the connection is still open")
	}
	if len(more) > 0 {
		t.Errorf("the server goes on: %q", more)
	}
}

// chunked is a body in chunks, without the last, empty one.
func chunked(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	return b.String()
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const inChunks = "Transfer-Encoding: chunked"
	for _, tt := range []struct {
		name, raw string
		want      int
	}{
		{"declared, at the limit", post("/x", strings.Repeat("x", 100)), 200},
		{"declared, above", post("/x", strings.Repeat("x", 101)), 413},
		{"declared, not yet sent", post("/x", "", "Content-Length: 1000000000000"), 413},
		{"declared, waiting for 100", post("/x", "", "Content-Length: 101", "Expect: 100-continue"), 413},
		{"chunked, at the limit", post("/x", "", inChunks) + chunked(strings.Repeat("x", 60), strings.Repeat("y", 40)) + "0\r\n\r\n", 200},
		{"chunked, above", post("/x", "", inChunks) + chunked(strings.Repeat("x", 60), strings.Repeat("y", 41)) + "0\r\n\r\n", 413},
		{"chunked, above, unfinished", post("/x", "", inChunks) + chunked(strings.Repeat("x", 101)), 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			addr := listen(t, door(t, q, repeater.Route("/x", anywhere), repeater.WithMaxBody(1), repeater.WithMaxBody(100)))
			conn := dial(t, addr)
			if _, err := io.WriteString(conn, tt.raw); err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(conn)
			got := readAnswer(t, br, "POST")
			if refused := tt.want != 200; got.status != tt.want || got.last != refused {
				t.Fatalf("got %d, closing %v, want %d, %v", got.status, got.last, tt.want, refused)
			}
			if tt.want == 200 {
				if n := len(storedRequest(t, q).Body); n != 100 {
					t.Errorf("stored %d bytes, want 100", n)
				}
				return
			}
			q.wantNothing(t)
			wantClosed(t, conn, br)
		})
	}
}

func TestDefaultBodyLimit(t *testing.T) {
	t.Parallel()
	rp := door(t, &pushes{}, repeater.Route("/", anywhere), repeater.WithMaxBody(0))
	for length, want := range map[int64]int{25<<20 + 1: 413, 25 << 20: 400} { // 400: there is less than declared
		wantStatus(t, try(rp, "POST", "/x", func(r *http.Request) { r.ContentLength = length }), want)
	}
}

// TestTruncatedUpload: what the sender did not send whole is never stored, whichever
// way it stops.
func TestTruncatedUpload(t *testing.T) {
	t.Parallel()
	const inChunks = "Transfer-Encoding: chunked"
	uploads := map[string]string{
		"declared, some":           post("/x", "", "Content-Length: 10") + "abc",
		"declared, none":           post("/x", "", "Content-Length: 10"),
		"declared, all but one":    post("/x", "", "Content-Length: 100000") + strings.Repeat("x", 99999),
		"chunked, within a chunk":  post("/x", "", inChunks) + "a\r\nabc",
		"chunked, between chunks":  post("/x", "", inChunks) + chunked("abc"),
		"chunked, within a size":   post("/x", "", inChunks) + chunked("abc") + "1",
		"chunked, no final CRLF":   post("/x", "", inChunks) + chunked("abc") + "0\r\n",
		"chunked, within trailers": post("/x", "", inChunks, "Trailer: X-T") + chunked("abc") + "0\r\nX-T: 1\r\n",
		"chunked, nonsense":        post("/x", "", inChunks) + chunked("abc") + "zz\r\n",
	}
	ends := map[string]func(*net.TCPConn) error{
		"half closed": (*net.TCPConn).CloseWrite,
		"closed":      (*net.TCPConn).Close,
		"reset": func(c *net.TCPConn) error {
			return errors.Join(c.SetLinger(0), c.Close())
		},
	}
	for upload, raw := range uploads {
		for end, stop := range ends {
			t.Run(upload+", "+end, func(t *testing.T) {
				t.Parallel()
				q := &pushes{}
				begun := make(chan struct{}, 1)
				rp := door(t, q, repeater.Route("/x", anywhere))
				h, served := watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					begun <- struct{}{}
					rp.ServeHTTP(w, r)
				}))
				conn := dial(t, listen(t, h))
				if _, err := io.WriteString(conn, raw); err != nil {
					t.Fatal(err)
				}
				receive(t, begun, "the request to arrive") // a reset may overtake it
				if err := stop(conn); err != nil {
					t.Fatal(err)
				}
				if end == "half closed" {
					br := bufio.NewReader(conn)
					if resp, err := http.ReadResponse(br, nil); err == nil {
						if resp.StatusCode != 400 {
							t.Errorf("got %d, want 400 or nothing", resp.StatusCode)
						}
						_, _ = io.Copy(io.Discard, resp.Body)
					}
					wantClosed(t, conn, br)
				}
				receive(t, served, "the request to be served")
				q.wantNothing(t)
			})
		}
	}
}

// failing is a body that breaks off.
type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = errors.New("the sender's disk is broken")
	}
	return n, err
}

func TestTruncatedUploadOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{-1, 10} {
		q := &pushes{}
		var proto string
		rp := door(t, q, repeater.Route("/x", anywhere))
		h, served := watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proto = r.Proto
			rp.ServeHTTP(w, r)
		}))
		srv := httptest.NewUnstartedServer(h)
		srv.EnableHTTP2 = true
		srv.StartTLS()
		t.Cleanup(srv.Close)
		req, err := http.NewRequest("POST", srv.URL+"/x", failing{strings.NewReader("abc")})
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		if resp, err := srv.Client().Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 400 {
				t.Errorf("length %d: got %d", length, resp.StatusCode)
			}
		}
		receive(t, served, "the request to be served")
		if proto != "HTTP/2.0" {
			t.Errorf("sent over %s, want HTTP/2.0", proto)
		}
		q.wantNothing(t)
	}
}

// TestBodyUnlikeItsLength: middleware that replaces a body and leaves its length must
// not lose anything in silence.
func TestBodyUnlikeItsLength(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		length int64
		body   io.Reader
		want   int
	}{
		{"shorter", 4, strings.NewReader("abc"), 400},
		{"longer", 2, strings.NewReader("abc"), 400},
		{"none declared", 0, strings.NewReader("abc"), 400},
		{"broken", -1, failing{strings.NewReader("abc")}, 400},
		{"broken at its end", 3, failing{strings.NewReader("abc")}, 400},
		{"unknown", -1, strings.NewReader("abc"), 200},
		{"unknown and empty", -1, strings.NewReader(""), 200},
		{"right", 3, strings.NewReader("abc"), 200},
		{"no body", 0, http.NoBody, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			rp := door(t, q, repeater.Route("/x", anywhere))
			wantStatus(t, try(rp, "POST", "/x", func(r *http.Request) {
				r.ContentLength, r.Body = tt.length, io.NopCloser(tt.body)
			}), tt.want)
			if tt.want != 200 {
				q.wantNothing(t)
			}
		})
	}
}

// TestSenderHangsUp: a request that has been read whole is stored even when its
// sender does not wait for the answer.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	pushing, goOn := make(chan context.Context, 1), make(chan struct{})
	q := &pushes{push: func(ctx context.Context, b repeater.Batch) (string, error) {
		pushing <- ctx
		select {
		case <-goOn:
			return b.ID, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}
	rp := door(t, q, repeater.Route("/x", anywhere), repeater.WithPushTimeout(patience))
	gone := make(chan context.Context, 1)
	h, served := watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone <- r.Context()
		rp.ServeHTTP(w, r)
	}))
	conn := dial(t, listen(t, h))
	if _, err := io.WriteString(conn, post("/x", "all of it")); err != nil {
		t.Fatal(err)
	}
	push := receive(t, pushing, "the push")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	receive(t, receive(t, gone, "the request").Done(), "the server to notice")
	if err := push.Err(); err != nil {
		t.Errorf("the push is cancelled with its sender: %v", err)
	}
	close(goOn)
	receive(t, served, "the request to be served")
	if body := string(storedRequest(t, q).Body); body != "all of it" {
		t.Errorf("stored %q, want all of it", body)
	}
}

// TestTurnedAwayBeforeTheBody: nobody is asked for a body that is not wanted.
func TestTurnedAwayBeforeTheBody(t *testing.T) {
	t.Parallel()
	addr := listen(t, door(t, &pushes{},
		repeater.Route("POST /x", anywhere, repeater.AllowFrom("203.0.113.1")), repeater.Route("/sub/", anywhere)))
	for _, tt := range []struct {
		method, target string
		want           int
	}{{"POST", "/x", 403}, {"PUT", "/x", 405}, {"POST", "/y", 404}, {"POST", "/sub/../y", 400}} {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, request(tt.method, tt.target, "", "Content-Length: 9", "Expect: 100-continue")); err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(conn)
		// An interim 100 would be read as the answer.
		if got := readAnswer(t, br, tt.method); got.status != tt.want || !got.last {
			t.Errorf("%s %s: got %d, closing %v, want %d, true", tt.method, tt.target, got.status, got.last, tt.want)
		}
		wantClosed(t, conn, br)
	}
}
