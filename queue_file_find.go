package repeater

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// Find gets at a message by its payload's key, which names the lane. Where in the lane it waits nothing
// tells but a search, in steps that are short enough for the file's pages to be freed behind them.
func (q *fileQueue) Find(ctx context.Context, id string, dests int) ([]WaitingMessage, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	q.catchUp(ctx)
	lanes := make(map[Key]uint32)
	err := q.view(func(tx *bbolt.Tx) error {
		for dest := range min(dests, maxDest+1) {
			if lane, ok := laneOfPayload(tx, Key{id, dest}); ok {
				lanes[Key{id, dest}] = lane
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []WaitingMessage
	for dest := range dests {
		key := Key{id, dest}
		number, ok := lanes[key]
		if !ok {
			continue
		}
		w, err := q.findIn(ctx, q.laneNumbered(number), key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, w)
	}
	return found, nil
}

// laneOfPayload reads the lane that is written behind a payload.
func laneOfPayload(tx *bbolt.Tx, key Key) (uint32, bool) {
	v := tx.Bucket(bucketPayload).Get(payloadKey(key))
	switch n := len(v) - payloadTail; {
	case len(v) == 4:
		return binary.LittleEndian.Uint32(v), true
	case n >= 0:
		return binary.LittleEndian.Uint32(v[n:]), true
	}
	return 0, false
}

func (q *fileQueue) laneNumbered(id uint32) *fileLane {
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	for _, l := range q.lanes {
		if l.id == id {
			return l
		}
	}
	return nil
}

// findTries is how often to search for what moves while it is searched for.
const findTries = 3

func (q *fileQueue) findIn(ctx context.Context, l *fileLane, key Key) (WaitingMessage, error) {
	if l == nil {
		return WaitingMessage{}, ErrNotFound
	}
	for range findTries {
		s := &fileSearch{q: q, lane: l, key: key, now: q.clock.now()}
		w, err := s.run(ctx)
		if !errors.Is(err, ErrNotFound) {
			return w, err
		}
	}
	return WaitingMessage{}, ErrNotFound
}

// fileSearch looks for one message of a lane.
type fileSearch struct {
	q    *fileQueue
	lane *fileLane
	key  Key
	now  moment

	ahead int // messages passed so far
	hand  map[Key]bool
}

func (s *fileSearch) run(ctx context.Context) (WaitingMessage, error) {
	if w, ok, err := s.dead(); ok || err != nil {
		return w, err
	}
	hand := s.lane.inHand()
	for i, e := range hand {
		if e.card.key == s.key {
			w := s.told(&e.card, PlaceInHand)
			w.Ahead = i
			return w, nil
		}
	}
	s.hand, s.ahead = keysOf(hand), len(hand)
	for stretch := stretchDue; stretch < stretchEnd; stretch++ {
		w, err := s.stretch(ctx, stretch)
		if !errors.Is(err, ErrNotFound) {
			return w, err
		}
	}
	return WaitingMessage{}, ErrNotFound
}

func (s *fileSearch) told(c *card, place Place) WaitingMessage {
	return c.waiting(s.lane.name, place, s.lane.ownNow(s.now))
}

func (s *fileSearch) dead() (w WaitingMessage, ok bool, err error) {
	err = s.q.view(func(tx *bbolt.Tx) error {
		seq := tx.Bucket(bucketGrave).Get(graveKey(s.lane.id, s.key))
		if len(seq) != 8 {
			return nil
		}
		at := seqKey(s.lane.id, binary.BigEndian.Uint64(seq))
		c, err := decodeCard(at, tx.Bucket(bucketDead).Get(at))
		if err != nil {
			return fmt.Errorf("dead letter %v: %w", s.key, err)
		}
		w, ok = c.waiting(s.lane.name, PlaceDead, 0), true
		w.Ahead = -1
		return nil
	})
	return w, ok, err
}

// searchStep is how many cards one transaction looks at.
const searchStep = 5000

func (s *fileSearch) stretch(ctx context.Context, stretch fileStretch) (w WaitingMessage, err error) {
	p := filePage{lane: s.lane, cursor: fileCursor{stretch: stretch, began: s.now}}
	bucket, from, to, place := p.bounds()
	var hit *card
	err = s.q.scan(ctx, bucket, from, to, func(k, v []byte) bool {
		key, ok := cardKey(v)
		if !ok || s.hand[key] {
			return true
		}
		if key != s.key {
			s.ahead++
			return true
		}
		if c, err := decodeCard(k, v); err == nil {
			hit = &c
			w = s.told(hit, place)
			if w.Ahead = s.ahead; place == PlaceDue {
				w.Due = readFixed[moment](k[4:]).since(s.now)
			}
		}
		return false
	})
	switch {
	case err != nil:
		return w, err
	case hit == nil:
		return w, ErrNotFound
	case place == PlaceHeld:
		w.Behind, err = s.head(ctx, hit.orderKey)
	}
	return w, err
}

// head finds the message of an order key that is not held; none if it moves meanwhile.
func (s *fileSearch) head(ctx context.Context, orderKey string) (head Key, err error) {
	for _, e := range s.lane.inHand() {
		if e.card.orderKey == orderKey {
			return e.card.key, nil
		}
	}
	for _, bucket := range [][]byte{bucketDue, bucketReady} {
		err := s.q.scan(ctx, bucket, laneKey(s.lane.id, 4), laneKey(s.lane.id+1, 4), func(k, v []byte) bool {
			if c, err := decodeCard(k, v); err == nil && c.orderKey == orderKey {
				head = c.key
			}
			return head.ID == ""
		})
		if err != nil || head.ID != "" {
			return head, err
		}
	}
	return Key{}, nil
}

// scan shows what lies in a bucket between two keys, in transactions of searchStep each, until
// look returns false.
func (q *fileQueue) scan(ctx context.Context, bucket, from, to []byte, look func(k, v []byte) bool) error {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := q.view(func(tx *bbolt.Tx) error {
			cur := tx.Bucket(bucket).Cursor()
			k, v := cur.Seek(from)
			for n := 0; n < searchStep; n++ {
				if k == nil || bytes.Compare(k, to) >= 0 || !look(k, v) {
					more = false
					return nil
				}
				k, v = cur.Next()
			}
			if more = k != nil; more {
				from = bytes.Clone(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cardKey reads no more of a card than whose it is.
func cardKey(b []byte) (Key, bool) {
	if len(b) < 5 || b[0] != cardVersion {
		return Key{}, false
	}
	r := bin.NewReader(b[5:])
	key := Key{ID: r.String(), Dest: r.Size()}
	return key, r.Err() == nil
}
