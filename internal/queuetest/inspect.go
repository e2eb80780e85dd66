package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var inspectTests = []test{
	{"lists what waits: in hand, due, ready, due later, held back", nothing, inspectOrder},
	{"lists page by page, and no cursor after the last", nothing, inspectPages},
	{"tells all there is to know of a message that waits", nothing, inspectTold},
	{"lists nothing that is delivered or dead, or in another lane", nothing, inspectGone},
	{"a page's end stays where it is when what it ends with is gone", nothing, inspectPagesStay},
	{"lists many that are due at the same time", nothing, inspectTies},
	{"lists what a paused lane keeps", nothing, inspectPaused},
	{"finds all messages of an id, in whatever lanes", nothing, inspectFind},
	{"finds none of another id", nothing, inspectFindOther},
	{"finds a message wherever it is", nothing, inspectFindPlaces},
	{"says how many come before", nothing, inspectAhead},
	{"says behind which one a message is held", nothing, inspectBehind},
	{"tells the age of the oldest", nothing, inspectOldest},
	{"lists and finds what is parked", join, inspectParked},
}

func (s *suite) inspect() repeater.InspectQueue {
	s.Helper()
	q, ok := s.Queue.(repeater.InspectQueue)
	if !ok {
		s.Fatal("the store is no InspectQueue")
	}
	return q
}

// waiting lists a lane, page by page.
func (s *suite) waiting(lane string, max int) (all []repeater.WaitingMessage) {
	s.Helper()
	for cursor, pages := "", 0; ; pages++ {
		page, next, err := s.inspect().Waiting(s.Context(), lane, cursor, max)
		if err != nil {
			s.Fatalf("Waiting(%.20q, %q): %v", lane, cursor, err)
		}
		if len(page) > max || pages > 100 || next != "" && len(page) < max {
			s.Fatalf("Waiting(%.20q, %q, %d) = %d messages, next %q", lane, cursor, max, len(page), next)
		}
		if all = append(all, page...); next == "" {
			return all
		}
		cursor = next
	}
}

var places = map[repeater.Place]string{repeater.PlaceReady: "ready", repeater.PlaceInHand: "hand", repeater.PlaceDue: "due",
	repeater.PlaceHeld: "held", repeater.PlaceParked: "parked", repeater.PlaceDead: "dead"}

// brief is what tests compare of messages: id and place.
func brief(messages []repeater.WaitingMessage) string {
	var out []string
	for _, m := range messages {
		out = append(out, m.Key.ID+" "+places[m.Place])
	}
	return strings.Join(out, ", ")
}

func (s *suite) wantWaiting(lane, want string) {
	s.Helper()
	for _, max := range []int{1, 2, 3, 100} {
		if got := brief(s.waiting(lane, max)); got != want {
			s.Fatalf("in pages of %d, %.20q has\n%s\nwant\n%s", max, lane, got, want)
		}
	}
}

// busy fills lane "a" with messages in each place that one process can bring about.
func (s *suite) busy() (token string) {
	s.push(batch("1", "a"), batch("2", "a"), batch("3", "a"), ordered("4", "a", "k"), batch("5", "a"),
		ordered("6", "a", "k"), ordered("7", "a", "l"), ordered("8", "a", "k"), ordered("9", "a", "l"))
	c := s.take("a", 5)
	s.wantIDs(c, words("1 2 3 4 5")...)
	s.settle("a", c.Token, retried("1", 5*s.tick), retried("2", 5000*s.tick), retried("3", 4000*s.tick), released("5"))
	s.clock.Sleep(6 * s.tick)
	return c.Token
}

func inspectOrder(s *suite) {
	s.busy()
	s.wantWaiting("a", "4 hand, 1 due, 5 ready, 7 ready, 3 due, 2 due, "+s.heldOrder())
	s.wantWaiting("unheard", "")
}

// heldOrder is how the store sorts the order keys k and l: by whatever it makes of them.
func (s *suite) heldOrder() string {
	s.Helper()
	all := brief(s.waiting("a", 100))
	i := strings.Index(all, "6 held")
	j := strings.Index(all, "9 held")
	if i < 0 || j < 0 {
		s.Fatalf("nothing is held back: %s", all)
	}
	if i < j {
		return "6 held, 8 held, 9 held"
	}
	return "9 held, 6 held, 8 held"
}

func inspectPages(s *suite) {
	for i := range 25 {
		s.fill("a", fmt.Sprintf("%02d", i))
	}
	c := s.take("a", 5)
	for i := range 3 {
		s.settle("a", c.Token, retried(fmt.Sprintf("%02d", i), 4000*s.tick))
	}
	var want []string
	for i := 3; i < 25; i++ {
		want = append(want, fmt.Sprintf("%02d", i))
	}
	want = append(want, "00", "01", "02")
	for _, max := range []int{1, 4, 5, 7, 24, 25, 26} {
		var got []string
		for _, m := range s.waiting("a", max) {
			got = append(got, m.Key.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.Fatalf("pages of %d (-want +got):\n%s", max, diff)
		}
	}
	if _, _, err := s.inspect().Waiting(s.Context(), "a", "no cursor", 5); err == nil {
		s.Error("what is no cursor is taken for one")
	}
}

func inspectTold(s *suite) {
	b := batch("1", "b", "a")
	s.push(b)
	c := s.take("a", 1)
	key := repeater.Key{ID: "1", Dest: 1}
	for i := range 2 {
		s.settle("a", c.Token, repeater.Settlement{Key: key, Kind: repeater.SettleRetry, After: s.tick, Attempt: attempt(i)})
		s.clock.Sleep(2 * s.tick)
		c = s.await("a", c.Token, 1)
	}
	s.settle("a", c.Token, repeater.Settlement{Key: key, Kind: repeater.SettleRetry, After: 100 * s.tick, Attempt: attempt(2)})
	got := s.waiting("a", 9)
	if len(got) != 1 {
		s.Fatalf("it has %+v", got)
	}
	m := got[0]
	s.wantBetween("Due", m.Due, 99*s.tick-s.late, 100*s.tick)
	s.wantBetween("Age", m.Age, 4*s.tick, 5*s.tick+s.late)
	m.Due, m.Age = 0, 0
	want := repeater.WaitingMessage{Key: key, Lane: "a", Route: "route", Received: received, Size: len(payload("1", "a")),
		Place: repeater.PlaceDue, Attempts: 3, History: []repeater.Attempt{attempt(0), attempt(1), attempt(2)}}
	if diff := cmp.Diff(want, m); diff != "" {
		s.Errorf("-want +got:\n%s", diff)
	}
}

func (s *suite) wantBetween(what string, got, least, most time.Duration) {
	s.Helper()
	if got < least || got > most {
		s.Errorf("%s is %v, want %v to %v", what, got, least, most)
	}
}

func inspectGone(s *suite) {
	s.push(batch("1", "a"), batch("2", "a"), batch("3", "a"), batch("4", "b"))
	c := s.take("a", 2)
	s.settle("a", c.Token, delivered("1"), died("2"))
	s.wantWaiting("a", "3 ready")
	s.wantWaiting("b", "4 ready")
	s.replay("a", 1, "2")
	s.wantWaiting("a", "3 ready, 2 ready")
}

func inspectPagesStay(s *suite) {
	s.fill("a", words("1 2 3 4 5 6")...)
	page, next, err := s.inspect().Waiting(s.Context(), "a", "", 3)
	if err != nil || brief(page) != "1 ready, 2 ready, 3 ready" {
		s.Fatalf("first page: %s, %v", brief(page), err)
	}
	c := s.take("a", 3)
	s.settle("a", c.Token, all(c.Messages, repeater.SettleDelivered)...)
	page, _, err = s.inspect().Waiting(s.Context(), "a", next, 3)
	// A store may count what is before the page, or remember where it ended.
	if err != nil || brief(page) != "4 ready, 5 ready, 6 ready" && brief(page) != "" {
		s.Errorf("second page: %s, %v", brief(page), err)
	}
}

func inspectTies(s *suite) {
	var want []string
	for i := range 30 {
		s.fill("a", fmt.Sprintf("%02d", i))
		want = append(want, fmt.Sprintf("%02d due", i))
	}
	c := s.take("a", 30)
	var settlements []repeater.Settlement
	for _, m := range c.Messages {
		settlements = append(settlements, retried(m.Key.ID, 4000*s.tick))
	}
	s.settle("a", c.Token, settlements...)
	s.wantWaiting("a", strings.Join(want, ", "))
}

func inspectPaused(s *suite) {
	s.fill("a", "1", "2")
	s.steer("a", repeater.LanePause)
	s.wantWaiting("a", "1 ready, 2 ready")
}

// find finds messages of an id.
func (s *suite) find(id string, dests int) []repeater.WaitingMessage {
	s.Helper()
	found, err := s.inspect().Find(s.Context(), id, dests)
	if err != nil {
		s.Fatalf("Find(%.20q): %v", id, err)
	}
	return found
}

func (s *suite) findOne(id string) repeater.WaitingMessage {
	s.Helper()
	found := s.find(id, 4)
	if len(found) != 1 {
		s.Fatalf("Find(%q) = %+v, want one", id, found)
	}
	return found[0]
}

func inspectFind(s *suite) {
	s.push(batch("1", "a", "b", "c", "d"), batch("2", "a", "b"))
	c := s.take("c", 1)
	dead := repeater.Settlement{Key: repeater.Key{ID: "1", Dest: 2}, Kind: repeater.SettleDead, Reason: "given up", Attempt: attempt(0)}
	s.settle("c", c.Token, dead)
	d := s.take("d", 1)
	s.settle("d", d.Token, all(d.Messages, repeater.SettleDelivered)...)
	found := s.find("1", 9)
	if got := brief(found); got != "1 ready, 1 ready, 1 dead" {
		s.Fatalf("found %s", got)
	}
	for i, lane := range []string{"a", "b", "c"} {
		m := found[i]
		if m.Lane != lane || m.Key.Dest != i || m.Route != "route" || !m.Received.Equal(received) || m.Size != len(payload("1", lane)) {
			s.Errorf("found %+v", m)
		}
	}
	if got := brief(s.find("1", 1)); got != "1 ready" {
		s.Errorf("of one destination: found %s", got)
	}
}

func inspectFindOther(s *suite) {
	s.fill("a", "12", "1.", "1.0", "11")
	for _, id := range []string{"1", "", "2", "*", "1?", "12\x00", strings.Repeat("1", 255)} {
		if found := s.find(id, 64); len(found) > 0 {
			s.Errorf("%q: found %+v", id, found)
		}
	}
	if found := s.find("12", 0); len(found) > 0 {
		s.Errorf("of no destination: found %+v", found)
	}
}

func inspectFindPlaces(s *suite) {
	s.busy()
	for id, want := range map[string]string{"1": "due", "2": "due", "3": "due", "4": "hand", "5": "ready", "6": "held", "7": "ready", "9": "held"} {
		m := s.findOne(id)
		if places[m.Place] != want {
			s.Errorf("%s is %s, want %s", id, places[m.Place], want)
		}
		listed := s.waiting("a", 100)
		i := slices.IndexFunc(listed, func(l repeater.WaitingMessage) bool { return l.Key == m.Key })
		m.Ahead, m.Behind = 0, repeater.Key{}
		m.Due, m.Age, listed[i].Due, listed[i].Age = 0, 0, 0, 0
		if diff := cmp.Diff(listed[i], m); diff != "" {
			s.Errorf("listed and found differ (-listed +found):\n%s", diff)
		}
	}
	if m := s.findOne("2"); m.Due <= 0 {
		s.Errorf("due in %v", m.Due)
	}
}

func inspectAhead(s *suite) {
	s.busy()
	for id, want := range map[string]int{"4": 0, "1": 1, "5": 2, "7": 3, "3": 4, "2": 5} {
		if m := s.findOne(id); m.Ahead != want && m.Ahead != -1 {
			s.Errorf("%s: %d come before, want %d", id, m.Ahead, want)
		}
	}
	for _, id := range []string{"4", "1", "5", "7"} {
		if m := s.findOne(id); m.Ahead < 0 {
			s.Errorf("%s: how many come before is not known", id)
		}
	}
}

func inspectBehind(s *suite) {
	token := s.busy()
	for id, want := range map[string]string{"6": "4", "8": "4", "9": "7"} {
		if m := s.findOne(id); m.Behind != key(want) {
			s.Errorf("%s is held behind %v, want %s", id, m.Behind, want)
		}
	}
	s.settle("a", token, retried("4", 4000*s.tick))
	if m := s.findOne("8"); m.Behind != key("4") {
		s.Errorf("8 is held behind %v, want 4", m.Behind)
	}
}

func (s *suite) oldest(lanes ...string) []time.Duration {
	s.Helper()
	ages, err := s.inspect().Oldest(s.Context(), lanes)
	if err != nil || len(ages) != len(lanes) {
		s.Fatalf("Oldest = %v, %v", ages, err)
	}
	return ages
}

func inspectOldest(s *suite) {
	s.fill("a", "1")
	s.clock.Sleep(10 * s.tick)
	s.fill("a", "2")
	s.fill("b", "3")
	s.clock.Sleep(5 * s.tick)
	check := func(when string, a, b int) {
		s.Helper()
		ages := s.oldest("a", "unheard", "b")
		s.wantBetween(when+": of a", ages[0], time.Duration(a)*s.tick, time.Duration(a+2)*s.tick+s.late)
		s.wantBetween(when+": of b", ages[2], time.Duration(b)*s.tick, time.Duration(b+2)*s.tick+s.late)
		if ages[1] != 0 {
			s.Errorf("%s: of a lane without messages: %v", when, ages[1])
		}
	}
	check("ready", 15, 5)
	c := s.take("a", 1)
	check("in hand", 15, 5)
	s.settle("a", c.Token, retried("1", 4000*s.tick))
	check("due later", 15, 5)
	s.release("a", c.Token)
	s.steer("b", repeater.LanePause)
	s.clock.Sleep(10 * s.tick)
	check("paused", 25, 5)
	if ages := s.oldest(); len(ages) != 0 {
		s.Errorf("of no lanes: %v", ages)
	}
}

func inspectParked(s *suite) {
	q := s.shared()
	s.announce(q, "x")
	s.fillRoutes("a", "y1", "x1", "y2")
	c := s.take("a", 10)
	s.wantIDs(c, "x1")
	s.wantWaiting("a", "x1 hand, y1 parked, y2 parked")
	if m := s.findOne("y2"); m.Place != repeater.PlaceParked || m.Route != "y" {
		s.Errorf("found %+v", m)
	}
	s.settle("a", c.Token, delivered("x1"))
	s.clock.Sleep(5 * s.tick)
	s.wantBetween("age of the oldest parked", s.oldest("a")[0], 5*s.tick, 10*s.tick+s.late)
}
