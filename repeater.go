// Package repeater is a durable store-and-forward [http.Handler] for webhooks.
//
// A request that matches a [Route] is stored whole, answered with 200, and delivered to its
// destination, now or as soon as the destination is back:
//
//	rp := repeater.New(repeater.Route("/hooks/jira", "http://jira.internal/hook"))
//	mux.Handle("/hooks/", rp)
//	go rp.Run(ctx)
//
// The 200 is the promise: it is sent only when the request is stored, by default in a file and
// fsynced. Messages for one destination are delivered in the order in which they came, at least
// once. What the destination refuses for good is kept as a dead letter.
//
// Method, path, query, body and headers arrive as they were sent; hop-by-hop headers and trailers
// do not, and header names lose their case and their order (not that of the values of one name).
// Each attempt also carries the headers Repeater-Id, Repeater-Attempt, Repeater-Received (when the
// request was accepted), Via, X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host. Of these, a
// sender's own Via and X-Forwarded-For are continued and the others are replaced; only the
// X-Forwarded-Proto and X-Forwarded-Host of a proxy that [TrustProxies] names are kept.
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

// ErrRunning is returned by Run while another Run of the same Repeater is still going.
var ErrRunning = errors.New("already running")

// Repeater accepts webhooks and delivers them. Make one with [New], mount it as an [http.Handler],
// and call [Repeater.Run] once to deliver. All methods may be called concurrently.
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

// New makes a Repeater. It does no I/O and never panics: mistakes in the options are returned by
// [Repeater.Err].
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

// Err returns all mistakes in the options, joined, or nil if there are none. A Repeater with
// mistakes answers every request with 500, and its Run returns the error.
func (r *Repeater) Err() error { return r.err }

// opener is a store of our own that can be opened before it is used.
type opener interface{ Open(context.Context) error }

// Open opens the store now rather than at its first use, so that a store that cannot be opened is
// noticed early: the error is [ErrLocked] if another process has the file open, and [ErrCorrupt] if
// the file is damaged (see [RepairFile]). A damaged file stays refused; after another error Open
// may be called again. The file store looks at ctx before it begins to open the file, and then does
// not stop before the file is open.
//
// With Redis, Open checks how safely the server is set up (see [WithRedisStrict]); that it cannot
// be reached is no error. A store of [WithQueue] is opened if it has a method Open(context.Context)
// error; otherwise Open does nothing.
func (r *Repeater) Open(ctx context.Context) error {
	if err := r.usable(); err != nil {
		return err
	}
	if o, ok := r.queue.(opener); ok {
		return o.Open(ctx)
	}
	return nil
}

// Lanes returns the state of all lanes that have messages, waiting or dead, and of those that are
// paused by [Repeater.Pause] even if they are empty, sorted by name.
func (r *Repeater) Lanes(ctx context.Context) ([]LaneInfo, error) {
	if err := r.usable(); err != nil {
		return nil, err
	}
	var all []LaneInfo
	err := eachLane(ctx, r.queue, func(info LaneInfo) { all = append(all, info) })
	return all, err
}

// Close stops a running Run as though its context had ended, waits for it, and closes the store if
// it is the Repeater's own, which that of [WithRedis] or [WithQueue] is not. From then on ServeHTTP
// answers 503. Further calls do nothing and return nil.
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

// ServeHTTP stores the request for each destination of its route and answers 200 with the body "OK"
// and the id of the request in the header Repeater-Id. A route with [PassThrough] answers with the
// destination's own answer instead, or with 202. A [Handshake] is answered with 200 and not stored.
//
// Requests that are not stored get:
//
//   - 400 for a body that ends early or cannot be read, for a path that would mean another route
//     once cleaned, and for a GET or OPTIONS that is no handshake on a route that takes this
//     method for its [Handshake] only
//   - 401 if [Verify] does not take the request for genuine
//   - 403 if [AllowFrom] does not name the sender, or a [Handshake] has the wrong token or origin
//   - 404 if no route matches, 405 with Allow if one does for another method
//   - 408 if the body takes longer than [WithReadTimeout]
//   - 413 for a body larger than [WithMaxBody], 431 for headers larger than [WithMaxHeader]
//   - 500 if there are mistakes in the options
//   - 503 with Retry-After if a lane or the store is full, there is no memory for the body, the
//     [Codec] cannot encode the request, the store fails or does not answer in time, or the
//     Repeater is closed
//   - 508 if the request has come through five repeaters already
//
// After a 503 the request may be stored all the same, if the store's answer was lost; it is then
// delivered. A request that is refused before its body is read is not asked for the body, and over
// HTTP/1 its connection is closed.
//
// Once the body is read, the request is stored even if the sender disconnects.
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

// Run delivers until ctx ends. Then it claims nothing more, lets attempts in flight end (see
// [WithDrain]), gives the rest back to the store, and returns nil. No goroutine that it started
// outlives it. It may be called again afterwards.
//
// It returns an error at once when there are mistakes in the options, when the store's file cannot
// be opened ([ErrLocked]) or is damaged ([ErrCorrupt]), when [WithRedisStrict] finds Redis unsafe
// ([ErrUnsafe]), after Close ([ErrClosed]), and while another Run is still going ([ErrRunning]). An
// unreachable Redis is no error: Run keeps trying. Nor is it one if ctx ends while the store is
// being opened.
//
// A panic in code of yours that it calls, such as [RetryIf], [Codec] or the transport of
// [WithTransport], is not recovered and ends the process. A message that was in hand several times
// when the process died is tried alone, and then put off so that its lane can go on, unless that is
// [Strict].
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
