package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBugsFindTheirPlace: each replacement applies, and what it makes compiles. As many as do not
// get in each other's way are compiled together.
func TestBugsFindTheirPlace(t *testing.T) {
	t.Parallel()
	module := here(t)
	left := bugs
	for len(left) > 0 {
		together, later := &overlay{module: module}, []bug(nil)
		var names []string
		for i := range left {
			alone := overlay{module: module}
			if err := alone.plant(&left[i]); err != nil {
				t.Errorf("%s: %v", left[i].name, err)
				continue
			}
			if err := together.plant(&left[i]); err != nil {
				later = append(later, left[i])
				continue
			}
			names = append(names, left[i].name)
		}
		if out, err := together.run(t.Context(), t.TempDir(), "build", "."); err != nil {
			t.Errorf("%v, with the bugs %q:\n%s", err, names, out)
		}
		left = later
	}
}

// TestQuickBugsAreNoticed plants two, of those that are noticed soonest.
func TestQuickBugsAreNoticed(t *testing.T) {
	t.Parallel()
	module := here(t)
	for _, name := range []string{"no jitter", "trust X-Forwarded-For"} {
		b := named(t, name)
		if err := b.caught(t.Context(), module); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingPlanted: a bug that changes nothing is not said to be noticed, nor is one
// that does not compile.
func TestNothingPlanted(t *testing.T) {
	t.Parallel()
	module := here(t)
	b := *named(t, "no jitter")
	b.new = b.old
	if err := b.caught(t.Context(), module); err == nil || !strings.Contains(err.Error(), "has not noticed") {
		t.Errorf("no bug at all: %v", err)
	}
	b.new = "const jitter ="
	if err := b.caught(t.Context(), module); err == nil || !strings.Contains(err.Error(), "was not run") {
		t.Errorf("does not compile: %v", err)
	}
}

// TestEachPromiseIsBroken: there is a bug for every promise of the README.
func TestEachPromiseIsBroken(t *testing.T) {
	t.Parallel()
	broken := make(map[int]bool)
	for _, b := range bugs {
		broken[b.promise] = true
	}
	for n := 1; n <= 14; n++ {
		if !broken[n] {
			t.Errorf("no bug breaks promise %d", n)
		}
	}
}

// TestProofsListBugs: docs/proofs.md has the row of each bug.
func TestProofsListBugs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(here(t), "docs", "proofs.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		if !strings.Contains(string(text), b.row()) {
			t.Errorf("docs/proofs.md lacks the row, see go run ./internal/planted -list:\n%s", b.row())
		}
	}
}

func named(t *testing.T, name string) *bug {
	t.Helper()
	for i := range bugs {
		if bugs[i].name == name {
			return &bugs[i]
		}
	}
	t.Fatalf("there is no bug %q", name)
	return nil
}

func here(t *testing.T) string {
	t.Helper()
	module, err := moduleDir()
	if err != nil {
		t.Fatal(err)
	}
	return module
}
