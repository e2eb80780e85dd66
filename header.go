package repeater

import (
	"net/http"
	"net/textproto"
	"strings"
)

// What we add to each attempt.
const (
	headerID      = "Repeater-Id"
	headerAttempt = "Repeater-Attempt"
)

// hopByHop belongs to one connection only, or is made anew from the stored body.
var hopByHop = map[string]bool{
	"Connection":          true,
	"Content-Length":      true,
	"Expect":              true,
	"Http2-Settings":      true,
	"Keep-Alive":          true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
}

// endToEnd returns the headers that travel on. The values are shared with h.
func endToEnd(h http.Header) http.Header {
	out := make(http.Header, len(h)+3)
	for name, values := range h {
		if !hopByHop[name] {
			out[name] = values
		}
	}
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			delete(out, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
	return out
}
