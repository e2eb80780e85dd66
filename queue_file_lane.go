package repeater

import (
	"cmp"
	"context"
	"errors"
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

	mu       sync.Mutex
	rec      laneRecord // as committed
	pending  laneCounts // what settlements that are not yet committed will change
	failures int        // counted down from rec.failures by settlements not yet committed
	dirty    int        // settlements not yet committed

	epoch   uint64 // of the last claim; its token
	held    bool
	expires time.Time
	pause   time.Time // nothing is handed out before

	next     uint64                // all ready messages before are in hand, returned, freed, or settled
	claimed  map[Key]*fileEntry    // in hand
	returned []*fileEntry          // ready, before next, by seq
	freed    []*fileEntry          // made ready by a commit, perhaps before next
	gone     map[position]struct{} // settled, but still to be found in bucket due
}

// fileEntry is a message that is, or has been, in hand.
type fileEntry struct {
	card card
	at   position
}

func (l *fileLane) token() string { return strconv.FormatUint(l.epoch, 10) }

func (l *fileLane) info() LaneInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := l.rec.laneCounts.plus(l.pending)
	return LaneInfo{
		Name:     l.name,
		Waiting:  counts.waiting,
		Bytes:    counts.bytes,
		Dead:     counts.dead,
		Failures: l.currentFailures(),
		Wait:     max(0, time.Until(l.pause)),
		Held:     l.held && time.Now().Before(l.expires),
	}
}

func (l *fileLane) currentFailures() int {
	if l.dirty > 0 {
		return l.failures
	}
	return l.rec.failures
}

func (q *fileQueue) Claim(ctx context.Context, c ClaimRequest) (Claim, error) {
	db, done, err := q.use(ctx)
	if err != nil {
		return Claim{}, err
	}
	defer done()
	if c.Lane == "" || len(c.Lane) > maxLane {
		return Claim{}, fmt.Errorf("claim: a lane's name has 1 to %d bytes, this one %d", maxLane, len(c.Lane))
	}
	l := q.lane(c.Lane)
	l.claiming.Lock()
	defer l.claiming.Unlock()
	claim, from, err := l.take(c)
	if err != nil || c.Max <= 0 || claim.Wait > 0 {
		return claim, err
	}
	h := &hand{now: q.now(), lane: l.id, c: c, next: from.next}
	err = db.View(func(tx *bbolt.Tx) error { return h.fill(tx, from) })
	if err != nil {
		return claim, fmt.Errorf("claim: %w", err)
	}
	l.give(h)
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
	skip     map[position]struct{} // in bucket due, but in hand or settled
}

// take makes sure that the caller holds the lane.
func (l *fileLane) take(c ClaimRequest) (Claim, start, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case c.Token != "" && (c.Token != l.token() || !l.held):
		return Claim{}, start{}, fmt.Errorf("claim %s: %w", l.name, ErrStale)
	case c.Token == "" && l.held && now.Before(l.expires):
		return Claim{}, start{}, fmt.Errorf("claim %s: %w", l.name, ErrBusy)
	case c.Token == "":
		l.giveBackAll()
		l.epoch++
		l.held = true
	}
	l.expires = now.Add(c.TTL)
	claim := Claim{Token: l.token(), Failures: l.currentFailures(), Wait: max(0, l.pause.Sub(now))}
	l.absorbFreed()
	from := start{slices.Clone(l.returned), l.next, maps.Clone(l.gone)}
	for _, e := range l.claimed {
		if e.at.bucket == inDue {
			if from.skip == nil {
				from.skip = make(map[position]struct{})
			}
			from.skip[e.at] = struct{}{}
		}
	}
	return claim, from, nil
}

// give notes what a hand has taken. Settlements and commits may have added to
// returned and freed since take; other hands are kept out by claiming.
func (l *fileLane) give(h *hand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claimed == nil {
		l.claimed = make(map[Key]*fileEntry)
	}
	for _, e := range h.entries {
		l.claimed[e.card.key] = e
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
	_, done, err := q.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	l := q.lane(lane)
	l.claiming.Lock()
	defer l.claiming.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held && token == l.token() {
		l.giveBackAll()
		l.held = false
	}
	return nil
}

func (l *fileLane) giveBackAll() {
	for key, e := range l.claimed {
		delete(l.claimed, key)
		l.giveBack(e)
	}
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

// settle ends claims in memory and returns what is to be committed, and
// whether the caller has to wait for it: a message that moves can be seen
// in its new place only then.
func (l *fileLane) settle(q *fileQueue, token string, settlements []Settlement) (*fileSettle, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held || token != l.token() {
		return nil, false, fmt.Errorf("settle %s: %w", l.name, ErrStale)
	}
	op, wait := &fileSettle{lane: l}, false
	failures := l.currentFailures()
	for _, s := range settlements {
		e := l.claimed[s.Key]
		if e == nil {
			continue
		}
		delete(l.claimed, s.Key)
		if s.Kind == SettleRelease {
			l.giveBack(e)
			continue
		}
		if e.at.bucket == inDue {
			if l.gone == nil {
				l.gone = make(map[position]struct{})
			}
			l.gone[e.at] = struct{}{}
		}
		m := settled{from: e.at, card: e.card, kind: s.Kind}
		switch {
		case s.Kind == SettleRetry && s.Hold:
			failures++
			m.card.record(s.Attempt)
			m.to = position{bucket: inReady, seq: e.card.seq}
			l.pause = time.Now().Add(s.After)
			m.pauseAt, m.pauseFor = q.now(), s.After
			l.giveBack(&fileEntry{card: m.card, at: m.to})
		case s.Kind == SettleRetry:
			m.card.record(s.Attempt)
			m.card.after = s.After
			m.to = position{bucket: inDue, seq: e.card.seq, due: q.now().Add(s.After + time.Millisecond - 1).UnixMilli()}
			wait = true
		default:
			failures = 0
			l.pending.waiting--
			l.pending.bytes -= int64(e.card.size)
			if s.Kind == SettleDead {
				l.pending.dead++
				m.card.record(s.Attempt)
				m.card.reason, m.card.died = s.Reason, q.now()
			}
			wait = wait || s.Kind == SettleDead || e.card.orderKey != ""
		}
		m.failures = failures
		op.moves = append(op.moves, m)
	}
	if len(op.moves) == 0 {
		return nil, false, nil
	}
	l.failures = failures
	l.dirty++
	return op, wait, nil
}

// Steer is to come.
func (q *fileQueue) Steer(context.Context, string, LaneOrder) error { return errors.ErrUnsupported }

// Prune is to come.
func (q *fileQueue) Prune(context.Context, string, time.Duration, int) (int, error) {
	return 0, errors.ErrUnsupported
}
