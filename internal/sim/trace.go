package sim

import (
	"fmt"
	"strings"
	"time"
)

// event is something that a witness has seen.
type event struct {
	at   time.Duration
	who  string // a message, or "" for what concerns many
	what string
	form string
	args []any
}

func (e event) String() string {
	return fmt.Sprintf("%14.9f  %-6s %-11s %s", e.at.Seconds(), e.who, e.what, fmt.Sprintf(e.form, e.args...))
}

// trace is all that was seen, in its order.
type trace []event

// around returns one message's story, with what happened to its lane, and what concerned many meanwhile.
func (t trace) around(name, lane string) string {
	var b strings.Builder
	request, _, _ := strings.Cut(name, ".")
	for _, e := range t {
		if e.who == "" || e.who == name || e.who == request || e.who == lane {
			b.WriteString(e.String() + "\n")
		}
	}
	return b.String()
}

// byName returns the stories of all messages.
func (t trace) byName() map[string]string {
	stories := make(map[string]*strings.Builder)
	for _, e := range t {
		if stories[e.who] == nil {
			stories[e.who] = new(strings.Builder)
		}
		fmt.Fprintln(stories[e.who], e)
	}
	texts := make(map[string]string)
	for name, b := range stories {
		texts[name] = b.String()
	}
	return texts
}

func (t trace) String() string {
	var b strings.Builder
	for _, e := range t {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}
