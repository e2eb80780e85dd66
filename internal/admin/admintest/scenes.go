package admintest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// ID makes an id that looks like those of the Repeater.
func ID(n int) string { return fmt.Sprintf("33lik262%06dtcbagamevpgl", n) }

// Busy is a Repeater on a bad night: twenty lanes, some of them in trouble.
func Busy(now time.Time) *Source {
	s := &Source{Requests: map[string]*admin.Request{"": github(), ID(3) + ".0": binary(), ID(4) + ".0": large()}}
	for i, name := range names {
		s.Routes = append(s.Routes, admin.Route{Name: fmt.Sprintf("route-%d", i+1), Lanes: []string{name}})
		s.Add(well(name, i))
	}
	s.Add(unwell(now))
	s.Add(refusing(now))
	s.Add(behind(now))
	s.Add(paused(now))
	s.Down("https://jira.intranet.example:8443")
	return s
}

var names = []string{
	"http://build-agents.ci.internal:8080", "https://api.stripe-mirror.example:443", "https://billing.example:443",
	"https://billing.example:443 invoices", "http://10.20.0.17:9000", "https://chat.example:443", "https://crm.eu-central-1.customers.example:443",
	"https://data-lake-ingest.analytics.prod.eu-central-1.compute.internal.example.com:8443 events-from-the-old-monolith",
	"https://erp.example:443", "http://[2001:db8::17]:8080", "https://mail.example:443", "https://search.example:443",
	"https://status.example:443", "https://support.example:443", "https://wiki.example:443", "https://zulip.example:443",
}

func well(name string, i int) Lane {
	l := Lane{Lane: admin.Lane{Name: name, State: admin.Well, Why: "It delivers as fast as requests come.",
		Routes: []string{fmt.Sprintf("route-%d", i+1)}, Held: true, Concurrency: 1}}
	if i%3 == 1 {
		l.Why = "Nothing has come for it in the last ten minutes."
		l.Depth, l.AcceptedPerSecond, l.DeliveredPerSecond = make([]int, 60), make([]float64, 60), make([]float64, 60)
		return l
	}
	for t := range 60 {
		r := float64(i*i)/4 + 2*math.Sin(float64(t+i)/5) + 2
		l.AcceptedPerSecond = append(l.AcceptedPerSecond, math.Round(max(0, r)*10)/10)
		l.DeliveredPerSecond = append(l.DeliveredPerSecond, math.Round(max(0, r-.1)*10)/10)
		l.Depth = append(l.Depth, (t*7+i*5)%4)
	}
	l.Waiting = l.Depth[59]
	l.OldestAge = float64(l.Waiting) * .3
	l.Bytes = int64(l.Waiting) * 2100
	return l
}

func curve(from, to float64) (depth []int) {
	for t := range 60 {
		depth = append(depth, int(from+(to-from)*math.Pow(float64(t)/59, 1.4)))
	}
	return depth
}

func flat(v float64, n int) (all []float64) {
	for t := range n {
		all = append(all, math.Round((v+v/4*math.Sin(float64(t)/3))*10)/10)
	}
	return all
}

func unwell(now time.Time) Lane {
	const name = "https://jira.intranet.example:8443"
	next, seen := now.Add(3*time.Minute+20*time.Second), now.Add(-100*time.Second)
	l := Lane{Lane: admin.Lane{
		Name: name, State: admin.Unwell,
		Why:    "The destination refuses connections since 02:41 UTC; after 9 pauses it is probed again in 3 min 20 s, and everything waits for that.",
		Routes: []string{"jira", "jira-automation"}, Waiting: 12480, Bytes: 44 << 20, Failures: 9, Held: true,
		OldestAge: 13352, NextAttempt: &next, LastError: "connection refused", LastErrorAt: &seen,
		Depth: curve(9000, 12480), AcceptedPerSecond: flat(6, 60), DeliveredPerSecond: make([]float64, 60), Concurrency: 1, Pace: 0.05,
	}}
	for i := range 120 {
		m := message(now, name, "jira", i, time.Duration(13352-i*2)*time.Second)
		if i == 0 {
			m.Status, m.Attempts, m.History = admin.Waiting, 28, history(m.Received, 19, 0, "connection refused")
			m.Due, m.Next = &next, "The lane waits for its destination; this message is the first to be tried, in 3 min 20 s."
		}
		if i == 7 {
			m.Status, m.Next = admin.HeldBack, "It is tried after the older message of the same order key."
		}
		if i == 9 {
			m.Status, m.Next = admin.Parked, "No process here knows its route; it becomes a dead letter in 42 min unless one does."
		}
		l.Queue = append(l.Queue, m)
	}
	l.Parked = 1
	for i := range 3 {
		l.Letters = append(l.Letters, letter(now, name, "jira", 900+i, time.Duration(i+1)*7*time.Hour, 0, "timeout: no answer", "given up after 72h0m0s; the last attempt: timeout: no answer"))
	}
	return l
}

func refusing(now time.Time) Lane {
	const name = "https://hooks.partner.example:443"
	next, seen := now.Add(42*time.Second), now.Add(-18*time.Second)
	l := Lane{Lane: admin.Lane{
		Name: name, State: admin.Refusing,
		Why:    "The destination has refused 5 messages in a row, the last with 401; the next is tried in 42 s, as the fault may be its own.",
		Routes: []string{"partner"}, Bytes: 310 << 10, Failures: 2, Refusals: 5, Held: true, OldestAge: 320,
		NextAttempt: &next, LastError: "401 Unauthorized", LastErrorAt: &seen, Strict: true,
		Depth: curve(0, 64), AcceptedPerSecond: flat(.2, 60), DeliveredPerSecond: append(flat(.2, 40), make([]float64, 20)...), Concurrency: 1,
	}}
	for i := range 64 {
		m := message(now, name, "partner", 200+i, time.Duration(320-i*5)*time.Second)
		if i == 0 {
			m.Attempts, m.History, m.Due = 2, history(m.Received, 2, 401, ""), &next
			m.Next = "It is tried again in 42 s; if it is refused once more, the lane goes on waiting."
		}
		l.Queue = append(l.Queue, m)
	}
	for i := range 130 {
		l.Letters = append(l.Letters, letter(now, name, "partner", 1000+i, time.Duration(i)*11*time.Minute+18*time.Second, []int{401, 410, 422}[i%3], "", "refused: the destination does not want it"))
	}
	return l
}

func behind(now time.Time) Lane {
	const name = "https://warehouse.example:443"
	l := Lane{Lane: admin.Lane{
		Name: name, State: admin.Behind, Why: "It delivers 41 a second, but 58 a second come; at four attempts at a time it does not catch up.",
		Routes: []string{"warehouse"}, Bytes: 9 << 20, Held: true, OldestAge: 61.4,
		Depth: curve(40, 2904), AcceptedPerSecond: flat(58, 60), DeliveredPerSecond: flat(41, 60), Concurrency: 4,
	}}
	for i := range 10 {
		m := message(now, name, "warehouse", 500+i, time.Duration(60-i)*time.Second)
		if i < 4 {
			m.Status, m.Next = admin.InHand, "An attempt is under way."
		}
		l.Queue = append(l.Queue, m)
	}
	l.Waiting = 2904
	return l
}

func paused(now time.Time) Lane {
	const name = "http://legacy-soap-bridge.internal:8081"
	l := Lane{Lane: admin.Lane{
		Name: name, State: admin.Paused, Why: "Paused by an operator; nothing is sent until it is resumed.",
		Routes: []string{"soap"}, Bytes: 77 << 10, OldestAge: 5400, Depth: curve(0, 18), AcceptedPerSecond: flat(.1, 60), DeliveredPerSecond: make([]float64, 60), Concurrency: 1,
	}}
	for i := range 18 {
		l.Queue = append(l.Queue, message(now, name, "soap", 700+i, time.Duration(5400-i*300)*time.Second))
	}
	return l
}

func message(now time.Time, lane, route string, n int, age time.Duration) admin.Message {
	expires := now.Add(72*time.Hour - age)
	return admin.Message{ID: ID(n), Route: route, Lane: lane, Status: admin.Waiting, Received: now.Add(-age), Size: 800 + n*37, Ahead: n % 200,
		Expires: &expires, Next: "It is tried when those before it have gone."}
}

func letter(now time.Time, lane, route string, n int, ago time.Duration, status int, failure, reason string) admin.Message {
	died := now.Add(-ago)
	return admin.Message{ID: ID(n), Route: route, Lane: lane, Status: admin.Dead, Received: died.Add(-3 * time.Minute), Size: 900 + n, Ahead: -1,
		Died: &died, Reason: reason, Attempts: 1, History: history(died.Add(-2*time.Second), 1, status, failure), Answer: "{\"error\":\"signature expired\"}\n",
		Next: "Nothing, unless you replay it. It is deleted 30 days after its death."}
}

// history has n attempts, each twice as far from the last one as that from the one before, up to five minutes.
func history(from time.Time, n, status int, failure string) (all []admin.Attempt) {
	at, pause := from, 5*time.Second
	for i := range n {
		took := []float64{.004, .012, .84, 5.002, 15.001}[i%5]
		all = append(all, admin.Attempt{At: at, Took: took, Status: status, Error: failure})
		at = at.Add(pause + time.Duration(took*float64(time.Second)))
		pause = min(2*pause, 5*time.Minute)
		if i == 2 && n > 10 { // those between are not kept
			at = at.Add(45 * time.Minute)
		}
	}
	return all
}

func github() *admin.Request {
	return &admin.Request{Method: "POST", Path: "/hooks/jira?project=OPS&notify=1", Host: "hooks.example.com",
		Header: map[string][]string{
			"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/044aadd"}, "X-Github-Delivery": {"72d3162e-cc78-11e3-81ab-4c9367dc0958"},
			"X-Github-Event": {"issues"}, "X-Hub-Signature-256": {"sha256=7d38cdd689735b008b3c702edd92eea23791c5f6d0bf47f23c4ff6f4d81e0d3b"},
			"Accept": {"*/*"}, "X-Forwarded-For": {"140.82.115.54", "10.8.0.4"},
		},
		Body: []byte(`{"action":"opened","issue":{"number":1347,"title":"Łódź office: the lift is stuck <again>","user":{"login":"octocat","id":1},"labels":[{"name":"bug"},{"name":"urgent"}],"comments":0,"created_at":"2026-11-25T02:39:12Z"},"repository":{"full_name":"example/facilities","private":true}}`)}
}

func binary() *admin.Request {
	var b bytes.Buffer
	for i := range 6000 {
		b.WriteByte(byte(i * i % 251)) // #nosec G115 -- any bytes do
	}
	return &admin.Request{Method: "PUT", Path: "/hooks/jira/attachment", Host: "hooks.example.com",
		Header: map[string][]string{"Content-Type": {"image/png"}}, Body: b.Bytes()}
}

func large() *admin.Request {
	return &admin.Request{Method: "POST", Path: "/hooks/jira", Host: "hooks.example.com", Header: map[string][]string{"Content-Type": {"text/plain"}},
		Body: []byte(strings.Repeat("One more line of a very long report, as some senders make them.\n", 4000))}
}

// Million is one lane with a very long queue.
func Million(now time.Time) *Source {
	s := &Source{Requests: map[string]*admin.Request{"": github()}}
	l := unwell(now)
	l.Waiting, l.Bytes, l.Dead, l.OldestAge = 1_000_000, 3<<30, 1_204_332, 259_100
	l.Depth = curve(940_000, 1_000_000)
	l.AcceptedPerSecond = flat(1250, 60)
	s.Add(l)
	return s
}

// Calm is a Repeater in which nothing is wrong.
func Calm() *Source {
	s := &Source{}
	for i, name := range names[:6] {
		s.Add(well(name, i))
	}
	return s
}
