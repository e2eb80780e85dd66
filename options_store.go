package repeater

import (
	"cmp"
	"slices"
	"strings"
	"time"

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
		c.stores = append(c.stores, store{"WithFile", true, path, func(c *config) Queue {
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
		c.stores = append(c.stores, store{"WithRedis", false, client, func(c *config) Queue {
			q := newRedisQueue(client, c.redis.prefix)
			q.wait = redisWait{c.redis.replicas, c.redis.wait}
			q.check.strict, q.check.log = c.redis.strict, c.log
			return q
		}})
	}
}

// WithRedisPrefix sets what all keys and channels of WithRedis begin with; the
// default is "repeater:". Repeaters with different prefixes share nothing.
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

// RedisWait makes a request of WithRedis count as stored only when so many replicas of
// the primary have it in their memory, too. If they have not within timeout, or are fewer, the
// sender hears 503; the request may be stored all the same, and is then delivered.
// A timeout of 0 means 1 s; [WithPushTimeout] cuts it short. 0 replicas, the default,
// wait for none. The last one holds.
//
// With all replicas waited for, a failover to any of them loses nothing that was acknowledged,
// however far it lags. With fewer, one that was not waited for may be promoted, and loses
// what it lacks. Either way outcomes of attempts are not waited for: a failover
// may repeat some deliveries. And it is the replicas' memory that is waited for: for a
// power loss that takes all of them, they need "appendfsync always".
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

// WithRedisStrict refuses to work with a Redis that may lose what it has acknowledged:
// one with a maxmemory-policy other than noeviction, without "appendonly yes", without
// "appendfsync always", or that does not let these be seen. [Repeater.Run] and [Repeater.Open] then
// return [ErrUnsafe], and requests are answered with 503 until it is mended. Without this option, Run
// warns once in the log. In a cluster every primary is looked at.
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

// WithQueue keeps messages in a store of the caller's, who closes it after the Repeater.
func WithQueue(q Queue) Option {
	return func(c *config) {
		if q == nil {
			c.fail("WithQueue: the queue is nil")
		}
		c.stores = append(c.stores, store{"WithQueue", false, q, func(*config) Queue { return q }})
	}
}
