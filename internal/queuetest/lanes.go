package queuetest

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var laneTests = []test{
	{"lists lanes with messages, waiting or dead, or paused by an operator", nothing, lanesListed},
	{"lists them by name", nothing, lanesSorted},
	{"lists at most max of those after a name", nothing, lanesPaged},
	{"tells what is in a lane", nothing, lanesTold},
	{"Held ends with the claim", nothing, lanesHeld},
	{"Size tells what Lanes does", nothing, lanesSize},
}

func lanesListed(s *suite) {
	s.wantNoLanes()
	s.fill("waiting", "1")
	s.bury("dead", "2")
	s.steer("paused", repeater.LanePause)
	s.take("held", 1)
	s.fill("emptied", "3")
	s.wantDrained("emptied", "3")
	s.bury("dropped", "4")
	s.drop("dropped", 1, "4")
	s.steer("resumed", repeater.LanePause)
	s.steer("resumed", repeater.LaneResume)
	if diff := cmp.Diff(words("dead paused waiting"), names(s.lanes())); diff != "" {
		s.Errorf("lanes (-want +got):\n%s", diff)
	}
}

func lanesSorted(s *suite) {
	list := []string{"b", "a", "B", "ab", "ä", "a b", "\xff", "10", "9", "~"}
	for _, lane := range list {
		s.fill(lane, lane)
	}
	slices.Sort(list)
	if diff := cmp.Diff(list, names(s.lanes())); diff != "" {
		s.Errorf("lanes (-want +got):\n%s", diff)
	}
}

func lanesPaged(s *suite) {
	for _, lane := range words("a b c e f") {
		s.fill(lane, lane)
	}
	for _, tt := range []struct {
		after string
		max   int
		want  string
	}{
		{"", 0, ""}, {"", 1, "a"}, {"", 3, "a b c"}, {"", 9, "a b c e f"}, {"a", 9, "b c e f"},
		{"c", 2, "e f"}, {"d", 2, "e f"}, {"e", 1, "f"}, {"f", 9, ""}, {"z", 9, ""},
	} {
		infos, err := s.Lanes(s.Context(), tt.after, tt.max)
		if diff := cmp.Diff(words(tt.want), append([]string{}, names(infos)...)); err != nil || diff != "" {
			s.Errorf("%d after %q: %v (-want +got):\n%s", tt.max, tt.after, err, diff)
		}
	}
}

func lanesTold(s *suite) {
	want := repeater.LaneInfo{Name: "a"}
	s.push(batch("1", "a", "a"), ordered("2", "a", "k"), ordered("3", "a", "k"))
	want.Waiting, want.Bytes = 4, 28
	s.wantLane(want)

	c := s.take("a", 10)
	want.Held = true
	s.wantLane(want)

	s.settle("a", c.Token, retried("1", 100*s.tick)) // is not forgotten while it waits for its time
	s.wantLane(want)

	s.settle("a", c.Token, refused("2"))
	want.Waiting, want.Bytes, want.Dead, want.Refusals = 3, 21, 1, 1
	s.wantLane(want)

	c = s.claim("a", c.Token, 10)
	s.wantIDs(c, "3")
	s.settle("a", c.Token, held("3", 100*s.tick))
	want.Failures = 1
	s.wantLane(want)

	s.steer("a", repeater.LanePause)
	want.Paused = true
	s.wantLane(want)

	s.release("a", c.Token)
	want.Held = false
	s.wantLane(want)

	s.replay("a", 1, "2")
	want.Waiting, want.Bytes, want.Dead = 4, 28, 0
	s.wantLane(want)
}

func lanesHeld(s *suite) {
	s.fill("a", "1")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	s.lose("a", 1)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	c := s.take("a", 0)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Held: true})
	s.release("a", c.Token)
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
}

// lanesSize passes for a store that has no Size.
func lanesSize(s *suite) {
	sized, ok := s.Queue.(repeater.SizedQueue)
	if !ok {
		return
	}
	want := func(messages int, bytes int64) {
		s.Helper()
		s.eventually(func() error {
			if m, b, _ := sized.Size("a"); m != messages || b != bytes {
				return fmt.Errorf("it has %d messages, %d bytes, want %d, %d", m, b, messages, bytes)
			}
			return nil
		})
	}
	want(0, 0)
	s.push(batch("1", "a", "a", "b"), ordered("2", "a", "k"), ordered("3", "a", "k"))
	want(4, 28)
	c := s.take("a", 10)
	want(4, 28)
	s.settle("a", c.Token, delivered("1"), retried("2", s.forever()))
	want(3, 21)
	s.settle("a", c.Token, repeater.Settlement{Key: repeater.Key{ID: "1", Dest: 1}, Kind: repeater.SettleDead})
	want(2, 14)
	s.replayKeys("a", 1, repeater.Key{ID: "1", Dest: 1})
	want(3, 21)
}

// eventually waits for what may be a little late.
func (s *suite) eventually(f func() error) {
	s.Helper()
	err := f()
	for range 50 {
		if err == nil {
			return
		}
		s.clock.Sleep(s.tick)
		err = f()
	}
	s.Fatal(err)
}
