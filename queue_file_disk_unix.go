//go:build linux || darwin || freebsd || dragonfly

package repeater

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var noRoomErrors = []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG}

// diskFree returns the bytes that we may still write to the disk of a folder, or -1.
func diskFree(dir string) int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize) // #nosec G115 -- no disk has 2^63 bytes
}

// syncDir makes the names in a folder durable, where that can be asked for.
func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- the folder of the store that the program named
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

// lockFile locks a file as bbolt does, who may do it once more. The lock ends with the last descriptor.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // #nosec G115 -- a descriptor
}
