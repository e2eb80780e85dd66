package repeater

import (
	"errors"
	"slices"
	"time"
)

const (
	storeRetry    = 100 * time.Millisecond // doubling up to storeRetryMax
	storeRetryMax = 5 * time.Second
	storeTimeout  = claimTTL / 3 // of one claim or settlement
)

func (l *lane) onClaimed(c claimed) {
	l.claiming = false
	l.w.memory.give(l.reserved - payloadBytes(c.Messages))
	l.reserved = 0
	switch {
	case errors.Is(c.err, ErrBusy):
		l.busy = true
		return
	case errors.Is(c.err, ErrStale):
		l.takenOver()
		return
	case c.err != nil:
		l.lift()
		l.more = true
		l.notUntil = time.Now().Add(l.storeFailed("claim", c.err))
		l.renew = l.notUntil
		return
	}
	l.storeWorks("claim")
	l.token, l.expires, l.renew = c.Token, c.asked.Add(claimTTL), c.asked.Add(claimTTL/3)
	l.relay.until.Store(int64(l.expires.Sub(started)))
	if l.apart && len(l.unsettled) == 0 { // or it may not know what we have settled
		l.learn(c.Failures, c.Refusals)
	}
	l.yield = l.yield || c.Yield
	l.more = l.more || c.More
	if c.Wait > 0 {
		l.more, l.notUntil = true, time.Now().Add(c.Wait)
	}
	l.sized(c.Messages)
	l.settledBefore(c.Messages)
	l.buffer = append(l.buffer, c.Messages...)
	l.bury(c.More)
	if c.Paused {
		l.stops.Add(1)
		l.recall()
		l.barrier = l.barrier || len(l.buffer) > 0
	}
	if l.strangers() { // before the store has heard of our routes
		l.yield = true
	}
	if l.barrier || l.yield {
		l.giveBack()
	}
	l.sift()
	l.lift()
}

func (l *lane) onSettled(s settledBatch) {
	l.settling, l.telling = false, 0
	switch {
	case s.token != l.token: // taken over meanwhile: all of it is forgotten
		l.lift() // of an order that came since
		return
	case errors.Is(s.err, ErrStale):
		l.takenOver()
		return
	case s.err != nil:
		l.unsettled = append(without(s.batch, l.again), l.unsettled...)
		l.unsure = len(l.unsettled) > 0
		l.settleAt = time.Now().Add(l.storeFailed("settle", s.err))
		return
	}
	l.unsure = false
	l.storeWorks("settle")
	if l.set.ordered {
		l.wake() // for the next ones of their keys
	}
	for i := range s.batch {
		l.sleepLess(&s.batch[i])
	}
	l.lift()
}

// sleepLess lets a lane that sleeps until some message is due look when this one is, if that is sooner.
func (l *lane) sleepLess(s *Settlement) {
	if s.Kind != SettleRetry || s.Hold || !l.more {
		return
	}
	if due := time.Now().Add(s.After); due.Before(l.notUntil) {
		l.notUntil = due
	}
}

// settledBefore takes note that messages are handed out again. What was to be settled of them has been, though the
// answer may be lost or still to come: said once more it would end the new claim while they are in hand. For the
// same reason nothing is claimed while something is said once more.
func (l *lane) settledBefore(messages []Claimed) {
	if !l.settling && len(l.unsettled) == 0 {
		return
	}
	keys := make([]Key, len(messages))
	for i := range messages {
		keys[i] = messages[i].Key
	}
	l.unsettled = without(l.unsettled, keys)
	l.unsure = l.unsure && len(l.unsettled) > 0
	if l.settling {
		l.again = append(l.again, keys...)
	}
}

// without leaves out what puts these messages back. What is delivered is not handed out again.
func without(settlements []Settlement, keys []Key) []Settlement {
	return slices.DeleteFunc(settlements, func(s Settlement) bool {
		return s.Kind != SettleDelivered && slices.Contains(keys, s.Key)
	})
}

// lift ends the barrier once the store knows all, and nothing claimed before it is
// still to come.
func (l *lane) lift() {
	if l.barrier && l.inFlight == 0 && !l.claiming && !l.settling && len(l.unsettled) == 0 {
		l.barrier, l.ailing, l.more, l.notUntil = false, false, true, time.Time{}
	}
}

// giveBack returns what is in hand and not tried, so that nothing overtakes the head.
func (l *lane) giveBack() {
	l.recall()
	for i := range l.buffer {
		l.unsettled = append(l.unsettled, Settlement{Key: l.buffer[i].Key, Kind: SettleRelease})
	}
	l.dropBuffer(0)
}

// keepOne leaves memory to others: what is in hand beyond one message goes back.
func (l *lane) keepOne() {
	l.recall()
	keep := max(0, 1-l.inFlight)
	for i := keep; i < len(l.buffer); i++ {
		l.unsettled = append(l.unsettled, Settlement{Key: l.buffer[i].Key, Kind: SettleRelease})
		l.barrier = true // what a claim brings meanwhile lies behind it
	}
	l.dropBuffer(keep)
}

// dropBuffer forgets what is in hand but for the first few, and gives back its memory.
func (l *lane) dropBuffer(keep int) {
	if keep >= len(l.buffer) {
		return
	}
	l.w.memory.give(payloadBytes(l.buffer[keep:]))
	clear(l.buffer[keep:])
	l.buffer = l.buffer[:keep]
}

// obey lets the store say what an operator has ordered, before anything else is attempted.
func (l *lane) obey() {
	l.giveBack()
	l.stops.Add(1)
	l.barrier = true
	l.notUntil = time.Time{}
	l.lift()
}

// takenOver forgets what was claimed: the lane was another's meanwhile.
func (l *lane) takenOver() {
	l.stats.LoseClaim()
	l.cfg.log.Warn("lane was taken over: this process was too slow to renew its claim", "lane", l.name)
	l.recall()
	l.dropBuffer(0)
	l.stops.Add(1)
	l.token, l.unsettled, l.unsure = "", nil, false
	l.barrier, l.ailing, l.more, l.notUntil = false, false, true, time.Time{}
}

// abandon ends a drain that the store does not let finish; what is not settled is
// delivered again later.
func (l *lane) abandon() {
	l.cfg.log.Error("outcomes could not be stored; these messages will be delivered again",
		"lane", l.name, "messages", len(l.unsettled))
	l.unsettled = nil
}

func (l *lane) release() {
	l.dropBuffer(0)
	l.w.memory.quit(l)
	l.barrier, l.ailing = false, false
	if l.token == "" {
		return
	}
	ctx, cancel := l.storeContext()
	defer cancel()
	if err := l.w.r.queue.Release(ctx, l.name, l.token); err != nil {
		l.storeFailed("release", err)
	}
	l.token = ""
}

// stayAway leaves the lane to another process for a while, and swallows wakes.
func (l *lane) stayAway() {
	l.timer.Reset(yieldFor)
	l.rings = time.Time{}
	select {
	case <-l.timer.C:
	case <-l.w.ctx.Done():
	}
}

func (l *lane) storeFailed(doing string, err error) time.Duration {
	l.w.store.report(l.w, doing, err)
	d := min(storeRetry<<min(l.troubles, 10), storeRetryMax)
	l.troubles++
	return d
}

func (l *lane) storeWorks(doing string) {
	if l.troubles > 0 {
		l.w.store.report(l.w, doing, nil)
		l.troubles = 0
	}
}
