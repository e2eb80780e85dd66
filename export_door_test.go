package repeater

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Guard is what AllowTo makes of an address to dial.
func Guard(address string, allowTo ...netip.Prefix) error {
	return prefixes(allowTo).guard(context.Background(), "tcp", address, nil)
}

// ClientAddr is the pure function behind TrustProxies.
func ClientAddr(peer netip.Addr, h http.Header, trusted []netip.Prefix) (netip.Addr, bool) {
	return clientAddr(peer, h, trusted)
}

// Address is where a request for path and query goes on a route to target.
func Address(target, path, query string, keepPath bool) (*url.URL, error) {
	u, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	return destination{url: u}.address(&Request{Path: path, Query: query}, keepPath), nil
}

// ParseRetryAfter reads a destination's wish.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	return parseRetryAfter(http.Header{"Retry-After": {value}}, now)
}

// EndToEnd is the filter of hop-by-hop headers.
func EndToEnd(h http.Header) http.Header { return endToEnd(h) }

// EncryptedCodec is what Encrypt makes of inner.
func EncryptedCodec(inner Codec, keys ...string) Codec {
	c := newConfig([]Option{WithCodec(inner), Encrypt(keys...)})
	return c.codec
}
