package repeater

import (
	"errors"
	"io"
	"net/http"
)

const retryAfter = "5" // seconds, for senders that are to come again

// notNow asks the sender to come again, and hangs up.
func (r view) notNow(w http.ResponseWriter, req *http.Request, rt *route, reason, why string) {
	r.countRefused(rt, http.StatusServiceUnavailable, reason)
	hangUp(w, req)
	w.Header().Set("Retry-After", retryAfter)
	http.Error(w, why, http.StatusServiceUnavailable)
}

// hasRoom checks, before the body is read, that the lanes of a route are below
// their bound. The store has the last word when it is pushed.
func (r view) hasRoom(rt *route) bool {
	q, ok := r.queue.(SizedQueue)
	if !ok {
		return true
	}
	for i := range rt.dests {
		n, bytes, free := q.Size(rt.dests[i].lane)
		if n >= r.cfg.bound.Messages || bytes >= r.cfg.bound.Bytes || free == 0 {
			return false
		}
	}
	return true
}

var errNoMemory = errors.New("no memory for the body now")

// metered is a body whose bytes are taken from the door's memory: at once, where their
// number is declared, and else as they come.
type metered struct {
	io.ReadCloser
	budget   *doorBudget
	declared bool
	taken    int64
}

// meter returns nil when there is no room for the declared body.
func (r *Repeater) meter(req *http.Request) *metered {
	m := &metered{ReadCloser: req.Body, budget: &r.memory, declared: req.ContentLength >= 0}
	if m.declared {
		if !m.budget.take(req.ContentLength) {
			return nil
		}
		m.taken = req.ContentLength
	}
	return m
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if m.declared || n == 0 {
		return n, err
	}
	if !m.budget.take(int64(n)) {
		return 0, errNoMemory
	}
	m.taken += int64(n)
	return n, err
}

// release gives the memory back, once the body is stored or given up.
func (m *metered) release() { m.budget.give(m.taken) }
