package repeater

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// initialMmap reserves address space, not memory, so that the file seldom has to be mapped anew.
const initialMmap = 1 << 30

func (q *fileQueue) open() error {
	q.openMu.Lock()
	defer q.openMu.Unlock()
	q.mu.RLock()
	done, closed := q.opened, q.closed
	q.mu.RUnlock()
	switch {
	case closed:
		return fmt.Errorf("%s: %w", q.path, ErrClosed)
	case done:
		return nil
	}
	if err := q.openFile(); err != nil {
		if errors.Is(err, ErrCorrupt) {
			q.condemn(err)
		}
		return err
	}
	q.committer.start(q)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened = true
	return nil
}

func (q *fileQueue) openFile() error {
	path := realPath(q.path)
	create(path)
	db, err := openBolt(path, os.O_CREATE)
	if err != nil {
		return err
	}
	err = guard(func() error {
		if db, err = q.compact(db, path); err != nil {
			return err
		}
		return q.load(db)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("open store %s: %w", q.path, err), db.Close())
	}
	return nil
}

// storePage is the page size of a new file. A commit writes page by page, and of larger ones fewer; a
// page of 16 KiB also wastes less at its end with requests of a few KiB.
const storePage = 16 << 10

// create gives the file its name when it is whole and synced, if there is none yet: a power loss
// while bbolt writes its first pages would leave what no later start can open. Where that
// cannot be done so, bbolt does it in place.
func create(path string) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	fresh := path + ".new"
	_ = os.Remove(fresh) // of a start that was interrupted
	db, err := bbolt.Open(fresh, 0o600, &bbolt.Options{PageSize: storePage, Timeout: time.Millisecond})
	if err == nil && db.Close() == nil {
		_ = os.Link(fresh, path) // never in the place of another's
	}
	_ = os.Remove(fresh)
}

// openBolt opens the file for us alone. flag is os.O_CREATE or 0.
func openBolt(path string, flag int) (*bbolt.DB, error) {
	alarm := newAlarm()
	db, err := openTrusted(path, &bbolt.Options{
		Timeout:         time.Millisecond, // say at once that it is locked
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        storePage,
		NoFreelistSync:  true, // see fileQueue.commit
		InitialMmapSize: initialMmap,
		OpenFile: func(name string, flags int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(name, flags&^os.O_CREATE|flag, mode) // #nosec G304 -- the store that the program named
			if err == nil {
				err = checkFile(file)
			}
			alarm.file = file
			return file, err
		},
		Logger: alarm,
	})
	if errors.Is(err, berrors.ErrTimeout) || errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("%s: %w: one file serves one process; use Redis to run several", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	if err = stillThere(alarm.file, path); err == nil {
		err = syncDir(filepath.Dir(path)) // a new file's name must survive a power loss, too
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return db, nil
}

// openTrusted lets bbolt open a file, whose pages have been checked.
func openTrusted(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	return db, guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
}

// load reads what the store needs in memory, and signs the file.
func (q *fileQueue) load(db *bbolt.DB) error {
	fresh := false
	err := db.View(func(tx *bbolt.Tx) (err error) {
		if fresh, err = checkVersion(tx); fresh || err != nil {
			return err
		}
		if err := checkBuckets(tx); err != nil {
			return err
		}
		record := readCommit(tx)
		q.clock.goOn(record.clock)
		q.committer.number, q.committer.chunks = record.number, countChunks(tx)
		q.running = bytes.Clone(tx.Bucket(bucketMeta).Get(keyRunning))
		return q.loadLanes(tx, q.running != nil)
	})
	if err != nil {
		return err
	}
	if err := q.sign(db, fresh); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.db, q.pageSize = db, int64(db.Info().PageSize)
	return nil
}

// loadLanes reads the lanes. Where the last process has died, the messages that it may
// have had in hand are suspects.
func (q *fileQueue) loadLanes(tx *bbolt.Tx, died bool) error {
	q.lanesMu.Lock()
	defer q.lanesMu.Unlock()
	clear(q.lanes)
	q.names = nil
	hands := tx.Bucket(bucketHand)
	return tx.Bucket(bucketLanes).ForEach(func(name, v []byte) error {
		rec, err := decodeLane(name, v)
		if err != nil {
			return fmt.Errorf("lane %q: %w", name, err)
		}
		l := q.addLane(string(name), rec.id)
		l.rec, l.state = rec, rec.laneState
		if hands != nil {
			l.lost = decodeHand(hands.Get(laneKey(l.id, 4)))
		}
		if died && rec.waiting > 0 {
			l.suspects, l.suspect = maxSuspects, rec.seq
		}
		q.lastID = max(q.lastID, rec.id)
		return nil
	})
}

// sign leaves a mark that is there until a clean end, and fills the reserve. A store that
// has no room even for that can still be drained.
func (q *fileQueue) sign(db *bbolt.DB, fresh bool) error {
	mark := make([]byte, 8)
	_, _ = rand.Read(mark)
	write := func(reserve bool) error {
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if err := createBuckets(tx); err != nil {
			return err
		}
		if err := tx.Bucket(bucketMeta).Put(keyRunning, mark); err != nil {
			return err
		}
		if reserve {
			if err := fillReserve(tx); err != nil {
				return err
			}
		}
		return q.commit(tx)
	}
	err := write(true)
	if err == nil {
		q.running, q.committer.chunks = mark, reserveChunks
		return nil
	}
	if !isNoRoom(err) {
		return err
	}
	q.room.runOut(err)
	if err = write(false); err == nil {
		q.running = mark
		return nil
	}
	if fresh || !isNoRoom(err) {
		return err
	}
	return nil
}

var errOvertaken = errors.New("another process has changed the file meanwhile; start this one again")

// reopen opens the file anew, and returns the chunks of its reserve. Claims and lanes in
// memory stay valid: nobody else can have changed the file without leaving a mark.
func (q *fileQueue) reopen(cause error) (chunks int, err error) {
	q.mu.Lock()
	db := q.db
	q.db, q.trouble = nil, cause
	q.mu.Unlock()
	if db != nil {
		_ = db.Close() // whatever it says, this one is not used any more
	}
	if db, err = openBolt(q.path, 0); err != nil {
		return 0, err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if fresh, err := checkVersion(tx); fresh || err != nil {
			return errors.Join(errOvertaken, err)
		}
		if !bytes.Equal(tx.Bucket(bucketMeta).Get(keyRunning), q.running) {
			return errOvertaken
		}
		chunks = countChunks(tx)
		return nil
	})
	if err != nil {
		return 0, errors.Join(fmt.Errorf("%s: %w", q.path, err), db.Close())
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.db = db
	return chunks, nil
}

// seal ends the file's use: it takes the mark away, and lists the free pages, so that the
// next open need not look for them.
func (q *fileQueue) seal() error {
	touchMeta(q.db)
	tx, err := q.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	meta := tx.Bucket(bucketMeta)
	if err := meta.Delete(keyRunning); err != nil {
		return err
	}
	if err := meta.Put(keyCommit, commitRecord{q.committer.number + 1, q.clock.read()}.encode()); err != nil {
		return err
	}
	q.db.NoFreelistSync = false
	return q.write(tx)
}
