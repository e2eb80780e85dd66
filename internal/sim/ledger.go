package sim

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/webhook-repeater/repeater"
)

// ledger is what an honest witness has seen of each message. It sees every step of the store in the moment
// in which it is done, whether or not anybody hears the answer, and every request that reaches a destination.
// All of it is guarded by the world's mutex.
type ledger struct {
	w     *world
	byKey map[repeater.Key]*message
	order []*message // as pushed
	lanes map[string]*lane
	marks map[string]string // id of what was stored under a mark
	place int

	suspected bool // a message was tried alone, as it was in hand at three deaths
}

type state int

const (
	waiting state = iota
	claimed
	delivered
	dead
	dropped
)

func (s state) String() string {
	return [...]string{"waiting", "claimed", "delivered", "dead", "dropped"}[s]
}

// message is one request for one destination.
type message struct {
	name    string // of the request, and the destination's number
	key     repeater.Key
	request *request
	dest    int
	lane    *lane
	order   string // key
	payload []byte

	place     int // in the lane
	state     state
	token     string // under which it is claimed
	claimedAt time.Duration
	due       time.Duration // by its own schedule
	entered   time.Duration // when it was pushed or replayed
	born      time.Duration // the same, on the lane's clock

	recorded int // attempts, as the store knows
	silent   int // of these, the last in a row without an answer
	lost     int // claims in a row that nobody ended
	mostLost int
	reason   string

	flights []*flight
	highest int    // attempt's number
	arrived bool   // the destination has said 2xx
	passed  int    // the number of the answer that its sender got, and that settled it
	over    bool   // it had an answer after which it need not be tried again
	aside   string // why it may be overtaken
}

func (m *message) open() bool { return m.state == waiting || m.state == claimed }

// lane is what the witness knows of a lane.
type lane struct {
	spec     *laneSpec
	messages []*message // that are open, in their places

	holder *process
	token  string
	until  time.Duration // the claim lives
	free   time.Duration // when it was last given back

	paused   bool          // by an operator
	pausedAt time.Duration // or resumed
	standing time.Duration // paused in all, before pausedAt

	rests    time.Duration // nothing is handed out before, by Hold
	held     time.Duration // when such a pause was last begun
	refusals int           // in a row
	started  time.Duration // the last attempt
	starter  *process      // by it
}

// clock stands still while an operator has paused the lane.
func (l *lane) clock(now time.Duration) time.Duration {
	if l.paused {
		now = l.pausedAt
	}
	return now - l.standing
}

func newLedger(w *world) *ledger {
	g := &ledger{w: w, byKey: make(map[repeater.Key]*message), lanes: make(map[string]*lane), marks: make(map[string]string)}
	for name, spec := range w.plan.lanes {
		g.lanes[name] = &lane{spec: spec, held: -1, started: -never}
	}
	return g
}

// enter puts a message at the end of its lane.
func (g *ledger) enter(m *message) {
	g.place++
	m.place, m.state, m.due, m.aside = g.place, waiting, 0, ""
	m.recorded, m.silent, m.lost, m.highest, m.over = 0, 0, 0, 0, false
	m.entered, m.born = g.w.now(), m.lane.clock(g.w.now())
	m.lane.messages = append(m.lane.messages, m)
}

// leave takes it out.
func (g *ledger) leave(m *message, s state) {
	m.state, m.token = s, ""
	m.lane.messages = slices.DeleteFunc(m.lane.messages, func(o *message) bool { return o == m })
}

func (g *ledger) pushed(r *request, b repeater.Batch, id string, err error) {
	if err != nil {
		g.w.breach(nil, "the store takes what it can", "push of %s: %v", r.name, err)
		return
	}
	known, marked := g.marks[b.Dedupe]
	g.checkMark(r, b, id, known, marked)
	if id != b.ID {
		g.w.note(r.name, "known", "as the one of its mark")
		return
	}
	if b.Dedupe != "" {
		g.marks[b.Dedupe] = id
	}
	for _, one := range b.Messages {
		m := &message{
			name: r.message(one.Dest), key: repeater.Key{ID: b.ID, Dest: one.Dest}, request: r, dest: one.Dest,
			lane: g.lanes[one.Lane], order: one.OrderKey, payload: bytes.Clone(one.Payload),
		}
		g.byKey[m.key] = m
		g.order = append(g.order, m)
		g.enter(m)
		g.w.note(m.name, "stored", "in %s", one.Lane)
	}
	g.checkFanOut(r, b)
}

func (g *ledger) claimed(p *process, c repeater.ClaimRequest, claim repeater.Claim, err error) {
	l, now := g.lanes[c.Lane], g.w.now()
	if err != nil {
		return
	}
	if claim.Token != l.token {
		g.checkTakeover(p, l)
		for _, m := range l.messages {
			if m.state == claimed {
				m.state, m.token = waiting, ""
				m.lost++
				m.mostLost = max(m.mostLost, m.lost)
				g.suspected = g.suspected || m.lost >= 3
				g.w.note(m.name, "taken over", "from %v by %v", l.holder, p)
			}
		}
	}
	l.holder, l.token, l.until = p, claim.Token, now+c.TTL
	g.w.note(c.Lane, "claim", "of %d by %v: %d, more %v, wait %v, failures %d", c.Max, p, len(claim.Messages), claim.More, claim.Wait, claim.Failures)
	for i := range claim.Messages {
		g.handedOut(p, l, &claim.Messages[i])
	}
}

func (g *ledger) handedOut(p *process, l *lane, c *repeater.Claimed) {
	m := g.byKey[c.Key]
	g.checkHandOut(l, m, c)
	if m == nil {
		return
	}
	m.state, m.token, m.claimedAt = claimed, l.token, g.w.now()
	if m.lost > 3 && !l.spec.strict {
		m.aside = "it was lost with its process too often"
	}
	g.w.note(m.name, "claimed", "by %v, with %d attempts", p, c.Attempts)
}

func (g *ledger) settled(p *process, name, token string, settlements []repeater.Settlement, err error) {
	l := g.lanes[name]
	if token != l.token {
		if !errors.Is(err, repeater.ErrStale) {
			g.w.breach(nil, "whoever has lost its claim changes nothing", "%v settles %s with a token that is not its holder's, and hears %v", p, name, err)
		}
		return
	}
	for _, s := range settlements {
		m := g.byKey[s.Key]
		if err != nil || m == nil || m.state != claimed || m.token != token {
			continue
		}
		m.lost = 0
		g.settle(p, m, s)
	}
	g.checkStored(l)
}

func (g *ledger) settle(p *process, m *message, s repeater.Settlement) {
	l, now := m.lane, g.w.now()
	g.checkSettlement(p, m, s)
	if !s.Attempt.At.IsZero() && (s.Kind == repeater.SettleRetry || s.Kind == repeater.SettleDead) {
		m.recorded++
		m.silent++
		if !s.Attempt.Silent {
			m.silent = 0
		}
	}
	switch s.Kind {
	case repeater.SettleDelivered:
		g.w.note(m.name, "delivered", "says %v", p)
		l.refusals = 0
		g.leave(m, delivered)
	case repeater.SettleDead:
		g.w.note(m.name, "dead", "says %v: %s", p, s.Reason)
		if s.Refused {
			l.refusals++
		}
		m.reason = s.Reason
		g.leave(m, dead)
	case repeater.SettleRelease:
		g.w.note(m.name, "given back", "by %v", p)
		m.state, m.token = waiting, ""
	case repeater.SettleRetry:
		g.w.note(m.name, "retry", "by %v, in %v, hold %v", p, s.After, s.Hold)
		m.state, m.token = waiting, ""
		switch {
		case !s.Hold:
			m.due = now + s.After
			m.aside = cmp.Or(m.aside, "it is on its own schedule")
		case s.After > 0:
			l.rests, l.held = max(l.rests, now+s.After), now
		}
	}
}

func (g *ledger) released(p *process, name, token string, err error) {
	l := g.lanes[name]
	if err != nil || token != l.token {
		return
	}
	l.holder, l.token, l.until, l.free = nil, "", 0, g.w.now()
	g.w.note(name, "released", "by %v", p)
	for _, m := range l.messages {
		if m.state == claimed {
			m.state, m.token, m.lost = waiting, "", 0
			g.w.note(m.name, "given back", "by %v, with the lane", p)
		}
	}
	g.checkStored(l)
}

func (g *ledger) steered(p *process, name string, order repeater.LaneOrder, err error) {
	l, now := g.lanes[name], g.w.now()
	if err != nil {
		return
	}
	g.w.note("", "order", "%s through %v: %s", name, p, [...]string{"pause", "resume", "retry now", "forgive"}[order])
	switch order {
	case repeater.LanePause:
		if !l.paused {
			l.paused, l.pausedAt = true, now
		}
	case repeater.LaneResume:
		if l.paused {
			l.standing += now - l.pausedAt
			l.paused, l.pausedAt = false, now
		}
	case repeater.LaneRetryNow:
		l.rests = 0
	case repeater.LaneForgive:
		l.rests, l.refusals = 0, repeater.Forgiven
	}
}

func (g *ledger) replayed(p *process, name string, keys []repeater.Key, done int, err error) {
	g.exhumed(name, keys, done, err, func(m *message) {
		g.w.note(m.name, "replayed", "through %v", p)
		g.enter(m)
	})
}

func (g *ledger) dropped(p *process, name string, keys []repeater.Key, done int, err error) {
	g.exhumed(name, keys, done, err, func(m *message) {
		g.w.note(m.name, "dropped", "through %v", p)
		m.state = dropped
	})
}

func (g *ledger) exhumed(name string, keys []repeater.Key, done int, err error, then func(*message)) {
	if err != nil {
		return
	}
	n := 0
	for _, key := range keys {
		if m := g.byKey[key]; m != nil && m.state == dead && m.lane == g.lanes[name] {
			then(m)
			n++
		}
	}
	if n != done {
		g.w.breach(nil, "dead letters are replayed or dropped one and all", "%s: %d of %d were dead, but %d were handled", name, n, len(keys), done)
	}
	g.checkStored(g.lanes[name])
}

// ofLane lists the messages of a lane, for people.
func (l *lane) String() string {
	var b strings.Builder
	for _, m := range l.messages {
		b.WriteString(" " + m.name)
	}
	return l.spec.name + ":" + b.String()
}
