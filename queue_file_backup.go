package repeater

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// A backup is one long read of the file. As long as it takes, pages that deliveries leave are not used again; and a
// file that has to grow past what is mapped of it, or that is short of room, waits. So it is copied to the same
// disk first and to whoever wants it afterwards, and is given up where somebody waits for long.

const (
	copyTx       = 8 << 20 // bytes; synced one by one, so that no large debt of writes delays a commit
	longestStall = 2 * time.Second
)

func backupPath(path string) string { return path + ".backup" }

var errStalls = errors.New("given up, as it held up requests that are to be stored; try again when less comes in")

// backup writes a copy of the store to w.
func (q *fileQueue) backup(ctx context.Context, w io.Writer) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	select {
	case q.backingUp <- struct{}{}:
		defer func() { <-q.backingUp }()
	case <-ctx.Done():
		return ctx.Err()
	}
	path := backupPath(realPath(q.path))
	defer func() { _ = os.Remove(path) }()
	size, err := q.copyTo(ctx, path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	f, err := os.Open(path) // #nosec G304 -- beside the store
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	_ = os.Remove(path) // where that can be, no crash leaves it behind
	if _, err := io.CopyN(w, f, size); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// copyTo makes a new file of what the store has now, and returns how many of its bytes count. It is not
// marked as running, as nobody has died with it.
func (q *fileQueue) copyTo(ctx context.Context, path string) (size int64, err error) {
	_ = os.Remove(path) // which a crash has left
	dst, err := openBolt(path, os.O_CREATE)
	if err != nil {
		return 0, err
	}
	dst.NoSync = true // see fileCopy.next
	err = q.view(func(tx *bbolt.Tx) error {
		stats := tx.DB().Stats()
		used := tx.Size() - int64(stats.FreePageN+stats.PendingPageN)*q.pageSize
		if free := diskFree(filepath.Dir(path)); free >= 0 && free < used+max(0, q.room.floor) {
			return fmt.Errorf("no room for a copy beside the store: %w", ErrFull)
		}
		c := &fileCopy{dst: dst, pause: func() error { return q.mayCopy(ctx) }}
		return c.all(tx)
	})
	if err == nil {
		size, _ = pagesOf(dst) // the file is longer, in case that more were to come
	}
	return size, errors.Join(err, dst.Close())
}

// mayCopy tells whether to go on.
func (q *fileQueue) mayCopy(ctx context.Context) error {
	c := &q.committer
	c.mu.Lock()
	stopping, broken := c.stopping, c.broken
	c.mu.Unlock()
	switch {
	case stopping:
		return ErrClosed
	case broken != nil: // the file is to be opened again, which waits for us
		return errStalls
	}
	if begun := c.begun.Load(); begun != nil && time.Since(*begun) > longestStall {
		return errStalls
	}
	return ctx.Err()
}

// fileCopy copies buckets into another file, in transactions that memory can hold.
type fileCopy struct {
	dst   *bbolt.DB
	tx    *bbolt.Tx
	bytes int // in tx
	pause func() error
}

func (c *fileCopy) all(src *bbolt.Tx) (err error) {
	if c.tx, err = c.dst.Begin(true); err != nil {
		return err
	}
	defer func() { _ = c.tx.Rollback() }() // what is not committed
	for _, name := range allBuckets {
		if b := src.Bucket(name); b != nil { // one that an older version did not have is made at the next open
			if err := c.bucket(b, name); err != nil {
				return err
			}
		}
	}
	if err := c.tx.Bucket(bucketMeta).Delete(keyRunning); err != nil {
		return err
	}
	return c.next()
}

// bucket copies the bucket that is found by the names of path, one in the other.
func (c *fileCopy) bucket(src *bbolt.Bucket, path ...[]byte) error {
	if err := c.create(path); err != nil {
		return err
	}
	return src.ForEach(func(k, v []byte) error {
		if v == nil {
			return c.bucket(src.Bucket(k), append(slices.Clip(path), k)...)
		}
		if c.bytes += len(k) + len(v); c.bytes > copyTx {
			if err := c.next(); err != nil {
				return err
			}
			c.bytes = len(k) + len(v)
		}
		return c.at(path).Put(k, v)
	})
}

func (c *fileCopy) create(path [][]byte) (err error) {
	last := bytes.Clone(path[len(path)-1]) // bbolt keeps it
	if len(path) == 1 {
		_, err = c.tx.CreateBucket(last)
	} else {
		_, err = c.at(path[:len(path)-1]).CreateBucket(last)
	}
	return err
}

func (c *fileCopy) at(path [][]byte) *bbolt.Bucket {
	b := c.tx.Bucket(path[0])
	for _, name := range path[1:] {
		b = b.Bucket(name)
	}
	b.FillPercent = 0.9 // keys come in order
	return b
}

// next makes durable what has been copied, and goes on if it may.
func (c *fileCopy) next() error {
	err := c.tx.Commit()
	if err == nil {
		err = c.dst.Sync()
	}
	if err == nil {
		err = c.pause()
	}
	if err != nil {
		return err
	}
	c.tx, err = c.dst.Begin(true)
	return err
}
