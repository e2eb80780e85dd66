package repeater_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func unread(t *testing.T, length int64) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(untouched{t}), length
	}
}

// TestFullLane: beyond its bound a lane's senders hear 503 before their body is read; others are served, and nothing that
// was acknowledged is lost.
func TestFullLane(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		bound repeater.Bound
	}{
		{"messages", repeater.Bound{Messages: 3}},
		{"bytes", repeater.Bound{Bytes: 700}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				b.replies(func(tr sent) reply {
					if tr.host == "a.example" {
						return status(503)
					}
					return status(200)
				})
				for i := range 3 {
					b.accept("/a", fmt.Sprint(i)+strings.Repeat("x", 200))
				}
				w := b.post("/a", "", unread(t, 10))
				if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Connection") != "close" {
					t.Errorf("answered %d with %v, want 503, Retry-After, and the connection closed", w.Code, w.Header())
				}
				if w := b.post("/both", "", unread(t, 10)); w.Code != 503 {
					t.Errorf("fan-out with a full lane answered %d, want 503", w.Code)
				}
				b.accept("/b", "other")
				if got := b.lane(laneA).Waiting; got != 3 {
					t.Errorf("%d waiting, want the 3 acknowledged", got)
				}
				b.replies(func(sent) reply { return status(200) })
				b.pass(time.Minute)
				b.accept("/a", "again")
			}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"),
				repeater.Route("/both", "http://b.example", repeater.AlsoTo("http://a.example")),
				repeater.WithLaneBound(tt.bound), repeater.WithQuickRetries(0))
		})
	}
}

// unsized is a store that cannot tell how much it has.
type unsized struct{ repeater.Queue }

// TestFullLaneOfAPlainQueue: without SizedQueue, Push finds out.
func TestFullLaneOfAPlainQueue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.queue = unsized{memqueue.New()}
		b.restart()
		b.replies(func(sent) reply { return status(503) })
		b.accept("/", "1", "2")
		if w := b.post("/", "3"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("answered %d, want 503 with Retry-After", w.Code)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithLaneBound(repeater.Bound{Messages: 2}))
}

// TestDoorMemory: bodies that are being read take no more than so many bytes together, declared or not.
func TestDoorMemory(t *testing.T) {
	t.Parallel()
	const room = 1 << 20
	inBubble(t, func(b *bubble) {
		held, release := io.Pipe()
		var wg sync.WaitGroup
		slow := func(length int64) func(*http.Request) {
			return func(r *http.Request) { r.Body, r.ContentLength = held, length }
		}
		wg.Go(func() {
			if w := b.post("/", "", slow(room-100)); w.Code != 200 {
				t.Errorf("the slow one: answered %d, want 200", w.Code)
			}
		})
		synctest.Wait()
		if w := b.post("/", "", unread(t, 101)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("a declared body too many: answered %d, want 503 with Retry-After", w.Code)
		}
		undeclared := func(r *http.Request) { r.ContentLength = -1 }
		if w := b.post("/", strings.Repeat("x", 101), undeclared); w.Code != 503 {
			t.Errorf("an undeclared body too many: answered %d, want 503", w.Code)
		}
		b.accept("/", strings.Repeat("x", 100))
		_, _ = release.Write(make([]byte, room-100))
		_ = release.Close()
		wg.Wait()
		if w := b.post("/", strings.Repeat("x", room), undeclared); w.Code != 200 {
			t.Errorf("when there is room again: answered %d, want 200", w.Code)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithMaxBody(room), repeater.WithMemory(room, 0))
}

// TestLaneMemory: what lanes have in hand stays within the bound, and where they wait for it, each has one message; that they give
// back what they have beyond, while the store takes its time, costs no order.
func TestLaneMemory(t *testing.T) {
	t.Parallel()
	const size, lanes, each = 100 << 10, 40, 20
	q := &handCounter{Queue: memqueue.New(), now: make(map[repeater.Key]int)}
	var opts []repeater.Option
	for i := range lanes {
		opts = append(opts, repeater.Route(fmt.Sprintf("/%d", i), fmt.Sprintf("http://%d.example", i)))
	}
	opts = append(opts, repeater.WithMaxBody(1<<20), repeater.WithMemory(0, 8<<20))
	inBubble(t, func(b *bubble) {
		b.queue = q
		b.restart()
		b.replies(func(tr sent) reply {
			q.gone(repeater.Key{ID: tr.id})
			return reply{status: 200, after: 2 * time.Millisecond}
		})
		body := strings.Repeat("x", size)
		for n := range each {
			for i := range lanes {
				b.accept(fmt.Sprintf("/%d", i), fmt.Sprintf("%03d%s", n, body))
			}
		}
		b.pass(5 * time.Minute)
		tries := b.seen()
		if len(tries) != lanes*each {
			t.Errorf("%d delivered, want %d: the line for memory must move", len(tries), lanes*each)
		}
		last := make(map[string]string)
		for _, tr := range tries {
			if number := tr.body[:3]; number < last[tr.host] {
				t.Errorf("%s: message %s after %s", tr.host, number, last[tr.host])
			} else {
				last[tr.host] = number
			}
		}
		if most, _ := q.figures(); most > 9<<20 {
			t.Errorf("%d bytes in hand, want no more than about %d", most, 8<<20)
		}
	}, opts...)
}

// handCounter counts the bytes that are claimed.
type handCounter struct {
	repeater.Queue
	mu          sync.Mutex
	now         map[repeater.Key]int
	bytes, most int
	back        int // messages given back
}

func (h *handCounter) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	time.Sleep(3 * time.Millisecond)
	claim, err := h.Queue.Claim(ctx, c)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range claim.Messages {
		h.now[m.Key] = len(m.Payload)
		h.bytes += len(m.Payload)
	}
	h.most = max(h.most, h.bytes)
	return claim, err
}

func (h *handCounter) figures() (most, back int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most, h.back
}

// gone is what is attempted or given back.
func (h *handCounter) gone(key repeater.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes -= h.now[key]
	delete(h.now, key)
}

func (h *handCounter) Settle(ctx context.Context, lane, token string, s []repeater.Settlement) error {
	for i := range s {
		if s[i].Kind == repeater.SettleRelease {
			h.gone(s[i].Key)
			h.mu.Lock()
			h.back++
			h.mu.Unlock()
		}
	}
	time.Sleep(20 * time.Millisecond)
	return h.Queue.Settle(ctx, lane, token, s)
}

// TestBacklogGrowsThoughWell: one line says so, and names Concurrency; a destination that is down is another matter.
func TestBacklogGrowsThoughWell(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.host == "b.example" {
				return status(503)
			}
			return reply{status: 200, after: time.Second}
		})
		for range 400 {
			for range 5 {
				b.accept("/a", "x")
				b.accept("/b", "x")
			}
			b.pass(time.Second)
		}
		if diff := cmp.Diff([]int{1, 0}, []int{b.logged("Concurrency", laneA), b.logged("Concurrency", laneB)}); diff != "" {
			t.Errorf("lines about the growing and about the unwell lane (-want +got):\n%s", diff)
		}
	}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"), repeater.WithQuickRetries(0))
}

// TestGivingMemoryBackKeepsOrder: a lane that gives back what it has in hand, because another one waits for
// memory, goes on with it before all that a claim brings meanwhile.
func TestGivingMemoryBackKeepsOrder(t *testing.T) {
	t.Parallel()
	gaveBack := 0
	for offset := range 40 {
		q := &handCounter{Queue: memqueue.New(), now: make(map[repeater.Key]int)}
		inBubble(t, func(b *bubble) {
			b.queue = q
			b.restart()
			b.replies(func(sent) reply { return reply{status: 200, after: 2 * time.Millisecond} })
			body := strings.Repeat("x", 50<<10)
			for n := range 150 {
				b.accept("/a", fmt.Sprintf("%03d%s", n, body))
			}
			b.pass(100*time.Millisecond + time.Duration(offset)*time.Millisecond)
			for n := range 30 {
				b.accept("/b", fmt.Sprintf("%03d%s", n, body))
			}
			b.pass(time.Minute)
			last := make(map[string]string)
			for _, tr := range b.seen() {
				if number := tr.body[:3]; number < last[tr.host] {
					t.Fatalf("%s: message %s after %s", tr.host, number, last[tr.host])
				} else {
					last[tr.host] = number
				}
			}
			_, back := q.figures()
			gaveBack += back
		}, repeater.Route("/a", "http://a.example"), repeater.Route("/b", "http://b.example"),
			repeater.WithMaxBody(1<<20), repeater.WithMemory(0, 3<<20))
	}
	if gaveBack == 0 {
		t.Error("no lane gave anything back: nothing was tested")
	}
}
