package cli

import (
	"os"
	"runtime/debug"
)

const (
	gcPercent = 400
	// What bodies in memory may take by default, and half as much again.
	gcLimit = 768 << 20
)

// tuneGC lets garbage collection wait longer than usual: little is live here, so that by default it would
// run every few hundred requests. Beyond the limit it runs as often as it must. The
// environment's GOGC and GOMEMLIMIT go before.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(gcLimit)
	}
}
