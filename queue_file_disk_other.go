//go:build !(linux || darwin || freebsd || dragonfly || windows)

package repeater

import "syscall"

var noRoomErrors = []error{syscall.ENOSPC}

func diskFree(string) int64 { return -1 }

func syncDir(string) error { return nil }
