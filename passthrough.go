package repeater

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// PassThrough lets the sender wait for the destination's answer. The request is stored and queued
// like any other. If its first attempt ends within wait with a complete answer (of up to
// [WithMaxBody]), the sender gets that answer: status, end-to-end headers and body. The message is
// then done, whatever the status.
//
// In all other cases the sender gets 202, and the message stays queued: if there is no answer, or
// one that is too late or too large, or if the lane is paused or claimed by another process. A
// request that [Dedupe] does not store again also gets 202. PassThrough cannot be combined with
// [AlsoTo]. 0, the default, answers as soon as the request is stored.
func PassThrough(wait time.Duration) RouteOption {
	return func(rt *route) {
		if wait < 0 {
			rt.fail("PassThrough: %v is negative", wait)
			return
		}
		rt.passThrough = wait
	}
}

// waiters are the senders that wait, by their message.
type waiters struct {
	n     atomic.Int64
	mu    sync.Mutex
	byKey map[Key]*waiter
}

// waiter is one of them. Whoever locks it first decides: the attempt, that its answer
// is taken and settles the message, or the door, that the wait is over.
type waiter struct {
	until  time.Time
	answer chan *http.Response // nil: there is nothing to wait for; its Body is in memory

	mu   sync.Mutex
	over bool
}

func (w *waiters) add(key Key, wait time.Duration) *waiter {
	one := &waiter{until: time.Now().Add(wait), answer: make(chan *http.Response, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = make(map[Key]*waiter)
	}
	w.byKey[key] = one
	w.n.Add(1)
	return one
}

// take returns who waits for a message, or nil. Whoever waits stays registered until remove; that
// only one answer is taken is up to offer. It costs next to nothing where nobody waits.
func (w *waiters) take(key Key) *waiter {
	if w.n.Load() == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byKey[key]
}

func (w *waiters) remove(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.byKey[key]; ok {
		delete(w.byKey, key)
		w.n.Add(-1)
	}
}

// offer reports whether the sender takes the answer; nil tells it not to wait any longer.
func (w *waiter) offer(resp *http.Response) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	w.over = true
	w.answer <- resp
	return resp != nil
}

// await returns the answer, or nil.
func (w *waiter) await(gone <-chan struct{}) *http.Response {
	t := time.NewTimer(time.Until(w.until))
	defer t.Stop()
	select {
	case resp := <-w.answer:
		return resp
	case <-gone:
	case <-t.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over { // it came at the last moment, and counts
		return <-w.answer
	}
	w.over = true
	return nil
}

// pass answers the sender with what the destination has answered.
func pass(w http.ResponseWriter, id string, resp *http.Response) {
	h := w.Header()
	for name, values := range endToEnd(resp.Header) {
		h[name] = values
	}
	h[headerID] = []string{id}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http guesses one
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // a sender that is gone will not read it
}

func passLater(w http.ResponseWriter, id string) {
	h := w.Header()
	h["Content-Type"] = []string{"text/plain"}
	h[headerID] = []string{id}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "Accepted")
}
