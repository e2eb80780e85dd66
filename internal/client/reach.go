package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
)

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	return t
}

// ErrUnreachable says that no server answers.
var ErrUnreachable = errors.New("no answer")

// unreachable says in one line what is the matter, and what to do. The error's own text would
// repeat the whole address.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return unreachable{fmt.Sprintf("no webhook-repeater answers at %s (%s); start it, or name its admin address with --server or REPEATER_ADMIN",
		c.base, reason(ctx, err))}
}

type unreachable struct{ text string }

func (u unreachable) Error() string { return u.text }
func (unreachable) Unwrap() error   { return ErrUnreachable }

func reason(ctx context.Context, err error) string {
	var dns *net.DNSError
	var ne net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &dns):
		return "no such host"
	case ctx.Err() != nil, errors.As(err, &ne) && ne.Timeout():
		return "no answer in time"
	case errors.As(err, &certificate):
		return certificate.Err.Error()
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS"
	}
	return "the connection broke"
}
