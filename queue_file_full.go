package repeater

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The reserve of a full disk: chunks that have really been written, each in a bucket
// of its own, so that giving one up rewrites nothing but the page that names it.
// (That much is always free: what the commit before has replaced.)
const (
	reserveChunks = 32
	chunkBytes    = 64<<10 - 64 // with its page's header, a round number of pages
	refillMargin  = 1 << 20     // what must be free besides, so that refilling does not bring on the next trouble
)

func chunkName(i int) []byte { return fmt.Appendf(nil, "reserve.%02d", i) }

func isChunk(name []byte) bool { return bytes.HasPrefix(name, []byte("reserve.")) }

func countChunks(tx *bbolt.Tx) int {
	n := 0
	for n < reserveChunks && tx.Bucket(chunkName(n)) != nil {
		n++
	}
	return n
}

// fillReserve writes what is missing of the reserve.
func fillReserve(tx *bbolt.Tx) error {
	random := rand.NewChaCha8([32]byte{}) // what cannot be compressed or shared takes its room
	for i := range reserveChunks {
		b, err := tx.CreateBucket(chunkName(i))
		if errors.Is(err, berrors.ErrBucketExists) {
			continue
		}
		if err != nil {
			return err
		}
		chunk := make([]byte, chunkBytes)
		_, _ = random.Read(chunk)
		if err := b.Put([]byte("x"), chunk); err != nil {
			return err
		}
	}
	return nil
}

// isNoRoom tells that a commit has failed before anything of it could count, because
// there is no room: neither its pages nor its meta page have been written whole.
func isNoRoom(err error) bool {
	if err == nil {
		return false
	}
	if strings.HasPrefix(err.Error(), "file resize error") { // all that bbolt tells
		return true
	}
	pe, ok := errors.AsType[*fs.PathError](err)
	return ok && pe.Op == "write" && isOutOfSpace(pe)
}

func isOutOfSpace(err error) bool {
	return slices.ContainsFunc(noRoomErrors, func(e error) bool { return errors.Is(err, e) })
}

// full carries on without room: pushes fail, and all others are committed one by
// one, at the cost of the reserve.
func (c *committer) full(ops []*queuedOp, cause error) {
	c.q.room.runOut(cause)
	c.refillLater()
	var later []*queuedOp
	for _, op := range ops {
		switch {
		case op.rank() == rankWish, op.rank() == rankVital && len(later) > 0:
			op.answer(fmt.Errorf("store: %w: %w", ErrFull, cause))
		case !c.squeeze(op):
			later = append(later, op)
		}
	}
	c.retry(later, cause)
}

// squeeze commits one operation, or answers it. It returns false for a fact that
// has to wait for room.
func (c *committer) squeeze(op *queuedOp) bool {
	for ops := []*queuedOp{op}; ; {
		t, err := c.transact(ops)
		switch {
		case err == nil:
			c.succeeded(t, ops)
			return true
		case !c.noRoom(t, err):
			c.failed(t, ops, err)
			return true
		case c.spend():
		case op.rank() == rankFact:
			return false
		default:
			op.answer(fmt.Errorf("store: %w: %w", ErrFull, err))
			return true
		}
	}
}

// spend gives up a chunk of the reserve, and says whether there was one.
func (c *committer) spend() bool {
	if c.chunks == 0 {
		return false
	}
	t, err := c.alone(&fileSpend{c: c})
	if err != nil && !c.noRoom(t, err) {
		c.heal(t, nil, err)
		return true
	}
	return err == nil
}

// refill makes the reserve whole when there is room again, which is looked for once in a while.
func (c *committer) refill() {
	if !c.q.room.isShort() || time.Now().Before(c.refillAt) {
		return
	}
	missing := reserveChunks - c.chunks
	if c.q.room.has(int64(missing)*(chunkBytes+64) + refillMargin) {
		t, err := c.alone(&fileRefill{c: c})
		switch {
		case err == nil:
			c.q.room.recovered()
			return
		case !c.noRoom(t, err):
			c.heal(t, nil, err)
		}
	}
	c.refillLater()
}

func (c *committer) refillLater() {
	c.refillAt = time.Now().Add(roomEvery)
	time.AfterFunc(roomEvery, func() { signal(c.lazy) })
}

// alone commits an operation of the committer's own.
func (c *committer) alone(op fileOp) (*fileTx, error) {
	t, err := c.transact([]*queuedOp{{fileOp: op}})
	if err == nil {
		t.publish()
		op.done()
	}
	return t, err
}

type fileSpend struct {
	wish
	c *committer
}

func (s *fileSpend) apply(t *fileTx) error {
	t.changed = true
	return t.tx.DeleteBucket(chunkName(s.c.chunks - 1))
}

func (s *fileSpend) done() { s.c.chunks-- }

type fileRefill struct {
	wish
	c *committer
}

func (r *fileRefill) apply(t *fileTx) error {
	if r.c.chunks == reserveChunks {
		return nil
	}
	t.changed = true
	return fillReserve(t.tx)
}

func (r *fileRefill) done() { r.c.chunks = reserveChunks }
