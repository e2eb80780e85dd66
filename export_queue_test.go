package repeater

import (
	"log/slog"
	"time"
)

// FileQueue is the file store, for the suite that every store must pass.
type FileQueue = fileQueue

// RedisQueue is the Redis store, likewise.
type RedisQueue = redisQueue

// NewFileQueue opens the file store apart from a Repeater.
func NewFileQueue(path string) *FileQueue {
	return newFileQueue(path, time.Now, slog.New(slog.DiscardHandler))
}
