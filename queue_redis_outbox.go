package repeater

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// In a cluster lanes lie on different nodes, and no script reaches all. A batch for
// several is stored in an outbox in one step, then copied to its lanes, which can
// be repeated, by whoever comes first: its pusher, or any process's sweep.

const (
	topologyUnknown = iota
	topologySingle
	topologyCluster
)

// isCluster asks Redis only once, and only if the client's type does not tell.
func (q *redisQueue) isCluster(ctx context.Context) (bool, error) {
	if t := q.topology.Load(); t != topologyUnknown {
		return t == topologyCluster, nil
	}
	topology := int32(topologySingle)
	if _, ok := q.client.(*redis.ClusterClient); ok {
		topology = topologyCluster
	} else {
		info, err := q.client.Info(ctx, "cluster").Result()
		var refused redis.Error // by a server that has no such section, or does not show it
		if err != nil && (!errors.As(err, &refused) || redis.HasErrorPrefix(err, "LOADING")) {
			return false, err
		}
		if strings.Contains(info, "cluster_enabled:1") {
			topology = topologyCluster
		}
	}
	q.topology.Store(topology)
	return topology == topologyCluster, nil
}

// oneSlot reports whether a cluster keeps these lanes together.
func (q *redisQueue) oneSlot(lanes []string) bool {
	first := redisSlot(tagEscaper.Replace(lanes[0]))
	for _, name := range lanes[1:] {
		if redisSlot(tagEscaper.Replace(name)) != first {
			return false
		}
	}
	return true
}

// redisSlot is a hash tag's slot: its CRC-16 (XMODEM), modulo the number of slots.
func redisSlot(tag string) uint16 {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % 16384
}

const outboxes = 16

// outboxOf spreads batches; those of one dedupe mark meet in one outbox.
func outboxOf(b *Batch) int {
	by := b.ID
	if b.dedupeMillis() > 0 {
		by = b.Dedupe
	}
	return int(crc32.Checksum([]byte(by), castagnoli) % outboxes)
}

func (q *redisQueue) outboxKey(n int, part string) string {
	return fmt.Sprintf("%s{outbox:%d}:%s", q.prefix, n, part)
}

// pushOutbox stores a batch; that copying it to its lanes has failed is no failure.
func (q *redisQueue) pushOutbox(ctx context.Context, b *Batch, lanes []string) (string, error) {
	full, err := q.anyFull(ctx, b.Bound, lanes)
	if err != nil {
		return "", err
	}
	n := outboxOf(b)
	keys := []string{q.outboxKey(n, "items"), q.outboxKey(n, "since")}
	mark := b.dedupeMillis()
	if mark > 0 {
		keys = append(keys, q.outboxKey(n, "mark:"+digest(b.Dedupe)))
	}
	args := make([]any, 0, 3+2*len(b.Messages))
	args = append(args, b.ID, mark, full)
	for i := range b.Messages {
		args = append(args, Key{b.ID, b.Messages[i].Dest}.String(), encodeOutbox(b, &b.Messages[i]))
	}
	reply, err := q.runSafe(ctx, q.lua.OutboxPush, keys, args...).Slice()
	if err != nil {
		return "", err
	}
	id, stored := replyText(reply, 0), replyInt(reply, 1)
	switch {
	case stored < 0:
		return "", ErrFull
	case stored == 0:
		return id, nil
	}
	items := make([]outboxItem, len(b.Messages))
	for i := range b.Messages {
		items[i] = outboxItem{batch: b, message: &b.Messages[i]}
	}
	_ = q.copyOut(ctx, n, items)
	return id, nil
}

type outboxItem struct {
	batch   *Batch
	message *Message
}

func (i outboxItem) name() string { return Key{i.batch.ID, i.message.Dest}.String() }

// copyOut copies messages to their lanes, and removes from the outbox those that got there.
func (q *redisQueue) copyOut(ctx context.Context, n int, items []outboxItem) error {
	runs := make([]redisRun, len(items))
	for i, item := range items {
		one := *item.batch
		one.Dedupe, one.Bound, one.Messages = "", Bound{}, []Message{*item.message}
		lanes := []string{item.message.Lane}
		runs[i] = redisRun{q.lua.Push, q.pushKeys(&one, lanes), q.pushArgs(&one, lanes)}
	}
	var done []string
	var errs []error
	for i, cmd := range q.runAllSafe(ctx, runs) {
		reply, err := cmd.Slice()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		q.sizes.learn(items[i].message.Lane, reply[2:])
		done = append(done, items[i].name())
	}
	if len(done) > 0 {
		errs = append(errs, q.removeOut(ctx, n, done))
	}
	return errors.Join(errs...)
}

// removeOut removes the bytes first: a name without them is removed by the next sweep.
func (q *redisQueue) removeOut(ctx context.Context, n int, names []string) error {
	pipe := q.client.Pipeline()
	pipe.HDel(ctx, q.outboxKey(n, "items"), names...)
	pipe.ZRem(ctx, q.outboxKey(n, "since"), names)
	_, err := pipe.Exec(ctx)
	return err
}

const (
	outboxAge  = 2 * time.Second // after which a message's pusher must have failed
	outboxPage = 16
)

// sweepOutbox copies what pushers have left in the outboxes. What it cannot copy
// stays for the next time.
func (q *redisQueue) sweepOutbox(ctx context.Context) {
	now, last := time.Now().UnixNano(), q.swept.Load()
	if now-last < int64(outboxAge) || !q.swept.CompareAndSwap(last, now) {
		return
	}
	if cluster, err := q.isCluster(ctx); err != nil || !cluster {
		return
	}
	runs := make([]redisRun, outboxes)
	for n := range runs {
		runs[n] = redisRun{q.lua.OutboxDue, []string{q.outboxKey(n, "items"), q.outboxKey(n, "since")}, []any{millis(outboxAge), outboxPage}}
	}
	for n, cmd := range q.runAll(ctx, runs) {
		for q.sweepPage(ctx, n, cmd) {
			cmd = q.lua.OutboxDue.Run(ctx, q.client, runs[n].keys, runs[n].args...)
		}
	}
}

// sweepPage copies what a look into an outbox has found, and reports whether there may be more.
func (q *redisQueue) sweepPage(ctx context.Context, n int, found *redis.Cmd) bool {
	reply, err := found.Slice()
	if err != nil || len(reply) == 0 {
		return false
	}
	var items []outboxItem
	for i := 0; i+1 < len(reply); i += 2 {
		// One that cannot be read stays where it is, for people to look at.
		if item, err := decodeOutbox(replyText(reply, i), replyText(reply, i+1)); err == nil {
			items = append(items, item)
		}
	}
	for _, item := range items {
		if err := q.register(ctx, []string{item.message.Lane}); err != nil {
			return false
		}
	}
	return len(items) > 0 && q.copyOut(ctx, n, items) == nil && len(reply) == 2*outboxPage
}

// encodeOutbox writes all of a message that its lane's push needs. Its checksum is
// the payload's, and goes with it to the lane.
func encodeOutbox(b *Batch, m *Message) []byte {
	out := make([]byte, 0, 64+len(b.Route)+len(m.Lane)+len(m.OrderKey)+len(m.Payload))
	out = bin.AppendString(out, b.Route)
	out = bin.AppendString(out, formatTime(b.Received))
	out = bin.AppendString(out, m.Lane)
	out = bin.AppendString(out, m.OrderKey)
	return bin.AppendString(out, m.Payload)
}

func decodeOutbox(name, blob string) (outboxItem, error) {
	key, err := parseKey(name)
	if err != nil {
		return outboxItem{}, err
	}
	r := bin.NewReader([]byte(blob))
	route, received := r.String(), r.String()
	m := &Message{Dest: key.Dest, Lane: r.String(), OrderKey: r.String(), Payload: r.Bytes()}
	at, err := parseTime(received)
	if err = errors.Join(err, r.Err()); err != nil || m.Lane == "" {
		return outboxItem{}, errors.Join(err, bin.ErrMalformed)
	}
	return outboxItem{&Batch{ID: key.ID, Route: route, Received: at}, m}, nil
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
