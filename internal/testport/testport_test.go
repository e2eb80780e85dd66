package testport_test

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/webhook-repeater/repeater/internal/testport"
)

// TestNoPortTwice: tests that run side by side never get the same port, though nobody listens on any.
func TestNoPortTwice(t *testing.T) {
	for name, get := range map[string]func(testing.TB) int{"plain": testport.Plain, "redis": testport.Redis} {
		var mu sync.Mutex
		var wg sync.WaitGroup
		seen := make(map[int]bool)
		for range 8 {
			wg.Go(func() {
				for range 20 { // more than a block in all
					port := get(t)
					mu.Lock()
					if seen[port] {
						t.Errorf("%s: port %d was handed out twice", name, port)
					}
					seen[port] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
}

// TestBusyPortIsPassedOver: whoever listens already keeps its port.
func TestBusyPortIsPassedOver(t *testing.T) {
	next := testport.Plain(t) + 1
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(next)))
	if err == nil { // else it is somebody's already, which is as good
		defer func() { _ = ln.Close() }()
	}
	if got := testport.Plain(t); got == next {
		t.Errorf("got %d, which is in use", got)
	}
}
