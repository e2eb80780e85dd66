package repeater_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// TestQuickRetries: what is over in a moment costs no backoff, shares the attempt's number, and lasts a
// second at most.
func TestQuickRetries(t *testing.T) {
	t.Parallel()
	retryAfter := reply{status: 503, header: http.Header{"Retry-After": {"1"}}}
	for _, tt := range []struct {
		name    string
		do      reply
		times   int // that it goes wrong
		opts    []repeater.Option
		route   []repeater.RouteOption
		want    []string // in the first two seconds
		waiting int
	}{
		{name: "refused once", do: reply{err: errRefused}, times: 1, want: []string{"1#1", "1#1"}},
		{name: "refused twice", do: reply{err: errRefused}, times: 2, want: []string{"1#1", "1#1", "1#1"}},
		{name: "refused on", do: reply{err: errRefused}, times: 9, want: []string{"1#1", "1#1", "1#1"}, waiting: 1},
		{name: "reset", do: reply{err: errReset, whole: true}, times: 2, want: []string{"1#1", "1#1", "1#1"}},
		{name: "502", do: status(502), times: 2, want: []string{"1#1", "1#1", "1#1"}},
		{name: "503", do: status(503), times: 1, want: []string{"1#1", "1#1"}},
		{name: "503 with Retry-After", do: retryAfter, times: 1, want: []string{"1#1"}, waiting: 1},
		{name: "504", do: status(504), times: 1, want: []string{"1#1"}, waiting: 1},
		{name: "429", do: status(429), times: 1, want: []string{"1#1"}, waiting: 1},
		{name: "500", do: status(500), times: 1, want: []string{"1#1"}, waiting: 1},
		{name: "no such host", do: reply{err: errNoHost}, times: 1, want: []string{"1#1"}, waiting: 1},
		{name: "slow to fail", do: reply{status: 502, after: 950 * time.Millisecond}, times: 9, want: []string{"1#1"}, waiting: 1},
		{name: "a bit slow to fail", do: reply{status: 502, after: 300 * time.Millisecond}, times: 9, want: []string{"1#1", "1#1"}, waiting: 1},
		{name: "once", do: status(502), times: 9, opts: []repeater.Option{repeater.WithQuickRetries(1)}, want: []string{"1#1", "1#1"}, waiting: 1},
		{name: "off", do: status(502), times: 1, opts: []repeater.Option{repeater.WithQuickRetries(0)}, want: []string{"1#1"}, waiting: 1},
		{name: "never against the pace", do: status(502), times: 1, route: []repeater.RouteOption{repeater.Pace(time.Second)}, want: []string{"1#1"}, waiting: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := append([]repeater.Option{
				repeater.Route("/", "http://a.example", tt.route...), repeater.WithBackoff(10*time.Second, time.Minute)}, tt.opts...)
			inBubble(t, func(b *bubble) {
				left := tt.times
				b.replies(func(sent) reply {
					if left--; left >= 0 {
						return tt.do
					}
					return status(200)
				})
				b.accept("/", "1")
				b.pass(2 * time.Second)
				tries := b.seen()
				if diff := cmp.Diff(tt.want, names(tries)); diff != "" {
					t.Errorf("tries (-want +got):\n%s", diff)
				}
				if last := tries[len(tries)-1].at; last > time.Second {
					t.Errorf("last tried after %v, want it within a second", last)
				}
				if got := b.lane(laneA).Waiting; got != tt.waiting {
					t.Errorf("%d waiting, want %d", got, tt.waiting)
				}
			}, opts...)
		})
	}
}

// TestQuickRetriesNeverOnAProbe: a destination that is unwell is asked once, after each pause.
func TestQuickRetriesNeverOnAProbe(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(502) })
		b.accept("/", "1")
		b.pass(time.Hour)
		got := names(b.seen())[:6]
		if diff := cmp.Diff([]string{"1#1", "1#1", "1#1", "1#2", "1#3", "1#4"}, got); diff != "" {
			t.Errorf("tries (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestQuickRetryEndsInAnyAnswer: also one that net/http's client would stumble over.
func TestQuickRetryEndsInAnyAnswer(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		first := true
		b.replies(func(sent) reply {
			if first {
				first = false
				return status(502)
			}
			return reply{status: 302, header: http.Header{"Location": {"http://[bad"}}, body: "moved"}
		})
		b.accept("/", "1")
		b.pass(2 * time.Second)
		letters := b.dead(laneA)
		if len(letters) != 1 || letters[0].History[0].Status != 302 || string(letters[0].Answer) != "moved" {
			t.Errorf("dead letters %+v, want the redirect's", letters)
		}
	}, repeater.Route("/", "http://a.example"))
}

// idleCounter counts who closes the connections of all lanes.
type idleCounter struct {
	http.RoundTripper
	closed *int
}

func (i idleCounter) CloseIdleConnections() { *i.closed++ }

// TestQuickRetriesKeepOthersConnections: giving up in one lane costs no other lane its connections.
func TestQuickRetriesKeepOthersConnections(t *testing.T) {
	t.Parallel()
	closed := 0
	inBubble(t, func(b *bubble) {
		b.opts = append(b.opts, repeater.WithTransport(idleCounter{b, &closed}))
		b.restart()
		b.replies(func(sent) reply { return reply{err: errRefused} })
		b.accept("/", "1")
		b.pass(2 * time.Second)
		if got := len(b.seen()); got != 3 {
			t.Fatalf("%d tries, want 3", got)
		}
		if closed != 0 {
			t.Errorf("idle connections closed %d times", closed)
		}
	}, repeater.Route("/", "http://a.example"))
}
