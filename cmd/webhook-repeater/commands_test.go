package main_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// says compares a text, less what differs from run to run.
func says(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(settled(got)), "\n")); diff != "" {
		t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

// TestCommandsThroughAnOutage is what an operator sees and does while a destination is down, and after.
func TestCommandsThroughAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	says(t, "status", r.prints("status"), `
✓ http://HOST:PORT stores and delivers.
  1 route, 1 lane, version V, configuration C
  0 messages wait (SIZE), 0 dead letters
  All lanes are well.`)

	id := r.fails()
	says(t, "status", r.prints("status"), `
✓ http://HOST:PORT stores and delivers.
  1 route, 1 lane, version V, configuration C
  1 message waits (SIZE), 0 dead letters

http://HOST:PORT  unwell, 1 waits for up to SPAN
  The destination fails, once in a row (last: the destination answered 503 Service Unavailable). The next probe goes out in SPAN.
  Try again now: webhook-repeater retry http://HOST:PORT`)
	says(t, "lanes", r.prints("lanes"), `
LANE  STATE  WAITING  SIZE  OLDEST  IN/S  OUT/S  DEAD  NEXT ATTEMPT
http://HOST:PORT  unwell  1  SIZE  0 s  0  0  0  in SPAN`)
	says(t, "messages", r.prints("messages", "jira"), `
ID  STATUS  ROUTE  RECEIVED  SIZE  ATTEMPTS  LAST  NEXT
ID.0  waiting  jira  AGO  SIZE  1  503  in SPAN`)
	says(t, "explain", r.prints("explain", id), `
ID.0  waiting
  Route jira, to http://HOST:PORT, SIZE.

  TIME  accepted  AGO
  TIME  attempt 1  503 after TOOK

  It waits because the destination fails, once in a row (last: the destination answered 503 Service Unavailable). The next probe goes out in SPAN.
  It is given up on TIME, in SPAN.

  Try again now: webhook-repeater retry http://HOST:PORT`)

	says(t, "pause", r.prints("pause", r.lane), `
http://HOST:PORT is paused. Paused by an operator: nothing is sent until it is resumed. Requests are still accepted.`)
	if got := r.prints("explain", id); !strings.Contains(got, "webhook-repeater resume "+r.lane) {
		t.Errorf("it does not tell how to resume:\n%s", got)
	}
	// A name without its scheme will do.
	if got := r.prints("resume", strings.TrimPrefix(r.lane, "http://")); !strings.Contains(got, " is unwell. ") {
		t.Errorf("resume prints %s", got)
	}

	r.answer.Store(http.StatusOK)
	r.prints("retry", r.lane)
	r.awaits("well and empty", func(l laneState) bool { return l.State == "well" && l.Waiting == 0 })
	says(t, "messages", r.prints("messages", "jira"), "Nothing waits in http://HOST:PORT.")
	res := r.does("explain", id)
	if res.code != 1 || !strings.HasPrefix(res.stderr, `webhook-repeater: no message of "`+id+`" is stored`) {
		t.Errorf("explain of what was delivered: %+v", res)
	}
	says(t, "one lane", r.prints("lanes", "jira"), `
LANE  STATE  WAITING  SIZE  OLDEST  IN/S  OUT/S  DEAD  NEXT ATTEMPT
http://HOST:PORT  well  0  SIZE  0  0  0

Nothing waits.

Routes: jira
Concurrency: 1
Last error: the destination answered 503 Service Unavailable, AGO`)
}

// TestLongStory: of many attempts the first and the last are kept, and numbered as they were. What a
// destination says moves no cursor.
func TestLongStory(t *testing.T) {
	t.Parallel()
	var attempts []map[string]any
	for i := range 5 {
		attempts = append(attempts, map[string]any{"at": "2026-01-02T03:04:05Z", "took_s": 0.5 * float64(i), "status": 400})
	}
	attempts[4] = map[string]any{"at": "2026-01-02T03:04:05Z", "took_s": 100, "error": "timeout: no answer"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v1/lane" {
			_, _ = io.WriteString(w, `{"name": "http://a:80 own", "state": "refusing"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"messages": []map[string]any{{"id": "a b", "dest": 1, "route": "r\x1b[2J", "lane": "http://a:80 own",
			"status": "waiting", "received": "2026-01-02T03:04:05Z", "size": 2048, "attempts": 1204, "history": attempts, "next": "It waits.", "answer": "no\x1b[2J\nmore"}}})
	}))
	defer server.Close()
	res := command(t, t.TempDir(), []string{"TZ=UTC"}, "explain", "a b", "--server", server.URL)
	want := `a b.1  waiting
  Route r\x1b[2J, to http://a:80 own, 2.0 KB.

  2026-01-02 03:04:05  accepted      AGO
  2026-01-02 03:04:05  attempt 1     400 after less than 1 ms
  2026-01-02 03:04:05  attempt 2     400 after 500 ms
  2026-01-02 03:04:05  attempt 3     400 after 1.0 s
                                     (1,199 attempts are not kept)
  2026-01-02 03:04:05  attempt 1203  400 after 1.5 s
  2026-01-02 03:04:05  attempt 1204  timeout: no answer after 1 min

  Its last answer began:
    no\x1b[2J\nmore

  It waits.

  Once the destination is right, try again now: webhook-repeater retry 'http://a:80 own'
  If it rightly refuses them, let those die that it refuses: webhook-repeater drop-refused 'http://a:80 own'
`
	got := regexp.MustCompile(`\d+ d ago`).ReplaceAllString(res.stdout, "AGO")
	if diff := cmp.Diff(want, got); diff != "" || res.code != 0 {
		t.Errorf("ends with %d, -want +got:\n%s", res.code, diff)
	}
}

// TestJSON: what is printed for programs is what the API tells.
func TestJSON(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	dead := r.dies(1)[0]
	waiting := r.fails()
	type message struct{ ID, Status, Lane string }
	var lanes struct{ Lanes []laneState }
	r.reads(&lanes, "lanes")
	if len(lanes.Lanes) != 1 || lanes.Lanes[0].Name != r.lane || lanes.Lanes[0].Waiting != 1 || lanes.Lanes[0].Dead != 1 {
		t.Errorf("lanes: %+v", lanes)
	}
	var whole struct {
		Health struct{ Ready bool }
		Config struct{ Routes []struct{ Name string } }
		Lanes  []laneState
	}
	r.reads(&whole, "status")
	if !whole.Health.Ready || len(whole.Config.Routes) != 1 || len(whole.Lanes) != 1 {
		t.Errorf("status: %+v", whole)
	}
	type list struct {
		Messages []message
		More     *bool
	}
	for _, tt := range []struct {
		args []string
		want message
	}{
		{[]string{"messages", "jira"}, message{waiting, "waiting", r.lane}},
		{[]string{"dead"}, message{dead, "dead", r.lane}},
		{[]string{"dead", "--lane", "jira", "--status", "410", "--since", "1h"}, message{dead, "dead", r.lane}},
	} {
		var got list
		r.reads(&got, tt.args...)
		if len(got.Messages) != 1 || got.Messages[0] != tt.want || got.More == nil || *got.More {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
	for _, none := range [][]string{{"dead", "--status", "404"}, {"dead", "--status", "none"}, {"dead", "--until", "1h"}, {"dead", "--since", "2100-01-01"}} {
		var got list
		if r.reads(&got, none...); got.Messages == nil || len(got.Messages) != 0 {
			t.Errorf("%q: %+v", none, got)
		}
	}
	var story list
	if r.reads(&story, "explain", dead); len(story.Messages) != 1 || story.Messages[0].ID != dead {
		t.Errorf("explain: %+v", story)
	}
	for _, order := range []string{"pause", "resume", "retry", "drop-refused"} {
		var l laneState
		if r.reads(&l, order, "jira"); l.Name != r.lane || (l.State == "paused") != (order == "pause") {
			t.Errorf("%s: %+v", order, l)
		}
	}
}

// TestWhichServer finds it by flag, environment and file, and takes a token only where it belongs.
func TestWhichServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	elsewhere := t.TempDir()
	config := filepath.Join(r.dir, "config.ini")
	token := r.file("token", rigToken+"\n")
	env := func(pairs ...string) []string { return pairs }
	for _, tt := range []struct {
		name   string
		dir    string
		env    []string
		args   []string
		code   int
		stderr string // how it begins
	}{
		{"the file here", r.dir, nil, nil, 0, ""},
		{"a file by name", elsewhere, nil, []string{"-c", config}, 0, ""},
		{"a file with one dash", elsewhere, nil, []string{"-config", config}, 0, ""},
		{"flags", elsewhere, nil, []string{"--server", r.admin, "--token-file", token}, 0, ""},
		{"environment", elsewhere, env("REPEATER_ADMIN="+r.admin, "REPEATER_TOKEN="+rigToken), nil, 0, ""},
		{"a flag before the environment", elsewhere, env("REPEATER_ADMIN=http://127.0.0.1:1", "REPEATER_TOKEN="+rigToken), []string{"--server", r.admin}, 0, ""},
		{"a file that is named before the environment", elsewhere, env("REPEATER_ADMIN=http://127.0.0.1:1"), []string{"-c", config}, 0, ""},
		{"the file's token for another address of it", elsewhere, nil, []string{"-c", config, "--server", r.admin}, 0, ""},
		{"no token", elsewhere, nil, []string{"--server", r.admin}, 1, "webhook-repeater: " + r.admin + " asks for its token; "},
		{"a token of a file that is not meant", r.dir, nil, []string{"--server", r.admin}, 1, "webhook-repeater: " + r.admin + " asks for its token; "},
		{"another token", elsewhere, env("REPEATER_TOKEN=wrong"), []string{"--server", r.admin}, 1, "webhook-repeater: " + r.admin + " does not take this token; "},
		{"nobody there", elsewhere, nil, []string{"--server", "http://127.0.0.1:1"}, 1,
			"webhook-repeater: no webhook-repeater answers at http://127.0.0.1:1 (connection refused); start it, or name"},
		{"another door of it", elsewhere, nil, []string{"--server", r.url}, 1, "webhook-repeater: " + r.url + " answers 404, and not as"},
		{"no address", elsewhere, nil, []string{"--server", "127.0.0.1:8101"}, 2, "webhook-repeater: lanes: --server is not an address; "},
		{"a password", elsewhere, env("REPEATER_ADMIN=http://u:hunter2@127.0.0.1"), nil, 2, "webhook-repeater: lanes: REPEATER_ADMIN has a user or password in it; "},
		{"no token file", elsewhere, nil, []string{"--token-file", "none"}, 2, "webhook-repeater: lanes: --token-file none: no such file"},
		{"no file", elsewhere, nil, []string{"-c", "none.ini"}, 2, "none.ini: no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := command(t, tt.dir, tt.env, append([]string{"lanes"}, tt.args...)...)
			if res.code != tt.code || !strings.HasPrefix(res.stderr, tt.stderr) || strings.Count(res.stderr, "\n") != min(1, tt.code) || strings.Contains(res.stdout, "LANE") != (tt.code == 0) {
				t.Errorf("got %+v, want %d and %q", res, tt.code, tt.stderr)
			}
		})
	}
}

// TestServerIsOff tells what to do where the file says where no server can be asked.
func TestServerIsOff(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"off":         "config.ini has listen = off under [admin]",
		"127.0.0.1:0": "config.ini lets the server choose the port of its admin address",
	} {
		// What else is wrong with the file does not matter.
		res := command(t, write(t, "config.ini", "[admin]\nlisten = "+listen+"\n[hook:a]\nverify_secret = env:NOT_SET_ANYWHERE\n"), nil, "status")
		if res.code != 1 || !strings.Contains(res.stderr, want) || strings.Count(res.stderr, "\n") != 1 {
			t.Errorf("%s: %+v", listen, res)
		}
	}
	res := command(t, write(t, "config.ini", "[admin]\ntoken = short\n"), nil, "status")
	if res.code != 2 || !strings.HasPrefix(res.stderr, "config.ini:2: [admin] token is shorter") {
		t.Errorf("%+v", res)
	}
}

// TestMisuse is told in one line with status 2, and nothing is done.
func TestMisuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"lanes --nope", "lanes: unknown flag: --nope; see webhook-repeater lanes -h"},
		{"lanes a b", `lanes: unknown argument "b"`},
		{"lanes a --watch", "lanes: --watch shows all lanes"},
		{"lanes --watch=1ns", "lanes: --watch takes a time from 100ms on"},
		{"status now", `status: unknown argument "now"`},
		{"messages", "messages: name one LANE"},
		{"messages a --limit -1", "messages: --limit is a number from 0 on"},
		{"pause", "pause: name one LANE"},
		{"explain", "explain: name one ID"},
		{"dead --status soon", `dead: --status "soon" is no HTTP status`},
		{"dead --since soon", `dead: --since "soon" is no time`},
		{"replay", "replay: say which dead letters are meant"},
		{"replay --all --lane a", "replay: --all contradicts"},
		{"drop --all", "drop: it deletes for good, and nobody is there to be asked; add --yes"},
		{"drop a.0", "drop: it deletes for good, and nobody is there to be asked; add --yes"},
		{"send", "send: name a FILE"},
		{"send a --id b", "send: FILE and --id are two requests"},
		{"completion", "completion: name a shell"},
		{"completion tcsh", `completion: "tcsh" is not bash, zsh or fish`},
		{"help nope", `help: unknown argument "nope"`},
		{"satus", `unknown argument "satus" (did you mean "status"?); see webhook-repeater -h`},
	} {
		res := command(t, t.TempDir(), []string{"REPEATER_ADMIN=http://127.0.0.1:1"}, strings.Fields(tt.args)...)
		if res.code != 2 || res.stdout != "" || !strings.HasPrefix(res.stderr, "webhook-repeater: "+tt.want) || strings.Count(res.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %s", tt.args, res, tt.want)
		}
	}
}

// TestFlagsOfTheServer are what they were before there were commands: with one dash or two, apart or joined.
func TestFlagsOfTheServer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	for _, args := range [][]string{
		{"-c", "other.ini", "-p", "0", "-H", "127.0.0.1"},
		{"-config", "other.ini", "-port", "0", "-host", "127.0.0.1"},
		{"--c=other.ini", "--p=0", "--H=127.0.0.1"},
		{"--config=other.ini", "--port=" + port, "--host=127.0.0.1"},
		{"-to", "http://127.0.0.1:1", "-p=0", "-H=localhost"},
	} {
		p := serve(t, write(t, "other.ini", "[server]\nhost = 192.0.2.1\nport = 1\n[admin]\nlisten = off\n"+hook), args...)
		p.Signal(t, syscall.SIGTERM)
		p.ends(t, 0)
	}
	for _, args := range [][]string{{"-p8100"}, {"-x"}, {"--confg", "x"}} {
		_, stderr := run(t, t.TempDir(), args...).ends(t, 78)
		if !strings.HasPrefix(stderr, "webhook-repeater: flag provided but not defined: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %s", args, stderr)
		}
	}
	if _, err := os.Stat("webhook-repeater.db"); err == nil {
		t.Error("a store was made where the tests are")
	}
}
