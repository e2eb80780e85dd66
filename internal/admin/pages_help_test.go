package admin_test

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

// night is when the operator looks.
var night = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

const (
	unwellLane   = "https://jira.intranet.example:8443"
	refusingLane = "https://hooks.partner.example:443"
	pausedLane   = "http://legacy-soap-bridge.internal:8081"
	wellLane     = "https://wiki.example:443"
)

// site is the pages over a source, without a network.
type site struct {
	t   *testing.T
	src *admintest.Source
	h   http.Handler
}

func open(t *testing.T, src *admintest.Source, o admin.Options) *site {
	return &site{t, src, admin.Pages(src, o, night)}
}

func busy(t *testing.T) *site {
	return open(t, admintest.Busy(night), admin.Options{ShowPayloads: true, Version: "v1"})
}

// answer is what came for a request.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	raw    string
	doc    *html.Node
	at     *url.URL
}

func (s *site) get(path string) *answer {
	s.t.Helper()
	return s.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (s *site) post(path string, form url.Values) *answer {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(r)
}

func (s *site) do(r *http.Request) *answer {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(string(raw)))
	if err != nil {
		s.t.Fatal(err)
	}
	return &answer{s.t, w.Code, w.Result().Header, string(raw), doc, r.URL}
}

// follow goes where an action leads.
func (s *site) follow(a *answer) *answer {
	s.t.Helper()
	if a.status != http.StatusSeeOther {
		s.t.Fatalf("got %d, want a redirect:\n%s", a.status, a.text())
	}
	return s.get(a.resolve(a.header.Get("Location")))
}

// resolve makes an address of one that stands on the page, as browsers do.
func (a *answer) resolve(address string) string {
	a.t.Helper()
	u, err := a.at.Parse(address)
	if err != nil {
		a.t.Fatal(err)
	}
	return u.String()
}

// want checks the status, and that a person reads each of the texts.
func (a *answer) want(status int, texts ...string) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("got %d, want %d:\n%s", a.status, status, a.text())
	}
	read := a.text()
	for _, text := range texts {
		if !strings.Contains(read, text) {
			a.t.Errorf("%q is not on the page:\n%s", text, read)
		}
	}
	return a
}

func (a *answer) wantNot(texts ...string) *answer {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(a.raw, text) {
			a.t.Errorf("%q is on the page", text)
		}
	}
	return a
}

// text is what a person reads, with single spaces.
func (a *answer) text() string { return textOf(a.doc) }

func textOf(n *html.Node) string {
	var b strings.Builder
	collect(&b, n)
	return strings.Join(strings.Fields(b.String()), " ")
}

// inline elements do not part words.
var inline = []string{"a", "b", "code", "time", "wbr"}

func collect(b *strings.Builder, n *html.Node) {
	if n.Type == html.TextNode {
		b.WriteString(n.Data)
	}
	parts := n.Type == html.ElementNode && !slices.Contains(inline, n.Data)
	if parts {
		b.WriteByte(' ')
	}
	for c := range n.ChildNodes() {
		collect(b, c)
	}
	if parts {
		b.WriteByte(' ')
	}
}

// elements are all of these names.
func (a *answer) elements(names ...string) iter.Seq[*html.Node] {
	return elements(a.doc, names...)
}

func elements(root *html.Node, names ...string) iter.Seq[*html.Node] {
	return func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && (len(names) == 0 || slices.Contains(names, n.Data)) && !yield(n) {
				return
			}
		}
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// link is the address of the link with this text, or "".
func (a *answer) link(text string) string {
	for n := range a.elements("a") {
		if textOf(n) == text {
			return a.resolve(attr(n, "href"))
		}
	}
	return ""
}

// submit presses the button with this text, as a browser would, with further values.
func (s *site) submit(a *answer, button string, more url.Values) *answer {
	s.t.Helper()
	for form := range a.elements("form") {
		for b := range elements(form, "button") {
			if textOf(b) != button {
				continue
			}
			values := url.Values{}
			for input := range elements(form, "input") {
				if attr(input, "type") == "hidden" {
					values.Add(attr(input, "name"), attr(input, "value"))
				}
			}
			for name, v := range more {
				values[name] = append(values[name], v...)
			}
			action := a.resolve(attr(form, "action"))
			if other := attr(b, "formaction"); other != "" {
				action = a.resolve(other)
			}
			if attr(form, "method") != "post" {
				return s.get(action + "?" + values.Encode())
			}
			return s.post(action, values)
		}
	}
	s.t.Fatalf("there is no button %q:\n%s", button, a.text())
	return nil
}

func lanePath(name string) string { return "/lane?" + url.Values{"name": {name}}.Encode() }

func messagePath(n int) string { return "/message?id=" + admintest.ID(n) }

func key(n int) string { return fmt.Sprintf("%s.0", admintest.ID(n)) }
