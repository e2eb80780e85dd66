package metrics_test

import (
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/metrics"
)

// TestCountingAllocatesNothing, as it is done for each request and each attempt.
func TestCountingAllocatesNothing(t *testing.T) {
	for name, s := range map[string]*metrics.Set{"counting": metrics.New(nil), "not counting": nil} {
		route, lane := s.Route("r"), s.Lane("l")
		if n := testing.AllocsPerRun(100, func() {
			began := s.Now()
			s.Push(began)
			s.Commit(time.Second, 3)
			route.Accept(100, false)
			route.Accept(100, true)
			lane.Attempt(metrics.Delivered, time.Second)
			lane.Deliver(time.Second)
			lane.Die(metrics.DeadGivenUp, 1)
			lane.LoseClaim()
			if s.Lane("l") != lane {
				t.Fatal("another lane of that name")
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
