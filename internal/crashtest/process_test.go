package crashtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
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

func newSetup(t *testing.T, dest *destination) *setup {
	t.Helper()
	s := &setup{dir: t.TempDir(), port: freePort(t), dest: "http://" + dest.addr, grace: 5 * time.Second}
	s.store = "file = " + s.file()
	return s
}

func (s *setup) file() string { return filepath.Join(s.dir, "store.db") }

func (s *setup) url() string { return "http://" + loopback(s.port) + "/hook" }

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
type process struct {
	cmd    *exec.Cmd
	out    output
	since  time.Time
	exited chan struct{}
}

// start runs the program until it ends, or the test.
func (s *setup) start(t *testing.T) *process {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(bin, "-c", s.write(t)), exited: make(chan struct{})}
	p.cmd.Dir = s.dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	leash(p.cmd)
	p.since = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState tells it
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		if text := p.out.String(); t.Failed() && text != "" {
			t.Logf("output of process %d:\n%s", p.cmd.Process.Pid, text)
		}
	})
	return p
}

// kill ends the process with SIGKILL, if it is still there, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %v: %v", s, err)
	}
}

// stop asks the process to end, and expects it to do so cleanly.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.code(t); code != 0 {
		t.Errorf("after SIGTERM the process exited with %d, want 0", code)
	}
}

// code waits for the end of the process and returns its exit status.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the process did not end within %v", patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// alive tells that the process has not ended on its own.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// output keeps what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxOutput = 64 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b[:min(len(b), max(0, maxOutput-o.buf.Len()))])
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
