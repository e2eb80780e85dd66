package repeater_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// admin asks the API without a socket, which a bubble has none of.
func (b *bubble) admin(into any, method, path, body string) int {
	b.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.rp.Admin(repeater.AdminToken(adminToken)).ServeHTTP(w, req)
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		b.t.Fatalf("%s %s: %s", method, path, w.Body)
	}
	return w.Code
}

func (b *bubble) adminLane(name string) (l adminLane) {
	b.t.Helper()
	if code := b.admin(&l, "GET", "/api/v1/lane?lane="+url.QueryEscape(name), ""); code != http.StatusOK {
		b.t.Fatalf("lane %s: %d", name, code)
	}
	return l
}

func (b *bubble) explain(id string) adminMessage {
	b.t.Helper()
	var all adminMessages
	if code := b.admin(&all, "GET", "/api/v1/messages/"+id, ""); code != http.StatusOK || len(all.Messages) != 1 {
		b.t.Fatalf("%s: %d %+v", id, code, all)
	}
	return all.Messages[0]
}

// seconds are what jitter changes.
var seconds = regexp.MustCompile(` [0-9]+ s\b`)

func (b *bubble) wantWhy(state, why string) {
	b.t.Helper()
	if l := b.adminLane(laneA); l.State != state || seconds.ReplaceAllString(l.Why, " N s") != why {
		b.t.Errorf("the lane is %s: %s\nwant %s: %s", l.State, l.Why, state, why)
	}
}

func (b *bubble) wantNext(id, status, next string) {
	b.t.Helper()
	if m := b.explain(id); m.Status != status || seconds.ReplaceAllString(m.Next, " N s") != next {
		b.t.Errorf("%s: %s\nwant %s: %s", m.Status, m.Next, status, next)
	}
}

// TestAdminSentences: what is told of a lane, and of a message in it, as its destination ails and thrives.
func TestAdminSentences(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		send := func(body string) string { return b.post("/", body).Header().Get("Repeater-Id") }
		b.wantWhy("well", "Nothing waits.")

		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		zeroth := send("0")
		b.pass(100 * time.Millisecond)
		b.wantWhy("well", "The destination is well, and what waits is being delivered.")
		b.wantNext(zeroth, "in hand", "It is in hand: being attempted now, or next in turn.")
		b.pass(time.Minute)

		b.replies(func(sent) reply { return status(503) })
		first, second := send("1"), send("2")
		b.pass(100 * time.Millisecond)
		b.wantWhy("unwell", "The destination fails, once in a row (last: the destination answered 503 Service Unavailable). The next probe goes out in N s.")
		b.wantNext(first, "waiting", "It waits because the destination fails, once in a row (last: the destination answered 503 Service Unavailable). The next probe goes out in N s.")
		third := send("3")
		b.pass(0)
		b.wantNext(third, "waiting", "It waits, behind 2 others, because the destination fails, once in a row (last: the destination answered 503 Service Unavailable). The next probe goes out in N s.")
		m := b.explain(first)
		if time.Until(*m.Due) > 24*time.Second || time.Until(*m.Expires) > 72*time.Hour || time.Until(*m.Expires) < 71*time.Hour {
			t.Errorf("due %v, expires %v", m.Due, m.Expires)
		}

		order := fmt.Sprintf(`{"lane":%q}`, laneA)
		var l adminLane
		b.admin(&l, "POST", "/api/v1/lane/pause", order)
		b.wantWhy("paused", "Paused by an operator: nothing is sent until it is resumed. Requests are still accepted.")
		b.wantNext(first, "waiting", "It waits because its lane is paused by an operator; resume the lane.")
		if m := b.explain(first); m.Due != nil || m.Expires != nil {
			t.Errorf("while it is paused: due %v, expires %v", m.Due, m.Expires)
		}
		b.admin(&l, "POST", "/api/v1/lane/resume", order)

		b.replies(func(tr sent) reply {
			return map[string]reply{"1": status(500), "2": status(404), "3": status(200)}[tr.body]
		})
		b.admin(&l, "POST", "/api/v1/lane/retry-now", order)
		b.pass(100 * time.Millisecond)
		m = b.explain(first)
		if m.Status != "waiting" || !strings.HasPrefix(m.Next, "It is tried again by itself in ") ||
			!strings.HasSuffix(m.Next, " (last: the destination answered 500 Internal Server Error); the lane goes on meanwhile.") {
			t.Errorf("%s: %s", m.Status, m.Next)
		}
		died := time.Now().UTC()
		b.wantNext(second, "dead", fmt.Sprintf("It is dead since %s because: the destination answered 404 Not Found. Replay or drop it by its key, %s.0; on %s it is deleted.",
			died.Format(time.RFC3339), second, died.Add(30*24*time.Hour).Format(time.DateOnly)))
	}, repeater.Route("/", "http://a.example", repeater.Name("r")), repeater.WithBackoff(20*time.Second, time.Hour), repeater.WithQuickRetries(0))
}

// TestAdminRefusing: one refusal after the other is told apart from other failures.
func TestAdminRefusing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(403) })
		b.accept("/", "1", "2", "3", "4", "5", "6")
		b.pass(time.Second)
		l := b.adminLane(laneA)
		if l.State != "refusing" || l.Dead != 4 || l.Waiting != 2 || l.NextAttempt == nil ||
			!strings.HasPrefix(l.Why, "The destination has refused 5 messages in a row (last: the destination answered 403 Forbidden), which is taken for its own fault. The next probe goes out in ") {
			t.Errorf("%+v", l)
		}
		b.admin(&l, "POST", "/api/v1/lane/drop-refused", fmt.Sprintf(`{"lane":%q}`, laneA))
		b.pass(time.Second)
		if l := b.adminLane(laneA); l.Dead != 6 || l.State != "well" {
			t.Errorf("after it was told to drop: %+v", l)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestAdminFailing: a destination that fails each message by itself is not taken for a well one.
func TestAdminFailing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(500) })
		b.accept("/", "1", "2", "3", "4")
		b.pass(time.Second)
		if l := b.adminLane(laneA); l.State != "well" {
			t.Errorf("after four failures: %+v", l)
		}
		b.accept("/", "5")
		b.pass(time.Second)
		l := b.adminLane(laneA)
		if l.State != "failing" || l.NextAttempt == nil ||
			!strings.HasPrefix(l.Why, "The destination answers, but has failed the last 5 attempts (last: the destination answered 500 Internal Server Error). Each message is tried again on a schedule of its own. What waits is tried again by itself, in ") {
			t.Errorf("after five: %+v", l)
		}
		b.replies(func(sent) reply { return status(200) })
		b.pass(time.Hour)
		b.wantWhy("well", "Nothing waits.")
	}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(20*time.Second, time.Minute))
}

// TestAdminHeldBack says behind which one.
func TestAdminHeldBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		first := b.post("/", "1").Header().Get("Repeater-Id")
		second := b.post("/", "2").Header().Get("Repeater-Id")
		b.pass(time.Second)
		b.wantNext(second, "held back", "It is held back behind "+first+".0, which has the same order key, until that is delivered or dead.")
	}, repeater.Route("/", "http://a.example", repeater.OrderBy(func(*http.Request) string { return "k" })))
}

// TestAdminSamples: rates and depth go ten minutes back, a value every ten seconds.
func TestAdminSamples(t *testing.T) {
	t.Parallel()
	type series struct {
		Accepted  []float64 `json:"accepted_per_second"`
		Delivered []float64 `json:"delivered_per_second"`
		Depth     []int     `json:"depth"`
	}
	inBubble(t, func(b *bubble) {
		read := func() (s series) {
			b.t.Helper()
			b.admin(&s, "GET", "/api/v1/lane?lane="+url.QueryEscape(laneA), "")
			return s
		}
		b.pass(30 * time.Second)
		if diff := cmp.Diff(series{[]float64{}, []float64{}, []int{}}, read()); diff != "" {
			t.Errorf("without traffic (-want +got):\n%s", diff)
		}
		for range 20 {
			b.accept("/", "x")
		}
		b.pass(10 * time.Second)
		if diff := cmp.Diff(series{[]float64{2}, []float64{2}, []int{0}}, read()); diff != "" {
			t.Errorf("after 20 requests (-want +got):\n%s", diff)
		}
		b.replies(func(sent) reply { return status(503) })
		for range 5 {
			b.accept("/", "x")
		}
		b.pass(20 * time.Second)
		if diff := cmp.Diff(series{[]float64{2, 0.5, 0}, []float64{2, 0, 0}, []int{0, 5, 5}}, read()); diff != "" {
			t.Errorf("with the destination down (-want +got):\n%s", diff)
		}
		b.pass(20 * time.Minute)
		s := read()
		if len(s.Depth) != 60 || len(s.Accepted) != 60 || s.Accepted[0] != 0 || s.Depth[59] != 5 {
			t.Errorf("after a while: %d values: %+v", len(s.Depth), s)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(time.Hour, time.Hour))
}

// TestAdminBehind: a backlog that grows although the destination is well is told.
func TestAdminBehind(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		for range 150 {
			for range 20 {
				b.accept("/", "x")
			}
			b.pass(time.Second)
		}
		b.wantWhy("behind", "More is accepted than delivered although the destination is well. Let more attempts be in flight: concurrency is 1.")
		b.replies(func(sent) reply { return status(200) })
		b.pass(time.Minute)
		b.wantWhy("well", "Nothing waits.")
	}, repeater.Route("/", "http://a.example"))
}

// TestAdminSteps: many letters are replayed in steps, each once, the oldest first, also if they die again.
func TestAdminSteps(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(410) })
		var want []string
		for i := range 25 {
			b.accept("/", fmt.Sprint(i))
			want = append(want, fmt.Sprintf("%d#1", i))
		}
		b.pass(time.Second)
		b.seen()
		var done struct {
			Done int
			More bool
			To   time.Time
		}
		var steps []int
		for to := time.Now(); len(steps) < 10; to = done.To {
			b.admin(&done, "POST", "/api/v1/dead/replay", fmt.Sprintf(`{"lane":%q,"max":10,"to":%q}`, laneA, to.Format(time.RFC3339Nano)))
			steps = append(steps, done.Done)
			b.pass(time.Second)
			if !done.More {
				break
			}
		}
		if diff := cmp.Diff([]int{10, 10, 5}, steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		b.admin(&done, "POST", "/api/v1/dead/drop", `{"status":404}`)
		if done.Done != 0 || done.More {
			t.Errorf("dropped of another status: %+v", done)
		}
		b.admin(&done, "POST", "/api/v1/dead/drop", `{}`)
		if done.Done != 25 || done.More || b.adminLane(laneA).Dead != 0 {
			t.Errorf("dropped: %+v", done)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestAdminDeadPages: a filter and pages of any size show each letter once.
func TestAdminDeadPages(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if strings.HasPrefix(tr.body, "gone") {
				return status(410)
			}
			return status(200)
		})
		status410 := 0
		for i := range 500 {
			if i%7 == 0 || i > 450 {
				b.accept("/", "gone "+fmt.Sprint(i))
				status410++
			}
		}
		b.pass(time.Minute)
		b.replies(func(sent) reply { return status(400) })
		for range 4 {
			b.accept("/", "bad")
			b.pass(time.Minute)
		}
		for _, max := range []int{1, 3, 50, 199, 200, 201, 1000} {
			seen := make(map[string]bool)
			for cursor, pages := "", 0; ; pages++ {
				var page adminMessages
				path := fmt.Sprintf("/api/v1/dead?status=410&max=%d&lane=%s&cursor=%s", max, url.QueryEscape(laneA), url.QueryEscape(cursor))
				if code := b.admin(&page, "GET", path, ""); code != http.StatusOK || len(page.Messages) > max || pages > 1000 {
					t.Fatalf("%s: %d, %d messages", path, code, len(page.Messages))
				}
				for _, m := range page.Messages {
					if seen[m.ID] || m.History[0].Status != 410 || m.Answer != "" {
						t.Fatalf("pages of %d: %+v", max, m)
					}
					seen[m.ID] = true
				}
				if cursor = page.Next; cursor == "" {
					break
				}
			}
			if len(seen) != status410 {
				t.Errorf("pages of %d show %d letters, want %d", max, len(seen), status410)
			}
		}
		var page adminMessages
		for _, cursor := range []string{"x", "1.0.5", "%00"} {
			if code := b.admin(&page, "GET", "/api/v1/dead?lane="+url.QueryEscape(laneA)+"&cursor="+cursor, ""); code != http.StatusBadRequest {
				t.Errorf("cursor %q: %d", cursor, code)
			}
		}
	}, repeater.Route("/", "http://a.example"))
}
