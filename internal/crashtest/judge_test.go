package crashtest

import (
	"fmt"
	"testing"
	"time"
)

// settle waits until all that was promised has arrived, and judges.
func (l *ledger) settle(t *testing.T, d time.Duration) {
	t.Helper()
	l.await(d, func() bool { return l.owed == 0 })
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fault := range l.faults() {
		t.Error(fault)
	}
}

// faults returns what must not be.
func (l *ledger) faults() []string {
	all := append([]string(nil), l.wrong...)
	if l.owed > 0 {
		all = append(all, fmt.Sprintf("%d of %d acknowledged requests are lost, among them %v", l.owed, len(l.promised), l.lost(10)))
	}
	if len(l.promised) == 0 {
		all = append(all, "nothing was acknowledged: the test has tested nothing")
	}
	return append(all, l.disorder()...)
}

func (l *ledger) lost(most int) []string {
	var some []string
	for id, to := range l.promised {
		if _, ok := l.arrived[id]; !ok && len(some) < most {
			some = append(some, fmt.Sprintf("%v (%s)", to, id))
		}
	}
	return some
}

// disorder looks at first arrivals of what was acknowledged: a sender that waits for
// its answer before it sends again has its requests delivered in that order. Only what was in
// hand at three deaths of the program, and may have caused them, is tried apart from the others.
func (l *ledger) disorder() []string {
	var all []string
	last, wrong := make(map[int]letter), 0
	for _, id := range l.order {
		at, ok := l.promised[id]
		if !ok || l.suspect[id] {
			continue
		}
		if before, ok := last[at.sender]; ok && before.seq > at.seq {
			if wrong++; wrong <= 5 {
				all = append(all, fmt.Sprintf("%v first arrived after %v", at, before))
			}
			continue
		}
		last[at.sender] = at
	}
	if wrong > 0 {
		all = append(all, fmt.Sprintf("%d of %d requests arrived out of order", wrong, len(l.order)))
	}
	return all
}

// TestJudge makes sure that the other tests can fail.
func TestJudge(t *testing.T) {
	t.Parallel()
	a, b := letter{1, 1}, letter{1, 2}
	for _, tt := range []struct {
		what   string
		happen func(*ledger)
		fault  bool
	}{
		{"delivered", func(l *ledger) { l.promise("a", a); l.arrive("a", 1, a) }, false},
		{"delivered before the answer", func(l *ledger) { l.arrive("a", 1, a); l.promise("a", a) }, false},
		{"repeated", func(l *ledger) { l.promise("a", a); l.arrive("a", 1, a); l.arrive("a", 2, a) }, false},
		{"repeated out of order", func(l *ledger) {
			l.promise("a", a)
			l.promise("b", b)
			l.arrive("a", 1, a)
			l.arrive("b", 1, b)
			l.arrive("a", 2, a)
		}, false},
		{"delivered but not acknowledged", func(l *ledger) { l.promise("a", a); l.arrive("b", 1, b); l.arrive("a", 1, a) }, false},
		{"lost", func(l *ledger) { l.promise("a", a); l.promise("b", b); l.arrive("b", 1, b) }, true},
		{"out of order", func(l *ledger) { l.promise("a", a); l.promise("b", b); l.arrive("b", 1, b); l.arrive("a", 1, a) }, true},
		{"suspected and late", func(l *ledger) {
			l.promise("a", a)
			l.promise("b", b)
			l.suspect["a"] = true
			l.arrive("b", 1, b)
			l.arrive("a", 1, a)
		}, false},
		{"suspected and lost", func(l *ledger) {
			l.promise("a", a)
			l.promise("b", b)
			l.suspect["a"] = true
			l.arrive("b", 1, b)
		}, true},
		{"stored twice", func(l *ledger) { l.promise("a", a); l.arrive("a", 1, a); l.arrive("b", 1, a) }, true},
		{"one id for two", func(l *ledger) { l.promise("a", a); l.promise("a", b); l.arrive("a", 1, a) }, true},
		{"two bodies under one id", func(l *ledger) { l.promise("a", a); l.arrive("a", 1, a); l.arrive("a", 1, b) }, true},
		{"nothing acknowledged", func(l *ledger) { l.arrive("a", 1, a) }, true},
	} {
		l := newLedger()
		tt.happen(l)
		if faults := l.faults(); (len(faults) > 0) != tt.fault {
			t.Errorf("%s: the judge says %q", tt.what, faults)
		}
	}
}

// TestReadLetter refuses what is not as it was sent.
func TestReadLetter(t *testing.T) {
	t.Parallel()
	at := letter{3, 17}
	for _, tt := range []struct {
		what, query string
		body        []byte
		intact      bool
	}{
		{"as sent", at.query(), at.body(), true},
		{"cut", at.query(), at.body()[:len(at.body())-1], false},
		{"longer", at.query(), append(at.body(), 'x'), false},
		{"of another", at.query(), letter{3, 18}.body(), false},
		{"without a query", "", at.body(), false},
	} {
		if _, err := readLetter(tt.query, tt.body); (err == nil) != tt.intact {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}
