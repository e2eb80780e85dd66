package repeater_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// BenchmarkFileBacklog tells what a backlog of webhooks of 1 KiB takes of memory and disk, and what a
// claim takes behind it. Nothing else runs in the process, so the heap is the store's.
func BenchmarkFileBacklog(b *testing.B) {
	const lane, step = "http://dest.example:80", 100_000
	q, path := benchFile(b)
	payload := encode(b, webhook(1<<10))
	empty := liveHeap()
	var pushed atomic.Int64
	push := func(upTo int64) {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for i := pushed.Add(1); i <= upTo; i = pushed.Add(1) {
					batch := repeater.Batch{ID: fmt.Sprintf("%026d", i), Route: "route", Received: time.Now(),
						Messages: []repeater.Message{{Lane: lane, Payload: payload}}}
					if _, err := q.Push(b.Context(), batch); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		pushed.Store(upTo)
	}
	for waiting := int64(0); waiting <= 10*step && !b.Failed(); waiting += step {
		push(waiting)
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		heap := liveHeap() - empty
		b.Run(fmt.Sprintf("%d waiting", waiting), func(b *testing.B) {
			for b.Loop() {
				c := claimFile(b, q, "")
				if int64(len(c.Messages)) != min(64, waiting) {
					b.Fatalf("claimed %d messages", len(c.Messages))
				}
				if err := q.Release(b.Context(), lane, c.Token); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap)/(1<<20), "heap-MiB")
			b.ReportMetric(float64(info.Size())/(1<<20), "disk-MiB")
		})
	}
}

// liveHeap is what is in use on the heap. What lies in pools goes with the second collection.
func liveHeap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
