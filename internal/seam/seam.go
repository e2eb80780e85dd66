// Package seam is the one place where packages of this module reach into a Repeater: a simulation for
// the time of day and for chance, and a check before a start for what a Repeater would refuse. Every exported
// name is a promise, and these few nobody else may want. The package knows nothing of
// the Repeater, so the Repeater hands them in rather than the other way round.
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

// Refuses says why nothing is sent to an address ("192.0.2.1:80"), or returns nil. allowTo is what
// repeater.AllowTo has been told.
var Refuses func(address string, allowTo []string) error

// DiskFree returns how many bytes may still be written to the disk of a folder, or -1 where
// that cannot be known.
var DiskFree func(folder string) int64
