package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/webhook-repeater/repeater"
)

// checkAnswer: who hears 200 is told the id under which all is stored, and who hears 503 has met a store in trouble.
func (g *ledger) checkAnswer(r *request) {
	switch {
	case r.cut:
		if r.status != 400 {
			g.w.breach(nil, "a body that did not come whole is never stored", "%s hears %d", r.name, r.status)
		}
	case r.answer != "", r.status == 200, r.status == 202 && r.route.passThrough > 0:
		g.checkAccepted(r)
	case r.status != 503 || g.w.trouble+stallMost < g.w.now():
		g.w.breach(nil, "what can be stored is accepted", "%s hears %d", r.name, r.status)
	}
}

func (g *ledger) checkAccepted(r *request) {
	for dest := range r.route.hosts {
		m := g.byKey[repeater.Key{ID: r.id, Dest: dest}]
		switch {
		case m == nil:
			g.w.breach(nil, "a 200 means stored, for every destination", "%s hears %d, but destination %d of %q is not stored", r.name, r.status, dest, r.id)
			return
		case m.request != r && (r.mark == "" || m.request.mark != r.mark):
			g.w.breach(m, "a 200 means stored, for every destination", "%s is told the id of %s", r.name, m.request.name)
		case m.open():
			g.checkKept(m)
		}
	}
}

// soon is how long a message to a destination that is well may wait, whatever ails others.
const soon = 10 * time.Second

// checkSoundHosts: a sick destination does not delay the others.
func (w *world) checkSoundHosts() {
	now := w.now()
	if w.trouble+claimTTL+stallMost+w.plan.attempt > now || w.ledger.suspects() {
		return
	}
	for _, l := range w.ledger.lanes {
		if !l.spec.host.sound || l.paused || now-l.pausedAt < soon {
			continue
		}
		for _, m := range l.messages {
			// What an operator's pause has let pile up goes out at the lane's pace, so that a wait begins with its end.
			if waits := now - max(m.entered, l.pausedAt); waits > soon+60*l.spec.pace {
				w.breach(m, "a sick destination never delays another one", "%s waits for %v, although %s is well", m.name, waits, l.spec.host.name)
			}
		}
	}
}

// checkWorked: what waits is found, and taken over from a process that has died, as soon as somebody is there to do so.
func (w *world) checkWorked() {
	const found = 4 * time.Second // it is looked for every second
	now := w.now()
	if !slices.ContainsFunc(w.processes, func(p *process) bool {
		return p != nil && !p.ails(now) && p.began+found < now
	}) {
		return
	}
	for _, l := range w.ledger.lanes {
		if len(l.messages) == 0 || l.paused || now-l.pausedAt < found {
			continue
		}
		if waits := now - max(l.free, l.until, l.messages[0].entered); waits > found {
			w.breach(l.messages[0], "when a process dies, another goes on", "nobody works %s since %v, which %v had last", l.spec.name, waits, l.holder)
		}
	}
}

// suspects tells whether a message may be tried alone, as its process died with it three times.
func (g *ledger) suspects() bool {
	return slices.ContainsFunc(g.order, func(m *message) bool { return m.open() && m.lost >= 3 })
}

// settled tells whether all is done that can be done.
func (w *world) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(w.ledger.order, w.remains)
}

// remains tells of a message that waits, although its destination is well.
func (w *world) remains(m *message) bool {
	return m.open() && (w.wellAgain || !m.lane.spec.host.stays)
}

// checkSettled: once all is well, all is delivered or dead.
func (w *world) checkSettled() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.ledger.order {
		switch {
		case w.remains(m):
			w.breach(m, "nothing is lost", "%s is still %v, although all is well again", m.name, m.state)
		case m.passed > 0 && m.request.status != 0 && m.request.answer != fmt.Sprintf("answer %d to %s", m.passed, m.name):
			w.breach(m, "what the sender is passed settles its message, and nothing else", "%s got %q", m.name, m.request.answer)
		}
	}
	for _, info := range w.ledger.infos() {
		if info.Waiting > 0 && w.wellAgain && w.found == nil {
			w.breach(nil, "nothing waits for nothing", "%+v, but the witness knows of nobody there", info)
		}
	}
}

// checkLetters: each dead letter is there, says why, and shows what was sent.
func (w *world) checkLetters() {
	letters := make(map[repeater.Key]repeater.DeadLetter)
	for name := range w.plan.lanes {
		page, _, err := w.store.Dead(w.always, name, "", 10_000)
		if err != nil {
			w.breachNow("dead letters are listed", "%v", err)
		}
		for _, l := range page {
			letters[l.Key] = l
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.ledger.order {
		l, ok := letters[m.key]
		if ok != (m.state == dead) || ok && (l.Reason == "" || l.Reason != m.reason || l.Attempts != m.recorded) {
			w.breach(m, "a dead letter is kept, with its reason", "%s is %v; its letter: %v %+v", m.name, m.state, ok, l)
		}
	}
}

// checkDrain: Run ends soon after it was asked to.
func (w *world) checkDrain(p *process) {
	const store = 5 * time.Second // one step of it, for at most so long
	if !p.dead && !p.stopping {
		w.breach(nil, "Run ends with its context", "%v has ended by itself", p)
	}
	if took, most := w.now()-p.stopped, w.plan.drain+4*store; took > most {
		w.breach(nil, "Run ends after a bounded drain", "%v took %v; %v are allowed", p, took, most)
	}
}
