package router

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// entry is a pattern as the caller wrote it, and as it is compared.
type entry struct{ pattern, canonical string }

var (
	errUnclean = errors.New(`path has an empty, "." or ".." segment; ` +
		`every request for it would be ambiguous`)
	errSlash = errors.New(`path has a segment of "%2F" alone, ` +
		`which cannot be told from {$}`)
	errPort = errors.New("host has a port; hosts are compared without it")
)

// Add registers pattern under the caller's number i. The error of a bad pattern
// tells what is wrong, that of a conflict names both patterns; neither leaves a
// trace in the Router.
func (rt *Router) Add(pattern string, i int) error {
	method, host, path := split(pattern)
	if err := check(pattern, host, path); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	before := pattern[:len(pattern)-len(host)-len(path)]
	host = canonicalHost(host)
	e := entry{pattern, before + host + path}
	if rt.judge == nil {
		rt.judge = http.NewServeMux()
		rt.hosts = make(map[string]methods)
	}
	if register(rt.judge, e.canonical) != nil {
		return rt.conflict(e)
	}
	rt.added = append(rt.added, e)
	if rt.hosts[host] == nil {
		rt.hosts[host] = make(methods)
	}
	if rt.hosts[host][method] == nil {
		rt.hosts[host][method] = new(node)
	}
	rt.hosts[host][method].insert(path, &leaf{i})
	return nil
}

// split cuts a pattern as ServeMux does. A pattern without a path has path "".
func split(pattern string) (method, host, path string) {
	rest := pattern
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		method, rest = pattern[:i], strings.TrimLeft(pattern[i+1:], " \t")
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	return method, host, path
}

// check finds what is wrong with one pattern, whatever the others are.
func check(pattern, host, path string) error {
	if stripPort(host) != host {
		return errPort
	}
	for rest := path; rest != "" && rest != "/"; {
		var seg string
		seg, rest = cutSegment(rest)
		switch unescape(seg) {
		case "", ".", "..":
			return errUnclean
		case "/":
			return errSlash
		}
	}
	err := register(http.NewServeMux(), pattern)
	// ServeMux repeats the pattern in front of the reason; we have it already.
	if reason := errors.Unwrap(err); reason != nil {
		return reason
	}
	if err != nil && pattern == "" {
		return errors.New("empty pattern")
	}
	return err
}

// register reports as an error what ServeMux panics with.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case error:
			err = v
		default:
			err = fmt.Errorf("%v", v)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// conflict says which pattern e conflicts with, and why. It asks pair by pair,
// as of several conflicts ServeMux names one at random.
func (rt *Router) conflict(e entry) error {
	for _, old := range rt.added {
		mux := http.NewServeMux()
		if register(mux, old.canonical) != nil {
			continue
		}
		if err := register(mux, e.canonical); err != nil {
			// The first line tells source positions, which help nobody here.
			_, reason, _ := strings.Cut(err.Error(), "\n")
			return fmt.Errorf("pattern %q conflicts with pattern %q: %s",
				e.pattern, old.pattern, strings.ReplaceAll(reason, "\n", " "))
		}
	}
	return fmt.Errorf("pattern %q conflicts with an earlier pattern", e.pattern)
}
