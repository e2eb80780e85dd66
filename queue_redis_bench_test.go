package repeater_test

import (
	"bytes"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// benchClient has a connection for each of 64 goroutines.
func benchClient(b *testing.B, server *redistest.Server) redis.UniversalClient {
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 80})
	b.Cleanup(func() { _ = client.Close() })
	return client
}

// BenchmarkRedisPush pushes 1 KiB from 64 goroutines, each push on disk before its answer.
func BenchmarkRedisPush(b *testing.B) {
	for _, lanes := range []int{1, 16} {
		b.Run(strconv.Itoa(lanes)+" lanes", func(b *testing.B) {
			q := repeater.NewRedisQueue(benchClient(b, redistest.Start(b)), "")
			payload, n := bytes.Repeat([]byte("x"), 1<<10), new(atomic.Int64)
			b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					lane := "https://host-" + strconv.FormatInt(i%int64(lanes), 10) + ".example.com"
					_, err := q.Push(b.Context(), repeater.Batch{
						ID: strconv.FormatInt(i, 36), Route: "route", Messages: []repeater.Message{{Lane: lane, Payload: payload}},
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
		})
	}
}

// BenchmarkRedisDrain claims and settles 1 KiB messages of one lane in windows.
// Beside them wait messages that must cost nothing.
func BenchmarkRedisDrain(b *testing.B) {
	for _, window := range []int{1, 64} {
		for _, held := range []int{0, 50_000} {
			b.Run(strconv.Itoa(window)+" at a time, "+strconv.Itoa(held)+" held", func(b *testing.B) {
				q := repeater.NewRedisQueue(benchClient(b, redistest.Start(b)), "")
				fillRedis(b, q, "held", held, "key", nil)
				claim, err := q.Claim(b.Context(), repeater.ClaimRequest{Lane: "a", Max: min(held, 1), TTL: redisTTL})
				if err != nil {
					b.Fatal(err)
				}
				fillRedis(b, q, "m", b.N, "", bytes.Repeat([]byte("x"), 1<<10))
				b.ResetTimer()
				for n := 0; n < b.N; {
					c, err := q.Claim(b.Context(), repeater.ClaimRequest{Lane: "a", Token: claim.Token, Max: window, TTL: redisTTL})
					if err != nil || len(c.Messages) == 0 {
						b.Fatal(len(c.Messages), err)
					}
					if err := q.Settle(b.Context(), "a", claim.Token, delivered(c.Messages)); err != nil {
						b.Fatal(err)
					}
					n += len(c.Messages)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

func fillRedis(b *testing.B, q repeater.Queue, id string, n int, orderKey string, payload []byte) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		batch := repeater.Batch{ID: id + strconv.Itoa(from), Route: "route"}
		for i := range min(1000, n-from) {
			batch.Messages = append(batch.Messages, repeater.Message{Dest: i, Lane: "a", OrderKey: orderKey, Payload: payload})
		}
		if _, err := q.Push(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRedisLanes lists 10,000 lanes as a process does every second.
func BenchmarkRedisLanes(b *testing.B) {
	q := repeater.NewRedisQueue(benchClient(b, redistest.Start(b)), "")
	for from := 0; from < 10_000; from += 500 {
		lanes := make([]string, 500)
		for i := range lanes {
			lanes[i] = "https://host-" + strconv.Itoa(from+i) + ".example.com"
		}
		if _, err := q.Push(b.Context(), redisBatch(strconv.Itoa(from), "r", lanes...)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		infos, err := q.Lanes(b.Context(), "", 20_000)
		if err != nil || len(infos) != 10_000 {
			b.Fatal(len(infos), err)
		}
	}
}
