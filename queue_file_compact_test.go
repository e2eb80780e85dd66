package repeater_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// grown is a closed store whose file has grown to 80 MiB, of which little is in use: one
// of everything that a store can hold.
func grown(t *testing.T) *fileTest {
	t.Helper()
	f := startFile(t, repeater.FileSetup{})
	large := repeater.Batch{ID: "large", Route: "route"}
	for i := range 80 {
		large.Messages = append(large.Messages, repeater.Message{Dest: i, Lane: "a", Payload: make([]byte, 1<<20)})
	}
	if _, err := f.Push(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	c := f.claim("a", "", 80)
	s := make([]repeater.Settlement, 80)
	for i := range s {
		s[i].Key = c.Messages[i].Key
	}
	s[0].Kind, s[0].Reason, s[0].Answer = repeater.SettleDead, "gone", []byte("Gone")
	s[1].Kind, s[1].Attempt = repeater.SettleRetry, repeater.Attempt{At: time.Now(), Error: "connection refused"}
	f.settle("a", c.Token, s...)
	b := repeater.Batch{ID: "ordered", Dedupe: "mark", DedupeFor: time.Hour}
	for i := range 3 {
		b.Messages = append(b.Messages, repeater.Message{Dest: i, Lane: "o", OrderKey: "k"})
	}
	if _, err := f.Push(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := f.Steer(t.Context(), "p", repeater.LanePause); err != nil {
		t.Fatal(err)
	}
	if err := f.FileQueue.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

// wantGrown looks for all that grown has left.
func (f *fileTest) wantGrown() {
	f.Helper()
	want := []repeater.LaneInfo{
		{Name: "a", Waiting: 1, Bytes: 1 << 20, Dead: 1}, {Name: "o", Waiting: 3}, {Name: "p", Paused: true},
	}
	got, err := f.Lanes(f.Context(), "", 10)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		f.Errorf("lanes: %v (-want +got):\n%s", err, diff)
	}
	letter, err := f.Letter(f.Context(), "a", repeater.Key{ID: "large"})
	if err != nil || string(letter.Answer) != "Gone" || letter.Size != 1<<20 {
		f.Errorf("dead letter: %+v, %v", letter, err)
	}
	if c := f.claim("a", "", 10); len(c.Messages) != 1 || c.Messages[0].Attempts != 1 || len(c.Messages[0].Payload) != 1<<20 {
		f.Errorf("%d messages were claimed, or not the right one", len(c.Messages))
	}
	again := repeater.Batch{ID: "again", Dedupe: "mark", DedupeFor: time.Hour, Messages: []repeater.Message{{Lane: "o"}}}
	if id, err := f.Push(f.Context(), again); id != "ordered" || err != nil {
		f.Errorf("pushed again as %q, %v", id, err)
	}
	if c := f.claim("o", "", 10); len(c.Messages) != 1 {
		f.Errorf("%d of one order key were claimed at once", len(c.Messages))
	}
}

func (f *fileTest) size() int64 {
	f.Helper()
	info, err := os.Stat(f.path)
	if err != nil {
		f.Fatal(err)
	}
	return info.Size()
}

func TestCompactWhenOpened(t *testing.T) {
	t.Parallel()
	f := grown(t)
	logged, log := newLog()
	f.setup.Log = log
	link := filepath.Join(t.TempDir(), "link.db")
	err := errors.Join(os.Chmod(f.path, 0o640), os.Symlink(f.path, link),
		os.WriteFile(f.path+".compact", []byte("of an interrupted compaction"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	before := f.size()
	f.path = link
	f.open()
	f.wantGrown()
	if after := f.size(); before < 64<<20 || after > 24<<20 {
		t.Errorf("the file had %d bytes, and has %d", before, after)
	}
	if n := strings.Count(logged.String(), "compacted"); n != 1 {
		t.Errorf("the log tells %d times:\n%s", n, logged)
	}
	wantOnlyFile(t, link, 0o640)

	// The new file is the one that is locked, and that is written to.
	other := repeater.NewFileQueue(link)
	f.wantErr("open a second time", other.Open(t.Context()), repeater.ErrLocked)
	f.push("new", "1")
	f.restart()
	f.wantDrained("new", "1")
}

// wantOnlyFile follows a link to a store, and wants nothing else beside that.
func wantOnlyFile(t *testing.T, link string, mode fs.FileMode) {
	t.Helper()
	path, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != mode {
		t.Errorf("%v: mode %v, want %v", err, info.Mode(), mode)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 || err != nil {
		t.Errorf("the folder has %q, %v", left, err)
	}
}

// A process that dies while it compacts leaves the old file, and beside it any part of
// the new one; or the new one alone.
func TestInterruptedCompaction(t *testing.T) {
	t.Parallel()
	f := grown(t)
	old := read(t, f.path)
	f.open()
	if err := f.FileQueue.Close(); err != nil {
		t.Fatal(err)
	}
	small := read(t, f.path)
	for _, part := range []int{0, 1000, len(small) / 2, len(small)} {
		write(t, f.path, old)
		write(t, f.path+".compact", small[:part])
		f.open()
		f.wantGrown()
		if err := f.FileQueue.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(f.path + ".compact"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the rest of a compaction is still there: %v", err)
		}
	}
	write(t, f.path, small)
	f.open()
	f.wantGrown()
}

// Where there is no room for a copy, or something in its way, the old file serves.
func TestCompactionIsNotPossible(t *testing.T) {
	t.Parallel()
	f := grown(t)
	before := f.size()
	logged, log := newLog()
	f.setup.Log = log
	if err := os.MkdirAll(filepath.Join(f.path+".compact", "occupied"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.open()
	if n := strings.Count(logged.String(), "could not be compacted"); n != 1 {
		t.Errorf("the log tells %d times:\n%s", n, logged)
	}
	if err := errors.Join(f.FileQueue.Close(), os.RemoveAll(f.path+".compact")); err != nil {
		t.Fatal(err)
	}
	f.setup.DiskFloor = 1 << 62
	f.open()
	f.wantGrown()
	if f.size() != before {
		t.Errorf("the file had %d bytes, and has %d", before, f.size())
	}
}

func TestOpenedFileIsStillThere(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "a"), nil)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := repeater.StillThere(file, path); err != nil {
		t.Errorf("the same file: %v", err)
	}
	if err := os.Rename(write(t, path+".compact", nil), path); err != nil {
		t.Fatal(err)
	}
	if err := repeater.StillThere(file, path); !errors.Is(err, repeater.ErrLocked) {
		t.Errorf("a file that was replaced: %v", err)
	}
}
