package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// rush is a batch with so many messages of one lane, of which the first has the number from.
func rush(id string, n int) repeater.Batch {
	b := repeater.Batch{ID: id, Route: "r", Received: time.Now()}
	for i := range n {
		b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: "a", Payload: []byte("x")})
	}
	return b
}

// TestFindInALongLane takes several steps, between which others read and write.
func TestFindInALongLane(t *testing.T) {
	t.Parallel()
	q := openFile(t, filepath.Join(t.TempDir(), "long.db"))
	push := func(b repeater.Batch) {
		t.Helper()
		if _, err := q.Push(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	push(rush("first", 6000))
	push(rush("second", 6000))
	for _, id := range []string{"head", "held"} {
		b := rush(id, 1)
		b.Messages[0].OrderKey = "k"
		push(b)
	}
	find := func(id string) repeater.WaitingMessage {
		t.Helper()
		found, err := q.Find(t.Context(), id, 1)
		if err != nil || len(found) != 1 {
			t.Fatalf("Find(%s) = %+v, %v", id, found, err)
		}
		return found[0]
	}
	if m := find("head"); m.Place != repeater.PlaceReady || m.Ahead != 12000 {
		t.Errorf("head: %+v", m)
	}
	if m := find("held"); m.Place != repeater.PlaceHeld || m.Ahead != 12001 || m.Behind.ID != "head" {
		t.Errorf("held: %+v", m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Find(ctx, "held", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Find after its context's end: %v", err)
	}

	// What is delivered from the front while it is searched for is still found.
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := q.Claim(t.Context(), repeater.ClaimRequest{Lane: "a", Max: 500, TTL: time.Hour})
		for n := 0; err == nil && n < 10; n++ {
			var s []repeater.Settlement
			for _, m := range c.Messages {
				s = append(s, repeater.Settlement{Key: m.Key, Kind: repeater.SettleDelivered})
			}
			if err = q.Settle(t.Context(), "a", c.Token, s); err == nil {
				c, err = q.Claim(t.Context(), repeater.ClaimRequest{Lane: "a", Token: c.Token, Max: 500, TTL: time.Hour})
			}
		}
		if err != nil {
			t.Errorf("deliver: %v", err)
		}
	})
	for last := 12000; last > 7000; {
		m := find("head")
		if m.Ahead > last {
			t.Fatalf("%d come before, and %d did before", m.Ahead, last)
		}
		last = m.Ahead
	}
}

// TestWaitingInALongLane reads page by page, each of them in one short transaction.
func TestWaitingInALongLane(t *testing.T) {
	t.Parallel()
	q := openFile(t, filepath.Join(t.TempDir(), "long.db"))
	if _, err := q.Push(t.Context(), rush("id", 3000)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for cursor := ""; ; {
		page, next, err := q.Waiting(t.Context(), "a", cursor, 700)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			if m.Key != (repeater.Key{ID: "id", Dest: n}) {
				t.Fatalf("%v is listed as number %d", m.Key, n)
			}
			n++
		}
		if cursor = next; next == "" {
			break
		}
	}
	if n != 3000 {
		t.Errorf("%s are listed, want 3000", fmt.Sprint(n))
	}
}
