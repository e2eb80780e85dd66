package config

import "fmt"

// checkStore finds two stores where there can be one, and none where a key
// speaks of one.
func (r *reader) checkStore(name string) {
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
			r.Notices = append(r.Notices, fmt.Sprintf(`%s:%d: [app] %s has no effect without redis_host; add "redis_host = localhost" to use Redis`, name, line, key))
		}
	}
	if line := r.lines["store.redis_prefix"]; line > 0 && host == 0 && url == 0 {
		r.fail(line, "[store] redis_prefix has no effect without Redis; add redis_url to use Redis, or delete the line")
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
