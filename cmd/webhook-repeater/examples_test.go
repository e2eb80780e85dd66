package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// examples are the commands that docs/cli.md shows as such, which are those of help.
func examples(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	within := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "Examples:":
			within = true
		case line == "", line == "```":
			within = false
		case within:
			lines = append(lines, line)
		}
	}
	return lines
}

// TestExamples runs every example of docs/cli.md, as it stands there, in a shell, but for addresses and ids.
func TestExamples(t *testing.T) {
	t.Parallel()
	lines := examples(t)
	if len(lines) < 40 {
		t.Fatalf("docs/cli.md has only %d examples", len(lines))
	}
	const id = "33lik262mpis6tcbagamevpgl0"
	r, to := newRig(t, ""), sink(t)
	r.file("request.http", "POST /hunter2%20jira?a=b HTTP/1.1\nContent-Type: text/plain\n\nhello")
	r.file("body.json", `{"issue": 1}`)
	r.file("damaged.db", store(t))
	bin := t.TempDir()
	if err := os.Symlink(proctest.Program(t, "webhook-repeater"), filepath.Join(bin, "webhook-repeater")); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("http://jira.intranet:8080", r.lane, "http://127.0.0.1:8101", r.admin,
		"http://127.0.0.1:8100/jira", r.url+"/hunter2%20jira", "http://127.0.0.1:8989", to.URL)
	for _, line := range lines {
		text := here.Replace(line)
		if strings.Contains(text, id) {
			text = strings.ReplaceAll(text, id, r.dies(1)[0])
		}
		if strings.Contains(line, "--watch") {
			r.watches(strings.Fields(text)[1:])
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*patience) // bench alone takes a while
		cmd := exec.CommandContext(ctx, "bash", "-c", text)                  // #nosec G204 -- what the documentation shows
		cmd.Dir = r.dir
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "REPEATER_TOKEN="+rigToken)
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil || len(out) == 0 {
			t.Errorf("%s\n%v\n%s", line, err, out)
		}
	}
}

// watches runs a command that goes on until it is interrupted.
func (r *rig) watches(args []string) {
	r.t.Helper()
	p := run(r.t, r.dir, args...)
	p.Stdout.Await(r.t, "two tables", func(text string) bool { return strings.Count(text, "LANE") > 1 })
	p.Signal(r.t, os.Interrupt)
	p.ends(r.t, 0)
}

// store is a store file that nobody has in use.
func store(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p := serve(t, dir, "--to", "http://127.0.0.1:1", "-H", "127.0.0.1", "-p", "0")
	p.accepts(t, "/a", "", "hello")
	p.Signal(t, os.Interrupt)
	p.ends(t, 0)
	text, err := os.ReadFile(filepath.Join(dir, "webhook-repeater.db"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
