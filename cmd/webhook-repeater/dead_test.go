package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
)

// TestDeadLetters are listed, explained, replayed and dropped.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	says(t, "dead", r.prints("dead"), "There are no such dead letters.")
	ids := r.dies(3)
	says(t, "dead", r.prints("dead"), `
KEY  DIED  ROUTE  LANE  SIZE  ATTEMPTS  REASON
ID.0  AGO  jira  http://HOST:PORT  SIZE  1  the destination answered 410 Gone
ID.0  AGO  jira  http://HOST:PORT  SIZE  1  the destination answered 410 Gone
ID.0  AGO  jira  http://HOST:PORT  SIZE  1  the destination answered 410 Gone`)
	res := r.does("dead", "--limit", "2")
	if strings.Count(res.stdout, "\n") != 3 || !strings.Contains(res.stderr, "the first 2; there are more") {
		t.Errorf("two of three: %+v", res)
	}
	says(t, "explain", r.prints("explain", ids[0]), `
ID.0  dead
  Route jira, to http://HOST:PORT, SIZE.

  TIME  accepted  AGO
  TIME  attempt 1  410 after TOOK
  TIME  gave up  the destination answered 410 Gone

  It is dead since TIME because: the destination answered 410 Gone. Replay or drop it by its key, ID.0; on DATE it is deleted.

  Try it again: webhook-repeater replay ID.0
  Delete it for good: webhook-repeater drop ID.0`)

	r.answer.Store(http.StatusOK)
	says(t, "dry run", r.prints("replay", "--lane", "jira", "--dry-run"), "3 dead letters would be replayed.")
	says(t, "none", r.prints("replay", "--status", "404"), "There are no such dead letters.")
	says(t, "one by key", r.prints("replay", ids[0]+".0"), "1 dead letter replayed.")
	says(t, "one by id", r.prints("drop", ids[1], "--yes"), "1 dead letter dropped.")
	r.awaits("with one dead letter", func(l laneState) bool { return l.Dead == 1 && l.Waiting == 0 })
	if res := r.does("replay", ids[1]); res.code != 1 || !strings.HasPrefix(res.stderr, `webhook-repeater: there is no dead letter "`+ids[1]+`"`) {
		t.Errorf("what was dropped: %+v", res)
	}
	if res := r.does("drop", "--all"); res.code != 2 {
		t.Errorf("without --yes: %+v", res)
	}
	var done struct {
		Done int
		More *bool
		To   time.Time
	}
	if r.reads(&done, "replay", "--all"); done.Done != 1 || done.More == nil || *done.More || done.To.IsZero() {
		t.Errorf("replay --all: %+v", done)
	}
	r.awaits("empty", func(l laneState) bool { return l.Dead == 0 && l.Waiting == 0 })
}

// TestMissingDeadLetters are named, and the others done.
func TestMissingDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	ids := r.dies(3)
	r.prints("pause", "jira") // what is replayed waits, and is no dead letter
	const one, two = `webhook-repeater: there is no dead letter "%s"; webhook-repeater dead lists them` + "\n",
		`webhook-repeater: there are no dead letters "%s", "%s"; webhook-repeater dead lists them` + "\n"
	for _, tt := range []struct {
		args           string
		stdout, stderr string
	}{
		{"replay nope.0", "", fmt.Sprintf(one, "nope.0")},
		{"drop nope.0 --yes", "", fmt.Sprintf(one, "nope.0")},
		{"replay nope.0 neither --json", "", fmt.Sprintf(two, "neither", "nope.0")},
		{"replay nope.0 " + ids[0] + ".0 --dry-run", "1 dead letter would be replayed.\n", fmt.Sprintf(one, "nope.0")},
		{"replay " + ids[0] + ".0 nope.0", "1 dead letter replayed.\n", fmt.Sprintf(one, "nope.0")},
		{"replay " + ids[0] + ".0", "", fmt.Sprintf(one, ids[0]+".0")},
		{"drop " + ids[1] + ".1 neither " + ids[1] + " " + ids[2] + ".00 --yes", "2 dead letters dropped.\n", fmt.Sprintf(two, "neither", ids[1]+".1")},
	} {
		if res := r.does(strings.Fields(tt.args)...); res.code != 1 || res.stdout != tt.stdout || res.stderr != tt.stderr {
			t.Errorf("%s: %+v, want %q and %q", tt.args, res, tt.stdout, tt.stderr)
		}
	}
	r.awaits("without dead letters", func(l laneState) bool { return l.Dead == 0 && l.Waiting == 1 })
}

// TestManyDeadLetters takes more than one step.
func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	const n = 1100
	r := newRig(t, "")
	r.answer.Store(http.StatusGone)
	r.prints("drop-refused", r.lane)
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			for range n / 20 {
				resp, err := http.Post(r.url+"/hunter2%20jira", "text/plain", strings.NewReader("x"))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	senders.Wait()
	r.awaits("of dead letters", func(l laneState) bool { return l.Dead == n })
	var list struct {
		Messages []struct{ ID string }
		More     bool
	}
	if r.reads(&list, "dead", "--limit", "0"); len(list.Messages) != n || list.More {
		t.Errorf("%d of %d are listed", len(list.Messages), n)
	}
	if r.reads(&list, "dead", "--limit", "1001"); len(list.Messages) != 1001 || !list.More {
		t.Errorf("%d are listed, want 1001", len(list.Messages))
	}
	r.prints("pause", "jira")
	says(t, "replay", r.prints("replay", "--all"), "1,100 dead letters replayed.")
	if r.reads(&list, "messages", "jira", "--limit", "0"); len(list.Messages) != n || list.More {
		t.Errorf("%d of %d are listed", len(list.Messages), n)
	}
	r.prints("drop-refused", "jira")
	r.prints("resume", "jira")
	r.awaits("of dead letters", func(l laneState) bool { return l.Dead == n })
	says(t, "drop", r.prints("drop", "--lane", "jira", "--yes"), "1,100 dead letters dropped.")
	r.awaits("empty", func(l laneState) bool { return l.Dead == 0 && l.Waiting == 0 })
}

// stepper is an API that has no end of dead letters.
type stepper struct {
	steps atomic.Int32
	waits int32         // so many steps wait for the test
	asked chan struct{} // which takes from it when one begins
	goes  chan struct{} // and from this, if there is one, to let it end
	fails int32         // this step fails
	dead  int           // so many are listed
}

func (s *stepper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/api/v1/lanes":
		_, _ = fmt.Fprintf(w, `{"lanes":[{"name":"http://a:80","dead":%d}]}`, s.dead)
		return
	case "/api/v1/dead":
		_, _ = fmt.Fprintf(w, `{"messages":[{}%s],"next":""}`, strings.Repeat(",{}", s.dead-1))
		return
	}
	if s.steps.Load()+1 == s.fails {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"the store does not answer; the log tells why"}`))
		return
	}
	var f struct {
		Max int
		To  string
	}
	_ = json.NewDecoder(r.Body).Decode(&f)
	if s.steps.Load() > 0 && f.To != stepperTo {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"what died meanwhile is not meant"}`))
		return
	}
	if s.steps.Add(1) <= s.waits {
		s.asked <- struct{}{}
		if s.goes != nil {
			<-s.goes
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"done": f.Max, "more": true, "to": stepperTo})
}

// begins waits for a step.
func (s *stepper) begins(t *testing.T) {
	t.Helper()
	select {
	case <-s.asked:
	case <-time.After(patience):
		t.Fatalf("no step has begun within %v", patience)
	}
}

// stepperTo is what later steps are to repeat.
const stepperTo = "2026-01-02T03:04:05Z"

// TestInterrupt ends between two steps, and tells how many were done.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := &stepper{waits: 2, asked: make(chan struct{}, 2)}
	server := httptest.NewServer(s)
	defer server.Close()
	p := program{Process: proctest.Start(t, t.TempDir(), proctest.Program(t, "webhook-repeater"), "replay", "--all", "--json", "--server", server.URL)}
	s.begins(t)
	s.begins(t)
	p.Signal(t, os.Interrupt)
	stdout, stderr := p.ends(t, 1)
	var done struct {
		Done int
		More bool
	}
	if err := json.Unmarshal([]byte(stdout), &done); err != nil || done.Done != 1000*int(s.steps.Load()) || done.Done < 2000 || !done.More {
		t.Errorf("after %d steps, %v: %s", s.steps.Load(), err, stdout)
	}
	if want := "webhook-repeater: interrupted; the same command goes on with the rest\n"; stderr != want {
		t.Errorf("it says %q", stderr)
	}
}

// TestStepFails tells how many were done before.
func TestStepFails(t *testing.T) {
	t.Parallel()
	s := &stepper{fails: 3}
	server := httptest.NewServer(s)
	defer server.Close()
	res := command(t, t.TempDir(), nil, "drop", "--all", "--yes", "--server", server.URL)
	want := "webhook-repeater: 2,000 dead letters were dropped, then: the store does not answer; the log tells why\n"
	if res.code != 1 || res.stderr != want {
		t.Errorf("got %+v, want %q", res, want)
	}
}
