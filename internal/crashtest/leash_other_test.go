//go:build !linux

package crashtest

import "os/exec"

// leash does nothing where the kernel does not know how.
func leash(*exec.Cmd) {}
