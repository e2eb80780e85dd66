package repeater

import (
	"context"
	"net/http"
	"net/netip"
)

// Guard is what AllowTo makes of an address to dial.
func Guard(address string, allowTo ...netip.Prefix) error {
	return prefixes(allowTo).guard(context.Background(), "tcp", address, nil)
}

// ClientAddr is the pure function behind TrustProxies.
func ClientAddr(peer netip.Addr, h http.Header, trusted []netip.Prefix) (netip.Addr, bool) {
	return clientAddr(peer, h, trusted)
}

// EndToEnd is the filter of hop-by-hop headers.
func EndToEnd(h http.Header) http.Header { return endToEnd(h) }

// EncryptedCodec is what Encrypt makes of inner.
func EncryptedCodec(inner Codec, keys ...string) Codec {
	c := newConfig([]Option{WithCodec(inner), Encrypt(keys...)})
	return c.codec
}
