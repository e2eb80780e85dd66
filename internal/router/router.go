// Package router finds the route of a request by the patterns of
// [net/http.ServeMux], on the path exactly as it was sent.
//
// ServeMux cleans a path and redirects to the result. A webhook sender does not
// follow redirects, and a forwarder must hand on what it got, so this package
// never cleans, never redirects, and says with [Router.Ambiguous] when a
// destination that does clean would see another route.
//
// Patterns mean what they mean to ServeMux: "[METHOD ][HOST]/path" with {name},
// {name...}, {$} and a trailing slash for a subtree; GET also matches HEAD; a
// pattern with a host beats those without; the more specific pattern wins. A
// segment is compared after percent-decoding it alone, so "%2F" never splits one.
// What differs from ServeMux:
//
//   - "/tree/" does not match "/tree".
//   - An empty segment inside a path is matched by {name...} and subtrees only,
//     never by {name}. "." and ".." are segments like any other.
//   - A segment of nothing but "%2F" is a segment; ServeMux takes it for {$}.
//   - Hosts compare without regard to case and to the brackets of an IPv6 address.
//   - CONNECT is matched as any other method.
//   - Patterns that could never serve a request are refused: a host with a port,
//     and a path with an empty, "." or ".." segment.
package router

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// Router matches requests to patterns. The zero Router is empty and ready to use.
// Match, Allowed and Ambiguous may run concurrently once the last Add has returned.
type Router struct {
	// hosts holds the patterns by host ("" for any), then by method ("" for any).
	hosts map[string]methods
	// judge holds the same patterns, only to tell a conflict.
	judge *http.ServeMux
	added []entry
}

type methods map[string]*node

// Match finds the route of a request. path is the path as sent, still
// percent-encoded; "" is taken as "/", and a path that does not begin with a
// slash, like the "*" of OPTIONS, matches nothing.
func (rt *Router) Match(method, host, path string) (i int, ok bool) {
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return 0, false
	}
	own, general := rt.tables(host)
	l := own.match(method, path)
	if l == nil {
		l = general.match(method, path)
	}
	if l == nil {
		return 0, false
	}
	return l.route, true
}

// Allowed lists, sorted, the methods with which host and path would match, for
// the Allow header of a 405. Patterns for any method add nothing to it: where
// one of them matches, there is no 405.
func (rt *Router) Allowed(host, path string) []string {
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return nil
	}
	var list []string
	own, general := rt.tables(host)
	for _, table := range []methods{own, general} {
		for method, tree := range table {
			if method == "" || tree.match(path) == nil {
				continue
			}
			list = append(list, method)
			if method == http.MethodGet {
				list = append(list, http.MethodHead)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// tables returns the patterns for exactly this host, and those for any host.
func (rt *Router) tables(host string) (own, general methods) {
	general = rt.hosts[""]
	if len(rt.hosts) == 0 || (len(rt.hosts) == 1 && general != nil) {
		return nil, general
	}
	if host = canonicalHost(host); host != "" {
		own = rt.hosts[host]
	}
	return own, general
}

func (m methods) match(method, path string) *leaf {
	if len(m) == 0 {
		return nil
	}
	if l := m[method].match(path); l != nil {
		return l
	}
	if method == http.MethodHead {
		if l := m[http.MethodGet].match(path); l != nil {
			return l
		}
	}
	return m[""].match(path)
}

// canonicalHost drops the port and the brackets, and lowers ASCII letters. It
// allocates only for the rare host that is not lower case already.
func canonicalHost(host string) string {
	host = stripPort(host)
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return lowerASCII(host)
}

// stripPort returns host unchanged when it has no port or makes no sense.
func stripPort(host string) string {
	if !strings.Contains(host, ":") {
		return host
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// lowerASCII is not strings.ToLower, which would fold a few non-ASCII letters
// (the Kelvin sign) into ASCII ones.
func lowerASCII(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
