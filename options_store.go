package repeater

import (
	"cmp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// WithFile keeps messages in an embedded store, in one file with mode 0600.
// Each is fsynced before its request is answered. A file serves one
// process at a time: [Repeater.Run] of a second one fails with [ErrLocked].
// It is the default, with "repeater.db" in the working directory.
//
// The file does not shrink while it is open: it keeps the size of the largest
// backlog, and fills the free pages again. One of 64 MiB or more of which
// over three quarters are free is compacted when it is opened, unless more than 1 GiB is left
// in it. A full disk refuses requests and still delivers (see [WithDiskFloor]).
func WithFile(path string) Option {
	return func(c *config) {
		if path == "" {
			c.fail("WithFile: the path is empty")
		}
		c.stores = append(c.stores, store{"WithFile", true, func(c *config) Queue {
			q := newFileQueue(path, c.clock, c.log)
			q.room.floor = cmp.Or(c.diskFloor, defaultDiskFloor)
			return q
		}})
	}
}

// WithDiskFloor sets how many bytes [WithFile] leaves free on its disk. Below, requests
// are answered with 503, while deliveries go on. Between the floor and twice as much,
// the lanes that hold the most are refused first, so that what waits for one dead
// destination does not shut the door of the others. Free pages inside the
// file count as free. The default, also for 0, is 256 MiB; a negative
// value means no floor, and requests are refused when writing them fails. The last one holds.
func WithDiskFloor(bytes int64) Option {
	return func(c *config) { c.diskFloor = bytes }
}

// WithRedis keeps messages in Redis (single, Sentinel or Cluster), for any number of
// processes and hosts. They share lanes, order and pauses. A message counts
// as stored when the primary has executed the push; to survive a power loss it needs
// "appendonly yes" and "appendfsync always". The client stays the caller's, who
// closes it after the Repeater.
//
// Over a Redis Cluster the lanes of a fan-out live on different nodes, and so may a
// Dedupe mark: such a request is stored in one place first and then copied to each lane, where
// order and age count from the copy. There a lane's bound holds only about: it is checked
// against what this process has heard of the lane within the last seconds.
//
// A client that has ContextTimeoutEnabled lets go at once of a server that hangs; another
// holds senders and claims for up to its ReadTimeout more.
func WithRedis(client redis.UniversalClient) Option {
	return func(c *config) {
		if client == nil {
			c.fail("WithRedis: the client is nil")
		}
		c.stores = append(c.stores, store{"WithRedis", false, func(c *config) Queue {
			return newRedisQueue(client, c.redisPrefix)
		}})
	}
}

// WithRedisPrefix sets what all keys and channels of WithRedis begin with; the
// default is "repeater:". Repeaters with different prefixes share nothing.
func WithRedisPrefix(prefix string) Option {
	return func(c *config) {
		if strings.ContainsAny(prefix, "{}") {
			c.fail("WithRedisPrefix: %q contains braces, which Redis Cluster reads as a hash tag", prefix)
		}
		c.redisPrefix = prefix
	}
}

// WithQueue keeps messages in a store of the caller's, who closes it after the Repeater.
func WithQueue(q Queue) Option {
	return func(c *config) {
		if q == nil {
			c.fail("WithQueue: the queue is nil")
		}
		c.stores = append(c.stores, store{"WithQueue", false, func(*config) Queue { return q }})
	}
}
