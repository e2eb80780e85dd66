package witness

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"
)

// Counts are the figures of a ledger.
type Counts struct {
	Promised int // acknowledged
	Arrived  int // acknowledged or not, each once
	Owed     int // promised and not arrived
	Repeated int // arrivals of what had arrived before
	Suspects int // tried apart from the others, see Suspect
	Refused  int // answers 503
	Cut      int // no answer, or half of one
}

// String is the line that a run is remembered by.
func (c Counts) String() string {
	return fmt.Sprintf("acknowledged %d, lost %d, repeated %d, tried apart %d, answered 503 %d, unanswered %d",
		c.Promised, c.Owed, c.Repeated, c.Suspects, c.Refused, c.Cut)
}

// Ledger is what senders were promised, and what has arrived. Its methods may be called
// concurrently.
type Ledger struct {
	// Forgetful expects a store that may forget how often something was tried, as a failover
	// to a replica does: attempts may then go back to a lower number.
	Forgetful bool

	mu      sync.Mutex
	changed sync.Cond
	counts  Counts

	promised map[string]Letter // acknowledged, by id
	arrived  map[string]Letter
	order    []string // ids as they first arrived
	ids      map[Letter]string
	attempts map[string][]int // of each arrival
	suspect  map[string]bool
	wrong    []string
}

// NewLedger returns an empty one.
func NewLedger() *Ledger {
	l := &Ledger{
		promised: make(map[string]Letter), arrived: make(map[string]Letter),
		ids: make(map[Letter]string), attempts: make(map[string][]int), suspect: make(map[string]bool),
	}
	l.changed.L = &l.mu
	return l
}

// note changes the ledger and wakes who awaits that.
func (l *Ledger) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.changed.Broadcast()
}

// Blame notes something that must never happen. The first few tell the story.
func (l *Ledger) Blame(format string, args ...any) {
	l.note(func() { l.blame(format, args...) })
}

func (l *Ledger) blame(format string, args ...any) {
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// Promise notes that a letter was acknowledged under an id.
func (l *Ledger) Promise(id string, to Letter) {
	l.note(func() {
		if other, ok := l.promised[id]; ok {
			l.blame("%v and %v were acknowledged with one id %s", other, to, id)
			return
		}
		l.promised[id] = to
		l.counts.Promised++
		if _, ok := l.arrived[id]; !ok {
			l.counts.Owed++
		}
	})
}

// Arrive notes that a letter was delivered.
func (l *Ledger) Arrive(id string, attempt int, at Letter) {
	l.note(func() { l.arrive(id, attempt, at) })
}

func (l *Ledger) arrive(id string, attempt int, at Letter) {
	if n := len(l.attempts[id]); n > 0 && attempt < l.attempts[id][n-1] && !l.Forgetful {
		l.blame("%v arrived as attempt %d after attempts %v", at, attempt, l.attempts[id])
	}
	l.attempts[id] = append(l.attempts[id], attempt)
	if first, ok := l.arrived[id]; ok {
		l.counts.Repeated++
		if first != at {
			l.blame("id %s arrived as %v and as %v", id, first, at)
		}
		return
	}
	l.arrived[id] = at
	l.counts.Arrived++
	l.order = append(l.order, id)
	if _, ok := l.promised[id]; ok {
		l.counts.Owed--
	}
	if other, ok := l.ids[at]; ok {
		l.blame("%v arrived under two ids, %s and %s", at, other, id)
	}
	l.ids[at] = id
}

// Suspect notes that the program tries a message apart from the others, out of its
// order: it was in hand at three deaths, and may have caused them.
func (l *Ledger) Suspect(id string) {
	l.note(func() {
		if !l.suspect[id] {
			l.suspect[id] = true
			l.counts.Suspects++
		}
	})
}

// Counts returns the figures as they are now.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Attempts returns the numbers under which each letter has arrived.
func (l *Ledger) Attempts() map[Letter][]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[Letter][]int, len(l.attempts))
	for id, numbers := range maps.All(l.attempts) {
		all[l.arrived[id]] = append([]int(nil), numbers...)
	}
	return all
}

// Await waits until the figures are as wanted, for d at most, and reports whether they are.
func (l *Ledger) Await(d time.Duration, wanted func(Counts) bool) bool {
	over := false
	end := time.AfterFunc(d, func() { l.note(func() { over = true }) })
	defer end.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !wanted(l.counts) && !over {
		l.changed.Wait()
	}
	return wanted(l.counts)
}

// AwaitAll waits until nothing is owed, for d at most.
func (l *Ledger) AwaitAll(d time.Duration) bool {
	return l.Await(d, func(c Counts) bool { return c.Owed == 0 })
}

// Settle waits until all that was promised has arrived, and judges.
func (l *Ledger) Settle(t testing.TB, d time.Duration) {
	t.Helper()
	l.AwaitAll(d)
	for _, fault := range l.Faults() {
		t.Error(fault)
	}
}
