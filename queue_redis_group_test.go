package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

// gate holds up what a client sends, and counts it.
type gate struct {
	redis.Hook
	open chan struct{}

	mu   sync.Mutex
	sent []int // scripts of each round trip
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "evalsha" { // the client's own, on a new connection
			return next(ctx, cmds)
		}
		g.mu.Lock()
		g.sent = append(g.sent, len(cmds))
		g.mu.Unlock()
		<-g.open
		return next(ctx, cmds)
	}
}

func (g *gate) sofar() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.sent)
}

// TestRedisPushesGather: while two pushes are on their way, all others share the next round trip, and
// those of one lane a script; each still gets its own answer.
func TestRedisPushesGather(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	q := repeater.NewRedisQueue(client, "")
	mustPush(t, q, redisBatch("first", "r", "a"), redisBatch("first-b", "r", "b")) // knows both lanes from here on
	g := &gate{open: make(chan struct{})}
	client.AddHook(g)

	const each = 20
	errs := make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	push := func(b repeater.Batch) {
		wg.Go(func() {
			_, err := q.Push(t.Context(), b)
			mu.Lock()
			defer mu.Unlock()
			errs[b.ID] = err
		})
	}
	for i := range 2 { // one for each sender
		push(redisBatch(fmt.Sprint("early", i), "r", "a"))
		eventually(t, func() bool { return len(g.sofar()) == i+1 })
	}
	for i := range each {
		push(redisBatch(fmt.Sprint("a", i), "r", "a"))
		push(redisBatch(fmt.Sprint("b", i), "r", "b"))
	}
	full := redisBatch("full", "r", "b")
	full.Bound.Messages = 1
	push(full)
	push(redisBatch("both", "r", "a", "b"))
	eventually(t, func() bool { return repeater.RedisGathering(q) == 2*each+2 })
	close(g.open)
	wg.Wait()

	if diff := cmp.Diff([]int{1, 1, 3}, g.sofar()); diff != "" {
		t.Errorf("scripts of each round trip (-want +got):\n%s", diff)
	}
	for id, err := range errs {
		if full := id == "full"; full != errors.Is(err, repeater.ErrFull) || !full && err != nil {
			t.Errorf("push %s: %v", id, err)
		}
	}
	waiting := make(map[string]int)
	infos, err := q.Lanes(t.Context(), "", 10)
	for _, info := range infos {
		waiting[info.Name] = info.Waiting
	}
	if diff := cmp.Diff(map[string]int{"a": 1 + 2 + each + 1, "b": 1 + each + 1}, waiting); diff != "" || err != nil {
		t.Errorf("waiting (-want +got):\n%s\n%v", diff, err)
	}
}
