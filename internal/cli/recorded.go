package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
)

// recorded is a request as it was written down.
type recorded struct {
	method string
	uri    string // raw path with the query; "" for a body alone
	header http.Header
	body   []byte
	more   bool // what was written down goes on with another one
}

// anotherDump is where reqdumper begins its next request.
var anotherDump = regexp.MustCompile(`\n=== \d+  `)

var requestLine = regexp.MustCompile(`^([!#$%&'*+.^_|~0-9A-Za-z-]+) (\S+) HTTP/[0-9](?:\.[0-9])?\r?$`)

// readRecorded takes a whole request, as it came over the wire or as reqdumper writes it down, or else a body.
func readRecorded(text []byte) (*recorded, error) {
	rest := text
	dumped := bytes.HasPrefix(text, []byte("=== "))
	if dumped {
		_, rest, _ = bytes.Cut(text, []byte("\n"))
	}
	first, _, _ := bytes.Cut(rest, []byte("\n"))
	m := requestLine.FindSubmatch(first)
	if m == nil {
		return &recorded{method: http.MethodPost, header: http.Header{}, body: text}, nil
	}
	r := bufio.NewReader(bytes.NewReader(rest))
	tp := textproto.NewReader(r)
	_, _ = tp.ReadLine() // the one that is known
	header, err := tp.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) { // without a body, the empty line may be missing
		return nil, errors.New("it begins as an HTTP request, but its headers are none")
	}
	rec := &recorded{method: string(m[1]), uri: origin(string(m[2])), header: http.Header(header)}
	body, behind, err := readBody(r, rec.header, dumped)
	rec.body, rec.more = body, dumped && anotherDump.Match(behind)
	return rec, err
}

// origin takes scheme and host from a request line as one has it for a proxy.
func origin(uri string) string {
	if _, after, ok := strings.Cut(uri, "://"); ok && !strings.HasPrefix(uri, "/") {
		i := strings.IndexAny(after, "/?")
		if i < 0 {
			return "/"
		}
		if uri = after[i:]; uri[0] == '?' {
			return "/" + uri
		}
	}
	return uri
}

// readBody also returns what is behind the body.
func readBody(r *bufio.Reader, header http.Header, dumped bool) (body, behind []byte, err error) {
	var in io.Reader = r
	chunked := strings.EqualFold(strings.TrimSpace(header.Get("Transfer-Encoding")), "chunked")
	if chunked && !dumped {
		in = httputil.NewChunkedReader(r)
	}
	if body, err = io.ReadAll(in); err != nil {
		return nil, nil, fmt.Errorf("its body: %w", err)
	}
	length := header.Get("Content-Length")
	switch n, err := strconv.Atoi(length); {
	case chunked && !dumped:
	case length == "" && dumped:
		// Whoever wrote it down ended it with one newline or two.
		if i := bytes.Index(body, []byte("\n\n=== ")); i >= 0 {
			body, behind = body[:i], body[i:]
		}
		body = bytes.TrimSuffix(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	case length == "":
	case err != nil || n < 0:
		return nil, nil, fmt.Errorf("its Content-Length %q is none", length)
	case n > len(body):
		return nil, nil, fmt.Errorf("its body has %d bytes, and Content-Length says %d; correct that line, or delete it to send what is there", len(body), n)
	default:
		body, behind = body[:n], body[n:]
	}
	return body, behind, nil
}
