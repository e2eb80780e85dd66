package queuetest

import (
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var settleTests = []test{
	{"delivered is forgotten", nothing, settleDelivered},
	{"dead is kept with its reason", nothing, settleDead},
	{"released waits again in its old place, as if never handed out", nothing, settleRelease},
	{"all settlements happen in one step, whatever they are", nothing, settleMixed},
	{"what is settled is seen by the other methods at once", nothing, settleSeen},
	{"a message that is not claimed under this token is passed over", nothing, settlePassedOver},
	{"of two settlements of one message the first counts", nothing, settleTwice},
	{"a token that holds nothing is stale", nothing, settleStale},
	{"nothing to settle is no mistake", nothing, settleNothing},
	{"settles very many at once", nothing, settleMany},
}

var retryTests = []test{
	{"waits for its time, and then comes first, while the lane goes on", nothing, retryGoesOn},
	{"comes in the order of their times", nothing, retryInTime},
	{"is due at once after 0", nothing, retryAtOnce},
	{"goes back to its old place when it is given back", nothing, retryGivenBack},
	{"says how long to wait for the next", nothing, retryWait},
	{"does not wait for ever when it is due far in the future", nothing, retryFar},
}

var releaseTests = []test{
	{"gives the lane back", nothing, releaseLane},
	{"gives back what is in hand, as if it had never been handed out", nothing, releaseHand},
	{"makes the token stale", nothing, releaseToken},
	{"a stale token is no error", nothing, releaseStale},
}

func settleDelivered(s *suite) {
	s.push(batch("1", "a", "b"))
	c := s.take("a", 1)
	s.settle("a", c.Token, delivered("1"))
	s.wantLane(repeater.LaneInfo{Name: "a"})
	_, err := s.Payload(s.Context(), "a", key("1"))
	s.wantErr("Payload of a delivered message", err, repeater.ErrNotFound)
	s.wantIDs(s.claim("a", c.Token, 10))
	s.wantPayload("b", repeater.Key{ID: "1", Dest: 1}, payload("1", "b"))
}

func settleDead(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	one := died("1")
	one.Reason = "no\nway: \x00\xff " + strconv.Itoa(1)
	s.settle("a", c.Token, one)
	s.wantIDs(s.claim("a", c.Token, 10), "2")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Dead: 1, Held: true})
	if got := s.dead("a")[0]; got.Key != key("1") || got.Reason != one.Reason {
		s.Errorf("dead letter %+v", got)
	}
}

func settleRelease(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.take("a", 3)
	one := released("1")
	one.After, one.Hold, one.Attempt = 100*s.tick, true, attempt(1) // which mean nothing here
	s.settle("a", c.Token, released("3"), one)
	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "1", "3", "4")
	if c.Failures != 0 || c.Messages[0].Attempts != 0 {
		s.Errorf("release has left traces: %+v", c)
	}
}

func settleMixed(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5", "6")
	c := s.take("a", 5)
	s.settle("a", c.Token, released("5"), retried("4", 0), died("3"), delivered("1"), held("2", 0))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 4, Bytes: 28, Dead: 1, Held: true})
	s.wantIDs(s.claim("a", c.Token, 10), "4", "2", "5", "6")
}

func settleSeen(s *suite) {
	s.fill("a", words("0 1 2 3 4 5 6 7 8 9")...)
	c := s.take("a", 10)
	for i, m := range c.Messages {
		settlement := delivered(m.Key.ID)
		if i%2 == 1 {
			settlement = died(m.Key.ID)
		}
		s.settle("a", c.Token, settlement)
		s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 9 - i, Bytes: int64(7 * (9 - i)), Dead: (i + 1) / 2, Held: true})
		_, err := s.Payload(s.Context(), "a", m.Key)
		if i%2 == 0 {
			s.wantErr("Payload of a delivered message", err, repeater.ErrNotFound)
		} else if got := s.dead("a")[0].Key; got != m.Key || err != nil {
			s.Errorf("latest dead letter is %v, want %v; its payload: %v", got, m.Key, err)
		}
	}
}

func settlePassedOver(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	s.fill("b", "5")
	c := s.take("a", 1)
	s.settle("a", c.Token, released("1"))
	s.wantIDs(s.claim("a", c.Token, 2), "1", "2")
	for _, settlement := range []repeater.Settlement{delivered("3"), died("3"), retried("3", s.tick), held("3", 100*s.tick)} {
		s.settle("a", c.Token, settlement)
	}
	s.settle("a", c.Token, delivered("unknown"), delivered("5"), repeater.Settlement{Key: repeater.Key{ID: "2", Dest: 1}}, delivered("2"))
	s.settle("a", c.Token, died("2"))
	s.settle("a", c.Token, released("1"))
	s.settle("a", c.Token, delivered("1")) // given back
	s.wantIDs(s.claim("a", c.Token, 10), "1", "3", "4")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 3, Bytes: 21, Held: true})
	s.wantLane(repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
}

func settleTwice(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 10)
	s.settle("a", c.Token, died("1"), delivered("1"), delivered("2"), retried("2", 0))
	s.wantLane(repeater.LaneInfo{Name: "a", Dead: 1, Held: true})
	s.wantIDs(s.claim("a", c.Token, 10))
}

func settleStale(s *suite) {
	s.fill("a", "1")
	s.fill("free", "2")
	c := s.take("a", 1)
	for _, lane := range []string{"a", "free", "unheard"} {
		for _, token := range []string{"", "forged", c.Token + "x"} {
			err := s.Settle(s.Context(), lane, token, append(all(c.Messages, 0), delivered("2")))
			s.wantErr("Settle with a token that nobody was given", err, repeater.ErrStale)
		}
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Held: true})
	s.settle("a", c.Token, delivered("1"))
	s.wantDrained("free", "2")
}

func settleNothing(s *suite) {
	c := s.take("a", 1)
	s.settle("a", c.Token)
	s.wantNoLanes()
}

func settleMany(s *suite) {
	b := repeater.Batch{ID: "1"}
	for i := range 1000 {
		b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: "a", Payload: make([]byte, i)})
	}
	s.push(b)
	c := s.take("a", 1000)
	s.settle("a", c.Token, append(all(c.Messages[:400], repeater.SettleDelivered), all(c.Messages[400:], repeater.SettleDead)...)...)
	s.wantLane(repeater.LaneInfo{Name: "a", Dead: 600, Held: true})
	letters := s.dead("a")
	for i, l := range letters {
		if l.Key.Dest != 999-i || l.Size != 999-i {
			s.Fatalf("dead letter %d is %+v", i, l)
		}
	}
	if len(letters) != 600 {
		s.Errorf("%d dead letters", len(letters))
	}
}

func retryGoesOn(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.take("a", 2)
	s.settle("a", c.Token, retried("1", 20*s.tick), delivered("2"))
	s.wantIDs(s.claim("a", c.Token, 1), "3")
	s.settle("a", c.Token, released("3"))
	s.clock.Sleep(20*s.tick + grain)
	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "1", "3", "4")
	if c.Messages[0].Attempts != 1 {
		s.Errorf("%d attempts, want 1", c.Messages[0].Attempts)
	}
}

func retryInTime(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.take("a", 3)
	s.settle("a", c.Token, retried("1", 3*s.tick), retried("2", s.tick), retried("3", 2*s.tick))
	s.clock.Sleep(4 * s.tick)
	s.wantIDs(s.claim("a", c.Token, 10), "2", "3", "1", "4")
}

func retryAtOnce(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 2)
	s.settle("a", c.Token, delivered("1"), retried("2", 0))
	s.wantIDs(s.await("a", c.Token, 1), "2")
}

func retryGivenBack(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 2)
	s.settle("a", c.Token, released("1"), retried("2", 0))
	s.wantIDs(s.claim("a", c.Token, 10), "2", "1", "3")
	s.settle("a", c.Token, released("1"), released("2"))
	s.wantIDs(s.claim("a", c.Token, 2), "2", "1")
	s.release("a", c.Token)
	s.wantIDs(s.lose("a", 1), "2")
	s.wantDrained("a", "2", "1", "3")
}

func retryWait(s *suite) {
	soon, later := 20*s.tick, 30*s.tick
	s.fill("a", "1", "2", "3")
	c := s.take("a", 2)
	settled := s.span(func() { s.settle("a", c.Token, retried("1", later), retried("2", soon)) })
	for _, want := range [][]string{{"3"}, nil} {
		c = s.claim("a", c.Token, 10)
		s.wantIDs(c, want...)
		if c.More || c.Wait <= 0 || c.Wait > soon+grain {
			s.Errorf("before something is due: %+v", c)
		}
	}
	s.wantIDs(s.await("a", c.Token, 1), "2")
	s.wantDue(settled, soon)
	s.wantIDs(s.await("a", c.Token, 1), "1")
	s.wantDue(settled, later)
}

func retryFar(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	s.settle("a", c.Token, retried("1", 10*365*24*time.Hour))
	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "2")
	if diff := cmp.Diff(10*365*24*time.Hour, c.Wait.Round(time.Hour)); diff != "" {
		s.Errorf("wait (-want +got):\n%s", diff)
	}
}

func releaseLane(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 0)
	s.wantBusy("a")
	s.release("a", c.Token)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	s.wantIDs(s.take("a", 1), "1")
}

func releaseHand(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.take("a", 3)
	s.settle("a", c.Token, delivered("2"))
	s.release("a", c.Token)
	c = s.take("a", 10)
	s.wantIDs(c, "1", "3", "4")
	if m := c.Messages[0]; m.Attempts != 0 || m.Lost != 0 || c.Failures != 0 {
		s.Errorf("claimed again: %+v", c)
	}
}

func releaseToken(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 1)
	s.release("a", c.Token)
	s.wantErr("Settle after Release", s.Settle(s.Context(), "a", c.Token, all(c.Messages, 0)), repeater.ErrStale)
	_, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: "a", Token: c.Token, Max: 1, TTL: s.forever()})
	s.wantErr("Claim after Release", err, repeater.ErrStale)
	s.wantDrained("a", "1")
}

func releaseStale(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 1)
	for _, token := range []string{"", "forged", c.Token + "x"} {
		s.release("a", token)
		s.release("b", token)
	}
	s.wantBusy("a")
	s.release("a", c.Token)
	s.release("a", c.Token)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
}
