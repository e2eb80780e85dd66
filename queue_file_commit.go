package repeater

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// fileOp is a change to be committed. apply may run again, in a later
// transaction, after a failed commit; done runs once, after the commit.
//
// Where apply finds, before it has changed anything, that the operation cannot be
// carried out, it returns a refusal. Any other error undoes the whole transaction.
type fileOp interface {
	apply(t *fileTx) error
	done()
	size() int
	rank() opRank
}

// opRank says what becomes of an operation that cannot be committed.
type opRank uint8

const (
	rankWish  opRank = iota // it fails
	rankVital               // it fails, but may use the reserve of a full disk
	rankFact                // it has happened in memory: it is tried until it succeeds, with the reserve
)

// What most operations are made of.
type (
	wish  struct{}
	vital struct{ wish }
	fact  struct{ wish }
)

func (wish) done()        {}
func (wish) size() int    { return 0 }
func (wish) rank() opRank { return rankWish }

func (vital) rank() opRank { return rankVital }
func (fact) rank() opRank  { return rankFact }

// refusal is an operation's own failure; the others of its transaction are committed.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

const (
	// rideFor bounds how long a delivery may wait for somebody else's commit.
	rideFor = 4 * time.Millisecond
	// A transaction is held in memory until it is written.
	maxCommitBytes = 16 << 20
	maxCommitOps   = 4096
	// From so many operations waiting at a time, a commit waits for company, for as long as
	// the last one took, within bounds.
	leastCompany = 8
	gatherLeast  = time.Millisecond
	gatherMost   = 10 * time.Millisecond
	// retryCommit is the pause before facts are tried again.
	retryCommit = 100 * time.Millisecond
)

// committer gathers operations and commits them together: while one
// transaction is being synced, the next one fills.
type committer struct {
	q      *fileQueue
	arena  []byte // for the values of the next transaction
	number uint64 // of the last transaction, never used again (see commitRecord)

	chunks   int       // of the reserve
	refillAt time.Time // not before
	healed   time.Time // when the file was last opened again
	pause    time.Duration
	took     time.Duration             // by the last commit
	begun    atomic.Pointer[time.Time] // the transaction that is under way, if any

	mu       sync.Mutex
	ops      []*queuedOp
	busy     bool  // operations have been taken and are not yet committed
	broken   error // why only facts are taken: the file is being opened again
	ruined   bool  // nothing is taken any more
	stopping bool
	awaited  int // of ops: somebody waits
	company  int // so many of which are worth waiting for

	gathered chan struct{} // they are there
	urgent   chan struct{} // somebody waits
	lazy     chan struct{} // something rides
	ended    chan struct{}
}

// queuedOp is an operation and whoever waits for it.
type queuedOp struct {
	fileOp
	refused error
	result  chan error // nil: nobody waits
	state   atomic.Int32
}

const (
	opQueued int32 = iota
	opTaken
	opAbandoned
)

func (c *committer) start(q *fileQueue) {
	c.q = q
	c.gathered = make(chan struct{}, 1)
	c.urgent, c.lazy, c.ended = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	signal(c.lazy) // perhaps the reserve is not whole
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

// do commits op and waits for it.
func (c *committer) do(ctx context.Context, op fileOp) error {
	qo, err := c.add(op, true)
	if err != nil {
		return err
	}
	return c.await(ctx, qo)
}

// ride commits op with whatever is committed next, or soon.
func (c *committer) ride(op fileOp) { _, _ = c.add(op, false) }

// await waits for an operation. When ctx ends first, a wish is dropped if its
// transaction has not begun, and may be committed otherwise.
func (c *committer) await(ctx context.Context, qo *queuedOp) error {
	select {
	case err := <-qo.result:
		return err
	case <-ctx.Done():
		if qo.rank() != rankFact {
			qo.state.CompareAndSwap(opQueued, opAbandoned)
		}
		return ctx.Err()
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

// add puts op behind those that are there. The caller awaits it, or nobody ever does.
func (c *committer) add(op fileOp, awaited bool) (*queuedOp, error) {
	qo, wake := &queuedOp{fileOp: op}, c.lazy
	if awaited {
		qo.result, wake = make(chan error, 1), c.urgent
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopping:
		return nil, fmt.Errorf("store: %w", ErrClosed)
	case c.broken != nil && (c.ruined || op.rank() != rankFact):
		return nil, fmt.Errorf("store: %w", c.broken)
	}
	c.ops = append(c.ops, qo)
	if awaited {
		if c.awaited++; c.awaited == c.company {
			signal(c.gathered)
		}
	}
	signal(wake)
	return qo, nil
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
			c.gather()
			ops, more := c.take()
			if len(ops) > 0 {
				c.commit(ops)
				c.expect(ops)
			}
			if !more {
				break
			}
		}
		if c.over() {
			return
		}
		c.refill()
	}
}

// gather waits for company: under load each commit is shared by most of those who have lately been
// waiting at a time. It costs the same two syncs, however many share it.
func (c *committer) gather() {
	c.mu.Lock()
	select {
	case <-c.gathered: // an earlier company
	default:
	}
	enough := c.company < leastCompany || c.awaited >= c.company || c.stopping
	c.mu.Unlock()
	if enough {
		return
	}
	t := time.NewTimer(min(max(gatherLeast, c.took), gatherMost))
	defer t.Stop()
	select {
	case <-c.gathered:
	case <-t.C:
	}
}

// expect learns from a commit how many will be waiting before the next one.
func (c *committer) expect(ops []*queuedOp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.company = (c.awaited + awaitedOf(ops)) * 3 / 4
}

func awaitedOf(ops []*queuedOp) (n int) {
	for _, op := range ops {
		if op.result != nil {
			n++
		}
	}
	return n
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
	c.awaited -= awaitedOf(ops)
	live := ops[:0]
	for _, op := range ops {
		if op.state.CompareAndSwap(opQueued, opTaken) {
			live = append(live, op)
		}
	}
	return live, len(c.ops) > 0
}

// commit applies the operations in one transaction.
func (c *committer) commit(ops []*queuedOp) {
	began := time.Now()
	defer func() { c.took = time.Since(began) }()
	for len(ops) > 0 {
		t, err := c.transact(ops)
		culprit, ok := errors.AsType[*opError](err)
		switch {
		case err == nil:
			if t.changed && c.q.committed != nil {
				c.q.committed(time.Since(began), len(ops))
			}
			c.succeeded(t, ops)
			return
		case !ok:
			c.failed(t, ops, err)
			return
		}
		// Without it, the others go on.
		op := ops[culprit.index]
		ops = append(ops[:culprit.index:culprit.index], ops[culprit.index+1:]...)
		c.dismiss(op, err)
	}
}

func (c *committer) succeeded(t *fileTx, ops []*queuedOp) {
	t.publish()
	for _, op := range ops {
		op.done()
		op.answer(op.refused)
	}
}

// dismiss answers an operation that could not be committed, unless it is a fact.
func (c *committer) dismiss(op *queuedOp, err error) {
	if op.rank() == rankFact {
		c.retry([]*queuedOp{op}, err)
		return
	}
	op.answer(fmt.Errorf("store: %w", err))
}

// retry puts facts back in front, so that they stay before what came later, and comes
// back to them after a while.
func (c *committer) retry(ops []*queuedOp, cause error) {
	if len(ops) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		c.q.log.Error("store: closing with outcomes that could not be committed; their messages will be delivered again",
			"settlements", len(ops), "error", cause)
		for _, op := range ops {
			op.answer(fmt.Errorf("store: %w", cause))
		}
		return
	}
	for _, op := range ops {
		op.state.Store(opQueued)
	}
	c.awaited += awaitedOf(ops)
	c.ops = append(ops, c.ops...)
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
type nothing struct{ vital }

func (nothing) apply(*fileTx) error { return nil }
