package repeater_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

var errSync = errors.New("input/output error")

// faults decides what becomes of the next commits.
type faults struct {
	mu    sync.Mutex
	plan  []func(commit func() error) error
	log   []string // of what has become of them
	ended int      // of plan
}

// Ways in which a commit can fail: nothing of it is in the file, or all is, and yet
// nobody knows.
func unwritten(func() error) error { return errSync }

func written(commit func() error) error { return errors.Join(errSync, commit()) }

func (p *faults) commit(commit func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	do := func(commit func() error) error { return commit() }
	if p.ended < len(p.plan) {
		do = p.plan[p.ended]
		p.ended++
	}
	err := do(commit)
	if err != nil {
		p.log = append(p.log, "failed")
	} else {
		p.log = append(p.log, "ok")
	}
	return err
}

// next lets the next commits end as planned; all others succeed.
func (p *faults) next(plan ...func(func() error) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.ended, p.log = plan, 0, nil
}

func (p *faults) commits() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// withFaults runs play in virtual time.
func withFaults(t *testing.T, play func(f *fileTest, p *faults)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &faults{}
		play(startFile(t, repeater.FileSetup{Commit: p.commit}), p)
	})
}

func TestPushOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault func(func() error) error
		want  []string
	}{
		"not written": {unwritten, []string{"1", "3", "2"}},
		"written":     {written, []string{"1", "2", "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withFaults(t, func(f *fileTest, p *faults) {
				f.push("a", "1")
				p.next(tt.fault)
				f.wantErr("push while the disk fails", f.tryPush("a", "2", 10), errSync)
				synctest.Wait()
				f.push("a", "3", "2", "2")
				f.restart()
				f.wantDrained("a", tt.want...)
			})
		})
	}
}

// TestCompanyAfterAFailedCommit: pushes that fail with it are not waited for ever after, as company for the next commit.
func TestCompanyAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		p.next(func(func() error) error {
			time.Sleep(time.Second)
			return errSync
		})
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // all but the first meet the commit under way
				if err := f.tryPush("a", string(rune('0'+i)), 10); err == nil {
					t.Errorf("push %d was stored", i)
				}
			})
		}
		wg.Wait()
		if n := repeater.FileAwaited(f.FileQueue); n != 0 {
			t.Errorf("%d operations are waited for that are gone", n)
		}
	})
}

func TestSettlementsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(func() error) error{"not written": unwritten, "written": written} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withFaults(t, func(f *fileTest, p *faults) {
				f.push("a", "1", "2", "3", "4", "5", "6")
				c := f.claim("a", "", 5)
				p.next(fault)
				f.settle("a", c.Token, as("1", repeater.SettleDead), as("2", repeater.SettleRetry), as("3", repeater.SettleDelivered))
				f.wantDead("a", "1")

				// What is in hand stays so, and the count is right.
				f.settle("a", c.Token, as("4", repeater.SettleDelivered))
				want := []repeater.LaneInfo{{Name: "a", Waiting: 3, Bytes: 30, Dead: 1, Held: true}}
				got, err := f.Lanes(f.Context(), "", 10)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("lanes: %v (-want +got):\n%s", err, diff)
				}
				if again := f.claim("a", c.Token, 10); len(again.Messages) != 2 || again.Messages[0].Key.ID != "2" {
					t.Errorf("claimed %+v, want 2 and 6", again.Messages)
				}
				f.restart()
				f.wantDead("a", "1")
				f.wantDrained("a", "2", "5", "6")
			})
		})
	}
}

// A settlement that came while nobody could commit is not lost, nor is it said to be
// stored before it is.
func TestSettleWaitsForTheFile(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		f.push("a", "1", "2")
		c := f.claim("a", "", 2)
		synctest.Wait()
		p.next(unwritten, unwritten, unwritten, unwritten, unwritten)
		started := time.Now()
		f.settle("a", c.Token, as("1", repeater.SettleDead))
		if took := time.Since(started); took < time.Second {
			t.Errorf("settled after %v, while the disk failed for longer", took)
		}
		f.restart()
		f.wantDead("a", "1")
		f.wantDrained("a", "2")
	})
}

func TestSettleAgainWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		f.push("a", "1")
		c := f.claim("a", "", 1)
		synctest.Wait()
		p.next(unwritten, unwritten, unwritten)
		ctx, cancel := context.WithTimeout(f.Context(), time.Millisecond)
		defer cancel()
		dead := []repeater.Settlement{as("1", repeater.SettleDead)}
		f.wantErr("settle while the disk fails", f.Settle(ctx, "a", c.Token, dead), ctx.Err())
		for f.Settle(f.Context(), "a", c.Token, dead) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		f.wantDead("a", "1")
	})
}

func TestTwoTransactionsComeBeforeTheNextAnswer(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		f.push("a", "1")
		// The first of the two fails the first time, the second the next time.
		ok := func(commit func() error) error { return commit() }
		p.next(written, unwritten, ok, written)
		f.wantErr("push", f.tryPush("a", "2", 10), errSync)
		for f.tryPush("a", "3", 10) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		want := []string{"failed", "failed", "ok", "failed", "ok", "ok", "ok"}
		if diff := cmp.Diff(want, p.commits()); diff != "" {
			t.Errorf("commits until the push is acknowledged (-want +got):\n%s", diff)
		}
	})
}

func TestCloseWhileTheDiskFails(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		f.push("a", "1", "2")
		c := f.claim("a", "", 1)
		always := make([]func(func() error) error, 1000)
		for i := range always {
			always[i] = unwritten
		}
		p.next(always...)
		f.settle("a", c.Token, as("1", repeater.SettleDelivered))
		time.Sleep(time.Minute)
		if err := f.FileQueue.Close(); err != nil {
			t.Fatal(err)
		}
		if n := len(p.commits()); n > 30 {
			t.Errorf("%d commits were tried in a minute", n)
		}
		p.next()
		f.open()
		f.wantDrained("a", "1", "2") // again, but not lost
	})
}

// Some disks find only when they sync that they are full.
func TestNoRoomFoundBySync(t *testing.T) {
	t.Parallel()
	withFaults(t, func(f *fileTest, p *faults) {
		f.push("a", "1")
		p.next(func(func() error) error { return syscall.ENOSPC })
		f.wantErr("push", f.tryPush("a", "2", 10), syscall.ENOSPC)
		synctest.Wait()
		f.wantErr("push at once", f.tryPush("a", "2", 10), repeater.ErrFull)
		time.Sleep(2 * time.Second)
		f.push("a", "2")
		f.wantDrained("a", "1", "2")
	})
}

// A disk that fails for long is neither hammered nor told of with every try.
func TestDiskFailsForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &faults{}
		logged, log := newLog()
		f := startFile(t, repeater.FileSetup{Log: log, Commit: p.commit})
		f.push("a", "1")
		c := f.claim("a", "", 1)
		time.Sleep(time.Second)
		// The file can be opened again, but nothing more.
		ok := func(commit func() error) error { return commit() }
		var plan []func(func() error) error
		for range 1000 {
			plan = append(plan, unwritten, ok, ok)
		}
		p.next(plan...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f.wantErr("settle", f.Settle(ctx, "a", c.Token, []repeater.Settlement{as("1", repeater.SettleDead)}), ctx.Err())
		if n := len(p.commits()); n > 60 || strings.Count(logged.String(), "a commit has failed") > 20 {
			t.Errorf("%d commits in a minute, and the log:\n%s", n, logged)
		}
		p.next()
		time.Sleep(10 * time.Second)
		f.wantDead("a", "1")
	})
}

// Nothing may be committed on top of what another process has done to the file.
func TestFileOfAnotherWhileReopening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &faults{}
		logged, log := newLog()
		f := startFile(t, repeater.FileSetup{Commit: p.commit, Log: log})
		f.push("a", "1")
		aside := filepath.Join(t.TempDir(), "aside.db")
		p.next(func(func() error) error { return errors.Join(errSync, os.Rename(f.path, aside)) })
		f.wantErr("push", f.tryPush("a", "2", 10), errSync)
		if err := f.tryPush("a", "2", 10); err == nil {
			t.Error("pushed without a file")
		}

		synctest.Wait() // for the file to be closed
		other := &fileTest{T: t, path: aside}
		other.open()
		other.push("a", "3")
		if err := other.FileQueue.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(aside, f.path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := f.tryPush("a", "4", 10); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("push into another's file: %v", err)
		}
		if err := f.FileQueue.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(logged.String(), "a commit has failed"); n != 1 {
			t.Errorf("the log tells %d times", n)
		}
		other.path = f.path
		other.open()
		other.wantDrained("a", "1", "3")
		if err := other.FileQueue.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
