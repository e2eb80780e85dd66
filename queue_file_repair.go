package repeater

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/boltfile"
)

// RepairReport is what RepairFile has found.
type RepairReport struct {
	Waiting int      // messages saved that wait to be delivered
	Dead    int      // dead letters saved
	Lost    []Key    // messages of which a part is damaged or gone, and that were left out
	Unnamed int      // lanes whose name is lost; they are called "repaired", with a number
	Damage  []string // where the file is damaged, for people; at most 100 places
}

// RepairFile copies what can be read of a file store, damaged or not, into a new one, and reports
// what it had to leave out. The program that has used the file must have ended (else [ErrLocked]).
// damaged is not changed, so that nothing gets worse: look at the report, keep the damaged file,
// and give fresh its name. fresh must not exist yet; after any other error no file is left there.
// After an error the report is empty.
//
// What is saved is as it was pushed: each message has checksums over all that is stored of it.
// Order is kept. If a large part of the file's order is lost, messages may come back that had been
// delivered or dropped shortly before. Messages of which a part is missing, be it their payload or
// where they were to go, are in Lost, as far as their keys can be read.
//
// A copy has the permissions 0600, and contains whatever requests contain. RepairFile needs a few
// hundred bytes of memory for each message, and returns early with ctx's error when ctx ends.
func RepairFile(ctx context.Context, damaged, fresh string) (RepairReport, error) {
	file, err := os.Open(damaged) // #nosec G304 -- the store that the caller names
	if err != nil {
		return RepairReport{}, err
	}
	defer file.Close()
	if err := lockFile(file); err != nil {
		return RepairReport{}, fmt.Errorf("%s: %w", damaged, ErrLocked)
	}
	info, err := file.Stat()
	if err != nil {
		return RepairReport{}, err
	}
	db, err := openBolt(fresh, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return RepairReport{}, err
	}
	db.NoSync = true
	r := &repair{db: db, cards: make(map[Key]repaired), payloads: make(map[Key]uint32), lanes: make(map[uint32]*laneRecord), names: make(map[uint32]string)}
	err = r.run(ctx, file, info.Size())
	if err == nil {
		err = db.Sync()
	}
	if err = errors.Join(err, db.Close()); err == nil {
		err = syncDir(filepath.Dir(fresh))
	}
	if err != nil {
		return RepairReport{}, errors.Join(fmt.Errorf("repair %s: %w", damaged, err), os.Remove(fresh))
	}
	return r.report, nil
}

// repair is a repair under way.
type repair struct {
	db     *bbolt.DB
	tx     *bbolt.Tx
	bytes  int // written with tx
	report RepairReport

	cards    map[Key]repaired
	payloads map[Key]uint32 // their lanes
	lanes    map[uint32]*laneRecord
	names    map[uint32]string
}

// repaired is where a message's card belongs.
type repaired struct {
	card
	lane  uint32
	place []byte // the bucket
	at    []byte // its key there
	stale bool   // found on a page that may have been free
}

func (r *repair) run(ctx context.Context, file *os.File, size int64) (err error) {
	if r.tx, err = r.db.Begin(true); err != nil {
		return err
	}
	defer func() { _ = r.tx.Rollback() }()
	if err := createBuckets(r.tx); err != nil {
		return err
	}
	err = boltfile.Salvage(file, size, func(path []string, k, v []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return r.visit(path, k, v)
	}, func(d *boltfile.Damage) {
		if len(r.report.Damage) < 100 {
			r.report.Damage = append(r.report.Damage, d.Error())
		}
	})
	if err != nil {
		return err
	}
	if err := r.build(); err != nil {
		return err
	}
	return r.tx.Commit()
}

// put writes, and commits once in a while, so that memory does not hold all of it.
func (r *repair) put(bucket, k, v []byte) error {
	if err := r.tx.Bucket(bucket).Put(k, bytes.Clone(v)); err != nil { // bbolt keeps it until it commits
		return err
	}
	return r.wrote(len(k) + len(v))
}

func (r *repair) wrote(bytes int) (err error) {
	if r.bytes += bytes + 64; r.bytes < compactTx {
		return nil
	}
	r.bytes = 0
	if err := r.tx.Commit(); err != nil {
		return err
	}
	r.tx, err = r.db.Begin(true)
	return err
}
