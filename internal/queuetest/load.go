package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var loadTests = []test{
	{"lists ten thousand lanes, page by page", nothing, loadLanes},
	{"pushers and claimers at once: each message is settled once, in order", nothing, loadTorture},
}

func loadLanes(s *suite) {
	const n, perBatch, page = 10_000, 500, 777
	var want []string
	for from := 0; from < n; from += perBatch {
		lanes := make([]string, perBatch)
		for i := range lanes {
			lanes[i] = "https://host-" + strconv.Itoa(from+i) + ".example.com"
		}
		s.push(batch(strconv.Itoa(from), lanes...))
		want = append(want, lanes...)
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; {
		infos, err := s.Lanes(s.Context(), after, page)
		if err != nil || len(infos) > page {
			s.Fatalf("Lanes = %d lanes, %v", len(infos), err)
		}
		for _, l := range infos {
			if l.Waiting != 1 {
				s.Fatalf("lane %+v", l)
			}
		}
		if got = append(got, names(infos)...); len(infos) < page {
			break
		}
		after = got[len(got)-1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Fatalf("lanes (-want +got):\n%s", diff)
	}
	last := s.take(want[n-1], 10)
	if len(last.Messages) != 1 {
		s.Errorf("the last lane hands out %d messages", len(last.Messages))
	}
}

// torture is pushers and claimers of a few lanes, and what has been delivered.
type torture struct {
	*suite
	queues        [2]repeater.Queue // of two processes, where the store serves several
	pushers, each int
	lanes         []string
	pushed        chan struct{} // closed when all is pushed
	mu            sync.Mutex
	delivered     map[string][]string // by lane
}

func loadTorture(s *suite) {
	r := &torture{
		suite: s, queues: [2]repeater.Queue{s.Queue, s.Queue}, pushers: 4, each: 60, lanes: words("a b c"),
		pushed: make(chan struct{}), delivered: make(map[string][]string),
	}
	if s.h.Join != nil {
		r.queues[1] = s.h.Join(s.T, s.Queue)
	}
	var pushing, claiming sync.WaitGroup
	for p := range r.pushers {
		pushing.Go(func() { r.pusher(r.queues[p%2], p) })
	}
	for _, lane := range r.lanes {
		for i := range 2 {
			claiming.Go(func() { r.claimer(r.queues[i], lane, i) })
		}
	}
	pushing.Wait()
	close(r.pushed)
	claiming.Wait()
	if s.Failed() {
		return
	}
	for _, lane := range r.lanes {
		r.check(lane)
	}
	s.wantNoLanes()
}

// pusher pushes its messages to all lanes, one after the other, and now and then twice
// where a delivery may have come between.
func (r *torture) pusher(q repeater.Queue, p int) {
	for i := range r.each {
		b := batch(fmt.Sprintf("%d-%04d", p, i), r.lanes...)
		_, err := q.Push(r.Context(), b)
		if r.h.Remembers && i%5 == 0 && err == nil {
			_, err = q.Push(r.Context(), b)
		}
		if err != nil {
			r.Errorf("Push: %v", err)
			return
		}
	}
}

// claimer takes its lane again and again from its rival, until there is nothing left.
func (r *torture) claimer(q repeater.Queue, lane string, n int) {
	for round := n; !r.Failed(); round++ {
		pushed := isClosed(r.pushed)
		c, err := q.Claim(r.Context(), repeater.ClaimRequest{Lane: lane, Max: 1 + round%7, TTL: r.forever()})
		switch {
		case errors.Is(err, repeater.ErrBusy):
		case err != nil:
			r.Errorf("Claim: %v", err)
			return
		default:
			r.work(q, lane, c, round)
			if pushed && len(c.Messages) == 0 {
				return
			}
		}
		time.Sleep(time.Duration(1+round%2) * time.Millisecond)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// work delivers what was claimed up to some point, so that order can be told, and gives back the rest.
func (r *torture) work(q repeater.Queue, lane string, c repeater.Claim, round int) {
	n := len(c.Messages) - min(round%3, len(c.Messages))
	settlements := all(c.Messages[:n], repeater.SettleDelivered)
	if round%2 == 0 && n < len(c.Messages) {
		m := c.Messages[n]
		settlements = append(settlements, repeater.Settlement{Key: m.Key, Kind: repeater.SettleRetry, Hold: true, Attempt: attempt(0)})
	}
	r.mu.Lock() // before others can claim what comes next
	r.delivered[lane] = append(r.delivered[lane], ids(c.Messages[:n])...)
	r.mu.Unlock()
	for range 1 + round%2 { // the second time it is passed over
		if err := q.Settle(r.Context(), lane, c.Token, settlements); err != nil {
			r.Errorf("Settle: %v", err)
		}
	}
	if err := q.Release(r.Context(), lane, c.Token); err != nil {
		r.Errorf("Release: %v", err)
	}
}

// check looks at what one lane has delivered: each message once, those of a pusher in order.
func (r *torture) check(lane string) {
	got := r.delivered[lane]
	last := make(map[byte]string)
	for _, id := range got {
		if id <= last[id[0]] {
			r.Fatalf("lane %s: %s comes after %s", lane, id, last[id[0]])
		}
		last[id[0]] = id
	}
	if len(got) != r.pushers*r.each {
		r.Errorf("lane %s: %d messages delivered, want %d", lane, len(got), r.pushers*r.each)
	}
}
