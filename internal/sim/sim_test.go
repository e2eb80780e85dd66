package sim_test

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/sim"
)

var (
	seeds = flag.Int("sim.seeds", seedsByDefault, "play so many seeds")
	from  = flag.Uint64("sim.from", 1, "from this one on")
	twice = flag.Int("sim.twice", seedsTwice, "play so many seeds twice, to compare")
	seed  = flag.Uint64("sim.seed", 0, "play this one alone, and with -v tell its story")
)

// Whatever goes wrong, in whatever order, no promise is broken.
func TestSeeds(t *testing.T) {
	if *seed != 0 {
		r := play(t, *seed)
		t.Logf("%s%+v", r.Trace, r.Counts)
		return
	}
	var next atomic.Uint64
	var mu sync.Mutex
	var all sim.Counts
	t.Cleanup(func() { t.Logf("%d seeds from %d: %+v", *seeds, *from, all) })
	next.Store(*from)
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for n := next.Add(1) - 1; n < *from+uint64(*seeds) && !t.Failed(); n = next.Add(1) - 1 { // #nosec G115 -- nobody plays a negative number
				r := play(t, n)
				mu.Lock()
				all.Add(r.Counts)
				mu.Unlock()
			}
		})
	}
}

// Seeds that have found a fault, each long after those that are played by default: a dying message that was overtaken when it grew too
// old, twice, and a check that took a backlog after an operator's pause for a delay.
func TestSeedsThatFailed(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{200148, 201066, 307814} {
		play(t, n)
	}
}

func play(t *testing.T, n uint64) sim.Result {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			panic(fmt.Sprintf("seed %d: %v", n, p))
		}
	}()
	r := sim.Play(t, n)
	if r.Breach != nil {
		t.Errorf("seed %d: %v\nto see all of it: go test ./internal/sim -run TestSeeds -sim.seed=%d -v", n, r.Breach, n)
	}
	return r
}

// A seed gives each message the same story again.
func TestSeedRepeats(t *testing.T) {
	t.Parallel()
	for n := uint64(1); n <= uint64(*twice); n++ {
		once, again := play(t, n), play(t, n)
		if diff := cmp.Diff(once.Stories, again.Stories); diff != "" {
			t.Fatalf("seed %d differs (-once +again):\n%s", n, diff)
		}
	}
}
