package sim

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/webhook-repeater/repeater"
)

// arrives finds the message that a request brings, and checks that it is the one that came.
func (g *ledger) arrives(p *process, req *http.Request, body []byte) *message {
	route, number, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	dest, _ := strconv.Atoi(number)
	m := g.byKey[repeater.Key{ID: req.Header.Get("Repeater-Id"), Dest: dest}]
	if m == nil {
		g.w.breach(nil, "every attempt carries the id that its sender was told", "%v attempts %s %s, which was never stored", p, req.Header.Get("X-Sim-Name"), req.URL)
		return nil
	}
	r := m.request
	switch {
	case req.Header.Get("X-Sim-Name") != r.name, route != r.route.name, req.URL.Host != r.route.hosts[dest].name:
		g.w.breach(m, "what came goes to its destination", "it is %s to %s", req.Header.Get("X-Sim-Name"), req.URL)
	case req.Method != http.MethodPost, req.URL.RawQuery != "q="+r.name+";x", !bytes.Equal(body, r.body),
		!slices.Equal(req.Header["X-Sim-Twice"], []string{"one", "two " + r.name}):
		g.w.breach(m, "the bytes that came arrive", "%s arrives as %s %s %v with %d bytes", m.name, req.Method, req.URL, req.Header, len(body))
	}
	return m
}

// outcome is what the witness makes of the end of a flight.
func (g *ledger) outcome(m *message, f *flight) {
	switch {
	case f.err == nil && f.status/100 == 2:
		m.arrived = true
	case f.err == nil && (f.refused() || m.request.route.passThrough > 0):
		m.over = true
	case f.err == nil && f.status >= 500 && !f.unwell() && !m.lane.spec.strict:
		m.aside = "its destination fails it"
	case f.silent() && m.silent >= 3 && !m.lane.spec.strict:
		m.aside = "it gets no answer"
	}
}

// refused tells what the destination will never take, unwell what it cannot take now.
func (f *flight) refused() bool { return f.status >= 300 && f.status < 500 && !f.unwell() }

func (f *flight) unwell() bool {
	return slices.Contains([]int{408, 425, 429, 502, 503, 504}, f.status)
}

// checkAttempt is called before f is one of the message's flights.
func (w *world) checkAttempt(m *message, f *flight) {
	w.checkOverlap(m, f)
	if f.again {
		return // it belongs to an attempt that had the right to begin
	}
	l, now := m.lane, w.now()
	switch {
	case m.state != claimed || m.token != l.token || l.holder != f.p || now > l.until:
		w.breach(m, "only the holder of a lane attempts", "%v attempts %s, which is %v; %v holds %s until %v", f.p, m.name, m.state, l.holder, l.spec.name, l.until)
	case f.number != m.recorded+1 || f.number < m.highest:
		w.breach(m, "attempts are numbered", "%s is attempt %d, but %d are recorded, and there was a %d", m.name, f.number, m.recorded, m.highest)
	case now < l.rests:
		w.breach(m, "a destination that fails gets a pause", "%s is attempted, but %s rests until %v", m.name, l.spec.name, l.rests)
	case now-l.started < l.spec.pace && !l.starter.ails(now) && !w.ledger.suspected: // who waits for a suspect starts later than it counts
		w.breach(m, "the pace is kept, over all processes", "%s comes %v after the one before it in %s", m.name, now-l.started, l.spec.name)
	case l.paused && now-l.pausedAt > w.patience(f.p, l.pausedAt):
		w.breach(m, "a lane that is paused sends nothing", "%s is attempted %v after the pause of %s", m.name, now-l.pausedAt, l.spec.name)
	}
	w.checkOrder(m, f)
}

// patience is how long a process may take to notice a pause: it asks every 5 s, and if the store fails, its
// claim ends after 15.
func (w *world) patience(p *process, since time.Duration) time.Duration {
	if p.trouble >= since-stallMost {
		return claimTTL + time.Second
	}
	return 6 * time.Second
}

// checkOverlap: two attempts of one message at a time are only made by a process that has lost its claim.
func (w *world) checkOverlap(m *message, f *flight) {
	for _, o := range m.flights {
		if o.landed || o.p.dead {
			continue
		}
		if o.p == f.p && o.token == m.token || o.p != f.p && !o.p.ails(w.now()-w.plan.attempt) {
			w.breach(m, "a message is attempted once at a time", "%v attempts %s while %v does since %v", f.p, m.name, o.p, o.began)
		}
	}
}

// checkOrder: what came first is attempted first, unless it may be overtaken.
func (w *world) checkOrder(m *message, f *flight) {
	l, overtaken := m.lane, 0
	for _, e := range l.messages {
		if e.place >= m.place {
			break
		}
		if l.spec.ordered {
			if e.order == m.order && m.order != "" {
				w.breach(m, "what shares an order key keeps its order", "%s is attempted while %s, pushed before it, is %v", m.name, e.name, e.state)
			}
			continue
		}
		if m.aside != "" || e.arrived || e.over || e.aside != "" || e.silent >= 3 && !l.spec.strict {
			continue
		}
		if overtaken++; overtaken >= l.spec.concurrency {
			w.breach(m, "what goes to one destination arrives in its order", "%s is attempted by %v while %s, pushed before it, is %v, and %d may be in flight (%s)",
				m.name, f.p, e.name, e.state, l.spec.concurrency, l.spec.name)
			return
		}
	}
}
