package repeater

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// maxSmall is the largest payload that shares its pages with others. A page holds two
// values at least, however large, and is written anew without the one that is deleted:
// large payloads have buckets of their own, which are deleted without a copy
// of a neighbour, for which a full disk would have no room.
const maxSmall = 8 << 10

// payloadTail is the lane and a checksum over payload, lane and key.
const payloadTail = 8

// putPayload stores a payload of lane, under a key that is not in use.
func (t *fileTx) putPayload(k, payload []byte, lane uint32) error {
	v := t.payload(k, payload, lane)
	if len(payload) <= maxSmall {
		return t.put(bucketPayload, k, v)
	}
	b, err := t.bucket(bucketLarge).CreateBucket(k)
	if err != nil {
		return err
	}
	if err := b.Put(keyX, v); err != nil {
		return err
	}
	return t.put(bucketPayload, k, binary.LittleEndian.AppendUint32(nil, lane))
}

const (
	leastArena = 256 << 10
	mostArena  = 1 << 20 // that is kept for the next transaction
)

// payload copies p behind what is there, so that small payloads need no allocation of their own.
func (t *fileTx) payload(k, p []byte, lane uint32) []byte {
	if cap(t.arena)-len(t.arena) < len(p)+payloadTail {
		t.arena = make([]byte, 0, max(leastArena, len(p)+payloadTail))
	}
	start := len(t.arena)
	t.arena = append(t.arena, p...)
	t.arena = binary.LittleEndian.AppendUint32(t.arena, lane)
	t.arena = binary.LittleEndian.AppendUint32(t.arena, checksum(t.arena[start:], k))
	return t.arena[start:len(t.arena):len(t.arena)]
}

func (t *fileTx) deletePayload(c *card) error {
	k := payloadKey(c.key)
	if c.size > maxSmall {
		if err := t.bucket(bucketLarge).DeleteBucket(k); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return err
		}
	}
	return t.delete(bucketPayload, k)
}

// readPayload returns a copy, as the file's pages may change after the transaction. That the disk cannot
// read it is no more than this message's trouble.
func readPayload(tx *bbolt.Tx, lane uint32, key Key) (payload []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			if !faulted(p) {
				panic(p)
			}
			payload, err = nil, fmt.Errorf("message %v: %w: %v", key, ErrCorrupt, p)
		}
	}()
	k := payloadKey(key)
	v := tx.Bucket(bucketPayload).Get(k)
	if len(v) == 4 {
		b := tx.Bucket(bucketLarge).Bucket(k)
		if b == nil {
			return nil, fmt.Errorf("message %v: %w", key, ErrCorrupt)
		}
		v = b.Get(keyX)
	}
	if v == nil {
		return nil, fmt.Errorf("message %v: %w", key, ErrNotFound)
	}
	n := len(v) - payloadTail
	if n < 0 || checksum(v[:n+4], k) != binary.LittleEndian.Uint32(v[n+4:]) {
		return nil, fmt.Errorf("message %v: %w", key, ErrCorrupt)
	}
	if binary.LittleEndian.Uint32(v[n:]) != lane {
		return nil, fmt.Errorf("message %v: %w", key, ErrNotFound)
	}
	return append(make([]byte, 0, n), v[:n]...), nil
}
