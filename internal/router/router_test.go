package router_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/router"
)

// build returns a Router whose route numbers are the patterns' indexes.
func build(t testing.TB, patterns ...string) *router.Router {
	t.Helper()
	rt := new(router.Router)
	for i, p := range patterns {
		if err := rt.Add(p, i); err != nil {
			t.Fatal(err)
		}
	}
	return rt
}

func TestMatch(t *testing.T) {
	patterns := []string{
		"/hooks/",                   // 0
		"POST /hooks/github",        // 1
		"/api/{p}",                  // 2
		"/api/{p}/{$}",              // 3
		"/files/{rest...}",          // 4
		"GET /status",               // 5
		"hooks.example/hooks/",      // 6
		"POST Hooks.Example/{name}", // 7
		"/a%20b/c%2Fd",              // 8
		"/one/{x}/three",            // 9
		"/one/two/{x}/four",         // 10
		"HEAD /api/fixed",           // 11
		"GET /api/fixed",            // 12
		"[::1]/v6",                  // 13
		"CONNECT /tunnel",           // 14
		"/odd%zz",                   // 15
	}
	rt := build(t, patterns...)
	const none = -1
	for _, tt := range []struct {
		method, host, path string
		want               int
	}{
		{"GET", "", "/hooks/", 0},
		{"GET", "", "/hooks", none},
		{"GET", "", "/hooks/x/y", 0},
		{"GET", "", "/hooks//x", 0},
		{"GET", "", "/hooks//", 0},
		{"GET", "", "/hooks/../y", 0},
		{"GET", "", "//hooks/x", none},
		{"GET", "", "/%68ooks/x", 0},
		{"GET", "", "/hooks%2Fx", none},
		{"POST", "", "/hooks/github", 1},
		{"POST", "", "/hooks/git%68ub", 1},
		{"PUT", "", "/hooks/github", 0},
		{"post", "", "/hooks/github", 0},
		{"POST", "", "/hooks/github/", 0},
		{"GET", "", "/api/group%2Fproject", 2},
		{"GET", "", "/api/%2F", 2},
		{"GET", "", "/api/..", 2},
		{"GET", "", "/api/", none},
		{"GET", "", "/api//", none},
		{"GET", "", "/api/x/", 3},
		{"GET", "", "/api/x/%2F", none},
		{"GET", "", "/api/x//", none},
		{"GET", "", "/files", none},
		{"GET", "", "/files/", 4},
		{"GET", "", "/files//", 4},
		{"GET", "", "/files/a/b/", 4},
		{"GET", "", "/status", 5},
		{"HEAD", "", "/status", 5},
		{"POST", "", "/status", none},
		{"HEAD", "", "/api/fixed", 11},
		{"GET", "", "/api/fixed", 12},
		{"POST", "", "/api/fixed", 2},
		{"GET", "hooks.example", "/hooks/a", 6},
		{"GET", "HOOKS.example:8443", "/hooks/a", 6},
		{"POST", "hooks.example", "/hooks/github", 6},
		{"POST", "hooks.example", "/x", 7},
		{"GET", "hooks.example", "/x", none},
		{"GET", "hooks.example", "/status", 5},
		{"GET", "other.example", "/hooks/a", 0},
		{"GET", "ho\u212Aks.example", "/hooks/a", 0},
		{"GET", "", "/a%20b/c%2fd", 8},
		{"GET", "", "/a b/c%2Fd", 8},
		{"GET", "", "/a%20b/c/d", none},
		{"GET", "", "/one/two/three", 9},
		{"GET", "", "/one/two/three/four", 10},
		{"GET", "", "/one//three", none},
		{"GET", "[::1]:80", "/v6", 13},
		{"GET", "[::1]", "/v6", 13},
		{"GET", "::1", "/v6", 13},
		{"GET", "[::2]", "/v6", none},
		{"CONNECT", "", "/tunnel", 14},
		{"CONNECT", "", "", none},
		{"GET", "", "/odd%zz", 15},
		{"GET", "", "/odd%25zz", 15},
		{"OPTIONS", "", "*", none},
		{"GET", "", "hooks/", none},
		{"GET", "", "", none},
		{"GET", "", "/%", none},
		{"GET", "", "/hooks/\x00", 0},
		{"", "", "/hooks/x", 0},
	} {
		i, ok := rt.Match(tt.method, tt.host, tt.path)
		if !ok {
			i = none
		}
		if i != tt.want {
			t.Errorf("Match(%q, %q, %q) = %d, want %d", tt.method, tt.host, tt.path, i, tt.want)
		}
	}
}

func TestRoot(t *testing.T) {
	rt := build(t, "/{$}", "/")
	for path, want := range map[string]int{"": 0, "/": 0, "//": 1, "/x": 1, "/%2F": 1, "/./": 1} {
		if i, ok := rt.Match("GET", "h", path); !ok || i != want {
			t.Errorf("Match(%q) = %d, %v, want %d", path, i, ok, want)
		}
	}
}

func TestAllowed(t *testing.T) {
	rt := build(t, "GET /a", "POST /a", "PUT /{x}", "DELETE h.example/a", "GET h.example/a",
		"/any/{x}", "PUT /any/{x}", "POST /tree/", "POST /{$}")
	for _, tt := range []struct{ host, path, want string }{
		{"", "/a", "GET HEAD POST PUT"},
		{"H.example:80", "/a", "DELETE GET HEAD POST PUT"},
		{"", "/b", "PUT"},
		{"", "/any/any", "PUT"},
		{"", "/tree", "PUT"},
		{"", "/tree/", "POST"},
		{"", "", "POST"},
		{"", "/none/such", ""},
		{"", "*", ""},
	} {
		if got := strings.Join(rt.Allowed(tt.host, tt.path), " "); got != tt.want {
			t.Errorf("Allowed(%q, %q) = %q, want %q", tt.host, tt.path, got, tt.want)
		}
	}
}

func TestZeroRouter(t *testing.T) {
	var rt router.Router
	if _, ok := rt.Match("GET", "h", "/"); ok || rt.Allowed("h", "/") != nil {
		t.Error("the empty Router matches")
	}
	if !rt.Ambiguous("GET", "h", "/../", 0) {
		t.Error("what cleans to no route is not ambiguous")
	}
}

func TestAddErrors(t *testing.T) {
	for _, tt := range []struct {
		before        []string
		pattern, want string
	}{
		{nil, "", `pattern "": empty pattern`},
		{nil, "hooks", `pattern "hooks": at offset 0: host/path missing /`},
		{nil, "POST hooks", `pattern "POST hooks": at offset 5: host/path missing /`},
		{nil, "PO(ST /", `pattern "PO(ST /": at offset 0: invalid method "PO(ST"`},
		{nil, "/{", `pattern "/{": at offset 1: bad wildcard segment (must end with '}')`},
		{nil, "/a{x}", `pattern "/a{x}": at offset 1: bad wildcard segment (must start with '{')`},
		{nil, "/{}", `pattern "/{}": at offset 1: empty wildcard`},
		{nil, "/{x...}/", `pattern "/{x...}/": at offset 1: {...} wildcard not at end`},
		{nil, "/{$}/a", `pattern "/{$}/a": at offset 1: {$} not at end`},
		{nil, "/{x}/{x}", `pattern "/{x}/{x}": at offset 5: duplicate wildcard name "x"`},
		{nil, "{h}/", `pattern "{h}/": at offset 0: host contains '{' (missing initial '/'?)`},
		{nil, "h:80/", `pattern "h:80/": host has a port; hosts are compared without it`},
		{nil, "/a//b", `pattern "/a//b": path has an empty, "." or ".." segment; every request for it would be ambiguous`},
		{nil, "POST /a/../b", `pattern "POST /a/../b": path has an empty, "." or ".." segment; every request for it would be ambiguous`},
		{nil, "/a/%2e%2E/", `pattern "/a/%2e%2E/": path has an empty, "." or ".." segment; every request for it would be ambiguous`},
		{nil, "/a/%2F", `pattern "/a/%2F": path has a segment of "%2F" alone, which cannot be told from {$}`},
		{
			[]string{"/b", "/a/{x}"}, "/a/{y}",
			`pattern "/a/{y}" conflicts with pattern "/a/{x}": /a/{y} matches the same requests as /a/{x}`,
		},
		{
			[]string{"/{x}/b"}, "/a/{y}",
			`pattern "/a/{y}" conflicts with pattern "/{x}/b": /a/{y} and /{x}/b both match some paths, like "/a/b". ` +
				`But neither is more specific than the other. /a/{y} matches "/a/y", but /{x}/b doesn't. ` +
				`/{x}/b matches "/x/b", but /a/{y} doesn't.`,
		},
		{
			[]string{"POST /a/"}, "/a/b",
			`pattern "/a/b" conflicts with pattern "POST /a/": /a/b matches more methods than POST /a/, but has a more specific path pattern`,
		},
		{
			[]string{"H.example/a"}, "h.EXAMPLE/a",
			`pattern "h.EXAMPLE/a" conflicts with pattern "H.example/a": h.example/a matches the same requests as h.example/a`,
		},
		{
			[]string{"/1", "/2", "/3", "/4"}, "/{x}", "",
		},
		{ // Of several conflicts the oldest pattern is named, every time.
			[]string{"/a/{x}/3/{y}", "/b/{x}/{y}/4", "/c/{x}/3/{y}"}, "/{w}/1/{x}/{y}",
			`pattern "/{w}/1/{x}/{y}" conflicts with pattern "/a/{x}/3/{y}": `,
		},
		{ // A pattern that looks like ServeMux's message does not confuse ours.
			[]string{"/(registered-at-x):/{x}"}, "/(registered-at-x):/{y}",
			`pattern "/(registered-at-x):/{y}" conflicts with pattern "/(registered-at-x):/{x}": `,
		},
	} {
		rt := new(router.Router)
		for i, p := range tt.before {
			if err := rt.Add(p, i); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		if err := rt.Add(tt.pattern, 9); err != nil {
			got = err.Error()
		}
		if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("Add(%q) after %q:\n got %s\nwant %s", tt.pattern, tt.before, got, tt.want)
		}
		if strings.Contains(got, ".go") || strings.Contains(got, "\n") {
			t.Errorf("message tells source positions or has lines: %s", got)
		}
	}
}

// A refused pattern must not match, nor stand in the way of a good one.
func TestAddErrorLeavesNoTrace(t *testing.T) {
	rt := build(t, "/a/{x}")
	if rt.Add("/{x}/b", 1) == nil || rt.Add("/c//d", 2) == nil {
		t.Fatal("no error")
	}
	if err := rt.Add("/{x}/c/d", 3); err != nil {
		t.Error(err)
	}
	if i, ok := rt.Match("GET", "", "/z/b"); ok {
		t.Errorf("the refused pattern matches as %d", i)
	}
}

// 2^10 patterns share every combination of literal and wildcard, the worst there
// is for backtracking; the path is longer than any of them.
func TestMatchIsNotExponential(t *testing.T) {
	rt := new(router.Router)
	for k := range 1 << 10 {
		var b strings.Builder
		for bit := range 10 {
			if k>>bit&1 == 0 {
				b.WriteString("/a")
			} else {
				fmt.Fprintf(&b, "/{x%d}", bit)
			}
		}
		fmt.Fprintf(&b, "/end%d/{rest...}", k)
		if err := rt.Add(b.String(), k); err != nil {
			t.Fatal(err)
		}
	}
	best := time.Duration(math.MaxInt64)
	for range 5 {
		start := time.Now()
		for _, path := range []string{
			strings.Repeat("/a", 50_000),
			strings.Repeat("/a", 10) + "/" + strings.Repeat("%61", 100_000),
			strings.Repeat("/", 100_000),
		} {
			if i, ok := rt.Match("GET", "", path); ok {
				t.Fatalf("matched %d", i)
			}
		}
		best = min(best, time.Since(start))
	}
	if best > 5*time.Second {
		t.Errorf("took %v", best)
	}
	if i, ok := rt.Match("GET", "", "/b/a/b/a/b/a/b/a/b/a/end341/x"); !ok || i != 341 {
		t.Errorf("Match = %d, %v, want 341", i, ok)
	}
}
