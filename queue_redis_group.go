package repeater

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisGroup sends pushes together: while some are on their way, the next ones gather, and
// go in one round trip. A Redis that syncs its log does so once for all of them. What
// is for one lane shares a script, in which each still succeeds or fails by itself.
type redisGroup struct {
	mu      sync.Mutex
	ready   []*redisPush
	senders int
}

const (
	groupSenders = 2   // so that Redis has work while an answer is being read
	groupPushes  = 256 // sent together
	groupBytes   = 1 << 20
)

// redisPush is a batch, and what becomes of it.
type redisPush struct {
	ctx   context.Context
	batch *Batch
	lanes []string
	done  chan redisPushed
}

type redisPushed struct {
	id   string
	full bool
	err  error
}

func newRedisPush(ctx context.Context, b *Batch, lanes []string) *redisPush {
	return &redisPush{ctx, b, lanes, make(chan redisPushed, 1)}
}

func (p *redisPush) await() (string, error) {
	select {
	case d := <-p.done:
		if d.err == nil && d.full {
			d.err = ErrFull
		}
		return d.id, d.err
	case <-p.ctx.Done():
		return "", p.ctx.Err()
	}
}

// plain is a batch of one message without a mark.
func (p *redisPush) plain() bool { return len(p.batch.Messages) == 1 && p.batch.dedupeMillis() == 0 }

func (p *redisPush) size() int {
	n := 0
	for i := range p.batch.Messages {
		n += len(p.batch.Messages[i].Payload)
	}
	return n
}

func (q *redisQueue) pushTogether(p *redisPush) {
	q.group.mu.Lock()
	defer q.group.mu.Unlock()
	q.group.ready = append(q.group.ready, p)
	if q.group.senders < groupSenders {
		q.group.senders++
		go q.sendPushes()
	}
}

// sendPushes ends when there are none.
func (q *redisQueue) sendPushes() {
	for {
		some := q.group.take()
		if len(some) == 0 {
			return
		}
		q.sendTogether(some)
	}
}

func (g *redisGroup) take() []*redisPush {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, bytes := 0, 0
	for n < min(len(g.ready), groupPushes) && (n == 0 || bytes < groupBytes) {
		bytes += g.ready[n].size()
		n++
	}
	some := g.ready[:n:n]
	g.ready = g.ready[n:]
	if n == 0 {
		g.ready = nil
		g.senders--
	}
	return some
}

// sendTogether sends what somebody still waits for.
func (q *redisQueue) sendTogether(some []*redisPush) {
	var runs []redisRun
	var sent [][]*redisPush // of each run
	plain := make(map[string]int)
	for _, p := range some {
		if p.ctx.Err() != nil {
			continue
		}
		if !p.plain() {
			runs = append(runs, redisRun{q.lua.Push, q.pushKeys(p.batch, p.lanes), q.pushArgs(p.batch, p.lanes)})
			sent = append(sent, []*redisPush{p})
			continue
		}
		lane := p.lanes[0]
		i, ok := plain[lane]
		if !ok {
			i = len(runs)
			plain[lane] = i
			runs = append(runs, redisRun{q.lua.PushLane, q.pushKeys(p.batch, p.lanes), []any{q.channel(), lane}})
			sent = append(sent, nil)
		}
		runs[i].args = appendPlain(runs[i].args, p.batch)
		sent[i] = append(sent[i], p)
	}
	if len(runs) == 0 {
		return
	}
	ctx, cancel := longest(some)
	defer cancel()
	for i, cmd := range q.runAllSafe(ctx, runs) {
		q.pushed(cmd, runs[i].script == q.lua.PushLane, sent[i])
	}
}

func appendPlain(args []any, b *Batch) []any {
	m := &b.Messages[0]
	order := orderDigest(m.OrderKey)
	return append(args, max(0, b.Bound.Messages), max(0, b.Bound.Bytes), Key{b.ID, m.Dest}.String(), newRedisCard(b, m, order), order, m.Payload)
}

// pushed tells those who wait how a run ended.
func (q *redisQueue) pushed(cmd *redis.Cmd, plain bool, sent []*redisPush) {
	reply, err := cmd.Slice()
	if err == nil && plain && len(reply) != 2+len(sent) {
		err = fmt.Errorf("the script answered for %d of %d messages", len(reply)-2, len(sent)) // silence is no success
	}
	for i, p := range sent {
		switch {
		case err != nil:
			p.done <- redisPushed{err: err}
		case plain:
			p.done <- redisPushed{id: p.batch.ID, full: replyInt(reply, 2+i) > 0}
		default:
			p.done <- redisPushed{id: replyText(reply, 0), full: replyInt(reply, 1) > 0}
		}
	}
	switch {
	case err != nil:
	case plain:
		q.sizes.learn(sent[0].lanes[0], reply)
	default:
		q.sizes.learnAll(sent[0].lanes, reply[2:])
	}
}

// longest is the context of whoever waits for longest.
func longest(some []*redisPush) (context.Context, context.CancelFunc) {
	if len(some) == 1 {
		return context.WithCancel(some[0].ctx)
	}
	var last time.Time
	for _, p := range some {
		end, ok := p.ctx.Deadline()
		if !ok {
			return context.WithCancel(context.Background())
		}
		if end.After(last) {
			last = end
		}
	}
	return context.WithDeadline(context.Background(), last)
}
