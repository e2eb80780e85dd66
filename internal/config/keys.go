package config

import (
	"maps"
	"slices"

	"github.com/webhook-repeater/repeater"
)

// verifiers are the senders whose signatures can be verified by name.
var verifiers = map[string]func(secrets ...string) repeater.Verifier{
	"github":           repeater.GitHub,
	"gitlab":           repeater.GitLab,
	"jira":             repeater.Jira,
	"shopify":          repeater.Shopify,
	"slack":            repeater.Slack,
	"standardwebhooks": repeater.StandardWebhooks,
	"stripe":           repeater.Stripe,
	"twilio":           repeater.Twilio,
}

func verifier(to func(*fields) *string) kind {
	return oneOf(to, slices.Sorted(maps.Keys(verifiers))...)
}

func handshake(to func(*fields) *string) kind {
	return oneOf(to, "cloudevents", "graph", "meta", "slack", "x")
}

// checkKeys finds the half of a pair, and secrets that are not in their form.
func (r *reader) checkKeys() {
	for i := range r.Hooks {
		h := &r.Hooks[i]
		switch own := r.lines[h.section+".verify_secret"]; {
		case r.told(h, "verify", "verify_secret"):
		case h.Verify != "" && len(h.VerifySecrets) == 0:
			r.fail(r.lineOf(h, "verify"), "[hook:%s] verify has no verify_secret; write the secret that you share with %s", h.Name, h.Verify)
		case h.Verify == "" && own > 0:
			r.fail(own, "[hook:%s] verify_secret has no effect without verify; write who sends, as verify = github", h.Name)
		case h.Verify != "" && !fits(repeater.Verify(h.verifier())):
			r.fail(r.lineOf(h, "verify_secret"), "[hook:%s] verify_secret is not as those of %s are; copy it from there once more", h.Name, h.Verify)
		}
		switch own := r.lines[h.section+".handshake_secret"]; {
		case r.told(h, "handshake", "handshake_secret"):
		case h.Handshake == "" && own > 0:
			r.fail(own, "[hook:%s] handshake_secret has no effect without handshake; write who sends, as handshake = meta", h.Name)
		case h.Handshake != "" && !fits(repeater.Handshake(h.Handshake, h.HandshakeSecrets...)):
			r.fail(r.lineOf(h, "handshake"), "[hook:%s] handshake_secret does not fit handshake %s; meta needs its verify tokens, x its consumer secret, cloudevents its origins or *, and others nothing",
				h.Name, h.Handshake)
		}
		if len(h.SignSecrets) > 0 && !fits(repeater.Sign(h.SignSecrets...)) {
			r.fail(r.lineOf(h, "sign_secret"), `[hook:%s] sign_secret is not "whsec_" and 24 to 64 bytes in base64; make one with "openssl rand -base64 32"`, h.Name)
		}
	}
	if line := r.lines["store.encrypt"]; line > 0 && !r.failed(line) && !fits(nil, repeater.Encrypt(r.Encrypt...)) {
		r.fail(line, `[store] encrypt is not one key or more, each 32 bytes in base64, or plain; make one with "openssl rand -base64 32"`)
	}
}

// told is whether a mistake was found in one of these keys: what only follows from it is not told as well.
func (r *reader) told(h *Hook, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool {
		return r.failed(r.lines[h.section+"."+key]) || r.failed(r.lines["app."+key])
	})
}

func (r *reader) failed(line int) bool {
	return line > 0 && slices.ContainsFunc(r.mistakes, func(m mistake) bool { return m.line == line })
}

func (h *Hook) verifier() repeater.Verifier { return verifiers[h.Verify](h.VerifySecrets...) }

// fits tells that the options alone take what they are given.
func fits(o repeater.RouteOption, opts ...repeater.Option) bool {
	return repeater.New(append(opts, repeater.Route("/", "http://localhost", o))...).Err() == nil
}
