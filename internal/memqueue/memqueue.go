// Package memqueue keeps messages in memory: the contract of [repeater.Queue] in as
// little code as it takes, to read before writing a store of one's own, and for tests
// that want a fast one. It passes the suite in internal/queuetest; what it cannot
// keep is the promise of a durable answer, as all is gone with the process.
package memqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/webhook-repeater/repeater"
)

// Queue is the store. One mutex makes each method one step.
type Queue struct {
	now func() time.Time

	mu     sync.Mutex
	lanes  map[string]*lane
	stored map[repeater.Key]*message // waiting or dead
	marks  map[string]mark           // by Batch.Dedupe
	sweep  int                       // at so many marks, forget the expired
	tokens int                       // given out
}

var _ repeater.SizedQueue = (*Queue)(nil)

// New returns an empty store.
func New() *Queue { return NewAt(time.Now) }

// NewAt returns an empty store that has its time from now.
func NewAt(now func() time.Time) *Queue {
	return &Queue{
		now:    now,
		lanes:  make(map[string]*lane),
		stored: make(map[repeater.Key]*message),
		marks:  make(map[string]mark),
	}
}

// mark remembers under which id a batch with a dedupe mark was stored.
type mark struct {
	id    string
	until time.Time
}

// message is one stored message, and where it stands.
type message struct {
	key      repeater.Key
	lane     string
	route    string
	received time.Time
	order    string
	payload  []byte

	place uint64        // in the lane; what was pushed first has the lowest
	due   time.Time     // for a retry on a schedule of its own; else zero
	born  time.Duration // when it was pushed, by lane.clock
	trial
	*death // nil while it waits
}

// trial is what has been tried with a message so far.
type trial struct {
	attempts int
	history  []repeater.Attempt
	silent   int
	lost     int
}

// death is what is known of a dead letter besides.
type death struct {
	number int // in the lane
	died   time.Time
	reason string
	answer []byte
}

func (q *Queue) Push(ctx context.Context, b repeater.Batch) (string, error) {
	if err := errors.Join(ctx.Err(), check(b)); err != nil {
		return "", err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if m := q.marks[b.Dedupe]; now.Before(m.until) {
		return m.id, nil
	}
	fresh := slices.DeleteFunc(slices.Clone(b.Messages), func(m repeater.Message) bool {
		return q.stored[repeater.Key{ID: b.ID, Dest: m.Dest}] != nil
	})
	for _, m := range fresh {
		if q.lane(m.Lane).full(b.Bound) {
			return "", fmt.Errorf("push to %s: %w", m.Lane, repeater.ErrFull)
		}
	}
	// Nothing can fail any more: store all of it.
	if b.Dedupe != "" {
		q.forgetMarks(now)
		q.marks[b.Dedupe] = mark{b.ID, now.Add(b.DedupeFor)}
	}
	for _, m := range fresh {
		l := q.lane(m.Lane)
		msg := &message{
			key: repeater.Key{ID: b.ID, Dest: m.Dest}, lane: m.Lane, route: b.Route, received: b.Received,
			order: m.OrderKey, payload: bytes.Clone(m.Payload),
		}
		q.stored[msg.key] = msg
		l.enqueue(msg, now)
	}
	return b.ID, nil
}

// check finds what must not be stored.
func check(b repeater.Batch) error {
	if b.ID == "" || len(b.ID) > 255 || len(b.Messages) == 0 {
		return fmt.Errorf("push: a batch has an id of 1 to 255 bytes and a message at least, not %d and %d", len(b.ID), len(b.Messages))
	}
	dests := make(map[int]bool)
	for _, m := range b.Messages {
		if m.Lane == "" || len(m.Lane) > 1024 {
			return fmt.Errorf("push: a lane's name has 1 to 1,024 bytes, not %d", len(m.Lane))
		}
		if m.Dest < 0 || dests[m.Dest] {
			return fmt.Errorf("push: destination %d is negative or comes twice", m.Dest)
		}
		dests[m.Dest] = true
	}
	return nil
}

// forgetMarks keeps expired marks from piling up. That they double first makes it cheap.
func (q *Queue) forgetMarks(now time.Time) {
	if len(q.marks) < q.sweep {
		return
	}
	maps.DeleteFunc(q.marks, func(_ string, m mark) bool { return !now.Before(m.until) })
	q.sweep = 2*len(q.marks) + 100
}

// lane returns the lane of that name, and makes it if need be.
func (q *Queue) lane(name string) *lane {
	l := q.lanes[name]
	if l == nil {
		l = &lane{name: name, since: q.now(), held: make(map[string][]*message), claimed: make(map[repeater.Key]*message)}
		q.lanes[name] = l
	}
	return l
}

// Size tells what waits in a lane. How much memory is left it does not know.
func (q *Queue) Size(lane string) (messages int, size, free int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lanes[lane]; l != nil {
		return l.waiting, l.bytes, -1
	}
	return 0, 0, -1
}

func (q *Queue) Lanes(ctx context.Context, after string, max int) ([]repeater.LaneInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var infos []repeater.LaneInfo
	for _, name := range slices.Sorted(maps.Keys(q.lanes)) {
		l := q.lanes[name]
		if name > after && len(infos) < max && (l.waiting > 0 || len(l.dead) > 0 || l.paused) {
			infos = append(infos, l.info(q.now()))
		}
	}
	return infos, nil
}

func (q *Queue) Steer(ctx context.Context, lane string, order repeater.LaneOrder) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l, now := q.lane(lane), q.now()
	switch order {
	case repeater.LanePause:
		if !l.paused {
			l.paused, l.pausedAt = true, now
		}
	case repeater.LaneResume:
		if l.paused {
			l.paused, l.pausedFor = false, l.pausedFor+now.Sub(l.pausedAt)
		}
	case repeater.LaneRetryNow:
		l.pause = time.Time{}
	case repeater.LaneForgive:
		l.refusals, l.pause = repeater.Forgiven, time.Time{}
	default:
		return fmt.Errorf("steer %s: unknown order %d", lane, order)
	}
	return nil
}
