// Package reqdump is a destination to look at: an http.Handler that writes down
// every request it gets, and can fail, or be slow, on demand.
package reqdump

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Handler answers 200 "OK" to everything. Its fields must not change once it serves.
type Handler struct {
	Out       io.Writer      // where requests are written; nil for nowhere
	Status    int            // another answer than 200; with FailFirst 0 to all, else to the first ones
	FailFirst int            // so many requests get Status, or 503; later ones get 200
	Delay     time.Duration  // before each answer
	Notify    func(*Request) // if set, is called with each request in turn, before its answer

	mu    sync.Mutex
	count int
}

// Request is a request as it came.
type Request struct {
	Number int // from 1
	At     time.Time
	Answer int // the status it gets
	HTTP   *http.Request
	Body   []byte
	Err    error // why the body ended early
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &Request{At: time.Now(), HTTP: r}
	req.Body, req.Err = io.ReadAll(r.Body)
	h.record(req)
	if !wait(r, h.Delay) {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(req.Answer)
	if req.Answer == http.StatusOK {
		_, _ = io.WriteString(w, "OK") // a sender that is gone will not read it
	}
}

// record numbers and writes a request in one step, so that texts never mix.
func (h *Handler) record(req *Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	req.Number = h.count
	req.Answer = h.answer(req.Number)
	if h.Out != nil {
		_, _ = h.Out.Write(req.Text()) // a destination answers all the same
	}
	if h.Notify != nil {
		h.Notify(req)
	}
}

func (h *Handler) answer(number int) int {
	switch {
	case h.FailFirst > 0 && number > h.FailFirst:
		return http.StatusOK
	case h.Status != 0:
		return h.Status
	case h.FailFirst > 0:
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// wait returns false if the client has gone before.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// Text is the request for people to read.
func (q *Request) Text() []byte {
	var b bytes.Buffer
	r := q.HTTP
	fmt.Fprintf(&b, "=== %d  %s  from %s  answered %d\n", q.Number, q.At.Format("2006-01-02 15:04:05.000 -0700"), r.RemoteAddr, q.Answer)
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.RequestURI, r.Proto)
	fmt.Fprintf(&b, "Host: %s\n", r.Host)
	if len(r.TransferEncoding) > 0 {
		fmt.Fprintf(&b, "Transfer-Encoding: %s\n", strings.Join(r.TransferEncoding, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	b.WriteByte('\n')
	if isText(q.Body) {
		b.Write(q.Body)
	} else {
		b.WriteString(hex.Dump(q.Body))
	}
	if n := b.Len(); b.Bytes()[n-1] != '\n' {
		b.WriteByte('\n')
	}
	if q.Err != nil {
		fmt.Fprintf(&b, "(the body ended early: %v)\n", q.Err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// isText keeps from a terminal what would move its cursor.
func isText(body []byte) bool {
	return utf8.Valid(body) && !bytes.ContainsFunc(body, func(c rune) bool {
		return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t'
	})
}
