package queuetest

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var contextTests = []test{
	{"that has ended before the call changes nothing", nothing, contextEnded},
	{"that has ended before the call changes nothing between processes", join, contextShared},
}

// wantEnded checks that a call said why it did nothing.
func (s *suite) wantEnded(doing string, err error) {
	s.Helper()
	if !errors.Is(err, context.Canceled) {
		s.Errorf("%s with an ended context = %v, want %v", doing, err, context.Canceled)
	}
}

func (s *suite) ended() context.Context {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	return ctx
}

func contextEnded(s *suite) {
	ctx := s.ended()
	s.bury("a", "1", "2")
	s.fill("a", "3", "4", "5")
	c := s.take("a", 1)
	before := s.lanes()

	_, err := s.Push(ctx, marked("6", "m", s.forever(), "a", "b"))
	s.wantEnded("Push", err)
	for _, lane := range []string{"a", "b"} {
		_, err = s.Claim(ctx, repeater.ClaimRequest{Lane: lane, Max: 1, TTL: s.forever()})
		s.wantEnded("Claim", err)
	}
	_, err = s.Claim(ctx, repeater.ClaimRequest{Lane: "a", Token: c.Token, Max: 1, TTL: s.forever()})
	s.wantEnded("Claim", err)
	s.wantEnded("Settle", s.Settle(ctx, "a", c.Token, all(c.Messages, repeater.SettleDelivered)))
	s.wantEnded("Release", s.Release(ctx, "a", c.Token))
	for _, order := range []repeater.LaneOrder{repeater.LanePause, repeater.LaneResume, repeater.LaneRetryNow, repeater.LaneForgive} {
		s.wantEnded("Steer", s.Steer(ctx, "a", order))
		s.wantEnded("Steer", s.Steer(ctx, "b", order))
	}
	_, err = s.Lanes(ctx, "", 10)
	s.wantEnded("Lanes", err)
	_, _, err = s.Dead(ctx, "a", "", 10)
	s.wantEnded("Dead", err)
	_, err = s.Letter(ctx, "a", key("1"))
	s.wantEnded("Letter", err)
	_, err = s.Payload(ctx, "a", key("1"))
	s.wantEnded("Payload", err)
	for name, change := range map[string]func(context.Context, string, []repeater.Key) (int, error){"Replay": s.Replay, "Drop": s.Drop} {
		n, err := change(ctx, "a", keys("1", "2"))
		s.wantEnded(name, err)
		if n != 0 {
			s.Errorf("%s with an ended context = %d", name, n)
		}
	}
	s.clock.Sleep(s.tick)
	_, err = s.Prune(ctx, "a", 0, 10)
	s.wantEnded("Prune", err)

	if diff := cmp.Diff(before, s.lanes()); diff != "" {
		s.Errorf("lanes, before and after:\n%s", diff)
	}
	s.wantBusy("a")
	s.settle("a", c.Token, delivered("3"))
	s.wantIDs(s.claim("a", c.Token, 10), "4", "5")
	s.wantDead("a", "2", "1")
	s.wantDrained("b")
	s.push(marked("7", "m", s.forever(), "b")) // the mark was not stored
}

func contextShared(s *suite) {
	q, ctx := s.shared(), s.ended()
	s.wantEnded("Announce", q.Announce(ctx, words("x")))
	s.fill("a", "1")
	c := s.take("a", 1)
	s.wantIDs(c, "1") // still of any route
	s.settle("a", c.Token, released("1"))
	s.announce(q, "x")
	s.wantIDs(s.claim("a", c.Token, 1))
	s.clock.Sleep(2 * s.tick)
	_, err := q.ExpireUnknown(ctx, s.tick)
	s.wantEnded("ExpireUnknown", err)
	s.wantDead("a")
	s.wantEnded("Watch", q.Watch(ctx, func(string) { s.Error("woken though the context had ended") }))
	done := make(chan error)
	watched, cancel := context.WithCancel(s.Context())
	go func() { done <- q.Watch(watched, func(string) {}) }()
	cancel()
	select {
	case err := <-done:
		s.wantEnded("Watch", err)
	case <-time.After(20 * time.Second):
		s.Error("Watch does not end with its context")
	}
}
