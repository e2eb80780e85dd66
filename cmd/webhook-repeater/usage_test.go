package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

const hook = "[hook:a]\nsrc_path = /a\ndst_host = http://127.0.0.1:1\n"

// TestMistakes: what is wrong is told in one line, and nothing has been started.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, config string // no config.ini where this is empty
		args         []string
		want         string // how the one line begins
	}{
		{"unknown key", hook + "dst_hots = http://127.0.0.1:1\n", nil,
			`config.ini:4: [hook:a] unknown key "dst_hots"; did you mean "dst_host"?`},
		{"unknown section", "[serevr]\nport = 1\n" + hook, nil,
			`config.ini:1: unknown section [serevr]; did you mean [server]?`},
		{"missing value", hook + "src_host =\n", nil,
			`config.ini:4: [hook:a] src_host is empty`},
		{"missing key", "[hook:a]\nsrc_path = /a\n", nil,
			`config.ini:1: [hook:a] has no dst_host`},
		{"bad value", "[app]\nbackoff_timeout = soon\n" + hook, nil,
			`config.ini:2: [app] backoff_timeout "soon" is not a duration`},
		{"bad port that a flag overrides", "[server]\nport = 81OO\n" + hook, []string{"-p", "0"},
			`config.ini:2: [server] port "81OO" is not possible`},
		{"named file", "", []string{"--config", "other.ini"},
			`other.ini: no such file or directory`},
		{"flag", hook, []string{"--prot", "1"}, `webhook-repeater: flag provided but not defined: -prot`},
		{"port", hook, []string{"--port", "81OO"}, `webhook-repeater: invalid value "81OO" for flag -port`},
		{"port out of range", hook, []string{"-p", "65536"}, `webhook-repeater: --port 65536 is not possible`},
		{"host", hook, []string{"--host", "http://localhost"}, `webhook-repeater: --host "http://localhost" is not a host`},
		{"command behind flags", hook, []string{"-c", "config.ini", "status"}, `webhook-repeater: unknown argument "status", as a command stands first: webhook-repeater status ...`},
		{"target", "", []string{"--to", "127.0.0.1:8989"}, `webhook-repeater: --to has no scheme`},
		{"target and file", hook, []string{"--to", "http://127.0.0.1:1", "-c", "config.ini"}, `webhook-repeater: --to works without a file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.config != "" {
				dir = write(t, "config.ini", tt.config)
			}
			before := names(t, dir)
			_, stderr := run(t, dir, tt.args...).ends(t, 78)
			if !strings.HasPrefix(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("it says\n%swant one line that begins\n%s", stderr, tt.want)
			}
			if after := names(t, dir); after != before {
				t.Errorf("files before: %s, after: %s", before, after)
			}
		})
	}
}

// TestAllMistakesAtOnce: one run tells all that is wrong with a file.
func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	dir := write(t, "config.ini", "[server]\nprot = 1\n"+hook+"src_host = 10.0.0.300\n")
	_, stderr := run(t, dir).ends(t, 78)
	if n := strings.Count(stderr, "\n"); n != 2 || !strings.Contains(stderr, "config.ini:2: ") || !strings.Contains(stderr, "config.ini:6: ") {
		t.Errorf("it says\n%swant a line for each of two mistakes", stderr)
	}
}

// TestNoConfig: whoever starts it with nothing at all learns what to do.
func TestNoConfig(t *testing.T) {
	t.Parallel()
	_, stderr := run(t, t.TempDir()).ends(t, 78)
	for _, want := range []string{"no config.ini", "[hook:", "--to http", "demo"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not said:\n%s", want, stderr)
		}
	}
}

// TestPortIsTaken: a file that is right and a port that is not is no mistake of usage.
func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	_, stderr := run(t, t.TempDir(), "--to", "http://127.0.0.1:1", "-H", "127.0.0.1", "-p", port).ends(t, 1)
	if !strings.Contains(stderr, "address already in use") {
		t.Errorf("it says\n%s", stderr)
	}
}

// TestStoreCannotBeOpened tells which file, why, and what to do.
func TestStoreCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ini := "[server]\nhost = 127.0.0.1\nport = 0\n[store]\nfile = missing/a.db\n" + hook
	if err := os.WriteFile(filepath.Join(dir, "config.ini"), []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr := run(t, dir).ends(t, 1)
	if want := "the store file missing/a.db cannot be opened: no such file or directory; put it where"; !strings.Contains(stderr, want) {
		t.Errorf("it says\n%s", stderr)
	}
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ arg, want string }{
		{"version", "webhook-repeater "},
		{"--version", "webhook-repeater "},
		{"-h", "Usage:"},
		{"--help", "Usage:"},
		{"help", "Usage:"},
	} {
		stdout, stderr := run(t, t.TempDir(), tt.arg).ends(t, 0)
		if !strings.HasPrefix(stdout, tt.want) || stderr != "" {
			t.Errorf("%s prints %q and %q", tt.arg, stdout, stderr)
		}
	}
}

// TestDemo is what the README offers first.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := proctest.Start(t, t.TempDir(), proctest.Program(t, "webhook-repeater"), "demo")
	stdout, stderr := program{Process: p}.ends(t, 0)
	if took := time.Since(p.Since); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	rest := stdout
	for _, step := range []string{
		"destination down", "webhook 1 accepted", "webhook 5 accepted", "5 waiting", "destination up",
		"webhook 1 delivered", "webhook 2 delivered", "webhook 3 delivered", "webhook 4 delivered", "webhook 5 delivered", "nothing is lost",
	} {
		_, after, ok := strings.Cut(rest, step)
		if !ok {
			t.Errorf("no line says %q in its place", step)
			continue
		}
		rest = after
	}
	if t.Failed() || stderr != "" {
		t.Errorf("it prints\n%s%s", stdout, stderr)
	}
}

// names lists what is in a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}
