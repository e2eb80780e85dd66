package router

import (
	"net/url"
	"strings"
)

// A leaf is the end of a pattern.
type leaf struct{ route int }

// A node stands for the segments that lead to it. Which one matches is tried in
// ServeMux's order: literal, {name}, then {name...}; that is the order of
// precedence because conflicting patterns were refused.
type node struct {
	literals map[string]*node // by decoded segment
	longest  int              // length of the longest key of literals
	wild     *node            // {name}
	end      *leaf            // the pattern ends here
	slash    *leaf            // the pattern ends in {$}
	rest     *leaf            // the pattern ends in {name...} or a trailing slash
}

// match finds the leaf for path, which is "" or begins with a slash.
//
// It backtracks, but only one path through the tree leads to a node and each
// step goes one segment deeper. So no node is visited twice: the cost is bounded
// by the size of the patterns, not exponential in the segments of the path.
func (n *node) match(path string) *leaf {
	if n == nil {
		return nil
	}
	if path == "" {
		return n.end
	}
	if path == "/" && n.slash != nil {
		return n.slash
	}
	if seg, tail := cutSegment(path); seg != "" {
		if l := n.literal(seg).match(tail); l != nil {
			return l
		}
		if l := n.wild.match(tail); l != nil {
			return l
		}
	}
	return n.rest
}

// literal returns the child for a segment that is still encoded.
func (n *node) literal(seg string) *node {
	// An encoded segment is at most three times as long as the decoded one.
	// The check spares us decoding and hashing what a stranger made huge.
	if len(seg) > 3*n.longest {
		return nil
	}
	return n.literals[unescape(seg)]
}

// insert adds a pattern's path, which was found valid before.
func (n *node) insert(path string, l *leaf) {
	for path != "" {
		var seg string
		seg, path = cutSegment(path)
		switch {
		case seg == "" || strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "...}"):
			n.rest = l
			return
		case seg == "{$}":
			n.slash = l
			return
		case seg[0] == '{':
			if n.wild == nil {
				n.wild = new(node)
			}
			n = n.wild
		default:
			n = n.grow(unescape(seg))
		}
	}
	n.end = l
}

func (n *node) grow(lit string) *node {
	if c := n.literals[lit]; c != nil {
		return c
	}
	if n.literals == nil {
		n.literals = make(map[string]*node)
	}
	c := new(node)
	n.literals[lit] = c
	n.longest = max(n.longest, len(lit))
	return c
}

// cutSegment splits path, which begins with a slash, before its second slash.
// "/" and "//x" both begin with an empty segment.
func cutSegment(path string) (seg, tail string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// unescape takes a segment that is badly escaped as it is, as ServeMux does.
func unescape(seg string) string {
	if s, err := url.PathUnescape(seg); err == nil {
		return s
	}
	return seg
}
