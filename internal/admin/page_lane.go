package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const messagesPerPage = 50

// lanePage is one lane, and what waits in it.
type lanePage struct {
	laneRow
	DepthChart  chart
	FlowChart   chart
	Remedies    []remedy
	LastErrorAt *moment
	Pace        measure
	Bytes       measure
	Messages    []messageRow
	CannotTell  bool
	First       string // address of the first page, unless this is it
	More        string // address of the next page
}

// remedy is something that an operator can do for a lane.
type remedy struct {
	Action string
	Button string
	What   string // it does, in a sentence
	Danger bool
	Main   bool // the likely one

	Lane string
	Back string // "overview" to return there
	Hint string // id of the element that has What
}

var (
	pauseIt  = remedy{Action: "pause", Button: "Pause", What: "Sends nothing until you resume, also after a restart. Accepting goes on, and what waits does not age."}
	resumeIt = remedy{Action: "resume", Button: "Resume", What: "Sends again, the oldest message first.", Main: true}
	retryIt  = remedy{Action: "retry", Button: "Retry now", What: "Does not wait for the next attempt: tries at once, and goes on if that succeeds.", Main: true}
	forgive  = remedy{Action: "drop-refused", Button: "Drop refused", What: "Goes on: each message that is refused becomes a dead letter at once, until one is delivered. You can replay them later.", Danger: true}
)

// remedies are those that would change something, the likeliest first.
func remedies(l Lane) []remedy {
	var all []remedy
	if l.State == Paused {
		all = append(all, resumeIt)
	}
	if l.State == Unwell || l.State == Refusing || l.State == Paused && l.Failures > 0 {
		retry := retryIt
		retry.Main = l.State != Paused
		all = append(all, retry)
	}
	if l.State == Refusing {
		all = append(all, forgive)
	}
	if l.State != Paused {
		all = append(all, pauseIt)
	}
	for i := range all {
		all[i].Lane, all[i].Hint = l.Name, "what"+strconv.Itoa(i)
	}
	return all
}

// messageRow is one message in a list.
type messageRow struct {
	Message
	Received moment
	Due      *moment
	Died     *moment
	Size     measure
	Outcome  string // of the last attempt
}

func newMessageRow(now time.Time, m Message) messageRow {
	row := messageRow{Message: m, Received: ago(now, m.Received), Size: size(int64(m.Size))}
	if m.Due != nil {
		due := until(now, *m.Due)
		row.Due = &due
	}
	if m.Died != nil {
		died := ago(now, *m.Died)
		row.Died = &died
	}
	if n := len(m.History); n > 0 {
		row.Outcome = outcome(m.History[n-1])
	}
	return row
}

func (s *site) lane(w http.ResponseWriter, r *http.Request) error {
	name, cursor := r.FormValue("name"), r.FormValue("cursor")
	l, err := s.findLane(r.Context(), name)
	if err != nil {
		return err
	}
	body := newLanePage(s.now(), l)
	messages, next, err := s.src.Messages(r.Context(), name, cursor, messagesPerPage)
	switch {
	case errors.Is(err, ErrUnsupported):
		body.CannotTell = true
	case err != nil && !errors.Is(err, ErrNotFound): // a lane may have a route and no messages
		return err
	}
	for _, m := range messages {
		body.Messages = append(body.Messages, newMessageRow(s.now(), m))
	}
	if cursor != "" {
		body.First = laneAddress(name, "") + "#waiting"
	}
	if next != "" {
		body.More = laneAddress(name, next) + "#waiting"
	}
	return s.render(w, r, http.StatusOK, page{
		Title: name + ": " + string(l.State), Kind: "lane", Section: "overview", Refresh: refreshEvery, Trouble: body.Trouble, Body: body})
}

func (s *site) findLane(ctx context.Context, name string) (Lane, error) {
	l, err := s.src.Lane(ctx, name)
	if errors.Is(err, ErrNotFound) {
		err = errNoLane
	}
	return l, err
}

func newLanePage(now time.Time, l Lane) lanePage {
	depth := series{"waiting", "depth", floats(l.Depth), count}
	in := series{"accepted/s", "accepted", l.AcceptedPerSecond, rate}
	out := series{"delivered/s", "delivered", l.DeliveredPerSecond, rate}
	p := lanePage{
		laneRow:    newLaneRow(now, l),
		DepthChart: newChart(600, 120, 1, depth).withSlots(now, depth),
		FlowChart:  newChart(600, 120, 1, in, out).withSlots(now, in, out),
		Remedies:   remedies(l),
		Pace:       span(l.Pace),
		Bytes:      size(l.Bytes),
	}
	if l.LastErrorAt != nil {
		at := ago(now, *l.LastErrorAt)
		p.LastErrorAt = &at
	}
	return p
}

func laneAddress(name, cursor string) string {
	q := url.Values{"name": {name}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return "lane?" + q.Encode()
}

// steer carries out an order that can be taken back.
func (s *site) steer(order func(context.Context, string) error, done string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := r.PostFormValue("name")
		if _, err := s.findLane(r.Context(), name); err != nil { // or a misspelt lane would come to be
			return err
		}
		if err := order(r.Context(), name); err != nil {
			return err
		}
		if r.PostFormValue("back") == "overview" {
			return seeOther(w, "./", url.Values{"done": {done}})
		}
		return seeOther(w, "lane", url.Values{"name": {name}, "done": {done}})
	}
}

func (s *site) dropRefused(w http.ResponseWriter, r *http.Request) error {
	if r.PostFormValue("sure") == "yes" {
		return s.steer(s.src.DropRefused, "forgiven")(w, r)
	}
	name := r.PostFormValue("name")
	l, err := s.findLane(r.Context(), name)
	if err != nil {
		return err
	}
	return s.confirm(w, r, confirmation{
		Heading: "Drop what is refused?",
		Lines: []string{
			name + " has " + plural(l.Waiting, "message") + " waiting, and has refused " + number(l.Refusals) + " in a row.",
			"Each one that it refuses becomes a dead letter at once, however many, until it takes one. Dead letters are kept, and can be replayed.",
			"If the destination is at fault, mend it and use Retry now instead.",
		},
		Action: "drop-refused", Fields: []field{{"name", name}, {"sure", "yes"}},
		Button: "Drop refused", Danger: true, Back: laneAddress(name, ""),
	})
}
