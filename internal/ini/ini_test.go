package ini

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Section
	}{
		{"empty", "", nil},
		{"only comments", "# a\n; b\n   # c\n\n", nil},
		{"both delimiters, the first counts", "[s]\na = b:c\nd: e=f\ng=\nh:\n", []Section{{Name: "s", Line: 1, Keys: []Key{
			{Name: "a", Value: "b:c", Line: 2},
			{Name: "d", Value: "e=f", Line: 3},
			{Name: "g", Line: 4},
			{Name: "h", Line: 5},
		}}}},
		{"values are verbatim", "[s]\na = x # y ; z\nb = %(asctime)s %d %%\nc = \"q\"\n", []Section{{Name: "s", Line: 1, Keys: []Key{
			{Name: "a", Value: "x # y ; z", Line: 2},
			{Name: "b", Value: "%(asctime)s %d %%", Line: 3},
			{Name: "c", Value: `"q"`, Line: 4},
		}}}},
		{"keys without case, sections with it", "[S]\nSrc_Path = /X\n[s]\nsrc_path = /y\n", []Section{
			{Name: "S", Line: 1, Keys: []Key{{Name: "src_path", Value: "/X", Line: 2}}},
			{Name: "s", Line: 3, Keys: []Key{{Name: "src_path", Value: "/y", Line: 4}}},
		}},
		{"keys with spaces", "[ a b ]\n two words = v \n", []Section{
			{Name: "a b", Line: 1, Keys: []Key{{Name: "two words", Value: "v", Line: 2}}},
		}},
		{"byte order mark, CRLF, no last newline", "\ufeff[s]\r\na = b\r\nc = d", []Section{{Name: "s", Line: 1, Keys: []Key{
			{Name: "a", Value: "b", Line: 2},
			{Name: "c", Value: "d", Line: 3},
		}}}},
		{"comment behind a header", "[s] # here\n[t] ; and [here]\n", []Section{{Name: "s", Line: 1}, {Name: "t", Line: 2}}},
		{"continuation", "[s]\na = 1,\n  2,\n# no value\n\n\t3\n\nb = c\n", []Section{{Name: "s", Line: 1, Keys: []Key{
			{Name: "a", Value: "1,\n2,\n\n3", Line: 2, Cont: 3},
			{Name: "b", Value: "c", Line: 8},
		}}}},
		{"continuation of an empty value", "[s]\na =\n  x = y\n", []Section{{Name: "s", Line: 1, Keys: []Key{
			{Name: "a", Value: "\nx = y", Line: 2, Cont: 3},
		}}}},
		{"indented keys of one depth are keys", "[s]\n  a = b\n  c = d\n   e\nf = g\n", []Section{{Name: "s", Line: 1, Keys: []Key{
			{Name: "a", Value: "b", Line: 2},
			{Name: "c", Value: "d\ne", Line: 3, Cont: 4},
			{Name: "f", Value: "g", Line: 5},
		}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, mistakes := Parse(tt.text)
			if len(mistakes) > 0 {
				t.Errorf("mistakes: %v", mistakes)
			}
			if diff := cmp.Diff(tt.want, got.Sections); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Mistake
	}{
		{"repeated key", "[s]\na = 1\nA = 2\n  3\na: 4\n", []Mistake{
			{3, "s", `[s] key "a" again; it stands on line 2, keep one`},
			{5, "s", `[s] key "a" again; it stands on line 2, keep one`},
		}},
		{"repeated section", "[s]\na = 1\n[t]\n[s]\na = 2\n", []Mistake{
			{4, "s", `section [s] again; it begins on line 1, put its keys there`},
		}},
		{"key above all sections", "a = 1\n[s]\n", []Mistake{
			{1, "", `key "a" stands above the first section; put it under one`},
		}},
		{"neither", "[s]\nhunter2\n= v\n", []Mistake{
			{2, "s", `the line is neither a section nor a key; write "key = value"`},
			{3, "s", `the line has a value without a key; write "key = value"`},
		}},
		{"headers", "[s\n[]\n[t] x\n", []Mistake{
			{1, "s", "the section header has no closing bracket; write [name]"},
			{2, "", "the section header is empty; write [name]"},
			{3, "t", "text follows the section header; begin a new line after the bracket"},
		}},
		{"continuation of a mistake", "a = 1\n  b\n", []Mistake{
			{1, "", `key "a" stands above the first section; put it under one`},
			{2, "", `the line is neither a section nor a key; write "key = value"`},
		}},
		{"UTF-16", "\xff\xfe[\x00s\x00]\x00", []Mistake{{1, "", "the file is UTF-16; save it as UTF-8"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, got := Parse(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// FuzzParse: nothing panics, lines are in range, and what is read without a
// mistake reads the same once it is written down again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"[server]\nport = 8100\n",
		"\ufeff[hook:a b]\r\nsrc_path: /x?y#z\r\nsrc_host = 10.0.0.1,\r\n  10.0.0.2\r\n",
		"[s]\na = 1\nA = 2\n[s]\n= x\nnothing\n[\n[]\n",
		"[formatter_generic]\nformat = %(asctime)s %(levelname)-5.5s\n\n  [%(name)s]\n ; no\n",
		"\xff\xfe",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, mistakes := Parse(text)
		last := strings.Count(text, "\n") + 1
		for _, m := range mistakes {
			if m.Line < 1 || m.Line > last {
				t.Errorf("mistake on line %d of %d: %s", m.Line, last, m.Text)
			}
		}
		line := 0
		for _, s := range file.Sections {
			for _, n := range append([]int{s.Line}, lines(s)...) {
				if n <= line || n > last {
					t.Errorf("line %d of %d follows line %d", n, last, line)
				}
				line = n
			}
		}
		if len(mistakes) > 0 {
			return
		}
		again, mistakes := Parse(written(file))
		if len(mistakes) > 0 {
			t.Errorf("written again, it has mistakes: %v", mistakes)
		}
		if diff := cmp.Diff(written(file), written(again)); diff != "" {
			t.Errorf("written again, it reads differently:\n%s", diff)
		}
	})
}

func lines(s Section) []int {
	var n []int
	for _, k := range s.Keys {
		n = append(n, k.Line)
	}
	return n
}

func written(f File) string {
	var b strings.Builder
	for _, s := range f.Sections {
		fmt.Fprintf(&b, "[%s]\n", s.Name)
		for _, k := range s.Keys {
			fmt.Fprintf(&b, "%s = %s\n", k.Name, strings.ReplaceAll(k.Value, "\n", "\n  "))
		}
	}
	return b.String()
}
