package repeater_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/webhook-repeater/repeater"
)

// TestFullDisk fills a disk to the last page, and then delivers all that is stored.
// The disk is a limit to the size of files, which holds for the whole process: the
// test runs in one of its own.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const child = "REPEATER_TEST_FULL_DISK"
	if os.Getenv(child) != "" {
		fullDisk(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestFullDisk$", "-test.count=1")
	cmd.Env = append(os.Environ(), child+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func limitFiles(t *testing.T, bytes int64) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(bytes), Max: unix.RLIM_INFINITY}); err != nil {
		t.Fatal(err)
	}
}

func fullDisk(t *testing.T) {
	limitFiles(t, 24<<20)
	f := startFile(t, repeater.FileSetup{DiskFloor: -1})
	lanes := []string{"a", "b", "c"}
	stored := fillDisk(f, lanes)

	// From here on the file cannot grow by a byte, nor use what it has not used before.
	info, err := os.Stat(f.path)
	if err != nil {
		t.Fatal(err)
	}
	limitFiles(t, info.Size())
	f.wantErr("push to a full disk", f.tryPush("a", "late", 4<<10), repeater.ErrFull)
	if _, _, free := f.Size("a"); free != 0 {
		t.Errorf("Size tells of %d free bytes", free)
	}

	seen := make(map[string]bool)
	for _, lane := range lanes {
		for id := range drainFull(f, lane) {
			if seen[id] {
				t.Errorf("%s comes twice", id)
			}
			seen[id] = true
		}
	}
	for _, id := range stored {
		if !seen[id] {
			t.Errorf("%s is lost", id)
		}
	}
	f.awaitRoom()
	if err := f.tryPush("a", "again", 4<<10); err != nil || len(stored) < 200 {
		t.Errorf("after %d messages have gone: %v", len(stored), err)
	}
	f.restart()
	f.wantDrained("a", "again")
}

// fillDisk pushes until there is no room, with ever smaller messages.
func fillDisk(f *fileTest, lanes []string) (ids []string) {
	f.Helper()
	for size := 64 << 10; size > 0; size /= 256 {
		for i := 0; ; i++ {
			id := fmt.Sprintf("%05d-%05d", size, i)
			err := f.tryPush(lanes[i%len(lanes)], id, size)
			if errors.Is(err, repeater.ErrFull) {
				break
			}
			if err != nil {
				f.Fatal(err)
			}
			ids = append(ids, id)
		}
		f.awaitRoom()
	}
	return ids
}

// awaitRoom waits until the store takes more, or at least tries to.
func (f *fileTest) awaitRoom() {
	f.Helper()
	for range 1000 {
		if _, _, free := f.Size("a"); free > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.Fatal("the store never takes more")
}

// drainFull settles all messages of a lane: of ten, one is dead, one tried again later,
// one again at once, and the others are delivered.
func drainFull(f *fileTest, lane string) map[string]bool {
	f.Helper()
	ids := make(map[string]bool)
	c := f.claim(lane, "", 64)
	for ; len(c.Messages) > 0; c = f.claim(lane, c.Token, 64) {
		var s []repeater.Settlement
		for i, m := range c.Messages {
			o := as(m.Key.ID, repeater.SettleDelivered)
			if m.Err != nil {
				f.Errorf("message %v: %v", m.Key, m.Err)
			}
			if m.Attempts == 0 {
				o.Attempt = repeater.Attempt{At: time.Now(), Error: "connection refused"}
				switch i % 10 {
				case 0:
					o.Kind, o.Reason = repeater.SettleDead, "gone"
				case 1:
					o.Kind = repeater.SettleRetry
				case 2:
					o.Kind, o.Hold = repeater.SettleRetry, true
				}
			}
			if o.Kind != repeater.SettleRetry {
				ids[m.Key.ID] = true
			}
			s = append(s, o)
		}
		f.settle(lane, c.Token, s...)
	}
	if err := f.Release(f.Context(), lane, c.Token); err != nil {
		f.Fatal(err)
	}
	return ids
}
