package repeater

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	drainBytes  = 64 << 10    // of an answer, so that its connection can be used again
	drainWithin = time.Second // or its connection is closed
	keepBytes   = 2 << 10     // of an answer, for people
)

// outcome is how an attempt ended.
type outcome struct {
	msg        Claimed
	rt         *route  // nil: there is none, or it could not be tried
	verdict    Verdict // VerdictDefault: it could not even be tried, for the reason given
	attempt    Attempt
	reason     string // why the message is to die, where the verdict says so
	answer     []byte // how the destination's answer began; not kept of a delivery
	retryAfter time.Duration
	cancelled  bool // by the drain: it counts for nothing
	untried    bool // the lane was stopped before its turn came
}

// attempt tries once to deliver a message, with so many quick retries.
func (r view) attempt(ctx context.Context, m Claimed, quick int) outcome {
	o := outcome{msg: m}
	req, in, err := r.outgoing(m)
	if err != nil {
		o.reason = err.Error()
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.timeouts.Attempt)
	defer r.endAttempt(cancel)
	ctx, span := r.cfg.startDelivery(ctx, &m, in)
	defer span.delivered(&o)
	t := newTry(ctx)
	started := time.Now()
	o.attempt.At = r.cfg.clock()
	resp, err := t.send(req, in.Body, r.cfg.transportOf(m), started, quick)
	if err != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		o.cancelled = true
		return o
	}
	switched := err == nil && resp.StatusCode == http.StatusSwitchingProtocols
	if switched {
		unswitch(resp)
	}
	o.rt = r.cfg.byName[m.Route]
	rt, waiting := o.rt, r.waiters.take(m.Key)
	switch {
	case waiting != nil && err == nil && !switched && r.passOn(waiting, resp, cancel):
		o.verdict, o.attempt.Status = VerdictDelivered, resp.StatusCode
	case err != nil:
		o.verdict = rt.judge(nil, err)
		o.attempt.Error = errorText(err)
		o.attempt.Silent = t.sent.Load() && (isReset(err) || isTimeout(err))
	default:
		r.heed(&o, rt, resp, cancel)
	}
	if waiting != nil {
		waiting.offer(nil)
	}
	o.attempt.Took = time.Since(started)
	o.reason = o.why()
	return o
}

// unswitch ends an answer that switches protocols, which nobody has asked for: its body is the bare
// connection, and no context would end reading from that.
func unswitch(resp *http.Response) {
	_ = resp.Body.Close()
	resp.Body = http.NoBody
}

// endAttempt also closes what is left of a configuration that has been replaced meanwhile.
func (r view) endAttempt(cancel func()) {
	cancel()
	if now := r.config(); now != r.cfg {
		r.cfg.retire(now)
	}
}

// passOn gives the answer to the sender that waits for it, if it comes whole and in time.
func (r view) passOn(waiting *waiter, resp *http.Response, cancel func()) bool {
	late := time.AfterFunc(time.Until(waiting.until), cancel)
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.cfg.maxBody+1))
	late.Stop()
	whole := *resp
	whole.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil && int64(len(body)) <= r.cfg.maxBody && waiting.offer(&whole) {
		_ = resp.Body.Close()
		return true
	}
	resp.Body = &readAgain{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	return false
}

// readAgain is an answer's body of which some has been read before.
type readAgain struct {
	io.Reader
	io.Closer
}

// heed reads an answer. Once its status is there, that its body does not come changes nothing.
func (r view) heed(o *outcome, rt *route, resp *http.Response, cancel func()) {
	o.attempt.Status = resp.StatusCode
	o.retryAfter = parseRetryAfter(resp.Header, r.cfg.clock())
	if resp.ContentLength != 0 {
		late := time.AfterFunc(drainWithin, cancel)
		defer late.Stop()
	}
	var head []byte
	if rt.retryIf != nil || judge(resp, nil) != VerdictDelivered {
		head, _ = io.ReadAll(io.LimitReader(resp.Body, keepBytes))
	}
	seen := *resp
	seen.Body = io.NopCloser(bytes.NewReader(head))
	if o.verdict = rt.judge(&seen, nil); o.verdict != VerdictDelivered {
		o.answer = head
	}
	discard(resp)
}

// discard reads a little more, so that the connection can be used again.
func discard(resp *http.Response) {
	if resp.ContentLength != 0 {
		_, _ = io.CopyN(io.Discard, resp.Body, drainBytes+1) // beyond, to see its end
	}
	_ = resp.Body.Close()
}

func (o *outcome) why() string {
	switch {
	case o.attempt.Error != "":
		return o.attempt.Error
	case o.attempt.Status > 0:
		return fmt.Sprintf("the destination answered %d %s", o.attempt.Status, http.StatusText(o.attempt.Status))
	}
	return o.reason
}

// try is one sending of a request, quick retries included.
type try struct {
	ctx  context.Context
	sent atomic.Bool // the whole request went out, the last time it was sent
}

func newTry(ctx context.Context) *try {
	t := &try{}
	t.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { t.sent.Store(false) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { t.sent.Store(info.Err == nil) },
	})
	return t
}

func (t *try) send(req *http.Request, body []byte, rt http.RoundTripper, started time.Time, quick int) (*http.Response, error) {
	req = req.WithContext(t.ctx)
	resp, err := rt.RoundTrip(req)
	if quick == 0 || !quickly(resp, err) || t.ctx.Err() != nil || time.Since(started)+quickFirst >= quickWithin {
		return resp, err
	}
	if resp != nil {
		late := time.AfterFunc(quickFirst, func() { _ = resp.Body.Close() })
		discard(resp)
		late.Stop()
	}
	return retryQuickly(req, body, rt, started, quick)
}
