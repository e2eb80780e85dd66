package repeater

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// fileQueue is the embedded store: bbolt, one committer goroutine that gathers
// pushes and settlements into one transaction, and per lane no more in memory than
// counters and what is in hand.
//
// What is committed lies in buckets (see fileTx). Claims live in memory only: they
// end with the process, as nobody else can open the file.
type fileQueue struct {
	path string
	now  func() time.Time // for what is persisted; what is not uses the monotonic clock
	log  *slog.Logger

	openMu sync.Mutex // held while opening and closing
	mu     sync.RWMutex
	db     *bbolt.DB // nil until opened
	closed bool

	lanesMu sync.Mutex
	lanes   map[string]*fileLane
	names   []string // of lanes, sorted
	lastID  uint32

	committer committer
}

func newFileQueue(path string, now func() time.Time, log *slog.Logger) *fileQueue {
	return &fileQueue{path: path, now: now, log: log, lanes: make(map[string]*fileLane)}
}

// Open opens the file, and creates it if need be. Every other method does so
// too; a failed open is tried again with the next call.
func (q *fileQueue) Open(ctx context.Context) error {
	_, done, err := q.use(ctx)
	if err != nil {
		return err
	}
	done()
	return nil
}

// Close commits what is pending and closes the file.
func (q *fileQueue) Close() error {
	q.openMu.Lock()
	defer q.openMu.Unlock()
	q.mu.RLock()
	db, closed := q.db, q.closed
	q.mu.RUnlock()
	if db != nil && !closed {
		q.committer.stop()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	if db == nil {
		return nil
	}
	return db.Close()
}

// use returns the open database, and a function to call when done with it.
func (q *fileQueue) use(ctx context.Context) (*bbolt.DB, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	q.mu.RLock()
	if q.db == nil && !q.closed {
		q.mu.RUnlock()
		if err := q.open(); err != nil {
			return nil, nil, err
		}
		q.mu.RLock()
	}
	if q.closed {
		q.mu.RUnlock()
		return nil, nil, fmt.Errorf("%s: %w", q.path, ErrClosed)
	}
	return q.db, q.mu.RUnlock, nil
}

func (q *fileQueue) open() error {
	q.openMu.Lock()
	defer q.openMu.Unlock()
	q.mu.RLock()
	done := q.db != nil || q.closed
	q.mu.RUnlock()
	if done {
		return nil
	}
	db, err := bbolt.Open(q.path, 0o600, &bbolt.Options{
		Timeout:         time.Millisecond, // say at once that it is locked
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true, // a synced freelist is rewritten by every commit of a drain
		InitialMmapSize: initialMmap,
		NoStatistics:    true,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("%s: %w: one file serves one process; use Redis to run several", q.path, ErrLocked)
	}
	if err != nil {
		return fmt.Errorf("open store %s: %w", q.path, err)
	}
	if err := q.load(db); err != nil {
		return errors.Join(fmt.Errorf("open store %s: %w", q.path, err), db.Close())
	}
	q.committer.start(q, db)
	q.mu.Lock()
	q.db = db
	q.mu.Unlock()
	return nil
}

// load makes the buckets and reads the lanes.
func (q *fileQueue) load(db *bbolt.DB) error {
	return db.Update(func(tx *bbolt.Tx) error {
		if err := createBuckets(tx); err != nil {
			return err
		}
		q.lanesMu.Lock()
		defer q.lanesMu.Unlock()
		return tx.Bucket(bucketLanes).ForEach(func(name, v []byte) error {
			rec, err := decodeLane(v)
			if err != nil {
				return fmt.Errorf("lane %q: %w", name, err)
			}
			l := q.addLane(string(name), rec.id)
			l.rec = rec
			l.pause = time.Now().Add(rec.pauseLeft(q.now()))
			q.lastID = max(q.lastID, rec.id)
			return nil
		})
	})
}

// lane returns the lane of that name, and makes it if need be.
func (q *fileQueue) lane(name string) *fileLane {
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	if l := q.lanes[name]; l != nil {
		return l
	}
	q.lastID++
	return q.addLane(name, q.lastID)
}

func (q *fileQueue) addLane(name string, id uint32) *fileLane {
	// Tokens of an earlier opening must not fit: start anywhere.
	l := &fileLane{name: name, id: id, rec: laneRecord{id: id}, epoch: rand.Uint64()}
	q.lanes[name] = l
	i, _ := slices.BinarySearch(q.names, name)
	q.names = slices.Insert(q.names, i, name)
	return l
}

func (q *fileQueue) Push(ctx context.Context, b Batch) (string, error) {
	if err := b.check(); err != nil {
		return "", err
	}
	_, done, err := q.use(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	p := &filePush{batch: b, id: b.ID}
	if err := q.committer.do(ctx, p); err != nil {
		return "", err
	}
	return p.id, nil
}

func (q *fileQueue) Settle(ctx context.Context, lane, token string, s []Settlement) error {
	_, done, err := q.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	op, wait, err := q.lane(lane).settle(q, token, s)
	if err != nil || op == nil {
		return err
	}
	if !wait {
		q.committer.ride(op)
		return nil
	}
	// The claims have ended in memory: the rest happens whether or not anybody waits.
	return q.committer.do(context.WithoutCancel(ctx), op)
}

func (q *fileQueue) Lanes(ctx context.Context, after string, max int) ([]LaneInfo, error) {
	_, done, err := q.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	i, found := slices.BinarySearch(q.names, after)
	if found {
		i++
	}
	var infos []LaneInfo
	for ; i < len(q.names) && len(infos) < max; i++ {
		if info := q.lanes[q.names[i]].info(); info.Waiting+info.Dead > 0 {
			infos = append(infos, info)
		}
	}
	return infos, nil
}

func (q *fileQueue) Dead(ctx context.Context, lane, cursor string, max int) ([]DeadLetter, string, error) {
	db, done, err := q.use(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	var letters []DeadLetter
	next := ""
	err = db.View(func(tx *bbolt.Tx) (err error) {
		letters, next, err = listDead(tx, q.lane(lane).id, cursor, max)
		return err
	})
	return letters, next, err
}

func (q *fileQueue) Payload(ctx context.Context, lane string, key Key) ([]byte, error) {
	db, done, err := q.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// Deliveries that wait for their commit are gone already.
	if err := q.committer.flush(ctx); err != nil {
		return nil, err
	}
	var payload []byte
	err = db.View(func(tx *bbolt.Tx) (err error) {
		payload, err = readPayload(tx.Bucket(bucketPayload), q.lane(lane).id, key)
		return err
	})
	return payload, err
}

func (q *fileQueue) Replay(ctx context.Context, lane string, keys []Key) (int, error) {
	return q.changeDead(ctx, &fileReplay{lane: q.lane(lane), keys: keys})
}

func (q *fileQueue) Drop(ctx context.Context, lane string, keys []Key) (int, error) {
	return q.changeDead(ctx, &fileReplay{lane: q.lane(lane), keys: keys, drop: true})
}

func (q *fileQueue) changeDead(ctx context.Context, op *fileReplay) (int, error) {
	_, done, err := q.use(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := q.committer.do(ctx, op); err != nil {
		return 0, err
	}
	return op.n, nil
}

// check finds what no store could keep.
func (b *Batch) check() error {
	switch {
	case b.ID == "" || len(b.ID) > maxID:
		return fmt.Errorf("push: an id has 1 to %d bytes, this one %d", maxID, len(b.ID))
	case len(b.Messages) == 0:
		return errors.New("push: the batch has no message")
	}
	for i, m := range b.Messages {
		if m.Lane == "" || len(m.Lane) > maxLane {
			return fmt.Errorf("push: a lane's name has 1 to %d bytes, this one %d", maxLane, len(m.Lane))
		}
		if m.Dest < 0 || m.Dest > maxDest {
			return fmt.Errorf("push: destination number %d is not within 0 to %d", m.Dest, maxDest)
		}
		for _, other := range b.Messages[:i] {
			if other.Dest == m.Dest {
				return fmt.Errorf("push: destination number %d comes twice", m.Dest)
			}
		}
	}
	return nil
}

// What a Queue must be able to name.
const (
	maxID   = 255
	maxLane = 1024
	maxDest = 1<<16 - 1
)

// initialMmap reserves address space, not memory, so that the file seldom has to be mapped anew.
const initialMmap = 1 << 30

// String keeps the path out of %v of a Repeater's parts.
func (q *fileQueue) String() string { return "file store " + strings.ToValidUTF8(q.path, "?") }
