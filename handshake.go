package repeater

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Handshake answers a sender's endpoint-verification request at once instead of queueing it: a
// sender makes it before it sends any webhooks, and expects the answer right away. The scheme is
// one of
//
//	"slack"        url_verification
//	"meta"         hub.challenge, with one of the verify tokens in args
//	"x"            the challenge-response check, with the consumer secret in args
//	"graph"        validationToken of Microsoft Graph
//	"cloudevents"  OPTIONS, from one of the origins in args, "*" for any
//
// If the scheme needs a method besides POST, that is added to the route's pattern: "POST /x" also
// answers GET for "meta" and "x", and OPTIONS for "cloudevents", but takes no other requests of
// that method. [AllowFrom] applies to all of them, and [Verify] to "slack", the only one that is
// signed. A challenge is sent back to whoever asks, as plain text. Several add up.
func Handshake(scheme string, args ...string) RouteOption {
	return func(rt *route) {
		h, err := newHandshake(scheme, args)
		if err != nil {
			rt.fail("Handshake: %w", err)
			return
		}
		rt.handshakes = append(rt.handshakes, h)
	}
}

// handshake is a scheme with its arguments.
type handshake struct {
	method string // that the route needs for it; "" for POST
	signed bool   // it looks at the body, when that is known to be genuine

	// answer returns 0 for a request that is no such handshake, and 200 when it has
	// answered it. With any other status it has not.
	answer func(w http.ResponseWriter, req *http.Request, body []byte) int
}

func newHandshake(scheme string, args []string) (handshake, error) {
	least, most := 1, len(args)
	switch scheme {
	case "slack", "graph":
		least, most = 0, 0
	case "x":
		most = 1
	case "meta", "cloudevents":
	default:
		return handshake{}, fmt.Errorf("%q is none of slack, meta, x, graph and cloudevents", scheme)
	}
	if len(args) < least || len(args) > most || slices.Contains(args, "") {
		return handshake{}, errors.New(scheme + " takes other arguments: see its documentation")
	}
	switch scheme {
	case "slack":
		return handshake{signed: true, answer: answerSlack}, nil
	case "graph":
		return handshake{answer: answerGraph}, nil
	case "x":
		return handshake{method: http.MethodGet, answer: answerX(args[0])}, nil
	case "meta":
		return handshake{method: http.MethodGet, answer: answerMeta(secretKeys(args))}, nil
	}
	return handshake{method: http.MethodOptions, answer: answerCloudEvents(args)}, nil
}

func answerSlack(w http.ResponseWriter, _ *http.Request, body []byte) int {
	if !bytes.Contains(body, []byte("url_verification")) {
		return 0 // nearly always, without parsing it
	}
	var event struct{ Type, Challenge string }
	if err := json.Unmarshal(body, &event); err != nil || event.Type != "url_verification" {
		return 0
	}
	return challenge(w, event.Challenge)
}

func answerGraph(w http.ResponseWriter, req *http.Request, _ []byte) int {
	query := req.URL.Query()
	if req.Method != http.MethodPost || !query.Has("validationToken") {
		return 0
	}
	return challenge(w, query.Get("validationToken"))
}

func answerMeta(tokens secrets) func(http.ResponseWriter, *http.Request, []byte) int {
	return func(w http.ResponseWriter, req *http.Request, _ []byte) int {
		query := req.URL.Query()
		if req.Method != http.MethodGet || query.Get("hub.mode") != "subscribe" {
			return 0
		}
		if !tokens.has(query.Get("hub.verify_token")) {
			return http.StatusForbidden
		}
		return challenge(w, query.Get("hub.challenge"))
	}
}

func answerX(secret string) func(http.ResponseWriter, *http.Request, []byte) int {
	return func(w http.ResponseWriter, req *http.Request, _ []byte) int {
		token := req.URL.Query().Get("crc_token")
		if req.Method != http.MethodGet || token == "" {
			return 0
		}
		made := signature(sha256.New, []byte(secret), []byte(token))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"response_token":"sha256=`+base64.StdEncoding.EncodeToString(made)+`"}`)
		return http.StatusOK
	}
}

func answerCloudEvents(origins []string) func(http.ResponseWriter, *http.Request, []byte) int {
	return func(w http.ResponseWriter, req *http.Request, _ []byte) int {
		origin := only(req.Header, "Webhook-Request-Origin")
		if req.Method != http.MethodOptions || origin == "" {
			return 0
		}
		allowed := func(o string) bool { return o == "*" || strings.EqualFold(o, origin) }
		if !slices.ContainsFunc(origins, allowed) {
			return http.StatusForbidden
		}
		h := w.Header()
		h.Set("Allow", "OPTIONS, POST")
		h.Set("WebHook-Allowed-Origin", origin)
		h.Set("WebHook-Allowed-Rate", "*")
		w.WriteHeader(http.StatusOK)
		return http.StatusOK
	}
}

// challenge sends back what a sender wants to see again. It chose the text, so nobody
// should take it for anything but text.
func challenge(w http.ResponseWriter, text string) int {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) // #nosec G705 -- as plain text, which no browser takes for a page
	return http.StatusOK
}

// greet answers the request if it is a handshake: one whose body counts only once that
// is read and genuine.
func (r view) greet(w http.ResponseWriter, req *http.Request, rt *route, signed bool, body []byte) bool {
	for _, h := range rt.handshakes {
		if h.signed != signed {
			continue
		}
		switch status := h.answer(w, req, body); status {
		case 0:
			continue
		case http.StatusOK:
			r.cfg.log.Debug("handshake answered", "route", rt.name, "from", req.RemoteAddr)
		default:
			r.cfg.log.Warn("handshake refused: its token or origin is not the route's", "route", rt.name, "from", req.RemoteAddr)
			r.refuse(w, req, rt, status)
		}
		return true
	}
	return false
}

// addHandshakes routes the methods that the handshakes of a route need and its pattern does not
// have. What comes by them is no message: their numbers are beyond those of the routes.
func (c *config) addHandshakes(rt *route) error {
	end := strings.IndexAny(rt.pattern, " \t")
	if end < 0 {
		return nil // any method
	}
	added := []string{rt.pattern[:end]}
	for _, h := range rt.handshakes {
		if h.method == "" || slices.Contains(added, h.method) {
			continue
		}
		added = append(added, h.method)
		if err := c.router.Add(h.method+rt.pattern[end:], len(c.routes)+len(c.greeting)); err != nil {
			return fmt.Errorf("route %q: Handshake: %w", rt.pattern, err)
		}
		c.greeting = append(c.greeting, rt)
	}
	return nil
}
