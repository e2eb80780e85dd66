//go:build !(linux || darwin || freebsd || dragonfly || windows)

package repeater

import (
	"os"
	"syscall"
)

var noRoomErrors = []error{syscall.ENOSPC}

func diskFree(string) int64 { return -1 }

func syncDir(string) error { return nil }

// lockFile leaves it to bbolt.
func lockFile(*os.File) error { return nil }
