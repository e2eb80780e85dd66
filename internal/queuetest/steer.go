package queuetest

import (
	"github.com/webhook-repeater/repeater"
)

var steerTests = []test{
	{"pause: nothing is handed out until it is resumed", nothing, steerPause},
	{"pause: the lane can be claimed, and pushed to", nothing, steerPausedWorks},
	{"pause: what is in hand may still be settled", nothing, steerPausedHand},
	{"pause: what is due waits, and comes first afterwards", nothing, steerPausedDue},
	{"whoever holds the lane", nothing, steerHeld},
	{"a lane that has never been heard of", nothing, steerUnheard},
	{"repeating an order changes nothing more", nothing, steerRepeat},
	{"resume: a pause by Hold goes on", nothing, steerResume},
	{"retry now: ends a pause by Hold, and keeps the failures", nothing, steerRetryNow},
	{"retry now: leaves the schedule of single messages, and a pause of the operator", nothing, steerRetryNowOnly},
	{"forgive: ends a pause by Hold", nothing, steerForgive},
	{"leaves other lanes alone", nothing, steerOthers},
}

func steerPause(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	if c.Paused {
		s.Error("Paused without having been paused")
	}
	s.steer("a", repeater.LanePause)
	for range 3 {
		c = s.claim("a", c.Token, 10)
		s.wantIDs(c)
		if !c.Paused {
			s.Error("Claim does not tell that the lane is paused")
		}
		s.clock.Sleep(s.tick)
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Paused: true, Held: true})
	s.steer("a", repeater.LaneResume)
	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "2")
	if c.Paused {
		s.Error("Paused after it was resumed")
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Held: true})
}

func steerPausedWorks(s *suite) {
	s.steer("a", repeater.LanePause)
	s.fill("a", "1", "2")
	c := s.take("a", 10)
	s.wantBusy("a")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.release("a", c.Token)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Paused: true})
	s.steer("a", repeater.LaneResume)
	s.wantDrained("a", "1", "2")
	s.wantNoLanes()
}

func steerPausedHand(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.take("a", 4)
	s.steer("a", repeater.LanePause)
	s.settle("a", c.Token, delivered("1"), died("2"), retried("3", 0))
	s.release("a", c.Token)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Dead: 1, Paused: true})
	s.steer("a", repeater.LaneResume)
	s.wantDrained("a", "3", "4")
}

func steerPausedDue(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 2)
	s.settle("a", c.Token, released("1"), retried("2", s.tick))
	s.steer("a", repeater.LanePause)
	s.clock.Sleep(2 * s.tick)
	s.wantIDs(s.claim("a", c.Token, 10))
	s.steer("a", repeater.LaneResume)
	s.wantIDs(s.claim("a", c.Token, 10), "2", "1", "3")
}

func steerHeld(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	for _, order := range []repeater.LaneOrder{repeater.LanePause, repeater.LaneResume, repeater.LaneRetryNow, repeater.LaneForgive} {
		s.steer("a", order)
		s.wantBusy("a")
	}
	s.settle("a", c.Token, delivered("1"))
	s.wantIDs(s.claim("a", c.Token, 10), "2")
}

func steerUnheard(s *suite) {
	s.steer("a", repeater.LanePause)
	s.steer("b", repeater.LaneResume)
	s.steer("c", repeater.LaneRetryNow)
	s.wantLane(repeater.LaneInfo{Name: "a", Paused: true})
	if got := names(s.lanes()); len(got) != 1 {
		s.Errorf("lanes are %q, want the paused one", got)
	}
	s.steer("a", repeater.LaneResume)
	s.wantNoLanes()
	for _, lane := range words("a b c") {
		s.fill(lane, "1")
		s.wantDrained(lane, "1")
	}
}

func steerRepeat(s *suite) {
	s.fill("a", "1")
	for range 2 {
		s.steer("a", repeater.LanePause)
	}
	s.steer("a", repeater.LaneResume)
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	s.steer("a", repeater.LaneResume)
	s.settle("a", c.Token, held("1", 100*s.tick))
	for range 2 {
		s.steer("a", repeater.LaneRetryNow)
	}
	c = s.claim("a", c.Token, 1)
	s.wantIDs(c, "1")
	for range 2 {
		s.steer("a", repeater.LaneForgive)
	}
	s.settle("a", c.Token, delivered("1"))
	s.wantNoLanes()
}

func steerResume(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 1)
	settled := s.span(func() { s.settle("a", c.Token, held("1", 20*s.tick)) })
	s.steer("a", repeater.LanePause)
	s.steer("a", repeater.LaneResume)
	s.wantIDs(s.await("a", c.Token, 1), "1")
	s.wantDue(settled, 20*s.tick)
}

func steerRetryNow(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	s.settle("a", c.Token, held("1", 1000*s.tick))
	s.wantIDs(s.claim("a", c.Token, 10))
	s.steer("a", repeater.LaneRetryNow)
	if info := s.lanes()[0]; info.Wait != 0 || info.Failures != 1 {
		s.Errorf("lane %+v", info)
	}
	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "1", "2")
	s.wantFailures("a", c.Token, 1)
	s.settle("a", c.Token, held("1", s.tick))
	s.wantIDs(s.await("a", c.Token, 10), "1")
	s.wantFailures("a", c.Token, 2)
}

func steerRetryNowOnly(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	s.settle("a", c.Token, retried("1", 1000*s.tick))
	s.steer("a", repeater.LaneRetryNow)
	s.wantIDs(s.claim("a", c.Token, 10), "2")
	s.settle("a", c.Token, released("2"))
	s.steer("a", repeater.LanePause)
	s.steer("a", repeater.LaneRetryNow)
	s.steer("a", repeater.LaneForgive)
	if c = s.claim("a", c.Token, 10); !c.Paused || len(c.Messages) > 0 {
		s.Errorf("claim of a paused lane: %+v", c)
	}
}

func steerForgive(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 1)
	s.settle("a", c.Token, held("1", 1000*s.tick))
	s.steer("a", repeater.LaneForgive)
	c = s.claim("a", c.Token, 1)
	s.wantIDs(c, "1")
	s.wantFailures("a", c.Token, 1)
}

func steerOthers(s *suite) {
	s.fill("a", "1")
	s.fill("b", "2")
	s.steer("a", repeater.LanePause)
	s.steer("a", repeater.LaneForgive)
	c := s.take("b", 1)
	s.wantIDs(c, "2")
	if c.Paused || c.Refusals != 0 {
		s.Errorf("another lane: %+v", c)
	}
}
