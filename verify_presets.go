package repeater

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- what Twilio signs with
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// GitHub verifies X-Hub-Signature-256, as sent by GitHub, Gitea, Forgejo and Meta. Any of the
// secrets may have made it. It does not expire; [Dedupe] on X-GitHub-Delivery keeps repetitions out
// for a while.
func GitHub(secrets ...string) Verifier {
	return HMAC(HMACScheme{Header: "X-Hub-Signature-256", Prefix: "sha256="}, secrets...)
}

// Jira verifies X-Hub-Signature, as sent by Jira Cloud and Bitbucket. Any of the secrets may have
// made it. It does not expire.
func Jira(secrets ...string) Verifier {
	return HMAC(HMACScheme{Header: "X-Hub-Signature", Prefix: "sha256="}, secrets...)
}

// Shopify verifies X-Shopify-Hmac-Sha256. Any of the client secrets may have made it. It does not
// expire.
func Shopify(secrets ...string) Verifier {
	return HMAC(HMACScheme{Header: "X-Shopify-Hmac-Sha256", Base64: true}, secrets...)
}

// Stripe verifies Stripe-Signature, and that it is at most five minutes old. Any of the endpoint
// secrets ("whsec_...") may have made it.
func Stripe(secrets ...string) Verifier { return stripeVerifier{secretKeys(secrets)} }

type stripeVerifier struct{ secrets }

func (v stripeVerifier) Verify(req *http.Request, body []byte, now time.Time) error {
	var at string
	var given [][]byte
	for item := range strings.SplitSeq(only(req.Header, "Stripe-Signature"), ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(item), "="); name {
		case "t":
			if at != "" {
				return errNoSignature
			}
			at = value
		case "v1":
			given = appendHex(given, value)
		}
	}
	if at == "" || len(given) == 0 {
		return errNoSignature
	}
	if err := v.match(sha256.New, given, []byte(at), []byte("."), body); err != nil {
		return err
	}
	return expired(at, now)
}

// Slack verifies X-Slack-Signature, and that it is at most five minutes old. Any of the signing
// secrets may have made it.
func Slack(secrets ...string) Verifier { return slackVerifier{secretKeys(secrets)} }

type slackVerifier struct{ secrets }

func (v slackVerifier) Verify(req *http.Request, body []byte, now time.Time) error {
	at := only(req.Header, "X-Slack-Request-Timestamp")
	text, ok := strings.CutPrefix(only(req.Header, "X-Slack-Signature"), "v0=")
	given := appendHex(nil, text)
	if !ok || at == "" || len(given) == 0 {
		return errNoSignature
	}
	if err := v.match(sha256.New, given, []byte("v0:"), []byte(at), []byte(":"), body); err != nil {
		return err
	}
	return expired(at, now)
}

// GitLab verifies X-Gitlab-Token, which is one of the secret tokens itself: it does not cover the
// body, and whoever sees a request can forge others. A signing token ("whsec_...") is better, and
// verified as by [StandardWebhooks].
func GitLab(tokens ...string) Verifier {
	var v gitlabVerifier
	var signing []string
	for _, t := range tokens {
		if strings.HasPrefix(t, signingPrefix) {
			signing = append(signing, t)
		} else {
			v.secrets = append(v.secrets, []byte(t))
		}
	}
	if signing != nil {
		v.signed = newStandardVerifier(signing)
	}
	return v
}

type gitlabVerifier struct {
	secrets
	signed *standardVerifier // nil without a signing token
}

func (v gitlabVerifier) check() error {
	if v.signed == nil {
		return v.secrets.check()
	}
	if len(v.secrets) > 0 {
		return errors.Join(v.signed.check(), v.secrets.check())
	}
	return v.signed.check()
}

func (v gitlabVerifier) Verify(req *http.Request, body []byte, now time.Time) error {
	if v.signed != nil && req.Header["Webhook-Signature"] != nil {
		return v.signed.Verify(req, body, now)
	}
	given := only(req.Header, "X-Gitlab-Token")
	if given == "" {
		return errNoSignature
	}
	if !v.secrets.has(given) {
		return errBadSignature
	}
	return nil
}

// Twilio verifies X-Twilio-Signature. Any of the auth tokens may have made it. It does not expire.
//
// Twilio signs the URL it was given, so the request must arrive with that URL's host, path and
// query: a proxy in front has to keep them. (Scheme and port do not matter.) A body that the
// signature does not cover, neither as a form nor by bodySHA256 in the query, is refused.
func Twilio(authTokens ...string) Verifier { return twilioVerifier{secretKeys(authTokens)} }

type twilioVerifier struct{ secrets }

func (v twilioVerifier) Verify(req *http.Request, body []byte, _ time.Time) error {
	given, err := base64.StdEncoding.DecodeString(only(req.Header, "X-Twilio-Signature"))
	if err != nil || len(given) == 0 {
		return errNoSignature
	}
	form, ok := twilioForm(req, body)
	if !ok {
		return errBadSignature
	}
	for _, address := range twilioURLs(req) {
		if v.match(sha1.New, [][]byte{given}, []byte(address), []byte(form)) == nil {
			return nil
		}
	}
	return errBadSignature
}

// twilioForm returns what is signed behind the URL. It is not ok if the body is neither in
// there nor in the URL by its hash.
func twilioForm(req *http.Request, body []byte) (string, bool) {
	if query, err := url.ParseQuery(req.URL.RawQuery); err == nil && query.Has("bodySHA256") {
		want, made := query.Get("bodySHA256"), sha256.Sum256(body)
		return "", hmac.Equal([]byte(strings.ToLower(want)), []byte(hex.EncodeToString(made[:])))
	}
	if len(body) == 0 {
		return "", true
	}
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	form, err := url.ParseQuery(string(body))
	if media != "application/x-www-form-urlencoded" || err != nil {
		return "", false
	}
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		values := form[name]
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			b.WriteString(name + value)
		}
	}
	return b.String(), true
}

// twilioURLs returns the forms in which Twilio may have been given our address.
func twilioURLs(req *http.Request) []string {
	target := req.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = rawPath(req)
		if req.URL.RawQuery != "" {
			target += "?" + req.URL.RawQuery
		}
	}
	host := req.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		if host = h; strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	var urls []string
	for _, h := range [...]string{host, req.Host} {
		urls = append(urls, "https://"+h+target, "http://"+h+target)
	}
	return append(urls, "https://"+host+":443"+target, "http://"+host+":80"+target)
}

// StandardWebhooks verifies Webhook-Signature of the Standard Webhooks specification (or the older
// Svix-Signature), and that it is at most five minutes old. A secret is base64, usually after
// "whsec_"; any of them may have made the signature.
func StandardWebhooks(secrets ...string) Verifier { return newStandardVerifier(secrets) }

const signingPrefix = "whsec_"

type standardVerifier struct {
	secrets
	err error
}

func newStandardVerifier(texts []string) *standardVerifier {
	v := &standardVerifier{secrets: make(secrets, len(texts))}
	for i, text := range texts {
		key, err := signingKey(text)
		v.secrets[i], v.err = key, errors.Join(v.err, err)
	}
	return v
}

// signingKey decodes a secret of Standard Webhooks. Its error does not quote it.
func signingKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, signingPrefix))
	if err != nil {
		return nil, errors.New(`a secret is not "whsec_" and base64`)
	}
	return key, nil
}

func (v *standardVerifier) check() error {
	if v.err != nil {
		return v.err
	}
	return v.secrets.check()
}

func (v *standardVerifier) Verify(req *http.Request, body []byte, now time.Time) error {
	prefix := "Webhook-"
	if req.Header["Webhook-Signature"] == nil {
		prefix = "Svix-"
	}
	id, at := only(req.Header, prefix+"Id"), only(req.Header, prefix+"Timestamp")
	var given [][]byte
	for item := range strings.SplitSeq(only(req.Header, prefix+"Signature"), " ") {
		if text, ok := strings.CutPrefix(item, "v1,"); ok {
			if sig, err := base64.StdEncoding.DecodeString(text); err == nil {
				given = append(given, sig)
			}
		}
	}
	if id == "" || at == "" || len(given) == 0 {
		return errNoSignature
	}
	dot := []byte(".")
	if err := v.match(sha256.New, given, []byte(id), dot, []byte(at), dot, body); err != nil {
		return err
	}
	return expired(at, now)
}

// appendHex leaves out what is no hex.
func appendHex(list [][]byte, text string) [][]byte {
	if b, err := hex.DecodeString(text); err == nil && len(b) > 0 {
		list = append(list, b)
	}
	return list
}

func expired(at string, now time.Time) error {
	if !fresh(at, now) {
		return errExpired
	}
	return nil
}
