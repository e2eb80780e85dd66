package proctest

import (
	"os/exec"
	"syscall"
)

// leash ends the process with the test, also when that panics or is killed.
func leash(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
