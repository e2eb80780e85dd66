package repeater_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// die goes on with the store as the next process finds it when this one dies now.
func (f *fileTest) die() {
	f.Helper()
	synctest.Wait() // for no write to be half done
	left := write(f.T, filepath.Join(f.TempDir(), "left.db"), read(f.T, f.path))
	_ = f.FileQueue.Close()
	f.path = left
	f.open()
}

func (f *fileTest) wantLost(c repeater.Claim, want ...int) {
	f.Helper()
	var got []int
	for _, m := range c.Messages {
		got = append(got, m.Lost)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("Lost (-want +got):\n%s", diff)
	}
}

// A message that kills its process as soon as it is handed out is told apart one death
// later, as a claim is not noted at once before the first.
func TestQuickKiller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := startFile(t, repeater.FileSetup{})
		f.push("a", "1", "2", "3")
		f.wantLost(f.claim("a", "", 1), 0)
		f.die()
		f.wantLost(f.claim("a", "", 1), 0)
		f.die()
		f.wantLost(f.claim("a", "", 2), 1, 0)
		f.die()
		f.wantLost(f.claim("a", "", 1), 2)
		f.die()
		f.wantLost(f.claim("a", "", 3), 3, 1, 0)
	})
}

// Only what may have killed a process is noted before it is handed out.
func TestOnlySuspectsAreNotedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &faults{}
		f := startFile(t, repeater.FileSetup{Commit: p.commit})
		f.push("a", "1")
		f.die()
		f.push("a", "2")
		p.next()
		c := f.claim("a", "", 1)
		if n := len(p.commits()); n != 1 {
			t.Errorf("a suspect was claimed with %d commits, want 1", n)
		}
		f.settle("a", c.Token, as("1", repeater.SettleDelivered))
		f.restart()
		p.next()
		f.wantLost(f.claim("a", "", 10), 0)
		if n := len(p.commits()); n != 0 {
			t.Errorf("after a clean end a message was claimed with %d commits", n)
		}
		f.restart()
		f.wantLost(f.claim("a", "", 10), 0)
	})
}
