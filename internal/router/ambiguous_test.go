package router_test

import (
	"strings"
	"testing"
	"time"
)

var ambiguityPatterns = []string{
	"/hooks/",           // 0
	"/admin",            // 1
	"/admin/",           // 2
	"/api/{p}",          // 3
	"/hooks/fixed",      // 4
	"POST /api/write",   // 5
	"/tree/{x...}",      // 6
	"/v1.2/{x}",         // 7
	"in.example/",       // 8
	"/hooks/deep/fixed", // 9
	"/hooks/.../",       // 10
	"/hooks/z/{$}",      // 11
}

var ambiguityTable = []struct {
	path string
	want bool
}{
	// Nothing to clean.
	{"/hooks/a", false},
	{"/hooks/a/", false},
	{"/hooks/a.b/c..d/...", false},
	{"/hooks/.git/..hidden", false},
	{"/hooks/a%20b", false},
	{"/v1.2/x", false},
	{"/v1%2E2/x", false},
	// Empty segments.
	{"/hooks//b", false},
	{"/hooks/a//b", false},
	{"/hooks/a//", false},
	{"/hooks//fixed", true},
	{"/hooks//...", false},
	{"/hooks///", false},
	{"/tree//", false},
	// Dot segments in the open.
	{"/hooks/./a", false},
	{"/hooks/./fixed", true},
	{"/hooks/a/../b", false},
	{"/hooks/../admin", true},
	{"/hooks/../hooks/a", false},
	{"/hooks/../../../admin/x", true},
	{"/hooks/../nowhere", true},
	{"/hooks/..", true},
	{"/hooks/.", true}, // path.Clean makes it /hooks, which no route has.
	{"/hooks/a/..", true},
	{"/hooks/a/../", false},
	{"/hooks/a/b/..", false},
	{"/hooks/fixed/..", true},
	{"/hooks/z/.", true}, // RFC 3986 makes it /hooks/z/.
	{"/hooks/y/.", false},
	{"/api/..", true},
	{"/api/.", true},
	{"/tree/a/../..", true},
	// Encoded dots.
	{"/hooks/%2e%2e/admin", true},
	{"/hooks/%2E%2e/admin", true},
	{"/hooks/.%2e/admin", true},
	{"/hooks/%2e./hooks/a", false},
	{"/hooks/%2e/fixed", true},
	{"/api/%2e%2e", true},
	{"/hooks/%2e%2e%2e/admin", false},
	// Encoded slashes.
	{"/api/group%2Fproject", false},
	{"/api/group%2fsub%2Fproject", false},
	{"/api/a%2F%2Fb", false},
	{"/hooks/deep%2Ffixed", false},
	{"/hooks/./deep%2Ffixed", false},
	{"/hooks/x/../deep%2Ffixed", true},
	{"/hooks/%2E%2E/hooks%2Fa", true},
	{"/api/a%2F..", true},
	{"/api/a%2F..%2Fb", false},
	{"/api/a%2F..%2F..%2Fadmin", true},
	{"/api/..%2Fadmin", true},
	{"/api/.%2Fa", false},
	{"/api/.%2Fa%2Fb", true},
	{"/hooks/a%2F..%2F..%2Fadmin", true},
	{"/hooks/a%2F%2e%2e%2F%2E%2E%2Fadmin", true},
	{"/hooks/a%2F..%2Fb", false},
	{"/hooks/..%2fadmin", true},
	{"/hooks/..%2F", true},
	{"/hooks/%2F..%2Fa", true}, // Merged first, ".." removes hooks.
	// ".." seen in the open removes something else once "%2F" separates.
	{"/hooks/../admin%2Fx/../hooks/a", true},
	// ".." removes an empty segment where those are not merged.
	{"/hooks//../../admin//../hooks/z", true},
	// Backslashes.
	{`/hooks/a\b`, false},
	{`/hooks/a%5Cb`, false},
	{`/hooks/..\admin`, true},
	{`/hooks/..%5Cadmin`, true},
	{`/hooks/%2e%2e%5cadmin`, true},
	{`/hooks/a%5C..%5C..%5Cadmin`, true},
	{`/hooks/a\..\b`, false},
	{`/api/a%5Cb`, false},
	// Parameters of a dot segment.
	{"/hooks/..;/admin", true},
	{"/hooks/..;x=1/hooks/a", false},
	{"/hooks/%2e%2e;/admin", true},
	{"/hooks/a;x/b", false},
	{"/api/a;x=..", false},
	// Decoded once only, and bad escapes.
	{"/hooks/%252e%252e/admin", false},
	{"/hooks/..%252Fadmin", false},
	{"/hooks/%zz", false},
	{"/hooks/%", false},
	{"/hooks/%zz/..%2F..%2Fadmin", true},
	{"/hooks/%2e%2", false},
	{"/hooks/\x00/../..%00", false},
	// The start of the path.
	{"//hooks/a", false},
	{"/./hooks/a", false},
	{"//admin", true},
}

func TestAmbiguous(t *testing.T) {
	rt := build(t, ambiguityPatterns...)
	for _, tt := range ambiguityTable {
		i, ok := rt.Match("GET", "", tt.path)
		if !ok {
			i = 0 // The last rows: what a caller would ask of another matcher.
		}
		if got := rt.Ambiguous("GET", "", tt.path, i); got != tt.want {
			t.Errorf("Ambiguous(%q, %d) = %v, want %v", tt.path, i, got, tt.want)
		}
	}
}

func TestAmbiguousMethodAndHost(t *testing.T) {
	rt := build(t, ambiguityPatterns...)
	for _, tt := range []struct {
		method, host, path string
		i                  int
		want               bool
	}{
		{"GET", "", "/api/./write", 3, false},
		{"POST", "", "/api/./write", 3, true},
		{"GET", "in.example:80", "/hooks/../admin", 8, false},
		{"GET", "out.example", "/hooks/../admin", 0, true},
		{"GET", "", "", 0, false},
		{"OPTIONS", "", "*", 0, true},
		{"GET", "", "hooks/a", 0, false},
		{"GET", "", "..", 0, true},
	} {
		if got := rt.Ambiguous(tt.method, tt.host, tt.path, tt.i); got != tt.want {
			t.Errorf("Ambiguous(%q, %q, %q, %d) = %v, want %v",
				tt.method, tt.host, tt.path, tt.i, got, tt.want)
		}
	}
}

// The limit is far above what linear work takes, even instrumented on a busy host.
func TestAmbiguousLongPaths(t *testing.T) {
	rt := build(t, ambiguityPatterns...)
	start := time.Now()
	for _, part := range []string{"../", "a/../", "%2e%2e%2F", `..\`, "..;/", "//", "./", "%"} {
		rt.Ambiguous("GET", "", "/hooks/"+strings.Repeat(part, 20_000), 0)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}
