package repeater

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
)

func (q *fileQueue) Dead(ctx context.Context, lane, cursor string, max int) ([]DeadLetter, string, error) {
	if err := q.ready(ctx); err != nil {
		return nil, "", err
	}
	l := q.known(lane)
	if l == nil {
		return nil, "", nil
	}
	from := ^uint64(0)
	if cursor != "" {
		var err error
		if from, err = strconv.ParseUint(cursor, 36, 64); err != nil {
			return nil, "", fmt.Errorf("dead letters: %q is not a cursor", cursor)
		}
	}
	page := graveyard{max: max}
	err := q.view(func(tx *bbolt.Tx) error {
		page.fill(tx, l.id, from)
		return nil
	})
	if err == nil && len(page.broken) > 0 {
		q.committer.ride(&fileExhumeBroken{lane: l, at: page.broken})
	}
	return page.letters, page.next, err
}

// graveyard is a page of dead letters, the latest first. The cursor of the next one is the
// sequence number of the last one here.
type graveyard struct {
	max     int
	letters []DeadLetter
	next    string
	broken  [][]byte // keys of cards that cannot be read
}

func (p *graveyard) fill(tx *bbolt.Tx, lane uint32, from uint64) {
	cur, prefix := tx.Bucket(bucketDead).Cursor(), laneKey(lane, 4)
	k, v := cur.Seek(seqKey(lane, from))
	if k == nil {
		k, v = cur.Last()
	}
	for ; k != nil && bytes.Compare(k, prefix) >= 0; k, v = cur.Prev() {
		if !bytes.HasPrefix(k, prefix) || binary.BigEndian.Uint64(k[4:]) >= from {
			continue // Seek stops behind what it looks for
		}
		if len(p.letters) == p.max {
			return
		}
		c, err := decodeCard(k, v)
		if err != nil {
			p.broken = append(p.broken, bytes.Clone(k))
			continue
		}
		p.letters = append(p.letters, c.deadLetter())
		p.next = strconv.FormatUint(binary.BigEndian.Uint64(k[4:]), 36)
	}
	p.next = ""
}

// fileExhumeBroken sets aside dead letters that cannot be read, so that it is told of them, once.
type fileExhumeBroken struct {
	fact
	lane *fileLane
	at   [][]byte
}

func (x *fileExhumeBroken) apply(t *fileTx) error {
	for _, k := range x.at {
		if _, err := decodeCard(k, t.bucket(bucketDead).Get(k)); err == nil {
			continue
		}
		if _, err := t.exhume(x.lane, k); err != nil {
			return err
		}
	}
	return nil
}

func (c *card) deadLetter() DeadLetter {
	return DeadLetter{
		Key: c.key, Route: c.route, Received: c.received, Died: c.died,
		Size: c.size, Attempts: c.attempts, History: c.history, Reason: c.reason, Answer: c.answer,
	}
}

func (q *fileQueue) Replay(ctx context.Context, lane string, keys []Key) (int, error) {
	return q.exhume(ctx, lane, &fileExhume{keys: keys})
}

func (q *fileQueue) Drop(ctx context.Context, lane string, keys []Key) (int, error) {
	return q.exhume(ctx, lane, &fileExhume{keys: keys, drop: true})
}

func (q *fileQueue) exhume(ctx context.Context, lane string, op *fileExhume) (int, error) {
	if err := q.ready(ctx); err != nil {
		return 0, err
	}
	if op.lane = q.known(lane); op.lane == nil {
		return 0, nil
	}
	err := q.committer.do(ctx, op)
	if err != nil {
		return 0, err
	}
	return op.n, nil
}

// fileExhume puts dead letters back into their lane, or drops them.
type fileExhume struct {
	wish
	lane *fileLane
	keys []Key
	drop bool
	n    int
}

func (x *fileExhume) rank() opRank {
	if x.drop {
		return rankVital
	}
	return rankWish
}

func (x *fileExhume) apply(t *fileTx) error {
	x.n = 0
	for _, key := range x.keys {
		seq := t.bucket(bucketGrave).Get(graveKey(x.lane.id, key))
		if len(seq) != 8 {
			continue
		}
		at := seqKey(x.lane.id, binary.BigEndian.Uint64(seq))
		if c, err := decodeCard(at, t.bucket(bucketDead).Get(at)); err == nil && c.key != key {
			continue // of another
		}
		c, err := t.exhume(x.lane, at)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		x.n++
		if x.drop {
			err = t.deletePayload(c)
		} else {
			err = t.enqueue(x.lane, &card{key: c.key, route: c.route, orderKey: c.orderKey, received: c.received, size: c.size})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exhume takes a dead letter's card away and returns it; nil if it cannot be read, or
// could not be before: its grave is still there then, as only the card knows which one it is.
func (t *fileTx) exhume(l *fileLane, at []byte) (*card, error) {
	v := bytes.Clone(t.bucket(bucketDead).Get(at))
	if v == nil {
		return nil, nil
	}
	if err := t.delete(bucketDead, at); err != nil {
		return nil, err
	}
	t.lane(l).dead--
	c, err := decodeCard(at, v)
	if err != nil {
		return nil, t.setAside(l, binary.BigEndian.Uint64(at[4:]), v)
	}
	return &c, t.delete(bucketGrave, graveKey(l.id, c.key))
}

func (q *fileQueue) Prune(ctx context.Context, lane string, older time.Duration, max int) (int, error) {
	if err := q.ready(ctx); err != nil {
		return 0, err
	}
	l := q.known(lane)
	if l == nil || l.counts().dead == 0 {
		return 0, nil
	}
	op := &filePrune{lane: l, before: q.clock.now() - moment(older), max: max}
	if err := q.committer.do(ctx, op); err != nil {
		return 0, err
	}
	return op.n, nil
}

// filePrune deletes the oldest dead letters. They lie in the order of their deaths.
type filePrune struct {
	vital
	lane   *fileLane
	before moment
	max, n int
}

func (p *filePrune) apply(t *fileTx) error {
	prefix := laneKey(p.lane.id, 4)
	for p.n = 0; p.n < p.max; {
		k, v := t.bucket(bucketDead).Cursor().Seek(prefix)
		if !bytes.HasPrefix(k, prefix) {
			return nil
		}
		if c, err := decodeCard(k, v); err == nil && c.since >= p.before {
			return nil
		}
		c, err := t.exhume(p.lane, bytes.Clone(k))
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		p.n++
		if err := t.deletePayload(c); err != nil {
			return err
		}
	}
	return nil
}
