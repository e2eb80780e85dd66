package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/seam"
)

// process is one life of a worker process: a Repeater, its handle on the store, its network.
type process struct {
	w      *world
	number int
	name   string
	handle *handle
	rp     *repeater.Repeater
	cancel context.CancelFunc
	ended  chan struct{} // closed when Run has returned

	// Guarded by the world's mutex.
	began    time.Duration
	dead     bool // killed: nothing that it does has any effect
	stopping bool
	stopped  time.Duration
	trouble  time.Duration // when something was last wrong with it or its store
}

func (p *process) String() string {
	if p == nil {
		return "nobody"
	}
	return p.name
}

// begin starts a process in the place of the one of that number.
func (w *world) begin(number int) {
	w.mu.Lock()
	w.lives[number]++
	p := &process{
		w: w, number: number, name: fmt.Sprintf("p%d/%d", number, w.lives[number]),
		ended: make(chan struct{}), trouble: -never,
	}
	p.handle = newHandle(w, p)
	w.trouble = max(w.trouble, w.now())
	p.began = w.now()
	w.note("", "begins", "%v", p)
	w.mu.Unlock()

	p.rp = repeater.New(w.options(p)...)
	if err := p.rp.Err(); err != nil {
		w.breachNow("the options are right", "%v", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		err := p.rp.Run(ctx)
		_ = p.rp.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.breach(nil, "Run returns nil", "%v: %v", p, err)
		}
		w.checkDrain(p)
		close(p.ended)
	}()
	w.mu.Lock()
	w.processes[number] = p
	w.everybody = append(w.everybody, p)
	w.mu.Unlock()
}

const maxBody = 4 << 10 // where memory is tight

func (w *world) options(p *process) []repeater.Option {
	var queue repeater.Queue = p.handle
	if w.plan.watched {
		queue = watched{p.handle}
	}
	opts := []repeater.Option{
		repeater.WithQueue(queue),
		repeater.WithTransport(&line{w, p}),
		repeater.WithLogger(slog.New(slog.DiscardHandler)),
		repeater.WithBackoff(w.plan.first, w.plan.max),
		repeater.WithTimeouts(repeater.Timeouts{Attempt: w.plan.attempt}),
		repeater.WithDrain(w.plan.drain),
		seam.Option(seam.Sources{Clock: p.clock, Random: p.random}).(repeater.Option),
	}
	if w.plan.tight {
		opts = append(opts, repeater.WithMaxBody(maxBody), repeater.WithMemory(0, maxBody+1<<20))
	}
	for _, r := range w.plan.routes {
		opts = append(opts, r.option(w.plan))
	}
	return opts
}

// option sets up the route. A destination is known by its path.
func (r *route) option(p *plan) repeater.Option {
	opts := []repeater.RouteOption{repeater.Name(r.name), repeater.MaxAttempts(r.maxAttempts), repeater.MaxAge(r.maxAge), repeater.PassThrough(r.passThrough)}
	for i := 1; i < len(r.hosts); i++ {
		opts = append(opts, repeater.AlsoTo(r.target(i)))
	}
	if r.laneName != "" {
		opts = append(opts, repeater.Lane(r.laneName))
	}
	if l := p.lanes[r.lane(0)]; r.settings {
		opts = append(opts, repeater.Concurrency(l.concurrency), repeater.Pace(l.pace))
		if l.strict {
			opts = append(opts, repeater.Strict())
		}
	}
	if r.orderBy {
		opts = append(opts, repeater.OrderBy(func(req *http.Request) string { return req.Header.Get("X-Sim-Key") }))
	}
	if r.dedupe {
		opts = append(opts, repeater.Dedupe("X-Sim-Mark"))
	}
	return repeater.Route("POST /"+r.name+"/", r.target(0), opts...)
}

func (r *route) target(dest int) string {
	return fmt.Sprintf("http://%s/%s/%d", r.hosts[dest].name, r.name, dest)
}

// kill ends a process as SIGKILL does. What it had asked of the store may still be done; nothing is heard of it.
func (p *process) kill() {
	p.w.mu.Lock()
	p.dead, p.stopped, p.trouble, p.w.trouble = true, p.w.now(), p.w.now(), max(p.w.trouble, p.w.now()+claimTTL)
	p.w.note("", "killed", "%v", p)
	p.w.mu.Unlock()
	p.cancel()
}

// stop asks it to end.
func (p *process) stop() {
	p.w.mu.Lock()
	p.stopping, p.stopped, p.trouble, p.w.trouble = true, p.w.now(), p.w.now(), max(p.w.trouble, p.w.now())
	p.w.note("", "stops", "%v", p)
	p.w.mu.Unlock()
	p.cancel()
}

// clock is the process's time of day, which is set now and then.
func (p *process) clock() time.Time {
	now := time.Now()
	if !p.w.plan.clockSteps {
		return now
	}
	step := int(p.w.now() / (7 * time.Second))
	return now.Add(p.w.plan.seed.between(-time.Hour, time.Hour, "clock", fmt.Sprint(p.number), step))
}

// random follows from the moment, which belongs to one event.
func (p *process) random() float64 {
	return p.w.plan.seed.float("random", p.name, int(p.w.now()))
}

// ails tells of a process that may have lost what it holds.
func (p *process) ails(now time.Duration) bool {
	return p.dead || p.stopping || p.trouble+claimTTL+stallMost > now
}
