package repeater

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// fileOp is a change to be committed. apply may run again, in a later
// transaction, after a failed commit; done runs once, after the commit.
type fileOp interface {
	apply(t *fileTx) error
	done()
	size() int
}

const (
	// rideFor bounds how long a delivery may wait for somebody else's commit.
	rideFor = 4 * time.Millisecond
	// A transaction is held in memory until it is written.
	maxCommitBytes = 16 << 20
	maxCommitOps   = 4096
	// retryCommit is the pause before settlements are tried again on a full disk.
	retryCommit = 100 * time.Millisecond
)

// committer gathers operations and commits them together: while one
// transaction is being synced, the next one fills.
type committer struct {
	q  *fileQueue
	db *bbolt.DB

	mu       sync.Mutex
	ops      []*queuedOp
	busy     bool // operations have been taken and are not yet committed
	stopping bool

	urgent chan struct{} // somebody waits
	lazy   chan struct{} // something rides
	ended  chan struct{}
}

// queuedOp is an operation and whoever waits for it.
type queuedOp struct {
	fileOp
	result chan error // nil: nobody waits
	state  atomic.Int32
}

const (
	opQueued int32 = iota
	opTaken
	opAbandoned
)

func (c *committer) start(q *fileQueue, db *bbolt.DB) {
	c.q, c.db = q, db
	c.urgent, c.lazy, c.ended = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	go c.loop()
}

// stop commits what is there and ends the committer.
func (c *committer) stop() {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	signal(c.urgent)
	<-c.ended
}

// do commits op and waits for it. When ctx ends first, op is dropped if its
// transaction has not begun, and may be committed otherwise.
func (c *committer) do(ctx context.Context, op fileOp) error {
	qo := &queuedOp{fileOp: op, result: make(chan error, 1)}
	if !c.add(qo) {
		return ErrClosed
	}
	signal(c.urgent)
	select {
	case err := <-qo.result:
		return err
	case <-ctx.Done():
		qo.state.CompareAndSwap(opQueued, opAbandoned)
		return ctx.Err()
	}
}

// ride commits op with whatever is committed next, or soon.
func (c *committer) ride(op fileOp) {
	if c.add(&queuedOp{fileOp: op}) {
		signal(c.lazy)
	}
}

// flush waits until all that was added before is committed.
func (c *committer) flush(ctx context.Context) error {
	c.mu.Lock()
	idle := len(c.ops) == 0 && !c.busy
	c.mu.Unlock()
	if idle {
		return nil
	}
	return c.do(ctx, nothing{})
}

func (c *committer) add(op *queuedOp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return false
	}
	c.ops = append(c.ops, op)
	return true
}

func (c *committer) loop() {
	defer close(c.ended)
	for {
		select {
		case <-c.urgent:
		case <-c.lazy:
			c.wait(rideFor)
		}
		for {
			ops, more := c.take()
			if len(ops) > 0 {
				c.commit(ops)
			}
			if !more {
				break
			}
		}
		if c.over() {
			return
		}
	}
}

// wait gives riders company, but not for long.
func (c *committer) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.urgent:
	case <-t.C:
	}
}

func (c *committer) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return c.stopping && len(c.ops) == 0
}

// take removes as many operations as one transaction should hold.
func (c *committer) take() (ops []*queuedOp, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bytes, n := 0, 0
	c.busy = len(c.ops) > 0
	for n < len(c.ops) && n < maxCommitOps && (n == 0 || bytes < maxCommitBytes) {
		bytes += c.ops[n].size()
		n++
	}
	ops = c.ops[:n:n]
	c.ops = c.ops[n:]
	if len(c.ops) == 0 {
		c.ops = nil
	}
	live := ops[:0]
	for _, op := range ops {
		if op.state.CompareAndSwap(opQueued, opTaken) {
			live = append(live, op)
		}
	}
	return live, len(c.ops) > 0
}

// commit applies the operations in one transaction. Claims that have ended stay
// ended whatever happens: those operations are tried until they succeed.
func (c *committer) commit(ops []*queuedOp) {
	t := &fileTx{q: c.q, lanes: make(map[*fileLane]*laneTx)}
	err := c.db.Update(func(tx *bbolt.Tx) error {
		t.tx = tx
		for _, op := range ops {
			if err := op.apply(t); err != nil {
				return err
			}
		}
		return t.finish()
	})
	if err == nil {
		t.publish()
		for _, op := range ops {
			op.done()
			op.answer(nil)
		}
		return
	}
	var again []*queuedOp
	for _, op := range ops {
		op.answer(fmt.Errorf("store: %w", err))
		if _, ok := op.fileOp.(*fileSettle); ok {
			op.result = nil
			op.state.Store(opQueued)
			again = append(again, op)
		}
	}
	c.retry(again, err)
}

// retry puts settlements back in front, so that they stay before what was
// pushed later, and comes back to them after a while.
func (c *committer) retry(ops []*queuedOp, cause error) {
	if len(ops) == 0 {
		return
	}
	c.mu.Lock()
	if c.stopping {
		c.mu.Unlock()
		c.q.log.Error("store: closing with settlements that could not be committed; their messages will be delivered again",
			"settlements", len(ops), "error", cause)
		return
	}
	c.ops = append(ops, c.ops...)
	c.mu.Unlock()
	time.AfterFunc(retryCommit, func() { signal(c.lazy) })
}

func (op *queuedOp) answer(err error) {
	if op.result != nil {
		op.result <- err
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// nothing is an operation to wait for those before it.
type nothing struct{}

func (nothing) apply(*fileTx) error { return nil }
func (nothing) done()               {}
func (nothing) size() int           { return 0 }
