package repeater

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
)

// The file never shrinks while it is used: pages of what has been delivered are used
// again. A large file of which most is free is rewritten when it is opened, unless
// that would take long.
const (
	compactFrom = 64 << 20 // bytes of the file
	compactFree = 4        // all but this part of it is free
	compactMost = 1 << 30  // bytes to rewrite
	compactTx   = 8 << 20
)

func compactPath(path string) string { return path + ".compact" }

// compact returns the store to go on with: a rewritten one in the place of db, which is
// closed, or db. A crash leaves the one or the other under the file's name, whole.
func (q *fileQueue) compact(db *bbolt.DB, path string) (*bbolt.DB, error) {
	// We have the file to ourselves: what an interrupted compaction or backup has left is nobody's.
	_, _ = os.Remove(compactPath(path)), os.Remove(backupPath(path))
	size, used := pagesOf(db)
	if size < q.compactFrom || used > size/compactFree || used > compactMost || runtime.GOOS == "windows" {
		return db, nil
	}
	if free := diskFree(filepath.Dir(path)); free >= 0 && free < used+max(0, q.room.floor) {
		return db, nil
	}
	started := time.Now()
	small, err := rewrite(db, path)
	if err != nil {
		q.log.Warn("store: the file could not be compacted", "error", err)
		return db, nil
	}
	_ = db.Close() // nothing of it is needed any more
	// Until this is done, a power loss may bring the old file back.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return small, err
	}
	after, _ := pagesOf(small)
	q.log.Info("store: compacted", "before", size, "after", after, "took", time.Since(started).Round(time.Millisecond).String())
	return small, nil
}

// pagesOf returns the bytes of the file, and those that are not free.
func pagesOf(db *bbolt.DB) (size, used int64) {
	_ = db.View(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	})
	s := db.Stats()
	return size, size - int64(s.FreePageN+s.PendingPageN)*int64(db.Info().PageSize)
}

// rewrite puts a copy of db in the place of its file. The copy is locked before it is there.
func rewrite(db *bbolt.DB, path string) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	small, err := openBolt(compactPath(path), os.O_CREATE)
	if err != nil {
		return nil, err
	}
	small.NoSync = true
	err = bbolt.Compact(small, db, compactTx)
	small.NoSync = false
	if err == nil {
		err = small.Sync()
	}
	if err == nil {
		err = os.Chmod(compactPath(path), info.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(compactPath(path), path)
	}
	if err != nil {
		return nil, errors.Join(err, small.Close(), os.Remove(compactPath(path)))
	}
	return small, nil
}

// realPath follows symbolic links, so that what is replaced is the file and not its name.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// stillThere fails when the file we have opened and locked is no longer the one of that
// name: another process may have compacted it in between.
func stillThere(file *os.File, path string) error {
	ours, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(ours, named) {
		return fmt.Errorf("%w: it has just been replaced", ErrLocked)
	}
	return nil
}
