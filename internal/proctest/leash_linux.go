package proctest

import (
	"os/exec"
	"syscall"
)

// leash ends the process with the test, also when that panics or is killed.
func leash(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
