package repeater

import (
	"sync/atomic"
	"time"
)

// relay lets whoever has just delivered a message of a lane with one attempt in flight go on with the
// next one at once; the lane hears of it meanwhile. What lies in it can be had once: by
// the one who delivers, or back by the lane.
type relay struct {
	next  atomic.Pointer[errand]
	until atomic.Int64 // the claim lives, in ns since started; nothing begins later
}

// errand is a message to attempt.
type errand struct {
	msg   Claimed
	cfg   *config
	token string // under which it was claimed
	quick int    // retries
	probe bool   // of the message behind a silent head
	stops int64  // of the lane, by then
}

func (l *lane) startAttempt(now time.Time) {
	m, probe := l.next()
	l.inFlight++
	l.paced = now.Add(l.set.pace)
	e := &errand{m, l.cfg, l.token, l.quick(), probe, l.stops.Load()}
	if m.Lost >= lostTooOften {
		e.quick = 0
		l.suspect(m, "it is tried alone")
	}
	l.crew.do(func() {
		for e != nil {
			e = l.perform(e)
		}
	})
}

// perform attempts a message, and returns what to go on with.
func (l *lane) perform(e *errand) *errand {
	turns := int64(1)
	if e.msg.Lost >= lostTooOften {
		turns = allAttempts
	}
	o := outcome{msg: e.msg, cancelled: true}
	atOnce := l.w.turns.TryAcquire(turns)
	if atOnce || l.w.turns.Acquire(l.w.attempts, turns) == nil {
		if atOnce || l.standing(e) {
			o = view{Repeater: l.w.r, cfg: e.cfg}.attempt(l.w.attempts, e.msg, e.quick)
		} else {
			o = outcome{msg: e.msg, untried: true}
		}
		if o.verdict != VerdictDelivered {
			l.stops.Add(1) // before whoever waits for this turn can take it
		}
		l.w.turns.Release(turns)
	}
	l.w.memory.give(int64(len(e.msg.Payload)))
	next := l.follow(e, &o)
	l.attempted <- attempted{o, e.token, e.probe, next != nil}
	return next
}

// standing tells, of an errand that had to wait for its turn, whether it is still to be done.
func (l *lane) standing(e *errand) bool {
	return l.stops.Load() == e.stops && int64(time.Since(started)) < l.relay.until.Load()
}

// lineUp puts the next message behind the one in flight, if nothing that may become of that one
// but a failure could change what comes next.
func (l *lane) lineUp(now time.Time) {
	if l.set.concurrency > 1 || l.inFlight != 1 || len(l.buffer) == 0 || l.relay.next.Load() != nil ||
		l.barrier || l.yield || l.probing() || l.set.pace > 0 || l.buffer[0].Lost > 0 || !now.Before(l.expires) ||
		l.untold()+1 >= l.mayBeUntold() {
		return
	}
	m, _ := l.next()
	l.relay.next.Store(&errand{msg: m, cfg: l.cfg, token: l.token, quick: l.quick(), stops: l.stops.Load()})
}

// recall takes back what is lined up, unless it is under way.
func (l *lane) recall() {
	if e := l.relay.next.Swap(nil); e != nil {
		l.buffer = append([]Claimed{e.msg}, l.buffer...)
	}
}

// follow returns the errand after e, which ended so; nil if the lane is to be asked first.
func (l *lane) follow(e *errand, o *outcome) *errand {
	if e.cfg != l.w.r.config() || o.verdict != VerdictDelivered || o.cancelled || l.steer.Load() || l.w.ctx.Err() != nil ||
		int64(time.Since(started)) >= l.relay.until.Load() {
		return nil
	}
	return l.relay.next.Swap(nil)
}
