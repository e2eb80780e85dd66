package repeater_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater"
)

func TestDiskFloor(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	f := startFile(t, repeater.FileSetup{DiskFloor: -1})
	f.push("a", "1", "2")
	if _, _, free := f.Size("a"); free <= 0 {
		t.Errorf("without a floor, %d bytes are free", free)
	}

	f.setup = repeater.FileSetup{DiskFloor: math.MaxInt64, Log: log}
	f.restart()
	f.wantErr("push below the floor", f.tryPush("a", "3", 10), repeater.ErrFull)
	f.push("a", "1") // is stored
	if n, bytes, free := f.Size("a"); n != 2 || bytes != 20 || free != 0 {
		t.Errorf("Size is %d, %d, %d, want 2, 20, 0", n, bytes, free)
	}
	if n := strings.Count(logged.String(), "nearly full"); n != 1 {
		t.Errorf("the log tells %d times:\n%s", n, logged)
	}
	f.wantDrained("a", "1", "2")
}

// Half-way from twice the floor to the floor, lanes with more than half of what the
// largest has are refused.
func TestNearTheFloorTheLargestLaneIsRefused(t *testing.T) {
	t.Parallel()
	f := startFile(t, repeater.FileSetup{DiskFloor: -1})
	for lane, size := range map[string]int{"large": 1 << 20, "middle": 700 << 10, "small": 300 << 10} {
		if err := f.tryPush(lane, lane, size); err != nil {
			t.Fatal(err)
		}
	}
	f.setup.DiskFloor = repeater.DiskFree(filepath.Dir(f.path)) / 3 * 2
	f.restart()
	f.wantErr("push to the largest lane", f.tryPush("large", "1", 10), repeater.ErrFull)
	f.wantErr("push to a large lane", f.tryPush("middle", "1", 10), repeater.ErrFull)
	f.push("small", "1")
	f.push("new", "2")
	for lane, open := range map[string]bool{"large": false, "middle": false, "small": true, "new": true, "unheard": true} {
		if _, _, free := f.Size(lane); (free > 0) != open {
			t.Errorf("lane %s: %d bytes free, want any: %v", lane, free, open)
		}
	}
}

// Below the floor all doors of a real Repeater are shut, and the option shuts them.
func TestWithDiskFloor(t *testing.T) {
	t.Parallel()
	for floor, want := range map[int64]int{0: 200, -1: 200, math.MaxInt64: 503} {
		rp := repeater.New(repeater.Route("/", anywhere), repeater.WithFile(filepath.Join(t.TempDir(), "repeater.db")), repeater.WithDiskFloor(floor))
		w := try(rp, "POST", "/x")
		wantStatus(t, w, want)
		if err := rp.Close(); err != nil {
			t.Error(err)
		}
	}
}
