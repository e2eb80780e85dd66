// Package repeater is a durable store-and-forward [http.Handler] for webhooks.
//
// A request that matches a [Route] is stored whole, answered with 200, and
// delivered to its destination, now or whenever that is back:
//
//	rp := repeater.New(repeater.Route("/hooks/jira", "http://jira.internal/hook"))
//	mux.Handle("/hooks/", rp)
//	go rp.Run(ctx)
//
// The 200 is the promise: it is said only when the request is stored, by default
// in a file and fsynced. Messages for one destination are delivered in the
// order in which they came, at least once, each attempt with the
// headers Repeater-Id and Repeater-Attempt. What the destination refuses for good is
// kept as a dead letter.
package repeater

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrRunning is Run's answer while another Run of the same Repeater is at work.
var ErrRunning = errors.New("already running")

// Repeater accepts webhooks and delivers them. Make one with [New]; mount it as
// an [http.Handler], and call [Repeater.Run] once to deliver. All methods may
// be called concurrently.
type Repeater struct {
	cfg    *config
	err    error
	queue  Queue
	ids    ids
	worker atomic.Pointer[worker]

	mu      sync.Mutex
	running chan struct{} // closed when Run has ended; nil when there is none
	stop    context.CancelFunc
	closed  bool

	idle idleWarning
}

// New makes a Repeater. It does no I/O and never panics: what is wrong with the
// options is told by Err.
func New(opts ...Option) *Repeater {
	cfg := newConfig(opts)
	r := &Repeater{cfg: cfg, err: errors.Join(cfg.errs...), ids: ids{clock: cfg.clock}}
	if r.err == nil {
		r.queue = cfg.queue()
	}
	return r
}

// Err returns what is wrong with the options, all of it, joined; nil if nothing
// is. A Repeater with an error answers 500, and its Run returns the error.
func (r *Repeater) Err() error { return r.err }

// opener is a store of our own that can be opened before it is used.
type opener interface{ Open(context.Context) error }

// Open opens the store now rather than at its first use, to learn early that
// it cannot be: [ErrLocked] means that another process has the file. It may be
// called again after an error. Other stores than the file open themselves as
// they need, and Open does nothing.
func (r *Repeater) Open(ctx context.Context) error {
	if err := r.usable(); err != nil {
		return err
	}
	if o, ok := r.queue.(opener); ok {
		return o.Open(ctx)
	}
	return nil
}

// Lanes returns the state of all lanes that have messages, by name.
func (r *Repeater) Lanes(ctx context.Context) ([]LaneInfo, error) {
	if err := r.usable(); err != nil {
		return nil, err
	}
	var all []LaneInfo
	err := eachLane(ctx, r.queue, func(info LaneInfo) { all = append(all, info) })
	return all, err
}

// Close ends a Run that is still going, as though its context had ended, waits for it,
// and closes the store, if the Repeater opened it. From then on ServeHTTP answers
// 503. Further calls do nothing and return nil.
func (r *Repeater) Close() error {
	r.mu.Lock()
	closed, running := r.closed, r.running
	r.closed = true
	if running != nil {
		r.stop()
	}
	r.mu.Unlock()
	if running != nil {
		<-running
	}
	if closed {
		return nil
	}
	if t, ok := r.cfg.transport.(*http.Transport); ok && r.cfg.ownTransport {
		t.CloseIdleConnections()
	}
	if c, ok := r.queue.(io.Closer); ok && r.cfg.ownStore() {
		return c.Close()
	}
	return nil
}

// usable returns why nothing can be done.
func (r *Repeater) usable() error {
	if r.err != nil {
		return r.err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("repeater: %w", ErrClosed)
	}
	return nil
}

// ServeHTTP stores the request for each destination of its route and answers 200 with
// the body "OK" and the id of the request in the header Repeater-Id.
//
// Other answers: 400 for a body that ends early and for a path that means another
// route once cleaned, 403 for a sender that [AllowFrom] does not name, 404 and 405 where no
// route matches, 413 for too large a body, 500 for a Repeater with mistakes in its
// options, and 503 with Retry-After when the store does not take it, or after Close. After a 503 the
// request may be stored all the same, if the store's answer was lost; it
// is then delivered.
//
// Once the body is read, the sender's going away changes nothing.
func (r *Repeater) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.err != nil {
		r.cfg.log.Error("repeater: not serving: mistakes in the options", "error", r.err)
		http.Error(w, "the repeater is not configured correctly", http.StatusInternalServerError)
		return
	}
	rt, ok := r.admit(w, req)
	if !ok {
		return
	}
	body, ok := r.readBody(w, req, rt)
	if !ok {
		return
	}
	r.accept(w, req, rt, body)
}

// accept stores a request that has been read whole.
func (r *Repeater) accept(w http.ResponseWriter, req *http.Request, rt *route, body []byte) {
	batch, err := r.batch(req, rt, body)
	if err != nil {
		r.cfg.log.Error("request cannot be encoded", "route", rt.name, "error", err)
		http.Error(w, "cannot store the request", http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), r.cfg.pushTimeout)
	defer cancel()
	err = r.usable()
	if err == nil {
		batch.ID, err = r.queue.Push(ctx, batch)
	}
	if err != nil {
		if !errors.Is(err, ErrClosed) {
			r.cfg.log.Error("request not stored; the sender was told to try again", "route", rt.name, "error", err)
		}
		w.Header().Set("Retry-After", "5")
		http.Error(w, "cannot store the request now", http.StatusServiceUnavailable)
		return
	}
	if r.cfg.log.Enabled(ctx, slog.LevelDebug) {
		r.cfg.log.Debug("accepted", "route", rt.name, "id", batch.ID, "bytes", len(body))
	}
	r.wake(batch.Messages)
	h := w.Header()
	h["Content-Type"] = []string{"text/plain"}
	h[headerID] = []string{batch.ID}
	_, _ = io.WriteString(w, "OK") // a sender that is gone will not read it
}

// batch makes a message for each destination.
func (r *Repeater) batch(req *http.Request, rt *route, body []byte) (Batch, error) {
	b := Batch{ID: r.ids.next(), Route: rt.name, Received: r.cfg.clock(), Messages: make([]Message, len(rt.dests))}
	in := &Request{
		Method:     req.Method,
		Host:       req.Host,
		Path:       rawPath(req),
		Header:     endToEnd(req.Header),
		RemoteAddr: req.RemoteAddr,
		TLS:        req.TLS != nil,
		Body:       body,
	}
	if req.URL.RawQuery != "" || req.URL.ForceQuery {
		in.Query = "?" + req.URL.RawQuery
	}
	for i, d := range rt.dests {
		payload, err := r.cfg.codec.Encode(Key{b.ID, i}, in)
		if err != nil {
			return b, err
		}
		b.Messages[i] = Message{Dest: i, Lane: d.lane, Payload: payload}
	}
	return b, nil
}

func (r *Repeater) wake(messages []Message) {
	w := r.worker.Load()
	for i := range messages {
		if w != nil {
			w.wake(messages[i].Lane)
		}
	}
	if w == nil {
		r.idle.accepted(r)
	}
}

// Run delivers until ctx ends. Then it claims nothing more, lets attempts in flight
// end (see [WithDrain]), gives the rest back to the store, and returns nil. No goroutine
// that it started outlives it. It may be called again afterwards.
//
// It returns an error at once when the options are wrong, when the store's file
// cannot be opened ([ErrLocked]), after Close ([ErrClosed]), and while another Run
// is at work ([ErrRunning]). An unreachable Redis is no error: Run keeps trying.
//
// Over a shared store Run is optional: another process may deliver.
func (r *Repeater) Run(ctx context.Context) error {
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer r.end()
	if err := r.Open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	w := newWorker(ctx, r)
	r.worker.Store(w)
	defer r.worker.Store(nil)
	w.run()
	return nil
}

func (r *Repeater) begin(ctx context.Context) (context.Context, error) {
	if err := r.usable(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		return nil, fmt.Errorf("repeater: %w", ErrRunning)
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.running = make(chan struct{})
	return ctx, nil
}

func (r *Repeater) end() {
	if t, ok := r.cfg.transport.(*http.Transport); ok && r.cfg.ownTransport {
		t.CloseIdleConnections()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	close(r.running)
	r.running = nil
}

// idleWarning tells once that nobody delivers what the file store keeps.
type idleWarning struct {
	since atomic.Int64 // ns on the monotonic clock of started
	said  atomic.Bool
}

const idleAfter = 30 * time.Second

var started = time.Now()

func (i *idleWarning) accepted(r *Repeater) {
	if _, ok := r.queue.(*fileQueue); !ok || i.said.Load() {
		return
	}
	now := int64(time.Since(started)) + 1
	if i.since.CompareAndSwap(0, now) || now-i.since.Load() < int64(idleAfter) {
		return
	}
	if i.said.CompareAndSwap(false, true) {
		r.cfg.log.Warn("webhooks are stored but nobody delivers them: add \"go rp.Run(ctx)\" to the program")
	}
}

// rawPath is the path as it was sent. net/url's EscapedPath would escape again
// what it thinks is badly escaped.
func rawPath(req *http.Request) string {
	p := req.URL.RawPath
	if p == "" {
		p = req.URL.EscapedPath()
	}
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // http.StripPrefix may leave nothing
	}
	return p
}

// readAll reads a body of known or unknown length into as few bytes as it needs.
func readAll(body io.Reader, length int64) ([]byte, error) {
	var buf bytes.Buffer
	if length > 0 {
		buf.Grow(int(min(length, 1<<20)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(body)
	return buf.Bytes(), err
}
