package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

const rigToken = "hunter2-hunter2-hunter2"

// rig is a server that runs, over a file, with a destination whose answer the test decides.
type rig struct {
	program
	t      *testing.T
	dir    string
	admin  string
	lane   string
	answer atomic.Int32 // status of the destination
}

// newRig has the hook jira, and whatever else the configuration is to say.
func newRig(t *testing.T, more string) *rig {
	t.Helper()
	r := &rig{t: t}
	r.answer.Store(http.StatusServiceUnavailable)
	dest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(r.answer.Load()))
	}))
	t.Cleanup(dest.Close)
	r.lane = dest.URL
	port, admin := testport.Plain(t), proctest.Loopback(testport.Plain(t))
	r.dir = write(t, "config.ini", fmt.Sprintf("[server]\nhost = 127.0.0.1\nport = %d\n[app]\nbackoff_timeout = 1h\nbackoff_max_timeout = 1h\nquick_retries = 0\n"+
		"[admin]\nlisten = %s\ntoken = %s\nshow_payloads = yes\n[hook:jira]\nsrc_path = /hunter2 jira\ndst_host = %s\n%s",
		port, admin, rigToken, dest.URL, more))
	r.program, r.admin = serve(t, r.dir), "http://"+admin
	r.adminURL(t)
	return r
}

// result is what a command has printed.
type result struct {
	stdout, stderr string
	code           int
}

// does runs a command as an operator does, in the folder of the configuration, with no terminal.
func (r *rig) does(args ...string) result {
	r.t.Helper()
	return command(r.t, r.dir, nil, args...)
}

// command runs the program with an environment of its own.
func command(t *testing.T, dir string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, proctest.Program(t, "webhook-repeater"), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	res := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if strings.Contains(res.stdout+res.stderr, "hunter2") {
		t.Errorf("%q tells a secret:\n%s%s", args, res.stdout, res.stderr)
	}
	return res
}

// prints runs a command that is to succeed, and returns what it prints.
func (r *rig) prints(args ...string) string {
	r.t.Helper()
	res := r.does(args...)
	if res.code != 0 || res.stderr != "" {
		r.t.Fatalf("%q ends with %d and says\n%s%s", args, res.code, res.stdout, res.stderr)
	}
	return res.stdout
}

// reads runs a command with --json, and reads what it prints.
func (r *rig) reads(into any, args ...string) {
	r.t.Helper()
	text := r.prints(append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.t.Fatalf("%q prints no JSON, %v:\n%s", args, err, text)
	}
}

// sends posts a webhook and returns its id.
func (r *rig) sends() string {
	r.t.Helper()
	resp := r.post(r.t, "/hunter2%20jira", "application/json", `{"issue": 1}`)
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("answered %s", resp.Status)
	}
	return resp.Header.Get("Repeater-Id")
}

type laneState struct {
	Name, State   string
	Waiting, Dead int
	LastError     string `json:"last_error"`
}

// awaits asks for the lane until it is as wanted.
func (r *rig) awaits(what string, wanted func(laneState) bool) laneState {
	r.t.Helper()
	end := time.Now().Add(patience)
	for {
		var l laneState
		if status := r.asks("/api/v1/lane?lane="+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(r.lane), &l); status == http.StatusOK && wanted(l) {
			return l
		}
		if time.Now().After(end) {
			r.t.Fatalf("the lane is %+v, and not %s", l, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *rig) asks(path string, into any) int {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+rigToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode
}

// dies makes n dead letters, however many in a row are refused.
func (r *rig) dies(n int) (ids []string) {
	r.t.Helper()
	r.answer.Store(http.StatusGone)
	r.awaits("there", func(laneState) bool { return true })
	if got, want := r.prints("drop-refused", r.lane), " Until its next delivery, each message that it refuses becomes a dead letter.\n"; !strings.HasSuffix(got, want) {
		r.t.Errorf("drop-refused: %q, want it to end with %q", got, want)
	}
	before := r.awaits("through with what was replayed", func(l laneState) bool { return l.Waiting == 0 })
	for range n {
		ids = append(ids, r.sends())
	}
	r.awaits("of dead letters", func(l laneState) bool { return l.Dead == before.Dead+n && l.Waiting == 0 })
	return ids
}

// fails makes a message wait for a destination that is down.
func (r *rig) fails() (id string) {
	r.t.Helper()
	r.answer.Store(http.StatusServiceUnavailable)
	id = r.sends()
	r.awaits("unwell", func(l laneState) bool { return l.State == "unwell" && l.LastError != "" })
	return id
}

var steady = []struct {
	find    *regexp.Regexp
	replace string
}{
	{regexp.MustCompile(`\b[0-9a-v]{26}\b`), "ID"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST:PORT"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`on \d{4}-\d\d-\d\d`), "on DATE"},
	{regexp.MustCompile(`just now|\d+ (s|min) ago`), "AGO"},
	{regexp.MustCompile(`after (less than 1 ms|\d+ ms|\d+\.\d s)`), "after TOOK"},
	{regexp.MustCompile(`in (\d+ (d|h|min|s) ?)+`), "in SPAN"},
	{regexp.MustCompile(`for up to \d+ (s|min)`), "for up to SPAN"},
	{regexp.MustCompile(`\b\d+(\.\d)? [KMGT]?B\b`), "SIZE"},
	{regexp.MustCompile(`version \S+, configuration \S+`), "version V, configuration C"},
	{regexp.MustCompile(`(?m)  +`), "  "},
}

// settled takes from a text what differs from run to run.
func settled(text string) string {
	for _, s := range steady {
		text = s.find.ReplaceAllString(text, s.replace)
	}
	return text
}

// reads a file of the folder.
func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}
