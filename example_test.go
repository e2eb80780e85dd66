package repeater_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
)

// A Repeater is an http.Handler: mount it where webhooks come in, and let it run.
func Example() {
	arrived := make(chan string)
	jira := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- fmt.Sprintf("%s %s %s, attempt %s", r.Method, r.RequestURI, body, r.Header.Get("Repeater-Attempt"))
	}))
	defer jira.Close()
	dir, err := os.MkdirTemp("", "repeater")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	rp := repeater.New(
		repeater.Route("/hooks/jira", jira.URL+"/rest/hook"),
		repeater.WithFile(filepath.Join(dir, "repeater.db")),
	)
	defer rp.Close()
	go func() {
		if err := rp.Run(context.Background()); err != nil {
			log.Fatal(err) // another process has the file, for one
		}
	}()

	mux := http.NewServeMux()
	mux.Handle("/hooks/", rp) // beside all else that the program serves
	app := httptest.NewServer(mux)
	defer app.Close()

	resp, err := http.Post(app.URL+"/hooks/jira?issue=KEY-1", "application/json", strings.NewReader(`{"event":"created"}`))
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println("answer: ", resp.Status)
	fmt.Println("arrived:", <-arrived)

	// Output:
	// answer:  200 OK
	// arrived: POST /rest/hook?issue=KEY-1 {"event":"created"}, attempt 1
}

// Several routes, each with options of its own.
func ExampleRoute() {
	intranet, archive := make(chan string), make(chan string)
	receiver := func(arrived chan string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			arrived <- r.RequestURI
		}))
	}
	a, b := receiver(intranet), receiver(archive)
	defer a.Close()
	defer b.Close()
	dir, err := os.MkdirTemp("", "repeater")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	rp := repeater.New(
		// To one URL, signed for receivers of the original webhook-repeater.
		repeater.Route("POST /hooks/jira", a.URL+"/jira", repeater.Name("jira"), repeater.SignMD5("secret")),
		// A path for each team, kept behind the destination's own.
		repeater.Route("/hooks/{team}/ci", a.URL+"/ci", repeater.Name("ci"), repeater.KeepPath()),
		// To two destinations: each has a queue and retries of its own.
		repeater.Route("/hooks/orders", a.URL+"/orders", repeater.Name("orders"), repeater.AlsoTo(b.URL+"/store?kind=order")),
		// From one network only.
		repeater.Route("/hooks/payroll", a.URL+"/pay", repeater.Name("payroll"), repeater.AllowFrom("10.1.0.0/16")),
		repeater.WithFile(filepath.Join(dir, "repeater.db")),
	)
	if err := rp.Err(); err != nil {
		log.Fatal(err) // everything that is wrong with the options
	}
	defer rp.Close()
	go rp.Run(context.Background())
	app := httptest.NewServer(rp)
	defer app.Close()

	for _, path := range []string{"/hooks/jira?key=1", "/hooks/red/ci", "/hooks/payroll", "/hooks/orders?n=5", "/other"} {
		resp, err := http.Post(app.URL+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(path, resp.Status)
	}
	fmt.Println("intranet:", <-intranet, <-intranet, <-intranet)
	fmt.Println("archive: ", <-archive)

	// Output:
	// /hooks/jira?key=1 200 OK
	// /hooks/red/ci 200 OK
	// /hooks/payroll 403 Forbidden
	// /hooks/orders?n=5 200 OK
	// /other 404 Not Found
	// intranet: /jira?key=1 /ci/hooks/red/ci /orders?n=5
	// archive:  /store?kind=order&n=5
}

// Over Redis, any number of processes accept and deliver together. Here one accepts and
// another delivers.
func ExampleWithRedis() {
	arrived := make(chan string)
	jira := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- string(body)
	}))
	defer jira.Close()
	server, err := miniredis.Run() // stands in for the real one
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer client.Close()
	options := []repeater.Option{
		repeater.Route("/hooks/jira", jira.URL, repeater.Name("jira")),
		repeater.WithRedis(client),
	}
	accepts, delivers := repeater.New(options...), repeater.New(options...)
	defer accepts.Close()
	defer delivers.Close()
	go delivers.Run(context.Background())

	app := httptest.NewServer(accepts)
	defer app.Close()
	for _, body := range []string{"one", "two", "three"} {
		resp, err := http.Post(app.URL+"/hooks/jira", "text/plain", strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println("answer: ", resp.Status)
	}
	fmt.Println("arrived:", <-arrived, <-arrived, <-arrived)

	// Output:
	// answer:  200 OK
	// answer:  200 OK
	// answer:  200 OK
	// arrived: one two three
}

// When its context ends, Run finishes the attempts that are under way, and returns. The
// rest waits for the next start.
func ExampleRepeater_Run() {
	working := make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		working <- true
		<-working
	}))
	defer slow.Close()
	dir, err := os.MkdirTemp("", "repeater")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	rp := repeater.New(
		repeater.Route("/hooks/slow", slow.URL),
		repeater.WithFile(filepath.Join(dir, "repeater.db")),
	)
	ctx, stop := context.WithCancel(context.Background()) // signal.NotifyContext, in a program
	ended := make(chan error)
	go func() { ended <- rp.Run(ctx) }()

	for range 3 {
		rp.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/hooks/slow", nil))
	}
	<-working // the first is on its way
	stop()
	working <- true // and is answered
	fmt.Println("Run:", <-ended)

	lanes, err := rp.Lanes(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("waiting:", lanes[0].Waiting)
	fmt.Println("Close:", rp.Close())

	// Output:
	// Run: <nil>
	// waiting: 2
	// Close: <nil>
}

// Reload takes on a new configuration while requests come in and go out; what is wrong changes nothing.
func ExampleRepeater_Reload() {
	dir, err := os.MkdirTemp("", "repeater")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rp := repeater.New(
		repeater.Route("/hooks/jira", "http://jira-1.internal"),
		repeater.WithFile(filepath.Join(dir, "repeater.db")),
	)
	defer rp.Close()

	err = rp.Reload(repeater.Route("/hooks/jira", "jira-2.internal"))
	fmt.Println("mistake:", err != nil)
	err = rp.Reload(repeater.Route("/hooks/jira", "http://jira-2.internal"))
	fmt.Println("reloaded:", err == nil)
	err = rp.Reload(repeater.Route("/hooks/jira", "http://jira-2.internal"), repeater.WithFile("elsewhere.db"))
	fmt.Println("takes a restart:", errors.Is(err, repeater.ErrRestart))

	// Output:
	// mistake: true
	// reloaded: true
	// takes a restart: true
}

// What happens to requests is counted, for Prometheus to collect.
func ExampleWithMetrics() {
	dir, err := os.MkdirTemp("", "repeater")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	registry := prometheus.NewRegistry()
	rp := repeater.New(
		repeater.Route("/hooks/jira", "http://jira.internal", repeater.Name("jira")),
		repeater.WithFile(filepath.Join(dir, "repeater.db")),
		repeater.WithMetrics(registry),
	)
	defer rp.Close()
	mux := http.NewServeMux()
	mux.Handle("/hooks/", rp)
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) // not for everybody to see
	app := httptest.NewServer(mux)
	defer app.Close()

	resp, err := http.Post(app.URL+"/hooks/jira", "text/plain", strings.NewReader("hello"))
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	resp, err = http.Get(app.URL + "/metrics")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "repeater_requests_accepted") {
			fmt.Println(lines.Text())
		}
	}

	// Output:
	// repeater_requests_accepted_total{route="jira"} 1
}
