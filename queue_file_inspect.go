package repeater

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

var _ InspectQueue = (*fileQueue)(nil)

// fileStretch is one of the stretches in whose order Waiting lists a lane.
type fileStretch byte

const (
	stretchHand fileStretch = iota
	stretchDue
	stretchReady
	stretchLater
	stretchHeld
	stretchEnd
)

// fileCursor is where a page of Waiting ended. What is due later is not what was due later when
// the list began, so that it goes with it since when.
type fileCursor struct {
	stretch fileStretch
	began   moment
	after   []byte // key of the last one listed; nil for none of this stretch
}

func (c fileCursor) encode() string {
	return base64.RawURLEncoding.EncodeToString(append(appendFixed([]byte{byte(c.stretch)}, c.began), c.after...))
}

func readFileCursor(s string, now moment) (fileCursor, error) {
	if s == "" {
		return fileCursor{began: now}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 9 || b[0] >= byte(stretchEnd) {
		return fileCursor{}, fmt.Errorf("waiting messages: %q is not a cursor", s)
	}
	return fileCursor{fileStretch(b[0]), readFixed[moment](b[1:]), b[9:]}, nil
}

func (q *fileQueue) Waiting(ctx context.Context, lane, cursor string, max int) ([]WaitingMessage, string, error) {
	if err := q.ready(ctx); err != nil {
		return nil, "", err
	}
	now := q.clock.now()
	c, err := readFileCursor(cursor, now)
	if err != nil {
		return nil, "", err
	}
	l := q.known(lane)
	if l == nil || max <= 0 {
		return nil, "", nil
	}
	q.catchUp(ctx)
	p := &filePage{lane: l, hand: l.inHand(), cursor: c, max: max, now: now, own: l.ownNow(now)}
	p.inHand = keysOf(p.hand)
	if err := q.view(p.fill); err != nil {
		return nil, "", err
	}
	if !p.more {
		return p.out, "", nil
	}
	return p.out, p.cursor.encode(), nil
}

// catchUpFor is how long whoever looks waits for what is about to be committed.
const catchUpFor = time.Second

// catchUp waits for deliveries to be committed, which are gone already. While the file is in trouble, what
// it holds is shown as it is.
func (q *fileQueue) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, catchUpFor)
	defer cancel()
	_ = q.committer.flush(ctx)
}

// inHand returns what is claimed of a lane, in the order of places.
func (l *fileLane) inHand() []*fileEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*fileEntry
	for _, e := range l.claimed {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *fileEntry) int { return bytes.Compare(a.handKey(), b.handKey()) })
	return all
}

func keysOf(entries []*fileEntry) map[Key]bool {
	keys := make(map[Key]bool, len(entries))
	for _, e := range entries {
		keys[e.card.key] = true
	}
	return keys
}

// handKey sorts what is in hand: what was due by itself first, then by place.
func (e *fileEntry) handKey() []byte {
	due := e.at.due
	if e.at.bucket == inReady {
		due = 1<<63 - 1
	}
	return binary.BigEndian.AppendUint64(appendFixed(nil, due), e.at.seq)
}

func (l *fileLane) ownNow(now moment) moment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.ownTime(now)
}

// filePage is a page of Waiting in the making.
type filePage struct {
	lane   *fileLane
	hand   []*fileEntry
	inHand map[Key]bool
	cursor fileCursor
	max    int
	now    moment
	own    moment // the lane's

	out  []WaitingMessage
	more bool
}

func (p *filePage) fill(tx *bbolt.Tx) error {
	for ; p.cursor.stretch < stretchEnd; p.cursor.stretch, p.cursor.after = p.cursor.stretch+1, nil {
		if p.cursor.stretch == stretchHand {
			p.fillHand()
		} else {
			p.fillFrom(tx)
		}
		if p.more {
			return nil
		}
	}
	return nil
}

func (p *filePage) fillHand() {
	for _, e := range p.hand {
		k := e.handKey()
		if len(p.cursor.after) > 0 && bytes.Compare(k, p.cursor.after) <= 0 {
			continue
		}
		if !p.add(&e.card, PlaceInHand, 0, k) {
			return
		}
	}
}

// add also moves the cursor; false means that the page is full, and there is more.
func (p *filePage) add(c *card, place Place, due moment, k []byte) bool {
	if len(p.out) == p.max {
		p.more = true
		return false
	}
	w := c.waiting(p.lane.name, place, p.own)
	if place == PlaceDue {
		w.Due = due.since(p.now)
	}
	p.out, p.cursor.after = append(p.out, w), bytes.Clone(k)
	return true
}

func (c *card) waiting(lane string, place Place, own moment) WaitingMessage {
	return WaitingMessage{
		Key: c.key, Lane: lane, Route: c.route, Received: c.received, Size: c.size, Place: place,
		Age: own.since(c.since), Attempts: c.attempts, History: c.history,
	}
}

// bounds are a stretch's bucket, and where in it the stretch begins and ends.
func (p *filePage) bounds() (bucket, from, to []byte, place Place) {
	prefix := laneKey(p.lane.id, 12)
	end := laneKey(p.lane.id+1, 12)
	border := appendFixed(laneKey(p.lane.id, 20), p.cursor.began+1)
	switch p.cursor.stretch {
	case stretchDue:
		return bucketDue, prefix, border, PlaceDue
	case stretchReady:
		return bucketReady, prefix, end, PlaceReady
	case stretchLater:
		return bucketDue, border, end, PlaceDue
	}
	return bucketHeld, prefix, end, PlaceHeld
}

func (p *filePage) fillFrom(tx *bbolt.Tx) {
	bucket, from, to, place := p.bounds()
	cur := tx.Bucket(bucket).Cursor()
	if len(p.cursor.after) > 0 {
		from = append(bytes.Clone(p.cursor.after), 0)
	}
	for k, v := cur.Seek(from); k != nil && bytes.Compare(k, to) < 0; k, v = cur.Next() {
		c, err := decodeCard(k, v)
		if err != nil || p.inHand[c.key] {
			continue
		}
		due := moment(0)
		if place == PlaceDue {
			due = readFixed[moment](k[4:])
		}
		if !p.add(&c, place, due, k) {
			return
		}
	}
}

// Oldest looks at places rather than ages: what was pushed or replayed first has the lowest.
func (q *fileQueue) Oldest(ctx context.Context, lanes []string) ([]time.Duration, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	now := q.clock.now()
	ages := make([]time.Duration, len(lanes))
	for i, name := range lanes {
		l := q.known(name)
		if l == nil || l.counts().waiting == 0 {
			continue
		}
		err := q.view(func(tx *bbolt.Tx) error {
			if c := oldestCard(tx, l); c != nil {
				ages[i] = l.ownNow(now).since(c.since)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ages, nil
}

// oldestDue is at how many messages that are due by themselves Oldest looks.
const oldestDue = 1000

// oldestCard returns nil where nothing waits, or what does cannot be read. What is held back is younger
// than what it waits for.
func oldestCard(tx *bbolt.Tx, l *fileLane) *card {
	prefix, first := laneKey(l.id, 4), ^uint64(0)
	var key, value []byte
	cur := tx.Bucket(bucketDue).Cursor()
	n := 0
	for k, v := cur.Seek(prefix); bytes.HasPrefix(k, prefix) && n < oldestDue; k, v = cur.Next() {
		if seq := binary.BigEndian.Uint64(k[12:]); seq < first {
			first, key, value = seq, k, v
		}
		n++
	}
	if k, v := tx.Bucket(bucketReady).Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
		if seq := binary.BigEndian.Uint64(k[4:]); seq < first {
			key, value = k, v
		}
	}
	c, err := decodeCard(key, value)
	if err != nil {
		return nil
	}
	return &c
}

// probe finds a store that cannot take requests.
func (q *fileQueue) probe(context.Context) error {
	if err := q.view(func(*bbolt.Tx) error { return nil }); err != nil {
		return err
	}
	if q.room.left(0) == 0 {
		return ErrFull
	}
	return nil
}

// delivering is never another process: this one has the file.
func (q *fileQueue) delivering(context.Context) (bool, error) { return false, nil }
