package repeater

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/webhook-repeater/repeater/internal/boltfile"
)

// visit sorts what was found. Nothing is believed without its checksum, which shows what it is as well:
// a damaged pointer may have led into another bucket, or to a leaf that has none any more.
func (r *repair) visit(path []string, k, v []byte) error {
	if len(path) > 1 && bytes.Equal(k, keyX) {
		return r.payload([]byte(path[len(path)-1]), v)
	}
	if _, err := decodeLane(k, v); err == nil {
		r.lane(k, v, stale(path))
		return nil
	}
	if c, err := decodeCard(k, v); err == nil {
		r.card(c, k, stale(path))
		return nil
	}
	switch n := len(v) - 4; {
	case n == 24 && bytes.Equal(k, keyCommit) && checksum(v[:n], k) == binary.LittleEndian.Uint32(v[n:]):
		return r.put(bucketMeta, k, v)
	case len(k) == sha256.Size && n > 8 && checksum(v[:n], k) == binary.LittleEndian.Uint32(v[n:]):
		return r.mark(k, v)
	case len(path) > 0 && path[0] == string(bucketBroken):
		return r.put(bucketBroken, k, v)
	}
	return r.payload(k, v)
}

// stale says whether what is found there may be long gone.
func stale(path []string) bool { return len(path) > 0 && path[0] == boltfile.Orphan }

// card keeps a message's card in mind; of several the one that is certain, or that tells of more attempts.
func (r *repair) card(c card, k []byte, stale bool) {
	bucket := map[int][]byte{12: bucketReady, 20: bucketDue, 28: bucketHeld}[len(k)]
	if bucket == nil {
		return
	}
	if !c.died.IsZero() {
		bucket = bucketDead
	}
	old, ok := r.cards[c.key]
	if ok && (!old.stale || stale && old.attempts >= c.attempts) {
		return
	}
	r.cards[c.key] = repaired{c, binary.BigEndian.Uint32(k), bucket, bytes.Clone(k), stale}
}

// payload saves a payload, small or large, if it is whole.
func (r *repair) payload(k, v []byte) error {
	n := len(v) - payloadTail
	if n < 0 || len(k) < 3 || checksum(v[:n+4], k) != binary.LittleEndian.Uint32(v[n+4:]) {
		return nil
	}
	key := Key{ID: string(k[:len(k)-2]), Dest: int(binary.BigEndian.Uint16(k[len(k)-2:]))}
	if _, ok := r.payloads[key]; ok {
		return nil
	}
	r.payloads[key] = binary.LittleEndian.Uint32(v[n:])
	if n <= maxSmall {
		return r.put(bucketPayload, k, v)
	}
	b, err := r.tx.Bucket(bucketLarge).CreateBucket(k)
	if err != nil {
		return err
	}
	if err := b.Put(keyX, bytes.Clone(v)); err != nil {
		return err
	}
	if err := r.wrote(len(v)); err != nil {
		return err
	}
	return r.put(bucketPayload, k, v[n:n+4])
}

func (r *repair) lane(name, v []byte, stale bool) {
	rec, err := decodeLane(name, v)
	if old := r.lanes[rec.id]; err != nil || old != nil && (stale || old.seq > rec.seq) {
		return
	}
	rec.laneCounts = laneCounts{}
	r.lanes[rec.id], r.names[rec.id] = &rec, string(name)
}

func (r *repair) mark(k, v []byte) error {
	if err := r.put(bucketMarks, k, v); err != nil {
		return err
	}
	return r.put(bucketExpiry, append(bytes.Clone(v[:8]), k...), []byte{})
}

// build writes the cards of the messages that are whole, and all that follows from them.
func (r *repair) build() error {
	inOrder := slices.SortedFunc(maps.Values(r.cards), func(a, b repaired) int {
		return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.seq, b.seq))
	})
	for _, c := range inOrder {
		if lane, ok := r.payloads[c.key]; !ok || lane != c.lane {
			if !c.stale {
				r.report.Lost = append(r.report.Lost, c.key)
			}
			continue
		}
		delete(r.payloads, c.key)
		if err := r.place(c); err != nil {
			return err
		}
	}
	// What is left has lost its card: nobody knows where it was to go.
	for _, key := range slices.SortedFunc(maps.Keys(r.payloads), compareKeys) {
		r.report.Lost = append(r.report.Lost, key)
		k := payloadKey(key)
		if b := r.tx.Bucket(bucketLarge); b.Bucket(k) != nil {
			if err := b.DeleteBucket(k); err != nil {
				return err
			}
		}
		if err := r.tx.Bucket(bucketPayload).Delete(k); err != nil {
			return err
		}
	}
	slices.SortFunc(r.report.Lost, compareKeys)
	for id, rec := range r.lanes {
		name := r.names[id]
		if name == "" {
			r.report.Unnamed++
			name = fmt.Sprintf("repaired %d", id)
		}
		if err := r.put(bucketLanes, []byte(name), rec.encode([]byte(name))); err != nil {
			return err
		}
	}
	return nil
}

func compareKeys(a, b Key) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Dest, b.Dest)) }

// place puts a message where it belongs. They come in the order of their lane, so that the first of an
// order key is found to be the first.
func (r *repair) place(c repaired) error {
	rec := r.lanes[c.lane]
	if rec == nil {
		rec = &laneRecord{id: c.lane}
		r.lanes[c.lane] = rec
	}
	at := c.at
	rec.seq = max(rec.seq, c.seq)
	if bytes.Equal(c.place, bucketDead) {
		rec.dead++
		r.report.Dead++
		rec.seq = max(rec.seq, binary.BigEndian.Uint64(at[4:]))
		if err := r.put(bucketGrave, graveKey(c.lane, c.key), at[4:]); err != nil {
			return err
		}
		return r.put(bucketDead, at, c.encode(at))
	}
	rec.waiting++
	rec.bytes += int64(c.size)
	r.report.Waiting++
	bucket := c.place
	if c.orderKey != "" {
		order := orderKey(c.lane, c.orderKey)
		taken := r.tx.Bucket(bucketOrder).Get(order) != nil
		switch held := bytes.Equal(bucket, bucketHeld); {
		case held && !taken:
			bucket, at = bucketReady, seqKey(c.lane, c.seq) // what it waited for is gone
		case !held && taken:
			bucket, at = bucketHeld, binary.BigEndian.AppendUint64(order, c.seq)
		}
		if err := r.put(bucketOrder, orderKey(c.lane, c.orderKey), []byte{}); err != nil {
			return err
		}
	}
	return r.put(bucket, at, c.encode(at))
}
