package repeater

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// backuper is a store of our own that can be copied while it is in use.
type backuper interface {
	backup(ctx context.Context, w io.Writer) error
}

// Backup writes a copy of the file store to w, as it is at one moment, while everything goes on: a
// file that can take the place of the store's in a Repeater that is not running. Every request that
// was answered with 200 before Backup was called is in it, unless it has been delivered; what was
// delivered later will be delivered again by whoever runs the copy. It contains everything that is
// stored, secrets included, unless they are encrypted (see [Encrypt]).
//
// The copy is made on the store's own disk first, and w gets nothing before it is complete: a slow
// w costs room, and delays nobody. If the disk has no room for it the error is [ErrFull]. A copy
// that would hold up senders for more than about two seconds is given up with an error. One copy is
// made at a time; further calls wait. Redis and other stores have means of their own: for them the
// error is [errors.ErrUnsupported].
func (r *Repeater) Backup(ctx context.Context, w io.Writer) error {
	if err := r.usable(); err != nil {
		return err
	}
	if b, ok := r.queue.(backuper); ok {
		return b.backup(ctx, w)
	}
	return fmt.Errorf("repeater: backup of this store: %w", errors.ErrUnsupported)
}

// sendBackup is Backup for package admin.
func (r *Repeater) sendBackup(ctx context.Context, w io.Writer) error {
	err := r.Backup(ctx, w)
	switch {
	case err == nil, errors.Is(err, errors.ErrUnsupported):
		return err
	case errors.Is(err, ErrFull):
		err = errors.Join(admin.ErrNoRoom, err)
	}
	r.config().log.Warn("no backup", "error", err)
	return err
}
