package witness

import "fmt"

// Faults returns what must not be.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append([]string(nil), l.wrong...)
	if owed := l.counts.Owed; owed > 0 {
		all = append(all, fmt.Sprintf("%d of %d acknowledged requests are lost, among them %v", owed, len(l.promised), l.lost(10)))
	}
	if len(l.promised) == 0 {
		all = append(all, "nothing was acknowledged: the test has tested nothing")
	}
	return append(all, l.disorder()...)
}

func (l *Ledger) lost(most int) []string {
	var some []string
	for id, to := range l.promised {
		if _, ok := l.arrived[id]; !ok && len(some) < most {
			some = append(some, fmt.Sprintf("%v (%s)", to, id))
		}
	}
	return some
}

// disorder looks at first arrivals of what was acknowledged: a sender that waits for
// its answer before it sends again has its requests delivered in that order. Only suspects
// are tried apart from the others.
func (l *Ledger) disorder() []string {
	var all []string
	last, wrong := make(map[int]Letter), 0
	for _, id := range l.order {
		at, ok := l.promised[id]
		if !ok || l.suspect[id] {
			continue
		}
		if before, ok := last[at.Sender]; ok && before.Seq > at.Seq {
			if wrong++; wrong <= 5 {
				all = append(all, fmt.Sprintf("%v first arrived after %v", at, before))
			}
			continue
		}
		last[at.Sender] = at
	}
	if wrong > 0 {
		all = append(all, fmt.Sprintf("%d of %d requests arrived out of order", wrong, len(l.order)))
	}
	return all
}
