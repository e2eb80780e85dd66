package crashtest

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/witness"
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
	l := witness.NewLedger()
	dest := witness.NewDestination(t, l)
	s := newSetup(t, dest)
	p := s.start(t)
	s.awaitListening(t)
	p.limitFiles(t, room)
	senders := (&witness.Senders{Ledger: l, URLs: []string{s.url()}}).Start(t)
	awaitRefused(t, l, 100)

	// What is stored goes out also while nothing can be stored.
	dest.Up(t)
	awaitArrivals(t, l, 100)
	dest.Down()
	awaitRefused(t, l, 100)

	// Room again: no restart is needed.
	p.limitFiles(t, unix.RLIM_INFINITY)
	p.serving(t, l)
	p.limitFiles(t, room)
	awaitRefused(t, l, 100)
	if !p.Alive() {
		t.Fatal("the process did not survive a full disk")
	}
	senders.Stop()

	p.Kill()
	dest.Up(t)
	p = s.start(t)
	l.Settle(t, patience)
	p.stop(t)
	p.quiet(t, l)
	s.empty(t, repeater.WithFile(s.file()))
	t.Logf("disk full: %s", l.Counts())
}

func (p process) limitFiles(t *testing.T, bytes uint64) {
	t.Helper()
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// awaitRefused waits until senders have heard 503 so many more times.
func awaitRefused(t *testing.T, l *witness.Ledger, n int) {
	t.Helper()
	before := l.Counts().Refused
	// The disk fills at the pace of the senders.
	if !l.Await(4*patience, func(c witness.Counts) bool { return c.Refused >= before+n }) {
		t.Fatalf("no 503 within %v", 4*patience)
	}
}
