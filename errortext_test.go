package repeater_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// transportFunc is an http.RoundTripper.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// attemptError returns what is logged of an attempt that brought no answer.
func attemptError(t *testing.T, target string, route []repeater.RouteOption, opts ...repeater.Option) string {
	t.Helper()
	logged, log := newLog()
	rp := deliver(t, append(opts, repeater.WithLogger(log), repeater.WithBackoff(time.Hour, time.Hour), repeater.Route("/", target, route...))...)
	wantStatus(t, try(rp, "POST", "/x"), 200)
	var line string
	logged.waitFor(t, "the attempt", func(log string) bool {
		for l := range strings.Lines(log) {
			if strings.Contains(l, "not delivered") {
				line = l
			}
		}
		return line != ""
	})
	_, text, _ := strings.Cut(line, "error=")
	if strings.HasPrefix(text, `"`) {
		text, _, _ = strings.Cut(text[1:], `"`)
	}
	return text
}

func TestKindsOfFailure(t *testing.T) {
	t.Parallel()
	dialing := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{context.DeadlineExceeded, "timeout: no answer"},
		{&url.Error{Op: "Post", URL: "http://h/canary", Err: context.DeadlineExceeded}, "timeout: no answer"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "timeout: no answer"},
		{dialing(os.ErrDeadlineExceeded), "timeout: no connection"},
		{dialing(&net.DNSError{Name: "canary", IsTimeout: true}), "timeout: the name service did not answer"},
		{dialing(&net.DNSError{Name: "canary", IsNotFound: true}), "dns: no such host"},
		{dialing(&net.DNSError{Name: "canary", Err: "canary"}), "dns: the lookup failed"},
		{dialing(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection refused"},
		{dialing(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "connection: no route to host"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "connection reset"},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, "connection reset"},
		{io.EOF, "connection closed without an answer"},
		{fmt.Errorf("canary: %w", io.ErrUnexpectedEOF), "connection closed without an answer"},
		{errors.New("http: server closed idle connection"), "connection closed without an answer"},
		{fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", errors.New("canary")), "malformed answer"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls: x509: certificate signed by unknown authority"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, "tls: the destination says: handshake failure"},
		{tls.RecordHeaderError{Msg: "canary"}, "tls: the destination does not speak TLS"},
		{http.ErrSchemeMismatch, "tls: the destination does not speak TLS"},
		{errors.New("tls: no supported versions satisfy MinVersion and MaxVersion"), "tls: no supported versions satisfy MinVersion and MaxVersion"},
		{errors.New("canary"), "failed: *errors.errorString"},
		{fmt.Errorf("canary: %w", &http.MaxBytesError{}), "failed: *http.MaxBytesError"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			fail := transportFunc(func(*http.Request) (*http.Response, error) { return nil, tt.err })
			if got := attemptError(t, anywhere, nil, repeater.WithTransport(fail)); got != tt.want {
				t.Errorf("%v is told as %q, want %q", tt.err, got, tt.want)
			}
		})
	}
}

func TestKindsOfFailureOverSockets(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discardLog()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closing := listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for target, want := range map[string]string{
		"http://" + reserve(t): "connection refused",
		"http://" + closing:    "connection closed without an answer",
		"https://" + closing:   "tls: the destination does not speak TLS",
		secure.URL:             "tls: x509: certificate signed by unknown authority",
		newDestination(t, "HTTP/1.1 x\r\n\r\n").url(""): "malformed answer",
	} {
		if got := attemptError(t, target, nil); got != want {
			t.Errorf("%s: told as %q, want %q", target, got, want)
		}
	}
}
