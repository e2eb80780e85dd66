package repeater_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

var benchSizes = []int{1 << 10, 16 << 10, 256 << 10}

// benchFile opens a file store for a benchmark.
func benchFile(b *testing.B) (q *repeater.FileQueue, path string) {
	b.Helper()
	path = b.TempDir() + "/repeater.db"
	q = repeater.NewFileQueue(path)
	if err := q.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close() })
	return q, path
}

// fillFile pushes n messages from 64 writers.
func fillFile(b *testing.B, q *repeater.FileQueue, n, size int) {
	b.Helper()
	payload := make([]byte, size)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				batch := repeater.Batch{ID: fmt.Sprintf("%026d", i), Route: "route", Received: time.Now()}
				batch.Messages = []repeater.Message{{Lane: "http://dest.example:80", Payload: payload}}
				if _, err := q.Push(b.Context(), batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func claimFile(b *testing.B, q *repeater.FileQueue, token string) repeater.Claim {
	b.Helper()
	c, err := q.Claim(b.Context(), repeater.ClaimRequest{Lane: "http://dest.example:80", Token: token, Max: 64, TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkFilePush is durable pushes from 64 writers.
func BenchmarkFilePush(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			q, _ := benchFile(b)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			fillFile(b, q, b.N, size)
		})
	}
}

// BenchmarkFileCommit is one request after the other through a lane, pushed and settled, while so many others wait in another one. It tells
// how much each commit writes.
func BenchmarkFileCommit(b *testing.B) {
	for _, waiting := range []int{0, 100, 3000} {
		b.Run(fmt.Sprintf("%d waiting", waiting), func(b *testing.B) {
			const lane = "http://other.example:80"
			q, _ := benchFile(b)
			fillFile(b, q, waiting, 1<<10)
			payload := make([]byte, 1<<10)
			written, commits := q.CountWritten()
			token, n := "", waiting
			for b.Loop() {
				n++
				batch := repeater.Batch{ID: fmt.Sprintf("%026d", n), Route: "route", Received: time.Now(),
					Messages: []repeater.Message{{Lane: lane, Payload: payload}}}
				if _, err := q.Push(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				c, err := q.Claim(b.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: 1, TTL: time.Hour})
				if err != nil || len(c.Messages) != 1 {
					b.Fatalf("claimed %d messages, %v", len(c.Messages), err)
				}
				token = c.Token
				if err := q.Settle(b.Context(), lane, token, []repeater.Settlement{{Key: c.Messages[0].Key, Kind: repeater.SettleDelivered}}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(written.Load())/float64(commits.Load())/(1<<10), "KiB/commit")
		})
	}
}

// BenchmarkFileDrain is claims of a window, and settlements of each message, in a backlog.
func BenchmarkFileDrain(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			q, _ := benchFile(b)
			fillFile(b, q, b.N, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for c := claimFile(b, q, ""); len(c.Messages) > 0; c = claimFile(b, q, c.Token) {
				for _, m := range c.Messages {
					if err := q.Settle(b.Context(), "http://dest.example:80", c.Token, []repeater.Settlement{{Key: m.Key}}); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := q.Close(); err != nil { // all is committed
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkFileReopen is the time from opening a store with 200,000 waiting messages
// to the first Claim, after a clean end.
func BenchmarkFileReopen(b *testing.B) {
	q, path := benchFile(b)
	fillFile(b, q, 200_000, 1<<10)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		q = repeater.NewFileQueue(path)
		if c := claimFile(b, q, ""); len(c.Messages) != 64 {
			b.Fatalf("claimed %d messages", len(c.Messages))
		}
	}
	b.StopTimer()
	_ = q.Close()
}

// TestWaitingMessagesAreNotInMemory does not run beside others, which use memory, too.
func TestWaitingMessagesAreNotInMemory(t *testing.T) {
	f := startFile(t, repeater.FileSetup{})
	heap := func() int64 {
		var m runtime.MemStats
		for range 3 { // what lies in pools goes with the second
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	push := func(id string) {
		b := repeater.Batch{ID: id, Route: "route", Received: time.Now()}
		for i := range 1000 {
			b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: "a", Payload: make([]byte, 100)})
		}
		if _, err := f.Push(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	push("first")
	before := heap()
	const batches = 20
	for i := range batches {
		push(fmt.Sprint(i))
	}
	if each := float64(heap()-before) / (1000 * batches); each >= 64 {
		t.Errorf("each waiting message takes %.1f bytes of the heap, want less than 64", each)
	} else {
		t.Logf("each waiting message takes %.1f bytes of the heap", each)
	}
}
