package admin_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// still is a Source in which nothing moves.
type still struct {
	admin.Source
	paused chan string
}

func newStill() still { return still{paused: make(chan string, 10)} }

func (s still) Lanes(context.Context) ([]admin.Lane, error) { return nil, nil }

func (s still) Lane(_ context.Context, name string) (admin.Lane, error) {
	if name != "a" {
		return admin.Lane{}, admin.ErrNotFound
	}
	return admin.Lane{Name: name, State: admin.Well}, nil
}

func (s still) Pause(_ context.Context, lane string) error {
	s.paused <- lane
	return nil
}

func (s still) Request(context.Context, string, string, int) (*admin.Request, error) {
	return &admin.Request{Method: "POST", Path: "/x?y", Body: []byte("body"), Header: map[string][]string{
		"Authorization": {"Basic c2VjcmV0"}, "Cookie": {"a=b", "c=d"}, "X-Hub-Signature-256": {"sha256=00"}, "Stripe-Signature": {"t=1"},
		"X-Gitlab-Token": {"t"}, "X-Api-Key": {"k"}, "Proxy-Authorization": {"p"}, "Set-Cookie": {"s"}, "X-Shopify-Hmac-Sha256": {"h"},
		"X-Repeater-Sig": {"m"}, "X-Session-Id": {"i"}, "Content-Type": {"text/plain"}, "X-Github-Event": {"push"}, "Idempotency-Key": {"1"},
	}}, nil
}

func (s still) Health(context.Context) admin.Health {
	return admin.Health{Reasons: []string{"nobody delivers"}}
}

func (s still) Config() admin.Config { return admin.Config{Fingerprint: "0"} }

const token = "0123456789abcdef"

// serve serves src, and returns where, and a browser that keeps cookies and follows no redirect.
func serve(t *testing.T, src admin.Source, o admin.Options) (url string, browser *http.Client) {
	t.Helper()
	srv := httptest.NewServer(http.StripPrefix("/ops", admin.New(src, o)))
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return srv.URL + "/ops", &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
