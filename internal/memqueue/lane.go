package memqueue

import (
	"cmp"
	"slices"
	"time"

	"github.com/webhook-repeater/repeater"
)

// lane holds each of its messages in exactly one of ready, due, held, claimed and dead.
type lane struct {
	name    string
	since   time.Time                 // it was first heard of
	ready   []*message                // by place
	due     []*message                // by time: retries on schedules of their own
	held    map[string][]*message     // by order key, behind the one that is elsewhere
	claimed map[repeater.Key]*message // in hand
	dead    []*message                // oldest first

	waiting int   // neither delivered nor dead
	bytes   int64 // of these
	last    uint64
	deaths  int

	token string // of the claim; "" when the lane is free
	until time.Time

	failures, refusals int
	pause              time.Time // by Hold: nothing is handed out before
	paused             bool      // by an operator
	pausedAt           time.Time
	pausedFor          time.Duration // in all, before pausedAt
}

// clock tells the time, but stands still while an operator has paused the lane.
func (l *lane) clock(now time.Time) time.Duration {
	if l.paused {
		now = l.pausedAt
	}
	return now.Sub(l.since) - l.pausedFor
}

func (l *lane) full(b repeater.Bound) bool {
	return b.Messages > 0 && l.waiting >= b.Messages || b.Bytes > 0 && l.bytes >= b.Bytes
}

// enqueue puts a message, new or replayed, at the end of the lane, or behind another
// of its order key.
func (l *lane) enqueue(m *message, now time.Time) {
	l.last++
	m.place, m.due, m.born, m.trial, m.death = l.last, time.Time{}, l.clock(now), trial{}, nil
	l.waiting++
	l.bytes += int64(len(m.payload))
	if m.order != "" {
		if behind, ok := l.held[m.order]; ok {
			l.held[m.order] = append(behind, m)
			return
		}
		l.held[m.order] = nil
	}
	l.ready = append(l.ready, m)
}

// next returns what is to be handed out next, or nil.
func (l *lane) next(now time.Time) *message {
	switch {
	case len(l.due) > 0 && !l.due[0].due.After(now):
		return l.due[0]
	case len(l.ready) > 0:
		return l.ready[0]
	}
	return nil
}

// take puts what next has returned into the caller's hand.
func (l *lane) take(m *message) {
	if m.due.IsZero() {
		l.ready = l.ready[1:]
	} else {
		l.due = l.due[1:]
	}
	l.claimed[m.key] = m
}

// putBack puts a message from the caller's hand into its place.
func (l *lane) putBack(m *message) {
	delete(l.claimed, m.key)
	list := &l.ready
	if !m.due.IsZero() {
		list = &l.due
	}
	i, _ := slices.BinarySearchFunc(*list, m, func(a, b *message) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.place, b.place))
	})
	*list = slices.Insert(*list, i, m)
}

// putBackAll ends the claims on all that is in hand.
func (l *lane) putBackAll() {
	for _, m := range l.claimed {
		l.putBack(m)
	}
}

// leave takes a message out of the lane for good, and lets the next one of its order key go ahead.
func (l *lane) leave(m *message) {
	delete(l.claimed, m.key)
	l.waiting--
	l.bytes -= int64(len(m.payload))
	if m.order == "" {
		return
	}
	behind := l.held[m.order]
	if len(behind) == 0 {
		delete(l.held, m.order)
		return
	}
	l.held[m.order] = behind[1:]
	l.putBack(behind[0])
}

func (l *lane) info(now time.Time) repeater.LaneInfo {
	return repeater.LaneInfo{
		Name:     l.name,
		Waiting:  l.waiting,
		Bytes:    l.bytes,
		Dead:     len(l.dead),
		Failures: l.failures,
		Refusals: l.refusals,
		Paused:   l.paused,
		Wait:     max(0, l.pause.Sub(now)),
		Held:     l.token != "" && now.Before(l.until),
	}
}
