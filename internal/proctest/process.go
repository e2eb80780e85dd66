package proctest

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for something that takes far less.
const patience = 30 * time.Second

// Process is one run of a program. It ends with the test at the latest.
type Process struct {
	Pid    int
	Since  time.Time
	Stdout Output
	Stderr Output

	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs a program in dir.
func Start(t testing.TB, dir, bin string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(bin, args...) // #nosec G204 -- a test names it
	cmd.Dir = dir
	return Run(t, cmd)
}

// Run starts a command, whose output it keeps.
func Run(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.Stdout, &p.Stderr
	leash(p.cmd)
	p.Since = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.Pid = p.cmd.Process.Pid
	go func() {
		_ = p.cmd.Wait() // ProcessState tells it
		p.Stdout.close()
		p.Stderr.close()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.Kill()
		if text := p.Stdout.String() + p.Stderr.String(); t.Failed() && text != "" {
			t.Logf("output of process %d:\n%s", p.Pid, text)
		}
	})
	return p
}

// Kill ends the process with SIGKILL, if it is still there, and waits for that.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Signal sends a signal to the process.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %v: %v", s, err)
	}
}

// Code waits for the end of the process and returns its exit status.
func (p *Process) Code(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("the process did not end within %v", patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Alive tells that the process has not ended on its own.
func (p *Process) Alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Output keeps what a process prints.
type Output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	closed  bool
	changed chan struct{} // closed at the next change, if somebody waits for one
}

const maxOutput = 1 << 20

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b[:min(len(b), max(0, maxOutput-o.buf.Len()))])
	o.wake()
	return len(b), nil
}

func (o *Output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.wake()
}

func (o *Output) wake() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// String is all that has been printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Await waits until what has been printed is as wanted, and returns it.
func (o *Output) Await(t testing.TB, what string, wanted func(text string) bool) string {
	t.Helper()
	end := time.After(patience)
	for {
		o.mu.Lock()
		text, closed := o.buf.String(), o.closed
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		switch {
		case wanted(text):
			return text
		case closed:
			t.Fatalf("the process has ended without %s", what)
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}
