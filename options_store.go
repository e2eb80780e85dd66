package repeater

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// WithFile keeps messages in an embedded store, in one file with mode 0600. Each is fsynced before
// its request is answered. A file serves one process at a time: [Repeater.Run] of a second one
// fails with [ErrLocked]. It is the default, with "repeater.db" in the working directory.
//
// The file does not shrink while it is open: it keeps the size of the largest backlog, and reuses
// its free pages. A file of 64 MiB or more of which over three quarters are free is compacted when
// it is opened, unless more than 1 GiB is left in it. With a full disk requests are refused and
// deliveries still go on (see [WithDiskFloor]).
func WithFile(path string) Option {
	return func(c *config) {
		if path == "" {
			c.fail("WithFile: the path is empty")
		}
		c.stores = append(c.stores, store{"WithFile", true, path, func(c *config) Queue {
			q := newFileQueue(path, c.clock, c.log)
			q.room.floor = cmp.Or(c.diskFloor, defaultDiskFloor)
			return q
		}})
	}
}

// WithDiskFloor sets how many bytes [WithFile] leaves free on its disk. Below that, requests are
// answered with 503, while deliveries go on. Between the floor and twice as much, the lanes that
// hold the most are refused first, so that the backlog of one dead destination does not keep out
// requests for the others. Free pages inside the file count as free. The default, also for 0, is
// 256 MiB; a negative value means no floor, and requests are refused when writing them fails. The
// last one holds.
func WithDiskFloor(bytes int64) Option {
	return func(c *config) { c.diskFloor = bytes }
}

// WithRedis keeps messages in Redis (single, Sentinel or Cluster), for any number of processes and
// hosts. They share lanes, order and pauses. A message counts as stored when the primary has
// executed the push; to survive a power loss Redis needs "appendonly yes" and "appendfsync always".
// The tests run on Redis 7.0. The client stays the caller's, who closes it after the Repeater; nil
// is a mistake.
//
// Over a Redis Cluster the lanes of a fan-out live on different nodes, and so may the mark of a
// [Dedupe]: such a request is stored in one place first and then copied to each lane, where order
// and age count from the copy. The limit of a lane is then only approximate: it is checked against
// what this process has learned about the lane within the last seconds.
//
// If the client has ContextTimeoutEnabled, calls to a server that hangs are given up in time;
// without it, they hold senders and claims for up to its ReadTimeout longer.
func WithRedis(client redis.UniversalClient) Option {
	return func(c *config) {
		if client == nil {
			c.fail("WithRedis: the client is nil")
		}
		c.stores = append(c.stores, store{"WithRedis", false, client, func(c *config) Queue {
			q := newRedisQueue(client, c.redis.prefix)
			q.wait = redisWait{c.redis.replicas, c.redis.wait}
			q.check.strict, q.check.log = c.redis.strict, c.log
			return q
		}})
	}
}

// WithRedisPrefix sets what all keys and channels of WithRedis begin with. The default, also for
// "", is "repeater:". Braces in it are a mistake, as Redis Cluster would take them for a hash tag.
// Repeaters with different prefixes share nothing. The last one holds.
func WithRedisPrefix(prefix string) Option {
	return func(c *config) {
		if strings.ContainsAny(prefix, "{}") {
			c.fail("WithRedisPrefix: %q contains braces, which Redis Cluster reads as a hash tag", prefix)
			return
		}
		c.redis.prefix = prefix
		c.redis.named = append(c.redis.named, "WithRedisPrefix")
	}
}

// RedisWait makes a request of WithRedis count as stored only when this many replicas of the
// primary have it in memory, too. If they do not have it within timeout, or are fewer, the sender
// gets 503; the request may be stored all the same, and is then delivered. A timeout of 0 means 1
// s; a shorter [WithPushTimeout] cuts it short. With 0 replicas, the default, none is waited for.
// The last one holds.
//
// With all replicas waited for, a failover to any of them loses nothing that was acknowledged,
// however far it lags. With fewer, one that was not waited for may be promoted, and loses what it
// lacks. Either way outcomes of attempts are not waited for: a failover may repeat some deliveries.
// And only the replicas' memory is waited for: to survive a power loss of all of them, they need
// "appendfsync always".
func RedisWait(replicas int, timeout time.Duration) Option {
	return func(c *config) {
		if replicas < 0 || timeout < 0 {
			c.fail("RedisWait: %d replicas and %v must not be negative", replicas, timeout)
			return
		}
		c.redis.replicas, c.redis.wait = replicas, cmp.Or(timeout, time.Second)
		c.redis.named = append(c.redis.named, "RedisWait")
	}
}

// WithRedisStrict refuses to work with a Redis that may lose what it has acknowledged: one with a
// maxmemory-policy other than noeviction, without "appendonly yes", without "appendfsync always",
// or that does not allow these to be read. [Repeater.Run] and [Repeater.Open] then return
// [ErrUnsafe], and requests are answered with 503 until it is fixed. Without this option, Run warns
// once in the log. In a cluster every primary is checked.
func WithRedisStrict() Option {
	return func(c *config) {
		c.redis.strict = true
		c.redis.named = append(c.redis.named, "WithRedisStrict")
	}
}

// redisOptions are what modifies WithRedis.
type redisOptions struct {
	prefix   string
	replicas int
	wait     time.Duration
	strict   bool
	named    []string // the options that were used
}

func (o redisOptions) equal(other redisOptions) bool {
	return o.prefix == other.prefix && o.replicas == other.replicas && o.wait == other.wait && o.strict == other.strict
}

// checkRedis finds options that ask for safety where there is no Redis.
func (c *config) checkRedis() {
	isRedis := func(s store) bool { return s.name == "WithRedis" }
	if len(c.redis.named) > 0 && !slices.ContainsFunc(c.stores, isRedis) {
		c.fail("%s without WithRedis has no effect", strings.Join(c.redis.named, ", "))
	}
}

// WithQueue keeps messages in a store of your own, which you close after the Repeater. nil is a
// mistake. If q also implements [SizedQueue], [SharedQueue] or [InspectQueue], that is used.
func WithQueue(q Queue) Option {
	return func(c *config) {
		if q == nil {
			c.fail("WithQueue: the queue is nil")
		}
		c.stores = append(c.stores, store{"WithQueue", false, q, func(*config) Queue { return q }})
	}
}
