package repeater

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
)

// Route forwards requests that match pattern to target. Several routes add up.
//
// A pattern has the syntax and precedence of [http.ServeMux] ("/hooks/jira",
// "POST /hooks/{team}/ci", "/hooks/"). It is matched segment by segment on the
// path as it was sent: nothing is cleaned, nothing is redirected, and a
// wildcard only matches, it does not substitute anything in target. A request
// whose path would mean another route, or none, to a server that cleans paths
// (".." and the like) is refused with 400.
//
// Target is an absolute http or https URL. What is delivered goes there with
// the request's raw query behind target's own; its path is target's, unless
// [KeepPath] adds the request's. User and password in target become an
// Authorization header where the request has none. Nothing in a request ever
// picks a destination.
func Route(pattern, target string, opts ...RouteOption) Option {
	return func(c *config) {
		rt := &route{pattern: pattern}
		rt.addTarget(target)
		for _, o := range opts {
			if o != nil {
				o(rt)
			}
		}
		rt.nameLanes()
		rt.maxAge = cmp.Or(rt.maxAge, defaultMaxAge)
		rt.dedupeFor = cmp.Or(rt.dedupeFor, defaultDedupeFor)
		if rt.name == "" {
			sum := sha256.Sum256([]byte(pattern))
			rt.name = "route-" + hex.EncodeToString(sum[:4])
		}
		for _, err := range rt.errs {
			c.errs = append(c.errs, fmt.Errorf("route %q: %w", pattern, err))
		}
		c.routes = append(c.routes, rt)
	}
}

// AlsoTo adds a destination (fan-out). Each destination gets a message of its own, with its own
// retries; a request is answered with 200 only when the messages for all of them are stored.
// Destinations are numbered from 0 in the order in which they are written, and stored messages name
// them by number: add new ones at the end. Several add up.
func AlsoTo(target string) RouteOption {
	return func(rt *route) { rt.addTarget(target) }
}

// KeepPath appends the request's raw path to the target's path. If the target's path ends in a
// slash, the two are joined by one slash, not two. Under [http.StripPrefix] the request's path is
// what is left of it.
func KeepPath() RouteOption {
	return func(rt *route) { rt.keepPath = true }
}

// KeepHost sends the request's own Host header instead of the target's. The connection still goes
// to the target, but a destination that serves several sites picks one by a name that the sender
// has chosen: state the host in the pattern ("hooks.example.com/jira") where that matters.
func KeepHost() RouteOption {
	return func(rt *route) { rt.keepHost = true }
}

// AllowFrom accepts requests only from these addresses or networks ("10.1.2.3", "10.0.0.0/8",
// "fd00::/8"); others get 403. The address is that of the connection: behind a reverse proxy it is
// the proxy's, unless [TrustProxies] names the proxy. Without AllowFrom anybody may send. Several
// add up; an empty list is a mistake.
func AllowFrom(cidrs ...string) RouteOption {
	return func(rt *route) {
		if len(cidrs) == 0 {
			rt.fail("AllowFrom names no network, so that nothing could ever pass")
		}
		for _, s := range cidrs {
			p, err := parsePrefix(s)
			if err != nil {
				rt.fail("AllowFrom: %w", err)
				continue
			}
			rt.allow = append(rt.allow, p)
		}
	}
}

// SignMD5 adds the header X-REPEATER-SIG to what is forwarded, for receivers of the original
// webhook-repeater: an HMAC-MD5 in lower-case hex over content type (up to its first semicolon),
// decimal body length, and body. MD5 is old: to a receiver that holds the secret it shows who sent
// the request, and nothing more. A header of that name in the request is replaced. An empty secret
// is a mistake.
func SignMD5(secret string) RouteOption {
	return func(rt *route) {
		if secret == "" {
			rt.fail("SignMD5: the secret is empty")
		}
		rt.md5 = []byte(secret)
	}
}

// Name names the route in logs, metrics and stored messages; a name has 1 to 255 bytes. Stored
// messages find their route by it: renaming a route orphans its backlog. The default is "route-"
// and a short hash of the pattern.
func Name(name string) RouteOption {
	return func(rt *route) {
		if name == "" || len(name) > 255 {
			rt.fail("Name: a name has 1 to 255 bytes, this one %d", len(name))
		}
		rt.name = name
	}
}

// addTarget keeps the numbers of the destinations even when one is wrong.
func (rt *route) addTarget(target string) {
	u, err := parseTarget(target)
	if err != nil {
		rt.fail("destination %d: %w", len(rt.dests), err)
		u = &url.URL{}
	}
	rt.dests = append(rt.dests, destination{url: u, lane: origin(u)})
}
