package repeater_test

import (
	"bufio"
	"bytes"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
)

// FuzzAddress: path and query stand on the wire as they came, behind the target's own.
func FuzzAddress(f *testing.F) {
	for _, target := range []string{"", "/", "/in", "/in//", "/in%2Fa b?k=%zz;b&&", "?k", "/in?"} {
		for _, sent := range []string{
			"/?", "/x", "//x", "///", "/a/../b/.", "/%2e%2E/%2F%41%ff", "/a;v=1/b;", `/|"<>[]{}\^#`, "/\xff\xc5\xbc|%7C",
			"/%zz", "/%", "//a|b", "/a:b@c", "/*", "//h:80/x", "/http://h/",
		} {
			f.Add(target, sent, "?a=1;b=%zz&&x=\xff", true)
			f.Add(target, sent, "?", false)
		}
	}
	f.Fuzz(func(t *testing.T, behind, path, query string, keep bool) {
		target := "http://dest.example" + behind
		own, err := http.NewRequest("GET", target, nil)
		if err != nil || own.URL.Host != "dest.example" || own.URL.User != nil {
			return
		}
		// What no server hands on.
		odd := func(r rune) bool { return r <= ' ' || r == 0x7f }
		if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, '?') || strings.ContainsFunc(path+query, odd) || query != "" && query[0] != '?' {
			return
		}
		u, err := repeater.Address(target, path, query, keep)
		if err != nil {
			return // Err tells of the target
		}
		want := own.URL.EscapedPath()
		if keep {
			want = strings.TrimSuffix(want, "/") + path
		} else if want == "" {
			want = "/"
		}
		asked := strings.TrimPrefix(query, "?")
		switch q := own.URL.RawQuery; {
		case q != "" && asked != "":
			want += "?" + q + "&" + asked
		case q != "" || asked != "":
			want += "?" + q + asked
		case query != "" || own.URL.ForceQuery:
			want += "?"
		}
		if got := onTheWire(t, &http.Request{Method: "POST", URL: u, Host: u.Host}); got != want && got != target[:len("http://dest.example")]+want {
			t.Errorf("%q, %q, %q, keep %v: sent to %q, want %q", behind, path, query, keep, got, want)
		}
	})
}

// onTheWire returns the target of the request line that net/http writes.
func onTheWire(t *testing.T, req *http.Request) string {
	t.Helper()
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		t.Fatalf("%+v: %v", req.URL, err)
	}
	line, err := bufio.NewReader(&b).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	line = strings.TrimPrefix(line, "POST ")
	return strings.TrimSuffix(line, " HTTP/1.1\r\n")
}

// FuzzRetryAfter: whatever a destination wishes, the wait is neither negative nor endless.
func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{
		"", "0", "120", " 5 ", "-1", "+1", "1.5", "9223372036854775807", "9223372036854775808", "1e9",
		"Fri, 31 Dec 9999 23:59:59 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-15 07:28:00 GMT", "Wed Oct 21 07:28:00 2015", "0x10", "1_0",
	} {
		f.Add(v, int64(1445412480))
	}
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, value string, now int64) {
		if d := repeater.ParseRetryAfter(value, time.Unix(now, 0)); d < 0 || d > 366*24*time.Hour {
			t.Errorf("%q at %d is %v", value, now, d)
		}
	})
}

// FuzzBinaryCodecEncode: whatever was sent comes back.
func FuzzBinaryCodecEncode(f *testing.F) {
	r := sampleRequest()
	f.Add(r.Method, r.Host, r.Path, r.Query, r.RemoteAddr, true, "X-A\x001\x00\x002", r.Body)
	f.Add("", "", "", "", "", false, "", []byte(nil))
	f.Add("\xff", "\x80", "\x00", "?", "@", true, "\x00\x00", []byte{1})
	f.Fuzz(func(t *testing.T, method, host, path, query, remote string, tls bool, header string, body []byte) {
		r := &repeater.Request{Method: method, Host: host, Path: path, Query: query, RemoteAddr: remote, TLS: tls, Body: body, Header: make(http.Header)}
		name, values, some := strings.Cut(header, "\x00")
		if r.Header[name] = nil; some {
			r.Header[name] = strings.Split(values, "\x00")
		}
		if diff := diffRequests(r, roundTrip(t, r)); diff != "" {
			t.Errorf("encoded and decoded (-want +got):\n%s", diff)
		}
	})
}
