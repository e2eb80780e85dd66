package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// TestDeadLetters lists, shows, replays and drops, by each kind of filter.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		ctx := context.Background()
		b.replies(func(tr sent) reply {
			switch {
			case tr.body == "good":
				return status(200)
			case strings.HasPrefix(tr.body, "gone"):
				return status(410)
			}
			return reply{status: 400, body: strings.Repeat("no", 5000)}
		})
		kill := func(path string, bodies ...string) {
			for _, body := range bodies {
				b.post(path+"?q", body, func(r *http.Request) { r.Header.Set("X-Test", "yes") })
				b.accept(path, "good")
				b.pass(time.Minute)
			}
		}
		began := time.Now()
		kill("/a", "a0", "a1", "gone2", "a3")
		kill("/b", "b0", "b1")

		d := b.rp.DeadLetters()
		list := func(lane string) (all []repeater.DeadLetter) {
			t.Helper()
			for cursor := ""; ; {
				page, next, err := d.List(ctx, lane, cursor, 2)
				if err != nil {
					t.Fatal(err)
				}
				if all = append(all, page...); next == "" {
					return all
				}
				cursor = next
			}
		}
		bodies := func(lane string) []string {
			t.Helper()
			got := []string{}
			for _, letter := range list(lane) {
				_, req, err := d.Show(ctx, lane, letter.Key)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(req.Body))
			}
			return got
		}
		want := func(what string, a, bb []string) {
			t.Helper()
			if diff := cmp.Diff([][]string{a, bb}, [][]string{bodies(laneA), bodies(laneB)}); diff != "" {
				t.Errorf("%s: dead letters (-want +got):\n%s", what, diff)
			}
		}
		want("listed", []string{"a3", "gone2", "a1", "a0"}, []string{"b1", "b0"})

		first := list(laneA)[3]
		letter, req, err := d.Show(ctx, laneA, first.Key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, letter); diff != "" {
			t.Errorf("shown and listed differ (-listed +shown):\n%s", diff)
		}
		if letter.Attempts != 1 || letter.History[0].Status != 400 || letter.Route != "a" || letter.Died.IsZero() ||
			len(letter.Answer) != 2048 || !strings.Contains(letter.Reason, "400 Bad Request") {
			t.Errorf("letter %+v", letter)
		}
		if req.Method != "POST" || req.Path != "/a" || req.Query != "?q" || req.Header.Get("X-Test") != "yes" {
			t.Errorf("request %+v", req)
		}
		if _, _, err := d.Show(ctx, laneA, repeater.Key{ID: "none"}); !errors.Is(err, repeater.ErrNotFound) {
			t.Errorf("Show of what is not there: %v, want ErrNotFound", err)
		}

		count := func(what string, n int, err error, want int) {
			t.Helper()
			if err != nil || n != want {
				t.Errorf("%s: %d, %v, want %d", what, n, err, want)
			}
		}
		b.seen()
		b.replies(func(sent) reply { return status(200) })
		n, err := d.Replay(ctx, repeater.DeadFilter{Lane: laneA, Status: 410})
		count("replay by status", n, err, 1)
		want("after replay by status", []string{"a3", "a1", "a0"}, []string{"b1", "b0"})

		n, err = d.Replay(ctx, repeater.DeadFilter{Keys: []repeater.Key{first.Key}})
		count("replay one", n, err, 1)
		want("after replay of one", []string{"a3", "a1"}, []string{"b1", "b0"})

		n, err = d.Replay(ctx, repeater.DeadFilter{From: began.Add(time.Minute), To: began.Add(2 * time.Minute)})
		count("replay by time", n, err, 1)
		want("after replay by time", []string{"a3"}, []string{"b1", "b0"})

		n, err = d.Drop(ctx, repeater.DeadFilter{Lane: laneA})
		count("drop a lane", n, err, 1)
		want("after drop of a lane", []string{}, []string{"b1", "b0"})

		n, err = d.Replay(ctx, repeater.DeadFilter{})
		count("replay all", n, err, 2)
		want("after replay of all", []string{}, []string{})

		tries := b.seen()
		slices.SortStableFunc(tries, func(x, y sent) int { return strings.Compare(x.host, y.host) })
		if diff := cmp.Diff([]string{"gone2#1", "a0#1", "a1#1", "b0#1", "b1#1"}, names(tries)); diff != "" {
			t.Fatalf("delivered after replay, as new series and oldest first (-want +got):\n%s", diff)
		}
		if tries[1].id != first.Key.ID {
			t.Errorf("replayed with id %s, want its own, %s", tries[1].id, first.Key.ID)
		}
	}, repeater.Route("/a", "http://a.example", repeater.Name("a")), repeater.Route("/b", "http://b.example", repeater.Name("b")))
}

const laneB = "http://b.example:80"

// TestReplayGoesToTheEnd: what waits already goes first.
func TestReplayGoesToTheEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(400) })
		b.accept("/", "dead")
		b.pass(time.Second)
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		b.accept("/", "1", "2", "3")
		if _, err := b.rp.DeadLetters().Replay(context.Background(), repeater.DeadFilter{}); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		if diff := cmp.Diff([]string{"dead#1", "1#1", "2#1", "3#1", "dead#1"}, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestReplayOfMany is done in steps, and keeps the order.
func TestReplayOfMany(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(410) })
		var want []string
		for i := range 450 {
			b.accept("/", fmt.Sprint(i))
			want = append(want, fmt.Sprintf("%d#1", i))
		}
		b.pass(time.Second)
		b.seen()
		b.replies(func(sent) reply { return status(200) })
		n, err := b.rp.DeadLetters().Replay(context.Background(), repeater.DeadFilter{})
		if n != 450 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		if diff := cmp.Diff(want, names(b.seen())); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestDeadLettersArePruned after 30 days, or as set, all of them in time.
func TestDeadLettersArePruned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ set, want time.Duration }{{0, 30 * 24 * time.Hour}, {time.Hour, time.Hour}} {
		inBubble(t, func(b *bubble) {
			b.replies(func(sent) reply { return status(410) })
			for range 250 {
				b.accept("/", "x")
			}
			b.pass(time.Second)
			b.halt() // nobody need be there meanwhile
			time.Sleep(tt.want - 3*time.Minute)
			b.restart()
			b.pass(2 * time.Minute)
			if got := b.lane(laneA).Dead; got != 250 {
				t.Errorf("%d dead letters before %v, want 250", got, tt.want)
			}
			b.pass(2 * time.Minute)
			if got := b.lane(laneA).Dead; got != 0 {
				t.Errorf("%d dead letters after %v, want none", got, tt.want)
			}
		}, repeater.Route("/", "http://a.example"), repeater.WithDeadLetterAge(tt.set))
	}
}
