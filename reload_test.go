package repeater_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

// reload puts other options in the place of b's.
func (b *bubble) reload(opts ...repeater.Option) {
	b.t.Helper()
	if err := b.rp.Reload(append([]repeater.Option{repeater.WithTransport(b), repeater.WithLogger(discard())}, opts...)...); err != nil {
		b.t.Fatal(err)
	}
}

// TestReloadRefuses: what is wrong is told, all of it, and the old configuration stays.
func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	q := new(pushes)
	file := filepath.Join(t.TempDir(), "x.db")
	client, other := redis.NewClient(&redis.Options{}), redis.NewClient(&redis.Options{})
	defer client.Close()
	defer other.Close()
	route := repeater.Route("/x", "http://a.example")
	inFile := []repeater.Option{route, repeater.WithFile(file)}
	inRedis := []repeater.Option{route, repeater.WithRedis(client), repeater.WithRedisPrefix("p:")}
	for name, tt := range map[string]struct {
		old, new []repeater.Option
		restart  bool
		want     []string // lines of the error
	}{
		"two mistakes": {inFile, []repeater.Option{repeater.Route("/x", "ftp://a.example"), repeater.WithMaxBody(-1)}, false,
			[]string{"route \"/x\": destination 0:", "WithMaxBody: -1 is negative"}},
		"no route":        {inFile, nil, false, []string{"no route: add at least one Route"}},
		"another file":    {inFile, []repeater.Option{route, repeater.WithFile(file + "2")}, true, []string{"WithFile: another store"}},
		"another floor":   {inFile, []repeater.Option{route, repeater.WithDiskFloor(1)}, true, []string{"WithDiskFloor: another floor"}},
		"another kind":    {inFile, inRedis, true, []string{"WithRedis: another store"}},
		"another client":  {inRedis, []repeater.Option{route, repeater.WithRedis(other), repeater.WithRedisPrefix("p:")}, true, []string{"WithRedis: another store"}},
		"another prefix":  {inRedis, []repeater.Option{route, repeater.WithRedis(client)}, true, []string{"WithRedisPrefix, RedisWait and WithRedisStrict:"}},
		"another queue":   {[]repeater.Option{route, repeater.WithQueue(q)}, []repeater.Option{route, repeater.WithQueue(new(pushes))}, true, []string{"WithQueue: another store"}},
		"another codec":   {inFile, []repeater.Option{route, repeater.WithCodec(&keyCodec{})}, true, []string{"WithCodec: another codec"}},
		"the same file":   {inFile, inFile, false, nil},
		"the same Redis":  {inRedis, inRedis, false, nil},
		"the same queue":  {[]repeater.Option{route, repeater.WithQueue(q)}, []repeater.Option{route, repeater.WithQueue(q)}, false, nil},
		"no store named":  {inRedis, []repeater.Option{route}, false, nil},
		"the default's":   {[]repeater.Option{route}, []repeater.Option{route, repeater.WithFile("repeater.db")}, false, nil},
		"keys to encrypt": {inFile, []repeater.Option{route, repeater.Encrypt(strings.Repeat("A", 43)+"=", "plain")}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rp := repeater.New(append(tt.old, repeater.WithLogger(discard()))...)
			if err := rp.Err(); err != nil {
				t.Fatal(err)
			}
			err := rp.Reload(tt.new...)
			if errors.Is(err, repeater.ErrRestart) != tt.restart {
				t.Errorf("told as ErrRestart: %v, want %v", !tt.restart, tt.restart)
			}
			var lines []string
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("the error is %q, want %d lines", lines, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d is %q, want %q", i, lines[i], want)
				}
			}
		})
	}
}

func TestReloadOfWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	route := repeater.Route("/x", "http://a.example")
	if wrong := repeater.New(); !errors.Is(wrong.Reload(route), wrong.Err()) {
		t.Error("a Repeater with mistakes has reloaded")
	}
	rp := repeater.New(route, repeater.WithQueue(new(pushes)))
	if err := rp.Close(); err != nil {
		t.Fatal(err)
	}
	if err := rp.Reload(route); !errors.Is(err, repeater.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

// TestReloadDoor: a request that has come in ends under the configuration it began with; the next one
// is under the new.
func TestReloadDoor(t *testing.T) {
	t.Parallel()
	q := new(pushes)
	rp := door(t, q, repeater.Route("/x", "http://a.example"))
	begun, rest := io.Pipe()
	req := httptest.NewRequest("POST", "/x", begun)
	first := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		rp.ServeHTTP(first, req)
		close(done)
	}()
	if _, err := rest.Write([]byte("0123456789")); err != nil { // somebody reads
		t.Fatal(err)
	}
	if err := rp.Reload(repeater.WithLogger(discard()), repeater.WithMaxBody(5), repeater.Route("/y", "http://a.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := rest.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	receive(t, done, "the answer")
	wantStatus(t, first, 200)
	if b := q.only(t); b.Route == "" || len(b.Messages) != 1 {
		t.Errorf("stored %+v", b)
	}
	wantStatus(t, try(rp, "POST", "/x"), 404)
	wantStatus(t, try(rp, "POST", "/y"), 200)
	w := httptest.NewRecorder()
	rp.ServeHTTP(w, httptest.NewRequest("POST", "/y", strings.NewReader("123456")))
	wantStatus(t, w, 413)
}

// TestReloadLane: lanes at work take on concurrency and pace at once.
func TestReloadLane(t *testing.T) {
	t.Parallel()
	route := func(opts ...repeater.RouteOption) repeater.Option {
		return repeater.Route("/", "http://a.example", opts...)
	}
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		for i := range 1000 {
			b.accept("/", fmt.Sprint(i))
		}
		b.pass(10 * time.Second)
		wantRate := func(what string, want int) {
			t.Helper()
			b.seen()
			b.pass(10 * time.Second)
			if got := len(b.seen()); got < want-2 || got > want+2 {
				t.Errorf("%s: %d attempts in 10 s, want %d", what, got, want)
			}
		}
		wantRate("one at a time", 10)
		b.reload(route(repeater.Concurrency(5)))
		wantRate("five at a time", 50)
		b.reload(route(repeater.Concurrency(5), repeater.Pace(500*time.Millisecond)))
		wantRate("one each 500 ms", 20)
		b.reload(route(repeater.Concurrency(5), repeater.Pace(time.Hour)))
		b.pass(10 * time.Second)
		wantRate("one each hour", 0)
		b.reload(route(repeater.Concurrency(2)))
		wantRate("two at a time", 20)
	}, route())
}

// TestReloadLeavesAnUnwellLaneItsProbe: more concurrency is not for a destination that fails.
func TestReloadLeavesAnUnwellLaneItsProbe(t *testing.T) {
	t.Parallel()
	route := func(n int) repeater.Option {
		return repeater.Route("/", "http://a.example", repeater.Concurrency(n), repeater.MaxAge(1000*time.Hour))
	}
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{after: time.Second, err: io.ErrUnexpectedEOF, whole: true} })
		b.accept("/", "1", "2", "3", "4", "5", "6")
		b.pass(time.Hour)
		b.seen()
		b.reload(repeater.WithQuickRetries(0), route(4))
		b.pass(time.Hour)
		if got := inFlight(b.seen()); got != 1 {
			t.Errorf("%d probes at a time, want 1", got)
		}
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		b.accept("/", strings.Split(strings.Repeat("x,", 50), ",")...)
		b.pass(time.Hour)
		if got := inFlight(b.seen()); got != 4 {
			t.Errorf("%d at a time once the destination is back, want 4", got)
		}
	}, repeater.WithQuickRetries(0), route(1))
}

// TestReloadStrict: a lane becomes strict while messages wait, and stops being so.
func TestReloadStrict(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(tr sent) reply {
			if tr.body == "bad" {
				return status(500)
			}
			return status(200)
		})
		b.reload(repeater.Route("/", "http://a.example", repeater.Strict()))
		b.accept("/", "1", "bad", "2")
		b.pass(time.Minute)
		if got := strings.Join(names(b.seen()), " "); !strings.HasPrefix(got, "1#1 bad#1 bad#2") || strings.Contains(got, "2#1") {
			t.Errorf("strict: %s", got)
		}
		b.reload(repeater.Route("/", "http://a.example"))
		b.pass(time.Hour)
		if got := strings.Join(names(b.seen()), " "); !strings.Contains(got, "2#1") {
			t.Errorf("no longer strict: %s", got)
		}
	}, repeater.Route("/", "http://a.example"))
}

// TestReloadAttempt: an attempt that has begun ends as its route said then; the next one goes
// where the route leads now, and what has no route any more becomes a dead letter.
func TestReloadAttempt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bubble) {
		b.replies(func(sent) reply { return reply{status: 418, after: time.Minute / 4} })
		b.accept("/1", "a", "b")
		b.accept("/2", "c")
		b.pass(time.Second)
		b.reload(repeater.Route("/1", "http://z.example/new", repeater.Name("1")))
		b.replies(func(sent) reply { return status(200) })
		b.pass(time.Minute)
		got := make(map[string]string)
		for _, tr := range b.seen() {
			got[tr.String()] = tr.host + tr.path
		}
		want := map[string]string{"a#1": "a.example/", "b#1": "z.example/new", "c#1": "c.example/"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("attempts: -want +got:\n%s", diff)
		}
		if l := b.dead("http://a.example:80"); len(l) != 0 {
			t.Errorf("dead: %+v; the old route took 418 for a delivery", l)
		}
		if l := b.dead("http://c.example:80"); len(l) != 0 {
			t.Errorf("dead: %+v; the attempt had begun", l)
		}
		once := repeater.Route("/1", "http://a.example/", repeater.Name("1"), repeater.MaxAttempts(1))
		b.reload(once)
		b.replies(func(sent) reply { return reply{status: 500, after: time.Minute} })
		b.accept("/1", "d")
		b.pass(time.Second)
		b.reload(repeater.Route("/1", "http://a.example/", repeater.Name("1")), repeater.Route("/3", "http://a.example", repeater.Name("3")))
		b.pass(2 * time.Minute)
		if l := b.dead("http://a.example:80"); len(l) != 1 {
			t.Fatalf("%d dead letters, want 1: the route allowed one attempt when that began", len(l))
		}

		b.replies(func(sent) reply { return status(503) })
		b.accept("/3", "e", "f")
		b.pass(time.Second)
		b.reload(repeater.Route("/1", "http://z.example/new", repeater.Name("1")))
		b.pass(time.Hour)
		letters := b.dead("http://a.example:80")
		if len(letters) != 3 {
			t.Fatalf("%d dead letters, 2 of the route that is gone, want 3", len(letters))
		}
		if want := `route "3" is no longer configured`; letters[0].Reason != want {
			t.Errorf("dead because %q, want %q", letters[0].Reason, want)
		}
	}, repeater.Route("/1", "http://a.example/", repeater.Name("1"), teapot), repeater.Route("/2", "http://c.example/", repeater.Name("2"), teapot))
}

// teapot takes a 418 for a delivery.
var teapot = repeater.RetryIf(func(resp *http.Response, _ error) repeater.Verdict {
	if resp != nil && resp.StatusCode == http.StatusTeapot {
		return repeater.VerdictDelivered
	}
	return repeater.VerdictDefault
})

// TestLearnedRoutes: what is accepted for a new route is not set aside until it is announced, nor does an
// announcement that has begun before forget it.
func TestLearnedRoutes(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { client.Close() })
	q := repeater.NewRedisQueue(client, "")
	mustPush(t, q, redisBatch("0", "old", "a"))
	repeater.LearnRoutes(q, "new")
	claim := mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "0") // nothing has been announced
	mustRelease(t, q, "a", claim.Token)

	mustAnnounce(t, q, "old")
	repeater.LearnRoutes(q, "old", "new")
	mustPush(t, q, redisBatch("1", "new", "a"))
	claim = mustClaim(t, q, "a", "", 9)
	wantIDs(t, claim, "0", "1")
	mustRelease(t, q, "a", claim.Token)
	client.AddHook(beforeEach(func() { repeater.LearnRoutes(q, "new") }))
	mustAnnounce(t, q, "old")
	wantIDs(t, mustClaim(t, q, "a", "", 9), "1")
}

// beforeEach is called before each command to Redis.
type beforeEach func()

func (f beforeEach) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f beforeEach) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		f()
		return next(ctx, cmd)
	}
}

func (f beforeEach) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestReloadMemory: lanes at work take on how much memory there is.
func TestReloadMemory(t *testing.T) {
	t.Parallel()
	const body, least = 100 << 10, 100<<10 + 1<<20
	opts := func(memory int64) []repeater.Option {
		return []repeater.Option{repeater.WithMaxBody(body), repeater.WithMemory(body, memory),
			repeater.Route("/1", "http://a.example", repeater.Concurrency(20)), repeater.Route("/2", "http://b.example")}
	}
	inBubble(t, func(b *bubble) {
		b.reload(opts(least)...)
		b.replies(func(sent) reply { return reply{status: 200, after: time.Second} })
		for range 40 {
			b.accept("/1", strings.Repeat("x", body))
			b.accept("/2", strings.Repeat("y", body))
		}
		b.pass(10 * time.Second)
		if got := inFlight(b.seen()); got > 11 {
			t.Errorf("%d bodies in hand where there is memory for 11", got)
		}
		b.reload(opts(1 << 30)...)
		b.pass(time.Minute)
		if waits := b.lane("http://a.example:80").Waiting + b.lane("http://b.example:80").Waiting; waits != 0 {
			t.Errorf("%d still wait", waits)
		}
	}, opts(1<<30)...)
}

// TestReloadConnections: connections are kept where nothing changes, and those of an old
// transport are closed, those in use at the end of their attempts.
func TestReloadConnections(t *testing.T) {
	t.Parallel()
	answer, arrived, closed := make(chan int), make(chan string, 10), make(chan string, 10)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.RemoteAddr
		if r.URL.Path == "/slow" {
			w.WriteHeader(<-answer)
		}
	}))
	srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- c.RemoteAddr().String()
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	routes := []repeater.Option{repeater.WithLogger(discard()),
		repeater.Route("/x", srv.URL, repeater.Concurrency(2)), repeater.Route("/slow", srv.URL+"/slow")}
	rp := deliver(t, routes...)
	reload := func(opts ...repeater.Option) {
		t.Helper()
		if err := rp.Reload(append(opts, routes...)...); err != nil {
			t.Fatal(err)
		}
	}
	send := func(path string) string {
		t.Helper()
		wantStatus(t, try(rp, "POST", path), 200)
		return receive(t, arrived, "the delivery")
	}
	busy := send("/slow")
	idle := send("/x")
	reload()
	if again := send("/x"); again != idle {
		t.Error("a reload that changes nothing has cost the connection")
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until its attempt has ended
		lanes, err := rp.Lanes(t.Context())
		if err != nil || time.Now().After(end) {
			t.Fatalf("lanes %+v, %v", lanes, err)
		}
		if len(lanes) == 1 && lanes[0].Waiting == 1 {
			break
		}
	}
	reload(repeater.WithTimeouts(repeater.Timeouts{Dial: 4 * time.Second}))
	if got := receive(t, closed, "the end of the idle connection"); got != idle {
		t.Errorf("%s was closed, want %s", got, idle)
	}
	answer <- http.StatusServiceUnavailable // upon which the attempt takes another connection of its old transport
	if got := receive(t, closed, "the end of the connection in use"); got != busy {
		t.Errorf("%s was closed, want %s", got, busy)
	}
	busy = receive(t, arrived, "the quick retry")
	answer <- http.StatusOK
	if got := receive(t, closed, "the end of the last connection"); got != busy {
		t.Errorf("%s was closed, want %s", got, busy)
	}
}

// TestReloadShared: over a shared store, what is in hand of a route that is gone here is left to others, and
// what is accepted for a new route is delivered in its order.
func TestReloadShared(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { client.Close() })
	hang, arrived := make(chan struct{}), make(chan string, 2000)
	dest := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Query().Get("n")
		<-hang
	}))
	t.Cleanup(dest.Close)
	route := func(name string) repeater.Option {
		return repeater.Route("/"+name, dest.URL, repeater.Name(name))
	}
	rp := run(t, repeater.WithRedis(client), repeater.WithLogger(discard()), route("a"), route("gone"))
	wantStatus(t, try(rp, "POST", "/a?n=first"), 200)
	receive(t, arrived, "the first delivery")
	for range 20 { // behind it, and most of them in hand
		wantStatus(t, try(rp, "POST", "/gone?n=gone"), 200)
	}
	lane := func() repeater.LaneInfo {
		t.Helper()
		lanes, err := rp.Lanes(context.Background())
		if err != nil || len(lanes) != 1 {
			t.Fatalf("lanes %+v, %v", lanes, err)
		}
		return lanes[0]
	}
	if err := rp.Reload(repeater.WithLogger(discard()), route("a"), route("new")); err != nil {
		t.Fatal(err)
	}
	for n := range 500 {
		wantStatus(t, try(rp, "POST", fmt.Sprintf("/new?n=%d", n)), 200)
	}
	close(hang)
	for n := range 500 {
		if got := receive(t, arrived, "a delivery of the new route"); got != fmt.Sprint(n) {
			t.Fatalf("%q came, want %d", got, n)
		}
	}
	for end := time.Now().Add(patience); lane().Waiting != 20 || lane().Parked != 20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the lane is %+v, want 20 set aside", lane())
		}
	}
	if dead := lane().Dead; dead != 0 {
		t.Errorf("%d dead letters, want none", dead)
	}
	if err := rp.Reload(repeater.WithLogger(discard()), route("gone")); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got := receive(t, arrived, "a delivery of the route that is back"); got != "gone" {
			t.Fatalf("%q came", got)
		}
	}
}
