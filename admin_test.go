package repeater_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// mute is a store that does not answer.
type mute struct{ repeater.Queue }

func (mute) Lanes(context.Context, string, int) ([]repeater.LaneInfo, error) {
	return nil, errors.New("dial 10.1.2.3: canary-path")
}

type adminHealth struct {
	Ready   bool
	Reasons []string
}

// wantHealth asks the API, and whoever watches over processes.
func (c adminClient) wantHealth(when string, reasons ...string) {
	c.t.Helper()
	want := adminHealth{len(reasons) == 0, append([]string{}, reasons...)}
	var told, ready adminHealth
	var code int
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c.ask(&told, "GET", "/api/v1/health", "")
		var answer []byte
		code, answer = c.do("GET", "/readyz", "")
		if err := json.Unmarshal(answer, &ready); err != nil {
			c.t.Fatalf("%s: /readyz answers %s", when, answer)
		}
		if cmp.Equal(want, told) && cmp.Equal(want, ready) && (code == http.StatusOK) == want.Ready {
			return
		}
	}
	c.t.Errorf("%s: told %+v, and %d %+v, want %+v", when, told, code, ready, want)
}

// TestAdminHealth is ready while requests are stored, and delivered by somebody.
func TestAdminHealth(t *testing.T) {
	t.Parallel()
	const nobody, gone = "nobody delivers: Run is not at work", "the store does not answer"
	route, quiet := repeater.Route("/in", "http://127.0.0.1:1"), repeater.WithLogger(discard())

	c := serveAdmin(t, run(t, route, quiet, repeater.WithQueue(memqueue.New())))
	c.wantHealth("at work")

	rp := repeater.New(route, quiet, repeater.WithFile(filepath.Join(t.TempDir(), "x.db")))
	c = serveAdmin(t, rp)
	c.wantHealth("without Run", nobody)
	if err := rp.Close(); err != nil {
		t.Fatal(err)
	}
	c.wantHealth("closed", "the repeater is closed")

	logged, log := newLog()
	c = serveAdmin(t, repeater.New(route, repeater.WithLogger(log), repeater.WithQueue(mute{memqueue.New()})))
	c.wantHealth("without a store", gone, nobody)
	for _, path := range []string{"/api/v1/lanes", "/api/v1/lane?lane=x"} {
		if code, answer := c.do("GET", path, ""); code != http.StatusServiceUnavailable || strings.Contains(string(answer), "canary") {
			t.Errorf("%s without a store: %d %s", path, code, answer)
		}
	}
	if n := strings.Count(logged.String(), "admin: the store fails"); n != 1 {
		t.Errorf("that the store fails is logged %d times:\n%s", n, logged)
	}

	c = serveAdmin(t, run(t, route, quiet, repeater.WithFile(filepath.Join(t.TempDir(), "x.db")), repeater.WithDiskFloor(1<<62)))
	c.wantHealth("without room", "the store has no room: senders are told to try again")

	server := redistest.Start(t)
	store := func() repeater.Option { return repeater.WithRedis(server.Client(t)) }
	c = serveAdmin(t, repeater.New(route, quiet, store()))
	c.wantHealth("Redis, nobody at work", nobody)
	run(t, route, quiet, store())
	c.wantHealth("Redis, another at work")
}

// TestAdminMistakes close the door.
func TestAdminMistakes(t *testing.T) {
	t.Parallel()
	rp := run(t, repeater.Route("/in", "http://127.0.0.1:1"), repeater.WithLogger(discard()), repeater.WithQueue(memqueue.New()))
	bad := repeater.New(repeater.WithLogger(discard()))
	for name, h := range map[string]http.Handler{
		"empty token": rp.Admin(repeater.AdminToken("")),
		"short token": rp.Admin(repeater.AdminToken("0123456789abcde")),
		"no route":    bad.Admin(repeater.AdminToken(adminToken)),
	} {
		for path, want := range map[string]int{"/api/v1/lanes": 500, "/": 500, "/readyz": 500, "/healthz": 200} {
			req := httptest.NewRequest("GET", path, nil)
			req.Header.Set("Authorization", "Bearer "+adminToken)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != want {
				t.Errorf("%s: %s answers %d, want %d", name, path, w.Code, want)
			}
		}
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/lanes", nil)
	req.RemoteAddr = "127.0.0.1:1"
	rp.Admin(nil, repeater.AdminToken(""), repeater.AdminToken(adminToken)).ServeHTTP(w, req)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("the last token does not hold: %d", w.Code)
	}
}

// TestAdminConfig: the fingerprint tells configurations apart, but not by what is secret.
func TestAdminConfig(t *testing.T) {
	t.Parallel()
	type config struct {
		Fingerprint string
		Routes      []struct {
			Name  string
			Lanes []string
		}
	}
	of := func(pattern, target string, opts ...repeater.RouteOption) config {
		t.Helper()
		rp := repeater.New(repeater.Route(pattern, target, append(opts, repeater.Name("named"))...), repeater.WithQueue(memqueue.New()))
		if err := rp.Err(); err != nil {
			t.Fatal(err)
		}
		c := serveAdmin(t, rp)
		var got config
		c.ask(&got, "GET", "/api/v1/config", "")
		return got
	}
	one := of("/a", "http://user:secret@h:1/x?y", repeater.SignMD5("secret"), repeater.AlsoTo("https://i"))
	if len(one.Fingerprint) != 16 || len(one.Routes) != 1 || one.Routes[0].Name != "named" ||
		cmp.Diff([]string{"http://h:1", "https://i:443"}, one.Routes[0].Lanes) != "" {
		t.Errorf("%+v", one)
	}
	if two := of("/b", "http://other:word@h:1/z", repeater.SignMD5("other"), repeater.AlsoTo("https://i")); two.Fingerprint != one.Fingerprint {
		t.Error("a secret can be guessed from the fingerprint")
	}
	for name, other := range map[string]config{
		"concurrency": of("/a", "http://h:1", repeater.SignMD5("secret"), repeater.AlsoTo("https://i"), repeater.Concurrency(2)),
		"age":         of("/a", "http://h:1", repeater.SignMD5("secret"), repeater.AlsoTo("https://i"), repeater.MaxAge(time.Hour)),
		"destination": of("/a", "http://h:1", repeater.SignMD5("secret")),
		"signature":   of("/a", "http://h:1", repeater.AlsoTo("https://i")),
	} {
		if other.Fingerprint == one.Fingerprint {
			t.Errorf("another %s has the same fingerprint", name)
		}
	}
}
