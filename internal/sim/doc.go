// Package sim plays Repeaters, whole and unchanged, against everything that may go wrong around
// them, in virtual time, and checks after each step that what the README promises holds.
//
// One world is several processes that share a store, senders, destinations, and an operator. Destinations
// go down, hang, answer late, refuse, or do the work and then lie about it; the store fails, takes
// its time, and loses its answers; processes die in the middle of anything; clocks are set. All of it follows
// from one number, the seed: each random choice is a hash of the seed and of what is chosen, and
// things happen in a nanosecond of their own, so that a seed gives each message the same story again.
//
//	go test ./internal/sim                                       a few hundred seeds
//	go test ./internal/sim -run TestSeeds -sim.seeds=50000       many
//	go test ./internal/sim -run TestSeeds -sim.seed=123 -v       one, with its story
//
// The files, in the order in which to read them: plan.go says what a seed makes happen, world.go lets it
// happen, process.go, store.go, network.go, sender.go and operator.go are those who take part, ledger.go
// is what an honest witness knows of each message, and check_*.go are the promises.
package sim
