package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// leash ends the process with this one, however that ends.
func leash(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// nap sleeps more exactly than time.Sleep, which may be late by a millisecond.
func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // whoever is woken early looks at the clock again
}

// The kernel tells times in hundredths of a second, whatever its own clock does.
const tick = time.Second / 100

// cpuTime is what a process has used so far, in user mode and in the kernel.
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is a name in parentheses, with whatever in it. Of those behind it,
	// the 12th and 13th are the times.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	var sum time.Duration
	for _, f := range fields[11:13] {
		n, _ := strconv.Atoi(string(f))
		sum += time.Duration(n) * tick
	}
	return sum
}
