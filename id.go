package repeater

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// ids makes ids that sort by the time of their making, so that stores append
// instead of inserting, and that no two processes share.
type ids struct {
	clock func() time.Time
	last  atomic.Int64
}

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// next returns 26 characters: a time in ns, later than any before, and 64 random bits.
func (g *ids) next() string {
	now := g.clock().UnixNano()
	for {
		last := g.last.Load()
		now = max(now, last+1)
		if g.last.CompareAndSwap(last, now) {
			break
		}
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now))   // #nosec G115 -- bits are bits
	binary.BigEndian.PutUint64(b[8:], rand.Uint64()) // #nosec G404 -- an id is to be unique, not secret
	return idEncoding.EncodeToString(b[:])
}
