package repeater

import (
	"sync"
	"time"
)

// redisSizes remembers how much waits in the lanes, as Redis has last told along with
// other things.
type redisSizes struct {
	mu    sync.Mutex
	lanes map[string]redisSize
}

type redisSize struct {
	messages int
	bytes    int64
	told     time.Time
}

// sizeFor is how long a size is believed. A process that only accepts hears of a lane
// only when it pushes: one push that finds out must come through now and then.
const sizeFor = 3 * time.Second

func (s *redisSizes) set(lane string, messages int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes == nil || len(s.lanes) >= registryMax {
		s.lanes = make(map[string]redisSize)
	}
	s.lanes[lane] = redisSize{messages, bytes, time.Now()}
}

// Size tells what pushes and listings of the last seconds have brought; a lane that
// they have not met is taken for empty. What room Redis has it cannot know.
func (q *redisQueue) Size(lane string) (messages int, bytes, free int64) {
	q.sizes.mu.Lock()
	defer q.sizes.mu.Unlock()
	size := q.sizes.lanes[lane]
	if time.Since(size.told) > sizeFor {
		return 0, 0, -1
	}
	return size.messages, size.bytes, -1
}
