package queuetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// suite is one test at work on one store.
type suite struct {
	*testing.T
	repeater.Queue
	h     *Harness
	clock Clock
	tick  time.Duration // nothing is as short, and yet it can be waited for
	late  time.Duration // by how much something may come too late
}

// forever is a time to live that no test outlives.
func (s *suite) forever() time.Duration { return 10_000 * s.tick }

var received = time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC)

// batch has one message for each lane, whose payload tells it apart from all others.
func batch(id string, lanes ...string) repeater.Batch {
	b := repeater.Batch{ID: id, Route: "route", Received: received}
	for i, lane := range lanes {
		b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: lane, Payload: []byte(payload(id, lane))})
	}
	return b
}

func payload(id, lane string) string { return id + " for " + lane }

// key is that of the first message of a batch.
func key(id string) repeater.Key { return repeater.Key{ID: id} }

func keys(ids ...string) (keys []repeater.Key) {
	for _, id := range ids {
		keys = append(keys, key(id))
	}
	return keys
}

func (s *suite) push(batches ...repeater.Batch) {
	s.Helper()
	for _, b := range batches {
		if id, err := s.Push(s.Context(), b); err != nil || id != b.ID {
			s.Fatalf("Push(%.20q) = %.20q, %v", b.ID, id, err)
		}
	}
}

// fill pushes a batch for each id to one lane.
func (s *suite) fill(lane string, ids ...string) {
	s.Helper()
	for _, id := range ids {
		s.push(batch(id, lane))
	}
}

// take takes a free lane for good.
func (s *suite) take(lane string, max int) repeater.Claim {
	s.Helper()
	return s.claim(lane, "", max)
}

// claim goes on with a claim, for good.
func (s *suite) claim(lane, token string, max int) repeater.Claim {
	s.Helper()
	c, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: max, TTL: s.forever()})
	if err != nil {
		s.Fatalf("Claim(%.20q): %v", lane, err)
	}
	if c.Token == "" {
		s.Fatal("Claim returned no token")
	}
	return c
}

// await claims again and again, as late as it is told, until something is handed out.
func (s *suite) await(lane, token string, max int) repeater.Claim {
	s.Helper()
	for range 100 {
		c := s.claim(lane, token, max)
		if len(c.Messages) > 0 {
			return c
		}
		if c.Wait <= 0 {
			s.Fatalf("lane %q hands out nothing, and knows of nothing to wait for: %+v", lane, c)
		}
		s.clock.Sleep(c.Wait)
	}
	s.Fatalf("lane %q hands out nothing", lane)
	return repeater.Claim{}
}

func (s *suite) settle(lane, token string, settlements ...repeater.Settlement) {
	s.Helper()
	if err := s.Settle(s.Context(), lane, token, settlements); err != nil {
		s.Fatalf("Settle(%.20q): %v", lane, err)
	}
}

func (s *suite) release(lane, token string) {
	s.Helper()
	if err := s.Release(s.Context(), lane, token); err != nil {
		s.Fatalf("Release(%.20q): %v", lane, err)
	}
}

func (s *suite) steer(lane string, order repeater.LaneOrder) {
	s.Helper()
	if err := s.Steer(s.Context(), lane, order); err != nil {
		s.Fatalf("Steer(%.20q, %d): %v", lane, order, err)
	}
}

func delivered(id string) repeater.Settlement {
	return repeater.Settlement{Key: key(id), Kind: repeater.SettleDelivered}
}

func released(id string) repeater.Settlement {
	return repeater.Settlement{Key: key(id), Kind: repeater.SettleRelease}
}

func retried(id string, after time.Duration) repeater.Settlement {
	return repeater.Settlement{Key: key(id), Kind: repeater.SettleRetry, After: after, Attempt: attempt(0)}
}

func held(id string, after time.Duration) repeater.Settlement {
	return repeater.Settlement{Key: key(id), Kind: repeater.SettleRetry, Hold: true, After: after, Attempt: attempt(0)}
}

func died(id string) repeater.Settlement {
	return repeater.Settlement{Key: key(id), Kind: repeater.SettleDead, Reason: "given up", Attempt: attempt(0)}
}

func refused(id string) repeater.Settlement {
	s := died(id)
	s.Refused = true
	return s
}

// attempt makes attempts that are told apart by their number.
func attempt(n int) repeater.Attempt {
	return repeater.Attempt{At: received.Add(time.Duration(n) * time.Second), Took: time.Duration(n) * time.Millisecond, Status: 500 + n}
}

func all(messages []repeater.Claimed, kind repeater.SettleKind) (s []repeater.Settlement) {
	for _, m := range messages {
		s = append(s, repeater.Settlement{Key: m.Key, Kind: kind})
	}
	return s
}

// bury makes dead letters of all that waits in a lane, one after the other.
func (s *suite) bury(lane string, ids ...string) {
	s.Helper()
	s.fill(lane, ids...)
	c := s.take(lane, len(ids))
	s.wantIDs(c, ids...)
	for _, id := range ids {
		s.settle(lane, c.Token, died(id))
	}
	s.release(lane, c.Token)
}

// drain delivers all that can be had of a lane, and returns the ids.
func (s *suite) drain(lane string) (got []string) {
	s.Helper()
	c := s.take(lane, 100)
	for len(c.Messages) > 0 {
		got = append(got, ids(c.Messages)...)
		s.settle(lane, c.Token, all(c.Messages, repeater.SettleDelivered)...)
		c = s.claim(lane, c.Token, 100)
	}
	s.release(lane, c.Token)
	return got
}

func ids(messages []repeater.Claimed) (got []string) {
	for _, m := range messages {
		got = append(got, m.Key.ID)
	}
	return got
}

func (s *suite) wantIDs(c repeater.Claim, want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, ids(c.Messages)); diff != "" {
		s.Fatalf("claimed (-want +got):\n%s", diff)
	}
}

func (s *suite) wantDrained(lane string, want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.drain(lane)); diff != "" {
		s.Fatalf("drained from %.20q (-want +got):\n%s", lane, diff)
	}
}

func (s *suite) wantErr(doing string, got, want error) {
	s.Helper()
	if !errors.Is(got, want) {
		s.Fatalf("%s = %v, want %v", doing, got, want)
	}
}

func (s *suite) lanes() []repeater.LaneInfo {
	s.Helper()
	infos, err := s.Lanes(s.Context(), "", 1000)
	if err != nil {
		s.Fatalf("Lanes: %v", err)
	}
	return infos
}

// lane is how Lanes lists the lane, without what time is left of its pause; only
// its name if it is not listed.
func (s *suite) lane(name string) repeater.LaneInfo {
	s.Helper()
	infos := s.lanes()
	i := slices.IndexFunc(infos, func(l repeater.LaneInfo) bool { return l.Name == name })
	if i < 0 {
		return repeater.LaneInfo{Name: name}
	}
	infos[i].Wait = 0
	return infos[i]
}

func (s *suite) wantLane(want repeater.LaneInfo) {
	s.Helper()
	if diff := cmp.Diff(want, s.lane(want.Name)); diff != "" {
		s.Fatalf("lane (-want +got):\n%s", diff)
	}
}

func (s *suite) wantNoLanes() {
	s.Helper()
	if infos := s.lanes(); len(infos) > 0 {
		s.Fatalf("there are lanes: %+v", infos)
	}
}

// dead lists all dead letters of a lane.
func (s *suite) dead(lane string) []repeater.DeadLetter {
	s.Helper()
	letters, next, err := s.Dead(s.Context(), lane, "", 1000)
	if err != nil || next != "" {
		s.Fatalf("Dead(%.20q) = %d letters, next %q, %v", lane, len(letters), next, err)
	}
	return letters
}

func (s *suite) wantDead(lane string, want ...string) {
	s.Helper()
	var got []string
	for _, l := range s.dead(lane) {
		got = append(got, l.Key.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Fatalf("dead letters of %.20q (-want +got):\n%s", lane, diff)
	}
}

func (s *suite) wantPayload(lane string, key repeater.Key, want string) {
	s.Helper()
	got, err := s.Payload(s.Context(), lane, key)
	if err != nil || string(got) != want {
		s.Fatalf("Payload(%.20q, %v) = %.40q, %v, want %.40q", lane, key, got, err, want)
	}
}

// words splits a list of ids, which keeps tests short.
func words(list string) []string { return strings.Fields(list) }
