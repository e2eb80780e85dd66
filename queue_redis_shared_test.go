package repeater_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

func mustAnnounce(t *testing.T, q repeater.SharedQueue, routes ...string) {
	t.Helper()
	if err := q.Announce(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
}

func mustRelease(t *testing.T, q repeater.Queue, lane, token string) {
	t.Helper()
	if err := q.Release(t.Context(), lane, token); err != nil {
		t.Fatal(err)
	}
}

func testRedisParking(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	mustAnnounce(t, q, "x")
	mustAnnounce(t, other, "y")
	for i := range 3 {
		mustPush(t, q, redisBatch(fmt.Sprint("x", i), "x", "a"), redisBatch(fmt.Sprint("y", i), "y", "a"))
	}
	claim := mustClaim(t, q, "a", "", 2)
	wantIDs(t, claim, "x0", "x1")
	if !claim.Yield || !claim.More {
		t.Errorf("Yield = %v, More = %v", claim.Yield, claim.More)
	}
	next := mustClaim(t, q, "a", claim.Token, 9)
	wantIDs(t, next, "x2")
	if next.More {
		t.Error("More, but the rest is of another's route")
	}
	if again := mustClaim(t, q, "a", claim.Token, 9); again.Yield {
		t.Error("Yield without having parked anything")
	}
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 6, Parked: 3, Bytes: 48, Held: true})
	mustRelease(t, q, "a", claim.Token)

	claim = mustClaim(t, other, "a", "", 9)
	wantIDs(t, claim, "y0", "y1", "y2")
	if !claim.Yield {
		t.Error("no Yield, but it has parked")
	}
	mustSettle(t, other, "a", claim.Token, delivered(claim.Messages)...)
	mustRelease(t, other, "a", claim.Token)
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 3, Parked: 3, Bytes: 24})
	wantIDs(t, mustClaim(t, q, "a", "", 9), "x0", "x1", "x2")
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 3, Bytes: 24, Held: true})
}

func testRedisParkingKeepsOrder(t *testing.T, store redisStore) {
	q, both, all := store.queue(t), store.queue(t), store.queue(t)
	mustAnnounce(t, q, "x")
	mustAnnounce(t, both, "x", "y")
	for i, route := range []string{"y", "x", "y", "x", "z", "x"} {
		mustPush(t, q, redisBatch(fmt.Sprint(i), route, "a"))
	}
	claim := mustClaim(t, q, "a", "", 1)
	wantIDs(t, claim, "1")
	mustRelease(t, q, "a", claim.Token)
	claim = mustClaim(t, both, "a", "", 9)
	wantIDs(t, claim, "0", "1", "2", "3", "5")
	mustRelease(t, both, "a", claim.Token)
	claim = mustClaim(t, all, "a", "", 9) // has announced nothing, and gets everything
	wantIDs(t, claim, "0", "1", "2", "3", "4", "5")
	mustRelease(t, all, "a", claim.Token)

	claim = mustClaim(t, q, "a", "", 9)
	mustAnnounce(t, q, "x", "z") // a new configuration while the lane is held
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "4")
}

func testRedisManyParked(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	mustAnnounce(t, q, "x")
	const n = 2500 // more than one script moves
	b := redisBatch("y", "y", "a")
	for i := range n {
		b.Messages = append(b.Messages, repeater.Message{Dest: i + 1, Lane: "a"})
	}
	mustPush(t, q, b, redisBatch("x", "x", "a"))
	claim := mustClaim(t, q, "a", "", 1)
	for claim.More && len(claim.Messages) == 0 {
		claim = mustClaim(t, q, "a", claim.Token, 1)
	}
	wantIDs(t, claim, "x")
	mustRelease(t, q, "a", claim.Token)
	claim = mustClaim(t, other, "a", "", n+9)
	if len(claim.Messages) != n+2 {
		t.Fatalf("%d messages", len(claim.Messages))
	}
	for i, m := range claim.Messages {
		want := repeater.Key{ID: "y", Dest: i}
		if i == n+1 {
			want = repeater.Key{ID: "x"}
		}
		if m.Key != want {
			t.Fatalf("message %d is %v", i, m.Key)
		}
	}
}

func testRedisManyRoutes(t *testing.T, store redisStore) {
	q := store.queue(t)
	mustAnnounce(t, q, "x")
	const n = 30 // more than one Claim makes the acquaintance of
	for i := range n {
		mustPush(t, q, redisBatch(fmt.Sprint(i), fmt.Sprint("unknown ", i), "a"))
	}
	mustPush(t, q, redisBatch("x", "x", "a"))
	claim := mustClaim(t, q, "a", "", 1)
	if !claim.Yield || !claim.More || len(claim.Messages) > 0 {
		t.Errorf("after so many routes: %+v", claim)
	}
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "x")
	infos, err := q.Lanes(t.Context(), "", 1)
	if err != nil || infos[0].Parked != n || infos[0].Waiting != n+1 {
		t.Errorf("Lanes = %+v, %v", infos, err)
	}
}

// testRedisTurns has a busy lane with nothing to park any more: its holder still gives
// way to a process that could deliver what is parked.
func testRedisTurns(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	mustAnnounce(t, other, "y")
	mustAnnounce(t, q, "x")
	mustPush(t, q, redisBatch("y", "y", "a"))
	claim := mustClaim(t, q, "a", "", 9)
	if !claim.Yield {
		t.Error("no Yield, but it has parked")
	}
	if mustClaim(t, q, "a", claim.Token, 9).Yield {
		t.Error("Yield at once")
	}
	start := time.Now()
	eventually(t, func() bool { return mustClaim(t, q, "a", claim.Token, 9).Yield })
	if d := time.Since(start); d < 4*time.Second {
		t.Errorf("Yield after %v", d)
	}
}

func testRedisExpireUnknown(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	ctx := t.Context()
	expire := func(unknown time.Duration, want int) {
		t.Helper()
		if n, err := q.ExpireUnknown(ctx, unknown); n != want || err != nil {
			t.Fatalf("ExpireUnknown(%v) = %d, %v, want %d", unknown, n, err, want)
		}
	}
	mustAnnounce(t, other, "old")
	mustAnnounce(t, q, "x")
	for i := range 3 {
		b := redisBatch(fmt.Sprint("never", i), "ne\nver", "a", "b")
		b.Messages[0].OrderKey = "k"
		mustPush(t, q, b)
	}
	b := redisBatch("x", "x", "a")
	b.Messages[0].OrderKey = "k"
	mustPush(t, q, redisBatch("old", "old", "a"), b)
	expire(0, 0) // nothing is parked yet
	claims := map[string]repeater.Claim{"a": mustClaim(t, q, "a", "", 9), "b": mustClaim(t, q, "b", "", 9)}
	wantIDs(t, claims["a"])
	expire(time.Hour, 0)

	mustAnnounce(t, other, "other") // "old" was announced a while ago
	eventually(t, func() bool {
		n, err := q.ExpireUnknown(ctx, 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
	for len(mustClaim(t, q, "a", claims["a"].Token, 9).Messages) == 0 { // those of the key come one by one
		if _, err := q.ExpireUnknown(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	letters, _, err := q.Dead(ctx, "b", "", 9)
	if err != nil || len(letters) != 3 || !strings.Contains(letters[0].Reason, `"ne\nver"`) {
		t.Fatalf("Dead = %+v, %v", letters, err)
	}
	letters, _, err = q.Dead(ctx, "a", "", 9)
	var got []string
	for _, l := range letters {
		got = append(got, l.Key.ID)
	}
	if err != nil || len(got) != 4 {
		t.Fatalf("Dead = %v, %v", got, err)
	}
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Dead: 4, Held: true})
	wantLane(t, q, repeater.LaneInfo{Name: "b", Dead: 3, Held: true})
	if n, err := q.Drop(ctx, "b", []repeater.Key{letters[0].Key, {ID: "never0", Dest: 1}}); n != 1 || err != nil {
		t.Errorf("Drop = %d, %v", n, err)
	}
	page, next, err := q.Dead(ctx, "b", "", 1)
	if err != nil || len(page) != 1 || next == "" {
		t.Fatalf("Dead = %v, %q, %v", page, next, err)
	}
	rest, next, err := q.Dead(ctx, "b", next, 1)
	if err != nil || len(rest) != 1 || next != "" || cmp.Equal(page, rest) {
		t.Fatalf("Dead = %v, %q, %v", rest, next, err)
	}
}
