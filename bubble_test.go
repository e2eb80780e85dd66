package repeater_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// bubble is a Repeater in virtual time, over a store that outlives it, with destinations
// that do as scripted.
type bubble struct {
	t     *testing.T
	queue repeater.Queue
	opts  []repeater.Option
	start time.Time

	rp   *repeater.Repeater
	stop func()

	mu     sync.Mutex
	answer func(sent) reply
	tries  []sent
	log    bytes.Buffer
}

// sent is one request as a destination sees it.
type sent struct {
	at      time.Duration // since the bubble's start
	host    string
	path    string
	query   string
	body    string
	id      string
	attempt int
}

// name is what the test calls the message: its body.
func (tr sent) String() string { return fmt.Sprintf("%s#%d", tr.body, tr.attempt) }

// reply is what a destination does.
type reply struct {
	status int
	header http.Header
	body   string
	after  time.Duration // before it answers; cut short when the attempt ends
	err    error         // instead of an answer
	whole  bool          // with err: the request had gone out whole
}

// hang never answers.
var hang = reply{after: 1000 * time.Hour, whole: true}

func status(code int) reply { return reply{status: code} }

// inBubble runs play in virtual time. The routes go to http://a.example and the like, and the
// destinations answer 200 until told otherwise.
func inBubble(t *testing.T, play func(b *bubble), opts ...repeater.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, queue: memqueue.New(), opts: opts, start: time.Now()}
		b.replies(func(sent) reply { return status(200) })
		b.restart()
		defer b.halt()
		play(b)
	})
}

// restart ends the Repeater, if there is one, and begins another over the same store.
func (b *bubble) restart() {
	b.t.Helper()
	b.halt()
	opts := append([]repeater.Option{
		repeater.WithQueue(b.queue), repeater.WithTransport(b),
		repeater.WithLogger(slog.New(slog.NewTextHandler(lockedWriter{&b.mu, &b.log}, nil))),
	}, b.opts...)
	rp := repeater.New(opts...)
	if err := rp.Err(); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rp.Run(ctx) }()
	b.rp = rp
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run: %v", err)
		}
		_ = rp.Close()
	}
	synctest.Wait()
}

// halt ends the Repeater, if there is one.
func (b *bubble) halt() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// replies sets what destinations do from now on.
func (b *bubble) replies(answer func(sent) reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// RoundTrip is the network.
func (b *bubble) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		all, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(all)
	}
	attempt, _ := strconv.Atoi(req.Header.Get("Repeater-Attempt"))
	tr := sent{time.Since(b.start), req.URL.Host, req.URL.Path, req.URL.RawQuery, body, req.Header.Get("Repeater-Id"), attempt}
	b.mu.Lock()
	b.tries = append(b.tries, tr)
	answer := b.answer
	b.mu.Unlock()
	do := answer(tr)
	trace := httptrace.ContextClientTrace(req.Context())
	trace.GetConn(req.URL.Host)
	if do.err == nil || do.whole {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	select {
	case <-time.After(do.after):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if do.err != nil {
		return nil, do.err
	}
	header := do.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	return &http.Response{StatusCode: do.status, Header: header, Request: req,
		ContentLength: int64(len(do.body)), Body: io.NopCloser(strings.NewReader(do.body))}, nil
}

// post sends a request, and returns the answer.
func (b *bubble) post(path, body string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	b.t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for _, e := range edit {
		e(req)
	}
	w := httptest.NewRecorder()
	b.rp.ServeHTTP(w, req)
	return w
}

// accept sends requests that must be accepted, one of each body.
func (b *bubble) accept(path string, bodies ...string) {
	b.t.Helper()
	for _, body := range bodies {
		if w := b.post(path, body); w.Code != http.StatusOK {
			b.t.Fatalf("%s %s: answered %d %s", path, body, w.Code, w.Body)
		}
	}
}

// pass lets virtual time pass, and what is then at work come to rest.
func (b *bubble) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// seen returns the tries so far, and forgets them.
func (b *bubble) seen() []sent {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	tries := b.tries
	b.tries = nil
	return tries
}

// names returns tries as "body#attempt".
func names(tries []sent) []string {
	out := []string{}
	for _, tr := range tries {
		out = append(out, tr.String())
	}
	return out
}

// logged counts the lines of the log that contain all of the texts.
func (b *bubble) logged(texts ...string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
next:
	for line := range strings.Lines(b.log.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue next
			}
		}
		n++
	}
	return n
}

// lane returns the state of a lane; zero if it is empty.
func (b *bubble) lane(name string) repeater.LaneInfo {
	b.t.Helper()
	synctest.Wait()
	lanes, err := b.rp.Lanes(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range lanes {
		if l.Name == name {
			return l
		}
	}
	return repeater.LaneInfo{Name: name}
}

// dead returns the dead letters of a lane, the latest first.
func (b *bubble) dead(name string) []repeater.DeadLetter {
	b.t.Helper()
	synctest.Wait()
	letters, _, err := b.queue.Dead(context.Background(), name, "", 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	return letters
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
