package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

// shaky is a store that may be away, for all or for all but a few.
type shaky struct {
	*memqueue.Queue
	away  atomic.Bool
	calls atomic.Int64
}

func (q *shaky) fails() error {
	if q.away.Load() && q.calls.Add(1)%10 > 0 {
		return errors.New("away")
	}
	return nil
}

func (q *shaky) Push(ctx context.Context, b repeater.Batch) (string, error) {
	if q.away.Load() {
		return "", errors.New("away")
	}
	return q.Queue.Push(ctx, b)
}

func (q *shaky) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	if err := q.fails(); err != nil {
		return repeater.Claim{}, err
	}
	return q.Queue.Claim(ctx, c)
}

func (q *shaky) Lanes(ctx context.Context, after string, max int) ([]repeater.LaneInfo, error) {
	if err := q.fails(); err != nil {
		return nil, err
	}
	return q.Queue.Lanes(ctx, after, max)
}

// An outage of the store costs one line from those who deliver and one from those who
// accept, and as many when it is over, however many lanes notice it and try again.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var routes []repeater.Option
	for i := range 20 {
		routes = append(routes, repeater.Route(fmt.Sprintf("/%d", i), fmt.Sprintf("http://%d.example", i)))
	}
	inBubble(t, func(b *bubble) {
		q := &shaky{Queue: memqueue.New()}
		b.queue = q
		b.restart()
		b.replies(func(sent) reply { return status(http.StatusServiceUnavailable) })
		for i := range 20 {
			b.accept(fmt.Sprintf("/%d", i), fmt.Sprint(i))
		}
		for n := 1; n <= 2; n++ {
			q.away.Store(true)
			for range 60 {
				if got := b.post("/0", "refused").Code; got != http.StatusServiceUnavailable {
					t.Fatalf("the sender hears %d", got)
				}
				b.pass(time.Second)
			}
			q.away.Store(false)
			b.pass(10 * time.Second)
			b.accept("/0", fmt.Sprint("again ", n))
			for _, text := range []string{
				"the store fails; trying again", "requests are not stored", "the store works again", "requests are stored again",
			} {
				if got := b.logged(text); got != n {
					t.Errorf("after %d outages %q is logged %d times", n, text, got)
				}
			}
		}
	}, routes...)
}
