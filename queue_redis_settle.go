package repeater

import (
	"context"
	"fmt"
)

func (q *redisQueue) Settle(ctx context.Context, lane, token string, s []Settlement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	args := make([]any, 0, 3+5*len(s))
	args = append(args, token, q.channel(), lane)
	for i := range s {
		kind, err := s[i].redisKind()
		if err != nil {
			return err
		}
		line := ""
		if s[i].Kind == SettleRetry || s[i].Kind == SettleDead {
			line = formatAttempt(s[i].Attempt)
		}
		args = append(args, s[i].Key.String(), kind, millis(s[i].After), line, s[i].Reason)
	}
	keys := q.laneKeys(lane, "state", "ready", "due", "claimed", "held", "order", "dead", "cards", "payloads", "history", "tombs", "seen")
	fresh, err := q.lua.Settle.Run(ctx, q.client, keys, args...).Int()
	if err != nil {
		return q.wrap(ctx, "settle "+lane, err)
	}
	if fresh == 0 {
		return fmt.Errorf("redis: settle %s: %w", lane, ErrStale)
	}
	return nil
}

// redisKind is the name of a settlement's kind in settle.lua.
func (s *Settlement) redisKind() (string, error) {
	switch s.Kind {
	case SettleDelivered:
		return "delivered", nil
	case SettleRetry:
		if s.Hold {
			return "hold", nil
		}
		return "retry", nil
	case SettleDead:
		return "dead", nil
	case SettleRelease:
		return "release", nil
	}
	return "", fmt.Errorf("settle %v: unknown kind %d", s.Key, s.Kind)
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
	keys := q.laneKeys(lane, "state", "ready", "due", "claimed")
	if err := q.lua.Release.Run(ctx, q.client, keys, token, q.channel(), lane).Err(); err != nil {
		return q.wrap(ctx, "release "+lane, err)
	}
	h.forget(token)
	return nil
}
