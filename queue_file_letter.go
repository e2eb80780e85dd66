package repeater

import (
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// Letter finds a dead letter by the number of its death.
func (q *fileQueue) Letter(ctx context.Context, lane string, key Key) (DeadLetter, error) {
	db, done, err := q.use(ctx)
	if err != nil {
		return DeadLetter{}, err
	}
	defer done()
	var letter DeadLetter
	err = db.View(func(tx *bbolt.Tx) error {
		id := q.lane(lane).id
		grave := append(laneKey(id, 4+len(key.ID)+2), payloadKey(key)...)
		seq := tx.Bucket(bucketGrave).Get(grave)
		if len(seq) != 8 {
			return fmt.Errorf("dead letter %v: %w", key, ErrNotFound)
		}
		c, err := decodeCard(tx.Bucket(bucketDead).Get(seqKey(id, binary.BigEndian.Uint64(seq))))
		if err != nil {
			return fmt.Errorf("dead letter %v: %w", key, err)
		}
		letter = c.deadLetter()
		return nil
	})
	return letter, err
}
