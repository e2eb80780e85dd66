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

// MaxAge ends the tries: a message whose attempt fails so long after it was accepted, or replayed,
// becomes a dead letter, and with it those behind it that are as old. Time
// that its lane is paused by [Repeater.Pause] does not count. 0 means the default, 72 h.
func MaxAge(d time.Duration) RouteOption {
	return func(rt *route) {
		if d < 0 {
			rt.fail("MaxAge: %v is negative", d)
			return
		}
		rt.maxAge = d
	}
}

// MaxAttempts ends the tries: a message whose n-th attempt fails becomes a dead letter. 0, the
// default, sets no bound.
func MaxAttempts(n int) RouteOption {
	return func(rt *route) {
		if n < 0 {
			rt.fail("MaxAttempts: %d is negative", n)
			return
		}
		rt.maxAttempts = n
	}
}

// RetryIf lets verdict judge each attempt of the route, by the destination's answer or, if that is nil, by
// what kept it from coming. The answer's Body holds its first 2 KiB and need
// not be closed. [VerdictDefault] leaves it to the built-in table. It is called from
// several goroutines, and must be quick.
func RetryIf(verdict func(*http.Response, error) Verdict) RouteOption {
	return func(rt *route) { rt.retryIf = verdict }
}

// OrderBy keeps the messages of the route that have the same key in their order at any [Concurrency],
// and lets a message that fails hold up only those of its key. The key of "" has no order
// to keep. The request's Body is the whole body, to be read or not. It is called
// once for each request, before it is stored, from several goroutines.
func OrderBy(key func(*http.Request) string) RouteOption {
	return func(rt *route) { rt.orderBy = key }
}

// Dedupe stores a request only once: another one of the route with the same value of this header is
// answered like the first, with the first one's id, and not stored. Requests without the header
// are always stored. The memory lasts 72 h, or as [DedupeFor] says. Senders choose the
// value: whoever may send can keep out what would come later under the same one.
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

// WithTimeouts bounds the phases of an attempt. Dial, TLS and Header hold for the
// Repeater's own transport only, not for one of [WithTransport]. The last one holds.
func WithTimeouts(t Timeouts) Option {
	return func(c *config) {
		if t.negative() {
			c.fail("WithTimeouts: %+v has a negative one", t)
			t = Timeouts{}
		}
		c.timeouts = t
	}
}

// WithQuickRetries sets how many times an attempt tries again at once, within a second, after a refused or
// reset connection, or a 502 or 503 without Retry-After: a stale connection or a rolling restart
// then costs no backoff. It does so only in a lane that is well and has no [Pace]. All tries
// share the attempt's number. The default is 2; 0 turns it off. The last one holds.
func WithQuickRetries(n int) Option {
	return func(c *config) {
		if n < 0 || n > 2 {
			c.fail("WithQuickRetries: %d is not within 0 to 2", n)
			return
		}
		c.quickRetries, c.quickSet = n, true
	}
}

// WithLaneBound sets how much may wait in one lane. Beyond, senders hear 503 with Retry-After.
// Each zero means its default: 1,000,000 messages and 10 GiB. Over Redis the numbers may be a
// second old at the door, and exact when the request is stored. The last one holds.
func WithLaneBound(b Bound) Option {
	return func(c *config) {
		if b.Messages < 0 || b.Bytes < 0 {
			c.fail("WithLaneBound: %+v has a negative one", b)
			return
		}
		c.bound = b
	}
}

// WithMemory bounds the memory for bodies, in bytes: of requests that are being accepted, and apart from those, of
// messages in hand for delivery. Beyond the first, senders hear 503 with
// Retry-After; lanes share the second. Each 0 means the default, 256 MiB. It must have
// room for one body of [WithMaxBody]. The last one holds.
func WithMemory(accepting, delivering int64) Option {
	return func(c *config) {
		if accepting < 0 || delivering < 0 {
			c.fail("WithMemory: %d and %d must not be negative", accepting, delivering)
			return
		}
		c.doorMemory, c.laneMemory = accepting, delivering
	}
}

// WithDeadLetterAge sets how long dead letters are kept. Then they are deleted for good, a few at a
// time. The default, also for 0, is 30 days. The last one holds.
func WithDeadLetterAge(d time.Duration) Option {
	return func(c *config) {
		if d < 0 {
			c.fail("WithDeadLetterAge: %v is negative", d)
			return
		}
		c.keepDead = d
	}
}
