package repeater_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

func (f *fileTest) wantWaiting(lane string, want int) {
	f.Helper()
	if n, _, _ := f.Size(lane); n != want {
		f.Errorf("%d messages wait in %s, want %d", n, lane, want)
	}
}

// A message on a schedule of its own that gets its old place back lies where a new
// process has not yet looked.
func TestHeldAfterRestartIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	f := startFile(t, repeater.FileSetup{})
	f.push("a", "1", "2", "3")
	c := f.claim("a", "", 2)
	f.settle("a", c.Token, as("1", repeater.SettleRelease), as("2", repeater.SettleRetry))
	f.restart()
	c = f.claim("a", "", 1) // what is due
	hold := as("2", repeater.SettleRetry)
	hold.Hold, hold.After = true, time.Nanosecond
	f.settle("a", c.Token, hold)
	if err := f.Release(t.Context(), "a", c.Token); err != nil {
		t.Fatal(err)
	}
	var got []string
	for c = f.claim("a", "", 1); len(c.Messages) > 0; c = f.claim("a", c.Token, 1) {
		got = append(got, f.deliver("a", c)...) // which is not yet committed when the next is claimed
	}
	if diff := cmp.Diff([]string{"2", "1", "3"}, got); diff != "" {
		t.Errorf("handed out (-want +got):\n%s", diff)
	}
	f.wantWaiting("a", 0)
	f.restart()
	f.wantDrained("a")
	f.wantWaiting("a", 0)
}

// A claim may find the next message of an order key when it is committed, and yet
// before the settlement that has made it ready is told so.
func TestFreedWhileClaimedIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	var between func()
	f := startFile(t, repeater.FileSetup{Commit: func(commit func() error) error {
		err := commit()
		if between != nil {
			do := between
			between = nil
			do()
		}
		return err
	}})
	b := repeater.Batch{ID: "1", Route: "route"}
	for dest := range 3 {
		b.Messages = append(b.Messages, repeater.Message{Dest: dest, Lane: "a", OrderKey: "k"})
	}
	if _, err := f.Push(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	c := f.claim("a", "", 3)
	if len(c.Messages) != 1 {
		t.Fatalf("%d messages of one order key were claimed", len(c.Messages))
	}
	if _, err := f.Payload(t.Context(), "a", c.Messages[0].Key); err != nil { // waits for what rides
		t.Fatal(err)
	}
	between = func() {
		if c := f.claim("a", c.Token, 3); len(c.Messages) != 1 || c.Messages[0].Key.Dest != 1 {
			t.Errorf("claimed %+v, want the second", c.Messages)
		}
		release := repeater.Settlement{Key: repeater.Key{ID: "1", Dest: 1}, Kind: repeater.SettleRelease}
		f.settle("a", c.Token, release)
	}
	f.settle("a", c.Token, as("1", repeater.SettleDelivered))
	if c := f.claim("a", c.Token, 3); len(c.Messages) != 1 || c.Messages[0].Key.Dest != 1 {
		t.Errorf("claimed %+v, want the second once", c.Messages)
	}
}
