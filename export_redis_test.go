package repeater

import (
	"log/slog"
	"time"
)

// What tests of the Redis store need from outside the package.
var (
	NewRedisQueue = newRedisQueue
	RedisSlot     = redisSlot
)

func SetRedisLog(q *redisQueue, log *slog.Logger) { q.check.log = log }

func SetRedisWait(q *redisQueue, replicas int, timeout time.Duration) {
	q.wait = redisWait{replicas, timeout}
}

// RedisGathering returns how many pushes wait to be sent.
func RedisGathering(q *redisQueue) int {
	q.group.mu.Lock()
	defer q.group.mu.Unlock()
	return len(q.group.ready)
}

// LearnRoutes is what a Reload tells the store at once.
func LearnRoutes(q *redisQueue, routes ...string) { q.learnRoutes(routes) }
