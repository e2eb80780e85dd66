package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minSize       = tokenSize
	answerTimeout = 30 * time.Second
	maxFailures   = 50 // in a row, of one connection
	reconnectWait = 20 * time.Millisecond
	longestNap    = 100 * time.Millisecond
)

// load is what is sent in one phase. Each connection sends one request after the other's answer.
type load struct {
	addr, path  string
	connections int
	size        int           // of each body
	rate        float64       // requests a second over all connections; 0: as fast as answers come
	limit       time.Duration // begin no request after; 0: no limit
}

// send sends as many requests as the tally has room for.
func (l load) send(ctx context.Context, t *tally) error {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nUser-Agent: webhook-repeater-bench\r\n"+
		"Content-Length: %d\r\n\r\n", l.path, l.addr, l.size)
	filler := make([]byte, l.size) // random, so that a disk that compresses gains nothing
	if _, err := rand.Read(filler); err != nil {
		return err
	}
	request := head + base64.StdEncoding.EncodeToString(filler)[:l.size]

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := l.numbers(ctx, t)
	var wg sync.WaitGroup
	errs := make([]error, l.connections)
	for i := range l.connections {
		s := sender{load: l, tally: t, number: i, request: []byte(request), at: len(head)}
		wg.Go(func() {
			defer s.hangUp()
			errs[i] = s.run(ctx, next)
		})
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// numbers returns what gives each sender the number of its next request, when that is due, and
// -1 when there is none left.
func (l load) numbers(ctx context.Context, t *tally) (next func() int) {
	if l.rate == 0 {
		var last atomic.Int64
		return func() int {
			n := int(last.Add(1) - 1)
			if n >= len(t.due) {
				return -1
			}
			t.due[n].Store(int64(t.now()))
			return n
		}
	}
	// Whoever is free takes it. That nobody is free counts, as time runs from when it was due.
	due := make(chan int, len(t.due))
	go func() {
		defer close(due)
		for n := range t.due {
			at := time.Duration(float64(n) / l.rate * float64(time.Second))
			for left := at - t.now(); left > 0 && ctx.Err() == nil; left = at - t.now() {
				nap(min(left, longestNap))
			}
			if ctx.Err() != nil {
				return
			}
			t.due[n].Store(int64(at))
			due <- n
		}
	}()
	return func() int {
		n, ok := <-due
		if !ok {
			return -1
		}
		return n
	}
}

// sender is one connection.
type sender struct {
	load
	tally   *tally
	number  int
	request []byte
	at      int // of the token

	conn     net.Conn
	r        *bufio.Reader
	failures int // in a row
}

func (s *sender) run(ctx context.Context, next func() int) error {
	for ctx.Err() == nil && (s.limit == 0 || s.tally.now() < s.limit) {
		n := next()
		if n < 0 {
			return nil
		}
		putToken(s.request[s.at:], s.tally.phase, s.number, n)
		s.tally.sent.Add(1)
		status, err := s.exchange(ctx)
		if err == nil && status/100 == 2 {
			s.tally.answer(n)
			s.failures = 0
			continue
		}
		if err == nil {
			err = fmt.Errorf("status %d", status)
		} else {
			s.hangUp()
		}
		s.tally.refused.Add(1)
		if s.failures++; s.failures >= maxFailures {
			return fmt.Errorf("%d requests in a row were not taken; the last one: %w", s.failures, err)
		}
		time.Sleep(reconnectWait)
	}
	return nil
}

func (s *sender) exchange(ctx context.Context) (status int, err error) {
	if s.conn == nil {
		var d net.Dialer
		if s.conn, err = d.DialContext(ctx, "tcp", s.addr); err != nil {
			return 0, err
		}
		s.r = bufio.NewReader(s.conn)
	}
	if err := s.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, err
	}
	if _, err := s.conn.Write(s.request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.Close {
		s.hangUp()
	}
	return resp.StatusCode, nil
}

func (s *sender) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
