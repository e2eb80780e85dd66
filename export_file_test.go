package repeater

import (
	"log/slog"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// FileSetup is what tests of the file store change of it; zero values change nothing.
type FileSetup struct {
	Clock     func() time.Time
	Log       *slog.Logger
	DiskFloor int64
	Commit    func(commit func() error) error // instead of each commit
}

// NewFileQueueWith opens the file store as NewFileQueue does, but for what is set up.
func NewFileQueueWith(path string, s FileSetup) *FileQueue {
	q := NewFileQueue(path)
	if s.Clock != nil {
		q.clock.wall = s.Clock
	}
	if s.Log != nil {
		q.log = s.Log
	}
	if s.DiskFloor != 0 {
		q.room.floor = s.DiskFloor
	}
	if s.Commit != nil {
		q.commitTx = func(tx *bbolt.Tx) error { return s.Commit(tx.Commit) }
	}
	return q
}

// Unwritable lets bbolt fail to write to the file while it commits.
func Unwritable(q *FileQueue, commit func() error) error {
	q.mu.RLock()
	file := q.db.Logger().(*alarm).file
	q.mu.RUnlock()
	readable, err := os.Open(file.Name())
	if err != nil {
		return err
	}
	defer readable.Close()
	was := *file
	*file = *readable
	defer func() { *file = was }()
	return commit()
}

// DiskFree is what the file store knows of a disk.
var DiskFree = diskFree

// StillThere is asked after each opening of the file.
var StillThere = stillThere

// FileAwaited returns how many operations that somebody waits for have not been taken yet, as the committer counts them.
func FileAwaited(q *FileQueue) int {
	q.committer.mu.Lock()
	defer q.committer.mu.Unlock()
	return q.committer.awaited
}
