package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/webhook-repeater/repeater/internal/seam"
)

// checkStore finds two stores where there can be one, and none where a key
// speaks of one.
func (r *reader) checkStore() {
	file, host, url := r.lines["store.file"], r.lines["app.redis_host"], r.lines["store.redis_url"]
	if host > 0 && url > 0 {
		r.fail(max(host, url), "redis_host under [app] and redis_url under [store] (lines %d and %d) name two stores; keep one", host, url)
	}
	if redis := max(host, url); file > 0 && redis > 0 {
		r.fail(max(file, redis), "file under [store] and a Redis (lines %d and %d) are two stores; keep one", file, redis)
	}
	for _, key := range []string{"redis_port", "redis_db"} {
		switch line := r.lines["app."+key]; {
		case line == 0 || host > 0:
		case url > 0:
			r.fail(line, "[app] %s has no effect without redis_host; write it into redis_url under [store]", key)
		default: // old files have such lines, and are to run as they are
			r.notice(line, `[app] %s has no effect without redis_host; add "redis_host = localhost" to use Redis`, key)
		}
	}
	if line := r.lines["store.disk_floor"]; line > 0 && (host > 0 || url > 0) {
		r.fail(line, "[store] disk_floor has no effect with Redis; delete the line")
	}
	for _, key := range []string{"redis_prefix", "redis_strict", "redis_wait", "redis_wait_timeout"} {
		if line := r.lines["store."+key]; line > 0 && host == 0 && url == 0 {
			r.fail(line, "[store] %s has no effect without Redis; add redis_url to use Redis, or delete the line", key)
		}
	}
}

// checkBackoff holds the longest pause against the first. Where only one of them is
// given, the other's default gives way.
func (r *reader) checkBackoff() {
	first, most := r.lines["app.backoff_timeout"], r.lines["app.backoff_max_timeout"]
	switch {
	case r.BackoffMax >= r.Backoff || r.Backoff == 0 || r.BackoffMax == 0:
	case most == 0:
		r.BackoffMax = r.Backoff
	case first == 0:
		r.Backoff = r.BackoffMax
	default:
		r.fail(most, "[app] backoff_max_timeout %v is shorter than backoff_timeout %v; make it at least as long", r.BackoffMax, r.Backoff)
	}
}

// headers is more than those of one request take.
const headers = 1 << 20

// checkMemory makes sure that the largest request fits. A default gives way to it.
func (r *reader) checkMemory() {
	for _, m := range []struct {
		section, key string
		size         *int64
	}{
		{"server", "accept_memory", &r.AcceptMemory},
		{"app", "deliver_memory", &r.DeliverMemory},
	} {
		least := r.MaxBody + headers
		switch line := r.lines[m.section+"."+m.key]; {
		case *m.size >= least:
		case line == 0:
			*m.size = least
		default:
			r.fail(line, "[%s] %s has no room for one body of max_body and its headers; make it at least %d", m.section, m.key, least)
		}
	}
}

func (r *reader) checkHooks() {
	if len(r.Hooks) == 0 {
		r.fail(0, "there is no hook; add a section [hook:NAME] with src_path and dst_host")
	}
	byPath, byName := make(map[string]*Hook), make(map[string]*Hook)
	for i := range r.Hooks {
		h := &r.Hooks[i]
		h.Target = h.target()
		if other := byName[h.Name]; other != nil {
			r.fail(h.line, "[hook:%s] has the name of the hook on line %d; choose another", h.Name, other.line)
		}
		byName[h.Name] = h
		r.checkGuard(h)
		if h.path == "" { // a mistake, reported already
			continue
		}
		if other := byPath[h.path]; other != nil {
			r.fail(h.pathLine, "[hook:%s] src_path is that of [hook:%s] on line %d; each hook needs its own", h.Name, other.Name, other.pathLine)
			continue
		}
		byPath[h.path] = h
	}
}

// checkGuard tells of an address to which the Repeater would send nothing, by the words of this file.
func (r *reader) checkGuard(h *Hook) {
	u, err := url.Parse(h.Target)
	if err != nil {
		return
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil || seam.Refuses(netip.AddrPortFrom(a, 80).String(), r.AllowTo) == nil {
		return
	}
	r.fail(r.lineOf(h, "dst_host"), "[hook:%s] dst_host is an address of the link or of a cloud's own services, where nothing is sent; allow_to under [app] permits it", h.Name)
}

// checkLanes holds against each other what hooks say of a lane they share.
func (r *reader) checkLanes() {
	type lane struct{ concurrent, strict *Hook }
	lanes := make(map[string]lane)
	for i := range r.Hooks {
		h := &r.Hooks[i]
		name, ok := h.lane()
		if !ok {
			continue
		}
		l := lanes[name]
		if l.concurrent == nil && h.Concurrency > 0 {
			l.concurrent = h
		}
		if l.strict == nil && h.Strict {
			l.strict = h
		}
		lanes[name] = l
		if h.Concurrency > 0 && h.Concurrency != l.concurrent.Concurrency {
			r.fail(r.lineOf(h, "concurrency"), "[hook:%s] concurrency %d differs from the %d of [hook:%s], which has the same destination; write the same number, or give one of them a lane",
				h.Name, h.Concurrency, l.concurrent.Concurrency, l.concurrent.Name)
		}
		if s, c := l.strict, l.concurrent; s != nil && c != nil && c.Concurrency > 1 && (s == h || c == h) {
			r.fail(r.lineOf(s, "strict"), "[hook:%s] strict contradicts the concurrency %d of [hook:%s], as a strict destination gets one request after the other; keep one of the two",
				s.Name, c.Concurrency, c.Name)
		}
	}
}

// lane names what a hook shares with others; false if its destination has a mistake.
func (h *Hook) lane() (string, bool) {
	u, err := url.Parse(h.Target)
	if err != nil || h.Target == "" {
		return "", false
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return u.Scheme + "://" + strings.ToLower(net.JoinHostPort(u.Hostname(), port)) + " " + h.Lane, true
}

// lineOf is where a hook has its value from, or the first of several.
func (r *reader) lineOf(h *Hook, keys ...string) int {
	for _, section := range []string{h.section, "app"} {
		for _, key := range keys {
			if line := r.lines[section+"."+key]; line > 0 {
				return line
			}
		}
	}
	return h.line
}
