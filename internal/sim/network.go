package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"
)

// line is what connects one process with the destinations.
type line struct {
	w *world
	p *process
}

// flight is one request on its way: an attempt, or one try of it.
type flight struct {
	p      *process
	token  string
	number int // of the attempt
	nth    int // of all that have brought the message
	began  time.Duration
	again  bool // a quick retry

	landed    bool
	ended     time.Duration
	status    int
	err       error
	cancelled bool // by the process, at its end
	whole     bool
}

// silent tells that the request went out whole and no answer came.
func (f *flight) silent() bool { return f.landed && f.err != nil && !f.cancelled && f.whole }

var errCut = errors.New("sim: this process is dead")

// RoundTrip sends nothing anywhere: the destination's mood decides.
func (n *line) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	m, f, r := n.take(req, body)
	if f == nil {
		return nil, errCut
	}
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GetConn(req.URL.Host)
		if r.whole {
			trace.WroteRequest(httptrace.WroteRequestInfo{})
		}
	}
	t := time.NewTimer(r.after)
	defer t.Stop()
	select {
	case <-t.C:
	case <-req.Context().Done():
		time.Sleep(n.w.plan.seed.between(0, time.Millisecond, "hung up", m.name, f.nth))
		r = reply{err: req.Context().Err(), whole: r.whole}
	}
	return n.land(req, m, f, r)
}

// take is the moment in which a request leaves the process.
func (n *line) take(req *http.Request, body []byte) (*message, *flight, reply) {
	w := n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.p.dead {
		return nil, nil, reply{}
	}
	m := w.ledger.arrives(n.p, req, body)
	if m == nil {
		return nil, nil, reply{}
	}
	number, _ := strconv.Atoi(req.Header.Get("Repeater-Attempt"))
	f := &flight{p: n.p, token: m.token, number: number, nth: len(m.flights) + 1, began: w.now()}
	f.again = m.triesAgain(f)
	w.note(m.name, "attempt", "%d by %v", number, n.p)
	w.checkAttempt(m, f)
	m.flights = append(m.flights, f)
	m.highest = max(m.highest, number)
	if !f.again {
		m.lane.started, m.lane.starter = f.began, f.p
	}
	if w.ends(m) {
		after := w.plan.seed.between(0, 100*time.Millisecond, "kills after", m.name, f.nth)
		w.kills.Go(func() {
			time.Sleep(after)
			w.exit(exit{process: n.p.number, killed: true, away: 10 * after})
		})
	}
	return m, f, w.answer(m, f.nth)
}

// triesAgain tells a quick retry from a new attempt.
func (m *message) triesAgain(f *flight) bool {
	if len(m.flights) == 0 {
		return false
	}
	last := m.flights[len(m.flights)-1]
	return last.p == f.p && last.number == f.number && last.landed && f.began-last.ended < 600*time.Millisecond &&
		(last.err != nil || last.status == http.StatusBadGateway || last.status == http.StatusServiceUnavailable)
}

// land is the moment in which the process hears the outcome, if it still lives.
func (n *line) land(req *http.Request, m *message, f *flight, r reply) (*http.Response, error) {
	w := n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	f.landed, f.ended, f.status, f.err, f.whole = true, w.now(), r.status, r.err, r.whole
	f.cancelled = r.err != nil && errors.Is(context.Cause(req.Context()), context.Canceled)
	w.note(m.name, "outcome", "of %d for %v: %s", f.number, n.p, r)
	w.ledger.outcome(m, f)
	if n.p.dead {
		return nil, errCut
	}
	if r.err != nil {
		return nil, r.err
	}
	header := r.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	text := "answer " + strconv.Itoa(f.nth) + " to " + m.name
	header.Set("X-Sim-Answer", text)
	return &http.Response{
		StatusCode: r.status, Header: header, Request: req,
		ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

func (r reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	if wait := r.header.Get("Retry-After"); wait != "" {
		return strconv.Itoa(r.status) + ", retry after " + wait
	}
	return strconv.Itoa(r.status)
}
