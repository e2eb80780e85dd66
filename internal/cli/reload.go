package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/config"
)

// source is where settings come from, and how to read them again.
type source struct {
	file    string // "" for flags alone, which do not change
	watch   bool
	watcher *watcher
	load    func() (*config.Settings, error)
}

// reloader reads the file again, upon SIGHUP and, if asked to, when it has changed.
type reloader struct {
	source
	rp      *repeater.Repeater
	options func(*config.Settings) []repeater.Option
	log     *slog.Logger
	level   *slog.LevelVar

	settings atomic.Pointer[config.Settings] // that hold
}

// settleFor is how long a changed file must stay as it is before it is taken for whole.
const settleFor = time.Second

// hangups returns what tells to read the file again. Without a file the signal keeps its usual
// meaning.
func (s source) hangups() chan os.Signal {
	hups := make(chan os.Signal, 1)
	if s.file != "" {
		signal.Notify(hups, syscall.SIGHUP)
	}
	return hups
}

func (r *reloader) run(ctx context.Context, hups chan os.Signal) {
	defer signal.Stop(hups)
	var look <-chan time.Time
	if r.watch {
		tick := time.NewTicker(settleFor / 2)
		defer tick.Stop()
		look = tick.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hups:
			r.reload()
		case now := <-look:
			if r.watcher.changed(now) {
				r.reload()
			}
		}
	}
}

// reload takes on what the file says now, or says why not.
func (r *reloader) reload() {
	notify(r.log, nowReloading())
	defer notify(r.log, nowReady)
	next, err := r.load()
	if err != nil {
		r.refuse(err)
		return
	}
	old := r.settings.Load()
	change := next.Succeed(old)
	if err := r.rp.Reload(r.options(next)...); err != nil {
		r.refuse(err)
		return
	}
	r.level.Set(next.LogLevel)
	r.settings.Store(next)
	r.tell(change)
	for _, n := range next.Notices {
		if !slices.Contains(old.Notices, n) {
			r.log.Warn(n)
		}
	}
}

func (r *reloader) refuse(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		r.log.Error("configuration not taken; the old one stays", "mistake", line)
	}
}

func (r *reloader) tell(c config.Change) {
	if len(c.Restart) > 0 {
		r.log.Warn("these settings have changed, but take a restart", "settings", strings.Join(c.Restart, ", "))
	}
	if c.Nothing() {
		r.log.Info("configuration read again; nothing has changed")
		return
	}
	r.log.Info("configuration read again", "added", strings.Join(c.Added, ", "), "removed", strings.Join(c.Removed, ", "),
		"changed", strings.Join(c.Changed, ", "), "settings", c.Others)
}

// watcher notices that a file has changed, once whoever writes it seems to be done.
type watcher struct {
	file  string
	read  stamp // as it was when it was last read
	seen  stamp
	since time.Time // it has been so
}

// reads notes how the file is as it is about to be read. One that changes meanwhile differs afterwards.
func (w *watcher) reads() { w.read, _ = stampOf(w.file) }

func (w *watcher) changed(now time.Time) bool {
	seen, err := stampOf(w.file)
	if err != nil || seen == w.read { // it may be on its way to its place
		w.since = time.Time{}
		return false
	}
	if seen != w.seen || w.since.IsZero() {
		w.seen, w.since = seen, now
	}
	return now.Sub(w.since) >= settleFor
}

func stampOf(file string) (stamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime(), info.Size()}, nil
}
