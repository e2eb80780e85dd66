package browsertest_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
)

func TestMain(m *testing.M) { os.Exit(proctest.Main(m)) }

// town is the real program, with a destination that is down and one that refuses.
type town struct {
	t        *testing.T
	in       string // where webhooks come in
	jira     string // address of the destination that is down
	partner  string
	refusing chan struct{} // closed when the partner takes what it gets
	heard    chan string   // ids that were taken
}

// found begins a town in which nothing has happened yet, and returns where its pages are.
func found(t *testing.T) (*town, string) {
	t.Helper()
	c := &town{t: t, jira: proctest.Loopback(testport.Plain(t)), refusing: make(chan struct{}), heard: make(chan string, 10)}
	partner := httptest.NewServer(c.taking(func() bool {
		select {
		case <-c.refusing:
			return true
		default:
			return false
		}
	}))
	t.Cleanup(partner.Close)
	c.partner = partner.URL
	in, pages := proctest.Loopback(testport.Plain(t)), proctest.Loopback(testport.Plain(t))
	c.in = "http://" + in
	host, port, _ := net.SplitHostPort(in)
	dir := t.TempDir()
	// So long a pause that only the page's button can have ended it.
	config := fmt.Sprintf("[server]\nhost = %s\nport = %s\n[app]\nbackoff_timeout = 1h\nbackoff_max_timeout = 1h\nquick_retries = 0\n[admin]\nlisten = %s\nshow_payloads = yes\n"+
		"[hook:jira]\nsrc_path = /jira\ndst_host = http://%s\n[hook:partner]\nsrc_path = /partner\ndst_host = %s\n", host, port, pages, c.jira, c.partner)
	if err := os.WriteFile(filepath.Join(dir, "config.ini"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := proctest.Start(t, dir, proctest.Program(t, "webhook-repeater"))
	p.Stderr.Await(t, "its two addresses", func(log string) bool {
		return strings.Contains(log, `"listening"`) && strings.Contains(log, `"admin pages"`)
	})
	return c, "http://" + pages
}

// taking answers 200 while open says so, else 410.
func (c *town) taking(open func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open() {
			w.WriteHeader(http.StatusGone)
			return
		}
		c.heard <- r.Header.Get("Repeater-Id")
	})
}

// up lets the destination listen that was down.
func (c *town) up() {
	ln, err := net.Listen("tcp", c.jira)
	if err != nil {
		c.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(c.taking(func() bool { return true }))
	_ = s.Listener.Close() // one of its own choice
	s.Listener = ln
	s.Start()
	c.t.Cleanup(s.Close)
}

// posts sends a webhook and returns its id.
func (c *town) posts(path string) string {
	c.t.Helper()
	resp, err := http.Post(c.in+path, "application/json", strings.NewReader(`{"issue": {"key": "OPS-7", "summary": "The printer is on fire"}}`))
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s is answered with %s", path, resp.Status)
	}
	return resp.Header.Get("Repeater-Id")
}

// hears waits until a destination has taken a message.
func (c *town) hears(id string) {
	c.t.Helper()
	select {
	case got := <-c.heard:
		if got != id {
			c.t.Errorf("%s arrives, want %s", got, id)
		}
	case <-time.After(patience):
		c.t.Fatalf("%s never arrives", id)
	}
}

// TestWalkTheProgram goes the same way through the pages of the program as it is shipped: a page that is open
// turns red by itself when a destination is down, says what comes next, and is green when all has been set right.
func TestWalkTheProgram(t *testing.T) {
	t.Parallel()
	b := open(t)
	c, pages := found(t)
	jira, partner := "http://"+c.jira, c.partner
	state := func(lane string) string { return fmt.Sprintf(`document.querySelector('tr[data-key=%q] .state')`, lane) }
	awaitState := func(lane, want string) {
		b.t.Helper()
		b.await(state(lane) + `?.innerText.trim() === ` + fmt.Sprintf("%q", want))
	}

	b.visit(pages)
	b.reads("All well")
	dead := c.posts("/partner")
	awaitState(partner, "well")
	stuck := c.posts("/jira")
	awaitState(jira, "unwell")
	b.pictures("program-down")

	b.visit(pages + "/message?id=" + stuck)
	b.reads("The next probe goes out in")
	b.reads("connection refused")
	b.reads("The printer is on fire")
	b.pictures("program-message")
	b.visit(pages + "/dead")
	b.reads("410 Gone")
	b.pictures("program-dead")

	close(c.refusing)
	walk(b, world{pages, jira, stuck, "connection refused", dead, c.up}, true)
	c.hears(stuck)
	c.hears(dead)

	b.visit(pages)
	awaitState(jira, "well")
	awaitState(partner, "well")
	for _, lane := range []string{jira, partner} {
		if rgb := eval[[]int](b, fmt.Sprintf(`getComputedStyle(%s).color.match(/\d+/g).map(Number)`, state(lane))); len(rgb) < 3 || rgb[1] <= rgb[0] || rgb[1] <= rgb[2] {
			t.Errorf("%s is well, and not green: %v", lane, rgb)
		}
	}
	b.pictures("program-well")
	b.wantPeace("404 (Not Found)") // for what has been delivered
}
