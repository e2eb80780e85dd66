package queuetest

import "time"

// span is when something happened: not before one time, nor after another.
type span struct{ from, to time.Time }

func (s *suite) span(f func()) span {
	from := s.clock.Now()
	f()
	return span{from, s.clock.Now()}
}

// gap is how long something lasted, as far as can be known.
type gap struct{ least, most time.Duration }

// until is the time from one span to a later one.
func (a span) until(b span) gap { return gap{b.from.Sub(a.to), b.to.Sub(a.from)} }

func (g gap) minus(h gap) gap { return gap{g.least - h.most, g.most - h.least} }

func exactly(d time.Duration) gap { return gap{d, d} }

// grain is how finely a store has to count.
const grain = 2 * time.Millisecond

func (s *suite) wantGap(what string, got time.Duration, want gap) {
	s.Helper()
	if got < want.least-grain || got > want.most+grain {
		s.Fatalf("%s is %v, want %v to %v", what, got, want.least, want.most)
	}
}

// wantDue checks that what has just been handed out came d after since.
func (s *suite) wantDue(since span, d time.Duration) {
	s.Helper()
	now := s.clock.Now()
	if after := now.Sub(since.from); after < d-grain {
		s.Fatalf("handed out after %v, too early: want %v", after, d)
	}
	if after := now.Sub(since.to); after > d+s.late+grain {
		s.Fatalf("handed out after %v, too late: want %v", after, d)
	}
}
