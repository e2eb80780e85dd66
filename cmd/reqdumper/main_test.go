package main_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

func TestMain(m *testing.M) { os.Exit(proctest.Main(m)) }

// dumper is one run of reqdumper.
type dumper struct {
	*proctest.Process
	dir, url string
}

// start runs it with flags, and waits until it listens.
func start(t *testing.T, args ...string) dumper {
	t.Helper()
	dir := t.TempDir()
	p := proctest.Start(t, dir, proctest.Program(t, "reqdumper"), args...)
	log := p.Stderr.Await(t, "the line that it listens", func(s string) bool { return strings.HasSuffix(s, "\n") })
	addr, ok := strings.CutPrefix(strings.TrimSpace(log), "reqdumper: listening on ")
	if !ok {
		t.Fatalf("it says %q", log)
	}
	return dumper{p, dir, "http://" + addr}
}

func (d dumper) post(t *testing.T, body string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.url+"/a%2Fb?c=d", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-Twice": {"1", "2"}, "User-Agent": {"test"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// stop ends it and returns what it has printed.
func (d dumper) stop(t *testing.T) string {
	t.Helper()
	d.Signal(t, syscall.SIGTERM)
	if code := d.Code(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	return d.Stdout.String()
}

// varying is what differs from run to run.
var varying = regexp.MustCompile(`(?m)^(=== \d+  ).*( from )\S+|^(Host: ).*`)

func TestPrints(t *testing.T) {
	t.Parallel()
	port := testport.Plain(t)
	d := start(t, "-H", "127.0.0.1", "-p", strconv.Itoa(port))
	if want := "http://" + proctest.Loopback(port); d.url != want {
		t.Errorf("it listens on %s, want %s", d.url, want)
	}
	if got := d.post(t, "hello\n"); got != http.StatusOK {
		t.Errorf("answered %d, want 200", got)
	}
	d.post(t, "\x00\x01 bytes")
	want := `=== 1   from ADDRESS  answered 200
POST /a%2Fb?c=d HTTP/1.1
Host: ADDRESS
Accept-Encoding: gzip
Content-Length: 6
User-Agent: test
X-Twice: 1
X-Twice: 2

hello

=== 2   from ADDRESS  answered 200
POST /a%2Fb?c=d HTTP/1.1
Host: ADDRESS
Accept-Encoding: gzip
Content-Length: 8
User-Agent: test
X-Twice: 1
X-Twice: 2

00000000  00 01 20 62 79 74 65 73                           |.. bytes|

`
	got := varying.ReplaceAllString(d.stop(t), "${1}${2}${3}ADDRESS")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +printed:\n%s", diff)
	}
}

func TestOutputFile(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-o", "--output"} {
		d := start(t, "--host", "127.0.0.1", "--port", "0", flag, "requests.txt")
		d.post(t, "hello")
		if out := d.stop(t); out != "" {
			t.Errorf("with %s it prints %q", flag, out)
		}
		text, err := os.ReadFile(filepath.Join(d.dir, "requests.txt"))
		if err != nil || !bytes.Contains(text, []byte("\nhello\n")) {
			t.Errorf("%s: the file has %q, %v", flag, text, err)
		}
	}
}

// TestUnwell plays endpoints that fail.
func TestUnwell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want []int
	}{
		{[]string{"--status", "418"}, []int{418, 418, 418}},
		{[]string{"--fail-first", "2"}, []int{503, 503, 200}},
		{[]string{"--fail-first", "1", "--status", "500"}, []int{500, 200, 200}},
	} {
		d := start(t, append(tt.args, "-H", "127.0.0.1", "-p", "0")...)
		var got []int
		for range tt.want {
			got = append(got, d.post(t, ""))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: -want +got:\n%s", tt.args, diff)
		}
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	for _, delay := range []string{"0.3", "300ms"} {
		d := start(t, "--delay", delay, "-H", "127.0.0.1", "-p", "0")
		from := time.Now()
		d.post(t, "")
		if took := time.Since(from); took < 300*time.Millisecond {
			t.Errorf("--delay %s: answered after %v", delay, took)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--status", "99"}, 2, "status 99"},
		{[]string{"-p", "70000"}, 2, "port 70000"},
		{[]string{"-p", "x"}, 2, `"x"`},
		{[]string{"--delay", "soon"}, 2, `"soon"`},
		{[]string{"--delay", "-1"}, 2, "negative"},
		{[]string{"more"}, 2, `"more"`},
		{[]string{"-o", "no/such/folder"}, 1, "no/such/folder"},
	} {
		p := proctest.Start(t, t.TempDir(), proctest.Program(t, "reqdumper"), tt.args...)
		if code := p.Code(t); code != tt.code {
			t.Errorf("%v: exit status %d, want %d", tt.args, code, tt.code)
		}
		if s := p.Stderr.String(); !strings.Contains(s, tt.want) || strings.Count(s, "\n") != 1 {
			t.Errorf("%v: it says %q, want one line with %q", tt.args, s, tt.want)
		}
	}
}
