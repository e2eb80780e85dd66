package repeater

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

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
	defaultOrphanAge   = time.Hour
)

// Option sets up a Repeater. A nil Option is passed over. Where options
// repeat or contradict each other [Repeater.Err] says so, except where the
// option's own words say that the last one holds.
type Option func(*config)

// RouteOption sets up one [Route]. A nil RouteOption is passed over.
type RouteOption func(*route)

type config struct {
	routes      []*route
	stores      []store
	codec       Codec
	transport   http.RoundTripper
	log         *slog.Logger
	first, max  time.Duration
	drain       time.Duration
	pushTimeout time.Duration
	maxBody     int64
	orphanAge   time.Duration
	redisPrefix string
	clock       func() time.Time
	errs        []error

	ownTransport bool

	router router.Router
	byName map[string]*route
	pace   map[string]time.Duration // by lane
}

// store is one chosen Queue: what to call it in errors, whether it is the
// Repeater's to close, and how to make it.
// Making it does no I/O. It is a function so that a program that never names a
// store does not link its client library.
type store struct {
	name string
	own  bool
	make func(*config) Queue
}

// route is a request pattern and its destinations, in the order of their numbers.
type route struct {
	pattern  string
	name     string
	dests    []destination
	keepPath bool
	allow    []netip.Prefix // nil: everybody
	md5      []byte         // nil: unsigned
	pace     time.Duration
	errs     []error
}

type destination struct {
	url  *url.URL
	lane string
}

// Route forwards requests that match pattern to target.
//
// A pattern has the syntax and precedence of [http.ServeMux] ("/hooks/jira",
// "POST /hooks/{team}/ci", "/hooks/"). It is matched segment by segment on the
// path as it was sent: nothing is cleaned, nothing is redirected, and a
// wildcard only matches, it does not substitute anything in target. A request
// whose path would mean another route, or none, to a server that cleans paths
// (".." and the like) is refused with 400.
//
// Target is an absolute http or https URL. What is delivered goes there with
// the request's raw query behind target's own; its path is target's, unless
// [KeepPath] adds the request's. User and password in target become an
// Authorization header where the request has none. Nothing in a request ever
// picks a destination.
func Route(pattern, target string, opts ...RouteOption) Option {
	return func(c *config) {
		rt := &route{pattern: pattern}
		rt.addTarget(target)
		for _, o := range opts {
			if o != nil {
				o(rt)
			}
		}
		if rt.name == "" {
			sum := sha256.Sum256([]byte(pattern))
			rt.name = "route-" + hex.EncodeToString(sum[:4])
		}
		for _, err := range rt.errs {
			c.errs = append(c.errs, fmt.Errorf("route %q: %w", pattern, err))
		}
		c.routes = append(c.routes, rt)
	}
}

// AlsoTo adds a destination (fan-out). Each destination gets a message of its
// own, with its own retries; a request is answered with 200 only when the
// messages for all of them are stored. Destinations are numbered from 0 in the
// order in which they are written, and stored messages name them by number:
// add new ones at the end.
func AlsoTo(target string) RouteOption {
	return func(rt *route) { rt.addTarget(target) }
}

// KeepPath appends the request's raw path to the target's path. One slash
// separates them if the target's ends in one. Under [http.StripPrefix] the
// request's path is what is left of it.
func KeepPath() RouteOption {
	return func(rt *route) { rt.keepPath = true }
}

// AllowFrom accepts requests from these addresses or networks only ("10.1.2.3",
// "10.0.0.0/8", "fd00::/8"); others get 403. The address is that of the
// connection: behind a reverse proxy it is the proxy's, and headers are not
// trusted. Without AllowFrom anybody may send. Several add up.
func AllowFrom(cidrs ...string) RouteOption {
	return func(rt *route) {
		if len(cidrs) == 0 {
			rt.fail("AllowFrom names no network, so that nothing could ever pass")
		}
		for _, s := range cidrs {
			p, err := parsePrefix(s)
			if err != nil {
				rt.fail("AllowFrom: %w", err)
				continue
			}
			rt.allow = append(rt.allow, p)
		}
	}
}

// SignMD5 adds the header X-REPEATER-SIG to what is forwarded, for receivers
// of the original webhook-repeater: an HMAC-MD5 in lower-case hex over content type
// (up to its first semicolon), decimal body length, and body. MD5 is old: it
// tells a receiver that holds the secret who sent, and is no more than that.
// A header of that name in the request is replaced. The last one holds.
func SignMD5(secret string) RouteOption {
	return func(rt *route) {
		if secret == "" {
			rt.fail("SignMD5: the secret is empty")
		}
		rt.md5 = []byte(secret)
	}
}

// Name names the route in logs, metrics and stored messages. Stored messages
// find their route by it: renaming a route orphans its backlog. The
// default is "route-" and a short hash of the pattern. The last one holds.
func Name(name string) RouteOption {
	return func(rt *route) {
		if name == "" || len(name) > 255 {
			rt.fail("Name: a name has 1 to 255 bytes, this one %d", len(name))
		}
		rt.name = name
	}
}

// Pace leaves at least d between the starts of two attempts in the lanes of
// this route. A pace belongs to the lane: routes that share a destination
// origin must not state different ones. 0, the default, waits for nothing.
func Pace(d time.Duration) RouteOption {
	return func(rt *route) {
		if d < 0 {
			rt.fail("Pace: %v is negative", d)
		}
		rt.pace = d
	}
}

// WithFile keeps messages in an embedded store, in one file with mode 0600.
// Each is fsynced before its request is answered. A file serves one
// process at a time: [Repeater.Run] of a second one fails with [ErrLocked].
// It is the default, with "repeater.db" in the working directory.
func WithFile(path string) Option {
	return func(c *config) {
		if path == "" {
			c.fail("WithFile: the path is empty")
		}
		c.stores = append(c.stores, store{"WithFile", true, func(c *config) Queue {
			return newFileQueue(path, c.clock, c.log)
		}})
	}
}

// WithRedis keeps messages in Redis (single, Sentinel or Cluster), for any number of
// processes and hosts. They share lanes, order and pauses. A message counts
// as stored when the primary has executed the push; to survive a power loss it needs
// "appendonly yes" and "appendfsync always". The client stays the caller's, who
// closes it after the Repeater.
//
// Over a Redis Cluster the lanes of a fan-out live on different nodes: the request
// is stored in one place first and then copied to each lane, where order counts from
// the copy.
func WithRedis(client redis.UniversalClient) Option {
	return func(c *config) {
		if client == nil {
			c.fail("WithRedis: the client is nil")
		}
		c.stores = append(c.stores, store{"WithRedis", false, func(c *config) Queue {
			return newRedisQueue(client, c.redisPrefix)
		}})
	}
}

// WithRedisPrefix sets what all keys and channels of WithRedis begin with; the
// default is "repeater:". Repeaters with different prefixes share nothing.
func WithRedisPrefix(prefix string) Option {
	return func(c *config) {
		if strings.ContainsAny(prefix, "{}") {
			c.fail("WithRedisPrefix: %q contains braces, which Redis Cluster reads as a hash tag", prefix)
		}
		c.redisPrefix = prefix
	}
}

// WithQueue keeps messages in a store of the caller's, who closes it after the Repeater.
func WithQueue(q Queue) Option {
	return func(c *config) {
		if q == nil {
			c.fail("WithQueue: the queue is nil")
		}
		c.stores = append(c.stores, store{"WithQueue", false, func(*config) Queue { return q }})
	}
}

// WithCodec sets how requests become stored bytes. The default, also for nil,
// is [BinaryCodec]. The last one holds.
func WithCodec(codec Codec) Option {
	return func(c *config) { c.codec = codec }
}

// WithTransport sets what sends the attempts. The default, also for nil, is a
// transport of its own with connection reuse, 5 s to dial, 5 s for the TLS
// handshake and 15 s for the response header, that adds no header and never decompresses. Any
// attempt ends after 30 s. Redirects are not followed whatever the transport,
// unless it follows them itself. The last one holds.
func WithTransport(rt http.RoundTripper) Option {
	return func(c *config) { c.transport = rt }
}

// WithLogger sets where to log. The default, also for nil, is [slog.Default] at the
// time of New. Bodies, secrets, source paths and URLs are never logged. The last one holds.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) { c.log = l }
}

// WithBackoff sets the pause after a failed attempt: first, doubling up to
// max, with a jitter of 20 % either way. A Retry-After of the destination
// lengthens a pause up to max. Zero means the default: 5 s and 5 min. The last
// one holds.
func WithBackoff(first, max time.Duration) Option {
	return func(c *config) {
		if first < 0 || max < 0 {
			c.fail("WithBackoff: %v and %v must not be negative", first, max)
		}
		c.first, c.max = first, max
	}
}

// WithDrain sets how long Run, when its context has ended, waits for attempts in
// flight before it cancels them. The default, also for 0, is 10 s. The last one holds.
func WithDrain(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithDrain: %v is negative", d)
		}
		c.drain = d
	}
}

// WithPushTimeout sets how long the store has to take a request that has been
// read whole; then the sender hears 503. The default, also for 0, is 5 s. The last one holds.
func WithPushTimeout(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithPushTimeout: %v is negative", d)
		}
		c.pushTimeout = d
	}
}

// WithMaxBody sets the largest body, in bytes, that is accepted; larger ones get 413.
// A body is held in memory while its request is stored, and again during
// each attempt. The default, also for 0, is 25 MiB. The last one holds.
func WithMaxBody(bytes int64) Option {
	return func(c *config) {
		if bytes < 0 {
			c.fail("WithMaxBody: %d is negative", bytes)
		}
		c.maxBody = bytes
	}
}

// WithUnknownRouteAge sets how long messages of a route that no live process knows
// wait in a store that several processes share, before they become dead letters.
// The default, also for 0, is 1 h. (In the file store there is no other process to wait
// for, and they become dead letters at once.) The last one holds.
func WithUnknownRouteAge(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithUnknownRouteAge: %v is negative", d)
		}
		c.orphanAge = d
	}
}

func newConfig(opts []Option) *config {
	c := &config{clock: time.Now}
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
	if c.transport == nil {
		c.transport, c.ownTransport = newTransport(), true
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	c.first = cmp.Or(c.first, defaultFirst)
	c.max = cmp.Or(c.max, max(defaultMax, c.first))
	c.drain = cmp.Or(c.drain, defaultDrain)
	c.pushTimeout = cmp.Or(c.pushTimeout, defaultPushTimeout)
	c.maxBody = cmp.Or(c.maxBody, defaultMaxBody)
	c.orphanAge = cmp.Or(c.orphanAge, defaultOrphanAge)
}

// check is the one place where options are held against each other.
func (c *config) check() {
	if len(c.routes) == 0 {
		c.fail("no route: add at least one Route")
	}
	if c.first > 0 && c.max > 0 && c.max < c.first {
		c.fail("WithBackoff: the longest pause, %v, is shorter than the first, %v", c.max, c.first)
	}
	if len(c.stores) > 1 {
		names := make([]string, len(c.stores))
		for i, s := range c.stores {
			names[i] = s.name
		}
		c.fail("%d stores (%s): name one", len(c.stores), strings.Join(names, ", "))
	}
	c.byName = make(map[string]*route)
	c.pace = make(map[string]time.Duration)
	for i, rt := range c.routes {
		c.checkRoute(i, rt)
	}
}

func (c *config) checkRoute(i int, rt *route) {
	if err := c.router.Add(rt.pattern, i); err != nil {
		c.errs = append(c.errs, fmt.Errorf("route: %w", err))
	} else if other := c.byName[rt.name]; other != nil {
		c.fail("routes %q and %q have the same name %q", other.pattern, rt.pattern, rt.name)
	}
	c.byName[rt.name] = rt
	if rt.pace == 0 {
		return
	}
	for _, d := range rt.dests {
		if other, ok := c.pace[d.lane]; ok && other != rt.pace {
			c.fail("route %q: Pace %v differs from %v, which another route states for %s", rt.pattern, rt.pace, other, d.lane)
		}
		c.pace[d.lane] = rt.pace
	}
}

func (c *config) queue() Queue {
	if len(c.stores) == 0 {
		WithFile(defaultFile)(c)
	}
	return c.stores[0].make(c)
}

func (c *config) ownStore() bool { return c.stores[0].own }

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (rt *route) fail(format string, args ...any) {
	rt.errs = append(rt.errs, fmt.Errorf(format, args...))
}

// addTarget keeps the numbers of the destinations even when one is wrong.
func (rt *route) addTarget(target string) {
	u, err := parseTarget(target)
	if err != nil {
		rt.fail("destination %d: %w", len(rt.dests), err)
		u = &url.URL{}
	}
	rt.dests = append(rt.dests, destination{u, origin(u)})
}

// parseTarget never quotes the target as a whole: it may carry a password or a token.
func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return nil, fmt.Errorf("not a URL: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is not http or https", u.Scheme)
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case strings.ContainsFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, errors.New("the URL's query contains a space or control character; escape it")
	}
	return u, nil
}

// origin is what shares health, and so a lane: scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + port
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", s)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q covers more than the IPv4-mapped addresses; write it as IPv4", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
