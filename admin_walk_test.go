package repeater_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

const adminToken = "a token of many bytes"

// adminStores are one of each kind.
func adminStores(t *testing.T) map[string]repeater.Option {
	return map[string]repeater.Option{
		"memory": repeater.WithQueue(memqueue.New()),
		"file":   repeater.WithFile(filepath.Join(t.TempDir(), "repeater.db")),
		"redis":  repeater.WithRedis(redistest.Start(t).Client(t)),
	}
}

// adminClient asks the API of a Repeater over a real socket.
type adminClient struct {
	t   *testing.T
	rp  *repeater.Repeater
	url string
}

func serveAdmin(t *testing.T, rp *repeater.Repeater, opts ...repeater.AdminOption) adminClient {
	srv := httptest.NewServer(rp.Admin(append([]repeater.AdminOption{repeater.AdminToken(adminToken)}, opts...)...))
	t.Cleanup(srv.Close)
	return adminClient{t, rp, srv.URL}
}

func (c adminClient) do(method, path, body string) (int, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// ask decodes an answer that is to be 200.
func (c adminClient) ask(into any, method, path, body string) {
	c.t.Helper()
	status, answer := c.do(method, path, body)
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	if err := d.Decode(into); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// adminLane and adminMessage are what a client makes of an answer.
type adminLane struct {
	Name, State, Why string
	Routes           []string
	Waiting, Dead    int
	Failures         int
	OldestAge        float64    `json:"oldest_age_s"`
	NextAttempt      *time.Time `json:"next_attempt"`
	LastError        string     `json:"last_error"`
}

type adminMessage struct {
	ID, Route, Lane, Status, Next, Reason, Answer string
	Dest, Ahead, Attempts                         int
	Due, Expires, Died                            *time.Time
	History                                       []struct {
		Status int
		Error  string
	}
}

type adminMessages struct {
	Messages []adminMessage
	Next     string
}

func (c adminClient) lane(name string) (l adminLane) {
	c.t.Helper()
	c.ask(&l, "GET", "/api/v1/lane?lane="+url.QueryEscape(name), "")
	return l
}

func (c adminClient) await(name, what string, ok func(adminLane) bool) adminLane {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l := c.lane(name)
		if ok(l) {
			return l
		}
		if time.Now().After(end) {
			c.t.Fatalf("the lane is not %s: %+v", what, l)
		}
	}
}

// TestAdminWalk is an outage as its operator lives through it, by the API alone.
func TestAdminWalk(t *testing.T) {
	t.Parallel()
	for name, store := range adminStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adminWalk(t, store)
		})
	}
}

func adminWalk(t *testing.T, store repeater.Option) {
	var status atomic.Int32
	var got atomic.Int32
	status.Store(http.StatusServiceUnavailable)
	dest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := int(status.Load()); s == http.StatusOK {
			got.Add(1)
		} else {
			w.WriteHeader(s)
		}
	}))
	defer dest.Close()
	rp := run(t, store, repeater.WithLogger(discard()), repeater.WithBackoff(time.Hour, time.Hour), repeater.WithQuickRetries(0),
		repeater.Route("/in", dest.URL, repeater.Name("named")))
	door := httptest.NewServer(rp)
	defer door.Close()
	c := serveAdmin(t, rp)
	lane := dest.URL // which has a port
	accept := func(body string) string {
		t.Helper()
		resp, err := http.Post(door.URL+"/in", "text/plain", strings.NewReader(body))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("accept: %v, %v", resp, err)
		}
		defer resp.Body.Close()
		return resp.Header.Get("Repeater-Id")
	}
	explain := func(id string) adminMessage {
		t.Helper()
		var all adminMessages
		c.ask(&all, "GET", "/api/v1/messages/"+id, "")
		if len(all.Messages) != 1 {
			t.Fatalf("explained: %+v", all)
		}
		return all.Messages[0]
	}

	if l := c.lane(lane); l.State != "well" || l.Why != "Nothing waits." || len(l.Routes) != 1 {
		t.Errorf("before: %+v", l)
	}
	first := accept("first")
	down := c.await(lane, "unwell", func(l adminLane) bool { return l.State == "unwell" && l.LastError != "" })
	second := accept("second")
	if left := time.Until(*down.NextAttempt); left < 30*time.Minute || left > 80*time.Minute {
		t.Errorf("next attempt in %v", left)
	}
	if !strings.Contains(down.Why, "fails, once in a row (last: the destination answered 503 Service Unavailable). The next probe goes out in ") {
		t.Errorf("why: %s", down.Why)
	}
	if m := explain(first); m.Status != "waiting" || m.Attempts != 1 || len(m.History) != 1 || m.History[0].Status != 503 || m.Ahead != 0 ||
		m.Due == nil || m.Expires == nil || !strings.Contains(m.Next, "It waits because the destination fails, once in a row (last: ") {
		t.Errorf("first: %+v", m)
	}
	if m := explain(second); m.Attempts != 0 || m.Ahead != 1 || !strings.Contains(m.Next, "behind another one") {
		t.Errorf("second: %+v", m)
	}
	var page adminMessages
	c.ask(&page, "GET", "/api/v1/messages?max=1&lane="+url.QueryEscape(lane), "")
	if len(page.Messages) != 1 || page.Messages[0].ID != first || page.Next == "" {
		t.Errorf("first page: %+v", page)
	}
	c.ask(&page, "GET", "/api/v1/messages?max=1&lane="+url.QueryEscape(lane)+"&cursor="+url.QueryEscape(page.Next), "")
	if len(page.Messages) != 1 || page.Messages[0].ID != second || page.Messages[0].Ahead != 1 || page.Next != "" {
		t.Errorf("second page: %+v", page)
	}

	order := fmt.Sprintf(`{"lane":%q}`, lane)
	var l adminLane
	c.ask(&l, "POST", "/api/v1/lane/pause", order)
	if l.State != "paused" || l.NextAttempt != nil {
		t.Errorf("paused: %+v", l)
	}
	c.ask(&l, "POST", "/api/v1/lane/resume", order)
	status.Store(http.StatusOK)
	c.ask(&l, "POST", "/api/v1/lane/retry-now", order)
	c.await(lane, "well", func(l adminLane) bool { return l.State == "well" && l.Waiting == 0 })
	if got.Load() != 2 {
		t.Errorf("%d were delivered, want 2", got.Load())
	}
	if code, _ := c.do("GET", "/api/v1/messages/"+first, ""); code != http.StatusNotFound {
		t.Errorf("what is delivered is explained with %d", code)
	}

	status.Store(http.StatusNotFound)
	third := accept("third")
	c.await(lane, "one with a dead letter", func(l adminLane) bool { return l.Dead == 1 })
	dead := explain(third + ".0")
	if dead.Status != "dead" || dead.Died == nil || !strings.Contains(dead.Next, "because: the destination answered 404 Not Found. Replay or drop it by its key, "+third+".0") {
		t.Errorf("dead: %+v", dead)
	}
	status.Store(http.StatusOK)
	var done struct {
		Done int
		More bool
	}
	c.ask(&done, "POST", "/api/v1/dead/replay", fmt.Sprintf(`{"lane":%q,"status":404}`, lane))
	if done.Done != 1 || done.More {
		t.Errorf("replayed: %+v", done)
	}
	c.await(lane, "without dead letters", func(l adminLane) bool { return l.Dead == 0 && l.Waiting == 0 })
	if got.Load() != 3 {
		t.Errorf("%d were delivered, want 3", got.Load())
	}
}
