package repeater

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// maxReopen bounds the doubling pause before the file is opened again, which there is when
// that has been tried shortly before.
const maxReopen = 5 * time.Second

// failed sorts out a transaction that was not, or perhaps not, committed.
func (c *committer) failed(t *fileTx, ops []*queuedOp, err error) {
	if c.noRoom(t, err) {
		c.full(ops, err)
		return
	}
	c.heal(t, ops, err)
}

// noRoom says that a failed transaction has left no trace, as there was no room for it.
func (c *committer) noRoom(t *fileTx, err error) bool {
	return isNoRoom(err) && !c.visible(t)
}

// visible says whether the file contains what a transaction has done.
func (c *committer) visible(t *fileTx) bool {
	visible := false
	err := c.q.view(func(tx *bbolt.Tx) error {
		visible = t.number != 0 && readCommit(tx).number == t.number
		return nil
	})
	return err == nil && visible
}

// heal opens the file again after a commit of unknown outcome: its meta page may be in
// the page cache alone, in the file, or nowhere. What reading back shows becomes true
// only with two further transactions, which write both meta pages. Until
// then nothing is acknowledged; wishes fail, facts wait.
func (c *committer) heal(t *fileTx, ops []*queuedOp, cause error) {
	if errors.Is(cause, ErrCorrupt) {
		c.giveUp(ops, cause)
		return
	}
	c.q.log.Error("store: a commit has failed; opening the file again", "error", cause)
	c.breakOff(cause)
	var facts []*queuedOp
	for _, op := range ops {
		if op.rank() == rankFact {
			facts = append(facts, op)
		} else {
			op.answer(fmt.Errorf("store: %w", cause))
		}
	}
	if time.Since(c.healed) > 2*maxReopen {
		c.pause = 0
	}
	for err := cause; err != nil; {
		if !c.sleep(c.pause) {
			c.retry(facts, err)
			return
		}
		c.pause = min(max(2*c.pause, retryCommit), maxReopen)
		err = guard(func() error { return c.reopen(err) })
		if errors.Is(err, ErrCorrupt) {
			c.giveUp(facts, err)
			return
		}
		if err != nil {
			c.breakOff(err)
		}
	}
	c.healed = time.Now()
	if isOutOfSpace(cause) { // found when it was synced: not known to have left no trace
		c.q.room.runOut(cause)
		c.refillLater()
	}
	if c.visible(t) {
		c.succeeded(t, facts)
	} else {
		c.retry(facts, cause)
	}
	c.goOn()
	c.q.log.Info("store: works again")
}

func (c *committer) reopen(cause error) error {
	chunks, err := c.q.reopen(cause)
	if err != nil {
		return err
	}
	c.chunks = chunks
	for range 2 {
		tx, err := c.q.begin()
		if err != nil {
			return err
		}
		if err := c.q.commit(tx); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return nil
}

// breakOff lets all wishes fail, those that are queued and those to come.
func (c *committer) breakOff(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = cause
	facts := c.ops[:0]
	for _, op := range c.ops {
		switch {
		case op.rank() == rankFact:
			facts = append(facts, op)
		case op.state.CompareAndSwap(opQueued, opTaken):
			op.answer(fmt.Errorf("store: %w", cause))
		}
	}
	clear(c.ops[len(facts):])
	c.ops, c.awaited = facts, awaitedOf(facts)
}

func (c *committer) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = nil
	signal(c.urgent) // sleep may have swallowed one
}

// sleep returns false, at once, when the store is to be closed.
func (c *committer) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		c.mu.Lock()
		stopping := c.stopping
		c.mu.Unlock()
		if stopping {
			return false
		}
		select {
		case <-c.urgent:
		case <-t.C:
			return true
		}
	}
}
