package bench

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A token names a request in its body: phase, connection and number, in hexadecimal.
const tokenSize = 8 + 4 + 8

func putToken(b []byte, phase, conn, n int) {
	for i := range tokenSize {
		b[i] = '0'
	}
	hex := func(end, v int) {
		var digits [16]byte
		s := strconv.AppendInt(digits[:0], int64(v), 16)
		copy(b[end-len(s):end], s)
	}
	hex(8, phase)
	hex(12, conn)
	hex(20, n)
}

func readToken(b []byte) (phase, conn, n int, ok bool) {
	if len(b) < tokenSize {
		return 0, 0, 0, false
	}
	hex := func(part []byte) int {
		v, err := strconv.ParseUint(string(part), 16, 32)
		ok = ok && err == nil
		return int(v) // #nosec G115 -- 32 bits
	}
	ok = true
	return hex(b[:8]), hex(b[8:12]), hex(b[12:20]), ok
}

// tally follows the requests of one phase from their senders to the destination. Both are in
// this process, so that one clock and one list serve both.
type tally struct {
	phase int
	began time.Time
	due   []atomic.Int64  // when each request should have been sent, in nanoseconds since began
	took  []time.Duration // until it was answered with 2xx; 0: it was not. Its sender's alone while there are senders

	sent, refused atomic.Int64
	lastAnswer    atomic.Int64 // since began, of 2xx

	mu          sync.Mutex
	arrived     []time.Duration // since due; 0: not yet
	latest      []int           // by connection: the highest number that has arrived
	count       int
	twice       int
	disorder    int // arrived behind a later one of their connection
	first, last time.Duration
	missing     int           // acknowledged and not arrived, once somebody waits
	done        chan struct{} // closed when missing comes to 0; nil while nobody waits
	over        bool          // what arrives from now on is not noted
}

func newTally(phase, connections, requests int) *tally {
	t := &tally{
		phase: phase, began: time.Now(),
		due: make([]atomic.Int64, requests), took: make([]time.Duration, requests),
		arrived: make([]time.Duration, requests), latest: make([]int, connections),
	}
	for i := range t.latest {
		t.latest[i] = -1
	}
	return t
}

func (t *tally) now() time.Duration { return time.Since(t.began) }

// answer notes the 2xx to request n.
func (t *tally) answer(n int) {
	now := t.now()
	t.took[n] = max(1, now-time.Duration(t.due[n].Load()))
	for {
		last := t.lastAnswer.Load()
		if int64(now) <= last || t.lastAnswer.CompareAndSwap(last, int64(now)) {
			return
		}
	}
}

// arrive notes request n at the destination.
func (t *tally) arrive(conn, n int) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over || n >= len(t.arrived) || conn >= len(t.latest):
		return
	case t.arrived[n] != 0:
		t.twice++
		return
	case n < t.latest[conn]:
		t.disorder++
	default:
		t.latest[conn] = n
	}
	t.arrived[n] = max(1, now-time.Duration(t.due[n].Load()))
	if t.count == 0 {
		t.first = now
	}
	t.count++
	t.last = now
	if t.missing > 0 && t.took[n] != 0 {
		if t.missing--; t.missing == 0 {
			close(t.done)
		}
	}
}

// await returns when all that was acknowledged has arrived, or nothing has for as long as
// patience, and tells how many are missing. No sender may be at work any more, and nothing
// is noted any more.
func (t *tally) await(ctx context.Context, patience time.Duration) (lost int) {
	done, count := t.expect()
	look := time.NewTicker(patience)
	defer look.Stop()
	for {
		select {
		case <-done:
		case <-ctx.Done():
		case <-look.C:
		}
		t.mu.Lock()
		if t.missing == 0 || t.count == count || ctx.Err() != nil {
			t.over = true
			t.mu.Unlock()
			return t.missing
		}
		count = t.count
		t.mu.Unlock()
	}
}

// expect begins to count down what is missing.
func (t *tally) expect() (done <-chan struct{}, count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = make(chan struct{})
	for n, took := range t.took {
		if took != 0 && t.arrived[n] == 0 {
			t.missing++
		}
	}
	if t.missing == 0 {
		close(t.done)
	}
	return t.done, t.count
}

// acked is how many were answered with 2xx.
func (t *tally) acked() (n int) {
	for _, took := range t.took {
		if took != 0 {
			n++
		}
	}
	return n
}

// quantiles are those of the values above 0, in milliseconds.
func quantiles(values []time.Duration, at ...float64) []float64 {
	sorted := slices.Sorted(func(yield func(time.Duration) bool) {
		for _, v := range values {
			if v > 0 && !yield(v) {
				return
			}
		}
	})
	out := make([]float64, len(at))
	for i, q := range at {
		if len(sorted) > 0 {
			out[i] = float64(sorted[int(q*float64(len(sorted)-1)+0.5)]) / float64(time.Millisecond)
		}
	}
	return out
}
