package queuetest

import (
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var orderTests = []test{
	{"only the oldest of a key is handed out", nothing, orderOldest},
	{"the next is handed out once it is delivered", nothing, orderDelivered},
	{"the next is handed out once it is dead", nothing, orderDead},
	{"the next waits while it is retried", nothing, orderRetried},
	{"the next waits while it is released or lost", nothing, orderReleased},
	{"what was held comes in its old place", nothing, orderPlace},
	{"keys of another lane, and messages without a key, do not wait", nothing, orderOthers},
	{"of a batch the messages of one key wait for each other", nothing, orderBatch},
	{"a replayed letter waits behind those of its key", nothing, orderReplayed},
	{"a long row is handed out in order", nothing, orderLong},
	{"a claim does not get slower with 10,000 held back", realTime, orderCost},
}

// ordered is a batch of one message with an order key.
func ordered(id, lane, orderKey string) repeater.Batch {
	b := batch(id, lane)
	b.Messages[0].OrderKey = orderKey
	return b
}

func orderOldest(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), ordered("3", "a", "j"), batch("4", "a"), ordered("5", "a", "j"))
	c := s.take("a", 10)
	s.wantIDs(c, "1", "3", "4")
	if c.More || c.Wait != 0 {
		s.Errorf("what is held back is neither More nor due: %+v", c)
	}
	s.push(ordered("6", "a", "k"))
	s.wantIDs(s.claim("a", c.Token, 10))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 6, Bytes: 42, Held: true})
}

func orderDelivered(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), ordered("3", "a", "k"))
	c := s.take("a", 10)
	for _, id := range words("1 2 3") {
		s.wantIDs(c, id)
		s.settle("a", c.Token, delivered(id))
		c = s.claim("a", c.Token, 10)
	}
	s.wantIDs(c)
	s.wantNoLanes()
	s.push(ordered("4", "a", "k"))
	s.wantIDs(s.claim("a", c.Token, 10), "4")
}

func orderDead(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), ordered("3", "a", "k"))
	c := s.take("a", 10)
	s.settle("a", c.Token, refused("1"))
	s.wantIDs(s.claim("a", c.Token, 10), "2")
	s.settle("a", c.Token, died("2"))
	s.wantIDs(s.claim("a", c.Token, 10), "3")
}

func orderRetried(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), batch("3", "a"))
	c := s.take("a", 10)
	s.wantIDs(c, "1", "3")
	settled := s.span(func() { s.settle("a", c.Token, retried("1", 5*s.tick), delivered("3")) })
	s.wantIDs(s.await("a", c.Token, 10), "1")
	s.wantDue(settled, 5*s.tick)
	s.settle("a", c.Token, delivered("1"))
	s.wantIDs(s.claim("a", c.Token, 10), "2")
}

func orderReleased(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"))
	c := s.take("a", 10)
	s.settle("a", c.Token, released("1"))
	s.wantIDs(s.claim("a", c.Token, 10), "1")
	s.release("a", c.Token)
	s.wantIDs(s.lose("a", 10), "1")
	s.wantDrained("a", "1", "2")
}

func orderPlace(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), batch("3", "a"), ordered("4", "a", "k"), batch("5", "a"))
	c := s.take("a", 2)
	s.wantIDs(c, "1", "3")
	s.settle("a", c.Token, delivered("1"), released("3"))
	s.wantIDs(s.claim("a", c.Token, 10), "2", "3", "5")
	s.settle("a", c.Token, released("5"), delivered("2"))
	s.wantIDs(s.claim("a", c.Token, 10), "4", "5")
}

func orderOthers(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "b", "k"), ordered("3", "a", ""), ordered("4", "a", ""))
	s.wantIDs(s.take("a", 10), "1", "3", "4")
	s.wantIDs(s.take("b", 10), "2")
}

func orderBatch(s *suite) {
	b := batch("1", "a", "a", "a")
	for i := range b.Messages {
		b.Messages[i].OrderKey = "k"
	}
	s.push(b)
	c := s.take("a", 10)
	for i := range 3 {
		if len(c.Messages) != 1 || c.Messages[0].Key.Dest != i {
			s.Fatalf("claimed %+v", c.Messages)
		}
		s.settle("a", c.Token, all(c.Messages, repeater.SettleDelivered)...)
		c = s.claim("a", c.Token, 10)
	}
}

func orderReplayed(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), ordered("3", "a", "k"))
	c := s.take("a", 10)
	s.settle("a", c.Token, died("1"))
	s.wantIDs(s.claim("a", c.Token, 10), "2")
	s.replay("a", 1, "1")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.settle("a", c.Token, delivered("2"))
	s.wantIDs(s.claim("a", c.Token, 10), "3")
	s.settle("a", c.Token, delivered("3"))
	s.wantIDs(s.claim("a", c.Token, 10), "1")
}

func orderLong(s *suite) {
	var want []string
	for i := range 120 {
		id := strconv.Itoa(i)
		s.push(ordered(id, "a", strconv.Itoa(i%3)))
		want = append(want, id)
	}
	if diff := cmp.Diff(want, s.drain("a")); diff != "" {
		s.Errorf("drained (-want +got):\n%s", diff)
	}
}

// fillHeld puts n messages of one key in front of one without.
func (s *suite) fillHeld(lane string, n int) {
	s.Helper()
	for from := 0; from < n; from += 500 {
		b := repeater.Batch{ID: lane + strconv.Itoa(from)}
		for i := range min(500, n-from) {
			b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: lane, OrderKey: "k"})
		}
		s.push(b)
	}
	s.fill(lane, lane)
}

func orderCost(s *suite) {
	cost := func(lane string, n int) time.Duration {
		s.fillHeld(lane, n)
		token := s.take(lane, 1).Token
		best := time.Hour
		for range 40 {
			start := time.Now()
			c := s.claim(lane, token, 10)
			best = min(best, time.Since(start))
			s.wantIDs(c, lane)
			s.settle(lane, token, released(lane))
		}
		return best
	}
	few, many := cost("few", 10), cost("many", 10_000)
	if many > 4*few+300*time.Microsecond {
		s.Errorf("a claim takes %v with 10 messages held back, and %v with 10,000", few, many)
	}
	s.Logf("a claim takes %v with 10 messages held back, and %v with 10,000", few, many)
}
