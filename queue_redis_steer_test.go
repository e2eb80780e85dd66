package repeater_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

func mustSteer(t *testing.T, q repeater.Queue, lane string, orders ...repeater.LaneOrder) {
	t.Helper()
	for _, order := range orders {
		if err := q.Steer(t.Context(), lane, order); err != nil {
			t.Fatalf("Steer(%s, %d): %v", lane, order, err)
		}
	}
}

func testRedisSteer(t *testing.T, store redisStore) {
	q, other := store.hooked(t, twice), store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"))
	claim := mustClaim(t, q, "a", "", 1)
	mustSteer(t, other, "a", repeater.LanePause, repeater.LanePause)
	paused := mustClaim(t, q, "a", claim.Token, 9)
	wantIDs(t, paused)
	if !paused.Paused || paused.More || paused.Wait != 0 {
		t.Errorf("paused: %+v", paused)
	}
	hold := repeater.Settlement{Key: claim.Messages[0].Key, Kind: repeater.SettleRetry, Hold: true, After: time.Hour}
	mustSettle(t, q, "a", claim.Token, hold)
	wantLane(t, other, repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Paused: true, Failures: 1, Wait: time.Hour, Held: true})

	mustSteer(t, other, "a", repeater.LaneResume)
	if got := mustClaim(t, q, "a", claim.Token, 9); got.Paused || got.Wait <= 0 || len(got.Messages) > 0 {
		t.Errorf("resumed, but the pause by Hold goes on: %+v", got)
	}
	mustSteer(t, other, "a", repeater.LaneRetryNow)
	got := mustClaim(t, q, "a", claim.Token, 9)
	wantIDs(t, got, "1", "2")
	if got.Failures != 1 || got.Wait != 0 {
		t.Errorf("after LaneRetryNow: %+v", got)
	}
	mustSettle(t, q, "a", claim.Token, hold)
	mustSteer(t, other, "a", repeater.LaneForgive)
	got = mustClaim(t, q, "a", claim.Token, 9)
	wantIDs(t, got, "1")
	if got.Failures != 2 || got.Refusals != repeater.Forgiven {
		t.Errorf("after LaneForgive: %+v", got)
	}
	if err := q.Steer(t.Context(), "a", 99); err == nil {
		t.Error("an order that does not exist is carried out")
	}
}

func testRedisSteerEmpty(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	client := store.client(t)
	woken, stop := watchRedis(t, store, other)
	defer stop()
	mustSteer(t, q, "a", repeater.LanePause)
	wantLane(t, other, repeater.LaneInfo{Name: "a", Paused: true})
	claim := mustClaim(t, q, "a", "", 9)
	mustRelease(t, q, "a", claim.Token)
	wantLane(t, other, repeater.LaneInfo{Name: "a", Paused: true})
	mustPush(t, q, redisBatch("1", "r", "a"))
	claim = mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim)
	mustRelease(t, q, "a", claim.Token)
	if len(woken) > 0 {
		t.Errorf("a wake for a lane that is paused")
	}
	mustSteer(t, q, "a", repeater.LaneResume)
	select {
	case <-woken:
	case <-time.After(10 * time.Second):
		t.Fatal("no wake for a lane that was resumed")
	}
	wantIDs(t, mustClaim(t, q, "a", "", 9), "1")

	mustSteer(t, q, "b", repeater.LanePause, repeater.LaneResume, repeater.LaneRetryNow)
	if keys := redisKeys(t, client, store.prefix+"lane:{b}:*"); len(keys) > 0 {
		t.Errorf("keys left: %v", keys)
	}
}

func testRedisFailures(t *testing.T, store redisStore) {
	q := store.queue(t)
	for i := range 9 {
		mustPush(t, q, redisBatch(string(rune('0'+i)), "r", "a"))
	}
	claim := mustClaim(t, q, "a", "", 9)
	settle := func(id string, s repeater.Settlement, failures, refusals int) {
		t.Helper()
		s.Key.ID = id
		mustSettle(t, q, "a", claim.Token, s)
		got := mustClaim(t, q, "a", claim.Token, 0)
		if got.Failures != failures || got.Refusals != refusals {
			t.Errorf("%+v: %d failures, %d refusals, want %d and %d", s, got.Failures, got.Refusals, failures, refusals)
		}
	}
	hold := repeater.Settlement{Kind: repeater.SettleRetry, Hold: true, After: time.Hour}
	settle("0", hold, 1, 0)
	hold.After = time.Minute
	settle("1", hold, 2, 0)
	if wait := mustClaim(t, q, "a", claim.Token, 0).Wait; wait < 59*time.Minute {
		t.Errorf("a shorter pause has made it %v", wait)
	}
	mustSteer(t, q, "a", repeater.LaneRetryNow)
	hold.After = 0
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "0")
	settle("0", hold, 2, 0)
	if wait := mustClaim(t, q, "a", claim.Token, 0).Wait; wait > 0 {
		t.Errorf("a hold without a time pauses for %v", wait)
	}
	settle("2", repeater.Settlement{Kind: repeater.SettleDead}, 2, 0)
	settle("5", repeater.Settlement{Kind: repeater.SettleRetry, After: time.Hour}, 0, 0)
	hold.After = 1
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "0")
	settle("0", hold, 1, 0)
	settle("3", repeater.Settlement{Kind: repeater.SettleDead, Refused: true}, 0, 1)
	settle("4", repeater.Settlement{Kind: repeater.SettleDead, Refused: true}, 0, 2)
	settle("6", repeater.Settlement{Kind: repeater.SettleRelease}, 0, 2)
	settle("7", repeater.Settlement{}, 0, 0)
	mustSteer(t, q, "a", repeater.LaneForgive)
	settle("8", repeater.Settlement{Kind: repeater.SettleDead, Refused: true}, 0, repeater.Forgiven+1)
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "0", "1", "6")
	settle("6", repeater.Settlement{}, 0, 0)
}

func testRedisBounds(t *testing.T, store redisStore) {
	q := store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a")) // 7 bytes each
	push := func(id string, bound repeater.Bound, mark string) error {
		b := redisBatch(id, "r", "a")
		b.Bound, b.Dedupe, b.DedupeFor = bound, mark, time.Hour
		_, err := q.Push(t.Context(), b)
		return err
	}
	for _, tt := range []struct {
		id    string
		bound repeater.Bound
		full  bool
	}{
		{"m", repeater.Bound{Messages: 2}, true},
		{"b", repeater.Bound{Bytes: 14}, true},
		{"1", repeater.Bound{Messages: 1}, false}, // stored already
		{"3", repeater.Bound{Messages: 3, Bytes: 15}, false},
		{"x", repeater.Bound{Messages: 3}, true},
	} {
		if err := push(tt.id, tt.bound, ""); errors.Is(err, repeater.ErrFull) != tt.full || (err != nil) != tt.full {
			t.Errorf("Push(%s) within %+v: %v", tt.id, tt.bound, err)
		}
	}
	want := repeater.LaneInfo{Name: "a", Waiting: 3, Bytes: 21}
	wantLane(t, q, want)
	messages, bytes, free := q.(repeater.SizedQueue).Size("a")
	if messages != 3 || bytes != 21 || free >= 0 {
		t.Errorf("Size = %d, %d, %d", messages, bytes, free)
	}
	if messages, bytes, _ := q.(repeater.SizedQueue).Size("b"); messages != 0 || bytes != 0 {
		t.Errorf("Size of a lane that is not there = %d, %d", messages, bytes)
	}
}

// A full lane refuses the whole batch, and the mark with it. (In a cluster such a batch goes through
// the outbox, where no bound holds.)
func TestRedisBoundOfBatch(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	q := repeater.NewRedisQueue(client, "")
	mustPush(t, q, redisBatch("1", "r", "a"))
	b := redisBatch("2", "r", "b", "a")
	b.Dedupe, b.DedupeFor, b.Bound.Messages = "mark", time.Hour, 1
	if id, err := q.Push(t.Context(), b); !errors.Is(err, repeater.ErrFull) || id != "" {
		t.Errorf("Push = %q, %v", id, err)
	}
	if messages, _, _ := q.Size("a"); messages != 1 {
		t.Errorf("Size = %d", messages)
	}
	wantIDs(t, mustClaim(t, q, "b", "", 9))
	claim := mustClaim(t, q, "a", "", 9)
	mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
	b.ID = "3"
	mustPush(t, q, b) // the mark was not set
	b.ID = "4"
	if id, err := q.Push(t.Context(), b); id != "3" || err != nil {
		t.Errorf("Push of a known mark to a full lane = %q, %v", id, err)
	}
}

func testRedisDead(t *testing.T, store redisStore) {
	q := store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"))
	claim := mustClaim(t, q, "a", "", 9)
	answers := map[string][]byte{"1": []byte(strings.Repeat("x", 4<<10)), "2": nil, "3": {}}
	for _, m := range claim.Messages {
		mustSettle(t, q, "a", claim.Token, repeater.Settlement{
			Key: m.Key, Kind: repeater.SettleDead, Reason: "because of " + m.Key.ID, Answer: answers[m.Key.ID],
		})
	}
	letters, _, err := q.Dead(t.Context(), "a", "", 9)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]byte)
	for _, l := range letters {
		got[l.Reason] = l.Answer
	}
	want := map[string][]byte{"because of 1": []byte(strings.Repeat("x", 2<<10)), "because of 2": nil, "because of 3": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	prune := func(older time.Duration, max, want int) {
		t.Helper()
		if n, err := q.Prune(t.Context(), "a", older, max); n != want || err != nil {
			t.Errorf("Prune(%v, %d) = %d, %v, want %d", older, max, n, err, want)
		}
	}
	prune(time.Hour, 9, 0)
	prune(0, 0, 0)
	eventually(t, func() bool {
		n, err := q.Prune(t.Context(), "a", time.Millisecond, 2)
		if err != nil || n > 2 {
			t.Fatalf("Prune = %d, %v", n, err)
		}
		letters, _, err = q.Dead(t.Context(), "a", "", 9)
		return err == nil && len(letters) == 1
	})
	if letters[0].Key.ID != "3" {
		t.Errorf("left: %v, want the latest", letters[0].Key)
	}
	mustRelease(t, q, "a", claim.Token)
	eventually(t, func() bool { return second(q.Prune(t.Context(), "a", 0, 9)) == nil })
	if keys := redisKeys(t, store.client(t), store.prefix+"lane:*"); len(keys) > 0 {
		t.Errorf("keys left: %v", keys)
	}
}

func testRedisLost(t *testing.T, store redisStore) {
	q := store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"))
	// take is a claim by a process that ends at once, or not.
	take := func(max int, ttl time.Duration) (c repeater.Claim) {
		t.Helper()
		eventually(t, func() bool {
			var err error
			c, err = store.queue(t).Claim(t.Context(), repeater.ClaimRequest{Lane: "a", Max: max, TTL: ttl})
			if err != nil && !errors.Is(err, repeater.ErrBusy) {
				t.Fatal(err)
			}
			return err == nil
		})
		return c
	}
	wantLost := func(c repeater.Claim, want ...int) {
		t.Helper()
		var got []int
		for _, m := range c.Messages {
			got = append(got, m.Lost)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lost (-want +got):\n%s", diff)
		}
	}
	wantLost(take(2, time.Millisecond), 0, 0)
	wantLost(take(1, time.Millisecond), 1)
	c := take(9, redisTTL)
	wantLost(c, 2, 1, 0)
	mustSettle(t, q, "a", c.Token,
		repeater.Settlement{Key: c.Messages[0].Key, Kind: repeater.SettleRetry, Hold: true},
		repeater.Settlement{Key: c.Messages[1].Key, Kind: repeater.SettleDead},
		repeater.Settlement{Key: c.Messages[2].Key, Kind: repeater.SettleRetry})
	if n, err := q.Replay(t.Context(), "a", []repeater.Key{{ID: "2"}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	var got repeater.Claim
	eventually(t, func() bool {
		more := mustClaim(t, q, "a", c.Token, 9)
		got.Messages = append(got.Messages, more.Messages...)
		return len(got.Messages) == 3
	})
	wantLost(got, 0, 0, 0)
	mustRelease(t, q, "a", c.Token)
	wantLost(take(1, time.Millisecond), 0)
	c = take(1, redisTTL)
	wantLost(c, 1)
	mustRelease(t, q, "a", c.Token)
	wantLost(take(1, redisTTL), 0)
	if n, err := store.client(t).Exists(t.Context(), store.prefix+"lane:{a}:lost").Result(); n != 0 || err != nil {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

// A message's age grows on Redis's clock, and not while an operator has its lane paused.
func TestRedisAge(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	pass := func(d time.Duration) {
		now = now.Add(d)
		server.SetTime(now)
	}
	pass(0)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	q := repeater.NewRedisQueue(client, "")
	wantAges := func(want ...time.Duration) {
		t.Helper()
		claim := mustClaim(t, q, "a", "", 9)
		var got []time.Duration
		for _, m := range claim.Messages {
			got = append(got, m.Age)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ages (-want +got):\n%s", diff)
		}
		mustRelease(t, q, "a", claim.Token)
	}
	mustPush(t, q, redisBatch("1", "r", "a"))
	pass(time.Minute)
	mustSteer(t, q, "a", repeater.LanePause)
	pass(time.Hour)
	mustSteer(t, q, "a", repeater.LanePause)
	mustPush(t, q, redisBatch("2", "r", "a")) // while the clock stands still
	pass(time.Hour)
	mustSteer(t, q, "a", repeater.LaneResume, repeater.LaneResume)
	wantAges(time.Minute, 0)
	pass(time.Second)
	wantAges(time.Minute+time.Second, time.Second)

	claim := mustClaim(t, q, "a", "", 1)
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: claim.Messages[0].Key, Kind: repeater.SettleDead})
	mustSteer(t, q, "a", repeater.LanePause)
	pass(time.Hour)
	if n, err := q.Replay(t.Context(), "a", []repeater.Key{{ID: "1"}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	mustSteer(t, q, "a", repeater.LaneResume)
	mustRelease(t, q, "a", claim.Token)
	wantAges(time.Second, 0)
	pass(-time.Hour) // a failover to a host whose clock is behind
	wantAges(0, 0)
}
