package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Hook is one path and where its requests go.
type Hook struct {
	Name    string
	Pattern string   // as http.ServeMux reads it
	Target  string   // what the request's path is appended to
	Allow   []string // addresses and networks; none means everybody

	// What [app] may say for every hook.
	Concurrency int // 0 where nothing is said
	OrderBy     string
	Strict      bool
	Lane        string
	MaxAge      time.Duration
	MaxAttempts int // 0 is no bound
	RetryStatus []string
	Success     string
	Dedupe      string
	PassThrough time.Duration
	KeepHost    bool
	Secret      string
	SignSecrets []string
	Verify      string // "" accepts also what nobody has signed
	Handshake   string // "" for none

	VerifySecrets    []string
	HandshakeSecrets []string

	TLSCA, TLSCert, TLSKey string // files
	TLSInsecure            bool
	H2C                    bool

	tls      *tls.Config // nil for the default
	section  string      // its header
	line     int
	path     string // src_path with its leading slash
	pathLine int
	dstHost  string
	dstPath  string
}

func srcPath() kind {
	return kind{Kind: "path", set: func(f *fields, v string) error {
		if !strings.HasPrefix(v, "/") {
			v = "/" + v
		}
		for seg := range strings.SplitSeq(strings.TrimSuffix(v[1:], "/"), "/") {
			if v != "/" && (seg == "" || seg == "." || seg == "..") {
				return errors.New(`has an empty, "." or ".." segment, and such requests are refused; write a path without`)
			}
		}
		f.hook.path, f.hook.Pattern = v, exactPattern(v)
		return nil
	}}
}

// exactPattern makes a ServeMux pattern that matches one path, given decoded,
// and nothing else: no wildcard, and a trailing slash is no subtree.
func exactPattern(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte("/-._~!$&'()*+,;=:@", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if strings.HasSuffix(path, "/") {
		b.WriteString("{$}")
	}
	return b.String()
}

// RequestPath is the path as a request bears it.
func (h *Hook) RequestPath() string { return strings.TrimSuffix(h.Pattern, "{$}") }

func dstHost() kind {
	return kind{Kind: "URL", quiet: true, set: func(f *fields, v string) error {
		if err := checkTarget(v); err != nil {
			return err
		}
		if strings.ContainsAny(v, "?#") {
			return errors.New(`has a "?" or "#"; put path and query into dst_path`)
		}
		f.hook.dstHost = v
		return nil
	}}
}

func dstPath() kind {
	return kind{Kind: "path", quiet: true, empty: true, set: func(f *fields, v string) error {
		u, err := url.Parse("http://host" + slashed(v))
		if err != nil {
			return errors.New("is not a path; percent-encode its special characters")
		}
		if strings.ContainsAny(u.RawQuery, " \t") {
			return errors.New("has a space in its query; write it as %20")
		}
		f.hook.dstPath = v
		return nil
	}}
}

// checkTarget never quotes the URL, which may carry a password or a token, nor
// the reason of its parser, which may quote a piece of it.
func checkTarget(v string) error {
	scheme, _, ok := strings.Cut(v, "://")
	if !ok {
		return errors.New("has no scheme; write http:// or https:// in front of the host")
	}
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return errors.New("is not a URL; write http://HOST:PORT, with special characters percent-encoded")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("has the scheme %s; write http:// or https://", quote(scheme))
	case u.Hostname() == "":
		return errors.New("has no host; write http://HOST:PORT")
	case !isPort(u.Port()):
		return errors.New("has an impossible port; write one from 1 to 65535")
	case strings.ContainsAny(u.RawQuery, " \t"):
		return errors.New("has a space in its query; write it as %20")
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// target joins the two halves with one slash between them.
func (h *Hook) target() string {
	if h.dstPath == "" {
		return h.dstHost
	}
	return strings.TrimSuffix(h.dstHost, "/") + slashed(h.dstPath)
}

func slashed(path string) string {
	if path == "" || path[0] == '/' || path[0] == '?' {
		return path
	}
	return "/" + path
}
