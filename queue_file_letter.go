package repeater

import (
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// Letter finds a dead letter by the number of its death.
func (q *fileQueue) Letter(ctx context.Context, lane string, key Key) (DeadLetter, error) {
	if err := q.ready(ctx); err != nil {
		return DeadLetter{}, err
	}
	l := q.known(lane)
	if l == nil {
		return DeadLetter{}, fmt.Errorf("dead letter %v: %w", key, ErrNotFound)
	}
	var letter DeadLetter
	err := q.view(func(tx *bbolt.Tx) error {
		seq := tx.Bucket(bucketGrave).Get(graveKey(l.id, key))
		if len(seq) != 8 {
			return fmt.Errorf("dead letter %v: %w", key, ErrNotFound)
		}
		at := seqKey(l.id, binary.BigEndian.Uint64(seq))
		c, err := decodeCard(at, tx.Bucket(bucketDead).Get(at))
		if err == nil && c.key != key {
			err = ErrCorrupt
		}
		if err != nil {
			return fmt.Errorf("dead letter %v: %w", key, err)
		}
		letter = c.deadLetter()
		return nil
	})
	return letter, err
}
