// Package bench measures the program as it runs: it starts a destination, a repeater in a process
// of its own, and two references, and sends them requests over loopback.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Options says what to measure.
type Options struct {
	Program     string        // the executable of webhook-repeater
	Redis       string        // URL of the Redis to store in; "" for the file store
	StoreDir    string        // where the file store lies; "" for the directory of temporary files
	Requests    int           // in each closed-loop phase, at most
	Connections int           // of senders
	Size        int           // of bodies, in bytes
	Rate        float64       // of the open-loop phases, requests a second
	Runs        int           // of everything
	Limit       time.Duration // for sending in a closed-loop phase
	Steady      time.Duration // the length of an open-loop phase
	Progress    io.Writer     // a line for each run
}

// Check tells the first mistake in o.
func (o Options) Check() error {
	switch {
	case o.Requests < 1 || o.Requests > 100_000_000:
		return errors.New("--requests is to be from 1 to 100000000")
	case o.Connections < 1 || o.Connections > 10_000:
		return errors.New("--connections is to be from 1 to 10000")
	case o.Size < minSize || o.Size > 16<<20:
		return fmt.Errorf("--size is to be from %d to %d", minSize, 16<<20)
	case !(o.Rate > 0 && o.Rate <= 1e6):
		return errors.New("--rate is to be above 0, and at most 1000000")
	case o.Runs < 1 || o.Runs > 100:
		return errors.New("--runs is to be from 1 to 100")
	case o.Redis != "" && o.StoreDir != "":
		return errors.New("--store-dir is for the file store; give either it or --redis")
	}
	return nil
}

const (
	warmUp   = 500              // requests before the first that count
	patience = 20 * time.Second // with deliveries of which none comes
)

// run is one run of all phases.
type run struct {
	Options
	report *Report
	sink   *sink
	phase  int
}

// Run measures, and reports also when something was lost. It returns an error when it could not measure.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := askRedis(ctx, o.Redis); err != nil {
		return nil, err
	}
	report := newReport(o)
	for i := range o.Runs {
		fmt.Fprintf(o.Progress, "run %d of %d\n", i+1, o.Runs)
		if err := runOnce(ctx, o, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

func runOnce(ctx context.Context, o Options, report *Report) error {
	s, err := newSink()
	if err != nil {
		return err
	}
	defer s.close()
	r := &run{Options: o, report: report, sink: s}
	for _, kind := range []string{"bare", "proxy"} {
		if err := r.reference(ctx, kind); err != nil {
			return fmt.Errorf("reference: %w", err)
		}
	}
	return r.repeater(ctx)
}

// reference measures one of the references.
func (r *run) reference(ctx context.Context, kind string) error {
	p, err := startReference(ctx, r.Options, kind, r.sink.url())
	if err != nil {
		return err
	}
	defer p.stop()
	name := rowBare
	if kind == "proxy" {
		name = rowProxy
	}
	if err := r.warm(ctx, p, "/"); err != nil {
		return p.explain(err)
	}
	t, cpu, err := r.send(ctx, p, r.flood(p, "/"), r.Requests)
	if err != nil {
		return p.explain(err)
	}
	r.report.rate(name, perSecond(t.acked(), time.Duration(t.lastAnswer.Load())), each(cpu(), t.acked()))
	t, _, err = r.send(ctx, p, r.steady(p, "/"), r.steadyRequests())
	if err != nil {
		return p.explain(err)
	}
	r.report.latency(name, t.took)
	return nil
}

// repeater measures a repeater with a fresh store.
func (r *run) repeater(ctx context.Context) error {
	dir, err := os.MkdirTemp(r.StoreDir, "webhook-repeater-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Base(dir) + ":"
	if r.Redis == "" {
		took, err := syncs(dir)
		if err != nil {
			return err
		}
		r.report.latency(rowSync, took)
	} else {
		defer clearRedis(r.Redis, prefix)
	}
	p, err := startServer(ctx, r.Options, dir, prefix, r.sink.url())
	if err != nil {
		return err
	}
	defer p.stop()
	for _, phase := range []func(context.Context, *process) error{r.atRate, r.delivered, r.backlog} {
		if err := phase(ctx, p); err != nil {
			return p.explain(err)
		}
	}
	return nil
}

// atRate measures latencies.
func (r *run) atRate(ctx context.Context, p *process) error {
	for _, path := range []string{"/ordered", "/parallel"} {
		if err := r.warm(ctx, p, path); err != nil {
			return err
		}
	}
	t, _, err := r.send(ctx, p, r.steady(p, "/ordered"), r.steadyRequests())
	if err != nil {
		return err
	}
	r.await(ctx, t, true)
	r.report.latency(rowAnswer, t.took)
	r.report.latency(rowEndToEnd, t.arrived)
	if time.Duration(t.lastAnswer.Load()) > r.Steady+r.Steady/5 {
		r.report.note(fmt.Sprintf("%s requests a second were too many for this machine: latencies are those of a queue that grows", grouped(r.Rate)))
	}
	return nil
}

// delivered measures a destination that is well.
func (r *run) delivered(ctx context.Context, p *process) error {
	for _, row := range []struct{ path, accepted, delivered string }{
		{"/ordered", rowAccepted, rowDelivered},
		{"/parallel", rowAcceptedParallel, rowDeliveredParallel},
	} {
		t, cpu, err := r.send(ctx, p, r.flood(p, row.path), r.Requests)
		if err != nil {
			return err
		}
		r.await(ctx, t, row.path == "/ordered")
		r.report.rate(row.accepted, perSecond(t.acked(), time.Duration(t.lastAnswer.Load())), 0)
		r.report.rate(row.delivered, perSecond(t.count, t.last), each(cpu(), t.count))
	}
	return nil
}

// backlog measures a destination that is down, and comes back.
func (r *run) backlog(ctx context.Context, p *process) error {
	r.sink.down.Store(true)
	t, cpu, err := r.send(ctx, p, r.flood(p, "/ordered"), r.Requests)
	if err != nil {
		return err
	}
	r.report.rate(rowDown, perSecond(t.acked(), time.Duration(t.lastAnswer.Load())), each(cpu(), t.acked()))
	before := p.cpu()
	r.sink.down.Store(false)
	r.await(ctx, t, true)
	r.report.rate(rowDrained, perSecond(t.count-1, t.last-t.first), each(p.cpu()-before, t.count))
	return nil
}

// warm sends what is not counted.
func (r *run) warm(ctx context.Context, p *process, path string) error {
	l := r.flood(p, path)
	t, _, err := r.send(ctx, p, l, min(warmUp, r.Requests))
	if err == nil && path != "/" {
		r.await(ctx, t, path == "/ordered")
	}
	return err
}

func (r *run) flood(p *process, path string) load {
	return load{addr: p.addr, path: path, connections: r.Connections, size: r.Size, limit: r.Limit}
}

func (r *run) steady(p *process, path string) load {
	l := r.flood(p, path)
	l.rate, l.limit = r.Rate, 4*r.Steady
	return l
}

func (r *run) steadyRequests() int { return max(1, int(r.Rate*r.Steady.Seconds())) }

// send sends n requests. cpu tells what the process has used since then.
func (r *run) send(ctx context.Context, p *process, l load, n int) (t *tally, cpu func() time.Duration, err error) {
	runtime.GC() // not while measuring
	r.phase++
	before := p.cpu()
	t = newTally(r.phase, l.connections, n)
	r.sink.count(t)
	if err := l.send(ctx, t); err != nil {
		return nil, nil, err
	}
	r.report.Refused += t.refused.Load()
	return t, func() time.Duration { return p.cpu() - before }, nil
}

// await waits for what was acknowledged, and judges it.
func (r *run) await(ctx context.Context, t *tally, ordered bool) {
	r.report.Lost += t.await(ctx, patience)
	r.report.Acknowledged += t.acked()
	r.report.Twice += t.twice
	if ordered {
		r.report.Disorder += t.disorder
	}
}

func perSecond(n int, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}

// each is the microseconds of processor time for each of n.
func each(cpu time.Duration, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(cpu) / float64(time.Microsecond) / float64(n)
}
