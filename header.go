package repeater

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// What we add to each attempt.
const (
	headerID       = "Repeater-Id"
	headerAttempt  = "Repeater-Attempt"
	headerReceived = "Repeater-Received"

	headerFor   = "X-Forwarded-For"
	headerProto = "X-Forwarded-Proto"
	headerHost  = "X-Forwarded-Host"
)

// receivedForm is RFC 3339 with milliseconds, always in UTC.
const receivedForm = "2006-01-02T15:04:05.000Z"

// pseudonym is what we call ourselves in Via, where the loop guard counts it.
const pseudonym = "webhook-repeater"

// maxPasses is how many repeaters may stand in a row; more is taken for a loop.
const maxPasses = 5

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
			if name = textproto.TrimString(name); name != "" {
				delete(out, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	return out
}

// via has the values that say on which protocol we received; nobody changes them.
var via = [...][]string{1: {"1.1 " + pseudonym}, 2: {"2.0 " + pseudonym}, 3: {"3.0 " + pseudonym}}

// addVia says that the request, received on this major version of HTTP, came through us.
func addVia(h http.Header, major int) {
	mine := via[max(1, min(major, len(via)-1))]
	if before := h["Via"]; before != nil {
		mine = append(slices.Clip(before), mine...)
	}
	h["Via"] = mine
}

// passes counts the repeaters that a request has come through.
func passes(h http.Header) int {
	n := 0
	for _, line := range h["Via"] {
		for member := range strings.SplitSeq(line, ",") {
			if f := strings.Fields(member); len(f) > 1 && f[1] == pseudonym {
				n++
			}
		}
	}
	return n
}
