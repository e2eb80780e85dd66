package browsertest_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/webhook-repeater/repeater/internal/admin"
	"github.com/webhook-repeater/repeater/internal/admin/admintest"
)

// world is a Repeater with one lane in trouble, as the walk finds it.
type world struct {
	url    string
	lane   string // whose destination is down
	stuck  string // id of the message that waits longest there
	reason string // how its last attempt ended
	dead   string // id of a dead letter of another lane, which is well
	repair func() // brings the destination back
}

// night is a world without a Repeater.
func night(t testing.TB) world {
	t.Helper()
	now := time.Now()
	src := admintest.Calm()
	const down, up = "https://jira.intranet.example:8443", "https://hooks.partner.example:443"
	received, died, next := now.Add(-4*time.Hour), now.Add(-time.Hour), now.Add(3*time.Minute)
	failed := []admin.Attempt{{At: received, Took: .004, Error: "connection refused"}}
	src.Add(admintest.Lane{
		Lane: admin.Lane{Name: down, State: admin.Unwell, Why: "The destination refuses connections; it is probed again in 3 min.", OldestAge: 14400, NextAttempt: &next, Failures: 4, Concurrency: 1},
		Queue: []admin.Message{
			{ID: admintest.ID(1), Lane: down, Route: "jira", Status: admin.Waiting, Received: received, Due: &next, Attempts: 1, History: failed, Next: "It is the first to be tried."},
			{ID: admintest.ID(2), Lane: down, Route: "jira", Status: admin.Waiting, Received: received, Ahead: 1, Next: "It is tried when those before it have gone."},
		}})
	src.Add(admintest.Lane{
		Lane: admin.Lane{Name: up, State: admin.Well, Why: "It delivers as fast as requests come.", Concurrency: 1},
		Letters: []admin.Message{{ID: admintest.ID(3), Lane: up, Route: "partner", Status: admin.Dead, Received: received, Died: &died, Reason: "refused",
			Attempts: 1, History: []admin.Attempt{{At: received, Took: .2, Status: 401}}, Next: "Nothing, unless you replay it."}}})
	src.Down(down)
	return world{serve(t, src, admin.Options{}), down, admintest.ID(1), "connection refused", admintest.ID(3), func() { src.Up(down) }}
}

// TestWalk goes the way of an operator who is woken: what is stuck, why, since when, what comes next, and how to set it right.
func TestWalk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		script bool
	}{{"with its script", true}, {"without any script", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !tt.script}); err != nil {
				t.Fatal(err)
			}
			walk(b, night(t), tt.script)
			b.wantPeace("404 (Not Found)") // for what has been delivered
		})
	}
}

func walk(b *browser, w world, script bool) {
	b.visit(w.url)
	b.reads("1 lane in trouble")
	row := fmt.Sprintf(`tr[data-key=%q]`, w.lane)
	b.await(fmt.Sprintf(`document.querySelector('%s').innerText.includes("unwell")`, row))
	if got := eval[[]int](b, fmt.Sprintf(`getComputedStyle(document.querySelector('%s .state')).backgroundColor.match(/\d+/g).map(Number)`, row)); len(got) < 3 || got[0] < 150 || got[1] > 90 || got[2] > 90 {
		b.t.Errorf("the lane in trouble is not red: %v", got)
	}

	// What is stuck, why, and since when.
	b.leads(row + " a.name")
	b.reads("What you can do")
	b.reads("Retry now")
	b.leads(fmt.Sprintf(`a.id[href*=%q]`, w.stuck))
	b.reads("Message " + w.stuck)
	b.reads(w.reason)
	b.reads("Next attempt")

	// The same from an id in somebody's log.
	b.visit(w.url)
	b.do(chromedp.SendKeys(chromedp.CSS("#search"), "Repeater-Id: "+w.stuck))
	b.leads(".search button")
	b.reads("Message " + w.stuck)

	// Set right.
	b.leads(".story h2 a")
	w.repair()
	b.leads("form[action='retry'] button")
	b.reads("Told to try at once.")
	b.untilItReads("Nothing waits.", script)
	b.visit(w.url)
	b.untilItReads("All well", script)

	// And what was given up.
	b.leads(".totals a[href='dead']")
	b.click(fmt.Sprintf(`input[name=key][value^=%q]`, w.dead))
	if script {
		b.reads("1 selected:")
	}
	b.leads(".letters button.main")
	b.reads("1 dead letter back at the end of the queue.")
	b.untilItReads("No dead letters", script)
	b.visit(w.url + "/message?" + url.Values{"id": {w.dead}}.Encode())
	b.untilItReads("No message has this id", script)
}

// untilItReads waits for what a page says by and by: by itself, or when it is loaded again.
func (b *browser) untilItReads(words string, script bool) {
	b.t.Helper()
	if script {
		b.reads(words)
		return
	}
	deadline := time.Now().Add(patience)
	for !eval[bool](b, fmt.Sprintf(`document.body.innerText.includes(%q)`, words)) {
		if time.Now().After(deadline) {
			b.t.Fatalf("it never reads %q:\n%s", words, b.text())
		}
		b.do(chromedp.Reload())
	}
}
