// Package orderkey finds in a request the key whose messages keep their order: in a header, or
// in a JSON body.
package orderkey

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Parse reads "header:NAME" or "json:POINTER", a JSON pointer (RFC 6901) into the body. The function it
// returns gives "", no key, for a request that has no such thing.
func Parse(text string) (func(*http.Request) string, error) {
	where, what, _ := strings.Cut(text, ":")
	switch where {
	case "header":
		if !IsHeaderName(what) {
			return nil, errors.New("names no header")
		}
		return func(r *http.Request) string { return r.Header.Get(what) }, nil
	case "json":
		path, ok := parsePointer(what)
		if !ok {
			return nil, errors.New(`has no JSON pointer, which looks like "/issue/key"`)
		}
		return func(r *http.Request) string { return find(json.NewDecoder(r.Body), path) }, nil
	}
	return nil, errors.New("is neither of a header nor of a JSON body")
}

// IsHeaderName tells whether s is a token, as the name of a header is.
func IsHeaderName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	})
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func parsePointer(s string) (path []string, ok bool) {
	if len(s) < 2 || s[0] != '/' || strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(s), "~") {
		return nil, false
	}
	path = strings.Split(s[1:], "/")
	for i := range path {
		path[i] = unescape.Replace(path[i])
	}
	return path, true
}

// find reads no further than it must. Strings are their text, numbers and booleans as they
// are written; all else is no key.
func find(d *json.Decoder, path []string) string {
	d.UseNumber()
	for _, name := range path {
		t, err := d.Token()
		if err != nil {
			return ""
		}
		switch {
		case t == json.Delim('{') && member(d, name):
		case t == json.Delim('[') && element(d, name):
		default:
			return ""
		}
	}
	t, err := d.Token()
	if err != nil {
		return ""
	}
	switch v := t.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// member goes to the value of the first member of that name.
func member(d *json.Decoder, name string) bool {
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return false
		}
		if t == name {
			return true
		}
		if skip(d) != nil {
			return false
		}
	}
	return false
}

// element goes to the element of that number.
func element(d *json.Decoder, number string) bool {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != number {
		return false
	}
	for ; n > 0 && d.More(); n-- {
		if skip(d) != nil {
			return false
		}
	}
	return d.More()
}

// skip passes over one value, whatever its depth.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
