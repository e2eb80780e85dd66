package queuetest

import "github.com/webhook-repeater/repeater"

var holdTests = []test{
	{"pauses the lane, and keeps the place", nothing, holdPauses},
	{"lets what is in hand be settled, and given back", nothing, holdInHand},
	{"is told by Claim and Lanes", nothing, holdTold},
	{"leaves other lanes alone", nothing, holdOthers},
	{"goes on when the lane has another holder", nothing, holdStays},
	{"never shortens a pause", nothing, holdLonger},
	{"with an After of 0 only keeps the place", nothing, holdZero},
	{"holds back what is due, too", nothing, holdDue},
	{"counts one failure each time", nothing, failuresCount},
	{"failures end with a delivery, a retry without Hold, or a refusal", nothing, failuresEnd},
	{"failures do not end with other deaths, releases, or what the lane goes through", nothing, failuresStay},
}

var refusalTests = []test{
	{"counts dead letters that were Refused", nothing, refusalsCount},
	{"a delivery ends the row, and nothing else does", nothing, refusalsEnd},
	{"in one step the settlements count in their order", nothing, refusalsOrder},
	{"forgiven, no number of refusals counts until the next delivery", nothing, refusalsForgiven},
}

func holdPauses(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 1)
	settled := s.span(func() { s.settle("a", c.Token, held("1", 20*s.tick)) })
	early := s.claim("a", c.Token, 10)
	s.wantIDs(early)
	if early.More || early.Paused || early.Wait <= 0 || early.Wait > 20*s.tick+grain {
		s.Errorf("claim during the pause: %+v", early)
	}
	c = s.await("a", c.Token, 10)
	s.wantDue(settled, 20*s.tick)
	s.wantIDs(c, "1", "2", "3")
	if m := c.Messages[0]; m.Attempts != 1 || c.Messages[1].Attempts != 0 {
		s.Errorf("attempts are %d and %d, want 1 and 0", m.Attempts, c.Messages[1].Attempts)
	}
}

func holdInHand(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.take("a", 4)
	s.settle("a", c.Token, held("2", 20*s.tick))
	s.settle("a", c.Token, delivered("1"), released("4"))
	s.wantIDs(s.claim("a", c.Token, 10))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 3, Bytes: 21, Held: true}) // well again since 1
	s.release("a", c.Token)
	s.clock.Sleep(21 * s.tick)
	s.wantDrained("a", "2", "3", "4")
}

func holdTold(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 1)
	settled := s.span(func() { s.settle("a", c.Token, held("1", 50*s.tick)) })
	s.clock.Sleep(s.tick)
	var info repeater.LaneInfo
	listed := s.span(func() { info = s.lanes()[0] })
	claimed := s.span(func() { c = s.claim("a", c.Token, 1) })
	if c.Failures != 1 || info.Failures != 1 || c.Paused || info.Paused {
		s.Errorf("Claim tells %+v, Lanes %+v", c, info)
	}
	s.wantGap("LaneInfo.Wait", info.Wait, exactly(50*s.tick).minus(settled.until(listed)))
	s.wantGap("Claim.Wait", c.Wait, exactly(50*s.tick).minus(settled.until(claimed)))
}

func holdOthers(s *suite) {
	s.fill("a", "1")
	s.fill("b", "2")
	c := s.take("a", 1)
	s.settle("a", c.Token, held("1", 100*s.tick))
	s.wantDrained("b", "2")
}

func holdStays(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 1)
	settled := s.span(func() { s.settle("a", c.Token, held("1", 20*s.tick)) })
	s.release("a", c.Token)
	s.fill("a", "2")
	c = s.take("a", 1)
	s.wantIDs(c)
	if c.Failures != 1 {
		s.Errorf("another holder is told of %d failures", c.Failures)
	}
	s.wantIDs(s.await("a", c.Token, 10), "1", "2")
	s.wantDue(settled, 20*s.tick)
}

func holdLonger(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 3)
	first := s.span(func() { s.settle("a", c.Token, held("2", 20*s.tick)) })
	s.settle("a", c.Token, held("1", s.tick), held("3", 0))
	s.wantIDs(s.await("a", c.Token, 10), "1", "2", "3")
	s.wantDue(first, 20*s.tick)
	s.settle("a", c.Token, held("1", s.tick))
	second := s.span(func() { s.settle("a", c.Token, held("2", 20*s.tick)) })
	s.wantIDs(s.await("a", c.Token, 10), "1", "2")
	s.wantDue(second, 20*s.tick)
}

func holdZero(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 1)
	s.settle("a", c.Token, held("1", 0))
	c = s.claim("a", c.Token, 2)
	s.wantIDs(c, "1", "2")
	if c.Failures != 0 || c.Messages[0].Attempts != 1 {
		s.Errorf("claimed again: %+v", c)
	}
	paused := s.span(func() { s.settle("a", c.Token, held("2", 20*s.tick)) })
	s.settle("a", c.Token, held("1", 0))
	c = s.await("a", c.Token, 10)
	s.wantDue(paused, 20*s.tick)
	s.wantIDs(c, "1", "2", "3")
	if c.Failures != 1 {
		s.Errorf("%d failures, want 1", c.Failures)
	}
}

func holdDue(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 2)
	paused := s.span(func() { s.settle("a", c.Token, retried("1", s.tick), held("2", 20*s.tick)) })
	s.clock.Sleep(2 * s.tick)
	s.wantIDs(s.await("a", c.Token, 10), "1", "2")
	s.wantDue(paused, 20*s.tick)
}

// fail lets the head of the lane fail, for as short as it can be.
func (s *suite) fail(lane, token string) repeater.Claim {
	s.Helper()
	c := s.claim(lane, token, 1)
	if len(c.Messages) == 0 {
		s.Fatalf("nothing to fail: %+v", c)
	}
	s.settle(lane, token, held(c.Messages[0].Key.ID, grain))
	s.clock.Sleep(2 * grain)
	return s.await(lane, token, 1)
}

func (s *suite) wantFailures(lane, token string, want int) {
	s.Helper()
	if got := s.claim(lane, token, 0).Failures; got != want {
		s.Fatalf("Claim.Failures is %d, want %d", got, want)
	}
	if got := s.lane(lane).Failures; got != want {
		s.Fatalf("LaneInfo.Failures is %d, want %d", got, want)
	}
}

// unwell makes a lane whose first message has failed twice, and is in hand; another waits.
func (s *suite) unwell(lane string) (token, head, next string) {
	s.Helper()
	head, next = lane+"1", lane+"2"
	s.fill(lane, head, next)
	token = s.take(lane, 0).Token
	for range 2 {
		s.fail(lane, token)
		s.settle(lane, token, released(head))
	}
	s.wantFailures(lane, token, 2)
	s.wantIDs(s.claim(lane, token, 1), head)
	return token, head, next
}

func failuresCount(s *suite) {
	s.fill("a", "1")
	token := s.take("a", 0).Token
	for i := range 12 {
		s.wantFailures("a", token, i)
		if got := s.fail("a", token); got.Failures != i+1 {
			s.Fatalf("Claim.Failures is %d, want %d", got.Failures, i+1)
		}
		s.settle("a", token, released("1"))
	}
	s.wantIDs(s.claim("a", token, 1), "1")
	s.settle("a", token, delivered("1"))
	s.wantNoLanes()
}

func failuresEnd(s *suite) {
	for lane, end := range map[string]func(id string) repeater.Settlement{
		"delivered": delivered, "refused": refused, "retried": func(id string) repeater.Settlement { return retried(id, 0) },
	} {
		token, head, _ := s.unwell(lane)
		s.settle(lane, token, end(head))
		s.wantFailures(lane, token, 0)
	}
}

func failuresStay(s *suite) {
	token, head, next := s.unwell("a")
	s.wantIDs(s.claim("a", token, 1), next)
	s.settle("a", token, released(head), died(next))
	s.wantFailures("a", token, 2)
	for _, order := range []repeater.LaneOrder{repeater.LanePause, repeater.LaneResume, repeater.LaneRetryNow, repeater.LaneForgive} {
		s.steer("a", order)
	}
	s.fill("a", "3")
	s.replay("a", 1, next)
	s.release("a", token)
	s.wantFailures("a", s.take("a", 0).Token, 2)
}

func (s *suite) wantRefusals(lane, token string, want int) {
	s.Helper()
	if got := s.claim(lane, token, 0).Refusals; got != want {
		s.Fatalf("Claim.Refusals is %d, want %d", got, want)
	}
	if got := s.lane(lane).Refusals; got != want {
		s.Fatalf("LaneInfo.Refusals is %d, want %d", got, want)
	}
}

func refusalsCount(s *suite) {
	list := words("1 2 3 4 5 6 7")
	s.fill("a", list...)
	c := s.take("a", 10)
	for i, id := range list {
		s.wantRefusals("a", c.Token, i)
		s.settle("a", c.Token, refused(id))
	}
	s.wantRefusals("a", c.Token, len(list))
	s.release("a", c.Token)
	s.wantRefusals("a", s.take("a", 0).Token, len(list))
}

func refusalsEnd(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5")
	c := s.take("a", 10)
	s.settle("a", c.Token, refused("1"), refused("2"))
	for _, other := range []repeater.Settlement{retried("3", 0), held("4", 0), released("5")} {
		s.settle("a", c.Token, other)
		s.wantRefusals("a", c.Token, 2)
	}
	s.wantIDs(s.await("a", c.Token, 10), "3", "4", "5")
	for _, other := range []repeater.Settlement{died("3"), held("4", grain)} {
		s.settle("a", c.Token, other)
		s.wantRefusals("a", c.Token, 2)
	}
	s.replay("a", 2, "1", "2")
	s.wantRefusals("a", c.Token, 2)
	s.settle("a", c.Token, delivered("5"))
	s.wantRefusals("a", c.Token, 0)
	s.clock.Sleep(2 * grain)
	s.wantIDs(s.await("a", c.Token, 1), "4")
	s.settle("a", c.Token, refused("4"))
	s.wantRefusals("a", c.Token, 1)
}

func refusalsOrder(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5", "6")
	c := s.take("a", 10)
	s.settle("a", c.Token, refused("1"), delivered("2"), refused("3"), refused("4"))
	s.wantRefusals("a", c.Token, 2)
	s.settle("a", c.Token, refused("5"), delivered("6"))
	s.wantRefusals("a", c.Token, 0)
}

func refusalsForgiven(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5")
	c := s.take("a", 10)
	s.settle("a", c.Token, refused("1"), refused("2"))
	s.steer("a", repeater.LaneForgive)
	s.wantRefusals("a", c.Token, repeater.Forgiven)
	s.settle("a", c.Token, refused("3"))
	if got := s.claim("a", c.Token, 0).Refusals; got > 0 {
		s.Errorf("after a forgiven refusal there are %d", got)
	}
	s.settle("a", c.Token, delivered("4"))
	s.wantRefusals("a", c.Token, 0)
	s.settle("a", c.Token, refused("5"))
	s.wantRefusals("a", c.Token, 1)
}
