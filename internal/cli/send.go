package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/client"
	"github.com/webhook-repeater/repeater/internal/config"
)

// sending is what to send, and where to.
type sending struct {
	a *app
	c connection

	id, to, hook, method string
	headers              []string
	dryRun, asJSON       bool
}

const sendTimeout = time.Minute

func (a *app) sendCommand() *cobra.Command {
	s := &sending{a: a}
	cmd := &cobra.Command{
		Use: "send [FILE]", Short: "post a recorded or stored request, or a body", Args: atMost(1),
		Long: `Post a request, and print the answer. FILE ("-" for standard input) has a whole HTTP request, as it came
over the wire or as reqdumper prints it, or else only a body. --id sends instead a request that a server
has stored, if its configuration shows payloads; headers that the server blanks out are left out.

It goes to the server of config.ini, or to --to. A URL with a path is used as it is; to one without a path,
that of the request is added. A body alone needs a path, from --to or --hook.
The exit status is 1 if the answer is not 2xx.`,
		Example: `  webhook-repeater send request.http
  webhook-repeater send body.json --hook jira
  webhook-repeater send body.json --to http://127.0.0.1:8100/jira -H 'Content-Type: application/json'
  webhook-repeater send --id 33lik262mpis6tcbagamevpgl0 --to http://127.0.0.1:8989
  webhook-repeater send request.http --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&s.to, "to", "", "`URL` to post to (default: the server of config.ini, else http://127.0.0.1:8100)")
	fl.StringVar(&s.hook, "hook", "", "take the path from hook `NAME` of config.ini")
	fl.StringVar(&s.id, "id", "", "send the stored request with this `ID` or key, as the server shows it")
	fl.StringVarP(&s.method, "method", "X", "", "`METHOD` (default that of the request; POST for a body)")
	fl.StringArrayVarP(&s.headers, "header", "H", nil, "set a header, as '`NAME: VALUE`', or remove one, as 'NAME:'; may be repeated")
	fl.BoolVarP(&s.dryRun, "dry-run", "n", false, "print what would be sent")
	fl.BoolVar(&s.asJSON, "json", false, "print status, id, took_s and body of the answer")
	s.c.flags(cmd)
	return cmd
}

func (s *sending) run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0 && s.id == "":
		return misused("name a FILE, - for standard input, or a stored request by --id")
	case len(args) > 0 && s.id != "":
		return misused("FILE and --id are two requests; name one")
	case s.to != "" && s.hook != "":
		return misused("--to and --hook are two destinations; name one")
	}
	var rec *recorded
	var err error
	if s.id != "" {
		rec, err = s.stored(ctx)
	} else {
		rec, err = s.file(ctx, args[0])
	}
	if err != nil {
		return err
	}
	req, err := s.request(ctx, rec)
	if err != nil {
		return err
	}
	if s.dryRun {
		return s.show(req, rec)
	}
	return s.send(req)
}

func (s *sending) file(ctx context.Context, name string) (*recorded, error) {
	in := s.a.in
	if name != "-" {
		f, err := os.Open(name) // #nosec G304 -- the user names the file
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := unless(ctx, func() ([]byte, error) { return io.ReadAll(in) })
	if err != nil {
		return nil, err
	}
	rec, err := readRecorded(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if rec.more {
		fmt.Fprintf(s.a.err, "webhook-repeater: %s has more than one request; only the first is sent\n", name)
	}
	return rec, nil
}

// stored asks the server for a request of one of its messages: the request of all of them is the same.
func (s *sending) stored(ctx context.Context) (*recorded, error) {
	cl, err := s.c.dial()
	if err != nil {
		return nil, err
	}
	messages, err := cl.Explain(ctx, s.id)
	if client.IsNotFound(err) {
		return nil, fmt.Errorf("there is no message %s: it was delivered or dropped, or is another server's", clean(s.id))
	}
	if err != nil {
		return nil, err
	}
	r, err := cl.Request(ctx, messages[0].Lane, messages[0].ID, messages[0].Dest)
	if err != nil {
		return nil, err
	}
	rec := &recorded{method: r.Method, uri: r.Path, header: r.Header, body: r.Body}
	for name, values := range rec.header {
		if len(values) == 1 && values[0] == admin.Redaction {
			delete(rec.header, name)
			fmt.Fprintf(s.a.err, "webhook-repeater: the header %s is left out, as the server keeps it to itself\n", clean(name))
		}
	}
	return rec, nil
}

// request puts together what is sent.
func (s *sending) request(ctx context.Context, rec *recorded) (*http.Request, error) {
	target, err := s.target(rec.uri)
	if err != nil {
		return nil, err
	}
	if s.method != "" {
		rec.method = s.method
	}
	req, err := http.NewRequestWithContext(ctx, rec.method, target.Scheme+"://"+target.Host, bytes.NewReader(rec.body))
	if err != nil {
		return nil, misused("--method %q is none", rec.method)
	}
	req.URL = target
	for name, values := range rec.header {
		if !hopByHop[http.CanonicalHeaderKey(name)] {
			req.Header[name] = values
		}
	}
	for _, h := range s.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); !ok || name == "" {
			return nil, misused("a header is written as 'NAME: VALUE'")
		}
		if value = strings.TrimSpace(value); value == "" {
			delete(req.Header, name)
		} else {
			req.Header.Set(name, value)
		}
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "webhook-repeater")
	}
	return req, nil
}

// hopByHop are the headers of a connection or of a way, not of a request, and those that are made anew.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authorization": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Host": true, "Expect": true, "Via": true,
}

// target is where to send. The path stays as it was written.
func (s *sending) target(uri string) (*url.URL, error) {
	to := s.to
	var err error
	if to == "" {
		if to, err = s.door(); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, misused("--to is not a URL; write http://HOST:PORT/PATH")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return u, nil
	}
	if s.hook != "" {
		if uri, err = s.hookPath(uri); err != nil {
			return nil, err
		}
	}
	if uri == "" {
		return nil, misused("a body alone has no path to go to; give --to a URL with a path, or name a --hook")
	}
	path, query, _ := strings.Cut(uri, "?")
	if strings.HasPrefix(path, "//") {
		path = "//" + u.Host + path // the absolute form says the same
	}
	u.Path, u.Opaque, u.RawQuery = "", path, query
	u.ForceQuery = query == "" && strings.HasSuffix(uri, "?")
	return u, nil
}

// hookPath is the path of a hook, with the query that a recorded request has.
func (s *sending) hookPath(uri string) (string, error) {
	file := s.c.file()
	if file == "" {
		return "", misused("--hook needs a configuration; name it with -c")
	}
	set, given, err := config.LoadKeys(file, "hook:"+s.hook, "src_path")
	if err != nil {
		return "", fileMistake{err}
	}
	if !given["src_path"] {
		return "", misused("%s has no hook %q", file, s.hook)
	}
	path := set.Hooks[0].RequestPath()
	if _, query, ok := strings.Cut(uri, "?"); ok {
		path += "?" + query
	}
	return path, nil
}

// door is where the server of the configuration takes webhooks.
func (s *sending) door() (string, error) {
	file := s.c.file()
	if file == "" {
		return "http://127.0.0.1:8100", nil
	}
	set, _, err := config.LoadKeys(file, "server", "host", "port", "tls_cert")
	if err != nil {
		return "", fileMistake{err}
	}
	if set.Port == 0 {
		return "", fmt.Errorf("%s lets the server choose its port; take it from the server's log, and name it with --to", file)
	}
	scheme := "http://"
	if set.TLSCert != "" {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(reachable(set.Host), strconv.Itoa(set.Port)), nil
}

// show prints a request as it would go over the wire.
func (s *sending) show(req *http.Request, rec *recorded) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\nHost: %s\n", req.Method, req.URL.RequestURI(), req.Host)
	if err := req.Header.Write(&b); err != nil {
		return err
	}
	fmt.Fprintf(&b, "Content-Length: %d\n\n", len(rec.body))
	b.Write(rec.body)
	_, err := s.a.out.Write(bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")))
	return err
}

// answer is what came back.
type answer struct {
	Status int     `json:"status"`
	ID     string  `json:"id,omitempty"`
	Took   float64 `json:"took_s"`
	Body   string  `json:"body"`
}

const mostAnswer = 1 << 20 // bytes of an answer that are told

func (s *sending) send(req *http.Request) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // it would add a header
	hc := &http.Client{Transport: transport, Timeout: sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	began := time.Now()
	resp, err := hc.Do(req)
	if err != nil {
		var ue *url.Error // its text repeats the whole URL
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return fmt.Errorf("%s answers %s, and then: %w", req.URL.Host, resp.Status, err)
	}
	got := answer{resp.StatusCode, resp.Header.Get("Repeater-Id"), time.Since(began).Seconds(), string(body)}
	if s.asJSON {
		err = s.a.json(got)
	} else {
		s.tell(got)
	}
	if err == nil && got.Status/100 != 2 {
		return exit(exitFailed)
	}
	return err
}

func (s *sending) tell(got answer) {
	look := green
	if got.Status/100 != 2 {
		look = red
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", got.Status, http.StatusText(got.Status)))
	fmt.Fprintf(s.a.out, "%s in %s", look.paint(status, colour(s.a.out)), took(got.Took))
	if got.ID != "" {
		fmt.Fprintf(s.a.out, ", id %s", clean(got.ID))
	}
	fmt.Fprintln(s.a.out)
	if body := strings.TrimSpace(got.Body); body != "" && body != "OK" {
		for line := range strings.Lines(body) {
			fmt.Fprintln(s.a.out, "  "+clean(strings.TrimRight(line, "\r\n")))
		}
	}
}
