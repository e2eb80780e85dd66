package repeater

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// errorText says why an attempt brought no answer: first the kind of failure, then what
// is known besides. It never uses the words of an error that it does not know:
// net/http quotes what a destination sends, which may well be our request.
func errorText(err error) string {
	for _, explain := range [...]func(error) string{explainTimeout, explainName, explainTLS, explainConnection} {
		if text := explain(err); text != "" {
			return text
		}
	}
	if strings.HasPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken") {
		return "malformed answer"
	}
	return fmt.Sprintf("failed: %T", innermost(err))
}

func explainTimeout(err error) string {
	ne, ok := errors.AsType[net.Error](err)
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) && !(ok && ne.Timeout()) {
		return ""
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "timeout: the name service did not answer"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "timeout: no connection"
	}
	if strings.Contains(err.Error(), "TLS handshake") { // net/http's own type is not exported
		return "timeout: no TLS handshake"
	}
	return "timeout: no answer"
}

func explainName(err error) string {
	e, ok := errors.AsType[*net.DNSError](err)
	switch {
	case !ok:
		return ""
	case e.IsNotFound:
		return "dns: no such host"
	}
	return "dns: the lookup failed"
}

func explainTLS(err error) string {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return clip("tls: " + e.Err.Error())
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // an alert, of a fixed set
		return "tls: the destination says: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	_, header := errors.AsType[tls.RecordHeaderError](err)
	if header || errors.Is(err, http.ErrSchemeMismatch) {
		return "tls: the destination does not speak TLS"
	}
	if strings.HasPrefix(err.Error(), "tls: ") {
		return clip(err.Error())
	}
	return ""
}

func explainConnection(err error) string {
	switch {
	case errors.Is(err, errGuarded):
		return "not allowed: " + errGuarded.Error() + "; see AllowTo"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		err.Error() == "http: server closed idle connection":
		return "connection closed without an answer"
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return "connection: " + e.Error()
	}
	return ""
}

func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// clip keeps text that a destination's certificate may have lengthened.
func clip(text string) string {
	const most = 300
	return strings.ToValidUTF8(text[:min(len(text), most)], "?")
}
