package repeater

import (
	"fmt"
	"time"

	"github.com/webhook-repeater/repeater/internal/metrics"
)

const (
	silentTooOften  = 3 // attempts without an answer, until the message may be at fault
	lostTooOften    = 3 // deaths of the process, until the message is tried alone
	refusedTooOften = 5 // refusals in a row, until the destination is
)

// health is what a lane knows of its destination, and what follows for the next attempts.
type health struct {
	failures int  // pauses in a row; the store counts them too
	refusals int  // dead letters in a row, all refused; the store counts them too
	limit    int  // so many attempts may be in flight now
	good     int  // deliveries since the limit was last raised
	wary     bool // one probe comes before anything else

	neighbour bool          // the last probe went to the message behind a silent head
	silent    Key           // that head
	burying   bool          // what has waited for too long dies without an attempt
	pause     time.Duration // after that
}

func (h *health) probing() bool { return h.failures > 0 || h.wary }

// learn takes over what the store remembers.
func (h *health) learn(failures, refusals int) {
	h.failures, h.refusals = failures, refusals
	if failures > 0 {
		h.limit = 1
	}
}

// ail is the beginning of a pause: afterwards one probe goes out.
func (h *health) ail() {
	h.failures++
	h.wary, h.limit, h.good = true, 1, 0
}

// thrive notes that the destination has answered as a well one does.
func (l *lane) thrive() {
	if l.ailing {
		return // it was asked before the failure that the lane waits for
	}
	if l.probing() {
		l.cfg.log.Info("destination is back", "lane", l.name, "failures", l.failures)
		l.more = true // beyond the probe
	}
	l.failures, l.wary, l.burying = 0, false, false
	l.unwell.Store(false)
	if l.limit < l.set.concurrency {
		if l.good++; l.good >= l.limit {
			l.limit, l.good = min(2*l.limit, l.set.concurrency), 0
		}
	}
}

// next takes the message to attempt out of the buffer. That is the head, unless it alone
// may be at fault: then one probe goes to the message behind it, unless the lane is strict.
func (l *lane) next() (m Claimed, behind bool) {
	i := 0
	if l.probing() {
		if len(l.buffer) > 1 && l.buffer[0].Silent >= silentTooOften && !l.neighbour && !l.set.strict {
			i = 1
		}
		l.neighbour, l.silent = i == 1, l.buffer[0].Key
	}
	m = l.buffer[i]
	copy(l.buffer[1:i+1], l.buffer[:i])
	l.buffer[0] = Claimed{} // its payload is no longer ours to hold
	l.buffer = l.buffer[1:]
	return m, i == 1
}

// shift takes the head out of the buffer, not to be attempted.
func (l *lane) shift() Claimed {
	m := l.buffer[0]
	l.buffer[0] = Claimed{}
	l.buffer = l.buffer[1:]
	l.w.memory.give(int64(len(m.Payload)))
	return m
}

// quick is how many quick retries an attempt may have.
func (l *lane) quick() int {
	if l.probing() || l.set.pace > 0 {
		return 0
	}
	return l.cfg.quickRetries
}

func (l *lane) onAttempted(a attempted) {
	if !a.next {
		l.inFlight--
		l.recall()
	}
	switch {
	case a.cancelled || a.token != l.token: // it was given back with the lane, or is another's by now
	case a.untried:
		l.unsettled = append(l.unsettled, Settlement{Key: a.msg.Key, Kind: SettleRelease})
		l.barrier = true // it comes before what else is in hand
	default:
		s := l.rule(&a)
		l.seen.note(&a.outcome, s.Kind)
		l.log(a.outcome, s)
		l.count(&a.outcome, &s)
		if len(l.unsettled) == 0 && !l.set.ordered { // where the next of its key waits for it
			l.settleBy = time.Now().Add(settleSoon)
		}
		l.unsettled = append(l.unsettled, s)
	}
	if l.barrier {
		l.giveBack()
		l.lift()
	}
}

// rule says what becomes of a message, and of the lane, after an attempt.
func (l *lane) rule(a *attempted) Settlement {
	s := Settlement{Key: a.msg.Key, Attempt: a.attempt, Reason: a.reason, Answer: a.answer}
	switch a.verdict {
	case VerdictDelivered:
		l.refusals = 0
		if a.probe {
			l.blameHead()
		}
		l.thrive()
		return Settlement{Key: s.Key, Kind: SettleDelivered}
	case VerdictGone:
		l.cfg.log.Error("the destination says 410 Gone: nobody wants these messages any more", "lane", l.name, "route", a.msg.Route)
		return l.refuse(s)
	case VerdictRefused:
		if l.refusals >= refusedTooOften-1 {
			l.cfg.log.Error("the destination refuses one message after the other, which is taken for its own fault: the lane pauses",
				"lane", l.name, "route", a.msg.Route, "status", a.attempt.Status)
			return l.hold(a, s)
		}
		return l.refuse(s)
	case VerdictFailed:
		if l.set.strict {
			return l.hold(a, s)
		}
		l.thrive()
		return l.retryAlone(a, s)
	case VerdictUnwell:
		if l.ownFault(a) {
			return l.retryAlone(a, s)
		}
		return l.hold(a, s)
	}
	s.Kind = SettleDead // it could not even be tried
	return s
}

// ownFault tells when no answer speaks against the message and not against the lane: it has
// had none before, while the lane was well.
func (l *lane) ownFault(a *attempted) bool {
	return !l.set.strict && a.attempt.Silent && a.msg.Silent >= silentTooOften && !l.probing()
}

func (l *lane) refuse(s Settlement) Settlement {
	l.thrive()
	l.refusals++
	s.Kind, s.Refused = SettleDead, true
	return s
}

// retryAlone puts a message on a schedule of its own.
func (l *lane) retryAlone(a *attempted, s Settlement) Settlement {
	if why := l.spent(a); why != "" {
		s.Kind, s.Reason = SettleDead, why+s.Reason
		return s
	}
	s.Kind, s.After = SettleRetry, l.cfg.pauses().after(a.msg.Attempts+1, a.retryAfter)
	return s
}

// hold pauses the lane with the message in its place. Of attempts that were in flight together,
// the first to fail does so; the others only go back.
func (l *lane) hold(a *attempted, s Settlement) Settlement {
	if !l.ailing {
		l.ail()
		l.unwell.Store(true)
		l.pause = l.cfg.pauses().after(l.failures, a.retryAfter)
		l.barrier, l.ailing = true, true
		l.stops.Add(1)
	}
	if why := l.spent(a); why != "" {
		s.Kind, s.Reason = SettleDead, why+s.Reason
		l.burying = l.pause > 0 // or another, which was in flight with it, has begun the pause
		return s
	}
	s.Kind, s.Hold, s.After = SettleRetry, true, l.takePause()
	return s
}

// takePause returns the pause that is still to be told to the store, once.
func (l *lane) takePause() time.Duration {
	d := l.pause
	l.pause, l.burying = 0, false
	return d
}

// blameHead puts the silent head on a schedule of its own, as the message behind it went through.
func (l *lane) blameHead() {
	if len(l.buffer) == 0 || l.buffer[0].Key != l.silent {
		return // given back meanwhile
	}
	head := l.shift()
	l.cfg.log.Warn("a message gets no answer while the next one is delivered: it goes on its own schedule, and the lane goes on",
		"lane", l.name, "route", head.Route, "id", head.Key.ID, "destination", head.Key.Dest)
	l.unsettled = append(l.unsettled, Settlement{Key: head.Key, Kind: SettleRetry, After: l.cfg.pauses().after(head.Attempts, 0)})
}

// spent says why a message is tried no more, or "".
func (l *lane) spent(a *attempted) string {
	if a.rt == nil {
		return ""
	}
	return a.rt.spent(a.msg.Attempts+1, a.msg.Age+a.attempt.Took)
}

// spent says why a message is not tried again after so many attempts, at that age, if so.
func (rt *route) spent(attempts int, age time.Duration) string {
	switch {
	case rt.maxAttempts > 0 && attempts >= rt.maxAttempts:
		return fmt.Sprintf("given up after %d attempts: ", attempts)
	case age >= rt.maxAge:
		return fmt.Sprintf("given up after %v: ", rt.maxAge)
	}
	return ""
}

// bury lets die without an attempt what has waited for longer than it may, behind a
// message that has just died so: the destination is unwell, and would have to be asked about
// each of them. The first that has time left gets the pause that is due.
func (l *lane) bury(more bool) {
	if !l.burying || l.barrier {
		return
	}
	for len(l.buffer) > 0 {
		m := l.shift()
		rt := l.cfg.byName[m.Route]
		if rt == nil || m.Age < rt.maxAge {
			l.unsettled = append(l.unsettled, Settlement{Key: m.Key, Kind: SettleRetry, Hold: true, After: l.takePause()})
			l.barrier = true
			return
		}
		l.unsettled = append(l.unsettled, Settlement{Key: m.Key, Kind: SettleDead,
			Reason: fmt.Sprintf("given up after %v: the destination was unwell", rt.maxAge)})
		l.stats.Die(metrics.DeadGivenUp, 1)
	}
	if !more && l.pause > 0 {
		l.notUntil = time.Now().Add(l.takePause())
	}
}
