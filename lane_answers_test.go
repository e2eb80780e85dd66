package repeater_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// What these tests play, internal/sim has met at random.

// meddler is a store whose answers come as a test wants them. The steps are numbered from 1.
type meddler struct {
	*memqueue.Queue
	claim           func(n int64, c repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error)
	settle          func(ctx context.Context, n int64, do func() error) error
	lanes           func(ctx context.Context, n int64) error
	claims, settles atomic.Int64
	looks           atomic.Int64
}

func (q *meddler) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	do := func() (repeater.Claim, error) { return q.Queue.Claim(ctx, c) }
	if q.claim == nil {
		return do()
	}
	return q.claim(q.claims.Add(1), c, do)
}

func (q *meddler) Settle(ctx context.Context, lane, token string, s []repeater.Settlement) error {
	do := func() error { return q.Queue.Settle(ctx, lane, token, s) }
	if q.settle == nil {
		return do()
	}
	return q.settle(ctx, q.settles.Add(1), do)
}

func (q *meddler) Lanes(ctx context.Context, after string, max int) ([]repeater.LaneInfo, error) {
	if q.lanes != nil {
		if err := q.lanes(ctx, q.looks.Add(1)); err != nil {
			return nil, err
		}
	}
	return q.Queue.Lanes(ctx, after, max)
}

func (b *bubble) meddle(q *meddler) {
	b.t.Helper()
	q.Queue = memqueue.New()
	b.queue = q
	b.restart()
}

func (b *bubble) wants(when string, want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), names(b.seen())); diff != "" {
		b.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// TestFailureDuringAnOrder: an attempt that fails pauses its lane, although an operator has given an order meanwhile.
func TestFailureDuringAnOrder(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 503, after: 3 * time.Second} })
		b.accept("/", "1")
		b.pass(time.Second)
		if err := b.rp.RetryNow(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(3 * time.Second)
		b.wants("attempts", "1#1")
		if got := b.lane(laneA); got.Failures != 1 || got.Wait == 0 {
			t.Errorf("the lane is %+v, want it to pause", got)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestStrictLaneAfterRestart: a process that finds a silent head in a strict lane does not ask about the next one.
func TestStrictLaneAfterRestart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return hang })
		b.accept("/", "1", "2")
		b.pass(10 * time.Minute)
		b.halt()
		b.pass(time.Hour) // until the pause is over
		b.restart()
		b.pass(time.Hour)
		for _, tr := range b.seen() {
			if tr.body != "1" {
				t.Fatalf("%v is sent while 1 waits", tr)
			}
		}
	}, repeater.Route("/", "http://a.example", repeater.Strict()))
}

// TestLookThatIsNeverAnswered: a store that does not answer once is asked again.
func TestLookThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	route := repeater.Route("/", "http://a.example")
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{lanes: func(ctx context.Context, n int64) error {
			if n > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}})
		another := repeater.New(repeater.WithQueue(b.queue), route)
		another.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader("1")))
		b.pass(10 * time.Second)
		b.wants("attempts", "1#1")
	}, route)
}

// TestDeathBesideAPause: of three that fail together the last is too old. That lets nobody else die untried
// after the pause, which another has begun.
func TestDeathBesideAPause(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			after := map[string]time.Duration{"old": 3 * time.Second, "older": 1500 * time.Millisecond, "keep": time.Second}[tr.body]
			return reply{status: 503, after: after}
		})
		for _, name := range []string{"old", "older", "keep"} {
			b.accept("/"+name, name)
		}
		b.pass(4 * time.Second)
		if tries := names(b.seen()); !slices.Equal(slices.Sorted(slices.Values(tries)), []string{"keep#1", "old#1", "older#1"}) {
			t.Errorf("attempts %v, want one of each", tries) // in any order, as they are made at once
		}
		b.replies(func(sent) reply { return status(200) })
		b.pass(time.Minute)
		b.wants("after the pause", "older#2", "keep#2")
	}, repeater.Route("/old", "http://a.example", repeater.Concurrency(3), repeater.MaxAge(2*time.Second)),
		repeater.Route("/older", "http://a.example", repeater.MaxAge(4*time.Second)),
		repeater.Route("/keep", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestPaceOutlastsIdleness: a lane that has nothing to do for a while keeps its pace all the same.
func TestPaceOutlastsIdleness(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.accept("/", "1")
		b.pass(5 * time.Second)
		b.accept("/", "2")
		b.pass(time.Minute)
		tries := b.seen()
		if len(tries) != 2 || tries[1].at-tries[0].at != 10*time.Second {
			t.Errorf("attempts at %v, want the second 10 s after the first", tries)
		}
	}, repeater.Route("/", "http://a.example", repeater.Pace(10*time.Second)))
}

// TestSettlementIsNotSaidTwice: whoever is handed out again has been settled, though the store's answer was lost.
func TestSettlementIsNotSaidTwice(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{settle: func(ctx context.Context, n int64, do func() error) error {
			err := do()
			if n == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return err
		}})
		b.replies(func(tr sent) reply {
			if tr.String() == "1#1" {
				return status(500)
			}
			return reply{status: 200, after: 20 * time.Second}
		})
		b.accept("/", "1")
		b.pass(2 * time.Second)
		b.accept("/", "2") // with which 1 is claimed again
		b.pass(time.Hour)
		b.wants("attempts", "1#1", "1#2", "2#1")
	}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(time.Second, time.Minute))
}

// TestRefusalsBesideAClaim: what a claim tells of a lane does not undo what has been settled since.
func TestRefusalsBesideAClaim(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{claim: func(_ int64, _ repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error) {
			c, err := do()
			time.Sleep(30 * time.Millisecond)
			return c, err
		}})
		b.replies(func(sent) reply { return reply{status: 404, after: time.Millisecond} })
		for _, body := range strings.Fields("1 2 3 4 5 6 7 8") {
			b.accept("/", body)
			b.pass(30500 * time.Microsecond) // the attempt ends while the claim of the next is under way
		}
		b.pass(time.Second)
		if got := b.lane(laneA); got.Dead != 4 || got.Failures != 1 {
			t.Errorf("%+v, want 4 dead letters and then a pause", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestWakeWhileAway: what is pushed while the lane is left to others does not wait for what else is due later.
func TestWakeWhileAway(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{claim: func(n int64, c repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error) {
			claim, err := do()
			claim.Yield = n == 2 && c.Token != ""
			return claim, err
		}})
		b.replies(func(tr sent) reply {
			if tr.body == "1" {
				return status(500)
			}
			return status(200)
		})
		b.accept("/", "1")
		b.pass(100 * time.Millisecond)
		b.accept("/", "2")
		b.pass(100 * time.Millisecond)
		b.accept("/", "3")
		b.pass(2 * time.Second)
		b.wants("attempts", "1#1", "2#1", "3#1")
	}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(5*time.Minute, 5*time.Minute))
}

// TestTurnComesTooLate: an attempt that waits while a suspect is tried alone is not made if its lane pauses meanwhile.
func TestTurnComesTooLate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{claim: func(_ int64, c repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error) {
			claim, err := do()
			if c.Lane == laneB {
				for i := range claim.Messages {
					claim.Messages[i].Lost = 3
				}
			}
			return claim, err
		}})
		b.replies(func(tr sent) reply {
			if tr.body == "a1" {
				return reply{status: 503, after: 10 * time.Second}
			}
			return status(200)
		})
		b.accept("/a", "a1")
		b.pass(0)
		b.accept("/b", "suspect")
		b.pass(0)
		b.accept("/a", "a2")
		b.pass(11 * time.Second)
		b.wants("until the lane pauses", "a1#1", "suspect#1")
		b.replies(func(sent) reply { return status(200) })
		b.pass(10 * time.Second)
		b.wants("after the pause", "a1#2", "a2#1")
	}, repeater.Route("/a", "http://a.example", repeater.Concurrency(2)), repeater.Route("/b", "http://b.example"), repeater.WithQuickRetries(0))
}

// TestTurnComesInAPause: nor is it made if another process's operator has paused the lane, which this one only
// hears of when it renews its claim.
func TestTurnComesInAPause(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{claim: func(_ int64, c repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error) {
			claim, err := do()
			for i := range claim.Messages {
				if c.Lane == laneB {
					claim.Messages[i].Lost = 3
				}
			}
			return claim, err
		}})
		b.replies(func(tr sent) reply {
			if tr.body == "a1" {
				return reply{status: 200, after: 20 * time.Second}
			}
			return status(200)
		})
		b.accept("/a", "a1")
		b.pass(0)
		b.accept("/b", "suspect")
		b.pass(0)
		if err := b.queue.Steer(context.Background(), laneB, repeater.LanePause); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		b.wants("while the lane is paused", "a1#1")
		if err := b.rp.Resume(context.Background(), laneB); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		b.wants("after it was resumed", "suspect#1")
	}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"), repeater.WithQuickRetries(0))
}

// TestOrderDuringAClaimThatFails: the lane goes on all the same.
func TestOrderDuringAClaimThatFails(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.meddle(&meddler{claim: func(n int64, _ repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error) {
			if n > 1 {
				return do()
			}
			time.Sleep(time.Second)
			return repeater.Claim{}, errors.New("away")
		}})
		b.accept("/", "1")
		b.pass(500 * time.Millisecond)
		if err := b.rp.RetryNow(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		b.wants("attempts", "1#1")
	}, repeater.Route("/", "http://a.example"))
}

// TestDueBeforeAnother: a retry does not wait for one of another message that is due later.
func TestDueBeforeAnother(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "x" || tr.String() == "y#1" {
				return status(500)
			}
			return status(200)
		})
		b.accept("/", "x")
		b.pass(20 * time.Minute) // x is tried every quarter of an hour or so, by now
		b.seen()
		b.accept("/", "y")
		b.pass(8 * time.Second)
		b.wants("within 8 s", "y#1", "y#2")
	}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(5*time.Second, time.Hour))
}

// TestLostWakeWhileAsleep: what is pushed without a word to a lane that sleeps until something else is due
// is found when the lane renews its claim.
func TestLostWakeWhileAsleep(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "x" {
				return status(500)
			}
			return status(200)
		})
		b.accept("/", "x")
		b.pass(20 * time.Minute)
		b.seen()
		other := repeater.New(repeater.WithQueue(b.queue), repeater.Route("/", "http://a.example")) // wakes nobody here
		other.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader("y")))
		b.pass(8 * time.Second)
		b.wants("within 8 s", "y#1")
	}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(5*time.Second, time.Hour))
}

// TestOrderBesideALateSettlement: after the lane was taken over, an order that waits for the settlement of before
// does not wait for ever.
func TestOrderBesideALateSettlement(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		var step atomic.Int64
		b.meddle(&meddler{
			settle: func(_ context.Context, n int64, do func() error) error {
				err := do()
				if n == 1 {
					step.Store(1)
					time.Sleep(4 * time.Second)
				}
				return err
			},
			claim: func(_ int64, c repeater.ClaimRequest, do func() (repeater.Claim, error)) (repeater.Claim, error) {
				switch {
				case step.CompareAndSwap(1, 2):
					return repeater.Claim{}, repeater.ErrStale
				case step.CompareAndSwap(2, 3):
					time.Sleep(time.Second)
					_ = b.rp.RetryNow(context.Background(), laneA)
					time.Sleep(time.Second)
					return repeater.Claim{}, errors.New("away")
				}
				return do()
			},
		})
		b.accept("/", "1")
		b.pass(100 * time.Millisecond)
		b.accept("/", "2")
		b.pass(10 * time.Second)
		b.accept("/", "3")
		b.pass(time.Minute)
		b.wants("attempts", "1#1", "2#1", "3#1")
	}, repeater.Route("/", "http://a.example"))
}
