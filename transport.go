package repeater

import (
	"cmp"
	"net"
	"net/http"
	"time"
)

// Timeouts bound one attempt, phase by phase. Zero means the default.
type Timeouts struct {
	Dial    time.Duration // until the connection stands; 5 s
	TLS     time.Duration // for the TLS handshake; 5 s
	Header  time.Duration // from the request's end until the answer's header is there; 15 s
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

// newTransport is for destinations: it sends what it is given and adds nothing.
func newTransport(t Timeouts) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: t.Dial, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   t.TLS,
		ResponseHeaderTimeout: t.Header,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}
}
