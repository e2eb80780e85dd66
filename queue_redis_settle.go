package repeater

import (
	"context"
	"fmt"
)

func (q *redisQueue) Settle(ctx context.Context, lane, token string, s []Settlement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	args := make([]any, 0, 3+2*len(s))
	args = append(args, token, q.channel(), lane)
	for i := range s {
		var err error
		if args, err = s[i].appendRedis(args); err != nil {
			return err
		}
	}
	keys := q.laneKeys(lane, "state", "ready", "due", "claimed", "held", "order", "dead", "cards", "payloads",
		"history", "tombs", "seen", "lost")
	reply, err := q.lua.Settle.Run(ctx, q.client, keys, args...).Slice()
	if err != nil {
		return q.wrap(ctx, "settle "+lane, err)
	}
	settles := replyInt(reply, 0)
	if settles == 0 {
		return fmt.Errorf("redis: settle %s: %w", lane, ErrStale)
	}
	q.settled(lane, token, settles)
	q.sizes.learn(lane, reply[1:])
	return nil
}

// maxAnswer is how much is kept of what a destination has answered.
const maxAnswer = 2 << 10

// appendRedis appends the message, the name of the settlement's kind in settle.lua, and what that takes.
func (s *Settlement) appendRedis(args []any) ([]any, error) {
	args = append(args, s.Key.String())
	switch {
	case s.Kind == SettleDelivered:
		return append(args, "delivered"), nil
	case s.Kind == SettleRelease:
		return append(args, "release"), nil
	case s.Kind == SettleRetry && s.Hold:
		return append(args, "hold", millis(s.After), formatAttempt(s.Attempt)), nil
	case s.Kind == SettleRetry:
		return append(args, "retry", millis(s.After), formatAttempt(s.Attempt)), nil
	case s.Kind == SettleDead:
		kind := "dead"
		if s.Refused {
			kind = "refused"
		}
		return append(args, kind, formatAttempt(s.Attempt), s.Reason, s.Answer[:min(len(s.Answer), maxAnswer)]), nil
	}
	return nil, fmt.Errorf("settle %v: unknown kind %d", s.Key, s.Kind)
}

func (q *redisQueue) Release(ctx context.Context, lane, token string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h, err := q.hold(ctx, lane)
	if err != nil {
		return err
	}
	defer q.letGo(lane, h)
	q.forget(h, token)
	h.owed = token
	return q.repay(ctx, h, lane)
}

// repay gives a lane back. One that could not be given back, since Redis was away, would
// be nobody's until its time is over.
func (q *redisQueue) repay(ctx context.Context, h *redisHold, lane string) error {
	if h.owed == "" {
		return nil
	}
	keys := q.laneKeys(lane, "state", "ready", "due", "claimed", "lost")
	if err := q.lua.Release.Run(ctx, q.client, keys, h.owed, q.channel(), lane).Err(); err != nil {
		return q.wrap(ctx, "release "+lane, err)
	}
	h.owed = ""
	return nil
}
