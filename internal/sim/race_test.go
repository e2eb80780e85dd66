//go:build race

package sim_test

// The race detector makes a seed some ten times as dear.
const (
	seedsByDefault = 60
	seedsTwice     = 3
)
