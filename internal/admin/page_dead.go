package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	deadPerPage = 50
	countStep   = 1000  // letters looked at in one call, to count them
	countMost   = 20000 // then it is "more than"
)

// deadPage lists dead letters.
type deadPage struct {
	Filter   deadFilter
	Narrow   bool // some filter is set
	Lanes    []laneOption
	Statuses []statusOption
	Ranges   []link
	Letters  []messageRow
	Total    int // in the lane, or in all; however the filter is set
	Hidden   []field
	First    string
	More     string
}

type laneOption struct {
	Name     string
	Dead     int
	Selected bool
}

type statusOption struct {
	Value, Text string
	Selected    bool
}

type link struct {
	Text, Address string
	Current       bool
}

// deadFilter is a Filter as it stands in an address or a form.
type deadFilter struct {
	Lane     string
	From, To string // in UTC, as of <input type=datetime-local>
	Status   string // "", "none" or a number
	parsed   Filter
}

// The browser sends minutes, or more if it has been given more.
var inputTimes = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04:05.000"}

func parseTime(s string) (time.Time, error) {
	for _, layout := range inputTimes {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badRequest(fmt.Sprintf("%q is no time", s))
}

func readFilter(get func(string) string) (f deadFilter, err error) {
	f = deadFilter{Lane: get("lane"), From: get("from"), To: get("to"), Status: get("status")}
	f.parsed.Lane = f.Lane
	if f.From != "" {
		if f.parsed.From, err = parseTime(f.From); err != nil {
			return f, err
		}
	}
	if f.To != "" {
		if f.parsed.To, err = parseTime(f.To); err != nil {
			return f, err
		}
	}
	switch f.Status {
	case "":
	case "none":
		f.parsed.Status = -1
	default:
		if f.parsed.Status, err = strconv.Atoi(f.Status); err != nil || f.parsed.Status < 100 || f.parsed.Status > 999 {
			return f, badRequest(fmt.Sprintf("%q is no status", f.Status))
		}
	}
	return f, nil
}

func (f deadFilter) narrow() bool { return f.From != "" || f.To != "" || f.Status != "" }

func (f deadFilter) query() url.Values {
	q := url.Values{}
	for _, x := range f.fields() {
		q.Set(x.Name, x.Value)
	}
	return q
}

func (f deadFilter) fields() []field {
	all := []field{{"lane", f.Lane}, {"from", f.From}, {"to", f.To}, {"status", f.Status}}
	return slices.DeleteFunc(all, func(x field) bool { return x.Value == "" })
}

func (s *site) dead(w http.ResponseWriter, r *http.Request) error {
	f, err := readFilter(r.FormValue)
	if err != nil {
		return err
	}
	lanes, err := s.src.Lanes(r.Context())
	if err != nil {
		return err
	}
	here := place{r.FormValue("in"), r.FormValue("cursor")}
	found, next, err := s.findDead(r.Context(), f.parsed, lanes, here, deadPerPage)
	if err != nil {
		return err
	}
	body := deadPage{Filter: f, Narrow: f.narrow() || f.Lane != "", Total: totalDead(lanes, f.Lane), Hidden: f.fields(),
		Lanes: laneOptions(lanes, f.Lane), Statuses: statusOptions(f.Status), Ranges: ranges(s.now(), f)}
	for _, m := range found {
		body.Letters = append(body.Letters, newMessageRow(s.now(), m))
	}
	if here != (place{}) {
		body.First = "dead?" + f.query().Encode()
	}
	if next != (place{}) {
		q := f.query()
		q.Set("in", next.lane)
		q.Set("cursor", next.cursor)
		body.More = "dead?" + q.Encode()
	}
	return s.render(w, r, http.StatusOK, page{Title: "Dead letters", Kind: "dead", Section: "dead", Refresh: refreshEvery, Body: body})
}

// place is where a page begins: in which lane, and where in it.
type place struct{ lane, cursor string }

// findDead goes through the lanes by name, as a Source tells of one lane at a time.
func (s *site) findDead(ctx context.Context, f Filter, lanes []Lane, from place, most int) (found []Message, next place, err error) {
	for _, name := range deadLanes(lanes, f.Lane) {
		if name < from.lane {
			continue
		}
		cursor := ""
		if name == from.lane {
			cursor = from.cursor
		}
		f.Lane = name
		for {
			if len(found) >= most {
				return found, place{name, cursor}, nil
			}
			var page []Message
			page, cursor, err = s.src.Dead(ctx, f, cursor, most-len(found))
			if err != nil && !errors.Is(err, ErrNotFound) { // its last letter may just have gone
				return nil, place{}, err
			}
			found = append(found, page...)
			if cursor == "" {
				break
			}
		}
	}
	return found, place{}, nil
}

// deadLanes are the names of those that have dead letters, in order; of one only, if it is named.
func deadLanes(lanes []Lane, only string) []string {
	if only != "" {
		return []string{only}
	}
	var names []string
	for _, l := range lanes {
		if l.Dead > 0 {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	return names
}

func totalDead(lanes []Lane, only string) (n int) {
	for _, l := range lanes {
		if only == "" || only == l.Name {
			n += l.Dead
		}
	}
	return n
}

func laneOptions(lanes []Lane, selected string) []laneOption {
	var all []laneOption
	known := selected == ""
	for _, l := range lanes {
		if l.Dead > 0 || l.Name == selected {
			all = append(all, laneOption{l.Name, l.Dead, l.Name == selected})
			known = known || l.Name == selected
		}
	}
	if !known {
		all = append(all, laneOption{selected, 0, true})
	}
	return all
}

// usual are the statuses that one may choose from.
var usual = []int{300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 425, 429, 500, 501, 502, 503, 504}

func statusOptions(selected string) []statusOption {
	all := []statusOption{{"", "Any", selected == ""}, {"none", "No answer", selected == "none"}}
	codes := usual
	if n, err := strconv.Atoi(selected); err == nil && !slices.Contains(usual, n) {
		codes = slices.Sorted(slices.Values(append([]int{n}, usual...)))
	}
	for _, n := range codes {
		value := strconv.Itoa(n)
		all = append(all, statusOption{value, outcome(Attempt{Status: n}), value == selected})
	}
	return all
}

// ranges are short cuts to the times that are asked for most.
func ranges(now time.Time, f deadFilter) []link {
	var all []link
	for _, x := range []struct {
		text string
		back time.Duration
	}{{"last hour", time.Hour}, {"last day", 24 * time.Hour}, {"last week", 7 * 24 * time.Hour}} {
		g := f
		g.From, g.To = now.Add(-x.back).UTC().Format(inputTimes[0]), ""
		all = append(all, link{x.text, "dead?" + g.query().Encode(), g.From == f.From && f.To == ""})
	}
	return all
}
