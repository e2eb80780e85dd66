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
// order in which they came, at least once. What the destination refuses for good is
// kept as a dead letter.
//
// Method, path, query, body and headers arrive as they were sent; hop-by-hop headers and
// trailers do not, and header names lose their case and their order (not that of the values
// of one name). Each attempt has besides the headers Repeater-Id, Repeater-Attempt,
// Repeater-Received (when the request was accepted), Via, X-Forwarded-For, X-Forwarded-Proto and
// X-Forwarded-Host. Of these, a sender's own Via and X-Forwarded-For are
// continued, the others replaced.
package repeater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/webhook-repeater/repeater/internal/metrics"
)

// ErrRunning is Run's answer while another Run of the same Repeater is at work.
var ErrRunning = errors.New("already running")

// Repeater accepts webhooks and delivers them. Make one with [New]; mount it as
// an [http.Handler], and call [Repeater.Run] once to deliver. All methods may
// be called concurrently.
type Repeater struct {
	current atomic.Pointer[config]
	err     error
	queue   Queue
	ids     ids
	worker  atomic.Pointer[worker]

	mu      sync.Mutex
	running chan struct{} // closed when Run has ended; nil when there is none
	stop    context.CancelFunc
	closed  bool

	reloading sync.Mutex

	idle       idleWarning
	memory     doorBudget // for bodies
	refused    refusedCounts
	seen       sightings // of lanes, for Admin
	refusing   outage    // of the store, as senders notice it
	waiters    waiters
	noDeadline sync.Once // says that a slow body cannot be cut off

	stats   *metrics.Set // nil: nothing is counted
	uncount func()
}

// New makes a Repeater. It does no I/O and never panics: what is wrong with the
// options is told by Err.
func New(opts ...Option) *Repeater {
	cfg := newConfig(opts)
	r := &Repeater{err: errors.Join(cfg.errs...), ids: ids{clock: cfg.clock}}
	if r.err == nil {
		r.err = r.count(cfg)
	}
	if r.err == nil {
		cfg.countRoutes(r.stats)
		r.queue = cfg.queue(r.stats)
	}
	r.memory.size.Store(cfg.doorMemory)
	r.current.Store(cfg)
	return r
}

// Err returns what is wrong with the options, all of it, joined; nil if nothing
// is. A Repeater with an error answers 500, and its Run returns the error.
func (r *Repeater) Err() error { return r.err }

// opener is a store of our own that can be opened before it is used.
type opener interface{ Open(context.Context) error }

// Open opens the store now rather than at its first use, to learn early that
// it cannot be: [ErrLocked] means that another process has the file. It may be
// called again after an error. Of Redis it checks how safe it is set up to be (see [WithRedisStrict]); that
// it cannot be reached is no error. Other stores open themselves, and Open does nothing.
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
	r.config().closeIdle()
	if r.uncount != nil {
		r.uncount()
	}
	if c, ok := r.queue.(io.Closer); ok && r.config().ownStore() {
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
// route once cleaned, 401 for a request that [Verify] does not take for genuine, 403 for a sender that [AllowFrom] does not name, 404 and 405 where no
// route matches, 408 for a body that takes too long, 413 and 431 for too large a body or header, 500 for a
// Repeater with mistakes in its options, 503 with Retry-After when the store does not take it, or after
// Close, and 508 for what has come through five repeaters. After a 503 the
// request may be stored all the same, if the store's answer was lost; it
// is then delivered. Whom an early check turns away is not asked for the body, and the
// connection is closed.
//
// Once the body is read, the sender's going away changes nothing.
func (r *Repeater) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.view().serve(w, req) }

func (r view) serve(w http.ResponseWriter, req *http.Request) {
	if r.err != nil {
		r.cfg.log.Error("repeater: not serving: mistakes in the options", "error", r.err)
		http.Error(w, "the repeater is not configured correctly", http.StatusInternalServerError)
		return
	}
	rt, ok := r.admit(w, req)
	if !ok {
		return
	}
	req, r.span = r.cfg.startAccept(req, rt)
	defer r.span.end()
	if !r.hasRoom(rt) {
		r.cfg.log.Warn("lane is full; the sender was told to try again", "route", rt.name)
		r.notNow(w, req, rt, refusedLaneFull, "cannot store the request now")
		return
	}
	m := r.meter(req)
	if m == nil {
		r.notNow(w, req, rt, refusedMemory, "cannot take the request now")
		return
	}
	defer m.release()
	body, ok := r.readBody(w, req, m, rt)
	if !ok || !r.genuine(w, req, rt, body) || rt.handshakes != nil && r.greet(w, req, rt, true, body) {
		return
	}
	r.accept(w, req, rt, body)
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
	w.memory.resize(r.laneMemory) // which a Reload may have changed just before
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
	r.config().closeIdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	close(r.running)
	r.running = nil
}
