package sim

import (
	"fmt"
	"slices"
	"time"
)

// plan is what a seed makes happen to a world. Each kind of trouble is left out of some worlds, as some
// promises are told from their breach only where everything else is well.
type plan struct {
	seed      seed
	length    time.Duration // of the trouble; then all gets well
	processes int
	watched   bool // the store tells processes of each other's pushes
	yields    bool // the store asks for lanes back now and then

	first, max     time.Duration // of WithBackoff
	attempt, drain time.Duration

	hosts  []*host
	lanes  map[string]*laneSpec
	routes []*route

	storeFails float64 // of the store's steps, at any time
	outages    []outage
	exits      []exit
	sends      []send
	orders     []order
	clockSteps bool
	killer     string // a message that ends each process that tries it
	tight      bool   // there is memory for little
}

// laneSpec is how a lane is set up.
type laneSpec struct {
	name        string
	host        *host
	concurrency int
	strict      bool
	ordered     bool
	pace        time.Duration
}

// route is a route, and to which hosts it goes.
type route struct {
	name        string
	hosts       []*host
	laneName    string
	settings    bool // it states the settings of its lanes
	orderBy     bool
	dedupe      bool
	maxAttempts int
	maxAge      time.Duration
	passThrough time.Duration
}

func (r *route) lane(dest int) string {
	name := "http://" + r.hosts[dest].name + ":80"
	if r.laneName != "" {
		name += " " + r.laneName
	}
	return name
}

// outage is a time in which the store fails a process, or all of them.
type outage struct {
	from, to time.Duration
	process  int // -1 for all
	kind     fault
}

// exit is the end of a process, and how long it is away.
type exit struct {
	at, away time.Duration
	process  int
	killed   bool // else it is asked to end
}

// send is one request.
type send struct {
	at      time.Duration
	name    string
	route   *route
	process int
	mark    string // for Dedupe
	key     string // for OrderBy
	size    int    // of the body
	cut     bool   // the body ends early
	leaves  bool   // the sender does not wait for the answer
}

func newPlan(s seed) *plan {
	p := &plan{
		seed: s, lanes: make(map[string]*laneSpec),
		length:    s.between(20*time.Second, 80*time.Second, "length", "", 0),
		processes: pick(s, "processes", "", 0, 1, 2, 2, 3),
		watched:   s.maybe(0.7, "watched", "", 0),
		yields:    s.maybe(0.3, "yields", "", 0),
		first:     pick(s, "first pause", "", 0, time.Second, 2*time.Second, 5*time.Second),
		max:       pick(s, "longest pause", "", 0, 5*time.Second, 15*time.Second, 40*time.Second),
		attempt:   pick(s, "attempt", "", 0, 5*time.Second, 10*time.Second, 30*time.Second),
		drain:     pick(s, "drain", "", 0, time.Second, 3*time.Second, 10*time.Second),

		clockSteps: s.maybe(0.4, "clock steps", "", 0),
		tight:      s.maybe(0.1, "tight", "", 0),
	}
	if s.maybe(0.08, "killer", "", 0) {
		p.killer = fmt.Sprintf("m%d.0", s.below(10, "which kills", "", 0))
		p.length += 2 * time.Minute
	}
	for i := range 2 + s.below(3, "hosts", "", 0) {
		p.hosts = append(p.hosts, newHost(s, i, p.length))
	}
	p.planRoutes()
	p.planStore()
	p.planExits()
	p.planSends()
	p.planOrders()
	return p
}

// planRoutes gives each host a route that sets up its lane, and adds routes of other kinds.
func (p *plan) planRoutes() {
	for i, h := range p.hosts {
		p.addRoute(&route{name: fmt.Sprintf("main%d", i), hosts: []*host{h}, settings: true, orderBy: p.seed.maybe(0.2, "order by", h.name, 0)})
	}
	some := func(what string) *host { return p.hosts[p.seed.below(len(p.hosts), what+" goes to", "", 0)] }
	if p.seed.maybe(0.7, "fan", "", 0) {
		p.addRoute(&route{name: "fan", hosts: p.hosts})
	}
	if p.seed.maybe(0.4, "tries", "", 0) {
		p.addRoute(&route{name: "tries", hosts: []*host{some("tries")}, maxAttempts: 1 + p.seed.below(4, "tries", "most", 0)})
	}
	if p.seed.maybe(0.4, "age", "", 0) {
		p.addRoute(&route{name: "age", hosts: []*host{some("age")}, maxAge: p.seed.between(5*time.Second, 40*time.Second, "age", "most", 0)})
	}
	if p.seed.maybe(0.4, "through", "", 0) {
		p.addRoute(&route{name: "through", hosts: []*host{some("through")}, passThrough: p.seed.between(time.Second, 9*time.Second, "through", "wait", 0)})
	}
	if p.seed.maybe(0.5, "marked", "", 0) {
		p.addRoute(&route{name: "marked", hosts: []*host{some("marked")}, dedupe: true})
	}
	if p.seed.maybe(0.4, "own", "", 0) {
		p.addRoute(&route{name: "own", hosts: []*host{some("own")}, laneName: "own", settings: true, orderBy: p.seed.maybe(0.5, "order by", "own", 0)})
	}
}

func (p *plan) addRoute(r *route) {
	p.routes = append(p.routes, r)
	for i, h := range r.hosts {
		name := r.lane(i)
		l := p.lanes[name]
		if l == nil {
			l = &laneSpec{
				name: name, host: h,
				concurrency: pick(p.seed, "concurrency", name, 0, 1, 1, 1, 2, 4),
				pace:        pick(p.seed, "pace", name, 0, 0, 0, 0, 0, 0, 0, 200*time.Millisecond, 2500*time.Millisecond),
			}
			l.strict = l.concurrency == 1 && p.seed.maybe(0.25, "strict", name, 0)
			p.lanes[name] = l
		}
		l.ordered = l.ordered || r.orderBy
	}
}

func (p *plan) planStore() {
	s := p.seed
	if s.maybe(0.4, "the store never fails", "", 0) {
		return
	}
	p.storeFails = pick(s, "the store fails", "", 0, 0, 0.01, 0.03)
	for i := range s.below(4, "outages", "", 0) {
		from := s.between(0, p.length, "outage begins", "", i)
		p.outages = append(p.outages, outage{
			from: from, to: from + s.between(time.Second, pick(s, "long outage", "", i, 10*time.Second, 30*time.Second, time.Minute), "outage lasts", "", i),
			process: s.below(p.processes+1, "outage hits", "", i) - 1,
			kind:    pick(s, "outage", "", i, fails, fails, loses, stalls, drops),
		})
	}
}

func (p *plan) planExits() {
	if p.seed.maybe(0.4, "no process ends", "", 0) {
		return
	}
	for i := range 1 + p.seed.below(4, "exits", "", 0) {
		p.exits = append(p.exits, exit{
			at:      p.seed.between(startup, p.length, "exit", "", i),
			away:    p.seed.between(100*time.Millisecond, 20*time.Second, "away", "", i),
			process: p.seed.below(p.processes, "who exits", "", i),
			killed:  p.seed.maybe(0.7, "killed", "", i),
		})
	}
}

// planSends has requests come one by one, and now and then many at a time.
func (p *plan) planSends() {
	s, at := p.seed, startup
	for i := range 15 + s.below(45, "sends", "", 0) {
		if !s.maybe(0.4, "burst", "", i) {
			at += s.between(0, p.length/15, "rest", "", i)
		}
		at += s.between(time.Microsecond, 20*time.Millisecond, "next", "", i)
		if at > p.length {
			return
		}
		one := send{
			at: at, name: fmt.Sprintf("m%d", i), route: p.routes[s.below(len(p.routes), "route", "", i)],
			process: s.below(p.processes, "door", "", i),
			size:    s.below(300, "size", "", i),
			cut:     s.maybe(0.03, "cut", "", i), leaves: s.maybe(0.05, "leaves", "", i),
		}
		if one.route.dedupe && s.maybe(0.9, "has a mark", "", i) {
			one.mark = fmt.Sprint("mark", s.below(4, "mark", "", i))
		}
		if one.route.orderBy {
			one.key = pick(s, "key", "", i, "", "a", "b", "c")
		}
		p.sends = append(p.sends, one)
	}
}

func (p *plan) planOrders() {
	if p.seed.maybe(0.5, "no operator", "", 0) {
		return
	}
	names := make([]string, 0, len(p.lanes))
	for name := range p.lanes {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range 1 + p.seed.below(10, "orders", "", 0) {
		p.orders = append(p.orders, order{
			at:      p.seed.between(startup, p.length, "order", "", i),
			kind:    pick(p.seed, "which order", "", i, pauses, resumes, resumes, retriesNow, retriesNow, forgives, replays, replays, replays, dropsOne),
			lane:    names[p.seed.below(len(names), "order to", "", i)],
			process: p.seed.below(p.processes, "order through", "", i),
		})
	}
}
