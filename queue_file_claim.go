package repeater

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/bbolt"
)

// hand collects the messages of one Claim from one snapshot.
type hand struct {
	now  moment
	age  moment // of the lane
	lane uint32
	c    ClaimRequest

	next    uint64
	out     []Claimed
	entries []*fileEntry
	bytes   int64
	more    bool
	wait    time.Duration
	broken  []position // cards that cannot be read

	tx *bbolt.Tx
}

// fill takes what is due, then what came back, then the ready, oldest first.
func (h *hand) fill(tx *bbolt.Tx, from start) error {
	h.tx = tx
	if ok, err := h.fillDue(tx, from.skip); !ok || err != nil {
		return err
	}
	for _, e := range from.returned {
		if ok, err := h.add(e); !ok || err != nil {
			return err
		}
	}
	return h.fillReady(tx, from.skip)
}

func (h *hand) fillReady(tx *bbolt.Tx, skip map[position]struct{}) error {
	cur, prefix := tx.Bucket(bucketReady).Cursor(), laneKey(h.lane, 4)
	for k, v := cur.Seek(seqKey(h.lane, h.next)); bytes.HasPrefix(k, prefix); k, v = cur.Next() {
		at := position{bucket: inReady, seq: binary.BigEndian.Uint64(k[4:])}
		if _, ok := skip[at]; !ok {
			if ok, err := h.addCard(k, v, at); !ok || err != nil {
				return err
			}
		}
		h.next = at.seq + 1
	}
	return nil
}

// fillDue takes what is due, and says whether there is room for more.
func (h *hand) fillDue(tx *bbolt.Tx, skip map[position]struct{}) (bool, error) {
	cur, prefix := tx.Bucket(bucketDue).Cursor(), laneKey(h.lane, 4)
	for k, v := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cur.Next() {
		at := position{bucket: inDue, due: readFixed[moment](k[4:]), seq: binary.BigEndian.Uint64(k[12:])}
		if _, ok := skip[at]; ok {
			continue
		}
		if at.due > h.now {
			h.wait = at.due.since(h.now)
			return true, nil
		}
		if ok, err := h.addCard(k, v, at); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// addCard adds the message of a stored card; false means that the hand is full.
func (h *hand) addCard(k, v []byte, at position) (bool, error) {
	if h.full(0) {
		return false, nil
	}
	c, err := decodeCard(k, v)
	if err != nil {
		h.broken = append(h.broken, at)
		return true, nil
	}
	return h.add(&fileEntry{card: c, at: at})
}

func (h *hand) add(e *fileEntry) (bool, error) {
	if h.full(e.card.size) {
		return false, nil
	}
	payload, err := readPayload(h.tx, h.lane, e.card.key)
	if errors.Is(err, ErrNotFound) {
		err = ErrCorrupt // a card without its payload
	}
	if err == nil && len(payload) != e.card.size {
		payload, err = nil, ErrCorrupt
	}
	c := &e.card
	h.out = append(h.out, Claimed{
		Key: c.key, Route: c.route, Received: c.received, Attempts: c.attempts, Silent: c.silent,
		Age: h.age.since(c.since), Payload: payload, Err: err,
	})
	h.entries = append(h.entries, e)
	h.bytes += int64(c.size)
	return true, nil
}

// full is asked with a message at hand, so that it also tells whether there is more.
func (h *hand) full(size int) bool {
	h.more = len(h.out) >= h.c.Max || h.c.MaxBytes > 0 && len(h.out) > 0 && h.bytes+int64(size) > h.c.MaxBytes
	return h.more
}
