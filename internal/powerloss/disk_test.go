package powerloss_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/powerloss"
)

func content(t *testing.T, im *powerloss.Image) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := im.Store(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func image(t *testing.T, b []byte) *powerloss.Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	im, err := powerloss.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func pages(letters string) (b []byte) {
	for _, l := range []byte(letters) {
		b = append(b, bytes.Repeat([]byte{l}, 4096)...)
	}
	return b
}

// What is synced is there; of what is not, each part may be, and both sizes.
func TestCrash(t *testing.T) {
	t.Parallel()
	var d powerloss.Disk
	f := d.Named(image(t, pages("ab")))
	f.Sync()
	f.Write(pages("c"), 4096)
	f.Sync()
	d.Note("promised")
	f.Grow(4 * 4096)
	f.Write(pages("de"), 0)

	found := make(map[string]int)
	for seed := range uint64(1000) {
		b := content(t, d.Crash(d.Len()-1, rand.New(rand.NewPCG(seed, 0))))
		for at := 0; at < len(b); at += 512 {
			if s := b[at : at+512]; !bytes.Equal(s, bytes.Repeat(s[:1], 512)) {
				t.Fatalf("sector %d is torn", at/512)
			}
		}
		second := b[4096:8192]
		switch {
		case !bytes.ContainsAny(second, "ce") || bytes.ContainsAny(second, "ab"):
			t.Fatalf("the second page is %q", second)
		case bytes.Contains(second, []byte("c")) && bytes.Contains(second, []byte("e")):
			found["torn"]++
		case second[0] == 'c':
			found["lost"]++
		default:
			found["kept"]++
		}
		found[map[int]string{2 * 4096: "small", 4 * 4096: "grown"}[len(b)]]++
	}
	for _, what := range []string{"torn", "lost", "kept", "small", "grown"} {
		if found[what] < 50 {
			t.Errorf("%s in %d of 1,000 crashes", what, found[what])
		}
	}
	if diff := cmp.Diff([]any{"promised"}, d.Notes(d.Len()-1)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if got := content(t, d.Crash(4, rand.New(rand.NewPCG(0, 0)))); !bytes.Equal(got, pages("ac")) {
		t.Error("what was synced is not there")
	}
}

// A name may be the old file's until the new one is synced.
func TestCrashAfterRename(t *testing.T) {
	t.Parallel()
	var d powerloss.Disk
	d.Named(image(t, pages("a"))).Sync()
	f := d.Named(image(t, pages("b")))
	found := make(map[byte]int)
	crash := func() {
		for seed := range uint64(100) {
			found[content(t, d.Crash(d.Len()-1, rand.New(rand.NewPCG(seed, 0))))[0]]++
		}
	}
	crash()
	if found['a'] < 10 || found['b'] < 10 {
		t.Errorf("found %v", found)
	}
	f.Sync()
	clear(found)
	crash()
	if found['b'] != 100 {
		t.Errorf("after the sync, found %v", found)
	}
	if d.Crash(0, rand.New(rand.NewPCG(0, 0))) != nil {
		t.Error("there was a file before it was made")
	}
}
