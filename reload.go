package repeater

import (
	"errors"
	"reflect"
	"slices"
)

// ErrRestart is returned by Reload for what only a new Repeater can change: the store, the codec,
// and the registerer of [WithMetrics].
var ErrRestart = errors.New("cannot be changed by Reload")

// Reload replaces the configuration. It takes all options anew, as New does: what is left out falls
// back to its default, a codec of [WithCodec] included. Only the store and [WithMetrics] stay as
// they are when they are left out.
//
// If there are mistakes in the options, Reload returns all of them, joined, and the present
// configuration stays. It also stays, and the error is [ErrRestart], if they ask for another store
// ([WithFile], [WithDiskFloor], [WithRedis] and what modifies it, [WithQueue]), another [WithCodec]
// or another registerer ([WithMetrics]) than the present one. The keys of [Encrypt] may change. The
// store goes on writing to the logger that New was given.
//
// Nothing is dropped or interrupted: requests and attempts that have begun end under the
// configuration they began with, and all later ones use the new one. What waits is delivered as its
// route then says. What waits for a route that is gone becomes a dead letter, as after a restart:
// when it is its turn, or over a shared store after [WithUnknownRouteAge]. Connections to destinations are kept
// unless [WithTLS], [AllowTo] or [WithTimeouts] change; those of a route with [TLS] or [H2C] are
// not. What is not kept is closed as soon as no attempt uses it.
//
// Over a shared store each process has a configuration of its own.
func (r *Repeater) Reload(opts ...Option) error {
	if err := r.usable(); err != nil {
		return err
	}
	next := newConfig(opts)
	r.reloading.Lock()
	defer r.reloading.Unlock()
	old := r.config()
	next.succeed(old)
	if err := errors.Join(next.errs...); err != nil {
		return err
	}
	next.countRoutes(r.stats)
	// The store should know a new route before its first message comes, and an old one as long as
	// its last may come.
	r.learnRoutes(append(old.routeNames(), next.routeNames()...))
	r.current.Store(next)
	r.learnRoutes(next.routeNames())
	r.memory.size.Store(next.doorMemory)
	if w := r.worker.Load(); w != nil {
		w.reload()
	}
	old.retire(next)
	return nil
}

// view is the Repeater under one configuration: what one request, or one attempt, sees from its
// beginning to its end.
type view struct {
	*Repeater
	cfg  *config
	span *span // of the request; nil for an attempt, and where nobody traces
}

func (r *Repeater) view() view { return view{Repeater: r, cfg: r.config()} }

// config is the present one, which may be another at the next call.
func (r *Repeater) config() *config { return r.current.Load() }

func (r *Repeater) laneMemory() int64 { return r.config().laneMemory }

// routeLearner is a store of our own that can be told its routes before they are announced.
type routeLearner interface{ learnRoutes(routes []string) }

func (r *Repeater) learnRoutes(routes []string) {
	if q, ok := r.queue.(routeLearner); ok {
		q.learnRoutes(routes)
	}
}

// succeed takes over from old what stays, and finds what cannot become what c says.
func (c *config) succeed(old *config) {
	c.clock = old.clock
	if c.registerer != nil && !same(c.registerer, old.registerer) {
		c.fail("WithMetrics: another registerer %w", ErrRestart)
	}
	c.registerer = old.registerer
	if !same(c.plainCodec, old.plainCodec) {
		c.fail("WithCodec: another codec %w", ErrRestart)
	}
	if len(c.stores) == 1 && !same(c.stores[0].id, old.stores[0].id) {
		c.fail("%s: another store %w", c.stores[0].name, ErrRestart)
	} else if len(c.stores) == 1 && !c.redis.equal(old.redis) {
		c.fail("WithRedisPrefix, RedisWait and WithRedisStrict: another store %w", ErrRestart)
	}
	if (len(c.stores) == 1 || c.diskFloor != 0) && c.diskFloor != old.diskFloor {
		c.fail("WithDiskFloor: another floor %w", ErrRestart)
	}
	c.stores, c.redis, c.diskFloor = old.stores, old.redis, old.diskFloor
	c.keepTransport(old)
}

// same compares what callers have given us, which may be of any type.
func same(a, b any) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}

// keepTransport keeps the connections of all routes without settings of their own, if a new
// transport would make them no different.
func (c *config) keepTransport(old *config) {
	if len(c.own) == 0 || len(old.own) == 0 || c.tls != nil || old.tls != nil ||
		c.timeouts != old.timeouts || !slices.Equal(c.allowTo, old.allowTo) {
		return
	}
	c.own[0], c.transport = old.own[0], old.transport
}

// retire closes the connections that next has no use for. Those that an attempt still uses are
// closed at its end.
func (c *config) retire(next *config) {
	for _, t := range c.own {
		if !slices.Contains(next.own, t) {
			t.CloseIdleConnections()
		}
	}
}

func (c *config) routeNames() []string {
	names := make([]string, 0, len(c.routes))
	for _, rt := range c.routes {
		names = append(names, rt.name)
	}
	return names
}

// reload lets everybody at work notice the new configuration.
func (w *worker) reload() {
	w.memory.resize(w.r.laneMemory)
	signal(w.reloaded)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.lanes {
		signal(l.woken)
	}
}

// reload is for a lane between two steps: what is in hand goes on as the new configuration says.
func (l *lane) reload(cfg *config) {
	l.recall()
	was, set := l.set, cfg.lane(l.name)
	l.cfg, l.set = cfg, set
	if l.limit > set.concurrency || l.limit == was.concurrency && !l.probing() {
		l.limit = set.concurrency
	}
	if !l.paced.IsZero() {
		l.paced = l.paced.Add(set.pace - was.pace)
	}
	if l.strangers() {
		l.obey()
	}
}

// strangers tells that something in hand is of a route that another process may know, and this one does not.
func (l *lane) strangers() bool {
	return l.w.shared && slices.ContainsFunc(l.buffer, func(m Claimed) bool {
		return m.Err == nil && l.cfg.byName[m.Route] == nil
	})
}
