package repeater

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// fileTx is one transaction of the committer.
type fileTx struct {
	q     *fileQueue
	tx    *bbolt.Tx
	lanes map[*fileLane]*laneTx
	arena []byte // of values, which bbolt reads until the commit
}

// laneTx is what a transaction makes of a lane.
type laneTx struct {
	laneRecord
	settled laneCounts // the part of the change that is in fileLane.pending
	ops     int        // settlements
}

func (t *fileTx) bucket(name []byte) *bbolt.Bucket {
	b := t.tx.Bucket(name)
	b.FillPercent = 1 // keys mostly come in order: leave no room between them
	return b
}

// lane returns the record to change; publish makes it the lane's.
func (t *fileTx) lane(l *fileLane) *laneTx {
	r := t.lanes[l]
	if r == nil {
		l.mu.Lock()
		r = &laneTx{laneRecord: l.rec}
		l.mu.Unlock()
		t.lanes[l] = r
	}
	return r
}

func (t *fileTx) finish() error {
	b := t.bucket(bucketLanes)
	for l, r := range t.lanes {
		if err := b.Put([]byte(l.name), r.encode()); err != nil {
			return err
		}
	}
	return nil
}

func (t *fileTx) publish() {
	for l, r := range t.lanes {
		l.mu.Lock()
		l.rec = r.laneRecord
		l.pending = l.pending.minus(r.settled)
		l.dirty -= r.ops
		l.mu.Unlock()
	}
}

func (t *fileTx) put(bucket, key, value []byte) error { return t.bucket(bucket).Put(key, value) }

func (t *fileTx) delete(bucket, key []byte) error { return t.bucket(bucket).Delete(key) }

// payload copies p behind what is there, so that small payloads need no allocation of their own.
func (t *fileTx) payload(p []byte, lane uint32) []byte {
	if cap(t.arena)-len(t.arena) < len(p)+payloadTail {
		t.arena = make([]byte, 0, max(256<<10, len(p)+payloadTail))
	}
	start := len(t.arena)
	t.arena = appendPayload(t.arena, p, lane)
	return t.arena[start:len(t.arena):len(t.arena)]
}

// enqueue puts a new or replayed message at the end of its lane, or behind
// another of its order key.
func (t *fileTx) enqueue(l *fileLane, c *card) error {
	rec := t.lane(l)
	rec.seq++
	rec.waiting++
	rec.bytes += int64(c.size)
	c.seq = rec.seq
	if c.orderKey != "" {
		order := orderKey(l.id, c.orderKey)
		b := t.bucket(bucketOrder)
		if b.Get(order) != nil {
			return t.put(bucketHeld, binary.BigEndian.AppendUint64(order, c.seq), c.encode())
		}
		if err := b.Put(order, []byte{}); err != nil {
			return err
		}
	}
	return t.put(bucketReady, seqKey(l.id, c.seq), c.encode())
}

// freeOrder makes the next message of an order key ready, in its old place.
func (t *fileTx) freeOrder(l *fileLane, key string) (*fileEntry, error) {
	if key == "" {
		return nil, nil
	}
	order := orderKey(l.id, key)
	for {
		k, v := t.bucket(bucketHeld).Cursor().Seek(order)
		if !bytes.HasPrefix(k, order) {
			return nil, t.delete(bucketOrder, order)
		}
		k, v = bytes.Clone(k), bytes.Clone(v)
		if err := t.delete(bucketHeld, k); err != nil {
			return nil, err
		}
		at := position{bucket: inReady, seq: binary.BigEndian.Uint64(k[len(order):])}
		c, err := decodeCard(v)
		if err == nil {
			return &fileEntry{card: c, at: at}, t.put(bucketReady, at.key(l.id), v)
		}
		t.q.logBroken(l, 1)
		t.lane(l).waiting--
		if err := t.put(bucketBroken, seqKey(l.id, at.seq), v); err != nil {
			return nil, err
		}
	}
}

// orderKey has room for a sequence number behind it.
func orderKey(lane uint32, key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return append(laneKey(lane, 28), sum[:16]...)
}

// filePush stores one batch.
type filePush struct {
	batch Batch
	id    string // under which it is stored; set by apply
}

func (p *filePush) size() int {
	n := 0
	for _, m := range p.batch.Messages {
		n += len(m.Payload)
	}
	return n
}

func (p *filePush) done() {}

func (p *filePush) apply(t *fileTx) error {
	b := &p.batch
	p.id = b.ID
	if b.Dedupe != "" {
		first, err := t.mark(b)
		if err != nil {
			return err
		}
		if p.id = first; first != b.ID {
			return nil
		}
	}
	payloads := t.bucket(bucketPayload)
	for i := range b.Messages {
		m := &b.Messages[i]
		key := Key{b.ID, m.Dest}
		k := payloadKey(key)
		if payloads.Get(k) != nil {
			continue
		}
		l := t.q.lane(m.Lane)
		if err := payloads.Put(k, t.payload(m.Payload, l.id)); err != nil {
			return err
		}
		c := card{key: key, route: b.Route, orderKey: m.OrderKey, received: b.Received, size: len(m.Payload)}
		if err := t.enqueue(l, &c); err != nil {
			return err
		}
	}
	return nil
}

// mark returns the id that holds the batch's dedupe mark, which is the batch's own if it is new.
func (t *fileTx) mark(b *Batch) (string, error) {
	sum := sha256.Sum256([]byte(b.Dedupe))
	now := t.q.now()
	marks := t.bucket(bucketMarks)
	if v := marks.Get(sum[:]); len(v) > 8 {
		if int64(binary.BigEndian.Uint64(v)) > now.UnixMilli() {
			return string(v[8:]), nil
		}
		if err := t.delete(bucketExpiry, append(bytes.Clone(v[:8]), sum[:]...)); err != nil {
			return "", err
		}
	}
	expiry := binary.BigEndian.AppendUint64(nil, uint64(now.Add(b.DedupeFor).UnixMilli()))
	if err := marks.Put(sum[:], append(slices.Clone(expiry), b.ID...)); err != nil {
		return "", err
	}
	if err := t.put(bucketExpiry, append(expiry, sum[:]...), []byte{}); err != nil {
		return "", err
	}
	return b.ID, t.pruneMarks(now)
}

// pruneMarks removes two old marks for each new one: never much at a time.
func (t *fileTx) pruneMarks(now time.Time) error {
	for range 2 {
		k, _ := t.bucket(bucketExpiry).Cursor().First()
		if len(k) < 8 || int64(binary.BigEndian.Uint64(k)) > now.UnixMilli() {
			return nil
		}
		k = bytes.Clone(k)
		if err := t.delete(bucketMarks, k[8:]); err != nil {
			return err
		}
		if err := t.delete(bucketExpiry, k); err != nil {
			return err
		}
	}
	return nil
}

// settled is one message of a fileSettle.
type settled struct {
	from     position
	to       position // SettleRetry
	card     card
	kind     SettleKind
	failures int // of the lane, after this one
	pauseAt  time.Time
	pauseFor time.Duration
}

// fileSettle commits what Settle has done in memory.
type fileSettle struct {
	lane  *fileLane
	moves []settled
	freed []*fileEntry
}

func (s *fileSettle) size() int { return 0 }

func (s *fileSettle) apply(t *fileTx) error {
	s.freed = nil
	rec := t.lane(s.lane)
	rec.ops++
	for i := range s.moves {
		if err := s.move(t, rec, &s.moves[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *fileSettle) move(t *fileTx, rec *laneTx, m *settled) error {
	rec.failures = m.failures
	if !m.pauseAt.IsZero() {
		rec.pauseAt, rec.pauseFor = m.pauseAt, m.pauseFor
	}
	id := s.lane.id
	if m.from != m.to {
		if err := t.delete(m.from.name(), m.from.key(id)); err != nil {
			return err
		}
	}
	switch m.kind {
	case SettleRetry:
		return t.put(m.to.name(), m.to.key(id), m.card.encode())
	case SettleDead:
		rec.dead++
		rec.settled.dead++
		rec.seq++
		grave := append(laneKey(id, 4+len(m.card.key.ID)+2), payloadKey(m.card.key)...)
		if err := t.put(bucketDead, seqKey(id, rec.seq), m.card.encode()); err != nil {
			return err
		}
		if err := t.put(bucketGrave, grave, binary.BigEndian.AppendUint64(nil, rec.seq)); err != nil {
			return err
		}
	default:
		if err := t.delete(bucketPayload, payloadKey(m.card.key)); err != nil {
			return err
		}
	}
	gone := laneCounts{waiting: 1, bytes: int64(m.card.size)}
	rec.laneCounts, rec.settled = rec.laneCounts.minus(gone), rec.settled.minus(gone)
	freed, err := t.freeOrder(s.lane, m.card.orderKey)
	if freed != nil {
		s.freed = append(s.freed, freed)
	}
	return err
}

func (s *fileSettle) done() {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freed = append(l.freed, s.freed...)
	for i := range s.moves {
		delete(l.gone, s.moves[i].from)
	}
}

// quarantine sets aside cards that cannot be read, so that their lane goes on.
func (q *fileQueue) quarantine(l *fileLane, at []position) {
	q.logBroken(l, len(at))
	q.committer.ride(&fileQuarantine{lane: l, at: at})
}

func (q *fileQueue) logBroken(l *fileLane, n int) {
	q.log.Error("store: unreadable records set aside in bucket \"broken\"", "lane", l.name, "records", n)
}

type fileQuarantine struct {
	lane *fileLane
	at   []position
}

func (f *fileQuarantine) size() int { return 0 }
func (f *fileQuarantine) done()     {}

func (f *fileQuarantine) apply(t *fileTx) error {
	rec := t.lane(f.lane)
	for _, p := range f.at {
		k := p.key(f.lane.id)
		v := bytes.Clone(t.bucket(p.name()).Get(k))
		if v == nil {
			continue
		}
		rec.waiting--
		if err := t.put(bucketBroken, seqKey(f.lane.id, p.seq), v); err != nil {
			return err
		}
		if err := t.delete(p.name(), k); err != nil {
			return err
		}
	}
	return nil
}
