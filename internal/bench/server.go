package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	startPatience = 30 * time.Second
	parallel      = 64 // concurrency of the hook that has one
	redisVariable = "WEBHOOK_REPEATER_BENCH_REDIS"
)

// process is a server in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
	log   *tail
	ended chan struct{}
}

// start runs program and waits for the line of its log, in JSON on standard error, that says
// where it listens.
func start(ctx context.Context, dir, program string, env []string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- this very program
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	leash(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, log: new(tail), ended: make(chan struct{})}
	listening := make(chan string, 1)
	go func() {
		defer close(p.ended)
		p.read(stderr, listening)
		_ = cmd.Wait() // after all of its log; how it ended does not matter
	}()
	select {
	case p.addr = <-listening:
		return p, nil
	case <-p.ended:
		err = errors.New("the server has ended")
	case <-time.After(startPatience):
		err = fmt.Errorf("the server does not listen after %v", startPatience)
	}
	p.stop()
	return nil, p.explain(err)
}

func (p *process) read(stderr io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.log.add(lines.Text())
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			select {
			case listening <- line.Address:
			default:
			}
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // of a line that is too long
}

// stop ends the process at once: what it has stored is of no use to anybody.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// explain adds the end of the process's log to an error.
func (p *process) explain(err error) error {
	if text := p.log.String(); text != "" {
		return fmt.Errorf("%w; the last it logged:\n%s", err, text)
	}
	return err
}

// cpu is the processor time that the process has used, or 0 where that is not to be had.
func (p *process) cpu() time.Duration { return cpuTime(p.cmd.Process.Pid) }

// startServer starts a repeater of its own, with a fresh store in dir, that forwards to
// target: /ordered one at a time, /parallel up to 64 at a time.
func startServer(ctx context.Context, o Options, dir, prefix, target string) (*process, error) {
	var c bytes.Buffer
	c.WriteString("[server]\nhost = 127.0.0.1\nport = 0\n\n[log]\nlevel = info\nformat = json\n\n[store]\n")
	var env []string
	if o.Redis == "" {
		fmt.Fprintf(&c, "file = %s\n", filepath.Join(dir, storeFile))
	} else {
		fmt.Fprintf(&c, "redis_url = env:%s\nredis_prefix = %s\n", redisVariable, prefix)
		env = append(env, redisVariable+"="+o.Redis)
	}
	c.WriteString("\n[app]\nbackoff_timeout = 200ms\nbackoff_max_timeout = 500ms\n")
	c.WriteString("lane_max_messages = 1000000000\nlane_max_bytes = 1000GB\n")
	hook := func(name string, concurrency int) {
		fmt.Fprintf(&c, "\n[hook:%s]\nsrc_path = /%s\ndst_host = %s\nlane = %s\nconcurrency = %d\n", name, name, target, name, concurrency)
	}
	hook("ordered", 1)
	hook("parallel", parallel)
	config := filepath.Join(dir, "config.ini")
	if err := os.WriteFile(config, c.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return start(ctx, dir, o.Program, env, "-c", config)
}

// startReference starts a reference in a process of its own (see Reference).
func startReference(ctx context.Context, o Options, kind, target string) (*process, error) {
	return start(ctx, "", o.Program, nil, "bench", ReferenceCommand, kind, target, strconv.Itoa(o.Connections))
}

const storeFile = "bench.db"

const keepLines = 5

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-keepLines):]
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
