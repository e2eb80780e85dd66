package repeater

import (
	"errors"
	"fmt"
	"io"
	"log"
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
// Where bbolt looks for free pages, it does so on a goroutine of its own (DB.freepages), and a bad
// page ends the process: it is let do so only after a check, when it opens the file, and when a commit fails
// (see alarm). What goes bad in the moment between is left.

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

// alarm is bbolt's logger: bbolt tells of an error in a commit before it rolls back, which nothing
// else could stop.
type alarm struct {
	bbolt.DefaultLogger
	file  *os.File
	armed atomic.Bool
}

func newAlarm() *alarm {
	return &alarm{DefaultLogger: bbolt.DefaultLogger{Logger: log.New(io.Discard, "", 0)}}
}

// Errorf panics where bbolt is about to look for free pages on damaged ones.
func (a *alarm) Errorf(string, ...any) {
	if !a.armed.CompareAndSwap(true, false) {
		return
	}
	if err := checkUnlisted(a.file); err != nil {
		panic(err)
	}
}

// write commits with the alarm on. A panic of bbolt becomes an error here, so that whoever has begun the
// transaction rolls it back, and closing the file need not wait for it.
func (q *fileQueue) write(tx *bbolt.Tx) error {
	a := tx.DB().Logger().(*alarm)
	a.armed.Store(true)
	defer a.armed.Store(false)
	return guard(func() error { return q.commitTx(tx) })
}

// checkUnlisted finds damage where there is no list of free pages.
func checkUnlisted(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	unlisted, err := boltfile.Unlisted(file, info.Size())
	if err != nil || !unlisted {
		return err
	}
	return boltfile.Check(file, info.Size())
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
	switch damage, ok := errors.AsType[*boltfile.Damage](err); {
	case ok && damage.Page == 0:
		return damageError(fmt.Sprintf("%v (look whether it is the store file at all)", damage))
	case ok:
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
