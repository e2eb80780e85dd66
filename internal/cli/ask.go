package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// confirm asks whoever sits at the terminal. Anything but yes is no.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, err := unless(ctx, func() (string, error) {
		line, _ := bufio.NewReader(a.in).ReadString('\n') // no line is no answer
		return line, nil
	})
	if err != nil {
		fmt.Fprintln(a.err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	fmt.Fprintln(a.err, "Nothing was done.")
	return exit(exitFailed)
}

// unless waits for what a read brings, but not once ctx has ended: a read cannot be ended.
func unless[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	came := make(chan result, 1)
	go func() {
		v, err := read()
		came <- result{v, err}
	}()
	select {
	case r := <-came:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// progress shows on a terminal how far long work is.
type progress struct {
	w     io.Writer // nil where nobody looks
	verb  string
	total int // -1 where it is not known
	since time.Time
	now   func() time.Time
}

const barWidth = 30

func (a *app) newProgress(verb string, total int) *progress {
	p := &progress{verb: verb, total: total, now: a.now, since: a.now()}
	if onTerminal(a.err) {
		p.w = a.err
	}
	return p
}

// show is for when n of them are done.
func (p *progress) show(n int) {
	if p.w == nil {
		return
	}
	fmt.Fprintf(p.w, "\r%s\x1b[K", p.line(n))
}

func (p *progress) line(n int) string {
	if p.total <= 0 {
		return fmt.Sprintf("%s: %s", p.verb, count(n))
	}
	n = min(n, p.total)
	full := barWidth * n / p.total
	line := fmt.Sprintf("%s [%s%s] %s of %s", p.verb, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), count(n), count(p.total))
	if past := p.now().Sub(p.since); n > 0 && n < p.total && past > time.Second {
		line += ", " + span(time.Duration(float64(past)*float64(p.total-n)/float64(n))) + " left"
	}
	return line
}

// end takes it away: what has been done is told in words.
func (p *progress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
