package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Guarded is a primary and its replica, and a Sentinel that promotes the replica half a
// second after the primary has died.
type Guarded struct {
	Primary, Replica *Server // as they were at the start
	sentinel         *Server
}

// guarded is the Sentinel's name for the primary.
const guarded = "guarded"

// StartGuarded starts them, the replica in step with the primary.
func StartGuarded(t testing.TB, args ...string) *Guarded {
	t.Helper()
	args = append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, args...)
	g := &Guarded{Primary: Start(t, args...)}
	g.Replica = Start(t, append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(g.Primary.port)}, args...)...)
	g.AwaitReplica(t)
	g.sentinel = newServer(t)
	g.startSentinel(t)
	return g
}

func (g *Guarded) startSentinel(t testing.TB) {
	t.Helper()
	s := g.sentinel
	conf := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nlogfile %s\n"+
		"sentinel monitor %[4]s 127.0.0.1 %[5]d 1\n"+
		"sentinel down-after-milliseconds %[4]s 500\n"+
		"sentinel failover-timeout %[4]s 3000\n",
		s.port, s.dir, filepath.Join(s.dir, "redis.log"), guarded, g.Primary.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	s.launch([]string{conf, "--sentinel"})
	s.await()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr()})
	defer func() { _ = client.Close() }()
	err := await(ctx, func() bool { // until it knows whom to promote
		replicas, err := client.Replicas(ctx, guarded).Result()
		return err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	})
	if err != nil {
		t.Fatalf("redistest: the Sentinel does not find the replica: %v", err)
	}
}

// Client returns a client that asks the Sentinel for the primary, closed with the test.
func (g *Guarded) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: guarded, SentinelAddrs: []string{g.sentinel.Addr()}, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// AwaitReplica returns when one of the two is in step with the other.
func (g *Guarded) AwaitReplica(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	nodes := []*redis.Client{g.Primary.Node(t), g.Replica.Node(t)}
	err := await(ctx, func() bool {
		for _, node := range nodes {
			info, err := node.Info(ctx, "replication").Result()
			if err == nil && strings.Contains(info, "role:master") && strings.Contains(info, "state=online") {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatalf("redistest: the replica does not follow: %v", err)
	}
}

// AwaitPromotion returns when the replica has become the primary.
func (g *Guarded) AwaitPromotion(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	node := g.Replica.Node(t)
	err := await(ctx, func() bool {
		info, err := node.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "role:master")
	})
	if err != nil {
		t.Fatalf("redistest: the replica is not promoted: %v", err)
	}
}
