package repeater_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhook-repeater/repeater"
)

const longSecret = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="

func TestSign(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		secrets []string
		sent    []string
	}{
		{"one secret", []string{standardSecret}, nil},
		{"without its prefix", []string{strings.TrimPrefix(standardSecret, "whsec_")}, nil},
		{"several", []string{longSecret, standardSecret}, nil},
		{"forged ones are replaced", []string{standardSecret},
			[]string{"Webhook-Id: forged", "webhook-timestamp: 1", "Webhook-Timestamp: 2", "WEBHOOK-SIGNATURE: v1,AAAA"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dest := newDestination(t, answerOK)
			addr := listen(t, deliver(t, repeater.Route("/", dest.url("/in"), repeater.Sign(longSecret), repeater.Sign(tt.secrets...))))
			id := sendRaw(t, addr, post("/x", "\x00 body", tt.sent...)).header.Get("Repeater-Id")
			got := dest.next(t)
			if got.value("Webhook-Id") != id {
				t.Errorf("Webhook-Id is %q, want only %q", got.values("Webhook-Id"), id)
			}
			if at, err := strconv.ParseInt(got.value("Webhook-Timestamp"), 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
				t.Errorf("Webhook-Timestamp is %q, want only now", got.values("Webhook-Timestamp"))
			}
			if n := len(strings.Split(got.value("Webhook-Signature"), " ")); n != len(tt.secrets) {
				t.Errorf("%d signatures, want %d", n, len(tt.secrets))
			}
			for _, secret := range tt.secrets {
				if err := repeater.StandardWebhooks(secret).Verify(got.request(), got.body, time.Now()); err != nil {
					t.Errorf("with %s: %v", secret, err)
				}
			}
			if err := repeater.StandardWebhooks(otherStandard).Verify(got.request(), got.body, time.Now()); err == nil {
				t.Error("any secret fits")
			}
		})
	}
}

// TestSignedAfresh: a signature of the first attempt would have expired at the second.
func TestSignedAfresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []int64
		done := make(chan struct{})
		transport := transportFunc(func(r *http.Request) (*http.Response, error) {
			seconds, err := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
			if err != nil || seconds != time.Now().Unix() {
				t.Errorf("signed at %d, sent at %d", seconds, time.Now().Unix())
			}
			if err := repeater.StandardWebhooks(standardSecret).Verify(r, []byte("x"), time.Now()); err != nil {
				t.Errorf("attempt %s: %v", r.Header.Get("Repeater-Attempt"), err)
			}
			if at = append(at, seconds); len(at) == 1 {
				return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
			}
			close(done)
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})
		rp := deliver(t, repeater.WithTransport(transport), repeater.WithBackoff(time.Hour, time.Hour), repeater.WithQuickRetries(0),
			repeater.Route("/", anywhere, repeater.Sign(standardSecret)))
		wantStatus(t, try(rp, "POST", "/x"), 200)
		<-done
		if at[1]-at[0] < 1800 {
			t.Errorf("signed at %d, want the second half an hour or more after the first", at)
		}
	})
}
