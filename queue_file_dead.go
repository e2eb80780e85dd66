package repeater

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// listDead reads a page of dead letters, the latest first. The cursor is the
// sequence number of the last one of the page before.
func listDead(tx *bbolt.Tx, lane uint32, cursor string, max int) (letters []DeadLetter, next string, err error) {
	from := ^uint64(0)
	if cursor != "" {
		if from, err = strconv.ParseUint(cursor, 36, 64); err != nil {
			return nil, "", fmt.Errorf("dead letters: %q is not a cursor", cursor)
		}
	}
	cur, prefix := tx.Bucket(bucketDead).Cursor(), laneKey(lane, 4)
	k, v := cur.Seek(seqKey(lane, from))
	if k == nil {
		k, v = cur.Last()
	}
	for ; k != nil && bytes.Compare(k, prefix) >= 0; k, v = cur.Prev() {
		if !bytes.HasPrefix(k, prefix) || binary.BigEndian.Uint64(k[4:]) >= from {
			continue // Seek stops behind what it looks for
		}
		if len(letters) == max {
			return letters, next, nil
		}
		c, err := decodeCard(v)
		if err != nil {
			continue
		}
		letters = append(letters, c.deadLetter())
		next = strconv.FormatUint(binary.BigEndian.Uint64(k[4:]), 36)
	}
	return letters, "", nil
}

func (c *card) deadLetter() DeadLetter {
	return DeadLetter{
		Key: c.key, Route: c.route, Received: c.received, Died: c.died,
		Size: c.size, Attempts: c.attempts, History: c.history, Reason: c.reason,
	}
}

// fileReplay puts dead letters back into their lane, or drops them.
type fileReplay struct {
	lane *fileLane
	keys []Key
	drop bool
	n    int
}

func (r *fileReplay) size() int { return 0 }
func (r *fileReplay) done()     {}

func (r *fileReplay) apply(t *fileTx) error {
	r.n = 0
	for _, key := range r.keys {
		c, err := r.exhume(t, key)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		r.n++
		if r.drop {
			err = t.delete(bucketPayload, payloadKey(key))
		} else {
			err = t.enqueue(r.lane, &card{key: c.key, route: c.route, orderKey: c.orderKey, received: c.received, size: c.size})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exhume removes a dead letter's card and returns it; nil if there is none.
func (r *fileReplay) exhume(t *fileTx, key Key) (*card, error) {
	id := r.lane.id
	grave := append(laneKey(id, 4+len(key.ID)+2), payloadKey(key)...)
	seq := t.bucket(bucketGrave).Get(grave)
	if len(seq) != 8 {
		return nil, nil
	}
	at := seqKey(id, binary.BigEndian.Uint64(seq))
	c, err := decodeCard(t.bucket(bucketDead).Get(at))
	if err != nil {
		return nil, fmt.Errorf("dead letter %v: %w", key, err)
	}
	if err := t.delete(bucketDead, at); err != nil {
		return nil, err
	}
	t.lane(r.lane).dead--
	return &c, t.delete(bucketGrave, grave)
}
