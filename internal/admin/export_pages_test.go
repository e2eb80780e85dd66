package admin

import (
	"net/http"
	"time"
)

// Pages are the pages alone, without what stands before them, at a time of the test's.
func Pages(src Source, o Options, now func() time.Time) http.Handler {
	if now == nil {
		now = time.Now
	}
	return (&site{src: src, opts: o, now: now}).handler()
}
