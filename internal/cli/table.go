package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// style is how text looks on a terminal.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// cell is text in a table.
type cell struct {
	text  string
	style style
}

// column has a heading; numbers stand at its right.
type column struct {
	head  string
	right bool
}

// table aligns rows under headings. Several calls of print continue one table.
type table struct {
	columns []column
	rows    [][]cell
	widths  []int
	headed  bool
}

func (t *table) add(cells ...cell) {
	for i := range cells {
		cells[i].text = clean(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

// print writes the rows that have been added since the last call.
func (t *table) print(w io.Writer, colour bool) {
	if t.widths == nil {
		t.widths = make([]int, len(t.columns))
	}
	heads := make([]cell, len(t.columns))
	for i, c := range t.columns {
		heads[i] = cell{c.head, bold}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(c.head))
		for _, row := range t.rows {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	if !t.headed {
		t.line(w, heads, colour)
		t.headed = true
	}
	for _, row := range t.rows {
		t.line(w, row, colour)
	}
	t.rows = t.rows[:0]
}

func (t *table) line(w io.Writer, row []cell, colour bool) {
	var b strings.Builder
	for i, c := range row {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(c.text))
		switch {
		case t.columns[i].right:
			b.WriteString(pad + c.style.paint(c.text, colour))
		case i == len(row)-1:
			b.WriteString(c.style.paint(c.text, colour))
		default:
			b.WriteString(c.style.paint(c.text, colour) + pad)
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

func (s style) paint(text string, colour bool) string {
	if !colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// colour tells whether w shows colours, and its reader wants any.
func colour(w io.Writer) bool {
	return onTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// onTerminal tells whether a person reads or writes f.
func onTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) // #nosec G115 -- a small number
}

// json prints for programs what the API has answered.
func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
