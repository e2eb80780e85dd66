package repeater

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/webhook-repeater/repeater/internal/metrics"
)

const (
	claimTTL     = 15 * time.Second
	pollEvery    = time.Second     // how late a wake that got lost is noticed
	announce     = 5 * time.Second // how often a shared store hears of our routes
	expireEvery  = time.Minute     // how often it looks for routes that nobody knows
	settleGrace  = 5 * time.Second // for what a drain still has to tell the store
	lanesPerPage = 500
)

// worker is one Run: it starts a goroutine for each lane that has something to
// do, and that goroutine alone works the lane.
type worker struct {
	r   *Repeater
	ctx context.Context // ends when the drain begins

	attempts context.Context // ends when the drain is over
	cancel   context.CancelFunc

	mu    sync.Mutex
	lanes map[string]*lane
	wg    sync.WaitGroup

	memory laneBudget
	turns  *semaphore.Weighted // one for each attempt in flight, all for one that goes alone

	reloaded chan struct{} // there is a new configuration
	shared   bool          // the store, with other processes

	store outage
}

func newWorker(ctx context.Context, r *Repeater) *worker {
	w := &worker{r: r, ctx: ctx, lanes: make(map[string]*lane),
		turns: semaphore.NewWeighted(allAttempts), reloaded: make(chan struct{}, 1)}
	_, w.shared = r.queue.(SharedQueue)
	w.memory.resize(r.laneMemory)
	w.attempts, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return w
}

func (w *worker) run() {
	defer w.cancel()
	if shared, ok := w.r.queue.(SharedQueue); ok {
		w.wg.Go(func() { w.watch(shared) })
		w.wg.Go(func() { w.announce(shared) })
	}
	w.wg.Go(w.poll)
	w.wg.Go(w.prune)

	<-w.ctx.Done()
	w.mu.Lock()
	w.lanes = nil // wake starts nothing any more
	w.mu.Unlock()
	drained := time.AfterFunc(w.r.config().drain, w.cancel)
	defer drained.Stop()
	w.wg.Wait()
}

// wake has the lane look for messages.
func (w *worker) wake(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lanes[name]; l != nil {
		signal(l.woken)
		return
	}
	w.startLane(name)
}

// nudge has the lane ask the store at once, whatever it waits for.
func (w *worker) nudge(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lanes[name]; l != nil {
		l.steer.Store(true)
		signal(l.woken)
		return
	}
	w.startLane(name)
}

// waits tells that the lane's destination is unwell, as far as is known here.
func (w *worker) waits(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lanes[name]
	return l != nil && l.unwell.Load()
}

// rouse starts the lane if nobody works it here.
func (w *worker) rouse(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lanes[name] == nil {
		w.startLane(name)
	}
}

func (w *worker) startLane(name string) {
	if w.lanes == nil {
		return
	}
	l := newLane(w, name)
	w.lanes[name] = l
	w.wg.Go(l.run)
}

// leave ends a lane's goroutine unless it has been woken meanwhile.
func (w *worker) leave(l *lane) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-l.woken:
		return false
	default:
	}
	if w.lanes[l.name] == l {
		delete(w.lanes, l.name)
	}
	return true
}

// poll finds the lanes that nobody told us of: at the start, and where another
// process has died or a wake got lost.
func (w *worker) poll() {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	growing, samples := make(growth), sampler{seen: &w.r.seen}
	for {
		sample := samples.begin(time.Now())
		err := eachLane(w.ctx, w.r.queue, func(info LaneInfo) {
			if info.Waiting > 0 && !info.Held && !info.Paused {
				w.rouse(info.Name)
			}
			growing.look(w, info)
			if sample {
				w.r.seen.of(info.Name).depth.Store(int64(info.Waiting))
			}
		})
		if sample {
			samples.end(time.Now())
		}
		w.store.report(w, "list lanes", err)
		select {
		case <-w.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// eachLane waits for no page longer than for any step of a store: one that never answers must not end the looking.
func eachLane(ctx context.Context, q Queue, f func(LaneInfo)) error {
	after := ""
	for {
		var page []LaneInfo
		err := within(ctx, storeTimeout, func(ctx context.Context) (err error) {
			page, err = q.Lanes(ctx, after, lanesPerPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, info := range page {
			f(info)
		}
		if len(page) < lanesPerPage {
			return nil
		}
		after = page[len(page)-1].Name
	}
}

// within gives a step of the store as long as it may take.
func within(ctx context.Context, d time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return step(ctx)
}

// announce keeps a shared store informed of our routes.
func (w *worker) announce(q SharedQueue) {
	tick := time.NewTicker(announce)
	defer tick.Stop()
	for last := time.Now(); ; {
		err := within(w.ctx, storeTimeout, func(ctx context.Context) error {
			return q.Announce(ctx, w.r.config().routeNames())
		})
		if err == nil && time.Since(last) >= expireEvery {
			last = time.Now()
			err = w.expire(q)
		}
		w.store.report(w, "announce routes", err)
		select {
		case <-w.ctx.Done():
			return
		case <-w.reloaded:
		case <-tick.C:
		}
	}
}

func (w *worker) expire(q SharedQueue) error {
	n := 0
	err := within(w.ctx, expireEvery, func(ctx context.Context) (err error) {
		n, err = q.ExpireUnknown(ctx, w.r.config().orphanAge)
		return err
	})
	if n > 0 {
		w.r.stats.Lane("").Die(metrics.DeadUnknown, n)
		w.r.config().log.Warn("messages of routes that no process knows are now dead letters", "messages", n)
	}
	return err
}

// watch hears of messages that other processes push.
func (w *worker) watch(q SharedQueue) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for w.ctx.Err() == nil {
		w.store.report(w, "watch", q.Watch(w.ctx, w.wake))
		select {
		case <-w.ctx.Done():
		case <-tick.C:
		}
	}
}
