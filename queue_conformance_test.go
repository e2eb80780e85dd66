package repeater_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
	"github.com/webhook-repeater/repeater/internal/queuetest"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// TestQueue runs the one suite on every store.
func TestQueue(t *testing.T) {
	run := func(name string, h func(t *testing.T) queuetest.Harness) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queuetest.Run(t, h(t))
		})
	}
	run("memory", memoryHarness)
	run("file", fileHarness)
	run("miniredis", miniredisHarness)
	run("redis", func(t *testing.T) queuetest.Harness { return redisHarness(redistest.Start(t)) })
	run("turned redis", func(t *testing.T) queuetest.Harness { return turnedHarness(redistest.Start(t)) })
	run("cluster", func(t *testing.T) queuetest.Harness { return redisHarness(redistest.StartNodes(t)) })
}

func memoryHarness(*testing.T) queuetest.Harness {
	return queuetest.Harness{
		Open:   func(*testing.T) repeater.Queue { return memqueue.New() },
		Bubble: true,
	}
}

// fileStore is a file store, and where its file lies.
type fileStore struct {
	*repeater.FileQueue
	path string
}

func openFile(t *testing.T, path string) *fileStore {
	q := &fileStore{repeater.NewFileQueue(path), path}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func fileHarness(*testing.T) queuetest.Harness {
	closed := func(t *testing.T, q repeater.Queue) string {
		t.Helper()
		store := q.(*fileStore)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		return store.path
	}
	return queuetest.Harness{
		Bubble: true,
		Plays:  true,
		Open: func(t *testing.T) repeater.Queue {
			return openFile(t, filepath.Join(t.TempDir(), "repeater.db"))
		},
		Restart: func(t *testing.T, q repeater.Queue) repeater.Queue {
			return openFile(t, closed(t, q))
		},
		// What another process finds is what has been written to the file by now.
		Crash: func(t *testing.T, q repeater.Queue) repeater.Queue {
			synctest.Wait() // for no write to be half done
			path, left := q.(*fileStore).path, filepath.Join(t.TempDir(), "left.db")
			if _, err := os.Stat(path); err == nil { // it is made when it is needed
				write(t, left, read(t, path))
			}
			return openFile(t, left)
		},
		Damage: func(t *testing.T, q repeater.Queue, _ string, _ repeater.Key, payload string) repeater.Queue {
			path := closed(t, q)
			sound := read(t, path)
			damaged := bytes.ReplaceAll(sound, []byte(payload), []byte(strings.ToUpper(payload)))
			if bytes.Equal(sound, damaged) {
				t.Fatal("the payload is not in the file")
			}
			return openFile(t, write(t, path, damaged))
		},
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sharedStore is a Redis store, and how another process gets at it.
type sharedStore struct {
	*repeater.RedisQueue
	client  redis.UniversalClient
	prefix  string
	connect func(t *testing.T) redis.UniversalClient
	clock   queuetest.Clock
}

func (s *sharedStore) again(t *testing.T) *sharedStore {
	other := *s
	other.client = s.connect(t)
	other.RedisQueue = repeater.NewRedisQueue(other.client, s.prefix)
	return &other
}

// sharedHarness lacks Open.
func sharedHarness() queuetest.Harness {
	another := func(t *testing.T, q repeater.Queue) repeater.Queue { return q.(*sharedStore).again(t) }
	return queuetest.Harness{
		Remembers: true,
		Restart: func(t *testing.T, q repeater.Queue) repeater.Queue {
			if err := q.(*sharedStore).client.Close(); err != nil {
				t.Fatal(err)
			}
			return another(t, q)
		},
		Crash: another,
		Join: func(t *testing.T, q repeater.Queue) repeater.SharedQueue {
			return q.(*sharedStore).again(t)
		},
		Damage: func(t *testing.T, q repeater.Queue, lane string, key repeater.Key, payload string) repeater.Queue {
			store := q.(*sharedStore)
			payloads := store.prefix + "lane:{" + lane + "}:payloads"
			if n, err := store.client.HSet(t.Context(), payloads, key.String(), strings.ToUpper(payload)).Result(); n != 0 || err != nil {
				t.Fatalf("the payload was not there: %d, %v", n, err)
			}
			return q
		},
	}
}

// redisHarness gives each test keys of its own.
func redisHarness(server interface {
	Client(testing.TB) redis.UniversalClient
}) queuetest.Harness {
	h := sharedHarness()
	h.Open = func(t *testing.T) repeater.Queue {
		prefix := strings.NewReplacer("{", "", "}", "").Replace(t.Name()) + ":"
		store := &sharedStore{prefix: prefix, connect: func(t *testing.T) redis.UniversalClient { return server.Client(t) }}
		return store.again(t)
	}
	return h
}

// turnedHarness gives each test keys of its own, one of them a clock.
func turnedHarness(server *redistest.Server) queuetest.Harness {
	h := sharedHarness()
	h.Open = func(t *testing.T) repeater.Queue {
		prefix := strings.NewReplacer("{", "", "}", "").Replace(t.Name()) + ":"
		clock := newRedisClock(t, server.Client(t), prefix)
		store := &sharedStore{prefix: prefix, clock: clock, connect: func(t *testing.T) redis.UniversalClient {
			client := server.Client(t)
			client.AddHook(hook{around: clock.around})
			return client
		}}
		return store.again(t)
	}
	h.Plays = true
	h.Clock = func(q repeater.Queue) queuetest.Clock { return q.(*sharedStore).clock }
	return h
}

// miniredisHarness gives each test a server of its own, as the suite turns its clock.
func miniredisHarness(*testing.T) queuetest.Harness {
	h := sharedHarness()
	h.Open = func(t *testing.T) repeater.Queue {
		server := miniredis.RunT(t)
		store := &sharedStore{prefix: "test:", clock: newMiniredisClock(server)}
		store.connect = func(t *testing.T) redis.UniversalClient {
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			return client
		}
		return store.again(t)
	}
	h.Plays = true
	h.Clock = func(q repeater.Queue) queuetest.Clock { return q.(*sharedStore).clock }
	return h
}

// turnedFrom is when clocks that are turned by hand begin: what fails at them does so again.
var turnedFrom = time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)

// miniredisClock stands still unless it is turned.
type miniredisClock struct {
	server *miniredis.Miniredis
	now    time.Time
}

func newMiniredisClock(server *miniredis.Miniredis) *miniredisClock {
	c := &miniredisClock{server, turnedFrom}
	server.SetTime(c.now)
	return c
}

func (c *miniredisClock) Now() time.Time { return c.now }

func (c *miniredisClock) Sleep(d time.Duration) {
	c.now = c.now.Add(d)
	c.server.SetTime(c.now)
	c.server.FastForward(d) // for keys that expire
}
