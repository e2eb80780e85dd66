package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// messagePage is the story of one accepted request, for each of its destinations.
type messagePage struct {
	ID       string
	Route    string
	Received moment
	Size     measure
	Stories  []story
	Request  *requestView
	Hidden   bool   // payloads are not to be shown
	NoBody   string // why there is no Request although it may be shown
	Spoken   string
}

// story is a message's, from its acceptance to what happens next.
type story struct {
	messageRow
	Accepted moment
	Ended    moment // when it died
	Tries    []try
	Expires  *moment
	Answer   string
	Key      string
}

// try is one attempt, or the gap where some are no longer known.
type try struct {
	Number  int
	Missing int // attempts that are not kept; nothing else is set
	At      moment
	After   string // since it was accepted
	Took    measure
	Share   int // of the longest, in twentieths
	Outcome string
	Good    bool
}

var (
	idHeader = regexp.MustCompile(`(?i)^\s*repeater-id\s*:\s*`)
	destPart = regexp.MustCompile(`\.\d+$`)
)

// readings are the ids that may be meant by what somebody has pasted: as it stands, without the header's
// name before it or quotes around it, and without the number of a destination behind it.
func readings(pasted string) []string {
	bare := strings.Trim(idHeader.ReplaceAllString(pasted, ""), " \t\r\n\"'`")
	return slices.Compact([]string{strings.TrimSpace(pasted), bare, destPart.ReplaceAllString(bare, "")})
}

// explain tries all readings, and tells which one it was.
func (s *site) explain(ctx context.Context, pasted string) (id string, messages []Message, err error) {
	for _, id = range readings(pasted) {
		messages, err = s.src.Explain(ctx, id)
		if err == nil && len(messages) > 0 {
			return id, messages, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return id, nil, err
		}
	}
	return id, nil, ErrNotFound
}

func (s *site) message(w http.ResponseWriter, r *http.Request) error {
	pasted := strings.TrimSpace(r.FormValue("id"))
	if pasted == "" {
		return s.render(w, r, http.StatusOK, page{Title: "Find a message", Kind: "apology", Body: apology{
			Heading: "Find a message", Lines: []string{"Paste a Repeater-Id above. Senders get it as a header of the answer, destinations as a header of the request; the log has it, too."}}})
	}
	id, messages, err := s.explain(r.Context(), pasted)
	if errors.Is(err, ErrNotFound) {
		return s.render(w, r, http.StatusNotFound, page{Title: "Not found", Kind: "apology", Search: pasted, Section: "message", Body: apology{
			Heading: "No message has this id", Detail: pasted, Status: http.StatusNotFound, Lines: []string{gone}}})
	}
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, page{
		Title: "Message " + id, Kind: "message", Section: "message", Search: id, Refresh: refreshEvery, Body: s.newMessagePage(r, id, messages)})
}

func (s *site) newMessagePage(r *http.Request, id string, messages []Message) messagePage {
	now := s.now()
	first := messages[0]
	p := messagePage{ID: id, Route: first.Route, Received: stamp(now, first.Received), Size: size(int64(first.Size)), Hidden: !s.opts.ShowPayloads}
	for _, m := range messages {
		story := newStory(now, m)
		if p.Hidden {
			story.Answer = ""
		}
		p.Stories = append(p.Stories, story)
		p.Spoken += fmt.Sprintf("%s: %s. ", m.Lane, m.Status)
	}
	if p.Hidden {
		return p
	}
	req, err := s.src.Request(r.Context(), first.Lane, first.ID, first.Dest)
	switch {
	case errors.Is(err, ErrNotFound):
		p.NoBody = "It has just been delivered or dropped."
	case errors.Is(err, ErrUnreadable):
		p.NoBody = "It cannot be read. " + unreadable
	case err != nil:
		p.NoBody = "It cannot be read just now. The log tells why."
	default:
		view := newRequestView(req)
		view.Download = "body?" + url.Values{"lane": {first.Lane}, "id": {first.ID}, "dest": {strconv.Itoa(first.Dest)}}.Encode()
		p.Request = &view
	}
	return p
}

func newStory(now time.Time, m Message) story {
	st := story{messageRow: newMessageRow(now, m), Accepted: stamp(now, m.Received), Tries: tries(now, m), Answer: m.Answer, Key: keyOf(m)}
	if m.Died != nil {
		st.Ended = stamp(now, *m.Died)
	}
	if m.Expires != nil {
		expires := until(now, *m.Expires)
		st.Expires = &expires
	}
	return st
}

// keyOf names one message of a request, as in Filter.
func keyOf(m Message) string { return m.ID + "." + strconv.Itoa(m.Dest) }

// firstKept is how many attempts stores keep from the beginning of a long series.
const firstKept = 3

func tries(now time.Time, m Message) []try {
	missing := m.Attempts - len(m.History)
	longest := 1.0 // a second: what is short looks short
	for _, a := range m.History {
		longest = max(longest, a.Took)
	}
	var all []try
	number := 0
	for i, a := range m.History {
		if missing > 0 && i == min(firstKept, len(m.History)-1) {
			all = append(all, try{Missing: missing})
			number += missing
		}
		number++
		t := try{Number: number, At: stamp(now, a.At), After: after(a.At.Sub(m.Received)), Took: took(a.Took), Outcome: outcome(a), Good: a.Status/100 == 2}
		t.Share = max(1, int(20*a.Took/longest))
		all = append(all, t)
	}
	return all
}

func after(d time.Duration) string { return "+ " + duration(max(0, d.Truncate(time.Second))) }

// outcome is what came of an attempt.
func outcome(a Attempt) string {
	switch {
	case a.Status == 0 && a.Error == "":
		return "no answer"
	case a.Status == 0:
		return a.Error
	}
	text := strconv.Itoa(a.Status)
	if name := http.StatusText(a.Status); name != "" {
		text += " " + name
	}
	if a.Error != "" {
		text += ": " + a.Error
	}
	return text
}

// body sends the body as it came, for a file.
func (s *site) body(w http.ResponseWriter, r *http.Request) error {
	if !s.opts.ShowPayloads {
		return ErrHidden
	}
	dest, err := strconv.Atoi(r.FormValue("dest"))
	if err != nil {
		return badRequest("dest is not a number")
	}
	req, err := s.src.Request(r.Context(), r.FormValue("lane"), r.FormValue("id"), dest)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+fileName(r.FormValue("id"))+`"`)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Length", strconv.Itoa(len(req.Body)))
	_, _ = w.Write(req.Body) // #nosec G705 -- an attachment without a type, in a sandbox; an error: the reader has gone away
	return nil
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

func fileName(id string) string { return "message-" + notInNames.ReplaceAllString(id, "_") + ".body" }

// headerLines are a request's headers by name, each value on a line of its own.
func headerLines(h map[string][]string) []field {
	var all []field
	for name, values := range h {
		for _, v := range values {
			all = append(all, field{name, v})
		}
	}
	slices.SortStableFunc(all, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return all
}
