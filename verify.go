package repeater

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verifier tells genuine requests from forged ones. The package has verifiers for some senders
// ([GitHub], [Stripe], [Slack], [Shopify], [GitLab], [Jira], [Twilio]), [StandardWebhooks], and
// [HMAC] for many others; bring your own for the rest. With no secret, or an empty one, those of
// this package make [Verify] a mistake that [Repeater.Err] returns.
type Verifier interface {
	// Verify returns nil if the request is genuine, made by the route's sender. The body has been
	// read from req into body; neither may be changed or kept. now is when the request came, for
	// schemes whose signatures expire.
	//
	// The text of an error is logged and not sent to the sender. It must contain no secret, and no
	// signature that would have been right. Verify may be called concurrently, and must compare
	// secrets in constant time. A panic in it is not recovered here: the request is not stored, and
	// net/http aborts it.
	Verify(req *http.Request, body []byte, now time.Time) error
}

// Verify accepts only requests that v takes for genuine; others get 401 and are not stored. It is
// the last check, over the body as it came: sources, sizes and limits have been checked before. A
// nil v is a mistake.
//
// It establishes who made a request, not that the request is new: a captured one passes again, for
// five minutes if the scheme signs the time, and forever otherwise. The signature is forwarded, so
// the destination can check it once more, but one with a time has expired by then if there was an
// outage: have the destination check that of [Sign] instead.
func Verify(v Verifier) RouteOption {
	return func(rt *route) {
		if v == nil {
			rt.fail("Verify: the verifier is nil")
		} else if c, ok := v.(interface{ check() error }); ok {
			if err := c.check(); err != nil {
				rt.fail("Verify: %w", err)
			}
		}
		rt.verifier = v
	}
}

// Why a request is not taken for genuine.
var (
	errNoSignature  = errors.New("no signature, or more than one, or not in its form")
	errBadSignature = errors.New("the signature does not match")
	errExpired      = errors.New("the signature is too old, or from the future")
)

// freshness is how old a signed time may be, and how far in the future.
const freshness = 5 * time.Minute

// HMACScheme describes how a sender signs: an HMAC over the body, in one header.
type HMACScheme struct {
	Header string           // that has the signature; "" is a mistake
	Prefix string           // of the signature in the header, such as "sha256="; case matters
	Hash   func() hash.Hash // nil for SHA-256
	Base64 bool             // the signature is in standard base64, not in hex
}

// HMAC verifies an HMAC over the body. Any of the secrets may have made it, so that they can be
// changed one by one. Such a signature does not expire: whoever has seen a request can send it
// again.
func HMAC(scheme HMACScheme, secrets ...string) Verifier {
	v := &hmacVerifier{HMACScheme: scheme, secrets: secretKeys(secrets)}
	if v.Hash == nil {
		v.Hash = sha256.New
	}
	v.name = http.CanonicalHeaderKey(scheme.Header)
	return v
}

type hmacVerifier struct {
	HMACScheme
	secrets
	name string
}

func (v *hmacVerifier) check() error {
	if v.Header == "" {
		return errors.New("HMAC names no header")
	}
	return v.secrets.check()
}

func (v *hmacVerifier) Verify(req *http.Request, body []byte, _ time.Time) error {
	text, ok := strings.CutPrefix(only(req.Header, v.name), v.Prefix)
	if !ok {
		return errNoSignature
	}
	decode := hex.DecodeString
	if v.Base64 {
		decode = base64.StdEncoding.DecodeString
	}
	given, err := decode(text)
	if err != nil || len(given) == 0 {
		return errNoSignature
	}
	return v.match(v.Hash, [][]byte{given}, body)
}

// secrets are keys any of which may be in use.
type secrets [][]byte

func secretKeys(texts []string) secrets {
	s := make(secrets, len(texts))
	for i, text := range texts {
		s[i] = []byte(text)
	}
	return s
}

// check refuses an empty secret: everybody knows it.
func (s secrets) check() error {
	if len(s) == 0 {
		return errors.New("there is no secret")
	}
	for _, key := range s {
		if len(key) == 0 {
			return errors.New("a secret is empty")
		}
	}
	return nil
}

// match returns nil if any of the given signatures was made with any of the secrets over
// the parts, one behind the other.
func (s secrets) match(h func() hash.Hash, given [][]byte, parts ...[]byte) error {
	matched := false
	for _, key := range s {
		made := signature(h, key, parts...)
		for _, g := range given {
			matched = hmac.Equal(made, g) || matched
		}
	}
	if !matched {
		return errBadSignature
	}
	return nil
}

// has tells whether a text is one of the secrets. It compares hashes, so that not even
// their length shows.
func (s secrets) has(text string) bool {
	hashed, found := sha256.Sum256([]byte(text)), false
	for _, secret := range s {
		want := sha256.Sum256(secret)
		found = hmac.Equal(hashed[:], want[:]) || found
	}
	return found
}

func signature(h func() hash.Hash, key []byte, parts ...[]byte) []byte {
	mac := hmac.New(h, key)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// only returns the value of a header that is there exactly once, else "". Of several
// values the destination might see another one than we.
func only(h http.Header, name string) string {
	if v := h[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// fresh tells whether a signed Unix time is near enough to now.
func fresh(seconds string, now time.Time) bool {
	t, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return false
	}
	const window = int64(freshness / time.Second)
	return t >= now.Unix()-window && t <= now.Unix()+window
}
