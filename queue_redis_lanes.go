package repeater

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisRegistry remembers which lanes are known to be in the registry, a sorted set in
// a slot of its own. It forgets, so that a registry that got lost fills again.
type redisRegistry struct {
	mu    sync.Mutex
	added map[string]time.Time
}

const (
	registryFor = 30 * time.Second
	registryMax = 20_000 // lanes remembered
)

// missing returns those of lanes that are not remembered.
func (r *redisRegistry) missing(lanes []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var missing []string
	for _, name := range lanes {
		if t, ok := r.added[name]; !ok || time.Since(t) > registryFor {
			missing = append(missing, name)
		}
	}
	return missing
}

func (r *redisRegistry) remember(lanes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.added == nil || len(r.added)+len(lanes) > registryMax {
		r.added = make(map[string]time.Time)
	}
	for _, name := range lanes {
		r.added[name] = time.Now()
	}
}

func (q *redisQueue) registryKey() string { return q.prefix + "lanes" }

// register makes lanes findable before anything is stored in them.
func (q *redisQueue) register(ctx context.Context, lanes []string) error {
	missing := q.registry.missing(lanes)
	if len(missing) == 0 {
		return nil
	}
	members := make([]redis.Z, len(missing))
	for i, name := range missing {
		members[i].Member = name
	}
	if err := q.client.ZAdd(ctx, q.registryKey(), members...).Err(); err != nil {
		return err
	}
	q.registry.remember(missing)
	return nil
}

func (q *redisQueue) Lanes(ctx context.Context, after string, max int) ([]LaneInfo, error) {
	if err := ctx.Err(); err != nil || max <= 0 {
		return nil, err
	}
	if after == "" {
		q.sweepOutbox(ctx)
	}
	var infos []LaneInfo
	for {
		names, err := q.registered(ctx, after)
		if err != nil {
			return nil, q.wrap(ctx, "lanes", err)
		}
		page, err := q.laneInfos(ctx, names)
		if err != nil {
			return nil, q.wrap(ctx, "lanes", err)
		}
		for _, info := range page {
			if info.Waiting+info.Dead == 0 {
				continue
			}
			if infos = append(infos, info); len(infos) == max {
				return infos, nil
			}
		}
		if len(names) < lanesChunk {
			return infos, nil
		}
		after = names[len(names)-1]
	}
}

// lanesChunk is how many lanes are read in one pipeline.
const lanesChunk = 500

// registered returns the names of a chunk of lanes, sorted.
func (q *redisQueue) registered(ctx context.Context, after string) ([]string, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	return q.client.ZRangeByLex(ctx, q.registryKey(), &redis.ZRangeBy{Min: from, Max: "+", Count: lanesChunk}).Result()
}

func (q *redisQueue) laneInfos(ctx context.Context, names []string) ([]LaneInfo, error) {
	if len(names) == 0 {
		return nil, nil
	}
	pipe := q.client.Pipeline()
	clock := pipe.Time(ctx)
	states := make([]*redis.SliceCmd, len(names))
	for i, name := range names {
		key := q.laneKeys(name, "state")[0]
		states[i] = pipe.HMGet(ctx, key, "waiting", "parked", "bytes", "dead", "failures", "pause", "token", "until")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	infos := make([]LaneInfo, len(names))
	for i, name := range names {
		infos[i] = readLaneInfo(name, states[i].Val(), clock.Val().UnixMilli())
	}
	return infos, nil
}

func readLaneInfo(name string, f []any, now int64) LaneInfo {
	n := func(i int) int64 {
		v, _ := strconv.ParseInt(replyText(f, i), 10, 64)
		return v
	}
	return LaneInfo{
		Name:     name,
		Waiting:  int(n(0)),
		Parked:   int(n(1)),
		Bytes:    n(2),
		Dead:     int(n(3)),
		Failures: int(n(4)),
		Wait:     time.Duration(max(0, n(5)-now)) * time.Millisecond,
		Held:     replyText(f, 6) != "" && n(7) > now,
	}
}
