package demo

import (
	"fmt"
	"io"
)

// printer writes one aligned line a step.
type printer struct {
	w      io.Writer
	colour bool
}

func (p printer) text(text string) { fmt.Fprintf(p.w, "\n%s\n\n", text) }

func (p printer) done(step, format string, args ...any) {
	p.line(p.paint("32", "✓"), step, fmt.Sprintf(format, args...))
}

func (p printer) failed(step string, err error) {
	p.line(p.paint("31", "✗"), step, err.Error())
}

func (p printer) line(mark, step, text string) {
	fmt.Fprintf(p.w, "  %s %-20s  %s\n", mark, step, text)
}

func (p printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
