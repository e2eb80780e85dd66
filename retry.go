package repeater

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// pauses says how long to wait after failed attempts: the lane's in a row, or a
// message's own.
type pauses struct {
	first, max time.Duration
	random     func() float64
}

const jitter = 0.2

// after returns the pause after the given number of failures in a row, from
// 1, lengthened by a Retry-After, and never longer than max. It is derived from the number
// alone, so that a restart neither resets nor repeats anything.
func (p pauses) after(failures int, retryAfter time.Duration) time.Duration {
	b := backoff.ExponentialBackOff{
		InitialInterval: p.first,
		Multiplier:      2,
		MaxInterval:     p.max,
		Clock:           backoff.SystemClock,
	}
	b.Reset()
	d := b.NextBackOff()
	for n := 1; n < min(failures, 64); n++ { // 2^63 ns is all that fits
		d = b.NextBackOff()
	}
	d += time.Duration(jitter * (2*p.random() - 1) * float64(d))
	return min(max(d, retryAfter), p.max)
}

// parseRetryAfter reads both forms of the header, seconds and a date. Nonsense is 0.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 63); err == nil {
		return time.Duration(min(s, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(0, t.Sub(now)), maxRetryAfter)
}

// maxRetryAfter is far above any useful pause, and far below what overflows.
const maxRetryAfter = 365 * 24 * time.Hour
