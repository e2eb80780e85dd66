package repeater_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	promiseRow = regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+?\.)(?: [^|]*)? \|`)
	goTest     = regexp.MustCompile("`go test ([^`]+)`")
	testRun    = regexp.MustCompile(`-(?:run|fuzz) '?([^' ]+)'?`)
)

// TestProofsOfPromises: docs/proofs.md has a heading for each promise of the README, with its
// number and its first sentence.
func TestProofsOfPromises(t *testing.T) {
	text := proofs(t)
	section, _, _ := strings.Cut(between(string(readme(t)), "## What it promises"), "\n## ")
	rows := promiseRow.FindAllStringSubmatch(section, -1)
	if len(rows) < 14 {
		t.Fatalf("found %d promises in the README", len(rows))
	}
	for _, row := range rows {
		if heading := fmt.Sprintf("\n### %s. %s\n", row[1], row[2]); !strings.Contains(text, heading) {
			t.Errorf("docs/proofs.md lacks the heading:%s", heading)
		}
	}
}

func between(text, from string) string {
	_, after, _ := strings.Cut(text, from)
	return after
}

// TestProofsExist: the tests that docs/proofs.md runs are there, in the package where it runs them.
func TestProofsExist(t *testing.T) {
	n := 0
	for line := range strings.Lines(proofs(t)) {
		for _, m := range goTest.FindAllStringSubmatch(line, -1) {
			n++
			checkProof(t, strings.ReplaceAll(m[1], `\|`, "|")) // as in a table
		}
	}
	if n < 14 {
		t.Errorf("docs/proofs.md has %d commands", n)
	}
}

// checkProof looks for what "go test" with these arguments runs.
func checkProof(t *testing.T, args string) {
	t.Helper()
	dir := "."
	for word := range strings.FieldsSeq(args) {
		if strings.HasPrefix(word, "./") {
			dir = word
		}
	}
	if strings.HasSuffix(dir, "...") {
		return
	}
	there := make(map[string]bool)
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
	}
	if len(there) == 0 {
		t.Errorf("go test %s: there are no tests in %s", args, dir)
	}
	for _, m := range testRun.FindAllStringSubmatch(args, -1) {
		first, _, _ := strings.Cut(m[1], "/")
		for name := range strings.SplitSeq(strings.Trim(first, "^$()"), "|") {
			if name != "" && !there[name] { // -run '^$' runs none
				t.Errorf("go test %s: there is no %s in %s", args, name, dir)
			}
		}
	}
}

func proofs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", "proofs.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
