package main_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// terminal is a program with somebody in front of it.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	ptmx *os.File
	out  proctest.Output
	ends chan struct{}
}

// session is what leads a terminal's session, as a shell does. A terminal forgets what it has not shown when its leader ends, so that
// one stays until all has been read; Ctrl-C is for the command.
const (
	session      = `trap : INT; "$@"; code=$?; printf '\036'; read -r _; exit $code`
	endOfCommand = '\036'
)

// onTerminal runs a command with a terminal as its input, output and error output.
func onTerminal(t *testing.T, dir string, env []string, args ...string) *terminal {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ptmx.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 200}); err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, ptmx: ptmx, ends: make(chan struct{})}
	p.cmd = exec.Command("sh", append([]string{"-c", session, "sh", proctest.Program(t, "webhook-repeater")}, args...)...)
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR="}, env...)...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := ptmx.Read(buf)
			text, ended := bytes.CutSuffix(buf[:n], []byte{endOfCommand})
			_, _ = p.out.Write(text)
			if ended {
				_, _ = ptmx.WriteString("\n")
			}
			if err != nil {
				return
			}
		}
	})
	go func() {
		_ = p.cmd.Wait() // ProcessState tells it
		reading.Wait()
		close(p.ends)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ends
		_ = ptmx.Close()
	})
	return p
}

// shows waits until the screen has had a text.
func (p *terminal) shows(text string) {
	p.t.Helper()
	p.out.Await(p.t, "the text "+text, func(all string) bool { return strings.Contains(all, text) })
}

func (p *terminal) types(text string) {
	p.t.Helper()
	if _, err := p.ptmx.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// code waits for the end.
func (p *terminal) code() int {
	p.t.Helper()
	select {
	case <-p.ends:
	case <-time.After(patience):
		p.t.Fatalf("it did not end; it shows\n%s", p.out.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// TestDropAsks whoever is there, and does nothing unless they agree.
func TestDropAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.dies(2)
	for _, answer := range []string{"n\n", "\n", "\x04", "\x03"} {
		p := onTerminal(t, r.dir, nil, "drop", "--all")
		p.shows("Delete 2 dead letters for good? [y/N] ")
		p.types(answer)
		if code := p.code(); code != 1 || !strings.Contains(p.out.String(), "Nothing was done.") {
			t.Errorf("%q: ends with %d and shows\n%s", answer, code, p.out.String())
		}
	}
	r.awaits("as before", func(l laneState) bool { return l.Dead == 2 })
	p := onTerminal(t, r.dir, nil, "drop", "--all")
	p.shows("[y/N] ")
	p.types("yes\n")
	if code := p.code(); code != 0 || !strings.Contains(p.out.String(), "2 dead letters dropped.") {
		t.Errorf("ends with %d and shows\n%s", code, p.out.String())
	}
	r.awaits("empty", func(l laneState) bool { return l.Dead == 0 })
}

// TestColours are for a terminal whose reader wants any.
func TestColours(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.fails()
	for _, tt := range []struct {
		env  []string
		want bool
	}{{nil, true}, {[]string{"NO_COLOR=1"}, false}, {[]string{"TERM=dumb"}, false}} {
		p := onTerminal(t, r.dir, tt.env, "lanes")
		if code := p.code(); code != 0 || strings.Contains(p.out.String(), "\x1b[31munwell\x1b[0m") != tt.want || !strings.Contains(p.out.String(), "unwell") {
			t.Errorf("%q: ends with %d and shows\n%q", tt.env, code, p.out.String())
		}
	}
	if got := r.prints("lanes"); strings.Contains(got, "\x1b") {
		t.Errorf("without a terminal: %q", got)
	}
}

// TestLanesWatch shows what changes, survives a server that is away for a while, and ends with Ctrl-C.
func TestLanesWatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	p := onTerminal(t, r.dir, nil, "lanes", "--watch=100ms")
	p.shows("well")
	r.fails()
	p.shows("\x1b[31munwell\x1b[0m")
	r.Kill()
	p.shows("no webhook-repeater answers at ")
	again := serve(t, r.dir)
	p.out.Await(t, "the lane again", func(all string) bool {
		_, after, _ := strings.Cut(all, "no webhook-repeater answers at ")
		return strings.Contains(after, "unwell")
	})
	p.types("\x03")
	if code := p.code(); code != 0 {
		t.Errorf("ends with %d and shows\n%s", code, p.out.String())
	}
	again.Signal(t, os.Interrupt)
	again.ends(t, 0)
}

// TestProgress shows on a terminal how far long work is, and ends with Ctrl-C between two steps.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := &stepper{waits: 2, asked: make(chan struct{}, 2), goes: make(chan struct{}, 2), dead: 3000}
	server := httptest.NewServer(s)
	defer server.Close()
	defer close(s.goes)
	p := onTerminal(t, t.TempDir(), nil, "replay", "--all", "--server", server.URL)
	s.begins(t)
	s.goes <- struct{}{}
	p.shows("replay [##########....................] 1,000 of 3,000")
	s.begins(t) // or Ctrl-C could come before it, and the wait would be for nothing
	p.types("\x03")
	s.goes <- struct{}{}
	if code := p.code(); code != 1 || !strings.Contains(p.out.String(), "dead letters replayed.") ||
		!strings.Contains(p.out.String(), "interrupted; the same command goes on with the rest") {
		t.Errorf("ends with %d and shows\n%s", code, p.out.String())
	}
}
