package repeater_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// arrivals is a destination of net/http.
type arrivals struct {
	*httptest.Server
	got chan *http.Request
}

func newArrivals(t *testing.T) arrivals {
	t.Helper()
	a := arrivals{got: make(chan *http.Request, 100)}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { a.got <- r }))
	a.Config.ErrorLog = discardLog()
	t.Cleanup(a.Close)
	return a
}

// trusting returns settings that know the server's authority.
func (a arrivals) trusting() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// TestOneWrite: a request of usual size goes out in one piece, header and body. Two would cost the
// destination a second read.
func TestOneWrite(t *testing.T) {
	t.Parallel()
	dest := newArrivals(t)
	dest.Start()
	var writes atomic.Int32
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return countedWrites{c, &writes}, err
	}}
	t.Cleanup(tr.CloseIdleConnections)
	rp := deliver(t, repeater.Route("/", dest.URL), repeater.WithTransport(tr))
	rp.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", 1024))))
	receive(t, dest.got, "the request")
	if n := writes.Load(); n != 1 {
		t.Errorf("sent in %d pieces", n)
	}
}

type countedWrites struct {
	net.Conn
	n *atomic.Int32
}

func (c countedWrites) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

func TestDestinationTLS(t *testing.T) {
	t.Parallel()
	dest := newArrivals(t)
	dest.EnableHTTP2 = true
	dest.StartTLS()
	insecure := &tls.Config{InsecureSkipVerify: true}
	unknown := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	const untold = "tls: x509: certificate signed by unknown authority"
	for _, tt := range []struct {
		name  string
		all   *tls.Config
		route *tls.Config
		fails string // why it is not delivered; "" if it is
	}{
		{"nothing set", nil, nil, untold},
		{"the route's authority", nil, dest.trusting(), ""},
		{"everybody's authority", dest.trusting(), nil, ""},
		{"the route's beats everybody's", unknown, dest.trusting(), ""},
		{"the route's beats everybody's, to its loss", dest.trusting(), unknown, untold},
		{"insecure", nil, insecure, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := []repeater.Option{repeater.WithTLS(tt.all)}
			if tt.fails != "" {
				if got := attemptError(t, dest.URL, routeOpts(repeater.TLS(tt.route)), opts...); got != tt.fails {
					t.Errorf("told as %q, want %q", got, tt.fails)
				}
				return
			}
			rp := deliver(t, append(opts, repeater.Route("/x", dest.URL, repeater.TLS(tt.route)))...)
			wantStatus(t, try(rp, "POST", "/x"), 200)
			if r := receive(t, dest.got, "the delivery"); r.Proto != "HTTP/2.0" {
				t.Errorf("delivered over %s, want HTTP/2.0", r.Proto)
			}
		})
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	dest := newArrivals(t)
	dest.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	dest.StartTLS()
	cfg := dest.trusting()
	if got := attemptError(t, dest.URL, routeOpts(repeater.TLS(cfg))); got != "tls: the destination says: certificate required" {
		t.Errorf("without a certificate: told as %q, want a failure of TLS", got)
	}
	cfg.Certificates = dest.TLS.Certificates // any will do
	wantStatus(t, try(deliver(t, repeater.Route("/x", dest.URL, repeater.TLS(cfg))), "POST", "/x"), 200)
	if r := receive(t, dest.got, "the delivery"); len(r.TLS.PeerCertificates) != 1 {
		t.Error("the destination saw no certificate")
	}
}

// TestTLSSettingsAreCopied: what the caller does to them later changes nothing.
func TestTLSSettingsAreCopied(t *testing.T) {
	t.Parallel()
	dest := newArrivals(t)
	dest.StartTLS()
	cfg := dest.trusting()
	rp := deliver(t, repeater.Route("/x", dest.URL), repeater.WithTLS(cfg))
	cfg.RootCAs = x509.NewCertPool()
	wantStatus(t, try(rp, "POST", "/x"), 200)
	receive(t, dest.got, "the delivery")
}

// TestHTTP2OnBothSides: with TLS and without, paths, queries and repeated headers arrive
// as they were sent.
func TestHTTP2OnBothSides(t *testing.T) {
	t.Parallel()
	clear, secure := newArrivals(t), newArrivals(t)
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	secure.EnableHTTP2 = true
	secure.StartTLS()
	rp := deliver(t, repeater.Route("/", clear.URL, repeater.AlsoTo(secure.URL), repeater.H2C(), repeater.KeepPath(), repeater.TLS(secure.trusting())))
	for _, encrypted := range []bool{false, true} {
		door := httptest.NewUnstartedServer(rp)
		door.Config.ErrorLog = discardLog()
		proto := "https"
		if encrypted {
			door.EnableHTTP2 = true
			door.StartTLS()
		} else {
			door.Config.Protocols = new(http.Protocols)
			door.Config.Protocols.SetUnencryptedHTTP2(true)
			door.Start()
			proto = "http"
		}
		t.Cleanup(door.Close)
		sender := door.Client().Transport.(*http.Transport)
		if !encrypted {
			sender = &http.Transport{Protocols: door.Config.Protocols}
			t.Cleanup(sender.CloseIdleConnections)
		}
		sender.DisableCompression = true

		const target = "/a//b%2F;c/..%7e?x=1;y&x=%zz"
		req, err := http.NewRequest("BREW", door.URL+"/", strings.NewReader("\x00body"))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path, req.URL.RawPath, _ = strings.Cut("/a//b/;c/..~|/a//b%2F;c/..%7e", "|")
		req.URL.RawQuery = "x=1;y&x=%zz"
		req.Header = http.Header{"X-A": {"2", "1", "2"}, "Cookie": {"a=1", "b=2"}, "User-Agent": {""}}
		req.Trailer = http.Header{"X-Trailer": {"1"}}
		resp, err := sender.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || resp.Proto != "HTTP/2.0" {
			t.Fatalf("encrypted %v: got %d over %s", encrypted, resp.StatusCode, resp.Proto)
		}
		for name, a := range map[string]arrivals{"clear": clear, "secure": secure} {
			r := receive(t, a.got, "the delivery")
			if r.Proto != "HTTP/2.0" || r.Method != "BREW" || r.RequestURI != target || r.ContentLength != 5 || len(r.Trailer) > 0 {
				t.Errorf("%s, encrypted %v: %s %s %s with %d bytes and trailers %v", name, encrypted, r.Proto, r.Method, r.RequestURI, r.ContentLength, r.Trailer)
			}
			for _, h := range []string{"Repeater-Id", "Repeater-Received", "Repeater-Attempt", "X-Forwarded-For", "X-Forwarded-Host", "Content-Length"} {
				delete(r.Header, h)
			}
			want := http.Header{"X-A": {"2", "1", "2"}, "Cookie": {"a=1; b=2"}, "Via": {"2.0 webhook-repeater"}, "X-Forwarded-Proto": {proto}}
			if diff := cmp.Diff(want, r.Header); diff != "" {
				t.Errorf("%s, encrypted %v: headers (-want +got):\n%s", name, encrypted, diff)
			}
		}
	}
}

// TestH2CNeedsIt: a destination that does not understand it hears only the preface, which is no
// request of ours, whatever it answers.
func TestH2CNeedsIt(t *testing.T) {
	t.Parallel()
	dest := newArrivals(t)
	dest.Start()
	if got := attemptError(t, dest.URL, routeOpts(repeater.H2C())); got == "" {
		t.Error("delivered")
	}
	for len(dest.got) > 0 {
		if r := <-dest.got; r.Method != "PRI" {
			t.Errorf("arrived: %+v", r)
		}
	}
}
