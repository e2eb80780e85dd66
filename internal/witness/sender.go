package witness

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait for something that takes far less.
const patience = 30 * time.Second

// SenderHeader holds the number of the sender, for destinations that keep order by it.
const SenderHeader = "X-Sender"

// Senders send in closed loops, each over a connection that it keeps.
type Senders struct {
	Ledger  *Ledger
	URLs    []string      // a sender that gets no 200 from one goes on with the next
	Size    int           // how many; 8
	Think   time.Duration // between answer and next request
	Every   time.Duration // if not 0: at this even rate, instead of Think
	Timeout time.Duration // for an answer; 30 s

	stopped atomic.Bool
	wg      sync.WaitGroup
}

// Senders are slower beyond mostOwed, so that a fast disk does not make the test long.
const mostOwed = 20000

// Start lets them send until Stop, or the end of the test.
func (s *Senders) Start(t testing.TB) *Senders {
	t.Helper()
	t.Cleanup(s.Stop)
	for n := range cmp.Or(s.Size, 8) {
		s.wg.Go(func() { s.run(n) })
	}
	return s
}

// Stop returns when all have heard their last answer.
func (s *Senders) Stop() {
	s.stopped.Store(true)
	s.wg.Wait()
}

func (s *Senders) run(n int) {
	c := NewClient()
	c.Timeout = cmp.Or(s.Timeout, patience)
	defer c.CloseIdleConnections()
	at, began := n, time.Now()
	for seq := 0; !s.stopped.Load(); seq++ {
		pause := s.Think
		if s.Ledger.Counts().Owed > mostOwed {
			pause = max(pause, 20*time.Millisecond)
		}
		if !Send(c, s.URLs[at%len(s.URLs)], Letter{n, seq}, s.Ledger) {
			at++
			pause = max(pause, 2*time.Millisecond) // nobody may be there
		}
		if s.Every > 0 {
			pause = time.Until(began.Add(time.Duration(seq+1) * s.Every))
		}
		time.Sleep(pause)
	}
}

// NewClient returns a client that adds nothing to a request.
func NewClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}
}

// Send reports whether the request was acknowledged: a 200 that was read to its end.
func Send(c *http.Client, url string, what Letter, l *Ledger) bool {
	req, err := http.NewRequest(http.MethodPost, url+"?"+what.query(), bytes.NewReader(what.Body()))
	if err != nil {
		l.Blame("%v cannot be sent: %v", what, err)
		return false
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set(SenderHeader, strconv.Itoa(what.Sender))
	resp, err := c.Do(req)
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err != nil {
		l.note(func() { l.counts.Cut++ })
		return false
	}
	return l.answered(what, resp, string(answer))
}

// answered notes an answer, and reports whether it is a promise.
func (l *Ledger) answered(what Letter, resp *http.Response, body string) bool {
	id := resp.Header.Get("Repeater-Id")
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable:
		l.note(func() { l.counts.Refused++ })
		if resp.Header.Get("Retry-After") == "" {
			l.Blame("%v was answered with 503 and no Retry-After", what)
		}
	case resp.StatusCode != http.StatusOK || body != "OK" || id == "":
		l.Blame("%v was answered with %s %q", what, resp.Status, body)
	default:
		l.Promise(id, what)
		return true
	}
	return false
}
