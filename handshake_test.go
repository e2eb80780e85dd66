package repeater_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater"
)

func TestHandshakes(t *testing.T) {
	t.Parallel()
	const (
		slackBody = `{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`
		slackSays = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
		// The app's example secret and token of X, and what openssl makes of them.
		xSecret = "z3ZX4v7mAAUGykl3EcmkqbartmuW8VFOOzCloLx9Q45P0hLrFu"
		xToken  = "9b4507b3-9040-4669-9ca3-6b94edb50553"
		xSays   = `{"response_token":"sha256=Cytd4Sq+NvEcV3MMrXxWJGJx5A+y/lXzzU2Maartkx8="}`
	)
	meta := repeater.Handshake("meta", "old token", "my token")
	cloud := repeater.Handshake("cloudevents", "eventgrid.azure.net", "other.example")
	for _, tt := range []struct {
		name    string
		pattern string
		opts    []repeater.RouteOption
		raw     string
		status  int
		body    string // of a handshake; "" where the request is stored, or refused
		stored  bool
	}{
		{"slack", "POST /in", routeOpts(repeater.Handshake("slack")), post("/in", slackBody), 200, slackSays, false},
		{"slack, an event", "POST /in", routeOpts(repeater.Handshake("slack")), post("/in", `{"type":"event_callback","text":"url_verification"}`), 200, "OK", true},
		{"slack, no JSON", "POST /in", routeOpts(repeater.Handshake("slack")), post("/in", "url_verification"), 200, "OK", true},
		{"slack, not configured", "POST /in", nil, post("/in", slackBody), 200, "OK", true},
		{"slack, not genuine", "POST /in", routeOpts(repeater.Handshake("slack"), repeater.Verify(repeater.Slack("secret"))), post("/in", slackBody), 401, "", false},
		{"slack, not allowed", "POST /in", routeOpts(repeater.Handshake("slack"), repeater.AllowFrom("203.0.113.1")), post("/in", slackBody), 403, "", false},

		{"meta", "POST /in", routeOpts(meta), request("GET", "/in?hub.mode=subscribe&hub.challenge=11%2058&hub.verify_token=my+token", ""), 200, "11 58", false},
		{"meta, another token", "POST /in", routeOpts(meta), request("GET", "/in?hub.mode=subscribe&hub.challenge=1158&hub.verify_token=old%20token", ""), 200, "1158", false},
		{"meta, wrong token", "POST /in", routeOpts(meta), request("GET", "/in?hub.mode=subscribe&hub.challenge=1158&hub.verify_token=my", ""), 403, "", false},
		{"meta, no token", "POST /in", routeOpts(meta), request("GET", "/in?hub.mode=subscribe&hub.challenge=1158", ""), 403, "", false},
		{"meta, not allowed", "POST /in", routeOpts(meta, repeater.AllowFrom("203.0.113.1")), request("GET", "/in?hub.mode=subscribe&hub.challenge=1&hub.verify_token=my+token", ""), 403, "", false},
		{"meta, no handshake", "POST /in", routeOpts(meta), request("GET", "/in", ""), 400, "", false},
		{"meta, any method, no handshake", "/in", routeOpts(meta), request("GET", "/in", ""), 200, "OK", true},
		{"meta, an event", "POST /in", routeOpts(meta), post("/in?hub.mode=subscribe&hub.challenge=1158&hub.verify_token=my+token", "{}"), 200, "OK", true},
		{"meta, HEAD", "POST /in", routeOpts(meta), request("HEAD", "/in?hub.mode=subscribe&hub.verify_token=my+token", ""), 400, "", false},
		{"meta, other method", "POST /in", routeOpts(meta), request("PUT", "/in", ""), 405, "", false},
		{"meta, not configured", "POST /in", nil, request("GET", "/in?hub.mode=subscribe&hub.verify_token=my+token", ""), 405, "", false},
		{"meta, unsigned beside Verify", "POST /in", routeOpts(meta, repeater.Verify(repeater.GitHub("secret"))),
			request("GET", "/in?hub.mode=subscribe&hub.challenge=1158&hub.verify_token=my+token", ""), 200, "1158", false},

		{"x", "POST h.example/in", routeOpts(repeater.Handshake("x", xSecret)), strings.Replace(request("GET", "/in?crc_token="+xToken, ""), "in.example", "h.example", 1), 200, xSays, false},
		{"x, no token", "POST\t /in", routeOpts(repeater.Handshake("x", xSecret)), request("GET", "/in?crc_token=", ""), 400, "", false},
		{"x, an event", "POST /in", routeOpts(repeater.Handshake("x", xSecret)), post("/in?crc_token=1", "{}"), 200, "OK", true},

		{"graph", "POST /in", routeOpts(repeater.Handshake("graph")), post("/in?validationToken=Validation%3a+Testing%20%3Cb%3E", "{}"), 200, "Validation: Testing <b>", false},
		{"graph, an event", "POST /in", routeOpts(repeater.Handshake("graph")), post("/in?x=1", "{}"), 200, "OK", true},
		{"graph, other method", "/in", routeOpts(repeater.Handshake("graph")), request("PUT", "/in?validationToken=x", ""), 200, "OK", true},

		{"cloudevents", "POST /in", routeOpts(cloud), request("OPTIONS", "/in", "", "WebHook-Request-Origin: EventGrid.azure.net", "WebHook-Request-Rate: 120"), 200, "", false},
		{"cloudevents, any", "POST /in", routeOpts(repeater.Handshake("cloudevents", "*")), request("OPTIONS", "/in", "", "WebHook-Request-Origin: EventGrid.azure.net"), 200, "", false},
		{"cloudevents, stranger", "POST /in", routeOpts(cloud), request("OPTIONS", "/in", "", "WebHook-Request-Origin: evil.example"), 403, "", false},
		{"cloudevents, no origin", "POST /in", routeOpts(cloud), request("OPTIONS", "/in", ""), 400, "", false},
		{"cloudevents, an event", "POST /in", routeOpts(cloud), post("/in", "{}", "WebHook-Request-Origin: eventgrid.azure.net"), 200, "OK", true},

		{"several", "POST /in", routeOpts(repeater.Handshake("slack"), repeater.Handshake("graph"), meta, repeater.Handshake("x", xSecret), cloud),
			request("GET", "/in?crc_token="+xToken, ""), 200, xSays, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := &pushes{}
			rp := door(t, q, repeater.Route(tt.pattern, anywhere, tt.opts...), repeater.Route("GET /other", anywhere))
			got := sendRaw(t, listen(t, rp), tt.raw)
			if got.status != tt.status {
				t.Fatalf("got %d %q, want %d", got.status, got.body, tt.status)
			}
			if got.status == 200 && got.body != tt.body {
				t.Errorf("got %q, want %q", got.body, tt.body)
			}
			if stored := len(q.batches()) == 1; stored != tt.stored {
				t.Errorf("stored %v, want %v", stored, tt.stored)
			}
			if strings.HasPrefix(tt.name, "cloudevents") && got.status == 200 && !tt.stored {
				for name, want := range map[string]string{
					"WebHook-Allowed-Origin": "EventGrid.azure.net", "WebHook-Allowed-Rate": "*", "Allow": "OPTIONS, POST",
				} {
					if v := got.header.Values(name); !cmp.Equal(v, []string{want}) {
						t.Errorf("%s is %q, want %q", name, v, want)
					}
				}
			} else if got.status == 200 && !tt.stored {
				if ct := got.header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") && ct != "application/json" {
					t.Errorf("Content-Type is %q", ct)
				}
			}
		})
	}
}

func routeOpts(o ...repeater.RouteOption) []repeater.RouteOption { return o }

// TestChallengesAreText: a browser must not take what somebody else chose for a page.
func TestChallengesAreText(t *testing.T) {
	t.Parallel()
	rp := door(t, &pushes{}, repeater.Route("/in", anywhere, repeater.Handshake("graph")))
	w := try(rp, "POST", "/in?validationToken=<script>")
	wantStatus(t, w, 200)
	if h := w.Header(); h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers are %v", h)
	}
}

// TestHandshakesDoNotLogSecrets: tokens stand in the query.
func TestHandshakesDoNotLogSecrets(t *testing.T) {
	t.Parallel()
	logged, log := newLog()
	rp := door(t, &pushes{}, repeater.WithLogger(log), repeater.Route("/canary", anywhere,
		repeater.Handshake("meta", "canary-1"), repeater.Handshake("x", "canary-2"), repeater.Handshake("graph")))
	for target, want := range map[string]int{
		"/canary?hub.mode=subscribe&hub.verify_token=canary-1": 200, "/canary?hub.mode=subscribe&hub.verify_token=canary-3": 403,
		"/canary?crc_token=canary": 200,
	} {
		wantStatus(t, try(rp, "GET", target), want)
	}
	wantStatus(t, try(rp, "POST", "/canary?validationToken=canary"), 200)
	if strings.Count(logged.String(), "handshake answered") != 3 || !strings.Contains(logged.String(), "handshake refused") {
		t.Errorf("the log does not tell:\n%s", logged)
	}
	wantNoSecret(t, logged.String(), "canary")
}
