package repeater

import (
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// moment is a reading of a store's clock, in ns. It is no time of day.
type moment int64

// add returns the moment after d, or the last there is.
func (m moment) add(d time.Duration) moment {
	if d > 0 && m > math.MaxInt64-moment(d) {
		return math.MaxInt64
	}
	return m + moment(max(0, d))
}

// since returns how long ago earlier was at m; 0 if it was later.
func (m moment) since(earlier moment) time.Duration { return time.Duration(max(0, m-earlier)) }

// appendFixed appends 8 bytes, which sort as the numbers do that are not negative.
func appendFixed[T ~int64](b []byte, n T) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)) // #nosec G115 -- bits are bits
}

// readFixed reads what appendFixed wrote.
func readFixed[T ~int64](b []byte) T {
	return T(binary.BigEndian.Uint64(b)) // #nosec G115 -- bits are bits
}

// steadyClock follows the wall clock, but never goes back: where that is set back,
// this one goes on from where it was. Its reading is stored with each commit, so
// that this holds across restarts.
type steadyClock struct {
	wall func() time.Time

	mu   sync.Mutex
	last clockReading
}

type clockReading struct {
	wall  int64 // ns
	shown moment
}

func (c *steadyClock) now() moment { return c.read().shown }

func (c *steadyClock) read() clockReading {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.wall().UnixNano()
	if c.last == (clockReading{}) {
		c.last.shown = moment(wall)
	} else if wall > c.last.wall {
		c.last.shown += moment(wall - c.last.wall)
	}
	c.last.wall = wall
	return c.last
}

// goOn continues from a stored reading.
func (c *steadyClock) goOn(r clockReading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = r
}
