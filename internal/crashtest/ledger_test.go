package crashtest

import (
	"fmt"
	"sync"
	"time"
)

// ledger is what senders were promised, and what has arrived.
type ledger struct {
	mu      sync.Mutex
	changed sync.Cond

	promised map[string]letter // acknowledged, by id
	arrived  map[string]letter
	order    []string // ids as they first arrived
	ids      map[letter]string
	attempts map[string][]int // of each arrival
	suspect  map[string]bool  // ids that are tried out of their order, see process.suspects

	owed     int // promised and not arrived
	repeated int // arrivals of what had arrived before
	refused  int // answers 503
	cut      int // no answer, or half of one
	wrong    []string
}

func newLedger() *ledger {
	l := &ledger{
		promised: make(map[string]letter), arrived: make(map[string]letter),
		ids: make(map[letter]string), attempts: make(map[string][]int), suspect: make(map[string]bool),
	}
	l.changed.L = &l.mu
	return l
}

// note changes the ledger and wakes who awaits that.
func (l *ledger) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.changed.Broadcast()
}

// blame notes something that must never happen. The first few tell the story.
func (l *ledger) blame(format string, args ...any) {
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

func (l *ledger) promise(id string, to letter) {
	if other, ok := l.promised[id]; ok {
		l.blame("%v and %v were acknowledged with one id %s", other, to, id)
		return
	}
	l.promised[id] = to
	if _, ok := l.arrived[id]; !ok {
		l.owed++
	}
}

func (l *ledger) arrive(id string, attempt int, at letter) {
	if n := len(l.attempts[id]); n > 0 && attempt < l.attempts[id][n-1] {
		l.blame("%v arrived as attempt %d after attempts %v", at, attempt, l.attempts[id])
	}
	l.attempts[id] = append(l.attempts[id], attempt)
	if first, ok := l.arrived[id]; ok {
		l.repeated++
		if first != at {
			l.blame("id %s arrived as %v and as %v", id, first, at)
		}
		return
	}
	l.arrived[id] = at
	l.order = append(l.order, id)
	if _, ok := l.promised[id]; ok {
		l.owed--
	}
	if other, ok := l.ids[at]; ok {
		l.blame("%v arrived under two ids, %s and %s", at, other, id)
	}
	l.ids[at] = id
}

// await returns what ready says when it becomes true, or after d.
func (l *ledger) await(d time.Duration, ready func() bool) bool {
	over := false
	end := time.AfterFunc(d, func() { l.note(func() { over = true }) })
	defer end.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !ready() && !over {
		l.changed.Wait()
	}
	return ready()
}

func (l *ledger) promises() int { return len(l.promised) }
func (l *ledger) arrivals() int { return len(l.arrived) }
func (l *ledger) owing() int    { return l.owed }

func (l *ledger) count(what func() int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return what()
}
