package repeater

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/bbolt"
)

// fileTx is one transaction of the committer.
type fileTx struct {
	q       *fileQueue
	tx      *bbolt.Tx
	number  uint64
	changed bool
	lanes   map[*fileLane]*laneTx
	arena   []byte // of values, which bbolt reads until the commit
}

// laneTx is what a transaction makes of a lane.
type laneTx struct {
	laneRecord
	known laneCounts // the part of the change that is in fileLane.pending
	moves int        // messages settled
	hand  bool       // what is in hand has changed
}

// opError tells which operation undid its transaction. Nothing was written.
type opError struct {
	index int
	error
}

func (e *opError) Unwrap() error { return e.error }

// transact applies operations and commits them, unless they change nothing.
func (c *committer) transact(ops []*queuedOp) (t *fileTx, err error) {
	c.begun.Store(new(time.Now()))
	defer c.begun.Store(nil)
	err = guard(func() error {
		t, err = c.tryTransact(ops)
		return err
	})
	return t, err
}

func (c *committer) tryTransact(ops []*queuedOp) (*fileTx, error) {
	t := &fileTx{q: c.q, lanes: make(map[*fileLane]*laneTx), arena: c.arena[:0]}
	tx, err := c.q.begin()
	if err != nil {
		return t, err
	}
	defer func() {
		_ = tx.Rollback() // what is not committed
		if cap(t.arena) <= mostArena {
			c.arena = t.arena // nobody reads from it any more
		}
	}()
	t.tx = tx
	for i, op := range ops {
		op.refused = nil
		err := op.apply(t)
		if r, ok := errors.AsType[refusal](err); ok {
			op.refused = r.error
		} else if err != nil {
			return t, &opError{i, err}
		}
	}
	if !t.changed {
		return t, nil
	}
	c.number++
	if err := t.finish(c.number); err != nil {
		return t, err
	}
	return t, c.q.commit(tx)
}

func (t *fileTx) bucket(name []byte) *bbolt.Bucket {
	b := t.tx.Bucket(name)
	b.FillPercent = 1 // keys mostly come in order: leave no room between them
	return b
}

// lane returns the record to change; publish makes it the lane's.
func (t *fileTx) lane(l *fileLane) *laneTx {
	t.changed = true
	r := t.lanes[l]
	if r == nil {
		r = &laneTx{laneRecord: l.record()}
		t.lanes[l] = r
	}
	return r
}

// counts returns what lane has, without the promise to change it.
func (t *fileTx) counts(l *fileLane) laneCounts {
	if r := t.lanes[l]; r != nil {
		return r.laneCounts
	}
	return l.record().laneCounts
}

func (t *fileTx) finish(number uint64) error {
	t.number = number
	record := commitRecord{number, t.q.clock.read()}
	if err := t.put(bucketMeta, keyCommit, record.encode()); err != nil {
		return err
	}
	for l, r := range t.lanes {
		if err := t.put(bucketLanes, []byte(l.name), r.encode([]byte(l.name))); err != nil {
			return err
		}
		if !r.hand {
			continue
		}
		if err := t.putHand(l); err != nil {
			return err
		}
	}
	return nil
}

func (t *fileTx) publish() {
	for l, r := range t.lanes {
		l.mu.Lock()
		l.rec = r.laneRecord
		l.pending = l.pending.minus(r.known)
		l.dirty -= r.moves
		l.mu.Unlock()
	}
}

func (t *fileTx) put(bucket, key, value []byte) error {
	t.changed = true
	return t.bucket(bucket).Put(key, value)
}

func (t *fileTx) delete(bucket, key []byte) error {
	t.changed = true
	return t.bucket(bucket).Delete(key)
}

// enqueue puts a new or replayed message at the end of its lane, or behind
// another of its order key.
func (t *fileTx) enqueue(l *fileLane, c *card) error {
	rec := t.lane(l)
	rec.seq++
	rec.waiting++
	rec.bytes += int64(c.size)
	c.seq, c.since = rec.seq, rec.ownTime(t.q.clock.now())
	if c.orderKey != "" {
		order := orderKey(l.id, c.orderKey)
		if t.bucket(bucketOrder).Get(order) != nil {
			k := binary.BigEndian.AppendUint64(order, c.seq)
			return t.put(bucketHeld, k, c.encode(k))
		}
		if err := t.put(bucketOrder, order, []byte{}); err != nil {
			return err
		}
	}
	k := seqKey(l.id, c.seq)
	return t.put(bucketReady, k, c.encode(k))
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
		c, err := decodeCard(k, v)
		if err == nil {
			ready := at.key(l.id)
			return &fileEntry{card: c, at: at}, t.put(bucketReady, ready, c.encode(ready))
		}
		t.lane(l).waiting--
		if err := t.setAside(l, at.seq, v); err != nil {
			return nil, err
		}
	}
}

// orderKey has room for a sequence number behind it.
func orderKey(lane uint32, key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return append(laneKey(lane, 28), sum[:16]...)
}

// setAside keeps a card that cannot be read out of the way.
func (t *fileTx) setAside(l *fileLane, seq uint64, card []byte) error {
	t.q.log.Error("store: unreadable record set aside in bucket \"broken\"", "lane", l.name)
	return t.put(bucketBroken, seqKey(l.id, seq), card)
}

// quarantine sets aside cards that cannot be read, so that their lane goes on.
func (q *fileQueue) quarantine(l *fileLane, at []position) {
	q.committer.ride(&fileQuarantine{lane: l, at: at})
}

type fileQuarantine struct {
	fact
	lane *fileLane
	at   []position
}

func (f *fileQuarantine) apply(t *fileTx) error {
	for _, p := range f.at {
		k := p.key(f.lane.id)
		v := bytes.Clone(t.bucket(p.name()).Get(k))
		if v == nil {
			continue
		}
		t.lane(f.lane).waiting--
		if err := t.setAside(f.lane, p.seq, v); err != nil {
			return err
		}
		if err := t.delete(p.name(), k); err != nil {
			return err
		}
	}
	return nil
}
