package repeater

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// accept stores a request that has been read whole.
func (r view) accept(w http.ResponseWriter, req *http.Request, rt *route, body []byte) {
	batch, err := r.batch(req, rt, body)
	if err != nil {
		r.cfg.log.Error("request cannot be encoded", "route", rt.name, "error", err)
		r.notStored(w, rt, refusedCodec)
		return
	}
	var waiting *waiter
	if rt.passThrough > 0 {
		key := Key{batch.ID, 0}
		waiting = r.waiters.add(key, rt.passThrough)
		defer r.waiters.remove(key)
	}
	id, err := r.push(req.Context(), batch)
	if err != nil {
		if !errors.Is(err, ErrClosed) {
			r.refusing.fails(r.cfg.log, "requests are not stored; senders are told to try again", "route", rt.name, "error", err)
		}
		r.notStored(w, rt, refusedStore)
		return
	}
	r.refusing.works(r.cfg.log, "requests are stored again")
	r.span.accepted(id, id != batch.ID)
	if rt.stats != nil {
		rt.stats.Accept(batch.size(), id != batch.ID)
	}
	if r.cfg.log.Enabled(req.Context(), slog.LevelDebug) {
		r.cfg.log.Debug("accepted", "route", rt.name, "id", id, "bytes", len(body), "duplicate", id != batch.ID)
	}
	if id == batch.ID {
		r.seen.accepted(rt)
	}
	r.wake(batch.Messages)
	if waiting != nil {
		r.answerLater(w, req, waiting, id, id == batch.ID && r.delivers(batch.Messages[0].Lane))
		return
	}
	answerOK(w, id)
}

// notStored lets the sender try again, as the trouble is not its own.
func (r view) notStored(w http.ResponseWriter, rt *route, reason string) {
	r.countRefused(rt, http.StatusServiceUnavailable, reason)
	w.Header().Set("Retry-After", retryAfter)
	http.Error(w, "cannot store the request now", http.StatusServiceUnavailable)
}

// push stores a batch, whether or not the sender is still there.
func (r view) push(ctx context.Context, batch Batch) (id string, err error) {
	if err := r.usable(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.pushTimeout)
	defer cancel()
	began := r.stats.Now()
	id, err = r.queue.Push(ctx, batch)
	if err == nil {
		r.stats.Push(began)
	}
	return id, err
}

func answerOK(w http.ResponseWriter, id string) {
	h := w.Header()
	h["Content-Type"] = []string{"text/plain"}
	h[headerID] = []string{id}
	_, _ = io.WriteString(w, "OK") // a sender that is gone will not read it
}

// batch makes a message for each destination.
func (r view) batch(req *http.Request, rt *route, body []byte) (Batch, error) {
	b := Batch{
		ID: r.ids.next(), Route: rt.name, Received: r.cfg.clock(),
		Bound: r.cfg.bound, Messages: make([]Message, len(rt.dests)),
	}
	if rt.dedupe != "" {
		if v := req.Header[rt.dedupe]; len(v) > 0 && v[0] != "" {
			b.Dedupe, b.DedupeFor = rt.name+"\x00"+v[0], rt.dedupeFor
		}
	}
	order := ""
	if rt.orderBy != nil {
		order = orderKeyOf(rt, req, body)
	}
	in := &Request{
		Method:     req.Method,
		Host:       req.Host,
		Path:       rawPath(req),
		Header:     r.travelling(req),
		RemoteAddr: req.RemoteAddr,
		TLS:        req.TLS != nil,
		Body:       body,
		Trace:      r.span.stored(),
	}
	if req.URL.RawQuery != "" || req.URL.ForceQuery {
		in.Query = "?" + req.URL.RawQuery
	}
	for i, d := range rt.dests {
		payload, err := r.cfg.codec.Encode(Key{b.ID, i}, in)
		if err != nil {
			return b, err
		}
		b.Messages[i] = Message{Dest: i, Lane: d.lane, OrderKey: order, Payload: payload}
	}
	return b, nil
}

// orderKeyOf asks the route for a request's order key.
func orderKeyOf(rt *route, req *http.Request, body []byte) string {
	seen := *req
	seen.Body = io.NopCloser(bytes.NewReader(body))
	return rt.orderBy(&seen)
}

// answerLater waits for the destination's answer, if there is any to hope for.
func (r *Repeater) answerLater(w http.ResponseWriter, req *http.Request, waiting *waiter, id string, hope bool) {
	if hope {
		if resp := waiting.await(req.Context().Done()); resp != nil {
			pass(w, id, resp)
			return
		}
	}
	waiting.offer(nil)
	passLater(w, id)
}

// delivers tells whether this process may deliver a lane's messages soon.
func (r *Repeater) delivers(lane string) bool {
	w := r.worker.Load()
	return w != nil && !w.waits(lane)
}

func (r *Repeater) wake(messages []Message) {
	w := r.worker.Load()
	for i := range messages {
		if w != nil {
			w.wake(messages[i].Lane)
		}
	}
	if w == nil {
		r.idle.accepted(r)
	}
}

// idleWarning tells once that nobody delivers what the file store keeps.
type idleWarning struct {
	since atomic.Int64 // ns on the monotonic clock of started
	said  atomic.Bool
}

const idleAfter = 30 * time.Second

var started = time.Now()

func (i *idleWarning) accepted(r *Repeater) {
	if _, ok := r.queue.(*fileQueue); !ok || i.said.Load() {
		return
	}
	now := int64(time.Since(started)) + 1
	if i.since.CompareAndSwap(0, now) || now-i.since.Load() < int64(idleAfter) {
		return
	}
	if i.said.CompareAndSwap(false, true) {
		r.config().log.Warn("webhooks are stored but nobody delivers them: add \"go rp.Run(ctx)\" to the program")
	}
}

// rawPath is the path as it was sent. net/url's EscapedPath would escape again
// what it thinks is badly escaped.
func rawPath(req *http.Request) string {
	p := req.URL.RawPath
	if p == "" {
		p = req.URL.EscapedPath()
	}
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // http.StripPrefix may leave nothing
	}
	return p
}

// readAll reads a body of known or unknown length into as few bytes as it needs.
func readAll(body io.Reader, length int64) ([]byte, error) {
	var buf bytes.Buffer
	if length > 0 {
		buf.Grow(int(min(length, 1<<20)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(body)
	return buf.Bytes(), err
}
