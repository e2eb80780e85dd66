package sim

import (
	"bytes"
	"time"

	"github.com/webhook-repeater/repeater"
)

const (
	claimTTL  = 15 * time.Second // of the Repeater's claims
	stallMost = 10 * time.Second // that a step of the store may take, at its worst
)

// checkMark: what bears a known mark is not stored, all else is.
func (g *ledger) checkMark(r *request, b repeater.Batch, id, known string, marked bool) {
	switch {
	case r.cut:
		g.w.breach(nil, "a body that did not come whole is never stored", "%s is pushed", r.name)
	case marked && b.Dedupe != "" && id != known:
		g.w.breach(nil, "what bears one mark is stored once", "%s became %s, although %s is stored", r.name, id, known)
	case !marked && id != b.ID:
		g.w.breach(nil, "what bears a new mark is stored", "%s, pushed as %s, became %s", r.name, b.ID, id)
	}
}

// checkFanOut: the messages of a request are stored together.
func (g *ledger) checkFanOut(r *request, b repeater.Batch) {
	if len(b.Messages) != len(r.route.hosts) {
		g.w.breach(nil, "a request is stored for every destination", "%s goes to %d destinations, but has %d messages", r.name, len(r.route.hosts), len(b.Messages))
	}
	for i := range b.Messages {
		m := g.byKey[repeater.Key{ID: b.ID, Dest: b.Messages[i].Dest}]
		g.checkKept(m)
		if m.lane.spec.name != r.route.lane(m.dest) {
			g.w.breach(m, "each destination has its lane", "it is in lane %s", m.lane.spec.name)
		}
	}
}

// checkStored: what is neither delivered nor dropped is stored, in its lane.
func (g *ledger) checkStored(l *lane) {
	for _, m := range l.messages {
		g.checkKept(m)
	}
}

func (g *ledger) checkKept(m *message) {
	payload, err := g.w.store.Payload(g.w.always, m.lane.spec.name, m.key)
	if err != nil || !bytes.Equal(payload, m.payload) {
		g.w.breach(m, "nothing is lost", "%s, which is %v, is not stored: %v", m.name, m.state, err)
	}
}

// checkTakeover: a lane has one holder, and a process that is well keeps it.
func (g *ledger) checkTakeover(p *process, l *lane) {
	now, former := g.w.now(), l.holder
	if l.token == "" {
		return
	}
	if now < l.until {
		g.w.breach(nil, "one process at a time works a lane", "%v has taken %s from %v, whose claim lives for %v", p, l.spec.name, former, l.until-now)
	}
	if !former.dead && former.trouble+claimTTL+stallMost < l.until {
		g.w.breach(nil, "a process that is well keeps its lane", "%v has lost %s to %v", former, l.spec.name, p)
	}
	g.w.takeovers++
}

// checkHandOut: a lane hands out what waits, when it is due, as it was pushed.
func (g *ledger) checkHandOut(l *lane, m *message, c *repeater.Claimed) {
	const promise = "a message is waiting, claimed, delivered or dead"
	switch now := g.w.now(); {
	case m == nil:
		g.w.breach(nil, promise, "%v is handed out, but was never pushed", c.Key)
	case m.state != waiting || m.lane != l:
		g.w.breach(m, promise, "%s is handed out while it is %v in %s", m.name, m.state, m.lane.spec.name)
	case !bytes.Equal(c.Payload, m.payload) || c.Route != m.request.route.name:
		g.w.breach(m, "the bytes that came arrive", "%s is handed out with another payload or route", m.name)
	case c.Attempts != m.recorded || c.Silent != m.silent || c.Lost != m.lost:
		g.w.breach(m, "attempts are counted", "%s is handed out with %d attempts, %d silent, %d lost; witnessed are %d, %d, %d",
			m.name, c.Attempts, c.Silent, c.Lost, m.recorded, m.silent, m.lost)
	case l.paused || now < l.rests || now < m.due:
		g.w.breach(m, "pauses are kept", "%s is handed out, but lane paused %v, rests until %v, is due at %v", m.name, l.paused, l.rests, m.due)
	}
}

// checkSettlement: what becomes of a message follows from what its destination has answered to this process.
func (g *ledger) checkSettlement(p *process, m *message, s repeater.Settlement) {
	f := m.last(p)
	switch s.Kind {
	case repeater.SettleDelivered:
		g.checkDelivered(p, m, f)
	case repeater.SettleDead:
		g.checkDeath(m, f, s)
	case repeater.SettleRetry:
		g.checkRetry(m, f, s)
	}
}

// last is the last try of a message by a process, under the claim that holds.
func (m *message) last(p *process) *flight {
	for i := len(m.flights) - 1; i >= 0; i-- {
		if f := m.flights[i]; f.p == p && f.token == m.token && f.landed {
			return f
		}
	}
	return nil
}

func (g *ledger) checkDelivered(p *process, m *message, f *flight) {
	switch {
	case f == nil || f.err != nil:
		g.w.breach(m, "nothing is lost", "%v settles %s as delivered without an answer", p, m.name)
	case f.status/100 == 2:
	case m.request.route.passThrough > 0:
		m.passed = f.nth // the sender must have got this one
	default:
		g.w.breach(m, "nothing is lost", "%v settles %s as delivered after a %d", p, m.name, f.status)
	}
}

// checkDeath: a dead letter was refused, or tried for as long as it may be.
func (g *ledger) checkDeath(m *message, f *flight, s repeater.Settlement) {
	const promise = "retries end by age or number, in a dead letter, never in silence"
	l, r, tried := m.lane, m.request.route, m.recorded
	if !s.Attempt.At.IsZero() {
		tried++
	}
	age := l.clock(g.w.now()) - m.born
	if f != nil {
		age += f.ended - f.began // which counts also while an operator has paused the lane
	}
	switch {
	case s.Reason == "":
		g.w.breach(m, promise, "%s dies without a reason", m.name)
	case s.Refused && (f == nil || f.err != nil || !f.refused()):
		g.w.breach(m, promise, "%s dies as refused, but its destination has not said so", m.name)
	case s.Refused && f.status != 410 && l.refusals >= 4:
		g.w.breach(m, "a destination that refuses one after the other is at fault itself", "%s is the %dth in a row to die so", m.name, l.refusals+1)
	case s.Refused, r.maxAttempts > 0 && tried >= r.maxAttempts, r.maxAge > 0 && age >= r.maxAge:
	default:
		g.w.breach(m, promise, "%s dies after %d attempts at the age of %v: %s", m.name, tried, age, s.Reason)
	}
}

// checkRetry: after a failure there is a pause, of the lane or of the message.
func (g *ledger) checkRetry(m *message, f *flight, s repeater.Settlement) {
	const promise = "a destination that fails gets a pause"
	l, shortest := m.lane, g.w.plan.first*8/10
	switch {
	case s.Hold && s.After == 0 && l.held < m.claimedAt:
		g.w.breach(m, promise, "%s only goes back, although nothing has paused the lane since it was claimed", m.name)
	case s.Hold && s.After == 0:
	case s.After < shortest || s.After > g.w.plan.max:
		g.w.breach(m, promise, "%s waits for %v; pauses are from %v to %v", m.name, s.After, shortest, g.w.plan.max)
	case !s.Hold && l.spec.strict:
		g.w.breach(m, "in a strict lane nothing is overtaken", "%s gets a schedule of its own", m.name)
	case !s.Hold && f != nil && f.err == nil && (f.status < 500 || f.unwell()):
		g.w.breach(m, "only what the destination itself fails is overtaken", "%s gets a schedule of its own after a %d", m.name, f.status)
	}
}

// lanesBefore and unchanged: a stale settlement changes nothing.
func (g *ledger) lanesBefore(name, token string) []repeater.LaneInfo {
	if token == g.lanes[name].token {
		return nil
	}
	return g.infos()
}

func (g *ledger) unchanged(name string, before []repeater.LaneInfo) {
	if before == nil {
		return
	}
	g.w.stale++
	after := g.infos()
	for i := range before {
		before[i].Wait, before[i].Held = after[i].Wait, after[i].Held
		if before[i] != after[i] {
			g.w.breach(nil, "whoever has lost its claim changes nothing", "%s was %+v, and is %+v", name, before[i], after[i])
		}
	}
	for _, m := range g.lanes[name].messages {
		g.checkKept(m)
	}
}

func (g *ledger) infos() []repeater.LaneInfo {
	infos, _ := g.w.store.Lanes(g.w.always, "", 1000)
	return infos
}
