//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "torture: limits, signals and mounts are those of Linux; it runs only there")
	os.Exit(2)
}
