package repeater_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/webhook-repeater/repeater"
)

// A dead letter that cannot be read is told of once, and does not hide the others.
func TestDamagedDeadLetter(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	f := startFile(t, repeater.FileSetup{Log: log})
	f.push("a", "first", "second", "third")
	c := f.claim("a", "", 3)
	for _, m := range c.Messages {
		f.settle("a", c.Token, repeater.Settlement{Key: m.Key, Kind: repeater.SettleDead})
	}
	if err := f.FileQueue.Close(); err != nil {
		t.Fatal(err)
	}
	damageCard(t, f.path, "dead", "second")
	f.open()
	for _, when := range []string{"at first", "again"} {
		letters, _, err := f.Dead(t.Context(), "a", "", 10)
		if err != nil || len(letters) != 2 || letters[0].Key.ID != "third" || letters[1].Key.ID != "first" {
			t.Errorf("%s: %v, %v, want the third and the first", when, letters, err)
		}
		f.push("a", when) // a commit
	}
	damaged := []repeater.Key{{ID: "second"}} // as somebody has it who has looked at the list before
	if n, err := f.Replay(t.Context(), "a", damaged); n != 0 || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	if n, err := f.Drop(t.Context(), "a", damaged); n != 0 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	lanes, err := f.Lanes(t.Context(), "", 10)
	if err != nil || lanes[0].Dead != 2 {
		t.Errorf("lanes %+v, %v, want 2 dead", lanes, err)
	}
	if n := strings.Count(logged.String(), "set aside"); n != 1 {
		t.Errorf("told of %d times:\n%s", n, logged)
	}
	if err := f.FileQueue.Close(); err != nil {
		t.Fatal(err)
	}
	damageCard(t, f.path, "broken", "second") // what is left of it is kept
}

// damageCard changes the card that holds an id.
func damageCard(t *testing.T, path, bucket, id string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		cur := b.Cursor()
		for k, v := cur.First(); k != nil; k, v = cur.Next() {
			if bytes.Contains(v, []byte(id)) {
				v = bytes.Clone(v)
				v[len(v)-1] ^= 1
				return b.Put(k, v)
			}
		}
		return fmt.Errorf("no card of %q in %s", id, bucket)
	})
	if err != nil {
		t.Fatal(err)
	}
}
