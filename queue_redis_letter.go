package repeater

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Letter asks for the number of the death first: people can wait for two round trips.
func (q *redisQueue) Letter(ctx context.Context, lane string, key Key) (DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return DeadLetter{}, err
	}
	keys := q.laneKeys(lane, "dead")
	number, err := q.client.ZScore(ctx, keys[0], key.String()).Result()
	if errors.Is(err, redis.Nil) {
		return DeadLetter{}, fmt.Errorf("redis: dead letter %v: %w", key, ErrNotFound)
	}
	if err != nil {
		return DeadLetter{}, q.wrap(ctx, "dead letter", err)
	}
	above := strconv.FormatFloat(number+1, 'f', -1, 64)
	letters, _, err := q.Dead(ctx, lane, above, 1)
	if err != nil {
		return DeadLetter{}, err
	}
	if len(letters) == 0 || letters[0].Key != key {
		return DeadLetter{}, fmt.Errorf("redis: dead letter %v: %w", key, ErrNotFound)
	}
	return letters[0], nil
}
