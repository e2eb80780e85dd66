// Package redistest starts real redis-servers for tests of what no imitation shows:
// persistence, clusters, and the death of the server.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater/internal/testport"
)

const (
	binary   = "redis-server"
	patience = 10 * time.Second // with a server that starts
)

// Server is a redis-server of the test's own, which ends with the test.
type Server struct {
	t       testing.TB
	port    int
	dir     string
	args    []string
	cluster bool
	cmd     *exec.Cmd
	out     *bytes.Buffer
	exited  chan struct{}
}

// Available reports whether there is a redis-server on the PATH.
func Available() bool {
	_, err := exec.LookPath(binary)
	return err == nil
}

// Start starts a server that has every write on disk before it answers. Further
// arguments go to redis-server as they are. Without a redis-server the test is skipped, or fails
// if REPEATER_REQUIRE_REDIS is 1.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	require(t)
	s := newServer(t, args...)
	s.Restart()
	return s
}

// newServer has a port and a folder, but does not run.
func newServer(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, port: testport.Redis(t), dir: t.TempDir(), args: args}
	t.Cleanup(s.Kill)
	return s
}

// StartCluster starts a cluster of one node, which holds all slots: scripts whose
// keys lie in different slots fail there as in any cluster.
func StartCluster(t testing.TB, args ...string) *Server {
	t.Helper()
	require(t)
	s := newServer(t, append(clusterArgs(), args...)...)
	s.cluster = true
	s.Restart()
	return s
}

func clusterArgs() []string {
	return []string{"--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"}
}

func require(t testing.TB) {
	t.Helper()
	switch {
	case Available():
	case os.Getenv("REPEATER_REQUIRE_REDIS") == "1":
		t.Fatalf("no %s on the PATH", binary)
	default:
		t.Skipf("no %s on the PATH", binary)
	}
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Client returns a client that is closed with the test: a cluster's for a cluster.
func (s *Server) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	opts := &redis.UniversalOptions{Addrs: []string{s.Addr()}, IsClusterMode: s.cluster}
	client := redis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Node returns a plain client, also of a cluster's node, closed with the test.
func (s *Server) Node(t testing.TB) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
}

// Restart starts the server, after Kill, with what it had on disk.
func (s *Server) Restart() {
	s.t.Helper()
	s.Launch()
	s.await()
}

// Launch is Restart with further arguments, and does not wait until the server is ready.
func (s *Server) Launch(args ...string) {
	s.t.Helper()
	s.Kill()
	s.launch(slices.Concat([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--logfile", filepath.Join(s.dir, "redis.log"),
	}, s.args, args))
}

func (s *Server) launch(args []string) {
	s.t.Helper()
	s.out, s.exited = new(bytes.Buffer), make(chan struct{})
	s.cmd = exec.Command(binary, args...) // #nosec G204 -- a test names the arguments
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		s.t.Fatalf("redistest: %v", err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
}

func (s *Server) await() {
	s.t.Helper()
	if err := s.awaitReady(); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
		s.t.Fatalf("redistest: %v\n%s%s", err, s.out, log)
	}
}

func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	for {
		err := s.ready(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s has exited", binary)
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) ready(ctx context.Context, client *redis.Client) error {
	if err := client.Ping(ctx).Err(); err != nil || !s.cluster {
		return err
	}
	info, err := client.ClusterInfo(ctx).Result()
	if err != nil || strings.Contains(info, "cluster_state:ok") {
		return err
	}
	if strings.Contains(info, "cluster_slots_assigned:0") {
		if err := client.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
			return err
		}
	}
	return errors.New("cluster is not ready")
}
