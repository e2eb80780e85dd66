//go:build linux

package main

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

// proxy stands between the program and Redis, and does to their connections what networks
// do. Where it leads may change, as an address does that follows a primary.
type proxy struct {
	addr string
	ln   net.Listener

	gate   sync.RWMutex // held while nothing passes
	lose   atomic.Int64 // so many answers more are thrown away with their connection
	halve  atomic.Int64 // so many answers more end in their middle
	mu     sync.Mutex
	target string
	pairs  map[*pair]bool
	closed bool
}

// pair is a connection, and what it leads to.
type pair struct{ client, server *net.TCPConn }

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", proctest.Loopback(testport.Plain(t)))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: ln.Addr().String(), ln: ln, target: target, pairs: make(map[*pair]bool)}
	t.Cleanup(p.close)
	go p.accept()
	return p
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.ln.Close()
	p.reset()
}

// lead lets new connections lead elsewhere.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// reset breaks all connections.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.reset()
	}
}

func (c *pair) reset() {
	for _, side := range []*net.TCPConn{c.client, c.server} {
		_ = side.SetLinger(0)
		_ = side.Close()
	}
}

// stall lets nothing pass for a while.
func (p *proxy) stall(d time.Duration) {
	p.gate.Lock()
	defer p.gate.Unlock()
	time.Sleep(d)
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		go p.serve(c.(*net.TCPConn))
	}
}

func (p *proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	s, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	c := &pair{client, s.(*net.TCPConn)}
	p.mu.Lock()
	p.pairs[c] = true
	if p.closed {
		c.reset()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pump(c, c.server, c.client, p.passAnswer)
	}()
	p.pump(c, c.client, c.server, func([]byte) (int, bool) { return -1, true })
	<-done
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

// passAnswer says how much of an answer to pass (-1 for all), and whether the connection lives on.
func (p *proxy) passAnswer(b []byte) (int, bool) {
	switch {
	case p.lose.Load() > 0 && p.lose.Add(-1) >= 0:
		return 0, false
	case p.halve.Load() > 0 && p.halve.Add(-1) >= 0:
		return len(b) / 2, false
	}
	return -1, true
}

// pump copies one way. When one way ends, so does the other.
func (p *proxy) pump(c *pair, from, to *net.TCPConn, pass func([]byte) (int, bool)) {
	defer c.reset()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.gate.RLock()
		most, live := pass(b[:n])
		p.gate.RUnlock()
		if most >= 0 {
			n = most
		}
		if _, err := to.Write(b[:n]); err != nil || !live {
			return
		}
	}
}
