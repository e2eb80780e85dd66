package cli

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// monotonicMicros is the kernel's monotonic clock, which time.Time does not show.
func monotonicMicros() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "0" // every kernel has this clock
	}
	return strconv.FormatInt(now.Nano()/1000, 10)
}
