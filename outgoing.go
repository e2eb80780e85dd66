package repeater

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// outgoing makes the request to send from the stored one and from the current
// configuration, and returns the stored one, too. Its error is the reason why the message is dead.
func (r view) outgoing(m Claimed) (*http.Request, *Request, error) {
	if m.Err != nil {
		return nil, nil, m.Err
	}
	rt := r.cfg.byName[m.Route]
	if rt == nil {
		return nil, nil, fmt.Errorf("route %q is no longer configured", m.Route)
	}
	if m.Key.Dest >= len(rt.dests) {
		return nil, nil, fmt.Errorf("route %q no longer has a destination %d", m.Route, m.Key.Dest)
	}
	in, err := r.cfg.codec.Decode(m.Key, m.Payload)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot decode: %w", err)
	}
	dest := rt.dests[m.Key.Dest]
	req := &http.Request{
		Method:        in.Method,
		URL:           dest.address(in, rt.keepPath),
		Host:          dest.url.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        in.Header,
		ContentLength: int64(len(in.Body)),
	}
	if rt.keepHost { // which is "" for HTTP/1.0 without one, and then means the target's
		req.Host = in.Host
	}
	setBody(req, in.Body)
	setHeaders(req, rt, dest, m, in)
	if rt.sign != nil {
		sign(req.Header, rt.sign, m.Key.ID, r.cfg.clock(), in.Body)
	}
	return req, in, nil
}

// setBody lets the transport try another connection when one turns out to be
// closed before anything was written. With an idempotency key it would also
// resend what may have arrived: that is for the queue to decide. A bytes.Reader it knows
// to be in memory, and sends header and body in one write.
func setBody(req *http.Request, body []byte) {
	if len(body) == 0 {
		return
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = open()
	if req.Header["Idempotency-Key"] == nil && req.Header["X-Idempotency-Key"] == nil {
		req.GetBody = open
	}
}

// setHeaders adds what is ours; the values share one array.
func setHeaders(req *http.Request, rt *route, dest destination, m Claimed, in *Request) {
	h := req.Header
	values := make([]string, 0, addedHeaders)
	set := func(name, value string) {
		n := len(values)
		values = append(values, value)
		h[name] = values[n : n+1 : n+1]
	}
	set(headerID, m.Key.ID)
	set(headerAttempt, strconv.Itoa(m.Attempts+1))
	set(headerReceived, m.Received.UTC().Format(receivedForm))
	set(headerFor, forwardedFor(h[headerFor], in.RemoteAddr))
	if h[headerHost] == nil && in.Host != "" {
		set(headerHost, in.Host)
	}
	if h[headerProto] == nil {
		set(headerProto, scheme(in.TLS))
	}
	if _, ok := h["User-Agent"]; !ok {
		set("User-Agent", "") // or net/http adds its own
	}
	if rt.md5 != nil {
		set(headerMD5, signMD5(rt.md5, h, in.Body))
	}
	if u := dest.url.User; u != nil && h["Authorization"] == nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
}

// forwardedFor appends the sender's address to all that came before, in one line: a
// receiver that looks at the first line only must not see what a sender forged.
func forwardedFor(before []string, remote string) string {
	from := "unknown" // as of a Unix socket
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		from = ap.Addr().Unmap().WithZone("").String()
	}
	if len(before) == 0 {
		return from
	}
	return strings.Join(before, ", ") + ", " + from
}

func scheme(encrypted bool) string {
	if encrypted {
		return "https"
	}
	return "http"
}

// address is where a request goes: target's path, then the request's if wanted;
// target's query, then the request's. Both as the bytes that came.
func (d destination) address(in *Request, keepPath bool) *url.URL {
	path := cmp.Or(d.url.EscapedPath(), "/")
	if keepPath {
		path = strings.TrimSuffix(path, "/") + in.Path
	}
	query, asked := strings.CutPrefix(in.Query, "?")
	switch {
	case d.url.RawQuery != "" && query != "":
		query = d.url.RawQuery + "&" + query
	case d.url.RawQuery != "":
		query = d.url.RawQuery
	}
	u := &url.URL{Scheme: d.url.Scheme, Host: d.url.Host, RawQuery: query, ForceQuery: asked || d.url.ForceQuery}
	setRawPath(u, path)
	return u
}

// setRawPath makes u.RequestURI return path to the byte. net/url escapes again what
// it thinks is badly escaped; Opaque is left alone, but for a leading "//", where the
// absolute form says the same.
func setRawPath(u *url.URL, path string) {
	if p, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = p, path
		if u.EscapedPath() == path {
			return
		}
	}
	u.Opaque = path
	if strings.HasPrefix(path, "//") {
		u.Opaque = "//" + u.Host + path
	}
}
