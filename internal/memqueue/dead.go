package memqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/webhook-repeater/repeater"
)

// The cursor is the number of the last death on the page: those that are added
// or removed meanwhile move nothing.
func (q *Queue) Dead(ctx context.Context, lane, cursor string, max int) ([]repeater.DeadLetter, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(lane)
	before := l.deaths + 1
	if cursor != "" {
		var err error
		if before, err = strconv.Atoi(cursor); err != nil {
			return nil, "", fmt.Errorf("dead letters of %s: %q is no cursor", lane, cursor)
		}
	}
	var letters []repeater.DeadLetter
	next := ""
	for _, m := range slices.Backward(l.dead) {
		if m.number >= before {
			continue
		}
		if len(letters) == max {
			return letters, next, nil
		}
		letters, next = append(letters, m.letter()), strconv.Itoa(m.number)
	}
	return letters, "", nil
}

func (q *Queue) Letter(ctx context.Context, lane string, key repeater.Key) (repeater.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return repeater.DeadLetter{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.stored[key]
	if m == nil || m.lane != lane || m.death == nil {
		return repeater.DeadLetter{}, fmt.Errorf("dead letter %v: %w", key, repeater.ErrNotFound)
	}
	return m.letter(), nil
}

func (m *message) letter() repeater.DeadLetter {
	return repeater.DeadLetter{
		Key: m.key, Route: m.route, Received: m.received, Died: m.died, Size: len(m.payload),
		Attempts: m.attempts, History: slices.Clone(m.history), Reason: m.reason, Answer: m.answer,
	}
}

func (q *Queue) Payload(ctx context.Context, lane string, key repeater.Key) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.stored[key]
	if m == nil || m.lane != lane {
		return nil, fmt.Errorf("message %v: %w", key, repeater.ErrNotFound)
	}
	return m.payload, nil
}

func (q *Queue) Replay(ctx context.Context, lane string, keys []repeater.Key) (int, error) {
	return q.exhume(ctx, lane, keys, func(m *message) { q.lane(lane).enqueue(m, q.now()) })
}

func (q *Queue) Drop(ctx context.Context, lane string, keys []repeater.Key) (int, error) {
	return q.exhume(ctx, lane, keys, func(m *message) { delete(q.stored, m.key) })
}

// exhume takes letters out of the dead, and returns how many there were.
func (q *Queue) exhume(ctx context.Context, lane string, keys []repeater.Key, then func(*message)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l, n := q.lane(lane), 0
	for _, key := range keys {
		m := q.stored[key]
		if m == nil || m.lane != lane || m.death == nil {
			continue
		}
		i, _ := slices.BinarySearchFunc(l.dead, m.number, func(m *message, number int) int { return m.number - number })
		l.dead = slices.Delete(l.dead, i, i+1)
		then(m)
		n++
	}
	return n, nil
}

func (q *Queue) Prune(ctx context.Context, lane string, older time.Duration, max int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l, n := q.lane(lane), 0
	for n < len(l.dead) && n < max && q.now().Sub(l.dead[n].died) > older {
		delete(q.stored, l.dead[n].key)
		n++
	}
	l.dead = l.dead[n:]
	return n, nil
}

// Letter returns one dead letter.
