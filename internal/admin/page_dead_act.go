package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// chosen is what a form of the dead letters means: some by their keys, or all that match.
type chosen struct {
	filter deadFilter
	keys   []string
	all    bool
	sure   bool
	before string // the letters of later are not meant, as their number was told at this time
	id     string // of the message page it comes from, if it does
}

func readChosen(r *http.Request) (chosen, error) {
	if err := r.ParseForm(); err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return chosen{}, tooLarge
		}
		return chosen{}, badRequest("the form is damaged")
	}
	f, err := readFilter(r.PostForm.Get)
	c := chosen{filter: f, keys: r.PostForm["key"], all: r.PostForm.Get("all") == "yes",
		sure: r.PostForm.Get("sure") == "yes", before: r.PostForm.Get("before"), id: r.PostForm.Get("id")}
	if err == nil && c.before != "" {
		_, err = parseTime(c.before)
	}
	return c, err
}

// nothing guards against the worst: a form without keys must not mean every letter.
func (c chosen) nothing() bool { return !c.all && len(c.keys) == 0 }

func (c chosen) meant() Filter {
	if !c.all {
		return Filter{Lane: c.filter.Lane, Keys: c.keys}
	}
	f := c.filter.parsed
	if f.To.IsZero() && c.before != "" {
		f.To, _ = parseTime(c.before) // readChosen has seen that it is one
	}
	return f
}

func (c chosen) fields() []field {
	all := append(c.filter.fields(), field{"sure", "yes"})
	if c.all {
		return append(all, field{"all", "yes"}, field{"before", c.before})
	}
	if c.id != "" {
		all = append(all, field{"id", c.id})
	}
	for _, k := range c.keys {
		all = append(all, field{"key", k})
	}
	return all
}

func (c chosen) back() string {
	if c.id != "" {
		return "message?" + url.Values{"id": {c.id}}.Encode()
	}
	return "dead?" + c.filter.query().Encode()
}

// replay asks first only where the operator has not seen each letter.
func (s *site) replay(w http.ResponseWriter, r *http.Request) error {
	c, err := readChosen(r)
	switch {
	case err != nil:
		return err
	case c.nothing():
		return s.leave(w, c, "nothing", 0)
	case c.all && !c.sure:
		return s.ask(w, r, c, confirmation{Heading: "Replay %s?", Action: "replay", Button: "Replay %s", Lines: []string{
			"They go to the end of their queues as if just accepted, with their old ids and a new age. Their destinations may have seen them before."}})
	}
	n, err := s.src.Replay(r.Context(), c.meant())
	if err != nil {
		return partly(n, "replayed", err)
	}
	return s.leave(w, c, "replayed", n)
}

func (s *site) drop(w http.ResponseWriter, r *http.Request) error {
	c, err := readChosen(r)
	switch {
	case err != nil:
		return err
	case c.nothing():
		return s.leave(w, c, "nothing", 0)
	case !c.sure:
		return s.ask(w, r, c, confirmation{Heading: "Drop %s?", Action: "drop", Button: "Drop %s", Danger: true, Lines: []string{
			"They are deleted for good, with their bodies. This cannot be undone."}})
	}
	n, err := s.src.Drop(r.Context(), c.meant())
	if err != nil {
		return partly(n, "dropped", err)
	}
	return s.leave(w, c, "dropped", n)
}

// halfDone is what came of an action that a failure has ended.
type halfDone struct {
	n    int
	done string
	err  error
}

func (h halfDone) Error() string { return h.done + " " + letters(h.n) + ": " + h.err.Error() }
func (h halfDone) Unwrap() error { return h.err }

func partly(n int, done string, err error) error {
	if n == 0 {
		return err
	}
	return halfDone{n, done, err}
}

// ask tells how many are meant. Who says yes means those, and none that dies meanwhile.
func (s *site) ask(w http.ResponseWriter, r *http.Request, c chosen, q confirmation) error {
	text := letters(len(c.keys))
	if c.all {
		c.before = s.now().UTC().Format(inputTimes[2])
		where := "In all lanes."
		if c.filter.Lane != "" {
			where = "In the lane " + c.filter.Lane + "."
		}
		q.Lines = append([]string{where}, append(q.Lines, "What dies from now on is not meant.")...)
		var err error
		if text, err = s.countDead(r.Context(), c.meant(), !c.filter.narrow()); err != nil {
			return err
		}
	}
	q.Heading, q.Button = fmt.Sprintf(q.Heading, text), fmt.Sprintf(q.Button, text)
	q.Fields, q.Back = c.fields(), c.back()
	return s.confirm(w, r, q)
}

// countDead tells how many match. Where plain says that a lane's letters all do, their number is known.
func (s *site) countDead(ctx context.Context, f Filter, plain bool) (string, error) {
	lanes, err := s.src.Lanes(ctx)
	if err != nil {
		return "", err
	}
	if plain {
		return letters(totalDead(lanes, f.Lane)), nil
	}
	n, at := 0, place{}
	for {
		found, next, err := s.findDead(ctx, f, lanes, at, countStep)
		if err != nil {
			return "", err
		}
		n += len(found)
		if next == (place{}) {
			return letters(n), nil
		}
		if n >= countMost {
			return "more than " + letters(n), nil
		}
		at = next
	}
}

func (s *site) leave(w http.ResponseWriter, c chosen, done string, n int) error {
	q := c.filter.query()
	path := "dead"
	if c.id != "" && done != "dropped" {
		path, q = "message", url.Values{"id": {c.id}}
	}
	q.Set("done", done)
	q.Set("n", strconv.Itoa(n))
	return seeOther(w, path, q)
}
