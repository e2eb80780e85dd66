package queuetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/webhook-repeater/repeater"
)

var sharedTests = []test{
	{"one process at a time works a lane", join, sharedBusy},
	{"another takes a lane over, and the late one changes nothing", join, sharedTakeOver},
	{"order, pauses and failures hold across processes", join, sharedState},
	{"keys, marks and bounds hold across processes", join, sharedPush},
	{"an operator's order reaches the process that works the lane", join, sharedSteer},
	{"before Announce Claim hands out messages of all routes", join, sharedUnannounced},
	{"after Announce Claim hands out only messages of those routes", join, sharedAnnounced},
	{"Announce again replaces the routes", join, sharedReplaced},
	{"what is set aside comes in its old place where its route is known", join, sharedPlaces},
	{"ExpireUnknown makes dead letters of what nobody has announced for so long", join, sharedExpire},
	{"ExpireUnknown spares routes that another process announces", join, sharedSpared},
	{"Watch wakes for a lane that another process has pushed to", join, sharedWatch},
	{"Watch wakes for a lane that another process gives back", join, sharedWatchReleased},
}

// shared is the store as a SharedQueue.
func (s *suite) shared() repeater.SharedQueue {
	s.Helper()
	q, ok := s.Queue.(repeater.SharedQueue)
	if !ok {
		s.Fatalf("%T is no SharedQueue", s.Queue)
	}
	return q
}

// other is the suite at work in another process.
func (s *suite) other() *suite {
	s.Helper()
	o := *s
	o.Queue = s.h.Join(s.T, s.Queue)
	return &o
}

func (s *suite) announce(q repeater.SharedQueue, routes ...string) {
	s.Helper()
	if err := q.Announce(s.Context(), routes); err != nil {
		s.Fatal(err)
	}
}

// fillRoutes pushes messages whose ids begin with the names of their routes.
func (s *suite) fillRoutes(lane string, ids ...string) {
	s.Helper()
	for _, id := range ids {
		b := batch(id, lane)
		b.Route = id[:1]
		s.push(b)
	}
}

func sharedBusy(s *suite) {
	o := s.other()
	s.fill("a", "1", "2")
	c := s.take("a", 1)
	o.wantBusy("a")
	s.settle("a", c.Token, delivered("1"))
	o.wantBusy("a")
	s.release("a", c.Token)
	o.wantIDs(o.take("a", 1), "2")
	s.wantBusy("a")
}

func sharedTakeOver(s *suite) {
	o := s.other()
	s.fill("a", "1", "2")
	old := s.lose("a", 2)
	c := o.take("a", 2)
	o.wantIDs(c, "1", "2")
	o.wantLost(c, 1, 1)
	s.wantErr("Settle too late", s.Settle(s.Context(), "a", old.Token, all(old.Messages, 0)), repeater.ErrStale)
	_, err := s.Claim(s.Context(), repeater.ClaimRequest{Lane: "a", Token: old.Token, Max: 1, TTL: s.forever()})
	s.wantErr("Claim too late", err, repeater.ErrStale)
	s.release("a", old.Token)
	s.wantBusy("a")
	o.settle("a", c.Token, delivered("1"), delivered("2"))
	s.wantNoLanes()
}

func sharedState(s *suite) {
	o := s.other()
	for i := range 6 {
		[]*suite{s, o}[i%2].fill("a", strconv.Itoa(i))
	}
	c := s.take("a", 3)
	s.wantIDs(c, "0", "1", "2")
	s.settle("a", c.Token, refused("0"))
	settled := s.span(func() { s.settle("a", c.Token, held("1", 20*s.tick)) })
	s.release("a", c.Token)
	c = o.take("a", 10)
	o.wantIDs(c)
	o.wantFailures("a", c.Token, 1)
	o.wantRefusals("a", c.Token, 1)
	o.wantIDs(o.await("a", c.Token, 10), "1", "2", "3", "4", "5")
	o.wantDue(settled, 20*s.tick)
}

func sharedPush(s *suite) {
	o := s.other()
	s.push(marked("1", "m", s.forever(), "a"))
	o.pushAs("1", marked("2", "m", s.forever(), "a"))
	o.fill("a", "1", "3")
	s.wantFull(bounded(2, 0, batch("4", "a")))
	o.wantFull(bounded(2, 0, batch("4", "a")))
	s.wantDrained("a", "1", "3")
	o.fill("a", "3") // delivered by another
	s.wantNoLanes()
}

func sharedSteer(s *suite) {
	o := s.other()
	s.fill("a", "1", "2", "3")
	c := s.take("a", 1)
	o.steer("a", repeater.LanePause)
	if c = s.claim("a", c.Token, 1); !c.Paused || len(c.Messages) > 0 {
		s.Errorf("claim after another has paused the lane: %+v", c)
	}
	o.steer("a", repeater.LaneResume)
	s.wantIDs(s.claim("a", c.Token, 1), "2")
	s.settle("a", c.Token, held("2", 1000*s.tick))
	o.steer("a", repeater.LaneRetryNow)
	s.wantIDs(s.claim("a", c.Token, 1), "2")
}

func sharedUnannounced(s *suite) {
	o := s.other()
	s.fillRoutes("a", "x1", "y1")
	o.announce(o.shared(), "x")
	s.wantDrained("a", "x1", "y1")
}

func sharedAnnounced(s *suite) {
	o := s.other()
	s.announce(s.shared(), "x")
	o.announce(o.shared(), "y")
	s.fillRoutes("a", "y1", "x1", "y2", "x2")
	c := s.take("a", 10)
	s.wantIDs(c, "x1", "x2")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 4, Parked: 2, Bytes: 32, Held: true})
	s.settle("a", c.Token, all(c.Messages, repeater.SettleDelivered)...)
	s.release("a", c.Token)
	s.fillRoutes("a", "y3", "x3")
	o.wantDrained("a", "y1", "y2", "y3")
	s.wantDrained("a", "x3")
}

func sharedReplaced(s *suite) {
	s.announce(s.shared(), "x")
	s.fillRoutes("a", "y1", "x1", "y2")
	c := s.take("a", 10)
	s.wantIDs(c, "x1")
	s.announce(s.shared(), "x", "y")
	s.wantIDs(s.claim("a", c.Token, 10), "y1", "y2")
}

func sharedPlaces(s *suite) {
	o := s.other()
	s.announce(s.shared(), "x")
	s.fillRoutes("a", "y1", "x1", "z1", "y2", "x2", "z2")
	c := s.take("a", 1)
	s.wantIDs(c, "x1")
	s.release("a", c.Token)
	o.announce(o.shared(), "x", "y")
	o.wantDrained("a", "y1", "x1", "y2", "x2")
	all := s.other() // has announced nothing
	all.wantDrained("a", "z1", "z2")
}

func sharedExpire(s *suite) {
	q := s.shared()
	s.announce(q, "x")
	s.fillRoutes("a", "x1", "y1", "x2", "y2")
	c := s.take("a", 10)
	s.wantIDs(c, "x1", "x2")
	s.expire(q, 1000*s.tick, 0)
	s.clock.Sleep(4 * s.tick)
	s.announce(q, "x")
	s.expire(q, 2*s.tick, 2)
	s.wantDead("a", "y2", "y1")
	for _, l := range s.dead("a") {
		if l.Reason == "" || l.Route != "y" || l.Attempts != 0 {
			s.Errorf("dead letter %+v", l)
		}
	}
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Bytes: 16, Dead: 2, Held: true})
	s.expire(q, 2*s.tick, 0)
	s.settle("a", c.Token, all(c.Messages, repeater.SettleDelivered)...)
	s.replay("a", 2, "y1", "y2")
	s.wantIDs(s.claim("a", c.Token, 10))
	s.wantLane(repeater.LaneInfo{Name: "a", Waiting: 2, Parked: 2, Bytes: 16, Held: true})
}

func (s *suite) expire(q repeater.SharedQueue, unknown time.Duration, want int) {
	s.Helper()
	if n, err := q.ExpireUnknown(s.Context(), unknown); n != want || err != nil {
		s.Fatalf("ExpireUnknown(%v) = %d, %v, want %d", unknown, n, err, want)
	}
}

func sharedSpared(s *suite) {
	o, q := s.other(), s.shared()
	s.announce(q, "x")
	s.fillRoutes("a", "y1", "z1", "x1")
	c := s.take("a", 10)
	s.wantIDs(c, "x1")
	s.clock.Sleep(20 * s.tick)
	o.announce(o.shared(), "y")
	s.expire(q, 15*s.tick, 1)
	s.wantDead("a", "z1")
	s.release("a", c.Token)
	o.wantDrained("a", "y1")
}

// watch watches until the test ends, and returns the lanes it is woken for.
func (s *suite) watch() <-chan string {
	ctx, cancel := context.WithCancel(s.Context())
	woken := make(chan string, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.shared().Watch(ctx, func(lane string) {
			select {
			case woken <- lane:
			default: // enough
			}
		})
		if !errors.Is(err, context.Canceled) {
			s.Errorf("Watch = %v, want its context's end", err)
		}
	})
	s.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return woken
}

// awaitWake does something again and again, as a wake may be lost, until one comes.
func (s *suite) awaitWake(woken <-chan string, lane string, do func(i int)) {
	s.Helper()
	for i := range 400 {
		do(i)
		timeout := time.After(50 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case got := <-woken:
				if got == lane {
					return
				}
			case <-timeout:
				waiting = false
			}
		}
	}
	s.Fatal("not woken")
}

func sharedWatch(s *suite) {
	o := s.other()
	s.awaitWake(s.watch(), "a {b}", func(i int) { o.fill("a {b}", strconv.Itoa(i)) })
}

func sharedWatchReleased(s *suite) {
	o := s.other()
	o.fill("a", "1")
	woken := s.watch()
	s.awaitWake(woken, "ready", func(i int) { o.fill("ready", strconv.Itoa(i)) })
	s.awaitWake(woken, "a", func(int) { o.release("a", o.take("a", 1).Token) })
}
