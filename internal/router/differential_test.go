package router_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater/internal/router"
)

// routeNumber is a handler that only says which pattern it stands for.
type routeNumber int

func (routeNumber) ServeHTTP(http.ResponseWriter, *http.Request) {}

// handle reports whether mux takes the pattern.
func handle(mux *http.ServeMux, pattern string, i int) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(pattern, routeNumber(i))
	return
}

// inCommon reports whether Router and ServeMux promise the same for a request,
// and returns it. What is left out is listed in the package's comment.
func inCommon(method, host, raw string) (*http.Request, bool) {
	if raw == "" || raw[0] != '/' || method == http.MethodConnect || host != strings.ToLower(host) ||
		strings.ContainsAny(host, "[]") || path.Clean(raw) != strings.TrimRight(raw, "/") && raw != "/" ||
		strings.HasSuffix(raw, "//") {
		return nil, false
	}
	for _, seg := range strings.Split(raw, "/") {
		if strings.EqualFold(seg, "%2F") {
			return nil, false
		}
	}
	decoded, err := url.PathUnescape(raw)
	u := &url.URL{Path: decoded, RawPath: raw}
	if err != nil || u.EscapedPath() != raw {
		return nil, false
	}
	return &http.Request{Method: method, Host: host, URL: u}, true
}

// compare returns false where ServeMux redirects, so that there is nothing to compare.
func compare(t *testing.T, rt *router.Router, mux *http.ServeMux, r *http.Request) bool {
	t.Helper()
	raw := r.URL.EscapedPath()
	i, ok := rt.Match(r.Method, r.Host, raw)
	h, pattern := mux.Handler(r)
	if want, found := h.(routeNumber); found {
		if !ok || i != int(want) {
			t.Errorf("%s %q %q: got %d, %v, ServeMux takes %d, %q", r.Method, r.Host, raw, i, ok, want, pattern)
		}
		return true
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code/100 == 3 {
		return false
	}
	if ok {
		t.Errorf("%s %q %q: got %d, ServeMux answers %d", r.Method, r.Host, raw, i, w.Code)
	}
	allowed := rt.Allowed(r.Host, raw)
	if !strings.HasSuffix(raw, "/") { // ServeMux adds what a redirect would lead to.
		allowed = append(allowed, rt.Allowed(r.Host, raw+"/")...)
		slices.Sort(allowed)
		allowed = slices.Compact(allowed)
	}
	if got, want := strings.Join(allowed, ", "), w.Header().Get("Allow"); got != want {
		t.Errorf("%q %q: allowed %q, ServeMux says %q", r.Host, raw, got, want)
	}
	return true
}

func pick(rnd *rand.Rand, from ...string) string { return from[rnd.IntN(len(from))] }

func randomPattern(rnd *rand.Rand) string {
	var b strings.Builder
	b.WriteString(pick(rnd, "", "", "GET ", "POST ", "HEAD ", "PUT  "))
	b.WriteString(pick(rnd, "", "", "", "h1.example", "h2.example"))
	for k := range rnd.IntN(4) {
		b.WriteByte('/')
		b.WriteString(pick(rnd, "a", "b", "c", "%61", "a%2Fb", "a%2fb", "x y", "{x"+string(rune('0'+k))+"}"))
	}
	b.WriteString(pick(rnd, "", "", "/", "/{$}", "/{rest...}"))
	if !strings.Contains(b.String(), "/") {
		b.WriteByte('/')
	}
	return b.String()
}

func randomPath(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(5) {
		b.WriteByte('/')
		b.WriteString(pick(rnd, "a", "a", "b", "c", "%61", "%62", "a%2Fb", "a%2fb", "x%20y", "%2e%2e", "z"))
	}
	if b.Len() == 0 || rnd.IntN(3) == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

func TestDifferential(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	added, refused, compared, redirected := 0, 0, 0, 0
	for range 600 {
		rt, mux := new(router.Router), http.NewServeMux()
		for i := range 1 + rnd.IntN(15) {
			p := randomPattern(rnd)
			err, ok := rt.Add(p, i), handle(mux, p, i)
			if (err == nil) != ok {
				t.Fatalf("Add(%q) = %v, ServeMux says %v", p, err, ok)
			}
			if ok {
				added++
			} else {
				refused++
			}
		}
		for range 200 {
			r, ok := inCommon(pick(rnd, "GET", "HEAD", "POST", "PUT", "PATCH"),
				pick(rnd, "", "h1.example", "h2.example:80", "h3.example"), randomPath(rnd))
			switch {
			case !ok:
				t.Fatal("the generator makes what cannot be compared")
			case compare(t, rt, mux, r):
				compared++
			default:
				redirected++
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d patterns added, %d refused, %d requests compared, %d redirected", added, refused, compared, redirected)
	if added < 2000 || refused < 500 || compared < 50_000 {
		t.Error("too little was compared")
	}
}

// checkUnambiguous cleans raw as Go programs do and as decoding servers do, by
// the standard library alone, and finds it on the same route.
func checkUnambiguous(t *testing.T, rt *router.Router, method, host, raw string, i int) {
	t.Helper()
	forms := []string{raw}
	if decoded, err := url.PathUnescape(raw); err == nil && strings.Contains(decoded+"/", "/../") {
		forms = append(forms, strings.ReplaceAll(decoded, "%", "%25"))
	}
	for _, form := range forms {
		cleaned := path.Clean("/" + form)
		if strings.HasSuffix(form, "/") && cleaned != "/" {
			cleaned += "/"
		}
		if j, ok := rt.Match(method, host, cleaned); form != "" && (!ok || j != i) {
			t.Errorf("%q is on route %d, cleaned to %q on %d, %v, but not ambiguous", raw, i, cleaned, j, ok)
		}
	}
}

// fuzzBoth registers the patterns the Router takes. plainHosts tells that none has
// a host that the two compare differently.
func fuzzBoth(t *testing.T, patterns []string) (rt *router.Router, mux *http.ServeMux, plainHosts bool) {
	rt, mux, plainHosts = new(router.Router), http.NewServeMux(), true
	for i, p := range patterns {
		if err := rt.Add(p, i); err != nil {
			if strings.Contains(err.Error(), "registered at") && !strings.Contains(p, "registered at") {
				t.Errorf("message tells source positions: %v", err)
			}
			continue
		}
		if !handle(mux, p, i) {
			t.Errorf("ServeMux refuses %q", p)
		}
		before, _, _ := strings.Cut(p, "/")
		host := before[strings.LastIndexAny(before, " \t")+1:]
		plainHosts = plainHosts && host == strings.ToLower(host) && !strings.ContainsAny(host, "[]")
	}
	return rt, mux, plainHosts
}

func FuzzMatch(f *testing.F) {
	for _, row := range ambiguityTable {
		f.Add(strings.Join(ambiguityPatterns, "\n"), "GET", "in.example:80", row.path)
	}
	f.Add("GET /{x}/b\n/a/{$}\n/a/{y}\nH/%zz", "HEAD", "h", "/a/b/%2F")
	f.Add("[::1]/\n/{x...}\nCONNECT /", "CONNECT", "[::1]:80", "*")
	f.Fuzz(func(t *testing.T, patterns, method, host, raw string) {
		rt, mux, plainHosts := fuzzBoth(t, strings.Split(patterns, "\n"))
		i, ok := rt.Match(method, host, raw)
		rt.Allowed(host, raw)
		ambiguous := rt.Ambiguous(method, host, raw, i)
		if ok && !ambiguous {
			checkUnambiguous(t, rt, method, host, raw, i)
		}
		if r, ok := inCommon(method, host, raw); ok && plainHosts {
			compare(t, rt, mux, r)
		}
	})
}
