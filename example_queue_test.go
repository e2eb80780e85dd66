package repeater_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// meteredQueue is a store of one's own: another store, and a count of what that has
// taken. What it does not change it leaves to the Queue inside.
type meteredQueue struct {
	repeater.Queue
	requests, messages atomic.Int64
}

func (q *meteredQueue) Push(ctx context.Context, b repeater.Batch) (string, error) {
	id, err := q.Queue.Push(ctx, b)
	if err != nil || id != b.ID { // not stored, or already there under another id
		return id, err
	}
	q.requests.Add(1)
	q.messages.Add(int64(len(b.Messages)))
	return id, nil
}

// Bring your own store. Here it wraps memqueue, which keeps messages in memory: in this
// module's source, internal/memqueue is a whole Queue to start from, and
// internal/queuetest the suite that tells whether yours keeps the contract.
func ExampleWithQueue() {
	arrived := make(chan string)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.RequestURI
	}))
	defer receiver.Close()

	queue := &meteredQueue{Queue: memqueue.New()}
	rp := repeater.New(
		repeater.Route("/hooks/orders", receiver.URL+"/orders", repeater.AlsoTo(receiver.URL+"/archive")),
		repeater.WithQueue(queue), // which stays ours to close
	)
	defer rp.Close()
	go func() {
		if err := rp.Run(context.Background()); err != nil {
			log.Fatal(err)
		}
	}()

	for i := range 2 {
		w := httptest.NewRecorder()
		rp.ServeHTTP(w, httptest.NewRequest("POST", fmt.Sprintf("/hooks/orders?n=%d", i), strings.NewReader("{}")))
		fmt.Println("answer: ", w.Code)
	}
	fmt.Println("arrived:", <-arrived, <-arrived, <-arrived, <-arrived)
	fmt.Println("stored: ", queue.requests.Load(), "requests,", queue.messages.Load(), "messages")

	// Output:
	// answer:  200
	// answer:  200
	// arrived: /orders?n=0 /archive?n=0 /orders?n=1 /archive?n=1
	// stored:  2 requests, 4 messages
}
