package repeater

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

func (q *fileQueue) Push(ctx context.Context, b Batch) (string, error) {
	if err := b.check(); err != nil {
		return "", err
	}
	if err := q.ready(ctx); err != nil {
		return "", err
	}
	p := &filePush{batch: b, id: b.ID}
	if err := q.committer.do(ctx, p); err != nil {
		return "", err
	}
	return p.id, nil
}

// filePush stores one batch.
type filePush struct {
	wish
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

func (p *filePush) apply(t *fileTx) error {
	b := &p.batch
	p.id = b.ID
	var mark [sha256.Size]byte
	if b.Dedupe != "" {
		mark = sha256.Sum256([]byte(b.Dedupe))
		if first := t.marked(mark); first != "" {
			p.id = first
			return nil
		}
	}
	keys, err := p.fresh(t)
	if err != nil {
		return err
	}
	if b.Dedupe != "" {
		if err := t.mark(mark, b); err != nil {
			return err
		}
	}
	for i, k := range keys {
		if k == nil {
			continue
		}
		m := &b.Messages[i]
		l := t.q.lane(m.Lane)
		if err := t.putPayload(k, m.Payload, l.id); err != nil {
			return err
		}
		c := card{key: Key{b.ID, m.Dest}, route: b.Route, orderKey: m.OrderKey, received: b.Received, size: len(m.Payload)}
		if err := t.enqueue(l, &c); err != nil {
			return err
		}
	}
	return nil
}

// fresh returns the payload keys of messages that are not yet stored, and nil for
// the others, or refuses the batch if there is no room for what is fresh.
func (p *filePush) fresh(t *fileTx) ([][]byte, error) {
	payloads := t.bucket(bucketPayload)
	keys := make([][]byte, len(p.batch.Messages))
	size := 0
	for i, m := range p.batch.Messages {
		k := payloadKey(Key{p.batch.ID, m.Dest})
		if payloads.Get(k) != nil {
			continue
		}
		keys[i] = k
		size += len(m.Payload)
		counts := t.counts(t.q.lane(m.Lane))
		if p.batch.Bound.reached(counts) || !t.q.room.admits(counts.bytes) {
			return nil, refusal{fmt.Errorf("push to %s: %w", m.Lane, ErrFull)}
		}
	}
	t.q.room.use(size)
	return keys, nil
}

func (b Bound) reached(c laneCounts) bool {
	return b.Messages > 0 && c.waiting >= b.Messages || b.Bytes > 0 && c.bytes >= b.Bytes
}

// marked returns the id of the batch that holds a dedupe mark, "" if there is none.
func (t *fileTx) marked(mark [sha256.Size]byte) string {
	v := t.bucket(bucketMarks).Get(mark[:])
	n := len(v) - 4
	if n <= 8 || checksum(v[:n], mark[:]) != binary.LittleEndian.Uint32(v[n:]) || readFixed[moment](v) <= t.q.clock.now() {
		return ""
	}
	return string(v[8:n])
}

// mark stores the batch's dedupe mark, in the place of an expired one.
func (t *fileTx) mark(mark [sha256.Size]byte, b *Batch) error {
	if v := t.bucket(bucketMarks).Get(mark[:]); len(v) > 8 {
		if err := t.delete(bucketExpiry, append(bytes.Clone(v[:8]), mark[:]...)); err != nil {
			return err
		}
	}
	now := t.q.clock.now()
	expiry := appendFixed(nil, now.add(b.DedupeFor))
	v := append(slices.Clone(expiry), b.ID...)
	if err := t.put(bucketMarks, mark[:], binary.LittleEndian.AppendUint32(v, checksum(v, mark[:]))); err != nil {
		return err
	}
	if err := t.put(bucketExpiry, append(expiry, mark[:]...), []byte{}); err != nil {
		return err
	}
	return t.pruneMarks(now)
}

// pruneMarks removes two old marks for each new one: never much at a time.
func (t *fileTx) pruneMarks(now moment) error {
	for range 2 {
		k, _ := t.bucket(bucketExpiry).Cursor().First()
		if len(k) < 8 || readFixed[moment](k) > now {
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
