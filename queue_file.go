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
)

// fileQueue is the embedded store: bbolt, one committer goroutine that gathers
// pushes and settlements into one transaction, and per lane no more in memory than
// counters and what is in hand.
//
// What is committed lies in buckets (see fileTx). Claims live in memory only: they
// end with the process, as nobody else can open the file.
type fileQueue struct {
	path  string
	clock steadyClock
	log   *slog.Logger
	room  fileRoom

	openMu   sync.Mutex // held while opening and closing
	mu       sync.RWMutex
	db       *bbolt.DB // nil until opened, and while the committer opens it again
	trouble  error     // why it does
	damage   error     // why it is used no more
	opened   bool
	closed   bool
	running  []byte // the mark that is in the file while we have it open
	pageSize int64

	lanesMu sync.Mutex
	lanes   map[string]*fileLane
	names   []string // of lanes, sorted
	lastID  uint32

	committer   committer
	commitTx    func(*bbolt.Tx) error                    // tests let it fail
	compactFrom int64                                    // bytes of the file
	committed   func(took time.Duration, operations int) // nil: nobody wants to know
	backingUp   chan struct{}                            // full while somebody does
}

func newFileQueue(path string, now func() time.Time, log *slog.Logger) *fileQueue {
	q := &fileQueue{path: path, log: log, lanes: make(map[string]*fileLane), commitTx: (*bbolt.Tx).Commit, compactFrom: compactFrom,
		backingUp: make(chan struct{}, 1)}
	q.clock.wall = now
	q.room.q, q.room.floor = q, defaultDiskFloor
	return q
}

// Open opens the file, and creates it if need be. Every other method does so
// too; a failed open is tried again with the next call.
func (q *fileQueue) Open(ctx context.Context) error { return q.ready(ctx) }

// Close commits what is pending and closes the file.
func (q *fileQueue) Close() error {
	q.openMu.Lock()
	defer q.openMu.Unlock()
	q.mu.RLock()
	opened, closed := q.opened, q.closed
	q.mu.RUnlock()
	if opened && !closed {
		q.giveBackLanes()
		q.committer.stop()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	switch {
	case q.db == nil:
		return nil
	case q.damage != nil:
		return q.db.Close()
	}
	if err := guard(q.seal); err != nil {
		q.log.Warn("store: not closed cleanly; the next start will take more care", "error", err)
	}
	return q.db.Close()
}

func (q *fileQueue) giveBackLanes() {
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	for _, l := range q.lanes {
		l.mu.Lock()
		l.held = false
		l.giveBackAll(q, false)
		l.mu.Unlock()
	}
}

// ready opens the store if need be.
func (q *fileQueue) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.RLock()
	opened, closed, damage := q.opened, q.closed, q.damage
	q.mu.RUnlock()
	switch {
	case closed:
		return fmt.Errorf("%s: %w", q.path, ErrClosed)
	case damage != nil:
		return damage
	case opened:
		return nil
	}
	return q.open()
}

// view reads from the store, which is ready.
func (q *fileQueue) view(read func(*bbolt.Tx) error) error {
	var refused error // by what was read, which is no damage to the file
	err := guard(func() error {
		q.mu.RLock()
		defer q.mu.RUnlock()
		switch {
		case q.closed:
			refused = fmt.Errorf("%s: %w", q.path, ErrClosed)
		case q.damage != nil:
			refused = q.damage
		case q.db == nil:
			refused = fmt.Errorf("store: %w", q.trouble)
		default:
			touchMeta(q.db)
			return q.db.View(func(tx *bbolt.Tx) error {
				refused = read(tx)
				return nil
			})
		}
		return nil
	})
	if errors.Is(err, ErrCorrupt) {
		q.condemn(err)
	}
	return errors.Join(refused, err)
}

// begin starts the committer's next transaction. Pages that no reader needs any more
// become free with it: without room, readers wait, so that this is all.
func (q *fileQueue) begin() (*bbolt.Tx, error) {
	if q.room.isShort() {
		q.mu.Lock()
		defer q.mu.Unlock()
	} else {
		q.mu.RLock()
		defer q.mu.RUnlock()
	}
	switch {
	case q.damage != nil:
		return nil, q.damage
	case q.db == nil:
		return nil, q.trouble
	}
	touchMeta(q.db)
	return q.db.Begin(true)
}

// commit writes a transaction. The list of free pages goes with it only while it is
// short: a long one, as after a drain, would be rewritten by every commit. Without
// it, the next open, and bbolt after a failed commit, have to look at every page.
func (q *fileQueue) commit(tx *bbolt.Tx) error {
	db, most := tx.DB(), maxListed
	if q.room.isShort() {
		most = maxListedShort
	}
	s := db.Stats()
	db.NoFreelistSync = s.FreePageN+s.PendingPageN > most
	return q.write(tx)
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

// known returns the lane of that name, or nil.
func (q *fileQueue) known(name string) *fileLane {
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	return q.lanes[name]
}

func (q *fileQueue) addLane(name string, id uint32) *fileLane {
	// Tokens of an earlier opening must not fit: start anywhere.
	l := &fileLane{name: name, id: id, rec: laneRecord{id: id}, epoch: rand.Uint64()} // #nosec G404 -- to be unlike others, not secret
	q.lanes[name] = l
	i, _ := slices.BinarySearch(q.names, name)
	q.names = slices.Insert(q.names, i, name)
	return l
}

func (q *fileQueue) Lanes(ctx context.Context, after string, max int) ([]LaneInfo, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	now := q.clock.now()
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	i, found := slices.BinarySearch(q.names, after)
	if found {
		i++
	}
	var infos []LaneInfo
	for ; i < len(q.names) && len(infos) < max; i++ {
		if info := q.lanes[q.names[i]].info(now); info.Waiting+info.Dead > 0 || info.Paused {
			infos = append(infos, info)
		}
	}
	return infos, nil
}

func (q *fileQueue) Payload(ctx context.Context, lane string, key Key) ([]byte, error) {
	if err := q.ready(ctx); err != nil {
		return nil, err
	}
	l := q.known(lane)
	if l == nil {
		return nil, fmt.Errorf("message %v: %w", key, ErrNotFound)
	}
	// Deliveries that wait for their commit are gone already.
	if err := q.committer.flush(ctx); err != nil {
		return nil, err
	}
	var payload []byte
	err := q.view(func(tx *bbolt.Tx) (err error) {
		payload, err = readPayload(tx, l.id, key)
		return err
	})
	return payload, err
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
			return fmt.Errorf("push: %w", errLaneName)
		}
		if len(m.Payload) > maxPayload {
			return fmt.Errorf("push: a payload has at most %d bytes, this one %d", maxPayload, len(m.Payload))
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

// maxPayload is what bbolt can still keep in one piece.
const maxPayload = 1 << 30

// So many free pages, 8 bytes each, are listed with every commit; and without room no
// more than one page can name, as there may be no two in a row.
const (
	maxListed      = 2048
	maxListedShort = 256
)

// String keeps the path out of %v of a Repeater's parts.
func (q *fileQueue) String() string { return "file store " + strings.ToValidUTF8(q.path, "?") }
