package repeater_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// TestPauseDoubles: 5 s doubling to 5 min, each with 20 % jitter, and one probe after each, to the head.
func TestPauseDoubles(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		b.accept("/", "1", "2", "3")
		b.pass(time.Hour)
		tries := b.seen()
		pause := 5 * time.Second
		for i := 1; i < 12; i++ {
			got := tries[i].at - tries[i-1].at
			if got < pause*8/10 || got > pause*12/10+time.Second/100 {
				t.Errorf("pause %d is %v, want %v within a fifth", i, got, pause)
			}
			pause = min(2*pause, 5*time.Minute)
		}
		for i, tr := range tries {
			if want := fmt.Sprintf("1#%d", i+1); tr.String() != want {
				t.Fatalf("probe %d is %v, want %s: one probe at a time, and always the head", i, tr, want)
			}
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestJitterSpreads: pauses of the same number differ, and never exceed the cap.
func TestJitterSpreads(t *testing.T) {
	t.Parallel()
	pauses := make(map[time.Duration]bool)
	for range 20 {
		inBubble(t, func(b *bubble) {
			b.replies(func(sent) reply { return status(503) })
			b.accept("/", "1")
			wait := b.lane(laneA).Wait
			if wait > 5*time.Minute {
				t.Errorf("pause of %v, beyond the cap", wait)
			}
			pauses[wait] = true
		}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0),
			repeater.WithBackoff(5*time.Minute, 5*time.Minute))
	}
	if len(pauses) < 5 {
		t.Errorf("20 pauses have only %d lengths", len(pauses))
	}
}

// TestRestartKeepsThePause: a restart neither resets the count of failures nor hammers.
func TestRestartKeepsThePause(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		b.accept("/", "1", "2")
		b.pass(3 * time.Minute)
		before := b.lane(laneA)
		b.seen()
		for range 5 {
			b.restart()
		}
		if tries := b.seen(); len(tries) > 0 {
			t.Errorf("restarts led to %v during the pause", tries)
		}
		after := b.lane(laneA)
		if after.Failures != before.Failures || after.Wait != before.Wait {
			t.Errorf("the pause was %+v and is %+v after restarts", before, after)
		}
		b.pass(before.Wait)
		if diff := cmp.Diff([]string{fmt.Sprintf("1#%d", before.Failures+1)}, names(b.seen())); diff != "" {
			t.Errorf("after the pause (-want +got):\n%s", diff)
		}
		if got := b.lane(laneA).Wait; got <= before.Wait {
			t.Errorf("next pause is %v, want it to be longer than before", got)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestOneProbeThenRamp: concurrency is one while the destination is unwell, and then doubles.
func TestOneProbeThenRamp(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		for i := range 100 {
			b.accept("/", fmt.Sprint(i))
		}
		b.pass(time.Minute)
		b.seen()
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		b.pass(time.Minute)
		starts := make(map[time.Duration]int)
		var order []time.Duration
		for _, tr := range b.seen() {
			if starts[tr.at] == 0 {
				order = append(order, tr.at)
			}
			starts[tr.at]++
		}
		var ramp []int
		for _, at := range order {
			ramp = append(ramp, starts[at])
		}
		want := []int{1, 2, 4, 8, 16, 16, 16, 16, 16, 5}
		if diff := cmp.Diff(want, ramp); diff != "" {
			t.Errorf("attempts started together after the recovery (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example", repeater.Concurrency(16)), repeater.WithQuickRetries(0))
}

// TestManyInFlightFailOnce: attempts that fail together are one failure of the lane, not many.
func TestManyInFlightFailOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 503, after: time.Second} })
		for i := range 20 {
			b.accept("/", fmt.Sprint(i))
		}
		b.pass(2 * time.Second)
		if got := b.lane(laneA); got.Failures != 1 || got.Wait > 6*time.Second || got.Waiting != 20 {
			t.Errorf("%+v, want one failure, its pause, and all 20 waiting", got)
		}
		if got := len(b.seen()); got != 8 {
			t.Errorf("%d attempts, want the 8 that were in flight", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.Concurrency(8)), repeater.WithQuickRetries(0))
}

// TestLanesDoNotWaitForEachOther: the destination that hangs holds up itself alone.
func TestLanesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.host == "a.example" {
				return hang
			}
			return status(200)
		})
		b.accept("/a", "a1", "a2")
		b.accept("/b", "b1", "b2", "b3")
		if diff := cmp.Diff(3, len(b.seen())-1); diff != "" {
			t.Errorf("attempts at once besides the one that hangs (-want +got):\n%s", diff)
		}
	}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"))
}

// TestFailedMessageOnItsOwnSchedule: a 500 is the message's; the lane goes on, in order.
func TestFailedMessageOnItsOwnSchedule(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "1" && tr.attempt < 4 {
				return status(500)
			}
			return status(200)
		})
		b.accept("/", "1", "2", "3")
		if diff := cmp.Diff([]string{"1#1", "2#1", "3#1"}, names(b.seen())); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		if got := b.lane(laneA); got.Failures != 0 || got.Wait != 0 {
			t.Errorf("the lane pauses: %+v", got)
		}
		b.pass(time.Minute)
		tries := b.seen()
		if diff := cmp.Diff([]string{"1#2", "1#3", "1#4"}, names(tries)); diff != "" {
			t.Fatalf("on its schedule (-want +got):\n%s", diff)
		}
		if first, second := tries[0].at, tries[1].at-tries[0].at; first < 4*time.Second || first > 6*time.Second ||
			second < 8*time.Second || second > 12*time.Second {
			t.Errorf("tried again after %v and %v, want about 5 s and 10 s", first, second)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestStrictLaneWaitsForFailedMessage: nothing overtakes the head of a strict lane.
func TestStrictLaneWaitsForFailedMessage(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "1" && tr.attempt < 4 {
				return status(500)
			}
			return status(200)
		})
		b.accept("/", "1", "2")
		b.pass(time.Minute)
		if diff := cmp.Diff([]string{"1#1", "1#2", "1#3", "1#4", "2#1"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example", repeater.Strict()))
}

// TestSilentHead: when the head alone gets no answer three times, the probe goes to the message
// behind it; if that is delivered the head is at fault, and the lane goes on without it.
func TestSilentHead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   reply
		opts []repeater.RouteOption
		want []string
	}{
		{"timeout", hang, nil, []string{"1#1", "1#2", "1#3", "2#1", "3#1"}},
		{"reset after the request", reply{err: errReset, whole: true}, nil, []string{"1#1", "1#2", "1#3", "2#1", "3#1"}},
		{"reset during the request", reply{err: errReset}, nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"refused connection", reply{err: errRefused}, nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"no such host", reply{err: errNoHost}, nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"429", status(429), nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"502", status(502), nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"503", status(503), nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"504", status(504), nil, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
		{"strict", hang, []repeater.RouteOption{repeater.Strict()}, []string{"1#1", "1#2", "1#3", "1#4", "1#5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				b.replies(func(tr sent) reply {
					if tr.body == "1" {
						return tt.do
					}
					return status(200)
				})
				b.accept("/", "1", "2", "3")
				b.pass(10 * time.Minute)
				if diff := cmp.Diff(tt.want, names(b.seen())[:5]); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			}, repeater.Route("/", "http://a.example", tt.opts...), repeater.WithQuickRetries(0))
		})
	}
}

// TestSilentHeadGoesOnAlone: once it is known to be at fault, its attempts hold up the lane no more than
// they last.
func TestSilentHeadGoesOnAlone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "bad" {
				return hang
			}
			return status(200)
		})
		b.accept("/", "bad", "1", "2")
		b.pass(10 * time.Minute)
		b.seen()
		for i := range 60 {
			b.accept("/", fmt.Sprint(i))
			b.pass(time.Minute)
			if got := b.lane(laneA); got.Failures > 0 {
				t.Fatalf("the lane pauses again: %+v", got)
			}
		}
		b.pass(time.Minute)
		good, bad := 0, 0
		for _, tr := range b.seen() {
			if tr.body == "bad" {
				bad++
			} else {
				good++
			}
		}
		if good != 60 || bad < 5 {
			t.Errorf("%d others delivered, want 60, and %d tries of the bad one, want it to go on", good, bad)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestProbesAlternate: while neither the silent head nor the one behind it gets an answer, the
// destination is down, both keep their places, and probes go to both.
func TestProbesAlternate(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return hang })
		b.accept("/", "1", "2", "3")
		b.pass(20 * time.Minute)
		got := names(b.seen())[:7]
		if diff := cmp.Diff([]string{"1#1", "1#2", "1#3", "2#1", "1#4", "2#2", "1#5"}, got); diff != "" {
			t.Errorf("probes (-want +got):\n%s", diff)
		}
		b.replies(func(sent) reply { return status(200) })
		b.pass(10 * time.Minute)
		last := b.seen()
		if got := b.lane(laneA); got.Waiting != 0 {
			t.Errorf("left waiting: %+v", got)
		}
		if tr := last[len(last)-1]; tr.body != "3" && tr.body != "1" {
			t.Errorf("last was %v", tr)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestPauseAndResume: nothing is sent while an operator has paused the lane, also after a restart;
// accepting goes on, and other lanes too.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		ctx := context.Background()
		if err := b.rp.Pause(ctx, laneA); err != nil {
			t.Fatal(err)
		}
		b.accept("/a", "1", "2")
		b.accept("/b", "other")
		b.pass(time.Hour)
		b.restart()
		b.accept("/a", "3")
		b.pass(time.Hour)
		if diff := cmp.Diff([]string{"other#1"}, names(b.seen())); diff != "" {
			t.Errorf("while paused (-want +got):\n%s", diff)
		}
		if got := b.lane(laneA); !got.Paused || got.Waiting != 3 {
			t.Errorf("%+v, want it paused with 3 waiting", got)
		}
		if err := b.rp.Resume(ctx, laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(0)
		if diff := cmp.Diff([]string{"1#1", "2#1", "3#1"}, names(b.seen())); diff != "" {
			t.Errorf("after Resume (-want +got):\n%s", diff)
		}
	}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"))
}

// TestPauseInTheMiddle: what the lane already has in hand is not sent either.
func TestPauseInTheMiddle(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		b.accept("/", "1", "2", "3", "4", "5")
		b.pass(1500 * time.Millisecond)
		if err := b.rp.Pause(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Hour)
		if diff := cmp.Diff([]string{"1#1", "2#1"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if got := b.lane(laneA).Waiting; got != 3 {
			t.Errorf("%d waiting, want 3", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestRetryNow: an operator who knows that the destination is back need not wait.
func TestRetryNow(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		b.accept("/", "1", "2")
		b.pass(30 * time.Minute)
		b.seen()
		b.replies(func(sent) reply { return status(200) })
		if err := b.rp.RetryNow(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(0)
		if got := b.lane(laneA); got.Waiting != 0 || len(b.seen()) != 2 {
			t.Errorf("not delivered at once: %+v", got)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}
