package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxOrder = 1 << 20 // bytes of an order: thousands of keys

func laneOf(r *http.Request) (string, error) {
	name := r.URL.Query().Get("lane")
	if name == "" {
		return "", bad("name the lane, as ?lane=https://example.com:443")
	}
	return name, nil
}

func most(r *http.Request) (int, error) {
	return numberOf(r.URL.Query(), "max", pageDefault, 1, pageMost)
}

func numberOf(q url.Values, name string, otherwise, least, most int) (int, error) {
	v := q.Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return 0, bad(fmt.Sprintf("%s is a number from %d to %d", name, least, most))
	}
	return n, nil
}

func filterOf(q url.Values) (f Filter, err error) {
	f = Filter{Lane: q.Get("lane"), Keys: q["key"]}
	if f.From, err = timeOf(q, "from"); err != nil {
		return f, err
	}
	if f.To, err = timeOf(q, "to"); err != nil {
		return f, err
	}
	f.Status, err = numberOf(q, "status", 0, -1, 999)
	return f, err
}

func timeOf(q url.Values, name string) (time.Time, error) {
	v := q.Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return t, bad(name + " is a time as 2006-01-02T15:04:05Z")
	}
	return t, nil
}

// readOrder reads the JSON of a POST. Requiring its type keeps out forms of other sites, which a
// browser sends without asking.
func readOrder(r *http.Request, into any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return problem{http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json"}
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxOrder))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, io.EOF):
		return bad("the request has no body")
	case err != nil:
		return bad("the body is not the JSON that openapi.json describes: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (a *api) steer(order func(Source, context.Context, string) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var in struct {
			Lane string `json:"lane"`
		}
		if err := readOrder(r, &in); err != nil {
			return nil, err
		}
		if in.Lane == "" {
			return nil, bad("name the lane")
		}
		// Only a lane that there is: a misspelt name would be paused for ever, and help nobody.
		if _, err := a.src.Lane(r.Context(), in.Lane); err != nil {
			return nil, err
		}
		if err := order(a.src, r.Context(), in.Lane); err != nil {
			return nil, err
		}
		l, err := a.src.Lane(r.Context(), in.Lane)
		l.complete()
		return l, err
	}
}

// step replays or drops a bounded number, so that whoever asks for a million sees them go.
func (a *api) step(do func(Source, context.Context, Filter) (int, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var f Filter
		if err := readOrder(r, &f); err != nil {
			return nil, err
		}
		if err := f.check(); err != nil {
			return nil, err
		}
		n, err := do(a.src, r.Context(), f)
		return done{n, n == f.Max, f.To}, err
	}
}

// check also completes a filter.
func (f *Filter) check() error {
	switch {
	case f.Max == 0:
		f.Max = stepDefault
	case f.Max < 0 || f.Max > stepMost:
		return bad(fmt.Sprintf("max is a number from 1 to %d", stepMost))
	}
	if f.Status < -1 || f.Status > 999 {
		return bad("status is a number, or -1 for no answer")
	}
	if f.Keys != nil && len(f.Keys) == 0 {
		return bad("keys is empty; leave it out to mean all")
	}
	for _, k := range f.Keys {
		if _, _, ok := SplitKey(k); !ok {
			return bad("a key is an id, a dot, and the destination's number")
		}
	}
	// What dies again while all of this goes on must not be meant again and again.
	if now := time.Now(); f.To.IsZero() || f.To.After(now) {
		f.To = now
	}
	return nil
}

// SplitKey takes "id.dest" apart.
func SplitKey(k string) (id string, dest int, ok bool) {
	i := strings.LastIndexByte(k, '.')
	if i <= 0 {
		return "", 0, false
	}
	dest, err := strconv.Atoi(k[i+1:])
	return k[:i], dest, err == nil && dest >= 0
}
