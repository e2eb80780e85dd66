package redistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Nodes is a cluster of three primaries, each with a third of the slots.
type Nodes []*Server

// StartNodes starts a cluster whose lanes really lie on different servers.
func StartNodes(t testing.TB, args ...string) Nodes {
	t.Helper()
	require(t)
	nodes := make(Nodes, 3)
	for i := range nodes {
		nodes[i] = newServer(t, append(clusterArgs(), args...)...)
		nodes[i].Restart()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	if err := nodes.join(ctx, t); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return nodes
}

func (n Nodes) join(ctx context.Context, t testing.TB) error {
	for i, s := range n {
		node := s.Node(t)
		share := 16384 / len(n)
		last := (i + 1) * share
		if i == len(n)-1 {
			last = 16384
		}
		err := errors.Join(
			node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(),
			node.ClusterAddSlotsRange(ctx, i*share, last-1).Err(),
			node.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(n[0].port)).Err())
		if err != nil {
			return err
		}
	}
	for _, s := range n {
		node := s.Node(t)
		if err := await(ctx, func() bool { return seesAll(ctx, node, len(n)) }); err != nil {
			return err
		}
	}
	return nil
}

// seesAll reports whether the node knows of all slots, and of the nodes that have them.
func seesAll(ctx context.Context, node *redis.Client, size int) bool {
	info, err := node.ClusterInfo(ctx).Result()
	return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d\r", size))
}

// AddReplicas gives each primary a replica, and returns when all are in step.
func (n Nodes) AddReplicas(t testing.TB, args ...string) Nodes {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	replicas := make(Nodes, len(n))
	for i, primary := range n {
		replicas[i] = newServer(t, append(clusterArgs(), args...)...)
		replicas[i].Restart()
		if err := replicas[i].follow(ctx, t, primary); err != nil {
			t.Fatalf("redistest: %v", err)
		}
	}
	return replicas
}

func (s *Server) follow(ctx context.Context, t testing.TB, primary *Server) error {
	node, above := s.Node(t), primary.Node(t)
	id, err := above.ClusterMyID(ctx).Result()
	if err != nil {
		return err
	}
	if err := node.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(primary.port)).Err(); err != nil {
		return err
	}
	if err := await(ctx, func() bool { return node.ClusterReplicate(ctx, id).Err() == nil }); err != nil {
		return err
	}
	return await(ctx, func() bool {
		info, err := above.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "state=online")
	})
}

// Client returns a cluster's client that is closed with the test.
func (n Nodes) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	addrs := make([]string, len(n))
	for i, s := range n {
		addrs[i] = s.Addr()
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// await looks again and again until ok, or ctx ends.
func await(ctx context.Context, ok func() bool) error {
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
