package repeater

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// admit checks everything that can be known before the body: whoever fails costs us
// no body. It answers those that it turns away.
func (r view) admit(w http.ResponseWriter, req *http.Request) (*route, bool) {
	path := rawPath(req)
	i, ok := r.cfg.router.Match(req.Method, req.Host, path)
	if !ok {
		if allowed := r.cfg.router.Allowed(req.Host, path); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			r.turnAway(w, req, nil, http.StatusMethodNotAllowed)
			return nil, false
		}
		r.turnAway(w, req, nil, http.StatusNotFound)
		return nil, false
	}
	if req.URL.Opaque != "" || r.cfg.router.Ambiguous(req.Method, req.Host, path, i) {
		r.turnAway(w, req, nil, http.StatusBadRequest)
		return nil, false
	}
	rt, greets := r.cfg.routed(i)
	if status := r.objection(req, rt); status != 0 {
		r.turnAway(w, req, rt, status)
		return nil, false
	}
	if rt.handshakes != nil && r.greet(w, req, rt, false, nil) {
		return nil, false
	}
	if greets {
		r.turnAway(w, req, rt, http.StatusBadRequest)
		return nil, false
	}
	return rt, true
}

// routed returns what the router calls i, and whether that takes handshakes only.
func (c *config) routed(i int) (rt *route, greets bool) {
	if i < len(c.routes) {
		return c.routes[i], false
	}
	return c.greeting[i-len(c.routes)], true
}

// objection returns the status for a request that its route does not take, else 0.
func (r view) objection(req *http.Request, rt *route) int {
	switch {
	case !r.allows(req, rt):
		return http.StatusForbidden
	case headerSize(req) > r.cfg.maxHeader:
		return http.StatusRequestHeaderFieldsTooLarge
	case passes(req.Header) >= maxPasses:
		return http.StatusLoopDetected
	case req.ContentLength > r.cfg.maxBody:
		return http.StatusRequestEntityTooLarge
	}
	return 0
}

// allows tells whether the request comes from where the route's senders are.
func (r view) allows(req *http.Request, rt *route) bool {
	if rt.allow == nil {
		return true
	}
	from, ok := clientAddr(peerAddr(req.RemoteAddr), req.Header, r.cfg.proxies)
	return ok && rt.allow.contain(from)
}

// headerSize is about what the request line and the headers take on the wire.
func headerSize(req *http.Request) int64 {
	const separators = len(": \r\n")
	n := len(req.Method) + len(req.RequestURI) + len(req.Host)
	for name, values := range req.Header {
		n += len(values) * (len(name) + separators)
		for _, v := range values {
			n += len(v)
		}
	}
	return int64(n)
}

// travelling returns the headers to store. What a proxy says of the way to it counts only
// if the proxy is trusted; then it stands instead of what we would say.
func (r view) travelling(req *http.Request) http.Header {
	h := endToEnd(req.Header)
	if len(r.cfg.proxies) == 0 || !r.cfg.proxies.contain(peerAddr(req.RemoteAddr)) {
		delete(h, headerProto)
		delete(h, headerHost)
	}
	addVia(h, req.ProtoMajor)
	return h
}

// readBody reads all of the body, from what stands for req.Body. A body that ends early, or whose reading fails in any other way, is
// never taken for a whole one.
func (r view) readBody(w http.ResponseWriter, req *http.Request, from io.ReadCloser, rt *route) ([]byte, bool) {
	if req.Body == nil || req.Body == http.NoBody && req.ContentLength <= 0 {
		return nil, true
	}
	rc := http.NewResponseController(w)
	limited := r.limitReading(rc, req)
	body, err := readAll(http.MaxBytesReader(w, from, r.cfg.maxBody), req.ContentLength)
	if limited {
		_ = rc.SetReadDeadline(time.Time{}) // or it would end the request while it is stored
	}
	if err == nil && req.ContentLength >= 0 && int64(len(body)) != req.ContentLength {
		err = errors.New("the body is not as long as its Content-Length")
	}
	if err == nil {
		return body, true
	}
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case tooLarge:
		r.turnAway(w, req, rt, http.StatusRequestEntityTooLarge)
	case errors.Is(err, errNoMemory):
		r.notNow(w, req, rt, refusedMemory, "cannot take the request now")
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.turnAway(w, req, rt, http.StatusRequestTimeout)
	default:
		r.turnAway(w, req, rt, http.StatusBadRequest)
	}
	return nil, false
}

// limitReading sets a deadline for the body, unless the server has a shorter one.
func (r view) limitReading(rc *http.ResponseController, req *http.Request) bool {
	srv, _ := req.Context().Value(http.ServerContextKey).(*http.Server)
	if srv != nil && srv.ReadTimeout > 0 && srv.ReadTimeout <= r.cfg.readTimeout {
		return false
	}
	err := rc.SetReadDeadline(time.Now().Add(r.cfg.readTimeout))
	if err != nil {
		r.noDeadline.Do(func() {
			r.cfg.log.Debug("slow bodies are not cut off: the server, or middleware, offers no read deadline")
		})
	}
	return err == nil
}

// genuine has the route's verifier look at what has been read.
func (r view) genuine(w http.ResponseWriter, req *http.Request, rt *route, body []byte) bool {
	if rt.verifier == nil {
		return true
	}
	err := rt.verifier.Verify(req, body, r.cfg.clock())
	if err != nil {
		r.cfg.log.Info("request is not genuine", "route", rt.name, "from", req.RemoteAddr, "error", err)
		r.refuse(w, req, rt, http.StatusUnauthorized)
	}
	return err == nil
}

// turnAway answers a request before its body is read, and hangs up.
func (r view) turnAway(w http.ResponseWriter, req *http.Request, rt *route, status int) {
	hangUp(w, req)
	r.refuse(w, req, rt, status)
}

// goodbye is how long a sender may go on sending what nobody wants, so that it gets to read
// the answer rather than a reset.
const goodbye = time.Second

// hangUp closes the connection after the answer. By itself net/http would wait without end for the rest of a
// body that is small, or of no declared size. Over HTTP/2 the end of the stream is enough.
func hangUp(w http.ResponseWriter, req *http.Request) {
	if req.ProtoMajor >= 2 {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(goodbye))
}

// refuse answers a request that is not taken, of rt unless that is not known.
func (r view) refuse(w http.ResponseWriter, req *http.Request, rt *route, status int) {
	r.countRefused(rt, status, "")
	name, text := "", http.StatusText(status)
	if rt != nil {
		name = rt.name
	}
	switch status {
	case http.StatusRequestEntityTooLarge:
		text = "the body is larger than " + strconv.FormatInt(r.cfg.maxBody, 10) + " bytes"
		r.cfg.log.Warn("body too large", "route", name, "from", req.RemoteAddr, "limit", r.cfg.maxBody)
	case http.StatusLoopDetected:
		r.cfg.log.Error("request goes in a circle of repeaters", "route", name)
	default:
		r.cfg.log.Debug("turned away", "route", name, "from", req.RemoteAddr, "status", status)
	}
	http.Error(w, text, status)
}
