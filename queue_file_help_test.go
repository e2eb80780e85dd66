package repeater_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// fileTest is a file store at work.
type fileTest struct {
	*testing.T
	*repeater.FileQueue
	path  string
	setup repeater.FileSetup
}

func startFile(t *testing.T, s repeater.FileSetup) *fileTest {
	t.Helper()
	f := &fileTest{T: t, path: filepath.Join(t.TempDir(), "repeater.db"), setup: s}
	f.open()
	t.Cleanup(func() { _ = f.FileQueue.Close() })
	return f
}

func (f *fileTest) open() {
	f.Helper()
	f.FileQueue = repeater.NewFileQueueWith(f.path, f.setup)
	if err := f.FileQueue.Open(f.Context()); err != nil {
		f.Fatal(err)
	}
}

func (f *fileTest) restart() {
	f.Helper()
	if err := f.FileQueue.Close(); err != nil {
		f.Fatal(err)
	}
	f.open()
}

func (f *fileTest) tryPush(lane, id string, size int) error {
	b := repeater.Batch{ID: id, Route: "route", Received: time.Now()}
	b.Messages = []repeater.Message{{Lane: lane, Payload: make([]byte, size)}}
	_, err := f.Push(f.Context(), b)
	return err
}

func (f *fileTest) push(lane string, ids ...string) {
	f.Helper()
	for _, id := range ids {
		if err := f.tryPush(lane, id, 10); err != nil {
			f.Fatalf("push %s: %v", id, err)
		}
	}
}

func (f *fileTest) claim(lane, token string, max int) repeater.Claim {
	f.Helper()
	c, err := f.Claim(f.Context(), repeater.ClaimRequest{Lane: lane, Token: token, Max: max, TTL: 1000 * time.Hour})
	if err != nil {
		f.Fatalf("claim %s: %v", lane, err)
	}
	return c
}

func (f *fileTest) settle(lane, token string, s ...repeater.Settlement) {
	f.Helper()
	if err := f.Settle(f.Context(), lane, token, s); err != nil {
		f.Fatalf("settle %s: %v", lane, err)
	}
}

// drain delivers what can be claimed now, and returns the ids in their order.
func (f *fileTest) drain(lane string) (ids []string) {
	f.Helper()
	c := f.claim(lane, "", 100)
	for ; len(c.Messages) > 0; c = f.claim(lane, c.Token, 100) {
		ids = append(ids, f.deliver(lane, c)...)
	}
	if err := f.Release(f.Context(), lane, c.Token); err != nil {
		f.Fatal(err)
	}
	return ids
}

func (f *fileTest) deliver(lane string, c repeater.Claim) (ids []string) {
	f.Helper()
	var s []repeater.Settlement
	for _, m := range c.Messages {
		if m.Err != nil {
			f.Errorf("message %v: %v", m.Key, m.Err)
		}
		ids = append(ids, m.Key.ID)
		s = append(s, repeater.Settlement{Key: m.Key})
	}
	f.settle(lane, c.Token, s...)
	return ids
}

func (f *fileTest) wantDrained(lane string, want ...string) {
	f.Helper()
	if diff := cmp.Diff(want, f.drain(lane)); diff != "" {
		f.Errorf("drained from %s (-want +got):\n%s", lane, diff)
	}
}

func (f *fileTest) wantDead(lane string, want ...string) {
	f.Helper()
	letters, _, err := f.Dead(f.Context(), lane, "", 100)
	if err != nil {
		f.Fatal(err)
	}
	var got []string
	for _, l := range letters {
		got = append(got, l.Key.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("dead letters of %s (-want +got):\n%s", lane, diff)
	}
}

func (f *fileTest) wantErr(what string, got, want error) {
	f.Helper()
	if !errors.Is(got, want) {
		f.Errorf("%s: %v, want %v", what, got, want)
	}
}

// as is the settlement of a message.
func as(id string, kind repeater.SettleKind) repeater.Settlement {
	return repeater.Settlement{Key: repeater.Key{ID: id}, Kind: kind}
}
