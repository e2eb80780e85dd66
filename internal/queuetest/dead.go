package queuetest

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var deadTests = []test{
	{"lists the latest first", nothing, deadLatest},
	{"lists page by page, and no cursor after the last", nothing, deadPages},
	{"pages stay where they are when others die or are dropped", nothing, deadPagesStay},
	{"tells all there is to know of a letter", nothing, deadTold},
	{"keeps the first and the last attempts of a long series", nothing, deadHistory},
	{"keeps 2 KiB of an answer", nothing, deadAnswer},
	{"lists none of another lane", nothing, deadLane},
	{"a letter is dropped for good", nothing, deadDropped},
	{"drop passes over what is no dead letter of this lane", nothing, deadDropOthers},
	{"a dropped key can be pushed again", nothing, deadPushedAgain},
}

func (s *suite) dropKeys(lane string, want int, keys ...repeater.Key) {
	s.Helper()
	if n, err := s.Drop(s.Context(), lane, keys); n != want || err != nil {
		s.Fatalf("Drop(%.20q, %v) = %d, %v, want %d", lane, keys, n, err, want)
	}
}

// drop drops letters, and checks how many there were.
func (s *suite) drop(lane string, want int, ids ...string) {
	s.Helper()
	s.dropKeys(lane, want, keys(ids...)...)
}

func deadLatest(s *suite) {
	s.bury("a", "3", "1", "2")
	s.wantDead("a", "2", "1", "3")
	s.fill("a", "5", "4")
	c := s.take("a", 2)
	s.settle("a", c.Token, died("4"), died("5"))
	s.wantDead("a", "5", "4", "2", "1", "3")
}

// deadPage reads one page.
func (s *suite) deadPage(lane, cursor string, max int, want ...string) (next string) {
	s.Helper()
	letters, next, err := s.Dead(s.Context(), lane, cursor, max)
	if err != nil {
		s.Fatal(err)
	}
	var got []string
	for _, l := range letters {
		got = append(got, l.Key.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Fatalf("page (-want +got):\n%s", diff)
	}
	return next
}

func deadPages(s *suite) {
	s.bury("a", "1", "2", "3", "4", "5")
	for _, tt := range []struct {
		max   int
		pages string
	}{
		{1, "5 | 4 | 3 | 2 | 1"}, {2, "5 4 | 3 2 | 1"}, {4, "5 4 3 2 | 1"}, {5, "5 4 3 2 1"}, {9, "5 4 3 2 1"},
	} {
		cursor, pages := "", strings.Split(tt.pages, "|")
		for i, page := range pages {
			cursor = s.deadPage("a", cursor, tt.max, words(page)...)
			if last := i == len(pages)-1; (cursor == "") != last {
				s.Errorf("pages of %d: next is %q after page %d of %d", tt.max, cursor, i+1, len(pages))
			}
		}
	}
	if next := s.deadPage("b", "", 5); next != "" {
		s.Errorf("next is %q where nothing is dead", next)
	}
}

func deadPagesStay(s *suite) {
	s.bury("a", "1", "2", "3", "4", "5", "6")
	next := s.deadPage("a", "", 2, "6", "5")
	s.bury("a", "7")
	s.drop("a", 3, "5", "3", "6") // with what the cursor stands on
	next = s.deadPage("a", next, 2, "4", "2")
	s.replay("a", 1, "2")
	if next = s.deadPage("a", next, 2, "1"); next != "" {
		s.Errorf("next is %q on the last page", next)
	}
}

func deadTold(s *suite) {
	b := batch("1", "b", "a")
	s.push(b)
	c := s.take("a", 1)
	key := repeater.Key{ID: "1", Dest: 1}
	first, second := attempt(1), attempt(2)
	first.Silent = true
	second.Error = "a\n\"b\xff"
	s.settle("a", c.Token, repeater.Settlement{Key: key, Kind: repeater.SettleRetry, Attempt: first})
	s.wantIDs(s.await("a", c.Token, 1), "1")
	s.clock.Sleep(s.tick)
	dies := s.span(func() {
		s.settle("a", c.Token, repeater.Settlement{
			Key: key, Kind: repeater.SettleDead, Refused: true, Reason: "why\x00\xff not", Answer: []byte("<html>\x00\xff"), Attempt: second,
		})
	})
	got := s.dead("a")[0]
	s.wantGap("Died", got.Died.Sub(dies.from), gap{0, dies.to.Sub(dies.from)})
	got.Died = time.Time{}
	want := repeater.DeadLetter{
		Key: key, Route: "route", Received: received, Size: 7, Attempts: 2, History: []repeater.Attempt{first, second},
		Reason: "why\x00\xff not", Answer: []byte("<html>\x00\xff"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("letter (-want +got):\n%s", diff)
	}
}

func deadHistory(s *suite) {
	const n = 100
	s.fill("a", "1")
	token := s.take("a", 1).Token
	for i := range n {
		settlement := held("1", 0)
		if i == n-1 {
			settlement = died("1")
		}
		settlement.Attempt = attempt(i)
		s.settle("a", token, settlement)
		if i < n-1 {
			s.wantIDs(s.claim("a", token, 1), "1")
		}
	}
	letter := s.dead("a")[0]
	h := letter.History
	if letter.Attempts != n || len(h) < 4 || len(h) > n/2 {
		s.Fatalf("%d attempts, %d of them kept", letter.Attempts, len(h))
	}
	want := []repeater.Attempt{attempt(0), attempt(1), attempt(n - 2), attempt(n - 1)}
	if diff := cmp.Diff(want, append(h[:2:2], h[len(h)-2:]...)); diff != "" {
		s.Errorf("first and last attempts (-want +got):\n%s", diff)
	}
	for i := range h[1:] {
		if !h[i].At.Before(h[i+1].At) {
			s.Errorf("attempt of %v comes before that of %v", h[i].At, h[i+1].At)
		}
	}
}

func deadAnswer(s *suite) {
	for _, n := range []int{0, 1, 2 << 10, 2<<10 + 1, 64 << 10} {
		id := strconv.Itoa(n)
		s.fill("a", id)
		c := s.take("a", 1)
		one := refused(id)
		one.Answer = bytes.Repeat([]byte("\xffx"), n)[:n]
		s.settle("a", c.Token, one)
		s.release("a", c.Token)
		if got := s.dead("a")[0].Answer; !bytes.Equal(got, one.Answer[:min(n, 2<<10)]) {
			s.Errorf("of %d bytes %d are kept", n, len(got))
		}
	}
	s.bury("a", "none")
	if got := s.dead("a")[0].Answer; got != nil {
		s.Errorf("without an answer there is one: %q", got)
	}
}

func deadLane(s *suite) {
	s.push(batch("1", "a", "b", "ab"))
	for _, lane := range words("a b ab") {
		c := s.take(lane, 1)
		s.settle(lane, c.Token, all(c.Messages, repeater.SettleDead)...)
	}
	for i, lane := range words("a b ab") {
		if got := s.dead(lane); len(got) != 1 || got[0].Key.Dest != i {
			s.Errorf("dead letters of %s: %+v", lane, got)
		}
	}
}

func deadDropped(s *suite) {
	s.bury("a", "1", "2", "3")
	s.drop("a", 2, "3", "1")
	s.wantDead("a", "2")
	s.wantLane(repeater.LaneInfo{Name: "a", Dead: 1})
	_, err := s.Payload(s.Context(), "a", key("1"))
	s.wantErr("Payload of a dropped letter", err, repeater.ErrNotFound)
	s.drop("a", 1, "2")
	s.wantNoLanes()
	s.wantDrained("a")
}

func deadDropOthers(s *suite) {
	s.bury("b", "1")
	s.bury("a", "2")
	s.fill("a", "3", "4")
	c := s.take("a", 1)
	s.drop("a", 1, "1", "2", "2", "3", "4", "unknown")
	s.drop("unheard", 0, "1")
	s.drop("a", 0)
	s.wantDead("b", "1")
	s.settle("a", c.Token, delivered("3"))
	s.wantIDs(s.claim("a", c.Token, 10), "4")
}

func deadPushedAgain(s *suite) {
	s.bury("a", "1")
	s.drop("a", 1, "1")
	s.fill("a", "1")
	s.wantDrained("a", "1")
}

var letterTests = []test{
	{"returns one dead letter, as Dead lists it", nothing, letterListed},
	{"answers ErrNotFound for what is no dead letter of this lane", nothing, letterNotFound},
}

func letterListed(s *suite) {
	s.bury("a", "1", "2")
	s.fill("a", "3")
	c := s.take("a", 1)
	last := refused("3")
	last.Reason, last.Answer, last.Attempt.Error = "refused", []byte("no"), "an error"
	s.settle("a", c.Token, last)
	for _, want := range s.dead("a") {
		got, err := s.Letter(s.Context(), "a", want.Key)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			s.Errorf("Letter(%v): %v (-want +got):\n%s", want.Key, err, diff)
		}
	}
}

func letterNotFound(s *suite) {
	s.bury("b", "2")
	s.bury("a", "dropped", "replayed")
	s.drop("a", 1, "dropped")
	s.replay("a", 1, "replayed")
	s.fill("a", "delivered")
	c := s.take("a", 2)
	s.settle("a", c.Token, delivered("delivered"))
	for _, k := range keys("2", "dropped", "replayed", "delivered", "unknown", "") {
		_, err := s.Letter(s.Context(), "a", k)
		s.wantErr("Letter", err, repeater.ErrNotFound)
	}
	_, err := s.Letter(s.Context(), "unheard", key("2"))
	s.wantErr("Letter", err, repeater.ErrNotFound)
}

var payloadTests = []test{
	{"returns what was pushed, while it waits, is claimed, due, held or dead", nothing, payloadStored},
	{"answers ErrNotFound for what is not stored in this lane", nothing, payloadNotFound},
}

func payloadStored(s *suite) {
	check := func(ids ...string) {
		s.Helper()
		for _, id := range ids {
			s.wantPayload("a", key(id), payload(id, "a"))
		}
	}
	s.push(ordered("1", "a", "k"), ordered("2", "a", "k"), batch("3", "a"))
	check("1", "2", "3")
	c := s.take("a", 10)
	check("1", "2", "3")
	s.settle("a", c.Token, retried("1", 100*s.tick), died("3"))
	check("1", "2", "3")
	s.replay("a", 1, "3")
	check("3")
}

func payloadNotFound(s *suite) {
	s.push(batch("1", "a", "b"))
	s.fill("a", "2")
	for _, tt := range []struct {
		lane string
		key  repeater.Key
	}{
		{"a", key("unknown")}, {"a", repeater.Key{ID: "1", Dest: 1}}, {"b", key("1")}, {"b", key("2")}, {"unheard", key("1")}, {"a", key("")},
	} {
		_, err := s.Payload(s.Context(), tt.lane, tt.key)
		s.wantErr("Payload", err, repeater.ErrNotFound)
	}
}
