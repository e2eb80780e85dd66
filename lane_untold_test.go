package repeater_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// TestRepeatsAreFew: what has been delivered while the disk does nothing would be repeated after a crash. It is
// no more than the README says, however long that lasts, and afterwards everything goes on.
func TestRepeatsAreFew(t *testing.T) {
	t.Parallel()
	const messages = 1000
	for concurrency, most := range map[int]int{1: 256, 21: 256, 100: 192 + 3*100} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "repeater.db")
			inBubble(t, func(b *bubble) {
				var stalled atomic.Bool
				works := make(chan struct{})
				q := repeater.NewFileQueueWith(path, repeater.FileSetup{Commit: func(commit func() error) error {
					if stalled.Load() {
						<-works
					}
					return commit()
				}})
				b.queue = q
				b.restart()
				defer func() { b.halt(); _ = q.Close() }()

				b.replies(func(sent) reply { return reply{status: 200, after: 20 * time.Second} })
				for i := range messages {
					b.accept("/", fmt.Sprint(i))
				}
				b.replies(func(sent) reply { return status(200) })
				stalled.Store(true)
				before := len(b.seen())
				b.pass(time.Minute)
				// Those that were under way have come to their end meanwhile.
				during := len(b.seen())
				if n := during + min(before, concurrency); n > most || n < most/4 {
					t.Errorf("%d deliveries that nothing tells of, want no more than %d, and some", n, most)
				}
				stalled.Store(false)
				close(works)
				b.pass(time.Hour)
				if n := before + during + len(b.seen()); n != messages {
					t.Errorf("%d attempts in all, want %d", n, messages)
				}
			}, repeater.Route("/", "http://a.example", repeater.Concurrency(concurrency)))
		})
	}
}
