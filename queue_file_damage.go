package repeater

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/boltfile"
)

// bbolt maps the file and trusts it. Pages are therefore checked before it opens one; what
// goes wrong later, as when the disk cannot read a page, surfaces as a fault or a panic
// wherever the map is read, and ends the use of the file: nothing more is written to it, and every
// call fails until it has been repaired, or read without fault by the next process.
//
// One case is left, in which the process dies: when a commit fails, bbolt may look for
// free pages on a goroutine of its own (DB.freepages), and the disk cannot read one of them.

// guard turns panics of bbolt, and faults in the mapped file, into errors.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damageError(p)
		}
	}()
	return do()
}

func damageError(what any) error {
	return fmt.Errorf("%w: %v; the command \"repair\" saves what can be read", ErrCorrupt, what)
}

// faulted says whether a panic is a part of the file that cannot be read.
func faulted(p any) bool {
	_, ok := p.(interface{ Addr() uintptr })
	return ok
}

// touchMeta faults where bbolt would, but before it holds locks that it would keep.
func touchMeta(db *bbolt.DB) {
	info := db.Info()
	first := *(**byte)(unsafe.Pointer(&info.Data))                      // #nosec G103 -- reads what is mapped
	second := (*byte)(unsafe.Add(unsafe.Pointer(first), info.PageSize)) // #nosec G103 -- and one page more
	touched.Store(uint32(*first) + uint32(*second))
}

var touched atomic.Uint32 // so that the compiler believes in it

// checkFile finds damage before bbolt trusts a file, which is locked from then on.
func checkFile(file *os.File) error {
	if err := lockFile(file); err != nil {
		return ErrLocked
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	err = boltfile.Check(file, info.Size())
	if damage, ok := errors.AsType[*boltfile.Damage](err); ok {
		return damageError(damage)
	}
	return err
}

// condemn ends the use of the file.
func (q *fileQueue) condemn(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.damage != nil {
		return
	}
	q.damage = fmt.Errorf("store %s: %w", q.path, err)
	q.log.Error("store: the file is damaged; nothing is taken or delivered until it is repaired", "error", err)
}

// giveUp answers all operations, also those that have happened in memory: their messages
// will be delivered again from what is repaired.
func (c *committer) giveUp(ops []*queuedOp, err error) {
	c.q.condemn(err)
	c.mu.Lock()
	c.broken, c.ruined = err, true
	ops = append(ops, c.ops...)
	c.ops, c.awaited = nil, 0
	c.mu.Unlock()
	for _, op := range ops {
		op.answer(fmt.Errorf("store: %w", err))
	}
}
