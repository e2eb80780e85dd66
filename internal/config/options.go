package config

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/orderkey"
)

// options returns what a hook says. Pace is that of all hooks.
func (h *Hook) options(pace time.Duration) []repeater.RouteOption {
	opts := []repeater.RouteOption{
		repeater.Name(h.Name),
		repeater.KeepPath(),
		repeater.Pace(pace),
		repeater.MaxAge(h.MaxAge),
		repeater.MaxAttempts(h.MaxAttempts),
		repeater.RetryIf(h.verdict()),
		repeater.PassThrough(h.PassThrough),
	}
	add := func(said bool, option func() repeater.RouteOption) {
		if said {
			opts = append(opts, option())
		}
	}
	add(len(h.Allow) > 0, func() repeater.RouteOption { return repeater.AllowFrom(h.Allow...) })
	add(h.Secret != "", func() repeater.RouteOption { return repeater.SignMD5(h.Secret) })
	add(h.Concurrency > 0, func() repeater.RouteOption { return repeater.Concurrency(h.Concurrency) })
	add(h.Strict, repeater.Strict)
	add(h.KeepHost, repeater.KeepHost)
	add(h.H2C, repeater.H2C)
	add(h.tls != nil, func() repeater.RouteOption { return repeater.TLS(h.tls) })
	add(h.Lane != "", func() repeater.RouteOption { return repeater.Lane(h.Lane) })
	add(h.Dedupe != "", func() repeater.RouteOption { return repeater.Dedupe(h.Dedupe) })
	add(h.Verify != "", func() repeater.RouteOption { return repeater.Verify(h.verifier()) })
	add(len(h.SignSecrets) > 0, func() repeater.RouteOption { return repeater.Sign(h.SignSecrets...) })
	add(h.Handshake != "", func() repeater.RouteOption { return repeater.Handshake(h.Handshake, h.HandshakeSecrets...) })
	if key, err := orderkey.Parse(h.OrderBy); err == nil {
		opts = append(opts, repeater.OrderBy(key))
	}
	return opts
}

// verdict judges answers by success and retry_status. An answer that is to be tried again, and that
// says nothing of the destination's health by itself, is the message's own.
func (h *Hook) verdict() func(*http.Response, error) repeater.Verdict {
	anyAnswer, retried := h.Success == "any", slices.Clone(h.RetryStatus)
	return func(resp *http.Response, err error) repeater.Verdict {
		switch {
		case err != nil || resp == nil:
			return repeater.VerdictDefault
		case anyAnswer:
			return repeater.VerdictDelivered
		case resp.StatusCode/100 == 2:
			return repeater.VerdictDefault
		}
		listed := matches(retried, resp.StatusCode)
		switch retriedByDefault := matches(retryStatus, resp.StatusCode); {
		case listed == retriedByDefault:
			return repeater.VerdictDefault
		case listed:
			return repeater.VerdictFailed
		}
		return repeater.VerdictRefused
	}
}

// retryStatus is what the built-in table tries again.
var retryStatus = []string{"408", "425", "429", "5xx"}

// matches looks for a status, or its class as "5xx".
func matches(list []string, status int) bool {
	return slices.Contains(list, strconv.Itoa(status)) || slices.Contains(list, strconv.Itoa(status/100)+"xx")
}
