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
	"sync"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	line := func(n int) string { return "X-A: " + strings.Repeat("a", n) }
	const around = len("POST/xin.example") + len("X-A: \r\n") + len("Content-Length: 1\r\n")
	for _, tt := range []struct {
		name string
		raw  string
		want int
	}{
		{"at the limit", post("/x", "x", line(1000-around)), 200},
		{"above", post("/x", "x", line(1001-around)), 431},
		{"many small ones", post("/x", "x", strings.Fields(strings.Repeat("X-B:1 ", 130))...), 431},
		{"long query", post("/x?"+strings.Repeat("q", 1000), "x"), 431},
		{"long host", "POST /x HTTP/1.1\r\nHost: " + strings.Repeat("h", 1000) + "\r\nContent-Length: 1\r\n\r\nx", 431},
		{"above, waiting for 100", post("/x", "", line(1000), "Content-Length: 1", "Expect: 100-continue"), 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			addr := listen(t, door(t, q, repeater.Route("/x", anywhere), repeater.WithMaxHeader(1000)))
			got := sendRaw(t, addr, tt.raw)
			if got.status != tt.want || got.last != (tt.want != 200) {
				t.Fatalf("got %d, closing %v, want %d", got.status, got.last, tt.want)
			}
			if tt.want != 200 {
				q.wantNothing(t)
			}
		})
	}
}

func TestDefaultHeaderLimit(t *testing.T) {
	t.Parallel()
	rp := door(t, &pushes{}, repeater.Route("/x", anywhere), repeater.WithMaxHeader(0))
	for size, want := range map[int]int{60 << 10: 200, 64 << 10: 431} {
		wantStatus(t, try(rp, "POST", "/x", func(r *http.Request) { r.Header.Set("X-A", strings.Repeat("a", size)) }), want)
	}
}

// TestSlowBody: who dribbles, or stops, is cut off, over either version of HTTP, also
// where the program's server has no timeouts at all.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for name, dribble := range map[string]bool{"stops": false, "dribbles": true} {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				q := &pushes{}
				srv := httptest.NewUnstartedServer(door(t, q, repeater.Route("/x", anywhere), repeater.WithReadTimeout(100*time.Millisecond)))
				srv.Config.ErrorLog = discardLog()
				srv.EnableHTTP2 = version == "HTTP/2.0"
				srv.StartTLS()
				t.Cleanup(srv.Close)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				body := &slowBody{dribble: dribble, closed: make(chan struct{})}
				req, err := http.NewRequestWithContext(ctx, "POST", srv.URL+"/x", body)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := srv.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.StatusCode != 408 || resp.Proto != version {
					t.Errorf("got %d over %s, want 408 over %s", resp.StatusCode, resp.Proto, version)
				}
				q.wantNothing(t)
			})
		}
	}
}

// slowBody never ends before it is closed.
type slowBody struct {
	dribble bool
	begun   bool
	closed  chan struct{}
	once    sync.Once
}

func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b *slowBody) Read(p []byte) (int, error) {
	pause := time.Hour
	if b.dribble {
		pause = 5 * time.Millisecond
	}
	if b.begun {
		select {
		case <-time.After(pause):
		case <-b.closed:
			return 0, io.ErrClosedPipe
		}
	}
	b.begun = true
	p[0] = 'x'
	return 1, nil
}

// TestDeadlineIsClearedAfterTheBody: storing may take longer than sending, and the
// connection serves again after that.
func TestDeadlineIsClearedAfterTheBody(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	var cancelled error
	q := &pushes{}
	rp := door(t, q, repeater.Route("/x", anywhere), repeater.WithReadTimeout(limit))
	h, served := watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rp.ServeHTTP(w, r)
		select {
		case <-time.After(3 * limit):
		case <-r.Context().Done():
			cancelled = r.Context().Err()
		}
	}))
	conn := dial(t, listen(t, h))
	br := bufio.NewReader(conn)
	for range 2 {
		if _, err := io.WriteString(conn, post("/x", "body")); err != nil {
			t.Fatal(err)
		}
		if got := readAnswer(t, br, "POST"); got.status != 200 {
			t.Errorf("got %d, want 200", got.status)
		}
		receive(t, served, "the request to be served")
		if cancelled != nil {
			t.Errorf("the request's context ended: %v", cancelled)
		}
	}
}

// deadlineWriter keeps what read deadlines were set.
type deadlineWriter struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error {
	w.set = append(w.set, t)
	return nil
}

// TestServersOwnReadTimeout: a shorter one of the server is not lengthened.
func TestServersOwnReadTimeout(t *testing.T) {
	t.Parallel()
	rp := door(t, &pushes{}, repeater.Route("/x", anywhere))
	serve := func(srv *http.Server, body io.Reader) []time.Time {
		req := httptest.NewRequest("POST", "/x", body)
		if srv != nil {
			req = req.WithContext(context.WithValue(req.Context(), http.ServerContextKey, srv))
		}
		w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
		rp.ServeHTTP(w, req)
		wantStatus(t, w.ResponseRecorder, 200)
		return w.set
	}
	x := func() io.Reader { return strings.NewReader("x") }
	for name, set := range map[string][]time.Time{
		"shorter":         serve(&http.Server{ReadTimeout: time.Second}, x()),
		"the same":        serve(&http.Server{ReadTimeout: 30 * time.Second}, x()),
		"nothing to read": serve(nil, http.NoBody),
	} {
		if len(set) > 0 {
			t.Errorf("%s: deadlines %v were set, want none", name, set)
		}
	}
	for name, set := range map[string][]time.Time{
		"no server": serve(nil, x()), "none": serve(&http.Server{}, x()), "longer": serve(&http.Server{ReadTimeout: time.Hour}, x()),
	} {
		if len(set) != 2 || time.Until(set[0]) > 30*time.Second || time.Until(set[0]) < 10*time.Second || !set[1].IsZero() {
			t.Errorf("%s: deadlines %v were set, want one in 30 s, and then none", name, set)
		}
	}
}

func TestNoReadDeadline(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	rp := door(t, &pushes{}, repeater.Route("/x", anywhere), repeater.WithLogger(log))
	for range 3 {
		wantStatus(t, try(rp, "POST", "/x"), 200)
	}
	if n := strings.Count(logged.String(), "slow bodies are not cut off"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, logged)
	}
}

// TestEndlessBody: nothing of it is kept beyond the limit.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	conn := dial(t, listen(t, door(t, q, repeater.Route("/x", anywhere), repeater.WithMaxBody(1<<20))))
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, post("/x", "", "Transfer-Encoding: chunked"))
		for chunk := chunked(strings.Repeat("x", 1<<16)); err == nil; {
			_, err = io.WriteString(conn, chunk)
		}
		sent <- err
	}()
	if got := readAnswer(t, bufio.NewReader(conn), "POST"); got.status != 413 || !got.last {
		t.Errorf("got %d, closing %v, want 413, true", got.status, got.last)
	}
	if err := receive(t, sent, "the connection to be closed"); err == nil || isTimeout(err) {
		t.Errorf("the sender stopped with %v, want a closed connection", err)
	}
	q.wantNothing(t)
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// TestOrderOfChecks: each request has all that is wrong from its place on.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	addr := listen(t, door(t, q, repeater.WithMaxHeader(2000), repeater.WithMaxBody(10),
		repeater.Route("POST /closed", anywhere, repeater.AllowFrom("203.0.113.1")), repeater.Route("POST /open", anywhere)))
	const large = "Content-Length: 11"
	loop := "Via: " + strings.Repeat("1.1 webhook-repeater,", 5)
	header := "X-A: " + strings.Repeat("a", 2000)
	for i, raw := range []string{
		request("PUT", "/nowhere", "", header, loop, large),
		request("PUT", "/closed", "", header, loop, large),
		request("POST", "/closed", "", header, loop, large),
		request("POST", "/open", "", header, loop, large),
		request("POST", "/open", "", loop, large),
		request("POST", "/open", "", large),
	} {
		want := []int{404, 405, 403, 431, 508, 413}[i]
		raw = strings.Replace(raw, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1)
		if got := sendRaw(t, addr, raw); got.status != want || !got.last {
			t.Errorf("%.30q: got %d, closing %v, want %d, true", raw, got.status, got.last, want)
		}
	}
	q.wantNothing(t)
}

// TestTurnedAwayOverHTTP2: the other requests of the connection go on.
func TestTurnedAwayOverHTTP2(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	srv := httptest.NewUnstartedServer(door(t, q, repeater.Route("/x", anywhere),
		repeater.Route("/closed", anywhere, repeater.AllowFrom("203.0.113.1"))))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	from := make(map[string]bool)
	client := srv.Client()
	for i, path := range []string{"/x", "/closed", "/x", "/nowhere", "/x"} {
		resp, err := client.Post(srv.URL+path, "text/plain", strings.NewReader(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if want := map[string]int{"/x": 200, "/closed": 403, "/nowhere": 404}[path]; resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
	for _, b := range q.batches() {
		r, err := repeater.BinaryCodec{}.Decode(repeater.Key{ID: b.ID}, b.Messages[0].Payload)
		if err != nil {
			t.Fatal(err)
		}
		from[r.RemoteAddr] = true
		if want := "2.0 webhook-repeater"; r.Header.Get("Via") != want {
			t.Errorf("Via is %q, want %q", r.Header.Get("Via"), want)
		}
	}
	if len(from) != 1 {
		t.Errorf("sent on %d connections, want 1", len(from))
	}
}

// TestTurnedAwayIsNotWaitedFor: who is refused and then sends no more keeps no connection.
func TestTurnedAwayIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	q := &pushes{push: func(context.Context, repeater.Batch) (string, error) { return "", errors.New("down") }}
	addr := listen(t, door(t, q, repeater.WithMaxBody(10),
		repeater.Route("/closed", anywhere, repeater.AllowFrom("203.0.113.1")), repeater.Route("/open", anywhere)))
	for _, tt := range []struct {
		raw  string
		want int
	}{
		{post("/closed", "", "Content-Length: 9"), 403},
		{post("/closed", "", "Content-Length: 9", "Expect: 100-continue"), 403},
		{post("/closed", "", "Transfer-Encoding: chunked") + "5\r\n", 403},
		{post("/nowhere", "", "Content-Length: 9") + "some", 404},
		{post("/open", "", "Content-Length: 11"), 413},
		{post("/open", "", "Transfer-Encoding: chunked") + chunked("0123456789a"), 413},
	} {
		t.Run(tt.raw, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, addr)
			if _, err := io.WriteString(conn, tt.raw); err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(conn)
			if got := readAnswer(t, br, "POST"); got.status != tt.want || !got.last {
				t.Errorf("got %d, closing %v, want %d, true", got.status, got.last, tt.want)
			}
			if more, err := io.ReadAll(br); len(more) > 0 || isTimeout(err) {
				t.Errorf("%q, %v, want the end", more, err)
			}
		})
	}
}
