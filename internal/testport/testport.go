// Package testport gives tests ports to listen on that no other test takes, in this process or in
// another one: also while nobody listens, as when a server is dead for a while.
package testport

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports lie below those from which outgoing connections take theirs, so that none of these
// settles on one, and no client connects to itself. A port of redis has its cluster bus 10,000 further on.
var (
	plain = pool{first: 23_000, last: 32_000}
	redis = pool{first: 10_000, last: 12_900}
)

const busOffset = 10_000

// Plain returns a port that is free, another one at each call.
func Plain(t testing.TB) int {
	t.Helper()
	return plain.next(t, free)
}

// Redis returns a port that is free, as is that of its cluster bus.
func Redis(t testing.TB) int {
	t.Helper()
	return redis.next(t, func(port int) bool { return free(port) && free(port+busOffset) })
}

// pool hands out ports by blocks. A process has a block as long as it listens on the first port of it,
// which is until its end.
type pool struct {
	first, last int

	mu     sync.Mutex
	guards []net.Listener
	at     int // last port handed out
	end    int // of the block
}

const blockSize = 50

func (p *pool) next(t testing.TB, free func(port int) bool) int {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.at+1 < p.end {
			if p.at++; free(p.at) {
				return p.at
			}
		}
		if !p.take() {
			t.Fatalf("no free port from %d to %d", p.first, p.last)
		}
	}
}

// take makes a block ours that nobody has.
func (p *pool) take() bool {
	for first := p.first; first+blockSize <= p.last; first += blockSize {
		guard, err := listen(first)
		if err != nil {
			continue
		}
		p.guards = append(p.guards, guard)
		p.at, p.end = first, first+blockSize
		return true
	}
	return false
}

func free(port int) bool {
	ln, err := listen(port)
	if err != nil {
		return false
	}
	_ = ln.Close()
	return true
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
