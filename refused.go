package repeater

import (
	"maps"
	"sync"
)

// refusedCounts counts requests that were not taken, by the status of their answer.
type refusedCounts struct {
	mu sync.Mutex
	by map[int]int64
}

func (c *refusedCounts) add(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[int]int64)
	}
	c.by[status]++
}

// Refused returns how many requests were not stored since New, by the status with which they were
// answered: 401 if the signature did not verify, 403 if [AllowFrom] did not name the sender, 503 if
// there was no room or the store did not take them, and so on. [Repeater.Reload] does not reset the
// counts. The map is the caller's.
func (r *Repeater) Refused() map[int]int64 {
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	return maps.Clone(r.refused.by)
}
