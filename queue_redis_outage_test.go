//go:build unix

package repeater_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// running is a Repeater that delivers over a real Redis, and what is seen of it.
type running struct {
	t    *testing.T
	rp   *repeater.Repeater
	log  lockedBuffer
	sent int

	mu      sync.Mutex
	arrived map[string]int // bodies
	acked   []string
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func startRunning(t *testing.T, client redis.UniversalClient) *running {
	r := &running{t: t, arrived: make(map[string]int)}
	destination := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.arrived[string(body)]++
	}))
	t.Cleanup(destination.Close)
	r.rp = repeater.New(repeater.Route("/{lane}", destination.URL), repeater.WithRedis(client),
		repeater.WithPushTimeout(2*time.Second), repeater.WithLogger(slog.New(slog.NewTextHandler(&r.log, nil))))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.rp.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return r
}

// send returns what the sender hears.
func (r *running) send() int {
	r.sent++
	body := strconv.Itoa(r.sent)
	w := httptest.NewRecorder()
	r.rp.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(body)))
	if w.Code == http.StatusOK {
		r.acked = append(r.acked, body)
	}
	return w.Code
}

// awaitArrived returns when all that was acknowledged has been delivered.
func (r *running) awaitArrived() {
	r.t.Helper()
	eventually(r.t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, body := range r.acked {
			if r.arrived[body] == 0 {
				return false
			}
		}
		return true
	})
}

// Whatever befalls Redis, senders hear 503 or are served, all that was acknowledged arrives, and
// what the log says of it can be read.
func TestRedisOutages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	admin, ctx := server.Node(t), t.Context()
	r := startRunning(t, redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true}))
	do := func(args ...any) func() {
		return func() {
			if err := admin.Do(ctx, args...).Err(); err != nil {
				t.Fatalf("%v: %v", args, err)
			}
		}
	}
	loading := func() {
		pipe := admin.Pipeline() // enough for the server to look up from while it loads
		for i := range 20_000 {
			pipe.Set(ctx, "junk", i, 0)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		hasty := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
		defer hasty.Close()
		server.Launch("--key-load-delay", "300")
		eventually(t, func() bool { return redis.HasErrorPrefix(hasty.Ping(ctx).Err(), "LOADING") })
	}
	nothing := func() {}
	for _, tt := range []struct {
		name         string
		strike, mend func()
		refused      int // pushes to see refused before it is mended
	}{
		{"SCRIPT FLUSH", do("SCRIPT", "FLUSH"), nothing, 0},
		{"CLIENT KILL", do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), nothing, 0},
		{"OOM", do("CONFIG", "SET", "maxmemory", "1"), do("CONFIG", "SET", "maxmemory", "0"), 3},
		{"READONLY", do("REPLICAOF", "127.0.0.1", "1"), do("REPLICAOF", "NO", "ONE"), 3},
		{"restart", server.Kill, server.Restart, 3},
		{"hang", server.Pause, server.Continue, 2},
		{"LOADING", loading, nothing, 1},
	} {
		tt.strike()
		for range tt.refused {
			if code := r.send(); code != http.StatusServiceUnavailable {
				t.Errorf("%s: the sender hears %d", tt.name, code)
			}
		}
		tt.mend()
		eventually(t, func() bool { return r.send() == http.StatusOK })
		r.awaitArrived()
	}
	if n := strings.Count(r.log.String(), "level=ERROR"); n == 0 || n > 14 {
		t.Errorf("%d errors are logged:\n%s", n, r.log.String())
	}
}
