package config

import (
	"errors"
	"net/http"
	"testing"

	"github.com/webhook-repeater/repeater"
)

// TestVerdict: success and retry_status judge as they say; the default of retry_status is
// what the built-in table says without it.
func TestVerdict(t *testing.T) {
	said := func(text string, status int) repeater.Verdict {
		h := parsed(t, hook+text).Hooks[0]
		return h.verdict()(&http.Response{StatusCode: status}, nil)
	}
	for status := 200; status < 600; status++ {
		if v := said("", status); v != repeater.VerdictDefault {
			t.Errorf("by default, %d: %d, want the built-in table's", status, v)
		}
	}
	for _, tt := range []struct {
		text   string
		status int
		want   repeater.Verdict
	}{
		{"success = any\n", 200, repeater.VerdictDelivered},
		{"success = any\n", 302, repeater.VerdictDelivered},
		{"success = any\n", 410, repeater.VerdictDelivered},
		{"success = any\n", 503, repeater.VerdictDelivered},
		{"retry_status = 408,425,429,5xx,404\n", 404, repeater.VerdictFailed},
		{"retry_status = 408,425,429,5xx,404\n", 403, repeater.VerdictDefault},
		{"retry_status = 408,425,429,5xx,404\n", 503, repeater.VerdictDefault},
		{"retry_status = 410\n", 410, repeater.VerdictFailed},
		{"retry_status = 410\n", 500, repeater.VerdictRefused},
		{"retry_status = 503\n", 503, repeater.VerdictDefault},
		{"retry_status = 4xx\n", 499, repeater.VerdictFailed},
		{"retry_status = none\n", 503, repeater.VerdictRefused},
		{"retry_status = none\n", 404, repeater.VerdictDefault},
		{"retry_status = none\n", 204, repeater.VerdictDefault},
	} {
		if got := said(tt.text, tt.status); got != tt.want {
			t.Errorf("%q, %d: %d, want %d", tt.text, tt.status, got, tt.want)
		}
	}
	h := parsed(t, hook+"success = any\n").Hooks[0]
	if v := h.verdict()(nil, errors.New("no answer")); v != repeater.VerdictDefault {
		t.Errorf("no answer: %d, want the built-in table's", v)
	}
}
