package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// hidden makes a kind whose value is never told, and which may stand elsewhere: "env:NAME" is
// the value of an environment variable, "file:PATH" what is in a file, less
// the white space around it.
func hidden(k kind) kind {
	set := k.set
	k.quiet, k.secret = true, true
	k.set = func(f *fields, v string) error {
		v, err := reveal(v)
		if err != nil {
			return err
		}
		return set(f, v)
	}
	return k
}

func reveal(v string) (string, error) {
	if name, ok := strings.CutPrefix(v, "env:"); ok {
		v = os.Getenv(name)
		if v == "" {
			return "", fmt.Errorf("is to be in the environment variable %s, which is not set; set it, or write another env:NAME", quote(name))
		}
		return v, nil
	}
	path, ok := strings.CutPrefix(v, "file:")
	if !ok {
		return v, nil
	}
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	v = strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("is to be in the file %s: %w; make it readable, or write another file:PATH", quote(path), err)
	case v == "":
		return "", fmt.Errorf("is to be in the file %s, which is empty; write it there", quote(path))
	}
	return v, nil
}

// secrets reads one value a line, any of which may be in use.
func secrets(to func(*fields) *[]string) kind {
	return kind{Kind: "text, one a line", quiet: true, secret: true, multi: true, set: func(f *fields, v string) error {
		var all []string
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			s, err := reveal(line)
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		*to(f) = all
		return nil
	}}
}
