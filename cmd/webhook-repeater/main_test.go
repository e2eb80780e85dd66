package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// patience bounds every wait for something that takes far less.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(proctest.Main(m)) }

// program is one run of webhook-repeater.
type program struct {
	*proctest.Process
	url string // where it listens
}

// run starts the program in dir.
func run(t *testing.T, dir string, args ...string) program {
	t.Helper()
	return program{Process: proctest.Start(t, dir, proctest.Program(t, "webhook-repeater"), args...)}
}

// serve starts the program in dir, which logs JSON as nobody sits at a terminal, and
// waits until it listens.
func serve(t *testing.T, dir string, args ...string) program {
	t.Helper()
	p := run(t, dir, args...)
	log := p.Stderr.Await(t, "the line that it listens", func(log string) bool {
		return strings.Contains(log, `"listening"`) && strings.HasSuffix(log, "\n")
	})
	for _, l := range lines(t, log) {
		if l["msg"] == "listening" {
			p.url = "http://" + l["address"].(string)
		}
	}
	return p
}

// lines reads a log in JSON.
func lines(t *testing.T, log string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.Lines(log) {
		var l map[string]any
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("not a line of JSON: %q", text)
		}
		all = append(all, l)
	}
	return all
}

// ends expects the program to end with the exit status, and returns what it has printed.
func (p program) ends(t *testing.T, status int) (stdout, stderr string) {
	t.Helper()
	if code := p.Code(t); code != status {
		t.Errorf("exit status %d, want %d", code, status)
	}
	return p.Stdout.String(), p.Stderr.String()
}

// post sends a webhook and returns the answer.
func (p program) post(t *testing.T, uri, contentType, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.url+uri, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// accepts sends a webhook that is to be accepted.
func (p program) accepts(t *testing.T, uri, contentType, body string) {
	t.Helper()
	if resp := p.post(t, uri, contentType, body); resp.StatusCode != http.StatusOK || resp.Header.Get("Repeater-Id") == "" {
		t.Fatalf("%s was answered with %s and the id %q", uri, resp.Status, resp.Header.Get("Repeater-Id"))
	}
}

// arrival is a request as the destination got it.
type arrival struct {
	*http.Request
	body string
}

// destination is where the program delivers to.
type destination struct {
	*httptest.Server
	arrivals chan arrival
}

func newDestination(t *testing.T) *destination {
	t.Helper()
	d := &destination{arrivals: make(chan arrival, 100)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("body of %s: %v", r.RequestURI, err)
		}
		d.arrivals <- arrival{r, string(body)}
	}))
	t.Cleanup(d.Close)
	return d
}

// next is the next request that arrives.
func (d *destination) next(t *testing.T) arrival {
	t.Helper()
	select {
	case a := <-d.arrivals:
		return a
	case <-time.After(patience):
		t.Fatalf("nothing arrived within %v", patience)
	}
	return arrival{}
}

// write makes a file in a new folder and returns the folder.
func write(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
