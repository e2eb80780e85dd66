package crashtest

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/webhook-repeater/repeater"
)

// TestDiskFull lets the store run out of room, by a limit to the size of the process's
// files, in both ways that a disk has: some write into the file fails, as the file is
// sparse, or the file cannot be made longer.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for name, room := range map[string]uint64{"write fails": 4 << 20, "growth fails": 17 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fullDisk(t, room)
		})
	}
}

func fullDisk(t *testing.T, room uint64) {
	l := newLedger()
	dest := newDestination(t, l)
	s := newSetup(t, dest)
	p := s.start(t)
	s.awaitListening(t)
	p.limitFiles(t, room)
	senders := startSenders(t, l, 0, s.url())
	l.awaitRefused(t, 100)

	// What is stored goes out also while nothing can be stored.
	dest.up(t)
	l.awaitArrivals(t, 100)
	dest.down()
	l.awaitRefused(t, 100)

	// Room again: no restart is needed.
	p.limitFiles(t, unix.RLIM_INFINITY)
	p.serving(t, l)
	p.limitFiles(t, room)
	l.awaitRefused(t, 100)
	if !p.Alive() {
		t.Fatal("the process did not survive a full disk")
	}
	senders.stop()

	p.Kill()
	dest.up(t)
	p = s.start(t)
	l.settle(t, patience)
	p.stop(t)
	p.quiet(t, l)
	s.empty(t, repeater.WithFile(s.file()))
	t.Logf("disk full: %s", l.figures())
}

func (p process) limitFiles(t *testing.T, bytes uint64) {
	t.Helper()
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// awaitRefused waits until senders have heard 503 so many more times.
func (l *ledger) awaitRefused(t *testing.T, n int) {
	t.Helper()
	before := l.count(func() int { return l.refused })
	if !l.await(4*patience, func() bool { return l.refused >= before+n }) { // the disk fills at the pace of the senders
		t.Fatalf("no 503 within %v", 4*patience)
	}
}
