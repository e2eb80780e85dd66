package crashtest

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

func kills() int {
	if testing.Short() {
		return 5
	}
	return 50
}

// TestKillFileStore kills the program under load, again and again, with its destination
// up and down.
func TestKillFileStore(t *testing.T) {
	t.Parallel()
	r := seeded(t)
	l := newLedger()
	dest := newDestination(t, l)
	s := newSetup(t, dest)
	senders := startSenders(t, l, 0, s.url())
	var restarts []time.Duration
	for range kills() {
		// A destination that is down leaves a backlog for the next start.
		if r.IntN(3) == 0 {
			dest.down()
		} else {
			dest.up(t)
		}
		p := s.start(t)
		if r.IntN(5) == 0 { // while it starts
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		} else { // under load
			restarts = append(restarts, p.serving(t, l))
			dest.trouble(t, r)
			time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		}
		if !p.Alive() {
			t.Fatal("the process ended before it was killed")
		}
		p.Kill()
		p.quiet(t, l)
	}
	dest.unwell.Store(0)
	dest.up(t)
	p := s.start(t)
	restarts = append(restarts, p.serving(t, l))
	senders.stop()
	l.await(patience, func() bool { return l.owed == 0 })
	p.suspects(l)
	l.settle(t, patience)
	p.stop(t)
	p.quiet(t, l)
	s.empty(t, repeater.WithFile(s.file()))
	slices.Sort(restarts)
	t.Logf("file store: kills %d, %s, restart median %v, longest %v",
		kills(), l.figures(), restarts[len(restarts)/2].Round(time.Millisecond), restarts[len(restarts)-1].Round(time.Millisecond))
}

// trouble lets a destination that is up fail sometimes, and sometimes recover.
func (d *destination) trouble(t *testing.T, r *rand.Rand) {
	t.Helper()
	if d.srv == nil || r.IntN(3) == 0 {
		return
	}
	d.awaitDelivery(t)
	d.unwell.Store(int32(1 + r.IntN(3)))
	if r.IntN(2) == 0 {
		d.awaitDelivery(t)
	}
}

// awaitDelivery waits for more than the one arrival that may be under way.
func (d *destination) awaitDelivery(t *testing.T) {
	t.Helper()
	l := d.ledger
	before := l.count(l.arrivals)
	if !l.await(patience, func() bool { return l.arrivals() > before+1 }) {
		t.Fatalf("nothing was delivered within %v", patience)
	}
}

// serving waits until something is acknowledged, and says how long that took from
// the start of the process.
func (p process) serving(t *testing.T, l *ledger) time.Duration {
	t.Helper()
	before := l.count(l.promises)
	if !l.await(patience, func() bool { return l.promises() > before }) {
		t.Fatalf("nothing was acknowledged within %v", patience)
	}
	return time.Since(p.Since)
}

// empty looks into the store: a clean stop after all is delivered leaves nothing.
func (s *setup) empty(t *testing.T, store repeater.Option) {
	t.Helper()
	rp := repeater.New(store, repeater.Route("/", s.dest))
	defer rp.Close()
	lanes, err := rp.Lanes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range lanes {
		t.Errorf("left in the store: %+v", lane)
	}
}
