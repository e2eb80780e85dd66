package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	within   = 5 * time.Minute // each test must tell
	moduleAt = "github.com/webhook-repeater/repeater"
)

// moduleDir is where the module's files are.
func moduleDir() (string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", moduleAt).Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// overlay is a tree with bugs: the files of the module, but for some that lie elsewhere. Nothing
// is ever written into the tree itself.
type overlay struct {
	module string
	files  map[string]string // text, by name in the module
}

// plant puts a bug in, which must find its place, once.
func (o *overlay) plant(b *bug) error {
	text, ok := o.files[b.file]
	if !ok {
		raw, err := os.ReadFile(filepath.Join(o.module, b.file)) // #nosec G304 -- the table names it
		if err != nil {
			return err
		}
		text = string(raw)
	}
	if n := strings.Count(text, b.old); n != 1 {
		return fmt.Errorf("%s: found %d times, want once:\n%s", b.file, n, b.old)
	}
	if o.files == nil {
		o.files = make(map[string]string)
	}
	o.files[b.file] = strings.Replace(text, b.old, b.new, 1)
	return nil
}

// run runs the go tool on the tree with bugs, and lets what it builds have them, too.
func (o *overlay) run(ctx context.Context, dir string, args ...string) (string, error) {
	replace := make(map[string]string)
	for name, text := range o.files {
		at := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(o.module, name)] = at
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, list, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- the table names the arguments
	cmd.Dir = o.module
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+at))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

var failed = regexp.MustCompile(`(?m)^ *--- FAIL: |^panic: |^fatal error: `)

// caught runs the bug's test, and returns an error unless that has failed, as a test and
// not as a build.
func (b *bug) caught(ctx context.Context, module string) error {
	dir, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := &overlay{module: module}
	if err := o.plant(b); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out, err := o.run(ctx, dir, "test", "-count=1", "-vet=off", "-ldflags=-s -w", "-timeout", within.String(), "-run", anchored(b.run), b.pkg)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s has not told within %v", b.run, within)
	case err == nil:
		return fmt.Errorf("%s has not noticed", b.run)
	case !failed.MatchString(out):
		return fmt.Errorf("%s was not run:\n%s", b.run, out)
	}
	return nil
}

// anchored lets -run match whole names.
func anchored(run string) string {
	parts := strings.Split(run, "/")
	for i := range parts {
		parts[i] = "^" + parts[i] + "$"
	}
	return strings.Join(parts, "/")
}

// healthy runs the tests of all bugs without any: a test that fails anyway notices nothing.
func healthy(ctx context.Context, module string, some []bug) error {
	runs := make(map[string][]string)
	for _, b := range some {
		name, _, _ := strings.Cut(b.run, "/")
		runs[b.pkg] = append(runs[b.pkg], name)
	}
	for pkg, names := range runs {
		ctx, cancel := context.WithTimeout(ctx, within)
		o := &overlay{module: module}
		dir, err := os.MkdirTemp("", "planted-")
		if err == nil {
			var out string
			out, err = o.run(ctx, dir, "test", "-timeout", within.String(), "-run", "^("+strings.Join(names, "|")+")$", pkg)
			_ = os.RemoveAll(dir)
			if err != nil {
				err = fmt.Errorf("without any bug: %s: %w\n%s", pkg, err, out)
			}
		}
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
