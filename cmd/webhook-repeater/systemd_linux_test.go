package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// TestNotify: whoever starts the program hears when it is ready, reads its file again, and stops.
func TestNotify(t *testing.T) {
	t.Parallel()
	for name, socket := range map[string]string{
		"path":     shortPath(t),
		"abstract": fmt.Sprintf("@webhook-repeater-%d-%d", os.Getpid(), time.Now().UnixNano()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			good := "[server]\nhost = 127.0.0.1\nport = 0\n[hook:a]\nsrc_path = /a\ndst_host = http://127.0.0.1:1\n"
			dir := write(t, "config.ini", good)
			cmd := exec.Command(proctest.Program(t, "webhook-repeater"))
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "NOTIFY_SOCKET="+socket)
			p := program{Process: proctest.Run(t, cmd)}
			hears(t, c, "READY=1")
			p.url = "http://" + p.said(t, "listening")["address"].(string)
			p.accepts(t, "/a", "", "1")

			for _, text := range []string{good, "a mistake"} {
				before := monotonic(t)
				p.reload(t, dir, text)
				micros, ok := strings.CutPrefix(hear(t, c), "RELOADING=1\nMONOTONIC_USEC=")
				if n, err := strconv.ParseInt(micros, 10, 64); !ok || err != nil || n < before || n > monotonic(t) {
					t.Errorf("%q is no time since %d", micros, before)
				}
				hears(t, c, "READY=1")
			}
			p.Signal(t, syscall.SIGTERM)
			hears(t, c, "STOPPING=1")
			p.ends(t, 0)
		})
	}
}

// shortPath is where a socket can be: its path has little room.
func shortPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func hear(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func hears(t *testing.T, c *net.UnixConn, want string) {
	t.Helper()
	if got := hear(t, c); got != want {
		t.Fatalf("heard %q, want %q", got, want)
	}
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// passing starts the program with files from descriptor 3 on, as systemd does.
func passing(t *testing.T, dir, pid string, files ...*os.File) program {
	t.Helper()
	script := fmt.Sprintf(`LISTEN_PID=%s LISTEN_FDS=%d exec "$0"`, pid, len(files))
	cmd := exec.Command("sh", "-c", script, proctest.Program(t, "webhook-repeater"))
	cmd.Dir, cmd.ExtraFiles = dir, files
	return program{Process: proctest.Run(t, cmd)}
}

const thisProcess = "$$"

// TestSocketActivation: a socket that outlives the program keeps those who connect waiting while there is none.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	url := "http://" + ln.Addr().String()
	if err := ln.Close(); err != nil { // the copy goes on listening
		t.Fatal(err)
	}
	dest := newDestination(t)
	dir := write(t, "config.ini", "[server]\nhost = 192.0.2.1\n[hook:a]\nsrc_path = /a\ndst_host = "+dest.URL+"\n")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for run := range 2 {
		answered := make(chan error, 1)
		go func() {
			resp, err := client.Post(url+"/a", "", strings.NewReader(strconv.Itoa(run)))
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					err = fmt.Errorf("answered %s", resp.Status)
				}
			}
			answered <- err
		}()
		p := passing(t, dir, thisProcess, socket)
		if err := <-answered; err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		if got := p.said(t, "listening")["address"]; "http://"+got.(string) != url {
			t.Errorf("it says that it listens on %v, not on %s", got, url)
		}
		if got := dest.next(t).body; got != strconv.Itoa(run) {
			t.Errorf("%q arrived in run %d", got, run)
		}
		p.Signal(t, syscall.SIGTERM)
		p.ends(t, 0)
	}
}

// TestPassedToAnother: a socket for the process that has started ours is none of our business.
func TestPassedToAnother(t *testing.T) {
	t.Parallel()
	dir := write(t, "config.ini", "[server]\nhost = 127.0.0.1\nport = 0\n[hook:a]\nsrc_path = /a\ndst_host = http://127.0.0.1:1\n")
	p := passing(t, dir, "1", os.Stdin)
	p.url = "http://" + p.said(t, "listening")["address"].(string)
	p.accepts(t, "/a", "", "1")
}

// TestWrongSockets: what cannot be listened on is told, and nothing runs.
func TestWrongSockets(t *testing.T) {
	t.Parallel()
	unixSocket, err := net.ListenUnix("unix", &net.UnixAddr{Name: shortPath(t), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer unixSocket.Close()
	socket, err := unixSocket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	dir := write(t, "config.ini", "[hook:a]\nsrc_path = /a\ndst_host = http://127.0.0.1:1\n")
	for _, tt := range []struct {
		files []*os.File
		want  string
	}{
		{[]*os.File{socket, socket}, "2 sockets were passed to listen on, and one is needed"},
		{[]*os.File{socket}, `is of the network "unix"; a TCP socket is needed`},
		{[]*os.File{os.Stdin}, "the socket that was passed to listen on: "},
	} {
		p := passing(t, dir, thisProcess, tt.files...)
		if _, log := p.ends(t, 1); !strings.Contains(log, tt.want) {
			t.Errorf("want %q, told:\n%s", tt.want, log)
		}
	}
}
