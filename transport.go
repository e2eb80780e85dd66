package repeater

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Timeouts limit one attempt, phase by phase. Zero means the default.
type Timeouts struct {
	Dial    time.Duration // until the connection is established; 5 s
	TLS     time.Duration // for the TLS handshake; 5 s
	Header  time.Duration // from the end of the request until the answer's header has arrived; 15 s
	Attempt time.Duration // for all of it, quick retries included; 30 s
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Dial:    cmp.Or(t.Dial, 5*time.Second),
		TLS:     cmp.Or(t.TLS, 5*time.Second),
		Header:  cmp.Or(t.Header, 15*time.Second),
		Attempt: cmp.Or(t.Attempt, 30*time.Second),
	}
}

func (t Timeouts) negative() bool { return min(t.Dial, t.TLS, t.Header, t.Attempt) < 0 }

// WithTLS sets how to speak TLS with destinations: which authorities to trust, which certificate to
// present. cfg is copied. The default, also for nil, is that of [crypto/tls]. InsecureSkipVerify in
// it lets anybody on the way read and answer what is delivered. [TLS] overrides it for a route. The
// last one holds.
func WithTLS(cfg *tls.Config) Option {
	return func(c *config) { c.tls = cfg.Clone() }
}

// TLS is [WithTLS] for the destinations of one route. They then share no connections with those of
// other routes.
func TLS(cfg *tls.Config) RouteOption {
	return func(rt *route) { rt.tls = cfg.Clone() }
}

// H2C speaks HTTP/2 without TLS to the http:// destinations of the route, without asking first
// whether they understand it: to those that do not, nothing can be delivered. To https://
// destinations HTTP/2 is spoken wherever they offer it, without this option.
func H2C() RouteOption {
	return func(rt *route) { rt.h2c = true }
}

// newTransport is for destinations: it sends what it is given and adds nothing.
func (c *config) newTransport(tls *tls.Config) *http.Transport {
	t := c.timeouts
	dialer := &net.Dialer{Timeout: t.Dial, KeepAlive: 30 * time.Second, ControlContext: c.allowTo.guard}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       tls,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: t.Dial},
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   t.TLS,
		ResponseHeaderTimeout: t.Header,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}
}

// pingAfter is how long an HTTP/2 connection may be silent before it is tried: unlike others, a dead one
// would be used for one attempt after another.
const pingAfter = 15 * time.Second

// setTransports gives destinations with settings of their own a transport of their own.
func (c *config) setTransports() {
	if c.transport == nil {
		c.transport = c.newTransport(c.tls)
		c.own = append(c.own, c.transport.(*http.Transport))
	} else if c.tls != nil {
		c.fail("WithTLS is for the Repeater's own transport, not for that of WithTransport")
	}
	for _, rt := range c.routes {
		if rt.tls == nil && !rt.h2c {
			continue
		}
		if len(c.own) == 0 {
			c.fail("route %q: TLS and H2C are for the Repeater's own transport, not for that of WithTransport", rt.pattern)
			return
		}
		c.setTransport(rt)
	}
}

func (c *config) setTransport(rt *route) {
	own := c.newTransport(cmp.Or(rt.tls, c.tls))
	c.own = append(c.own, own)
	h2c := own
	if rt.h2c {
		h2c = c.newTransport(nil)
		h2c.Protocols = new(http.Protocols)
		h2c.Protocols.SetUnencryptedHTTP2(true)
		c.own = append(c.own, h2c)
	}
	for i := range rt.dests {
		rt.dests[i].transport = own
		if rt.dests[i].url.Scheme == "http" {
			rt.dests[i].transport = h2c
		}
	}
}

// transportOf returns what sends a message, whose destination is known to exist.
func (c *config) transportOf(m Claimed) http.RoundTripper {
	if t := c.byName[m.Route].dests[m.Key.Dest].transport; t != nil {
		return t
	}
	return c.transport
}

func (c *config) closeIdle() {
	for _, t := range c.own {
		t.CloseIdleConnections()
	}
}

// checkTargets tells early of addresses that no attempt would connect to.
func (c *config) checkTargets(rt *route) {
	for i, d := range rt.dests {
		if a, err := netip.ParseAddr(d.url.Hostname()); err == nil && len(c.own) > 0 && c.allowTo.refuses(a) {
			c.fail("route %q: destination %d is an address of the link or of a cloud's own services: see AllowTo", rt.pattern, i)
		}
	}
}
