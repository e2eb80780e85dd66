package config

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// TestExactPattern: the pattern of a path matches this path however it is
// escaped, and no other.
func TestExactPattern(t *testing.T) {
	paths := []string{
		"/", "/a", "/a/", "/a/b", "/a b", "/a%20b", "/a%", "/{x}", "/{$}", "/{x...}", "/a/{$}", "/a?b=c", "/a#b", "/a;b",
		"/zażółć", "/a\\b", "/a\"b", "/a+b", "/a:b@c", "/a\x01b", "/a\xffb", "/~a!$&'()*,=", "/POST /x",
	}
	for _, path := range paths {
		mux := http.NewServeMux()
		mux.HandleFunc(exactPattern(path), func(http.ResponseWriter, *http.Request) {})
		for _, other := range append(paths, path+"x", path+"/x") {
			u := &url.URL{Path: other}
			_, pattern := mux.Handler(httptest.NewRequest("POST", u.EscapedPath(), nil))
			if matched := pattern != ""; matched != (other == path) {
				t.Errorf("pattern %s of %q: matches %q: %v", exactPattern(path), path, other, matched)
			}
		}
	}
}
