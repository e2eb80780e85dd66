package queuetest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var pushTests = []test{
	{"stores all messages of the batch", nothing, pushAll},
	{"stores none of a batch that cannot be stored whole", nothing, pushNone},
	{"returns the batch's id", nothing, pushID},
	{"takes whatever bytes names are made of, up to their limits", nothing, pushNames},
	{"stores an empty payload", nothing, pushEmpty},
	{"stores a payload of 20 MB", nothing, pushLarge},
	{"a key again while it is waiting changes nothing", nothing, pushAgainWaiting},
	{"a key again while it is claimed changes nothing", nothing, pushAgainClaimed},
	{"a key again while it waits for its time changes nothing", nothing, pushAgainDue},
	{"a key again while it is held behind another changes nothing", nothing, pushAgainHeld},
	{"a key again while it is dead changes nothing", nothing, pushAgainDead},
	{"a key that was just delivered changes nothing", memory, pushAgainDelivered},
	{"the same batch at once from many is stored once", nothing, pushAtOnce},
	{"of a batch that is partly stored adds the rest", nothing, pushRest},
	{"does not keep or change payloads", nothing, pushKeepsNothing},
}

func pushAll(s *suite) {
	b := batch("1", "a", "b", "a")
	s.push(b)
	for i, m := range b.Messages {
		s.wantPayload(m.Lane, repeater.Key{ID: "1", Dest: i}, string(m.Payload))
	}
	want := []repeater.Claimed{
		{Key: repeater.Key{ID: "1", Dest: 0}, Route: "route", Received: received, Payload: []byte("1 for a")},
		{Key: repeater.Key{ID: "1", Dest: 2}, Route: "route", Received: received, Payload: []byte("1 for a")},
	}
	c := s.take("a", 10)
	for i := range c.Messages {
		c.Messages[i].Age = 0
	}
	if diff := cmp.Diff(want, c.Messages); diff != "" {
		s.Errorf("claimed (-want +got):\n%s", diff)
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Held: true})
	s.wantLane(repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
}

func pushNone(s *suite) {
	long := func(n int) string { return strings.Repeat("x", n) }
	last := func(m repeater.Message) repeater.Batch {
		b := batch("1", "a", "b")
		b.Messages = append(b.Messages, m)
		return b
	}
	for name, b := range map[string]repeater.Batch{
		"without id":             batch("", "a"),
		"with a long id":         batch(long(256), "a"),
		"without messages":       batch("1"),
		"with a nameless lane":   last(repeater.Message{Dest: 9}),
		"with a long lane":       last(repeater.Message{Dest: 9, Lane: long(1025)}),
		"with a dest twice":      last(repeater.Message{Dest: 1, Lane: "a"}),
		"with a dest below zero": last(repeater.Message{Dest: -1, Lane: "a"}),
	} {
		b.Dedupe, b.DedupeFor = "mark", s.forever()
		if id, err := s.Push(s.Context(), b); err == nil {
			s.Errorf("Push of a batch %s = %.20q, nil", name, id)
		}
		s.wantNoLanes()
	}
	b := batch("2", "a", "b")
	b.Dedupe, b.DedupeFor = "mark", s.forever()
	s.push(b) // the mark was not stored either
	s.wantDrained("a", "2")
}

func pushID(s *suite) {
	s.push(batch("1", "a"), batch("1", "a")) // push compares the ids
}

func pushNames(s *suite) {
	lanes := []string{
		"https://[::1]:443", " ", "{", "}", "{}", "}{", "a{b}c", "%7B", "a b\n", "\x00\xff:", "../x", "*", strings.Repeat("ä", 512),
	}
	ids := []string{"id.1", ".", ":\n\x00\xff ", strings.Repeat("i", 255)}
	for _, lane := range lanes {
		for _, id := range ids {
			b := batch(id, lane)
			b.Route, b.Messages[0].OrderKey, b.Messages[0].Dest = "ro ute\n\xff", ": \x00{", slices.Index(lanes, lane)
			s.push(b)
		}
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(lanes)), names(s.lanes())); diff != "" {
		s.Errorf("lanes (-want +got):\n%s", diff)
	}
	for i, lane := range lanes {
		for _, id := range ids {
			c := s.take(lane, 10)
			if len(c.Messages) != 1 {
				s.Fatalf("lane %.20q hands out %d messages, want the oldest of its order key", lane, len(c.Messages))
			}
			want := repeater.Claimed{
				Key: repeater.Key{ID: id, Dest: i}, Route: "ro ute\n\xff", Received: received, Payload: []byte(payload(id, lane)),
			}
			got := c.Messages[0]
			got.Age = 0
			if diff := cmp.Diff(want, got); diff != "" {
				s.Errorf("lane %.20q (-want +got):\n%s", lane, diff)
			}
			s.settle(lane, c.Token, all(c.Messages, repeater.SettleDelivered)...)
			s.release(lane, c.Token)
		}
	}
}

func names(infos []repeater.LaneInfo) (names []string) {
	for _, l := range infos {
		names = append(names, l.Name)
	}
	return names
}

func pushEmpty(s *suite) {
	b := batch("1", "a")
	b.Received = time.Time{}
	b.Messages[0].Payload = nil
	s.push(b)
	s.wantPayload("a", key("1"), "")
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	if m := c.Messages[0]; len(m.Payload) != 0 || m.Err != nil || !m.Received.IsZero() {
		s.Errorf("claimed %+v", m)
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Held: true})
}

func pushLarge(s *suite) {
	large := make([]byte, 20<<20)
	for i := range large {
		large[i] = byte(i ^ i>>8 ^ i>>16) // #nosec G115 -- any byte
	}
	b := batch("1", "a", "b")
	b.Messages[0].Payload = large
	s.push(b)
	c := s.take("a", 1)
	if len(c.Messages) != 1 || !bytes.Equal(c.Messages[0].Payload, large) {
		s.Fatal("a large payload was not handed out as it was pushed")
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 20 << 20, Held: true})
	s.settle("a", c.Token, died("1"))
	got, err := s.Payload(s.Context(), "a", key("1"))
	if err != nil || !bytes.Equal(got, large) {
		s.Fatalf("Payload = %d bytes, %v", len(got), err)
	}
}

// again pushes a changed batch under the same keys.
func (s *suite) again(id, lane string) {
	s.Helper()
	b := batch(id, lane)
	b.Route, b.Messages[0].Payload = "another", []byte("another")
	s.push(b)
}

func pushAgainWaiting(s *suite) {
	s.fill("a", "1", "2")
	s.again("1", "a")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14})
	c := s.take("a", 10)
	s.wantIDs(c, "1", "2")
	if m := c.Messages[0]; string(m.Payload) != payload("1", "a") || m.Route != "route" {
		s.Errorf("claimed %+v", m)
	}
}

func pushAgainClaimed(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 10)
	s.again("1", "a")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.settle("a", c.Token, delivered("1"))
	s.wantNoLanes()
}

func pushAgainDue(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 10)
	s.settle("a", c.Token, retried("1", 100*s.tick))
	s.again("1", "a")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Held: true})
}

func pushAgainHeld(s *suite) {
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"))
	s.again("2", "a")
	s.wantDrained("a", "1", "2")
	s.wantNoLanes()
}

func pushAgainDead(s *suite) {
	s.bury("a", "1")
	s.again("1", "a")
	s.wantLane(repeater.LaneInfo{Name: "a", Dead: 1})
	s.wantPayload("a", key("1"), payload("1", "a"))
}

func pushAgainDelivered(s *suite) {
	s.push(batch("1", "a", "b"))
	s.wantDrained("a", "1")
	s.push(batch("1", "a", "b"))
	s.wantLane(repeater.LaneInfo{Name: "a"})
	s.wantLane(repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
}

func pushAtOnce(s *suite) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 5 {
				b := batch(strconv.Itoa(i), "a", "b")
				if id, err := s.Push(s.Context(), b); err != nil || id != b.ID {
					s.Errorf("Push(%s) = %q, %v", b.ID, id, err)
				}
			}
		})
	}
	wg.Wait()
	for _, lane := range []string{"a", "b"} {
		got := s.drain(lane)
		slices.Sort(got)
		if diff := cmp.Diff(words("0 1 2 3 4"), got); diff != "" {
			s.Errorf("lane %s (-want +got):\n%s", lane, diff)
		}
	}
}

func pushRest(s *suite) {
	s.push(batch("1", "a"), batch("1", "a", "b"))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	s.wantLane(repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
}

func pushKeepsNothing(s *suite) {
	b := batch("1", "a")
	p := b.Messages[0].Payload
	s.push(b)
	if string(p) != payload("1", "a") {
		s.Errorf("Push has changed the payload to %q", p)
	}
	clear(p)
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	s.settle("a", c.Token, delivered("1"))
	s.fill("a", words("2 3 4 5 6 7 8 9")...)
	if got := string(c.Messages[0].Payload); got != payload("1", "a") {
		s.Errorf("claimed payload is %q", got)
	}
}
