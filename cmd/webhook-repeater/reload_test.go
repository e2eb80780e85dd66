package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReload: SIGHUP takes on what the file says now, and tells what it has changed, without a secret.
func TestReload(t *testing.T) {
	t.Parallel()
	old, other := newDestination(t), newDestination(t)
	const head = "[server]\nhost = 127.0.0.1\nport = 0\n"
	dir := write(t, "config.ini", head+"[hook:a]\nsrc_path = /a\ndst_host = "+old.URL+"\n[hook:b]\nsrc_path = /b\ndst_host = "+old.URL+"\n")
	p := serve(t, dir)
	p.accepts(t, "/a", "", "1")
	old.next(t)

	p.reload(t, dir, head+"max_body = 10\n[hook:c]\nsrc_path = /hunter2\nsecret = hunter2\ndst_host = "+other.URL+"\n"+
		"[hook:a]\nsrc_path = /a\ndst_host = "+other.URL+"\n")
	line := p.said(t, "configuration read again")
	want := map[string]any{"added": "c", "removed": "b", "changed": "a", "settings": true}
	for key := range want {
		if diff := cmp.Diff(want[key], line[key]); diff != "" {
			t.Errorf("%s: -want +logged:\n%s", key, diff)
		}
	}
	p.accepts(t, "/a", "", "2")
	p.accepts(t, "/hunter2", "", "3")
	other.next(t)
	if got := other.next(t); got.Header.Get("X-Repeater-Sig") == "" {
		t.Error("what came by the new hook is not signed")
	}
	for uri, want := range map[string]int{"/b": http.StatusNotFound, "/a?long": http.StatusRequestEntityTooLarge} {
		if resp := p.post(t, uri, "", strings.Repeat("x", 11)); resp.StatusCode != want {
			t.Errorf("%s: answered %s, want %d", uri, resp.Status, want)
		}
	}
	p.Signal(t, os.Interrupt)
	if _, log := p.ends(t, 0); strings.Contains(log, "hunter2") {
		t.Errorf("the log tells a secret:\n%s", log)
	}
}

// TestReloadRefused: a file with mistakes changes nothing, and each of them is told with its line.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	good := "[server]\nhost = 127.0.0.1\nport = 0\n[hook:a]\nsrc_path = /a\ndst_host = " + dest.URL + "\n"
	dir := write(t, "config.ini", good)
	p := serve(t, dir)
	p.reload(t, dir, "[server]\nprot = 1\n[hook:z]\nsrc_path = /z\n")
	const refused = "configuration not taken; the old one stays"
	p.Stderr.Await(t, "both mistakes", func(log string) bool { return strings.Count(log, refused) == 2 })
	for _, at := range []string{"config.ini:2: ", "config.ini:3: "} {
		if !strings.Contains(p.Stderr.String(), `"mistake":"`+at) {
			t.Errorf("no mistake %s:\n%s", at, p.Stderr.String())
		}
	}
	p.accepts(t, "/a", "", "1")
	dest.next(t)

	p.reload(t, dir, strings.Replace(good, "port = 0", "port = 1\nh2c = yes", 1)+"[store]\nfile = other.db\n[log]\nlevel = debug\n")
	line := p.said(t, "these settings have changed, but take a restart")
	if got, want := line["settings"], "[server] port, [server] h2c, [store] file"; got != want {
		t.Errorf("told of %q, want %q", got, want)
	}
	p.said(t, "configuration read again")
	p.accepts(t, "/a", "", "2")
	dest.next(t)
	p.Stderr.Await(t, "a line at the new level", func(log string) bool { return strings.Contains(log, `"level":"DEBUG"`) })

	p.reload(t, dir, "")
	p.Stderr.Await(t, "a third refusal", func(log string) bool { return strings.Count(log, refused) == 3 })
	p.accepts(t, "/a", "", "3")
	dest.next(t)
}

// TestWatch: a file that another one takes the place of is read again by itself, but while it has a
// mistake it changes nothing.
func TestWatch(t *testing.T) {
	t.Parallel()
	dest := newDestination(t)
	text := "[server]\nhost = 127.0.0.1\nport = 0\n[hook:a]\nsrc_path = /a\ndst_host = " + dest.URL + "\n"
	dir := write(t, "config.ini", text)
	p := serve(t, dir, "--watch")
	replace := func(text string) {
		t.Helper()
		whole := filepath.Join(dir, "new.ini")
		if err := os.WriteFile(whole, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(whole, filepath.Join(dir, "config.ini")); err != nil {
			t.Fatal(err)
		}
	}
	replace(text + "[hook:b]\nsrc_path = /b\n")
	if line := p.said(t, "configuration not taken; the old one stays"); !strings.Contains(line["mistake"].(string), "config.ini:7: ") {
		t.Errorf("told as %v", line)
	}
	replace(text + "[hook:b]\nsrc_path = /b\ndst_host = " + dest.URL + "\n")
	if line := p.said(t, "configuration read again"); line["added"] != "b" || line["removed"] != "" {
		t.Errorf("told as %v", line)
	}
	p.accepts(t, "/b", "", "1")
	dest.next(t)
}

// TestReloadUnderLoad: the configuration changes 100 times while 2,000 requests a second come in. Nobody
// is refused, and nothing is lost. A machine that does not manage the rate offers what it can.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const senders, rate, reloads, apart = 32, 2000, 100, 50 * time.Millisecond
	var got arrivedSet
	dest := [2]*httptest.Server{}
	for i := range dest {
		dest[i] = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.add(r.URL.Query().Get("n")) }))
		t.Cleanup(dest[i].Close)
	}
	text := func(n int) string {
		hook := func(name string, at int) string {
			return fmt.Sprintf("[hook:%s]\nsrc_path = /%s\ndst_host = %s\nconcurrency = %d\nmax_age = %dh\n", name, name, dest[at].URL, 4+4*(n%2), 1+n%7)
		}
		s := fmt.Sprintf("[admin]\nlisten = off\n[server]\nhost = 127.0.0.1\nport = 0\nmax_body = %dMB\n[app]\ndial_timeout = %ds\n", 1+n%3, 5+n%2) +
			hook("a", n%2) + hook("b", 1)
		if n%2 == 1 {
			s += hook("c", 0)
		}
		return s
	}
	dir := write(t, "config.ini", text(0))
	p := serve(t, dir)

	stop, next := make(chan struct{}), make(chan int)
	go func() {
		defer close(next)
		tick := time.NewTicker(time.Second / 100)
		defer tick.Stop()
		for n, from := 0, time.Now(); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for due := int(time.Since(from).Seconds() * rate); n < due; n++ {
				select {
				case next <- n:
				case <-stop: // what is still due on a slow machine is not sent
					return
				}
			}
		}
	}()
	var sent atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	defer client.CloseIdleConnections()
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for n := range next {
				resp, err := client.Post(fmt.Sprintf("%s/%c?n=%d", p.url, "ab"[n%2], n), "text/plain", strings.NewReader("x"))
				if err != nil {
					t.Errorf("request %d: %v", n, err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("request %d was answered with %s", n, resp.Status)
				}
				sent.Add(1)
			}
		})
	}
	began := time.Now()
	for n := 1; n <= reloads; n++ {
		time.Sleep(apart) // the time between reloads is part of what is tried
		p.reload(t, dir, text(n))
		p.Stderr.Await(t, "reload", func(log string) bool { return strings.Count(log, `"configuration read again"`) == n })
	}
	close(stop)
	sending.Wait()
	t.Logf("%d requests in %v, %d reloads", sent.Load(), time.Since(began).Round(time.Millisecond), reloads)
	for end := time.Now().Add(patience); got.len() < int(sent.Load()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d requests have arrived", got.len(), sent.Load())
		}
	}
	p.Signal(t, syscall.SIGTERM)
	if _, log := p.ends(t, 0); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") {
		t.Errorf("not all went well:\n%s", log)
	}
}

// arrivedSet is what has arrived, repetitions left out.
type arrivedSet struct {
	mu  sync.Mutex
	set map[string]bool
}

func (a *arrivedSet) add(n string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set == nil {
		a.set = make(map[string]bool)
	}
	a.set[n] = true
}

func (a *arrivedSet) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.set)
}

// reload changes the file and has it read again.
func (p program) reload(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "config.ini"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Signal(t, syscall.SIGHUP)
}

// said waits for a line of the log, and returns it.
func (p program) said(t *testing.T, msg string) map[string]any {
	t.Helper()
	log := p.Stderr.Await(t, msg, func(log string) bool {
		return strings.Contains(log, `"msg":"`+msg) && strings.HasSuffix(log, "\n")
	})
	for _, l := range lines(t, log) {
		if l["msg"] == msg {
			return l
		}
	}
	t.Fatalf("no line %q:\n%s", msg, log)
	return nil
}
