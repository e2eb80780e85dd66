//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/proctest"
	"github.com/webhook-repeater/repeater/internal/testport"
	"github.com/webhook-repeater/repeater/internal/witness"
)

// patience bounds every wait for something that takes far less.
const patience = 60 * time.Second

// scene is what one scenario plays with: senders, one process or several of the real program,
// and two destinations that come and go.
type scene struct {
	*stage
	rnd    *rand.Rand
	cycles int // to play
	played int
	store  string // lines of section [store]
	dir    string
	opt    repeater.Option // opens the store, once all processes have ended

	lanes   []*lane
	nodes   []*node
	longest time.Duration // that a restart has taken
	note    string        // for the table
}

// lane is a destination, who sends to it, and what both have seen.
type lane struct {
	name    string
	rules   string // lines of its hook
	dest    *witness.Destination
	senders *witness.Senders
}

// node is one process of the program, and how it is configured over restarts.
type node struct {
	port  int
	admin int // port of pages and metrics; 0 for none
	*proctest.Process
}

const (
	sendersALane = 8
	think        = 4 * time.Millisecond
	lieEvery     = 401 // so seldom a destination takes a request and hangs up
)

func newScene(s *stage, seed uint64, cycles int) *scene {
	sc := &scene{stage: s, cycles: cycles, dir: s.TempDir(), rnd: seeded(seed, s.name)}
	sc.useFile(filepath.Join(sc.dir, "store.db"))
	// The second lane has several attempts under way at once, and keeps the order of each sender.
	sc.addLane("single", "")
	sc.addLane("keyed", "concurrency = 4\norder_by = header:"+witness.SenderHeader+"\n")
	return sc
}

// seeded gives each scenario a randomness of its own, whichever others are played.
func seeded(seed uint64, name string) *rand.Rand {
	var h uint64 = 14695981039346656037
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h)) // #nosec G404 -- to be repeated, not to be secret
}

func (s *scene) useFile(name string) {
	s.store, s.opt = "file = "+name+"\n", repeater.WithFile(name)
}

func (s *scene) addLane(name, rules string) {
	d := witness.NewDestination(s, witness.NewLedger())
	d.Path = "/" + name
	var seen atomic.Int64
	d.Answer = func(*http.Request) {
		if seen.Add(1)%lieEvery == 0 {
			panic(http.ErrAbortHandler)
		}
	}
	s.lanes = append(s.lanes, &lane{name: name, rules: rules, dest: d})
}

// begin starts n processes and lets senders send to all of them.
func (s *scene) begin(n int, timeout time.Duration) {
	for range n {
		nd := &node{port: testport.Plain(s)}
		s.nodes = append(s.nodes, nd)
		s.start(nd)
	}
	for _, l := range s.lanes {
		var urls []string
		for _, nd := range s.nodes {
			urls = append(urls, nd.url()+l.dest.Path)
		}
		l.senders = &witness.Senders{Ledger: l.dest.Ledger, URLs: urls, Size: sendersALane, Think: think, Timeout: timeout}
		l.senders.Start(s)
	}
	s.serving(time.Now())
}

func (n *node) url() string { return "http://" + proctest.Loopback(n.port) }

func (s *scene) start(n *node) {
	s.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "[server]\nhost = 127.0.0.1\nport = %d\ngrace = 5s\n", n.port)
	fmt.Fprintf(&b, "[app]\nbackoff_timeout = 100ms\nbackoff_max_timeout = 500ms\npush_timeout = 2s\n")
	admin := "off"
	if n.admin > 0 {
		admin = proctest.Loopback(n.admin)
	}
	fmt.Fprintf(&b, "[admin]\nlisten = %s\n", admin)
	fmt.Fprintf(&b, "[store]\n%s[log]\nlevel = error\nformat = text\n", s.store)
	for _, l := range s.lanes {
		fmt.Fprintf(&b, "[hook:%s]\nsrc_path = %s\ndst_host = http://%s\n%s", l.name, l.dest.Path, l.dest.Addr, l.rules)
	}
	name := filepath.Join(s.dir, fmt.Sprintf("config-%d.ini", n.port))
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		s.Fatal(err)
	}
	n.Process = proctest.Start(s, s.dir, proctest.Program(s, "webhook-repeater"), "-c", name)
}

// kill ends a process, which must not have ended by itself.
func (s *scene) kill(n *node) {
	s.alive(n)
	n.Kill()
	s.suspects(n)
}

func (s *scene) alive(n *node) {
	if !n.Alive() {
		s.Fatalf("the program ended by itself:\n%s", tail(n.Stderr.String()))
	}
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

// suspicion is what the program says of a message that was in hand at three deaths.
var suspicion = regexp.MustCompile(`"a message may be what has ended the process[^\n]* id=(\S+) `)

func (s *scene) suspects(n *node) {
	for _, m := range suspicion.FindAllStringSubmatch(n.Stderr.String(), -1) {
		for _, l := range s.lanes {
			l.dest.Ledger.Suspect(m[1])
		}
	}
}

// each plays the cycles, unless the scene is called off.
func (s *scene) each(cycle func()) {
	for s.played < s.cycles && s.ctx.Err() == nil {
		s.flap()
		cycle()
		s.played++
	}
}

// flap lets destinations come, go, and be unwell.
func (s *scene) flap() {
	for _, l := range s.lanes {
		switch s.rnd.IntN(4) {
		case 0:
			l.dest.Down()
		case 1:
			l.dest.Up(s)
			l.dest.Unwell.Store(s.rnd.Int32N(4))
		default:
			l.dest.Up(s)
		}
	}
}

// up lets all destinations be well.
func (s *scene) up() {
	for _, l := range s.lanes {
		l.dest.Unwell.Store(0)
		l.dest.Up(s)
	}
}

// sleep waits for up to so many milliseconds.
func (s *scene) sleep(most int) {
	select {
	case <-time.After(time.Duration(s.rnd.IntN(most)) * time.Millisecond):
	case <-s.ctx.Done():
	}
}

// serving waits until something is acknowledged for each lane, and remembers how long
// that took since the fault was over.
func (s *scene) serving(since time.Time) {
	s.Helper()
	for _, l := range s.lanes {
		before := l.dest.Ledger.Counts().Promised
		if !l.dest.Ledger.Await(patience, func(c witness.Counts) bool { return c.Promised > before }) {
			s.Fatalf("nothing was acknowledged for lane %s within %v", l.name, patience)
		}
	}
	s.longest = max(s.longest, time.Since(since))
}

// moving waits until each lane delivers again what had not arrived, and remembers how long that took.
func (s *scene) moving(since time.Time) {
	s.Helper()
	s.up()
	for _, l := range s.lanes {
		before := l.dest.Ledger.Counts().Arrived
		if !l.dest.Ledger.Await(patience, func(c witness.Counts) bool { return c.Arrived > before+1 }) {
			s.Fatalf("lane %s delivers nothing, %v after the fault", l.name, time.Since(since))
		}
	}
	s.longest = max(s.longest, time.Since(since))
}

// refused waits, not for ever, until senders hear 503 or nothing.
func (s *scene) refused(d time.Duration) bool {
	l := s.lanes[0].dest.Ledger
	before := l.Counts()
	return l.Await(d, func(c witness.Counts) bool { return c.Refused+c.Cut > before.Refused+before.Cut })
}

// end heals all, waits until nothing is owed, and judges.
func (s *scene) end() {
	s.up()
	for _, l := range s.lanes {
		l.senders.Stop()
	}
	for _, l := range s.lanes {
		l.dest.Ledger.AwaitAll(3 * patience)
	}
	for _, n := range s.nodes {
		s.suspects(n)
	}
	for _, l := range s.lanes {
		for _, fault := range l.dest.Ledger.Faults() {
			s.Errorf("lane %s: %s", l.name, fault)
		}
	}
	for _, n := range s.nodes {
		s.alive(n)
		n.Signal(s, syscall.SIGTERM)
		if code := n.Code(s); code != 0 {
			s.Errorf("after SIGTERM the program exited with %d, want 0:\n%s", code, tail(n.Stderr.String()))
		}
	}
	if err := s.empty(); err != nil {
		s.Error(err)
	}
}

// empty looks into the store: all is delivered, so nothing may be left, no dead letter either.
func (s *scene) empty() error {
	rp := repeater.New(s.opt, repeater.Route("/", "http://127.0.0.1"))
	lanes, err := rp.Lanes(context.Background())
	for _, l := range lanes {
		err = errors.Join(err, fmt.Errorf("left in the store: %+v", l))
	}
	return errors.Join(err, rp.Close())
}

// awaitAnswer waits until a process answers at all.
func (s *scene) awaitAnswer(n *node) {
	s.Helper()
	c := &http.Client{Timeout: time.Second}
	defer c.CloseIdleConnections()
	for began := time.Now(); s.ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if resp, err := c.Get(n.url() + "/nobody"); err == nil {
			_ = resp.Body.Close()
			return
		}
		if time.Since(began) > patience {
			s.Fatalf("a process does not answer after %v", patience)
		}
	}
}
