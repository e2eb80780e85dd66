package repeater_test

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// TestSpoofedAddresses: AllowFrom lets 203.0.113.7 and fd00::7 in, and the proxies
// 10.0.0.0/8 and fd99::/16 are trusted. Whoever gets 200 otherwise has forged it.
func TestSpoofedAddresses(t *testing.T) {
	t.Parallel()
	const proxy, stranger, friend = "10.0.0.1:1", "198.51.100.9:1", "203.0.113.7:1"
	xff := func(lines ...string) http.Header { return http.Header{"X-Forwarded-For": lines} }
	fwd := func(lines ...string) http.Header { return http.Header{"Forwarded": lines} }
	both := func(x, f string) http.Header {
		return http.Header{"X-Forwarded-For": {x}, "Forwarded": {f}}
	}
	for _, tt := range []struct {
		name, from string
		header     http.Header
		want       int
	}{
		// Not from a proxy: nothing that is said counts.
		{"friend", friend, nil, 200},
		{"friend says another", friend, xff("198.51.100.9"), 200},
		{"stranger", stranger, nil, 403},
		{"stranger says friend", stranger, xff("203.0.113.7"), 403},
		{"stranger says friend and proxy", stranger, xff("203.0.113.7, 10.0.0.1"), 403},
		{"stranger says friend, forwarded", stranger, fwd("for=203.0.113.7"), 403},
		{"stranger says friend otherwise", stranger, http.Header{"X-Real-Ip": {"203.0.113.7"}, "True-Client-Ip": {"203.0.113.7"}}, 403},

		// X-Forwarded-For of a proxy.
		{"says nothing", proxy, nil, 403},
		{"says friend", proxy, xff("203.0.113.7"), 200},
		{"says stranger", proxy, xff("198.51.100.9"), 403},
		{"stranger forged, left", proxy, xff("203.0.113.7, 198.51.100.9"), 403},
		{"stranger forged, line before", proxy, xff("203.0.113.7", "198.51.100.9"), 403},
		{"friend behind nonsense", proxy, xff("unknown,,<script>, 203.0.113.7"), 200},
		{"friend behind a line of nonsense", proxy, xff("", "203.0.113.7"), 200},
		{"two proxies", proxy, xff("203.0.113.7, 10.9.9.9"), 200},
		{"two proxies in two lines", proxy, xff("203.0.113.7", "10.9.9.9"), 200},
		{"two proxies, stranger", proxy, xff("203.0.113.7, 198.51.100.9, 10.9.9.9"), 403},
		{"two proxies, one not ours", proxy, xff("203.0.113.7, 198.51.100.1"), 403},
		{"only proxies", proxy, xff("10.1.1.1, 10.2.2.2"), 403},
		{"with port", proxy, xff("203.0.113.7:4711"), 200},
		{"with bad port", proxy, xff("203.0.113.7:99999"), 403},
		{"with no port", proxy, xff("203.0.113.7:"), 403},
		{"mapped", proxy, xff("::ffff:203.0.113.7"), 200},
		{"v6", proxy, xff("fd00::7"), 200},
		{"v6 in brackets", proxy, xff("[fd00::7]"), 200},
		{"v6 with port", proxy, xff("[fd00::7]:443"), 200},
		{"v6 with zone", proxy, xff("fd00::7%eth0"), 403},
		{"v4 in brackets", proxy, xff("[203.0.113.7]"), 403},
		{"leading zeros", proxy, xff("203.0.113.007"), 403},
		{"short", proxy, xff("203.0.7"), 403},
		{"quoted", proxy, xff(`"203.0.113.7"`), 403},
		{"spaces and tabs", proxy, xff(" \t203.0.113.7\t "), 200},
		{"two in one", proxy, xff("203.0.113.7 198.51.100.9"), 403},
		{"ends in a comma", proxy, xff("203.0.113.7,"), 403},
		{"last line is empty", proxy, xff("203.0.113.7", ""), 403},
		{"unknown", proxy, xff("203.0.113.7, unknown"), 403},
		{"host name", proxy, xff("friend.example"), 403},
		{"line end", proxy, xff("203.0.113.7\r\n"), 403},

		// Forwarded of a proxy.
		{"forwarded", proxy, fwd("for=203.0.113.7"), 200},
		{"forwarded, all there is", proxy, fwd(`By=10.0.0.1;FOR=203.0.113.7; proto=https;host="a\"b, for=198.51.100.9"`), 200},
		{"forwarded, quoted", proxy, fwd(`for="203.0.113.7:80"`), 200},
		{"forwarded, hidden port", proxy, fwd(`for="203.0.113.7:_x"`), 200},
		{"forwarded, v6", proxy, fwd(`for="[fd00::7]:80"`), 200},
		{"forwarded, v6 not quoted", proxy, fwd("for=[fd00::7]"), 403},
		{"forwarded, v6 without brackets", proxy, fwd(`for="fd00::7"`), 403},
		{"forwarded, left", proxy, fwd("for=203.0.113.7, for=198.51.100.9"), 403},
		{"forwarded, line before", proxy, fwd("for=203.0.113.7", "for=198.51.100.9"), 403},
		{"forwarded, two proxies", proxy, fwd("for=203.0.113.7,for=10.2.2.2"), 200},
		{"forwarded, unknown", proxy, fwd("for=unknown"), 403},
		{"forwarded, hidden", proxy, fwd("for=_friend"), 403},
		{"forwarded, nobody", proxy, fwd("proto=https"), 403},
		{"forwarded, twice in one", proxy, fwd("for=198.51.100.9;for=203.0.113.7"), 403},
		{"forwarded, quote left open", proxy, fwd(`for="203.0.113.7`), 403},
		{"forwarded, quote opened before", proxy, fwd(`for=203.0.113.7;x=", for=198.51.100.9`), 403},
		{"forwarded, quote opened before a quote", proxy, fwd(`for=203.0.113.7;x=", for="198.51.100.9"`), 403},
		{"forwarded, escape before", proxy, fwd(`for=203.0.113.7;x="\, for="198.51.100.9"`), 403},
		{"forwarded, ends in an escape", proxy, fwd(`for="203.0.113.7\`), 403},
		{"forwarded, empty element", proxy, fwd(", for=203.0.113.7"), 403},
		{"forwarded, empty", proxy, fwd(""), 403},
		{"forwarded, spaces around =", proxy, fwd("for = 203.0.113.7"), 403},
		{"forwarded, behind a bad line that is not read", proxy, fwd("=;,", "for=203.0.113.7"), 200},

		// Both: a proxy sets one, and lets the other through.
		{"both agree", proxy, both("203.0.113.7", "for=203.0.113.7"), 200},
		{"forwarded is forged", proxy, both("198.51.100.9", "for=203.0.113.7"), 403},
		{"x-forwarded-for is forged", proxy, both("203.0.113.7", "for=198.51.100.9"), 403},
		{"forwarded is nonsense", proxy, both("203.0.113.7", "for"), 403},
		{"x-forwarded-for is nonsense", proxy, both("?", "for=203.0.113.7"), 403},

		{"v6 proxy", "[fd99::1]:1", xff("203.0.113.7"), 200},
		{"mapped proxy", "[::ffff:10.0.0.1]:1", xff("203.0.113.7"), 200},
		{"no address", "@", xff("203.0.113.7"), 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			rp := door(t, q, repeater.TrustProxies("10.0.0.0/8"), repeater.TrustProxies("fd99::/16"),
				repeater.Route("/", anywhere, repeater.AllowFrom("203.0.113.7", "fd00::7")))
			w := try(rp, "POST", "/x", func(r *http.Request) {
				r.RemoteAddr = tt.from
				for name, values := range tt.header {
					r.Header[name] = values
				}
			})
			if wantStatus(t, w, tt.want); tt.want != 200 {
				q.wantNothing(t)
			}
		})
	}
}

// TestAllowTheProxyItself: who is let in as a proxy is let in only when it speaks for itself.
func TestAllowTheProxyItself(t *testing.T) {
	t.Parallel()
	rp := door(t, &pushes{}, repeater.TrustProxies("10.0.0.1"), repeater.Route("/", anywhere, repeater.AllowFrom("10.0.0.0/8")))
	for said, want := range map[string]int{"": 200, "10.0.0.1": 200, "10.0.0.2": 200, "198.51.100.9": 403} {
		w := try(rp, "POST", "/x", func(r *http.Request) {
			r.RemoteAddr = "10.0.0.1:1"
			if said != "" {
				r.Header.Set("X-Forwarded-For", said)
			}
		})
		if w.Code != want {
			t.Errorf("said %q: got %d, want %d", said, w.Code, want)
		}
	}
}

func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{
		"203.0.113.7", "203.0.113.7, 10.0.0.1", "203.0.113.7\n10.0.0.1", "[fd00::7]:80", "a,,b", "::ffff:1.2.3.4", "fe80::1%x", ":80", "[", "]:", "1.2.3.4:_x",
	} {
		f.Add(s, "")
	}
	for _, s := range []string{
		"for=203.0.113.7", `for="[fd00::7]:80";proto=https, for=10.0.0.1`, `for="`, `for=a;x="\", for="1.2.3.4"`, "=", ";", "for=1.2.3.4;FOR=1", `a="\`,
	} {
		f.Add("", s)
		f.Add("203.0.113.7", s)
	}
	proxy := netip.MustParseAddr("10.0.0.1")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, xff, forwarded string) {
		h := make(http.Header)
		if xff != "" {
			h["X-Forwarded-For"] = strings.Split(xff, "\n")
		}
		if forwarded != "" {
			h["Forwarded"] = strings.Split(forwarded, "\n")
		}
		from, ok := repeater.ClientAddr(proxy, h, trusted)
		if ok != from.IsValid() || from.Is4In6() || from.Zone() != "" {
			t.Fatalf("%q gives %v, %v", h, from, ok)
		}
		if from, ok := repeater.ClientAddr(netip.MustParseAddr("192.0.2.1"), h, trusted); !ok || from.String() != "192.0.2.1" {
			t.Fatalf("%q makes a stranger %v", h, from)
		}
		// Whatever a sender has put there, what the proxy appends counts, or nobody passes.
		const real = "198.51.100.9"
		for name, add := range map[string]string{"X-Forwarded-For": real, "Forwarded": "for=" + real} {
			for _, sep := range []string{", ", ",", "\n"} {
				forged := h.Clone()
				if n := len(forged[name]); n > 0 && sep != "\n" {
					forged[name][n-1] += sep + add
				} else {
					forged[name] = append(forged[name], add)
				}
				if from, ok := repeater.ClientAddr(proxy, forged, trusted); ok && from.String() != real {
					t.Fatalf("%q lets a sender of %s be %v", forged, real, from)
				}
			}
		}
	})
}

// FuzzEndToEnd holds the filter of hop-by-hop headers against that of httputil.
func FuzzEndToEnd(f *testing.F) {
	f.Add("X-A", "1", "keep-alive, X-A")
	f.Add("Te", "trailers", "TE")
	f.Add("x-a", "1", "x-a,,\t X-B ")
	f.Add("Upgrade", "websocket", "upgrade")
	f.Add("Connection", "close", "close")
	f.Add("", "1", " ,")
	f.Add("Trailer", "X", "\"X-A\"")
	f.Fuzz(func(t *testing.T, name, value, connection string) {
		name = http.CanonicalHeaderKey(name) // as net/http stores it
		h := http.Header{"X-End": {"1"}, "Connection": {connection}}
		h[name] = append(h[name], value)
		got := repeater.EndToEnd(h)

		var want http.Header
		proxy := httputil.ReverseProxy{
			Rewrite: func(*httputil.ProxyRequest) {},
			Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
				want = r.Header.Clone()
				return nil, http.ErrAbortHandler
			}),
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) {},
		}
		proxy.ServeHTTP(nil, &http.Request{Method: "POST", URL: mustURL("http://h/"), Header: h.Clone(), Body: http.NoBody})
		if want == nil {
			return // httputil does not forward what is malformed
		}
		// Made anew from the stored request, or added by httputil.
		for _, n := range []string{"Content-Length", "Expect", "Http2-Settings"} {
			if got[n] != nil {
				t.Errorf("%s was forwarded", n)
			}
			delete(want, n)
		}
		for _, n := range []string{"Connection", "Upgrade", "Te", "User-Agent"} {
			delete(want, n)
		}
		delete(got, "User-Agent")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %q (-httputil +got):\n%s", h, diff)
		}
	})
}
