package admin

import (
	"context"
	"net/http"
	"strings"
)

// discreet is a Source that shows payloads only where that is allowed, and no credentials even then: whatever
// is built on it cannot forget to ask.
type discreet struct {
	Source
	show bool
}

func (d discreet) Messages(ctx context.Context, lane, cursor string, max int) ([]Message, string, error) {
	page, next, err := d.Source.Messages(ctx, lane, cursor, max)
	return d.hush(page), next, err
}

func (d discreet) Dead(ctx context.Context, f Filter, cursor string, max int) ([]Message, string, error) {
	page, next, err := d.Source.Dead(ctx, f, cursor, max)
	return d.hush(page), next, err
}

func (d discreet) Explain(ctx context.Context, id string) ([]Message, error) {
	messages, err := d.Source.Explain(ctx, id)
	return d.hush(messages), err
}

// hush takes away what a destination has answered: it may repeat what it was sent.
func (d discreet) hush(messages []Message) []Message {
	for i := range messages {
		if !d.show {
			messages[i].Answer = ""
		}
	}
	return messages
}

func (d discreet) Request(ctx context.Context, lane, id string, dest int) (*Request, error) {
	if !d.show {
		return nil, ErrHidden
	}
	r, err := d.Source.Request(ctx, lane, id, dest)
	if err != nil {
		return nil, err
	}
	return r.redacted(), nil
}

// Redaction stands for the value of a header that is not told.
const Redaction = "(redacted)"

// secretHeaders bear what would let somebody else act as the sender, or as one of its users.
var secretHeaders = map[string]bool{
	"Authorization": true, "Proxy-Authorization": true, "Www-Authenticate": true, "Proxy-Authenticate": true,
	"Cookie": true, "Set-Cookie": true,
}

// secretWords make a header one that bears a signature or a token, whoever has thought of it.
var secretWords = []string{"token", "signature", "secret", "api-key", "apikey", "access-key", "password", "passwd", "credential", "auth", "hmac", "session", "-sig", "jwt"}

func isSecretHeader(name string) bool {
	lower := strings.ToLower(name)
	for _, word := range secretWords {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return secretHeaders[http.CanonicalHeaderKey(name)]
}

// redacted is the request without the values of headers that are secret by their names. Path and body stay
// as they came.
func (r *Request) redacted() *Request {
	out := *r
	out.Header = make(map[string][]string, len(r.Header))
	for name, values := range r.Header {
		if isSecretHeader(name) {
			values = []string{Redaction}
		}
		out.Header[name] = orEmpty(values)
	}
	return &out
}
