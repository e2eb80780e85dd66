//go:build !linux

package bench

import (
	"os/exec"
	"time"
)

func leash(*exec.Cmd) {}

func nap(d time.Duration) { time.Sleep(d) }

func cpuTime(int) time.Duration { return 0 }
