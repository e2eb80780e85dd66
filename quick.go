package repeater

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Quick retries belong to one attempt: a stale connection or a rolling restart is
// over in a moment and should cost no backoff.
const (
	quickWithin = time.Second // of the attempt's start: later no further try begins
	quickFirst  = 100 * time.Millisecond
	quickSecond = 400 * time.Millisecond
)

// retryQuickly tries again what has just failed, n times at most, and returns the last
// answer. It comes after the first try rather than around it, so that what
// succeeds at once costs nothing.
func retryQuickly(req *http.Request, body []byte, rt http.RoundTripper, started time.Time, n int) (*http.Response, error) {
	select {
	case <-time.After(quickFirst):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	bare := &bareTransport{rt: rt}
	client := retryablehttp.Client{
		HTTPClient: &http.Client{Transport: bare, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		RetryMax: n - 1,
		Backoff: func(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
			return quickSecond
		},
		CheckRetry: func(_ context.Context, resp *http.Response, err error) (bool, error) {
			return quickly(resp, err) && time.Since(started)+quickSecond < quickWithin, nil
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	again, err := retryablehttp.FromRequest(withoutBody(req))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		if err := again.SetBody(body); err != nil {
			return nil, err
		}
	}
	if req.GetBody == nil {
		again.GetBody = nil // the transport is not to resend by itself
	}
	resp, err := client.Do(again)
	if resp != nil && bare.location != nil {
		resp.Header["Location"] = bare.location
	}
	return resp, err
}

func withoutBody(req *http.Request) *http.Request {
	again := *req
	again.Body = nil
	return &again
}

// quickly tells the ends of a try after which another one, a moment later, may succeed.
func quickly(resp *http.Response, err error) bool {
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED) || isReset(err)
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return resp.Header.Get("Retry-After") == ""
	}
	return false
}

// isReset tells that the connection ended before the answer did.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// bareTransport hides CloseIdleConnections, which retryablehttp calls when it gives
// up and which would cost all other lanes their connections; and the Location of a redirect,
// which http.Client parses although it is not to follow it.
type bareTransport struct {
	rt       http.RoundTripper
	location []string
}

func (b *bareTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.rt.RoundTrip(req)
	b.location = nil
	if resp != nil {
		b.location = resp.Header["Location"]
		delete(resp.Header, "Location")
	}
	return resp, err
}
