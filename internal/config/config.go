// Package config turns a config.ini into settings, and settings into options
// of package repeater. It finds all mistakes of a file at once, each in one
// line: "file:line: what; what to do".
package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/webhook-repeater/repeater/internal/ini"
)

// Load reads a file. Its error has one line for each mistake.
func Load(path string) (*Settings, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

func readFile(path string) (string, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return "", fmt.Errorf("%s: %w; name a file to read with --config", path, err)
	}
	return string(text), nil
}

// Parse reads the text of a file; name is what its mistakes begin with.
func Parse(name, text string) (*Settings, error) {
	file, mistakes := ini.Parse(text)
	r := reader{fields: defaults(), name: name, lines: make(map[string]int)}
	r.all = r.hook
	for _, m := range mistakes {
		if !isPythonLogging(m.Section) {
			r.mistakes = append(r.mistakes, mistake{m.Line, m.Text})
		}
	}
	// Hooks come last, as they begin with what the other sections say of all of them.
	for _, hooks := range []bool{false, true} {
		for i := range file.Sections {
			if _, ok := hookName(file.Sections[i].Name); ok == hooks {
				r.section(&file.Sections[i])
			}
		}
	}
	r.checkStore()
	r.checkBackoff()
	r.checkMemory()
	r.checkHooks()
	r.checkLanes()
	r.checkKeys()
	r.checkTLS()
	r.checkAdmin()
	if len(r.mistakes) > 0 {
		return nil, r.err()
	}
	return r.Settings, nil
}

// reader fills settings and gathers mistakes.
type reader struct {
	fields
	name     string         // of the file
	all      *Hook          // what holds for every hook that does not say otherwise
	lines    map[string]int // of "section.key", where a file has it
	mistakes []mistake
}

// mistake has line 0 where it is about the file as a whole.
type mistake struct {
	line int
	text string
}

func (r *reader) fail(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, mistake{line, fmt.Sprintf(format, args...)})
}

// notice is for what is no mistake, but worth a line.
func (r *reader) notice(line int, format string, args ...any) {
	r.Notices = append(r.Notices, fmt.Sprintf("%s:%d: %s", r.name, line, fmt.Sprintf(format, args...)))
}

func (r *reader) err() error {
	slices.SortStableFunc(r.mistakes, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(r.mistakes))
	for i, m := range r.mistakes {
		if m.line == 0 {
			errs[i] = fmt.Errorf("%s: %s", r.name, m.text)
		} else {
			errs[i] = fmt.Errorf("%s:%d: %s", r.name, m.line, m.text)
		}
	}
	return errors.Join(errs...)
}

func (r *reader) section(in *ini.Section) {
	if in.Name == "" { // a broken header, reported already
		return
	}
	if isPythonLogging(in.Name) {
		if !in.Repeated {
			r.Ignored = append(r.Ignored, in.Name)
		}
		return
	}
	sec := find(in.Name)
	if sec == nil {
		r.unknownSection(in)
		return
	}
	r.hook = r.all
	if name, ok := hookName(in.Name); ok {
		r.hook = r.newHook(in, name)
	}
	for _, k := range in.Keys {
		r.key(sec, in, k)
	}
	if k, ok := in.Key("retry_status"); ok && r.hook.Success == "any" {
		r.fail(k.Line, "[%s] retry_status has no effect with success = any; keep one of the two", in.Name)
	}
	for _, k := range sec.Keys {
		if _, ok := in.Key(k.Name); !ok && k.Required {
			r.fail(in.Line, "[%s] has no %s; %s", in.Name, k.Name, k.missing)
		}
	}
	if r.hook != r.all && !in.Repeated {
		r.Hooks = append(r.Hooks, *r.hook)
	}
}

func (r *reader) newHook(in *ini.Section, name string) *Hook {
	h := *r.all
	h.Name, h.section, h.line = name, in.Name, in.Line
	if k, ok := in.Key("src_path"); ok {
		h.pathLine = k.Line
	}
	if name == "" || len(name) > 255 {
		r.fail(in.Line, "[%s] a hook's name has 1 to 255 bytes; write [hook:NAME]", in.Name)
	}
	return &h
}

func (r *reader) key(sec *Section, in *ini.Section, k ini.Key) {
	spec := sec.key(k.Name)
	switch {
	case spec == nil:
		r.unknownKey(sec, in, k)
		return
	case k.Cont > 0 && !spec.multi:
		r.fail(k.Cont, "[%s] the indented line continues the value of %s; begin a key at the beginning of its line", in.Name, k.Name)
		return
	case k.Value == "" && !spec.empty:
		if spec.Required {
			r.fail(k.Line, "[%s] %s is empty; %s", in.Name, k.Name, spec.missing)
		} else {
			r.fail(k.Line, "[%s] %s is empty; give it a value or delete the line", in.Name, k.Name)
		}
		return
	}
	if !in.Repeated {
		r.lines[in.Name+"."+k.Name] = k.Line
	}
	if err := spec.set(&r.fields, k.Value); err != nil {
		if spec.quiet {
			r.fail(k.Line, "[%s] %s %v", in.Name, k.Name, err)
		} else {
			r.fail(k.Line, "[%s] %s %s %v", in.Name, k.Name, quote(k.Value), err)
		}
	}
}

// quote keeps a value on its line, and the line readable.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return fmt.Sprintf("%q", s)
}

func (r *reader) unknownSection(in *ini.Section) {
	hint := "the sections are " + list(names())
	if kind, name, ok := strings.Cut(in.Name, ":"); ok {
		if closest(kind, []string{"hook"}) != "" {
			hint = fmt.Sprintf("did you mean [hook:%s]?", strings.TrimSpace(name))
		}
	} else if near := closest(in.Name, names()); near != "" {
		hint = fmt.Sprintf("did you mean [%s]?", near)
	} else if in.Name == "hook" {
		hint = "did you mean [hook:NAME]?"
	}
	r.fail(in.Line, "unknown section [%s]; %s", in.Name, hint)
}

func (r *reader) unknownKey(sec *Section, in *ini.Section, k ini.Key) {
	hint := "the keys here are " + strings.Join(sec.names(), ", ")
	if near := closest(k.Name, sec.names()); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if home := homeOf(k.Name); home != "" {
		hint = fmt.Sprintf("it belongs under [%s]", home)
	}
	r.fail(k.Line, "[%s] unknown key %s; %s", in.Name, quote(k.Name), hint)
}

func list(names []string) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString("[" + n + "]")
	}
	return b.String()
}
