package main_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	shBlock  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	iniBlock = regexp.MustCompile("(?ms)^```ini\n(.*?)^```$")
)

// TestOperations follows docs/operations.md: it runs what is printed there, with the file that is printed there, up to
// a backup and what is restored from it.
func TestOperations(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl, which the page uses")
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	dest := newDestination(t)
	const before = "http://127.0.0.1:8989"
	file := string(iniBlock.FindSubmatch(page)[1])
	for _, s := range []string{before, "127.0.0.1:8101"} {
		if !strings.Contains(file, s) {
			t.Fatalf("the file that is printed has no %s", s)
		}
	}
	file = "[server]\nhost = 127.0.0.1\nport = 0\n" + strings.Replace(file, "127.0.0.1:8101", "127.0.0.1:0", 1)
	dir := write(t, "config.ini", strings.Replace(file, before, "http://127.0.0.1:1", 1))
	p := serve(t, dir)
	admin := p.adminURL(t)
	p.accepts(t, "/hooks/jira", "", "kept")

	blocks := shBlock.FindAllSubmatch(page, -1)
	if len(blocks) < 4 {
		t.Fatalf("only %d blocks are to be run", len(blocks))
	}
	for _, b := range blocks {
		script := strings.ReplaceAll(string(b[1]), "http://127.0.0.1:8101", admin)
		cmd := exec.Command("sh", "-euc", script) // #nosec G204 -- what our own page prints
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s\n%s", err, script, out)
		}
	}

	copied, err := os.ReadFile(filepath.Join(dir, "backup.db"))
	if err != nil {
		t.Fatal(err)
	}
	other := write(t, "config.ini", strings.Replace(file, before, dest.URL, 1))
	if err := os.WriteFile(filepath.Join(other, "webhook-repeater.db"), copied, 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, other)
	if got := dest.next(t); got.body != "kept" || got.Method != http.MethodPost {
		t.Errorf("%s %q arrived", got.Method, got.body)
	}
	if !bytes.Contains(page, []byte("backup.db /var/lib/webhook-repeater/webhook-repeater.db")) {
		t.Error("the page does not tell where the copy goes")
	}
}
