package repeater_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// good is a route with which nothing is wrong.
func good() repeater.Option { return repeater.Route("/good", anywhere) }

// mistakes are options with one thing wrong, and what Err must say about it, whatever
// its other words.
var mistakes = []struct {
	name string
	opts []repeater.Option
	want []string
}{
	{"no route", []repeater.Option{}, []string{"no route"}},
	{"no option but nil", []repeater.Option{nil}, []string{"no route"}},

	{"unparsable target", []repeater.Option{repeater.Route("/x", "http://h/%zz")}, []string{`"/x"`, "URL"}},
	{"control character", []repeater.Option{repeater.Route("/x", "http://h/\n")}, []string{`"/x"`, "URL"}},
	{"other scheme", []repeater.Option{repeater.Route("/x", "ftp://h/")}, []string{`"/x"`, "ftp"}},
	{"no scheme", []repeater.Option{repeater.Route("/x", "dest.example/in")}, []string{`"/x"`, "scheme"}},
	{"relative target", []repeater.Option{repeater.Route("/x", "/in")}, []string{`"/x"`, "scheme"}},
	{"empty target", []repeater.Option{repeater.Route("/x", "")}, []string{`"/x"`}},
	{"no host", []repeater.Option{repeater.Route("/x", "http:///in")}, []string{`"/x"`, "no host"}},
	{"port only", []repeater.Option{repeater.Route("/x", "http://:80/in")}, []string{`"/x"`, "no host"}},
	{"opaque target", []repeater.Option{repeater.Route("/x", "http:in")}, []string{`"/x"`, "no host"}},
	{"bad port", []repeater.Option{repeater.Route("/x", "http://h:http/")}, []string{`"/x"`, "port"}},
	{"impossible port", []repeater.Option{repeater.Route("/x", "http://h:99999/")}, []string{`"/x"`, "port"}},
	{"space in query", []repeater.Option{repeater.Route("/x", "http://h/?a b")}, []string{`"/x"`, "query"}},
	{"second destination", []repeater.Option{repeater.Route("/x", anywhere, repeater.AlsoTo("ftp://h"))}, []string{`"/x"`, "destination 1", "ftp"}},

	{"empty pattern", []repeater.Option{repeater.Route("", anywhere)}, []string{"pattern", `""`}},
	{"pattern without slash", []repeater.Option{repeater.Route("hooks", anywhere)}, []string{`"hooks"`}},
	{"bad wildcard", []repeater.Option{repeater.Route("/{x", anywhere)}, []string{`"/{x"`}},
	{"wildcard twice", []repeater.Option{repeater.Route("/{x}/{x}", anywhere)}, []string{`"/{x}/{x}"`}},
	{"bad method", []repeater.Option{repeater.Route("PO(ST /x", anywhere)}, []string{`"PO(ST /x"`}},
	{"line end in pattern", []repeater.Option{repeater.Route("/x{\n", anywhere)}, []string{`"/x{\n"`}},
	{"pattern of no request", []repeater.Option{repeater.Route("/a/../b", anywhere)}, []string{`"/a/../b"`}},
	{"same pattern twice", []repeater.Option{repeater.Route("/x", anywhere), repeater.Route("/x", "http://other.example")}, []string{`"/x"`, "conflicts"}},
	{"conflicting patterns",
		[]repeater.Option{repeater.Route("/{a}/x", anywhere), repeater.Route("/x/{b}", anywhere)},
		[]string{`"/{a}/x"`, `"/x/{b}"`, "conflicts"}},
	{"same name twice",
		[]repeater.Option{repeater.Route("/x", anywhere, repeater.Name("n1")), repeater.Route("/y", anywhere, repeater.Name("n1"))},
		[]string{`"/x"`, `"/y"`, `"n1"`}},
	{"empty name", []repeater.Option{repeater.Route("/x", anywhere, repeater.Name(""))}, []string{`"/x"`, "Name"}},
	{"long name", []repeater.Option{repeater.Route("/x", anywhere, repeater.Name(strings.Repeat("n", 256)))}, []string{`"/x"`, "Name", "256"}},

	{"not a network", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom("10.0.0.0/8", "10.0.0/8"))}, []string{`"/x"`, "AllowFrom", `"10.0.0/8"`}},
	{"host name", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom("localhost"))}, []string{`"/x"`, "AllowFrom", `"localhost"`}},
	{"too many bits", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom("10.0.0.0/33"))}, []string{`"/x"`, "AllowFrom", `"10.0.0.0/33"`}},
	{"empty network", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom(""))}, []string{`"/x"`, "AllowFrom", `""`}},
	{"zone", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom("fe80::1%eth0"))}, []string{`"/x"`, "AllowFrom", `"fe80::1%eth0"`}},
	{"more than the mapped addresses", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom("::ffff:0.0.0.0/90"))}, []string{`"/x"`, "AllowFrom", "IPv4"}},
	{"no network at all", []repeater.Option{repeater.Route("/x", anywhere, repeater.AllowFrom())}, []string{`"/x"`, "AllowFrom"}},

	{"not a proxy", []repeater.Option{good(), repeater.TrustProxies("10.0.0.1", "proxy.example")}, []string{"TrustProxies", `"proxy.example"`}},
	{"no proxy at all", []repeater.Option{good(), repeater.TrustProxies()}, []string{"TrustProxies"}},

	{"nil verifier", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(nil))}, []string{`"/x"`, "Verify", "nil"}},
	{"verifier without secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(repeater.GitHub()))}, []string{`"/x"`, "Verify", "no secret"}},
	{"verifier with an empty secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(repeater.Slack("a", "")))}, []string{`"/x"`, "Verify", "empty"}},
	{"verifier without header", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(repeater.HMAC(repeater.HMACScheme{}, "a")))}, []string{`"/x"`, "HMAC", "header"}},
	{"secret that is not base64", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(repeater.StandardWebhooks("whsec_canary!")))}, []string{`"/x"`, "base64"}},
	{"token without token", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(repeater.GitLab()))}, []string{`"/x"`, "no secret"}},
	{"empty token beside a good one", []repeater.Option{repeater.Route("/x", anywhere, repeater.Verify(repeater.GitLab("whsec_AAAA", "")))}, []string{`"/x"`, "empty"}},

	{"no signing secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.Sign())}, []string{`"/x"`, "Sign", "no secret"}},
	{"signing secret not base64", []repeater.Option{repeater.Route("/x", anywhere, repeater.Sign("whsec_canary!"))}, []string{`"/x"`, "Sign", "base64"}},
	{"short signing secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.Sign("whsec_AAAA"))}, []string{`"/x"`, "Sign", "3 bytes"}},
	{"no key", []repeater.Option{good(), repeater.Encrypt()}, []string{"Encrypt", "no key"}},
	{"short key", []repeater.Option{good(), repeater.Encrypt("plain", "canary==")}, []string{"Encrypt", "32 bytes"}},

	{"unknown handshake", []repeater.Option{repeater.Route("/x", anywhere, repeater.Handshake("skype"))}, []string{`"/x"`, "Handshake", `"skype"`, "slack"}},
	{"handshake that takes no secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.Handshake("slack", "canary"))}, []string{`"/x"`, "Handshake", "slack"}},
	{"handshake without secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.Handshake("x"))}, []string{`"/x"`, "Handshake", "x takes"}},
	{"handshake with two secrets", []repeater.Option{repeater.Route("/x", anywhere, repeater.Handshake("x", "canary", "canary"))}, []string{`"/x"`, "Handshake", "x takes"}},
	{"handshake with an empty token", []repeater.Option{repeater.Route("/x", anywhere, repeater.Handshake("meta", ""))}, []string{`"/x"`, "Handshake", "meta takes"}},
	{"handshake of nobody", []repeater.Option{repeater.Route("/x", anywhere, repeater.Handshake("cloudevents"))}, []string{`"/x"`, "Handshake", "cloudevents takes"}},
	{"method of a handshake taken",
		[]repeater.Option{repeater.Route("POST /x", anywhere, repeater.Handshake("meta", "t")), repeater.Route("GET /x", anywhere)},
		[]string{`"GET /x"`, "conflicts"}},
	{"method taken by a handshake",
		[]repeater.Option{repeater.Route("GET /x", anywhere), repeater.Route("POST /x", anywhere, repeater.Handshake("x", "s"))},
		[]string{`"POST /x"`, "Handshake", `"GET /x"`, "conflicts"}},

	{"no destination allowed", []repeater.Option{good(), repeater.AllowTo()}, []string{"AllowTo"}},
	{"not an address to allow", []repeater.Option{good(), repeater.AllowTo("metadata.example")}, []string{"AllowTo", `"metadata.example"`}},
	{"metadata service", []repeater.Option{repeater.Route("/x", anywhere, repeater.AlsoTo("http://169.254.169.254/canary"))}, []string{`"/x"`, "destination 1", "AllowTo"}},
	{"metadata service otherwise", []repeater.Option{repeater.Route("/x", "http://[::ffff:169.254.169.254]/")}, []string{`"/x"`, "destination 0", "AllowTo"}},
	{"TLS of another transport", []repeater.Option{good(), repeater.WithTLS(&tls.Config{}), repeater.WithTransport(noTransport{})}, []string{"WithTLS", "WithTransport"}},
	{"a route's TLS of another transport",
		[]repeater.Option{repeater.Route("/x", anywhere, repeater.TLS(&tls.Config{})), repeater.WithTransport(noTransport{})}, []string{`"/x"`, "TLS", "WithTransport"}},
	{"H2C of another transport", []repeater.Option{repeater.Route("/x", anywhere, repeater.H2C()), repeater.WithTransport(noTransport{})}, []string{`"/x"`, "H2C", "WithTransport"}},

	{"empty secret", []repeater.Option{repeater.Route("/x", anywhere, repeater.SignMD5(""))}, []string{`"/x"`, "SignMD5", "empty"}},
	{"negative pace", []repeater.Option{repeater.Route("/x", anywhere, repeater.Pace(-time.Second))}, []string{`"/x"`, "Pace", "-1s"}},
	{"differing paces",
		[]repeater.Option{
			repeater.Route("/x", "http://Dest.example/a", repeater.Pace(time.Second)),
			repeater.Route("/y", anywhere),
			repeater.Route("/z", "https://other.example", repeater.AlsoTo("http://dest.example:80/b"), repeater.Pace(2*time.Second)),
		},
		[]string{`"/z"`, "Pace", "1s", "2s", "http://dest.example:80"}},

	{"two stores", []repeater.Option{good(), repeater.WithFile("a.db"), repeater.WithQueue(&pushes{})}, []string{"WithFile", "WithQueue"}},
	{"two files", []repeater.Option{good(), repeater.WithFile("a.db"), repeater.WithFile("b.db")}, []string{"WithFile, WithFile"}},
	{"empty file", []repeater.Option{good(), repeater.WithFile("")}, []string{"WithFile", "empty"}},
	{"nil client", []repeater.Option{good(), repeater.WithRedis(nil)}, []string{"WithRedis", "nil"}},
	{"nil queue", []repeater.Option{good(), repeater.WithQueue(nil)}, []string{"WithQueue", "nil"}},
	{"braces in the prefix", []repeater.Option{good(), repeater.WithRedisPrefix("{a}")}, []string{"WithRedisPrefix", "{a}"}},

	{"negative drain", []repeater.Option{good(), repeater.WithDrain(-1)}, []string{"WithDrain", "-1ns"}},
	{"negative push timeout", []repeater.Option{good(), repeater.WithPushTimeout(-time.Minute)}, []string{"WithPushTimeout", "-1m0s"}},
	{"negative body", []repeater.Option{good(), repeater.WithMaxBody(-7)}, []string{"WithMaxBody", "-7"}},
	{"negative header", []repeater.Option{good(), repeater.WithMaxHeader(-7)}, []string{"WithMaxHeader", "-7"}},
	{"negative read timeout", []repeater.Option{good(), repeater.WithReadTimeout(-time.Minute)}, []string{"WithReadTimeout", "-1m0s"}},
	{"negative age", []repeater.Option{good(), repeater.WithUnknownRouteAge(-time.Hour)}, []string{"WithUnknownRouteAge", "-1h0m0s"}},
	{"negative first pause", []repeater.Option{good(), repeater.WithBackoff(-time.Second, 0)}, []string{"WithBackoff", "-1s"}},
	{"negative longest pause", []repeater.Option{good(), repeater.WithBackoff(0, -time.Second)}, []string{"WithBackoff", "-1s"}},
	{"longest pause shorter than first", []repeater.Option{good(), repeater.WithBackoff(time.Minute, time.Second)}, []string{"WithBackoff", "1m0s", "1s"}},
}

func TestEachMistakeIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range mistakes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rp := repeater.New(append(tt.opts, repeater.WithLogger(discard()))...)
			err := rp.Err()
			if err == nil {
				t.Fatal("Err() is nil")
			}
			wantNoSecret(t, err.Error(), "canary")
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Err() is %q, want %q in it", err, want)
				}
			}
			if n := strings.Count(err.Error(), "\n"); n > 0 {
				t.Errorf("one mistake takes %d lines:\n%v", n+1, err)
			}
			if got := rp.Run(t.Context()); got != err { //nolint:errorlint // the very same
				t.Errorf("Run returned %v, want %v", got, err)
			}
			for what, f := range map[string]func(context.Context) error{
				"Open":  rp.Open,
				"Lanes": func(ctx context.Context) error { _, err := rp.Lanes(ctx); return err },
			} {
				if got := f(t.Context()); !errors.Is(got, err) {
					t.Errorf("%s returned %v, want %v", what, got, err)
				}
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	rp := repeater.New(
		repeater.Route("/a", "ftp://h", repeater.AlsoTo("http://"), repeater.AllowFrom("one", "two"), repeater.SignMD5("")),
		repeater.Route("/b", anywhere, repeater.Name("same"), repeater.Pace(time.Second)),
		repeater.Route("/c", anywhere, repeater.Name("same"), repeater.Pace(time.Minute)),
		repeater.Route("/b", "http://h/%zz"),
		repeater.Route("/{", anywhere),
		repeater.WithFile(""), repeater.WithRedis(nil), repeater.WithQueue(nil),
		repeater.WithBackoff(time.Hour, time.Minute),
		repeater.WithDrain(-1), repeater.WithPushTimeout(-1), repeater.WithMaxBody(-1), repeater.WithUnknownRouteAge(-1),
	)
	joined, ok := rp.Err().(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("Err() is %T, want joined errors", rp.Err())
	}
	lines := strings.Split(rp.Err().Error(), "\n")
	if got := len(joined.Unwrap()); got != len(lines) {
		t.Errorf("%d errors in %d lines, want one line each:\n%v", got, len(lines), rp.Err())
	}
	for _, want := range []string{
		`route "/a": destination 0`, `route "/a": destination 1`, `"one"`, `"two"`, "SignMD5", `"same"`, "Pace", `"/b" conflicts`,
		`"/b": destination 0`, `pattern "/{"`, "WithFile: ", "WithRedis: ", "WithQueue: ", "3 stores", "WithBackoff", "WithDrain",
		"WithPushTimeout", "WithMaxBody", "WithUnknownRouteAge",
	} {
		n := 0
		for _, l := range lines {
			if strings.Contains(l, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d lines contain %q, want 1:\n%v", n, want, rp.Err())
		}
	}
	if len(lines) != 19 {
		t.Errorf("%d mistakes, want 19:\n%v", len(lines), rp.Err())
	}
}

// TestMistakesKeepSecrets: most wrong targets are wrong because of a password that
// should have been escaped.
func TestMistakesKeepSecrets(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"ftp://canary:canary@h/?canary",
		"http://canary:canary@/?canary",
		"http://canary:canary@h/%zz?canary",
		"http://canary:canary@h:port/?canary",
		"http://h/?canary canary",
		"http://h/\n?canary",
		"http://us er:canary@h/",
		"http://user:can ary@h/canary",
		"http://canary:canary@[::1/",
		"http://canary:canary@ho st/?canary",
		"http://user:canary/x@h/",
		"http://user:canary?x@h/",
		"http://user:canary#x@h/",
		"http://user:can[ary]/canary@h/",
		"canary:canary@h/in",
		"//canary:canary@h/in",
		"http:canary:canary@h/in",
	} {
		for _, opt := range []repeater.Option{
			repeater.Route("/named", target),
			repeater.Route("/named", anywhere, repeater.AlsoTo(target)),
		} {
			err := repeater.New(opt).Err()
			if err == nil {
				t.Errorf("%s: no error", target)
				continue
			}
			if !strings.Contains(err.Error(), `"/named"`) {
				t.Errorf("%s: %q does not name the route", target, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %q tells a secret", target, err)
			}
		}
	}
}

// TestNewTouchesNothing is not parallel: the default store is in the working directory.
func TestNewTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	all := [][]repeater.Option{
		{good()},
		{good(), repeater.WithFile(filepath.Join(dir, "some.db"))},
		{good(), repeater.WithFile(filepath.Join(dir, "no", "such", "dir", "some.db"))},
	}
	for _, m := range mistakes {
		all = append(all, m.opts)
	}
	for _, opts := range all {
		rp := repeater.New(opts...)
		_ = rp.Err()
		if err := rp.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		t.Errorf("New left %v behind", found)
	}
}

func TestDefaultStore(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	rp := repeater.New(good(), repeater.WithLogger(discard()))
	wantStatus(t, try(rp, "POST", "/good"), 200)
	if err := rp.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "repeater.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode(), fs.FileMode(0o600); got != want {
		t.Errorf("repeater.db has mode %v, want %v", got, want)
	}
}

func TestNilOptionsArePassedOver(t *testing.T) {
	t.Parallel()
	rp := repeater.New(nil, repeater.WithQueue(&pushes{}), nil, repeater.Route("/x", anywhere, nil, repeater.KeepPath(), nil), nil)
	if err := rp.Err(); err != nil {
		t.Errorf("Err() is %v, want nil", err)
	}
	wantStatus(t, try(rp, "POST", "/x"), 200)
}

// TestGoodOptions are those that look wrong and are not.
func TestGoodOptions(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, opts := range map[string][]repeater.Option{
		"zeros": {good(), repeater.WithBackoff(0, 0), repeater.WithDrain(0), repeater.WithPushTimeout(0), repeater.WithMaxBody(0),
			repeater.WithMaxHeader(0), repeater.WithReadTimeout(0), repeater.WithUnknownRouteAge(0)},
		"long first pause":   {good(), repeater.WithBackoff(time.Hour, 0)},
		"equal pauses":       {good(), repeater.WithBackoff(second, second)},
		"last pause holds":   {good(), repeater.WithBackoff(time.Hour, second), repeater.WithBackoff(second, time.Hour)},
		"one pace, stated":   {repeater.Route("/x", anywhere, repeater.Pace(second)), repeater.Route("/y", anywhere)},
		"one pace, twice":    {repeater.Route("/x", anywhere, repeater.Pace(second)), repeater.Route("/y", anywhere, repeater.Pace(second))},
		"paces, other ports": {repeater.Route("/x", "http://h:1", repeater.Pace(second)), repeater.Route("/y", "http://h:2", repeater.Pace(2*second))},
		"general and special": {repeater.Route("/x/", anywhere), repeater.Route("POST /x/{y}", anywhere), repeater.Route("POST /x/y", anywhere),
			repeater.Route("h.example/x/y", anywhere)},
		"metadata service, allowed":           {repeater.Route("/x", "http://169.254.169.254/"), repeater.AllowTo("169.254.0.0/16")},
		"metadata service, another transport": {repeater.Route("/x", "http://169.254.169.254/"), repeater.WithTransport(noTransport{})},
		"no TLS settings":                     {repeater.Route("/x", anywhere, repeater.TLS(nil)), repeater.WithTLS(nil), repeater.WithTransport(noTransport{})},
		"same target twice":                   {repeater.Route("/x", anywhere, repeater.AlsoTo(anywhere))},
		"last name holds":                     {repeater.Route("/x", anywhere, repeater.Name("a"), repeater.Name("b")), repeater.Route("/y", anywhere, repeater.Name("a"))},
		"longest name":                        {repeater.Route("/x", anywhere, repeater.Name(strings.Repeat("n", 255)))},
		"odd targets": {repeater.Route("/x", "HTTPS://user:p%2Fw@[::1]:8443/a b/%2F?x=%zz;y", repeater.AlsoTo("http://żółw.example"),
			repeater.AlsoTo("http://h:65535?"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := repeater.New(append(opts, repeater.WithQueue(&pushes{}))...).Err(); err != nil {
				t.Errorf("Err() is %v, want nil", err)
			}
		})
	}
}

// TestDefaultName pins names: stored messages find their route by them, so they must
// never change from one release to the next.
func TestDefaultName(t *testing.T) {
	t.Parallel()
	want := map[string]string{"/hooks/jira": "route-aef87858", "POST /hooks/jira": "route-eb425e31"}
	q := &pushes{}
	rp := door(t, q, repeater.Route("/hooks/jira", anywhere), repeater.Route("POST /hooks/jira", anywhere))
	try(rp, "PUT", "/hooks/jira")
	try(rp, "POST", "/hooks/jira")
	got := make(map[string]string)
	for i, pattern := range []string{"/hooks/jira", "POST /hooks/jira"} {
		got[pattern] = q.batches()[i].Route
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestNilMeansDefault is not parallel: the default logger is the process's.
func TestNilMeansDefault(t *testing.T) {
	before, out, flags := slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(out) // SetDefault leads package log to slog, and not back
		log.SetFlags(flags)
	})
	logged, logger := newLog()
	slog.SetDefault(logger)
	dest := newDestination(t, answerOK)
	rp := deliver(t, repeater.Route("/x", dest.url("/in")),
		repeater.WithCodec(brokenCodec{}), repeater.WithCodec(nil),
		repeater.WithTransport(noTransport{}), repeater.WithTransport(nil),
		repeater.WithLogger(discard()), repeater.WithLogger(nil))
	slog.SetDefault(discard()) // what counts is the time of New
	wantStatus(t, try(rp, "POST", "/x"), 200)
	if got := dest.next(t); string(got.body) != "x" {
		t.Errorf("delivered %q, want x", got.body)
	}
	logged.waitFor(t, "the delivery", func(log string) bool { return strings.Contains(log, "delivered") })
}

// noTransport sends nothing.
type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("not to be used")
}
