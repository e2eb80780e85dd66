package repeater_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

const laneA = "http://a.example:80"

var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errNoHost  = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true}}
)

// TestVerdicts: what each end of an attempt means for its message, "1", and for "2" behind it.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	const (
		delivered = "delivered"
		unwell    = "lane waits"
		failed    = "message waits"
		dead      = "dead"
	)
	for _, tt := range []struct {
		name string
		do   reply
		want string
	}{
		{"200", status(200), delivered},
		{"201", status(201), delivered},
		{"204", status(204), delivered},
		{"299", status(299), delivered},
		{"connection refused", reply{err: errRefused}, unwell},
		{"connection reset", reply{err: errReset, whole: true}, unwell},
		{"closed without an answer", reply{err: io.EOF, whole: true}, unwell},
		{"no such host", reply{err: errNoHost}, unwell},
		{"TLS alert", reply{err: tls.AlertError(40)}, unwell},
		{"timeout", hang, unwell},
		{"anything else", reply{err: errors.New("odd")}, unwell},
		{"408", status(408), unwell},
		{"425", status(425), unwell},
		{"429", status(429), unwell},
		{"502", status(502), unwell},
		{"503", status(503), unwell},
		{"504", status(504), unwell},
		{"500", status(500), failed},
		{"501", status(501), failed},
		{"505", status(505), failed},
		{"599", status(599), failed},
		{"410", status(410), dead},
		{"400", status(400), dead},
		{"401", status(401), dead},
		{"404", status(404), dead},
		{"413", status(413), dead},
		{"422", status(422), dead},
		{"300", status(300), dead},
		{"302", reply{status: 302, header: http.Header{"Location": {"http://other.example/"}}}, dead},
		{"304", status(304), dead},
		{"100", status(100), dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				b.replies(func(tr sent) reply {
					if tr.body == "1" && tr.attempt == 1 {
						return tt.do
					}
					return status(200)
				})
				b.accept("/", "1", "2")
				b.pass(31 * time.Second) // longer than an attempt, shorter than the pause after it
				second := false
				for _, tr := range b.seen() {
					second = second || tr.body == "2"
					if tr.host != "a.example" {
						t.Errorf("went to %s: redirects are never followed", tr.host)
					}
				}
				got, lane := delivered, b.lane(laneA)
				switch {
				case lane.Dead == 1:
					got = dead
				case lane.Waiting == 1 && second:
					got = failed
				case lane.Waiting == 2 && !second:
					got = unwell
				}
				if got != tt.want {
					t.Errorf("%s, want %s (lane %+v)", got, tt.want, lane)
				}
			}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(10*time.Minute, time.Hour))
		})
	}
}

// TestGoneIsLoud: that a subscription is over is told at level error.
func TestGoneIsLoud(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(410) })
		b.accept("/", "1", "2", "3", "4", "5", "6", "7")
		b.pass(time.Second)
		if n := b.logged("level=ERROR", "410 Gone", "route=hook"); n != 7 {
			t.Errorf("%d loud lines, want 7:\n%s", n, &b.log)
		}
		if got := b.lane(laneA).Dead; got != 7 {
			t.Errorf("%d dead letters, want all 7: no number of them pauses the lane", got)
		}
	}, repeater.Route("/", "http://a.example", repeater.Name("hook")))
}

// TestRetryIf: a route's own table, which may leave cases to the built-in one.
func TestRetryIf(t *testing.T) {
	t.Parallel()
	rule := func(resp *http.Response, err error) repeater.Verdict {
		switch {
		case err != nil:
			return repeater.VerdictRefused
		case resp.StatusCode == 404:
			return repeater.VerdictFailed
		case resp.StatusCode == 200:
			if text, _ := io.ReadAll(resp.Body); strings.HasPrefix(string(text), "busy") {
				return repeater.VerdictUnwell
			}
		case resp.StatusCode == 299:
			return repeater.Verdict(99) // nonsense is as if nothing was said
		}
		return repeater.VerdictDefault
	}
	for _, tt := range []struct {
		name          string
		do            reply
		waiting, dead int
	}{
		{"404 fails the message", status(404), 1, 0},
		{"no answer is final", reply{err: errReset}, 0, 1},
		{"by the answer's body", reply{status: 200, body: "busy now"}, 1, 0},
		{"the rest is the built-in table's", status(200), 0, 0},
		{"the rest is the built-in table's, dead", status(400), 0, 1},
		{"nonsense", status(299), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				b.replies(func(sent) reply { return tt.do })
				b.accept("/", "1")
				b.pass(time.Second)
				if got := b.lane(laneA); got.Waiting != tt.waiting || got.Dead != tt.dead {
					t.Errorf("%d waiting and %d dead, want %d and %d", got.Waiting, got.Dead, tt.waiting, tt.dead)
				}
			}, repeater.Route("/", "http://a.example", repeater.RetryIf(rule)), repeater.WithQuickRetries(0))
		})
	}
}

// TestFiveRefusalsPauseTheLane: a deploy must not turn a backlog into dead letters.
func TestFiveRefusalsPauseTheLane(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(404) })
		b.accept("/", "1", "2", "3", "4", "5", "6", "7", "8")
		b.pass(time.Second)
		if got := b.lane(laneA); got.Dead != 4 || got.Waiting != 4 || got.Wait == 0 {
			t.Fatalf("after five refusals: %+v, want 4 dead, 4 waiting, and a pause", got)
		}
		if n := b.logged("level=ERROR", "refuses", "lane="+laneA, "status=404"); n != 1 {
			t.Errorf("%d loud lines, want 1:\n%s", n, &b.log)
		}
		// Further refusals keep it paused, also those that another process hears.
		b.pass(time.Minute)
		b.restart()
		b.pass(10 * time.Minute)
		if got := b.lane(laneA); got.Dead != 4 || got.Waiting != 4 {
			t.Fatalf("while refusals go on: %+v, want 4 dead and 4 waiting", got)
		}
		// A delivery ends the row: another five are needed.
		b.replies(func(tr sent) reply {
			if tr.body == "5" {
				return status(200)
			}
			return status(404)
		})
		b.pass(10 * time.Minute)
		if got := b.lane(laneA); got.Dead != 7 || got.Waiting != 0 {
			t.Errorf("after a delivery and three refusals: %+v, want 7 dead", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestDropRefused: an operator may say that the refused are to die.
func TestDropRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return status(404) })
		for range 20 {
			b.accept("/", "x")
		}
		b.pass(time.Second)
		if got := b.lane(laneA).Dead; got != 4 {
			t.Fatalf("%d dead, want 4", got)
		}
		if err := b.rp.DropRefused(context.Background(), laneA); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Second)
		if got := b.lane(laneA); got.Dead != 20 || got.Waiting != 0 {
			t.Errorf("%+v, want all 20 dead at once", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestRefusalsInARow: a delivery between them means that the messages are at fault.
func TestRefusalsInARow(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "good" {
				return status(200)
			}
			return status(404)
		})
		for range 5 {
			b.accept("/", "bad", "bad", "bad", "bad", "good")
		}
		b.pass(time.Second)
		if got := b.lane(laneA); got.Dead != 20 || got.Waiting != 0 {
			t.Errorf("%+v, want 20 dead and none waiting", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestRetryAfter: both forms lengthen a pause up to its cap; nonsense is harmless.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) func() string {
		return func() string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	}
	text := func(s string) func() string { return func() string { return s } }
	for _, tt := range []struct {
		name       string
		value      func() string
		least, max time.Duration
	}{
		{"none", text(""), 8 * time.Second, 12 * time.Second},
		{"seconds", text("60"), time.Minute, time.Minute},
		{"shorter than the pause", text("1"), 8 * time.Second, 12 * time.Second},
		{"beyond the cap", text("86400"), 5 * time.Minute, 5 * time.Minute},
		{"overflowing", text("99999999999999999999999999"), 8 * time.Second, 12 * time.Second},
		{"as large as fits", text("9223372036854775807"), 5 * time.Minute, 5 * time.Minute},
		{"negative", text("-5"), 8 * time.Second, 12 * time.Second},
		{"words", text("soon"), 8 * time.Second, 12 * time.Second},
		{"date", date(2 * time.Minute), 2*time.Minute - 2*time.Second, 2 * time.Minute},
		{"date in the past", date(-time.Hour), 8 * time.Second, 12 * time.Second},
		{"year 9999", text("Fri, 31 Dec 9999 23:59:59 GMT"), 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bubble) {
				b.replies(func(sent) reply {
					return reply{status: 503, header: http.Header{"Retry-After": {tt.value()}}}
				})
				b.accept("/", "1")
				if got := b.lane(laneA).Wait; got < tt.least || got > tt.max {
					t.Errorf("pause of %v, want %v to %v", got, tt.least, tt.max)
				}
			}, repeater.Route("/", "http://a.example"), repeater.WithBackoff(10*time.Second, 5*time.Minute), repeater.WithQuickRetries(0))
		})
	}
}

// TestAttemptTimeout: the whole attempt ends after 30 s, or as set.
func TestAttemptTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		set, want time.Duration
	}{{0, 30 * time.Second}, {time.Second, time.Second}} {
		inBubble(t, func(b *bubble) {
			b.replies(func(sent) reply { return hang })
			b.accept("/", "1")
			b.pass(tt.want - time.Millisecond)
			if got := b.lane(laneA); got.Failures != 0 {
				t.Errorf("given up before %v: %+v", tt.want, got)
			}
			b.pass(2 * time.Millisecond)
			if got := b.lane(laneA); got.Failures != 1 {
				t.Errorf("not given up after %v: %+v", tt.want, got)
			}
			if diff := cmp.Diff(1, b.logged("timeout: no answer")); diff != "" {
				t.Errorf("lines that tell of it (-want +got):\n%s", diff)
			}
		}, repeater.Route("/", "http://a.example"), repeater.WithTimeouts(repeater.Timeouts{Attempt: tt.set}))
	}
}
