package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

// TestTo needs no file: everything goes to one destination, path and query kept.
func TestTo(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	dir := t.TempDir()
	p := serve(t, dir, "--to", dest.URL+"/base?token=t", "-H", "127.0.0.1", "-p", "0")
	for sent, want := range map[string]string{
		"/":                  "/base/?token=t",
		"/a/b%2Fc;d?x=1&x=2": "/base/a/b%2Fc;d?token=t&x=1&x=2",
		"/a//../b":           "/base/a//../b?token=t",
	} {
		p.accepts(t, sent, "text/plain", "hello")
		if got := dest.next(t); got.RequestURI != want || got.body != "hello" {
			t.Errorf("%s arrived as %s with %q, want %s", sent, got.RequestURI, got.body, want)
		}
	}
	p.Signal(t, os.Interrupt)
	p.ends(t, 0)
	info, err := os.Stat(filepath.Join(dir, "webhook-repeater.db"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("the store file has mode %o, want 600", mode)
	}
}

// TestTrustedProxies: only a proxy that the file names tells who sends.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	for keys, want := range map[string]int{"": http.StatusForbidden, "trusted_proxies = 10.0.0.0/8, 127.0.0.1\n": http.StatusOK} {
		dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n"+keys+
			"[hook:a]\nsrc_path = /a\nsrc_host = 192.0.2.1\ndst_host = "+dest.URL+"\n")
		p := serve(t, dir)
		if got := p.spoof(t, "/a", "192.0.2.1"); got != want {
			t.Errorf("%q: answered %d, want %d", keys, got, want)
		}
		if got := p.spoof(t, "/a", "192.0.2.1, 192.0.2.2"); got != http.StatusForbidden {
			t.Errorf("%q: answered %d to another sender, want 403", keys, got)
		}
		p.Signal(t, os.Interrupt)
		p.ends(t, 0)
	}
}

// TestSecondSignal: whoever cannot wait for the drain sends a signal again. What was under way is
// delivered after the next start.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	hang, arrived := make(chan struct{}), make(chan string, 10)
	dest.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.Header.Get("Repeater-Id")
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\ngrace = 1h\n[hook:a]\nsrc_path = /a\ndst_host = "+dest.URL+"\n")
	p := serve(t, dir)
	p.accepts(t, "/a", "", "")
	id := <-arrived
	p.Signal(t, syscall.SIGTERM)
	p.Stderr.Await(t, "the line that it stops", func(log string) bool { return strings.Contains(log, `"stopping"`) })
	second := time.Now()
	p.Signal(t, syscall.SIGTERM)
	p.ends(t, 128+int(syscall.SIGTERM))
	if took := time.Since(second); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}

	close(hang)
	serve(t, dir)
	select {
	case again := <-arrived:
		if again != id {
			t.Errorf("%s arrived, want %s", again, id)
		}
	case <-time.After(patience):
		t.Fatal("what was under way is lost")
	}
}

// TestSignalWhileNothingHappens ends an idle program at once.
func TestSignalWhileNothingHappens(t *testing.T) {
	t.Parallel()
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := serve(t, t.TempDir(), "--to", "http://127.0.0.1:1", "-H", "127.0.0.1", "-p", "0")
		from := time.Now()
		p.Signal(t, s)
		p.ends(t, 0)
		if took := time.Since(from); took > 3*time.Second {
			t.Errorf("%v: it took %v to end", s, took)
		}
	}
}

// TestUnreachableRedis: the program starts, tells senders to come again, and goes on trying. The log says why,
// and nothing stands beside it that the Redis client prints of its own.
func TestUnreachableRedis(t *testing.T) {
	t.Parallel()
	nobody := proctest.Loopback(testport.Plain(t))
	dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[app]\npush_timeout = 300ms\n"+
		"[store]\nredis_url = redis://user:hunter2@"+nobody+"/0\n"+hook)
	p := serve(t, dir)
	resp := p.post(t, "/a", "", "")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("answered with %s and Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	if !p.Alive() {
		t.Error("it has ended")
	}
	p.Stderr.Await(t, "why nothing is stored", func(log string) bool { return strings.Contains(log, "connection refused") })
	p.Signal(t, syscall.SIGTERM)
	_, log := p.ends(t, 0)
	if strings.Contains(log, "hunter2") {
		t.Errorf("the log tells the password:\n%s", log)
	}
	for _, l := range lines(t, log) {
		if text, _ := l["msg"].(string); strings.Contains(text, "redis") {
			t.Errorf("the Redis client says %q", text)
		}
	}
}

// TestLog: what is logged, in which form, and that it never tells a secret, not even at debug level.
func TestLog(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 8100\n[log]\nlevel = debug\nformat = "+format+"\n"+
				"[hook:payments]\nsrc_path = /hunter2-path\nsecret = hunter2-key\n"+
				"dst_host = "+strings.Replace(dest.URL, "http://", "http://user:hunter2-password@", 1)+"\ndst_path = /hunter2-target?token=hunter2-token\n")
			p := run(t, dir, "-p", "0")
			p.url = "http://" + awaitAddress(t, p, format)
			p.accepts(t, "/hunter2-path?key=hunter2-query", "text/plain", "hunter2-body")
			dest.next(t)
			p.post(t, "/hunter2-other", "", "")
			p.Signal(t, syscall.SIGTERM)
			_, log := p.ends(t, 0)
			if strings.Contains(log, "hunter2") {
				t.Errorf("the log tells a secret:\n%s", log)
			}
			var said []string
			for _, msg := range []string{"listening", "accepted", "delivered", "stopping", "stopped"} {
				if strings.Contains(log, msg) {
					said = append(said, msg)
				}
			}
			if diff := cmp.Diff([]string{"listening", "accepted", "delivered", "stopping", "stopped"}, said); diff != "" {
				t.Errorf("-want +said:\n%s\n%s", diff, log)
			}
			if format == "json" {
				lines(t, log)
			}
		})
	}
}

// awaitAddress waits until the program listens and returns where.
func awaitAddress(t *testing.T, p program, format string) string {
	t.Helper()
	before := `"address":"`
	if format == "text" {
		before = "address="
	}
	log := p.Stderr.Await(t, "the address", func(log string) bool {
		_, after, ok := strings.Cut(log, before)
		return ok && strings.ContainsAny(after, `" `)
	})
	_, after, _ := strings.Cut(log, before)
	return after[:strings.IndexAny(after, `" `)]
}
