package repeater_test

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/webhook-repeater/repeater"
)

// ours are the headers that we add, or that belong to the hop.
var ours = []string{
	"Host", "Content-Length", "Repeater-Id", "Repeater-Attempt", "Repeater-Received",
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via",
}

// travelled returns the headers of a delivery that are neither of the hop nor ours,
// and checks those that are.
func travelled(t *testing.T, r wireRequest, id string) []string {
	t.Helper()
	for name, want := range map[string]string{
		"Repeater-Id": id, "Repeater-Attempt": "1", "X-Forwarded-For": "127.0.0.1",
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": "in.example", "Via": "1.1 webhook-repeater",
	} {
		if got := r.values(name); !cmp.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want only %q", name, got, want)
		}
	}
	if at, err := time.Parse(time.RFC3339, r.value("Repeater-Received")); err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("Repeater-Received is %q, want the time", r.value("Repeater-Received"))
	}
	return slices.DeleteFunc(r.header, func(h string) bool {
		name, _, _ := strings.Cut(h, ":")
		return slices.Contains(ours, name)
	})
}

func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sent []string
		want []string
	}{
		{"none, and none added", nil, nil},
		{"ordinary",
			[]string{"Content-Type: application/json; charset=utf-8", "User-Agent: GitHub-Hookshot/1", "X-Hub-Signature-256: sha256=0a"},
			[]string{"Content-Type: application/json; charset=utf-8", "User-Agent: GitHub-Hookshot/1", "X-Hub-Signature-256: sha256=0a"}},
		{"repeated, in order",
			[]string{"X-A: 2", "X-B: 0", "X-A: 1", "x-a: 2", "X-A: 1, 3"},
			[]string{"X-A: 2", "X-A: 1", "X-A: 2", "X-A: 1, 3", "X-B: 0"}},
		{"cookies", []string{"Cookie: a=1; b=2", "Cookie: c=\"x y\""}, []string{"Cookie: a=1; b=2", "Cookie: c=\"x y\""}},
		{"empty and odd values",
			[]string{"X-Empty:", "X-Bytes: \xc3\xa9\xff|%zz;\"", "X_Under: 1"},
			[]string{"X-Empty: ", "X-Bytes: \xc3\xa9\xff|%zz;\"", "X_under: 1"}},
		{"what the sender accepts", []string{"Accept-Encoding: br", "Accept: text/*"}, []string{"Accept-Encoding: br", "Accept: text/*"}},
		{"credentials", []string{"Authorization: Bearer x", "X-Gitlab-Token: y"}, []string{"Authorization: Bearer x", "X-Gitlab-Token: y"}},
		{"what a proxy before us says that we do not", []string{"Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1"},
			[]string{"Forwarded: for=192.0.2.1", "X-Real-Ip: 192.0.2.1"}},
		{"idempotency keys", []string{"Idempotency-Key: 1", "X-Idempotency-Key: 2"}, []string{"Idempotency-Key: 1", "X-Idempotency-Key: 2"}},
		{"hop-by-hop",
			[]string{"Connection: keep-alive, TE", "Keep-Alive: timeout=5", "TE: trailers", "Trailer: X-T", "Upgrade: websocket",
				"Proxy-Connection: keep-alive", "Proxy-Authorization: Basic x", "Proxy-Authenticate: Basic", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", "X-End: 1"},
			[]string{"X-End: 1"}},
		{"named by Connection",
			[]string{"Connection: X-One,  x-two ", "Connection: ,x-THREE,", "X-One: 1", "X-Two: 2", "X-Three: 3", "X-Four: 4"},
			[]string{"X-Four: 4"}},
		{"expecting 100", []string{"Expect: 100-continue", "X-End: 1"}, []string{"X-End: 1"}},
		{"our names", []string{"Repeater-Id: forged", "repeater-id: again", "Repeater-Attempt: 99", "REPEATER-RECEIVED: 1999-01-01T00:00:00Z"}, nil},
		{"our names, of no trusted proxy", []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: forged", "X-Forwarded-Host: again"}, nil},
		{"near our names", []string{"Repeater-Idea: 1", "X-Forwarded-Port: 1", "X-Repeater-Id: 1"},
			[]string{"Repeater-Idea: 1", "X-Forwarded-Port: 1", "X-Repeater-Id: 1"}},
		{"a signature that nobody replaces", []string{"X-REPEATER-SIG: abc"}, []string{"X-Repeater-Sig: abc"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			addr := listen(t, deliver(t, repeater.Route("/", dest.url("/in"))))
			conn := dial(t, addr)
			if _, err := conn.Write([]byte(post("/x", "body", tt.sent...))); err != nil {
				t.Fatal(err)
			}
			got := dest.next(t)
			if len(got.values("Repeater-Id")) == 0 || !idForm.MatchString(got.value("Repeater-Id")) {
				t.Errorf("Repeater-Id is %q, want one of ours", got.values("Repeater-Id"))
			}
			if diff := cmp.Diff(byName(tt.want), byName(travelled(t, got, got.value("Repeater-Id")))); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

// byName sorts header lines, as net/http does, but keeps the order of the values of a
// name: that is what counts.
func byName(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimSpace(l) // behind the colon of an empty value
	}
	slices.SortStableFunc(out, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return out
}

// TestAddedBehindOthers: what a proxy has said before us stays, and ours comes last.
func TestAddedBehindOthers(t *testing.T) {
	t.Parallel()
	trusting := repeater.TrustProxies("127.0.0.1")
	for _, tt := range []struct {
		name string
		opt  repeater.Option
		sent []string
		want map[string][]string
	}{
		{"nothing", nil, nil, map[string][]string{"X-Forwarded-For": {"127.0.0.1"}}},
		{"one address", nil, []string{"X-Forwarded-For: 192.0.2.1"}, map[string][]string{"X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}}},
		{"lines become one", nil, []string{"X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-For: 192.0.2.3"},
			map[string][]string{"X-Forwarded-For": {"192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1"}}},
		{"nonsense stays", nil, []string{"X-Forwarded-For: a,,b"}, map[string][]string{"X-Forwarded-For": {"a,,b, 127.0.0.1"}}},
		{"an empty line", nil, []string{"X-Forwarded-For:"}, map[string][]string{"X-Forwarded-For": {", 127.0.0.1"}}},
		{"named by Connection", nil, []string{"X-Forwarded-For: 192.0.2.1", "Connection: X-Forwarded-For, Via", "Via: 1.1 x"},
			map[string][]string{"X-Forwarded-For": {"127.0.0.1"}, "Via": {"1.1 webhook-repeater"}}},
		{"via", nil, []string{"Via: 1.0 fred, 1.1 p.example"}, map[string][]string{"Via": {"1.0 fred, 1.1 p.example", "1.1 webhook-repeater"}}},
		{"proto and host, not trusted", nil, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"},
			map[string][]string{"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"in.example"}}},
		{"proto and host, trusted", trusting, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"},
			map[string][]string{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"a.example"}}},
		{"neither, trusted", trusting, nil, map[string][]string{"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"in.example"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			addr := listen(t, deliver(t, tt.opt, repeater.Route("/", dest.url("/in"))))
			if got := sendRaw(t, addr, post("/x", "x", tt.sent...)); got.status != 200 {
				t.Fatalf("got %d, want 200", got.status)
			}
			got := dest.next(t)
			for name, want := range tt.want {
				if diff := cmp.Diff(want, got.values(name)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestForwardedForOfOddConnections: whatever stands rightmost is ours.
func TestForwardedForOfOddConnections(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, answerOK)
	rp := deliver(t, repeater.Route("/", dest.url("/in")))
	for remote, want := range map[string]string{
		"@": "forged, unknown", "": "forged, unknown", "nowhere": "forged, unknown",
		"[2001:db8::1]:80": "forged, 2001:db8::1", "[::ffff:192.0.2.1]:80": "forged, 192.0.2.1", "[fe80::1%eth0]:80": "forged, fe80::1",
	} {
		w := try(rp, "POST", "/x", func(r *http.Request) {
			r.RemoteAddr = remote
			r.Header.Set("X-Forwarded-For", "forged")
		})
		wantStatus(t, w, 200)
		if got := dest.next(t).values("X-Forwarded-For"); !cmp.Equal(got, []string{want}) {
			t.Errorf("%q: X-Forwarded-For is %q, want %q", remote, got, want)
		}
	}
}

func TestKeepHost(t *testing.T) {
	t.Parallel()
	dest := newDestination(t, answerOK)
	rp := deliver(t, repeater.Route("/", dest.url("/in"), repeater.KeepHost()))
	addr := listen(t, rp)
	for _, host := range []string{"in.example", "in.example:8100", "[2001:db8::1]:80", "IN.example"} {
		sendRaw(t, addr, "POST /x HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 1\r\n\r\nx")
		if got := dest.next(t).values("Host"); !cmp.Equal(got, []string{host}) {
			t.Errorf("Host is %q, want the sender's, %q", got, host)
		}
	}
	wantStatus(t, try(rp, "POST", "/x", func(r *http.Request) { r.Host = "" }), 200)
	if got := dest.next(t).value("Host"); got != dest.addr {
		t.Errorf("Host of a request without one is %q, want the destination's", got)
	}
}

func TestUserinfoBecomesAuthorization(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, userinfo string
		sent           []string
		want           []string
	}{
		{"user and password", "us%40er:p%3Ass@", nil, []string{"Basic dXNAZXI6cDpzcw=="}},
		{"user only", "token@", nil, []string{"Basic dG9rZW46"}},
		{"the request has one", "user:pass@", []string{"Authorization: Bearer x"}, []string{"Bearer x"}},
		{"none", "", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			addr := listen(t, deliver(t, repeater.Route("/", "http://"+tt.userinfo+dest.addr+"/in")))
			sendRaw(t, addr, post("/x", "x", tt.sent...))
			got := dest.next(t)
			if !cmp.Equal(got.values("Authorization"), tt.want) {
				t.Errorf("Authorization is %q, want %q", got.values("Authorization"), tt.want)
			}
			if got.value("Host") != dest.addr || got.target() != "/in" {
				t.Errorf("forwarded to %q at %q, want /in at %s", got.target(), got.value("Host"), dest.addr)
			}
		})
	}
}

func TestForwardedBodies(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, _ = zw.Write([]byte("hello"))
	_ = zw.Close()
	large := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(large)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, tt := range []struct {
		name    string
		body    string
		headers []string
	}{
		{"empty", "", nil},
		{"every byte", string(every), nil},
		{"compressed", zipped.String(), []string{"Content-Encoding: gzip"}},
		{"large", string(large), nil},
		{"line ends", "\r\n\r\n0\r\n\r\n", nil},
	} {
		for _, inChunks := range []bool{false, true} {
			name, raw := tt.name, post("/x", tt.body, tt.headers...)
			if inChunks {
				name += ", chunked"
				first := min(len(tt.body), 7)
				raw = post("/x", "", append([]string{"Transfer-Encoding: chunked", "Trailer: X-T"}, tt.headers...)...)
				if first > 0 {
					raw += chunked(tt.body[:first])
				}
				if len(tt.body) > first {
					raw += chunked(tt.body[first:])
				}
				raw += "0\r\nX-T: 1\r\n\r\n"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dest := newDestination(t, answerOK)
				addr := listen(t, deliver(t, repeater.Route("/", dest.url("/in"))))
				id := sendRaw(t, addr, raw).header.Get("Repeater-Id")
				got := dest.next(t)
				if string(got.body) != tt.body {
					t.Errorf("forwarded %d bytes %.50q, want %d bytes %.50q", len(got.body), got.body, len(tt.body), tt.body)
				}
				if n := len(got.values("Content-Length")); n != 1 {
					t.Errorf("%d Content-Lengths, want 1", n)
				}
				if diff := cmp.Diff(tt.headers, travelled(t, got, id), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestSignMD5(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, secret, body string
		headers            []string
		want               string
	}{
		{"the original's example", "secret", "ala ma kota", nil, "65a415c101d8103bc3866bfe9d5dc818"},
		{"the secret counts", "Secret", "ala ma kota", nil, "2057cdca32e882e3919d6e2eb63cf82f"},
		{"content type", "secret", "{}", []string{"Content-Type: application/json"}, "8d8aab261a52afa4af306c4aeda8947c"},
		{"content type with parameters", "secret", "{}", []string{"Content-Type: application/json; charset=utf-8; a=b"}, "8d8aab261a52afa4af306c4aeda8947c"},
		{"empty body", "secret", "", nil, "953ef7afe3cae16d6950c248512afd69"},
		{"a forged one is replaced", "secret", "ala ma kota", []string{"X-REPEATER-SIG: forged", "x-repeater-sig: again"}, "65a415c101d8103bc3866bfe9d5dc818"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			addr := listen(t, deliver(t, repeater.Route("/", dest.url("/in"), repeater.SignMD5("before"), repeater.SignMD5(tt.secret))))
			sendRaw(t, addr, post("/x", tt.body, tt.headers...))
			if got := dest.next(t).values("X-REPEATER-SIG"); !cmp.Equal(got, []string{tt.want}) {
				t.Errorf("X-REPEATER-SIG is %q, want only %q", got, tt.want)
			}
		})
	}
}
