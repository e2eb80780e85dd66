package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReference: the page in docs is what the table says now.
func TestReference(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(page)); diff != "" {
		t.Errorf("docs/configuration.md is out of date; run go generate ./internal/config (-table +page):\n%s", diff)
	}
}

// TestReferenceHasAllKeys: each is there, and what can only be changed by a restart exists.
func TestReferenceHasAllKeys(t *testing.T) {
	page := Reference()
	for _, s := range Sections {
		for _, k := range s.Keys {
			if !strings.Contains(page, "\n| `"+k.Name+"` |") {
				t.Errorf("[%s] %s is not there", s.Name, k.Name)
			}
		}
	}
	if got, want := strings.Count(page, "**restart** |"), len(fixed); got != want {
		t.Errorf("%d keys are said to take a restart, but %d do", got, want)
	}
	if got, want := strings.Count(page, "\n| `"), distinctKeys(); got != want {
		t.Errorf("%d keys are there, want %d", got, want)
	}
}

func distinctKeys() (n int) {
	for _, s := range Sections {
		for _, k := range s.Keys {
			if s.Name != "app" || !isEachHook(k.Name) {
				n++
			}
		}
	}
	return n
}
