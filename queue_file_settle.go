package repeater

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
)

func (q *fileQueue) Settle(ctx context.Context, lane, token string, s []Settlement) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	qo, err := q.lane(lane).settle(q, token, s)
	if err != nil || qo == nil {
		return err
	}
	return q.committer.await(ctx, qo)
}

// settled is one message of a fileSettle.
type settled struct {
	from    position
	to      position // SettleRetry
	card    card
	kind    SettleKind
	hold    bool
	refused bool
	pauseTo moment // hold; 0 for no pause
}

// mostRiding is how many deliveries of a lane a crash may forget while nobody waits for their commit.
const mostRiding = 192

// settle ends claims in memory, and returns what the caller has to wait for, if
// anything: deliveries ride unless many do, but a message that moves can be seen in its new
// place only when it is committed.
//
// It is added while the lane is locked, so that what follows from it in memory
// cannot be committed before.
func (l *fileLane) settle(q *fileQueue, token string, settlements []Settlement) (*queuedOp, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held || token != l.token() {
		return nil, fmt.Errorf("settle %s: %w", l.name, ErrStale)
	}
	op, wait, released := &fileSettle{lane: l}, false, false
	for i := range settlements {
		s := &settlements[i]
		e := l.claimed[s.Key]
		if e == nil {
			wait = wait || l.dirty > 0 // perhaps settled by a call that could not wait for its commit
			continue
		}
		delete(l.claimed, s.Key)
		delete(l.lost, e.card.seq)
		if s.Kind == SettleRelease {
			l.giveBack(e)
			released = true
			continue
		}
		m := l.outcome(q, e, s)
		l.state.settled(&m)
		op.moves = append(op.moves, m)
		wait = wait || s.Kind != SettleDelivered || e.card.orderKey != ""
	}
	switch {
	case len(op.moves) > 0:
		l.dirty += len(op.moves)
		wait = wait || l.dirty > mostRiding
		qo, err := q.committer.add(op, wait)
		if !wait {
			qo = nil
		}
		return qo, err
	case wait:
		return q.committer.add(nothing{}, true)
	case released:
		q.committer.ride(&fileHand{lane: l})
	}
	return nil, nil
}

// outcome is what becomes of a message that was in hand.
func (l *fileLane) outcome(q *fileQueue, e *fileEntry, s *Settlement) settled {
	m := settled{from: e.at, card: e.card, kind: s.Kind, hold: s.Hold, refused: s.Refused}
	if e.at.bucket == inDue || e.at.seq >= l.next {
		if l.gone == nil {
			l.gone = make(map[position]struct{})
		}
		l.gone[e.at] = struct{}{}
	}
	switch s.Kind {
	case SettleRetry:
		m.card.record(s.Attempt)
		m.to = position{bucket: inReady, seq: e.card.seq}
		switch now := q.clock.now(); {
		case !s.Hold:
			m.to.bucket, m.to.due = inDue, now.add(s.After)
			return m
		case s.After > 0:
			m.pauseTo = now.add(s.After)
		}
		l.giveBack(&fileEntry{card: m.card, at: m.to})
		return m
	case SettleDead:
		m.card.record(s.Attempt)
		m.card.since, m.card.died = q.clock.now(), q.clock.wall()
		m.card.reason, m.card.answer = s.Reason, bytes.Clone(s.Answer[:min(len(s.Answer), maxAnswer)])
		l.pending.dead++
	}
	l.pending.waiting--
	l.pending.bytes -= int64(e.card.size)
	return m
}

// fileSettle commits what Settle has done in memory.
type fileSettle struct {
	fact
	lane  *fileLane
	moves []settled
	freed []*fileEntry
}

func (s *fileSettle) apply(t *fileTx) error {
	s.freed = nil
	rec := t.lane(s.lane)
	rec.moves += len(s.moves)
	rec.hand = true
	for i := range s.moves {
		m := &s.moves[i]
		rec.settled(m)
		if err := s.move(t, rec, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *fileSettle) move(t *fileTx, rec *laneTx, m *settled) error {
	id := s.lane.id
	if m.from != m.to {
		if err := t.delete(m.from.name(), m.from.key(id)); err != nil {
			return err
		}
	}
	switch m.kind {
	case SettleRetry:
		k := m.to.key(id)
		return t.put(m.to.name(), k, m.card.encode(k))
	case SettleDead:
		rec.dead++
		rec.known.dead++
		if err := t.bury(rec, &m.card); err != nil {
			return err
		}
	default:
		if err := t.deletePayload(&m.card); err != nil {
			return err
		}
	}
	gone := laneCounts{waiting: 1, bytes: int64(m.card.size)}
	rec.laneCounts, rec.known = rec.laneCounts.minus(gone), rec.known.minus(gone)
	freed, err := t.freeOrder(s.lane, m.card.orderKey)
	if freed != nil {
		s.freed = append(s.freed, freed)
		s.lane.free(freed.card.key)
	}
	return err
}

// free notes that a commit makes a message ready, which a hand may find before done tells.
func (l *fileLane) free(k Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.freeing == nil {
		l.freeing = make(map[Key]struct{})
	}
	l.freeing[k] = struct{}{}
}

// bury stores a dead letter, behind those that died before.
func (t *fileTx) bury(rec *laneTx, c *card) error {
	rec.seq++
	k := seqKey(rec.id, rec.seq)
	if err := t.put(bucketDead, k, c.encode(k)); err != nil {
		return err
	}
	return t.put(bucketGrave, graveKey(rec.id, c.key), binary.BigEndian.AppendUint64(nil, rec.seq))
}

func (s *fileSettle) done() {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range s.freed {
		if _, ok := l.freeing[e.card.key]; ok {
			delete(l.freeing, e.card.key)
			l.freed = append(l.freed, e)
		}
	}
	for i := range s.moves {
		delete(l.gone, s.moves[i].from)
	}
}
