package repeater_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// turned is a wall clock that people set.
type turned struct{ ns atomic.Int64 }

func newTurned() *turned {
	c := &turned{}
	c.ns.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *turned) now() time.Time       { return time.Unix(0, c.ns.Load()) }
func (c *turned) turn(d time.Duration) { c.ns.Add(int64(d)) }

// A wall clock that is set back stops neither ages nor pauses nor schedules, whether
// the store is open meanwhile or not.
func TestWallClockSetBack(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"while open": false, "while closed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wall := newTurned()
			f := startFile(t, repeater.FileSetup{Clock: wall.now})
			f.push("a", "1", "2")
			f.push("b", "3")
			wall.turn(time.Hour)
			retry, hold := as("1", repeater.SettleRetry), as("3", repeater.SettleRetry)
			retry.After = 10 * time.Minute
			hold.After, hold.Hold = 10*time.Minute, true
			c := f.claim("a", "", 1)
			f.settle("a", c.Token, retry)
			b := f.claim("b", "", 1)
			f.settle("b", b.Token, hold)

			if !closed {
				wall.turn(-24 * time.Hour)
				f.claim("a", c.Token, 0) // the store looks at the clock
			} else {
				if err := f.FileQueue.Close(); err != nil {
					t.Fatal(err)
				}
				wall.turn(-24 * time.Hour)
				f.open()
				c, b = f.claim("a", "", 0), f.claim("b", "", 0)
			}
			if b = f.claim("b", b.Token, 1); b.Wait != 10*time.Minute {
				t.Errorf("the pause has %v to go, want 10m", b.Wait)
			}
			wall.turn(10 * time.Minute)
			if c = f.claim("a", c.Token, 2); len(c.Messages) != 2 || c.Messages[0].Key.ID != "1" || c.Messages[1].Age != 70*time.Minute {
				t.Errorf("claimed %+v, want 1 and 2, 1h10m old", c.Messages)
			}
			if b = f.claim("b", b.Token, 1); len(b.Messages) != 1 || b.Messages[0].Age != 70*time.Minute {
				t.Errorf("claimed %+v, want 3, 1h10m old", b.Messages)
			}
		})
	}
}

// What a lane is paused by an operator is not counted when that ends after the clock
// has been set back, either.
func TestPausedLaneAndWallClock(t *testing.T) {
	t.Parallel()
	wall := newTurned()
	f := startFile(t, repeater.FileSetup{Clock: wall.now})
	f.push("a", "1")
	wall.turn(time.Minute)
	for _, step := range []struct {
		order repeater.LaneOrder
		turn  time.Duration
	}{
		{repeater.LanePause, -time.Hour},
		{repeater.LanePause, 3 * time.Hour},
		{repeater.LaneResume, time.Minute},
	} {
		if err := f.Steer(t.Context(), "a", step.order); err != nil {
			t.Fatal(err)
		}
		f.restart()
		wall.turn(step.turn)
	}
	if c := f.claim("a", "", 1); len(c.Messages) != 1 || c.Messages[0].Age != 2*time.Minute {
		t.Errorf("claimed %+v, want 1, 2m old", c.Messages)
	}
}
