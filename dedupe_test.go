package repeater_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

func delivery(id string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-Delivery", id) }
}

// TestDedupe: a second request with the same value on the same route is answered like the first, and
// stores nothing, for 72 h or as set.
func TestDedupe(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		post := func(path, body string, edit ...func(*http.Request)) string {
			t.Helper()
			w := b.post(path, body, edit...)
			if w.Code != 200 || w.Body.String() != "OK" {
				t.Fatalf("answered %d %q, want 200 OK", w.Code, w.Body)
			}
			return w.Header().Get("Repeater-Id")
		}
		first := post("/a", "1", delivery("x"))
		if again := post("/a", "2", delivery("x")); again != first {
			t.Errorf("second id %s, want the first, %s", again, first)
		}
		b.restart()
		if again := post("/a", "3", delivery("x")); again != first {
			t.Errorf("id after a restart %s, want the first, %s", again, first)
		}
		for _, other := range []string{
			post("/a", "4", delivery("y")), post("/b", "5", delivery("x")), post("/a", "6"), post("/a", "7"), post("/a", "8", delivery("")),
		} {
			if other == first {
				t.Error("taken for the first although it is another")
			}
		}
		b.pass(72*time.Hour - time.Second)
		if again := post("/a", "9", delivery("x")); again != first {
			t.Errorf("id just before 72 h %s, want the first, %s", again, first)
		}
		b.pass(2 * time.Second)
		if again := post("/a", "10", delivery("x")); again == first {
			t.Error("remembered for longer than 72 h")
		}
		want := []string{"1#1", "4#1", "5#1", "6#1", "7#1", "8#1", "10#1"}
		if diff := cmp.Diff(want, names(b.seen())); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	}, repeater.Route("/a", "http://a.example", repeater.Dedupe("x-delivery")),
		repeater.Route("/b", "http://a.example", repeater.Dedupe("X-Delivery")))
}

// TestDedupeFor sets how long.
func TestDedupeFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		for range 3 {
			b.post("/", "x", delivery("x"))
			b.pass(time.Minute)
		}
		if got := len(b.seen()); got != 2 {
			t.Errorf("%d delivered, want the first and the third", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.Dedupe("X-Delivery"), repeater.DedupeFor(90*time.Second)))
}
