// Package queuetest is the contract of [repeater.Queue] as code: each sentence of its
// comments is a test whose name says it. A store runs them all with one call of [Run].
//
// The suite counts time in ticks, on a clock that its harness may turn. On a clock of
// its own a store is only ever asked whether something came too early, or far too late.
package queuetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhook-repeater/repeater"
)

// Harness is a kind of store, and what can be done to one. Open is needed;
// a field left zero leaves out the tests that need it.
type Harness struct {
	// Open returns a fresh, empty store that is done with when t ends.
	Open func(t *testing.T) repeater.Queue

	// Bubble runs each test in a bubble of testing/synctest, where time costs
	// nothing. A store that waits for sockets cannot live there.
	Bubble bool

	// Clock is what q reads the time from, where that can be turned by hand.
	// Without it the suite uses time.Now and time.Sleep.
	Clock func(q repeater.Queue) Clock

	// Restart closes q, as at the end of a process, and opens the same store again.
	Restart func(t *testing.T, q repeater.Queue) repeater.Queue

	// Crash opens the store as another process finds it when the one that has
	// q dies at this moment. q is used no more.
	Crash func(t *testing.T, q repeater.Queue) repeater.Queue

	// Join opens the store that q has open for one more process.
	Join func(t *testing.T, q repeater.Queue) repeater.SharedQueue

	// Damage changes the stored bytes of a payload, which are found nowhere else in
	// the store, and returns it, perhaps opened anew.
	Damage func(t *testing.T, q repeater.Queue, lane string, key repeater.Key, payload string) repeater.Queue

	// Remembers is for a store whose answers can get lost, and that therefore
	// knows for a minute which keys were delivered.
	Remembers bool

	// Plays lets the store and the model, internal/memqueue, be asked the same at
	// random. It takes a Bubble or a Clock.
	Plays bool
}

// Clock is a store's clock.
type Clock interface {
	Now() time.Time
	Sleep(time.Duration)
}

// need is what a test asks of a harness.
type need int

const (
	nothing need = iota
	restart
	crash
	join
	damage
	memory
	plays
	realTime
)

func (h *Harness) has(n need) bool {
	switch n {
	case restart:
		return h.Restart != nil
	case crash:
		return h.Crash != nil
	case join:
		return h.Join != nil
	case damage:
		return h.Damage != nil
	case memory:
		return h.Remembers
	case plays:
		return h.Plays
	}
	return true
}

// test is one sentence of the contract.
type test struct {
	says string
	need need
	run  func(s *suite)
}

var groups = []struct {
	name  string
	tests []test
}{
	{"Push", pushTests},
	{"Dedupe", dedupeTests},
	{"Bound", boundTests},
	{"Claim", claimTests},
	{"TakeOver", takeOverTests},
	{"OrderKey", orderTests},
	{"Settle", settleTests},
	{"Retry", retryTests},
	{"Hold", holdTests},
	{"Refusals", refusalTests},
	{"Release", releaseTests},
	{"Steer", steerTests},
	{"Age", ageTests},
	{"Attempts", attemptTests},
	{"Lost", lostTests},
	{"Lanes", laneTests},
	{"Dead", deadTests},
	{"Letter", letterTests},
	{"Payload", payloadTests},
	{"Replay", replayTests},
	{"Prune", pruneTests},
	{"Context", contextTests},
	{"Restart", restartTests},
	{"Crash", crashTests},
	{"Shared", sharedTests},
	{"Inspect", inspectTests},
	{"Load", loadTests},
	{"Model", modelTests},
}

// Run runs each test on a store of its own.
func Run(t *testing.T, h Harness) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, tt := range g.tests {
				if !h.has(tt.need) {
					continue
				}
				t.Run(tt.says, func(t *testing.T) {
					t.Parallel()
					h.run(t, tt)
				})
			}
		})
	}
}

func (h *Harness) run(t *testing.T, tt test) {
	run := func(t *testing.T) {
		s := &suite{T: t, h: h, tick: 50 * time.Millisecond, late: 20 * time.Second, clock: systemClock{}}
		s.Queue = h.Open(t)
		if h.Clock != nil {
			s.clock = h.Clock(s.Queue)
		}
		if h.Bubble || h.Clock != nil {
			s.tick, s.late = time.Minute, 0
		}
		tt.run(s)
	}
	if h.Bubble && tt.need != realTime && tt.need != plays {
		synctest.Test(t, run)
		return
	}
	run(t)
}

type systemClock struct{}

func (systemClock) Now() time.Time        { return time.Now() }
func (systemClock) Sleep(d time.Duration) { time.Sleep(d) }
