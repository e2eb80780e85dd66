package repeater

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// admit checks everything that can be known before the body: whoever fails costs us
// no body. It answers those that it turns away.
func (r *Repeater) admit(w http.ResponseWriter, req *http.Request) (*route, bool) {
	path := rawPath(req)
	i, ok := r.cfg.router.Match(req.Method, req.Host, path)
	if !ok {
		if allowed := r.cfg.router.Allowed(req.Host, path); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			turnAway(w, http.StatusMethodNotAllowed)
			return nil, false
		}
		turnAway(w, http.StatusNotFound)
		return nil, false
	}
	if req.URL.Opaque != "" || r.cfg.router.Ambiguous(req.Method, req.Host, path, i) {
		turnAway(w, http.StatusBadRequest)
		return nil, false
	}
	rt := r.cfg.routes[i]
	if !rt.allows(req.RemoteAddr) {
		r.cfg.log.Debug("sender not allowed", "route", rt.name, "from", req.RemoteAddr)
		turnAway(w, http.StatusForbidden)
		return nil, false
	}
	if req.ContentLength > r.cfg.maxBody {
		r.tooLarge(w, rt)
		return nil, false
	}
	return rt, true
}

// readBody reads all of the body. A body that ends early, or whose reading fails in any other way, is
// never taken for a whole one.
func (r *Repeater) readBody(w http.ResponseWriter, req *http.Request, rt *route) ([]byte, bool) {
	if req.Body == nil || req.Body == http.NoBody && req.ContentLength <= 0 {
		return nil, true
	}
	body, err := readAll(http.MaxBytesReader(w, req.Body, r.cfg.maxBody), req.ContentLength)
	if err == nil && req.ContentLength >= 0 && int64(len(body)) != req.ContentLength {
		err = errors.New("the body is not as long as its Content-Length")
	}
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case err == nil:
		return body, true
	case tooLarge:
		r.tooLarge(w, rt)
	case errors.Is(err, errNoMemory):
		notNow(w, "cannot take the request now")
	default:
		r.cfg.log.Debug("body could not be read", "route", rt.name, "error", err)
		turnAway(w, http.StatusBadRequest)
	}
	return nil, false
}

func (r *Repeater) tooLarge(w http.ResponseWriter, rt *route) {
	r.cfg.log.Warn("body too large", "route", rt.name, "limit", r.cfg.maxBody)
	w.Header().Set("Connection", "close")
	http.Error(w, "the body is larger than "+strconv.FormatInt(r.cfg.maxBody, 10)+" bytes", http.StatusRequestEntityTooLarge)
}

// turnAway closes the connection, so that a body nobody wants is not read.
func turnAway(w http.ResponseWriter, status int) {
	w.Header().Set("Connection", "close")
	http.Error(w, http.StatusText(status), status)
}

// allows tells whether the connection comes from where the route's senders are.
func (rt *route) allows(remote string) bool {
	if rt.allow == nil {
		return true
	}
	from, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := from.Addr().Unmap().WithZone("")
	for _, p := range rt.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
