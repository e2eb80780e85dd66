package queuetest

import "github.com/webhook-repeater/repeater"

var takeOverTests = []test{
	{"a lane can be taken after the time to live of its claim", nothing, takeOverExpired},
	{"a claim that is renewed lives on from then", nothing, takeOverRenewed},
	{"an expired claim can be renewed while no other has taken the lane", nothing, takeOverLate},
	{"what was in hand waits again in its old place, and comes first", nothing, takeOverPlaces},
	{"what was settled before stays settled", nothing, takeOverSettled},
	{"the old token claims nothing", nothing, takeOverClaim},
	{"the old token settles nothing", nothing, takeOverSettle},
	{"the old token releases nothing", nothing, takeOverRelease},
}

// takeBriefly takes a lane for one tick.
func (s *suite) takeBriefly(lane string, max int) repeater.Claim {
	s.Helper()
	c, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: lane, Max: max, TTL: s.tick})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// lose takes a lane, and lets the time of the claim pass.
func (s *suite) lose(lane string, max int) repeater.Claim {
	s.Helper()
	c := s.takeBriefly(lane, max)
	s.clock.Sleep(2 * s.tick)
	return c
}

func takeOverExpired(s *suite) {
	s.fill("a", "1")
	old := s.lose("a", 1)
	s.wantIDs(old, "1")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7}) // not Held
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	if c.Token == old.Token {
		s.Error("the token has not changed")
	}
}

func takeOverRenewed(s *suite) {
	s.fill("a", "1")
	c := s.takeBriefly("a", 1)
	s.claim("a", c.Token, 0)
	s.clock.Sleep(2 * s.tick)
	s.wantBusy("a")
	s.settle("a", c.Token, delivered("1"))
	s.wantNoLanes()
}

func takeOverLate(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.lose("a", 2)
	s.settle("a", c.Token, delivered("1"))
	s.wantIDs(s.claim("a", c.Token, 10), "3") // 2 is in hand still
	s.wantBusy("a")
	s.settle("a", c.Token, delivered("2"), delivered("3"))
	s.wantNoLanes()
}

func takeOverPlaces(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5")
	c := s.take("a", 1)
	s.settle("a", c.Token, retried("1", 0))
	s.release("a", c.Token)
	s.wantIDs(s.lose("a", 3), "1", "2", "3")
	s.wantIDs(s.lose("a", 4), "1", "2", "3", "4")
	s.wantDrained("a", "1", "2", "3", "4", "5")
}

func takeOverSettled(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.takeBriefly("a", 4)
	s.settle("a", c.Token, delivered("1"), died("2"), released("4"))
	s.clock.Sleep(2 * s.tick)
	s.wantDrained("a", "3", "4")
	s.wantDead("a", "2")
}

func takeOverClaim(s *suite) {
	s.fill("a", "1", "2")
	old := s.lose("a", 1)
	c := s.take("a", 1)
	for _, max := range []int{0, 1} {
		_, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: "a", Token: old.Token, Max: max, TTL: s.forever()})
		s.wantErr("Claim with the old token", err, repeater.ErrStale)
	}
	s.wantIDs(s.claim("a", c.Token, 1), "2")
}

func takeOverSettle(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5")
	old := s.lose("a", 5)
	c := s.take("a", 5)
	stale := []repeater.Settlement{delivered("1"), died("2"), retried("3", s.tick), held("4", 100*s.tick), released("5")}
	s.wantErr("Settle with the old token", s.Settle(s.Context(), "a", old.Token, stale), repeater.ErrStale)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 5, Bytes: 35, Held: true})
	s.wantIDs(s.claim("a", c.Token, 10)) // all still in hand
	s.release("a", c.Token)
	c = s.take("a", 10)
	s.wantIDs(c, "1", "2", "3", "4", "5")
	if c.Failures != 0 || c.Messages[2].Attempts != 0 {
		s.Errorf("a stale settlement has changed something: %+v", c)
	}
}

func takeOverRelease(s *suite) {
	s.fill("a", "1")
	old := s.lose("a", 1)
	c := s.take("a", 1)
	s.release("a", old.Token)
	s.wantBusy("a")
	s.settle("a", c.Token, delivered("1"))
	s.wantNoLanes()
}
