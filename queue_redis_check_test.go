package repeater_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

func newRedisRepeater(t *testing.T, client redis.UniversalClient, opts ...repeater.Option) (*repeater.Repeater, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	opts = append(opts, repeater.Route("/", "http://127.0.0.1:1"), repeater.WithRedis(client),
		repeater.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	rp := repeater.New(opts...)
	if err := rp.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rp.Close() })
	return rp, &log
}

func accept(rp *repeater.Repeater) int {
	w := httptest.NewRecorder()
	rp.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	return w.Code
}

// What can lose messages is told once, and refused by who asks for it.
func TestRedisChecks(t *testing.T) {
	t.Parallel()
	hidden := func(t *testing.T, server *redistest.Server) redis.UniversalClient {
		err := server.Node(t).Do(t.Context(), "ACL", "SETUSER", "app", "on", ">hush", "~*", "&*", "+@all", "-config").Err()
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "app", Password: "hush"})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	for name, tt := range map[string]struct {
		args   []string
		client func(*testing.T, *redistest.Server) redis.UniversalClient
		want   []string // in the words that are told; none if it is safe
	}{
		"safe":          {},
		"evicts":        {args: []string{"--maxmemory-policy", "allkeys-lru"}, want: []string{`maxmemory-policy is \"allkeys-lru\"`}},
		"evicts marks":  {args: []string{"--maxmemory-policy", "volatile-ttl"}, want: []string{`maxmemory-policy is \"volatile-ttl\"`}},
		"no AOF":        {args: []string{"--appendonly", "no", "--appendfsync", "no"}, want: []string{`appendonly is \"no\"`}},
		"every second":  {args: []string{"--appendfsync", "everysec"}, want: []string{`appendfsync is \"everysec\"`}},
		"hidden":        {client: hidden, want: []string{"appendfsync cannot be checked"}},
		"hidden no AOF": {args: []string{"--appendonly", "no", "--maxmemory-policy", "allkeys-lfu"}, client: hidden, want: []string{`appendonly is \"no\"`, `maxmemory-policy is \"allkeys-lfu\"`, "appendfsync cannot"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, tt.args...)
			client := server.Client(t)
			if tt.client != nil {
				client = tt.client(t, server)
			}
			checkRedis(t, client, tt.want)
		})
	}
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		checkRedis(t, redistest.StartCluster(t, "--appendfsync", "everysec").Client(t), []string{`appendfsync is \"everysec\"`})
	})
	t.Run("not to be asked", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = client.Close() })
		checkRedis(t, client, []string{"maxmemory-policy cannot", "appendonly cannot", "appendfsync cannot"})
	})
}

func checkRedis(t *testing.T, client redis.UniversalClient, want []string) {
	t.Helper()
	rp, log := newRedisRepeater(t, client)
	for range 2 {
		if err := rp.Open(t.Context()); err != nil {
			t.Errorf("Open = %v", err)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != min(1, len(want)) {
		t.Errorf("%d lines in the log:\n%s", n, log)
	}
	strict, _ := newRedisRepeater(t, client, repeater.WithRedisStrict())
	ended, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if len(want) == 0 {
		cancel()
	}
	err := strict.Run(ended)
	if errors.Is(err, repeater.ErrUnsafe) != (len(want) > 0) {
		t.Errorf("Run = %v", err)
	}
	for _, text := range want {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log lacks %s:\n%s", text, log)
		}
		if text := strings.ReplaceAll(text, `\`, ""); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("the error lacks %s: %v", text, err)
		}
	}
	wantStatus := http.StatusOK
	if len(want) > 0 {
		wantStatus = http.StatusServiceUnavailable
	}
	if got := accept(strict); got != wantStatus {
		t.Errorf("the sender hears %d, want %d", got, wantStatus)
	}
	if got := accept(rp); got != http.StatusOK {
		t.Errorf("without WithRedisStrict the sender hears %d", got)
	}
}

// An operator who mends the settings need not restart anything.
func TestRedisStrictMends(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendfsync", "everysec")
	rp, _ := newRedisRepeater(t, server.Client(t), repeater.WithRedisStrict())
	if got := accept(rp); got != http.StatusServiceUnavailable {
		t.Errorf("before: %d", got)
	}
	if err := server.Node(t).ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}
	if got := accept(rp); got != http.StatusOK {
		t.Errorf("after: %d", got)
	}
}

// A Redis that is not there at the start is checked later.
func TestRedisChecksLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendfsync", "everysec")
	client := server.Client(t)
	var log bytes.Buffer
	q := repeater.NewRedisQueue(client, "")
	repeater.SetRedisLog(q, slog.New(slog.NewTextHandler(&log, nil)))
	server.Kill()
	if err := q.Open(t.Context()); err != nil || log.Len() > 0 {
		t.Fatalf("Open without Redis = %v, %s", err, &log)
	}
	server.Restart()
	for range 2 {
		mustAnnounce(t, q, "r")
	}
	if strings.Count(log.String(), "everysec") != 1 {
		t.Errorf("the log is\n%s", &log)
	}
}

func TestRedisOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		option repeater.Option
		want   string
	}{
		{repeater.RedisWait(-1, 0), "RedisWait: -1 replicas"},
		{repeater.RedisWait(1, 0), "RedisWait without WithRedis has no effect"},
		{repeater.WithRedisStrict(), "WithRedisStrict without WithRedis has no effect"},
		{repeater.WithRedisPrefix("x:"), "WithRedisPrefix without WithRedis has no effect"},
	} {
		err := repeater.New(repeater.Route("/", "http://127.0.0.1:1"), tt.option).Err()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Err = %v, want %s", err, tt.want)
		}
	}
}
