package repeater

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// fileLane is what is in memory of a lane: never more than what is in hand.
type fileLane struct {
	name string
	id   uint32

	// claiming is held by the one Claim or Release at work; it comes before mu.
	claiming sync.Mutex

	mu      sync.Mutex
	rec     laneRecord // as committed
	pending laneCounts // what settlements that are not yet committed will change
	dirty   int        // messages whose settlement is not yet committed
	state   laneState  // as it is, committed or not

	epoch   uint64 // of the last claim; its token
	held    bool
	expires time.Time

	suspects int    // so many messages yet may be what the last process died of
	suspect  uint64 // and up to this seq

	next     uint64                // all ready messages before are in hand, returned, freed, or settled
	claimed  map[Key]*fileEntry    // in hand
	returned []*fileEntry          // ready, mostly before next, by seq
	freeing  map[Key]struct{}      // being made ready by a commit, and not yet found
	freed    []*fileEntry          // made ready by a commit, perhaps before next
	gone     map[position]struct{} // settled, but perhaps still to be found in the file
	lost     map[uint64]int        // by seq: claims in a row that nobody ended
}

// fileEntry is a message that is, or has been, in hand.
type fileEntry struct {
	card card
	at   position
}

func (l *fileLane) token() string { return strconv.FormatUint(l.epoch, 10) }

func (l *fileLane) record() laneRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec
}

func (l *fileLane) counts() laneCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.laneCounts.plus(l.pending)
}

func (l *fileLane) info(now moment) LaneInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := l.rec.laneCounts.plus(l.pending)
	return LaneInfo{
		Name:     l.name,
		Waiting:  counts.waiting,
		Bytes:    counts.bytes,
		Dead:     counts.dead,
		Failures: l.state.failures,
		Refusals: l.state.refusals,
		Paused:   l.state.stopped != 0,
		Wait:     l.state.pauseTo.since(now),
		Held:     l.held && time.Now().Before(l.expires),
	}
}

func (q *fileQueue) Claim(ctx context.Context, c ClaimRequest) (Claim, error) {
	if c.Lane == "" || len(c.Lane) > maxLane {
		return Claim{}, fmt.Errorf("claim: %w", errLaneName)
	}
	if err := q.ready(ctx); err != nil {
		return Claim{}, err
	}
	l := q.lane(c.Lane)
	l.claiming.Lock()
	defer l.claiming.Unlock()
	now := q.clock.now()
	claim, from, err := l.take(q, c, now)
	if err != nil || c.Max <= 0 || claim.Wait > 0 || claim.Paused {
		return claim, err
	}
	h := &hand{now: now, age: from.age, lane: l.id, c: c, next: from.next}
	err = q.view(func(tx *bbolt.Tx) error { return h.fill(tx, from) })
	if err == nil {
		l.give(h)
		err = q.note(ctx, l, h.entries)
	}
	if err != nil {
		if c.Token == "" {
			l.release(q, claim.Token) // nobody has heard of it
		}
		return Claim{}, fmt.Errorf("claim %s: %w", l.name, err)
	}
	claim.Messages, claim.More, claim.Wait = h.out, h.more, h.wait
	if len(h.broken) > 0 {
		q.quarantine(l, h.broken)
	}
	return claim, nil
}

// start is where a hand begins to fill: what has come back, then the ready from
// next on. It is taken before the snapshot that the hand reads: what is settled or
// freed in between is either in skip, or found by give.
type start struct {
	returned []*fileEntry
	next     uint64
	skip     map[position]struct{} // still in the file, but in hand, returned or settled
	age      moment                // the lane's own time
}

// take makes sure that the caller holds the lane.
func (l *fileLane) take(q *fileQueue, c ClaimRequest, at moment) (Claim, start, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case c.Token != "" && (c.Token != l.token() || !l.held):
		return Claim{}, start{}, fmt.Errorf("claim %s: %w", l.name, ErrStale)
	case c.Token == "" && l.held && now.Before(l.expires):
		return Claim{}, start{}, fmt.Errorf("claim %s: %w", l.name, ErrBusy)
	case c.Token == "":
		l.giveBackAll(q, true)
		l.epoch++
		l.held = true
	}
	l.expires = now.Add(c.TTL)
	claim := Claim{
		Token: l.token(), Wait: l.state.pauseTo.since(at), Paused: l.state.stopped != 0,
		Failures: l.state.failures, Refusals: l.state.refusals,
	}
	l.absorbFreed()
	from := start{slices.Clone(l.returned), l.next, maps.Clone(l.gone), l.state.ownTime(at)}
	for _, e := range l.claimed {
		from.pass(e)
	}
	for _, e := range l.returned {
		from.pass(e)
	}
	return claim, from, nil
}

// pass keeps a hand from finding in the file what is known already. A ready message can
// lie from next on if it was due before.
func (s *start) pass(e *fileEntry) {
	if e.at.bucket == inReady && e.at.seq < s.next {
		return
	}
	if s.skip == nil {
		s.skip = make(map[position]struct{})
	}
	s.skip[e.at] = struct{}{}
}

// give notes what a hand has taken. Settlements and commits may have added to
// returned and freed since take; other hands are kept out by claiming.
func (l *fileLane) give(h *hand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claimed == nil {
		l.claimed = make(map[Key]*fileEntry)
	}
	for i, e := range h.entries {
		l.claimed[e.card.key] = e
		delete(l.freeing, e.card.key)
		h.out[i].Lost = l.lost[e.card.seq]
	}
	l.returned = slices.DeleteFunc(l.returned, func(e *fileEntry) bool {
		return l.claimed[e.card.key] == e
	})
	l.next = h.next
	l.absorbFreed()
}

// absorbFreed sorts out what commits have made ready. What lies from next on is
// found there; what lies before, and was not in the snapshot, comes back.
func (l *fileLane) absorbFreed() {
	for _, e := range l.freed {
		if e.at.seq < l.next && l.claimed[e.card.key] == nil {
			l.giveBack(e)
		}
	}
	l.freed = nil
}

func (q *fileQueue) Release(ctx context.Context, lane, token string) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	l := q.lane(lane)
	l.claiming.Lock()
	defer l.claiming.Unlock()
	l.release(q, token)
	return nil
}

func (l *fileLane) release(q *fileQueue, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held && token == l.token() {
		l.held = false
		l.giveBackAll(q, false)
	}
}

// giveBackAll returns what is in hand to its old places; lost, because its holder has vanished.
func (l *fileLane) giveBackAll(q *fileQueue, lost bool) {
	if len(l.claimed) == 0 {
		return
	}
	if lost && l.lost == nil {
		l.lost = make(map[uint64]int)
	}
	for key, e := range l.claimed {
		delete(l.claimed, key)
		if lost {
			l.lost[e.card.seq]++
		} else {
			delete(l.lost, e.card.seq)
		}
		l.giveBack(e)
	}
	q.committer.ride(&fileHand{lane: l})
}

// giveBack lets Claim find a message again: a ready one lies before next, where
// Claim no longer looks; a due one is found in its bucket.
func (l *fileLane) giveBack(e *fileEntry) {
	if e.at.bucket != inReady {
		return
	}
	i, _ := slices.BinarySearchFunc(l.returned, e, func(a, b *fileEntry) int { return cmp.Compare(a.at.seq, b.at.seq) })
	l.returned = slices.Insert(l.returned, i, e)
}
