//go:build !linux

package cli

// monotonicMicros is of no use where there is no systemd.
func monotonicMicros() string { return "0" }
