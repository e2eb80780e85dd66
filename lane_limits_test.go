package repeater_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// inFlight measures, in virtual time, how many attempts of one second each overlap.
func inFlight(tries []sent) (most int) {
	for _, a := range tries {
		n := 0
		for _, b := range tries {
			if b.at <= a.at && a.at < b.at+time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// TestConcurrency: one attempt in flight by default, n where so set.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		opts []repeater.RouteOption
		want int
	}{
		{nil, 1},
		{[]repeater.RouteOption{repeater.Concurrency(1)}, 1},
		{[]repeater.RouteOption{repeater.Concurrency(7)}, 7},
		{[]repeater.RouteOption{repeater.Concurrency(200)}, 200},
	} {
		inBubble(t, func(b *bubble) {
			b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
			for i := range 400 {
				b.accept("/", fmt.Sprint(i))
			}
			b.pass(time.Hour)
			tries := b.seen()
			if len(tries) != 400 {
				t.Errorf("%d attempts, want 400", len(tries))
			}
			if got := inFlight(tries); got != tt.want {
				t.Errorf("%d in flight, want %d", got, tt.want)
			}
			// Order is kept but for what is within the window.
			for i, tr := range tries {
				var n int
				if _, err := fmt.Sscan(tr.body, &n); err != nil || n < i-tt.want || n > i+tt.want {
					t.Fatalf("attempt %d is of message %s: further off than %d", i, tr.body, tt.want)
				}
			}
		}, repeater.Route("/", "http://a.example", tt.opts...))
	}
}

// TestPace: at least so long between the starts of attempts, over all routes of a lane.
func TestPace(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		for i := range 10 {
			b.accept([]string{"/1", "/2"}[i%2], fmt.Sprint(i))
		}
		b.pass(time.Minute)
		tries := b.seen()
		if len(tries) != 10 {
			t.Fatalf("%d attempts, want 10", len(tries))
		}
		for i := range tries[1:] {
			if gap := tries[i+1].at - tries[i].at; gap < 3*time.Second {
				t.Errorf("%v between attempts, want 3 s", gap)
			}
		}
	}, repeater.Route("/1", "http://a.example", repeater.Pace(3*time.Second), repeater.Concurrency(4)),
		repeater.Route("/2", "http://a.example"))
}

// TestLaneSplits: routes of one origin share a lane unless they name their own; different
// origins never share one.
func TestLaneSplits(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	rp := door(t, q,
		repeater.Route("/shared1", "http://a.example/x"),
		repeater.Route("/shared2", "http://A.example:80/y"),
		repeater.Route("/own1", "http://a.example", repeater.Lane("slow")),
		repeater.Route("/own2", "http://a.example", repeater.Lane("slow")),
		repeater.Route("/fan", "http://a.example", repeater.Lane("slow"), repeater.AlsoTo("http://b.example")),
	)
	var got []string
	for _, path := range []string{"/shared1", "/shared2", "/own1", "/own2", "/fan"} {
		wantStatus(t, try(rp, "POST", path), 200)
	}
	for _, batch := range q.batches() {
		for _, m := range batch.Messages {
			got = append(got, m.Lane)
		}
	}
	want := []string{laneA, laneA, laneA + " slow", laneA + " slow", laneA + " slow", "http://b.example:80 slow"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lanes (-want +got):\n%s", diff)
	}
}

// TestFanOutGetsTheRoutesLaneSettings: in lanes of their own.
func TestFanOutGetsTheRoutesLaneSettings(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		for i := range 20 {
			b.accept("/", fmt.Sprint(i))
		}
		b.pass(time.Minute)
		byHost := make(map[string][]sent)
		for _, tr := range b.seen() {
			byHost[tr.host] = append(byHost[tr.host], tr)
		}
		for _, host := range []string{"a.example", "b.example"} {
			if got := inFlight(byHost[host]); got != 4 || len(byHost[host]) != 20 {
				t.Errorf("%s: %d attempts, %d in flight, want 20 and 4", host, len(byHost[host]), got)
			}
		}
	}, repeater.Route("/", "http://a.example", repeater.AlsoTo("http://b.example"), repeater.Concurrency(4)))
}

// TestLaneSettingsConflict: routes of one lane that state different values are a mistake;
// unstated means the lane's.
func TestLaneSettingsConflict(t *testing.T) {
	t.Parallel()
	const a = "http://a.example"
	for _, tt := range []struct {
		name   string
		routes []repeater.Option
		want   string // in Err(); "" for no mistake
	}{
		{"concurrency", []repeater.Option{
			repeater.Route("/1", a, repeater.Concurrency(2)), repeater.Route("/2", a, repeater.Concurrency(3))}, "Concurrency 3 differs from 2"},
		{"pace", []repeater.Option{
			repeater.Route("/1", a, repeater.Pace(1)), repeater.Route("/2", a, repeater.Pace(2))}, "Pace 2ns differs from 1ns"},
		{"strict and concurrent", []repeater.Option{
			repeater.Route("/1", a, repeater.Strict()), repeater.Route("/2", a, repeater.Concurrency(3))}, "Strict"},
		{"the same", []repeater.Option{
			repeater.Route("/1", a, repeater.Concurrency(2)), repeater.Route("/2", a, repeater.Concurrency(2))}, ""},
		{"unstated", []repeater.Option{repeater.Route("/1", a, repeater.Concurrency(2)), repeater.Route("/2", a)}, ""},
		{"lanes of their own", []repeater.Option{
			repeater.Route("/1", a, repeater.Concurrency(2)), repeater.Route("/2", a, repeater.Concurrency(3), repeater.Lane("x"))}, ""},
		{"by fan-out", []repeater.Option{
			repeater.Route("/1", "http://b.example", repeater.AlsoTo(a), repeater.Pace(1)),
			repeater.Route("/2", a, repeater.Pace(2))}, "Pace 2ns differs from 1ns"},
		{"pass-through with fan-out", []repeater.Option{
			repeater.Route("/1", a, repeater.AlsoTo("http://b.example"), repeater.PassThrough(1))}, "PassThrough"},
		{"no concurrency", []repeater.Option{repeater.Route("/1", a, repeater.Concurrency(0))}, "Concurrency"},
		{"negative pace", []repeater.Option{repeater.Route("/1", a, repeater.Pace(-1))}, "Pace"},
		{"nameless lane", []repeater.Option{repeater.Route("/1", a, repeater.Lane(""))}, "Lane"},
		{"lane with a space", []repeater.Option{repeater.Route("/1", a, repeater.Lane("a b"))}, "Lane"},
		{"negative age", []repeater.Option{repeater.Route("/1", a, repeater.MaxAge(-1))}, "MaxAge"},
		{"negative attempts", []repeater.Option{repeater.Route("/1", a, repeater.MaxAttempts(-1))}, "MaxAttempts"},
		{"negative wait", []repeater.Option{repeater.Route("/1", a, repeater.PassThrough(-1))}, "PassThrough"},
		{"dedupe without a header", []repeater.Option{repeater.Route("/1", a, repeater.Dedupe(""))}, "Dedupe"},
		{"too many quick retries", []repeater.Option{repeater.Route("/1", a), repeater.WithQuickRetries(3)}, "WithQuickRetries"},
		{"too little memory", []repeater.Option{repeater.Route("/1", a), repeater.WithMemory(1, 0)}, "WithMemory"},
		{"too little memory for delivery", []repeater.Option{repeater.Route("/1", a), repeater.WithMemory(0, 1)}, "WithMemory"},
	} {
		err := repeater.New(tt.routes...).Err()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: Err() is %v, want it to tell of %q", tt.name, err, tt.want)
		}
	}
}

// TestOrderBy: messages of one key in order, keys side by side, and the failure of one holds only its key.
func TestOrderBy(t *testing.T) {
	t.Parallel()
	byKey := repeater.OrderBy(func(r *http.Request) string {
		var v struct{ Key string }
		_ = json.NewDecoder(r.Body).Decode(&v)
		return v.Key
	})
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if strings.Contains(tr.body, `"a"`) && strings.Contains(tr.body, `"n":0`) && tr.attempt < 4 {
				return reply{status: 500, after: time.Second}
			}
			return reply{status: 200, after: time.Second}
		})
		for n := range 5 {
			for _, key := range []string{"a", "b", "c", ""} {
				b.accept("/", fmt.Sprintf(`{"key":%q,"n":%d}`, key, n))
			}
		}
		b.pass(5500 * time.Millisecond)
		early := b.seen()
		b.pass(time.Minute)
		last := make(map[string]int)
		for _, tr := range append(early, b.seen()...) {
			var v struct {
				Key string
				N   int
			}
			if err := json.NewDecoder(strings.NewReader(tr.body)).Decode(&v); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if v.Key == "" {
				continue
			}
			if v.N < last[v.Key] {
				t.Errorf("message %d of key %s after %d", v.N, v.Key, last[v.Key])
			}
			last[v.Key] = v.N
		}
		if got := inFlight(early); got < 6 {
			t.Errorf("%d in flight, want keys and keyless messages side by side", got)
		}
		done := make(map[byte]int)
		for _, tr := range early {
			done[tr.body[8]]++
		}
		if done['b'] != 5 || done['c'] != 5 || done['a'] > 2 {
			t.Errorf("while key a was failing: %d of a, %d of b, %d of c attempted; want b and c to go on", done['a'], done['b'], done['c'])
		}
		if got := b.lane(laneA).Waiting; got != 0 {
			t.Errorf("%d left waiting", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.Concurrency(16), byKey))
}

// TestMaxAge: after so long a message that fails is dead, with its last outcome; and those behind it that are as
// old, without an attempt each. Younger ones wait on.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(503) })
		b.accept("/", "1", "2", "3")
		b.pass(36 * time.Hour)
		b.accept("/", "young")
		b.pass(36*time.Hour + 6*time.Minute)
		letters := b.dead(laneA)
		if len(letters) != 3 {
			t.Fatalf("%d dead letters, want the 3 old ones", len(letters))
		}
		first := letters[2]
		if n := len(first.History); n == 0 || first.History[n-1].Status != 503 || !strings.Contains(first.Reason, "72h") || !strings.Contains(first.Reason, "503") {
			t.Errorf("reason %q and history %v do not tell of age and last outcome", first.Reason, first.History)
		}
		if letters[0].Attempts != 0 || !strings.Contains(letters[0].Reason, "72h") {
			t.Errorf("the one behind: %d attempts, reason %q", letters[0].Attempts, letters[0].Reason)
		}
		got := b.lane(laneA)
		if got.Waiting != 1 || got.Wait == 0 {
			t.Errorf("%+v, want the young one to wait, and the lane to pause", got)
		}
		b.seen()
		b.pass(time.Hour)
		if n := len(b.seen()); n < 8 || n > 20 {
			t.Errorf("%d probes in an hour, want the pauses to be as long as before", n)
		}
	}, repeater.Route("/", "http://a.example"), repeater.WithQuickRetries(0))
}

// TestMaxAgeIsForTheFailing: what has waited for long, but is delivered at the first try, does not die.
func TestMaxAgeIsForTheFailing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.halt()
		b.rp = repeater.New(repeater.WithQueue(b.queue), repeater.Route("/", "http://a.example"))
		b.accept("/", "1", "2")
		time.Sleep(100 * time.Hour)
		b.restart()
		b.pass(time.Second)
		if diff := cmp.Diff([]string{"1#1", "2#1"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if got := b.lane(laneA); got.Dead != 0 || got.Waiting != 0 {
			t.Errorf("%+v, want both delivered", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestPausedTimeDoesNotAge: nor does what an operator has paused.
func TestPausedTimeDoesNotAge(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(500) })
		b.accept("/", "1")
		b.pass(30 * time.Minute)
		if err := b.rp.Pause(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(24 * time.Hour)
		if err := b.rp.Resume(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(25 * time.Minute)
		if got := b.lane(laneA); got.Dead != 0 || got.Waiting != 1 {
			t.Errorf("%+v after 55 minutes of its own, want it to wait", got)
		}
		b.pass(15 * time.Minute)
		if got := b.lane(laneA); got.Dead != 1 {
			t.Errorf("%+v after 70 minutes of its own, want it dead", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.MaxAge(time.Hour)))
}

// TestMaxAttempts: the n-th failure is the last, of the lane as of the message.
func TestMaxAttempts(t *testing.T) {
	t.Parallel()
	for _, code := range []int{500, 503} {
		inBubble(t, func(b *bubble) {
			b.replies(func(tr sent) reply {
				if tr.body == "1" {
					return status(code)
				}
				return status(200)
			})
			b.accept("/", "1", "2")
			b.pass(time.Hour)
			letters := b.dead(laneA)
			if len(letters) != 1 || letters[0].Attempts != 3 || !strings.Contains(letters[0].Reason, "3 attempts") {
				t.Errorf("%d: dead letters %+v, want one after 3 attempts", code, letters)
			}
			if got := b.lane(laneA).Waiting; got != 0 {
				t.Errorf("%d: %d waiting, want the lane to go on", code, got)
			}
		}, repeater.Route("/", "http://a.example", repeater.MaxAttempts(3)), repeater.WithQuickRetries(0))
	}
}
