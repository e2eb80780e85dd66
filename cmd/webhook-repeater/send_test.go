package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sink is a destination that remembers what it got, as it came over the wire.
func sink(t *testing.T) *destination {
	t.Helper()
	d := newDestination(t)
	d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d.arrivals <- arrival{r, string(body)}
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short\x1b[1m and stout\n")
		}
	})
	return d
}

// TestSendAFile sends what is in it, byte for byte.
func TestSendAFile(t *testing.T) {
	t.Parallel()
	d := sink(t)
	host := strings.TrimPrefix(d.URL, "http://")
	for _, tt := range []struct {
		name, file string
		args       []string
		want       []string // method, URI, Host, X-A, Content-Type, body
	}{
		{"a request", "PUT /a//b%2Fc;d?x=%zz&x HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello and more",
			[]string{"--to", d.URL}, []string{"PUT", "/a//b%2Fc;d?x=%zz&x", host, "1", "", "hello"}},
		{"two slashes in front", "POST //a HTTP/1.1\n\n", []string{"--to", d.URL + "/"}, []string{"POST", "http://" + host + "//a", host, "", "", ""}},
		{"an empty query", "POST /a? HTTP/1.1\n\n", []string{"--to", d.URL}, []string{"POST", "/a?", host, "", "", ""}},
		{"for a proxy", "POST http://example.com/a HTTP/1.0\n\n", []string{"--to", d.URL}, []string{"POST", "/a", host, "", "", ""}},
		{"without a length", "POST /a HTTP/1.1\nX-A: 1\n\nhello\n", []string{"--to", d.URL}, []string{"POST", "/a", host, "1", "", "hello\n"}},
		{"in chunks", "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", []string{"--to", d.URL}, []string{"POST", "/a", host, "", "", "hello"}},
		{"no headers", "GET /a HTTP/1.1", []string{"--to", d.URL}, []string{"GET", "/a", host, "", "", ""}},
		{"of reqdumper", "=== 1  2026-01-02 03:04:05.000 +0000  from 127.0.0.1:1  answered 200\nPOST /a HTTP/1.1\nHost: x\nContent-Length: 5\nX-A: 1\n\nhello\n\n=== 2  ...",
			[]string{"--to", d.URL}, []string{"POST", "/a", host, "1", "", "hello"}},
		{"of reqdumper, with what looks like another one in it", "=== 1  2026-01-02 03:04:05.000 +0000  from 127.0.0.1:1  answered 200\nPOST /a HTTP/1.1\nContent-Length: 7\n\n\n=== 9  \n\n",
			[]string{"--to", d.URL}, []string{"POST", "/a", host, "", "", "\n=== 9 "}},
		{"of reqdumper, without a length", "=== 1  2026-01-02 03:04:05.000 +0000  from 127.0.0.1:1  answered 200\nPOST /a HTTP/1.1\nTransfer-Encoding: chunked\nX-A: 1\n\nhello\n\n",
			[]string{"--to", d.URL}, []string{"POST", "/a", host, "1", "", "hello"}},
		{"a path of its own", "POST /a?b HTTP/1.1\n\n", []string{"--to", d.URL + "/c?d=1"}, []string{"POST", "/c?d=1", host, "", "", ""}},
		{"another method, host and headers", "POST /a HTTP/1.1\nX-A: 1\n\n", []string{"--to", d.URL, "-X", "PATCH", "-H", "X-A:", "-H", "Host: example.com", "-H", "content-type: text/plain"},
			[]string{"PATCH", "/a", "example.com", "", "text/plain", ""}},
		{"a body", "{\"a\": 1}\n\x00\xff", []string{"--to", d.URL + "/a", "-H", "X-A: 2"}, []string{"POST", "/a", host, "2", "", "{\"a\": 1}\n\x00\xff"}},
		{"a body that looks like one", "POST me\n\nhello", []string{"--to", d.URL + "/a"}, []string{"POST", "/a", host, "", "", "POST me\n\nhello"}},
	} {
		dir := write(t, "file", tt.file)
		res := command(t, dir, nil, append([]string{"send", "file"}, tt.args...)...)
		if res.code != 0 || !strings.HasPrefix(res.stdout, "200 OK in ") {
			t.Errorf("%s: %+v", tt.name, res)
			continue
		}
		note := ""
		if strings.Contains(tt.file, "=== 2  ") {
			note = "webhook-repeater: file has more than one request; only the first is sent\n"
		}
		if res.stderr != note {
			t.Errorf("%s: it says %q, want %q", tt.name, res.stderr, note)
		}
		got := d.next(t)
		seen := []string{got.Method, got.RequestURI, got.Host, got.Header.Get("X-A"), got.Header.Get("Content-Type"), got.body}
		if diff := cmp.Diff(tt.want, seen); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// TestSendFails tells why, in one line, without the URL.
func TestSendFails(t *testing.T) {
	t.Parallel()
	d := sink(t)
	dir := write(t, "body", "x")
	for name, text := range map[string]string{"short": "POST /a HTTP/1.1\nContent-Length: 9\n\nx", "broken": "POST /a HTTP/1.1\n: x\n\nx"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"none", 1, "webhook-repeater: open none: no such file or directory"},
		{"body", 2, "webhook-repeater: send: a body alone has no path to go to"},
		{"body --to localhost:1", 2, "webhook-repeater: send: --to is not a URL"},
		{"body --to http://127.0.0.1:1/hunter2?hunter2", 1, "webhook-repeater: 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"body --hook jira", 2, "webhook-repeater: send: --hook needs a configuration"},
		{"body --to " + d.URL + "/a -H x", 2, "webhook-repeater: send: a header is written as"},
		{"body --to " + d.URL + "/a -X a:b", 2, "webhook-repeater: send: --method"},
		{"short --to " + d.URL, 1, "webhook-repeater: short: its body has 1 bytes, and Content-Length says 9"},
		{"broken --to " + d.URL, 1, "webhook-repeater: broken: it begins as an HTTP request"},
	} {
		res := command(t, dir, nil, append([]string{"send"}, strings.Fields(tt.args)...)...)
		if res.code != tt.code || !strings.HasPrefix(res.stderr, tt.stderr) || strings.Count(res.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %d %s", tt.args, res, tt.code, tt.stderr)
		}
	}
	res := command(t, dir, nil, "send", "body", "--to", d.URL+"/refused")
	if res.code != 1 || !strings.HasPrefix(res.stdout, "418 I'm a teapot in ") || !strings.HasSuffix(res.stdout, "\n  short\\x1b[1m and stout\n") {
		t.Errorf("refused: %+v", res)
	}
	d.next(t)
	select {
	case a := <-d.arrivals:
		t.Errorf("%s %s was sent", a.Method, a.RequestURI)
	default:
	}
}

// TestSendToTheServer knows hooks by their names, and sends again what the server has stored, less what it
// keeps to itself.
func TestSendToTheServer(t *testing.T) {
	t.Parallel()
	r, d := newRig(t, ""), sink(t)
	r.file("body.json", `{"issue": 7}`)
	r.file("request", "POST /other?a=b HTTP/1.1\nAuthorization: Bearer secret\nX-A: 1\n\nhello")
	var sent struct {
		Status int
		ID     string
		Body   string
	}
	r.reads(&sent, "send", "body.json", "--hook", "jira")
	if sent.Status != 200 || sent.ID == "" || sent.Body != "OK" {
		t.Errorf("send --json: %+v", sent)
	}
	first := r.prints("send", "request", "--hook", "jira")
	_, id, ok := strings.Cut(strings.TrimSpace(first), ", id ")
	if !ok || !strings.HasPrefix(first, "200 OK in ") {
		t.Fatalf("send prints %s", first)
	}
	res := r.does("send", "--id", id, "--to", d.URL+"/again")
	if res.code != 0 || res.stderr != "webhook-repeater: the header Authorization is left out, as the server keeps it to itself\n" {
		t.Errorf("send --id: %+v", res)
	}
	if got := d.next(t); got.RequestURI != "/again" || got.body != "hello" || got.Header.Get("X-A") != "1" || got.Header.Get("Authorization") != "" {
		t.Errorf("%s arrived with %q and %v", got.RequestURI, got.body, got.Header)
	}
	res = r.does("send", "--id", "nothing", "--to", d.URL)
	if res.code != 1 || !strings.Contains(res.stderr, "there is no message nothing") {
		t.Errorf("send --id of nothing: %+v", res)
	}
	res = r.does("send", "body.json", "--hook", "gitea")
	if res.code != 2 || !strings.Contains(res.stderr, `config.ini has no hook "gitea"`) {
		t.Errorf("send to no hook: %+v", res)
	}
	res = command(t, r.dir, nil, "send", "request", "--to", d.URL, "--dry-run")
	want := "POST /other?a=b HTTP/1.1\nHost: " + strings.TrimPrefix(d.URL, "http://") + "\nAuthorization: Bearer secret\nUser-Agent: webhook-repeater\nX-A: 1\nContent-Length: 5\n\nhello"
	if res.stdout != want {
		t.Errorf("send --dry-run prints\n%s\nwant\n%s", res.stdout, want)
	}
}
