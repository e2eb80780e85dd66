package repeater_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

// All of a sound file is saved, where it was and as it was.
func TestRepairSoundFile(t *testing.T) {
	t.Parallel()
	f := grown(t)
	fresh := f.path + ".repaired"
	r, err := repeater.RepairFile(t.Context(), f.path, fresh)
	if diff := cmp.Diff(repeater.RepairReport{Waiting: 4, Dead: 1}, r); diff != "" || err != nil {
		t.Errorf("%v, report (-want +got):\n%s", err, diff)
	}
	if _, err := repeater.RepairFile(t.Context(), f.path, fresh); !errors.Is(err, fs.ErrExist) {
		t.Errorf("repair into a file that is there: %v", err)
	}
	damaged := f.path
	f.path = fresh
	f.open()
	want := []repeater.LaneInfo{{Name: "a", Waiting: 1, Bytes: 1 << 20, Dead: 1}, {Name: "o", Waiting: 3}, {Name: "p", Paused: true}}
	if got, err := f.Lanes(t.Context(), "", 10); !cmp.Equal(want, got) || err != nil {
		t.Errorf("lanes: %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	f.wantGrown()
	if _, err := repeater.RepairFile(t.Context(), fresh, damaged+".other"); !errors.Is(err, repeater.ErrLocked) {
		t.Errorf("repair of a file in use: %v", err)
	}
}

// Whatever page is damaged, all messages are saved but those with a part on that page.
func TestRepairDamagedPages(t *testing.T) {
	t.Parallel()
	p, dir := newPushedFile(t), memoryDir(t)
	for seed := range uint64(*damageFlips) { // #nosec G115 -- small
		random := rand.New(rand.NewPCG(seed, 3))
		content := p.content
		if random.IntN(2) == 0 {
			content = p.left
		}
		content = padded(content)
		n := random.IntN(len(content) / filePage)
		page := content[n*filePage:][:filePage]
		was := bytes.Clone(page)
		if random.IntN(2) == 0 {
			clear(page)
		} else {
			page[random.IntN(64)] ^= 1 << random.IntN(8)
		}
		lost := p.repair(t, dir, content)
		isLeaf := binary.NativeEndian.Uint64(was) == uint64(n) && was[8] == 2 // #nosec G115 -- small
		most := 180
		if n > 1 && binary.NativeEndian.Uint64(was) == uint64(n) && !isLeaf { // #nosec G115 -- small
			most = 0
		}
		if n < 2 {
			most = 0
		}
		if lost > most || t.Failed() {
			t.Fatalf("seed %d: page %d (flags %d), %d bytes differ: %d messages are lost", seed, n, was[8], diffs(was, page), lost)
		}
	}
}

func diffs(a, b []byte) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// repair repairs a file, and returns how many of its messages are not there any more.
func (p *pushedFile) repair(t *testing.T, dir string, content []byte) int {
	t.Helper()
	damaged, fresh := filepath.Join(dir, "damaged.db"), filepath.Join(dir, "fresh.db")
	write(t, damaged, content)
	_ = os.Remove(fresh)
	r, err := repeater.RepairFile(t.Context(), damaged, fresh)
	if err != nil {
		t.Errorf("repair: %v", err)
		return 0
	}
	if !bytes.Equal(content, read(t, damaged)) {
		t.Error("the damaged file has been changed")
	}
	seen, err := p.use(t, fresh)
	if err != nil {
		t.Errorf("the repaired file: %v", err)
	}
	for k, whole := range seen {
		if !whole {
			t.Errorf("message %v of the repaired file is damaged", k)
		}
	}
	if n := r.Waiting + r.Dead; n < len(seen) || n > len(seen)+len(p.gone) {
		t.Errorf("saved %d, and found %d", n, len(seen))
	}
	for _, k := range r.Lost {
		if seen[k] {
			t.Errorf("message %v is said to be lost", k)
		}
	}
	return len(p.payloads) - len(seen)
}

// Nothing at all can be read of noise, and that is told.
func TestRepairNoise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noise := bytes.Repeat([]byte("noise"), 10_000)
	r, err := repeater.RepairFile(t.Context(), write(t, filepath.Join(dir, "noise"), noise), filepath.Join(dir, "fresh"))
	if err != nil || r.Waiting+r.Dead+len(r.Lost) != 0 || len(r.Damage) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
