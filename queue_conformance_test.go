package repeater_test

import (
	"testing"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
	"github.com/webhook-repeater/repeater/internal/queuetest"
)

// TestQueue runs the one suite on every store.
func TestQueue(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		queuetest.Run(t, queuetest.Harness{
			Open:   func(*testing.T) repeater.Queue { return memqueue.New() },
			Bubble: true,
		})
	})
}
