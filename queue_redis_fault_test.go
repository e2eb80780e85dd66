package repeater_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// A server that dies keeps what it has answered for: messages, places, claims, pauses.
func TestRedisServerDies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	q := repeater.NewRedisQueue(server.Client(t), "")
	mustPush(t, q, redisBatch("1", "r", "a", "b"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"))
	claim := mustClaim(t, q, "a", "", 2)
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: repeater.Key{ID: "1"}, Kind: repeater.SettleDead, Reason: "no"})
	server.Kill()
	if _, err := q.Push(t.Context(), redisBatch("4", "r", "a")); err == nil {
		t.Error("Push to a dead server succeeds")
	}
	server.Restart()
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 14, Dead: 1, Held: true})
	mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "3")
	wantIDs(t, mustClaim(t, q, "b", "", 9), "1")
}

// A pusher that dies between the outbox and the lanes has stored its batch all the same.
func TestRedisClusterPusherDies(t *testing.T) {
	t.Parallel()
	server := redistest.StartCluster(t)
	client := server.Client(t)
	client.AddHook(hook{around: func(_ context.Context, cmds []redis.Cmder, next func() error) error {
		if len(cmds) > 1 && isScript(cmds) { // the copying
			for _, cmd := range cmds {
				cmd.SetErr(io.ErrUnexpectedEOF)
			}
			return io.ErrUnexpectedEOF
		}
		return next()
	}})
	q, other := repeater.NewRedisQueue(client, ""), repeater.NewRedisQueue(server.Client(t), "")
	b := redisBatch("1", "r", "a", "b", "c")
	b.Messages[0].OrderKey = "k"
	b.Dedupe, b.DedupeFor = "mark", time.Hour
	mustPush(t, q, b)
	if infos, err := other.Lanes(t.Context(), "", 9); len(infos) != 0 || err != nil {
		t.Fatalf("Lanes = %+v, %v: the copying was to fail", infos, err)
	}
	again := redisBatch("2", "r", "b", "d")
	again.Dedupe, again.DedupeFor = "mark", time.Hour
	if id, err := other.Push(t.Context(), again); id != "1" || err != nil {
		t.Fatalf("Push = %q, %v", id, err)
	}
	eventually(t, func() bool {
		mustAnnounce(t, other, "r")
		infos, err := other.Lanes(t.Context(), "", 9)
		return err == nil && len(infos) == 3
	})
	for _, m := range b.Messages {
		claim := mustClaim(t, other, m.Lane, "", 9)
		want := []repeater.Claimed{{
			Key: repeater.Key{ID: "1", Dest: m.Dest}, Route: "r", Received: b.Received, Payload: m.Payload,
		}}
		if diff := cmp.Diff(want, claim.Messages, ageless); diff != "" {
			t.Errorf("lane %s (-want +got):\n%s", m.Lane, diff)
		}
	}
	if left := outboxKeys(t, server); len(left) > 0 {
		t.Errorf("left in the outbox: %v", left)
	}
}

func outboxKeys(t *testing.T, servers ...*redistest.Server) (left []string) {
	t.Helper()
	for _, server := range servers {
		keys, err := server.Node(t).Keys(t.Context(), "*outbox*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if !strings.Contains(key, "mark:") {
				left = append(left, key)
			}
		}
	}
	return left
}

// A pusher that dies has copied to one lane only: nothing is copied twice.
func TestRedisClusterCopyIsRepeated(t *testing.T) {
	t.Parallel()
	server := redistest.StartCluster(t)
	client, removing := server.Client(t), new(atomic.Bool)
	client.AddHook(hook{around: func(_ context.Context, cmds []redis.Cmder, next func() error) error {
		if cmds[0].Name() == "hdel" && removing.CompareAndSwap(false, true) {
			return io.ErrUnexpectedEOF
		}
		return next()
	}})
	q, other := repeater.NewRedisQueue(client, ""), repeater.NewRedisQueue(server.Client(t), "")
	mustPush(t, q, redisBatch("1", "r", "a", "b"))
	claim := mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "1")
	mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
	if len(outboxKeys(t, server)) == 0 {
		t.Fatal("nothing is left in the outbox")
	}
	eventually(t, func() bool {
		mustAnnounce(t, other, "r")
		return len(outboxKeys(t, server)) == 0
	})
	wantLane(t, q, repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9))
}

func TestRedisSlot(t *testing.T) {
	t.Parallel()
	node := redistest.StartCluster(t).Node(t)
	for _, tag := range []string{"a", "123456789", "https://example.com:8443", "%7B\xff"} {
		want, err := node.ClusterKeySlot(t.Context(), "x{"+tag+"}y").Result()
		if got := repeater.RedisSlot(tag); err != nil || int64(got) != want {
			t.Errorf("slot of %q = %d, want %d, %v", tag, got, want, err)
		}
	}
}

// A full Redis refuses pushes as a whole; what is stored can still be worked off.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, ctx := server.Client(t), t.Context()
	q := repeater.NewRedisQueue(client, "")
	mustAnnounce(t, q, "r")
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		mustPush(t, q, redisBatch(id, "r", "a"))
	}
	mustPush(t, q, redisBatch("other", "unknown", "a"))
	for _, setting := range [][2]string{{"maxmemory-policy", "noeviction"}, {"maxmemory", "1"}} {
		if err := client.ConfigSet(ctx, setting[0], setting[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	b := redisBatch("6", "r", "a")
	b.Dedupe, b.DedupeFor = "mark", time.Hour
	if _, err := q.Push(ctx, b); !redis.HasErrorPrefix(err, "OOM") || !errors.Is(err, repeater.ErrFull) {
		t.Errorf("Push = %v, want OOM", err)
	}
	mustAnnounce(t, q, "r")
	mustSteer(t, q, "a", repeater.LanePause, repeater.LaneResume, repeater.LaneRetryNow, repeater.LaneForgive)
	mustSteer(t, q, "new", repeater.LanePause)
	claim := mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "1", "2", "3", "4", "5")
	claim = mustClaim(t, q, "a", claim.Token, 0)
	key := func(id string) repeater.Key { return repeater.Key{ID: id} }
	at := repeater.Attempt{At: time.Now()}
	mustSettle(t, q, "a", claim.Token,
		repeater.Settlement{Key: key("1"), Kind: repeater.SettleRetry, After: time.Hour, Attempt: at},
		repeater.Settlement{Key: key("2"), Kind: repeater.SettleDead, Attempt: at},
		repeater.Settlement{Key: key("3"), Kind: repeater.SettleRelease},
		repeater.Settlement{Key: key("4")})
	if n, err := q.Replay(ctx, "a", []repeater.Key{key("2")}); n != 1 || err != nil {
		t.Errorf("Replay = %d, %v", n, err)
	}
	if n, err := q.ExpireUnknown(ctx, 0); n != 1 || err != nil {
		t.Errorf("ExpireUnknown = %d, %v", n, err)
	}
	mustRelease(t, q, "a", claim.Token)
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 4, Bytes: 28, Dead: 1})
	claim = mustClaim(t, q, "a", "", 1)
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: claim.Messages[0].Key, Kind: repeater.SettleDead})
	mustRelease(t, q, "a", claim.Token)
	if n, err := q.Prune(ctx, "a", 0, 1); n != 1 || err != nil {
		t.Errorf("Prune = %d, %v", n, err)
	}
	if n, err := q.Drop(ctx, "a", []repeater.Key{claim.Messages[0].Key}); n != 1 || err != nil {
		t.Errorf("Drop = %d, %v", n, err)
	}
	if err := client.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	mustPush(t, q, b) // its mark was not set
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 4, Bytes: 28})
}

// Redis's clock decides, and it alone.
func TestRedisClock(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	server.SetTime(now)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	q := repeater.NewRedisQueue(client, "")
	mustPush(t, q, redisBatch("1", "r", "a"))
	claim := mustClaim(t, q, "a", "", 9)
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{Key: repeater.Key{ID: "1"}, Kind: repeater.SettleRetry, Hold: true, After: time.Hour})
	if got := mustClaim(t, q, "a", claim.Token, 9); got.Wait != time.Hour {
		t.Errorf("Wait = %v", got.Wait)
	}
	server.SetTime(now.Add(time.Hour - time.Millisecond))
	if _, err := q.Claim(t.Context(), repeater.ClaimRequest{Lane: "a", TTL: redisTTL}); err != nil {
		t.Errorf("Claim after the TTL: %v", err)
	}
	if _, err := q.Claim(t.Context(), repeater.ClaimRequest{Lane: "a", TTL: redisTTL}); !errors.Is(err, repeater.ErrBusy) {
		t.Errorf("Claim within the TTL: %v", err)
	}
	server.SetTime(now.Add(time.Hour + redisTTL))
	wantIDs(t, mustClaim(t, q, "a", "", 9), "1")

}

// A push repeated long after its answer was lost is still known, for a minute.
func TestRedisRemembersDelivered(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	server.SetTime(now)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	q := repeater.NewRedisQueue(client, "")
	mustPush(t, q, redisBatch("1", "r", "a"))
	claim := mustClaim(t, q, "a", "", 9)
	mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
	for _, tt := range []struct {
		after time.Duration
		want  []string
	}{{time.Minute - time.Millisecond, nil}, {time.Minute, []string{"1"}}} {
		server.SetTime(now.Add(tt.after))
		mustPush(t, q, redisBatch("1", "r", "a"))
		wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), tt.want...)
	}
}

// A server that has lost its last steps, as after a failover, does not agree with its
// clients on what is in hand: the claim is over, and nothing stays in hand for ever.
func TestRedisForgets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, ctx := server.Client(t), t.Context()
	save := func() map[string]string {
		keys, err := client.Keys(ctx, "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		saved := make(map[string]string)
		for _, key := range keys {
			saved[key] = client.Dump(ctx, key).Val()
		}
		return saved
	}
	load := func(saved map[string]string) {
		if err := client.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		for key, value := range saved {
			if err := client.Restore(ctx, key, 0, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	type lane struct {
		q     repeater.Queue
		claim repeater.Claim
	}
	for name, lose := range map[string]func(l lane, save func()){
		"the take": func(lane, func()) {},
		"a claim": func(l lane, save func()) {
			save()
			mustClaim(t, l.q, "a", l.claim.Token, 1)
		},
		"a settlement": func(l lane, save func()) {
			save()
			mustSettle(t, l.q, "a", l.claim.Token, delivered(l.claim.Messages)...)
		},
		"nothing at all": nil,
	} {
		if err := client.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		q := repeater.NewRedisQueue(client, "")
		mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"))
		saved := save()
		claim := mustClaim(t, q, "a", "", 1)
		if lose == nil {
			mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
			load(save())
			wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "2")
			continue
		}
		lose(lane{q, claim}, func() { saved = save() })
		load(saved)
		_, err := q.Claim(ctx, repeater.ClaimRequest{Lane: "a", Token: claim.Token, Max: 9, TTL: redisTTL})
		if !errors.Is(err, repeater.ErrStale) {
			t.Errorf("%s is lost: Claim = %v, want ErrStale", name, err)
		}
		again := mustClaim(t, q, "a", "", 9)
		wantIDs(t, again, "1", "2")
		if m := again.Messages[0]; m.Lost != 0 {
			t.Errorf("%s is lost: Lost = %d, but the process lives", name, m.Lost)
		}
	}
}
