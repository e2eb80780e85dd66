package crashtest

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/witness"
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
	l := witness.NewLedger()
	dest := witness.NewDestination(t, l)
	s := newSetup(t, dest)
	senders := (&witness.Senders{Ledger: l, URLs: []string{s.url()}}).Start(t)
	var restarts []time.Duration
	for range kills() {
		// A destination that is down leaves a backlog for the next start.
		if r.IntN(3) == 0 {
			dest.Down()
		} else {
			dest.Up(t)
		}
		p := s.start(t)
		if r.IntN(5) == 0 { // while it starts
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		} else { // under load
			restarts = append(restarts, p.serving(t, l))
			trouble(t, dest, r)
			time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
		}
		if !p.Alive() {
			t.Fatal("the process ended before it was killed")
		}
		p.Kill()
		p.quiet(t, l)
	}
	dest.Unwell.Store(0)
	dest.Up(t)
	p := s.start(t)
	restarts = append(restarts, p.serving(t, l))
	senders.Stop()
	l.AwaitAll(patience)
	p.suspects(l)
	l.Settle(t, patience)
	p.stop(t)
	p.quiet(t, l)
	s.empty(t, repeater.WithFile(s.file()))
	slices.Sort(restarts)
	t.Logf("file store: kills %d, %s, restart median %v, longest %v",
		kills(), l.Counts(), restarts[len(restarts)/2].Round(time.Millisecond), restarts[len(restarts)-1].Round(time.Millisecond))
}

// trouble lets a destination that is up fail sometimes, and sometimes recover.
func trouble(t *testing.T, d *witness.Destination, r *rand.Rand) {
	t.Helper()
	if !d.IsUp() || r.IntN(3) == 0 {
		return
	}
	awaitDelivery(t, d)
	d.Unwell.Store(int32(1 + r.IntN(3)))
	if r.IntN(2) == 0 {
		awaitDelivery(t, d)
	}
}

// awaitDelivery waits for more than the one arrival that may be under way.
func awaitDelivery(t *testing.T, d *witness.Destination) {
	t.Helper()
	l := d.Ledger
	before := l.Counts().Arrived
	if !l.Await(patience, func(c witness.Counts) bool { return c.Arrived > before+1 }) {
		t.Fatalf("nothing was delivered within %v", patience)
	}
}

// serving waits until something is acknowledged, and says how long that took from
// the start of the process.
func (p process) serving(t *testing.T, l *witness.Ledger) time.Duration {
	t.Helper()
	before := l.Counts().Promised
	if !l.Await(patience, func(c witness.Counts) bool { return c.Promised > before }) {
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
