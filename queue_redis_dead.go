package repeater

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

func (q *redisQueue) Dead(ctx context.Context, lane, cursor string, max int) ([]DeadLetter, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	from := "+inf"
	if cursor != "" {
		if _, err := strconv.ParseUint(cursor, 10, 64); err != nil {
			return nil, "", fmt.Errorf("dead letters: %q is not a cursor", cursor)
		}
		from = "(" + cursor
	}
	if max <= 0 {
		return nil, "", nil
	}
	keys := q.laneKeys(lane, "dead", "cards", "history", "tombs")
	// One more than asked for tells whether there is another page.
	reply, err := q.lua.Dead.Run(ctx, q.client, keys, from, max+1).Slice()
	if err != nil {
		return nil, "", q.wrap(ctx, "dead letters of "+lane, err)
	}
	next := ""
	if len(reply) > max {
		reply = reply[:max]
		next = replyText(replyList(reply, max-1), 1)
	}
	letters := make([]DeadLetter, len(reply))
	for i := range reply {
		letters[i] = readDeadLetter(replyList(reply, i))
	}
	return letters, next, nil
}

func (q *redisQueue) Letter(ctx context.Context, lane string, key Key) (DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return DeadLetter{}, err
	}
	keys := q.laneKeys(lane, "dead", "cards", "history", "tombs")
	row, err := q.lua.Letter.Run(ctx, q.client, keys, key.String()).Slice()
	if err != nil {
		return DeadLetter{}, q.wrap(ctx, "dead letter", err)
	}
	if len(row) == 0 {
		return DeadLetter{}, fmt.Errorf("redis: dead letter %v: %w", key, ErrNotFound)
	}
	return readDeadLetter(row), nil
}

// readDeadLetter shows what is left of a letter whose record is damaged, rather than hide it.
func readDeadLetter(row []any) DeadLetter {
	key, _ := parseKey(replyText(row, 0))
	card, _ := readRedisCard(replyText(row, 2))
	end := parseTomb(replyText(row, 4))
	return DeadLetter{
		Key: key, Route: card.route, Received: card.received, Died: end.died, Size: card.size,
		Attempts: card.attempts, History: parseHistory(replyText(row, 3)), Reason: end.reason, Answer: end.answer,
	}
}

func (q *redisQueue) Payload(ctx context.Context, lane string, key Key) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	reply, err := q.lua.Payload.Run(ctx, q.client, q.laneKeys(lane, "cards", "payloads"), key.String()).Slice()
	if err != nil {
		return nil, q.wrap(ctx, "payload", err)
	}
	if len(reply) == 0 {
		return nil, fmt.Errorf("redis: message %v: %w", key, ErrNotFound)
	}
	card, err := readRedisCard(replyText(reply, 0))
	if err != nil {
		return nil, fmt.Errorf("redis: message %v: %w", key, ErrCorrupt)
	}
	var stored any
	if len(reply) > 1 {
		stored = reply[1]
	}
	payload, err := card.verify(stored)
	if err != nil {
		return nil, fmt.Errorf("redis: message %v: %w", key, err)
	}
	return payload, nil
}

func (q *redisQueue) Replay(ctx context.Context, lane string, keys []Key) (int, error) {
	if err := ctx.Err(); err != nil || len(keys) == 0 {
		return 0, err
	}
	// The lane's name may have got lost since its messages were pushed.
	if err := q.register(ctx, []string{lane}); err != nil {
		return 0, q.wrap(ctx, "replay", err)
	}
	names := q.laneKeys(lane, "state", "ready", "held", "order", "dead", "cards", "history", "tombs")
	reply, err := q.lua.Replay.Run(ctx, q.client, names, appendKeys([]any{q.channel(), lane}, keys)...).Slice()
	if err != nil {
		return 0, q.wrap(ctx, "replay", err)
	}
	q.sizes.learn(lane, reply[1:])
	return int(replyInt(reply, 0)), nil
}

func (q *redisQueue) Drop(ctx context.Context, lane string, keys []Key) (int, error) {
	if err := ctx.Err(); err != nil || len(keys) == 0 {
		return 0, err
	}
	n, err := q.lua.Drop.Run(ctx, q.client, q.buryKeys(lane), appendKeys(nil, keys)...).Int()
	if err != nil {
		return 0, q.wrap(ctx, "drop", err)
	}
	return n, nil
}

func (q *redisQueue) Prune(ctx context.Context, lane string, older time.Duration, max int) (int, error) {
	if err := ctx.Err(); err != nil || max <= 0 {
		return 0, err
	}
	n, err := q.lua.Prune.Run(ctx, q.client, q.buryKeys(lane), millis(older), max).Int()
	if err != nil {
		return 0, q.wrap(ctx, "prune", err)
	}
	return n, nil
}

func (q *redisQueue) buryKeys(lane string) []string {
	return q.laneKeys(lane, "state", "dead", "cards", "payloads", "history", "tombs")
}

func appendKeys(args []any, keys []Key) []any {
	for _, k := range keys {
		args = append(args, k.String())
	}
	return args
}
