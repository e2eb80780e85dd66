package crashtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	senderCount = 8
	// Senders are slower beyond mostOwed, so that a fast disk does not make the test long.
	mostOwed = 20000
)

// senders send in closed loops, each over a connection that it keeps.
type senders struct {
	urls    []string // a sender that gets no 200 from one goes on with the next
	ledger  *ledger
	think   time.Duration // between answer and next request
	stopped atomic.Bool
	wg      sync.WaitGroup
}

func startSenders(t *testing.T, l *ledger, think time.Duration, urls ...string) *senders {
	t.Helper()
	s := &senders{urls: urls, ledger: l, think: think}
	t.Cleanup(s.stop)
	for n := range senderCount {
		s.wg.Go(func() { s.run(n) })
	}
	return s
}

func (s *senders) stop() {
	s.stopped.Store(true)
	s.wg.Wait()
}

func (s *senders) run(n int) {
	c := newClient()
	defer c.CloseIdleConnections()
	at := n
	for seq := 0; !s.stopped.Load(); seq++ {
		pause := s.think
		if s.ledger.count(s.ledger.owing) > mostOwed {
			pause = max(pause, 20*time.Millisecond)
		}
		if !send(c, s.urls[at%len(s.urls)], letter{n, seq}, s.ledger) {
			at++
			pause = max(pause, 2*time.Millisecond) // nobody may be there
		}
		time.Sleep(pause)
	}
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}
}

// send reports whether the request was acknowledged: a 200 that was read to its end.
func send(c *http.Client, url string, what letter, l *ledger) bool {
	resp, err := c.Post(url+"?"+what.query(), "application/octet-stream", bytes.NewReader(what.body()))
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	promised := false
	l.note(func() {
		switch {
		case err != nil:
			l.cut++
		case resp.StatusCode == http.StatusServiceUnavailable:
			l.refused++
			if resp.Header.Get("Retry-After") == "" {
				l.blame("%v was answered with 503 and no Retry-After", what)
			}
		case resp.StatusCode != http.StatusOK || string(answer) != "OK" || resp.Header.Get("Repeater-Id") == "":
			l.blame("%v was answered with %s %q", what, resp.Status, answer)
		default:
			promised = true
			l.promise(resp.Header.Get("Repeater-Id"), what)
		}
	})
	return promised
}

// figures is the line that a run is remembered by.
func (l *ledger) figures() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("acknowledged %d, lost %d, repeated %d, tried apart %d, answered 503 %d, unanswered %d",
		len(l.promised), l.owed, l.repeated, len(l.suspect), l.refused, l.cut)
}
