package admin

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// refreshEvery is how often an open page asks for its news, in seconds.
const refreshEvery = 5

// pages serves what people look at. Everything works without JavaScript, and whatever changes
// something is a POST: the caller sees to it that it comes from these pages, and from whom.
func pages(src Source, o Options) http.Handler {
	return (&site{src: src, opts: o, now: time.Now}).handler()
}

func (s *site) handler() http.Handler {
	src := s.src
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", assets())
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":           s.overview,
		"GET /lane":          s.lane,
		"GET /message":       s.message,
		"GET /body":          s.body,
		"GET /dead":          s.dead,
		"POST /pause":        s.steer(src.Pause, "paused"),
		"POST /resume":       s.steer(src.Resume, "resumed"),
		"POST /retry":        s.steer(src.RetryNow, "retried"),
		"POST /drop-refused": s.dropRefused,
		"POST /replay":       s.replay,
		"POST /drop":         s.drop,
		"GET /":              func(http.ResponseWriter, *http.Request) error { return errNoPage },
	} {
		mux.HandleFunc(pattern, s.guard(serve))
	}
	return mux
}

// site is the pages' handler.
type site struct {
	src  Source
	opts Options
	now  func() time.Time
}

// What is not there, besides messages.
var (
	errNoPage = errors.New("no such page")
	errNoLane = errors.New("no such lane")
)

// policy lets a page load nothing but our own files, run no inline script, and stand in no frame.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const maxForm = 1 << 20

func (s *site) guard(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Not no-referrer: browsers then send "Origin: null", which a check for cross-origin requests refuses.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// page is what the layout needs; Body is the template's own.
type page struct {
	Title   string
	Kind    string // names the template, and the page to the script
	Section string // of the navigation
	Trouble bool   // the browser's tab shows it, too
	Refresh int    // seconds; 0 for a page that stands still
	Search  string
	Up      string // leads to the overview from here, also behind a proxy that takes a prefix away
	SignOut bool
	Notice  string
	Failed  bool // the notice is bad news
	Now     moment
	Version string
	Config  string
	Files   fileNames
	Body    any
}

func (s *site) render(w http.ResponseWriter, r *http.Request, status int, p page) error {
	p.Now = moment{At: s.now(), Text: s.now().UTC().Format("15:04:05") + " UTC"}
	p.Up = "./" + strings.Repeat("../", max(0, strings.Count(r.URL.EscapedPath(), "/")-1))
	p.SignOut = s.opts.Token != ""
	p.Version, p.Config, p.Files = s.opts.Version, s.src.Config().Fingerprint, files
	if p.Notice == "" {
		p.Notice = notice(r.URL.Query())
	}
	var out bytes.Buffer
	if err := templates[p.Kind].ExecuteTemplate(&out, "layout.html", p); err != nil {
		http.Error(w, "This page cannot be shown: a template failed.", http.StatusInternalServerError)
		return nil
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the reader has gone away
	return nil
}

// apology is a page that has nothing else to show.
type apology struct {
	Heading string
	Lines   []string
	Detail  string // what was asked for
	Status  int
}

// fail says what is the matter. What a store says in its own words may name its address, and
// stays in the log.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return // the reader has gone away
	}
	a := apologise(err)
	if half, ok := errors.AsType[halfDone](err); ok {
		a.Lines = append([]string{letters(half.n) + " " + half.done + " before that; the others are as they were."}, a.Lines...)
	}
	_ = s.render(w, r, a.Status, page{Title: a.Heading, Kind: "apology", Body: a})
}

func apologise(err error) apology {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	_, form := errors.AsType[badRequest](err)
	switch {
	case form:
		return apology{Heading: "That was not understood", Status: http.StatusBadRequest, Detail: err.Error()}
	case tooLarge:
		return apology{Heading: "Too much at once", Status: http.StatusRequestEntityTooLarge, Lines: []string{"Select fewer letters."}}
	case errors.Is(err, errNoPage):
		return apology{Heading: "No such page", Status: http.StatusNotFound, Lines: []string{"Nothing has this address."}}
	case errors.Is(err, errNoLane):
		return apology{Heading: "No such lane", Status: http.StatusNotFound, Lines: []string{
			"It has no route in this configuration, and no message waits or is dead in it."}}
	case errors.Is(err, ErrNotFound):
		return apology{Heading: "No such message", Status: http.StatusNotFound, Lines: []string{gone}}
	case errors.Is(err, ErrBadCursor):
		return apology{Heading: "No such page of the list", Status: http.StatusBadRequest, Lines: []string{"The list has changed since. Begin at its first page."}}
	case errors.Is(err, ErrHidden):
		return apology{Heading: "Payloads are hidden", Status: http.StatusForbidden, Lines: []string{howToShow}}
	case errors.Is(err, ErrUnreadable):
		return apology{Heading: "The request cannot be read", Status: http.StatusUnprocessableEntity, Lines: []string{unreadable}}
	case errors.Is(err, ErrUnsupported):
		return apology{Heading: "This store cannot tell", Status: http.StatusNotImplemented, Lines: []string{
			"The store in use is a third party's, and has no way to answer this."}}
	case errors.Is(err, context.DeadlineExceeded):
		return apology{Heading: "The store did not answer in time", Status: http.StatusGatewayTimeout, Lines: []string{keptAnyway}}
	}
	return apology{Heading: "The store does not answer", Status: http.StatusServiceUnavailable, Lines: []string{keptAnyway}}
}

const (
	gone       = "It has been delivered, or dropped, or was never accepted here. What is delivered is not kept."
	keptAnyway = "What waits in it is kept. The log tells why; look there, and at the store, then load this page again."
	unreadable = "What is stored of this message is damaged, or was written under another key."
)

// badRequest is what is wrong with a form or an address that no page of ours has made.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// notices are what an action has to say when it is done; the address names one of them, so that a
// page never says what an address would like it to.
var notices = map[string]string{
	"paused":   "Paused. Nothing is sent from this lane until it is resumed; accepting goes on.",
	"resumed":  "Resumed. Sending goes on.",
	"retried":  "Told to try at once. The outcome shows here in a moment.",
	"forgiven": "Told to go on. Refused messages become dead letters until one is delivered.",
	"replayed": "%s back at the end of the queue.",
	"dropped":  "%s deleted for good.",
	"nothing":  "Nothing was selected, so nothing was done.",
}

func notice(q url.Values) string {
	text, ok := notices[q.Get("done")]
	switch q.Get("done") {
	case "replayed", "dropped":
		var n int
		if _, err := fmt.Sscanf(q.Get("n"), "%d", &n); err != nil || n < 0 {
			return ""
		}
		return fmt.Sprintf(text, letters(n))
	}
	if !ok {
		return ""
	}
	return text
}

func letters(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return number(n) + " dead letters"
}

// confirmation asks before something is done that cannot be undone, or is done to many.
type confirmation struct {
	Heading string
	Lines   []string
	Action  string
	Fields  []field
	Button  string
	Danger  bool
	Back    string
}

type field struct{ Name, Value string }

func (s *site) confirm(w http.ResponseWriter, r *http.Request, c confirmation) error {
	return s.render(w, r, http.StatusOK, page{Title: c.Heading, Kind: "confirm", Body: c})
}

// seeOther leads to a page, from an address without further slashes. The browser resolves it, so that a prefix
// which a proxy has taken away stays; http.Redirect would not.
func seeOther(w http.ResponseWriter, path string, q url.Values) error {
	w.Header().Set("Location", path+"?"+q.Encode())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// templates holds one set for each page: the layout, the shared parts, and its own "main".
var templates = func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(template.FuncMap{
		"number": number, "plural": plural, "iso": iso, "exact": exact, "pieces": pieces,
		"howToShow": func() string { return howToShow },
	}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/icons.html"))
	all := map[string]*template.Template{}
	for _, kind := range []string{"overview", "lane", "message", "dead", "confirm", "apology"} {
		all[kind] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+kind+".html"))
	}
	return all
}()
