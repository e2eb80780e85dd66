package memqueue

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/webhook-repeater/repeater"
)

func (q *Queue) Claim(ctx context.Context, c repeater.ClaimRequest) (repeater.Claim, error) {
	if err := ctx.Err(); err != nil {
		return repeater.Claim{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l, now := q.lane(c.Lane), q.now()
	switch {
	case c.Token != l.token && c.Token != "":
		return repeater.Claim{}, fmt.Errorf("claim %s: %w", c.Lane, repeater.ErrStale)
	case c.Token == "" && l.token != "" && now.Before(l.until):
		return repeater.Claim{}, fmt.Errorf("claim %s: %w", c.Lane, repeater.ErrBusy)
	case c.Token == "":
		// What is still in hand was the former holder's, who has not been heard of in time.
		for _, m := range l.claimed {
			m.lost++
		}
		l.putBackAll()
		q.tokens++
		l.token = strconv.Itoa(q.tokens)
	}
	l.until = now.Add(c.TTL)
	claim := repeater.Claim{Token: l.token, Paused: l.paused, Failures: l.failures, Refusals: l.refusals}
	claim.Wait = max(0, l.pause.Sub(now))
	if c.Max > 0 && claim.Wait == 0 && !l.paused {
		l.handOut(&claim, c, now)
	}
	return claim, nil
}

func (l *lane) handOut(claim *repeater.Claim, c repeater.ClaimRequest, now time.Time) {
	var size int64
	for m := l.next(now); m != nil; m = l.next(now) {
		size += int64(len(m.payload))
		n := len(claim.Messages)
		if n == c.Max || n > 0 && c.MaxBytes > 0 && size > c.MaxBytes {
			claim.More = true
			return
		}
		l.take(m)
		claim.Messages = append(claim.Messages, repeater.Claimed{
			Key: m.key, Route: m.route, Received: m.received, Payload: m.payload,
			Attempts: m.attempts, Silent: m.silent, Lost: m.lost, Age: l.clock(now) - m.born,
		})
	}
	if len(l.due) > 0 {
		claim.Wait = l.due[0].due.Sub(now)
	}
}

func (q *Queue) Settle(ctx context.Context, lane, token string, s []repeater.Settlement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(lane)
	if token == "" || token != l.token {
		return fmt.Errorf("settle %s: %w", lane, repeater.ErrStale)
	}
	for _, one := range s {
		if m := l.claimed[one.Key]; m != nil {
			m.lost = 0
			q.settle(l, m, one, q.now())
		}
	}
	return nil
}

func (q *Queue) settle(l *lane, m *message, s repeater.Settlement, now time.Time) {
	switch s.Kind {
	case repeater.SettleDelivered:
		l.leave(m)
		delete(q.stored, m.key)
		l.failures, l.refusals = 0, 0
	case repeater.SettleDead:
		m.record(s.Attempt)
		l.leave(m)
		l.bury(m, s, now)
	case repeater.SettleRetry:
		m.record(s.Attempt)
		if s.Hold {
			l.hold(s.After, now)
		} else {
			l.failures = 0
			m.due = now.Add(s.After)
		}
		l.putBack(m)
	case repeater.SettleRelease:
		l.putBack(m)
	}
}

// hold pauses the lane; no pause is shortened by another.
func (l *lane) hold(after time.Duration, now time.Time) {
	if after <= 0 {
		return
	}
	l.failures++
	if end := now.Add(after); end.After(l.pause) {
		l.pause = end
	}
}

func (l *lane) bury(m *message, s repeater.Settlement, now time.Time) {
	if s.Refused {
		l.failures = 0
		l.refusals++
	}
	l.deaths++
	m.death = &death{number: l.deaths, died: now, reason: s.Reason, answer: bytes.Clone(s.Answer[:min(len(s.Answer), 2<<10)])}
	l.dead = append(l.dead, m)
}

// Of a long series of attempts the first and the last tell the story.
const keepFirst, keepLast = 3, 10

func (t *trial) record(a repeater.Attempt) {
	if a.At.IsZero() {
		return
	}
	t.attempts++
	t.silent++
	if !a.Silent {
		t.silent = 0
	}
	if len(t.history) == keepFirst+keepLast {
		copy(t.history[keepFirst:], t.history[keepFirst+1:])
		t.history = t.history[:keepFirst+keepLast-1]
	}
	t.history = append(t.history, a)
}

func (q *Queue) Release(ctx context.Context, lane, token string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(lane)
	if token == "" || token != l.token {
		return nil
	}
	for _, m := range l.claimed {
		m.lost = 0
	}
	l.putBackAll()
	l.token = ""
	return nil
}
