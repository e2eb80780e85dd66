package queuetest

import (
	"slices"

	"github.com/webhook-repeater/repeater"
)

var crashTests = []test{
	{"keeps what Push has acknowledged", crash, crashPushed},
	{"keeps retries and deaths that Settle has acknowledged", crash, crashSettled},
	{"may repeat what was delivered, and nothing else", crash, crashDelivered},
	{"keeps what an operator has ordered", crash, crashSteered},
	{"keeps what was replayed, dropped and pruned", crash, crashDead},
	{"gives back what was in hand, in its old place", crash, crashInHand},
	{"counts a message as lost that was in hand, three times", crash, crashLost},
	{"does not count what was given back before", crash, crashNotLost},
}

// crash lets the process die, and others wait for the end of its claims.
func (s *suite) crash() {
	s.Helper()
	s.Queue = s.h.Crash(s.T, s.Queue)
	s.clock.Sleep(2 * s.tick)
}

func crashPushed(s *suite) {
	s.push(batch("1", "a", "b"), marked("2", "m", s.forever(), "a"))
	s.crash()
	s.pushAs("2", marked("3", "m", s.forever(), "a"))
	s.fill("a", "1", "4")
	s.crash()
	s.wantDrained("a", "1", "2", "4")
	s.wantDrained("b", "1")
}

func crashSettled(s *suite) {
	s.push(batch("1", "a"), batch("2", "a"), ordered("3", "a", "k"), ordered("4", "a", "k"), batch("5", "a"))
	c := s.takeBriefly("a", 5)
	s.wantIDs(c, "1", "2", "3", "5")
	settled := s.span(func() {
		s.settle("a", c.Token, retried("1", s.tick), refused("2"), died("3"), held("5", 20*s.tick))
	})
	s.crash()
	s.wantDead("a", "3", "2")
	c = s.take("a", 10)
	s.wantFailures("a", c.Token, 1)
	s.wantRefusals("a", c.Token, 1)
	c = s.await("a", c.Token, 10)
	s.wantDue(settled, 20*s.tick)
	s.wantIDs(c, "1", "4", "5")
	if c.Messages[0].Attempts != 1 || c.Messages[1].Attempts != 0 || c.Messages[2].Attempts != 1 {
		s.Errorf("claimed %+v", c.Messages)
	}
}

func crashDelivered(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.takeBriefly("a", 2)
	s.settle("a", c.Token, delivered("1"))
	s.crash()
	got := s.drain("a")
	if !slices.Equal(got, words("1 2 3")) && !slices.Equal(got, words("2 3")) {
		s.Errorf("drained %q, want 2 and 3, perhaps after 1", got)
	}
	s.crash()
	for _, id := range s.drain("a") {
		if !slices.Contains(got, id) {
			s.Errorf("%s comes again", id)
		}
	}
	s.wantNoLanes()
}

func crashSteered(s *suite) {
	s.fill("a", "1")
	s.fill("b", "2")
	c := s.takeBriefly("b", 1)
	s.settle("b", c.Token, held("2", 1000*s.tick))
	s.steer("a", repeater.LanePause)
	s.steer("b", repeater.LaneForgive)
	s.crash()
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Paused: true})
	c = s.take("b", 1)
	s.wantIDs(c, "2")
	s.wantRefusals("b", c.Token, repeater.Forgiven)
	s.steer("a", repeater.LaneResume)
	s.crash()
	s.wantDrained("a", "1")
}

func crashDead(s *suite) {
	s.bury("a", "1", "2", "3", "4")
	s.replay("a", 1, "2")
	s.drop("a", 1, "3")
	s.crash()
	s.wantDead("a", "4", "1")
	s.prune("a", s.tick, 1, 1)
	s.crash()
	s.wantDead("a", "4")
	s.wantDrained("a", "2")
}

func crashInHand(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.takeBriefly("a", 3)
	s.settle("a", c.Token, retried("2", 0))
	s.wantIDs(s.takeMore("a", c.Token, 1), "2")
	s.crash()
	s.wantDrained("a", "2", "1", "3", "4")
}

// takeMore goes on with a claim for one tick.
func (s *suite) takeMore(lane, token string, max int) repeater.Claim {
	s.Helper()
	c, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: max, TTL: s.tick})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func crashLost(s *suite) {
	s.fill("a", "1", "2", "3")
	for i := range 3 {
		c := s.takeBriefly("a", 2)
		s.wantIDs(c, "1", "2")
		s.wantLost(c, i, i)
		s.clock.Sleep(s.tick) // a store may note what is in hand a moment later
		s.crash()
	}
	c := s.take("a", 10)
	s.wantLost(c, 3, 3, 0)
	s.settle("a", c.Token, held("1", 0), released("2"))
	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "1", "2")
	s.wantLost(c, 0, 0)
}

func crashNotLost(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.takeBriefly("a", 3)
	s.settle("a", c.Token, released("1"), held("2", 0))
	s.clock.Sleep(s.tick)
	s.crash()
	s.wantLost(s.takeBriefly("a", 10), 0, 0, 1)
	s.clock.Sleep(2 * s.tick)
	c = s.takeBriefly("a", 10)
	s.release("a", c.Token)
	s.clock.Sleep(s.tick)
	s.crash()
	s.wantLost(s.take("a", 10), 0, 0, 0)
}
