package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHookKeys drives what a hook, or [app] for all of them, may say of deliveries.
func TestHookKeys(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	arrived := make(chan string, 100)
	dest.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempt := r.Header.Get("Repeater-Attempt")
		arrived <- r.URL.Path + " " + attempt
		switch {
		case r.URL.Path == "/teapot":
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short and stout")
		case r.URL.Path == "/any":
			w.WriteHeader(http.StatusInternalServerError)
		case r.URL.Path == "/retried" && attempt == "1":
			w.WriteHeader(http.StatusNotFound)
		}
	})
	hook := func(path, keys string) string {
		return "[hook:" + path[1:] + "]\nsrc_path = " + path + "\ndst_host = " + dest.URL + "\n" + keys
	}
	dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[app]\nbackoff_timeout = 20ms\ndedupe = X-Delivery\n"+
		hook("/retried", "retry_status = 404\n")+hook("/any", "success = any\n")+hook("/teapot", "pass_through = 20s\ndedupe = none\n")+
		hook("/last", "concurrency = 4\norder_by = json:/issue/key\n"))
	p := serve(t, dir)

	first, second := p.delivery(t, "/any"), p.delivery(t, "/any")
	if first.Header.Get("Repeater-Id") != second.Header.Get("Repeater-Id") {
		t.Error("what was sent again was stored again")
	}
	if got := <-arrived; got != "/any 1" {
		t.Errorf("%s arrived, want /any 1", got)
	}
	p.accepts(t, "/retried", "", "")
	for _, want := range []string{"/retried 1", "/retried 2"} {
		if got := <-arrived; got != want {
			t.Errorf("%s arrived, want %s", got, want)
		}
	}
	for range 2 {
		resp := p.delivery(t, "/teapot")
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusTeapot || string(body) != "short and stout" || err != nil {
			t.Errorf("the sender hears %s %q, %v", resp.Status, body, err)
		}
		if got := <-arrived; got != "/teapot 1" {
			t.Errorf("%s arrived, want /teapot 1", got)
		}
	}
	p.accepts(t, "/last", "application/json", `{"issue": {"key": "A-1"}}`)
	if got := <-arrived; got != "/last 1" {
		t.Errorf("%s arrived, want /last 1", got)
	}
	p.Signal(t, syscall.SIGTERM)
	p.ends(t, 0)
}

// TestVerify: only what the sender has signed is accepted, with any of the secrets.
func TestVerify(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[hook:a]\nsrc_path = /a\ndst_host = "+dest.URL+"\n"+
		"verify = github\nverify_secret = file:old\n  It's a Secret to Everybody\n")
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, dir)
	// The signature of GitHub's own documentation.
	for signature, want := range map[string]int{
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17": http.StatusOK,
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18": http.StatusUnauthorized,
	} {
		req, err := http.NewRequest(http.MethodPost, p.url+"/a", strings.NewReader("Hello, World!"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", signature)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: answered %s, want %d", signature, resp.Status, want)
		}
	}
	if got := dest.next(t); got.body != "Hello, World!" {
		t.Errorf("%q arrived", got.body)
	}
}

// delivery sends a request that a sender may send again.
func (p program) delivery(t *testing.T, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.url+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Delivery", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}
