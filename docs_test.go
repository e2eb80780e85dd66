package repeater_test

import (
	"bytes"
	"encoding/base64"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/webhook-repeater/repeater/internal/config"
)

var (
	iniBlock   = regexp.MustCompile("(?ms)^```ini\n(.*?)^```$")
	envValue   = regexp.MustCompile(`env:([A-Z_]+)`)
	fileValue  = regexp.MustCompile(`file:/\S*`)
	localLink  = regexp.MustCompile(`\]\(([^):#]*)(?:#([^)]+))?\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	ownCommand = regexp.MustCompile(`(?m)^\s*webhook-repeater ([a-z-]+)`)
	option     = regexp.MustCompile("`(?:Repeater\\.)?([A-Z][A-Za-z0-9]+)`")
)

// pages are the README and all that it leads to.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("docs/*.md")
	if err != nil || len(names) < 5 {
		t.Fatalf("docs has %q, %v", names, err)
	}
	all := make(map[string][]byte)
	for _, name := range append(names, "README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = text
	}
	return all
}

// TestDocsPrograms: what the pages show in Go is formatted and compiles as it is printed.
func TestDocsPrograms(t *testing.T) {
	for name, text := range pages(t) {
		for _, b := range goBlock.FindAllSubmatch(text, -1) {
			program := b[1]
			if formatted, err := format.Source(program); err != nil || !bytes.Equal(formatted, program) {
				t.Errorf("%s: gofmt would change it, %v:\n%s", name, err, program)
			}
			file := "main.go"
			if bytes.Contains(program, []byte("package app_test")) {
				file = "app_test.go"
			}
			file = filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(file, program, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v:\n%s\n%s", name, err, out, program)
			}
			if strings.HasSuffix(file, "_test.go") {
				if out, err := exec.Command("go", "test", "-count=1", file).CombinedOutput(); err != nil {
					t.Errorf("%s: the test fails, %v:\n%s", name, err, out)
				}
			}
		}
	}
}

// TestDocsConfigurations: what the pages show of config.ini is free of mistakes.
func TestDocsConfigurations(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString(make([]byte, 32))
	n := 0
	for name, text := range pages(t) {
		for _, b := range iniBlock.FindAllSubmatch(text, -1) {
			n++
			ini := fileValue.ReplaceAllString(string(b[1]), "env:DOCS_SECRET")
			for _, m := range envValue.FindAllStringSubmatch(ini, -1) {
				t.Setenv(m[1], secret)
			}
			if _, err := config.Parse(name, ini); err != nil {
				t.Errorf("%v in:\n%s", err, ini)
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d were found", n)
	}
}

// TestDocsLinks: what the pages lead to within this module is there, headings too.
func TestDocsLinks(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		for _, m := range localLink.FindAllSubmatch(text, -1) {
			target := name
			if len(m[1]) > 0 {
				target = filepath.Join(filepath.Dir(name), string(m[1]))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if len(m[2]) > 0 && !hasHeading(all[filepath.ToSlash(target)], string(m[2])) {
				t.Errorf("%s: %s has no heading #%s", name, target, m[2])
			}
		}
	}
}

// hasHeading tells whether a page has a heading of that anchor.
func hasHeading(page []byte, anchor string) bool {
	for _, m := range heading.FindAllSubmatch(page, -1) {
		if strings.ReplaceAll(strings.ToLower(string(m[1])), " ", "-") == anchor {
			return true
		}
	}
	return false
}

// TestDocsCommands: the program has the commands that the pages name.
func TestDocsCommands(t *testing.T) {
	out, err := exec.Command("go", "run", "./cmd/webhook-repeater", "-h").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range pages(t) {
		for _, m := range ownCommand.FindAllSubmatch(text, -1) {
			if command := string(m[1]); !regexp.MustCompile(`(?m)^  (webhook-repeater )?` + regexp.QuoteMeta(command) + ` `).Match(out) {
				t.Errorf("%s: there is no command %s", name, command)
			}
		}
	}
}

// TestDocsOptions: the options that embedding.md names exist.
func TestDocsOptions(t *testing.T) {
	documented, err := exec.Command("go", "doc", "-all", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range option.FindAllSubmatch(pages(t)["docs/embedding.md"], -1) {
		if name := string(m[1]); name != "ReadTimeout" && !regexp.MustCompile(`(?m)^(func|type) (\(.*\) )?`+name+`\b`).Match(documented) {
			t.Errorf("there is no %s", name)
		}
	}
}
