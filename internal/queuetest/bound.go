package queuetest

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/webhook-repeater/repeater"
)

var boundTests = []test{
	{"a lane with as many messages as it allows is full", nothing, boundMessages},
	{"a lane with as many bytes as it allows is full", nothing, boundBytes},
	{"a lane that is below takes one more batch, whatever its size", nothing, boundOneMore},
	{"counts what waits, in hand or not, and not the dead", nothing, boundCounts},
	{"nothing of a batch is stored when one of its lanes is full", nothing, boundFanOut},
	{"that a key is stored is found first", nothing, boundKnownKey},
	{"that a mark is known is found first", nothing, boundKnownMark},
	{"a refused batch leaves no mark", nothing, boundNoMark},
	{"zero is no bound", nothing, boundZero},
	{"many pushes at once do not get beyond it", nothing, boundAtOnce},
}

func bounded(messages int, bytes int64, b repeater.Batch) repeater.Batch {
	b.Bound = repeater.Bound{Messages: messages, Bytes: bytes}
	return b
}

func (s *suite) wantFull(b repeater.Batch) {
	s.Helper()
	id, err := s.Push(s.Context(), b)
	if !errors.Is(err, repeater.ErrFull) {
		s.Fatalf("Push(%s) = %q, %v, want ErrFull", b.ID, id, err)
	}
}

func boundMessages(s *suite) {
	for _, id := range words("1 2 3") {
		s.push(bounded(3, 0, batch(id, "a")))
	}
	s.wantFull(bounded(3, 0, batch("4", "a")))
	s.push(bounded(3, 0, batch("4", "b")), bounded(4, 0, batch("5", "a")))
	s.wantDrained("a", "1", "2", "3", "5")
	s.push(bounded(3, 0, batch("6", "a")))
}

func boundBytes(s *suite) {
	s.push(bounded(0, 14, batch("1", "a")), bounded(0, 14, batch("2", "a")))
	s.wantFull(bounded(0, 14, batch("3", "a")))
	s.push(bounded(0, 15, batch("4", "a")))
	s.wantDrained("a", "1", "2", "4")
}

func boundOneMore(s *suite) {
	s.fill("a", "1")
	b := bounded(2, 8, batch("2", "a", "a", "a"))
	b.Messages[1].Payload = []byte(strings.Repeat("x", 1000))
	s.push(b)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 4, Bytes: 7 + 7 + 1000 + 7})
	s.wantFull(bounded(2, 0, batch("3", "a")))
	s.wantFull(bounded(0, 8, batch("3", "a")))
}

func boundCounts(s *suite) {
	s.bury("a", "0")
	s.push(bounded(1, 1, batch("1", "a")))
	c := s.take("a", 1)
	s.wantFull(bounded(1, 0, batch("2", "a")))
	s.wantFull(bounded(0, 7, batch("2", "a")))
	s.settle("a", c.Token, retried("1", 100*s.tick))
	s.wantFull(bounded(1, 0, batch("2", "a")))
	s.push(bounded(2, 0, batch("2", "a")))
	s.settle("a", s.claim("a", c.Token, 1).Token, died("2"))
	s.push(bounded(2, 8, batch("3", "a")))
}

func boundFanOut(s *suite) {
	s.fill("b", "1")
	s.wantFull(bounded(1, 0, batch("2", "a", "b", "c")))
	s.wantDrained("b", "1")
	s.wantNoLanes()
	s.push(bounded(1, 0, batch("2", "a", "b", "c")))
}

func boundKnownKey(s *suite) {
	s.fill("a", "1", "2")
	s.push(bounded(1, 1, batch("1", "a")))
	s.wantDrained("a", "1", "2")
}

func boundKnownMark(s *suite) {
	s.push(bounded(1, 1, marked("1", "m", s.forever(), "a")))
	s.pushAs("1", bounded(1, 1, marked("2", "m", s.forever(), "a")))
	s.wantDrained("a", "1")
}

func boundNoMark(s *suite) {
	s.fill("a", "1")
	s.wantFull(bounded(1, 0, marked("2", "m", s.forever(), "a")))
	s.push(marked("3", "m", s.forever(), "a"))
	s.wantDrained("a", "1", "3")
}

func boundZero(s *suite) {
	for i := range 100 {
		s.push(bounded(0, 0, batch(strconv.Itoa(i), "a")))
	}
}

func boundAtOnce(s *suite) {
	var stored atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				_, err := s.Push(s.Context(), bounded(20, 0, batch(strconv.Itoa(10*i+j), "a")))
				switch {
				case err == nil:
					stored.Add(1)
				case !errors.Is(err, repeater.ErrFull):
					s.Errorf("Push: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := stored.Load(); n != 20 {
		s.Errorf("%d messages stored, want 20", n)
	}
	if got := len(s.drain("a")); got != int(stored.Load()) {
		s.Errorf("%d messages drained, %d were stored", got, stored.Load())
	}
}
