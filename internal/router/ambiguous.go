package router

import (
	"bytes"
	"strings"
)

// Ambiguous reports whether the path, once cleaned as a lenient server might
// clean it, would match another route than i, or none. The caller, who got i
// from Match, refuses such a request: it may mean to the destination what no
// route allows.
//
// A lenient server merges empty segments and resolves "." and "..", whether it
// percent-decodes the path before that or not (so that "%2F" separates), whether
// or not it takes a backslash for a slash and drops the parameters of "..;x".
// Decoding counts only where it meets a dot segment, so "group%2Fproject" stays
// one harmless segment. The path is decoded once, not again.
func (rt *Router) Ambiguous(method, host, path string, i int) bool {
	if plain(path) {
		return false
	}
	strays := func(form string) bool {
		if form == path {
			return false
		}
		j, ok := rt.Match(method, host, form)
		return !ok || j != i
	}
	raw := path
	if raw[0] != '/' {
		raw = "/" + raw
	}
	decoded := decode(raw)
	slashed := strings.ReplaceAll(decoded, `\`, "/")
	single, _ := countDots(raw)
	for k, view := range [...]string{raw, decoded, slashed} {
		if k == 0 || dotted(view, single) {
			if anyForm(view, strays) {
				return true
			}
		}
		if bare := dropDotParams(view); bare != view && anyForm(bare, strays) {
			return true
		}
	}
	return false
}

// plain reports whether nobody could see anything to clean. It is the way of
// nearly all requests, so it is one pass and allocates nothing.
func plain(path string) bool {
	if path != "" && path[0] != '/' {
		return false
	}
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '.', '%', '\\':
			return false
		case '/':
			if i > 0 && path[i-1] == '/' {
				return false
			}
		}
	}
	return true
}

// dotted reports whether a decoded view must be cleaned: it shows a "." that the
// raw path did not, or a "..", even one seen before, as decoding may change what
// it removes ("/x%2Fy/..").
func dotted(view string, rawSingle int) bool {
	single, double := countDots(view)
	return double > 0 || single > rawSingle
}

// anyForm reports whether f holds for a cleaned form of path.
func anyForm(path string, f func(string) bool) bool {
	single, double := countDots(path)
	if single+double == 0 && !strings.Contains(path, "//") {
		return f(path)
	}
	// path.Clean merges empty segments before "..", RFC 3986 does not; the two
	// can end in different places ("/a//../b").
	for _, merge := range []bool{true, false} {
		form, dotEnd := resolve(path, merge)
		// After "/a/b/.." path.Clean ends in "/a", RFC 3986 in "/a/".
		if f(form) || dotEnd && form != "/" && f(form+"/") {
			return true
		}
	}
	return false
}

// resolve removes dot segments, and empty segments if merge, but keeps a
// trailing slash. dotEnd tells that the last segment was a dot segment.
func resolve(path string, merge bool) (form string, dotEnd bool) {
	out := make([]byte, 0, len(path)+1)
	for path != "" {
		var seg string
		seg, path = cutSegment(path)
		dots := dotSegment(seg)
		dotEnd = dots > 0
		switch {
		case dots == 2:
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		case dots == 1, seg == "" && merge && path != "":
		default:
			out = append(append(out, '/'), seg...)
		}
	}
	if len(out) == 0 {
		return "/", dotEnd
	}
	return string(out), dotEnd
}

// dotSegment returns 1 for ".", 2 for "..", each dot maybe encoded, and else 0.
func dotSegment(seg string) int {
	n := 0
	for ; seg != "" && n < 3; n++ {
		switch {
		case seg[0] == '.':
			seg = seg[1:]
		case len(seg) > 2 && strings.EqualFold(seg[:3], "%2e"):
			seg = seg[3:]
		default:
			return 0
		}
	}
	return n % 3
}

func countDots(path string) (single, double int) {
	for path != "" {
		var seg string
		seg, path = cutSegment(path)
		switch dotSegment(seg) {
		case 1:
			single++
		case 2:
			double++
		}
	}
	return single, double
}

// dropDotParams makes ".." of "..;x", as servers do that know path parameters.
func dropDotParams(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segs := strings.Split(path, "/")
	for k, seg := range segs {
		if name, _, _ := strings.Cut(seg, ";"); dotSegment(name) > 0 {
			segs[k] = name
		}
	}
	return strings.Join(segs, "/")
}

// decode resolves every valid escape of path and leaves the others. A "%" in the
// result is written "%25", so that Match, which decodes, reads it as it is here.
func decode(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]) {
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
		}
		if c == '%' {
			b.WriteString("%25")
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0x0f + 9
}
