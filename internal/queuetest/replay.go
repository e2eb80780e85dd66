package queuetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var replayTests = []test{
	{"puts letters at the end of their lane, in the order given", nothing, replayOrder},
	{"begins anew, without attempts or history", nothing, replayFresh},
	{"keeps key, route, payload and time of receipt", nothing, replayKeeps},
	{"passes over what is no dead letter of this lane", nothing, replayOthers},
	{"a replayed letter is not dead any more", nothing, replayAlive},
	{"can be done again and again", nothing, replayAgain},
}

var pruneTests = []test{
	{"deletes letters that died longer ago", nothing, pruneOld},
	{"deletes at most max, the oldest first", nothing, pruneMax},
	{"deletes what it deletes for good", nothing, pruneForGood},
	{"counts from the last death", nothing, pruneLastDeath},
}

func (s *suite) replayKeys(lane string, want int, keys ...repeater.Key) {
	s.Helper()
	if n, err := s.Replay(s.Context(), lane, keys); n != want || err != nil {
		s.Fatalf("Replay(%.20q, %v) = %d, %v, want %d", lane, keys, n, err, want)
	}
}

// replay replays letters, and checks how many there were.
func (s *suite) replay(lane string, want int, ids ...string) {
	s.Helper()
	s.replayKeys(lane, want, keys(ids...)...)
}

func replayOrder(s *suite) {
	s.bury("a", "1", "2", "3", "4")
	s.fill("a", "5", "6")
	s.replay("a", 3, "3", "1", "4")
	s.fill("a", "7")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 6, Bytes: 42, Dead: 1})
	s.wantDrained("a", "5", "6", "3", "1", "4", "7")
	s.wantDead("a", "2")
}

func replayFresh(s *suite) {
	s.fill("a", "1")
	token := s.take("a", 1).Token
	silent := held("1", 0)
	silent.Attempt.Silent = true
	s.try(token, silent)
	s.try(token, silent)
	last := refused("1")
	last.Answer = []byte("no")
	s.settle("a", token, last)
	s.replay("a", 1, "1")
	c := s.claim("a", token, 1)
	s.wantIDs(c, "1")
	if m := c.Messages[0]; m.Attempts != 0 || m.Silent != 0 {
		s.Errorf("replayed: %+v", m)
	}
	again := died("1")
	again.Reason, again.Attempt = "again", attempt(7)
	s.settle("a", token, again)
	got := s.dead("a")[0]
	if diff := cmp.Diff([]repeater.Attempt{attempt(7)}, got.History); diff != "" || got.Attempts != 1 || got.Reason != "again" || got.Answer != nil {
		s.Errorf("dead again: %+v\nhistory (-want +got):\n%s", got, diff)
	}
}

func replayKeeps(s *suite) {
	s.bury("a", "1")
	s.replay("a", 1, "1")
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	c.Messages[0].Age = 0
	want := repeater.Claimed{Key: key("1"), Route: "route", Received: received, Payload: []byte(payload("1", "a"))}
	if diff := cmp.Diff(want, c.Messages[0]); diff != "" {
		s.Errorf("replayed (-want +got):\n%s", diff)
	}
}

func replayOthers(s *suite) {
	s.bury("b", "1")
	s.bury("a", "2")
	s.fill("a", "3", "4")
	c := s.take("a", 1)
	s.replay("a", 1, "1", "3", "2", "2", "4", "unknown")
	s.replay("unheard", 0, "1")
	s.replay("a", 0)
	s.settle("a", c.Token, delivered("3"))
	s.release("a", c.Token)
	s.wantDrained("a", "4", "2")
	s.wantDead("b", "1")
	s.wantDrained("b")
}

func replayAlive(s *suite) {
	s.bury("a", "1")
	s.replay("a", 1, "1")
	s.replay("a", 0, "1")
	s.drop("a", 0, "1")
	s.wantDead("a")
	s.again("1", "a")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	s.wantDrained("a", "1")
	s.wantNoLanes()
}

func replayAgain(s *suite) {
	s.bury("a", "1", "2")
	for range 3 {
		s.replay("a", 2, "1", "2")
		c := s.take("a", 2)
		s.wantIDs(c, "1", "2")
		s.settle("a", c.Token, died("2"), died("1"))
		s.release("a", c.Token)
		s.wantDead("a", "1", "2")
	}
}

func pruneOld(s *suite) {
	s.bury("a", "1", "2")
	s.bury("b", "3")
	s.clock.Sleep(30 * s.tick)
	s.bury("a", "4", "5")
	s.prune("a", 100*s.tick, 10, 0)
	s.prune("a", 15*s.tick, 10, 2)
	s.prune("a", 15*s.tick, 10, 0)
	s.wantDead("a", "5", "4")
	s.wantDead("b", "3")
	s.wantLane(repeater.LaneInfo{Name: "a", Dead: 2})
	s.clock.Sleep(grain)
	s.prune("a", 0, 10, 2)
	s.prune("unheard", 0, 10, 0)
	if got := names(s.lanes()); len(got) != 1 || got[0] != "b" {
		s.Errorf("lanes are %q", got)
	}
}

func pruneMax(s *suite) {
	s.bury("a", "2", "1", "4", "3", "5")
	s.clock.Sleep(s.tick)
	s.prune("a", 0, 2, 2)
	s.wantDead("a", "5", "3", "4")
	s.prune("a", 0, 0, 0)
	s.prune("a", 0, 1, 1)
	s.wantDead("a", "5", "3")
	s.prune("a", 0, 3, 2)
	s.wantNoLanes()
}

func pruneForGood(s *suite) {
	s.bury("a", "1")
	s.clock.Sleep(s.tick)
	s.prune("a", 0, 1, 1)
	_, err := s.Payload(s.Context(), "a", key("1"))
	s.wantErr("Payload of a pruned letter", err, repeater.ErrNotFound)
	s.replay("a", 0, "1")
	s.drop("a", 0, "1")
	s.fill("a", "1")
	s.wantDrained("a", "1")
}

func pruneLastDeath(s *suite) {
	s.bury("a", "1", "2")
	s.clock.Sleep(30 * s.tick)
	s.replay("a", 1, "1")
	s.prune("a", 15*s.tick, 10, 1)
	c := s.take("a", 1)
	s.settle("a", c.Token, died("1"))
	s.prune("a", 15*s.tick, 10, 0)
	s.wantDead("a", "1")
}

func (s *suite) prune(lane string, older time.Duration, max, want int) {
	s.Helper()
	if n, err := s.Prune(s.Context(), lane, older, max); n != want || err != nil {
		s.Fatalf("Prune(%.20q, %v, %d) = %d, %v, want %d", lane, older, max, n, err, want)
	}
}
