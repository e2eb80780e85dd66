// Package demo shows in a few seconds, with real sockets and a real store, that
// webhooks survive a destination that is down.
package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/reqdump"
)

const (
	webhooks = 5
	patience = 15 * time.Second
	path     = "/hooks/demo"
)

// Options are how to show it.
type Options struct {
	Log    *slog.Logger // of the Repeater
	Colour bool
}

// sent is a webhook as its sender remembers it.
type sent struct {
	id, query, body string
	at              time.Time
}

// demo is what the steps hand on to each other.
type demo struct {
	out  printer
	log  *slog.Logger
	dir  string
	rp   *repeater.Repeater
	dest string // address of the destination
	addr string // address of the repeater
	sent []sent
	got  chan *reqdump.Request
	stop []func() error // what has been started, in its order
}

// Run shows every step on out, and returns whether all went as promised.
func Run(ctx context.Context, out io.Writer, o Options) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it took longer than %v", patience))
	defer cancel()
	d := &demo{out: printer{out, o.Colour}, log: o.Log, got: make(chan *reqdump.Request, 10*webhooks)}
	d.out.text("A destination is down while webhooks come in. None may be lost.")
	ok := d.run(ctx)
	if err := d.tidy(); err != nil {
		d.out.failed("tidy up", err)
		ok = false
	}
	if ok {
		d.out.text("All webhooks arrived: in order, byte for byte, each once.\n\n" +
			"To see it with a destination of yours: webhook-repeater --to http://HOST:PORT")
	}
	return ok
}

func (d *demo) run(ctx context.Context) bool {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"destination down", d.destinationDown},
		{"repeater up", d.repeaterUp},
		{"webhooks accepted", d.send},
		{"backlog", d.backlog},
		{"destination up", d.destinationUp},
		{"webhooks delivered", d.receive},
		{"backlog empty", d.empty},
	}
	for _, s := range steps {
		err := s.do(ctx)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		if err != nil {
			d.out.failed(s.name, err)
			return false
		}
	}
	return true
}

// tidy stops what was started, the last first.
func (d *demo) tidy() error {
	var first error
	for i := len(d.stop) - 1; i >= 0; i-- {
		if err := d.stop[i](); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// destinationDown finds a port on which nobody listens, and on which no outgoing
// connection will settle, as theirs are taken from further up.
func (d *demo) destinationDown(context.Context) error {
	var ln net.Listener
	var err error
	for range 100 {
		port := 20000 + rand.IntN(10000) // #nosec G404 -- any port that is free
		if ln, err = listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	d.dest = ln.Addr().String()
	if err := ln.Close(); err != nil {
		return err
	}
	d.out.done("destination down", "nobody listens on http://%s", d.dest)
	return nil
}

func (d *demo) repeaterUp(ctx context.Context) error {
	var err error
	if d.dir, err = os.MkdirTemp("", "webhook-repeater-demo-"); err != nil {
		return err
	}
	d.stop = append(d.stop, func() error { return os.RemoveAll(d.dir) })
	d.rp = repeater.New(
		repeater.Route(path, "http://"+d.dest, repeater.KeepPath(), repeater.Name("demo")),
		repeater.WithFile(filepath.Join(d.dir, "demo.db")),
		repeater.WithBackoff(200*time.Millisecond, time.Second),
		repeater.WithLogger(d.log),
	)
	if err := d.rp.Open(ctx); err != nil {
		return err
	}
	d.stop = append(d.stop, d.rp.Close)
	d.deliver()
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	d.addr = ln.Addr().String()
	d.serve(ln, d.rp)
	d.out.done("repeater up", "http://%s%s, store %s", d.addr, path, filepath.Join(d.dir, "demo.db"))
	return nil
}

func (d *demo) send(ctx context.Context) error {
	for n := 1; n <= webhooks; n++ {
		s := sent{
			query: fmt.Sprintf("number=%d", n),
			body:  fmt.Sprintf(`{"number": %d, "text": "zażółć gęślą jaźń"}`, n),
			at:    time.Now(),
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.addr+path+"?"+s.query, strings.NewReader(s.body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		s.id = resp.Header.Get("Repeater-Id")
		if resp.StatusCode != http.StatusOK || s.id == "" {
			return fmt.Errorf("webhook %d was answered with %s and the id %q", n, resp.Status, s.id)
		}
		d.sent = append(d.sent, s)
		d.out.done(fmt.Sprintf("webhook %d accepted", n), "%s, id %s", resp.Status, s.id)
	}
	return nil
}

// backlog waits until all are stored and delivering has failed at least twice.
func (d *demo) backlog(ctx context.Context) error {
	return d.watch(ctx, func(lanes []repeater.LaneInfo) bool {
		if len(lanes) != 1 || lanes[0].Waiting != webhooks || lanes[0].Failures < 2 {
			return false
		}
		l := lanes[0]
		d.out.done("backlog", "%d waiting for %s, %d failed attempts", l.Waiting, l.Name, l.Failures)
		return true
	})
}

func (d *demo) destinationUp(context.Context) error {
	ln, err := listen(d.dest)
	if err != nil {
		return err
	}
	d.serve(ln, &reqdump.Handler{Notify: func(r *reqdump.Request) { d.got <- r }})
	d.out.done("destination up", "http://%s answers again", d.dest)
	return nil
}

func (d *demo) receive(ctx context.Context) error {
	for i, s := range d.sent {
		select {
		case r := <-d.got:
			if err := compare(s, r); err != nil {
				return fmt.Errorf("webhook %d: %w", i+1, err)
			}
			d.out.done(fmt.Sprintf("webhook %d delivered", i+1), "attempt %s, %.1f s after it was accepted",
				r.HTTP.Header.Get("Repeater-Attempt"), r.At.Sub(s.at).Seconds())
		case <-ctx.Done():
			return fmt.Errorf("webhook %d has not arrived", i+1)
		}
	}
	return nil
}

// compare finds what differs from what was sent, the place in the order included.
func compare(s sent, r *reqdump.Request) error {
	switch {
	case r.HTTP.Header.Get("Repeater-Id") != s.id:
		return fmt.Errorf("id %s was expected, %s came", s.id, r.HTTP.Header.Get("Repeater-Id"))
	case r.HTTP.Method != http.MethodPost || r.HTTP.RequestURI != path+"?"+s.query:
		return fmt.Errorf("it came as %s %s", r.HTTP.Method, r.HTTP.RequestURI)
	case r.Err != nil:
		return fmt.Errorf("its body ended early: %w", r.Err)
	case string(r.Body) != s.body:
		return fmt.Errorf("its body came as %q", r.Body)
	case r.HTTP.Header.Get("Content-Type") != "application/json":
		return fmt.Errorf("its content type came as %q", r.HTTP.Header.Get("Content-Type"))
	}
	return nil
}

func (d *demo) empty(ctx context.Context) error {
	err := d.watch(ctx, func(lanes []repeater.LaneInfo) bool { return len(lanes) == 0 })
	if err != nil {
		return err
	}
	select {
	case r := <-d.got:
		return fmt.Errorf("id %s came a second time", r.HTTP.Header.Get("Repeater-Id"))
	default:
	}
	d.out.done("backlog empty", "nothing waits, nothing is lost")
	return nil
}

// watch asks for the lanes until they are as wanted.
func (d *demo) watch(ctx context.Context, wanted func([]repeater.LaneInfo) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		lanes, err := d.rp.Lanes(ctx)
		if err != nil {
			return err
		}
		if wanted(lanes) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the backlog is %+v", lanes)
		}
	}
}
