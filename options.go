package repeater

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/webhook-repeater/repeater/internal/metrics"
	"github.com/webhook-repeater/repeater/internal/router"
)

// What holds where an option is left out.
const (
	defaultFile        = "repeater.db"
	defaultFirst       = 5 * time.Second
	defaultMax         = 5 * time.Minute
	defaultDrain       = 10 * time.Second
	defaultPushTimeout = 5 * time.Second
	defaultMaxBody     = 25 << 20
	defaultMaxHeader   = 64 << 10
	defaultReadTimeout = 30 * time.Second
	defaultOrphanAge   = time.Hour
)

// Option sets up a Repeater. A nil Option is ignored. Options that contradict each other are
// mistakes, which [Repeater.Err] returns. So is an option that is repeated, unless its comment says
// that the last one holds or that several add up; repeating one without arguments changes nothing.
type Option func(*config)

// RouteOption sets up one [Route]. A nil RouteOption is ignored. Of one that is repeated, the last
// holds, unless its comment says that several add up.
type RouteOption func(*route)

type config struct {
	routes      []*route
	stores      []store
	codec       Codec
	plainCodec  Codec        // without the sealing
	sealing     []sealingKey // nil: not encrypted
	transport   http.RoundTripper
	log         *slog.Logger
	first, max  time.Duration
	drain       time.Duration
	pushTimeout time.Duration
	maxBody     int64
	maxHeader   int64
	readTimeout time.Duration
	proxies     prefixes
	orphanAge   time.Duration
	keepDead    time.Duration
	bound       Bound
	timeouts    Timeouts
	doorMemory  int64 // bytes
	laneMemory  int64
	redis       redisOptions
	diskFloor   int64
	clock       func() time.Time
	registerer  prometheus.Registerer // nil: nothing is counted
	tracer      trace.Tracer          // nil: nothing is traced
	random      func() float64        // from 0 to below 1
	errs        []error

	own          []*http.Transport // those that we made
	tls          *tls.Config       // nil: the default
	allowTo      prefixes          // of what is guarded
	quickRetries int
	quickSet     bool

	router   router.Router
	greeting []*route // of which more methods are routed, for handshakes only
	byName   map[string]*route
	lanes    map[string]laneSettings
}

// store is one chosen Queue: what to call it in errors, whether it is the
// Repeater's to close, and how to make it.
// Making it does no I/O. It is a function so that a program that never names a
// store does not link its client library.
type store struct {
	name string
	own  bool
	id   any // the same for the same store
	make func(*config) Queue
}

// route is a request pattern and its destinations, in the order of their numbers.
type route struct {
	pattern  string
	name     string
	dests    []destination
	keepPath bool
	keepHost bool
	allow    prefixes // nil: everybody
	md5      []byte   // nil: unsigned
	sign     [][]byte // nil: unsigned
	verifier Verifier // nil: everything is genuine

	handshakes []handshake

	tls  *tls.Config // nil: that of all
	h2c  bool
	errs []error

	stats *metrics.Route

	lane        laneSettings // as far as the route states them
	laneName    string
	maxAge      time.Duration
	maxAttempts int // 0: no bound
	retryIf     func(*http.Response, error) Verdict
	orderBy     func(*http.Request) string
	dedupe      string // header's canonical name, or ""
	dedupeFor   time.Duration
	passThrough time.Duration // 0: do not wait

	seen atomic.Pointer[[]*laneSeen] // of dests
}

type destination struct {
	url       *url.URL
	lane      string
	transport http.RoundTripper // nil: that of all
}

// WithCodec sets how requests become stored bytes. The default, also for nil, is [BinaryCodec]. The
// last one holds.
func WithCodec(codec Codec) Option {
	return func(c *config) { c.codec = codec }
}

// WithTransport sets what sends the attempts. The default, also for nil, is a transport of the
// Repeater's own, with connection reuse and the limits of [WithTimeouts], that adds no header and
// never decompresses. Redirects are not followed, unless a transport of yours follows them itself.
//
// A transport of yours is used as it is: it does not guard addresses as [AllowTo] describes,
// [WithTLS], [TLS] and [H2C] are mistakes, and of [WithTimeouts] only Attempt applies. The last one
// holds.
func WithTransport(rt http.RoundTripper) Option {
	return func(c *config) { c.transport = rt }
}

// WithLogger sets where to log. The default, also for nil, is [slog.Default] at the time of New.
// Bodies, secrets, source paths and URLs are never logged. The last one holds.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) { c.log = l }
}

// WithBackoff sets the pause after a failed attempt: first, then doubling up to max, with a jitter
// of 20 % either way. No pause is longer than max, so at max the jitter only shortens. A
// Retry-After of the destination lengthens a pause up to max.
//
// A first of 0 means 5 s. A max of 0 means 5 min, or first if that is longer. A max that is shorter
// than first is a mistake. The last one holds.
func WithBackoff(first, max time.Duration) Option {
	return func(c *config) {
		if first < 0 || max < 0 {
			c.fail("WithBackoff: %v and %v must not be negative", first, max)
		}
		c.first, c.max = first, max
	}
}

// WithDrain sets how long Run, when its context has ended, waits for attempts in flight before it
// cancels them. The default, also for 0, is 10 s. The last one holds.
func WithDrain(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithDrain: %v is negative", d)
		}
		c.drain = d
	}
}

// WithPushTimeout sets how long the store may take to store a request that has been read whole;
// after that the sender gets 503. The default, also for 0, is 5 s. The last one holds.
func WithPushTimeout(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithPushTimeout: %v is negative", d)
		}
		c.pushTimeout = d
	}
}

// WithMaxBody sets the largest body, in bytes, that is accepted; larger ones get 413. A body is
// held in memory while its request is stored, and again during each attempt. The default, also for
// 0, is 25 MiB. The last one holds.
func WithMaxBody(bytes int64) Option {
	return func(c *config) {
		if bytes < 0 {
			c.fail("WithMaxBody: %d is negative", bytes)
		}
		c.maxBody = bytes
	}
}

// WithMaxHeader sets how many bytes the request line and headers of a request may have; larger ones
// get 431. By then net/http has read them: a server of your own limits what it reads with
// [http.Server.MaxHeaderBytes], whose default is 1 MiB. All headers are stored and forwarded. The
// default, also for 0, is 64 KiB. The last one holds.
func WithMaxHeader(bytes int64) Option {
	return func(c *config) {
		if bytes < 0 {
			c.fail("WithMaxHeader: %d is negative", bytes)
		}
		c.maxHeader = bytes
	}
}

// WithReadTimeout sets how long a sender may take to send the body of its request; slower ones get
// 408, so that they cannot hold connections and memory forever. It sets and clears the connection's
// read deadline, unless [http.Server.ReadTimeout] is shorter. Where middleware hides the connection
// (see [http.ResponseController]) there is no such limit. It does not limit the headers: use
// [http.Server.ReadHeaderTimeout] for that. The default, also for 0, is 30 s. The last one holds.
func WithReadTimeout(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithReadTimeout: %v is negative", d)
		}
		c.readTimeout = d
	}
}

// WithUnknownRouteAge sets how long messages of a route that no live process knows wait in a store
// that several processes share before they become dead letters. The default, also for 0, is 1 h.
// (In the file store there is no other process to wait for, and they become dead letters at once.)
// The last one holds.
func WithUnknownRouteAge(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithUnknownRouteAge: %v is negative", d)
		}
		c.orphanAge = d
	}
}

func newConfig(opts []Option) *config {
	c := &config{clock: time.Now, random: rand.Float64}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	c.setDefaults()
	c.check()
	return c
}

func (c *config) setDefaults() {
	if c.codec == nil {
		c.codec = BinaryCodec{}
	}
	c.plainCodec = c.codec
	if c.sealing != nil {
		c.codec = sealedCodec{c.codec, c.sealing}
	}
	c.timeouts = c.timeouts.withDefaults()
	c.setTransports()
	if c.log == nil {
		c.log = slog.Default()
	}
	c.first = cmp.Or(c.first, defaultFirst)
	c.max = cmp.Or(c.max, max(defaultMax, c.first))
	c.drain = cmp.Or(c.drain, defaultDrain)
	c.pushTimeout = cmp.Or(c.pushTimeout, defaultPushTimeout)
	c.maxBody = cmp.Or(c.maxBody, defaultMaxBody)
	c.maxHeader = cmp.Or(c.maxHeader, defaultMaxHeader)
	c.readTimeout = cmp.Or(c.readTimeout, defaultReadTimeout)
	c.orphanAge = cmp.Or(c.orphanAge, defaultOrphanAge)
	c.keepDead = cmp.Or(c.keepDead, defaultKeepDead)
	c.bound.Messages = cmp.Or(c.bound.Messages, defaultBound.Messages)
	c.bound.Bytes = cmp.Or(c.bound.Bytes, defaultBound.Bytes)
	c.doorMemory = cmp.Or(c.doorMemory, max(defaultMemory, c.maxBody))
	c.laneMemory = cmp.Or(c.laneMemory, max(defaultMemory, c.maxMessage()))
	if !c.quickSet {
		c.quickRetries = defaultQuickRetries
	}
}

// check is the one place where options are held against each other.
func (c *config) check() {
	if len(c.routes) == 0 {
		c.fail("no route: add at least one Route")
	}
	if c.first > 0 && c.max > 0 && c.max < c.first {
		c.fail("WithBackoff: the longest pause, %v, is shorter than the first, %v", c.max, c.first)
	}
	c.checkMemory()
	c.checkRedis()
	if len(c.stores) > 1 {
		names := make([]string, len(c.stores))
		for i, s := range c.stores {
			names[i] = s.name
		}
		c.fail("%d stores (%s): name one", len(c.stores), strings.Join(names, ", "))
	}
	c.byName = make(map[string]*route)
	c.lanes = make(map[string]laneSettings)
	for i, rt := range c.routes {
		c.checkRoute(i, rt)
	}
}

func (c *config) checkRoute(i int, rt *route) {
	if err := c.router.Add(rt.pattern, i); err != nil {
		c.errs = append(c.errs, fmt.Errorf("route: %w", err))
	} else if err := c.addHandshakes(rt); err != nil {
		c.errs = append(c.errs, err)
	} else if other := c.byName[rt.name]; other != nil {
		c.fail("routes %q and %q have the same name %q", other.pattern, rt.pattern, rt.name)
	}
	c.byName[rt.name] = rt
	c.checkLanes(rt)
	c.checkTargets(rt)
	if rt.passThrough > 0 && len(rt.dests) > 1 {
		c.fail("route %q: PassThrough answers for one destination, but AlsoTo adds another", rt.pattern)
	}
}

// checkMemory makes sure that the largest message passes.
func (c *config) checkMemory() {
	if c.doorMemory < c.maxBody {
		c.fail("WithMemory: %d bytes for accepting have no room for one body of %d (WithMaxBody)", c.doorMemory, c.maxBody)
	}
	if c.laneMemory < c.maxMessage() {
		c.fail("WithMemory: %d bytes for delivering have no room for one message of %d (WithMaxBody and its headers)", c.laneMemory, c.maxMessage())
	}
}

// maxMessage is how many bytes a stored message may have: a body, and what comes with it.
func (c *config) maxMessage() int64 { return c.maxBody + 1<<20 }

func (c *config) pauses() pauses { return pauses{c.first, c.max, c.random} }

func (c *config) queue(stats *metrics.Set) Queue {
	if len(c.stores) == 0 {
		WithFile(defaultFile)(c)
	}
	q := c.stores[0].make(c)
	if f, ok := q.(*fileQueue); ok && stats != nil && c.ownStore() {
		f.committed = stats.Commit
	}
	return q
}

func (c *config) ownStore() bool { return c.stores[0].own }

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (rt *route) fail(format string, args ...any) {
	rt.errs = append(rt.errs, fmt.Errorf(format, args...))
}
