package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// world is one play of a plan.
type world struct {
	plan   *plan
	start  time.Time
	always context.Context // for the store itself
	store  *memqueue.Queue

	mu        sync.Mutex // makes each thing that happens one moment
	ledger    *ledger
	trace     trace
	found     *Breach
	calm      bool // nothing goes wrong any more
	wellAgain bool // nor is any destination down
	processes []*process
	everybody []*process     // also those of the past
	kills     sync.WaitGroup // by messages; none begins once it is calm
	lives     []int
	requests  []*request    // that were answered
	trouble   time.Duration // when something was last wrong with any process or the store
	takeovers int
	stale     int
}

// Breach is a promise that was not kept, and how it came to that.
type Breach struct {
	Promise string
	What    string
	Story   string
}

func (b *Breach) Error() string {
	return fmt.Sprintf("broken promise: %s\n%s\n%s", b.Promise, b.What, b.Story)
}

// Result is what a play came to.
type Result struct {
	Breach  *Breach           // nil if all promises were kept
	Stories map[string]string // by message
	Trace   string
	Counts  Counts
}

// Counts tell how much has happened.
type Counts struct {
	Stored, Attempts, Delivered, Dead int
	Deaths                            int // of processes
	Takeovers                         int // of lanes
	Stale                             int // settlements that came too late
	Lost                              int // messages that were in hand at three deaths in a row
	Aside                             int // messages that were overtaken, as they may be
	Passed                            int // answers passed to senders
	Time                              time.Duration
}

// Add adds.
func (c *Counts) Add(d Counts) {
	c.Stored, c.Attempts, c.Delivered, c.Dead = c.Stored+d.Stored, c.Attempts+d.Attempts, c.Delivered+d.Delivered, c.Dead+d.Dead
	c.Deaths, c.Takeovers, c.Stale, c.Lost = c.Deaths+d.Deaths, c.Takeovers+d.Takeovers, c.Stale+d.Stale, c.Lost+d.Lost
	c.Aside, c.Passed, c.Time = c.Aside+d.Aside, c.Passed+d.Passed, c.Time+d.Time
}

// Play plays the world of a seed to its end, or to the first promise that is broken.
func Play(t *testing.T, number uint64) (r Result) {
	synctest.Test(t, func(*testing.T) {
		w := &world{plan: newPlan(seed(number)), start: time.Now(), always: context.Background(), store: memqueue.New(), trouble: -never}
		w.ledger = newLedger(w)
		w.processes, w.lives = make([]*process, w.plan.processes), make([]int, w.plan.processes)
		w.play()
		r = Result{Breach: w.found, Stories: w.trace.byName(), Trace: w.trace.String(), Counts: w.count()}
	})
	return r
}

func (w *world) now() time.Duration { return time.Since(w.start) }

// note is called in the moment in which it happens.
func (w *world) note(who, what, form string, args ...any) {
	w.trace = append(w.trace, event{w.now(), who, what, form, args})
}

// breach notes the first promise that is broken; what comes after may only follow from it.
func (w *world) breach(m *message, promise, form string, args ...any) {
	if w.found != nil {
		return
	}
	w.note("", "BREACH", promise+": "+form, args...)
	w.found = &Breach{Promise: promise, What: fmt.Sprintf(form, args...), Story: w.trace.around("", "")}
	if m != nil {
		w.found.Story = w.trace.around(m.name, m.lane.spec.name)
	}
}

func (w *world) breachNow(promise, form string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breach(nil, promise, form, args...)
}

func (w *world) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found != nil
}

// play lets everything happen that is planned, and then everything get well.
func (w *world) play() {
	defer w.end()
	var wg sync.WaitGroup
	for _, h := range w.happenings() {
		time.Sleep(time.Until(w.start.Add(h.at)))
		if w.broken() {
			break
		}
		wg.Go(h.do)
	}
	wg.Wait()
	w.recover()
	if w.broken() {
		return
	}
	w.await()
}

// startup is over when all processes have begun; nothing else happens before.
const startup = time.Second

// happening is something that takes place at its time.
type happening struct {
	at time.Duration
	do func()
}

func (w *world) happenings() []happening {
	var all []happening
	for i := range w.processes {
		all = append(all, happening{w.plan.seed.between(0, startup, "begins", "", i), func() { w.begin(i) }})
	}
	for _, s := range w.plan.sends {
		all = append(all, happening{s.at, func() { w.post(s) }})
	}
	for _, o := range w.plan.orders {
		all = append(all, happening{o.at, func() { w.carryOut(o) }})
	}
	for _, e := range w.plan.exits {
		all = append(all, happening{e.at, func() { w.exit(e) }})
	}
	for at := startup; at < w.plan.length; at += time.Second {
		all = append(all, happening{at, w.look})
	}
	slices.SortStableFunc(all, func(a, b happening) int { return int(a.at - b.at) })
	return all
}

// exit ends a process, and has another begin in its place after a while.
func (w *world) exit(e exit) {
	w.mu.Lock()
	p := w.processes[e.process]
	if p == nil || p.dead || p.stopping {
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	if e.killed {
		p.kill()
	} else {
		p.stop()
		<-p.ended
	}
	w.mu.Lock()
	w.processes[e.process] = nil
	w.mu.Unlock()
	time.Sleep(e.away)
	w.begin(e.process)
}

// recover ends all trouble, but for destinations that stay down for a while yet.
func (w *world) recover() {
	w.mu.Lock()
	w.calm = true
	w.note("", "calm", "from now on nothing goes wrong")
	w.mu.Unlock()
	w.kills.Wait()
	time.Sleep(stallMost + time.Second) // what an operator ordered before may still be on its way
	for _, name := range slices.Sorted(maps.Keys(w.plan.lanes)) {
		w.mu.Lock()
		paused := w.ledger.lanes[name].paused
		w.mu.Unlock()
		if paused {
			w.carryOut(order{kind: resumes, lane: name})
		}
	}
}

// await gives everything the time that it may take, and then looks whether all is done: first without the
// destinations that are still down, then with them.
func (w *world) await() {
	limit := claimTTL + 2*w.plan.max + 3*w.plan.attempt + 3*time.Minute
	for _, all := range [...]bool{false, true} {
		w.mu.Lock()
		w.wellAgain = all
		w.mu.Unlock()
		for began := w.now(); !w.broken() && w.now()-began < limit; {
			time.Sleep(time.Second + time.Nanosecond)
			w.look()
			if w.settled() {
				break
			}
		}
		w.checkSettled()
	}
	w.checkLetters()
}

// look checks what must hold at any time.
func (w *world) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.ledger.lanes {
		w.ledger.checkStored(l)
	}
	w.checkSoundHosts()
	w.checkWorked()
}

// end stops whoever lives, and waits for all that ever lived.
func (w *world) end() {
	for _, p := range w.processes {
		if p != nil {
			p.stop()
		}
	}
	for _, p := range w.everybody {
		p.cancel()
		<-p.ended
	}
}

// faultOf decides what goes wrong with a step of the store.
func (w *world) faultOf(p *process, whom string, n int) fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm {
		return none
	}
	s, f := w.plan.seed, none
	if s.maybe(w.plan.storeFails, "fault", whom, n) {
		f = pick(s, "which fault", whom, n, fails, loses, stalls, drops)
	}
	for i, o := range w.plan.outages {
		if now := w.now(); o.from <= now && now < o.to && (o.process < 0 || o.process == p.number) && s.maybe(0.9, "out", whom, n+i) {
			f = o.kind
		}
	}
	if f != none {
		p.trouble = w.now() + stallMost
		w.trouble = max(w.trouble, p.trouble)
	}
	return f
}

// troubled notes that a process has had to wait too long.
func (w *world) troubled(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.trouble = max(p.trouble, w.now())
	w.trouble = max(w.trouble, w.now())
}

// answer is what a message's destination makes of the n-th request that brings it.
func (w *world) answer(m *message, n int) reply {
	if r, poisoned := w.plan.seed.poison(m.name, n); poisoned && !w.calm && !m.lane.spec.host.sound {
		return r
	}
	if w.ends(m) {
		return reply{after: never, whole: true}
	}
	return w.plan.seed.answer(w.moodOf(m), m.name, n, time.Now())
}

// ends tells of a message that ends the process that tries it.
func (w *world) ends(m *message) bool {
	return m.name == w.plan.killer && !w.calm && !m.lane.spec.host.sound
}

// moodOf is the mood of a message's destination.
func (w *world) moodOf(m *message) mood {
	h := m.lane.spec.host
	switch {
	case h.stays && !w.wellAgain && w.now() > w.plan.length/2:
		return down
	case w.calm:
		return well
	}
	return h.mood(w.now())
}

func (w *world) count() Counts {
	c := Counts{Takeovers: w.takeovers, Stale: w.stale, Time: w.now()}
	for _, p := range w.everybody {
		if p.dead {
			c.Deaths++
		}
	}
	for _, r := range w.requests {
		if r.answer != "" {
			c.Passed++
		}
	}
	for _, m := range w.ledger.order {
		c.Stored++
		c.Attempts += len(m.flights)
		switch m.state {
		case delivered:
			c.Delivered++
		case dead:
			c.Dead++
		}
		if m.aside != "" {
			c.Aside++
		}
		if m.mostLost >= 3 {
			c.Lost++
		}
	}
	return c
}
