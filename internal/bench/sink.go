package bench

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// sink is the destination: it answers 200 as cheaply as it can and notes what arrives. While it is
// down it answers 503, as what stands in front of a dead service does. (To refuse connections it
// would have to give up its port.)
type sink struct {
	ln      net.Listener
	current atomic.Pointer[tally]
	down    atomic.Bool

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
}

func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, conns: make(map[net.Conn]struct{})}
	s.wg.Go(s.accept)
	return s, nil
}

func (s *sink) url() string { return "http://" + s.ln.Addr().String() }

// count has what arrives from now on noted in t.
func (s *sink) count(t *tally) { s.current.Store(t) }

func (s *sink) close() {
	_ = s.ln.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *sink) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
		} else {
			s.conns[c] = struct{}{}
			s.wg.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

var (
	answerOK   = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	answerDown = []byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
)

func (s *sink) serve(c net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		_ = c.Close()
	}()
	r := bufio.NewReader(c)
	var token [tokenSize]byte
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		n, _ := io.ReadFull(req.Body, token[:])
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		answer := answerDown
		if !s.down.Load() {
			answer = answerOK
			s.note(token[:n])
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func (s *sink) note(token []byte) {
	t := s.current.Load()
	if phase, conn, n, ok := readToken(token); ok && t != nil && phase == t.phase {
		t.arrive(conn, n)
	}
}
