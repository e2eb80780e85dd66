package repeater

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Bounds of one attempt.
const (
	dialTimeout    = 5 * time.Second
	tlsTimeout     = 5 * time.Second
	headerTimeout  = 15 * time.Second
	attemptTimeout = 30 * time.Second
	drainBytes     = 64 << 10 // of an answer, so that its connection can be used again
)

// newTransport is for destinations: it sends what it is given and adds nothing.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   tlsTimeout,
		ResponseHeaderTimeout: headerTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}
}

// outcome is how an attempt ended.
type outcome struct {
	msg        Claimed
	verdict    verdict
	attempt    Attempt
	reason     string // for refused
	retryAfter time.Duration
	cancelled  bool // by the drain: it counts for nothing
}

// attempt tries once to deliver a message. Whatever cannot even be tried is refused.
func (r *Repeater) attempt(ctx context.Context, m Claimed) outcome {
	o := outcome{msg: m, verdict: refused}
	req, err := r.outgoing(m)
	if err != nil {
		o.reason = err.Error()
		return o
	}
	started := time.Now()
	o.attempt.At = r.cfg.clock()
	o.attempt.Status, o.retryAfter, err = r.send(ctx, req)
	o.attempt.Took = time.Since(started)
	if err != nil && ctx.Err() != nil {
		o.cancelled = true
		return o
	}
	o.verdict = judge(o.attempt.Status, err)
	if err != nil {
		o.attempt.Error = errorText(err)
	}
	if o.verdict == refused {
		o.reason = fmt.Sprintf("the destination answered %d %s", o.attempt.Status, http.StatusText(o.attempt.Status))
	}
	return o
}

func (r *Repeater) send(ctx context.Context, req *http.Request) (status int, retryAfter time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	resp, err := r.cfg.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return 0, 0, err
	}
	// The answer has been given: what is wrong with its body changes nothing.
	_, _ = io.CopyN(io.Discard, resp.Body, drainBytes)
	_ = resp.Body.Close()
	return resp.StatusCode, parseRetryAfter(resp.Header, r.cfg.clock()), nil
}
