//go:build !race

package sim_test

const (
	seedsByDefault = 500
	seedsTwice     = 20
)
