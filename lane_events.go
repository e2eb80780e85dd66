package repeater

import (
	"errors"
	"log/slog"
	"time"
)

const (
	storeRetry    = 100 * time.Millisecond // doubling up to storeRetryMax
	storeRetryMax = 5 * time.Second
	storeTimeout  = claimTTL / 3 // of one claim or settlement
)

func (l *lane) onClaimed(c claimed) {
	l.claiming = false
	switch {
	case errors.Is(c.err, ErrBusy):
		l.busy = true
		return
	case errors.Is(c.err, ErrStale):
		l.takenOver()
		return
	case c.err != nil:
		l.more = true
		l.notUntil = time.Now().Add(l.storeFailed("claim", c.err))
		l.renew = l.notUntil
		return
	}
	l.storeWorks("claim")
	l.token, l.expires, l.renew = c.Token, c.asked.Add(claimTTL), c.asked.Add(claimTTL/3)
	if len(l.unsettled) == 0 && !l.settling {
		l.failures = c.Failures
	}
	l.yield = l.yield || c.Yield
	l.more = l.more || c.More
	if c.Wait > 0 {
		l.more, l.notUntil = true, time.Now().Add(c.Wait)
	}
	l.buffer = append(l.buffer, c.Messages...)
	if l.barrier || l.yield {
		l.giveBack()
	}
	l.lift()
}

func (l *lane) onAttempted(a attempted) {
	l.attempting = false
	if a.cancelled || a.token != l.token {
		return // given back with the lane, or another's by now
	}
	s := Settlement{Key: a.msg.Key, Attempt: a.attempt}
	switch a.verdict {
	case delivered:
		s.Kind = SettleDelivered
		l.recovered()
	case refused:
		s.Kind, s.Reason = SettleDead, a.reason
		l.failures = 0
	case unwell:
		l.failures++
		p := pauses{l.w.r.cfg.first, l.w.r.cfg.max}
		s.Kind, s.Hold, s.After = SettleRetry, true, p.after(l.failures, a.retryAfter)
		l.barrier = true
	}
	l.log(a.outcome, s)
	l.unsettled = append(l.unsettled, s)
	if l.barrier {
		l.giveBack()
	}
}

func (l *lane) onSettled(s settledBatch) {
	l.settling = false
	switch {
	case errors.Is(s.err, ErrStale):
		l.takenOver()
		return
	case s.err != nil:
		l.unsettled = append(s.batch, l.unsettled...)
		l.settleAt = time.Now().Add(l.storeFailed("settle", s.err))
		return
	}
	l.storeWorks("settle")
	l.lift()
}

// lift ends the barrier once the store knows all, and nothing claimed before it is
// still to come.
func (l *lane) lift() {
	if l.barrier && !l.claiming && !l.settling && len(l.unsettled) == 0 {
		l.barrier, l.more, l.notUntil = false, true, time.Time{}
	}
}

// giveBack returns what is in hand and not tried, so that nothing overtakes the head.
func (l *lane) giveBack() {
	for _, m := range l.buffer {
		l.unsettled = append(l.unsettled, Settlement{Key: m.Key, Kind: SettleRelease})
	}
	l.buffer = nil
}

// takenOver forgets what was claimed: the lane was another's meanwhile.
func (l *lane) takenOver() {
	l.w.r.cfg.log.Warn("lane was taken over: this process was too slow to renew its claim", "lane", l.name)
	l.token, l.buffer, l.unsettled = "", nil, nil
	l.barrier, l.more, l.notUntil = false, true, time.Time{}
}

// abandon ends a drain that the store does not let finish; what is not settled is
// delivered again later.
func (l *lane) abandon() {
	l.w.r.cfg.log.Error("outcomes could not be stored; these messages will be delivered again",
		"lane", l.name, "messages", len(l.unsettled))
	l.unsettled = nil
}

func (l *lane) release() {
	l.buffer, l.barrier = nil, false
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
	select {
	case <-l.timer.C:
	case <-l.w.ctx.Done():
	}
}

func (l *lane) recovered() {
	if l.failures > 0 {
		l.w.r.cfg.log.Info("destination is back", "lane", l.name, "failures", l.failures)
		l.more = true // beyond the probe
	}
	l.failures = 0
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

// log tells of one attempt: what went well at debug level only, as there is much of it.
func (l *lane) log(o outcome, s Settlement) {
	log, level, text := l.w.r.cfg.log, slog.LevelDebug, "delivered"
	switch s.Kind {
	case SettleRetry:
		level, text = slog.LevelWarn, "not delivered; the lane waits"
	case SettleDead:
		level, text = slog.LevelWarn, "dead letter"
	}
	if !log.Enabled(l.w.ctx, level) {
		return
	}
	args := []any{"lane", l.name, "route", o.msg.Route, "id", o.msg.Key.ID, "destination", o.msg.Key.Dest, "attempt", o.msg.Attempts + 1}
	if a := o.attempt; !a.At.IsZero() {
		args = append(args, "took", a.Took.String(), "status", a.Status)
		if a.Error != "" {
			args = append(args, "error", a.Error)
		}
	}
	switch s.Kind {
	case SettleRetry:
		args = append(args, "next", s.After.String())
	case SettleDead:
		args = append(args, "reason", s.Reason)
	}
	log.Log(l.w.ctx, level, text, args...)
}
