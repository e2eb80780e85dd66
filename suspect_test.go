package repeater_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// lossy says of the killer that it has been in hand at so many deaths, until it is settled.
type lossy struct {
	repeater.Queue
	lost int

	mu     sync.Mutex
	killer repeater.Key
}

func (l *lossy) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	claim, err := l.Queue.Claim(ctx, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range claim.Messages {
		m := &claim.Messages[i]
		if strings.HasSuffix(string(m.Payload), "killer") && m.Key != l.killer {
			m.Lost = l.lost
		}
	}
	return claim, err
}

func (l *lossy) Settle(ctx context.Context, lane, token string, s []repeater.Settlement) error {
	l.mu.Lock()
	for i := range s {
		if s[i].Kind == repeater.SettleRetry {
			l.killer = s[i].Key
		}
	}
	l.mu.Unlock()
	return l.Queue.Settle(ctx, lane, token, s)
}

// TestMessageThatEndsProcesses is tried alone after three deaths, with nothing else in flight; if that has not
// helped, it goes on its own schedule. Loud lines tell of it, and the count alone never makes it dead.
func TestMessageThatEndsProcesses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lost, loud int
		alone      bool
		order      []string // of the killer's lane
	}{
		{2, 0, false, []string{"killer#1", "a1#1"}},
		{3, 1, true, []string{"killer#1", "a1#1"}},
		{4, 1, true, []string{"a1#1", "killer#2"}},
	} {
		inBubble(t, func(b *bubble) {
			b.queue = &lossy{Queue: b.queue, lost: tt.lost}
			b.restart()
			b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
			b.accept("/b", "b1")
			b.pass(100 * time.Millisecond)
			b.accept("/a", "killer", "a1")
			b.accept("/b", "b2", "b3")
			b.pass(30 * time.Second)
			alone, order := true, []string{}
			tries := b.seen()
			for _, tr := range tries {
				if tr.host == "a.example" {
					order = append(order, tr.String())
				}
				for _, other := range tries {
					if tr.body == "killer" && other != tr && other.at > tr.at-time.Second && other.at < tr.at+time.Second {
						alone = false
					}
				}
			}
			if diff := cmp.Diff(tt.order, order); diff != "" {
				t.Errorf("lost %d times: attempts (-want +got):\n%s", tt.lost, diff)
			}
			if loud := b.logged("level=ERROR", "has ended the process"); loud != tt.loud || alone != tt.alone {
				t.Errorf("lost %d times: alone %v and %d loud lines, want %v and %d", tt.lost, alone, loud, tt.alone, tt.loud)
			}
		}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"), repeater.WithQuickRetries(0))
	}
}

// TestDeathsDoNotKeepYoung: a message that was in hand at each death of the process, so that no attempt could ever
// tell how it ended, is given up like any other when it has waited for too long. One that was in hand at fewer of
// them is tried once more, however old.
func TestDeathsDoNotKeepYoung(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lost, dead int
		opts       []repeater.RouteOption
	}{{lost: 1}, {lost: 3}, {lost: 4, dead: 1}, {lost: 4, dead: 1, opts: []repeater.RouteOption{repeater.Strict()}}} {
		inBubble(t, func(b *bubble) {
			b.queue = &lossy{Queue: b.queue, lost: tt.lost}
			b.restart()
			b.replies(func(sent) reply { return hang })
			b.accept("/", "killer", "next")
			b.halt()
			b.seen()
			b.pass(2 * time.Hour)
			b.replies(func(sent) reply { return status(200) })
			b.restart()
			b.pass(time.Minute)
			dead := b.dead(laneA)
			if len(dead) != tt.dead || tt.dead > 0 && !strings.Contains(dead[0].Reason, "given up after 1h0m0s") {
				t.Errorf("lost %d times: dead letters %+v, want %d that was given up", tt.lost, dead, tt.dead)
			}
			tries := 0
			for _, tr := range b.seen() {
				if tr.body == "killer" {
					tries++
				}
			}
			if tries != 1-tt.dead {
				t.Errorf("lost %d times: %d tries, want %d", tt.lost, tries, 1-tt.dead)
			}
		}, repeater.Route("/", "http://a.example", append(tt.opts, repeater.MaxAge(time.Hour))...))
	}
}

// TestDeathsLengthenThePause: a message that ends the process each time it is tried is put off for longer and longer, and at
// last given up, with the attempts told of that could not tell themselves how they ended.
func TestDeathsLengthenThePause(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.queue = &deadly{Queue: b.queue}
		b.restart()
		b.replies(func(sent) reply { return status(200) })
		b.accept("/", "killer", "next")
		b.pass(time.Hour)
		var pauses []time.Duration
		d := b.queue.(*deadly)
		d.mu.Lock()
		for _, s := range d.settled {
			if s.Kind == repeater.SettleRetry {
				pauses = append(pauses, s.After)
			}
		}
		d.mu.Unlock()
		want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute}
		if len(pauses) != len(want) {
			t.Fatalf("pauses %v, want about %v", pauses, want)
		}
		for i := range want {
			if d := pauses[i] - want[i]; d.Abs() > want[i]/5 {
				t.Errorf("pause %d is %v, want about %v", i+1, pauses[i], want[i])
			}
		}
		dead := b.dead(laneA)
		if len(dead) != 1 || dead[0].Attempts != 5 || !strings.Contains(dead[0].Reason, "given up after 5 attempts: the process has died") {
			t.Fatalf("dead letters %+v, want one after 5 attempts", dead)
		}
		for _, a := range dead[0].History {
			if a.At.IsZero() || !strings.Contains(a.Error, "the process has died") {
				t.Errorf("an attempt is told of as %+v", a)
			}
		}
		if diff := cmp.Diff([]string{"next#1"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example", repeater.MaxAttempts(5)), repeater.WithBackoff(10*time.Second, time.Minute))
}

// deadly says of the killer, whenever it is claimed, that four processes have died with it since it was settled.
type deadly struct {
	repeater.Queue
	mu      sync.Mutex
	settled []repeater.Settlement
}

func (d *deadly) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	claim, err := d.Queue.Claim(ctx, c)
	for i := range claim.Messages {
		if m := &claim.Messages[i]; strings.HasSuffix(string(m.Payload), "killer") {
			m.Lost = 4
		}
	}
	return claim, err
}

func (d *deadly) Settle(ctx context.Context, lane, token string, s []repeater.Settlement) error {
	d.mu.Lock()
	d.settled = append(d.settled, s...)
	d.mu.Unlock()
	return d.Queue.Settle(ctx, lane, token, s)
}

// TestOnlyTheNextIsSuspected: after a death, what only was in hand with the one that was tried is given back, so
// that at the next death it is not counted again.
func TestOnlyTheNextIsSuspected(t *testing.T) {
	t.Parallel()
	q := &handCounter{Queue: &lostOnce{Queue: memqueue.New(), seen: make(map[repeater.Key]bool)}, now: make(map[repeater.Key]int)}
	inBubble(t, func(b *bubble) {
		b.queue = q
		b.restart()
		b.replies(func(sent) reply { return status(200) })
		b.accept("/", "0")
		b.pass(time.Second)
		ctx := context.Background()
		if err := b.rp.Pause(ctx, laneA); err != nil {
			t.Fatal(err)
		}
		want := []string{"0#1"}
		for n := 1; n < 30; n++ {
			b.accept("/", fmt.Sprint(n))
			want = append(want, fmt.Sprintf("%d#1", n))
		}
		if err := b.rp.Resume(ctx, laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		if diff := cmp.Diff(want, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if _, back := q.figures(); back < 28 {
			t.Errorf("%d given back, want all but the next", back)
		}
	}, repeater.Route("/", "http://a.example"))
}

// lostOnce says of each message, at its first claim, that it was in hand at a death.
type lostOnce struct {
	repeater.Queue
	mu   sync.Mutex
	seen map[repeater.Key]bool
}

func (l *lostOnce) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	claim, err := l.Queue.Claim(ctx, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range claim.Messages {
		if m := &claim.Messages[i]; !l.seen[m.Key] {
			l.seen[m.Key], m.Lost = true, 1
		}
	}
	return claim, err
}
