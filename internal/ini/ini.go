// Package ini reads INI files as Python's configparser does, and remembers
// the line of everything it has read.
//
// A line is a section header "[name]", "key = value", "key: value", blank, or
// a comment that begins with "#" or ";". A comment begins a line, never in the
// middle of one, and nothing is expanded: values keep "#", ";" and "%(x)s".
// A line indented deeper than the key above it continues that key's value.
// Keys are told apart without regard to case, sections with it.
package ini

import (
	"fmt"
	"strings"
	"unicode"
)

// File is what a text contains, in its order.
type File struct {
	// Sections has a repeated section once more for each repetition.
	Sections []Section
}

// Section is a header and the keys under it.
type Section struct {
	Name     string
	Line     int
	Keys     []Key // each name once: the first holds
	Repeated bool  // a section of this name stands above
}

// Key is one key with its value.
type Key struct {
	Name  string // in lower case
	Value string // without white space around it; continuation lines follow after newlines
	Line  int
	Cont  int // line of the first continuation with text in it; 0 without one
}

// Mistake is a line that is not as it should be. Its text never quotes a value.
type Mistake struct {
	Line    int
	Section string // where it stands, or "" above the first section
	Text    string // "[section] what; what to do"
}

// Key finds a key by its name in lower case.
func (s *Section) Key(name string) (Key, bool) {
	for _, k := range s.Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

// Parse reads a text. It reads on after a mistake, so that all are found at once.
func Parse(text string) (File, []Mistake) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return File{}, []Mistake{{1, "", "the file is UTF-16; save it as UTF-8"}}
	}
	p := parser{indent: -1}
	text = strings.TrimPrefix(text, "\ufeff")
	for line := range strings.SplitSeq(text, "\n") {
		p.line++
		p.read(line)
	}
	for i := range p.file.Sections {
		s := &p.file.Sections[i]
		for j := range s.Keys {
			s.Keys[j].Value = strings.TrimRight(s.Keys[j].Value, "\n")
		}
	}
	return p.file, p.mistakes
}

type parser struct {
	file     File
	mistakes []Mistake
	line     int
	indent   int  // of the key that a deeper line continues; -1 without one
	drop     bool // that key is a repetition, its continuation goes nowhere
}

func (p *parser) read(line string) {
	text := strings.TrimSpace(line)
	switch {
	case text == "":
		p.appendLine("") // blank lines belong to a value if more of it follows
	case text[0] == '#' || text[0] == ';':
	case p.indent >= 0 && indentation(line) > p.indent:
		p.appendLine(text)
	case text[0] == '[':
		p.header(text)
	default:
		p.key(text, indentation(line))
	}
}

func indentation(line string) int {
	return len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
}

func (p *parser) header(text string) {
	p.indent = -1
	name, rest, closed := strings.Cut(text[1:], "]")
	name, rest = strings.TrimSpace(name), strings.TrimSpace(rest)
	first := p.lineOf(name)
	// Keys under a broken header, too, are kept away from the section above it.
	p.file.Sections = append(p.file.Sections, Section{Name: name, Line: p.line, Repeated: first > 0})
	switch {
	case !closed:
		p.fail("the section header has no closing bracket; write [name]")
	case name == "":
		p.fail("the section header is empty; write [name]")
	case rest != "" && rest[0] != '#' && rest[0] != ';':
		p.fail("text follows the section header; begin a new line after the bracket")
	case first > 0:
		p.fail("section [%s] again; it begins on line %d, put its keys there", name, first)
	}
}

// lineOf returns where the section of this name begins, or 0.
func (p *parser) lineOf(section string) int {
	for _, s := range p.file.Sections {
		if s.Name == section {
			return s.Line
		}
	}
	return 0
}

func (p *parser) key(text string, indent int) {
	p.indent = -1
	i := strings.IndexAny(text, "=:")
	if i < 0 {
		p.fail(`the line is neither a section nor a key; write "key = value"`)
		return
	}
	name := strings.ToLower(strings.TrimSpace(text[:i]))
	s := p.section()
	switch {
	case name == "":
		p.fail(`the line has a value without a key; write "key = value"`)
		return
	case s == nil:
		p.fail("key %q stands above the first section; put it under one", name)
		return
	}
	p.indent, p.drop = indent, false
	if other, ok := s.Key(name); ok {
		p.fail("[%s] key %q again; it stands on line %d, keep one", s.Name, name, other.Line)
		p.drop = true
		return
	}
	s.Keys = append(s.Keys, Key{Name: name, Value: strings.TrimSpace(text[i+1:]), Line: p.line})
}

// appendLine continues the value of the last key.
func (p *parser) appendLine(text string) {
	if p.indent < 0 || p.drop {
		return
	}
	s := p.section()
	k := &s.Keys[len(s.Keys)-1]
	k.Value += "\n" + text
	if k.Cont == 0 && text != "" {
		k.Cont = p.line
	}
}

func (p *parser) section() *Section {
	if len(p.file.Sections) == 0 {
		return nil
	}
	return &p.file.Sections[len(p.file.Sections)-1]
}

func (p *parser) fail(format string, args ...any) {
	m := Mistake{Line: p.line, Text: fmt.Sprintf(format, args...)}
	if s := p.section(); s != nil {
		m.Section = s.Name
	}
	p.mistakes = append(p.mistakes, m)
}
