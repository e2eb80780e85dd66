package repeater_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// patience is for events that must come; no test that passes waits so long.
const patience = 20 * time.Second

// receive waits for what must come.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// discard keeps the logs of a test out of its output.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func discardLog() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) }

// pushes is the half of a Queue that the way in uses. It keeps what was stored.
type pushes struct {
	repeater.Queue // the other half: not to be called
	push           func(context.Context, repeater.Batch) (string, error)

	mu     sync.Mutex
	stored []repeater.Batch
}

func (q *pushes) Push(ctx context.Context, b repeater.Batch) (string, error) {
	id := b.ID
	if q.push != nil {
		var err error
		if id, err = q.push(ctx, b); err != nil {
			return "", err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stored = append(q.stored, b)
	return id, nil
}

func (q *pushes) batches() []repeater.Batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]repeater.Batch(nil), q.stored...)
}

// only returns the one batch that was stored.
func (q *pushes) only(t *testing.T) repeater.Batch {
	t.Helper()
	all := q.batches()
	if len(all) != 1 {
		t.Fatalf("stored %d requests, want 1", len(all))
	}
	return all[0]
}

func (q *pushes) wantNothing(t *testing.T) {
	t.Helper()
	if all := q.batches(); len(all) != 0 {
		t.Errorf("stored %+v, want nothing", all)
	}
}

// door makes a Repeater that only accepts.
func door(t *testing.T, q *pushes, opts ...repeater.Option) *repeater.Repeater {
	t.Helper()
	rp := repeater.New(append([]repeater.Option{repeater.WithQueue(q), repeater.WithLogger(discard())}, opts...)...)
	if err := rp.Err(); err != nil {
		t.Fatalf("options: %v", err)
	}
	t.Cleanup(func() { _ = rp.Close() })
	return rp
}

// deliver makes a Repeater over a file of its own and has it deliver until the test ends.
func deliver(t *testing.T, opts ...repeater.Option) *repeater.Repeater {
	t.Helper()
	file := repeater.WithFile(filepath.Join(t.TempDir(), "test.db"))
	return run(t, append([]repeater.Option{file, repeater.WithLogger(discard())}, opts...)...)
}

// run has a Repeater deliver until the test ends.
func run(t *testing.T, opts ...repeater.Option) *repeater.Repeater {
	t.Helper()
	rp := repeater.New(opts...)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- rp.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := receive(t, ran, "Run to end"); err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := rp.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return rp
}

// listen serves h on a socket and returns its address.
func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = discardLog()
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// dial returns a connection on which nothing can hang for ever.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	last   bool // the server says that it will close the connection
}

// sendRaw writes a request to the byte and reads the answer to it.
func sendRaw(t *testing.T, addr, raw string) answer {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatalf("send: %v", err)
	}
	method, _, _ := strings.Cut(raw, " ")
	return readAnswer(t, bufio.NewReader(conn), method)
}

func readAnswer(t *testing.T, br *bufio.Reader, method string) answer {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer's body: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, string(body), resp.Close}
}

// post is the head and body of an ordinary webhook; headers are whole lines.
func post(target, body string, headers ...string) string {
	return request("POST", target, body, headers...)
}

func request(method, target, body string, headers ...string) string {
	head := []string{method + " " + target + " HTTP/1.1", "Host: in.example"}
	head = append(head, headers...)
	if body != "" {
		head = append(head, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n" + body
}

// try lets h serve a request without a socket.
func try(h http.Handler, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader("x"))
	for _, f := range change {
		f(req)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// wireRequest is a request as it stood on the wire.
type wireRequest struct {
	line   string // method, target and version
	header []string
	body   []byte
}

// values returns the values of a header, in their order on the wire.
func (r wireRequest) values(name string) []string {
	var v []string
	for _, h := range r.header {
		if n, value, _ := strings.Cut(h, ":"); strings.EqualFold(n, name) {
			v = append(v, strings.TrimSpace(value))
		}
	}
	return v
}

func (r wireRequest) value(name string) string { return strings.Join(r.values(name), ", ") }

// target returns the request target: what stands between method and version.
func (r wireRequest) target() string {
	_, rest, _ := strings.Cut(r.line, " ")
	return strings.TrimSuffix(rest, " HTTP/1.1")
}

// destination records requests from the wire, with no HTTP library in between.
type destination struct {
	addr string
	got  chan wireRequest
}

const answerOK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// newDestination gives every request the same answer, to the byte.
func newDestination(t *testing.T, answer string) *destination {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &destination{ln.Addr().String(), make(chan wireRequest, 100)}
	var conns sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				defer conn.Close()
				d.serve(conn, answer)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		stop()
		conns.Wait()
	})
	return d
}

func (d *destination) serve(conn net.Conn, answer string) {
	br := bufio.NewReader(conn)
	for {
		var r wireRequest
		head, err := readHead(br)
		if err != nil {
			return
		}
		r.line, r.header = head[0], head[1:]
		if n, err := strconv.Atoi(r.value("Content-Length")); err == nil {
			r.body = make([]byte, n)
			if _, err := io.ReadFull(br, r.body); err != nil {
				return
			}
		}
		d.got <- r
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// readHead returns the lines up to the empty one, without their ends.
func readHead(br *bufio.Reader) ([]string, error) {
	var lines []string
	tr := textproto.NewReader(br)
	for {
		line, err := tr.ReadLine()
		if err != nil {
			return nil, err
		}
		if line == "" && len(lines) > 0 {
			return lines, nil
		}
		lines = append(lines, line)
	}
}

func (d *destination) url(path string) string { return "http://" + d.addr + path }

func (d *destination) next(t *testing.T) wireRequest {
	t.Helper()
	return receive(t, d.got, "a delivery")
}

// logBuffer keeps what is logged, and lets a test wait for a line.
type logBuffer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // holds a token after each write
}

func newLog() (*logBuffer, *slog.Logger) {
	b := &logBuffer{changed: make(chan struct{}, 1)}
	return b, slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) waitFor(t *testing.T, what string, reached func(log string) bool) {
	t.Helper()
	for !reached(b.String()) {
		select {
		case <-b.changed:
		case <-time.After(patience):
			t.Fatalf("waited %v for %s in the log:\n%s", patience, what, b)
		}
	}
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// request is r as a server of net/http would have it.
func (r wireRequest) request() *http.Request {
	req := &http.Request{Header: make(http.Header), Host: r.value("Host"), RequestURI: r.target(), URL: mustURL(r.target())}
	for _, line := range r.header {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	return req
}
