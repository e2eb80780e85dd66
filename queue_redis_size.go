package repeater

import (
	"context"
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

// get reports false when nothing has been told lately.
func (s *redisSizes) get(lane string) (redisSize, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := s.lanes[lane]
	return size, time.Since(size.told) < sizeFor
}

// learn reads two numbers of a lane, if they are there.
func (s *redisSizes) learn(lane string, told []any) {
	if len(told) >= 2 {
		s.set(lane, int(replyInt(told, 0)), replyInt(told, 1))
	}
}

func (s *redisSizes) learnAll(lanes []string, told []any) {
	for i, name := range lanes {
		s.learn(name, told[min(2*i, len(told)):])
	}
}

// Size tells what has lately been heard; a lane of which nothing was is taken for
// empty. What room Redis has it cannot know.
func (q *redisQueue) Size(lane string) (messages int, bytes, free int64) {
	size, ok := q.sizes.get(lane)
	if !ok {
		return 0, 0, -1
	}
	return size.messages, size.bytes, -1
}

// anyFull returns 1 if one of the lanes has reached the bound, as far as is known, and else 0.
// It asks where nothing is known.
func (q *redisQueue) anyFull(ctx context.Context, bound Bound, lanes []string) (int, error) {
	if bound == (Bound{}) {
		return 0, nil
	}
	var unknown []string
	for _, name := range lanes {
		if _, ok := q.sizes.get(name); !ok {
			unknown = append(unknown, name)
		}
	}
	if _, err := q.laneInfos(ctx, unknown); err != nil {
		return 0, err
	}
	for _, name := range lanes {
		size, _ := q.sizes.get(name)
		if bound.Messages > 0 && size.messages >= bound.Messages || bound.Bytes > 0 && size.bytes >= bound.Bytes {
			return 1, nil
		}
	}
	return 0, nil
}
