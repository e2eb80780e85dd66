package repeater_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

const anywhere = "http://dest.example/"

var idForm = regexp.MustCompile(`^[0-9a-v]{26}$`)

func TestAccepted(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	addr := listen(t, door(t, q, repeater.Route("/hooks/jira", anywhere)))
	got := sendRaw(t, addr, post("/hooks/jira?a=1", "the body"))
	if got.status != 200 || got.body != "OK" {
		t.Errorf("got %d %q, want 200 OK", got.status, got.body)
	}
	if want := []string{"text/plain"}; !cmp.Equal(got.header["Content-Type"], want) {
		t.Errorf("Content-Type is %q, want %q", got.header["Content-Type"], want)
	}
	id := got.header["Repeater-Id"]
	if len(id) != 1 || !idForm.MatchString(id[0]) {
		t.Fatalf("Repeater-Id is %q, want one of 26 characters", id)
	}
	if stored := q.only(t); stored.ID != id[0] {
		t.Errorf("stored under %q, answered %q", stored.ID, id[0])
	}
}

func TestHeadIsAcceptedWithoutBody(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	addr := listen(t, door(t, q, repeater.Route("GET /ping", anywhere)))
	got := sendRaw(t, addr, request("HEAD", "/ping", ""))
	if got.status != 200 || got.body != "" || got.header.Get("Repeater-Id") == "" {
		t.Errorf("got %d %q with id %q, want 200, no body and an id", got.status, got.body, got.header.Get("Repeater-Id"))
	}
	if m := storedRequest(t, q).Method; m != "HEAD" {
		t.Errorf("stored a %s request, want HEAD", m)
	}
}

func TestIDsAreUnique(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	rp := door(t, q, repeater.Route("/hooks/", anywhere))
	const senders, each = 16, 200
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				try(rp, "POST", "/hooks/x")
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, b := range q.batches() {
		if !idForm.MatchString(b.ID) {
			t.Fatalf("id %q has not the form %v", b.ID, idForm)
		}
		seen[b.ID] = true
	}
	if len(seen) != senders*each {
		t.Errorf("%d different ids of %d requests", len(seen), senders*each)
	}
}

func TestEveryDestinationHearsTheSameID(t *testing.T) {
	t.Parallel()
	a, b := newDestination(t, answerOK), newDestination(t, answerOK)
	addr := listen(t, deliver(t, repeater.Route("/hooks/x", a.url("/0"),
		repeater.AlsoTo(b.url("/1")), repeater.AlsoTo(a.url("/2")))))
	id := sendRaw(t, addr, post("/hooks/x", "hello")).header.Get("Repeater-Id")
	reached := make(map[string]string)
	for _, r := range []wireRequest{a.next(t), b.next(t), a.next(t)} {
		reached[r.target()] = fmt.Sprintf("%s #%s %s", r.value("Repeater-Id"), r.value("Repeater-Attempt"), r.body)
	}
	want := id + " #1 hello"
	if diff := cmp.Diff(map[string]string{"/0": want, "/1": want, "/2": want}, reached); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

// TestRouting takes requests from the wire, so that nothing cleans a path on its way.
func TestRouting(t *testing.T) {
	t.Parallel()
	routes := []string{
		"/hooks/jira", "POST /only/post", "GET /only/get", "POST /team/{name}/ci", "/sub/", "/sub/fixed",
		"/exact/{$}", "/tree/{rest...}", "HOST.example/here", "/here", "POST /both", "PUT /both",
	}
	for _, tt := range []struct {
		method, target, host string
		status               int
		route, allow         string
	}{
		{"POST", "/hooks/jira", "h", 200, "/hooks/jira", ""},
		{"PUT", "/hooks/jira", "h", 200, "/hooks/jira", ""},
		{"BREW", "/hooks/jira", "h", 200, "/hooks/jira", ""},
		{"POST", "/hooks/jira/", "h", 404, "", ""},
		{"POST", "/hooks/", "h", 404, "", ""},
		{"POST", "/", "h", 404, "", ""},
		{"POST", "/hooks/JIRA", "h", 404, "", ""},
		{"POST", "/only/post", "h", 200, "POST /only/post", ""},
		{"GET", "/only/post", "h", 405, "", "POST"},
		{"POST", "/only/get", "h", 405, "", "GET, HEAD"},
		{"HEAD", "/only/get", "h", 200, "GET /only/get", ""},
		{"GET", "/both", "h", 405, "", "POST, PUT"},
		{"POST", "/team/red/ci", "h", 200, "POST /team/{name}/ci", ""},
		{"POST", "/team/red%2Fblue/ci", "h", 200, "POST /team/{name}/ci", ""},
		{"POST", "/team//ci", "h", 404, "", ""},
		{"POST", "/team/red/blue/ci", "h", 404, "", ""},
		{"POST", "/sub/", "h", 200, "/sub/", ""},
		{"POST", "/sub/a/b", "h", 200, "/sub/", ""},
		{"POST", "/sub", "h", 404, "", ""},
		{"POST", "/sub/fixed", "h", 200, "/sub/fixed", ""},
		{"POST", "/exact/", "h", 200, "/exact/{$}", ""},
		{"POST", "/exact/x", "h", 404, "", ""},
		{"POST", "/tree/a/b/", "h", 200, "/tree/{rest...}", ""},
		{"POST", "/here", "host.EXAMPLE:8100", 200, "HOST.example/here", ""},
		{"POST", "/here", "other.example", 200, "/here", ""},
		{"POST", "http://host.example/here", "other.example", 200, "HOST.example/here", ""},
		// Nothing is cleaned or redirected: what stays in its route passes, the rest is refused.
		{"POST", "/sub//a", "h", 200, "/sub/", ""},
		{"POST", "/sub/a//", "h", 200, "/sub/", ""},
		{"POST", "/sub/a/../b", "h", 200, "/sub/", ""},
		{"POST", "/sub/a/%2e%2E/b", "h", 200, "/sub/", ""},
		{"POST", "/sub/./a", "h", 200, "/sub/", ""},
		{"POST", "/sub/x/../fixed", "h", 400, "", ""},
		{"POST", "/sub//fixed", "h", 400, "", ""},
		{"POST", "/sub/./fixed", "h", 400, "", ""},
		{"POST", "/sub/%2e%2e/hooks/jira", "h", 400, "", ""},
		{"POST", "/sub/../hooks/jira", "h", 400, "", ""},
		{"POST", "/sub/../nowhere", "h", 400, "", ""},
		{"POST", "/sub/..", "h", 400, "", ""},
		{"POST", "/sub/../../etc/passwd", "h", 400, "", ""},
		{"POST", "/sub/..%2Fhooks/jira", "h", 400, "", ""},
		{"POST", `/sub/..\hooks\jira`, "h", 400, "", ""},
		{"POST", "/team/../ci", "h", 400, "", ""},
		{"POST", "//hooks/jira", "h", 404, "", ""},
		{"POST", "/hooks//jira", "h", 404, "", ""},
		{"POST", "/hooks/x/../jira", "h", 404, "", ""},
		{"POST", "/nowhere/../sub/a", "h", 404, "", ""},
	} {
		t.Run(tt.method+" "+tt.host+tt.target, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			opts := make([]repeater.Option, len(routes))
			for i, p := range routes {
				opts[i] = repeater.Route(p, anywhere, repeater.Name(p))
			}
			addr := listen(t, door(t, q, opts...))
			got := sendRaw(t, addr, tt.method+" "+tt.target+" HTTP/1.1\r\nHost: "+tt.host+"\r\nContent-Length: 0\r\n\r\n")
			if got.status != tt.status || got.header.Get("Allow") != tt.allow {
				t.Errorf("got %d, Allow %q, want %d, %q", got.status, got.header.Get("Allow"), tt.status, tt.allow)
			}
			if tt.route == "" {
				q.wantNothing(t)
				return
			}
			if name := q.only(t).Route; name != tt.route {
				t.Errorf("went by route %q, want %q", name, tt.route)
			}
		})
	}
}

// TestOnlyPathsAreForwarded: a route for everything does not turn the other forms of a
// request target into paths.
func TestOnlyPathsAreForwarded(t *testing.T) {
	t.Parallel()
	q := &pushes{}
	addr := listen(t, door(t, q, repeater.Route("/", anywhere)))
	if got := sendRaw(t, addr, post("http:opaque", "x")); got.status != 400 {
		t.Errorf("opaque target: got %d, want 400", got.status)
	}
	q.wantNothing(t)
}

func TestMounted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, route string
		mount       func(http.Handler) http.Handler
		keep        bool
		sent        string
		status      int
		want        string
	}{
		{"mux", "/hooks/jira", underMux, false, "/hooks/jira?a", 200, "/in?a"},
		{"mux, keep", "/hooks/", underMux, true, "/hooks/a%2Fb?a", 200, "/in/hooks/a%2Fb?a"},
		{"mux, no route", "/hooks/jira", underMux, false, "/hooks/other", 404, ""},
		{"strip", "/jira", stripped, false, "/hooks/jira?a", 200, "/in?a"},
		{"strip, keep", "/jira", stripped, true, "/hooks/jira?a", 200, "/in/jira?a"},
		{"strip, keep, escapes", "/", stripped, true, "/hooks/a%2Fb//c|d;e", 200, "/in/a%2Fb//c|d;e"},
		{"strip, keep, nothing left", "/{$}", stripped, true, "/hooks?a", 200, "/in/?a"},
		{"strip, whole path", "/hooks/jira", stripped, false, "/hooks/jira", 404, ""},
		{"strip, dots", "/a/", stripped, false, "/hooks/a/../b", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			var opts []repeater.RouteOption
			if tt.keep {
				opts = append(opts, repeater.KeepPath())
			}
			addr := listen(t, tt.mount(deliver(t, repeater.Route(tt.route, dest.url("/in"), opts...))))
			if got := sendRaw(t, addr, post(tt.sent, "x")); got.status != tt.status {
				t.Fatalf("got %d, want %d", got.status, tt.status)
			}
			if tt.want == "" {
				return
			}
			if got := dest.next(t).target(); got != tt.want {
				t.Errorf("forwarded to %q, want %q", got, tt.want)
			}
		})
	}
}

func underMux(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/hooks/", h)
	return mux
}

func stripped(h http.Handler) http.Handler { return http.StripPrefix("/hooks", h) }

func TestAllowFrom(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow []string
		from  string
		want  int
	}{
		{nil, "203.0.113.9:1000", 200},
		{nil, "@", 200}, // a Unix socket
		{[]string{"10.1.2.3"}, "10.1.2.3:1000", 200},
		{[]string{"10.1.2.3"}, "10.1.2.4:1000", 403},
		{[]string{"10.0.0.0/8"}, "10.255.0.1:1000", 200},
		{[]string{"10.0.0.0/8"}, "11.0.0.1:1000", 403},
		{[]string{"10.1.2.3/8"}, "10.9.9.9:1000", 200},
		{[]string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:1000", 200},
		{[]string{"10.0.0.0/8"}, "[::ffff:11.0.0.1]:1000", 403},
		{[]string{"::ffff:10.1.2.3"}, "10.1.2.3:1000", 200},
		{[]string{"::ffff:10.0.0.0/104"}, "10.9.9.9:1000", 200},
		{[]string{"::ffff:10.0.0.0/104"}, "11.0.0.1:1000", 403},
		{[]string{"0.0.0.0/0"}, "203.0.113.9:1000", 200},
		{[]string{"0.0.0.0/0"}, "[2001:db8::1]:1000", 403},
		{[]string{"::/0"}, "[2001:db8::1]:1000", 200},
		{[]string{"2001:db8::1"}, "[2001:db8::1]:1000", 200},
		{[]string{"2001:db8::1"}, "[2001:db8::2]:1000", 403},
		{[]string{"fd00::/8"}, "[fd12::7]:1000", 200},
		{[]string{"fd00::/8"}, "[fe80::7]:1000", 403},
		{[]string{"fe80::/10"}, "[fe80::7%eth0]:1000", 200},
		{[]string{"192.0.2.0/24", "10.0.0.0/8"}, "10.0.0.1:1000", 200},
		{[]string{"10.0.0.0/8"}, "@", 403},
		{[]string{"10.0.0.0/8"}, "", 403},
		{[]string{"10.0.0.0/8"}, "10.0.0.1", 403},
		{[]string{"0.0.0.0/0", "::/0"}, "localhost:1000", 403},
	} {
		t.Run(fmt.Sprint(tt.from, tt.allow), func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			var opts []repeater.RouteOption
			if tt.allow != nil {
				opts = append(opts, repeater.AllowFrom(tt.allow...))
			}
			rp := door(t, q, repeater.Route("/hooks/x", anywhere, opts...))
			w := try(rp, "POST", "/hooks/x", func(r *http.Request) {
				r.RemoteAddr = tt.from
				// Whoever is let in by one of these has forged it.
				for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip"} {
					r.Header.Set(h, "10.1.2.3")
				}
			})
			if w.Code != tt.want {
				t.Errorf("%s got %d with AllowFrom %q, want %d", tt.from, w.Code, tt.allow, tt.want)
			}
			if tt.want != 200 {
				q.wantNothing(t)
			}
		})
	}
}

func TestAllowFromAddsUpPerRoute(t *testing.T) {
	t.Parallel()
	rp := door(t, &pushes{},
		repeater.Route("/two", anywhere, repeater.AllowFrom("192.0.2.1"), repeater.AllowFrom("192.0.2.2")),
		repeater.Route("/open", anywhere))
	for _, tt := range []struct {
		target, from string
		want         int
	}{
		{"/two", "192.0.2.1:1", 200}, {"/two", "192.0.2.2:1", 200}, {"/two", "192.0.2.3:1", 403},
		{"/open", "192.0.2.3:1", 200},
	} {
		if w := try(rp, "POST", tt.target, func(r *http.Request) { r.RemoteAddr = tt.from }); w.Code != tt.want {
			t.Errorf("%s from %s: got %d, want %d", tt.target, tt.from, w.Code, tt.want)
		}
	}
}

func TestAllowFromOverASocket(t *testing.T) {
	t.Parallel()
	addr := listen(t, door(t, &pushes{},
		repeater.Route("/local", anywhere, repeater.AllowFrom("127.0.0.0/8", "::1")),
		repeater.Route("/remote", anywhere, repeater.AllowFrom("203.0.113.0/24"))))
	if got := sendRaw(t, addr, post("/local", "x")); got.status != 200 {
		t.Errorf("allowed: got %d, want 200", got.status)
	}
	if got := sendRaw(t, addr, post("/remote", "x", "X-Forwarded-For: 203.0.113.1")); got.status != 403 {
		t.Errorf("not allowed: got %d, want 403", got.status)
	}
}

// storedRequest decodes the first message of the one batch that was stored.
func storedRequest(t *testing.T, q *pushes) *repeater.Request {
	t.Helper()
	b := q.only(t)
	r, err := repeater.BinaryCodec{}.Decode(repeater.Key{ID: b.ID}, b.Messages[0].Payload)
	if err != nil {
		t.Fatalf("decode what was stored: %v", err)
	}
	return r
}

var _ http.Handler = (*repeater.Repeater)(nil)

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, want int) {
	t.Helper()
	if w.Code != want {
		t.Errorf("got %d %q, want %d", w.Code, w.Body, want)
	}
}
