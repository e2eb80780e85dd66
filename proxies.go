package repeater

import (
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// TrustProxies names the reverse proxies in front of this server, by address or network. On a
// connection from one of them, and on no other, X-Forwarded-For and Forwarded determine the client
// address that [AllowFrom] checks, and X-Forwarded-Proto and X-Forwarded-Host are forwarded as the
// proxy has set them.
//
// X-Forwarded-For and Forwarded are read from the right, across all their lines, up to the first
// address that is not a trusted proxy's. What is left of that was written by the client and is
// ignored. AllowFrom refuses a request if what is read is malformed, or if the two headers name
// different clients (a proxy that sets one of them may let a forged other one through).
//
// Name only proxies of your own that set one of these headers in every request: whoever connects
// from a trusted address, or through a proxy that sets neither header, can claim any other address.
// By default no proxy is trusted. Several add up; an empty list is a mistake.
func TrustProxies(cidrs ...string) Option {
	return func(c *config) {
		if len(cidrs) == 0 {
			c.fail("TrustProxies names no proxy")
		}
		for _, s := range cidrs {
			p, err := parsePrefix(s)
			if err != nil {
				c.fail("TrustProxies: %w", err)
				continue
			}
			c.proxies = append(c.proxies, p)
		}
	}
}

// prefixes are networks that mean the same.
type prefixes []netip.Prefix

func (ps prefixes) contain(a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// peerAddr is the other end of the connection, or not valid (a Unix socket's).
func peerAddr(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// clientAddr tells who sends, as far as trusted proxies say; ok is false where what they
// say makes no sense.
func clientAddr(peer netip.Addr, h http.Header, trusted prefixes) (from netip.Addr, ok bool) {
	if !trusted.contain(peer) {
		return peer, peer.IsValid()
	}
	byFor, ok := farthest(peer, trusted, forwardedForHops(h[headerFor]))
	if !ok {
		return netip.Addr{}, false
	}
	lines := h["Forwarded"]
	if len(lines) == 0 {
		return byFor, true
	}
	byForwarded, ok := farthest(peer, trusted, forwardedHops(lines))
	if !ok || len(h[headerFor]) > 0 && byFor != byForwarded {
		return netip.Addr{}, false
	}
	return byForwarded, true
}

// farthest goes from hop to hop as long as each is trusted to name the next. A hop that
// is not valid is what could not be read.
func farthest(peer netip.Addr, trusted prefixes, hops iter.Seq[netip.Addr]) (netip.Addr, bool) {
	for hop := range hops {
		if !hop.IsValid() {
			return hop, false
		}
		peer = hop
		if !trusted.contain(hop) {
			break
		}
	}
	return peer, true
}

// forwardedForHops reads X-Forwarded-For from the right.
func forwardedForHops(lines []string) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, line := range slices.Backward(lines) {
			for more := true; more; {
				comma := strings.LastIndexByte(line, ',')
				member := strings.Trim(line[comma+1:], " \t")
				hop, err := netip.ParseAddr(member)
				if err != nil || hop.Zone() != "" {
					hop = parseNode(member)
				}
				if !yield(hop.Unmap()) {
					return
				}
				if more = comma >= 0; more {
					line = line[:comma]
				}
			}
		}
	}
}

// forwardedHops reads Forwarded (RFC 7239) from the right. A line is read whole, from the
// left, before anything in it counts: only so is it certain where a quoted text ends.
func forwardedHops(lines []string) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, line := range slices.Backward(lines) {
			hops, ok := parseForwarded(line)
			if !ok {
				yield(netip.Addr{})
				return
			}
			for _, hop := range slices.Backward(hops) {
				if !yield(hop) {
					return
				}
			}
		}
	}
}

// parseForwarded returns an address for each element of the line; one that is not valid
// for a sender that is hidden, unknown or not named.
func parseForwarded(line string) (hops []netip.Addr, ok bool) {
	for {
		var hop netip.Addr
		var seen []string
		for {
			name, value, rest, ok := parsePair(line)
			if !ok || slices.Contains(seen, name) {
				return nil, false
			}
			seen = append(seen, name)
			if name == "for" {
				hop = parseNode(value)
			}
			if line = strings.TrimLeft(rest, " \t"); !strings.HasPrefix(line, ";") {
				break
			}
			line = line[1:]
		}
		hops = append(hops, hop)
		if line == "" {
			return hops, true
		}
		if line[0] != ',' {
			return nil, false
		}
		line = line[1:]
	}
}

// parsePair reads name=value or name="value", and lowers the name.
func parsePair(s string) (name, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	n := tokenLen(s)
	if n == 0 || n == len(s) || s[n] != '=' {
		return "", "", "", false
	}
	name, s = strings.ToLower(s[:n]), s[n+1:]
	if !strings.HasPrefix(s, `"`) {
		n = tokenLen(s)
		return name, s[:n], s[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return name, b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", "", false
}

func tokenLen(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return i
		}
	}
	return len(s)
}

// parseNode reads an address that may have a port: 192.0.2.1, 192.0.2.1:80, [2001:db8::1]
// or [2001:db8::1]:80. All else gives one that is not valid.
func parseNode(s string) netip.Addr {
	host, port := s, ""
	if v6, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(v6, "]")
		if !ok || !strings.Contains(host, ":") {
			return netip.Addr{}
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i:]
	}
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" || !goodPort(port) {
		return netip.Addr{}
	}
	return a.Unmap()
}

// goodPort takes ":80", the obfuscated ":_x" of RFC 7239, and no port at all.
func goodPort(s string) bool {
	if s == "" {
		return true
	}
	port, ok := strings.CutPrefix(s, ":")
	if !ok {
		return false
	}
	if hidden, ok := strings.CutPrefix(port, "_"); ok {
		return hidden != "" && tokenLen(hidden) == len(hidden)
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}
