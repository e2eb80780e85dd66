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

// checkVerify finds the half of a pair, and secrets that are not in the form of their sender's.
func (r *reader) checkVerify() {
	for i := range r.Hooks {
		h := &r.Hooks[i]
		switch own := r.lines[h.section+".verify_secret"]; {
		case h.Verify != "" && len(h.VerifySecrets) == 0:
			r.fail(r.lineOf(h, "verify"), "[hook:%s] verify has no verify_secret; write the secret that you share with %s", h.Name, h.Verify)
		case h.Verify == "" && own > 0:
			r.fail(own, "[hook:%s] verify_secret has no effect without verify; write who sends, as verify = github", h.Name)
		case h.Verify != "" && verifyRoute(h).Err() != nil:
			r.fail(r.lineOf(h, "verify_secret"), "[hook:%s] verify_secret is not as those of %s are; copy it from there once more", h.Name, h.Verify)
		}
	}
}

// verifyRoute has nothing wrong with it but what may be wrong with the secrets.
func verifyRoute(h *Hook) *repeater.Repeater {
	return repeater.New(repeater.Route("/", "http://localhost", repeater.Verify(verifiers[h.Verify](h.VerifySecrets...))))
}
