package witness

import "testing"

// TestJudge makes sure that the other tests can fail.
func TestJudge(t *testing.T) {
	t.Parallel()
	a, b := Letter{1, 1}, Letter{1, 2}
	for _, tt := range []struct {
		what   string
		happen func(*Ledger)
		fault  bool
	}{
		{"delivered", func(l *Ledger) { l.Promise("a", a); l.Arrive("a", 1, a) }, false},
		{"delivered before the answer", func(l *Ledger) { l.Arrive("a", 1, a); l.Promise("a", a) }, false},
		{"repeated", func(l *Ledger) { l.Promise("a", a); l.Arrive("a", 1, a); l.Arrive("a", 2, a) }, false},
		{"repeated out of order", func(l *Ledger) {
			l.Promise("a", a)
			l.Promise("b", b)
			l.Arrive("a", 1, a)
			l.Arrive("b", 1, b)
			l.Arrive("a", 2, a)
		}, false},
		{"delivered but not acknowledged", func(l *Ledger) { l.Promise("a", a); l.Arrive("b", 1, b); l.Arrive("a", 1, a) }, false},
		{"lost", func(l *Ledger) { l.Promise("a", a); l.Promise("b", b); l.Arrive("b", 1, b) }, true},
		{"out of order", func(l *Ledger) { l.Promise("a", a); l.Promise("b", b); l.Arrive("b", 1, b); l.Arrive("a", 1, a) }, true},
		{"suspected and late", func(l *Ledger) {
			l.Promise("a", a)
			l.Promise("b", b)
			l.Suspect("a")
			l.Arrive("b", 1, b)
			l.Arrive("a", 1, a)
		}, false},
		{"suspected and lost", func(l *Ledger) {
			l.Promise("a", a)
			l.Promise("b", b)
			l.Suspect("a")
			l.Arrive("b", 1, b)
		}, true},
		{"tried less often than before", func(l *Ledger) { l.Promise("a", a); l.Arrive("a", 2, a); l.Arrive("a", 1, a) }, true},
		{"forgotten how often tried", func(l *Ledger) {
			l.Forgetful = true
			l.Promise("a", a)
			l.Arrive("a", 2, a)
			l.Arrive("a", 1, a)
		}, false},
		{"stored twice", func(l *Ledger) { l.Promise("a", a); l.Arrive("a", 1, a); l.Arrive("b", 1, a) }, true},
		{"one id for two", func(l *Ledger) { l.Promise("a", a); l.Promise("a", b); l.Arrive("a", 1, a) }, true},
		{"two bodies under one id", func(l *Ledger) { l.Promise("a", a); l.Arrive("a", 1, a); l.Arrive("a", 1, b) }, true},
		{"nothing acknowledged", func(l *Ledger) { l.Arrive("a", 1, a) }, true},
	} {
		l := NewLedger()
		tt.happen(l)
		if faults := l.Faults(); (len(faults) > 0) != tt.fault {
			t.Errorf("%s: the judge says %q", tt.what, faults)
		}
	}
}

// TestReadLetter refuses what is not as it was sent.
func TestReadLetter(t *testing.T) {
	t.Parallel()
	at := Letter{3, 17}
	for _, tt := range []struct {
		what, query string
		body        []byte
		intact      bool
	}{
		{"as sent", at.query(), at.Body(), true},
		{"cut", at.query(), at.Body()[:len(at.Body())-1], false},
		{"longer", at.query(), append(at.Body(), 'x'), false},
		{"of another", at.query(), Letter{3, 18}.Body(), false},
		{"without a query", "", at.Body(), false},
	} {
		if _, err := readLetter(tt.query, tt.body); (err == nil) != tt.intact {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}
