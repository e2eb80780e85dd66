package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

func testRedisFanOut(t *testing.T, store redisStore) {
	q := store.queue(t)
	b := redisBatch("1", "r", "a", "b", "c", "a", "{user}x", "d")
	mustPush(t, q, b, b)
	for _, lane := range []string{"a", "b", "c", "{user}x", "d"} {
		claim := mustClaim(t, q, lane, "", 9)
		var got, want []string
		for _, m := range claim.Messages {
			got = append(got, fmt.Sprint(m.Key, string(m.Payload), m.Route, m.Received))
		}
		for _, m := range b.Messages {
			if m.Lane == lane {
				want = append(want, fmt.Sprint(repeater.Key{ID: "1", Dest: m.Dest}, string(m.Payload), b.Route, b.Received))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lane %s (-want +got):\n%s", lane, diff)
		}
		mustSettle(t, q, lane, claim.Token, delivered(claim.Messages)...)
	}
	mustPush(t, q, b) // all delivered within the last minute
	if infos, err := q.Lanes(t.Context(), "", 9); len(infos) != 0 || err != nil {
		t.Errorf("Lanes = %+v, %v", infos, err)
	}
}

func testRedisDedupe(t *testing.T, store redisStore) {
	q, ctx := store.queue(t), t.Context()
	push := func(id, want string, d time.Duration, lanes ...string) {
		t.Helper()
		b := redisBatch(id, "r", lanes...)
		b.Dedupe, b.DedupeFor = "mark", d
		if got, err := q.Push(ctx, b); got != want || err != nil {
			t.Fatalf("Push(%s) = %q, %v, want %q", id, got, err, want)
		}
	}
	push("1", "1", time.Hour, "a")
	push("2", "1", time.Hour, "b")
	push("3", "1", time.Hour, "a", "b")
	push("1", "1", time.Hour, "a")
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7})
	if infos, err := q.Lanes(ctx, "a", 9); len(infos) != 0 || err != nil {
		t.Errorf("Lanes = %+v, %v", infos, err)
	}
}

func testRedisOrderKeys(t *testing.T, store redisStore) {
	q := store.queue(t)
	push := func(id, key string) {
		b := redisBatch(id, "r", "a")
		b.Messages[0].OrderKey = key
		mustPush(t, q, b)
	}
	push("x1", "x")
	push("x2", "x")
	push("y1", "y")
	push("0", "")
	push("x3", "x")
	claim := mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "x1", "y1", "0")
	at := repeater.Attempt{At: time.Now()}
	mustSettle(t, q, "a", claim.Token, // x1 has failed by itself: x2 still waits for it
		repeater.Settlement{Key: repeater.Key{ID: "x1"}, Kind: repeater.SettleRetry, Attempt: at},
		repeater.Settlement{Key: repeater.Key{ID: "0"}, Kind: repeater.SettleRelease})
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "x1", "0")
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: repeater.Key{ID: "x1"}, Kind: repeater.SettleDead},
		repeater.Settlement{Key: repeater.Key{ID: "0"}, Kind: repeater.SettleRelease})
	if n, err := q.Replay(t.Context(), "a", []repeater.Key{{ID: "x1"}}); n != 1 || err != nil {
		t.Fatalf("Replay = %d, %v", n, err)
	}
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "x2", "0") // in its old place
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: repeater.Key{ID: "x2"}})
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "x3")
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: repeater.Key{ID: "x3"}})
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "x1")
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: repeater.Key{ID: "x1"}})
	push("x4", "x")
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "x4")
}

func testRedisDue(t *testing.T, store redisStore) {
	q := store.queue(t)
	for i := range 4 {
		mustPush(t, q, redisBatch(fmt.Sprint(i), "r", "a"))
	}
	claim := mustClaim(t, q, "a", "", 9)
	retry := func(id string, after time.Duration, hold bool) repeater.Settlement {
		return repeater.Settlement{Key: repeater.Key{ID: id}, Kind: repeater.SettleRetry, After: after, Hold: hold}
	}
	const soon, pause = time.Second, 1100 * time.Millisecond // so long that a busy machine has claimed by then
	mustSettle(t, q, "a", claim.Token, retry("3", soon, false), retry("2", soon, false),
		retry("1", time.Hour, false), repeater.Settlement{Key: repeater.Key{ID: "0"}, Kind: repeater.SettleRelease})
	mustPush(t, q, redisBatch("4", "r", "a"))

	held := mustClaim(t, q, "a", claim.Token, 1)
	wantIDs(t, held, "0")
	if !held.More || held.Wait != 0 {
		t.Errorf("More = %v, Wait = %v", held.More, held.Wait)
	}
	mustSettle(t, q, "a", claim.Token, retry("0", pause, true))
	paused := mustClaim(t, q, "a", claim.Token, 9)
	if len(paused.Messages) > 0 || paused.Wait <= 0 || paused.Wait > pause || paused.Failures != 1 {
		t.Fatalf("paused: %+v", paused)
	}
	var got repeater.Claim
	eventually(t, func() bool {
		got = mustClaim(t, q, "a", claim.Token, 9)
		return len(got.Messages) > 0
	})
	wantIDs(t, got, "2", "3", "0", "4") // what is due first
	if got.More || got.Wait < time.Minute || got.Wait > time.Hour {
		t.Errorf("More = %v, Wait = %v", got.More, got.Wait)
	}
	mustSettle(t, q, "a", claim.Token, retry("0", 1, true), retry("2", 1, true), repeater.Settlement{Key: repeater.Key{ID: "3"}}, retry("4", 1, true))
	if got = mustClaim(t, q, "a", claim.Token, 0); got.Failures != 1 {
		t.Errorf("Failures = %d, want 1: the delivery in between starts the count anew", got.Failures)
	}
}

func testRedisClaimBounds(t *testing.T, store redisStore) {
	q := store.queue(t)
	var want []string
	for i := range 250 {
		id := fmt.Sprintf("%03d", i)
		want = append(want, id)
		mustPush(t, q, redisBatch(id, "r", "a")) // 9 bytes each
	}
	claim := mustClaim(t, q, "a", "", 0)
	wantIDs(t, claim)
	for _, tt := range []struct {
		max      int
		bytes    int64
		n        int
		wantMore bool
	}{{1, 1, 1, true}, {10, 27, 3, true}, {10, 28, 3, true}, {3, 27, 3, true}, {150, 0, 150, true}, {90, 0, 90, false}, {1, 0, 0, false}} {
		got, err := q.Claim(t.Context(), repeater.ClaimRequest{Lane: "a", Token: claim.Token, Max: tt.max, MaxBytes: tt.bytes, TTL: redisTTL})
		if err != nil {
			t.Fatal(err)
		}
		wantIDs(t, got, append([]string(nil), want[:tt.n]...)...)
		if got.More != tt.wantMore {
			t.Errorf("%+v: More = %v", tt, got.More)
		}
		want = want[tt.n:]
	}
	if len(want) > 0 {
		t.Errorf("%d messages left", len(want))
	}
}

func testRedisManyLanes(t *testing.T, store redisStore) {
	q, ctx := store.queue(t), t.Context()
	const n = 1100
	name := func(i int) string { return fmt.Sprintf("https://host-%05d.example.com", i) }
	lanes := make([]string, n)
	for i := range n {
		lanes[i] = name(i)
	}
	mustPush(t, q, redisBatch("1", "r", lanes...))
	var got, want []string
	for i := range n {
		if i%100 > 0 {
			want = append(want, name(i))
			continue
		}
		claim := mustClaim(t, q, name(i), "", 1)
		mustSettle(t, q, name(i), claim.Token, delivered(claim.Messages)...)
	}
	for after := ""; ; after = got[len(got)-1] {
		page, err := q.Lanes(ctx, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page {
			got = append(got, info.Name)
		}
		if len(page) < 100 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lanes (-want +got):\n%s", diff)
	}
}

func testRedisWatch(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	woken, stop := watchRedis(t, store, other)
	await := func(want string) {
		t.Helper()
		select {
		case got := <-woken:
			if got != want {
				t.Fatalf("woken for %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no wake for %q", want)
		}
	}
	mustPush(t, q, redisBatch("1", "r", "a {b}"))
	await("a {b}")
	claim := mustClaim(t, q, "a {b}", "", 1)
	mustPush(t, q, redisBatch("2", "r", "a {b}")) // its holder has found nothing more
	await("a {b}")
	mustPush(t, q, redisBatch("3", "r", "a {b}")) // and has been told
	if err := q.Release(t.Context(), "a {b}", claim.Token); err != nil {
		t.Fatal(err)
	}
	await("a {b}")
	if len(woken) > 0 {
		t.Errorf("one wake too many")
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v", err)
	}
}

func testRedisEndedContext(t *testing.T, store redisStore) {
	q := store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"))
	claim := mustClaim(t, q, "a", "", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := claim.Messages[0].Key
	for name, err := range map[string]error{
		"Push":   second(q.Push(ctx, redisBatch("2", "r", "a"))),
		"Claim":  second(q.Claim(ctx, repeater.ClaimRequest{Lane: "b", TTL: redisTTL})),
		"Settle": q.Settle(ctx, "a", claim.Token, delivered(claim.Messages)), "Release": q.Release(ctx, "a", claim.Token),
		"Lanes": second(q.Lanes(ctx, "", 1)), "Payload": second(q.Payload(ctx, "a", key)),
		"Steer": q.Steer(ctx, "a", repeater.LanePause), "Prune": second(q.Prune(ctx, "a", 0, 1)),
		"Replay": second(q.Replay(ctx, "a", []repeater.Key{key})), "Drop": second(q.Drop(ctx, "a", []repeater.Key{key})),
		"Announce": q.Announce(ctx, nil), "ExpireUnknown": second(q.ExpireUnknown(ctx, 0)), "Watch": q.Watch(ctx, nil),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v", name, err)
		}
	}
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Held: true})
}

func second[T any](_ T, err error) error { return err }

func TestRedisClosedClient(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "localhost:1", Password: "hush"})
	_ = client.Close()
	_, err := repeater.NewRedisQueue(client, "").Push(t.Context(), redisBatch("1", "r", "a"))
	if !errors.Is(err, repeater.ErrClosed) || strings.Contains(err.Error(), "hush") {
		t.Errorf("Push = %v", err)
	}
}
