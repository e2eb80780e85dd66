package memqueue

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/webhook-repeater/repeater"
)

var _ repeater.InspectQueue = (*Queue)(nil)

// The cursor is the number of messages before it: what moves meanwhile may come twice, or not at all.
func (q *Queue) Waiting(ctx context.Context, lane, cursor string, max int) ([]repeater.WaitingMessage, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	from := 0
	if cursor != "" {
		var err error
		if from, err = strconv.Atoi(cursor); err != nil || from < 0 {
			return nil, "", fmt.Errorf("what waits in %s: %q is no cursor", lane, cursor)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l, now := q.lane(lane), q.now()
	all := l.inOrder(now)
	from = min(from, len(all))
	to := min(from+max, len(all))
	var page []repeater.WaitingMessage
	for _, m := range all[from:to] {
		page = append(page, l.told(m, now))
	}
	next := ""
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return page, next, nil
}

// inOrder lists what waits: in hand, due, ready, due later, held back.
func (l *lane) inOrder(now time.Time) []*message {
	byPlace := func(a, b *message) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.place, b.place)) }
	all := slices.SortedFunc(maps.Values(l.claimed), byPlace)
	later, _ := slices.BinarySearchFunc(l.due, now, func(m *message, now time.Time) int {
		if m.due.After(now) {
			return 1
		}
		return -1
	})
	all = slices.Concat(all, l.due[:later], l.ready, l.due[later:])
	for _, key := range slices.Sorted(maps.Keys(l.held)) {
		all = append(all, l.held[key]...)
	}
	return all
}

// told is what Waiting tells of a message.
func (l *lane) told(m *message, now time.Time) repeater.WaitingMessage {
	w := repeater.WaitingMessage{
		Key: m.key, Lane: m.lane, Route: m.route, Received: m.received, Size: len(m.payload),
		Attempts: m.attempts, History: slices.Clone(m.history),
	}
	if m.death != nil {
		w.Place = repeater.PlaceDead
		return w
	}
	w.Age = l.clock(now) - m.born
	switch {
	case l.claimed[m.key] != nil:
		w.Place = repeater.PlaceInHand
	case !m.due.IsZero():
		w.Place, w.Due = repeater.PlaceDue, max(0, m.due.Sub(now))
	case slices.Contains(l.held[m.order], m):
		w.Place = repeater.PlaceHeld
	}
	return w
}

func (q *Queue) Find(ctx context.Context, id string, dests int) ([]repeater.WaitingMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []repeater.WaitingMessage
	for dest := range dests {
		m := q.stored[repeater.Key{ID: id, Dest: dest}]
		if m == nil {
			continue
		}
		l, now := q.lane(m.lane), q.now()
		w := l.told(m, now)
		w.Ahead = -1
		if w.Place != repeater.PlaceDead {
			all := l.inOrder(now)
			w.Ahead = slices.Index(all, m)
			if w.Place == repeater.PlaceHeld {
				w.Behind = all[slices.IndexFunc(all, func(o *message) bool { return o.order == m.order })].key
			}
		}
		found = append(found, w)
	}
	return found, nil
}

func (q *Queue) Oldest(ctx context.Context, lanes []string) ([]time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	ages := make([]time.Duration, len(lanes))
	for i, name := range lanes {
		l := q.lane(name)
		for _, m := range l.inOrder(now) {
			ages[i] = max(ages[i], l.clock(now)-m.born)
		}
	}
	return ages, nil
}
