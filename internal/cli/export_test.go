package cli

import "time"

// Listen opens a listener as the settings say.
var Listen = listenOn

// Watcher is what notices that a file has changed.
type Watcher struct{ w *watcher }

// NewWatcher watches a file that is read now.
func NewWatcher(file string) Watcher {
	w := &watcher{file: file}
	w.reads()
	return Watcher{w}
}

// Reads notes that the file is read again.
func (w Watcher) Reads() { w.w.reads() }

// Changed tells that the file should be read again.
func (w Watcher) Changed(now time.Time) bool { return w.w.changed(now) }

// Guarded is what a check asks of addresses.
var Guarded = guarded
