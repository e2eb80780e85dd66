package repeater

import (
	"os"
	"reflect"
	"sync/atomic"
	"unsafe"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/powerloss"
)

// WithDisk lets a file store that is not yet opened record on d what it writes.
//
// Seen are all writes of each commit, as bbolt makes them through DB.ops.writeAt, and the
// size of the file before each. What cannot be seen is that it syncs, by a system call of its own.
// Trusted for that is the source of bbolt (v1.5.0), unless DB.NoSync is set:
//   - Tx.write syncs when all pages of a transaction are written;
//   - Tx.writeMeta, which Tx.Commit calls after it, writes the meta page, which makes them
//     count, and syncs that before Commit returns nil;
//   - DB.grow, which Commit calls before both, syncs the file's new size.
//
// Trusted, too, is that a file has been synced when it gets its name: DB.init and create see to that for
// a new one, and rewrite for a compacted one. Its name is synced (syncDir) before the first commit.
func (q *FileQueue) WithDisk(d *powerloss.Disk) *FileQueue {
	files := make(map[*bbolt.DB]*powerloss.File)
	commit := q.commitTx
	q.commitTx = func(tx *bbolt.Tx) error {
		db := tx.DB()
		f := files[db]
		if f == nil {
			content, err := powerloss.Read(db.Path())
			if err != nil {
				return err
			}
			f = d.Named(content)
			files[db] = f
			f.Sync()
			record(db, f)
		}
		err := commit(tx)
		if err == nil && !db.NoSync {
			f.Sync()
		}
		return err
	}
	return q
}

// record puts itself between bbolt and its file.
func record(db *bbolt.DB, f *powerloss.File) {
	writeAt := writeAtOf(db)
	next, page, size := *writeAt, int64(db.Info().PageSize), int64(0)
	*writeAt = func(b []byte, at int64) (int, error) {
		info, err := os.Stat(db.Path())
		if err != nil {
			return 0, err
		}
		if info.Size() != size {
			size = info.Size()
			f.Grow(size)
		}
		if at < 2*page && !db.NoSync {
			f.Sync()
		}
		f.Write(b, at)
		return next(b, at)
	}
}

// writeAtOf is where bbolt keeps the function through which it writes to its file.
func writeAtOf(db *bbolt.DB) *func([]byte, int64) (int, error) {
	seam := reflect.ValueOf(db).Elem().FieldByName("ops").FieldByName("writeAt")
	return (*func([]byte, int64) (int, error))(unsafe.Pointer(seam.UnsafeAddr()))
}

// CountWritten counts what an opened file store writes to its file from now on, and the commits, each of which
// ends with a meta page.
func (q *FileQueue) CountWritten() (bytes, commits *atomic.Int64) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	bytes, commits = new(atomic.Int64), new(atomic.Int64)
	writeAt := writeAtOf(q.db)
	next := *writeAt
	*writeAt = func(b []byte, at int64) (int, error) {
		bytes.Add(int64(len(b)))
		if at < 2*q.pageSize {
			commits.Add(1)
		}
		return next(b, at)
	}
	return bytes, commits
}

// CompactFrom lets a file that is not yet opened be compacted from so many bytes on.
func (q *FileQueue) CompactFrom(bytes int64) *FileQueue {
	q.compactFrom = bytes
	return q
}
