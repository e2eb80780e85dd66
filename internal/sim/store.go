package sim

import (
	"context"
	"errors"
	"time"

	"github.com/webhook-repeater/repeater"
)

// fault is what goes wrong with one step of the store.
type fault int

const (
	none   fault = iota
	fails        // it is not done
	loses        // it is done, and the answer is lost
	stalls       // it is done after a while, if the caller is still there
	drops        // nothing is done, and no answer comes
)

var (
	errAway = errors.New("sim: the store is away")
	errLost = errors.New("sim: the store's answer was lost")
	errDead = errors.New("sim: this process is dead")

	errOvertaken = errors.New("sim: a later claim was there before this one")
)

// handle is a process's way to the shared store. As a store over a network must, it makes good for lost
// answers to claims: what nobody has heard of is given back before anything else is claimed.
type handle struct {
	w       *world
	p       *process
	steps   map[string]int // so far, by kind and lane
	unheard map[string]*unheard
	wake    func(lane string) // while the process watches
}

// unheard is a claim whose answer is not there yet, or lost.
type unheard struct {
	token string
	took  bool // the lane: the caller does not know that it has it
	keys  []repeater.Key
}

var _ repeater.SizedQueue = (*handle)(nil)

// watched is a handle to a store that tells of pushes.
type watched struct{ *handle }

var _ repeater.SharedQueue = watched{}

func newHandle(w *world, p *process) *handle {
	return &handle{w: w, p: p, steps: make(map[string]int), unheard: make(map[string]*unheard)}
}

// next numbers the steps of a kind, so that each is decided on its own.
func (h *handle) next(what string) (whom string, n int) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.steps[what]++
	return h.p.name + " " + what, h.steps[what]
}

// do has the store carry out one step, or not. op runs in one moment, and nothing else then.
func (h *handle) do(ctx context.Context, whom string, n int, op func() error) error {
	return h.step(ctx, whom, n, op, nil)
}

// send is do for what may be carried out although the caller has given up waiting, as Redis does with what is in
// its buffers. (Settlements are not sent so: a late one could undo a later one, which no store can tell.)
func (h *handle) send(ctx context.Context, whom string, n int, op func() error) error {
	return h.step(ctx, whom, n, op, op)
}

func (h *handle) step(ctx context.Context, whom string, n int, op, late func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if h.cut() {
		return errDead
	}
	s, f := h.w.plan.seed, h.w.faultOf(h.p, whom, n)
	before := s.between(20*time.Microsecond, 2*time.Millisecond, "to the store", whom, n)
	switch f {
	case stalls:
		before = s.between(50*time.Millisecond, 9*time.Second, "stalled", whom, n)
	case drops:
		before = never
	}
	began := h.w.now()
	if err := h.wait(ctx, before, whom, n); err != nil {
		if f == stalls && late != nil && s.maybe(0.5, "late", whom, n) {
			time.AfterFunc(began+before-h.w.now(), func() { _ = h.carryOut(whom, n, late) })
		}
		return err
	}
	if f == fails {
		return errAway
	}
	err := h.carryOut(whom, n, op)
	if wait := h.wait(ctx, s.between(20*time.Microsecond, 2*time.Millisecond, "from the store", whom, n), whom, n); wait != nil {
		return wait
	}
	switch {
	case h.cut():
		return errDead
	case f == loses:
		return errLost
	}
	return err
}

// carryOut is the moment in which the store does it.
func (h *handle) carryOut(whom string, n int, op func() error) error {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if h.p.dead && h.w.plan.seed.maybe(0.5, "died on the way", whom, n) {
		return errDead
	}
	return op()
}

// wait is cut short by ctx, and then ends in a nanosecond of its own.
func (h *handle) wait(ctx context.Context, d time.Duration, whom string, n int) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		h.w.troubled(h.p)
		time.Sleep(h.w.plan.seed.between(0, time.Millisecond, "cut short", whom, n))
		return ctx.Err()
	}
}

func (h *handle) cut() bool {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.p.dead
}

func (h *handle) Push(ctx context.Context, b repeater.Batch) (string, error) {
	r := requestOf(ctx)
	var told string // not a result, which a late answer must not touch
	err := h.send(ctx, "push "+r.name, 0, func() error {
		id, err := h.w.store.Push(h.w.always, b)
		h.w.ledger.pushed(r, b, id, err)
		told = id
		return err
	})
	if err != nil {
		return "", err
	}
	h.w.tell(h.p, b.Messages)
	return told, nil
}

func (h *handle) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	whom, n := h.next("claim " + c.Lane)
	var told repeater.Claim // not a result, which a late answer must not touch
	err := h.send(ctx, whom, n, func() error {
		if h.steps["claim "+c.Lane] > n {
			return errOvertaken
		}
		ask := h.makeGood(c)
		claim, err := h.w.store.Claim(h.w.always, ask)
		h.w.ledger.claimed(h.p, ask, claim, err)
		if err == nil {
			lost := &unheard{token: claim.Token, took: c.Token == ""}
			for i := range claim.Messages {
				lost.keys = append(lost.keys, claim.Messages[i].Key)
			}
			h.unheard[c.Lane] = lost
			claim.Yield = h.w.plan.yields && c.Token != "" && h.w.plan.seed.maybe(0.05, "yield", whom, n)
		}
		told = claim
		return err
	})
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if err != nil {
		h.w.note(c.Lane, "claim", "of %d by %v: %v", c.Max, h.p, err)
		return repeater.Claim{}, err
	}
	delete(h.unheard, c.Lane)
	return told, nil
}

// makeGood undoes what a claim without an answer has done, and lets a take that is repeated go on with its token.
func (h *handle) makeGood(c repeater.ClaimRequest) repeater.ClaimRequest {
	lost := h.unheard[c.Lane]
	delete(h.unheard, c.Lane)
	if lost == nil || c.Token != "" && c.Token != lost.token {
		return c
	}
	back := make([]repeater.Settlement, 0, len(lost.keys))
	for _, k := range lost.keys {
		back = append(back, repeater.Settlement{Key: k, Kind: repeater.SettleRelease})
	}
	err := h.w.store.Settle(h.w.always, c.Lane, lost.token, back)
	h.w.ledger.settled(h.p, c.Lane, lost.token, back, err)
	if err == nil && lost.took {
		c.Token = lost.token
	}
	return c
}

func (h *handle) Settle(ctx context.Context, lane, token string, s []repeater.Settlement) error {
	whom, n := h.next("settle " + lane)
	return h.do(ctx, whom, n, func() error {
		before := h.w.ledger.lanesBefore(lane, token)
		err := h.w.store.Settle(h.w.always, lane, token, s)
		h.w.ledger.unchanged(lane, before)
		h.w.ledger.settled(h.p, lane, token, s, err)
		return err
	})
}

func (h *handle) Release(ctx context.Context, lane, token string) error {
	whom, n := h.next("release " + lane)
	return h.send(ctx, whom, n, func() error {
		err := h.w.store.Release(h.w.always, lane, token)
		h.w.ledger.released(h.p, lane, token, err)
		return err
	})
}

func (h *handle) Steer(ctx context.Context, lane string, order repeater.LaneOrder) error {
	whom, n := h.next("steer " + lane)
	return h.send(ctx, whom, n, func() error {
		err := h.w.store.Steer(h.w.always, lane, order)
		h.w.ledger.steered(h.p, lane, order, err)
		return err
	})
}

// moment names a step that several may take at once by when it begins.
func (h *handle) moment(what string) (whom string, n int) {
	return h.p.name + " " + what, int(h.w.now())
}

func (h *handle) Lanes(ctx context.Context, after string, max int) (infos []repeater.LaneInfo, err error) {
	whom, n := h.moment("lanes")
	err = h.do(ctx, whom, n, func() (err error) {
		infos, err = h.w.store.Lanes(h.w.always, after, max)
		return err
	})
	return infos, err
}

func (h *handle) Dead(ctx context.Context, lane, cursor string, max int) (letters []repeater.DeadLetter, next string, err error) {
	whom, n := h.moment("dead " + lane)
	err = h.do(ctx, whom, n, func() (err error) {
		letters, next, err = h.w.store.Dead(h.w.always, lane, cursor, max)
		return err
	})
	return letters, next, err
}

func (h *handle) Letter(ctx context.Context, lane string, key repeater.Key) (letter repeater.DeadLetter, err error) {
	whom, n := h.moment("letter " + lane)
	err = h.do(ctx, whom, n, func() (err error) {
		letter, err = h.w.store.Letter(h.w.always, lane, key)
		return err
	})
	return letter, err
}

func (h *handle) Payload(ctx context.Context, lane string, key repeater.Key) (payload []byte, err error) {
	whom, n := h.moment("payload " + lane)
	err = h.do(ctx, whom, n, func() (err error) {
		payload, err = h.w.store.Payload(h.w.always, lane, key)
		return err
	})
	return payload, err
}

func (h *handle) Replay(ctx context.Context, lane string, keys []repeater.Key) (done int, err error) {
	whom, n := h.next("replay " + lane)
	err = h.do(ctx, whom, n, func() (err error) {
		done, err = h.w.store.Replay(h.w.always, lane, keys)
		h.w.ledger.replayed(h.p, lane, keys, done, err)
		return err
	})
	return done, err
}

func (h *handle) Drop(ctx context.Context, lane string, keys []repeater.Key) (done int, err error) {
	whom, n := h.next("drop " + lane)
	err = h.do(ctx, whom, n, func() (err error) {
		done, err = h.w.store.Drop(h.w.always, lane, keys)
		h.w.ledger.dropped(h.p, lane, keys, done, err)
		return err
	})
	return done, err
}

// Prune never finds anything: no world is 30 days old.
func (h *handle) Prune(ctx context.Context, lane string, older time.Duration, max int) (done int, err error) {
	whom, n := h.next("prune " + lane)
	err = h.do(ctx, whom, n, func() (err error) {
		if done, err = h.w.store.Prune(h.w.always, lane, older, max); done > 0 {
			h.w.breach(nil, "dead letters are kept", "%d of %s were pruned", done, lane)
		}
		return err
	})
	return done, err
}

func (h *handle) Size(lane string) (messages int, bytes, free int64) { return h.w.store.Size(lane) }

func (h watched) Announce(ctx context.Context, _ []string) error {
	whom, n := h.next("announce")
	return h.do(ctx, whom, n, func() error { return nil })
}

func (h watched) ExpireUnknown(ctx context.Context, _ time.Duration) (int, error) {
	whom, n := h.next("expire")
	return 0, h.do(ctx, whom, n, func() error { return nil })
}

// Watch is as reliable as the rest: it ends now and then, and some wakes get lost.
func (h watched) Watch(ctx context.Context, wake func(lane string)) error {
	whom, n := h.next("watch")
	h.w.mu.Lock()
	h.wake = wake
	h.w.mu.Unlock()
	first, cancel := context.WithTimeout(ctx, 5*time.Second)
	err := h.do(first, whom, n, func() error { return nil })
	cancel()
	if err == nil {
		err = h.wait(ctx, h.w.plan.seed.between(time.Second, 40*time.Second, "watches", whom, n), whom, n)
	}
	h.w.mu.Lock()
	h.wake = nil
	h.w.mu.Unlock()
	return err
}

// tell lets other processes know of what one has pushed. Some of it gets lost.
func (w *world) tell(from *process, messages []repeater.Message) {
	w.mu.Lock()
	now, wakes := int(w.now()), make(map[string]func(string))
	for _, p := range w.processes {
		if p != nil && p != from && !p.dead && p.handle.wake != nil {
			wakes[p.name] = p.handle.wake
		}
	}
	w.mu.Unlock()
	for name, wake := range wakes {
		for i := range messages {
			if !w.plan.seed.maybe(0.1, "wake is lost", name+" "+messages[i].Lane, now) {
				wake(messages[i].Lane)
			}
		}
	}
}
