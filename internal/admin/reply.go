package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// problem is an error with the status that tells it.
type problem struct {
	status int
	text   string
}

func (p problem) Error() string { return p.text }

func bad(text string) error { return problem{http.StatusBadRequest, text} }

// statusOf tells an error's status, and what to say. What a store says in its own words may name
// its address, and stays in the log.
func statusOf(err error) (int, string) {
	var p problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p.status, p.text
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "the request is too large"
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound, "there is no such message or lane"
	case errors.Is(err, ErrHidden):
		return http.StatusForbidden, "requests are not shown, as they may hold secrets; show_payloads under [admin] allows it"
	case errors.Is(err, ErrBadCursor):
		return http.StatusBadRequest, "this is no cursor of this list"
	case errors.Is(err, ErrUnsupported):
		return http.StatusNotImplemented, "the store in use cannot tell this"
	case errors.Is(err, ErrUnreadable):
		return http.StatusUnprocessableEntity, "what is stored of this message cannot be read"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "the store did not answer in time"
	}
	return http.StatusServiceUnavailable, "the store does not answer; the log tells why"
}

func failWith(w http.ResponseWriter, err error) {
	status, text := statusOf(err)
	fail(w, status, text)
}

func fail(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the reader has gone away
}

// orEmpty makes a list of none [] rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
