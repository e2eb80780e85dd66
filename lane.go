package repeater

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/webhook-repeater/repeater/internal/metrics"
)

const (
	claimWindow = 64      // messages in hand of a lane that is well, or twice its concurrency
	mostUntold  = 64      // outcomes that the store has not confirmed, or three times the concurrency
	claimBytes  = 4 << 20 // and about so many bytes of them
	linger      = time.Second
	wakeAgain   = 100 * time.Millisecond
	yieldFor    = pollEvery / 2
	settleBatch = 32                   // deliveries that are told together,
	settleSoon  = 2 * time.Millisecond // or after so long
)

// lane works one lane: one goroutine owns all of this state, and hands what
// takes time (claims, attempts, settlements) to others: one claim and one settlement
// at a time, and as many attempts as the limit says.
//
// It claims a window of messages, attempts them in order, and settles behind: the
// next attempt does not wait for the store to hear of the last. When the destination is
// unwell it gives the window back, pauses, and then probes with one message.
type lane struct {
	w      *worker
	name   string
	cfg    *config // for this step
	set    laneSettings
	woken  chan struct{}
	memory chan struct{} // the budget may have room
	crew   crew
	stats  *metrics.Lane // nil: nothing is counted
	steer  atomic.Bool   // an operator may have given an order: ask the store before anything else

	unwell atomic.Bool  // for those outside of the goroutine
	stops  atomic.Int64 // how often what was not tried yet had to stay so: a pause, an order, a claim that was lost
	seen   *laneSeen

	token    string
	expires  time.Time // of the claim; nothing is attempted after
	renew    time.Time
	buffer   []Claimed // in hand, not yet tried
	more     bool      // a claim may bring something
	notUntil time.Time // claim nothing before
	paced    time.Time // attempt nothing before
	yield    bool      // another process should have a turn
	busy     bool      // another process works the lane

	health

	unsettled []Settlement
	settleAt  time.Time // not before, when the store has failed
	settleBy  time.Time // at the latest, if these are deliveries
	unsure    bool      // whether it has done what it was told last: it may have, and the answer was lost
	reserved  int64     // of the memory budget, for the claim under way
	inLine    bool      // for that
	largest   int64     // message met so far; 0: none
	barrier   bool      // nothing is claimed or attempted until all is settled
	ailing    bool      // and the pause that follows has been decided
	troubles  int       // of the store, in a row

	again              []Key // handed out while a settlement was under way
	apart              bool  // no settlement has been under way together with the claim that is
	relay              relay
	inFlight           int // what is lined up not included
	claiming, settling bool
	telling            int // settlements, in what is under way
	attempted          chan attempted
	claimed            chan claimed
	settled            chan settledBatch
	timer              *time.Timer
	rings              time.Time // when the timer does; zero when it is not running
	sleepTo            time.Time
}

// What comes back to the lane's goroutine.
type (
	attempted struct {
		outcome
		token string // under which it was claimed
		probe bool   // of the message behind a silent head
		next  bool   // what was lined up is under way
	}
	claimed struct {
		Claim
		err   error
		asked time.Time
	}
	settledBatch struct {
		batch []Settlement
		token string // under which they were claimed
		err   error
	}
)

func newLane(w *worker, name string) *lane {
	cfg := w.r.config()
	set := cfg.lane(name)
	return &lane{
		w: w, name: name, cfg: cfg, set: set, stats: w.r.stats.Lane(name),
		woken: make(chan struct{}, 1), memory: make(chan struct{}, 1), crew: newCrew(&w.wg), more: true,
		health:    health{limit: set.concurrency},
		attempted: make(chan attempted, set.concurrency), claimed: make(chan claimed, 1), settled: make(chan settledBatch, 1),
		timer: time.NewTimer(time.Hour),
	}
}

// run ends when the lane has been idle for a while, when another process works it, or,
// after the drain of what is in flight, with the worker.
func (l *lane) run() {
	l.seen = l.w.r.seen.of(l.name)
	defer l.timer.Stop()
	defer l.crew.dismiss()
	for {
		for l.w.ctx.Err() == nil && !l.busy {
			l.step()
			if !l.wait() {
				break
			}
		}
		l.finish()
		if l.w.leave(l) {
			return
		}
		l.more, l.busy, l.yield, l.notUntil = true, false, false, time.Time{}
	}
}

// step starts what can be started.
func (l *lane) step() {
	now := time.Now()
	if cfg := l.w.r.config(); cfg != l.cfg {
		l.reload(cfg)
	}
	if l.steer.Swap(false) {
		l.obey()
	}
	if l.maySettle(now) {
		l.startSettle()
	}
	pressed := l.w.memory.pressed.Load()
	if pressed {
		l.keepOne()
	}
	for l.mayAttempt(now) && !(pressed && l.inFlight > 0) {
		if !l.setAside() {
			l.startAttempt(now)
		}
	}
	if !pressed {
		l.lineUp(now)
	}
	if l.claiming {
		return
	}
	renewing := l.token != "" && now.After(l.renew)
	if renewing && !l.probing() {
		l.notUntil = time.Time{} // a wake may have been lost: do not sleep for longer
	}
	n := l.window()
	if pressed && n > 0 {
		n = max(0, 1-l.inFlight-len(l.buffer))
	}
	switch {
	case l.mayClaim(now, n):
		l.startClaim(now, n)
	case renewing:
		l.startClaim(now, 0)
	}
}

// maySettle lets deliveries wait for company while more are under way.
func (l *lane) maySettle(now time.Time) bool {
	if !l.canSettle(now) {
		return false
	}
	return l.inFlight+len(l.buffer) == 0 || len(l.unsettled) >= settleBatch || !now.Before(l.settleBy) || l.barrier ||
		slices.ContainsFunc(l.unsettled, func(s Settlement) bool { return s.Kind != SettleDelivered })
}

// canSettle waits for a claim under way before it says anything twice: see settledBefore.
func (l *lane) canSettle(now time.Time) bool {
	return len(l.unsettled) > 0 && !l.settling && !now.Before(l.settleAt) && !(l.unsure && l.claiming)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (l *lane) mayAttempt(now time.Time) bool {
	return !l.barrier && !l.yield && len(l.buffer) > 0 && l.inFlight < l.limit &&
		!now.Before(l.paced) && now.Before(l.expires) && l.untold() < l.mayBeUntold()
}

// untold is what a crash could repeat, as far as the lane knows.
func (l *lane) untold() int { return l.inFlight + len(l.unsettled) + l.telling }

// mayBeUntold bounds that: while the store stalls, so do deliveries.
func (l *lane) mayBeUntold() int { return max(mostUntold, 3*l.set.concurrency) }

// mayClaim also gets the memory for it. Who does not want any leaves the line for it.
func (l *lane) mayClaim(now time.Time, n int) bool {
	if l.barrier || l.yield || l.unsure || !l.more || n <= 0 || now.Before(l.notUntil) {
		if l.inLine {
			l.w.memory.quit(l)
			l.inLine = false
		}
		return false
	}
	need := l.need(n)
	l.inLine = !l.w.memory.take(l, need)
	if !l.inLine {
		l.reserved = need
	}
	return !l.inLine
}

// window is how many messages to claim. For a destination that has failed that is the one to
// probe with, and the next, in case the fault is the first one's; else what fills the
// buffer once it is half empty.
func (l *lane) window() int {
	full := max(claimWindow, 2*l.set.concurrency)
	switch {
	case l.probing() && (l.inFlight > 0 || len(l.buffer) > 0):
		return 0
	case l.probing() && l.burying:
		return claimWindow
	case l.probing() && l.set.strict:
		return 1
	case l.probing():
		return 2
	case len(l.buffer) > full/2:
		return 0
	}
	return full - len(l.buffer)
}

// wait returns when something has happened; false when the lane should be left.
func (l *lane) wait() bool {
	idle := l.idle()
	l.arm(l.quiet(idle))
	select {
	case <-l.w.ctx.Done():
	case <-l.woken:
		l.wake()
	case <-l.memory:
	case now := <-l.timer.C:
		l.rings = time.Time{}
		return !idle || now.Before(l.sleepTo)
	case a := <-l.attempted:
		l.onAttempted(a)
	case c := <-l.claimed:
		l.onClaimed(c)
	case s := <-l.settled:
		l.onSettled(s)
	}
	return true
}

// arm lets the timer ring in d at the latest. One that rings sooner is left alone: to set it anew
// for each message costs more than to step once for nothing.
func (l *lane) arm(d time.Duration) {
	now := time.Now()
	l.sleepTo = now.Add(d)
	if l.rings.After(now) && !l.rings.After(l.sleepTo) {
		return
	}
	l.rings = l.sleepTo
	l.timer.Reset(d)
}

// wake has the lane claim, as something has been pushed: at once, or, while what it waits for may be a
// pause, after a moment, as pushes may be many.
func (l *lane) wake() {
	l.more = true
	soon := time.Now()
	if l.probing() {
		soon = soon.Add(wakeAgain)
	}
	if soon.Before(l.notUntil) {
		l.notUntil = soon
	}
}

// idle is a lane with nothing in hand and nothing known to come, or that should go to another. Who has
// it next knows nothing of its pace, so that is waited for.
func (l *lane) idle() bool {
	return l.inFlight == 0 && !l.claiming && !l.settling && len(l.unsettled) == 0 &&
		(l.yield || len(l.buffer) == 0 && !l.more) && !time.Now().Before(l.paced)
}

// quiet is how long nothing needs to be done unless something happens.
func (l *lane) quiet(idle bool) time.Duration {
	switch {
	case idle && l.yield:
		return 0
	case idle:
		return linger
	}
	now, d := time.Now(), time.Hour
	sooner := func(ok bool, t time.Time) {
		if ok {
			d = min(d, max(0, t.Sub(now)))
		}
	}
	sooner(!l.claiming && l.token != "", l.renew.Add(time.Millisecond))
	sooner(!l.claiming && l.more && l.notUntil.After(now), l.notUntil)
	sooner(l.inFlight < l.limit && l.paced.After(now), l.paced)
	sooner(!l.settling && len(l.unsettled) > 0 && !(l.unsure && l.claiming), later(l.settleAt, l.settleBy))
	return d
}

func (l *lane) startClaim(now time.Time, n int) {
	l.claiming, l.apart = true, !l.settling
	if n > 0 {
		l.more = false
	}
	req := ClaimRequest{Lane: l.name, Token: l.token, Max: n, MaxBytes: min(l.reserved, claimBytes), TTL: claimTTL}
	l.crew.do(func() {
		ctx, cancel := l.storeContext()
		defer cancel()
		c, err := l.w.r.queue.Claim(ctx, req)
		l.claimed <- claimed{c, err, now}
	})
}

func (l *lane) startSettle() {
	l.settling, l.apart, l.again = true, false, l.again[:0]
	batch, token := l.unsettled, l.token
	l.unsettled, l.telling = nil, len(batch)
	l.crew.do(func() {
		ctx, cancel := l.storeContext()
		defer cancel()
		l.settled <- settledBatch{batch, token, l.w.r.queue.Settle(ctx, l.name, token, batch)}
	})
}

// storeContext outlives the worker's: a claim cut off would leave the lane locked,
// and what has been delivered must be told during the drain, too.
func (l *lane) storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(l.w.ctx), storeTimeout)
}

// finish waits for what is in flight, settles, and gives the lane back.
func (l *lane) finish() {
	l.recall()
	giveUp := time.NewTimer(l.w.r.config().drain + settleGrace)
	defer giveUp.Stop()
	for over := false; l.inFlight > 0 || l.claiming || l.settling || len(l.unsettled) > 0; {
		if over && l.inFlight == 0 && !l.claiming && !l.settling {
			l.abandon()
			break
		}
		now := time.Now()
		if l.token != "" && l.canSettle(now) {
			l.startSettle()
		}
		if !l.claiming && l.token != "" && now.After(l.renew) {
			l.startClaim(now, 0)
		}
		l.arm(l.quiet(false))
		select {
		case a := <-l.attempted:
			l.onAttempted(a)
		case c := <-l.claimed:
			l.onClaimed(c)
		case s := <-l.settled:
			l.onSettled(s)
		case <-l.timer.C:
			l.rings = time.Time{}
		case <-giveUp.C:
			over = true
		}
	}
	l.release()
	if l.busy || l.yield {
		l.stayAway()
	}
}
