package repeater_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// nobody takes an answer and keeps nothing but its status.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) WriteHeader(status int)      { n.status = status }
func (n *nobody) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkAccept is the handler without the server around it: 64 senders, 1 KiB, nobody delivers.
func BenchmarkAccept(b *testing.B) {
	inMemory := func(*testing.B) repeater.Option { return repeater.WithQueue(memqueue.New()) }
	for name, store := range map[string]func(b *testing.B) repeater.Option{
		"file":            func(b *testing.B) repeater.Option { return repeater.WithFile(filepath.Join(b.TempDir(), "bench.db")) },
		"memory":          inMemory,
		"memory, counted": inMemory,
	} {
		b.Run(name, func(b *testing.B) {
			opts := []repeater.Option{repeater.Route("/hook", "http://a.example"), repeater.WithLogger(discard()), store(b),
				repeater.WithLaneBound(repeater.Bound{Messages: 1 << 40})}
			if strings.HasSuffix(name, "counted") {
				opts = append(opts, repeater.WithMetrics(prometheus.NewRegistry()))
			}
			rp := repeater.New(opts...)
			defer rp.Close()
			body := bytes.Repeat([]byte("x"), 1024)
			var failed atomic.Int64
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				req := httptest.NewRequest(http.MethodPost, "/hook", nil)
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("User-Agent", "bench")
				req.ContentLength = int64(len(body))
				for pb.Next() {
					one := *req
					one.Body = io.NopCloser(bytes.NewReader(body))
					w := nobody{header: make(http.Header)}
					if rp.ServeHTTP(&w, &one); w.status != 0 && w.status != http.StatusOK {
						failed.Add(1)
					}
				}
			})
			if n := failed.Load(); n > 0 {
				b.Fatalf("%d requests were not accepted", n)
			}
		})
	}
}
