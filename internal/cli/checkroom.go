package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater/internal/boltfile"
	"github.com/webhook-repeater/repeater/internal/seam"
)

// checkRoom has nothing to say as long as there is twice the room that is to be left free. What is free
// inside the file counts as well; inside is nil where only a server knows that.
func checkRoom(path string, floor int64, inside func(path string) int64) []finding {
	free := seam.DiskFree(filepath.Dir(path))
	if free < 0 || free-floor >= floor {
		return nil
	}
	lowest, where := levelWarning, "on the disk of "+path
	if inside != nil {
		if free += inside(path); free-floor >= floor {
			return nil
		}
		lowest = levelFailed
	}
	if free < floor {
		text := fmt.Sprintf("%s is free %s, less than the disk_floor of %s: senders hear 503", bytesOf(free), where, bytesOf(floor))
		if inside == nil {
			text += ", once the file has no room inside"
		}
		return []finding{{"disk", lowest, text}}
	}
	return []finding{{"disk", levelWarning, fmt.Sprintf("%s is free %s: below the disk_floor of %s, senders will hear 503, and before that those whose lanes hold most",
		bytesOf(free), where, bytesOf(floor))}}
}

// nothingInside is for a file that is not there yet.
func nothingInside(string) int64 { return 0 }

// freePages returns the bytes of a store that are free to be used again. It looks for damage first, at
// which bbolt would end the process.
func freePages(path string) int64 {
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || boltfile.Check(f, info.Size()) != nil {
		return 0
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true, Timeout: time.Millisecond})
	if err != nil {
		return 0
	}
	defer db.Close()
	return int64(db.Stats().FreePageN) * int64(db.Info().PageSize)
}
