package repeater

import (
	"context"
	"io"
)

// BackupFile copies a file store apart from a Repeater.
func BackupFile(ctx context.Context, q *FileQueue, w io.Writer) error { return q.backup(ctx, w) }

// BackupMayGoOn is asked between two parts of a copy.
func BackupMayGoOn(q *FileQueue) error { return q.mayCopy(context.Background()) }
