package queuetest

import (
	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var restartTests = []test{
	{"keeps messages and their order", restart, restartOrder},
	{"puts what was in hand back in its place", restart, restartInHand},
	{"keeps retries on their schedule", restart, restartDue},
	{"keeps a pause by Hold, its failures, and refusals", restart, restartHeld},
	{"keeps a pause of the operator, and ages stand still across it", restart, restartPaused},
	{"keeps attempts, silence and age", restart, restartAttempts},
	{"keeps what is held back by an order key", restart, restartOrderKeys},
	{"keeps dead letters, their order and their history", restart, restartDead},
	{"keeps keys, marks and counts", restart, restartKnown},
	{"answers ErrClosed afterwards", restart, restartClosed},
}

// restart closes the store and opens it again.
func (s *suite) restart() {
	s.Helper()
	s.Queue = s.h.Restart(s.T, s.Queue)
}

func restartOrder(s *suite) {
	s.push(batch("2", "a", "b"), batch("1", "a", "a"), batch("3", "b"))
	c := s.take("a", 1)
	s.settle("a", c.Token, delivered("2"))
	s.release("a", c.Token)
	for i := range 2 {
		s.restart()
		s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2 + i, Bytes: int64(14 + 7*i)})
		s.fill("a", words("4 5")[i])
	}
	s.wantDrained("a", "1", "1", "4", "5")
	s.restart()
	s.wantLane(repeater.LaneInfo{Name: "a"})
	s.wantDrained("b", "2", "3")
	s.restart()
	s.wantNoLanes()
	s.fill("a", "6")
	s.wantDrained("a", "6")
}

func restartInHand(s *suite) {
	s.fill("a", "1", "2", "3", "4", "5")
	c := s.takeBriefly("a", 4)
	s.settle("a", c.Token, delivered("2"), retried("3", 0))
	s.restart()
	s.clock.Sleep(2 * s.tick)
	s.wantDrained("a", "3", "1", "4", "5")
}

func restartDue(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 2)
	settled := s.span(func() { s.settle("a", c.Token, retried("1", 40*s.tick), retried("2", 20*s.tick)) })
	s.release("a", c.Token)
	s.restart()
	c = s.take("a", 10)
	s.wantIDs(c, "3")
	s.wantIDs(s.await("a", c.Token, 10), "2")
	s.wantDue(settled, 20*s.tick)
	s.wantIDs(s.await("a", c.Token, 10), "1")
	s.wantDue(settled, 40*s.tick)
}

func restartHeld(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 2)
	s.settle("a", c.Token, refused("1"))
	settled := s.span(func() { s.settle("a", c.Token, held("2", 20*s.tick)) })
	s.release("a", c.Token)
	s.restart()
	c = s.take("a", 10)
	s.wantIDs(c)
	s.wantFailures("a", c.Token, 1)
	s.wantRefusals("a", c.Token, 1)
	s.wantIDs(s.await("a", c.Token, 10), "2", "3")
	s.wantDue(settled, 20*s.tick)
	s.steer("a", repeater.LaneForgive)
	s.release("a", c.Token)
	s.restart()
	s.wantRefusals("a", s.take("a", 0).Token, repeater.Forgiven)
}

func restartPaused(s *suite) {
	born := s.pushed("a", "1")
	s.clock.Sleep(s.tick)
	pause := s.span(func() { s.steer("a", repeater.LanePause) })
	s.steer("b", repeater.LanePause)
	s.restart()
	s.clock.Sleep(4 * s.tick)
	s.restart()
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Paused: true})
	s.wantLane(repeater.LaneInfo{Name: "b", Paused: true})
	c := s.take("a", 1)
	s.wantIDs(c)
	s.release("a", c.Token)
	first := pause.until(s.span(func() { s.steer("a", repeater.LaneResume) }))
	s.wantAge("a", born, first)
	s.restart()
	s.clock.Sleep(s.tick)
	second := s.pausedFor("a", 2*s.tick)
	s.restart()
	s.wantAge("a", born, first, second)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
}

func restartAttempts(s *suite) {
	born := s.pushed("a", "1")
	token := s.take("a", 1).Token
	s.try(token, held("1", 0))
	silent := retried("1", 0)
	silent.Attempt.Silent = true
	s.try(token, silent)
	silent.Hold = true
	s.try(token, silent)
	s.release("a", token)
	s.restart()
	s.clock.Sleep(s.tick)
	s.wantAge("a", born)
	c := s.take("a", 1)
	if m := c.Messages[0]; m.Attempts != 3 || m.Silent != 2 {
		s.Errorf("%d attempts, the last %d silent, want 3 and 2", m.Attempts, m.Silent)
	}
}

func restartOrderKeys(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), ordered("3", "a", "j"), ordered("4", "a", "k"))
	c := s.take("a", 1)
	s.settle("a", c.Token, delivered("1"))
	s.release("a", c.Token)
	s.restart()
	s.push(ordered("5", "a", "j"))
	c = s.take("a", 10)
	s.wantIDs(c, "2", "3")
	s.settle("a", c.Token, died("2"), released("3"))
	s.release("a", c.Token)
	s.restart()
	s.wantDrained("a", "3", "4", "5")
}

func restartDead(s *suite) {
	s.bury("a", "1", "2")
	s.fill("a", "3")
	token := s.take("a", 1).Token
	s.try3(token)
	s.release("a", token)
	before := s.dead("a")
	next := s.deadPage("a", "", 1, "3")
	s.restart()
	if diff := cmp.Diff(before, s.dead("a")); diff != "" {
		s.Errorf("dead letters, before and after:\n%s", diff)
	}
	s.deadPage("a", next, 5, "2", "1")
	s.bury("a", "4")
	s.wantDead("a", "4", "3", "2", "1")
	s.wantPayload("a", key("3"), payload("3", "a"))
	s.replay("a", 1, "2")
	s.drop("a", 1, "1")
	s.restart()
	s.wantDead("a", "4", "3")
	s.wantDrained("a", "2")
}

// try3 lets the message in hand fail, and die of it.
func (s *suite) try3(token string) {
	s.Helper()
	one := held("3", 0)
	one.Attempt = attempt(1)
	one.Attempt.Silent = true
	s.settle("a", token, one)
	s.claim("a", token, 1)
	last := refused("3")
	last.Reason, last.Answer, last.Attempt = "refused", []byte("<html>"), attempt(2)
	last.Attempt.Error = "an error"
	s.settle("a", token, last)
}

func restartKnown(s *suite) {
	s.push(marked("1", "m", s.forever(), "a"))
	s.fill("a", "2")
	s.bury("b", "3")
	s.restart()
	s.pushAs("1", marked("4", "m", s.forever(), "a"))
	s.again("1", "a")
	s.again("3", "b")
	s.wantFull(bounded(2, 0, batch("5", "a")))
	s.wantFull(bounded(0, 14, batch("5", "a")))
	s.push(bounded(3, 15, batch("5", "a")))
	s.wantDrained("a", "1", "2", "5")
	s.wantDead("b", "3")
}

func restartClosed(s *suite) {
	s.fill("a", "1")
	old, ctx := s.Queue, s.Context()
	s.restart()
	_, err := old.Push(ctx, batch("2", "a"))
	s.wantErr("Push", err, repeater.ErrClosed)
	_, err = old.Claim(ctx, repeater.ClaimRequest{Lane: "a", Max: 1, TTL: s.forever()})
	s.wantErr("Claim", err, repeater.ErrClosed)
	s.wantErr("Settle", old.Settle(ctx, "a", "token", []repeater.Settlement{delivered("1")}), repeater.ErrClosed)
	s.wantErr("Release", old.Release(ctx, "a", "token"), repeater.ErrClosed)
	s.wantErr("Steer", old.Steer(ctx, "a", repeater.LanePause), repeater.ErrClosed)
	_, err = old.Lanes(ctx, "", 1)
	s.wantErr("Lanes", err, repeater.ErrClosed)
	_, _, err = old.Dead(ctx, "a", "", 1)
	s.wantErr("Dead", err, repeater.ErrClosed)
	_, err = old.Letter(ctx, "a", key("1"))
	s.wantErr("Letter", err, repeater.ErrClosed)
	_, err = old.Payload(ctx, "a", key("1"))
	s.wantErr("Payload", err, repeater.ErrClosed)
	_, err = old.Replay(ctx, "a", keys("1"))
	s.wantErr("Replay", err, repeater.ErrClosed)
	_, err = old.Drop(ctx, "a", keys("1"))
	s.wantErr("Drop", err, repeater.ErrClosed)
	_, err = old.Prune(ctx, "a", 0, 1)
	s.wantErr("Prune", err, repeater.ErrClosed)
	s.wantDrained("a", "1")
}
