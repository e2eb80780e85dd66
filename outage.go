package repeater

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outage tells in the log that something fails, and that it works again: once each,
// however many find out, and although some may succeed in between.
type outage struct {
	failing atomic.Bool // whether the rest is worth a look

	mu    sync.Mutex
	since time.Time
	last  time.Time // failure
	times int
}

// outageOver is how long nothing may have failed: longer than anybody waits before
// trying again.
const outageOver = storeRetryMax + time.Second

func (o *outage) fails(log *slog.Logger, text string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
	o.times++
	if o.failing.Load() {
		return
	}
	o.failing.Store(true)
	o.since, o.times = o.last, 1
	log.Error(text, args...)
}

func (o *outage) works(log *slog.Logger, text string) {
	if !o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.failing.Load() || time.Since(o.last) < outageOver {
		return
	}
	o.failing.Store(false)
	log.Info(text, "after", o.last.Sub(o.since).Round(time.Millisecond).String(), "failures", o.times)
}

// report takes what a worker's dealings with the store have come to.
func (o *outage) report(w *worker, doing string, err error) {
	switch {
	case w.ctx.Err() != nil || errors.Is(err, context.Canceled):
	case err != nil:
		o.fails(w.r.config().log, "the store fails; trying again", "doing", doing, "error", err)
	default:
		o.works(w.r.config().log, "the store works again")
	}
}
