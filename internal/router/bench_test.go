package router_test

import (
	"fmt"
	"testing"

	"github.com/webhook-repeater/repeater/internal/router"
)

func hundredRoutes(t testing.TB) *router.Router {
	var patterns []string
	for i := range 25 {
		patterns = append(patterns,
			fmt.Sprintf("POST /hooks/service%d", i),
			fmt.Sprintf("/hooks/tree%d/", i),
			fmt.Sprintf("POST /projects/{id}/event%d", i),
			fmt.Sprintf("POST h%d.example/{team}/{rest...}", i))
	}
	return build(t, patterns...)
}

var ordinary = []struct{ name, host, path string }{
	{"literal", "hooks.example", "/hooks/service17"},
	{"wildcard", "hooks.example:8100", "/projects/4711/event24"},
	{"subtree", "hooks.example", "/hooks/tree3/a/b/c.json"},
	{"host", "h9.example", "/team/a/b/c"},
	{"none", "hooks.example", "/favicon.ico"},
}

func TestOrdinaryRequestsDoNotAllocate(t *testing.T) {
	rt := hundredRoutes(t)
	for _, tt := range ordinary {
		n := testing.AllocsPerRun(100, func() {
			i, ok := rt.Match("POST", tt.host, tt.path)
			if ok && rt.Ambiguous("POST", tt.host, tt.path, i) {
				t.Errorf("%s is ambiguous", tt.path)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	rt := hundredRoutes(b)
	for _, tt := range ordinary {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rt.Match("POST", tt.host, tt.path)
			}
		})
	}
}

func BenchmarkAmbiguous(b *testing.B) {
	rt := hundredRoutes(b)
	for _, path := range []string{"/hooks/service17", "/hooks/tree3/a/b/c.json",
		"/hooks/tree3/group%2Fproject", "/hooks/tree3/a/../b"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			i, _ := rt.Match("POST", "", path)
			for b.Loop() {
				rt.Ambiguous("POST", "", path, i)
			}
		})
	}
}
