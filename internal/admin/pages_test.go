package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

// everyPage is each kind of page, with something on it.
var everyPage = []string{
	"/", "/dead", "/dead?status=410", "/dead?status=300", "/dead?lane=" + url.QueryEscape(unwellLane), "/message", "/nowhere",
	lanePath(unwellLane), lanePath(refusingLane), lanePath(pausedLane), lanePath(wellLane), lanePath("no such lane"),
	messagePath(0), messagePath(3), messagePath(4), messagePath(1000), messagePath(99999),
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"overview", "/", 200, []string{
			"3 lanes in trouble", "1 lane paused", "Waiting 15,482", "Oldest 3 h 42 min", "Dead 133",
			"unwell " + unwellLane + " The destination refuses connections since 02:41 UTC", "Retry now 12,480 1 parked",
			"3 h 42 min in 3 min 20 s", "refusing " + refusingLane, "behind", "paused", "well " + wellLane, "Configuration 3f9c21d07b", "Version v1"}},
		{"unwell lane", lanePath(unwellLane), 200, []string{
			unwellLane, "after 9 pauses", "Retry now Does not wait", "Pause Sends nothing until you resume", "Last error connection refused 1 min 40 s ago",
			"Pauses in a row 9", "Routes jira, jira-automation", "at least 50 ms between attempts", "one attempt", "44.0 MiB",
			"held back", "parked", "28 connection refused in 3 min 20 s 800 B", "12,480 now", "0 delivered/s"}},
		{"refusing lane", lanePath(refusingLane), 200, []string{"Drop refused Goes on", "Refused in a row 5", "strict: a message that fails holds up"}},
		{"paused lane", lanePath(pausedLane), 200, []string{"Resume Sends again", "Next attempt –"}},
		{"well lane", lanePath(wellLane), 200, []string{"Pause", "Nothing waits."}},
		{"no such lane", lanePath("http://nobody:80"), 404, []string{"No such lane"}},
		{"message", messagePath(0), 200, []string{
			"Message " + admintest.ID(0), "Accepted 24 Nov 23:17:28 by the route jira", "waiting " + unwellLane, "the first to be tried", "Next attempt in 3 min 20 s",
			"Given up in 2 d 20 h", "28 attempts", "1. connection refused", "9 attempts between, not kept", "13. connection refused", "28. connection refused", "POST /hooks/jira?project=OPS"}},
		{"dead message", messagePath(1000), 200, []string{"dead " + refusingLane, "Why it is dead refused", "401 Unauthorized", "Died 18 s ago", "Replay Drop…", "signature expired"}},
		{"no message", messagePath(99999), 404, []string{"No message has this id", "delivered, or dropped, or was never accepted here"}},
		{"nothing to look for", "/message?id=+", 200, []string{"Paste a Repeater-Id"}},
		{"dead letters", "/dead", 200, []string{"Dead letters", "partner → " + refusingLane, "410 Gone refused", "All lanes", refusingLane + " (130)", "Of all 133 dead letters"}},
		{"dead letters of a lane", "/dead?lane=" + url.QueryEscape(unwellLane), 200, []string{"timeout: no answer given up after 72h", "7 h ago", "Of all that match"}},
		{"no such dead letters", "/dead?status=300", 200, []string{"No dead letter matches", "133 dead letters without the filter"}},
		{"dead letters of no lane", "/dead?lane=x", 200, []string{"No dead letter matches"}},
		{"no page", "/nowhere", 404, []string{"No such page"}},
		{"a bad time", "/dead?from=yesterday", 400, []string{"not understood", "is no time"}},
		{"a bad status", "/dead?status=x", 400, []string{"is no status"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			busy(t).get(tt.path).want(tt.status, tt.want...)
		})
	}
}

func TestTroubleComesFirst(t *testing.T) {
	t.Parallel()
	var states []string
	for row := range busy(t).get("/").elements("tr") {
		if class := attr(row, "class"); class != "" {
			states = append(states, class)
		}
	}
	want := append([]string{"unwell trouble", "refusing trouble", "behind trouble", "paused"}, slices.Repeat([]string{"well"}, 16)...)
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("rows of the overview (-want +got):\n%s", diff)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	open(t, admintest.Calm(), admin.Options{}).get("/").want(200, "All well").wantNot("paused", "icon-trouble")
	open(t, &admintest.Source{}, admin.Options{}).get("/").want(200, "No lanes yet", "No routes yet", "Add one to config.ini")
	src := admintest.Busy(night)
	src.Sick = []string{"the disk is full"}
	open(t, src, admin.Options{}).get("/").want(200, "Not ready", "3 lanes in trouble, 1 lane paused", "the disk is full")
	if page := busy(t).get("/"); !strings.Contains(page.raw, "icon-trouble.svg") {
		t.Error("the tab's picture does not tell of trouble")
	}
}

// TestPagesLoadNothingElse looks at each page for what its policy forbids, and for what
// would ask another host.
func TestPagesLoadNothingElse(t *testing.T) {
	t.Parallel()
	ours := regexp.MustCompile(`^(\./|#|assets/|(lane|message|dead|body|pause|resume|retry|drop|drop-refused|replay)(\?|$))`)
	for _, path := range everyPage {
		page := busy(t).get(path)
		for n := range page.elements() {
			if n.Data == "style" || n.Data == "script" && (attr(n, "src") == "" || n.FirstChild != nil) {
				t.Errorf("%s: inline <%s>", path, n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "srcdoc" {
					t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
				}
				if (a.Key == "src" || a.Key == "href" || a.Key == "action" || a.Key == "formaction") && !ours.MatchString(a.Val) {
					t.Errorf("%s: <%s %s=%q> leads elsewhere", path, n.Data, a.Key, a.Val)
				}
			}
		}
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		} {
			if got := page.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path string
		want int
	}{
		{lanePath(unwellLane), 120}, {"/dead", 133}, {"/dead?status=401", 44}, {"/dead?lane=" + url.QueryEscape(refusingLane), 130},
	} {
		s, seen, pages := busy(t), map[string]bool{}, 0
		for path := tt.path; path != ""; pages++ {
			page := s.get(path).want(200)
			for row := range page.elements("tr") {
				if k := attr(row, "data-key"); k != "" {
					if seen[k] {
						t.Errorf("%s: %s is there twice", tt.path, k)
					}
					seen[k] = true
				}
			}
			if pages > 0 && page.link("First page") == "" {
				t.Errorf("%s: no way back to the first page", path)
			}
			path = strings.TrimSuffix(page.link("Next page"), "#waiting")
			if pages > 5 {
				t.Fatalf("%s: it never ends", tt.path)
			}
		}
		if len(seen) != tt.want || pages != (tt.want+49)/50 {
			t.Errorf("%s: %d on %d pages, want %d", tt.path, len(seen), pages, tt.want)
		}
	}
}

func TestPayloadsAreHidden(t *testing.T) {
	t.Parallel()
	s := open(t, admintest.Busy(night), admin.Options{})
	for _, n := range []int{0, 3, 1000} {
		s.get(messagePath(n)).want(200, "set show_payloads = yes").
			wantNot("octocat", "X-Hub-Signature-256", "/hooks/jira", "signature expired", "body?", "hooks.example.com")
	}
	download := "/body?" + url.Values{"lane": {unwellLane}, "id": {admintest.ID(0)}, "dest": {"0"}}.Encode()
	s.get(download).want(403, "Payloads are hidden").wantNot("octocat")
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	s := busy(t)
	page := s.get(messagePath(0)).want(200, "X-Hub-Signature-256 sha256=7d38", "X-Forwarded-For 140.82.115.54 X-Forwarded-For 10.8.0.4", "JSON laid out anew", "Host hooks.example.com")
	if want := "\n  &#34;issue&#34;: {\n    &#34;number&#34;: 1347,"; !strings.Contains(page.raw, want) {
		t.Errorf("the JSON is not laid out:\n%s", page.text())
	}
	s.get(messagePath(3)).want(200, "not text Only the first", "00000000 00 01 04 09 10 19 24 31", "Only the first 4.0 KiB are shown").wantNot("00001000")
	large := s.get(messagePath(4)).want(200, "250.0 KiB", "Only the first 64.0 KiB are shown")
	if len(large.raw) > 100<<10 {
		t.Errorf("the page has %d bytes", len(large.raw))
	}
	body := s.get(large.link("Download the body as it came"))
	if body.status != 200 || !strings.HasPrefix(body.raw, "One more line") || len(body.raw) != 256000 {
		t.Errorf("downloaded %d: %d bytes", body.status, len(body.raw))
	}
	for name, want := range map[string]string{"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
		"Content-Disposition": `attachment; filename="message-` + admintest.ID(4) + `.body"`, "Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "no-store"} {
		if got := body.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for query, status := range map[string]int{"dest=x": 400, "dest=0&lane=" + url.QueryEscape(unwellLane) + "&id=gone": 404} {
		if got := s.get("/body?" + query); got.status != status {
			t.Errorf("%s: got %d, want %d", query, got.status, status)
		}
	}
}

func TestUnreadablePayload(t *testing.T) {
	t.Parallel()
	src := admintest.Busy(night)
	src.Requests = nil
	open(t, src, admin.Options{ShowPayloads: true}).get(messagePath(0)).want(200, "28 attempts", "It cannot be read. What is stored of this message is damaged").wantNot("checksum")
}

// TestHostileTexts: whoever sends webhooks, or answers them, must not write our pages.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	const evil = `"></pre></textarea><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}'&amp;javascript:alert(1)`
	past := night.Add(-time.Minute)
	m := admin.Message{ID: evil, Route: evil, Lane: evil, Status: admin.Waiting, Received: past, Attempts: 1, Next: evil,
		History: []admin.Attempt{{At: past, Error: evil}}, Answer: evil}
	dead := m
	dead.Status, dead.Died, dead.Reason = admin.Dead, &past, evil
	dead.Dest = 1
	src := &admintest.Source{Prefix: evil, Sick: []string{evil}, Routes: []admin.Route{{Name: evil}},
		Requests: map[string]*admin.Request{"": {Method: evil, Path: evil, Host: evil, Header: map[string][]string{evil: {evil}}, Body: []byte(evil)}}}
	src.Add(admintest.Lane{Lane: admin.Lane{Name: evil, State: admin.State(evil), Why: evil, Routes: []string{evil}, LastError: evil, Waiting: 1, Dead: 1},
		Queue: []admin.Message{m}, Letters: []admin.Message{dead}})
	s := open(t, src, admin.Options{ShowPayloads: true, Version: evil})
	q := url.QueryEscape(evil)
	for _, path := range []string{"/", "/lane?name=" + q, "/message?id=" + q, "/dead", "/dead?lane=" + q, "/message?id=x" + q, "/dead?from=" + q, "/?done=" + q, "/?done=replayed&n=" + q} {
		page := s.get(path)
		if page.status == 500 {
			t.Fatalf("%s: %s", path, page.raw)
		}
		for n := range page.elements("script", "img", "textarea") {
			if n.Data != "script" || !strings.HasPrefix(attr(n, "src"), "./assets/app.js") {
				t.Errorf("%s: <%s> came in", path, n.Data)
			}
		}
		for n := range page.elements() {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "href" && strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
					t.Errorf("%s: <%s %s=%q> came in", path, n.Data, a.Key, a.Val)
				}
			}
		}
	}
	// As a text it is all there, and the forms still work.
	s.get("/lane?name="+q).want(200, evil)
	s.get("/message?id="+q).want(200, evil)
	s.submit(s.get("/lane?name="+q), "Pause", nil)
	if diff := cmp.Diff([]string{"pause " + evil}, s.src.Orders()); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	body := s.get("/body?dest=0&lane=" + q + "&id=" + q)
	if cd := body.header.Get("Content-Disposition"); body.status != 200 || !regexp.MustCompile(`^attachment; filename="[A-Za-z0-9._-]+"$`).MatchString(cd) {
		t.Errorf("got %d, Content-Disposition is %q", body.status, cd)
	}
}

func TestNoticesAreOurs(t *testing.T) {
	t.Parallel()
	s := busy(t)
	s.get("/?done=replayed&n=12345").want(200, "12,345 dead letters back")
	for _, q := range []string{"done=Your+session+has+expired", "done=replayed&n=-5", "done=replayed", "done=dropped&n=x"} {
		for n := range s.get("/?" + q).elements("div") {
			if attr(n, "id") == "notice" && textOf(n) != "" {
				t.Errorf("%s says %q", q, textOf(n))
			}
		}
	}
}

func TestStoreFails(t *testing.T) {
	t.Parallel()
	src := admintest.Busy(night)
	src.Fail = errors.New("dial tcp 127.0.0.1:6379: connection refused")
	s := open(t, src, admin.Options{})
	for _, path := range []string{"/", lanePath(unwellLane), messagePath(0), "/dead"} {
		s.get(path).want(503, "The store does not answer", "The log tells why").wantNot("6379")
	}
	s.post("/retry", url.Values{"name": {unwellLane}}).want(503, "The store does not answer")
	s.post("/replay", url.Values{"key": {key(1000)}}).want(503, "The store does not answer")
}

func TestBadCursor(t *testing.T) {
	t.Parallel()
	busy(t).get(lanePath(unwellLane)+"&cursor=x").want(400, "Begin at its first page.")
	busy(t).get("/dead?in="+url.QueryEscape(refusingLane)+"&cursor=x").want(400, "Begin at its first page.")
}

// TestHalfDone tells what was done before the store failed.
func TestHalfDone(t *testing.T) {
	t.Parallel()
	src := admintest.Busy(night)
	src.FailAfter = 2
	s := open(t, src, admin.Options{})
	s.post("/replay", url.Values{"key": {key(1000), key(1001), key(1002)}}).want(503, "2 dead letters replayed before that; the others are as they were.")
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{"": false, "secret": true} {
		page := open(t, admintest.Calm(), admin.Options{Token: token}).get("/")
		found := false
		for form := range page.elements("form") {
			found = found || attr(form, "method") == "post" && page.resolve(attr(form, "action")) == "/logout"
		}
		if found != want {
			t.Errorf("with the token %q, signing out is offered: %v", token, found)
		}
		page.wantNot("secret")
	}
}

// TestBehindAPrefix: a proxy may take a prefix away, of which nobody here knows.
func TestBehindAPrefix(t *testing.T) {
	t.Parallel()
	s := busy(t)
	s.h = http.StripPrefix("/ops/repeater", s.h)
	for _, path := range append(everyPage, "/no/such/page") {
		page := s.get("/ops/repeater" + path)
		for n := range page.elements("a", "link", "script", "form", "button") {
			for _, name := range []string{"href", "src", "action", "formaction"} {
				if address := attr(n, name); address != "" && !strings.HasPrefix(page.resolve(address), "/ops/repeater/") {
					t.Errorf("%s: %s=%q leads out", path, name, address)
				}
			}
		}
	}
	page := s.follow(s.submit(s.get("/ops/repeater"+lanePath(unwellLane)), "Pause", nil))
	page.want(200, "Paused. Nothing is sent")
	s.follow(s.submit(page, "Resume", nil)).want(200, "Resumed.")
	s.follow(s.submit(s.get("/ops/repeater/"), "Resume", nil)).want(200, "Resumed.")
}

func TestStoreCannotTell(t *testing.T) {
	t.Parallel()
	src := admintest.Busy(night)
	src.Cannot = admin.ErrUnsupported
	s := open(t, src, admin.Options{})
	s.get(lanePath(unwellLane)).want(200, "This store cannot tell what waits.", "12,480")
	s.get(messagePath(0)).want(501, "This store cannot tell")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := busy(t)
	for _, pasted := range []string{admintest.ID(0), "  " + admintest.ID(0) + "\n", "Repeater-Id: " + admintest.ID(0), "repeater-id:" + admintest.ID(0), `"` + admintest.ID(0) + `"`, key(0)} {
		s.get("/message?"+url.Values{"id": {pasted}}.Encode()).want(200, "Message "+admintest.ID(0))
	}
}

// TestFanOut tells of all destinations on one page.
func TestFanOut(t *testing.T) {
	t.Parallel()
	src := &admintest.Source{}
	for i, status := range []admin.Status{admin.Waiting, admin.InHand, admin.Dead} {
		lane := fmt.Sprintf("http://d%d:80", i)
		m := admin.Message{ID: "fan", Dest: i, Lane: lane, Route: "r", Status: status, Received: night}
		l := admintest.Lane{Lane: admin.Lane{Name: lane, State: admin.Well}, Queue: []admin.Message{m}}
		if status == admin.Dead {
			l.Queue, l.Letters = nil, []admin.Message{m}
		}
		src.Add(l)
	}
	open(t, src, admin.Options{}).get("/message?id=fan").want(200, "3 destinations have not taken it", "waiting http://d0:80", "in hand http://d1:80", "dead http://d2:80", "An attempt is under way")
}

func TestTimesAreExact(t *testing.T) {
	t.Parallel()
	page := busy(t).get(messagePath(0))
	for n := range page.elements("time") {
		if _, err := time.Parse(time.RFC3339, attr(n, "datetime")); err != nil || attr(n, "title") == "" {
			t.Errorf("<time datetime=%q title=%q>%s: %v", attr(n, "datetime"), attr(n, "title"), textOf(n), err)
		}
	}
	if want := `<time datetime="2026-11-25T03:03:20.000Z" title="Wed 25 Nov 2026, 03:03:20.000 UTC">in 3 min 20 s</time>`; !strings.Contains(page.raw, want) {
		t.Errorf("no %s", want)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := busy(t)
	page := s.get("/")
	count := 0
	for n := range page.elements("link", "script") {
		address := page.resolve(attr(n, "href") + attr(n, "src"))
		a := s.get(address)
		count++
		if a.status != 200 || a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", address, a.status, a.header)
		}
	}
	if count != 3 {
		t.Errorf("%d files, want a picture, a style and a script", count)
	}
	for _, path := range []string{"/assets/", "/assets/nothing.css", "/assets/../pages.go"} {
		if a := s.get(path); a.status == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Microsecond: "<1 ms", 850 * time.Millisecond: "850 ms", 1300 * time.Millisecond: "1.3 s", 9990 * time.Millisecond: "9.9 s",
		12 * time.Second: "12 s", 200 * time.Second: "3 min 20 s", 2 * time.Hour: "2 h", 52 * time.Hour: "2 d 4 h",
	} {
		if got := admin.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 12345: "12,345", 1000000: "1,000,000", -1234: "-1,234"} {
		if got := admin.Number(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64][2]string{
		1023: {"1,023 B", "1,023 bytes"}, 4404019: {"4.2 MiB", "4,404,019 bytes"}, 1<<20 - 1: {"1.0 MiB", "1,048,575 bytes"}, 5 << 40: {"5.0 TiB", "5,497,558,138,880 bytes"},
	} {
		if got := admin.Size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", .01: "<0.1", 7.25: "7.2", 1234.6: "1,235"} {
		if got := admin.Rate(v); got != want {
			t.Errorf("%v/s is %q, want %q", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "now", 0: "now", time.Millisecond: "in 1 s", 4200 * time.Millisecond: "in 4 s"} {
		if got := admin.Until(night, night.Add(d)); got != want {
			t.Errorf("in %v is %q, want %q", d, got, want)
		}
		if got := admin.Ago(night, night.Add(-d)); got != strings.NewReplacer("in 1 s", "just now", "in 4 s", "4 s ago", "now", "just now").Replace(want) {
			t.Errorf("%v ago is %q", d, got)
		}
	}
	for v, want := range map[float64]float64{0: 1, .7: .8, 1: 1, 12480: 15000, 81: 100, 1e6: 1e6} {
		if got := admin.Ceiling(v); got < want*.999 || got > want*1.001 {
			t.Errorf("the scale for %v ends at %v, want %v", v, got, want)
		}
	}
}
