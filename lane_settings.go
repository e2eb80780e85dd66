package repeater

import (
	"fmt"
	"time"
)

// laneSettings belong to a lane, whichever of its routes states them.
type laneSettings struct {
	concurrency int           // 0: not stated
	pace        time.Duration // 0: not stated
	strict      bool
	ordered     bool // some of its messages wait for others of their order key
}

// lane returns what holds for a lane, also for one that only the store knows any more.
func (c *config) lane(name string) laneSettings {
	set := c.lanes[name]
	set.concurrency = max(set.concurrency, 1)
	return set
}

// checkLanes gathers the settings of the lanes of a route. What another route of the same lane
// states differently is a mistake; what a route does not state is the lane's.
func (c *config) checkLanes(rt *route) {
	for i := range rt.dests {
		name := rt.dests[i].lane
		set, stated := c.lanes[name], rt.lane
		if set.concurrency == 0 {
			set.concurrency = stated.concurrency
		} else if stated.concurrency != 0 && stated.concurrency != set.concurrency {
			c.fail("route %q: Concurrency %d differs from %d, which another route states for lane %s",
				rt.pattern, stated.concurrency, set.concurrency, name)
		}
		if set.pace == 0 {
			set.pace = stated.pace
		} else if stated.pace != 0 && stated.pace != set.pace {
			c.fail("route %q: Pace %v differs from %v, which another route states for lane %s", rt.pattern, stated.pace, set.pace, name)
		}
		set.strict = set.strict || stated.strict
		set.ordered = set.ordered || rt.orderBy != nil
		if set.strict && set.concurrency > 1 {
			c.fail("route %q: a lane that is Strict has one attempt in flight, but %s has Concurrency %d", rt.pattern, name, set.concurrency)
		}
		c.lanes[name] = set
	}
}

// nameLanes makes lanes of their own for the destinations of a route that names one. Different
// origins never share a lane, whatever its name.
func (rt *route) nameLanes() {
	if rt.laneName == "" {
		return
	}
	for i := range rt.dests {
		rt.dests[i].lane += " " + rt.laneName
	}
}

// Concurrency sets how many attempts, 1 to 10,000, may be in flight in each lane of the route; 0 is
// a mistake. The default, 1, keeps the order of arrival. With n, messages that are within n of each
// other may change places; with [OrderBy], messages of one key never do.
//
// It belongs to the lane: routes that share one must not state different values.
func Concurrency(n int) RouteOption {
	return func(rt *route) {
		if n < 1 || n > maxConcurrency {
			rt.fail("Concurrency: %d is not within 1 to %d", n, maxConcurrency)
			return
		}
		rt.lane.concurrency = n
	}
}

const maxConcurrency = 10_000

// Pace leaves at least d between the starts of two attempts in each lane of the route, and turns
// quick retries off there. It belongs to the lane, as [Concurrency] does. 0, the default, waits for
// nothing.
func Pace(d time.Duration) RouteOption {
	return func(rt *route) {
		if d < 0 {
			rt.fail("Pace: %v is negative", d)
			return
		}
		rt.lane.pace = d
	}
}

// Strict lets nothing overtake the oldest message of the route's lanes until it is delivered or
// dead: the lane waits even for a message that only fails by itself (a 500). One such message then
// stops its lane, until [MaxAge] or [MaxAttempts] ends it. It belongs to the lane, for all routes
// that share it.
func Strict() RouteOption {
	return func(rt *route) { rt.lane.strict = true }
}

// Lane gives the route's destinations lanes of their own, by name. Without it, all routes share the
// lane of an origin (scheme, host and port), as they share its health. Routes with the same name
// and origin share a lane; different origins never do. A name has 1 to 100 bytes, without spaces
// and control characters.
func Lane(name string) RouteOption {
	return func(rt *route) {
		if err := checkLaneName(name); err != nil {
			rt.fail("Lane: %w", err)
			return
		}
		rt.laneName = name
	}
}

func checkLaneName(name string) error {
	if name == "" || len(name) > 100 {
		return fmt.Errorf("a name has 1 to 100 bytes, this one %d", len(name))
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f {
			return fmt.Errorf("%q contains a space or control character", name)
		}
	}
	return nil
}
