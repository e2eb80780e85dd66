package repeater_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// TestPassThrough: a complete answer in time goes to the sender as it is and settles the message, whatever
// its status; in every other case the sender hears 202, and the message stays queued.
func TestPassThrough(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		do            reply
		want          int
		body          string
		after         time.Duration // that the sender has to wait
		waiting, dead int
	}{
		{"200", reply{status: 200, body: "yes"}, 200, "yes", 0, 0, 0},
		{"204", status(204), 204, "", 0, 0, 0},
		{"404", reply{status: 404, body: "no"}, 404, "no", 0, 0, 0},
		{"410", status(410), 410, "", 0, 0, 0},
		{"500", reply{status: 500, body: "ouch"}, 500, "ouch", 0, 0, 0},
		{"503", status(503), 503, "", 0, 0, 0},
		{"a little later", reply{status: 200, body: "yes", after: 1500 * time.Millisecond}, 200, "yes", 1500 * time.Millisecond, 0, 0},
		{"after the wait", reply{status: 200, body: "yes", after: 3 * time.Second}, 202, "Accepted", 2 * time.Second, 0, 0},
		{"after the wait, refused", reply{status: 404, after: 3 * time.Second}, 202, "Accepted", 2 * time.Second, 0, 1},
		{"no answer", reply{err: errRefused}, 202, "Accepted", 0, 1, 0},
		{"no answer within the wait", hang, 202, "Accepted", 2 * time.Second, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				do := tt.do
				do.header = http.Header{"X-Answer": {"a", "b"}, "Connection": {"close"}}
				b.replies(func(sent) reply { return do })
				began := time.Now()
				w := b.post("/", "1")
				if got := time.Since(began); got != tt.after {
					t.Errorf("answered after %v, want %v", got, tt.after)
				}
				if w.Code != tt.want || w.Body.String() != tt.body {
					t.Errorf("answered %d %q, want %d %q", w.Code, w.Body, tt.want, tt.body)
				}
				if w.Header().Get("Repeater-Id") == "" {
					t.Error("the answer has no Repeater-Id")
				}
				passed := []string(nil)
				if tt.want != 202 {
					passed = []string{"a", "b"}
				}
				if diff := cmp.Diff(passed, w.Header()["X-Answer"]); diff != "" || w.Header().Get("Connection") != "" {
					t.Errorf("headers %v", w.Header())
				}
				b.pass(time.Minute)
				if got := b.lane(laneA); got.Waiting != tt.waiting || got.Dead != tt.dead {
					t.Errorf("%d waiting and %d dead, want %d and %d", got.Waiting, got.Dead, tt.waiting, tt.dead)
				}
			}, repeater.Route("/", "http://a.example", repeater.PassThrough(2*time.Second)), repeater.WithQuickRetries(0),
				repeater.WithBackoff(10*time.Minute, time.Hour))
		})
	}
}

// TestPassThroughSenderHangsUp: the message is delivered all the same, by the usual table.
func TestPassThroughSenderHangsUp(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.attempt == 1 {
				return reply{status: 503, after: time.Second}
			}
			return status(200)
		})
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(500*time.Millisecond, cancel)
		b.post("/", "1", func(r *http.Request) { *r = *r.WithContext(ctx) })
		b.pass(time.Minute)
		if diff := cmp.Diff([]string{"1#1", "1#2"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if got := b.lane(laneA).Waiting; got != 0 {
			t.Errorf("%d waiting, want it delivered", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.PassThrough(2*time.Second)), repeater.WithQuickRetries(0))
}

// TestPassThroughBehindABacklog: who comes behind others waits for them, but not for longer than said; a
// lane that is known to be unwell is not waited for at all.
func TestPassThroughBehindABacklog(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 200, body: "done", after: 1200 * time.Millisecond} })
		answers := make(chan *httptest.ResponseRecorder, 3)
		for _, body := range []string{"1", "2", "3"} {
			go func() { answers <- b.post("/", body) }()
			synctest.Wait()
		}
		got := []int{(<-answers).Code, (<-answers).Code, (<-answers).Code}
		if diff := cmp.Diff([]int{200, 202, 202}, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		b.pass(time.Minute)
		if got := b.lane(laneA).Waiting; got != 0 {
			t.Fatalf("%d waiting, want all delivered", got)
		}
		b.replies(func(sent) reply { return reply{err: errRefused} })
		b.post("/", "4")
		b.pass(0)
		began := time.Now()
		if w := b.post("/", "5"); w.Code != 202 || time.Since(began) != 0 {
			t.Errorf("answered %d after %v, want 202 at once", w.Code, time.Since(began))
		}
	}, repeater.Route("/", "http://a.example", repeater.PassThrough(2*time.Second)), repeater.WithQuickRetries(0))
}

// TestPassThroughElsewhere: a process that does not deliver answers 202 at once.
func TestPassThroughElsewhere(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		other := repeater.New(repeater.WithQueue(b.queue), repeater.Route("/", "http://a.example", repeater.PassThrough(time.Hour)))
		w := httptest.NewRecorder()
		other.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("1")))
		if w.Code != 202 {
			t.Errorf("answered %d, want 202", w.Code)
		}
		b.pass(2 * time.Second)
		if diff := cmp.Diff([]string{"1#1"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example"))
}

// refusing is a store that is down.
type refusing struct{ repeater.Queue }

func (refusing) Push(context.Context, repeater.Batch) (string, error) {
	return "", errors.New("store is down")
}

// TestPassThroughWithoutStore: it is a wait, not a bypass.
func TestPassThroughWithoutStore(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.queue = refusing{b.queue}
		b.restart()
		if w := b.post("/", "1"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("answered %d, want 503 with Retry-After", w.Code)
		}
		b.pass(time.Minute)
		if got := len(b.seen()); got != 0 {
			t.Errorf("%d attempts, want none", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.PassThrough(2*time.Second)))
}
