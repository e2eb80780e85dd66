package repeater

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/bin"
)

// The buckets. A message has its payload under its key, written once, and one
// card, which a retry rewrites, in one of ready, due, held and dead.
var (
	bucketMeta    = []byte("meta")    // "version"
	bucketLanes   = []byte("lanes")   // name -> laneRecord
	bucketPayload = []byte("payload") // key -> payload, lane, checksum
	bucketReady   = []byte("ready")   // lane, seq -> card
	bucketDue     = []byte("due")     // lane, due ms, seq -> card
	bucketHeld    = []byte("held")    // lane, hash of order key, seq -> card, behind another of its order key
	bucketOrder   = []byte("order")   // lane, hash of order key -> "", while one of that key is ready, due or in hand
	bucketDead    = []byte("dead")    // lane, seq of death -> card
	bucketGrave   = []byte("grave")   // lane, key -> seq of death
	bucketMarks   = []byte("marks")   // hash of dedupe mark -> expiry ms, id
	bucketExpiry  = []byte("expiry")  // expiry ms, hash of dedupe mark -> ""
	bucketBroken  = []byte("broken")  // lane, seq -> card that could not be read
	allBuckets    = [][]byte{bucketMeta, bucketLanes, bucketPayload, bucketReady, bucketDue, bucketHeld, bucketOrder,
		bucketDead, bucketGrave, bucketMarks, bucketExpiry, bucketBroken}
)

const (
	fileVersion = 1
	cardVersion = 1
	laneVersion = 1
)

var (
	keyVersion = []byte("version")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func createBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	switch v := meta.Get(keyVersion); {
	case v == nil:
		return meta.Put(keyVersion, []byte{fileVersion})
	case len(v) != 1 || v[0] != fileVersion:
		return fmt.Errorf("written by another version of this program (format %x, this one reads %d)", v, fileVersion)
	}
	return nil
}

// position is where a card lies within its lane.
type position struct {
	bucket place
	seq    uint64
	due    int64 // ms, in bucket due only
}

type place uint8

const (
	inReady place = iota
	inDue
)

func (p position) name() []byte {
	if p.bucket == inDue {
		return bucketDue
	}
	return bucketReady
}

func (p position) key(lane uint32) []byte {
	k := laneKey(lane, 20)
	if p.bucket == inDue {
		k = binary.BigEndian.AppendUint64(k, uint64(p.due))
	}
	return binary.BigEndian.AppendUint64(k, p.seq)
}

func laneKey(lane uint32, size int) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 0, size), lane)
}

func seqKey(lane uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(laneKey(lane, 12), seq)
}

func payloadKey(k Key) []byte {
	b := append(make([]byte, 0, len(k.ID)+2), k.ID...)
	return binary.BigEndian.AppendUint16(b, uint16(k.Dest))
}

// payloadTail is the lane and a checksum over payload and lane.
const payloadTail = 8

func appendPayload(b, payload []byte, lane uint32) []byte {
	start := len(b)
	b = append(b, payload...)
	b = binary.LittleEndian.AppendUint32(b, lane)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// readPayload returns a copy, as the file's pages may change after the transaction.
func readPayload(b *bbolt.Bucket, lane uint32, key Key) ([]byte, error) {
	v := b.Get(payloadKey(key))
	if v == nil {
		return nil, fmt.Errorf("message %v: %w", key, ErrNotFound)
	}
	n := len(v) - payloadTail
	if n < 0 || crc32.Checksum(v[:n+4], castagnoli) != binary.LittleEndian.Uint32(v[n+4:]) {
		return nil, fmt.Errorf("message %v: %w", key, ErrCorrupt)
	}
	if binary.LittleEndian.Uint32(v[n:]) != lane {
		return nil, fmt.Errorf("message %v: %w", key, ErrNotFound)
	}
	return append(make([]byte, 0, n), v[:n]...), nil
}

// card is all of a message but its payload.
type card struct {
	key      Key
	seq      uint64 // its place in the lane, also while it is due
	route    string
	orderKey string
	received time.Time
	size     int
	attempts int
	after    time.Duration // how long it was to wait, in bucket due
	history  []Attempt
	died     time.Time
	reason   string
}

// Of a long series the first and the last attempts tell the story.
const (
	historyFirst = 3
	historyLast  = 16
)

// record adds an attempt. It makes a new slice, as cards are copied by value.
func (c *card) record(a Attempt) {
	if a.At.IsZero() {
		return
	}
	c.attempts++
	h := append(make([]Attempt, 0, len(c.history)+1), c.history...)
	if len(h) == historyFirst+historyLast {
		h = append(h[:historyFirst], h[historyFirst+1:]...)
	}
	c.history = append(h, a)
}

func (c *card) encode() []byte {
	b := make([]byte, 5, 96+len(c.key.ID)+len(c.route)+len(c.orderKey)+len(c.reason))
	b[0] = cardVersion
	b = bin.AppendString(b, c.key.ID)
	b = bin.AppendUint(b, uint64(c.key.Dest))
	b = bin.AppendUint(b, c.seq)
	b = bin.AppendString(b, c.route)
	b = bin.AppendString(b, c.orderKey)
	b = appendTime(b, c.received)
	b = bin.AppendUint(b, uint64(c.size))
	b = bin.AppendUint(b, uint64(c.attempts))
	b = bin.AppendInt(b, int64(c.after))
	b = appendTime(b, c.died)
	b = bin.AppendString(b, c.reason)
	b = bin.AppendUint(b, uint64(len(c.history)))
	for _, a := range c.history {
		b = appendTime(b, a.At)
		b = bin.AppendInt(b, int64(a.Took))
		b = bin.AppendUint(b, uint64(a.Status))
		b = bin.AppendString(b, a.Error)
	}
	binary.LittleEndian.PutUint32(b[1:], crc32.Checksum(b[5:], castagnoli))
	return b
}

func decodeCard(b []byte) (card, error) {
	if len(b) < 5 || b[0] != cardVersion || crc32.Checksum(b[5:], castagnoli) != binary.LittleEndian.Uint32(b[1:]) {
		return card{}, ErrCorrupt
	}
	r := bin.NewReader(b[5:])
	c := card{
		key:      Key{ID: r.String(), Dest: int(r.Uint())},
		seq:      r.Uint(),
		route:    r.String(),
		orderKey: r.String(),
		received: readTime(r),
		size:     int(r.Uint()),
		attempts: int(r.Uint()),
		after:    time.Duration(r.Int()),
		died:     readTime(r),
		reason:   r.String(),
	}
	for range r.Count() {
		c.history = append(c.history, Attempt{At: readTime(r), Took: time.Duration(r.Int()), Status: int(r.Uint()), Error: r.String()})
	}
	return c, r.Err()
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return bin.AppendInt(b, 0)
	}
	return bin.AppendInt(b, t.UnixNano())
}

func readTime(r *bin.Reader) time.Time {
	ns := r.Int()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

type laneCounts struct {
	waiting, dead int
	bytes         int64
}

func (c laneCounts) plus(d laneCounts) laneCounts {
	return laneCounts{c.waiting + d.waiting, c.dead + d.dead, c.bytes + d.bytes}
}

func (c laneCounts) minus(d laneCounts) laneCounts {
	return laneCounts{c.waiting - d.waiting, c.dead - d.dead, c.bytes - d.bytes}
}

// laneRecord is what is stored of a lane. The end of a pause is stored as its
// start and length, so that a wall clock set back cannot prolong it.
type laneRecord struct {
	laneCounts
	id       uint32
	seq      uint64 // of the last message
	failures int
	pauseAt  time.Time
	pauseFor time.Duration
}

func (r *laneRecord) pauseLeft(now time.Time) time.Duration {
	if r.pauseAt.IsZero() {
		return 0
	}
	return min(max(0, r.pauseAt.Add(r.pauseFor).Sub(now)), r.pauseFor)
}

func (r *laneRecord) encode() []byte {
	b := make([]byte, 5, 64)
	b[0] = laneVersion
	b = bin.AppendUint(b, uint64(r.id))
	b = bin.AppendUint(b, r.seq)
	b = bin.AppendInt(b, int64(r.waiting))
	b = bin.AppendInt(b, int64(r.dead))
	b = bin.AppendInt(b, r.bytes)
	b = bin.AppendUint(b, uint64(r.failures))
	b = appendTime(b, r.pauseAt)
	b = bin.AppendInt(b, int64(r.pauseFor))
	binary.LittleEndian.PutUint32(b[1:], crc32.Checksum(b[5:], castagnoli))
	return b
}

func decodeLane(b []byte) (laneRecord, error) {
	if len(b) < 5 || b[0] != laneVersion || crc32.Checksum(b[5:], castagnoli) != binary.LittleEndian.Uint32(b[1:]) {
		return laneRecord{}, errors.New("its record is corrupt")
	}
	r := bin.NewReader(b[5:])
	rec := laneRecord{id: uint32(r.Uint()), seq: r.Uint()}
	rec.waiting, rec.dead, rec.bytes = int(r.Int()), int(r.Int()), r.Int()
	rec.failures = int(r.Uint())
	rec.pauseAt, rec.pauseFor = readTime(r), time.Duration(r.Int())
	return rec, r.Err()
}
