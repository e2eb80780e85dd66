package cli_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/cli"
)

func TestRepair(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "repeater.db")
	rp := repeater.New(repeater.Route("/", "http://127.0.0.1:1"), repeater.WithFile(path))
	w := httptest.NewRecorder()
	rp.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "POST", "/x", strings.NewReader("body")))
	if err := rp.Close(); err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	var out, errs bytes.Buffer
	if code := cli.Main([]string{"repair", path}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	if !strings.Contains(out.String(), "has 1 message and 0 dead letters; lost: 0") {
		t.Errorf("told:\n%s", &out)
	}
	if _, err := os.Stat(path + ".repaired"); err != nil {
		t.Error(err)
	}
	if code := cli.Main([]string{"repair", path}, &out, &errs); code != 1 || !strings.Contains(errs.String(), ".repaired is there already") {
		t.Errorf("a second repair into the same file: exit %d: %s", code, &errs)
	}
	if code := cli.Main([]string{"repair"}, &out, &errs); code != 2 {
		t.Errorf("repair of nothing: exit %d", code)
	}
}

// TestRepairOfAnotherFile: who has named a wrong file is not told to put an empty store in its place.
func TestRepairOfAnotherFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.ini")
	if err := os.WriteFile(path, []byte("[hook:jira]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := cli.Main([]string{"repair", path}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "look whether it is the store file") {
		t.Errorf("exit %d: %s", code, &errs)
	}
	if _, err := os.Stat(path + ".repaired"); !os.IsNotExist(err) {
		t.Errorf("it left a file: %v", err)
	}
}
