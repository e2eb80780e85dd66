package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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

// redisStore is a Redis to test against.
type redisStore struct {
	client func(t *testing.T) redis.UniversalClient // a new one, as another process has
	prefix string                                   // of this test alone
}

func (s redisStore) queue(t *testing.T) repeater.SharedQueue {
	return repeater.NewRedisQueue(s.client(t), s.prefix)
}

// hooked is a queue whose client does as hooked says.
func (s redisStore) hooked(t *testing.T, around around) repeater.SharedQueue {
	client := s.client(t)
	client.AddHook(hook{around: around})
	return repeater.NewRedisQueue(client, s.prefix)
}

// TestRedis runs every test against all that we claim to work with.
func TestRedis(t *testing.T) {
	tests := map[string]func(*testing.T, redisStore){
		"repeated commands":     testRedisRepeatedCommands,
		"lost answers":          testRedisLostAnswers,
		"overtaken claim":       testRedisOvertakenClaim,
		"one token, two queues": testRedisSharedToken,
		"nothing left":          testRedisNothingLeft,
		"take-over":             testRedisTakeOver,
		"late release":          testRedisLateRelease,
		"script flush":          testRedisScriptFlush,
		"strange names":         testRedisStrangeNames,
		"history":               testRedisHistory,
		"corruption":            testRedisCorruption,
		"fan-out":               testRedisFanOut,
		"dedupe":                testRedisDedupe,
		"order keys":            testRedisOrderKeys,
		"steer":                 testRedisSteer,
		"steer an empty lane":   testRedisSteerEmpty,
		"failures and refusals": testRedisFailures,
		"bounds":                testRedisBounds,
		"dead letters":          testRedisDead,
		"lost":                  testRedisLost,
		"due":                   testRedisDue,
		"claim bounds":          testRedisClaimBounds,
		"many lanes":            testRedisManyLanes,
		"watch":                 testRedisWatch,
		"ended context":         testRedisEndedContext,
		"parking":               testRedisParking,
		"parking keeps order":   testRedisParkingKeepsOrder,
		"many parked":           testRedisManyParked,
		"many routes":           testRedisManyRoutes,
		"turns":                 testRedisTurns,
		"expire unknown routes": testRedisExpireUnknown,
	}
	eachRedis(t, func(t *testing.T, client func(t *testing.T) redis.UniversalClient) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, redisStore{client, strings.ReplaceAll(name, " ", "-") + ":"})
			})
		}
	})
}

func eachRedis(t *testing.T, test func(t *testing.T, client func(t *testing.T) redis.UniversalClient)) {
	run := func(name string, start func(t *testing.T) func(t *testing.T) redis.UniversalClient) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
	run("miniredis", func(t *testing.T) func(t *testing.T) redis.UniversalClient {
		server := miniredis.RunT(t)
		return func(t *testing.T) redis.UniversalClient {
			client := redis.NewClient(&redis.Options{Addr: server.Addr(), ReadTimeout: patience})
			t.Cleanup(func() { _ = client.Close() })
			return client
		}
	})
	run("redis", func(t *testing.T) func(t *testing.T) redis.UniversalClient {
		server := redistest.Start(t)
		return func(t *testing.T) redis.UniversalClient { return server.Client(t) }
	})
	run("cluster", func(t *testing.T) func(t *testing.T) redis.UniversalClient {
		nodes := redistest.StartNodes(t)
		return func(t *testing.T) redis.UniversalClient { return nodes.Client(t) }
	})
	run("cluster through a plain client", func(t *testing.T) func(t *testing.T) redis.UniversalClient {
		server := redistest.StartCluster(t)
		return func(t *testing.T) redis.UniversalClient { return server.Node(t) }
	})
}

func testRedisRepeatedCommands(t *testing.T, store redisStore) {
	q := store.hooked(t, twice)
	mustPush(t, q, redisBatch("1", "r", "a", "b"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"))
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 3, Bytes: 21})

	claim := mustClaim(t, q, "a", "", 2)
	wantIDs(t, claim, "1", "2")
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 10), "3")
	at := time.Unix(1700000001, 0).UTC()
	mustSettle(t, q, "a", claim.Token,
		repeater.Settlement{Key: claim.Messages[0].Key},
		repeater.Settlement{Key: claim.Messages[1].Key, Kind: repeater.SettleRetry, Hold: true, Attempt: repeater.Attempt{At: at}},
		repeater.Settlement{Key: repeater.Key{ID: "3"}, Kind: repeater.SettleDead, Reason: "no", Attempt: repeater.Attempt{At: at}})
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Dead: 1, Held: true})
	claim = mustClaim(t, q, "a", claim.Token, 10)
	wantIDs(t, claim, "2")
	if claim.Messages[0].Attempts != 1 {
		t.Errorf("attempts = %d, want 1", claim.Messages[0].Attempts)
	}
	if err := q.Release(t.Context(), "a", claim.Token); err != nil {
		t.Fatal(err)
	}
	mustPush(t, q, redisBatch("1", "r", "a", "b")) // delivered in one lane, waiting in the other
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 1, Bytes: 7, Dead: 1})
	wantLane(t, q, repeater.LaneInfo{Name: "b", Waiting: 1, Bytes: 7})
}

func testRedisLostAnswers(t *testing.T, store redisStore) {
	arm := new(atomic.Bool)
	q, other := store.hooked(t, losing(arm)), store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"))

	request := repeater.ClaimRequest{Lane: "a", Max: 1, TTL: redisTTL}
	lose := func() {
		t.Helper()
		arm.Store(true)
		if _, err := q.Claim(t.Context(), request); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("Claim = %v, want the loss", err)
		}
	}
	lose()
	if _, err := other.Claim(t.Context(), request); !errors.Is(err, repeater.ErrBusy) {
		t.Fatalf("Claim by another = %v, want ErrBusy", err)
	}
	claim := mustClaim(t, q, "a", "", 1)
	wantIDs(t, claim, "1")
	if _, err := q.Claim(t.Context(), request); !errors.Is(err, repeater.ErrBusy) {
		t.Fatalf("second Claim = %v, want ErrBusy", err)
	}

	request.Token = claim.Token
	lose()
	lose()
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "2")
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "3")
}

// A claim that was given up on reaches Redis after the next one: it must not disturb that.
func testRedisOvertakenClaim(t *testing.T, store redisStore) {
	late := make(chan []any, 100)
	q := store.hooked(t, func(_ context.Context, cmds []redis.Cmder, next func() error) error {
		if isScript(cmds) {
			late <- cmds[0].Args()
		}
		return next()
	})
	for i := range 4 {
		mustPush(t, q, redisBatch(fmt.Sprint(i), "r", "a"))
	}
	client := store.client(t)
	for len(late) > 0 {
		<-late
	}
	claim := mustClaim(t, q, "a", "", 1)
	wantIDs(t, claim, "0")
	first := <-late
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "1")
	second := <-late
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "2")
	for _, args := range [][]any{first, second} {
		err := client.Do(t.Context(), args...).Err()
		for i := 0; redis.HasErrorPrefix(err, "NOSCRIPT"); i++ { // another test has flushed them
			mustClaim(t, q, fmt.Sprint("loads the script ", i), "", 0)
			err = client.Do(t.Context(), args...).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 9), "3")
}

func testRedisSharedToken(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	for i := range 9 {
		mustPush(t, q, redisBatch(fmt.Sprint(i), "r", "a"))
	}
	claim := mustClaim(t, q, "a", "", 1)
	wantIDs(t, mustClaim(t, other, "a", claim.Token, 1), "1")
	wantIDs(t, mustClaim(t, other, "a", claim.Token, 1), "2")
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "3")
	wantIDs(t, mustClaim(t, q, "a", claim.Token, 1), "4")
	wantIDs(t, mustClaim(t, other, "a", claim.Token, 9), "5", "6", "7", "8")
}

func testRedisNothingLeft(t *testing.T, store redisStore) {
	q, client := store.queue(t), store.client(t)
	b := redisBatch("1", "r", "a")
	b.Messages[0].OrderKey = "k"
	mustPush(t, q, b)
	b.ID = "2"
	mustPush(t, q, b)
	claim := mustClaim(t, q, "a", "", 9)
	mustSettle(t, q, "a", claim.Token, repeater.Settlement{
		Key: claim.Messages[0].Key, Kind: repeater.SettleDead, Attempt: repeater.Attempt{At: time.Now()},
	})
	claim = mustClaim(t, q, "a", claim.Token, 9)
	mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
	if n, err := q.Drop(t.Context(), "a", []repeater.Key{{ID: "1"}}); n != 1 || err != nil {
		t.Fatalf("Drop = %d, %v", n, err)
	}
	mustRelease(t, q, "a", claim.Token)
	got := redisKeys(t, client, store.prefix+"lane:*")
	if diff := cmp.Diff([]string{store.prefix + "lane:{a}:seen"}, got); diff != "" {
		t.Errorf("keys left (-want +got):\n%s", diff)
	}
	if ttl := client.PTTL(t.Context(), store.prefix+"lane:{a}:seen").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("seen lives for %v", ttl)
	}
}

func testRedisTakeOver(t *testing.T, store redisStore) {
	q, other := store.queue(t), store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"))
	ctx := t.Context()
	request := repeater.ClaimRequest{Lane: "a", Max: 2, TTL: time.Millisecond}
	old, err := q.Claim(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		infos, err := q.Lanes(ctx, "", 1)
		return err == nil && !infos[0].Held
	})
	// Past its time, but nobody has taken the lane: the token is still good.
	mustSettle(t, q, "a", old.Token, repeater.Settlement{Key: old.Messages[1].Key, Kind: repeater.SettleRelease})

	claim := mustClaim(t, other, "a", "", 9)
	wantIDs(t, claim, "1", "2", "3")
	if err := q.Settle(ctx, "a", old.Token, delivered(old.Messages)); !errors.Is(err, repeater.ErrStale) {
		t.Errorf("Settle = %v, want ErrStale", err)
	}
	request.Token = old.Token
	if _, err := q.Claim(ctx, request); !errors.Is(err, repeater.ErrStale) {
		t.Errorf("Claim = %v, want ErrStale", err)
	}
	if err := q.Release(ctx, "a", old.Token); err != nil {
		t.Errorf("Release = %v", err)
	}
	wantLane(t, q, repeater.LaneInfo{Name: "a", Waiting: 3, Bytes: 21, Held: true})
}

// A lane that could not be given back when Redis was away is free at once for who held it.
func testRedisLateRelease(t *testing.T, store redisStore) {
	away := new(atomic.Bool)
	q := store.hooked(t, func(_ context.Context, _ []redis.Cmder, next func() error) error {
		if away.Load() {
			return io.ErrUnexpectedEOF
		}
		return next()
	})
	mustPush(t, q, redisBatch("1", "r", "a"))
	claim := mustClaim(t, q, "a", "", 1)
	away.Store(true)
	if err := q.Release(t.Context(), "a", claim.Token); err == nil {
		t.Fatal("Release without Redis succeeds")
	}
	request := repeater.ClaimRequest{Lane: "a", Max: 1, TTL: redisTTL}
	if _, err := q.Claim(t.Context(), request); err == nil {
		t.Fatal("Claim without Redis succeeds")
	}
	away.Store(false)
	if _, err := store.queue(t).Claim(t.Context(), request); !errors.Is(err, repeater.ErrBusy) {
		t.Errorf("Claim by another = %v, want ErrBusy", err)
	}
	claim = mustClaim(t, q, "a", "", 1)
	wantIDs(t, claim, "1")
	if claim.Messages[0].Lost != 0 {
		t.Error("the message counts as lost")
	}
	mustRelease(t, q, "a", claim.Token)
	wantIDs(t, mustClaim(t, store.queue(t), "a", "", 1), "1")
}

func testRedisScriptFlush(t *testing.T, store redisStore) {
	c := store.client(t)
	q := repeater.NewRedisQueue(c, store.prefix)
	flush := func() {
		if err := c.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	mustPush(t, q, redisBatch("1", "r", "a", "b"))
	flush()
	mustPush(t, q, redisBatch("2", "r", "a", "b"))
	flush()
	claim := mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "1", "2")
	flush()
	mustSettle(t, q, "a", claim.Token, delivered(claim.Messages)...)
	flush()
	if err := q.Release(t.Context(), "a", claim.Token); err != nil {
		t.Fatal(err)
	}
	wantLane(t, q, repeater.LaneInfo{Name: "b", Waiting: 2, Bytes: 14})
}

func testRedisStrangeNames(t *testing.T, store redisStore) {
	q := store.queue(t)
	names := []string{"{", "}", "{}", "}{", "%7B", "a{b}c", "\x00\xff:", "a b\n", "https://[::1]:443", strings.Repeat("ä", 512)}
	for i, name := range names {
		b := redisBatch(fmt.Sprint("id.:\n\x00\xff ", i), "ro ute\n\xff", name)
		b.Messages[0].OrderKey = ": \x00{"
		mustPush(t, q, b)
		b.ID += "x"
		mustPush(t, q, b)
		claim := mustClaim(t, q, name, "", 9)
		want := []repeater.Claimed{{
			Key: repeater.Key{ID: strings.TrimSuffix(b.ID, "x")}, Route: b.Route, Received: b.Received, Payload: b.Messages[0].Payload,
		}}
		if diff := cmp.Diff(want, claim.Messages, ageless); diff != "" {
			t.Errorf("lane %q (-want +got):\n%s", name, diff)
		}
		mustSettle(t, q, name, claim.Token, repeater.Settlement{Key: claim.Messages[0].Key, Kind: repeater.SettleDead})
		claim = mustClaim(t, q, name, claim.Token, 9)
		wantIDs(t, claim, b.ID)
		mustSettle(t, q, name, claim.Token, delivered(claim.Messages)...)
	}
	infos, err := q.Lanes(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, info := range infos {
		got = append(got, info.Name)
		if info.Waiting != 0 || info.Dead != 1 {
			t.Errorf("lane %+v", info)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("lanes (-want +got):\n%s", diff)
	}
}

func testRedisHistory(t *testing.T, store redisStore) {
	q := store.queue(t)
	mustPush(t, q, redisBatch("1", "r", "a"))
	claim := mustClaim(t, q, "a", "", 1)
	key := claim.Messages[0].Key
	var want []repeater.Attempt
	for i := range 25 {
		a := repeater.Attempt{
			At: time.Unix(int64(i+1), 7).UTC(), Took: time.Duration(i), Status: 500 + i, Error: "a\n\"b\xff", Silent: i != 20,
		}
		if i < 3 || i >= 25-16 {
			want = append(want, a)
		}
		s := repeater.Settlement{Key: key, Kind: repeater.SettleRetry, Hold: i%2 == 0, Attempt: a}
		if i == 24 {
			s.Kind, s.Reason, s.Answer = repeater.SettleDead, "no\nway 1", []byte(" \x00\n")
		}
		mustSettle(t, q, "a", claim.Token, s)
		if i == 24 {
			break
		}
		next := mustClaim(t, q, "a", claim.Token, 1)
		wantIDs(t, next, "1")
		if got, want := next.Messages[0].Silent, []int{i + 1, i - 20}[i/20]; got != want {
			t.Errorf("after attempt %d: Silent = %d, want %d", i, got, want)
		}
	}
	letters, next, err := q.Dead(t.Context(), "a", "", 5)
	if err != nil || next != "" || len(letters) != 1 {
		t.Fatalf("Dead = %v, %q, %v", letters, next, err)
	}
	got := letters[0]
	if time.Since(got.Died).Abs() > time.Minute {
		t.Errorf("died %v", got.Died)
	}
	got.Died = time.Time{}
	if diff := cmp.Diff(repeater.DeadLetter{
		Key: key, Route: "r", Received: time.Unix(1700000000, 5).UTC(), Size: 7, Attempts: 25, History: want,
		Reason: "no\nway 1", Answer: []byte(" \x00\n"),
	}, got); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
	if n, err := q.Replay(t.Context(), "a", []repeater.Key{key, key}); n != 1 || err != nil {
		t.Errorf("Replay = %d, %v", n, err)
	}
	claim = mustClaim(t, q, "a", claim.Token, 1)
	if m := claim.Messages[0]; m.Attempts != 0 || m.Silent != 0 {
		t.Errorf("after Replay: %d attempts, %d silent", m.Attempts, m.Silent)
	}
}

func testRedisCorruption(t *testing.T, store redisStore) {
	c, ctx := store.client(t), t.Context()
	q := repeater.NewRedisQueue(c, store.prefix)
	mustPush(t, q, redisBatch("1", "r", "a"), redisBatch("2", "r", "a"), redisBatch("3", "r", "a"), redisBatch("4", "r", "a"))
	for _, err := range []error{
		c.HSet(ctx, store.prefix+"lane:{a}:payloads", "1.0", "1 for b").Err(),
		c.HDel(ctx, store.prefix+"lane:{a}:payloads", "2.0").Err(),
		c.HDel(ctx, store.prefix+"lane:{a}:cards", "3.0").Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Payload(ctx, "a", repeater.Key{ID: "1"}); !errors.Is(err, repeater.ErrCorrupt) {
		t.Errorf("Payload = %v, want ErrCorrupt", err)
	}
	claim := mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "1", "2", "3", "4")
	var settlements []repeater.Settlement
	for i, m := range claim.Messages {
		if corrupt := errors.Is(m.Err, repeater.ErrCorrupt) && m.Payload == nil; corrupt != (i < 3) {
			t.Errorf("message %v: %v, %q", m.Key, m.Err, m.Payload)
		}
		settlements = append(settlements, repeater.Settlement{Key: m.Key, Kind: repeater.SettleDead, Reason: "corrupt"})
	}
	mustSettle(t, q, "a", claim.Token, settlements...)
	letters, _, err := q.Dead(ctx, "a", "", 9)
	if err != nil || len(letters) != 4 {
		t.Fatalf("Dead = %v, %v", letters, err)
	}
}
