package repeater

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

var noRoomErrors = []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL}

func diskFree(dir string) int64 {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return -1
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return -1
	}
	return int64(free)
}

// syncDir has nothing to do: NTFS keeps a journal of names.
func syncDir(string) error { return nil }

// lockFile only asks whether the file is locked, in the way of bbolt, who may not do it once more.
func lockFile(f *os.File) error {
	at := windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxUint32}
	h := windows.Handle(f.Fd())
	if err := windows.LockFileEx(h, windows.LOCKFILE_FAIL_IMMEDIATELY|windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &at); err != nil {
		return err
	}
	return windows.UnlockFileEx(h, 0, 1, 0, &at)
}
