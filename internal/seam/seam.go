// Package seam is the one place where a simulation reaches into a Repeater: for the time of day and
// for chance. Both would be options that nobody but a test may want, and every exported option is a
// promise; an option that only packages of this module can make is none. The package knows nothing of
// the Repeater, so the Repeater hands its option in rather than the other way round.
package seam

import "time"

// Sources is what a Repeater otherwise has from its machine.
type Sources struct {
	Clock  func() time.Time // the time of day; timers are not affected
	Random func() float64   // from 0 to below 1; called from several goroutines
}

// Option returns a repeater.Option, which this package cannot name, that has a Repeater
// use these sources. The root package sets it before anybody can ask.
var Option func(Sources) any
