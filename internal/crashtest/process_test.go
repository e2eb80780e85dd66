package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
	"github.com/webhook-repeater/repeater/internal/witness"
)

// setup is how one process is configured; it stays the same over restarts.
type setup struct {
	dir   string // of configuration and store
	port  int
	dest  string // URL
	store string // lines of section [store]
	grace time.Duration
}

const configuration = `[server]
host = 127.0.0.1
port = %d
grace = %v
[app]
backoff_timeout = 100ms
backoff_max_timeout = 500ms
[store]
%s
[log]
level = error
format = text
[hook:crash]
src_path = /hook
dst_host = %s
`

func newSetup(t *testing.T, dest *witness.Destination) *setup {
	t.Helper()
	s := &setup{dir: t.TempDir(), port: testport.Plain(t), dest: "http://" + dest.Addr, grace: 5 * time.Second}
	s.store = "file = " + s.file()
	return s
}

func (s *setup) file() string { return filepath.Join(s.dir, "store.db") }

func (s *setup) url() string { return "http://" + proctest.Loopback(s.port) + "/hook" }

func (s *setup) write(t *testing.T) string {
	t.Helper()
	name := filepath.Join(s.dir, "config.ini")
	text := fmt.Sprintf(configuration, s.port, s.grace, s.store, s.dest)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// process is one run of the program.
type process struct{ *proctest.Process }

// start runs the program until it ends, or the test.
func (s *setup) start(t *testing.T) process {
	t.Helper()
	return process{proctest.Start(t, s.dir, proctest.Program(t, "webhook-repeater"), "-c", s.write(t))}
}

// stop asks the process to end, and expects it to do so cleanly.
func (p process) stop(t *testing.T) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Code(t); code != 0 {
		t.Errorf("after SIGTERM the process exited with %d, want 0", code)
	}
}

// suspicion is what the program says of a message that was in hand at three deaths.
var suspicion = regexp.MustCompile(`"a message may be what has ended the process[^\n]* id=(\S+) [^\n]*\n`)

// suspects notes the messages that the program has taken out of their order, as it says
// of each.
func (p process) suspects(l *witness.Ledger) {
	for _, m := range suspicion.FindAllStringSubmatch(p.Stderr.String(), -1) {
		l.Suspect(m[1])
	}
}

// quiet expects that the process had nothing else to complain about.
func (p process) quiet(t *testing.T, l *witness.Ledger) {
	t.Helper()
	p.suspects(l)
	if text := p.Stdout.String() + p.Stderr.String(); complaint(text) {
		t.Errorf("process %d printed:\n%s", p.Pid, text)
	}
}

func complaint(text string) bool {
	for line := range strings.Lines(text) {
		if !suspicion.MatchString(line) {
			return true
		}
	}
	return false
}
