package queuetest

import (
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var claimTests = []test{
	{"hands out the messages of a lane in the order in which they were pushed", nothing, claimOrder},
	{"hands out of its lane only", nothing, claimLane},
	{"takes a lane that has never been heard of", nothing, claimUnheard},
	{"answers others ErrBusy while a claim lives", nothing, claimBusy},
	{"of several at once takes the lane for one", nothing, claimRace},
	{"returns a fresh token each time", nothing, claimFresh},
	{"hands out nothing that is in hand", nothing, claimInHand},
	{"with its token finds what was pushed since", nothing, claimSince},
	{"answers ErrStale to a token that nobody was given", nothing, claimForged},
	{"hands out at most Max", nothing, claimMax},
	{"with a Max of 0 only takes or renews", nothing, claimNone},
	{"hands out payloads of about MaxBytes", nothing, claimMaxBytes},
	{"hands out one whatever MaxBytes says", nothing, claimAlwaysOne},
	{"says More when Max or MaxBytes left something", nothing, claimMore},
	{"knows nothing to wait for in an empty lane", nothing, claimNoWait},
	{"hands out a damaged record as ErrCorrupt, to be settled as dead", damage, claimDamaged},
}

func claimOrder(s *suite) {
	var want, got []repeater.Key
	for i := range 60 {
		b := batch(strconv.Itoa(999-i), "a", "b", "a", "c", "a")
		s.push(b)
		want = append(want, repeater.Key{ID: b.ID}, repeater.Key{ID: b.ID, Dest: 2}, repeater.Key{ID: b.ID, Dest: 4})
	}
	token := ""
	for n := range 30 {
		c := s.claim("a", token, 7)
		for _, m := range c.Messages {
			got = append(got, m.Key)
		}
		if token = c.Token; n%2 == 0 {
			s.settle("a", token, all(c.Messages, repeater.SettleDelivered)...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("claimed (-want +got):\n%s", diff)
	}
}

func claimLane(s *suite) {
	s.fill("a", "1")
	s.fill("b", "2")
	a := s.take("a", 10)
	s.wantIDs(a, "1")
	s.wantIDs(s.take("b", 10), "2") // whoever holds a
	s.settle("a", a.Token, delivered("2"))
	s.wantLane(repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7, Held: true})
}

func claimUnheard(s *suite) {
	c := s.take("a", 10)
	s.wantIDs(c)
	s.wantNoLanes()
	s.fill("a", "1")
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Held: true})
	s.wantIDs(s.claim("a", c.Token, 10), "1")
}

func (s *suite) wantBusy(lane string) {
	s.Helper()
	_, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: lane, Max: 10, TTL: s.forever()})
	s.wantErr("Claim of a lane that is claimed", err, repeater.ErrBusy)
}

func claimBusy(s *suite) {
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	s.wantBusy("a")
	s.settle("a", c.Token, delivered("1"))
	s.wantBusy("a") // with nothing in hand, too
	s.wantIDs(s.claim("a", c.Token, 10), "2")
	s.wantBusy("a")
}

func claimRace(s *suite) {
	s.fill("a", "1", "2", "3")
	for range 10 {
		claims := make([]repeater.Claim, 8)
		var wg sync.WaitGroup
		for i := range claims {
			wg.Go(func() {
				c, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: "a", Max: 1, TTL: s.forever()})
				if err != nil && !errors.Is(err, repeater.ErrBusy) {
					s.Errorf("Claim: %v", err)
				}
				claims[i] = c
			})
		}
		wg.Wait()
		winners := 0
		for _, c := range claims {
			if c.Token != "" {
				winners++
				s.wantIDs(c, "1")
				s.release("a", c.Token)
			}
		}
		if winners != 1 {
			s.Fatalf("%d of %d have got the lane", winners, len(claims))
		}
	}
}

func claimFresh(s *suite) {
	seen := make(map[string]bool)
	for range 10 {
		c := s.take("a", 1)
		if seen[c.Token] {
			s.Fatalf("token %q comes twice", c.Token)
		}
		seen[c.Token] = true
		s.release("a", c.Token)
	}
}

func claimInHand(s *suite) {
	s.fill("a", "1", "2", "3")
	c := s.take("a", 1)
	s.wantIDs(c, "1")
	s.wantIDs(s.claim("a", c.Token, 1), "2")
	s.wantIDs(s.claim("a", c.Token, 10), "3")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.settle("a", c.Token, delivered("2"), delivered("1"), delivered("3"))
	s.wantNoLanes()
}

func claimSince(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 10)
	s.fill("a", "2", "3")
	s.wantIDs(s.claim("a", c.Token, 10), "2", "3")
	s.fill("a", "4")
	s.wantIDs(s.claim("a", c.Token, 10), "4")
}

func claimForged(s *suite) {
	s.fill("a", "1")
	for _, lane := range []string{"a", "b"} {
		_, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: lane, Token: "forged", Max: 1, TTL: s.forever()})
		s.wantErr("Claim with a forged token", err, repeater.ErrStale)
	}
	c := s.take("a", 1)
	_, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: "b", Token: c.Token + "x", Max: 1, TTL: s.forever()})
	s.wantErr("Claim with a changed token", err, repeater.ErrStale)
}

func claimMax(s *suite) {
	s.push(batch("1", slices.Repeat([]string{"a"}, 300)...))
	for _, max := range []int{1, 2, 150} {
		c := s.take("a", max)
		if len(c.Messages) != max {
			s.Errorf("%d messages handed out, want %d", len(c.Messages), max)
		}
		s.release("a", c.Token)
	}
	if c := s.take("a", 1000); len(c.Messages) != 300 {
		s.Errorf("%d messages handed out, want all 300", len(c.Messages))
	}
}

func claimNone(s *suite) {
	s.fill("a", "1")
	c := s.take("a", 0)
	s.wantIDs(c)
	s.wantBusy("a")
	s.wantIDs(s.claim("a", c.Token, 0))
	s.wantIDs(s.claim("a", c.Token, 1), "1")
}

// claimBytes claims ten at most, and some bytes.
func (s *suite) claimBytes(lane, token string, bytes int64) repeater.Claim {
	s.Helper()
	c, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: 10, MaxBytes: bytes, TTL: s.forever()})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// fillSizes pushes payloads of these sizes, under the ids 0, 1, ...
func (s *suite) fillSizes(lane string, sizes ...int) {
	s.Helper()
	for i, n := range sizes {
		b := batch(strconv.Itoa(i), lane)
		b.Messages[0].Payload = make([]byte, n)
		s.push(b)
	}
}

func claimMaxBytes(s *suite) {
	s.fillSizes("a", 1000, 1000, 1000, 1000, 1000, 1000)
	c := s.claimBytes("a", "", 3000)
	if n := len(c.Messages); n < 2 || n > 4 {
		s.Errorf("%d messages of 1000 bytes handed out, want about 3000 bytes", n)
	}
	if rest := s.claimBytes("a", c.Token, 0); len(c.Messages)+len(rest.Messages) != 6 {
		s.Errorf("without bound %d messages follow %d", len(rest.Messages), len(c.Messages))
	}
}

func claimAlwaysOne(s *suite) {
	s.fillSizes("a", 100_000, 100_000, 10)
	c := s.claimBytes("a", "", 1)
	s.wantIDs(c, "0")
	s.wantIDs(s.claimBytes("a", c.Token, 1), "1")
	s.wantIDs(s.claimBytes("a", c.Token, 1), "2")
}

func claimMore(s *suite) {
	s.fillSizes("a", 10, 10, 10, 10)
	token := ""
	for _, tt := range []struct {
		max   int
		bytes int64
		want  string
		more  bool
	}{
		{1, 0, "0", true},
		{4, 0, "0 1 2 3", false},
		{5, 0, "0 1 2 3", false},
		{9, 1, "0", true},
		{9, 40, "0 1 2 3", false},
		{2, 1_000_000, "0 1", true},
	} {
		c, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: "a", Token: token, Max: tt.max, MaxBytes: tt.bytes, TTL: s.forever()})
		if err != nil {
			s.Fatal(err)
		}
		s.wantIDs(c, words(tt.want)...)
		if c.More != tt.more {
			s.Errorf("Max %d, MaxBytes %d: More = %v", tt.max, tt.bytes, c.More)
		}
		token = c.Token
		s.settle("a", token, all(c.Messages, repeater.SettleRelease)...)
	}
}

func claimNoWait(s *suite) {
	c := s.take("a", 10)
	if c.More || c.Wait != 0 {
		s.Errorf("claim of an empty lane: %+v", c)
	}
	s.fill("a", "1")
	if c = s.claim("a", c.Token, 10); c.More || c.Wait != 0 {
		s.Errorf("claim of all there is: %+v", c)
	}
	if c = s.claim("a", c.Token, 10); c.More || c.Wait != 0 {
		s.Errorf("claim with all in hand: %+v", c)
	}
}

func claimDamaged(s *suite) {
	b := batch("1", "a")
	b.Messages[0].Payload = []byte("this one will be damaged")
	s.push(b)
	s.fill("a", "2")
	s.Queue = s.h.Damage(s.T, s.Queue, "a", key("1"), "this one will be damaged")
	_, err := s.Payload(s.Context(), "a", key("1"))
	s.wantErr("Payload of a damaged record", err, repeater.ErrCorrupt)

	c := s.take("a", 10)
	s.wantIDs(c, "1", "2")
	if m := c.Messages[0]; !errors.Is(m.Err, repeater.ErrCorrupt) || m.Payload != nil {
		s.Errorf("damaged record: payload %q, error %v", m.Payload, m.Err)
	}
	if m := c.Messages[1]; m.Err != nil || string(m.Payload) != payload("2", "a") {
		s.Errorf("its neighbour: payload %q, error %v", m.Payload, m.Err)
	}
	s.settle("a", c.Token, died("1"), delivered("2"))
	s.wantDead("a", "1")
	_, err = s.Payload(s.Context(), "a", key("1"))
	s.wantErr("Payload of a damaged record", err, repeater.ErrCorrupt)
	s.drop("a", 1, "1")
	s.wantLane(repeater.LaneInfo{Name: "a"})
}
