package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/webhook-repeater/repeater/internal/boltfile"
)

// checkFile looks at a store without changing it. A server that has it in use keeps others out.
func checkFile(path string, floor int64) []finding {
	const name = "store"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return append([]finding{checkFolder(path)}, checkRoom(path, floor, nothingInside)...)
	case err != nil:
		return []finding{{name, levelFailed, reasonOf(path, err)}}
	case !info.Mode().IsRegular():
		return []finding{{name, levelFailed, path + " is not a file"}}
	case info.Size() == 0:
		return append([]finding{{name, levelOK, path + " is empty, and becomes a store"}}, checkRoom(path, floor, nothingInside)...)
	}
	var findings []finding
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		findings = append(findings, finding{name, levelWarning,
			fmt.Sprintf("%s has mode %04o, so that others on this machine can get at it; chmod 600 ends that", path, mode)})
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // #nosec G304 -- the operator names the file
	if err != nil {
		return append(findings, finding{name, levelFailed, reasonOf(path, err)})
	}
	_ = f.Close() // nothing was written
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Millisecond})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		findings = append(findings, finding{name, levelOK, fmt.Sprintf("%s (%s) is in use by a server", path, bytesOf(info.Size()))})
		return append(findings, checkRoom(path, floor, nil)...)
	case err != nil:
		return append(findings, finding{name, levelFailed,
			fmt.Sprintf("%s cannot be read as a store: %v; look whether it is the store file at all, and if so, webhook-repeater repair %s saves what can be read",
				path, err, shellWord(path))})
	}
	err = checkPages(path)
	_ = db.Close() // nor here
	switch damage, ok := errors.AsType[*boltfile.Damage](err); {
	case ok:
		return append(findings, finding{name, levelFailed,
			fmt.Sprintf("%s is damaged: %v; webhook-repeater repair %s saves what can be read", path, damage, shellWord(path))})
	case err != nil:
		return append(findings, finding{name, levelFailed, reasonOf(path, err)})
	}
	findings = append(findings, finding{name, levelOK, fmt.Sprintf("%s (%s) can be read and written", path, bytesOf(info.Size()))})
	return append(findings, checkRoom(path, floor, freePages)...)
}

// checkPages looks at all pages, as the server does when it starts, while nobody can change them.
func checkPages(path string) error {
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat() // only now does nobody change it
	if err != nil {
		return err
	}
	return boltfile.Check(f, info.Size())
}

// checkFolder tells whether a store can be made.
func checkFolder(path string) finding {
	f, err := os.CreateTemp(filepath.Dir(path), ".webhook-repeater-check-*")
	if err != nil {
		return finding{"store", levelFailed, path + " is not there, and cannot be made: " + reasonOf(filepath.Dir(path), err)}
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if err != nil {
		return finding{"store", levelFailed, reasonOf(filepath.Dir(path), err)}
	}
	return finding{"store", levelOK, path + " is not there yet, and can be made"}
}

func reasonOf(path string, err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Sprintf("%s: %v", path, err)
}
