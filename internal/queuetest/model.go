package queuetest

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/memqueue"
)

var modelTests = []test{
	{"does as the model does, whatever it is asked", plays, modelPlays},
}

// play asks a store and the model the same at random, and compares the answers. Its log, and whatever it
// compares, is the same whenever it is played again.
type play struct {
	*suite
	model  repeater.Queue
	rand   chance
	pushed int
	last   repeater.Batch
	tokens map[string][2]string // of a lane, in the store and in the model
	hands  map[string][]repeater.Key
	own    map[repeater.Key]bool // retried on a schedule of its own, where places are nobody's business
	log    []string
}

// Ten plays are enough for every day; -rapid.checks asks for more.
func init() { _ = flag.Set("rapid.checks", "10") }

// modelPlays plays as often as the flag -rapid.checks says. What fails is made as short as it
// can be.
func modelPlays(s *suite) {
	// Without a deadline to ask for, no play is left out as it comes near: a test that takes too long fails.
	rapid.Check(struct{ testing.TB }{s.T}, func(t *rapid.T) {
		s.alone(t, func(s *suite) {
			p := &play{
				suite: s, model: memqueue.NewAt(s.clock.Now), rand: chance{t},
				tokens: make(map[string][2]string), hands: make(map[string][]repeater.Key), own: make(map[repeater.Key]bool),
			}
			for range playSteps {
				p.step()
				p.compareLanes()
			}
		})
	})
}

// alone plays on a store and at a time of its own. Rapid stays outside of its bubble, as it would count the
// hours there, and a play that fails panics where rapid has called it.
func (s *suite) alone(t *rapid.T, play func(s *suite)) {
	var panicked any
	over := false
	try := test{run: func(s *suite) {
		defer func() { panicked = recover() }()
		play(s)
		over = true
	}}
	if s.h.Bubble {
		s.h.run(s.T, try)
	} else {
		s.Run("play", func(t *testing.T) { s.h.run(t, try) }) // whose end closes what it has opened
	}
	if panicked == nil && !over {
		t.Fatal("the store failed, see above")
	}
	if panicked != nil && t.Failed() {
		panic(panicked)
	}
	if panicked != nil { // nothing is left to draw, which rapid tells from a failure by the line
		panic(panicked)
	}
}

// playSteps are so many that a lane has had time for everything.
const playSteps = 100

// chance draws numbers that can be made smaller when a play fails.
type chance struct{ *rapid.T }

func (c chance) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(c.T, "n") }

func (c chance) shuffle(keys []repeater.Key) {
	for i := len(keys) - 1; i > 0; i-- {
		j := c.IntN(i + 1)
		keys[i], keys[j] = keys[j], keys[i]
	}
}

// moment is some ticks, and a little, so that nothing happens just when another thing does.
func (p *play) moment(ticks int) time.Duration {
	return time.Duration(p.rand.IntN(ticks))*p.tick + 7*grain
}

var playLanes = words("a b c")

func (p *play) lane() string { return p.one(playLanes...) }

// one picks a string.
func (p *play) one(of ...string) string { return of[p.rand.IntN(len(of))] }

func (p *play) step() {
	switch n := p.rand.IntN(100); {
	case n < 25:
		p.push()
	case n < 50:
		p.claim(p.lane())
	case n < 75:
		p.settle(p.lane())
	case n < 79:
		p.release(p.lane())
	case n < 84:
		p.steer(p.lane(), repeater.LaneOrder(p.rand.IntN(4))) // #nosec G115 -- below 4
	case n < 86:
		p.steer(p.lane(), repeater.LaneResume) // more often than the rest
	case n < 92:
		p.letters(p.lane())
	case n == 92 && p.h.Restart != nil:
		p.end()
	case n == 93 && p.h.Crash != nil:
		p.die()
	default:
		d := time.Duration(p.rand.IntN(8)) * p.tick
		p.note("sleep %v", d)
		p.clock.Sleep(d)
	}
}

func (p *play) note(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

// same compares two answers.
func (p *play) same(doing string, store, model any, storeErr, modelErr error) {
	p.Helper()
	diff := cmp.Diff(model, store, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= grain }),
		cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() <= grain }))
	if diff == "" && kind(storeErr) == kind(modelErr) {
		return
	}
	p.rand.Fatalf("after\n\t%s\n%s: error is %v, the model's %v (-model +store):\n%s",
		strings.Join(p.log[max(0, len(p.log)-60):], "\n\t"), doing, storeErr, modelErr, diff)
}

// kind is what an error tells its caller to decide upon.
func kind(err error) string {
	for _, known := range []error{repeater.ErrBusy, repeater.ErrStale, repeater.ErrFull, repeater.ErrNotFound} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprint(err)
}

func (p *play) push() {
	b := repeater.Batch{ID: fmt.Sprint(p.pushed), Route: "route", Received: received}
	p.pushed++
	for i := range 1 + p.rand.IntN(3) {
		b.Messages = append(b.Messages, repeater.Message{
			Dest: i, Lane: p.lane(), OrderKey: p.one("", "", "j", "k"), Payload: make([]byte, p.rand.IntN(50)),
		})
	}
	if p.rand.IntN(4) == 0 {
		b.Dedupe, b.DedupeFor = p.one("m", "n"), p.moment(10)
	}
	if p.rand.IntN(4) == 0 {
		b.Bound = repeater.Bound{Messages: p.rand.IntN(20), Bytes: int64(p.rand.IntN(400))}
	}
	if p.rand.IntN(8) == 0 && p.stored(p.last) {
		b = p.last
	}
	p.last = b
	p.note("push %+v", b)
	got, err := p.Push(p.Context(), b)
	want, wantErr := p.model.Push(p.Context(), b)
	p.same("Push", got, want, err, wantErr)
}

// stored tells whether all of a batch is stored still: what is delivered some stores remember.
func (p *play) stored(b repeater.Batch) bool {
	for _, m := range b.Messages {
		if _, err := p.model.Payload(p.Context(), m.Lane, repeater.Key{ID: b.ID, Dest: m.Dest}); err != nil {
			return false
		}
	}
	return len(b.Messages) > 0
}

func (p *play) claim(lane string) {
	c := repeater.ClaimRequest{Lane: lane, Max: 1 + p.rand.IntN(6), TTL: p.moment(12)}
	tokens := p.tokens[lane]
	if p.rand.IntN(5) == 0 {
		tokens = [2]string{}
	}
	p.note("claim %+v, anew: %t", c, tokens[1] == "")
	c.Token = tokens[0]
	got, err := p.Claim(p.Context(), c)
	c.Token = tokens[1]
	want, wantErr := p.model.Claim(p.Context(), c)
	tokens = [2]string{got.Token, want.Token}
	if got.Token != "" {
		got.Token = want.Token
	}
	for _, c := range []*repeater.Claim{&got, &want} {
		if c.Paused || c.More {
			c.Wait = 0 // says nothing
		}
		c.Refusals = max(c.Refusals, -1) // forgiven is forgiven
	}
	p.same("Claim", got, want, err, wantErr)
	if err == nil {
		if tokens != p.tokens[lane] {
			p.hands[lane] = nil
		}
		p.tokens[lane] = tokens
		for _, m := range want.Messages {
			p.hands[lane] = append(p.hands[lane], m.Key)
		}
	}
}

// settle settles some of what is in hand, or was.
func (p *play) settle(lane string) {
	hand := p.hands[lane]
	p.rand.shuffle(hand)
	var settlements []repeater.Settlement
	for _, k := range hand[:p.rand.IntN(len(hand)+1)] {
		one := repeater.Settlement{Key: k, Kind: repeater.SettleKind(p.rand.IntN(4)), After: p.moment(6), Attempt: attempt(p.rand.IntN(50))} // #nosec G115 -- below 4
		one.Hold = p.rand.IntN(2) == 0 && !p.own[k]
		one.Refused = p.rand.IntN(2) == 0
		one.Attempt.Silent = p.rand.IntN(2) == 0
		if p.rand.IntN(4) == 0 {
			one.After = 0
		}
		if one.Kind == repeater.SettleRetry && !one.Hold {
			p.own[k] = true
		}
		settlements = append(settlements, one)
	}
	p.note("settle %s %+v", lane, settlements)
	tokens := p.tokens[lane]
	err := p.Settle(p.Context(), lane, tokens[0], settlements)
	wantErr := p.model.Settle(p.Context(), lane, tokens[1], settlements)
	p.same("Settle", nil, nil, err, wantErr)
}

func (p *play) release(lane string) {
	p.note("release %s", lane)
	tokens := p.tokens[lane]
	p.same("Release", nil, nil, p.Release(p.Context(), lane, tokens[0]), p.model.Release(p.Context(), lane, tokens[1]))
}

func (p *play) steer(lane string, order repeater.LaneOrder) {
	p.note("steer %s %d", lane, order)
	p.same("Steer", nil, nil, p.Steer(p.Context(), lane, order), p.model.Steer(p.Context(), lane, order))
}

func (p *play) releaseAll() {
	for _, lane := range playLanes {
		p.release(lane)
	}
}

// end lets the process end well, and another begin.
func (p *play) end() {
	p.releaseAll()
	p.note("restart")
	p.restart()
}

// die lets the process die, and its claims with it.
func (p *play) die() {
	p.clock.Sleep(p.tick)
	p.note("crash")
	p.crash()
	p.clock.Sleep(13 * p.tick) // longer than any claim
	clear(p.tokens)
	clear(p.hands)
}

// letters does something with the dead of a lane.
func (p *play) letters(lane string) {
	got, next, err := p.Dead(p.Context(), lane, "", 1000)
	want, wantNext, wantErr := p.model.Dead(p.Context(), lane, "", 1000)
	p.same("Dead", got, want, err, wantErr)
	p.same("Dead's cursor", next, wantNext, nil, nil)
	var some []repeater.Key
	for _, l := range want {
		if p.rand.IntN(3) == 0 {
			some = append(some, l.Key)
			delete(p.own, l.Key)
		}
	}
	slices.Reverse(some)
	var n, wantN int
	switch p.rand.IntN(3) {
	case 0:
		p.note("replay %v", some)
		n, err = p.Replay(p.Context(), lane, some)
		wantN, wantErr = p.model.Replay(p.Context(), lane, some)
	case 1:
		p.note("drop %v", some)
		n, err = p.Drop(p.Context(), lane, some)
		wantN, wantErr = p.model.Drop(p.Context(), lane, some)
	default:
		older, max := p.moment(20), p.rand.IntN(3)
		p.note("prune %s %v %d", lane, older, max)
		n, err = p.Prune(p.Context(), lane, older, max)
		wantN, wantErr = p.model.Prune(p.Context(), lane, older, max)
	}
	p.same("letters put back or gone", n, wantN, err, wantErr)
}

func (p *play) compareLanes() {
	got, err := p.Lanes(p.Context(), "", 1+len(playLanes))
	want, wantErr := p.model.Lanes(p.Context(), "", 1+len(playLanes))
	for _, infos := range [][]repeater.LaneInfo{got, want} {
		for i := range infos {
			infos[i].Refusals = max(infos[i].Refusals, -1)
		}
	}
	p.same("Lanes", got, want, err, wantErr)
}
