package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// request is one that a sender has sent, and what it has heard.
type request struct {
	send
	body []byte
	path string

	id     string // it was told
	status int    // likewise; 0: nothing yet, or its process died before
	answer string // of the destination, passed through
}

// message names what becomes of the request for one destination.
func (r *request) message(dest int) string { return fmt.Sprintf("%s.%d", r.name, dest) }

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

func (w *world) newRequest(s send) *request {
	r := &request{send: s, path: fmt.Sprintf("/%s/%s?q=%s;x", s.route.name, s.name, s.name)}
	for i := range s.size {
		r.body = append(r.body, byte(w.plan.seed.bits("body", s.name, i/8)>>(8*(i%8)))) // #nosec G115 -- bits are bits
	}
	return r
}

// post lets a sender send its request, to its own process or else to any that lives.
func (w *world) post(s send) {
	r := w.newRequest(s)
	p := w.door(s.process)
	if p == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), requestKey{}, r))
	defer cancel()
	if s.leaves {
		after := w.plan.seed.between(0, 3*time.Millisecond, "leaves after", s.name, 0)
		defer time.AfterFunc(after, cancel).Stop()
	}
	answer := httptest.NewRecorder()
	p.rp.ServeHTTP(answer, r.http(ctx))
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead {
		w.note(s.name, "hung up", "as %v is dead", p)
		return
	}
	r.status, r.id, r.answer = answer.Code, answer.Header().Get("Repeater-Id"), answer.Header().Get("X-Sim-Answer")
	w.note(s.name, "answered", "%d by %v", r.status, p)
	w.requests = append(w.requests, r)
	w.ledger.checkAnswer(r)
}

// door is where a sender gets in.
func (w *world) door(number int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.processes {
		if p := w.processes[(number+i)%len(w.processes)]; p != nil && !p.dead && !p.stopping {
			return p
		}
	}
	return nil
}

func (r *request) http(ctx context.Context) *http.Request {
	var body io.Reader = bytes.NewReader(r.body)
	if r.cut {
		body = io.MultiReader(body, broken{})
	}
	req := httptest.NewRequest(http.MethodPost, r.path, body).WithContext(ctx)
	if r.cut {
		req.ContentLength = -1
	}
	req.Header["X-Sim-Name"] = []string{r.name}
	req.Header["X-Sim-Twice"] = []string{"one", "two " + r.name}
	req.Header["X-Sim-Key"] = []string{r.key}
	if r.mark != "" {
		req.Header["X-Sim-Mark"] = []string{r.mark}
	}
	return req
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("sim: the connection broke") }
