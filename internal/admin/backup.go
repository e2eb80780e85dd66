package admin

import (
	"errors"
	"net/http"
	"time"
)

const opBackup = "GET /api/v1/backup"

// ErrNoRoom is Options.Backup's answer where the disk cannot take the copy.
var ErrNoRoom = errors.New("no room for a copy")

// backup sends all that is stored. Once that has begun, no status can tell of a failure: the connection is broken,
// which every client notices.
func (a *api) backup(w http.ResponseWriter, r *http.Request) {
	if a.opts.Backup == nil {
		fail(w, http.StatusForbidden, "backups are not allowed, as they hold all that is stored; allow_backup under [admin] allows them")
		return
	}
	name := "webhook-repeater-" + time.Now().UTC().Format("20060102T150405Z") + ".db"
	b := &backupWriter{w: w, name: name}
	err := a.opts.Backup(r.Context(), b)
	switch {
	case err == nil:
	case b.begun:
		panic(http.ErrAbortHandler)
	case errors.Is(err, errors.ErrUnsupported):
		fail(w, http.StatusNotImplemented, "the store in use has no backup of its own; Redis is copied by its own means")
	case errors.Is(err, ErrNoRoom):
		fail(w, http.StatusInsufficientStorage, "the disk of the store has no room for a copy")
	default:
		fail(w, http.StatusServiceUnavailable, "there is no backup now; the log tells why")
	}
}

// backupWriter says what comes once it comes.
type backupWriter struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

func (b *backupWriter) Write(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.w.Header().Set("Content-Type", "application/octet-stream")
		b.w.Header().Set("Content-Disposition", `attachment; filename="`+b.name+`"`)
	}
	return b.w.Write(p)
}
