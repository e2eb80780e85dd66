package config

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/webhook-repeater/repeater/internal/router"
)

// TestExactPattern: the pattern of a path matches this path however it is
// escaped, and no other.
func TestExactPattern(t *testing.T) {
	paths := []string{
		"/", "/a", "/a/", "/a/b", "/a b", "/a%20b", "/a%", "/{x}", "/{$}", "/{x...}", "/a/{$}", "/a?b=c", "/a#b", "/a;b",
		"/zażółć", "/a\\b", "/a\"b", "/a+b", "/a:b@c", "/a\x01b", "/a\xffb", "/~a!$&'()*,=", "/POST /x",
	}
	for _, path := range paths {
		var rt router.Router
		if err := rt.Add(exactPattern(path), 0); err != nil {
			t.Errorf("path %q: %v", path, err)
			continue
		}
		for _, other := range append(paths, path+"x", path+"/x") {
			u := &url.URL{Path: other}
			_, matched := rt.Match(http.MethodPost, "", u.EscapedPath())
			if matched != (other == path) {
				t.Errorf("pattern %s of %q: matches %q: %v", exactPattern(path), path, other, matched)
			}
		}
	}
}
