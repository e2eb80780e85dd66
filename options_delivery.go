package repeater

import (
	"net/http"
	"time"
)

const (
	defaultMaxAge       = 72 * time.Hour
	defaultDedupeFor    = 72 * time.Hour
	defaultQuickRetries = 2
	defaultKeepDead     = 30 * 24 * time.Hour
	defaultMemory       = 256 << 20
)

var defaultBound = Bound{Messages: 1_000_000, Bytes: 10 << 30}

// MaxAge limits how long a message is tried: one whose attempt fails this long after it was
// accepted or replayed becomes a dead letter. If the destination is unwell, so do the messages
// behind it that are as old. Time during which the lane is paused by [Repeater.Pause] does not
// count. 0 means the default, 72 h.
func MaxAge(d time.Duration) RouteOption {
	return func(rt *route) {
		if d < 0 {
			rt.fail("MaxAge: %v is negative", d)
			return
		}
		rt.maxAge = d
	}
}

// MaxAttempts limits how often a message is tried: one whose n-th attempt fails becomes a dead
// letter. 0, the default, sets no limit.
func MaxAttempts(n int) RouteOption {
	return func(rt *route) {
		if n < 0 {
			rt.fail("MaxAttempts: %d is negative", n)
			return
		}
		rt.maxAttempts = n
	}
}

// RetryIf lets verdict judge each attempt of the route, by the destination's answer or, if that is
// nil, by the error that kept it from coming. The answer's Body holds its first 2 KiB and need not
// be closed. [VerdictDefault], and any value that is no Verdict, leaves it to the built-in table.
// An answer that [PassThrough] has given to the sender is not judged. RetryIf(nil) leaves all to
// the table.
//
// verdict is called concurrently, and must be quick. A panic in it ends the process.
func RetryIf(verdict func(*http.Response, error) Verdict) RouteOption {
	return func(rt *route) { rt.retryIf = verdict }
}

// OrderBy keeps messages of the route that have the same key in order at any [Concurrency], and
// lets a message that fails hold up only those of its own key. Messages whose key is "" are in no
// such order. OrderBy(nil) is the same as leaving it out.
//
// key is called once for each request, before it is stored, and concurrently. The request's Body is
// the whole body, and need not be read. A panic in it is not recovered here: the request is not
// stored, and net/http aborts it.
func OrderBy(key func(*http.Request) string) RouteOption {
	return func(rt *route) { rt.orderBy = key }
}

// Dedupe stores a request only once: a later one of the route with the same value of this header is
// not stored, and answered with the first one's id: with 200, or on a route with [PassThrough]
// always with 202. If the header is repeated in a request, only its first value counts. Requests in
// which that is missing or empty are always stored.
//
// Values are remembered for 72 h, or as long as [DedupeFor] says. Senders choose the value: whoever
// may send can keep out later requests by using their values first. An empty header name is a
// mistake.
func Dedupe(header string) RouteOption {
	return func(rt *route) {
		if header == "" {
			rt.fail("Dedupe: the header's name is empty")
		}
		rt.dedupe = http.CanonicalHeaderKey(header)
	}
}

// DedupeFor sets how long [Dedupe] remembers. 0 means the default, 72 h.
func DedupeFor(d time.Duration) RouteOption {
	return func(rt *route) {
		if d < 0 {
			rt.fail("DedupeFor: %v is negative", d)
			return
		}
		rt.dedupeFor = d
	}
}

// WithTimeouts limits the phases of an attempt. Dial, TLS and Header apply to the Repeater's own
// transport only, not to one of [WithTransport]. The last one holds.
func WithTimeouts(t Timeouts) Option {
	return func(c *config) {
		if t.negative() {
			c.fail("WithTimeouts: %+v has a negative one", t)
			t = Timeouts{}
		}
		c.timeouts = t
	}
}

// WithQuickRetries sets how many times, 0 to 2, an attempt tries again at once, within a second,
// after a refused or reset connection, or a 502 or 503 without Retry-After: a stale connection or a
// rolling restart then costs no backoff. This happens only in a lane that is well and has no
// [Pace]. All these tries count as one attempt. The default is 2; 0 turns it off. The last one
// holds.
func WithQuickRetries(n int) Option {
	return func(c *config) {
		if n < 0 || n > 2 {
			c.fail("WithQuickRetries: %d is not within 0 to 2", n)
			return
		}
		c.quickRetries, c.quickSet = n, true
	}
}

// WithLaneBound sets how much may wait in one lane. Beyond that, senders get 503 with Retry-After.
// A field that is zero means its default: 1,000,000 messages and 10 GiB. Over Redis, the numbers
// that are checked before the body is read may be a second old; those checked when the request is
// stored are exact, except in a cluster (see [WithRedis]). The last one holds.
func WithLaneBound(b Bound) Option {
	return func(c *config) {
		if b.Messages < 0 || b.Bytes < 0 {
			c.fail("WithLaneBound: %+v has a negative one", b)
			return
		}
		c.bound = b
	}
}

// WithMemory limits the memory for bodies, in bytes: that of requests being accepted and,
// separately, that of messages in hand for delivery. Beyond the first, senders get 503 with
// Retry-After; lanes share the second.
//
// accepting must be at least [WithMaxBody], and delivering at least that and 1 MiB more; less is a
// mistake. 0 means the default, which is 256 MiB, or that minimum if it is larger. The last one
// holds.
func WithMemory(accepting, delivering int64) Option {
	return func(c *config) {
		if accepting < 0 || delivering < 0 {
			c.fail("WithMemory: %d and %d must not be negative", accepting, delivering)
			return
		}
		c.doorMemory, c.laneMemory = accepting, delivering
	}
}

// WithDeadLetterAge sets how long dead letters are kept. After that they are deleted for good, a
// few at a time. The default, also for 0, is 30 days. The last one holds.
func WithDeadLetterAge(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithDeadLetterAge: %v is negative", d)
			return
		}
		c.keepDead = d
	}
}
