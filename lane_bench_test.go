package repeater_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// instant is a destination that costs nothing. It tells when the last request has come.
type instant struct {
	left atomic.Int64
	last chan struct{}
}

func (d *instant) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if d.left.Add(-1) == 0 {
		close(d.last)
	}
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: http.NoBody, Request: req}, nil
}

// BenchmarkLane is a message's way out: claim, decode, attempt, settle, of a backlog in memory to an
// instant destination. What is left is our own loop.
func BenchmarkLane(b *testing.B) {
	for _, concurrency := range []int{1, 64} {
		b.Run(fmt.Sprintf("concurrency %d", concurrency), func(b *testing.B) {
			q, d := memqueue.New(), &instant{last: make(chan struct{})}
			d.left.Store(int64(b.N))
			rp := repeater.New(repeater.WithQueue(q), repeater.WithLogger(discard()), repeater.WithTransport(d),
				repeater.WithLaneBound(repeater.Bound{Messages: 1 << 40}),
				repeater.Route("/hook", anywhere, repeater.Concurrency(concurrency)))
			payload := strings.Repeat("x", 1024)
			for range b.N {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/hook", strings.NewReader(payload))
				if err != nil {
					b.Fatal(err)
				}
				w := nobody{header: make(http.Header)}
				if rp.ServeHTTP(&w, req); w.status != 0 && w.status != http.StatusOK {
					b.Fatalf("status %d", w.status)
				}
			}
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			done := make(chan error, 1)
			b.ReportAllocs()
			b.ResetTimer()
			go func() { done <- rp.Run(ctx) }()
			<-d.last
			cancel()
			if err := <-done; err != nil { // all is settled
				b.Fatal(err)
			}
			b.StopTimer()
			lanes, err := q.Lanes(b.Context(), "", 1)
			if err != nil || len(lanes) > 0 {
				b.Fatalf("left: %+v, error %v", lanes, err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
