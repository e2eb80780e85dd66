package main_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// adminURL waits until the program tells where its admin pages are.
func (p program) adminURL(t *testing.T) string {
	t.Helper()
	log := p.Stderr.Await(t, "the address of the admin pages", func(log string) bool {
		return strings.Contains(log, `"admin pages"`) && strings.HasSuffix(log, "\n")
	})
	for _, l := range lines(t, log) {
		if l["msg"] == "admin pages" {
			return strings.TrimSuffix(l["url"].(string), "/")
		}
	}
	t.Fatal("no address")
	return ""
}

func get(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestAdminOnThisMachine needs no token there, and lets in nobody by another name.
func TestAdminOnThisMachine(t *testing.T) {
	t.Parallel()
	p := serve(t, write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[admin]\nlisten = 127.0.0.1:0\n"+hook))
	admin := p.adminURL(t)
	for path, want := range map[string]int{"/api/v1/lanes": 200, "/healthz": 200, "/metrics": 200, "/api/v1/request?lane=x&id=y": 403} {
		if got := get(t, admin+path, ""); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if got := get(t, p.url+"/api/v1/lanes", ""); got != http.StatusNotFound {
		t.Errorf("where webhooks come in, the API answers %d", got)
	}
	p.Signal(t, syscall.SIGTERM)
	p.ends(t, 0)
}

// TestMetrics: what the program counts can be collected at its admin listener, and nowhere else.
func TestMetrics(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	p := serve(t, write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[admin]\nlisten = 127.0.0.1:0\n"+
		"[hook:a]\nsrc_path = /hunter2\ndst_host = "+dest.URL+"\n"))
	admin := p.adminURL(t)
	p.accepts(t, "/hunter2", "", "1")
	dest.next(t)
	resp, err := http.Get(admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`repeater_requests_accepted_total{route="a"} 1`, "repeater_store_up 1", "process_start_time_seconds"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("a source path is told:\n%s", text)
	}
	if got := get(t, p.url+"/metrics", ""); got != http.StatusNotFound {
		t.Errorf("where webhooks come in, metrics answer %d", got)
	}
	p.Signal(t, syscall.SIGTERM)
	p.ends(t, 0)
}

// TestAdminForOthers takes a token, which the log does not tell.
func TestAdminForOthers(t *testing.T) {
	t.Parallel()
	const token = "hunter2-hunter2-hunter2"
	p := serve(t, write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[log]\nlevel = debug\n"+
		"[admin]\nlisten = 0.0.0.0:0\nshow_payloads = yes\ntoken = "+token+"\n"+hook))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(p.adminURL(t), "http://"))
	admin := "http://127.0.0.1:" + port
	for _, tt := range []struct {
		path, token string
		want        int
	}{
		{"/api/v1/lanes", "", 401},
		{"/api/v1/lanes", "hunter2", 401},
		{"/api/v1/lanes", token, 200},
		{"/api/v1/request?lane=x&id=y", token, 404},
		{"/metrics", "", 401},
		{"/metrics", token, 200},
		{"/readyz", "", 200},
	} {
		if got := get(t, admin+tt.path, tt.token); got != tt.want {
			t.Errorf("%s with token %q: %d, want %d", tt.path, tt.token, got, tt.want)
		}
	}
	p.Signal(t, syscall.SIGTERM)
	if _, log := p.ends(t, 0); strings.Contains(log, "hunter2") {
		t.Errorf("the log tells the token:\n%s", log)
	}
}

// TestAdminOff opens nothing.
func TestAdminOff(t *testing.T) {
	t.Parallel()
	p := serve(t, write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[admin]\nlisten = off\n"+hook))
	p.Signal(t, syscall.SIGTERM)
	if _, log := p.ends(t, 0); strings.Contains(log, "admin pages") {
		t.Errorf("it says\n%s", log)
	}
}

// occupy takes an address as soon as other tests' processes have left it. Whoever does not leave
// it in all that time keeps it taken as well.
func occupy(addr string) (leave func()) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ln, err := net.Listen("tcp", addr); err == nil {
			return func() { _ = ln.Close() }
		}
	}
	return func() {}
}

// TestAdminPortIsTaken: only an address that the file names has to be free.
func TestAdminPortIsTaken(t *testing.T) {
	t.Parallel()
	defer occupy("127.0.0.1:8101")()
	for _, args := range [][]string{{"-p", "0"}, {"--to", "http://127.0.0.1:1", "-H", "127.0.0.1", "-p", "0"}} {
		dir := t.TempDir()
		if len(args) == 2 {
			dir = write(t, "config.ini", "[server]\nhost = 127.0.0.1\n"+hook)
		}
		p := serve(t, dir, args...)
		p.Signal(t, syscall.SIGTERM)
		if _, log := p.ends(t, 0); !strings.Contains(log, "there are no admin pages, as their address is taken") {
			t.Errorf("%q: it says\n%s", args, log)
		}
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, log := run(t, write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[admin]\nlisten = "+ln.Addr().String()+"\n"+hook)).ends(t, 1)
	if !strings.Contains(log, "address already in use; choose another with listen under [admin]") {
		t.Errorf("it says\n%s", log)
	}
}
