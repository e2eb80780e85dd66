package queuetest

import (
	"slices"
	"time"

	"github.com/webhook-repeater/repeater"
)

var ageTests = []test{
	{"is the time since it was pushed", nothing, ageGrows},
	{"goes on whatever becomes of the message", nothing, ageGoesOn},
	{"stands still while an operator pauses the lane", nothing, agePaused},
	{"of what is pushed to a paused lane begins when it is resumed", nothing, agePushedPaused},
	{"does not stand still for a pause by Hold", nothing, ageHeld},
	{"starts again when it is replayed", nothing, ageReplayed},
	{"counts each pause once, however often it is ordered", nothing, ageRepeated},
}

var attemptTests = []test{
	{"counts those recorded", nothing, attemptsCount},
	{"records nothing without a time", nothing, attemptsZero},
	{"Silent is how many of the last in a row had it", nothing, attemptsSilent},
	{"a dead letter's last attempt is recorded, too", nothing, attemptsDead},
}

var lostTests = []test{
	{"counts claims in a row that nobody ended", nothing, lostCounts},
	{"counts only what was in hand", nothing, lostInHand},
	{"a settlement or a release ends the row", nothing, lostEnds},
	{"a claim that is renewed in time is not lost", nothing, lostRenewed},
	{"is forgotten with a replay", nothing, lostReplayed},
}

// pushed pushes one message, and tells when.
func (s *suite) pushed(lane, id string) span {
	s.Helper()
	return s.span(func() { s.fill(lane, id) })
}

// wantAge claims the only message of a lane, and gives the lane back.
func (s *suite) wantAge(lane string, born span, paused ...gap) {
	s.Helper()
	var c repeater.Claim
	now := s.span(func() { c = s.take(lane, 1) })
	if len(c.Messages) != 1 {
		s.Fatalf("claimed %+v", c)
	}
	age := born.until(now)
	for _, p := range paused {
		age = age.minus(p)
	}
	s.wantGap("Age", c.Messages[0].Age, age)
	s.release(lane, c.Token)
}

// pausedFor pauses a lane for so long.
func (s *suite) pausedFor(lane string, d time.Duration) gap {
	s.Helper()
	pause := s.span(func() { s.steer(lane, repeater.LanePause) })
	s.clock.Sleep(d)
	return pause.until(s.span(func() { s.steer(lane, repeater.LaneResume) }))
}

func ageGrows(s *suite) {
	born := s.pushed("a", "1")
	s.wantAge("a", born)
	for range 3 {
		s.clock.Sleep(2 * s.tick)
		s.wantAge("a", born)
	}
}

func ageGoesOn(s *suite) {
	born := s.pushed("a", "1")
	for _, settlement := range []repeater.Settlement{retried("1", s.tick), held("1", s.tick), released("1"), held("1", 0)} {
		c := s.take("a", 1)
		s.clock.Sleep(s.tick)
		s.settle("a", c.Token, settlement)
		s.release("a", c.Token)
		s.clock.Sleep(2 * s.tick)
		s.wantAge("a", born)
	}
	s.lose("a", 1)
	s.fill("a", "1")
	s.wantAge("a", born)
}

func agePaused(s *suite) {
	born := s.pushed("a", "1")
	s.clock.Sleep(s.tick)
	first := s.pausedFor("a", 4*s.tick)
	s.wantAge("a", born, first)
	s.clock.Sleep(2 * s.tick)
	second := s.pausedFor("a", 4*s.tick)
	s.clock.Sleep(s.tick)
	s.wantAge("a", born, first, second)
}

func agePushedPaused(s *suite) {
	s.steer("a", repeater.LanePause)
	s.clock.Sleep(2 * s.tick)
	s.fill("a", "1")
	s.clock.Sleep(4 * s.tick)
	resumed := s.span(func() { s.steer("a", repeater.LaneResume) })
	s.wantAge("a", resumed)
	s.clock.Sleep(2 * s.tick)
	s.wantAge("a", resumed)
}

func ageHeld(s *suite) {
	born := s.pushed("a", "1")
	c := s.take("a", 1)
	s.settle("a", c.Token, held("1", 4*s.tick))
	s.release("a", c.Token)
	s.clock.Sleep(5 * s.tick)
	s.wantAge("a", born)
}

func ageReplayed(s *suite) {
	s.fill("a", "1")
	s.clock.Sleep(2 * s.tick)
	c := s.take("a", 1)
	s.settle("a", c.Token, died("1"))
	s.release("a", c.Token)
	s.clock.Sleep(2 * s.tick)
	replayed := s.span(func() { s.replay("a", 1, "1") })
	s.wantAge("a", replayed)
	s.clock.Sleep(2 * s.tick)
	s.wantAge("a", replayed)
}

func ageRepeated(s *suite) {
	born := s.pushed("a", "1")
	pause := s.span(func() { s.steer("a", repeater.LanePause) })
	s.clock.Sleep(2 * s.tick)
	s.steer("a", repeater.LanePause)
	s.clock.Sleep(2 * s.tick)
	paused := pause.until(s.span(func() { s.steer("a", repeater.LaneResume) }))
	s.clock.Sleep(2 * s.tick)
	s.steer("a", repeater.LaneResume)
	s.wantAge("a", born, paused)
}

// try settles the only message of a lane, and claims it again.
func (s *suite) try(token string, settlement repeater.Settlement) repeater.Claimed {
	s.Helper()
	s.settle("a", token, settlement)
	c := s.await("a", token, 1)
	s.wantIDs(c, "1")
	return c.Messages[0]
}

func attemptsCount(s *suite) {
	s.fill("a", "1")
	token := s.take("a", 1).Token
	for i := range 30 {
		settlement := held("1", 0)
		if i%2 == 0 {
			settlement = retried("1", 0)
		}
		if got := s.try(token, settlement); got.Attempts != i+1 {
			s.Fatalf("%d attempts, want %d", got.Attempts, i+1)
		}
	}
}

func attemptsZero(s *suite) {
	s.fill("a", "1")
	token := s.take("a", 1).Token
	s.try(token, held("1", 0))
	for _, settlement := range []repeater.Settlement{held("1", 0), retried("1", 0)} {
		settlement.Attempt = repeater.Attempt{Status: 500, Silent: true, Error: "not to be recorded"}
		if got := s.try(token, settlement); got.Attempts != 1 || got.Silent != 0 {
			s.Fatalf("claimed %+v", got)
		}
	}
	s.settle("a", token, repeater.Settlement{Key: key("1"), Kind: repeater.SettleDead})
	if got := s.dead("a")[0]; got.Attempts != 1 || len(got.History) != 1 {
		s.Errorf("dead letter %+v", got)
	}
}

func attemptsSilent(s *suite) {
	s.fill("a", "1")
	token := s.take("a", 1).Token
	want := 0
	for i, silent := range []bool{true, true, true, false, false, true, false, true, true} {
		want++
		if !silent {
			want = 0
		}
		settlement := held("1", 0)
		if i%2 == 0 {
			settlement = retried("1", 0)
		}
		settlement.Attempt.Silent = silent
		if got := s.try(token, settlement); got.Silent != want {
			s.Fatalf("after %d attempts the last %d were silent, want %d", i+1, got.Silent, want)
		}
	}
	s.release("a", token)
	if got := s.take("a", 1).Messages[0]; got.Silent != 2 || got.Attempts != 9 {
		s.Errorf("claimed %+v", got)
	}
}

func attemptsDead(s *suite) {
	s.fill("a", "1")
	token := s.take("a", 1).Token
	s.try(token, held("1", 0))
	s.settle("a", token, died("1"))
	if got := s.dead("a")[0]; got.Attempts != 2 || len(got.History) != 2 {
		s.Errorf("dead letter %+v", got)
	}
}

func (s *suite) wantLost(c repeater.Claim, want ...int) {
	s.Helper()
	var got []int
	for _, m := range c.Messages {
		got = append(got, m.Lost)
	}
	if !slices.Equal(got, want) {
		s.Fatalf("messages were lost %d times, want %d", got, want)
	}
}

func lostCounts(s *suite) {
	s.fill("a", "1")
	for i := range 4 {
		c := s.lose("a", 1)
		s.wantIDs(c, "1")
		s.wantLost(c, i)
	}
}

func lostInHand(s *suite) {
	s.fill("a", "1", "2", "3", "4")
	c := s.takeBriefly("a", 3)
	s.settle("a", c.Token, released("2"))
	s.clock.Sleep(2 * s.tick)
	c = s.take("a", 10)
	s.wantIDs(c, "1", "2", "3", "4")
	s.wantLost(c, 1, 0, 1, 0)
}

func lostEnds(s *suite) {
	s.fill("a", "1")
	for _, settlement := range []repeater.Settlement{released("1"), held("1", 0), retried("1", 0)} {
		s.lose("a", 1)
		c := s.take("a", 1)
		s.wantLost(c, 1)
		s.wantLost(repeater.Claim{Messages: []repeater.Claimed{s.try(c.Token, settlement)}}, 0)
		s.release("a", c.Token)
	}
	s.lose("a", 1)
	c := s.take("a", 1)
	s.wantLost(c, 1)
	s.release("a", c.Token)
	s.wantLost(s.take("a", 1), 0)
}

func lostRenewed(s *suite) {
	s.fill("a", "1")
	c := s.takeBriefly("a", 1)
	s.claim("a", c.Token, 0)
	s.clock.Sleep(2 * s.tick)
	s.wantLost(repeater.Claim{Messages: []repeater.Claimed{s.try(c.Token, held("1", 0))}}, 0)
}

func lostReplayed(s *suite) {
	s.fill("a", "1")
	s.lose("a", 1)
	c := s.take("a", 1)
	s.settle("a", c.Token, died("1"))
	s.replay("a", 1, "1")
	s.wantLost(s.claim("a", c.Token, 1), 0)
}
