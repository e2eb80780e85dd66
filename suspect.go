package repeater

import (
	"github.com/webhook-repeater/repeater/internal/metrics"
)

// What a message does to a process that tries it, nobody can tell afterwards: that it was in hand at the death
// is all there is. These are the steps by which a lane gets past one that ends its process
// each time, at little cost for those that only were in hand with it.

// sift gives back, after a death, all but the messages that are tried next: at the
// next death only those can be meant.
func (l *lane) sift() {
	lost := false
	for i := range l.buffer {
		lost = lost || l.buffer[i].Lost > 0
	}
	if !lost {
		return
	}
	l.recall()
	keep := max(1, l.limit-l.inFlight)
	if keep >= len(l.buffer) {
		return
	}
	for i := keep; i < len(l.buffer); i++ {
		l.unsettled = append(l.unsettled, Settlement{Key: l.buffer[i].Key, Kind: SettleRelease})
	}
	l.dropBuffer(keep)
	l.barrier = true // they come before what else a claim may bring
}

// diedWith is the end of an attempt that could not tell its end itself.
const diedWith = "the process has died with it in hand"

// setAside puts the next message on a schedule of its own if not even trying it alone has spared the process, and records
// as one attempt those that have ended so. A strict lane goes on trying, and records nothing. Neither does so for longer
// than the message may wait: an attempt that ends the process can never tell that it was the last.
func (l *lane) setAside() bool {
	m := &l.buffer[0]
	if m.Lost <= lostTooOften { // one death may be anybody's: it is tried, however old
		return false
	}
	s := Settlement{Key: m.Key, Attempt: Attempt{At: l.cfg.clock(), Error: diedWith}}
	if why := l.outlived(m); why != "" {
		s.Kind, s.Reason = SettleDead, why+diedWith
		l.suspect(*m, "it is given up")
		l.unsettled = append(l.unsettled, s)
		l.stats.Die(metrics.DeadGivenUp, 1)
		l.shift()
		l.barrier = true // nothing overtakes it while it lives
		l.giveBack()
		return true
	}
	if l.set.strict {
		return false
	}
	l.suspect(*m, "trying it alone did not help, so it is put off while the lane goes on")
	s.Kind, s.After = SettleRetry, l.cfg.pauses().after(m.Attempts+1, 0)
	l.unsettled = append(l.unsettled, s)
	l.shift()
	return true
}

// outlived says why a message gets no attempt more, if it does not.
func (l *lane) outlived(m *Claimed) string {
	rt := l.cfg.byName[m.Route]
	if rt == nil {
		return ""
	}
	return rt.spent(m.Attempts+1, m.Age)
}

func (l *lane) suspect(m Claimed, what string) {
	l.cfg.log.Error("a message may be what has ended the process, as it was in hand each time: "+what,
		"lane", l.name, "route", m.Route, "id", m.Key.ID, "destination", m.Key.Dest, "times", m.Lost)
}
