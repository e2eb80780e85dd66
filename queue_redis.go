package repeater

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater/internal/redislua"
)

// redisQueue is the store for several processes: all state is in Redis, each step is
// one script, and the keys of a lane share a hash tag. What lies where, see redislua.
//
// The client repeats a command whose answer got lost, so every script can be repeated.
type redisQueue struct {
	client redis.UniversalClient
	prefix string
	lua    *redislua.Scripts

	topology atomic.Int32 // topologyUnknown until somebody needs to know
	registry redisRegistry
	routes   redisRoutes
	sizes    redisSizes
	share    redisShare
	check    redisCheck
	swept    atomic.Int64 // when the outbox was last looked through, on the process's clock
	wait     redisWait
	group    redisGroup

	holdsMu sync.Mutex
	holds   map[string]*redisHold
}

var (
	_ SharedQueue = (*redisQueue)(nil)
	_ SizedQueue  = (*redisQueue)(nil)
)

// newRedisQueue does no I/O. The client stays the caller's, who closes it.
func newRedisQueue(client redis.UniversalClient, prefix string) *redisQueue {
	if prefix == "" {
		prefix = "repeater:"
	}
	return &redisQueue{
		client: client, prefix: prefix, lua: redislua.New(), holds: make(map[string]*redisHold),
		share: redisShare{id: nonce()},
	}
}

func (q *redisQueue) Push(ctx context.Context, b Batch) (string, error) {
	if err := b.check(); err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if q.check.strict {
		if err := q.checked(ctx); err != nil {
			return "", q.wrap(ctx, "push", err)
		}
	}
	id, err := q.push(ctx, &b)
	if err != nil {
		if isOOM(err) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		return "", q.wrap(ctx, "push", err)
	}
	return id, nil
}

// isOOM recognizes what a script reports: older servers wrap the error of its command.
func isOOM(err error) bool {
	return redis.IsOOMError(err) || strings.Contains(err.Error(), "-OOM ")
}

func (q *redisQueue) push(ctx context.Context, b *Batch) (string, error) {
	lanes := batchLanes(b)
	if err := q.register(ctx, lanes); err != nil {
		return "", err
	}
	cluster, err := q.isCluster(ctx)
	if err != nil {
		return "", err
	}
	// A mark must be found whichever lanes come with it, so in a cluster it needs a slot of its own.
	if cluster && (b.dedupeMillis() > 0 || !q.oneSlot(lanes)) {
		return q.pushOutbox(ctx, b, lanes)
	}
	p := newRedisPush(ctx, b, lanes)
	if cluster { // each alone, as one slow node would hold up what is for the others
		q.sendTogether([]*redisPush{p})
	} else {
		q.pushTogether(p)
	}
	return p.await()
}

func (q *redisQueue) pushKeys(b *Batch, lanes []string) []string {
	keys := make([]string, 0, 7*len(lanes)+1)
	for _, name := range lanes {
		keys = append(keys, q.laneKeys(name, "state", "ready", "held", "order", "cards", "payloads", "seen")...)
	}
	if b.dedupeMillis() > 0 {
		keys = append(keys, q.prefix+"mark:"+digest(b.Dedupe))
	}
	return keys
}

func (q *redisQueue) pushArgs(b *Batch, lanes []string) []any {
	args := make([]any, 0, 6+len(lanes)+5*len(b.Messages))
	args = append(args, b.ID, b.dedupeMillis(), q.channel(), max(0, b.Bound.Messages), max(0, b.Bound.Bytes), len(lanes))
	number := make(map[string]int, len(lanes))
	for i, name := range lanes {
		args = append(args, name)
		number[name] = i + 1
	}
	for i := range b.Messages {
		m := &b.Messages[i]
		order := orderDigest(m.OrderKey)
		args = append(args, number[m.Lane], Key{b.ID, m.Dest}.String(), newRedisCard(b, m, order), order, m.Payload)
	}
	return args
}

// dedupeMillis is 0 when the batch has no mark.
func (b *Batch) dedupeMillis() int64 {
	if b.Dedupe == "" || b.DedupeFor <= 0 {
		return 0
	}
	return millis(b.DedupeFor)
}

// batchLanes names each lane of a batch once.
func batchLanes(b *Batch) []string {
	lanes := make([]string, 0, len(b.Messages))
	seen := make(map[string]bool, len(b.Messages))
	for _, m := range b.Messages {
		if !seen[m.Lane] {
			seen[m.Lane] = true
			lanes = append(lanes, m.Lane)
		}
	}
	return lanes
}

// tagEscaper keeps a lane's braces out of its hash tag.
var tagEscaper = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// laneKeys names keys of a lane, such as "repeater:lane:{https://example.com}:ready".
func (q *redisQueue) laneKeys(lane string, parts ...string) []string {
	stem := q.prefix + "lane:{" + tagEscaper.Replace(lane) + "}:"
	keys := make([]string, len(parts))
	for i, part := range parts {
		keys[i] = stem + part
	}
	return keys
}

func (q *redisQueue) channel() string { return q.prefix + "wake" }

// millis rounds up, as nothing may be due too early.
func millis(d time.Duration) int64 {
	return max(0, int64((d+time.Millisecond-1)/time.Millisecond))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// orderDigest makes an order key short and free of separators.
func orderDigest(orderKey string) string {
	if orderKey == "" {
		return "-"
	}
	return digest(orderKey)
}

func nonce() string { return strings.ToLower(rand.Text()) }

// wrap says what failed. An ended context is the reason for whatever came of it.
func (q *redisQueue) wrap(ctx context.Context, doing string, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fmt.Errorf("redis: %s: %w", doing, ctxErr)
	}
	if errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("redis: %s: %w", doing, ErrClosed)
	}
	return fmt.Errorf("redis: %s: %w", doing, err)
}

// String keeps the client out of %v of a Repeater's parts.
func (q *redisQueue) String() string { return "redis store " + q.prefix }
