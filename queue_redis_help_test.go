package repeater_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

const redisTTL = 10 * time.Second

// redisBatch has one message for each lane; its payloads tell them apart.
func redisBatch(id, route string, lanes ...string) repeater.Batch {
	b := repeater.Batch{ID: id, Route: route, Received: time.Unix(1700000000, 5).UTC()}
	for i, lane := range lanes {
		b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: lane, Payload: []byte(id + " for " + lane)})
	}
	return b
}

func mustPush(t *testing.T, q repeater.Queue, batches ...repeater.Batch) {
	t.Helper()
	for _, b := range batches {
		id, err := q.Push(t.Context(), b)
		if err != nil || id != b.ID {
			t.Fatalf("Push(%s) = %q, %v", b.ID, id, err)
		}
	}
}

func mustClaim(t *testing.T, q repeater.Queue, lane, token string, max int) repeater.Claim {
	t.Helper()
	c, err := q.Claim(t.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: max, TTL: redisTTL})
	if err != nil {
		t.Fatalf("Claim(%s, %q): %v", lane, token, err)
	}
	return c
}

func mustSettle(t *testing.T, q repeater.Queue, lane, token string, s ...repeater.Settlement) {
	t.Helper()
	if err := q.Settle(t.Context(), lane, token, s); err != nil {
		t.Fatalf("Settle(%s): %v", lane, err)
	}
}

func delivered(messages []repeater.Claimed) (s []repeater.Settlement) {
	for _, m := range messages {
		s = append(s, repeater.Settlement{Key: m.Key})
	}
	return s
}

// ageless leaves the age of claimed messages out of a comparison.
var ageless = cmpopts.IgnoreFields(repeater.Claimed{}, "Age")

func wantIDs(t *testing.T, c repeater.Claim, want ...string) {
	t.Helper()
	var got []string
	for _, m := range c.Messages {
		got = append(got, m.Key.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("claimed (-want +got):\n%s", diff)
	}
}

// wantLane compares a lane's counts; what the test leaves zero must be zero.
func wantLane(t *testing.T, q repeater.Queue, want repeater.LaneInfo) {
	t.Helper()
	infos, err := q.Lanes(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(infos, func(l repeater.LaneInfo) bool { return l.Name == want.Name })
	if i < 0 {
		t.Fatalf("lane %q is not among %+v", want.Name, infos)
	}
	got := infos[i]
	got.Wait = want.Wait
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("lane (-want +got):\n%s", diff)
	}
}

// hook stands between a client and its connection.
type hook struct {
	redis.Hook
	around around
}

type around func(ctx context.Context, cmds []redis.Cmder, next func() error) error

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return h.around(ctx, []redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return h.around(ctx, cmds, func() error { return next(ctx, cmds) })
	}
}

// twice does everything twice, as a client does that has not heard the first answer.
func twice(_ context.Context, _ []redis.Cmder, next func() error) error {
	if err := next(); err != nil {
		return err
	}
	return next()
}

// losing loses the next answer after arm was set.
func losing(arm *atomic.Bool) around {
	return func(_ context.Context, cmds []redis.Cmder, next func() error) error {
		err := next()
		if err == nil && isScript(cmds) && arm.CompareAndSwap(true, false) {
			for _, cmd := range cmds {
				cmd.SetErr(io.ErrUnexpectedEOF)
			}
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

func isScript(cmds []redis.Cmder) bool { return strings.HasPrefix(cmds[0].Name(), "eval") }

// watchRedis watches until the test ends. It returns when the subscription is there.
func watchRedis(t *testing.T, store redisStore, q repeater.SharedQueue) (woken chan string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	woken, ready, ended := make(chan string, 100), make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- q.Watch(ctx, func(lane string) {
			if lane != "hello" {
				woken <- lane
				return
			}
			select {
			case ready <- struct{}{}:
			default:
			}
		})
	}()
	client := store.client(t)
	eventually(t, func() bool {
		client.Publish(ctx, store.prefix+"wake", "hello")
		return len(ready) > 0
	})
	return woken, func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("does not end")
		}
	}
}

// redisKeys finds keys on whichever node they are.
func redisKeys(t *testing.T, client redis.UniversalClient, pattern string) []string {
	t.Helper()
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		keys, err := client.Keys(t.Context(), pattern).Result()
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	var mu sync.Mutex
	var all []string
	err := cluster.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		keys, err := node.Keys(ctx, pattern).Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// eventually waits for what happens on Redis's clock.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not after 15 s")
		}
	}
}
