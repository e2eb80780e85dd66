package queuetest

import (
	"strconv"
	"sync"
	"time"

	"github.com/webhook-repeater/repeater"
)

var dedupeTests = []test{
	{"returns the first batch's id, and stores nothing", nothing, dedupeFirst},
	{"returns the first batch's id also when that is delivered", nothing, dedupeDelivered},
	{"the same batch again is the first", nothing, dedupeSame},
	{"of many at once one is the first", nothing, dedupeAtOnce},
	{"another mark, or none, is another matter", nothing, dedupeOthers},
	{"a mark lives for DedupeFor, from the first push", nothing, dedupeExpires},
	{"a mark lives as long as its own batch said", nothing, dedupeOwnTime},
	{"holds for a whole fan-out", nothing, dedupeFanOut},
}

func marked(id, mark string, d time.Duration, lanes ...string) repeater.Batch {
	b := batch(id, lanes...)
	b.Dedupe, b.DedupeFor = mark, d
	return b
}

// pushAs pushes a batch that must be known under another id.
func (s *suite) pushAs(want string, b repeater.Batch) {
	s.Helper()
	if id, err := s.Push(s.Context(), b); id != want || err != nil {
		s.Fatalf("Push(%s) = %q, %v, want %q", b.ID, id, err, want)
	}
}

func dedupeFirst(s *suite) {
	s.push(marked("1", "m", s.forever(), "a"))
	s.pushAs("1", marked("2", "m", s.forever(), "a", "b"))
	s.pushAs("1", marked("3", "m", s.forever(), "c"))
	s.wantDrained("a", "1")
	s.wantNoLanes()
}

func dedupeDelivered(s *suite) {
	s.push(marked("1", "m", s.forever(), "a"))
	s.wantDrained("a", "1")
	s.pushAs("1", marked("2", "m", s.forever(), "a"))
	s.wantNoLanes()
}

func dedupeSame(s *suite) {
	for range 3 {
		s.push(marked("1", "m", s.forever(), "a", "b"))
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	s.wantLane(repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
}

func dedupeAtOnce(s *suite) {
	got := make([]string, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			id, err := s.Push(s.Context(), marked(strconv.Itoa(i), "m", s.forever(), "a"))
			if err != nil {
				s.Errorf("Push: %v", err)
			}
			got[i] = id
		})
	}
	wg.Wait()
	for _, id := range got {
		if id != got[0] {
			s.Fatalf("pushes of one mark returned %q", got)
		}
	}
	s.wantDrained("a", got[0])
}

func dedupeOthers(s *suite) {
	s.push(
		marked("1", "m", s.forever(), "a"), marked("2", "n", s.forever(), "a"), marked("3", "", s.forever(), "a"),
		marked("4", "", s.forever(), "a"), batch("5", "a"), batch("m", "a"),
	)
	s.wantDrained("a", "1", "2", "3", "4", "5", "m")
}

func dedupeExpires(s *suite) {
	s.push(marked("1", "m", 30*s.tick, "a"), marked("2", "n", s.tick, "a"))
	s.clock.Sleep(2 * s.tick)
	s.push(marked("3", "n", s.tick, "a"))
	s.pushAs("1", marked("4", "m", 30*s.tick, "a"))
	s.clock.Sleep(30 * s.tick)
	s.push(marked("5", "m", s.tick, "a"))
	s.wantDrained("a", "1", "2", "3", "5")
}

func dedupeOwnTime(s *suite) {
	s.push(marked("1", "m", 20*s.tick, "a"))
	if _, err := s.Push(s.Context(), marked("2", "m", s.forever(), "a")); err != nil {
		s.Fatal(err)
	}
	s.clock.Sleep(21 * s.tick)
	s.push(marked("3", "m", s.tick, "a")) // what the second said has prolonged nothing
}

func dedupeFanOut(s *suite) {
	s.push(marked("1", "m", s.forever(), "a", "b", "c"))
	s.pushAs("1", marked("2", "m", s.forever(), "a", "b", "c"))
	for _, lane := range words("a b c") {
		s.wantDrained(lane, "1")
	}
}
