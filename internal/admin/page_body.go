package admin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	howToShow = "Headers and bodies are not shown, as they may hold secrets. To see them here, set show_payloads = yes in the section [admin] of the configuration, and restart."

	maxText   = 64 << 10 // shown of a text, in bytes
	maxHex    = 4 << 10  // shown of anything else
	maxPretty = 1 << 20  // laid out anew, if it is JSON
)

// requestView is a request for the eye.
type requestView struct {
	Method, Path, Host string
	Header             []field
	Body               string
	Form               string // what Body is: "json", "text", "hex" or "empty"
	Size               measure
	Shown              measure
	Cut                bool
	Download           string
}

func newRequestView(r *Request) requestView {
	v := requestView{Method: r.Method, Path: r.Path, Host: r.Host, Header: headerLines(r.Header), Size: size(int64(len(r.Body)))}
	v.Body, v.Form = readable(r.Body)
	switch v.Form {
	case "hex":
		v.Cut, v.Shown = len(r.Body) > maxHex, size(maxHex)
	default:
		v.Cut, v.Shown = len(v.Body) > maxText, size(maxText)
		v.Body = clipText(v.Body)
	}
	return v
}

// readable is a body in the form in which a person reads it best.
func readable(body []byte) (text, form string) {
	if len(body) == 0 {
		return "", "empty"
	}
	if trimmed := bytes.TrimSpace(body); len(body) <= maxPretty && len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		var out bytes.Buffer
		if json.Indent(&out, trimmed, "", "  ") == nil && isText(out.Bytes()) {
			return out.String(), "json"
		}
	}
	if isText(body) {
		return string(body), "text"
	}
	return hex.Dump(body[:min(len(body), maxHex)]), "hex"
}

// isText looks only at what would be shown.
func isText(b []byte) bool {
	if len(b) > maxText {
		b = b[:maxText]
		for i := 0; i < utf8.UTFMax && len(b) > 0 && !utf8.Valid(b[max(0, len(b)-utf8.UTFMax):]); i++ {
			b = b[:len(b)-1]
		}
	}
	if !utf8.Valid(b) {
		return false
	}
	return bytes.IndexFunc(b, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }) < 0
}

// clipText cuts a long text, behind a line if one ends near.
func clipText(s string) string {
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText]
	if i := strings.LastIndexByte(s, '\n'); i > maxText/2 {
		return s[:i+1]
	}
	return strings.ToValidUTF8(s, "")
}
