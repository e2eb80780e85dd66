package repeater_test

import (
	"bytes"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	goBlock  = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	testName = regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)[A-Za-z0-9_]*)\(`)
)

// TestReadmeProgram: what the README shows compiles as it is printed.
func TestReadmeProgram(t *testing.T) {
	blocks := goBlock.FindAllSubmatch(readme(t), -1)
	if len(blocks) == 0 {
		t.Fatal("the README has no Go program")
	}
	for _, b := range blocks {
		program := b[1]
		if formatted, err := format.Source(program); err != nil || !bytes.Equal(formatted, program) {
			t.Errorf("gofmt would change it, %v:\n%s", err, program)
		}
		name := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(name, program, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "vet", name).CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s\n%s", err, program, out)
		}
	}
}

// TestReadmeProofs: the tests that the README names exist.
func TestReadmeProofs(t *testing.T) {
	exist := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if ok, _ := filepath.Match("*_test.go", filepath.Base(path)); !ok || err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			exist[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := testName.FindAllSubmatch(readme(t), -1)
	if len(names) == 0 {
		t.Fatal("the README names no test")
	}
	for _, m := range names {
		if !exist[string(m[1])] {
			t.Errorf("there is no %s", m[1])
		}
	}
}

func readme(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
