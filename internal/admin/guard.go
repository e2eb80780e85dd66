package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard decides who comes in.
type guard struct{ key key }

// protect lets in who has the token; without one, who is on this machine and means it.
func (g *guard) protect(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusForbidden, "this request comes from another site")
	}))
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.key.set && (g.key.signedIn(r) || r.URL.Path == "/login"):
			next.ServeHTTP(w, r)
		case g.key.set:
			g.turnAway(w, r)
		case !isLoopback(r.RemoteAddr):
			fail(w, http.StatusForbidden, "without a token, only this machine is let in")
		case !isLoopback(r.Host):
			// A page of another site can make its own name mean 127.0.0.1, but not change it in Host.
			fail(w, http.StatusForbidden, "without a token, the host in the address must be localhost, 127.0.0.1 or [::1]")
		default:
			next.ServeHTTP(w, r)
		}
	}))
}

func (g *guard) turnAway(w http.ResponseWriter, r *http.Request) {
	if isAPI(r) || r.URL.Path == metricsPath || r.Method != http.MethodGet {
		w.Header().Set("WWW-Authenticate", `Bearer realm="webhook-repeater"`)
		fail(w, http.StatusUnauthorized, "send the header \"Authorization: Bearer TOKEN\" with the token of the configuration")
		return
	}
	showLogin(w, r, http.StatusUnauthorized, false)
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// isLoopback takes an address, or "localhost", with or without a port.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
