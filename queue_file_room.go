package repeater

import (
	"path/filepath"
	"sync"
	"time"
)

const (
	defaultDiskFloor = 256 << 20
	roomEvery        = time.Second // how old what is known of the disk may be
)

// fileRoom is how much more the store may take: what its disk has free, and the
// free pages inside the file.
type fileRoom struct {
	q     *fileQueue
	floor int64 // to be left free; negative for none

	mu      sync.Mutex
	at      time.Time // when it was last looked at
	free    int64     // negative: cannot be known
	largest int64     // bytes of the largest lane
	short   bool      // a commit has found no room, and the reserve is not whole since
	low     bool      // below the floor
}

// admits says whether a lane may grow that has so many bytes. Towards the floor
// the largest lanes are refused first, so that what waits for one dead
// destination does not shut the door of all others.
func (r *fileRoom) admits(bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return r.open(bytes)
}

// left returns how many bytes a lane may grow by that has so many; negative if that
// cannot be known.
func (r *fileRoom) left(bytes int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	switch {
	case !r.open(bytes):
		return 0
	case r.free < 0:
		return -1
	}
	return r.free - max(0, r.floor)
}

func (r *fileRoom) open(bytes int64) bool {
	switch above := r.free - r.floor; {
	case r.short:
		return false
	case r.floor < 0 || r.free < 0 || above >= r.floor:
		return true
	case above < 0:
		return false
	default:
		return float64(bytes) <= float64(r.largest)*float64(above)/float64(r.floor)
	}
}

// use notes that so many bytes are being stored.
func (r *fileRoom) use(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free >= 0 {
		r.free = max(0, r.free-int64(bytes))
	}
}

func (r *fileRoom) refresh() {
	if now := time.Now(); r.at.IsZero() || now.Sub(r.at) >= roomEvery {
		r.at = now
		r.look()
	}
}

func (r *fileRoom) look() {
	r.largest = r.q.largestLane()
	r.free = diskFree(filepath.Dir(r.q.path))
	if r.free < 0 {
		return
	}
	r.free += r.q.freePages()
	if low := r.floor >= 0 && r.free < r.floor; low != r.low {
		r.low = low
		if low {
			r.q.log.Error("store: the disk is nearly full; senders are told to try again", "free", r.free, "floor", r.floor)
		} else {
			r.q.log.Info("store: there is room on the disk again", "free", r.free)
		}
	}
}

// runOut notes that a commit has found no room: nothing is pushed any more until
// the reserve is whole.
func (r *fileRoom) runOut(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.short {
		r.short = true
		r.q.log.Error("store: no room; senders are told to try again", "error", cause)
	}
}

func (r *fileRoom) isShort() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.short
}

// has says whether there seem to be so many bytes.
func (r *fileRoom) has(bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = time.Now()
	r.look()
	return r.free < 0 || r.free >= bytes
}

func (r *fileRoom) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.short = false
	r.q.log.Info("store: there is room again")
}

func (q *fileQueue) Size(lane string) (messages int, bytes, free int64) {
	var c laneCounts
	if l := q.known(lane); l != nil {
		c = l.counts()
	}
	return c.waiting, c.bytes, q.room.left(c.bytes)
}

func (q *fileQueue) largestLane() int64 {
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	n := int64(0)
	for _, l := range q.lanes {
		n = max(n, l.counts().bytes)
	}
	return n
}

// freePages returns the bytes inside the file that are free to be used again.
func (q *fileQueue) freePages() int64 {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.db == nil || q.closed {
		return 0
	}
	s := q.db.Stats()
	return int64(s.FreePageN+s.PendingPageN) * q.pageSize
}
