package cli_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/cli"
)

// TestWatcher: a file that is being written, or is away for a moment, is left alone until it has been the
// same for a second; then it is read once.
func TestWatcher(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.ini")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("whole")
	now := time.Now()
	w := cli.NewWatcher(file)
	look := func(after time.Duration, want bool, when string) {
		t.Helper()
		now = now.Add(after)
		if got := w.Changed(now); got != want {
			t.Errorf("%s: read again: %v, want %v", when, got, want)
		}
	}
	look(time.Hour, false, "nothing has changed")
	for _, part := range []string{"n", "ne", "new", "newe"} {
		write(part)
		look(900*time.Millisecond, false, "while it is written")
	}
	look(900*time.Millisecond, false, "just written")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	look(time.Hour, false, "while it is away")
	write("newer")
	look(time.Hour, false, "when it has come back")
	look(time.Second, true, "when it has come to rest")
	w.Reads()
	look(time.Hour, false, "once it has been read")
	write("changed while it was read")
	look(time.Second/2, false, "changed again")
	look(time.Second, true, "changed again and at rest")
}
