package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater/internal/orderkey"
)

// kind is what a key's value may be. The errors of set follow upon the key's
// name and value: "is not a port; write ...".
type kind struct {
	Kind   string // in words
	set    func(f *fields, value string) error
	quiet  bool // the value is never quoted
	multi  bool // the value may go on over indented lines
	empty  bool // the value may be empty
	secret bool // the value is never told, and may stand elsewhere
}

func text(to func(*fields) *string) kind {
	return kind{Kind: "text", set: func(f *fields, v string) error {
		*to(f) = v
		return nil
	}}
}

func number(to func(*fields) *int, least, most int) kind {
	return kind{Kind: "number", set: func(f *fields, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("is not possible; write a number from %d to %d", least, most)
		}
		*to(f) = n
		return nil
	}}
}

func host(to func(*fields) *string) kind {
	return kind{Kind: "host", set: func(f *fields, v string) error {
		h, err := ParseHost(v)
		*to(f) = h
		return err
	}}
}

// ParseHost returns a host as net.JoinHostPort wants it: an IPv6 address
// loses its brackets.
func ParseHost(v string) (string, error) {
	h := strings.TrimSuffix(strings.TrimPrefix(v, "["), "]")
	if _, err := netip.ParseAddr(h); err != nil && (v == "" || strings.ContainsAny(v, " \t/:[]@?#")) {
		return "", errors.New("is not a host; write an address or a name, without scheme and port")
	}
	return h, nil
}

var seconds = regexp.MustCompile(`^[0-9]+(\.[0-9]*)?$|^\.[0-9]+$`)

// duration reads seconds, as the original did, or a number with a unit.
func duration(to func(*fields) *time.Duration) kind {
	return kind{Kind: "duration", set: func(f *fields, v string) error {
		d, err := parseDuration(v)
		*to(f) = d
		return err
	}}
}

func parseDuration(v string) (time.Duration, error) {
	if seconds.MatchString(v) {
		s, err := strconv.ParseFloat(v, 64)
		if err != nil || s > math.MaxInt64/float64(time.Second)/2 {
			return 0, errors.New("is too long; write a shorter duration")
		}
		return time.Duration(math.Round(s * float64(time.Second))), nil
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return 0, errors.New(`is not a duration; write seconds, as "5" or "0.5", or a unit, as "500ms", "90s", "5m" or "1h"`)
	case d < 0:
		return 0, errors.New("is negative; write 0 or more")
	}
	return d, nil
}

// positive refuses a duration of 0, which the options would take for "default".
func positive(k kind) kind {
	set := k.set
	k.set = func(f *fields, v string) error {
		if d, err := parseDuration(v); err == nil && d == 0 {
			return errors.New("is no time at all; write more than 0")
		}
		return set(f, v)
	}
	return k
}

var sizes = regexp.MustCompile(`^([0-9]+) ?([a-z]*)$`)

// size reads bytes, or a number with a unit. Units are powers of 1024 whether
// written MB or MiB: a limit that is 5 % larger than meant harms nobody.
func size(to func(*fields) *int64) kind {
	return kind{Kind: "size", set: func(f *fields, v string) error {
		m := sizes.FindStringSubmatch(strings.ToLower(v))
		if m == nil {
			return errSize
		}
		shift, ok := map[string]int{"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10,
			"m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30}[m[2]]
		n, err := strconv.ParseInt(m[1], 10, 64)
		switch {
		case !ok:
			return errSize
		case err != nil || n > math.MaxInt64>>shift:
			return errors.New("is too large; write a smaller size")
		case n == 0:
			return errors.New("is nothing at all; write more than 0")
		}
		*to(f) = n << shift
		return nil
	}}
}

var errSize = errors.New(`is not a size; write bytes, or a unit, as "64KB", "25MB" or "1GB"`)

func oneOf(to func(*fields) *string, words ...string) kind {
	return kind{Kind: strings.Join(words, ", "), set: func(f *fields, v string) error {
		v = strings.ToLower(v)
		if !slices.Contains(words, v) {
			return errors.New(choices(v, words))
		}
		*to(f) = v
		return nil
	}}
}

func level(to func(*fields) *slog.Level) kind {
	words := []string{"debug", "info", "warn", "error"}
	return kind{Kind: strings.Join(words, ", "), set: func(f *fields, v string) error {
		i := slices.Index(words, strings.ToLower(v))
		if i < 0 {
			return errors.New(choices(v, words))
		}
		*to(f) = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}[i]
		return nil
	}}
}

func choices(v string, words []string) string {
	if near := closest(strings.ToLower(v), words); near != "" {
		return fmt.Sprintf("is not known; did you mean %q?", near)
	}
	return "is not known; write one of " + strings.Join(words, ", ")
}

// redisURL tells nothing of what is wrong inside: the reasons that parsers give
// quote pieces of the URL, and with a stray "@" or "/" those can be the password.
func redisURL(to func(*fields) *string) kind {
	return kind{Kind: "URL", quiet: true, set: func(f *fields, v string) error {
		if _, err := redis.ParseURL(v); err != nil {
			return errors.New("is not a Redis URL; write redis://[USER:PASSWORD@]HOST:PORT/DB, with special characters percent-encoded")
		}
		*to(f) = v
		return nil
	}}
}

func redisPrefix(to func(*fields) *string) kind {
	return kind{Kind: "text", set: func(f *fields, v string) error {
		if strings.ContainsAny(v, "{}") {
			return errors.New("has braces, which Redis Cluster takes for a hash tag; choose other characters")
		}
		*to(f) = v
		return nil
	}}
}

// lineBreak stands for a comma, with or without one next to it.
var lineBreak = regexp.MustCompile(`\s*,?\s*\n\s*`)

// networks reads addresses and networks, with commas or line breaks between.
func networks(to func(*fields) *[]string) kind {
	return kind{Kind: "addresses", quiet: true, multi: true, set: func(f *fields, v string) error {
		var all []string
		v = lineBreak.ReplaceAllString(strings.TrimSpace(v), ",")
		for _, s := range strings.Split(v, ",") {
			s = strings.TrimSpace(s)
			if s == "" {
				return errors.New("has a comma with nothing next to it; delete the comma")
			}
			if !isNetwork(s) {
				return fmt.Errorf("names %s, which is neither an address nor a network; write 10.1.2.3 or 10.0.0.0/8", quote(s))
			}
			all = append(all, s)
		}
		*to(f) = all
		return nil
	}}
}

func isNetwork(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	p, err := netip.ParsePrefix(s)
	return err == nil && (!p.Addr().Is4In6() || p.Bits() >= 96)
}

func yesNo(to func(*fields) *bool) kind {
	words := []string{"yes", "no", "true", "false", "on", "off", "1", "0"}
	return kind{Kind: "yes or no", set: func(f *fields, v string) error {
		i := slices.Index(words, strings.ToLower(v))
		if i < 0 {
			return errors.New("is neither; write yes or no")
		}
		*to(f) = i%2 == 0
		return nil
	}}
}

// orNone also takes "none", with which a hook refuses what [app] gives to all.
func orNone[T any](to func(*fields) *T, of func(func(*fields) *T) kind) kind {
	k := of(to)
	set := k.set
	k.Kind += ", or none"
	k.set = func(f *fields, v string) error {
		if strings.EqualFold(v, "none") {
			*to(f) = *new(T)
			return nil
		}
		return set(f, v)
	}
	return k
}

func attempts(to func(*fields) *int) kind {
	return kind{Kind: "number", set: func(f *fields, v string) error {
		if err := number(to, 1, 1_000_000).set(f, v); err != nil {
			return fmt.Errorf("%w, or none", err)
		}
		return nil
	}}
}

func headerName(to func(*fields) *string) kind {
	return kind{Kind: "header", set: func(f *fields, v string) error {
		if !orderkey.IsHeaderName(v) {
			return errors.New("is not the name of a header; write one, as X-GitHub-Delivery")
		}
		*to(f) = v
		return nil
	}}
}

func orderBy(to func(*fields) *string) kind {
	return kind{Kind: "header:NAME or json:POINTER", set: func(f *fields, v string) error {
		if _, err := orderkey.Parse(v); err != nil {
			return fmt.Errorf("%w; write header:NAME, or json: and a pointer, as json:/issue/key", err)
		}
		*to(f) = v
		return nil
	}}
}

func laneName(to func(*fields) *string) kind {
	return kind{Kind: "name", set: func(f *fields, v string) error {
		if len(v) > 100 || strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return errors.New("is no name for a lane; write up to 100 characters without spaces")
		}
		*to(f) = v
		return nil
	}}
}

var statusOrClass = regexp.MustCompile(`^[345](xx|[0-9][0-9])$`)

// statuses reads numbers from 300 to 599, and their classes, with commas between.
func statuses(to func(*fields) *[]string) kind {
	return kind{Kind: "statuses", set: func(f *fields, v string) error {
		var all []string
		for s := range strings.SplitSeq(strings.ToLower(v), ",") {
			s = strings.TrimSpace(s)
			if !statusOrClass.MatchString(s) {
				return errors.New("is no list of statuses; write them with commas between, from 300 to 599, or 4xx for all of a class")
			}
			all = append(all, s)
		}
		*to(f) = all
		return nil
	}}
}
