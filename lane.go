package repeater

import (
	"context"
	"time"
)

const (
	claimWindow = 64      // messages in hand of a lane that is well
	claimBytes  = 4 << 20 // and about so many bytes of them
	linger      = time.Second
	yieldFor    = pollEvery / 2
)

// lane works one lane: one goroutine owns all of this state, and hands what
// takes time (claims, attempts, settlements) to others, one of each at a time.
//
// It claims a window of messages, attempts them in order, and settles behind: the
// next attempt does not wait for the store to hear of the last. When the destination is
// unwell it gives the window back and waits with the head.
type lane struct {
	w     *worker
	name  string
	pace  time.Duration
	woken chan struct{}

	token    string
	expires  time.Time // of the claim; nothing is attempted after
	renew    time.Time
	failures int       // of the lane, in a row
	buffer   []Claimed // in hand, not yet tried
	more     bool      // a claim may bring something
	notUntil time.Time // claim nothing before
	paced    time.Time // attempt nothing before
	yield    bool      // another process should have a turn
	busy     bool      // another process works the lane

	unsettled []Settlement
	settleAt  time.Time // not before, when the store has failed
	barrier   bool      // nothing is claimed or attempted until all is settled
	troubles  int       // of the store, in a row

	attempting, claiming, settling bool
	attempted                      chan attempted
	claimed                        chan claimed
	settled                        chan settledBatch
	timer                          *time.Timer
}

// What comes back to the lane's goroutine.
type (
	attempted struct {
		outcome
		token string // under which it was claimed
	}
	claimed struct {
		Claim
		err   error
		asked time.Time
	}
	settledBatch struct {
		batch []Settlement
		err   error
	}
)

func newLane(w *worker, name string) *lane {
	return &lane{
		w: w, name: name, pace: w.r.cfg.pace[name], woken: make(chan struct{}, 1), more: true,
		attempted: make(chan attempted, 1), claimed: make(chan claimed, 1), settled: make(chan settledBatch, 1),
		timer: time.NewTimer(time.Hour),
	}
}

// run ends when the lane has been idle for a while, when another process works it, or,
// after the drain of what is in flight, with the worker.
func (l *lane) run() {
	defer l.timer.Stop()
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
		l.more, l.busy, l.yield = true, false, false
	}
}

// step starts what can be started.
func (l *lane) step() {
	now := time.Now()
	if len(l.unsettled) > 0 && !l.settling && !now.Before(l.settleAt) {
		l.startSettle()
	}
	open := !l.barrier && !l.yield
	if open && len(l.buffer) > 0 && !l.attempting && !now.Before(l.paced) && now.Before(l.expires) {
		l.startAttempt(now)
	}
	if l.claiming {
		return
	}
	n := l.window()
	switch {
	case open && l.more && n > 0 && !now.Before(l.notUntil):
		l.startClaim(now, n)
	case l.token != "" && now.After(l.renew):
		l.startClaim(now, 0)
	}
}

// window is how many messages to claim: one, alone, for a destination that has
// failed; else what fills the buffer once it is half empty.
func (l *lane) window() int {
	switch {
	case l.failures > 0 && (l.attempting || len(l.buffer) > 0):
		return 0
	case l.failures > 0:
		return 1
	case len(l.buffer) > claimWindow/2:
		return 0
	}
	return claimWindow - len(l.buffer)
}

// wait returns when something has happened; false when the lane should be left.
func (l *lane) wait() bool {
	idle := l.idle()
	l.timer.Reset(l.quiet(idle))
	select {
	case <-l.w.ctx.Done():
	case <-l.woken:
		l.more = true
	case <-l.timer.C:
		return !idle
	case a := <-l.attempted:
		l.onAttempted(a)
	case c := <-l.claimed:
		l.onClaimed(c)
	case s := <-l.settled:
		l.onSettled(s)
	}
	return true
}

// idle is a lane with nothing in hand and nothing known to come, or that should go to another.
func (l *lane) idle() bool {
	return !l.attempting && !l.claiming && !l.settling && len(l.unsettled) == 0 &&
		(l.yield || len(l.buffer) == 0 && !l.more)
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
	sooner(!l.attempting && len(l.buffer) > 0 && l.paced.After(now), l.paced)
	sooner(!l.settling && len(l.unsettled) > 0, l.settleAt)
	return d
}

func (l *lane) startAttempt(now time.Time) {
	m := l.buffer[0]
	l.buffer[0] = Claimed{} // its payload is no longer ours to hold
	l.buffer = l.buffer[1:]
	l.attempting = true
	l.paced = now.Add(l.pace)
	token := l.token
	l.w.wg.Go(func() { l.attempted <- attempted{l.w.r.attempt(l.w.attempts, m), token} })
}

func (l *lane) startClaim(now time.Time, n int) {
	l.claiming = true
	if n > 0 {
		l.more = false
	}
	req := ClaimRequest{Lane: l.name, Token: l.token, Max: n, MaxBytes: claimBytes, TTL: claimTTL}
	l.w.wg.Go(func() {
		ctx, cancel := l.storeContext()
		defer cancel()
		c, err := l.w.r.queue.Claim(ctx, req)
		l.claimed <- claimed{c, err, now}
	})
}

func (l *lane) startSettle() {
	l.settling = true
	batch, token := l.unsettled, l.token
	l.unsettled = nil
	l.w.wg.Go(func() {
		ctx, cancel := l.storeContext()
		defer cancel()
		l.settled <- settledBatch{batch, l.w.r.queue.Settle(ctx, l.name, token, batch)}
	})
}

// storeContext outlives the worker's: a claim cut off would leave the lane locked,
// and what has been delivered must be told during the drain, too.
func (l *lane) storeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(l.w.ctx), storeTimeout)
}

// finish waits for what is in flight, settles, and gives the lane back.
func (l *lane) finish() {
	giveUp := time.NewTimer(l.w.r.cfg.drain + settleGrace)
	defer giveUp.Stop()
	for over := false; l.attempting || l.claiming || l.settling || len(l.unsettled) > 0; {
		if over && !l.attempting && !l.claiming && !l.settling {
			l.abandon()
			break
		}
		if !l.settling && len(l.unsettled) > 0 && l.token != "" && !time.Now().Before(l.settleAt) {
			l.startSettle()
		}
		l.timer.Reset(l.quiet(false))
		select {
		case a := <-l.attempted:
			l.onAttempted(a)
		case c := <-l.claimed:
			l.onClaimed(c)
		case s := <-l.settled:
			l.onSettled(s)
		case <-l.timer.C:
		case <-giveUp.C:
			over = true
		}
	}
	l.release()
	if l.busy || l.yield {
		l.stayAway()
	}
}
