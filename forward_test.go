package repeater_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// TestForwardedTarget compares request targets as they stand on the wire, on the way in
// and on the way out.
func TestForwardedTarget(t *testing.T) {
	t.Parallel()
	const long = 60_000
	for _, tt := range []struct {
		name string
		to   string // target, behind the destination's host
		keep bool
		sent string
		want string
	}{
		{"target only", "/in", false, "/hooks/x", "/in"},
		{"target without path", "", false, "/hooks/x", "/"},
		{"target's own slashes", "/in//a/", false, "/hooks/x", "/in//a/"},
		{"target's own escapes", "/in%2Fa%20b", false, "/hooks/x", "/in%2Fa%20b"},
		{"target's own spaces", "/in a", false, "/hooks/x", "/in%20a"},
		{"target with fragment", "/in#part", false, "/hooks/x", "/in"},

		{"keep", "/in", true, "/hooks/x", "/in/hooks/x"},
		{"keep, trailing slash joins", "/in/", true, "/hooks/x", "/in/hooks/x"},
		{"keep, only one slash joins", "/in//", true, "/hooks/x", "/in//hooks/x"},
		{"keep, target is the root", "/", true, "/hooks/x", "/hooks/x"},
		{"keep, target without path", "", true, "/hooks/x", "/hooks/x"},
		{"keep, request is the root", "/in", true, "/", "/in/"},
		{"keep, target without path, request is the root", "", true, "/", "/"},

		{"query", "/in", false, "/hooks/x?a=1", "/in?a=1"},
		{"target's query", "/in?k=1", false, "/hooks/x", "/in?k=1"},
		{"target's query first", "/in?k=1", false, "/hooks/x?a=1", "/in?k=1&a=1"},
		{"target's query, no path", "?k=1", false, "/hooks/x?a=1", "/?k=1&a=1"},
		{"target's query, raw", "/in?k=%zz;b&&", false, "/hooks/x?a", "/in?k=%zz;b&&&a"},
		{"question mark alone", "/in", false, "/hooks/x?", "/in?"},
		{"question mark alone, target's query", "/in?k=1", false, "/hooks/x?", "/in?k=1"},
		{"target's question mark alone", "/in?", false, "/hooks/x?a", "/in?a"},
		{"two question marks", "/in", false, "/hooks/x??", "/in??"},
		{"question mark in query", "/in", false, "/hooks/x?a=b?c", "/in?a=b?c"},
		{"semicolons", "/in", false, "/hooks/x?a=1;b=2", "/in?a=1;b=2"},
		{"bad escapes in query", "/in", false, "/hooks/x?a=%zz&%&b=%4", "/in?a=%zz&%&b=%4"},
		{"empty pairs", "/in", false, "/hooks/x?&&a&=&", "/in?&&a&=&"},
		{"order and repeats", "/in", false, "/hooks/x?b=2&a=1&b=1", "/in?b=2&a=1&b=1"},
		{"plus and escapes in query", "/in", false, "/hooks/x?a=+%20%2B%2f", "/in?a=+%20%2B%2f"},
		{"odd characters in query", "/in", false, `/hooks/x?a=|"<>[]{}\^#` + "`'", `/in?a=|"<>[]{}\^#` + "`'"},
		{"bytes in query", "/in", false, "/hooks/x?a=\xc3\xa9\xff", "/in?a=\xc3\xa9\xff"},
		{"an URL in query", "/in", false, "/hooks/x?u=http://a/b//../c", "/in?u=http://a/b//../c"},
		{"long query", "/in", false, "/x?" + strings.Repeat("a", long), "/in?" + strings.Repeat("a", long)},

		{"empty segments", "", true, "/hooks//x///", "/hooks//x///"},
		{"empty segment first", "", true, "//hooks/x", "//hooks/x"},
		{"empty segment first, behind a path", "/in", true, "//hooks/x", "/in//hooks/x"},
		{"nothing but slashes", "", true, "///", "///"},
		{"dots", "/in", true, "/hooks/a/../b/./c", "/in/hooks/a/../b/./c"},
		{"escaped dots", "", true, "/hooks/%2e%2E/b", "/hooks/%2e%2E/b"},
		{"dots that are names", "", true, "/hooks/.git/...", "/hooks/.git/..."},
		{"escaped slash", "", true, "/hooks/a%2Fb%2fc", "/hooks/a%2Fb%2fc"},
		{"needless escapes", "", true, "/hooks/%41%7e", "/hooks/%41%7e"},
		{"escaped percent", "", true, "/hooks/%2541%25", "/hooks/%2541%25"},
		{"escaped question mark and NUL", "", true, "/hooks/%3Fa%00", "/hooks/%3Fa%00"},
		{"semicolons in path", "", true, "/hooks/a;v=1/b;", "/hooks/a;v=1/b;"},
		{"colon first", "", true, "/a:b@c", "/a:b@c"},
		{"odd characters in path", "", true, `/hooks/|"<>[]{}\^#` + "`'!*()$,+=", `/hooks/|"<>[]{}\^#` + "`'!*()$,+="},
		{"odd characters behind a path", "/in%2Fa", true, "/hooks/|?b", "/in%2Fa/hooks/|?b"},
		{"letters beyond ASCII", "", true, "/hooks/za\xc5\xbc", "/hooks/za\xc5\xbc"},
		{"bytes that are no letters", "", true, "/hooks/\xff\xfe", "/hooks/\xff\xfe"},
		{"escaped bytes", "", true, "/hooks/%ff%C5%bc", "/hooks/%ff%C5%bc"},
		{"raw and escaped", "", true, "/hooks/|%7C", "/hooks/|%7C"},
		{"long path", "", true, "/" + strings.Repeat("a/", long/2), "/" + strings.Repeat("a/", long/2)},
		{"absolute form", "", true, "http://other.example/hooks/x?a", "/hooks/x?a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			var opts []repeater.RouteOption
			if tt.keep {
				opts = append(opts, repeater.KeepPath())
			}
			addr := listen(t, deliver(t, repeater.Route("/", dest.url(tt.to), opts...)))
			if got := sendRaw(t, addr, post(tt.sent, "x")); got.status != 200 {
				t.Fatalf("got %d, want 200", got.status)
			}
			got := dest.next(t)
			if got.target() != tt.want {
				t.Errorf("forwarded to %.200q, want %.200q", got.target(), tt.want)
			}
			if host := got.value("Host"); host != dest.addr {
				t.Errorf("Host is %q, want the destination's, %q", host, dest.addr)
			}
		})
	}
}

// TestOddPathBehindTwoSlashes: the one kind of path that net/http does not write as it
// is. The absolute form says the same, and servers must understand it.
func TestOddPathBehindTwoSlashes(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, answerOK)
	addr := listen(t, deliver(t, repeater.Route("/", dest.url(""), repeater.KeepPath())))
	sendRaw(t, addr, post("//a|b?c", "x"))
	if got, want := dest.next(t).target(), dest.url("//a|b?c"); got != want && got != "//a|b?c" {
		t.Errorf("forwarded to %q, want %q", got, want)
	}
}

// TestBadEscapesInPath: net/http turns them away by itself; other servers may not.
func TestBadEscapesInPath(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, answerOK)
	rp := deliver(t, repeater.Route("/hooks/", dest.url("/in"), repeater.KeepPath()))
	if got := sendRaw(t, listen(t, rp), post("/hooks/%zz", "x")); got.status != 400 {
		t.Errorf("got %d, want net/http's 400", got.status)
	}
	for _, path := range []string{"/hooks/%zz", "/hooks/%", "/hooks/%4/%2Fb|"} {
		w := try(rp, "POST", "/", func(r *http.Request) { r.URL = &url.URL{Path: path, RawPath: path, RawQuery: "a"} })
		wantStatus(t, w, 200)
		if got, want := dest.next(t).target(), "/in"+path+"?a"; got != want {
			t.Errorf("forwarded to %q, want %q", got, want)
		}
	}
}

// TestForwardedOverHTTP2: what HTTP/1.1 keeps, HTTP/2 keeps.
func TestForwardedOverHTTP2(t *testing.T) {
	t.Parallel()
	const path = "/hooks//a|b;c/%2F%7e/\xc5\xbc?a=1;b=%zz"
	got := make(chan *http.Request, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	client := srv.Client().Transport.(*http.Transport)
	client.DisableCompression = true
	addr := listen(t, deliver(t, repeater.Route("/", srv.URL, repeater.KeepPath()), repeater.WithTransport(client)))
	sendRaw(t, addr, post(path, "x", "Connection: X-Hop, keep-alive", "X-Hop: 1", "TE: gzip", "Keep-Alive: 1"))
	r := receive(t, got, "a delivery")
	if r.Proto != "HTTP/2.0" || r.RequestURI != path {
		t.Errorf("forwarded to %q over %s, want %q over HTTP/2.0", r.RequestURI, r.Proto, path)
	}
	if want := strings.TrimPrefix(srv.URL, "https://"); r.Host != want {
		t.Errorf("Host is %q, want %q", r.Host, want)
	}
	for _, name := range []string{"X-Hop", "Te", "Keep-Alive", "Connection", "User-Agent", "Accept-Encoding"} {
		if v := r.Header.Values(name); len(v) > 0 {
			t.Errorf("%s: %q was forwarded, or added", name, v)
		}
	}
}

func TestForwardedMethods(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, answerOK)
	addr := listen(t, deliver(t, repeater.Route("/", dest.url("/in"))))
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW", "post", "M-SEARCH", "TRACE"} {
		for _, body := range []string{"", "with a body"} {
			if got := sendRaw(t, addr, request(method, "/x", body)); got.status != 200 {
				t.Errorf("%s: got %d, want 200", method, got.status)
				continue
			}
			got := dest.next(t)
			if want := method + " /in HTTP/1.1"; got.line != want || string(got.body) != body {
				t.Errorf("forwarded %q with %q, want %q with %q", got.line, got.body, want, body)
			}
		}
	}
}

// TestRedirectIsNotFollowed: it would turn a POST into a GET, or take a webhook to
// where no route points.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newDestination(t, answerOK)
	for _, status := range []string{"301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, "HTTP/1.1 "+status+"\r\nLocation: "+elsewhere.url("/")+"\r\nContent-Length: 0\r\n\r\n")
			logged, log := newLog()
			rp := deliver(t, repeater.Route("/", dest.url("/in")), repeater.WithLogger(log))
			sendRaw(t, listen(t, rp), post("/x", "x"))
			dest.next(t)
			logged.waitFor(t, "the dead letter", func(log string) bool { return strings.Contains(log, "dead letter") })
			lanes := settled(t, rp)
			if len(lanes) != 1 || lanes[0].Dead != 1 || lanes[0].Waiting != 0 || lanes[0].Name != "http://"+dest.addr {
				t.Errorf("lanes are %+v, want one of %s with one dead letter", lanes, dest.addr)
			}
		})
	}
	t.Cleanup(func() {
		if len(elsewhere.got) > 0 {
			t.Errorf("a redirect was followed: %+v", <-elsewhere.got)
		}
	})
}

// TestAnswerWithoutItsBody: the status says all; a body that never comes must not hold
// the lane until the attempt's time is over.
func TestAnswerWithoutItsBody(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
	addr := listen(t, deliver(t, repeater.Route("/", dest.url(""), repeater.KeepPath())))
	for _, path := range []string{"/1", "/2"} {
		sendRaw(t, addr, post(path, "x"))
	}
	for _, want := range []string{"/1", "/2"} {
		if got := dest.next(t).target(); got != want {
			t.Errorf("forwarded to %q, want %q", got, want)
		}
	}
}

// settled returns the lanes once nothing waits: the log of an outcome comes just before
// the store hears of it. Its patience ends when nothing has changed for so long.
func settled(t *testing.T, rp *repeater.Repeater) []repeater.LaneInfo {
	t.Helper()
	before := -1
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		lanes, err := rp.Lanes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for _, l := range lanes {
			waiting += l.Waiting
		}
		if waiting == 0 {
			return lanes
		}
		if waiting != before {
			before, deadline = waiting, time.Now().Add(patience)
		}
		time.Sleep(time.Millisecond) // for those who deliver
	}
	t.Fatalf("%d messages still wait, and have for %v", before, patience)
	return nil
}
