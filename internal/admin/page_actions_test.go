package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

// TestFormsPost finds every form: what changes something is a POST to an address that knows no other method.
func TestFormsPost(t *testing.T) {
	t.Parallel()
	s := busy(t)
	seen := map[string]bool{}
	for _, path := range everyPage {
		page := s.get(path)
		for form := range page.elements("form") {
			action := page.resolve(attr(form, "action"))
			if attr(form, "method") == "get" {
				if action != "/message" && action != "/dead" {
					t.Errorf("%s: a form gets %s", path, action)
				}
				continue
			}
			seen[action] = true
			for b := range elements(form, "button") {
				if other := attr(b, "formaction"); other != "" {
					seen[page.resolve(other)] = true
				}
			}
		}
	}
	want := []string{"/drop", "/drop-refused", "/pause", "/replay", "/resume", "/retry"}
	got := []string{}
	for action := range seen {
		got = append(got, action)
		if a := s.get(action); a.status != http.StatusMethodNotAllowed && a.status != http.StatusNotFound {
			t.Errorf("GET %s is answered with %d", action, a.status)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if orders := s.src.Orders(); len(orders) > 0 {
		t.Errorf("looking has ordered %q", orders)
	}
}

func TestSteering(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, button, order, notice, after string }{
		{lanePath(unwellLane), "Pause", "pause " + unwellLane, "Paused. Nothing is sent", "/lane"},
		{lanePath(pausedLane), "Resume", "resume " + pausedLane, "Resumed. Sending goes on.", "/lane"},
		{lanePath(unwellLane), "Retry now", "retry " + unwellLane, "Told to try at once.", "/lane"},
		{"/", "Retry now", "retry " + unwellLane, "Told to try at once.", "/?"},
		{"/", "Resume", "resume " + pausedLane, "Resumed.", "/?"},
	} {
		t.Run(tt.button+" on "+tt.path, func(t *testing.T) {
			t.Parallel()
			s := busy(t)
			done := s.submit(s.get(tt.path), tt.button, nil)
			if diff := cmp.Diff([]string{tt.order}, s.src.Orders()); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
			if to := done.resolve(done.header.Get("Location")); !strings.HasPrefix(to, tt.after) {
				t.Errorf("leads to %s", to)
			}
			s.follow(done).want(200, tt.notice)
		})
	}
	s := busy(t)
	s.post("/pause", url.Values{"name": {"http://misspelt:80"}}).want(404, "No such lane")
	if orders := s.src.Orders(); len(orders) > 0 {
		t.Errorf("a lane that is not there was ordered to %q", orders)
	}
}

func TestDropRefusedAsksFirst(t *testing.T) {
	t.Parallel()
	s := busy(t)
	ask := s.submit(s.get(lanePath(refusingLane)), "Drop refused", nil)
	ask.want(200, "Drop what is refused?", "64 messages waiting", "5 in a row")
	if orders := s.src.Orders(); len(orders) > 0 {
		t.Fatalf("done without asking: %q", orders)
	}
	if back := ask.link("Cancel"); back != lanePath(refusingLane) {
		t.Errorf("Cancel leads to %s", back)
	}
	s.follow(s.submit(ask, "Drop refused", nil)).want(200, "Told to go on.")
	if diff := cmp.Diff([]string{"drop refused " + refusingLane}, s.src.Orders()); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

func TestReplayAndDropSelected(t *testing.T) {
	t.Parallel()
	s := busy(t)
	keys := url.Values{"key": {key(1001), key(901)}} // of two lanes
	done := s.submit(s.get("/dead"), "Replay selected", keys)
	s.follow(done).want(200, "2 dead letters back at the end of the queue.", "Of all 131 dead letters")
	page := s.get("/dead?status=422")
	ask := s.submit(page, "Drop selected…", url.Values{"key": {key(1002)}})
	ask.want(200, "Drop 1 dead letter?", "cannot be undone")
	if back := ask.link("Cancel"); back != "/dead?status=422" {
		t.Errorf("Cancel leads to %s", back)
	}
	s.follow(s.submit(ask, "Drop 1 dead letter", nil)).want(200, "1 dead letter deleted for good.", "422 Unprocessable Entity")
	want := []string{fmt.Sprintf("replay  [%s %s] 0", key(1001), key(901)), fmt.Sprintf("drop  [%s] 0", key(1002))}
	if diff := cmp.Diff(want, s.src.Orders()); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

// TestNothingSelected: a form without keys must never mean all.
func TestNothingSelected(t *testing.T) {
	t.Parallel()
	s := busy(t)
	for _, button := range []string{"Replay selected", "Drop selected…"} {
		s.follow(s.submit(s.get("/dead"), button, nil)).want(200, "Nothing was selected")
	}
	for _, path := range []string{"/replay", "/drop"} {
		s.follow(s.post(path, url.Values{"sure": {"yes"}})).want(200, "Nothing was selected")
	}
	if orders := s.src.Orders(); len(orders) > 0 {
		t.Errorf("orders %q", orders)
	}
}

func TestAllThatMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, button, question, say, done string
		left                              int
	}{
		{"/dead", "Replay all…", "Replay 133 dead letters?", "In all lanes.", "133 dead letters back", 0},
		{"/dead?status=410", "Replay all…", "Replay 43 dead letters?", "In all lanes.", "43 dead letters back", 90},
		{"/dead?status=none&lane=" + url.QueryEscape(unwellLane), "Drop all…", "Drop 3 dead letters?", "In the lane " + unwellLane, "3 dead letters deleted", 130},
		{"/dead?from=2026-11-25T02:00", "Drop all…", "Drop 6 dead letters?", "In all lanes.", "6 dead letters deleted", 127},
		{"/dead?to=2026-11-24T22:00", "Drop all…", "Drop 105 dead letters?", "In all lanes.", "105 dead letters deleted", 28},
	} {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			s := busy(t)
			ask := s.submit(s.get(tt.path), tt.button, nil)
			ask.want(200, tt.question, tt.say, "What dies from now on is not meant.")
			if orders := s.src.Orders(); len(orders) > 0 {
				t.Fatalf("done without asking: %q", orders)
			}
			died := night.Add(time.Second) // while the operator reads
			s.src.Add(admintest.Lane{Lane: admin.Lane{Name: "late"}, Letters: []admin.Message{{ID: "late", Lane: "late", Status: admin.Dead, Died: &died,
				History: []admin.Attempt{{Status: 410}}}}})
			page := s.follow(s.submit(ask, strings.TrimSuffix(tt.question, "?"), nil))
			page.want(200, tt.done)
			if want, got := fmt.Sprintf("Dead letters (%d left)", tt.left+1), fmt.Sprintf("Dead letters (%d left)", deadIn(t, s.src)); want != got {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func deadIn(t *testing.T, src *admintest.Source) (n int) {
	lanes, err := src.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lanes {
		n += l.Dead
	}
	return n
}

func TestMessageActions(t *testing.T) {
	t.Parallel()
	s := busy(t)
	s.src.Down(refusingLane) // so that it waits
	s.follow(s.submit(s.get(messagePath(1000)), "Replay", nil)).want(200, "1 dead letter back", "waiting "+refusingLane, "0 attempts")
	ask := s.submit(s.get(messagePath(1003)), "Drop…", nil)
	if back := ask.link("Cancel"); back != messagePath(1003) {
		t.Errorf("Cancel leads to %s", back)
	}
	s.follow(s.submit(ask, "Drop 1 dead letter", nil)).want(200, "1 dead letter deleted for good.")
	s.get(messagePath(1003)).want(404, "No message has this id")
}
