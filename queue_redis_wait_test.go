//go:build unix

package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// A push waits for the replica, also one that finds its message or its mark stored: it may
// be the repetition of one that has waited in vain.
func TestRedisWait(t *testing.T) {
	t.Parallel()
	g := redistest.StartGuarded(t)
	q := repeater.NewRedisQueue(g.Client(t), "")
	repeater.SetRedisWait(q, 1, 100*time.Millisecond)
	one, marked := redisBatch("1", "r", "a"), redisBatch("2", "r", "a")
	marked.Dedupe, marked.DedupeFor = "mark", time.Hour
	pushes := map[string]func() error{
		"a message":       func() error { return second(q.Push(t.Context(), one)) },
		"a marked one":    func() error { return second(q.Push(t.Context(), marked)) },
		"LanePause":       func() error { return q.Steer(t.Context(), "b", repeater.LanePause) },
		"LaneForgive":     func() error { return q.Steer(t.Context(), "b", repeater.LaneForgive) },
		"one more resume": func() error { return q.Steer(t.Context(), "b", repeater.LaneResume) },
	}
	g.Replica.Pause()
	for range 2 {
		for name, push := range pushes {
			if err := push(); err == nil || !strings.Contains(err.Error(), "0 of 1 replicas") {
				t.Errorf("%s, without the replica: %v", name, err)
			}
		}
	}
	g.Replica.Continue()
	repeater.SetRedisWait(q, 1, patience)
	for name, push := range pushes {
		for range 2 {
			if err := push(); err != nil {
				t.Errorf("%s, with the replica: %v", name, err)
			}
		}
	}
	if n := len(mustClaim(t, q, "a", "", 9).Messages); n != len(pushes)-3 {
		t.Errorf("%d messages are stored", n)
	}
}

// Waiting longer than the client reads for an answer is no failure.
func TestRedisWaitIsPatient(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr(), ReadTimeout: 100 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	q := repeater.NewRedisQueue(client, "")
	repeater.SetRedisWait(q, 1, time.Second)
	_, err := q.Push(t.Context(), redisBatch("1", "r", "a"))
	if err == nil || !strings.Contains(err.Error(), "0 of 1 replicas") {
		t.Errorf("Push = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := q.Push(ctx, redisBatch("2", "r", "a")); err == nil {
		t.Error("Push without a replica succeeds")
	}
	if d := time.Since(start); d > 700*time.Millisecond {
		t.Errorf("Push ends %v after it began, its context after 50ms", d)
	}
}

// In a cluster, the WAIT goes to the node that has the lane, or the outbox; what a copy's
// replica does not have stays in the outbox.
func TestRedisWaitCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartNodes(t, "--repl-diskless-sync-delay", "0")
	q := repeater.NewRedisQueue(nodes.Client(t), "")
	repeater.SetRedisWait(q, 1, 100*time.Millisecond)
	lanes := []string{"a", "b", "c"}
	for _, b := range []repeater.Batch{redisBatch("direct", "r", "a"), redisBatch("fan-out", "r", lanes...)} {
		if _, err := q.Push(t.Context(), b); err == nil || !strings.Contains(err.Error(), "0 of 1 replicas") {
			t.Errorf("Push(%s) without replicas: %v", b.ID, err)
		}
	}
	if got := len(outboxKeys(t, nodes...)); got == 0 {
		t.Error("nothing is in the outbox")
	}
	replicas := nodes.AddReplicas(t)
	repeater.SetRedisWait(q, 1, 5*time.Second)
	mustPush(t, q, redisBatch("direct 2", "r", "a"), redisBatch("fan-out 2", "r", lanes...))
	eventually(t, func() bool { // what was left behind
		mustAnnounce(t, q, "r")
		return len(outboxKeys(t, nodes...)) == 0
	})
	wantLeftBehind(t, q, nodes, replicas)
	for _, lane := range lanes {
		got := make(map[string]int)
		for _, m := range mustClaim(t, q, lane, "", 9).Messages {
			got[m.Key.ID]++
		}
		if got["fan-out"] != 1 || got["fan-out 2"] != 1 || lane == "a" && (got["direct"] != 1 || got["direct 2"] != 1) {
			t.Errorf("lane %s has %v", lane, got)
		}
	}
}

// wantLeftBehind stops the replica of lane "a". A batch whose outbox lies elsewhere is stored,
// and stays there until the copy to the lane is safe, too.
func wantLeftBehind(t *testing.T, q *repeater.RedisQueue, nodes, replicas redistest.Nodes) {
	t.Helper()
	replica := replicas[int(repeater.RedisSlot("a"))*len(nodes)/16384]
	repeater.SetRedisWait(q, 1, 100*time.Millisecond)
	replica.Pause()
	id, err := "", errors.New("not tried")
	for i := 0; i < 100 && err != nil; i++ {
		id, err = q.Push(t.Context(), redisBatch(fmt.Sprint("lag ", i), "r", "a", "b"))
	}
	left := false
	client := nodes.Client(t)
	for _, key := range outboxKeys(t, nodes...) {
		if strings.HasSuffix(key, ":items") {
			left = left || client.HExists(t.Context(), key, id+".0").Val()
		}
	}
	if err != nil || !left {
		t.Errorf("Push = %v; the copy that is not safe is left in the outbox: %v", err, left)
	}
	replica.Continue()
	repeater.SetRedisWait(q, 1, 5*time.Second)
	eventually(t, func() bool {
		mustAnnounce(t, q, "r")
		return len(outboxKeys(t, nodes...)) == 0
	})
}

// A repetition writes, since by its documentation a WAIT waits only for writes.
func TestRedisRepetitionsWrite(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	q := repeater.NewRedisQueue(client, "")
	one, marked := redisBatch("1", "r", "a"), redisBatch("2", "r", "a")
	marked.Dedupe, marked.DedupeFor = "mark", time.Hour
	for name, step := range map[string]func() error{
		"a message":   func() error { return second(q.Push(t.Context(), one)) },
		"a mark":      func() error { return second(q.Push(t.Context(), marked)) },
		"LanePause":   func() error { return q.Steer(t.Context(), "a", repeater.LanePause) },
		"LaneForgive": func() error { return q.Steer(t.Context(), "a", repeater.LaneForgive) },
	} {
		var writes [2]string
		for i := range writes {
			if err := step(); err != nil {
				t.Fatal(err)
			}
			info, err := client.Info(t.Context(), "persistence").Result()
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(info, "rdb_changes_since_last_save:")
			writes[i], _, _ = strings.Cut(rest, "\r")
		}
		if writes[0] == writes[1] {
			t.Errorf("%s once more writes nothing", name)
		}
	}
}

// A slot that has moved is followed, also by those pushes that the cluster's client does not send itself.
func TestRedisWaitFollowsSlots(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartNodes(t)
	q := repeater.NewRedisQueue(nodes.Client(t), "")
	repeater.SetRedisWait(q, 1, 10*time.Millisecond)
	push := func(id string) error { return second(q.Push(t.Context(), redisBatch(id, "r", "a"))) }
	// Its client learns where all is; a slot moves more easily while it is empty.
	if err := second(q.Push(t.Context(), redisBatch("1", "r", "b"))); !strings.Contains(fmt.Sprint(err), "0 of 1 replicas") {
		t.Fatalf("Push = %v", err)
	}
	slot := int(repeater.RedisSlot("a"))
	to := nodes[(slot*len(nodes)/16384+1)%len(nodes)]
	id, err := to.Node(t).ClusterMyID(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	// With the greatest epoch: or what the owner says of itself, until it is told, would undo the move.
	if err := to.Node(t).Do(t.Context(), "CLUSTER", "BUMPEPOCH").Err(); err != nil {
		t.Fatal(err)
	}
	for _, node := range append(redistest.Nodes{to}, nodes...) { // the receiver first
		if err := node.Node(t).Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", id).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := push("2"); !redis.HasErrorPrefix(err, "MOVED") {
		t.Fatalf("Push = %v, want MOVED", err)
	}
	start := time.Now()
	eventually(t, func() bool { return strings.Contains(fmt.Sprint(push("3")), "0 of 1 replicas") })
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// load pushes from several goroutines until it is stopped.
type load struct {
	mu     sync.Mutex
	acked  []string
	failed int
}

func startLoad(t *testing.T, q repeater.Queue) (l *load, stop func()) {
	l = new(load)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	payload := []byte(strings.Repeat("x", 64<<10)) // many fill the buffers between the servers
	for worker := range 4 {
		wg.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-tick.C
				id := fmt.Sprintf("%d-%d", worker, i)
				pushing, done := context.WithTimeout(ctx, 2*time.Second)
				_, err := q.Push(pushing, repeater.Batch{ID: id, Messages: []repeater.Message{{Lane: "a", Payload: payload}}})
				done()
				l.note(id, err)
			}
		})
	}
	return l, func() {
		cancel()
		wg.Wait()
	}
}

func (l *load) note(id string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed++
		return
	}
	l.acked = append(l.acked, id)
}

func (l *load) counts() (acked, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked), l.failed
}

// await returns when so many more have been acknowledged, or refused.
func (l *load) await(t *testing.T, acked, failed int) {
	t.Helper()
	acked0, failed0 := l.counts()
	eventually(t, func() bool {
		a, f := l.counts()
		return a >= acked0+acked && f >= failed0+failed
	})
}

// A replica that lags is promoted under load. What RedisWait has waited for is there; without it
// some is gone, which shows that the lag was one.
func TestRedisFailover(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]int{"with RedisWait": 1, "without": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := redistest.StartGuarded(t)
			q := repeater.NewRedisQueue(g.Client(t), "")
			repeater.SetRedisWait(q, wait, 300*time.Millisecond)
			l, stop := startLoad(t, q)
			defer stop()
			l.await(t, 50, 0)
			for range 3 {
				g.Replica.Pause()
				l.awaitLag(t, wait, 5)
				g.Replica.Continue()
				l.await(t, 20, 0)
			}
			g.Replica.Pause()
			l.awaitLag(t, wait, 400) // more than the sockets between them hold
			g.Primary.Kill()
			g.Replica.Continue()
			g.AwaitPromotion(t)
			g.Primary.Restart() // the Sentinel makes it the replica
			g.AwaitReplica(t)
			l.await(t, 50, 0)
			stop()
			wantStored(t, g.Client(t), l.acked, wait > 0)
		})
	}
}

// awaitLag lets the replica fall behind.
func (l *load) awaitLag(t *testing.T, wait, n int) {
	t.Helper()
	if wait > 0 {
		l.await(t, 0, 4)
		return
	}
	l.await(t, n, 0)
}

// wantStored compares what was acknowledged with what the promoted server has.
func wantStored(t *testing.T, client redis.UniversalClient, acked []string, all bool) {
	t.Helper()
	q := repeater.NewRedisQueue(client, "")
	stored := make(map[string]bool)
	for claim := mustClaim(t, q, "a", "", 100); len(claim.Messages) > 0; claim = mustClaim(t, q, "a", claim.Token, 100) {
		for _, m := range claim.Messages {
			stored[m.Key.ID] = m.Err == nil
		}
	}
	lost := 0
	for _, id := range acked {
		if !stored[id] {
			lost++
		}
	}
	t.Logf("%d acknowledged, %d of them lost", len(acked), lost)
	if all != (lost == 0) {
		t.Errorf("%d of %d acknowledged messages are lost", lost, len(acked))
	}
}
